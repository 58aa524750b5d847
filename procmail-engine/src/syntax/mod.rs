//! The syntax of an rc file: a flat list of items with spans, comments kept.
//!
//! [`Rc::parse`] takes any bytes. Where procmail would skip something with a message, the tree has an item that says so, so
//! that an evaluator meets the oddities in the order in which procmail does. Blocks are not nested values: the recipe
//! that opens one knows the item that closes it.
//!
//! ```
//! use procmail_engine::syntax::{Action, Item, Rc};
//!
//! let rc = Rc::parse(b":0:\n* ^Subject:.*cats\ncats\n".to_vec());
//! let Item::Recipe(recipe) = &rc.items()[0] else { panic!("a recipe") };
//! assert_eq!(recipe.conditions[0].text, b"^Subject:.*cats");
//! assert!(matches!(recipe.action, Action::Folders(_)));
//! ```

mod line;
mod parse;
mod text;

use std::sync::Arc;

pub(crate) use line::same_words;
pub use line::{Lock, RecipeLine};
pub(crate) use text::joined;
pub use text::{Mode, Part, Text, parse_text};

/// A range of bytes of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte behind the last.
    pub end: usize,
}

/// A parsed rc file with its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rc {
    source: Arc<[u8]>,
    items: Vec<Item>,
    ambiguous: bool,
}

/// What stands in an rc file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// `# …`, without the end of the line.
    Comment(Span),
    /// `NAME=value`.
    Assignment(Assignment),
    /// `NAME` alone, which removes the variable.
    Removal {
        /// Where it stands.
        span: Span,
        /// The variable.
        name: Vec<u8>,
    },
    /// `:0 …`.
    Recipe(Box<Recipe>),
    /// The `}` of a block.
    Close(Span),
    /// A `}` without a block.
    UnexpectedClose(Span),
    /// The file ends within a block.
    MissingClose(Span),
    /// What procmail cannot read and skips.
    Skipped(Span),
}

/// `NAME=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// From the name to the end of the value.
    pub span: Span,
    /// The variable.
    pub name: Vec<u8>,
    /// What it gets.
    pub value: Text,
}

/// A recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// From the colon to the end of the action; of a block, to its `{`.
    pub span: Span,
    /// What stands behind the colon: number, flags, lock. It may have variables, so the evaluator reads it as a text.
    pub head: Text,
    /// The conditions.
    pub conditions: Vec<Condition>,
    /// What to do.
    pub action: Action,
    /// Comments between its lines.
    pub comments: Vec<Span>,
}

/// A condition, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// From the star to the end of the line.
    pub span: Span,
    /// The text behind the star, continued lines joined.
    pub text: Vec<u8>,
    /// The text before they are joined, if there are any: a backslash and a newline wherever a line is continued, but an
    /// empty line for one with nothing else.
    pub(crate) continued: Option<Vec<u8>>,
}

impl Condition {
    /// As procmail reads it, before it knows what kind of condition it is.
    pub(crate) fn written(&self) -> &[u8] {
        self.continued.as_deref().unwrap_or(&self.text)
    }
}

/// What a recipe does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `{`: the items up to the one that closes it.
    Block {
        /// The number of the closing item, or one behind the last item.
        close: usize,
    },
    /// `| command`, `VAR=| command`.
    Pipe {
        /// The variable that gets the output.
        capture: Option<Capture>,
        /// Where the command stands.
        span: Span,
        /// The command as it was written.
        command: Vec<u8>,
    },
    /// `! address…`, `VAR=! address…`.
    Forward {
        /// The variable that gets the output.
        capture: Option<Capture>,
        /// The addresses, or rather, the arguments of the mailer.
        arguments: Text,
    },
    /// One folder or several.
    Folders(Text),
    /// Another recipe comes where the action should be.
    Missing,
    /// The file ends where the action should be.
    Incomplete,
}

/// The variable of `VAR=|`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Its name, as it was written.
    pub name: Vec<u8>,
    /// Whether a blank stands before the `=`.
    pub blank_before_equals: bool,
}

impl Capture {
    /// The variable that procmail sets: with a blank before the `=`, 3.22 takes the name without its last byte.
    pub fn variable(&self) -> &[u8] {
        match self.name.split_last() {
            Some((_, rest)) if self.blank_before_equals => rest,
            _ => &self.name,
        }
    }
}

impl Recipe {
    /// Where its action stands: of a block, its `{`; the end if there is none.
    pub fn action_span(&self) -> Span {
        let end = self.span.end;
        match &self.action {
            Action::Block { .. } => Span { start: end.saturating_sub(1), end },
            Action::Pipe { span, .. } => *span,
            Action::Forward { arguments: text, .. } | Action::Folders(text) => text.span,
            Action::Missing | Action::Incomplete => Span { start: end, end },
        }
    }
}

impl Rc {
    /// Parses an rc file, in time linear in its length.
    pub fn parse(source: Vec<u8>) -> Self {
        let (items, ambiguous) = parse::items(&source, 0, 0);
        Self { source: source.into(), items, ambiguous }
    }

    /// What a block has if it is skipped, and where it ends, if that could be otherwise than if it were evaluated: procmail
    /// reads a double quote within backquotes differently then. `start` is where the block starts.
    pub(crate) fn skipped_block(&self, start: usize) -> Option<(Vec<Item>, usize)> {
        self.ambiguous.then(|| parse::skipped_block(&self.source, start))
    }

    /// The same file read from `start` on, with so many blocks open there.
    pub(crate) fn from(&self, start: usize, open: usize) -> Self {
        let (items, ambiguous) = parse::items(&self.source, start, open);
        Self { source: self.source.clone(), items, ambiguous }
    }

    /// Whether some of it would be read otherwise if it were skipped rather than evaluated.
    pub(crate) fn is_ambiguous(&self) -> bool {
        self.ambiguous
    }

    /// Its items, in the order of the file.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The bytes it was parsed from.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// The bytes of a span.
    pub fn text(&self, span: Span) -> &[u8] {
        &self.source[span.start..span.end]
    }

    /// Line and column of a byte, both from 1.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let before = &self.source[..offset.min(self.source.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        (memchr::memchr_iter(b'\n', before).count() + 1, before.len() - line_start + 1)
    }
}

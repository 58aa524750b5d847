//! What an evaluator tells of its way through the rc files, for those who want to know why.
//!
//! With [`Setup::traces`](super::Setup::traces) set, an [`Effect::Trace`](crate::effect::Effect::Trace) comes for each of
//! these, in order with the other effects. [`crate::explain`] makes a report of them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::mail::{Area, Mail};
use crate::shown::{Length, Text};
use crate::syntax::{Rc, Span};

/// Something on the way. Spans are of the rc file opened last that is not at its end.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Trace {
    /// An rc file is read from here on.
    Opened {
        /// Its path.
        path: Vec<u8>,
        /// What stands in it.
        rc: Arc<Rc>,
        /// How it came to be read.
        how: Opened,
    },
    /// The rc file opened last is at its end.
    Closed,
    /// An assignment, or the name of a variable to remove.
    Assignment(Span),
    /// A variable has this value from here on; none if it is removed.
    Variable {
        /// Its name.
        name: Vec<u8>,
        /// Its value.
        value: Option<Vec<u8>>,
    },
    /// A recipe.
    Recipe(Box<Reached>),
    /// A condition of the recipe is tested.
    Condition(Box<Tested>),
    /// It is known whether the recipe applies.
    Decided {
        /// Whether it does.
        matches: bool,
        /// What its conditions scored, as `$=` has it; nothing if none had a weight.
        score: Option<i64>,
    },
    /// What stands in the block of the recipe comes next.
    BlockEntered,
    /// What stands in the block of the recipe is passed over.
    BlockSkipped,
    /// The `}` of the block entered last.
    BlockLeft(Span),
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened { path, rc, how } => f
                .debug_struct("Opened")
                .field("path", &Text(path))
                .field("rc", &Length(rc.source()))
                .field("how", how)
                .finish(),
            Self::Closed => f.write_str("Closed"),
            Self::Assignment(span) => f.debug_tuple("Assignment").field(span).finish(),
            // A value can hold the mail.
            Self::Variable { name, value } => f
                .debug_struct("Variable")
                .field("name", &Text(name))
                .field("value", &value.as_deref().map(Length))
                .finish(),
            Self::Recipe(recipe) => f.debug_tuple("Recipe").field(recipe).finish(),
            Self::Condition(tested) => f.debug_tuple("Condition").field(tested).finish(),
            Self::Decided { matches, score } => {
                f.debug_struct("Decided").field("matches", matches).field("score", score).finish()
            }
            Self::BlockEntered => f.write_str("BlockEntered"),
            Self::BlockSkipped => f.write_str("BlockSkipped"),
            Self::BlockLeft(span) => f.debug_tuple("BlockLeft").field(span).finish(),
        }
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found")
            .field("range", &self.range)
            .field("marked", &self.marked)
            .field("text", &Length(&self.text))
            .field("place", &self.place)
            .finish()
    }
}

/// How an rc file came to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opened {
    /// It is one of those that the evaluator was set up with.
    First,
    /// By `INCLUDERC`: the one before goes on behind it.
    Included,
    /// By `SWITCHRC`: the one before is over.
    Switched,
}

/// A recipe that is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Where it stands.
    pub span: Span,
    /// Where its action stands.
    pub action: Span,
    /// What stands behind the colon, expanded.
    pub head: Vec<u8>,
    /// Whether it works on a copy (`c`).
    pub copies: bool,
    /// What each of its flags `A a E e` says. It is looked at only if all hold.
    pub chain: Vec<Chained>,
}

/// A flag that makes a recipe depend on one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chained {
    /// The flag.
    pub flag: ChainFlag,
    /// Whether it lets the recipe be looked at.
    pub holds: bool,
}

/// Flags that make a recipe depend on those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChainFlag {
    /// `A`: the last recipe without `A` and `a` matched.
    And,
    /// `a`: that, and the last action succeeded.
    AndSucceeded,
    /// `E`: the preceding recipe, or the chain of `E` that it ends, did not match.
    Else,
    /// `e`: the preceding recipe matched, and its action failed.
    OnError,
}

impl ChainFlag {
    /// Its letter.
    pub fn letter(self) -> char {
        match self {
            Self::And => 'A',
            Self::AndSucceeded => 'a',
            Self::Else => 'E',
            Self::OnError => 'e',
        }
    }
}

/// A condition that is tested.
#[derive(Debug, Clone, PartialEq)]
pub struct Tested {
    /// Where it stands.
    pub span: Span,
    /// Whether it is turned round by `!`.
    pub negated: bool,
    /// `w^x`: what the first match counts, and by how much each further one counts more.
    pub weight: Option<(f64, f64)>,
    /// What is looked at.
    pub subject: Subject,
    /// What is tested.
    pub test: Test,
    /// What came of it.
    pub verdict: Verdict,
}

/// What a condition looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subject {
    /// A part of the mail.
    Area(Area),
    /// The value of a variable.
    Variable(Vec<u8>),
}

/// What a condition tests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Test {
    /// A regular expression.
    Expression {
        /// As it was written, its variables expanded.
        pattern: Vec<u8>,
        /// Where it matched first.
        found: Option<Found>,
        /// How often it matched; at most once if there is no weight.
        matches: u32,
    },
    /// A size.
    Size {
        /// Whether it is to be less than the limit, or more.
        less: bool,
        /// The limit.
        limit: i64,
        /// The size that was found.
        size: i64,
    },
    /// A program.
    Program {
        /// What was run.
        command: Vec<u8>,
        /// Its exit code, or the negative number of the signal that ended it.
        exit: i32,
    },
    /// It was not tested: what stands there, as far as it is expanded.
    None(Vec<u8>),
}

/// Where an expression matched.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// Which bytes of what was searched: the shortest match that ends first, and what more of it `MATCH` gets.
    pub range: Range<usize>,
    /// Which bytes `MATCH` gets.
    pub marked: Option<Range<usize>>,
    /// What was matched, its first 1024 bytes at most.
    pub text: Vec<u8>,
    /// Where in the mail the match starts, if it is in the mail.
    pub place: Option<MailPlace>,
}

/// A place in a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailPlace {
    /// The byte, from 0.
    pub offset: usize,
    /// The line, from 1.
    pub line: usize,
    /// The field it is in, if it is in one; `From ` is the line that is no field.
    pub field: Option<Vec<u8>>,
}

impl MailPlace {
    pub(super) fn new(mail: &Mail, offset: usize) -> Self {
        let bytes = mail.bytes();
        let offset = offset.min(bytes.len());
        let header = mail.area(Area::Header);
        Self {
            offset,
            line: memchr::memchr_iter(b'\n', &bytes[..offset]).count() + 1,
            field: (offset < header.len()).then(|| field(header, offset)).flatten(),
        }
    }
}

/// The name of the field that the byte at `offset` belongs to.
fn field(header: &[u8], offset: usize) -> Option<Vec<u8>> {
    let mut start = offset;
    loop {
        start = memchr::memrchr(b'\n', &header[..start]).map_or(0, |at| at + 1);
        if start == 0 || !matches!(header.get(start), Some(b' ' | b'\t')) {
            break;
        }
        start -= 1;
    }
    let line = header[start..].split(|&byte| byte == b'\n').next().unwrap_or_default();
    if line.starts_with(b"From ") {
        return Some(b"From ".to_vec());
    }
    let name = &line[..memchr::memchr(b':', line)?];
    name.iter().all(u8::is_ascii_graphic).then(|| name.to_vec())
}

/// What came of a condition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not hold, so the recipe does not apply.
    Fails,
    /// It has a weight.
    Scores {
        /// What it added.
        added: f64,
        /// What it came to.
        total: f64,
    },
    /// It was not tested, since the score has reached its limit.
    Unneeded,
    /// It was longer than `LINEBUF` when expanded, so the recipe does not apply.
    TooLong,
}

/// How much of what matched is told.
pub(super) const MOST_TEXT: usize = 1024;

//! Writing items in their layout.

use crate::syntax::{Action, Capture, Condition, Item, Part, Rc, Recipe, RecipeLine, Span, Text};

/// How deep the indentation goes; what is nested deeper stands as far right as this.
const DEEPEST: usize = 20;

/// Writes a whole file.
pub(super) fn file(rc: &Rc) -> Vec<u8> {
    let mut writer = Writer {
        rc,
        out: Vec::with_capacity(rc.source().len() + rc.source().len() / 8),
        depth: 0,
        end: 0,
        before: Before::Start,
        open: false,
    };
    for (number, item) in rc.items().iter().enumerate() {
        writer.item(number, item);
    }
    writer.finish();
    writer.out
}

/// What was written last, which decides what comes between it and the next item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing.
    Start,
    /// The `{` of a block.
    Open,
    /// A recipe or the end of a block.
    Recipe,
    /// Anything else.
    Line,
    /// What procmail skips.
    Skipped,
}

struct Writer<'a> {
    rc: &'a Rc,
    out: Vec<u8>,
    depth: usize,
    /// The end of the item written last, in the source.
    end: usize,
    before: Before,
    /// Whether the text written last takes the end of the file with it: a quotation that is never closed.
    open: bool,
}

fn trimmed(text: &[u8]) -> &[u8] {
    let mut text = text;
    while let [rest @ .., b' ' | b'\t'] = text {
        // A blank behind a backslash is quoted, and without it the backslash would continue the line.
        if rest.last() == Some(&b'\\') {
            break;
        }
        text = rest;
    }
    text
}

impl<'a> Writer<'a> {
    fn source(&self) -> &'a [u8] {
        self.rc.source()
    }

    fn item(&mut self, number: usize, item: &Item) {
        match item {
            Item::Comment(span) => self.comment(*span),
            Item::Assignment(assignment) => {
                self.separate(assignment.span.start, Before::Line);
                self.out.extend_from_slice(&assignment.name);
                self.out.push(b'=');
                self.verbatim(assignment.value.span);
                self.end = assignment.value.span.end;
            }
            Item::Removal { span, name } => {
                self.separate(span.start, Before::Line);
                self.out.extend_from_slice(name);
                self.end = span.end;
            }
            Item::Recipe(recipe) => self.recipe(number, recipe),
            Item::Close(span) => self.close(*span),
            Item::UnexpectedClose(span) => {
                self.separate(span.start, Before::Line);
                self.out.push(b'}');
                self.end = span.end;
            }
            Item::MissingClose(span) => self.end = span.end,
            Item::Skipped(span) => {
                self.separate(span.start, Before::Skipped);
                self.out.extend_from_slice(self.rc.text(*span));
                self.end = span.end;
            }
        }
    }

    fn verbatim(&mut self, span: Span) {
        let text = self.rc.text(span);
        self.open = span.end == self.source().len() && text.ends_with(b"\n");
        self.out.extend_from_slice(text);
    }

    /// Writes a text but for the blanks around it.
    fn words(&mut self, text: &Text) {
        let written = self.rc.text(text.span);
        let start = text.span.start + written.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        // Otherwise a blank at the end is part of the last word.
        let ends_blank = text.parts.last() == Some(&Part::Break);
        let end = text.span.start + if ends_blank { trimmed(written).len() } else { written.len() };
        self.verbatim(Span { start, end: end.max(start) });
    }

    /// Writes what comes between the item before and the one that starts at `start`.
    fn separate(&mut self, start: usize, next: Before) {
        let gap = &self.source()[self.end..start];
        let before = std::mem::replace(&mut self.before, next);
        let lines = memchr::memchr_iter(b'\n', gap).count();
        let skips = before == Before::Skipped || next == Before::Skipped;
        if skips && lines == 0 && before != Before::Start {
            self.out.extend_from_slice(gap);
            return;
        }
        match before {
            Before::Start => {}
            Before::Open => self.out.push(b'\n'),
            // A text that nothing ends may have its line feed in it.
            Before::Recipe if self.out.ends_with(b"\n") => self.out.push(b'\n'),
            Before::Recipe => self.out.extend_from_slice(b"\n\n"),
            Before::Line | Before::Skipped => {
                self.out.extend_from_slice(if lines > 1 { b"\n\n" } else { b"\n" });
            }
        }
        self.indent();
    }

    fn indent(&mut self) {
        let blanks = 2 * self.depth.min(DEEPEST);
        self.out.resize(self.out.len() + blanks, b' ');
    }

    fn comment(&mut self, span: Span) {
        let gap = &self.source()[self.end..span.start];
        if self.before != Before::Start && !gap.contains(&b'\n') {
            // Blanks behind a continued line belong to the value before the comment, and are there already.
            let apart = self.before != Before::Skipped && !gap.is_empty();
            self.out.extend_from_slice(if apart { b"  " } else { gap });
        } else {
            self.separate(span.start, Before::Line);
        }
        self.out.extend_from_slice(trimmed(self.rc.text(span)));
        self.end = span.end;
    }

    fn close(&mut self, span: Span) {
        self.depth = self.depth.saturating_sub(1);
        let gap = &self.source()[self.end..span.start];
        match self.before {
            Before::Skipped if !gap.contains(&b'\n') => self.out.extend_from_slice(gap),
            Before::Open if self.out.last() == Some(&b'{') => self.out.push(b' '),
            _ => {
                self.out.push(b'\n');
                self.indent();
            }
        }
        self.out.push(b'}');
        self.before = Before::Recipe;
        self.end = span.end;
    }

    fn recipe(&mut self, number: usize, recipe: &Recipe) {
        self.separate(recipe.span.start, Before::Recipe);
        self.line(recipe);
        let mut comments = recipe.comments.iter().peekable();
        let end = self.source().len();
        // Those that are missing at the end of the file are missing then, too.
        for condition in recipe.conditions.iter().filter(|condition| condition.span.start < end) {
            while let Some(comment) = comments.next_if(|comment| comment.start < condition.span.start) {
                self.inner_comment(*comment);
            }
            self.condition(condition);
        }
        for comment in comments {
            self.inner_comment(*comment);
        }
        self.action(number, recipe);
    }

    fn inner_comment(&mut self, comment: Span) {
        self.next_line();
        self.out.extend_from_slice(trimmed(self.rc.text(comment)));
    }

    fn next_line(&mut self) {
        self.out.push(b'\n');
        self.indent();
    }

    fn line(&mut self, recipe: &Recipe) {
        let line = RecipeLine::read(self.source(), recipe);
        self.out.push(b':');
        if line.opaque || line.rest.is_some() {
            self.words(&recipe.head);
            return;
        }
        if let Some(number) = line.number {
            self.out.extend_from_slice(self.rc.text(number));
        }
        if !line.flags.is_empty() {
            if line.number.is_some() {
                self.out.push(b' ');
            }
            self.out.extend(line.flags.iter().map(|(flag, _)| *flag));
        }
        if let Some(lock) = &line.lock {
            self.out.push(b':');
            if let Some(name) = &lock.name {
                self.out.push(b' ');
                self.verbatim(name.span);
            }
        }
        if let Some(comment) = line.comment {
            self.out.extend_from_slice(b"  ");
            self.out.extend_from_slice(trimmed(self.rc.text(comment)));
        }
    }

    fn condition(&mut self, condition: &Condition) {
        self.next_line();
        self.out.push(b'*');
        let written = self.rc.text(condition.span);
        let written = written.strip_prefix(b"*").unwrap_or(written);
        let mut lines = written.split(|&byte| byte == b'\n').peekable();
        let mut first = true;
        // A command, which a variable may bring, goes to the shell with its blanks.
        let commands = written.iter().any(|byte| matches!(byte, b'?' | b'$'));
        while let Some(line) = lines.next() {
            let blanks = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
            let (indentation, line) = line.split_at(blanks);
            let line = if lines.peek().is_none() { trimmed(line) } else { line };
            if first {
                if !line.is_empty() {
                    self.out.push(b' ');
                }
            } else if commands {
                self.out.push(b'\n');
                self.out.extend_from_slice(indentation);
            } else {
                self.next_line();
                self.out.extend_from_slice(b"  ");
            }
            first = false;
            self.out.extend_from_slice(line);
        }
    }

    fn action(&mut self, number: usize, recipe: &Recipe) {
        self.end = recipe.span.end;
        match &recipe.action {
            Action::Block { .. } => {
                self.next_line();
                self.out.push(b'{');
                self.depth += 1;
                self.before = Before::Open;
            }
            Action::Folders(text) => {
                self.next_line();
                self.words(text);
            }
            Action::Forward { capture, arguments } => {
                self.next_line();
                self.capture(capture.as_ref());
                self.out.push(b'!');
                if !arguments.parts.is_empty() {
                    self.out.push(b' ');
                }
                self.words(arguments);
            }
            Action::Pipe { capture, span, .. } => {
                self.next_line();
                self.capture(capture.as_ref());
                self.out.push(b'|');
                self.out.extend_from_slice(self.rc.text(*span));
            }
            // An empty line is what makes an action missing; it comes with the next recipe, for there is one.
            Action::Missing => debug_assert!(number + 1 < self.rc.items().len()),
            Action::Incomplete => {}
        }
    }

    fn capture(&mut self, capture: Option<&Capture>) {
        let Some(capture) = capture else { return };
        self.out.extend_from_slice(&capture.name);
        if capture.blank_before_equals {
            self.out.push(b' ');
        }
        self.out.push(b'=');
    }

    /// Keeps an empty line at the end behind a recipe with a lock. If the file ended with its action, procmail would still
    /// hold the lock while it delivers to the default.
    fn keep_lock_short(&mut self) {
        let Some(Item::Recipe(recipe)) = self.rc.items().last() else { return };
        let locks = self.rc.text(recipe.head.span).contains(&b':');
        let rest = self.source().get(self.end..).unwrap_or_default();
        if locks && !self.open && memchr::memchr_iter(b'\n', rest).nth(1).is_some() {
            self.out.push(b'\n');
        }
    }

    fn finish(&mut self) {
        self.keep_lock_short();
        // Behind a backslash a newline has a meaning of its own.
        let needed = self.out.last() != Some(&b'\\') || self.source().ends_with(b"\n");
        if !self.out.is_empty() && !self.open && needed {
            self.out.push(b'\n');
        }
    }
}

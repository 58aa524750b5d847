//! Texts: the variables, quotes and paths in them.

use super::Checker;
use super::code::Code;
use super::folder::words_span;
use super::report::quoted;
use super::traced::variable;
use super::variables::is_preset;
use crate::syntax::{Part, Span, Text};

/// Of how many variables something is told before less is looked at.
const SLIPS: usize = 200;
/// Texts that are longer are not searched for what the commands in them set.
const LONGEST: usize = 4096;

/// What a `#` behind a blank is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Plain,
    /// The start of a comment.
    Comment,
}

impl Checker<'_> {
    /// What can be wrong with any text.
    pub(super) fn text(&mut self, text: &Text) {
        self.text_in(text, text.span);
    }

    /// The same for words up to the end of a line, whose span has a comment in it.
    pub(super) fn words(&mut self, text: &Text) {
        self.text_in(text, words_span(self.rc, text));
    }

    fn text_in(&mut self, text: &Text, span: Span) {
        self.used_in(span);
        self.tildes(span);
        self.quotes(text);
    }

    /// A variable that is used where an empty one is no use.
    pub(super) fn used(&mut self, name: &[u8], span: Span) {
        if name == b"MAILDIR" {
            self.maildir(span);
        }
        if name.is_empty() || is_preset(name) {
            return;
        }
        match self.variables.get(name) {
            Some(set) if set.first.start < span.start => {}
            Some(set) => {
                let first = set.first;
                if self.told.insert(name.to_vec()) && !self.variables.includes {
                    self.report
                        .add(Code::UndefinedVariable, span, format!("`{}` is not set yet", quoted(name)))
                        .related(first, "it is set here");
                }
            }
            None => {
                if self.slip(name, span) || self.variables.includes || !self.told.insert(name.to_vec()) {
                    return;
                }
                self.report
                    .add(
                        Code::UndefinedVariable,
                        span,
                        format!("nothing in this file sets `{}`", quoted(name)),
                    )
                    .help("it is empty unless whoever calls procmail or includes this file sets it");
            }
        }
    }

    /// Tells of a name that is almost one that is known.
    pub(super) fn slip(&mut self, name: &[u8], span: Span) -> bool {
        if self.variables.is_known(name) || !self.spelt.insert(name.to_vec()) {
            return false;
        }
        let Some(meant) = self.variables.meant(name) else { return false };
        // Who slips does not do so over and over.
        let uses = memchr::memmem::find_iter(self.report.source, name).take(2).count();
        if uses > 1 && !is_preset(meant.as_bytes()) {
            return false;
        }
        if self.told.insert(name.to_vec()) {
            self.report
                .add(
                    Code::MisspeltVariable,
                    span,
                    format!("nothing sets `{}`; is `{meant}` meant?", quoted(name)),
                )
                .help(format!("write `{meant}`"));
        }
        true
    }

    /// Tells of the plain variables in a text of the source.
    pub(super) fn used_in(&mut self, span: Span) {
        let source = self.report.source;
        let text = &source[span.start..span.end];
        let mut at = 0;
        while let Some(offset) = memchr::memchr3(b'$', b'\\', b'\'', &text[at..]) {
            at += offset + 1;
            match text[at - 1] {
                b'\\' => at = (at + 1).min(text.len()),
                // In double quotes it is not a quote; then this skips too much, which does no harm.
                b'\'' => at = memchr::memchr(b'\'', &text[at..]).map_or(text.len(), |close| at + close + 1),
                _ => {
                    let (name, used) = variable(&text[at..]);
                    let end = at + used;
                    if self.told.len() < SLIPS && set_by_command(text, &name) {
                        at = end;
                        continue;
                    }
                    self.used(&name, Span { start: span.start + at - 1, end: span.start + end });
                    at = end;
                }
            }
        }
    }

    /// Words that start with a `~`.
    pub(super) fn tildes(&mut self, span: Span) {
        let text = self.rc.text(span);
        for at in memchr::memchr_iter(b'~', text) {
            let before = at.checked_sub(1).map(|before| text[before]);
            let starts = matches!(before, None | Some(b' ' | b'\t' | b'"' | b'='));
            // A home directory in the middle of a sentence is no path.
            let blank = matches!(before, Some(b' ' | b'\t'));
            let prose = blank && text[..at].iter().filter(|byte| **byte == b' ').take(3).count() == 3;
            let home = matches!(text.get(at + 1), Some(b'/') | None | Some(b' ' | b'\t' | b'\n' | b'"'));
            if !starts || prose {
                continue;
            }
            let span = Span { start: span.start + at, end: span.start + at + 1 };
            let entry = self.report.add(Code::Tilde, span, "procmail does not expand `~`");
            if home {
                entry.fix("write `$HOME`", span, "$HOME");
            } else {
                entry.help("write the directory");
            }
            return;
        }
    }

    fn quotes(&mut self, text: &Text) {
        let source = self.rc.source();
        let mut from = text.span.start;
        for part in &text.parts {
            if let Part::BadSubstitution(name) = part {
                let needle = [b"${", name.as_slice()].concat();
                let found = memchr::memmem::find(&source[from..text.span.end], &needle);
                let start = found.map_or(text.span.start, |at| from + at);
                from = found.map_or(text.span.end, |_| start + 1);
                let end = (start + needle.len() + 1).min(source.len());
                let shown = if name.is_empty() { &source[start..end] } else { name.as_slice() };
                let message = format!("bad substitution of `{}`", quoted(shown));
                self.report
                    .add(Code::BadSubstitution, Span { start, end }, message)
                    .help("procmail knows `${X-y}`, `${X:-y}`, `${X+y}` and `${X:+y}`");
            }
        }
        if text.parts.last() == Some(&Part::UnexpectedEnd) {
            let start = text.span.start + open_quote(self.rc.text(text.span), Hash::Plain).unwrap_or(0);
            self.report
                .add(
                    Code::UnterminatedQuote,
                    Span { start, end: start + 1 },
                    "this quote is not closed: the rest of the file is taken for quoted text",
                )
                .help("close it, or put a backslash before it");
        } else if let Some(Part::Command { .. }) = text.parts.last()
            && text.span.end == source.len()
            && memchr::memchr_iter(b'`', self.rc.text(text.span)).count() % 2 == 1
        {
            let start = memchr::memrchr(b'`', self.rc.text(text.span)).map_or(0, |at| text.span.start + at);
            self.report
                .add(
                    Code::UnterminatedQuote,
                    Span { start, end: start + 1 },
                    "this backquote is not closed: the rest of the file is taken for a command",
                )
                .help("close it, or put a backslash before it");
        }
        self.longer_than_linebuf(text.span, text.span.end - text.span.start);
    }
}

/// Whether a command in backquotes sets a variable of the shell: `for NAME in`, `read NAME`, `NAME=`.
fn set_by_command(text: &[u8], name: &[u8]) -> bool {
    if name.is_empty() || text.len() > LONGEST || !text.contains(&b'`') {
        return false;
    }
    let boundary = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
    memchr::memmem::find_iter(text, name).any(|at| {
        let before = &text[..at];
        let behind = &text[at + name.len()..];
        let named = before.ends_with(b"for ") || before.ends_with(b"read ");
        let assigned = behind.starts_with(b"=") && before.last().is_some_and(|byte| b"`;( \t".contains(byte));
        boundary(behind.first()) && (named || assigned)
    })
}

/// Where a quote opens that is not closed.
pub(super) fn open_quote(text: &[u8], hash: Hash) -> Option<usize> {
    let mut quote = None;
    let mut at = 0;
    while at < text.len() {
        match (text[at], quote) {
            (b'\\', None | Some((b'"', _))) => at += 1,
            (b'#', None) if hash == Hash::Comment && at > 0 && text[at - 1].is_ascii_whitespace() => {
                // A comment goes to the end of its line.
                at += memchr::memchr(b'\n', &text[at..]).unwrap_or(text.len());
            }
            (byte @ (b'"' | b'\''), None) => quote = Some((byte, at)),
            (byte, Some((open, _))) if byte == open => quote = None,
            _ => {}
        }
        at += 1;
    }
    quote.map(|(_, at)| at)
}

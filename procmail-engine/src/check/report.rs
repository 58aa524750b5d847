//! The diagnostics as they are found, and the lines of the file.

use super::code::Code;
use super::diagnostic::{Applicability, Diagnostic, Edit, Place, Related, Severity, Suggestion};
use crate::shown::shown;
use crate::syntax::Span;

/// Where the lines of a file start.
#[derive(Debug)]
pub(super) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    pub(super) fn of(source: &[u8]) -> Self {
        let starts = std::iter::once(0).chain(memchr::memchr_iter(b'\n', source).map(|at| at + 1)).collect();
        Self { starts }
    }

    /// The number of the line of a byte, from 0.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|&start| start <= offset).saturating_sub(1)
    }

    pub(super) fn start(&self, line: usize) -> usize {
        self.starts.get(line).copied().unwrap_or(0)
    }

    pub(super) fn place(&self, offset: usize) -> Place {
        let line = self.line(offset);
        Place { line: line + 1, column: offset - self.start(line) + 1 }
    }
}

/// What has been found so far.
pub(super) struct Report<'a> {
    pub(super) source: &'a [u8],
    pub(super) lines: Lines,
    found: Vec<Diagnostic>,
}

impl<'a> Report<'a> {
    pub(super) fn new(source: &'a [u8]) -> Self {
        Self { source, lines: Lines::of(source), found: Vec::new() }
    }

    /// Adds a diagnostic, which can be told more.
    pub(super) fn add(&mut self, code: Code, span: Span, message: impl Into<String>) -> Entry<'_> {
        self.found.push(Diagnostic {
            code,
            severity: code.severity(),
            span,
            place: self.lines.place(span.start),
            message: message.into(),
            related: None,
            suggestion: None,
        });
        Entry { lines: &self.lines, diagnostic: self.found.last_mut().expect("one was added") }
    }

    /// All, sorted by place.
    pub(super) fn finish(self) -> Vec<Diagnostic> {
        let mut found = self.found;
        found.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end, diagnostic.code));
        found.dedup();
        found
    }

    /// A span as text for a message, cut to what can be read.
    pub(super) fn quote(&self, span: Span) -> String {
        quoted(&self.source[span.start..span.end])
    }
}

/// Bytes as text for a message: one line, cut to what can be read.
pub(super) fn quoted(bytes: &[u8]) -> String {
    shown(bytes.trim_ascii(), 60)
}

/// A diagnostic that was added, to be told more.
pub(super) struct Entry<'r> {
    lines: &'r Lines,
    diagnostic: &'r mut Diagnostic,
}

impl Entry<'_> {
    pub(super) fn severity(self, severity: Severity) -> Self {
        self.diagnostic.severity = severity;
        self
    }

    pub(super) fn related(self, span: Span, message: impl Into<String>) -> Self {
        let place = self.lines.place(span.start);
        self.diagnostic.related = Some(Related { span, place, message: message.into() });
        self
    }

    /// Says what to do, without saying how.
    pub(super) fn help(self, message: impl Into<String>) -> Self {
        self.suggest(message, Vec::new(), Applicability::Manual)
    }

    /// An edit that does what was surely meant.
    pub(super) fn fix(self, message: impl Into<String>, span: Span, replacement: impl Into<String>) -> Self {
        let edit = Edit { span, replacement: replacement.into() };
        self.suggest(message, vec![edit], Applicability::Automatic)
    }

    /// An edit that may do what was meant.
    pub(super) fn try_edit(
        self,
        message: impl Into<String>,
        span: Span,
        replacement: impl Into<String>,
    ) -> Self {
        let edit = Edit { span, replacement: replacement.into() };
        self.suggest(message, vec![edit], Applicability::Manual)
    }

    pub(super) fn suggest(
        self,
        message: impl Into<String>,
        edits: Vec<Edit>,
        applicability: Applicability,
    ) -> Self {
        self.diagnostic.suggestion = Some(Suggestion { message: message.into(), edits, applicability });
        self
    }
}

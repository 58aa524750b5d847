//! What a check finds.

use std::fmt;

use super::code::Code;
use crate::syntax::Span;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It works, and could be better.
    Hint,
    /// It is probably not what was meant, or loses mail in rare cases.
    Warning,
    /// Procmail complains of it, or does something else than it says.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hint => "hint",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// A place in a file: line and column, both from 1. Columns count bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// Something that is wrong, or that could be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// What kind it is.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// The bytes it is about.
    pub span: Span,
    /// Where they start.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// Another place that has to do with it.
    pub related: Option<Related>,
    /// What to do about it.
    pub suggestion: Option<Suggestion>,
}

/// Another place that a diagnostic speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// The bytes.
    pub span: Span,
    /// Where they start.
    pub place: Place,
    /// What they have to do with it.
    pub message: String,
}

/// What to do about a diagnostic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// What to do.
    pub message: String,
    /// How the file would have to change, if that can be said. They do not overlap.
    pub edits: Vec<Edit>,
    /// Whether the edits can be made without a look at them.
    pub applicability: Applicability,
}

/// A change to the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; an empty span is where something is put in.
    pub span: Span,
    /// What comes there.
    pub replacement: String,
}

/// Whether edits can be made without a look at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Applicability {
    /// They do what was surely meant.
    Automatic,
    /// They may do what was meant.
    Manual,
}

//! Why a frame could not be read.

use crate::types::Tag;

/// A command or response that breaks the grammar.
///
/// What was found there is not told: it may be part of a password or of a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at byte {at}")]
pub struct SyntaxError {
    /// The tag, where one could be read: what a server answers BAD to (RFC 9051 §7.1.3).
    pub tag: Option<Tag>,
    /// Where in the frame, in bytes from its start.
    pub at: usize,
    /// What the grammar has there.
    pub expected: &'static str,
}

/// Why a frame is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// A command that is not known here, though it may be one elsewhere.
    #[error("expected a command that is known here")]
    Unknown {
        /// Its tag.
        tag: Tag,
    },
    /// It breaks the grammar.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
}

impl CommandError {
    /// The tag, where one could be read: what a server answers BAD to (RFC 9051 §7.1.3).
    pub fn tag(&self) -> Option<&Tag> {
        match self {
            CommandError::Unknown { tag } => Some(tag),
            CommandError::Syntax(error) => error.tag.as_ref(),
        }
    }
}

/// A [`SyntaxError`] on its way up to where the tag is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) expected: &'static str,
}

impl Fault {
    pub(crate) fn with_tag(self, tag: Option<Tag>) -> SyntaxError {
        SyntaxError { tag, at: self.at, expected: self.expected }
    }
}

/// What parsers return.
pub(crate) type Parse<T> = Result<T, Fault>;

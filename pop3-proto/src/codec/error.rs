//! Why a line could not be read.

use crate::types::{Refusal, Verb};

/// A command line that is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (in {})", verb.map_or("the verb", Verb::as_str))]
pub struct CommandError {
    /// The verb, where it was known.
    pub verb: Option<Verb>,
    /// What is wrong.
    pub kind: CommandErrorKind,
}

/// What is wrong with a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandErrorKind {
    /// No verb that is known here.
    #[error("expected a POP3 command")]
    UnknownVerb,
    /// A line of another protocol: an HTTP request or a header field.
    #[error("expected a POP3 command, found another protocol")]
    OtherProtocol,
    /// An argument is missing.
    #[error("expected an argument")]
    MissingArgument,
    /// An argument where none may stand.
    #[error("expected no further argument at byte {0}")]
    UnexpectedArgument(usize),
    /// The argument is wrong.
    #[error("expected {expected} at byte {at}")]
    Argument {
        /// What was expected.
        expected: &'static str,
        /// Where, in bytes from the start of the line.
        at: usize,
    },
    /// The argument is a number that no message can have: 0, or more than 4,294,967,295.
    #[error("expected the number of a message at byte {0}")]
    NoSuchMessage(usize),
}

impl CommandError {
    /// The reply that tells the client.
    pub fn refusal(&self) -> Refusal {
        use CommandErrorKind::*;
        match self.kind {
            UnknownVerb => Refusal::from_static(None, "unknown command"),
            OtherProtocol => Refusal::from_static(None, "this is a POP3 server, closing connection"),
            MissingArgument => Refusal::from_static(None, "argument missing"),
            UnexpectedArgument(_) => Refusal::from_static(None, "too many arguments"),
            Argument { .. } => Refusal::from_static(None, "bad argument"),
            NoSuchMessage(_) => Refusal::NO_SUCH_MESSAGE,
        }
    }
}

/// A line of a server that is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct ReplyError {
    /// What was expected.
    pub expected: &'static str,
}

impl ReplyError {
    pub(super) const fn expected(expected: &'static str) -> Self {
        Self { expected }
    }
}

//! Why a command line could not be read, and the reply that says so.

use crate::types::{AddressError, Refusal, Verb};

/// A command line that is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
    #[error("expected an SMTP command")]
    UnknownVerb,
    /// A line of another protocol: an HTTP request or a header field.
    #[error("expected an SMTP command, found another protocol")]
    OtherProtocol,
    /// The line holds a control character, or bytes that are not UTF-8 outside of an address, at this byte.
    #[error("expected printable text at byte {0}")]
    Control(usize),
    /// `FROM:` or `TO:` is missing, or a space stands before the path.
    #[error("expected '{0}' right behind the verb")]
    Keyword(&'static str),
    /// The reverse-path or forward-path is wrong.
    #[error("bad address: {0}")]
    Address(AddressError),
    /// An argument is missing.
    #[error("expected an argument")]
    MissingArgument,
    /// The argument is wrong.
    #[error("expected {expected} at byte {at}")]
    Argument {
        /// What was expected.
        expected: &'static str,
        /// Where, in bytes from the start of the line.
        at: usize,
    },
    /// An argument where none may stand.
    #[error("expected no argument")]
    UnexpectedArgument,
    /// A parameter's value is wrong, or it has one where none may be, or it lacks one.
    #[error("bad value of parameter {keyword} at byte {at}")]
    Parameter {
        /// The keyword.
        keyword: &'static str,
        /// Where the parameter begins, in bytes from the start of the line.
        at: usize,
    },
    /// A parameter stands twice.
    #[error("parameter given twice at byte {0}")]
    DuplicateParameter(usize),
    /// Not of the form `keyword[=value]`.
    #[error("expected a parameter of the form KEYWORD=value at byte {0}")]
    ParameterSyntax(usize),
}

impl CommandError {
    /// The reply that tells the client.
    pub fn refusal(&self) -> Refusal {
        use CommandErrorKind::*;
        const SENDER: Refusal = Refusal::from_static(501, (5, 1, 7), "bad sender address syntax");
        const RECIPIENT: Refusal = Refusal::from_static(501, (5, 1, 3), "bad recipient address syntax");
        match self.kind {
            UnknownVerb => Refusal::from_static(500, (5, 5, 2), "command not recognized"),
            OtherProtocol => {
                Refusal::from_static(521, (5, 7, 0), "this is an SMTP server, closing connection")
            }
            Control(_) => {
                Refusal::from_static(500, (5, 5, 2), "control character or invalid UTF-8 in command")
            }
            Keyword("FROM:") => Refusal::from_static(501, (5, 5, 4), "syntax: MAIL FROM:<address>"),
            Keyword(_) => Refusal::from_static(501, (5, 5, 4), "syntax: RCPT TO:<address>"),
            Address(_) if self.verb == Some(Verb::Mail) => SENDER,
            Address(_) => RECIPIENT,
            MissingArgument => Refusal::from_static(501, (5, 5, 4), "argument missing"),
            Argument { .. } => Refusal::from_static(501, (5, 5, 4), "bad argument"),
            UnexpectedArgument => Refusal::from_static(501, (5, 5, 4), "no argument allowed"),
            Parameter { .. } => Refusal::from_static(501, (5, 5, 4), "bad parameter value"),
            DuplicateParameter(_) => Refusal::from_static(501, (5, 5, 4), "parameter given twice"),
            ParameterSyntax(_) => Refusal::from_static(501, (5, 5, 4), "bad parameter syntax"),
        }
    }
}

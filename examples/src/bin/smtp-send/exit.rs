//! How it ends: [`Failure`], and which exit code of sysexits(3) that is.

use core::fmt;

use mailwright::driver::Closed;
use smtp_proto::client::{BodyError, ClientError, Outcome, Rejection, SendError, Stage};

/// The codes of sysexits(3) that come up. Where several do, the [worst](Exit::is_worse) counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok = 0,
    Usage = 64,
    DataErr = 65,
    NoInput = 66,
    NoUser = 67,
    NoHost = 68,
    Unavailable = 69,
    Software = 70,
    OsErr = 71,
    TempFail = 75,
    Protocol = 76,
    NoPerm = 77,
    Config = 78,
}

impl Exit {
    /// From the best to the worst: what may pass, what is refused for good, what is amiss on this side.
    const ORDER: [Self; 13] = [
        Self::Ok,
        Self::TempFail,
        Self::Protocol,
        Self::NoUser,
        Self::Unavailable,
        Self::DataErr,
        Self::NoPerm,
        Self::NoHost,
        Self::Config,
        Self::Usage,
        Self::NoInput,
        Self::OsErr,
        Self::Software,
    ];

    /// Whether this is worse than the other.
    pub(crate) fn is_worse(self, other: Self) -> bool {
        let rank = |exit| Self::ORDER.iter().position(|known| *known == exit);
        rank(self) > rank(other)
    }
}

/// What the user is told, and the exit code.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, text: impl fmt::Display) -> Self {
        Self { exit, text: text.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Closed<ClientError>> for Failure {
    fn from(closed: Closed<ClientError>) -> Self {
        let exit = match &closed {
            Closed::Done | Closed::Transport(_) | Closed::Stalled(_) | Closed::HandshakeTimeout(_) => {
                Exit::TempFail
            }
            Closed::Protocol(error) => of_error(error),
            Closed::Handshake(_) => Exit::Protocol,
            _ => Exit::Software,
        };
        Self::new(exit, closed)
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        let exit = match error {
            SendError::TooLarge { .. } => Exit::DataErr,
            SendError::NotOffered {
                extension: "8BITMIME" | "SMTPUTF8" | "BINARYMIME" | "CHUNKING", ..
            } => Exit::DataErr,
            SendError::Busy => Exit::Software,
            error if error.needs_reconnect() => Exit::TempFail,
            _ => Exit::Unavailable,
        };
        Self::new(exit, error)
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        let exit = match error {
            // Where the parameters given for MAIL are not true, or the file has changed.
            BodyError::EightBit { .. } => Exit::DataErr,
            _ => Exit::Software,
        };
        Self::new(exit, error)
    }
}

fn of_error(error: &ClientError) -> Exit {
    match error {
        _ if error.is_temporary() => Exit::TempFail,
        ClientError::AuthRefused { .. } | ClientError::Sasl { .. } => Exit::NoPerm,
        ClientError::NoMechanism(_) => Exit::Config,
        ClientError::Refused { .. } | ClientError::TlsNotOffered | ClientError::EarlyReply { .. } => {
            Exit::Unavailable
        }
        // Nothing may be lost: whoever calls must look, or send it again.
        ClientError::Uncertain { .. } => Exit::TempFail,
        ClientError::Aborted => Exit::DataErr,
        _ => Exit::Protocol,
    }
}

/// The worst that happened to a recipient; `None` if all were accepted.
pub(crate) fn worst(outcome: &Outcome) -> Option<(Exit, &Rejection)> {
    let mut worst: Option<(Exit, &Rejection)> = None;
    for (_, rejection) in outcome.rejected() {
        let exit = of_rejection(rejection);
        if worst.is_none_or(|(worst, _)| exit.is_worse(worst)) {
            worst = Some((exit, rejection));
        }
    }
    worst
}

fn of_rejection(rejection: &Rejection) -> Exit {
    match rejection {
        _ if rejection.is_temporary() => Exit::TempFail,
        _ if is_about_the_recipient(rejection) => Exit::NoUser,
        _ => Exit::Unavailable,
    }
}

/// Whether there is no such user, rather than that the user may not be sent to.
fn is_about_the_recipient(rejection: &Rejection) -> bool {
    rejection.stage == Stage::Rcpt
        && match rejection.reply.enhanced() {
            // RFC 3463 §3.2; 7 and 8 are about the sender.
            Some(enhanced) => enhanced.subject() == 1 && !matches!(enhanced.detail(), 7 | 8),
            None => matches!(rejection.reply.code().get(), 550 | 551 | 553),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_good_is_worse_than_what_may_pass() {
        for (worse, other) in [
            (Exit::TempFail, Exit::Ok),
            (Exit::Protocol, Exit::TempFail),
            (Exit::NoUser, Exit::TempFail),
            (Exit::Unavailable, Exit::NoUser),
            (Exit::DataErr, Exit::Unavailable),
            (Exit::NoPerm, Exit::DataErr),
            (Exit::Software, Exit::OsErr),
        ] {
            assert!(worse.is_worse(other) && !other.is_worse(worse), "{worse:?} {other:?}");
            assert!(!worse.is_worse(worse));
        }
    }
}

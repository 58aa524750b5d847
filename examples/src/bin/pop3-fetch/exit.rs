//! How it ends: [`Failure`], and which exit code of sysexits(3) that is.

use core::fmt;

use mailwright::driver::Closed;
use pop3_proto::client::{ClientError, RefusalKind};

/// The codes of sysexits(3) that come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok = 0,
    Usage = 64,
    NoHost = 68,
    Unavailable = 69,
    Software = 70,
    OsErr = 71,
    CantCreate = 73,
    TempFail = 75,
    Protocol = 76,
    NoPerm = 77,
    Config = 78,
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

impl From<maildrop::Error> for Failure {
    fn from(error: maildrop::Error) -> Self {
        let exit =
            if error.is_storage_full() || error.is_over_quota() { Exit::TempFail } else { Exit::CantCreate };
        Self::new(exit, error)
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

fn of_error(error: &ClientError) -> Exit {
    match error {
        _ if error.is_temporary() => Exit::TempFail,
        ClientError::LoginRefused { .. } => Exit::NoPerm,
        ClientError::NoMechanism(_) | ClientError::PlaintextForbidden => Exit::Config,
        ClientError::Refused { .. } | ClientError::TlsNotOffered | ClientError::NotRemoved { .. } => {
            Exit::Unavailable
        }
        // Whoever calls must look.
        ClientError::Uncertain { .. } => Exit::TempFail,
        _ => Exit::Protocol,
    }
}

/// The exit code for a command that was refused.
pub(crate) fn of_refusal(kind: RefusalKind) -> Exit {
    if kind.is_temporary() { Exit::TempFail } else { Exit::Unavailable }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop3_proto::codec::ReplyLine;

    #[test]
    fn what_may_pass_is_told_from_what_will_not() {
        let reply = |text: &str| ReplyLine::parse(text.as_bytes()).unwrap().to_reply().unwrap();
        for (text, exit) in [
            ("-ERR [IN-USE] open", Exit::TempFail),
            ("-ERR [SYS/TEMP] disk", Exit::TempFail),
            ("-ERR [SYS/PERM] disk", Exit::Unavailable),
            ("-ERR no", Exit::Unavailable),
        ] {
            assert_eq!(of_refusal(RefusalKind::of(&reply(text))), exit, "{text}");
            assert_eq!(of_error(&ClientError::NotRemoved { reply: reply(text) }), exit, "{text}");
        }
        assert_eq!(of_error(&ClientError::PlaintextForbidden), Exit::Config);
    }
}

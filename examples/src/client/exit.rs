//! How a client ends: [`Failure`], and which exit code of sysexits(3) that is.

use core::fmt;
use std::io;
use std::process::ExitCode;

use clap::Parser;
use mail_wire::Escaped;
use pop3_proto::client as pop3;
use smtp_proto::client as smtp;
use tokio_rustls::rustls;

use crate::driver::Closed;

/// The codes of sysexits(3) that come up. Where several do, the [worst](Exit::is_worse) counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// The command line is not understood.
    Usage = 64,
    /// The server cannot take such a message.
    DataErr = 65,
    /// What was to be sent cannot be read.
    NoInput = 66,
    /// No such recipient.
    NoUser = 67,
    /// No such host.
    NoHost = 68,
    /// Refused for good.
    Unavailable = 69,
    /// A bug.
    Software = 70,
    /// The operating system failed.
    OsErr = 71,
    /// What was fetched cannot be stored.
    CantCreate = 73,
    /// Failed for now.
    TempFail = 75,
    /// The server broke the protocol, or TLS failed.
    Protocol = 76,
    /// The login was refused.
    NoPerm = 77,
    /// Bad certificate authorities, password file or policy.
    Config = 78,
}

impl Exit {
    /// From the best to the worst: what may pass, what is refused for good, what is amiss on this side.
    const ORDER: [Self; 14] = [
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
        Self::CantCreate,
        Self::OsErr,
        Self::Software,
    ];

    /// Whether this is worse than the other.
    pub fn is_worse(self, other: Self) -> bool {
        let rank = |exit| Self::ORDER.iter().position(|known| *known == exit);
        rank(self) > rank(other)
    }

    /// For a command that a POP3 server refused.
    pub fn of_pop3_refusal(kind: pop3::RefusalKind) -> Self {
        if kind.is_temporary() { Self::TempFail } else { Self::Unavailable }
    }

    fn of_smtp(error: &smtp::ClientError) -> Self {
        use smtp::ClientError::{
            Aborted, AuthRefused, EarlyReply, NoMechanism, Refused, Sasl, TlsNotOffered, Uncertain,
        };
        match error {
            _ if error.is_temporary() => Self::TempFail,
            AuthRefused { .. } | Sasl { .. } => Self::NoPerm,
            NoMechanism(_) => Self::Config,
            Refused { .. } | TlsNotOffered | EarlyReply { .. } => Self::Unavailable,
            // Nothing may be lost: whoever calls must look, or send it again.
            Uncertain { .. } => Self::TempFail,
            Aborted => Self::DataErr,
            _ => Self::Protocol,
        }
    }

    fn of_pop3(error: &pop3::ClientError) -> Self {
        use pop3::ClientError::{
            LoginRefused, NoMechanism, NotRemoved, PlaintextForbidden, Refused, TlsNotOffered, Uncertain,
        };
        match error {
            _ if error.is_temporary() => Self::TempFail,
            LoginRefused { .. } => Self::NoPerm,
            NoMechanism(_) | PlaintextForbidden => Self::Config,
            Refused { .. } | TlsNotOffered | NotRemoved { .. } => Self::Unavailable,
            // Whoever calls must look.
            Uncertain { .. } => Self::TempFail,
            _ => Self::Protocol,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What the user is told, and the exit code.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What was expected, and what was found.
    pub text: String,
}

impl Failure {
    /// With this text.
    pub fn new(exit: Exit, text: impl fmt::Display) -> Self {
        Self { exit, text: text.to_string() }
    }

    fn of_closed<X: core::error::Error>(closed: &Closed<X>, of_protocol: impl FnOnce(&X) -> Exit) -> Self {
        let exit = match closed {
            Closed::Done | Closed::Transport(_) | Closed::Stalled(_) | Closed::HandshakeTimeout(_) => {
                Exit::TempFail
            }
            Closed::Protocol(error) => of_protocol(error),
            Closed::Handshake(error) => return Self::of_handshake(error),
            _ => Exit::Software,
        };
        Self::new(exit, closed)
    }

    /// With a line about what would help, where that is known.
    fn of_handshake(error: &io::Error) -> Self {
        use rustls::CertificateError::{
            BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, UnknownIssuer,
            UnsupportedSignatureAlgorithmContext, UnsupportedSignatureAlgorithmForPublicKeyContext,
        };
        use rustls::{Error, InvalidMessage};
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        let mut found = error.to_string();
        // Issuers are looked for by their names.
        const SAME_NAME: &str = "a trusted authority may have the same name as the issuer and another key: --ca-file names the right one, or the server's own certificate; --insecure takes any";
        let hint = match inner {
            Some(Error::InvalidCertificate(BadSignature)) => SAME_NAME,
            Some(Error::InvalidCertificate(UnsupportedSignatureAlgorithmForPublicKeyContext { .. })) => {
                "invalid peer certificate: signed by another kind of key than its issuer has"
                    .clone_into(&mut found);
                SAME_NAME
            }
            Some(Error::InvalidCertificate(UnknownIssuer)) => {
                "--ca-file names the authority, or the server's own certificate; --insecure takes any"
            }
            Some(Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
                "--tls-name gives the name that the certificate has; --insecure takes any certificate"
            }
            Some(Error::InvalidCertificate(UnsupportedSignatureAlgorithmContext { .. })) => {
                // The error lists the algorithms, byte by byte.
                "invalid peer certificate: signed by an algorithm that is not supported"
                    .clone_into(&mut found);
                "the server needs another certificate; --insecure takes any"
            }
            Some(Error::InvalidCertificate(Expired | ExpiredContext { .. })) => {
                "the server needs a newer certificate, if the clock here is right; --insecure takes any"
            }
            Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
                "the server seems to speak plain text there: --tls require asks it for TLS, --tls implicit needs another port"
            }
            _ => return Self::new(Exit::Protocol, format!("expected a TLS handshake, found: {found}")),
        };
        Self::new(Exit::Protocol, format!("expected a TLS handshake, found: {found}\n({hint})"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Closed<smtp::ClientError>> for Failure {
    fn from(closed: Closed<smtp::ClientError>) -> Self {
        Self::of_closed(&closed, Exit::of_smtp)
    }
}

impl From<Closed<pop3::ClientError>> for Failure {
    fn from(closed: Closed<pop3::ClientError>) -> Self {
        let mut failure = Self::of_closed(&closed, Exit::of_pop3);
        if let Closed::Protocol(error) = &closed
            && let Some(hint) = pop3_hint(error)
        {
            failure.text += &format!("\n({hint})");
        }
        failure
    }
}

/// What would help, or what the server says besides, where that is known.
fn pop3_hint(error: &pop3::ClientError) -> Option<String> {
    const GREETINGS: [(&str, &str); 5] =
        [("220", "SMTP or FTP"), ("* OK", "IMAP"), ("* PREAUTH", "IMAP"), ("HTTP/", "HTTP"), ("SSH-", "SSH")];
    match error {
        pop3::ClientError::LoginRefused { token_error: Some(error), .. } => {
            Some(format!("the server says of the token: {}", Escaped(error.status.as_bytes())))
        }
        pop3::ClientError::NotPop3 { greeting } => {
            let known = GREETINGS.into_iter().find(|(start, _)| greeting.starts_with(start));
            let found = known.map_or("another protocol".to_owned(), |(_, name)| name.to_owned());
            Some(format!(
                "the server seems to speak {found} there: POP3 is at port 110 mostly, with --tls implicit at 995"
            ))
        }
        pop3::ClientError::Timeout { stage: pop3::Stage::Greeting, .. } => Some(
            "the server may be waiting for TLS, or be speaking another protocol there: POP3 is at port 110 mostly, with --tls implicit at 995"
                .to_owned(),
        ),
        _ => None,
    }
}

impl From<smtp::SendError> for Failure {
    fn from(error: smtp::SendError) -> Self {
        use smtp::SendError::{Busy, NotOffered, TooLarge};
        let exit = match error {
            TooLarge { .. } => Exit::DataErr,
            NotOffered { extension: "8BITMIME" | "SMTPUTF8" | "BINARYMIME" | "CHUNKING", .. } => {
                Exit::DataErr
            }
            Busy => Exit::Software,
            error if error.needs_reconnect() => Exit::TempFail,
            _ => Exit::Unavailable,
        };
        Self::new(exit, error)
    }
}

impl From<smtp::BodyError> for Failure {
    fn from(error: smtp::BodyError) -> Self {
        let exit = match error {
            // Where the parameters given for MAIL are not true, or the file has changed.
            smtp::BodyError::EightBit { .. } => Exit::DataErr,
            _ => Exit::Software,
        };
        Self::new(exit, error)
    }
}

impl From<maildrop::Error> for Failure {
    fn from(error: maildrop::Error) -> Self {
        let held = matches!(error, maildrop::Error::LockHeld { .. } | maildrop::Error::InUse { .. });
        let passes = held || error.is_storage_full() || error.is_over_quota();
        Self::new(if passes { Exit::TempFail } else { Exit::CantCreate }, error)
    }
}

/// Reads the command line, runs the program, and says on standard error why it failed.
pub fn main<O: Parser>(program: &str, run: impl FnOnce(&O) -> Result<Exit, Failure>) -> ExitCode {
    let options = match O::try_parse() {
        Ok(options) => options,
        Err(error) => {
            // Help goes to standard output, and is no failure.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            let _ = error.print();
            return exit.into();
        }
    };
    let exit = run(&options).unwrap_or_else(|failure| {
        eprintln!("{program}: {failure}");
        failure.exit
    });
    exit.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop3_proto::client::RefusalKind;
    use pop3_proto::codec::ReplyLine;

    #[test]
    fn what_is_for_good_is_worse_than_what_may_pass() {
        for (worse, other) in [
            (Exit::TempFail, Exit::Ok),
            (Exit::Protocol, Exit::TempFail),
            (Exit::NoUser, Exit::TempFail),
            (Exit::Unavailable, Exit::NoUser),
            (Exit::DataErr, Exit::Unavailable),
            (Exit::NoPerm, Exit::DataErr),
            (Exit::CantCreate, Exit::NoPerm),
            (Exit::Software, Exit::OsErr),
        ] {
            assert!(worse.is_worse(other) && !other.is_worse(worse), "{worse:?} {other:?}");
            assert!(!worse.is_worse(worse));
        }
    }

    #[test]
    fn a_mailbox_that_another_program_holds_may_be_free_later() {
        let held = maildrop::Error::LockHeld { path: "box.lock".into(), attempts: 3 };
        assert_eq!(Failure::from(held).exit, Exit::TempFail);
        let other = maildrop::Error::NotAFile { path: "box".into() };
        assert_eq!(Failure::from(other).exit, Exit::CantCreate);
    }

    #[test]
    fn what_rustls_lists_byte_by_byte_is_not_shown() {
        let error = rustls::CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: vec![6, 9, 42],
            supported_algorithms: Vec::new(),
        };
        let error = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::InvalidCertificate(error));
        let failure = Failure::from(Closed::<pop3::ClientError>::Handshake(error));
        assert_eq!(failure.exit, Exit::Protocol);
        assert!(failure.text.contains("not supported\n") && !failure.text.contains("42"), "{failure}");
        let other = io::Error::from(io::ErrorKind::UnexpectedEof);
        let failure = Failure::from(Closed::<pop3::ClientError>::Handshake(other));
        assert_eq!(failure.text, "expected a TLS handshake, found: unexpected end of file");
    }

    #[test]
    fn what_a_pop3_server_may_take_back_is_told_from_what_it_will_not() {
        let reply = |text: &str| ReplyLine::parse(text.as_bytes()).unwrap().to_reply().unwrap();
        for (text, exit) in [
            ("-ERR [IN-USE] open", Exit::TempFail),
            ("-ERR [SYS/TEMP] disk", Exit::TempFail),
            ("-ERR [SYS/PERM] disk", Exit::Unavailable),
            ("-ERR no", Exit::Unavailable),
        ] {
            assert_eq!(Exit::of_pop3_refusal(RefusalKind::of(&reply(text))), exit, "{text}");
            assert_eq!(Exit::of_pop3(&pop3::ClientError::NotRemoved { reply: reply(text) }), exit, "{text}");
        }
        assert_eq!(Exit::of_pop3(&pop3::ClientError::PlaintextForbidden), Exit::Config);
    }
}

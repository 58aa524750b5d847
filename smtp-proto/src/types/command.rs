//! [`Command`]: everything a client can say outside of message content and SASL responses.

use super::{Domain, ForwardPath, HelloName, MailParams, RcptParams, ReversePath};
use core::fmt;
use mail_wire::Secret;

/// Which of the protocols a machine speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// SMTP between hosts, or submission by users: EHLO or HELO, one reply for a message (RFC 5321, RFC 6409).
    Smtp,
    /// LMTP: LHLO, one reply for each accepted recipient (RFC 2033). Never on port 25.
    Lmtp,
}

/// A command with its arguments. [`Command::encode`](crate::codec) writes it, [`Command::parse`](crate::codec) reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// `EHLO name` (RFC 5321 §4.1.1.1)
    Ehlo(HelloName),
    /// `HELO name`
    Helo(HelloName),
    /// `LHLO name` (RFC 2033 §4.1)
    Lhlo(HelloName),
    /// `MAIL FROM:<path> …`
    Mail {
        /// Who gets the report if delivery fails.
        from: ReversePath,
        /// Parameters of extensions.
        params: MailParams,
    },
    /// `RCPT TO:<path> …`
    Rcpt {
        /// Who gets the message.
        to: ForwardPath,
        /// Parameters of extensions.
        params: RcptParams,
    },
    /// `DATA`
    Data,
    /// `BDAT size [LAST]` (RFC 3030 §2)
    Bdat {
        /// Bytes in the chunk.
        size: u64,
        /// Whether it is the last.
        last: bool,
    },
    /// `BURL url [LAST]` (RFC 4468 §3.2); known so that it can be refused by name.
    Burl {
        /// The IMAP URL.
        url: Box<str>,
        /// Whether it is the last part of the message.
        last: bool,
    },
    /// `RSET`
    Rset,
    /// `NOOP [text]`
    Noop,
    /// `QUIT`
    Quit,
    /// `VRFY text [SMTPUTF8]`
    Vrfy(VerifyTarget),
    /// `EXPN text [SMTPUTF8]`
    Expn(VerifyTarget),
    /// `HELP [topic]`
    Help(Option<Box<str>>),
    /// `ETRN node` (RFC 1985 §5)
    Etrn(EtrnTarget),
    /// `ATRN [domain,…]` (RFC 2645 §5.2.1); at most 64 domains.
    Atrn(Vec<Domain>),
    /// `STARTTLS` (RFC 3207 §4)
    StartTls,
    /// `AUTH mechanism [initial-response]` (RFC 4954 §4)
    Auth {
        /// The mechanism's name as it was sent.
        mechanism: Box<str>,
        /// The initial response, still in base64.
        initial: Option<Secret>,
    },
    /// `XCLIENT name=value …`
    Xclient(XclientAttributes),
    /// `XFORWARD name=value …`
    Xforward(XclientAttributes),
}

impl Command {
    /// Which verb the command has.
    pub fn verb(&self) -> Verb {
        match self {
            Command::Ehlo(_) => Verb::Ehlo,
            Command::Helo(_) => Verb::Helo,
            Command::Lhlo(_) => Verb::Lhlo,
            Command::Mail { .. } => Verb::Mail,
            Command::Rcpt { .. } => Verb::Rcpt,
            Command::Data => Verb::Data,
            Command::Bdat { .. } => Verb::Bdat,
            Command::Burl { .. } => Verb::Burl,
            Command::Rset => Verb::Rset,
            Command::Noop => Verb::Noop,
            Command::Quit => Verb::Quit,
            Command::Vrfy(_) => Verb::Vrfy,
            Command::Expn(_) => Verb::Expn,
            Command::Help(_) => Verb::Help,
            Command::Etrn(_) => Verb::Etrn,
            Command::Atrn(_) => Verb::Atrn,
            Command::StartTls => Verb::StartTls,
            Command::Auth { .. } => Verb::Auth,
            Command::Xclient(_) => Verb::Xclient,
            Command::Xforward(_) => Verb::Xforward,
        }
    }
}

/// The verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the verb of the same name, described at `Command`")]
pub enum Verb {
    Ehlo,
    Helo,
    Lhlo,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Burl,
    Rset,
    Noop,
    Quit,
    Vrfy,
    Expn,
    Help,
    Etrn,
    Atrn,
    StartTls,
    Auth,
    Xclient,
    Xforward,
}

impl Verb {
    /// The verb as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verb::Ehlo => "EHLO",
            Verb::Helo => "HELO",
            Verb::Lhlo => "LHLO",
            Verb::Mail => "MAIL",
            Verb::Rcpt => "RCPT",
            Verb::Data => "DATA",
            Verb::Bdat => "BDAT",
            Verb::Burl => "BURL",
            Verb::Rset => "RSET",
            Verb::Noop => "NOOP",
            Verb::Quit => "QUIT",
            Verb::Vrfy => "VRFY",
            Verb::Expn => "EXPN",
            Verb::Help => "HELP",
            Verb::Etrn => "ETRN",
            Verb::Atrn => "ATRN",
            Verb::StartTls => "STARTTLS",
            Verb::Auth => "AUTH",
            Verb::Xclient => "XCLIENT",
            Verb::Xforward => "XFORWARD",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The argument of VRFY and EXPN: a user, a mailbox or a list.
///
/// ```
/// use smtp_proto::types::VerifyTarget;
///
/// let target = VerifyTarget::from("用户 SMTPUTF8");
/// assert_eq!((target.text(), target.smtputf8()), ("用户", true));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VerifyTarget {
    text: Box<str>,
    smtputf8: bool,
}

impl VerifyTarget {
    /// What is asked about.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the reply may hold UTF-8 (RFC 6531 §3.7.4.2).
    pub fn smtputf8(&self) -> bool {
        self.smtputf8
    }
}

/// Takes the argument as it stands on the wire, with or without the word `SMTPUTF8` at its end.
impl From<&str> for VerifyTarget {
    fn from(argument: &str) -> Self {
        match argument.rsplit_once(' ') {
            Some((text, keyword)) if keyword.eq_ignore_ascii_case("SMTPUTF8") && !text.trim().is_empty() => {
                Self { text: text.trim_end_matches(' ').into(), smtputf8: true }
            }
            _ => Self { text: argument.into(), smtputf8: false },
        }
    }
}

impl fmt::Display for VerifyTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.smtputf8 { " SMTPUTF8" } else { "" })
    }
}

/// What ETRN asks the server to send (RFC 1985 §5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EtrnTarget {
    /// The queue for this host.
    Node(Domain),
    /// `@domain`: the queues for the domain and all below it.
    Subdomains(Domain),
    /// `#name`: a queue by a name that the server gave it.
    Queue(Box<str>),
}

impl fmt::Display for EtrnTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EtrnTarget::Node(domain) => write!(f, "{domain}"),
            EtrnTarget::Subdomains(domain) => write!(f, "@{domain}"),
            EtrnTarget::Queue(name) => write!(f, "#{name}"),
        }
    }
}

/// The attributes of XCLIENT and XFORWARD: what a trusted proxy or filter knows of the real client. Each is `None` when
/// it was not named; `Some(None)` when it was given as `[UNAVAILABLE]` or `[TEMPUNAVAIL]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct XclientAttributes {
    /// `NAME`: the client's host name.
    pub name: Option<Option<Box<str>>>,
    /// `ADDR`: the client's address.
    pub addr: Option<Option<core::net::IpAddr>>,
    /// `PORT`: the client's port.
    pub port: Option<Option<u16>>,
    /// `PROTO`: `SMTP` or `ESMTP`.
    pub proto: Option<Option<Box<str>>>,
    /// `HELO`: the client's HELO name.
    pub helo: Option<Option<Box<str>>>,
    /// `LOGIN`: the name that the client logged in with (XCLIENT only).
    pub login: Option<Option<Box<str>>>,
    /// `DESTADDR`: the server's address that the client connected to (XCLIENT only).
    pub dest_addr: Option<Option<core::net::IpAddr>>,
    /// `DESTPORT`: the server's port (XCLIENT only).
    pub dest_port: Option<Option<u16>>,
    /// `IDENT`: the message's queue identifier upstream (XFORWARD only).
    pub ident: Option<Option<Box<str>>>,
    /// `SOURCE`: `LOCAL` or `REMOTE` (XFORWARD only).
    pub source: Option<Option<Box<str>>>,
}

impl XclientAttributes {
    /// No attributes.
    pub fn new() -> Self {
        Self::default()
    }
}

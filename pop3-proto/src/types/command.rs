//! Commands.

use super::{ApopDigest, LanguageRange, MessageNumber, UserName};
use core::fmt;
use mail_wire::Secret;

/// A command of a client, with its arguments.
///
/// [`Command::parse`] reads one, [`Command::encode`] writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// `USER name` (RFC 1939 §7)
    User(UserName),
    /// `PASS string` (RFC 1939 §7): all that stands behind the one space, spaces included.
    Pass(Secret),
    /// `APOP name digest` (RFC 1939 §7)
    Apop {
        /// Whose maildrop.
        user: UserName,
        /// The proof.
        digest: ApopDigest,
    },
    /// `RPOP client-user` (RFC 1225), in place of PASS: trust in what the client's host says of its user.
    Rpop(UserName),
    /// `AUTH mechanism [initial-response]` (RFC 5034 §4)
    Auth {
        /// The mechanism's name as it was sent.
        mechanism: Box<str>,
        /// The initial response, still in base64.
        initial: Option<Secret>,
    },
    /// `AUTH` alone, by which clients older than CAPA ask for the mechanisms.
    AuthList,
    /// `STAT` (RFC 1939 §5)
    Stat,
    /// `LIST [msg]` (RFC 1939 §5)
    List(Option<MessageNumber>),
    /// `RETR msg` (RFC 1939 §5)
    Retr(MessageNumber),
    /// `DELE msg` (RFC 1939 §5)
    Dele(MessageNumber),
    /// `NOOP` (RFC 1939 §5)
    Noop,
    /// `RSET` (RFC 1939 §5)
    Rset,
    /// `QUIT` (RFC 1939 §5)
    Quit,
    /// `TOP msg n` (RFC 1939 §7)
    Top {
        /// Which message.
        number: MessageNumber,
        /// How many lines of its body.
        lines: u64,
    },
    /// `UIDL [msg]` (RFC 1939 §7)
    Uidl(Option<MessageNumber>),
    /// `CAPA` (RFC 2449 §5)
    Capa,
    /// `STLS` (RFC 2595 §4)
    Stls,
    /// `UTF8` (RFC 6856 §2.1)
    Utf8,
    /// `LANG [range]` (RFC 6856 §3)
    Lang(Option<LanguageRange>),
}

impl Command {
    /// Which verb the command has.
    pub const fn verb(&self) -> Verb {
        match self {
            Command::User(_) => Verb::User,
            Command::Pass(_) => Verb::Pass,
            Command::Apop { .. } => Verb::Apop,
            Command::Rpop(_) => Verb::Rpop,
            Command::Auth { .. } | Command::AuthList => Verb::Auth,
            Command::Stat => Verb::Stat,
            Command::List(_) => Verb::List,
            Command::Retr(_) => Verb::Retr,
            Command::Dele(_) => Verb::Dele,
            Command::Noop => Verb::Noop,
            Command::Rset => Verb::Rset,
            Command::Quit => Verb::Quit,
            Command::Top { .. } => Verb::Top,
            Command::Uidl(_) => Verb::Uidl,
            Command::Capa => Verb::Capa,
            Command::Stls => Verb::Stls,
            Command::Utf8 => Verb::Utf8,
            Command::Lang(_) => Verb::Lang,
        }
    }
}

/// The verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the verb of the same name, described at `Command`")]
pub enum Verb {
    User,
    Pass,
    Apop,
    Rpop,
    Auth,
    Stat,
    List,
    Retr,
    Dele,
    Noop,
    Rset,
    Quit,
    Top,
    Uidl,
    Capa,
    Stls,
    Utf8,
    Lang,
}

impl Verb {
    /// All verbs.
    pub const ALL: [Verb; 18] = [
        Verb::User,
        Verb::Pass,
        Verb::Apop,
        Verb::Rpop,
        Verb::Auth,
        Verb::Stat,
        Verb::List,
        Verb::Retr,
        Verb::Dele,
        Verb::Noop,
        Verb::Rset,
        Verb::Quit,
        Verb::Top,
        Verb::Uidl,
        Verb::Capa,
        Verb::Stls,
        Verb::Utf8,
        Verb::Lang,
    ];

    /// The verb as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verb::User => "USER",
            Verb::Pass => "PASS",
            Verb::Apop => "APOP",
            Verb::Rpop => "RPOP",
            Verb::Auth => "AUTH",
            Verb::Stat => "STAT",
            Verb::List => "LIST",
            Verb::Retr => "RETR",
            Verb::Dele => "DELE",
            Verb::Noop => "NOOP",
            Verb::Rset => "RSET",
            Verb::Quit => "QUIT",
            Verb::Top => "TOP",
            Verb::Uidl => "UIDL",
            Verb::Capa => "CAPA",
            Verb::Stls => "STLS",
            Verb::Utf8 => "UTF8",
            Verb::Lang => "LANG",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! What a server tells its embedder, and how questions are answered.

use super::{Deleted, Maildrop, Server, UniqueIds};
use crate::types::{MessageNumber, Refusal};
use mail_wire::Pending;
use mail_wire::sasl::{self, Mechanism};

/// What happened on a connection. Events with a [`Pending`] are questions: the connection waits until
/// [`Server::answer`] gets the token back.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A client is connected. Accepting greets it, refusing closes the connection.
    Connected(Pending<Connected>),
    /// Somebody logs in, and this must be known to go on. One handler will do for all ways of logging in:
    ///
    /// - USER and PASS ask [`VerifyPassword`](sasl::Question::VerifyPassword), as PLAIN would;
    /// - APOP asks [`Credentials`](sasl::Question::Credentials), as CRAM-MD5 would: the answer is the password
    ///   [itself](sasl::Stored::Plain), which the machine compares with;
    /// - RPOP and a [transport](super::TransportLogin) that has authenticated the client ask
    ///   [`External`](sasl::Question::External): may the client in as this user, for what is known of it otherwise?
    /// - AUTH asks whatever its mechanism does.
    ///
    /// For an unknown user give the answer that a wrong password would get, in a time that does not tell them apart.
    Login {
        /// How.
        method: LoginMethod,
        /// What must be known.
        question: sasl::Question,
        /// To be answered.
        pending: Pending<Login>,
    },
    /// The login failed; the client is told so after a [delay](super::ServerTimeouts::auth_failure_delay).
    LoginFailed {
        /// How it was tried.
        method: LoginMethod,
        /// Why; not told to the client in full.
        failure: sasl::Failure,
        /// The name that the client gave: at most 255 bytes, the rest is cut off.
        ///
        /// It is text from the peer: [escape](mail_wire::Escaped) it before it is shown. The password is never in it,
        /// but people type that into the field for the name at times: be as careful with the log as with the users'
        /// names, or leave out a name that no user has.
        user: Option<Box<str>>,
    },
    /// The client is who it says: its maildrop is to be locked and opened. Refuse with [`Refusal::IN_USE`] if another session has
    /// it, with [`Refusal::LOGIN_DELAY`] if the last login was too short a time ago.
    Open(Identity, Pending<Open>),
    /// UIDL: the unique-ids of all messages are wanted, those marked as deleted with them. Asked once in a session, and not at all
    /// if the [`Maildrop`] came with them. If there are not as many as messages, the client gets `[SYS/TEMP]`.
    UniqueIds(Pending<UniqueIdsWanted>),
    /// RETR or TOP: a message is wanted. After accepting, send it by [`Server::write_body`] and [`Server::finish_body`].
    Retrieve {
        /// Which.
        number: MessageNumber,
        /// How much of it. The machine sees to it that no more is sent; it is told so that no more need be read.
        part: Part,
        /// To be answered.
        pending: Pending<Retrieve>,
    },
    /// There is room to go on with the message: call [`Server::write_body`], once or as long as it [wants
    /// more](Server::wants_body). Told again when there is room after that.
    Body,
    /// No more is wanted of the message, since TOP has all its lines: call [`Server::finish_body`].
    BodyEnough,
    /// QUIT: these messages are to be removed, and the session ends (RFC 1939 §6). If not all could be, refuse, best with
    /// [`Refusal::NOT_REMOVED`]. A session that ends without this event removes nothing.
    Commit(Deleted, Pending<Commit>),
}

/// A way of logging in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoginMethod {
    /// USER and PASS.
    User,
    /// APOP.
    Apop,
    /// USER and RPOP, with the name that the user has on the client's host, for what the client's host is worth.
    Rpop {
        /// That name.
        client_user: Box<str>,
    },
    /// A layer below the protocol; see [`Server::transport`].
    Transport,
    /// AUTH with this mechanism.
    Sasl(Mechanism),
}

/// Who has logged in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Identity {
    /// How.
    pub method: LoginMethod,
    /// The authentication identity: whose password, token or certificate it was.
    pub authcid: String,
    /// The authorisation identity: whose maildrop is wanted; mostly the same.
    pub authzid: String,
}

/// How much of a message is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// All of it (RETR).
    Whole,
    /// The header, the empty line and so many lines of the body (TOP).
    Top(u64),
}

/// A kind of question, with the type of its answer. Only the kinds below exist.
pub trait Question: Sized {
    /// What [`Server::answer`] takes.
    type Answer;

    #[doc(hidden)]
    fn apply(server: &mut Server, answer: Self::Answer, _: sealed::Seal);
}

pub(super) mod sealed {
    /// Keeps others from adding kinds of questions.
    #[derive(Debug)]
    pub struct Seal;
}

macro_rules! questions {
    ($($(#[$doc:meta])* $name:ident => $answer:ty, $apply:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub enum $name {}

            impl Question for $name {
                type Answer = $answer;

                fn apply(server: &mut Server, answer: $answer, _: sealed::Seal) {
                    server.$apply(answer);
                }
            }
        )*
    };
}

questions! {
    /// The question of [`Event::Connected`].
    Connected => Result<(), Refusal>, answer_connected;
    /// The question of [`Event::Login`].
    Login => sasl::Answer, answer_login;
    /// The question of [`Event::Open`].
    Open => Result<Maildrop, Refusal>, answer_open;
    /// The question of [`Event::UniqueIds`].
    UniqueIdsWanted => Result<UniqueIds, Refusal>, answer_unique_ids;
    /// The question of [`Event::Retrieve`].
    Retrieve => Result<(), Refusal>, answer_retrieve;
    /// The question of [`Event::Commit`].
    Commit => Result<(), Refusal>, answer_commit;
}

/// Why a connection ended badly. What the embedder refused is no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The client went away without QUIT.
    #[error("expected QUIT, found the end of the connection {0}")]
    Eof(Stage),
    /// The client was too slow.
    #[error("client too slow {0}")]
    Timeout(Stage),
    /// The client did not read what it was sent.
    #[error("client does not read what it is sent")]
    SendTimeout,
    /// Too many wrong commands or failed logins.
    #[error("too many errors from the client")]
    TooManyErrors,
    /// The client sent what cannot be read on from.
    #[error("client broke the protocol {0}")]
    Protocol(Stage),
    /// The PROXY header is none.
    #[error("bad PROXY header: {0}")]
    Proxy(mail_wire::ProxyError),
    /// Nobody has authenticated the client below the protocol, as it was configured.
    #[error("expected a transport that has authenticated the client")]
    NoTransportIdentity,
    /// The embedder broke a message off, or sent nothing of it for too long. There is no way to tell the client but to close the
    /// connection.
    #[error("message broken off")]
    BrokenOff,
}

/// Where in a session something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Before the greeting.
    Connect,
    /// In the midst of a TLS handshake.
    Tls,
    /// Before the login.
    Authorization,
    /// With a maildrop open.
    Transaction,
    /// After QUIT.
    Update,
}

impl core::fmt::Display for Stage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Stage::Connect => "before the greeting",
            Stage::Tls => "in the TLS handshake",
            Stage::Authorization => "before the login",
            Stage::Transaction => "with the maildrop open",
            Stage::Update => "after QUIT",
        })
    }
}

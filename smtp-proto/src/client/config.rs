//! What a client is told before it connects. One [`ClientConfig`] serves any number of connections.

use crate::types::HelloName;
pub use crate::types::Protocol;
use core::time::Duration;
use mail_wire::dot::Newlines;
use mail_wire::sasl::{Credentials, MechanismSet};

/// What is done about TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsPolicy {
    /// No TLS, even where STARTTLS is offered.
    Never,
    /// STARTTLS where it is offered and accepted, else in the clear, which
    /// [`Event::Unencrypted`](super::Event::Unencrypted) tells. Protects from those who only listen (RFC 7435).
    Opportunistic,
    /// STARTTLS, or the connection is given up before anything is said.
    Required,
    /// TLS from the first byte (RFC 8314 §3.3). The first [`poll`](mail_wire::Connection::poll) asks for it, unless the
    /// driver has put it on by itself and called [`upgraded`](mail_wire::Connection::upgraded).
    Implicit,
}

/// When messages go by BDAT rather than DATA (RFC 3030).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Chunking {
    /// Where it is offered and gains something: for BINARYMIME, and where the whole message fits into one chunk that
    /// can leave in one write with its envelope.
    Auto,
    /// Not at all. Messages of [`Body::BinaryMime`](crate::types::Body::BinaryMime) are then refused.
    Never,
    /// Wherever it is offered.
    Always,
}

/// Configuration of a [`Client`](super::Client).
///
/// ```
/// use mail_wire::sasl::Credentials;
/// use smtp_proto::client::{ClientConfig, TlsPolicy};
/// use smtp_proto::types::HelloName;
///
/// let mut config = ClientConfig::new(HelloName::parse("laptop.example.org")?)
///     .with_tls(TlsPolicy::Required)
///     .with_credentials(Credentials::password("alice", "secret"));
/// config.pipelining = false;
/// # Ok::<(), smtp_proto::types::DomainError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// What we call ourselves.
    pub hello: HelloName,
    /// SMTP or LMTP; SMTP by default.
    pub protocol: Protocol,
    /// What is done about TLS; [`TlsPolicy::Opportunistic`] by default.
    pub tls: TlsPolicy,
    /// What to log in with. None by default; where there are some, a connection that cannot be logged in is given up.
    pub credentials: Option<Credentials>,
    /// The mechanisms that may be used; all by default. The strongest that is offered is tried first.
    pub mechanisms: MechanismSet,
    /// Whether the password or token may be sent readable without TLS (PLAIN, LOGIN, XOAUTH2, OAUTHBEARER). Off by
    /// default.
    pub plaintext_auth_without_tls: bool,
    /// Whether commands are sent in groups where the server offers PIPELINING (RFC 2920). On by default.
    pub pipelining: bool,
    /// When messages go by BDAT; [`Chunking::Auto`] by default.
    pub chunking: Chunking,
    /// Size of a BDAT chunk in bytes; 64 KiB by default, at least 1 KiB.
    pub chunk_size: usize,
    /// What becomes of line endings other than CRLF in messages; [`Newlines::Repair`] by default. Nothing but CRLF ever
    /// leaves, except as BINARYMIME.
    pub newlines: Newlines,
    /// Longest reply line that is taken, in bytes with its CRLF. 2048 by default, since servers overrun the 512 bytes
    /// of RFC 5321 §4.5.3.1.5, which are the least; 16 KiB are the most.
    pub reply_line: usize,
    /// Whether a reply line may end with LF alone. Off by default: then it ends the connection.
    pub bare_lf_replies: bool,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

impl ClientConfig {
    /// The defaults, and a name to greet the server by.
    pub fn new(hello: HelloName) -> Self {
        Self {
            hello,
            protocol: Protocol::Smtp,
            tls: TlsPolicy::Opportunistic,
            credentials: None,
            mechanisms: MechanismSet::ALL,
            plaintext_auth_without_tls: false,
            pipelining: true,
            chunking: Chunking::Auto,
            chunk_size: 64 * 1024,
            newlines: Newlines::Repair,
            reply_line: 2048,
            bare_lf_replies: false,
            timeouts: Timeouts::default(),
        }
    }

    /// Sets [`protocol`](Self::protocol).
    #[must_use]
    pub fn with_protocol(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }

    /// Sets [`tls`](Self::tls).
    #[must_use]
    pub fn with_tls(self, tls: TlsPolicy) -> Self {
        Self { tls, ..self }
    }

    /// Sets [`credentials`](Self::credentials).
    #[must_use]
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), ..self }
    }

    /// Sets [`chunking`](Self::chunking).
    #[must_use]
    pub fn with_chunking(self, chunking: Chunking) -> Self {
        Self { chunking, ..self }
    }

    /// Sets [`timeouts`](Self::timeouts).
    #[must_use]
    pub fn with_timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// The longest reply line, within its bounds.
    pub(super) fn reply_line_limit(&self) -> usize {
        self.reply_line.clamp(512, 16 * 1024)
    }

    /// The size of a chunk, within its bounds.
    pub(super) fn chunk_limit(&self) -> usize {
        self.chunk_size.max(1024)
    }
}

/// How long to wait for what. The defaults are what RFC 5321 §4.5.3.2 asks for at least.
///
/// A reply's time begins when its command has left, or when the reply before it has come. An idle connection has no
/// deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For the greeting, from the start of the connection: 5 minutes.
    pub greeting: Duration,
    /// For the reply to MAIL: 5 minutes.
    pub mail: Duration,
    /// For the reply to RCPT: 5 minutes.
    pub rcpt: Duration,
    /// For the reply to DATA: 2 minutes.
    pub data: Duration,
    /// For the server to take some of the message, or to answer a chunk that is not the last: 3 minutes.
    pub block: Duration,
    /// For the reply to the whole message: 10 minutes. A client that gives up early sends messages twice.
    pub termination: Duration,
    /// For the reply to any other command: 5 minutes.
    pub command: Duration,
    /// For the reply to QUIT: 30 seconds; nothing hangs on it.
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self {
            greeting: 5 * MINUTE,
            mail: 5 * MINUTE,
            rcpt: 5 * MINUTE,
            data: 2 * MINUTE,
            block: 3 * MINUTE,
            termination: 10 * MINUTE,
            command: 5 * MINUTE,
            quit: MINUTE / 2,
        }
    }
}

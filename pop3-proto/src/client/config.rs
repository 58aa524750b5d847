//! What a client is told before it connects. One [`ClientConfig`] serves any number of connections.

use crate::types::UserName;
use core::time::Duration;
use mail_wire::sasl::{Credentials, MechanismSet};

/// What is done about TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsPolicy {
    /// No TLS, even where STLS is offered.
    Never,
    /// STLS where it is offered and accepted, else in the clear, which
    /// [`Event::Unencrypted`](super::Event::Unencrypted) tells. Protects from those who only listen (RFC 7435).
    Opportunistic,
    /// STLS, or the connection is given up before anything is said.
    Required,
    /// TLS from the first byte (RFC 8314 §3.3). The first [`poll`](mail_wire::Connection::poll) asks for it, unless the
    /// driver has put it on by itself and called [`upgraded`](mail_wire::Connection::upgraded).
    Implicit,
}

/// A login that rests on trust in what this host says of its user, or on a layer below, rather than on a password.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustedLogin {
    /// USER and RPOP (RFC 1225): the server trusts the host and wants to know who its user is.
    Rpop {
        /// Whose maildrop.
        user: UserName,
        /// The user on this host.
        client_user: UserName,
    },
    /// KPOP: Kerberos has proved who we are before the greeting, which the driver tells by
    /// [`upgraded`](mail_wire::Connection::upgraded). USER names the maildrop; PASS, which the server does not look at, says
    /// the name again. Without such a layer the connection is given up.
    Kpop {
        /// Whose maildrop.
        user: UserName,
    },
    /// Nothing is said: the server greets with the maildrop open, since the transport has shown who we are, as a program that is
    /// run through SSH does.
    Open,
}

/// Configuration of a [`Client`](super::Client).
///
/// ```
/// use mail_wire::sasl::Credentials;
/// use pop3_proto::client::{ClientConfig, TlsPolicy};
///
/// let mut config = ClientConfig::new()
///     .with_tls(TlsPolicy::Required)
///     .with_credentials(Credentials::password("alice", "secret"));
/// config.quirks.odd_unique_ids = true;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// What is done about TLS; [`TlsPolicy::Opportunistic`] by default.
    pub tls: TlsPolicy,
    /// What to log in with. None by default: then [`Event::Ready`](super::Event::Ready) comes without a login, which is enough
    /// to see what a server can do. Where there are some, a connection that cannot be logged in is given up.
    pub credentials: Option<Credentials>,
    /// Another way to log in; where there is one, it is taken in place of the [`credentials`](Self::credentials). None by
    /// default.
    pub trusted: Option<TrustedLogin>,
    /// The SASL mechanisms that may be used; all by default. The strongest that is offered is tried first.
    pub mechanisms: MechanismSet,
    /// Whether APOP may be used. On by default. Without TLS it comes before all that shows the password; under TLS behind them,
    /// as many servers greet with a timestamp and keep hashes of passwords, by which they cannot check a digest.
    pub apop: bool,
    /// Whether USER and PASS may be used, as the last of all. On by default.
    pub user_pass: bool,
    /// Whether the password or token may be sent readable without TLS (USER and PASS, PLAIN, LOGIN, XOAUTH2, OAUTHBEARER). Off
    /// by default.
    pub plaintext_auth_without_tls: bool,
    /// Whether UTF8 is said before the login where it is offered (RFC 6856 §2). Off by default: then the server shows what it
    /// can of a message that needs it, or refuses it.
    pub utf8: bool,
    /// Whether commands are sent without waiting for the replies to those before, where the server offers PIPELINING (RFC 2449
    /// §6.6). On by default. There are servers that offer it and hang up on it (poczta.o2.pl was one: jstedfast/MailKit#174).
    pub pipelining: bool,
    /// Most commands whose replies are outstanding, with PIPELINING; 100 by default, at least 1, at most
    /// [`Client::QUEUE`](super::Client::QUEUE). They are small enough to leave in one write, so that neither side waits for the
    /// other to read.
    pub in_flight: usize,
    /// What is not taken more of.
    pub limits: Limits,
    /// What is let pass.
    pub quirks: Quirks,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

impl ClientConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            tls: TlsPolicy::Opportunistic,
            credentials: None,
            trusted: None,
            mechanisms: MechanismSet::ALL,
            apop: true,
            user_pass: true,
            plaintext_auth_without_tls: false,
            utf8: false,
            pipelining: true,
            in_flight: 100,
            limits: Limits::default(),
            quirks: Quirks::default(),
            timeouts: Timeouts::default(),
        }
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

    /// Sets [`trusted`](Self::trusted).
    #[must_use]
    pub fn with_trusted_login(self, login: TrustedLogin) -> Self {
        Self { trusted: Some(login), ..self }
    }

    /// Sets [`limits`](Self::limits).
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sets [`quirks`](Self::quirks).
    #[must_use]
    pub fn with_quirks(self, quirks: Quirks) -> Self {
        Self { quirks, ..self }
    }

    /// Sets [`timeouts`](Self::timeouts).
    #[must_use]
    pub fn with_timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// The most outstanding replies, within their bounds.
    pub(super) fn window(&self) -> usize {
        self.in_flight.clamp(1, super::Client::QUEUE)
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// What is not taken more of: a server that goes past one of these is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Longest line of a reply or a listing, in bytes with its CRLF. 2048 by default, since servers overrun the 512 bytes of
    /// RFC 1939 §3; from 512 to 16 KiB. Lines of messages have no limit of their own.
    pub reply_line: usize,
    /// Most lines of a listing (LIST, UIDL, LANG). 1,000,000 by default.
    pub listing: u64,
    /// Largest message (RETR, TOP), in bytes as they are lent. 4 GiB by default.
    pub message: u64,
}

impl Limits {
    /// The longest reply line, within its bounds.
    pub(super) fn line(&self) -> usize {
        self.reply_line.clamp(512, 16 * 1024)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { reply_line: 2048, listing: 1_000_000, message: 4 << 30 }
    }
}

/// What servers do wrong and is let pass. All off by default: then it ends the connection.
///
/// The servers and clients named are where it was met; who looks for more finds it there. What every client must take is no
/// quirk: see the [module docs](super#what-servers-may-do).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quirks {
    /// Lines that end with LF alone, in replies, listings and messages: then also LF `.` LF ends a message, and content is lent
    /// with the line ends that it came with. Do not use it with a server that ends lines right: to such a server LF `.` LF is
    /// content, so that whoever writes a message can end it early, and have the rest taken for replies.
    ///
    /// mailtrap.io sends messages so (zetacomponents/Mail#40).
    pub bare_lf: bool,
    /// The end of the connection ends a message or a listing whose last line with its dot has not come, which
    /// [`Event::Unterminated`](super::Event::Unterminated) tells. A connection that broke in the middle looks the same.
    ///
    /// Met behind RETR by ditesh/node-poplib#18.
    pub missing_end: bool,
    /// A status in other letter case, with something else than a space behind it, or `+ERR` for `-ERR`.
    ///
    /// hMailServer answered PASS by `+ERR` (hmailserver/hmailserver#590).
    pub loose_status: bool,
    /// Unique-ids that are empty, are longer than 70 bytes, or hold spaces and other bytes than the 94 of RFC 1939 §7, and several
    /// spaces or tabs before them: told by [`Event::OddUniqueId`](super::Event::OddUniqueId). And a reply to UIDL with a
    /// message's number that does not say the number.
    ///
    /// Ids of 288 bytes: jbostoen/itop-jb-mail-to-ticket-automation-v2#60. Empty ones: greenmail-mail-test/greenmail#58. Three
    /// spaces: thunderbird/thunderbird-android#323. Tabs: Perl's Mail::POP3Client 2.14. No number: twisted/twisted#9104.
    pub odd_unique_ids: bool,
    /// Several spaces or tabs between the numbers of STAT and LIST, and a reply to LIST with a message's number that has the
    /// size alone.
    ///
    /// Tabs: Perl's Mail::POP3Client 2.14. The size alone: twisted/twisted#10542.
    pub odd_listings: bool,
    /// Where the server knows no CAPA, `AUTH` without argument is asked for its mechanisms, one on a line, as servers list them that
    /// are older than RFC 2449; newer ones (Dovecot 2.3) still do. They are used without initial responses, which came with RFC 5034.
    /// Without this quirk, such a server is logged in to by APOP or USER and PASS.
    pub auth_list: bool,
}

impl Quirks {
    /// None.
    pub const NONE: Self = Self {
        bare_lf: false,
        missing_end: false,
        loose_status: false,
        odd_unique_ids: false,
        odd_listings: false,
        auth_list: false,
    };
}

/// How long to wait for what.
///
/// A reply's time begins when its command has left, or when the reply before it has come. An idle connection has no deadline
/// here, but the server has one: it may close after 10 minutes without a command (RFC 1939 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For the greeting, from the start of the connection: 5 minutes.
    pub greeting: Duration,
    /// For each reply up to [`Event::Ready`](super::Event::Ready): 5 minutes. With the last of them the server opens the
    /// maildrop.
    pub login: Duration,
    /// For the first line of the reply to any other command: 5 minutes.
    pub command: Duration,
    /// For the next KiB of a message or a listing, or its end: 3 minutes. The time that the embedder takes for what it was lent
    /// does not count.
    pub transfer: Duration,
    /// For the reply to QUIT: 10 minutes, as the server removes messages in the meantime, and who goes early does not know
    /// which.
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self {
            greeting: 5 * MINUTE,
            login: 5 * MINUTE,
            command: 5 * MINUTE,
            transfer: 3 * MINUTE,
            quit: 10 * MINUTE,
        }
    }
}

//! What a server offers, allows and puts up with. One [`ServerConfig`] serves all connections of a listener.

use super::Language;
use crate::types::{Expire, LoginDelay};
use core::time::Duration;
use mail_wire::ReplyText;
use mail_wire::sasl::{Decoy, MechanismSet};

/// Configuration of a [`Server`](super::Server): built once, shared by all connections.
///
/// ```
/// use pop3_proto::server::ServerConfig;
/// use std::time::Duration;
///
/// let mut config = ServerConfig::new("pop.example.org");
/// config.apop = true;
/// config.timeouts = config.timeouts.with_autologout(Duration::from_secs(30 * 60));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Our name, in the timestamps of APOP and CRAM-MD5. What cannot stand in a domain becomes a hyphen there.
    pub hostname: Box<str>,
    /// What the greeting says.
    pub greeting: ReplyText,
    /// Whether USER and PASS can be used. On by default, under TLS.
    pub user: bool,
    /// Whether the greeting has a timestamp, and APOP can be used. Off by default: it needs passwords that are stored as they
    /// are, and MD5 is broken.
    pub apop: bool,
    /// Whether RPOP is asked about. Off by default: it trusts the client's host and all that is on the way.
    pub rpop: bool,
    /// SASL mechanisms that may be offered (RFC 5034). Those with channel binding only ever are where the transport has
    /// one, EXTERNAL where something below SASL has shown who the client is: its
    /// [certificate](mail_wire::TlsInfo::peer_identity), [the transport](mail_wire::AuthenticatedPeer), or [what the embedder
    /// knows](super::Peer::identity).
    pub mechanisms: MechanismSet,
    /// Whether passwords are taken as they are without TLS: USER and PASS, RPOP, and mechanisms such as PLAIN. Off by default.
    pub plaintext_auth_without_tls: bool,
    /// What a login below the protocol is worth.
    pub transport_login: TransportLogin,
    /// Whether STLS is offered (RFC 2595). Needs a driver that can upgrade; off by default.
    pub stls: bool,
    /// Whether the transport begins with TLS (RFC 8314 §3.3): the first poll asks for the upgrade.
    pub implicit_tls: bool,
    /// Whether each connection begins with a [PROXY protocol header](mail_wire::proxy). Only for listeners that nobody but the proxy
    /// reaches.
    pub proxy_protocol: bool,
    /// Whether replies have response codes (RFC 2449 §8, RFC 3206). On by default.
    pub response_codes: bool,
    /// Whether CAPA tells of PIPELINING (RFC 2449 §6.6). On by default; it works whatever this says.
    pub pipelining: bool,
    /// Whether TOP is known. On by default.
    pub top: bool,
    /// Whether UIDL is known. On by default.
    pub uidl: bool,
    /// What CAPA tells of the time that messages are kept (RFC 2449 §6.7); nothing by default. Removing messages is up to the
    /// embedder.
    pub expire: Option<Expire>,
    /// What CAPA tells of the time between logins (RFC 2449 §6.5); nothing by default. Refusing is up to the embedder.
    pub login_delay: Option<LoginDelay>,
    /// What CAPA tells of who we are (RFC 2449 §6.9); nothing by default.
    pub implementation: Option<ReplyText>,
    /// Whether only those who have logged in are told so.
    pub implementation_after_login: bool,
    /// UTF8 (RFC 6856 §2).
    pub utf8: Utf8,
    /// The languages of LANG (RFC 6856 §3); with none of them the command is not known. English is spoken until another is
    /// chosen; for `*` the first is taken.
    pub languages: Vec<Language>,
    /// Whether command lines may end with LF alone. Off by default.
    pub bare_lf: bool,
    /// How much of everything.
    pub limits: ServerLimits,
    /// How long for everything.
    pub timeouts: ServerTimeouts,
    /// Key from which secrets for unknown users are derived, so that SCRAM, CRAM-MD5 and APOP do not tell which users exist.
    pub decoy: Decoy,
}

impl ServerConfig {
    /// POP3 with USER under TLS, TOP, UIDL and CAPA; no STLS, no AUTH, no APOP.
    pub fn new(hostname: impl Into<Box<str>>) -> Self {
        Self {
            hostname: hostname.into(),
            greeting: ReplyText::from_static("POP3 server ready"),
            user: true,
            apop: false,
            rpop: false,
            mechanisms: MechanismSet::EMPTY,
            plaintext_auth_without_tls: false,
            transport_login: TransportLogin::Ignore,
            stls: false,
            implicit_tls: false,
            proxy_protocol: false,
            response_codes: true,
            pipelining: true,
            top: true,
            uidl: true,
            expire: None,
            login_delay: None,
            implementation: None,
            implementation_after_login: false,
            utf8: Utf8::Off,
            languages: Vec::new(),
            bare_lf: false,
            limits: ServerLimits::default(),
            timeouts: ServerTimeouts::default(),
            decoy: Decoy::new(Vec::new()),
        }
    }
}

/// Whether UTF8 is offered, and how far (RFC 6856 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Utf8 {
    /// Not at all.
    Off,
    /// The UTF8 command: [`Server::is_utf8`](super::Server::is_utf8) then tells that messages may be sent as they are.
    On,
    /// That, and names and passwords may be UTF-8 (RFC 6856 §2.2).
    WithUsers,
}

/// What it is worth that a layer below the protocol, such as Kerberos, has authenticated the client. The layer is told of by
/// [`upgraded`](mail_wire::Connection::upgraded) with [`LayerInfo::Authenticated`](mail_wire::LayerInfo::Authenticated), before the
/// first [`poll`](mail_wire::Connection::poll).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransportLogin {
    /// Nothing by itself; AUTH EXTERNAL can refer to it.
    Ignore,
    /// As KPOP has it: the session begins as any other, and USER with PASS says whose maildrop is wanted, which the embedder
    /// grants or not. The password is not looked at. Without an authenticated client the connection is closed.
    UserPass,
    /// The session begins in TRANSACTION, with the maildrop that the embedder finds for the identity; the greeting comes when it
    /// is open. Without an authenticated client the connection is closed.
    Preauthenticated,
}

macro_rules! settings {
    ($(#[$outer:meta])* $struct:ident {
        $($(#[$doc:meta])* $name:ident / $with:ident: $type:ty = $default:expr, floor $floor:expr;)*
    }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $struct { $($name: $type,)* }

        impl $struct {
            $(
                $(#[$doc])*
                #[doc = concat!("\n\nDefault ", stringify!($default), ", at least ", stringify!($floor), ".")]
                pub const fn $name(&self) -> $type {
                    self.$name
                }

                #[doc = concat!("Sets [`", stringify!($name), "`](Self::", stringify!($name), ").")]
                #[must_use]
                pub fn $with(self, $name: $type) -> Self {
                    Self { $name: $name.max($floor), ..self }
                }
            )*
        }

        impl Default for $struct {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }
    };
}

settings! {
    /// How much of everything. A setter that is given less than the floor sets the floor.
    ServerLimits {
        /// Longest command line in bytes, with CRLF (RFC 2449 §4).
        command_line / with_command_line: usize = 255, floor 255;
        /// Longest AUTH command and SASL response in bytes, with CRLF (RFC 5034 §4).
        auth_line / with_auth_line: usize = 12_288 + 20, floor 12_288;
        /// How many bytes of pipelined commands are taken from the transport ahead of their turn.
        pipelined_bytes / with_pipelined_bytes: usize = 16 << 10, floor 2048;
        /// How many bytes may wait for the client to read them before no more commands are read, and no more of a message is
        /// taken.
        send_bytes / with_send_bytes: usize = 64 << 10, floor 4096;
        /// How many wrong commands end the connection.
        errors / with_errors: u32 = 20, floor 3;
        /// From how many on each further one is answered with a [delay](ServerTimeouts::error_delay).
        soft_errors / with_soft_errors: u32 = 10, floor 1;
        /// How many commands are taken before the login. Further ones count as errors.
        login_commands / with_login_commands: u32 = 100, floor 10;
        /// How many failed logins end the connection.
        auth_failures / with_auth_failures: u32 = 5, floor 1;
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

settings! {
    /// How long for everything. A setter that is given less than the floor sets the floor.
    ServerTimeouts {
        /// For a command line, from the first wait to its end, however it trickles; then the connection is closed and nothing is
        /// removed (RFC 1939 §3).
        autologout / with_autologout: Duration = 10 * MINUTE, floor 10 * MINUTE;
        /// From the greeting to the login, however busy the client is meanwhile; then the connection is closed.
        login / with_login: Duration = 30 * MINUTE, floor 10 * MINUTE;
        /// For the peer to take at least some of what is being sent to it.
        send / with_send: Duration = 10 * MINUTE, floor SECOND;
        /// For a TLS handshake.
        handshake / with_handshake: Duration = MINUTE, floor SECOND;
        /// For the embedder to answer a question, and to go on with a message.
        answer / with_answer: Duration = 10 * MINUTE, floor SECOND;
        /// How long each reply to a wrong command waits, once there were [too many](ServerLimits::soft_errors).
        error_delay / with_error_delay: Duration = SECOND, floor Duration::ZERO;
        /// How long after the attempt the reply to a failed login leaves, doubled with each further failure up to 16 times. If the
        /// embedder needs longer to answer, the reply leaves at the next multiple: so the time tells little of what was looked up.
        auth_failure_delay / with_auth_failure_delay: Duration = SECOND, floor Duration::ZERO;
    }
}

impl ServerLimits {
    /// Room for what may be taken ahead, and for the longest line.
    pub(super) fn receive_buffer(&self) -> usize {
        self.pipelined_bytes.max(self.auth_line).max(self.command_line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_goes_below_what_the_rfcs_ask_for() {
        let limits = ServerLimits::default().with_command_line(1).with_auth_line(1);
        assert_eq!((limits.command_line(), limits.auth_line()), (255, 12_288));
        let timeouts = ServerTimeouts::default().with_autologout(MINUTE);
        assert_eq!(timeouts.autologout(), 10 * MINUTE);
        assert_eq!(timeouts.with_autologout(11 * MINUTE).autologout(), 11 * MINUTE);
    }
}

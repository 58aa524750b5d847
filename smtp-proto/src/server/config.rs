//! What a server offers, allows and puts up with. One [`ServerConfig`] serves all connections of a listener.

use crate::codec::Leniency;
pub use crate::types::Protocol;
use crate::types::{Domain, Limits, Refusal};
use core::time::Duration;
use mail_wire::ReplyText;
use mail_wire::sasl::{Decoy, MechanismSet};

/// Configuration of a [`Server`](super::Server): built once, shared by all connections.
///
/// ```
/// use smtp_proto::server::ServerConfig;
/// use smtp_proto::types::Domain;
///
/// let mut config = ServerConfig::new(Domain::parse("mx.example.org")?);
/// config.extensions.dsn = false;
/// config.limits = config.limits.with_message_size(10 << 20);
/// # Ok::<(), smtp_proto::types::DomainError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Our name, in the greeting and in replies to EHLO.
    pub hostname: Domain,
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// What the greeting says behind the name.
    pub greeting: ReplyText,
    /// What is offered in reply to EHLO.
    pub extensions: Extensions,
    /// SASL mechanisms that may be offered (RFC 4954). Those with channel binding only ever are where the transport has
    /// one, EXTERNAL where something below SASL has shown who the client is: its
    /// [certificate](mail_wire::TlsInfo::peer_identity), or [what the embedder knows](super::Peer::identity).
    pub mechanisms: MechanismSet,
    /// Whether mechanisms that send the password as it is are offered without TLS. Off by default.
    pub plaintext_auth_without_tls: bool,
    /// Whether MAIL, VRFY, EXPN, ETRN need TLS first (RFC 3207 §4).
    pub require_tls: bool,
    /// Whether MAIL needs AUTH first, as for submission (RFC 6409 §4.3).
    pub require_auth: bool,
    /// Whether the transport begins with TLS (RFC 8314 §3.3): the first poll asks for the upgrade.
    pub implicit_tls: bool,
    /// Whether each connection begins with a PROXY protocol header. Only for listeners that nobody but the proxy reaches.
    pub proxy_protocol: bool,
    /// Departures from the grammar that are let pass.
    pub leniency: Leniency,
    /// What becomes of bare CR and bare LF in messages.
    pub bare_newlines: BareNewlines,
    /// What becomes of NUL in messages.
    pub nul: NulPolicy,
    /// What is done with clients that talk before the greeting.
    pub early_talkers: EarlyTalkers,
    /// Whether a client that sends more behind a command that must be the last of its group (RFC 2920 §3.1) is refused.
    /// STARTTLS never lets anything through, whatever this says.
    pub refuse_improper_pipelining: bool,
    /// How much of everything.
    pub limits: ServerLimits,
    /// How long for everything.
    pub timeouts: ServerTimeouts,
    /// Key from which parameters for unknown users are derived, so that SCRAM does not tell which users exist.
    pub decoy: Decoy,
}

impl ServerConfig {
    /// SMTP with all extensions that need nothing from the embedder but to pass them on; no AUTH, no STARTTLS.
    pub fn new(hostname: Domain) -> Self {
        Self {
            hostname,
            protocol: Protocol::Smtp,
            greeting: ReplyText::from_static("ESMTP ready"),
            extensions: Extensions::default(),
            mechanisms: MechanismSet::EMPTY,
            plaintext_auth_without_tls: false,
            require_tls: false,
            require_auth: false,
            implicit_tls: false,
            proxy_protocol: false,
            leniency: Leniency::STRICT,
            bare_newlines: BareNewlines::Reject,
            nul: NulPolicy::Reject,
            early_talkers: EarlyTalkers::Tolerate,
            refuse_improper_pipelining: false,
            limits: ServerLimits::default(),
            timeouts: ServerTimeouts::default(),
            decoy: Decoy::new(Vec::new()),
        }
    }
}

/// The extensions that are offered in reply to EHLO. A parameter of one that is not offered is refused with 555.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extensions {
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// 8BITMIME (RFC 6152).
    pub eight_bit_mime: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// CHUNKING (RFC 3030).
    pub chunking: bool,
    /// BINARYMIME (RFC 3030); needs CHUNKING, and a store that keeps every byte as it came. Off by default.
    pub binary_mime: bool,
    /// STARTTLS (RFC 3207). Needs a driver that can upgrade; off by default.
    pub starttls: bool,
    /// ENHANCEDSTATUSCODES (RFC 2034).
    pub enhanced_status_codes: bool,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// DELIVERBY (RFC 2852) with the least time that `BY=…;R` may name, in seconds. Off by default.
    pub deliver_by: Option<u32>,
    /// FUTURERELEASE (RFC 4865) with the longest time that a message may be held, in seconds. Off by default.
    pub future_release: Option<u32>,
    /// MT-PRIORITY (RFC 6710). Off by default.
    pub mt_priority: bool,
    /// REQUIRETLS (RFC 8689); offered only under TLS. Off by default.
    pub requiretls: bool,
    /// RRVS (RFC 7293). Off by default.
    pub rrvs: bool,
    /// LIMITS (RFC 9422), kept as well as announced. None by default.
    pub limits: Limits,
    /// VRFY asks the embedder; without it the answer is 252 (RFC 5321 §7.3). Off by default.
    pub vrfy: bool,
    /// EXPN asks the embedder. Off by default.
    pub expn: bool,
    /// ETRN (RFC 1985) asks the embedder. Off by default.
    pub etrn: bool,
    /// ATRN (RFC 2645) asks the embedder, after AUTH. Off by default.
    pub atrn: bool,
    /// XCLIENT and XFORWARD, for [trusted](super::Peer::trusted) peers.
    pub xclient: bool,
    /// Lines that the embedder adds to the EHLO reply.
    pub other: Vec<ReplyText>,
    /// Parameters of MAIL and RCPT that the embedder understands, by keyword in upper case.
    pub other_parameters: Vec<Box<str>>,
}

impl Default for Extensions {
    fn default() -> Self {
        Self {
            pipelining: true,
            eight_bit_mime: true,
            smtputf8: true,
            chunking: true,
            binary_mime: false,
            starttls: false,
            enhanced_status_codes: true,
            dsn: true,
            deliver_by: None,
            future_release: None,
            mt_priority: false,
            requiretls: false,
            rrvs: false,
            limits: Limits::NONE,
            vrfy: false,
            expn: false,
            etrn: false,
            atrn: false,
            xclient: false,
            other: Vec::new(),
            other_parameters: Vec::new(),
        }
    }
}

/// What becomes of a CR without LF, or an LF without CR, inside a message. Neither ever ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BareNewlines {
    /// The message is refused at its end: 550 5.6.11.
    Reject,
    /// A bare LF becomes CRLF, a bare CR a space.
    Repair,
    /// They are passed on as they are. Whoever writes the message out again must deal with them.
    Keep,
}

/// What becomes of NUL inside a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NulPolicy {
    /// The message is refused at its end: 550 5.6.0.
    Reject,
    /// It is dropped.
    Strip,
    /// It is passed on.
    Keep,
}

/// What is done with a client that sends something before it was greeted, which no client that follows RFC 5321 §3.1
/// does, and many that send spam do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EarlyTalkers {
    /// Nothing.
    Tolerate,
    /// The greeting waits so long; a client that talks meanwhile gets 554 5.5.0 in its place.
    Refuse {
        /// How long the greeting waits.
        wait: Duration,
    },
}

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident / $with:ident: $type:ty = $default:expr, floor $floor:expr;)*) => {
        /// How much of everything. What RFC 5321 §4.5.3.1 says a server must take is the floor of each: a setter that is
        /// given less sets the floor.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct ServerLimits { $($name: $type,)* }

        impl ServerLimits {
            $(
                $(#[$doc])*
                #[doc = concat!("\n\nDefault ", stringify!($default), ", at least ", stringify!($floor), ".")]
                pub const fn $name(&self) -> $type {
                    self.$name
                }

                #[doc = concat!("Sets [`", stringify!($name), "`](Self::", stringify!($name), ").")]
                #[must_use]
                pub const fn $with(self, $name: $type) -> Self {
                    let floor: $type = $floor;
                    Self { $name: if $name < floor { floor } else { $name }, ..self }
                }
            )*
        }

        impl Default for ServerLimits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }
    };
}

limits! {
    /// Longest command line in bytes, with CRLF.
    command_line / with_command_line: usize = 2048, floor 512;
    /// Longest AUTH command and SASL response in bytes, with CRLF (RFC 4954 §4).
    auth_line / with_auth_line: usize = 12_288 + 20, floor 12_288;
    /// Most recipients of a transaction; the next gets 452 4.5.3.
    recipients / with_recipients: usize = 1000, floor 100;
    /// Largest message in bytes, announced by SIZE.
    message_size / with_message_size: u64 = 50 << 20, floor 64 << 10;
    /// How many bytes of a message that is refused already are read and dropped before the connection is closed
    /// instead.
    refused_bytes / with_refused_bytes: u64 = 64 << 20, floor 0;
    /// How many bytes of pipelined commands or of a message are taken from the transport ahead of their turn.
    pipelined_bytes / with_pipelined_bytes: usize = 64 << 10, floor 16 << 10;
    /// How many wrong commands and refused recipients end the connection.
    errors / with_errors: u32 = 20, floor 3;
    /// From how many on each further one is answered with a [delay](ServerTimeouts::error_delay).
    soft_errors / with_soft_errors: u32 = 10, floor 1;
    /// How many commands that do nothing for mail are taken without a message between: NOOP, RSET, VRFY, EXPN, HELP,
    /// ETRN, a further EHLO, an empty chunk. Further ones count as errors.
    junk_commands / with_junk_commands: u32 = 100, floor 10;
    /// How many failed AUTH commands end the connection.
    auth_failures / with_auth_failures: u32 = 5, floor 1;
}

/// How long for everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerTimeouts {
    /// For a command line, from the first wait to its end, however it trickles: 5 minutes (RFC 5321 §4.5.3.2.7).
    pub command: Duration,
    /// Between two blocks of a message: 5 minutes (RFC 5321 §4.5.3.2.7; a client waits 3 minutes at the most).
    pub data_block: Duration,
    /// Least rate of a message, in bytes a second, judged at the end of each [`rate_window`](Self::rate_window),
    /// unless the embedder holds the message up then. 20 by default; 0 for none.
    pub data_rate: u32,
    /// See [`data_rate`](Self::data_rate). 10 minutes, well over [`data_block`](Self::data_block), since a client may
    /// be slow to begin.
    pub rate_window: Duration,
    /// For the peer to take at least some of what is being sent to it: 5 minutes.
    pub send: Duration,
    /// For the embedder to answer a question: 10 minutes, the time that a client waits for its final reply (RFC 5321
    /// §4.5.3.2.6).
    pub answer: Duration,
    /// How long each reply to a wrong command waits, once there were [too many](ServerLimits::soft_errors): 1 second.
    pub error_delay: Duration,
    /// How long the reply to a failed AUTH waits: 1 second, doubled with each further failure up to 16.
    pub auth_failure_delay: Duration,
}

impl Default for ServerTimeouts {
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self {
            command: 5 * MINUTE,
            data_block: 5 * MINUTE,
            data_rate: 20,
            rate_window: 10 * MINUTE,
            send: 5 * MINUTE,
            answer: 10 * MINUTE,
            error_delay: Duration::from_secs(1),
            auth_failure_delay: Duration::from_secs(1),
        }
    }
}

impl ServerLimits {
    /// Room for what may be taken ahead, and for the longest line.
    pub(super) fn receive_buffer(&self) -> usize {
        self.pipelined_bytes.max(self.auth_line).max(self.command_line)
    }
}

pub(super) const BARE_NEWLINE: Refusal =
    Refusal::from_static(550, (5, 6, 11), "message has a bare CR or bare LF, send CRLF line endings");
pub(super) const NUL_IN_MESSAGE: Refusal =
    Refusal::from_static(550, (5, 6, 0), "message has a NUL character");
pub(super) const TOO_LARGE: Refusal =
    Refusal::from_static(552, (5, 3, 4), "message size exceeds the fixed limit of this server");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_goes_below_what_the_rfc_asks_for() {
        let limits = ServerLimits::default().with_command_line(1).with_recipients(1).with_message_size(1);
        assert_eq!((limits.command_line(), limits.recipients(), limits.message_size()), (512, 100, 65536));
        assert_eq!(limits.with_recipients(101).recipients(), 101);
    }
}

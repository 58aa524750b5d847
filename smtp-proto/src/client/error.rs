//! What can go wrong: [`ClientError`] ends a connection, [`SendError`] and [`BodyError`] refuse a call.

use crate::codec::ReplyError;
use crate::types::{Reply, Verb};
use core::fmt;
use core::time::Duration;
use mail_wire::dot::NewlineError;
use mail_wire::line::Flaw;
use mail_wire::sasl::{self, ChooseError, Mechanism, TokenError};

/// What a client is waiting for, or was when something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// TLS from the first byte.
    Connect,
    /// The greeting.
    Greeting,
    /// The reply to EHLO, HELO or LHLO.
    Hello,
    /// The reply to STARTTLS.
    StartTls,
    /// A reply in an AUTH exchange.
    Auth,
    /// Nothing: there is no transaction.
    Idle,
    /// The reply to MAIL.
    Mail,
    /// The reply to RCPT.
    Rcpt,
    /// The reply to DATA.
    Data,
    /// The message, on its way.
    Body,
    /// The reply to the whole message.
    Message,
    /// The reply to another command.
    Command(Verb),
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Connect => "TLS",
            Stage::Greeting => "the greeting",
            Stage::Hello => "the reply to EHLO",
            Stage::StartTls => "the reply to STARTTLS",
            Stage::Auth => "the reply to AUTH",
            Stage::Idle => "the next command",
            Stage::Mail => "the reply to MAIL",
            Stage::Rcpt => "the reply to RCPT",
            Stage::Data => "the reply to DATA",
            Stage::Body => "the server to take the message",
            Stage::Message => "the reply to the message",
            Stage::Command(verb) => return write!(f, "the reply to {verb}"),
        })
    }
}

/// Why a connection ended, by whose fault it is. Replies are shown with control characters escaped; credentials never
/// stand in an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server's: a line that is no reply.
    #[error("waiting for {stage}: {error}")]
    Malformed {
        /// What was waited for.
        stage: Stage,
        /// What is wrong with the line.
        error: ReplyError,
    },
    /// The server's: a reply line with a bare CR, a bare LF or a NUL.
    #[error("waiting for {stage}: expected a line ended by CRLF, found a {}", flaw.name())]
    Flaw {
        /// What was waited for.
        stage: Stage,
        /// What was found.
        flaw: Flaw,
    },
    /// The server's: a reply line over the limit.
    #[error("waiting for {stage}: expected a reply line of at most {limit} bytes")]
    LineTooLong {
        /// What was waited for.
        stage: Stage,
        /// The limit, in bytes with CRLF.
        limit: usize,
    },
    /// The server's: a reply code that makes no sense there.
    #[error("waiting for {stage}: found an unexpected reply: {reply}")]
    UnexpectedReply {
        /// What was waited for.
        stage: Stage,
        /// The reply.
        reply: Reply,
    },
    /// The server's, or somebody's in between: a reply to no command.
    #[error("waiting for {stage}: found a reply that no command asked for")]
    Unsolicited {
        /// What was waited for.
        stage: Stage,
    },
    /// Somebody's in between: plain text behind the reply to STARTTLS (RFC 3207 §5; CVE-2011-0411 and its kin).
    #[error("expected TLS behind the reply to STARTTLS, found injected plain text")]
    Injected,
    /// The server's: it refused the message while that was still being sent, and cannot be in step any more.
    #[error("expected no reply before the end of the message, found: {reply}")]
    EarlyReply {
        /// The reply.
        reply: Reply,
    },

    /// The server refuses us: its greeting or the reply to EHLO or STARTTLS is negative.
    #[error("refused in {stage}: {reply}")]
    Refused {
        /// Where.
        stage: Stage,
        /// The reply.
        reply: Reply,
    },
    /// The server refuses the credentials.
    #[error("authentication by {mechanism} refused: {reply}")]
    AuthRefused {
        /// The mechanism that was tried last.
        mechanism: Mechanism,
        /// The reply.
        reply: Reply,
        /// What the server says of the token (OAUTHBEARER, XOAUTH2).
        token_error: Option<Box<TokenError>>,
    },
    /// The server goes down: 421, which may come at any time (RFC 5321 §3.8).
    #[error("the server closes the connection instead of sending {stage}: {reply}")]
    Shutdown {
        /// What was waited for.
        stage: Stage,
        /// The reply.
        reply: Reply,
    },
    /// The server closed an idle connection, by 421 or without a word. Nothing is lost: connect anew.
    #[error("the server closed the idle connection{}", Shown(.reply))]
    IdleClosed {
        /// The 421, where there was one.
        reply: Option<Reply>,
    },

    /// The policy's: TLS is required and not offered.
    #[error("expected the server to offer STARTTLS, which is required, found no such offer")]
    TlsNotOffered,
    /// The policy's: none of the mechanisms offered may be used with the credentials.
    #[error("cannot log in: {0}")]
    NoMechanism(ChooseError),
    /// The server's, mostly: the exchange went wrong. It may be an impostor that does not know the password.
    #[error("authentication by {mechanism} failed: {error}")]
    Sasl {
        /// The mechanism.
        mechanism: Mechanism,
        /// What happened.
        error: sasl::ClientError,
    },

    /// The network's: the connection was lost. The message, if there was one, was not accepted.
    #[error("the connection was lost waiting for {stage}")]
    Lost {
        /// What was waited for.
        stage: Stage,
    },
    /// The server's or the network's: time is up. The message, if there was one, was not accepted.
    #[error("expected {stage} within {after:?}")]
    Timeout {
        /// What was waited for.
        stage: Stage,
        /// How long.
        after: Duration,
    },
    /// The whole message was sent, but no reply came: it may have been accepted or not (RFC 5321 §4.5.3.2.6). Sending
    /// it again may deliver it twice.
    #[error("the message may or may not have been accepted: {cause}")]
    Uncertain {
        /// What came in place of the reply.
        cause: Box<ClientError>,
    },

    /// Ours: [`Client::abort`](super::Client::abort) in the middle of a message.
    #[error("the message was broken off on this side")]
    Aborted,
}

/// The reply behind a colon, or nothing.
struct Shown<'a>(&'a Option<Reply>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |reply| write!(f, ": {reply}"))
    }
}

impl ClientError {
    /// Whether the same may succeed with another connection or at another time: the network failed, or the server
    /// refused for the time being. Not whether it is safe: see [`ClientError::Uncertain`].
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Refused { reply, .. } | Self::AuthRefused { reply, .. } | Self::EarlyReply { reply } => {
                reply.code().is_temporary()
            }
            Self::Shutdown { .. } | Self::IdleClosed { .. } | Self::Lost { .. } | Self::Timeout { .. } => {
                true
            }
            Self::Uncertain { cause } => cause.is_temporary(),
            _ => false,
        }
    }

    /// The reply that ended the connection, where there was one.
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Self::UnexpectedReply { reply, .. }
            | Self::EarlyReply { reply }
            | Self::Refused { reply, .. }
            | Self::AuthRefused { reply, .. }
            | Self::Shutdown { reply, .. } => Some(reply),
            Self::IdleClosed { reply } => reply.as_ref(),
            Self::Uncertain { cause } => cause.reply(),
            _ => None,
        }
    }
}

/// Why a transaction or command is not begun. Nothing was sent, and the connection is as good as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Ours: the client is not [idle](super::Client::is_idle), or [cannot send](super::Client::can_send).
    #[error("expected an idle connection")]
    Busy,
    /// Ours: a transaction without recipients.
    #[error("expected at least one recipient")]
    NoRecipients,
    /// The server has not offered the extension that this needs.
    #[error("the server does not offer {extension}, needed for {purpose}")]
    NotOffered {
        /// The EHLO keyword.
        extension: &'static str,
        /// What for.
        purpose: &'static str,
    },
    /// The message is larger than the server takes (RFC 1870 §6).
    #[error("the message has {size} bytes, the server takes {limit}")]
    TooLarge {
        /// Size of the message in bytes.
        size: u64,
        /// The server's limit in bytes.
        limit: u64,
    },
    /// More recipients than the server takes in one transaction (RFC 9422, RCPTMAX): split them.
    #[error("{recipients} recipients, the server takes {limit} in a transaction")]
    TooManyRecipients {
        /// How many there are.
        recipients: usize,
        /// The server's limit.
        limit: u32,
    },
    /// As many transactions as the server takes in one session have been done (RFC 9422, MAILMAX): connect anew.
    #[error("the server takes {limit} messages in a session: reconnect")]
    SessionSpent {
        /// The server's limit.
        limit: u32,
    },
    /// More recipient domains than the server takes in one session (RFC 9422, RCPTDOMAINMAX): connect anew, or split
    /// the recipients.
    #[error("the server takes {limit} recipient domains in a session: reconnect, or send to fewer")]
    TooManyDomains {
        /// The server's limit.
        limit: u32,
    },
    /// `BY=…;R` names less time than the server can promise (RFC 2852 §4).
    #[error("delivery within {seconds} s demanded, the server promises no less than {least} s")]
    TooSoon {
        /// The time demanded, in seconds.
        seconds: i32,
        /// The least that the server takes.
        least: u32,
    },
    /// `HOLDFOR` names more time than the server holds messages (RFC 4865).
    #[error("a hold of {seconds} s demanded, the server holds messages for {most} s")]
    TooLate {
        /// The time demanded, in seconds.
        seconds: u32,
        /// The most that the server takes.
        most: u32,
    },
    /// REQUIRETLS needs a connection under TLS (RFC 8689 §2).
    #[error("REQUIRETLS demanded on a connection without TLS")]
    RequireTlsInClear,
}

impl SendError {
    /// Whether a fresh connection to the same server would take the same.
    pub fn needs_reconnect(&self) -> bool {
        matches!(self, Self::SessionSpent { .. } | Self::TooManyDomains { .. })
    }
}

/// Why bytes of a message are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// Ours: no message is being sent. [`Event::Body`](super::Event::Body) says when; a refusal may have ended it.
    #[error("expected a transaction that waits for its message")]
    NotNow,
    /// Ours: a bare CR or LF, with [`Newlines::Strict`](mail_wire::dot::Newlines::Strict). The message cannot be
    /// completed: [`abort`](super::Client::abort).
    #[error(transparent)]
    Newline(#[from] NewlineError),
    /// Ours: a byte beyond ASCII in a message that was declared [7BIT](crate::types::Body::SevenBit), or not declared
    /// [8BITMIME](crate::types::Body::EightBitMime) to a server that does not offer that. The message cannot be
    /// completed: [`abort`](super::Client::abort). To know before anything is sent, look through the message first and
    /// declare what is in it.
    #[error("expected a message of 7-bit bytes, found another at byte {at} of the message")]
    EightBit {
        /// Where, in bytes from the start of the message.
        at: u64,
    },
}

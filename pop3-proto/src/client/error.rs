//! What can go wrong: [`ClientError`] ends a connection, [`SubmitError`] refuses a call, [`RefusalKind`] sorts `-ERR`.

use super::LoginMethod;
use crate::codec::ReplyError;
use crate::types::{MessageNumber, Reply, ResponseCode, Verb};
use core::fmt;
use core::time::Duration;
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
    /// The reply to STLS.
    Stls,
    /// A reply in the course of the login.
    Login,
    /// Nothing: no command is under way.
    Idle,
    /// The first line of the reply to a command.
    Command(Verb),
    /// The rest of a listing.
    Listing(Verb),
    /// The rest of a message.
    Message(MessageNumber),
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Connect => "TLS",
            Stage::Greeting => "the greeting",
            Stage::Stls => "the reply to STLS",
            Stage::Login => "the reply to the login",
            Stage::Idle => "the next command",
            Stage::Command(verb) => return write!(f, "the reply to {verb}"),
            Stage::Listing(verb) => return write!(f, "the lines of {verb}"),
            Stage::Message(number) => return write!(f, "message {number}"),
        })
    }
}

/// Why a connection ended, by whose fault it is. Replies are shown with control characters escaped; credentials and message
/// text never stand in an error.
///
/// Unless [`deletions`](Self::deletions) says otherwise, no message was removed: that is for QUIT alone (RFC 1939 §6).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server's: a line that is not what it should be.
    #[error("waiting for {stage}: {error}")]
    Malformed {
        /// What was waited for.
        stage: Stage,
        /// What is wrong with the line.
        error: ReplyError,
    },
    /// The server's: what it greets with is no POP3. Another service may be listening there.
    #[error("waiting for the greeting: expected +OK or -ERR, found \"{greeting}\"")]
    NotPop3 {
        /// The greeting, escaped; cut after 60 bytes.
        greeting: Box<str>,
    },
    /// The server's: a line of a reply or a listing with a bare CR, a bare LF or a NUL.
    #[error("waiting for {stage}: expected a line ended by CRLF, found a {}", flaw.name())]
    Flaw {
        /// What was waited for.
        stage: Stage,
        /// What was found.
        flaw: Flaw,
    },
    /// The server's: a line of a reply or a listing over the limit.
    #[error("waiting for {stage}: expected a line of at most {limit} bytes")]
    LineTooLong {
        /// What was waited for.
        stage: Stage,
        /// The limit, in bytes with CRLF.
        limit: usize,
    },
    /// The server's: a listing over the [limit](super::Limits::listing).
    #[error("expected at most {limit} lines of {verb}")]
    ListingTooLong {
        /// The command.
        verb: Verb,
        /// The limit, in lines.
        limit: u64,
    },
    /// The server's, or too large for us: a message over the [limit](super::Limits::message).
    #[error("expected message {number} to have at most {limit} bytes")]
    MessageTooLarge {
        /// Which message.
        number: MessageNumber,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The server's, or somebody's in between: a reply to no command.
    #[error("waiting for {stage}: found a reply that no command asked for")]
    Unsolicited {
        /// What was waited for.
        stage: Stage,
    },
    /// The server's: a challenge outside of an AUTH exchange.
    #[error("waiting for {stage}: found a challenge where no exchange is under way")]
    UnexpectedChallenge {
        /// What was waited for.
        stage: Stage,
    },
    /// Somebody's in between: plain text behind the reply to STLS (RFC 2595 §4; CVE-2011-0411 and its kin).
    #[error("expected TLS behind the reply to STLS, found injected plain text")]
    Injected,

    /// The server refuses us: its greeting or the reply to STLS is negative.
    #[error("refused in {stage}: {reply}")]
    Refused {
        /// Where.
        stage: Stage,
        /// The reply.
        reply: Reply,
    },
    /// The server refuses the login. [`RefusalKind::of`] sorts out whether the credentials are at fault.
    #[error("login by {method} refused: {reply}")]
    LoginRefused {
        /// What was tried last.
        method: LoginMethod,
        /// The reply.
        reply: Reply,
        /// What the server says of the token (OAUTHBEARER, XOAUTH2).
        token_error: Option<Box<TokenError>>,
    },
    /// The server closed an idle connection, as it may after 10 minutes (RFC 1939 §3). Messages that were marked as deleted are
    /// still there: connect anew.
    #[error("the server closed the idle connection{}", Shown(.reply))]
    IdleClosed {
        /// What it said, if it did.
        reply: Option<Reply>,
    },
    /// The server could not remove all the messages that were marked as deleted: it answered QUIT by `-ERR` (RFC 1939 §6).
    #[error("not all deleted messages were removed: {reply}")]
    NotRemoved {
        /// The reply.
        reply: Reply,
    },

    /// The policy's: TLS is required and not offered.
    #[error("expected the server to offer STLS, which is required, found no such offer")]
    TlsNotOffered,
    /// The policy's: none of the ways to log in that are offered can be used with the credentials.
    #[error("cannot log in: {0}")]
    NoMechanism(ChooseError),
    /// The policy's: all the ways to log in that are left show the password or token, and there is no TLS.
    #[error("cannot log in: expected TLS, or a way that does not show the password")]
    PlaintextForbidden,
    /// The driver's: [`TrustedLogin::Kpop`](super::TrustedLogin::Kpop) without a layer that proved who we are.
    #[error("expected a layer that proves who we are, as KPOP needs, found none")]
    NotProved,
    /// The server's, mostly: the exchange went wrong. It may be an impostor that does not know the password.
    #[error("authentication by {mechanism} failed: {error}")]
    Sasl {
        /// The mechanism.
        mechanism: Mechanism,
        /// What happened.
        error: sasl::ClientError,
    },

    /// The network's: the connection was lost.
    #[error("the connection was lost waiting for {stage}")]
    Lost {
        /// What was waited for.
        stage: Stage,
    },
    /// The server's or the network's: time is up.
    #[error("expected {stage} within {after:?}")]
    Timeout {
        /// What was waited for.
        stage: Stage,
        /// How long.
        after: Duration,
    },
    /// QUIT was sent after messages were marked as deleted, but no reply came: they may have been removed or not. The unique-ids
    /// of the next session tell.
    #[error("the deleted messages may or may not have been removed: {cause}")]
    Uncertain {
        /// What came in place of the reply.
        cause: Box<ClientError>,
    },
}

/// What became of the messages that were marked as deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deletions {
    /// All are still there.
    None,
    /// Some were removed, or none.
    Partial,
    /// Nobody on this side knows.
    Uncertain,
}

/// The reply behind a colon, or nothing.
struct Shown<'a>(&'a Option<Reply>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |reply| write!(f, ": {reply}"))
    }
}

impl ClientError {
    /// Whether the same may succeed at another time: the network failed, or the server refused for the time being.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Refused { reply, .. } | Self::LoginRefused { reply, .. } | Self::NotRemoved { reply } => {
                RefusalKind::of(reply).is_temporary()
            }
            Self::IdleClosed { .. } | Self::Lost { .. } | Self::Timeout { .. } => true,
            Self::Uncertain { cause } => cause.is_temporary(),
            _ => false,
        }
    }

    /// What became of the messages that were marked as deleted in this session.
    pub fn deletions(&self) -> Deletions {
        match self {
            Self::NotRemoved { .. } => Deletions::Partial,
            Self::Uncertain { .. } => Deletions::Uncertain,
            _ => Deletions::None,
        }
    }

    /// The reply that ended the connection, where there was one.
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Refused { reply, .. } | Self::LoginRefused { reply, .. } | Self::NotRemoved { reply } => {
                Some(reply)
            }
            Self::IdleClosed { reply } => reply.as_ref(),
            Self::Uncertain { cause } => cause.reply(),
            _ => None,
        }
    }
}

/// What is known of the reason for a `-ERR`, by its response code (RFC 2449 §8, RFC 3206, RFC 6856 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalKind {
    /// `[IN-USE]`: another session has the maildrop. Try again soon.
    InUse,
    /// `[LOGIN-DELAY]`: the last login was too short a time ago. Try again when it has passed.
    LoginDelay,
    /// `[SYS/TEMP]`: a fault of the server that is likely to pass.
    Temporary,
    /// `[SYS/PERM]`: a fault of the server that somebody must look after. Trying again is of no use.
    Permanent,
    /// `[AUTH]`: the credentials are wrong. Ask the user for others before the next try.
    Credentials,
    /// `[UTF8]`: the message needs [UTF8](super::ClientConfig::utf8).
    NeedsUtf8,
    /// No code that says. Of a login it may be the password or anything else.
    Unknown,
}

impl RefusalKind {
    /// What is known of this reply.
    ///
    /// ```
    /// use pop3_proto::client::RefusalKind;
    /// use pop3_proto::codec::ReplyLine;
    ///
    /// let reply = ReplyLine::parse(b"-ERR [IN-USE] Do you have another session running?")?.to_reply().unwrap();
    /// assert_eq!(RefusalKind::of(&reply), RefusalKind::InUse);
    /// assert!(RefusalKind::of(&reply).is_temporary());
    /// # Ok::<(), pop3_proto::codec::ReplyError>(())
    /// ```
    pub fn of(reply: &Reply) -> Self {
        let kinds = [
            (ResponseCode::InUse, Self::InUse),
            (ResponseCode::LoginDelay, Self::LoginDelay),
            (ResponseCode::SysTemp, Self::Temporary),
            (ResponseCode::SysPerm, Self::Permanent),
            (ResponseCode::Auth, Self::Credentials),
            (ResponseCode::Utf8, Self::NeedsUtf8),
        ];
        kinds.into_iter().find(|(code, _)| reply.is_within(code)).map_or(Self::Unknown, |(_, kind)| kind)
    }

    /// Whether the same may succeed later.
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::InUse | Self::LoginDelay | Self::Temporary)
    }
}

/// Why a command is not taken. Nothing was sent, and the connection is as good as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// Ours: the client is not ready yet, is about to quit, or is closed.
    #[error("expected a connection that is ready")]
    NotReady,
    /// Ours: as many commands wait as may: go on after the next that is done.
    #[error("expected at most {limit} commands to wait")]
    Full {
        /// The limit.
        limit: usize,
    },
    /// Ours: the client has not logged in, as there was nothing to log in with.
    #[error("expected a login before {verb}")]
    NotLoggedIn {
        /// The command.
        verb: Verb,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::ReplyLine;

    fn reply(line: &str) -> Reply {
        ReplyLine::parse(line.as_bytes()).unwrap().to_reply().unwrap()
    }

    #[test]
    fn a_refusal_says_whether_to_try_again() {
        for (line, kind, temporary) in [
            ("-ERR [IN-USE] x", RefusalKind::InUse, true),
            ("-ERR [in-use/a] x", RefusalKind::InUse, true),
            ("-ERR [LOGIN-DELAY] x", RefusalKind::LoginDelay, true),
            ("-ERR [SYS/TEMP] x", RefusalKind::Temporary, true),
            ("-ERR [SYS/TEMP/DISK] x", RefusalKind::Temporary, true),
            ("-ERR [SYS/PERM] x", RefusalKind::Permanent, false),
            ("-ERR [SYS] x", RefusalKind::Unknown, false),
            ("-ERR [AUTH] x", RefusalKind::Credentials, false),
            ("-ERR [UTF8] x", RefusalKind::NeedsUtf8, false),
            ("-ERR x", RefusalKind::Unknown, false),
        ] {
            assert_eq!(RefusalKind::of(&reply(line)), kind, "{line}");
            let error = ClientError::LoginRefused {
                method: LoginMethod::UserPass,
                reply: reply(line),
                token_error: None,
            };
            assert_eq!(error.is_temporary(), temporary, "{line}");
            assert_eq!(error.deletions(), Deletions::None);
        }
    }

    #[test]
    fn only_a_quit_without_its_reply_leaves_deletions_open() {
        let lost = ClientError::Lost { stage: Stage::Command(Verb::Quit) };
        assert_eq!(lost.deletions(), Deletions::None);
        let uncertain = ClientError::Uncertain { cause: Box::new(lost) };
        assert_eq!(uncertain.deletions(), Deletions::Uncertain);
        assert!(uncertain.is_temporary());
        assert_eq!(
            ClientError::NotRemoved { reply: reply("-ERR [SYS/TEMP] x") }.deletions(),
            Deletions::Partial
        );
    }
}

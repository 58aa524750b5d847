//! What a client is asked to do, and what it tells its embedder.

use crate::types::{
    Command, DropListing, LanguageListing, LanguageRange, MessageNumber, Reply, ScanListing, UniqueIdListing,
    Verb,
};
use core::fmt;

/// What can be [submitted](super::Client::submit).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// STAT: how many messages, how many octets. Gives [`Event::Stat`].
    Stat,
    /// LIST: the size of one message or of all. Gives [`Event::Listed`] for each.
    List(Option<MessageNumber>),
    /// UIDL: the unique-id of one message or of all. Gives [`Event::UniqueId`] for each.
    Uidl(Option<MessageNumber>),
    /// RETR: the whole message. Gives [`Event::Message`] and [`Event::Body`].
    Retr(MessageNumber),
    /// TOP: the header and so many lines of the body. Gives [`Event::Message`] and [`Event::Body`].
    Top {
        /// Which message.
        number: MessageNumber,
        /// How many lines of its body.
        lines: u64,
    },
    /// DELE: marks a message as deleted. It is removed by [`quit`](super::Client::quit).
    Dele(MessageNumber),
    /// RSET: takes all such marks back.
    Rset,
    /// NOOP: does nothing, and keeps the server from closing the connection.
    Noop,
    /// LANG: the language of the texts of replies, or, without a range, which there are (RFC 6856 §3). Gives
    /// [`Event::Language`] for each.
    Lang(Option<LanguageRange>),
    /// CAPA: asks anew for the [capabilities](super::Client::capabilities).
    Capa,
}

impl Request {
    /// Its verb.
    pub fn verb(&self) -> Verb {
        self.command().verb()
    }

    pub(super) fn command(&self) -> Command {
        match self {
            Self::Stat => Command::Stat,
            Self::List(number) => Command::List(*number),
            Self::Uidl(number) => Command::Uidl(*number),
            Self::Retr(number) => Command::Retr(*number),
            Self::Top { number, lines } => Command::Top { number: *number, lines: *lines },
            Self::Dele(number) => Command::Dele(*number),
            Self::Rset => Command::Rset,
            Self::Noop => Command::Noop,
            Self::Lang(range) => Command::Lang(range.clone()),
            Self::Capa => Command::Capa,
        }
    }

    /// Whether others may stand before and behind it in a group.
    pub(super) fn pipelines(&self) -> bool {
        !matches!(self, Self::Lang(_) | Self::Capa)
    }

    /// Whether it makes sense before the login.
    pub(super) fn needs_no_login(&self) -> bool {
        matches!(self, Self::Lang(_) | Self::Capa)
    }
}

/// Which command an event is about: they count up from the first that was [submitted](super::Client::submit).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub(super) u64);

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What happened on a connection.
///
/// Of each command that was submitted, exactly one of [`Done`](Event::Done), [`Refused`](Event::Refused) and
/// [`Unterminated`](Event::Unterminated) is told, in the order of the commands and behind all other events of the same command,
/// unless the connection ends before.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// TLS was wanted if possible, and is not: STLS is not offered, or refused by this reply. What follows goes in the clear.
    /// Comes before [`Event::Ready`].
    Unencrypted {
        /// The refusal; `None` where STLS was not offered.
        refusal: Option<Reply>,
    },
    /// Greeted, encrypted and logged in as configured: [`Client::submit`](super::Client::submit) may be called.
    Ready,
    /// The reply to STAT.
    Stat {
        /// Which command.
        id: CommandId,
        /// What it said. The size is what the server believes; nothing here relies on it.
        listing: DropListing,
    },
    /// A message and its size (LIST).
    Listed {
        /// Which command.
        id: CommandId,
        /// What was said. The size is what the server believes; nothing here relies on it.
        listing: ScanListing,
    },
    /// A message and its unique-id (UIDL).
    UniqueId {
        /// Which command.
        id: CommandId,
        /// What was said.
        listing: UniqueIdListing,
    },
    /// A message and a unique-id that is none by RFC 1939 (UIDL), with
    /// [`Quirks::odd_unique_ids`](super::Quirks::odd_unique_ids).
    OddUniqueId {
        /// Which command.
        id: CommandId,
        /// Which message.
        number: MessageNumber,
        /// What was said in place of the unique-id, as it was sent; perhaps nothing.
        text: Box<[u8]>,
    },
    /// A language (LANG).
    Language {
        /// Which command.
        id: CommandId,
        /// What was said.
        listing: LanguageListing,
    },
    /// A message is about to come (RETR, TOP). [`Event::Body`] follows, unless the message is empty.
    Message {
        /// Which command.
        id: CommandId,
        /// Which message.
        number: MessageNumber,
    },
    /// [`Client::body`](super::Client::body) has bytes of the message, to be taken by
    /// [`Client::consume`](super::Client::consume). Told again until all are taken.
    Body,
    /// The command was accepted and its answer is complete.
    Done {
        /// Which command.
        id: CommandId,
        /// The first line of the answer.
        reply: Reply,
    },
    /// The command was accepted, and the connection ended before the end of its answer, with
    /// [`Quirks::missing_end`](super::Quirks::missing_end). The message or listing may be complete or not.
    Unterminated {
        /// Which command.
        id: CommandId,
        /// The first line of the answer.
        reply: Reply,
    },
    /// The command was refused. The others go on. [`RefusalKind::of`](super::RefusalKind::of) tells what is known of the reason.
    Refused {
        /// Which command.
        id: CommandId,
        /// The refusal.
        reply: Reply,
    },
}

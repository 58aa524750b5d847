//! [`FetchItem`]: what a server says of a message. [`FetchAttribute`]: what a client asks for.

use super::{
    BodyStructure, DateTime, Envelope, Flags, ModSeq, PartPath, Partial, Raw, Section, SeqNum, Text, Uid,
};
use core::fmt;

/// A FETCH response, or the UIDFETCH response of UIDONLY (RFC 9586): what is told of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Which message.
    pub message: MessageId,
    /// What is told, in the order in which it was.
    pub items: Vec<FetchItem>,
}

/// Which message a response speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageId {
    /// By its number, as FETCH does.
    Seq(SeqNum),
    /// By its UID, as UIDFETCH does.
    Uid(Uid),
}

/// One item of a FETCH response.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchItem {
    /// `FLAGS`
    Flags(Flags),
    /// `UID`
    Uid(Uid),
    /// `MODSEQ` (RFC 7162)
    ModSeq(ModSeq),
    /// `RFC822.SIZE`, in octets
    Size(u64),
    /// `INTERNALDATE`
    InternalDate(DateTime),
    /// `ENVELOPE`
    Envelope(Box<Envelope>),
    /// `BODYSTRUCTURE`
    BodyStructure(BodyStructure),
    /// `BODY`, which is the same without extension data
    Body(BodyStructure),
    /// `BODY[…]`
    Section(Box<SectionContent>),
    /// `RFC822`, `RFC822.HEADER` and `RFC822.TEXT` of IMAP4rev1
    Rfc822(Rfc822, Content),
    /// `BINARY[…]` (RFC 3516)
    Binary(Box<BinaryContent>),
    /// `BINARY.SIZE[…]`: octets of a part when decoded
    BinarySize(PartPath, u64),
    /// `PREVIEW` (RFC 8970); `None` where there is none, or none yet
    Preview(Option<Text>),
    /// `EMAILID` (RFC 8474)
    EmailId(Text),
    /// `THREADID` (RFC 8474)
    ThreadId(Option<Text>),
    /// `SAVEDATE` (RFC 8514)
    SaveDate(Option<DateTime>),
    /// `X-GM-MSGID` of Gmail
    GmailMessageId(u64),
    /// `X-GM-THRID` of Gmail
    GmailThreadId(u64),
    /// `X-GM-LABELS` of Gmail
    GmailLabels(Vec<Text>),
    /// Any other, or one of these that misses its grammar: its name and its value.
    Other(Raw),
}

/// Which of the old names was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rfc822 {
    /// `RFC822`: all of it
    Full,
    /// `RFC822.HEADER`
    Header,
    /// `RFC822.TEXT`
    Text,
}

/// The value of `BODY[…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionContent {
    /// What of the message this is.
    pub section: Section,
    /// Where it begins, if only a part was asked for.
    pub origin: Option<u64>,
    /// The bytes.
    pub content: Content,
}

/// The value of `BINARY[…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinaryContent {
    /// Which part this is.
    pub part: PartPath,
    /// Where it begins, if only a part was asked for.
    pub origin: Option<u64>,
    /// The bytes, decoded.
    pub content: Content,
}

/// Bytes of a message.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// There is no such section.
    Nil,
    /// Here they are.
    Inline(Text),
    /// They were handed out in pieces before; this many there were.
    Streamed(u64),
}

/// Without the bytes, which are a message's.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Nil => f.write_str("Nil"),
            Content::Inline(text) => write!(f, "Inline({} bytes)", text.len()),
            Content::Streamed(len) => write!(f, "Streamed({len} bytes)"),
        }
    }
}

/// What FETCH asks for (RFC 9051 §6.4.5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FetchAttribute {
    /// `FLAGS`
    Flags,
    /// `UID`
    Uid,
    /// `MODSEQ` (RFC 7162)
    ModSeq,
    /// `RFC822.SIZE`
    Size,
    /// `INTERNALDATE`
    InternalDate,
    /// `ENVELOPE`
    Envelope,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `BODY` without brackets
    Body,
    /// `BODY[…]`, or `BODY.PEEK[…]`
    Section {
        /// What of the message.
        section: Section,
        /// Whether the message stays unseen.
        peek: bool,
        /// Only a part of it.
        partial: Option<Partial>,
    },
    /// `RFC822`, `RFC822.HEADER` and `RFC822.TEXT` of IMAP4rev1
    Rfc822(Rfc822),
    /// `BINARY[…]`, or `BINARY.PEEK[…]` (RFC 3516)
    Binary {
        /// Which part.
        part: PartPath,
        /// Whether the message stays unseen.
        peek: bool,
        /// Only a part of it.
        partial: Option<Partial>,
    },
    /// `BINARY.SIZE[…]`
    BinarySize(PartPath),
    /// `PREVIEW` (RFC 8970)
    Preview {
        /// Only if it is at hand.
        lazy: bool,
    },
    /// `EMAILID` (RFC 8474)
    EmailId,
    /// `THREADID` (RFC 8474)
    ThreadId,
    /// `SAVEDATE` (RFC 8514)
    SaveDate,
    /// `X-GM-MSGID` of Gmail
    GmailMessageId,
    /// `X-GM-THRID` of Gmail
    GmailThreadId,
    /// `X-GM-LABELS` of Gmail
    GmailLabels,
}

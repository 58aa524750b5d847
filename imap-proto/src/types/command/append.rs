//! [`Append`] and [`Replace`]: messages that a client brings.

use super::{Ids, Parameter};
use crate::types::{DateTime, Flags, MailboxName, NonEmpty, Text};
use core::fmt;
use core::num::NonZeroU32;

/// APPEND (RFC 9051 §6.3.12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// To which mailbox.
    pub mailbox: MailboxName,
    /// The messages; more than one with MULTIAPPEND (RFC 3502).
    pub messages: NonEmpty<AppendMessage>,
}

/// REPLACE and UID REPLACE (RFC 8508).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replace {
    /// What the number is.
    pub ids: Ids,
    /// The message that goes when the other has come.
    pub number: NonZeroU32,
    /// To which mailbox the other goes.
    pub mailbox: MailboxName,
    /// The other.
    pub message: AppendMessage,
}

/// A message that is brought, and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendMessage {
    /// Its flags.
    pub flags: Flags,
    /// When it came; now if there is nothing.
    pub date: Option<DateTime>,
    /// What extensions say of it; each has a value (RFC 4466 §2.7, append-ext).
    pub extensions: Vec<Parameter>,
    /// Its bytes.
    pub data: AppendData,
}

impl AppendMessage {
    /// A message of which nothing is said.
    pub fn new(data: AppendData) -> Self {
        Self { flags: Flags::EMPTY, date: None, extensions: Vec::new(), data }
    }
}

/// How the bytes of a message are told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppendData {
    /// All at once.
    Literal(MessageLiteral),
    /// `UTF8`: the same as a literal8, with 8-bit text in the header (RFC 6855 §4).
    Utf8(MessageBytes),
    /// `CATENATE`: from parts (RFC 4469).
    Catenate(NonEmpty<CatenatePart>),
}

/// Part of a message (RFC 4469 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CatenatePart {
    /// `TEXT`: these bytes.
    Text(MessageLiteral),
    /// `UTF8`: these bytes as a literal8, with 8-bit text in the header (RFC 6855 §4).
    Utf8(MessageBytes),
    /// `URL`: what is there.
    Url(Text),
}

/// Bytes of a message, as a literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageLiteral {
    /// Whether they are a literal8, and may hold NUL (RFC 3516).
    pub binary: bool,
    /// The bytes.
    pub bytes: MessageBytes,
}

impl MessageLiteral {
    /// Bytes that are at hand.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self { binary: false, bytes: MessageBytes::Inline(Text::copy(bytes.as_ref())) }
    }

    /// So many bytes, which go another way.
    pub fn streamed(len: u64) -> Self {
        Self { binary: false, bytes: MessageBytes::Streamed(len) }
    }
}

/// Bytes of a message that is brought.
#[derive(Clone, PartialEq, Eq)]
pub enum MessageBytes {
    /// Here they are.
    Inline(Text),
    /// They go, or went, another way; this many there are.
    Streamed(u64),
}

/// Without the bytes, which are a message's.
impl fmt::Debug for MessageBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MessageBytes::Inline(text) => write!(f, "Inline({} bytes)", text.len()),
            MessageBytes::Streamed(len) => write!(f, "Streamed({len} bytes)"),
        }
    }
}

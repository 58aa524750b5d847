//! How it is written: commands, replies and the lines of listings, from bytes and to bytes.
//!
//! Parsers take a whole line, without its CRLF, as the [line scanner](mail_wire::line) found it. Encoders append to the
//! caller's buffer. The lines of a multi-line reply are framed by [`mail_wire::dot`], as messages are.
//!
//! | what | read by | written by |
//! |---|---|---|
//! | command | [`Command::parse`] | [`Command::encode`] |
//! | first line of a reply, greeting, challenge | [`ReplyLine::parse`] | [`encode_reply`], [`Refusal::encode`] |
//! | reply to STAT | [`DropListing::parse`] | [`DropListing::encode`] |
//! | line of LIST | [`ScanListing::parse`] | [`ScanListing::encode`] |
//! | line of UIDL | [`UniqueIdListing::parse`] | [`UniqueIdListing::encode`] |
//! | line of CAPA | [`Capability::parse`] | [`Capability::encode`] |
//! | line of LANG | [`LanguageListing::parse`] | [`LanguageListing::encode`] |
//!
//! [`Command::parse`]: crate::types::Command::parse
//! [`Command::encode`]: crate::types::Command::encode
//! [`Refusal::encode`]: crate::types::Refusal::encode
//! [`DropListing::parse`]: crate::types::DropListing::parse
//! [`DropListing::encode`]: crate::types::DropListing::encode
//! [`ScanListing::parse`]: crate::types::ScanListing::parse
//! [`ScanListing::encode`]: crate::types::ScanListing::encode
//! [`UniqueIdListing::parse`]: crate::types::UniqueIdListing::parse
//! [`UniqueIdListing::encode`]: crate::types::UniqueIdListing::encode
//! [`Capability::parse`]: crate::types::Capability::parse
//! [`Capability::encode`]: crate::types::Capability::encode
//! [`LanguageListing::parse`]: crate::types::LanguageListing::parse
//! [`LanguageListing::encode`]: crate::types::LanguageListing::encode

mod capability;
mod decimal;
mod encode;
mod error;
mod listing;
mod parse;
mod reply;

pub use encode::encode_reply;
pub use error::{CommandError, CommandErrorKind, ReplyError};
pub use reply::{LineKind, ReplyLine};

/// Longest command line in bytes, with its CRLF (RFC 2449 §4).
pub const MAX_COMMAND: usize = 255;
/// Longest first line of a reply in bytes, with its CRLF, and longest line of CAPA (RFC 1939 §3, RFC 2449 §3).
pub const MAX_REPLY: usize = 512;

//! How it is written: commands and replies, from bytes and to bytes.
//!
//! Parsers take a whole line, without its CRLF, as the [line scanner](mail_wire::line) found it. Encoders append to the
//! caller's buffer.

mod cursor;
mod encode;
mod error;
mod parse;
mod parse_params;
mod reply;
mod xclient;

pub use encode::{encode_reply, encode_reply_lines};
pub use error::{CommandError, CommandErrorKind};
pub use mail_wire::{ProxyAddresses, ProxyError, ProxyHeader};
pub use parse::Leniency;
pub use reply::{ReplyError, ReplyReader};

//! How it is written: frames, and what is in them, from bytes and to bytes.

mod body;
mod chars;
mod code;
mod command;
mod cursor;
mod data;
mod dialect;
mod error;
mod fetch;
mod frame;
mod listing;
mod response;
mod results;
mod section;
mod writer;

pub use chars::is_atom_char;
pub(crate) use chars::is_tag_char;
pub(crate) use command::parameter;
pub use command::{AppendHead, AppendReader, AppendStep, Bytes, Head, MessageHead};
pub(crate) use cursor::{Cursor, Frame, Literal, Span};
pub use dialect::{Dialect, Quirks};
pub use error::{CommandError, SyntaxError};
pub(crate) use error::{Fault, Parse};
pub use frame::{Announced, Found, FrameScanner, Speaker, announces_content};
pub use writer::{Literals, Stop, Style};
pub(crate) use writer::{Writer, is_atom};

use crate::types::{NumberSet, Raw, SequenceSet};

/// Reads a whole frame of one thing.
fn whole<T>(
    bytes: &[u8],
    dialect: Dialect,
    read: impl FnOnce(&mut Cursor<'_>) -> Parse<T>,
) -> Result<T, SyntaxError> {
    let frame = Frame::new(bytes);
    let mut cursor = Cursor::new(&frame, dialect);
    let result = read(&mut cursor).and_then(|value| cursor.end().map(|()| value));
    result.map_err(|fault| fault.with_tag(None))
}

impl SequenceSet {
    /// Reads a set as it is written, such as `2,4:7,*`.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn parse(text: &[u8]) -> Result<Self, SyntaxError> {
        whole(text, Dialect::SERVER, |cursor| cursor.sequence_set())
    }
}

impl NumberSet {
    /// Reads a set as it is written, such as `2,4:7`.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn parse(text: &[u8]) -> Result<Self, SyntaxError> {
        whole(text, Dialect::SERVER, |cursor| cursor.number_set())
    }
}

impl Raw {
    /// Takes values as they are on the wire, with one space between.
    ///
    /// # Errors
    ///
    /// If they are no values, or not balanced.
    pub fn parse(text: &[u8]) -> Result<Self, SyntaxError> {
        whole(text, Dialect::SERVER, |cursor| {
            cursor.skip_value()?;
            while cursor.eat(b' ') {
                cursor.skip_value()?;
            }
            Ok(Self::trusted(cursor.text(0..cursor.at())))
        })
    }
}

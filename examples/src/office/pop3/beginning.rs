//! The beginning of a message: opened, read as far as one read goes, and found fit for who asked for it.

use maildrop::store::{MessageReader, ready};
use memchr::memchr;

use super::maildrops::Reader;

/// What became of the beginning of a message.
#[derive(Debug)]
pub(super) enum Begun {
    /// So many octets of it are there; none for an empty message.
    Read(usize),
    /// It has a header that only those may get who have said UTF8.
    NeedsUtf8,
}

/// Opens a message and reads what comes first, unless it is not to be opened that way.
pub(super) fn begin(
    reader: &mut Reader,
    asks_utf8: bool,
    mut open: impl FnMut(&mut Reader) -> Result<Option<()>, maildrop::Error>,
) -> Result<Option<Begun>, maildrop::Error> {
    if open(reader)?.is_none() {
        return Ok(None);
    }
    if asks_utf8 {
        if !has_ascii_header(reader)? {
            return Ok(Some(Begun::NeedsUtf8));
        }
        if open(reader)?.is_none() {
            return Ok(None);
        }
    }
    ready(reader.chunk()).map(|chunk| Some(Begun::Read(chunk.len())))
}

/// Reads the header of a message, and says whether it is ASCII.
fn has_ascii_header(reader: &mut Reader) -> Result<bool, maildrop::Error> {
    let mut line_is_empty = true;
    loop {
        let chunk = ready(reader.chunk())?;
        if chunk.is_empty() {
            return Ok(true);
        }
        let line = &chunk[..memchr(b'\n', chunk).map_or(chunk.len(), |end| end + 1)];
        if !line.is_ascii() {
            return Ok(false);
        }
        line_is_empty &= matches!(line, b"\r\n" | b"\n" | b"\r");
        if line.ends_with(b"\n") {
            if line_is_empty {
                return Ok(true);
            }
            line_is_empty = true;
        }
        let taken = line.len();
        reader.consume(taken);
    }
}

//! Bytes for people to read.

use std::fmt::{self, Write};

/// Bytes on one line: control characters and what is not UTF-8 escaped, the rest as it is; no more than so many characters.
pub(crate) fn shown(bytes: &[u8], most: usize) -> String {
    let mut out = String::new();
    let mut count = 0;
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid().chars().map(Ok);
        let invalid = chunk.invalid().iter().copied().map(Err);
        for piece in valid.chain(invalid) {
            if count >= most {
                out.push_str("...");
                return out;
            }
            count += 1;
            match piece {
                Ok(character) if character.is_control() => out.extend(character.escape_default()),
                Ok(character) => out.push(character),
                Err(byte) => {
                    let _ = write!(out, "\\x{byte:02x}");
                }
            }
        }
    }
    out
}

/// Bytes between quotes, escaped where they cannot be read.
pub(crate) struct Text<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            write!(f, "{}", chunk.valid().escape_debug())?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        f.write_char('"')
    }
}

/// A list of such texts.
pub(crate) struct Texts<'a>(pub(crate) &'a [Vec<u8>]);

impl fmt::Debug for Texts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|text| Text(text))).finish()
    }
}

/// How many bytes there are of what is not to be shown.
pub(crate) struct Length<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Length<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_escaped_and_what_is_long_is_cut() {
        assert_eq!(shown(b"a\tb\xffc\n", 10), "a\\tb\\xffc\\n");
        assert_eq!(shown("gr\u{fc}n".as_bytes(), 3), "gr\u{fc}...");
    }
}

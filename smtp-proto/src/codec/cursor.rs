//! A place in a command line.

use super::CommandErrorKind;

/// Reads a line from left to right, knowing the byte it is at.
pub(super) struct Cursor<'a> {
    pub(super) line: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn rest(&self) -> &'a [u8] {
        self.line.get(self.at..).unwrap_or(&[])
    }

    pub(super) fn skip_spaces(&mut self) {
        while self.line.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
    }

    /// The next word, and the place where it begins. Empty at the end.
    pub(super) fn word(&mut self) -> (usize, &'a [u8]) {
        self.skip_spaces();
        let start = self.at;
        let rest = self.rest();
        let len = memchr::memchr(b' ', rest).unwrap_or(rest.len());
        self.at += len;
        (start, &rest[..len])
    }

    /// The next word as text.
    pub(super) fn text_word(&mut self) -> Result<(usize, &'a str), CommandErrorKind> {
        let (start, word) = self.word();
        Ok((start, self.text(start, start + word.len())?))
    }

    /// All that is left, without spaces around it, as text.
    pub(super) fn remainder(&mut self) -> Result<&'a str, CommandErrorKind> {
        self.skip_spaces();
        let start = self.at;
        self.at = self.line.len();
        Ok(self.text(start, self.at)?.trim_end_matches(' '))
    }

    /// Nothing but spaces may follow.
    pub(super) fn end(&mut self) -> Result<(), CommandErrorKind> {
        // RFC 5321 §4.1.1: a receiver should tolerate white space before the CRLF.
        self.skip_spaces();
        if self.at == self.line.len() { Ok(()) } else { Err(CommandErrorKind::UnexpectedArgument) }
    }

    /// UTF-8 without control characters.
    pub(super) fn text(&self, start: usize, end: usize) -> Result<&'a str, CommandErrorKind> {
        let bytes = &self.line[start..end];
        let text = core::str::from_utf8(bytes)
            .map_err(|error| CommandErrorKind::Control(start + error.valid_up_to()))?;
        if is_printable(bytes) {
            return Ok(text);
        }
        match text.char_indices().find(|(_, c)| c.is_control()) {
            Some((at, _)) => Err(CommandErrorKind::Control(start + at)),
            None => Ok(text),
        }
    }
}

/// Whether there is nothing but printable ASCII. Looks at eight bytes at a time, and at some twice rather than at each of
/// the last ones alone.
fn is_printable(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk() else {
        return bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    };
    bytes.as_chunks().0.iter().fold(odd(last), |found, eight| found | odd(eight)) & HIGH == 0
}

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES * 0x80;

/// Has a high bit if any of the bytes is below a space, DEL, or not ASCII.
fn odd(eight: &[u8; 8]) -> u64 {
    let word = u64::from_le_bytes(*eight);
    word | word.wrapping_sub(ONES * 0x20) | (word ^ (ONES * 0x7f)).wrapping_sub(ONES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_that_is_not_printable_is_seen_at_each_place() {
        for len in 0..40 {
            for byte in 0..=255u8 {
                for at in 0..len {
                    for filler in [b' ', b'~'] {
                        let mut bytes = vec![filler; len];
                        bytes[at] = byte;
                        let printable = matches!(byte, b' '..=b'~');
                        assert_eq!(is_printable(&bytes), printable, "{byte} at {at} of {len}");
                    }
                }
            }
        }
    }
}

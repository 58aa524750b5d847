//! [`Input`]: a line of the peer, with what is to be known of it as a whole.

/// Bytes with as much of their front as is UTF-8. The whole line is looked at once, here; whoever needs a part as text
/// takes it without looking again.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) bytes: &'a [u8],
    text: &'a str,
    /// All of it is printable ASCII.
    printable: bool,
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let text = core::str::from_utf8(bytes)
            .or_else(|error| core::str::from_utf8(&bytes[..error.valid_up_to()]))
            .unwrap_or_default();
        Self { bytes, text, printable: is_printable(bytes) }
    }

    /// The text from `start` to `end`, which are places next to ASCII characters; or else the place of the first byte
    /// that is not UTF-8.
    pub(crate) fn text(&self, start: usize, end: usize) -> Result<&'a str, usize> {
        self.text.get(start..end).ok_or(self.text.len())
    }

    /// The same, and no control characters in it either.
    pub(crate) fn printable(&self, start: usize, end: usize) -> Result<&'a str, usize> {
        let text = self.text(start, end)?;
        if self.printable {
            return Ok(text);
        }
        match text.char_indices().find(|(_, c)| c.is_control()) {
            Some((at, _)) => Err(start + at),
            None => Ok(text),
        }
    }
}

impl<'a> From<&'a str> for Input<'a> {
    fn from(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), text, printable: false }
    }
}

/// Whether there is nothing but printable ASCII. Looks at all bytes without a branch, which makes vector code.
fn is_printable(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |printable, byte| printable & matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_given_up_to_the_first_byte_that_is_not_text() {
        let input = Input::new("ab é\u{7} c".as_bytes());
        assert_eq!(input.printable(0, 5), Ok("ab é"));
        assert_eq!(input.printable(3, 8), Err(5));
        assert_eq!(input.text(3, 8), Ok("é\u{7} c"));
        let input = Input::new(b"ab \xff c");
        assert_eq!(input.printable(0, 2), Ok("ab"));
        assert_eq!(input.printable(3, 4), Err(3));
        assert_eq!(input.text(5, 6), Err(3));
        assert_eq!(Input::new(b"ab c").printable(1, 4), Ok("b c"));
    }
}

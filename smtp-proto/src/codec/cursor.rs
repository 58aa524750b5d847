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
        self.at += self.rest().iter().take_while(|b| **b == b' ').count();
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
        Ok((start, text(word, start)?))
    }

    /// All that is left, without spaces around it, as text.
    pub(super) fn remainder(&mut self) -> Result<&'a str, CommandErrorKind> {
        self.skip_spaces();
        let start = self.at;
        let rest = self.rest();
        self.at = self.line.len();
        Ok(text(rest, start)?.trim_end_matches(' '))
    }

    /// Nothing but spaces may follow.
    pub(super) fn end(&mut self) -> Result<(), CommandErrorKind> {
        // RFC 5321 §4.1.1: a receiver should tolerate white space before the CRLF.
        self.skip_spaces();
        if self.at == self.line.len() { Ok(()) } else { Err(CommandErrorKind::UnexpectedArgument) }
    }
}

/// UTF-8 without control characters.
fn text(bytes: &[u8], start: usize) -> Result<&str, CommandErrorKind> {
    let text = core::str::from_utf8(bytes)
        .map_err(|error| CommandErrorKind::Control(start + error.valid_up_to()))?;
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, _)) => Err(CommandErrorKind::Control(start + at)),
        None => Ok(text),
    }
}

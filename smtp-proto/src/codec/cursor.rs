//! A place in a command line.

use super::CommandErrorKind;
use crate::types::Input;

/// Reads a line from left to right, knowing the byte it is at.
pub(super) struct Cursor<'a> {
    pub(super) input: Input<'a>,
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn rest(&self) -> &'a [u8] {
        self.input.bytes.get(self.at..).unwrap_or(&[])
    }

    pub(super) fn skip_spaces(&mut self) {
        while self.input.bytes.get(self.at) == Some(&b' ') {
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
        self.at = self.input.bytes.len();
        Ok(self.text(start, self.at)?.trim_end_matches(' '))
    }

    /// Nothing but spaces may follow.
    pub(super) fn end(&mut self) -> Result<(), CommandErrorKind> {
        // RFC 5321 §4.1.1: a receiver should tolerate white space before the CRLF.
        self.skip_spaces();
        if self.at == self.input.bytes.len() { Ok(()) } else { Err(CommandErrorKind::UnexpectedArgument) }
    }

    /// UTF-8 without control characters.
    pub(super) fn text(&self, start: usize, end: usize) -> Result<&'a str, CommandErrorKind> {
        self.input.printable(start, end).map_err(CommandErrorKind::Control)
    }
}

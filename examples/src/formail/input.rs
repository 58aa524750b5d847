//! The input, in pieces: a header is held as a whole, a body never is.

use std::io::{self, Read};

use memchr::memchr;

use super::header::Line;

/// Octets that are read at a time.
const PIECE: usize = 64 * 1024;
/// A header ends here if it has not before, so that what is held has an end.
const LONGEST_HEADER: usize = 16 * 1024 * 1024;

/// What is being read.
pub(super) struct Input<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    ended: bool,
}

impl<R: Read> Input<R> {
    pub(super) fn new(source: R) -> Input<R> {
        Input { source, buffer: Vec::new(), start: 0, ended: false }
    }

    /// What is there, without reading.
    pub(super) fn held(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
    }

    /// At least so many octets, or all that are left.
    pub(super) fn fill(&mut self, least: usize) -> io::Result<&[u8]> {
        while !self.ended && self.held().len() < least {
            self.read_more()?;
        }
        Ok(self.held())
    }

    fn read_more(&mut self) -> io::Result<()> {
        if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let length = self.buffer.len();
        self.buffer.resize(length + PIECE, 0);
        let read = loop {
            match self.source.read(&mut self.buffer[length..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => break done,
            }
        };
        self.buffer.truncate(length + *read.as_ref().unwrap_or(&0));
        self.ended = read? == 0;
        Ok(())
    }

    /// Octets of the line at `from`, its LF included: at most `most`.
    fn line_at(&mut self, from: usize, most: usize) -> io::Result<usize> {
        let mut searched = 0;
        loop {
            let held = self.held().get(from..).unwrap_or_default();
            if let Some(lf) = memchr(b'\n', &held[searched..]) {
                return Ok((searched + lf + 1).min(most));
            }
            searched = held.len();
            if self.ended || searched >= most {
                return Ok(searched.min(most));
            }
            self.read_more()?;
        }
    }

    /// Octets of the next line or, if it is a long one, of its start.
    pub(super) fn line(&mut self) -> io::Result<usize> {
        self.line_at(0, PIECE)
    }

    /// Octets of the header that begins here, without the empty line behind it.
    pub(super) fn header(&mut self) -> io::Result<usize> {
        let (mut length, mut field) = (0, None);
        while length < LONGEST_HEADER {
            let line = self.line_at(length, LONGEST_HEADER - length)?;
            match Line::of(&self.held()[length..length + line], field) {
                Line::Field { postmark } => field = Some(postmark),
                Line::Continued => {}
                Line::Other => break,
            }
            length += line;
        }
        Ok(length)
    }

    /// Passes over empty lines; answers whether anything is left.
    pub(super) fn skip_empty_lines(&mut self) -> io::Result<bool> {
        while self.fill(1)?.first() == Some(&b'\n') {
            self.consume(1);
        }
        Ok(!self.held().is_empty())
    }

    /// Reads to the end, for whoever writes to this.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        while !self.fill(1)?.is_empty() {
            self.consume(self.held().len());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its text octet by octet.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            into[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn headers_and_lines_are_the_same_however_they_come() {
        let text = b"\n\nFrom a b\n>From c\nTo: x\n y\nnone: of\nit\nlast";
        let mut input = Input::new(Trickle(text));
        assert!(input.skip_empty_lines().unwrap());
        assert_eq!(input.header().unwrap(), 35);
        input.consume(35);
        assert_eq!((input.line().unwrap(), input.held()), (3, b"it\n".as_slice()));
        input.consume(3);
        assert_eq!((input.header().unwrap(), input.line().unwrap()), (0, 4));
        input.drain().unwrap();
        assert!(!input.skip_empty_lines().unwrap());
    }

    #[test]
    fn no_more_is_held_than_a_header_may_be_long() {
        let mut input = Input::new(io::repeat(b'x'));
        assert_eq!(input.line().unwrap(), PIECE);
        let mut input = Input::new(b"To: ".chain(io::repeat(b'x')));
        assert_eq!(input.header().unwrap(), LONGEST_HEADER);
        assert!(input.held().len() <= LONGEST_HEADER + PIECE);
        let mut input = Input::new(io::repeat(b'\n').take(1_000_000));
        assert!(!input.skip_empty_lines().unwrap());
        assert!(input.buffer.len() <= 2 * PIECE);
    }
}

//! Replies from lines.

use crate::types::{Reply, ReplyCode};

/// Gathers the lines of a reply, up to a limit.
///
/// ```
/// use smtp_proto::codec::ReplyReader;
///
/// let mut reader = ReplyReader::new();
/// assert_eq!(reader.line(b"250-mx.example")?, None);
/// let reply = reader.line(b"250 SIZE 1000")?.unwrap();
/// assert_eq!(reply.code().get(), 250);
/// assert_eq!(reply.lines().count(), 2);
/// # Ok::<(), smtp_proto::codec::ReplyError>(())
/// ```
#[derive(Debug, Default)]
pub struct ReplyReader {
    code: Option<ReplyCode>,
    /// The digits of the code, so that further lines need no more than a comparison.
    digits: [u8; 3],
    lines: Vec<u8>,
    count: usize,
}

/// Room for the text of an EHLO answer of the usual size.
const FIRST_LINES: usize = 512;

/// A line that is no part of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// Not three digits from 200 to 599.
    #[error("expected a reply code from 200 to 599 at the start of line {0}")]
    Code(usize),
    /// Neither space nor hyphen behind the code.
    #[error("expected a space or '-' behind the reply code in line {0}")]
    Separator(usize),
    /// The lines of one reply have different codes.
    #[error("expected reply code {first} in line {line}, found {found}")]
    Changed {
        /// The code of the first line.
        first: u16,
        /// The code that was found.
        found: u16,
        /// The line, counted from 1.
        line: usize,
    },
    /// More lines or bytes than a reply may have.
    #[error(
        "expected a reply of at most {} lines and {} bytes",
        ReplyReader::MAX_LINES,
        ReplyReader::MAX_BYTES
    )]
    TooLong,
}

impl ReplyReader {
    /// Most lines of a reply.
    pub const MAX_LINES: usize = 512;
    /// Most bytes of text of a reply.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// A reader before the first line of a reply.
    pub const fn new() -> Self {
        Self { code: None, digits: [0; 3], lines: Vec::new(), count: 0 }
    }

    /// Takes the next line, without its CRLF; gives the reply when it is whole. An LF, which no line of the
    /// [scanner](mail_wire::line) holds, would count as the end of a line of text.
    ///
    /// # Errors
    ///
    /// If the line cannot continue the reply. The reader then begins anew.
    #[inline]
    pub fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, ReplyError> {
        // Most lines of long replies are further ones, and not the last.
        if self.code.is_some()
            && let Some((digits, [b'-', text @ ..])) = line.split_first_chunk()
            && *digits == self.digits
            && self.has_room(text)
        {
            self.add(text);
            return Ok(None);
        }
        self.any_line(line).inspect_err(|_| *self = Self::new())
    }

    /// Whether a reply has begun and is not whole.
    pub fn is_partial(&self) -> bool {
        self.count > 0
    }

    fn any_line(&mut self, line: &[u8]) -> Result<Option<Reply>, ReplyError> {
        let number = self.count + 1;
        let (digits, rest) = line.split_first_chunk().ok_or(ReplyError::Code(number))?;
        let found = code(*digits).ok_or(ReplyError::Code(number))?;
        let code = *self.code.get_or_insert(found);
        if code != found {
            return Err(ReplyError::Changed { first: code.get(), found: found.get(), line: number });
        }
        self.digits = *digits;
        let (last, text) = match rest {
            // RFC 5321 §4.2: a reply without text may lack the space.
            [] => (true, &[][..]),
            [b' ', text @ ..] => (true, text),
            [b'-', text @ ..] => (false, text),
            _ => return Err(ReplyError::Separator(number)),
        };
        if !self.has_room(text) {
            return Err(ReplyError::TooLong);
        }
        if self.count == 0 {
            self.lines = Vec::with_capacity(if last { text.len() + 1 } else { FIRST_LINES });
        }
        self.add(text);
        Ok(last.then(|| Reply::from_lines(code, core::mem::take(self).lines)))
    }

    /// Whether a line with that text may follow.
    fn has_room(&self, text: &[u8]) -> bool {
        self.count < Self::MAX_LINES && self.lines.len() + text.len() < Self::MAX_BYTES
    }

    fn add(&mut self, text: &[u8]) {
        self.count += 1;
        self.lines.reserve(text.len() + 1);
        self.lines.extend_from_slice(text);
        self.lines.push(b'\n');
    }
}

fn code(digits: [u8; 3]) -> Option<ReplyCode> {
    if !matches!(digits, [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9']) {
        return None;
    }
    ReplyCode::new(digits.iter().fold(0, |n, digit| n * 10 + u16::from(*digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&[u8]]) -> Result<Option<String>, ReplyError> {
        let mut reader = ReplyReader::new();
        let mut reply = None;
        for line in lines {
            reply = reader.line(line)?;
        }
        Ok(reply.map(|reply| reply.to_string()))
    }

    #[test]
    fn replies_are_gathered_and_malformed_ones_refused() {
        assert_eq!(read(&[b"250 ok"]), Ok(Some("250 ok".into())));
        assert_eq!(read(&[b"250"]), Ok(Some("250 ".into())));
        assert_eq!(read(&[b"250-a", b"250-", b"250 c"]), Ok(Some("250 a  c".into())));
        assert_eq!(read(&[b"250-a"]), Ok(None));
        assert_eq!(read(&[b"25"]), Err(ReplyError::Code(1)));
        assert_eq!(read(&[b""]), Err(ReplyError::Code(1)));
        assert_eq!(read(&[b"150 x"]), Err(ReplyError::Code(1)));
        assert_eq!(read(&[b"600 x"]), Err(ReplyError::Code(1)));
        assert_eq!(read(&[b"2x0 x"]), Err(ReplyError::Code(1)));
        assert_eq!(read(&[b"\0\0\0 x"]), Err(ReplyError::Code(1)));
        assert_eq!(read(&[b"\0\0\0-x", b"250 ok"]), Err(ReplyError::Code(1)));
        assert_eq!(read(&[b"250x"]), Err(ReplyError::Separator(1)));
        assert_eq!(read(&[b"250-a", b"251 b"]), Err(ReplyError::Changed { first: 250, found: 251, line: 2 }));
    }

    #[test]
    fn an_endless_reply_is_cut_off() {
        let mut reader = ReplyReader::new();
        let result = (0..1000).try_for_each(|_| reader.line(b"250-x").map(|_| ()));
        assert_eq!(result, Err(ReplyError::TooLong));
        let long = [&b"250-"[..], &[b'x'; 60_000]].concat();
        let result = (0..3).try_for_each(|_| reader.line(&long).map(|_| ()));
        assert_eq!(result, Err(ReplyError::TooLong));
    }
}

//! Text that goes on the wire or into a log without doing harm there.

use core::fmt;
use std::borrow::Cow;

/// One line of human-readable reply text: no CR, LF, NUL or other control character, at most
/// [`MAX`](ReplyText::MAX) bytes. What holds one can write it into a reply without looking at it again.
///
/// ```
/// use mail_wire::ReplyText;
///
/// assert!(ReplyText::new("mailbox full").is_ok());
/// assert!(ReplyText::new("ok\r\n250 injected").is_err());
/// assert_eq!(ReplyText::sanitized("two\r\nlines").as_str(), "two??lines");
/// const GREETING: ReplyText = ReplyText::from_static("ESMTP ready");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReplyText(Cow<'static, str>);

/// Why a text cannot be a [`ReplyText`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyTextError {
    /// It holds a control character, at this byte.
    #[error("expected printable reply text, found a control character at byte {0}")]
    Control(usize),
    /// It is longer than [`ReplyText::MAX`].
    #[error("expected at most {max} bytes of reply text, found {found}", max = ReplyText::MAX)]
    TooLong {
        /// Length of the text in bytes.
        found: usize,
    },
}

impl ReplyText {
    /// Longest text in bytes: with code, enhanced code and CRLF it stays within the 512 bytes of a reply line
    /// (RFC 5321 §4.5.3.1.5).
    pub const MAX: usize = 480;

    /// Checks and takes a text.
    ///
    /// # Errors
    ///
    /// If the text holds a control character or is too long.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Result<Self, ReplyTextError> {
        let text = text.into();
        if text.len() > Self::MAX {
            return Err(ReplyTextError::TooLong { found: text.len() });
        }
        match text.char_indices().find(|(_, c)| c.is_control()) {
            Some((at, _)) => Err(ReplyTextError::Control(at)),
            None => Ok(Self(text)),
        }
    }

    /// Takes a literal.
    ///
    /// # Panics
    ///
    /// If the text holds anything but printable ASCII or is too long; in a `const` this is a compile error.
    pub const fn from_static(text: &'static str) -> Self {
        let bytes = text.as_bytes();
        assert!(bytes.len() <= Self::MAX, "reply text is too long");
        let mut at = 0;
        while at < bytes.len() {
            assert!(bytes[at] >= b' ' && bytes[at] < 0x7f, "reply text must be printable ASCII");
            at += 1;
        }
        Self(Cow::Borrowed(text))
    }

    /// Makes any text fit: control characters become `?`, what is too long is cut at a character boundary.
    pub fn sanitized(text: &str) -> Self {
        let mut clean = String::with_capacity(text.len().min(Self::MAX));
        for c in text.chars() {
            let c = if c.is_control() { '?' } else { c };
            if clean.len() + c.len_utf8() > Self::MAX {
                break;
            }
            clean.push(c);
        }
        Self(Cow::Owned(clean))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReplyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes of the peer, shown so that they cannot forge a log line: anything but printable ASCII is escaped, and what is
/// longer than 256 bytes is cut.
///
/// ```
/// assert_eq!(mail_wire::Escaped(b"EHLO \x1b[2Jx\r\n").to_string(), r"EHLO \x1b[2Jx\r\n");
/// ```
#[derive(Clone, Copy)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 256;
        let shown = &self.0[..self.0.len().min(SHOWN)];
        write!(f, "{}", shown.escape_ascii())?;
        if shown.len() < self.0.len() { write!(f, "… ({} bytes)", self.0.len()) } else { Ok(()) }
    }
}

impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_text_refuses_what_would_break_a_reply() {
        let cases: &[(&str, Result<(), ReplyTextError>)] = &[
            ("", Ok(())),
            ("naïve café", Ok(())),
            ("a\rb", Err(ReplyTextError::Control(1))),
            ("a\nb", Err(ReplyTextError::Control(1))),
            ("\0", Err(ReplyTextError::Control(0))),
            ("ab\u{85}", Err(ReplyTextError::Control(2))),
        ];
        for (text, expected) in cases {
            assert_eq!(ReplyText::new(*text).map(|_| ()), *expected, "{text:?}");
        }
        assert_eq!(ReplyText::new("x".repeat(481)), Err(ReplyTextError::TooLong { found: 481 }));
    }

    #[test]
    fn sanitizing_cuts_at_a_character() {
        let text = ReplyText::sanitized(&"é".repeat(300));
        assert_eq!(text.as_str().len(), 480);
        assert!(ReplyText::new(text.as_str().to_owned()).is_ok());
    }
}

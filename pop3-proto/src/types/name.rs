//! [`UserName`]: which maildrop is wanted.

use core::fmt;

/// The name of a mailbox, as USER and APOP give it: printable text of 1 to 240 bytes, so that a command with it fits its
/// line.
///
/// RFC 1939 §3 has arguments of printable ASCII without spaces. Names with spaces in them are in use, and are taken, since
/// the grammar leaves no doubt where they end. Whether a name may hold more than ASCII is agreed on by UTF8 (RFC 6856 §2.2).
///
/// ```
/// use pop3_proto::types::UserName;
///
/// assert_eq!(UserName::new("mrose")?.as_str(), "mrose");
/// assert!(UserName::new("mrose\r\nPASS x").is_err());
/// # Ok::<(), pop3_proto::types::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserName(Box<str>);

/// Why a text is no [`UserName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing, or more than [`UserName::MAX`].
    #[error("expected a name of 1 to {max} bytes, found {found}", max = UserName::MAX)]
    Length {
        /// Length in bytes.
        found: usize,
    },
    /// A control character, or a space at the beginning or end, at this byte.
    #[error("expected a printable character at byte {0} of the name")]
    Character(usize),
    /// Not UTF-8, at this byte.
    #[error("expected UTF-8 at byte {0} of the name")]
    Utf8(usize),
}

impl UserName {
    /// Longest name in bytes.
    pub const MAX: usize = 240;

    /// Checks and takes a text.
    ///
    /// # Errors
    ///
    /// If it is empty or too long, is no UTF-8, has control characters, or begins or ends with a space.
    pub fn new(text: impl AsRef<[u8]>) -> Result<Self, NameError> {
        let bytes = text.as_ref();
        if bytes.is_empty() || bytes.len() > Self::MAX {
            return Err(NameError::Length { found: bytes.len() });
        }
        let text = core::str::from_utf8(bytes).map_err(|error| NameError::Utf8(error.valid_up_to()))?;
        if let Some((at, _)) = text.char_indices().find(|(_, c)| c.is_control()) {
            return Err(NameError::Character(at));
        }
        match bytes {
            [b' ', ..] => Err(NameError::Character(0)),
            [.., b' '] => Err(NameError::Character(bytes.len() - 1)),
            _ => Ok(Self(text.into())),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_that_cannot_break_a_line() {
        let cases: &[(&[u8], Result<(), NameError>)] = &[
            (b"mrose", Ok(())),
            (b"Marshall T. Rose", Ok(())),
            ("grün".as_bytes(), Ok(())),
            (b"", Err(NameError::Length { found: 0 })),
            (&[b'x'; 241], Err(NameError::Length { found: 241 })),
            (b"a\r", Err(NameError::Character(1))),
            (b"a\x00", Err(NameError::Character(1))),
            ("ab\u{85}".as_bytes(), Err(NameError::Character(2))),
            (b" a", Err(NameError::Character(0))),
            (b"a ", Err(NameError::Character(1))),
            (b"ab\xe9", Err(NameError::Utf8(2))),
        ];
        for (text, expected) in cases {
            assert_eq!(UserName::new(text).map(|_| ()), *expected, "{}", text.escape_ascii());
        }
    }
}

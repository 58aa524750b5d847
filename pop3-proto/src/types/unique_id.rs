//! [`UniqueId`]: what a message is known by from session to session.

use core::fmt;

/// A unique-id (RFC 1939 §7, UIDL): 1 to 70 characters from `!` to `~`, the same in each session.
///
/// ```
/// use pop3_proto::types::UniqueId;
///
/// assert_eq!(UniqueId::new("whqtswO00WBw418f9t5JxYwZ")?.as_str(), "whqtswO00WBw418f9t5JxYwZ");
/// assert!(UniqueId::new("with space").is_err());
/// assert!(UniqueId::new("").is_err());
/// # Ok::<(), pop3_proto::types::UniqueIdError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UniqueId(Box<str>);

/// Why a text is no [`UniqueId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UniqueIdError {
    /// Nothing, or more than [`UniqueId::MAX`].
    #[error("expected a unique-id of 1 to {max} bytes, found {found}", max = UniqueId::MAX)]
    Length {
        /// Length in bytes.
        found: usize,
    },
    /// A space, a control character or a byte beyond ASCII, at this byte.
    #[error("expected a printable ASCII character without space at byte {0} of the unique-id")]
    Character(usize),
}

impl UniqueId {
    /// Longest unique-id in bytes.
    pub const MAX: usize = 70;

    /// Checks and takes a text.
    ///
    /// # Errors
    ///
    /// If it is empty, too long, or holds anything but `!` to `~`.
    pub fn new(text: impl AsRef<[u8]>) -> Result<Self, UniqueIdError> {
        Self::check(text.as_ref()).map(|text| Self(text.into()))
    }

    /// Looks whether `text` is a unique-id, and lends it as text.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn check(text: &[u8]) -> Result<&str, UniqueIdError> {
        if text.is_empty() || text.len() > Self::MAX {
            return Err(UniqueIdError::Length { found: text.len() });
        }
        match text.iter().position(|byte| !byte.is_ascii_graphic()) {
            Some(at) => Err(UniqueIdError::Character(at)),
            None => Ok(core::str::from_utf8(text).expect("ASCII is UTF-8")),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for UniqueId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_those_of_the_rfc() {
        let cases: &[(&[u8], Result<(), UniqueIdError>)] = &[
            (b"!", Ok(())),
            (b"~.", Ok(())),
            (&[b'x'; 70], Ok(())),
            (&[b'x'; 71], Err(UniqueIdError::Length { found: 71 })),
            (b"", Err(UniqueIdError::Length { found: 0 })),
            (b"a b", Err(UniqueIdError::Character(1))),
            (b"ab\x7f", Err(UniqueIdError::Character(2))),
            (b"\xc3\xa9", Err(UniqueIdError::Character(0))),
            (b"a\r\n", Err(UniqueIdError::Character(1))),
        ];
        for (text, expected) in cases {
            assert_eq!(UniqueId::new(text).map(|_| ()), *expected, "{}", text.escape_ascii());
        }
    }
}

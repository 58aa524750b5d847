//! Unique identifiers of messages, as UIDL gives them.

use std::fmt;

use sha2::{Digest, Sha256};

/// Longest identifier, in octets (RFC 1939 §7).
const MAX: usize = 70;
/// Octets of a digest that make an identifier.
const DIGEST: usize = 16;

/// The unique identifier of a message: 1 to 70 octets from `!` to `~` (RFC 1939 §7).
///
/// ```
/// use maildrop::store::UniqueId;
///
/// assert_eq!(UniqueId::parse(b"1700000000.M5P7Q1.mx,S=1200").unwrap().as_str(), "1700000000.M5P7Q1.mx,S=1200");
/// assert!(UniqueId::parse(b"two words").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UniqueId(Box<str>);

/// Why some octets are no unique identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UniqueIdError {
    /// None, or more than 70.
    #[error("expected a unique identifier of 1 to 70 octets, but found {0}")]
    Length(usize),
    /// An octet outside of `!` to `~`.
    #[error("expected a unique identifier of octets from '!' to '~', but found another at offset {0}")]
    Forbidden(usize),
}

impl UniqueId {
    /// Takes an identifier as it is.
    ///
    /// # Errors
    /// [`UniqueIdError`] if RFC 1939 does not allow it.
    pub fn parse(text: &[u8]) -> Result<UniqueId, UniqueIdError> {
        if text.is_empty() || text.len() > MAX {
            return Err(UniqueIdError::Length(text.len()));
        }
        if let Some(at) = text.iter().position(|byte| !byte.is_ascii_graphic()) {
            return Err(UniqueIdError::Forbidden(at));
        }
        Ok(UniqueId(text.iter().map(|&byte| char::from(byte)).collect::<String>().into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a file, or what stands for it: the first half of its SHA-256 in hexadecimal digits.
    pub(crate) fn of_name(name: &[u8]) -> UniqueId {
        UniqueId::parse(name)
            .unwrap_or_else(|_| UniqueId::of_digest(digest_of(Sha256::new_with_prefix(name)), 1))
    }

    /// A digest in hexadecimal digits, and behind a dot which of the messages it is that have the same, counted from 1.
    pub(crate) fn of_digest(digest: MessageDigest, copy: usize) -> UniqueId {
        let mut text = format!("{:032x}", u128::from_be_bytes(digest));
        if copy > 1 {
            text.push_str(&format!(".{copy}"));
        }
        UniqueId(text.into())
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) type MessageDigest = [u8; DIGEST];

pub(crate) fn digest_of(hash: Sha256) -> MessageDigest {
    let mut digest = [0; DIGEST];
    digest.copy_from_slice(&hash.finalize()[..DIGEST]);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rfc_1939_does_not_allow_is_refused_and_replaced_by_a_digest() {
        // (name, error)
        let table: [(&[u8], Option<UniqueIdError>); 6] = [
            (b"!~", None),
            (&[b'a'; 70], None),
            (b"", Some(UniqueIdError::Length(0))),
            (&[b'a'; 71], Some(UniqueIdError::Length(71))),
            (b"a b", Some(UniqueIdError::Forbidden(1))),
            (b"ab\xc3\xbc", Some(UniqueIdError::Forbidden(2))),
        ];
        for (name, error) in table {
            assert_eq!(UniqueId::parse(name).err(), error, "{}", name.escape_ascii());
            let id = UniqueId::of_name(name);
            assert_eq!(id.as_str().as_bytes() == name, error.is_none());
            assert_eq!(UniqueId::parse(id.as_str().as_bytes()), Ok(id));
        }
        // As sha256sum has it.
        assert_eq!(UniqueId::of_name(b"a b").as_str(), "c8687a08aa5d6ed2044328fa6a697ab8");
        assert_eq!(UniqueId::of_digest([0xff; 16], 12).as_str(), "ffffffffffffffffffffffffffffffff.12");
    }
}

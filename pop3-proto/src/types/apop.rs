//! APOP (RFC 1939 §7): the timestamp of a greeting, and the digest that proves a shared secret without showing it.
//!
//! The digest is MD5, and MD5 is broken: a server in the middle that sends timestamps of its own making can learn the first
//! characters of the password. What defence there is on the client's side is to take no timestamp that is not a message
//! identifier, which [`ApopTimestamp`] sees to, and to have TLS.

use core::fmt;
use mail_wire::Secret;
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq;

/// The timestamp of a greeting, with its angle brackets: a message identifier (RFC 5322 §3.6.4) in ASCII.
///
/// ```
/// use mail_wire::Secret;
/// use pop3_proto::types::ApopTimestamp;
///
/// let timestamp = ApopTimestamp::find(b"POP3 server ready <1896.697170952@dbc.mtview.ca.us>").unwrap();
/// assert_eq!(timestamp.as_str(), "<1896.697170952@dbc.mtview.ca.us>");
/// let digest = timestamp.digest(&Secret::new("tanstaaf"));
/// assert_eq!(digest.to_hex(), "c4c9334bac560ecc979e58001b3e22fb");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ApopTimestamp(Box<str>);

/// A text that is no timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a message identifier such as <1896.697170952@pop.example> of at most {max} bytes", max = ApopTimestamp::MAX)]
pub struct TimestampError;

impl ApopTimestamp {
    /// Longest timestamp in bytes: the greeting has a line of 512, and a host name has at most 255.
    pub const MAX: usize = 400;

    /// Checks and takes a timestamp with its angle brackets.
    ///
    /// # Errors
    ///
    /// If it is not `<`, dot-separated words of RFC 5322 atom characters, `@`, a domain or a domain literal, `>`; or too long.
    pub fn new(text: impl AsRef<[u8]>) -> Result<Self, TimestampError> {
        let text = text.as_ref();
        let inner = match text {
            [b'<', inner @ .., b'>'] if text.len() <= Self::MAX => inner,
            _ => return Err(TimestampError),
        };
        let at = inner.iter().position(|byte| *byte == b'@').ok_or(TimestampError)?;
        let (left, right) = (&inner[..at], &inner[at + 1..]);
        let literal = matches!(right, [b'[', literal @ .., b']']
            if literal.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'[' | b']' | b'\\')));
        if !is_dot_atom(left) || !(literal || is_dot_atom(right)) {
            return Err(TimestampError);
        }
        Ok(Self(core::str::from_utf8(text).expect("atoms are ASCII").into()))
    }

    /// Finds the timestamp in the text of a greeting. `None` where there is none that is a message identifier: APOP must not
    /// be used then.
    pub fn find(text: &[u8]) -> Option<Self> {
        let mut rest = text;
        while let Some(start) = memchr::memchr(b'<', rest) {
            rest = &rest[start..];
            let end = memchr::memchr(b'>', rest)?;
            if let Ok(timestamp) = Self::new(&rest[..=end]) {
                return Some(timestamp);
            }
            rest = &rest[1..];
        }
        None
    }

    /// The timestamp with its angle brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digest of this timestamp followed by the shared secret.
    pub fn digest(&self, secret: &Secret) -> ApopDigest {
        let mut md5 = Md5::new();
        md5.update(self.0.as_bytes());
        md5.update(secret.expose());
        ApopDigest(md5.finalize().into())
    }
}

impl fmt::Display for ApopTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Words of atom characters (RFC 5322 §3.2.3), a dot between each two.
fn is_dot_atom(text: &[u8]) -> bool {
    let is_atext = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(byte);
    text.split(|byte| *byte == b'.').all(|word| !word.is_empty() && word.iter().all(is_atext))
}

/// What APOP proves the shared secret with. Compared in constant time; `Debug` shows nothing of it, since weak passwords
/// can be found from it by trial.
#[derive(Clone, Copy)]
pub struct ApopDigest([u8; 16]);

impl ApopDigest {
    /// Reads 32 hexadecimal digits of either case. RFC 1939 §7 has them sent as small letters.
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        let text: &[u8; 32] = text.try_into().ok()?;
        let (pairs, _) = text.as_chunks::<2>();
        let mut digest = [0; 16];
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            *byte = u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?;
        }
        Some(Self(digest))
    }

    /// Takes the 16 bytes that MD5 gives.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// 32 hexadecimal digits, as they are sent.
    pub fn to_hex(self) -> String {
        self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(hex_digit).map(char::from).collect()
    }
}

const fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

impl PartialEq for ApopDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for ApopDigest {}

impl fmt::Debug for ApopDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApopDigest(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_message_identifiers_are_timestamps() {
        for good in [
            "<1896.697170952@dbc.mtview.ca.us>",
            "<a@b>",
            "<16b8.3.4a3b2c1d.kxmJ/5u+L==@pop.example>",
            "<1.2@[192.0.2.1]>",
        ] {
            assert_eq!(ApopTimestamp::new(good).map(|t| t.as_str().to_owned()), Ok(good.to_owned()));
        }
        let long = format!("<{}@b>", "x".repeat(400));
        for bad in [
            "",
            "<>",
            "<a>",
            "<@b>",
            "<a@>",
            "<a@b",
            "a@b>",
            "<a@b@c>",
            "<a b@c>",
            "<a..b@c>",
            "<.a@c>",
            "<a@c.>",
            "<a@[b>",
            "<ü@b>",
            "<a\r@b>",
            "<a<b@c>",
            "<a@[x\\]>",
            &long,
        ] {
            assert_eq!(ApopTimestamp::new(bad), Err(TimestampError), "{bad}");
        }
        assert!(ApopTimestamp::new(b"<a\xff@b>").is_err());
    }

    #[test]
    fn a_timestamp_is_found_wherever_it_stands() {
        for (text, expected) in [
            ("POP3 server ready <1.2@b>", Some("<1.2@b>")),
            ("<1.2@b> ready", Some("<1.2@b>")),
            ("<3 <ready> <1.2@b>.", Some("<1.2@b>")),
            ("<ready>", None),
            ("ready", None),
            ("1 < 2", None),
        ] {
            assert_eq!(
                ApopTimestamp::find(text.as_bytes()).as_ref().map(ApopTimestamp::as_str),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn digests_are_read_in_either_case_and_shown_to_nobody() {
        let digest = ApopDigest::from_hex(b"c4c9334bac560ecc979e58001b3e22fb").unwrap();
        assert_eq!(ApopDigest::from_hex(b"C4C9334BAC560ECC979E58001B3E22FB"), Some(digest));
        assert_eq!(digest.to_hex(), "c4c9334bac560ecc979e58001b3e22fb");
        assert_eq!(format!("{digest:?}"), "ApopDigest(..)");
        for bad in [
            "",
            "c4c9334bac560ecc979e58001b3e22f",
            "c4c9334bac560ecc979e58001b3e22fbf",
            "g4c9334bac560ecc979e58001b3e22fb",
        ] {
            assert_eq!(ApopDigest::from_hex(bad.as_bytes()), None, "{bad}");
        }
    }
}

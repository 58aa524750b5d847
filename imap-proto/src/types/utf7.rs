//! Modified UTF-7: how IMAP4rev1 writes mailbox names that are more than ASCII (RFC 3501 §5.1.3).
//!
//! Both directions are linear and strict: there is one way to write a name, and what is not written that way is no encoding.

use core::fmt;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Appends a name in modified UTF-7.
///
/// ```
/// let mut out = Vec::new();
/// imap_proto::types::utf7::encode("Entwürfe & Müll", &mut out);
/// assert_eq!(out, b"Entw&APw-rfe &- M&APw-ll");
/// ```
pub fn encode(name: &str, out: &mut Vec<u8>) {
    let mut chars = name.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '&' => out.extend_from_slice(b"&-"),
            ' '..='~' => out.push(char as u8),
            _ => {
                out.push(b'&');
                let mut shift = Shift::default();
                shift.push(char, out);
                while let Some(char) = chars.next_if(|char| !matches!(char, ' '..='~')) {
                    shift.push(char, out);
                }
                shift.finish(out);
                out.push(b'-');
            }
        }
    }
}

/// Sixteen bits in, six bits out.
#[derive(Default)]
struct Shift {
    bits: u32,
    count: u32,
}

impl Shift {
    fn push(&mut self, char: char, out: &mut Vec<u8>) {
        for unit in char.encode_utf16(&mut [0; 2]) {
            self.bits = (self.bits << 16) | u32::from(*unit);
            self.count += 16;
            while self.count >= 6 {
                self.count -= 6;
                out.push(ALPHABET[(self.bits >> self.count) as usize & 63]);
            }
        }
    }

    fn finish(&self, out: &mut Vec<u8>) {
        if self.count > 0 {
            out.push(ALPHABET[(self.bits << (6 - self.count)) as usize & 63]);
        }
    }
}

/// Why bytes are no modified UTF-7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected modified UTF-7, found {kind} at byte {at}")]
pub struct Utf7Error {
    /// Where, in bytes.
    pub at: usize,
    /// What.
    pub kind: Utf7Fault,
}

/// What a name in modified UTF-7 must not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Utf7Fault {
    /// A byte that is no printable ASCII, outside of `&…-`.
    Byte,
    /// `&…` without its `-`, or with a byte that is not of the alphabet.
    Shift,
    /// A lone surrogate, or bits that are left over and not zero.
    Bits,
    /// An encoding of what stands for itself, or two shifts without anything between.
    Superfluous,
}

impl fmt::Display for Utf7Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Utf7Fault::Byte => "a byte that is not printable ASCII",
            Utf7Fault::Shift => "an encoded part that does not end",
            Utf7Fault::Bits => "bits that are no character",
            Utf7Fault::Superfluous => "an encoding of what needs none",
        })
    }
}

/// Reads a name in modified UTF-7.
///
/// ```
/// use imap_proto::types::utf7::decode;
///
/// assert_eq!(decode(b"~peter/mail/&U,BTFw-/&ZeVnLIqe-")?, "~peter/mail/台北/日本語");
/// assert!(decode(b"&AGE-").is_err(), "an `a` needs no encoding");
/// # Ok::<(), imap_proto::types::utf7::Utf7Error>(())
/// ```
///
/// # Errors
///
/// If the bytes are not what [`encode`] writes for some name.
pub fn decode(bytes: &[u8]) -> Result<String, Utf7Error> {
    let mut name = String::with_capacity(bytes.len());
    let mut at = 0;
    // Where the last shift ended: another must not begin there.
    let mut shifted = None;
    while let Some(&byte) = bytes.get(at) {
        let fault = |kind| Utf7Error { at, kind };
        match byte {
            b'&' => {
                let rest = &bytes[at + 1..];
                let len = memchr::memchr(b'-', rest).ok_or(fault(Utf7Fault::Shift))?;
                if len == 0 {
                    name.push('&');
                } else if shifted == Some(at) {
                    return Err(fault(Utf7Fault::Superfluous));
                } else {
                    unshift(&rest[..len], &mut name).map_err(fault)?;
                    shifted = Some(at + len + 2);
                }
                at += len + 2;
            }
            b' '..=b'~' => {
                name.push(char::from(byte));
                at += 1;
            }
            _ => return Err(fault(Utf7Fault::Byte)),
        }
    }
    Ok(name)
}

fn unshift(digits: &[u8], name: &mut String) -> Result<(), Utf7Fault> {
    let (mut bits, mut count) = (0u32, 0u32);
    let mut high = None;
    for digit in digits {
        bits = (bits << 6) | u32::from(value(*digit).ok_or(Utf7Fault::Shift)?);
        count += 6;
        if count < 16 {
            continue;
        }
        count -= 16;
        let unit = (bits >> count) as u16;
        bits &= (1 << count) - 1;
        let char = match (high.take(), unit) {
            (None, 0xD800..=0xDBFF) => {
                high = Some(unit);
                continue;
            }
            (None, unit) => char::from_u32(unit.into()),
            (Some(high), unit) => char::decode_utf16([high, unit]).next().and_then(Result::ok),
        };
        match char.ok_or(Utf7Fault::Bits)? {
            ' '..='~' => return Err(Utf7Fault::Superfluous),
            char => name.push(char),
        }
    }
    // Less than a digit may be left over, and that as zeros.
    if high.is_some() || count >= 6 || bits != 0 { Err(Utf7Fault::Bits) } else { Ok(()) }
}

const fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b',' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_written_as_the_rfc_has_them_and_read_again() {
        for (name, encoded) in [
            ("", ""),
            ("INBOX", "INBOX"),
            ("a&b", "a&-b"),
            ("&&", "&-&-"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("☺!", "&Jjo-!"),
            ("Jeanne d’Arc", "Jeanne d&IBk-Arc"),
            ("😀", "&2D3eAA-"),
            ("é&è", "&AOk-&-&AOg-"),
            ("a\tb\u{7f}", "a&AAk-b&AH8-"),
        ] {
            let mut out = Vec::new();
            encode(name, &mut out);
            assert_eq!(out.escape_ascii().to_string(), encoded);
            assert_eq!(decode(encoded.as_bytes()).as_deref(), Ok(name));
        }
    }

    #[test]
    fn what_is_no_encoding_is_refused_with_its_place() {
        for (encoded, at, kind) in [
            ("ab&AOk", 2, Utf7Fault::Shift),
            ("a&AO!-", 1, Utf7Fault::Shift),
            ("&AO/-", 0, Utf7Fault::Shift),
            ("é", 0, Utf7Fault::Byte),
            ("a\tb", 1, Utf7Fault::Byte),
            ("&AGE-", 0, Utf7Fault::Superfluous),
            ("&ACY-", 0, Utf7Fault::Superfluous),
            ("&Jjo-&Jjo-", 5, Utf7Fault::Superfluous),
            ("&2D0-", 0, Utf7Fault::Bits),
            ("&3gA-", 0, Utf7Fault::Bits),
            ("&AOl-", 0, Utf7Fault::Bits),
            ("&AOkA-", 0, Utf7Fault::Bits),
            ("&A-", 0, Utf7Fault::Bits),
        ] {
            assert_eq!(decode(encoded.as_bytes()), Err(Utf7Error { at, kind }), "{encoded}");
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in ".*") {
            let mut out = Vec::new();
            encode(&name, &mut out);
            prop_assert!(out.iter().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(decode(&out), Ok(name));
        }

        #[test]
        fn what_can_be_read_is_written_again_equal(encoded in "[ -~]{0,12}|(&[A-Za-z0-9+,]{0,8}-?|[ -~]{0,2}){0,4}") {
            if let Ok(name) = decode(encoded.as_bytes()) {
                let mut out = Vec::new();
                encode(&name, &mut out);
                prop_assert_eq!(out, encoded.into_bytes());
            }
        }
    }
}

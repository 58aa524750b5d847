//! Modified UTF-7 (RFC 3501 §5.1.3): how IMAP, and so Maildir++, writes non-ASCII mailbox names in ASCII.
//!
//! Printable ASCII stands for itself, except `&`, which is written `&-`. Runs of other characters are written as `&`,
//! their UTF-16 in base64 (with `,` for `/`, without padding), and `-`. Each name has exactly one such form, and
//! [`decode`] takes no other, so that two directory names never mean the same folder. Both ways are linear in the input.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Why some bytes are not modified UTF-7, with the offset of the byte that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mutf7Error {
    /// A byte outside printable ASCII.
    #[error("expected printable ascii at offset {0}, but found another byte")]
    NotAscii(usize),
    /// Between `&` and `-`, a byte outside the base64 alphabet.
    #[error("expected modified base64 at offset {0}, but found another byte")]
    NotBase64(usize),
    /// The name ends before the `-`.
    #[error("expected '-' at offset {0}, but the name ends")]
    Unterminated(usize),
    /// The base64 run ends inside a UTF-16 unit, or its padding bits are not zero.
    #[error("expected whole utf-16 units before offset {0}, but bits are left over")]
    LeftOverBits(usize),
    /// A surrogate without its partner.
    #[error("expected a surrogate pair before offset {0}, but found half of one")]
    LoneSurrogate(usize),
    /// There is a shorter form: printable ASCII inside base64, or a run right after another.
    #[error("expected the shortest form at offset {0}, but found a longer one")]
    NotShortest(usize),
}

/// Writes `name` in modified UTF-7. The result is printable ASCII.
///
/// ```
/// assert_eq!(maildrop::mutf7::encode("Entwürfe & Co"), "Entw&APw-rfe &- Co");
/// ```
pub fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    let mut run = Run::default();
    for character in name.chars() {
        match character {
            '&' => {
                run.close(&mut out);
                out.push_str("&-");
            }
            ' '..='~' => {
                run.close(&mut out);
                out.push(character);
            }
            _ => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    run.push(*unit, &mut out);
                }
            }
        }
    }
    run.close(&mut out);
    out
}

/// An open base64 run of the encoder.
#[derive(Default)]
struct Run {
    open: bool,
    bits: u32,
    count: u32,
}

impl Run {
    fn push(&mut self, unit: u16, out: &mut String) {
        if !self.open {
            self.open = true;
            out.push('&');
        }
        // At most 5 bits are left over from before, so 21 are held.
        self.bits = (self.bits << 16) | u32::from(unit);
        self.count += 16;
        while self.count >= 6 {
            self.count -= 6;
            out.push(digit(self.bits >> self.count));
        }
        self.bits &= (1 << self.count) - 1;
    }

    fn close(&mut self, out: &mut String) {
        if self.open {
            if self.count > 0 {
                out.push(digit(self.bits << (6 - self.count)));
            }
            out.push('-');
            *self = Run::default();
        }
    }
}

fn digit(bits: u32) -> char {
    char::from(ALPHABET[(bits & 63) as usize])
}

/// Reads modified UTF-7, in its one shortest form.
///
/// # Errors
/// [`Mutf7Error`] for anything that [`encode`] does not write.
///
/// ```
/// assert_eq!(maildrop::mutf7::decode(b"Entw&APw-rfe").unwrap(), "Entwürfe");
/// assert!(maildrop::mutf7::decode(b"Entw\xfcrfe").is_err());
/// ```
pub fn decode(bytes: &[u8]) -> Result<String, Mutf7Error> {
    let mut out = String::with_capacity(bytes.len());
    let mut at = 0;
    let mut after_run = false;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'&' if bytes.get(at + 1) == Some(&b'-') => {
                out.push('&');
                at += 2;
                after_run = false;
            }
            // RFC 3501 §5.1.3: "there MUST NOT be null shifts", superfluous ones neither.
            b'&' if after_run => return Err(Mutf7Error::NotShortest(at)),
            b'&' => {
                at = decode_run(bytes, at + 1, &mut out)?;
                after_run = true;
            }
            b' '..=b'~' => {
                out.push(char::from(byte));
                at += 1;
                after_run = false;
            }
            _ => return Err(Mutf7Error::NotAscii(at)),
        }
    }
    Ok(out)
}

/// Decodes from behind `&` and answers the offset behind `-`.
fn decode_run(bytes: &[u8], start: usize, out: &mut String) -> Result<usize, Mutf7Error> {
    let (mut bits, mut count) = (0_u32, 0_u32);
    let mut high: Option<u16> = None;
    for (at, &byte) in bytes.iter().enumerate().skip(start) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b',' => 63,
            b'-' if high.is_some() => return Err(Mutf7Error::LoneSurrogate(at)),
            b'-' if count >= 6 || bits != 0 => return Err(Mutf7Error::LeftOverBits(at)),
            b'-' => return Ok(at + 1),
            _ => return Err(Mutf7Error::NotBase64(at)),
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count < 16 {
            continue;
        }
        count -= 16;
        let unit = (bits >> count) as u16;
        bits &= (1 << count) - 1;
        let character = match (high.take(), unit) {
            (None, 0xD800..=0xDBFF) => {
                high = Some(unit);
                continue;
            }
            (None, _) => char::from_u32(u32::from(unit)),
            (Some(high), _) => char::decode_utf16([high, unit]).next().and_then(Result::ok),
        };
        match character {
            Some(' '..='~') => return Err(Mutf7Error::NotShortest(at)),
            Some(character) => out.push(character),
            None => return Err(Mutf7Error::LoneSurrogate(at)),
        }
    }
    Err(Mutf7Error::Unterminated(bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_names_encode_and_decode() {
        // The third is the example of RFC 3501 §5.1.3.
        let table = [
            ("", ""),
            ("INBOX", "INBOX"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("A&B", "A&-B"),
            ("&", "&-"),
            ("&&", "&-&-"),
            ("ü&ü", "&APw-&-&APw-"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("☺!", "&Jjo-!"),
            ("😀", "&2D3eAA-"),
            ("a\u{7f}", "a&AH8-"),
            ("Отправленные", "&BB4EQgQ,BEAEMAQyBDsENQQ9BD0ESwQ1-"),
        ];
        for (plain, encoded) in table {
            assert_eq!(encode(plain), encoded);
            assert_eq!(decode(encoded.as_bytes()).as_deref(), Ok(plain));
        }
    }

    #[test]
    fn anything_but_the_one_shortest_form_is_refused() {
        let table: [(&[u8], Mutf7Error); 13] = [
            (b"a\xfcb", Mutf7Error::NotAscii(1)),
            (b"a\tb", Mutf7Error::NotAscii(1)),
            (b"&", Mutf7Error::Unterminated(1)),
            (b"&APw", Mutf7Error::Unterminated(4)),
            (b"&AP/-", Mutf7Error::NotBase64(3)),
            (b"&AP w-", Mutf7Error::NotBase64(3)),
            (b"&APx-", Mutf7Error::LeftOverBits(4)),
            (b"&APwA-", Mutf7Error::LeftOverBits(5)),
            (b"&A-", Mutf7Error::LeftOverBits(2)),
            (b"&2D0-", Mutf7Error::LoneSurrogate(4)),
            (b"&3gA-", Mutf7Error::LoneSurrogate(3)),
            // RFC 3501 §5.1.3: "&U,BTFw-&ZeVnLIqe-" is not permitted.
            (b"&U,BTFw-&ZeVnLIqe-", Mutf7Error::NotShortest(8)),
            (b"&AGE-", Mutf7Error::NotShortest(3)),
        ];
        for (bytes, error) in table {
            assert_eq!(decode(bytes), Err(error), "{}", bytes.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn every_string_survives_the_way_there_and_back(name in "\\PC*|[&a-c\\-\u{fc}\u{1f600}\u{0}]*") {
            let encoded = encode(&name);
            prop_assert!(encoded.bytes().all(|byte| (b' '..=b'~').contains(&byte) && (byte != b'/' || name.contains('/'))));
            prop_assert_eq!(decode(encoded.as_bytes()).unwrap(), name);
        }

        #[test]
        fn what_decodes_is_what_encodes(bytes in "[&A-Da-d0,+ \\-]*") {
            if let Ok(name) = decode(bytes.as_bytes()) {
                prop_assert_eq!(encode(&name), bytes);
            }
        }
    }
}

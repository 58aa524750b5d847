//! What bytes may stand where (RFC 9051 §9): one table, one look-up a byte.

/// A byte of an atom.
pub(crate) const ATOM: u8 = 1;
/// A byte of an astring that is no string: of an atom, or `]`.
pub(crate) const ASTRING: u8 = 2;
/// A byte of a LIST pattern that is no string: of an astring, `%` or `*`.
pub(crate) const LIST: u8 = 4;
/// A byte of a tag: of an astring, but not `+`.
pub(crate) const TAG: u8 = 8;
/// A byte that stands for itself between quotes: printable, and neither `"` nor `\`.
pub(crate) const QUOTED: u8 = 16;
/// A byte that is not ASCII.
pub(crate) const HIGH: u8 = 32;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            // TEXT-CHAR is all of CHAR but CR and LF; there is no NUL in CHAR.
            0 | b'\r' | b'\n' => 0,
            0x01..=0x1f | 0x7f => QUOTED,
            b'"' | b'\\' => 0,
            b'(' | b')' | b'{' | b' ' => QUOTED,
            b'%' | b'*' => QUOTED | LIST,
            b']' => QUOTED | LIST | ASTRING | TAG,
            b'+' => QUOTED | LIST | ASTRING | ATOM,
            0x80..=0xff => HIGH,
            _ => QUOTED | LIST | ASTRING | ATOM | TAG,
        };
        byte += 1;
    }
    table
}

/// Whether a byte is of one of the classes.
#[inline]
pub(crate) fn is(byte: u8, classes: u8) -> bool {
    CLASSES[usize::from(byte)] & classes != 0
}

/// How many bytes at the front are of one of the classes.
#[inline]
pub(crate) fn span(bytes: &[u8], classes: u8) -> usize {
    bytes.iter().position(|byte| !is(*byte, classes)).unwrap_or(bytes.len())
}

/// How many bytes at the front stand for themselves between quotes, or are not ASCII: [`span`] of [`QUOTED`] and [`HIGH`], eight
/// bytes at a time, since most of what servers send is between quotes.
#[inline]
pub(crate) fn quoted_span(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = ONES << 7;
    let mut len = 0;
    while let Some(chunk) = bytes.get(len..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*chunk);
        // The top bit of each byte that is below 14, `"` or `\`; above the first of them there may be others.
        let (quotes, escapes) = (word ^ (ONES * b'"' as u64), word ^ (ONES * b'\\' as u64));
        let low = word.wrapping_sub(ONES * 14) & !word;
        let found = low | (quotes.wrapping_sub(ONES) & !quotes) | (escapes.wrapping_sub(ONES) & !escapes);
        if found & TOPS != 0 {
            len += (found & TOPS).trailing_zeros() as usize / 8;
            if matches!(bytes[len], b'"' | b'\\') {
                return len;
            }
            break;
        }
        len += 8;
    }
    // The end, or a control character that may well be there.
    len + span(bytes.get(len..).unwrap_or(&[]), QUOTED | HIGH)
}

/// Whether a byte may stand in an atom (RFC 9051 §9, ATOM-CHAR).
pub const fn is_atom_char(byte: u8) -> bool {
    CLASSES[byte as usize] & ATOM != 0
}

/// Whether a byte may stand in a tag.
pub(crate) fn is_tag_char(byte: u8) -> bool {
    is(byte, TAG)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(class: u8) -> Vec<u8> {
        (0..=255).filter(|byte| is(*byte, class)).collect()
    }

    #[test]
    fn spans_between_quotes_are_found_eight_bytes_at_a_time() {
        for len in 0..20 {
            for byte in 0..=255 {
                for filler in [b'x', b' ', 0x80, 0xff, 0x0e] {
                    let mut bytes = [filler; 20];
                    bytes[len] = byte;
                    for at in 0..=len {
                        let part = &bytes[at..];
                        assert_eq!(quoted_span(part), span(part, QUOTED | HIGH), "{}", part.escape_ascii());
                    }
                }
            }
        }
    }

    #[test]
    fn the_classes_are_those_of_the_grammar() {
        let atom: Vec<u8> = (0x21..0x7f).filter(|byte| !br#"(){%*"\]"#.contains(byte)).collect();
        let with = |class: &[u8], more: &[u8]| {
            let mut bytes = [class, more].concat();
            bytes.sort_unstable();
            bytes
        };
        assert_eq!(bytes_of(ATOM), atom);
        assert_eq!(bytes_of(ASTRING), with(&atom, b"]"));
        assert_eq!(bytes_of(LIST), with(&atom, b"]%*"));
        let tag: Vec<u8> = with(&atom, b"]").into_iter().filter(|byte| *byte != b'+').collect();
        assert_eq!(bytes_of(TAG), tag);
        let quoted: Vec<u8> = (1..0x80).filter(|byte| !b"\r\n\"\\".contains(byte)).collect();
        assert_eq!(bytes_of(QUOTED), quoted);
        assert_eq!(bytes_of(HIGH), (0x80..=0xff).collect::<Vec<u8>>());
    }
}

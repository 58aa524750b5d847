//! Keywords at the front of a text, without regard to case.
//!
//! Protocols of this family say what follows by a word: `SIZE=1000`, `250-PIPELINING`, `AUTH PLAIN LOGIN`. To compare
//! such a word with each that is known takes longer than all else that is done with a line. So the parsers look at its
//! first letters ([`head`]), which leave one candidate or two, and compare with that by whole machine words
//! ([`begins`]).
//!
//! ```
//! use mail_wire::keyword::{begins, head};
//!
//! let known = |text: &[u8]| match &head(text) {
//!     b"SI" => begins(text, b"SIZE"),
//!     b"8B" => begins(text, b"8BITMIME"),
//!     _ => false,
//! };
//! assert!(known(b"size=1000"));
//! assert!(known(b"8BitMime"));
//! assert!(!known(b"SIGH"));
//! ```

/// The first two bytes of a text, small letters as capitals; NULs where there is no more than one.
///
/// Letters, digits and the hyphen are told apart from all else, other bytes not from each other.
#[inline]
pub fn head(text: &[u8]) -> [u8; 2] {
    match text.first_chunk() {
        Some(chunk) => (capitals(u64::from(u16::from_le_bytes(*chunk))) as u16).to_le_bytes(),
        None => [0; 2],
    }
}

/// Whether `text` begins with the word `name`, which is made of capitals, digits and hyphens. What follows the word is
/// not looked at.
#[inline]
pub fn begins<const N: usize>(text: &[u8], name: &[u8; N]) -> bool {
    // A word of a length that no machine word has is compared by pieces that overlap. `N` is known when this is
    // compiled, which leaves one of the branches.
    let Some(start) = text.first_chunk::<N>() else { return false };
    if N >= 8 {
        let (eights, _) = start.as_chunks::<8>();
        let (known, _) = name.as_chunks::<8>();
        eights.iter().zip(known).all(|(a, b)| eight(Some(a)) == u64::from_le_bytes(*b))
            && eight(start.last_chunk()) == eight(name.last_chunk())
    } else if N >= 4 {
        four(start.first_chunk()) == four(name.first_chunk())
            && four(start.last_chunk()) == four(name.last_chunk())
    } else {
        start.eq_ignore_ascii_case(name)
    }
}

#[inline]
fn eight(chunk: Option<&[u8; 8]>) -> u64 {
    chunk.map_or(0, |chunk| capitals(u64::from_le_bytes(*chunk)))
}

#[inline]
fn four(chunk: Option<&[u8; 4]>) -> u64 {
    chunk.map_or(0, |chunk| capitals(u64::from(u32::from_le_bytes(*chunk))))
}

/// Clears the bit between small letters and capitals in all bytes from `@` up, so that no other byte becomes a capital.
#[inline]
const fn capitals(word: u64) -> u64 {
    const AT: u64 = u64::from_le_bytes([0x40; 8]);
    word & !((word & AT) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<const N: usize>(name: &[u8; N]) {
        assert!(begins(name, name));
        assert!(begins(&[&name[..], b"=1"].concat(), name));
        assert!(begins(&name.to_ascii_lowercase(), name));
        assert!(!begins(&name[..N - 1], name));
        for at in 0..N {
            for byte in 0..=255u8 {
                let mut text = *name;
                text[at] = byte;
                assert_eq!(begins(&text, name), text.eq_ignore_ascii_case(name), "{}", text.escape_ascii());
            }
        }
    }

    #[test]
    fn words_of_each_length_differ_at_each_byte_by_letter_and_not_by_case() {
        check(b"A");
        check(b"BY");
        check(b"RET");
        check(b"SIZE");
        check(b"ENVID");
        check(b"NOTIFY");
        check(b"8BITMIM");
        check(b"STARTTLS");
        check(b"REQUIRETLS");
        check(b"MT-PRIORITY-XYZ1");
        check(b"SCRAM-SHA-256-PLUS");
        check(b"ENHANCEDSTATUSCODES");
        check(b"A-WORD-OF-24-LETTERS-ABC");
    }

    #[test]
    fn the_head_is_told_apart_from_all_other_bytes() {
        assert_eq!(head(b""), [0; 2]);
        assert_eq!(head(b"x"), [0; 2]);
        assert_eq!(&head(b"8bit"), b"8B");
        for byte in 0..=255u8 {
            let expected = byte.to_ascii_uppercase();
            if expected.is_ascii_alphanumeric() || expected == b'-' {
                assert_eq!(head(&[byte, byte]), [expected; 2]);
            } else {
                assert!(head(&[byte, byte]).iter().all(|b| !b.is_ascii_alphanumeric() && *b != b'-'));
            }
        }
    }
}

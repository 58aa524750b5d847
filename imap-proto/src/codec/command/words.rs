//! Keywords as numbers, so that a `match` tells them apart in a few comparisons.

use crate::codec::Cursor;
use crate::codec::chars::{self, ATOM};

/// A word in capitals of at most 16 bytes, as a number.
pub(super) const fn word(text: &[u8]) -> u128 {
    assert!(!text.is_empty() && text.len() <= 16, "a word of 1 to 16 bytes");
    let mut number = 0;
    let mut at = text.len();
    while at > 0 {
        at -= 1;
        number = number << 8 | text[at] as u128;
    }
    number
}

/// The first `len` bytes as [`word`] has them, in any letter case; 0 if they are too many, or none.
#[inline]
pub(super) fn word_of(bytes: &[u8], len: usize) -> u128 {
    if len == 0 || len > 16 || len > bytes.len() {
        return 0;
    }
    let chunk = match bytes.first_chunk::<16>() {
        Some(chunk) => *chunk,
        None => {
            let mut chunk = [0; 16];
            chunk[..len].copy_from_slice(&bytes[..len]);
            chunk
        }
    };
    let capitals = chunk.map(|byte| byte.to_ascii_uppercase());
    u128::from_le_bytes(capitals) & (u128::MAX >> (128 - 8 * len))
}

impl Cursor<'_> {
    /// The atom that stands here, as [`word`] has it, and its length; nothing is consumed.
    #[inline]
    pub(super) fn peek_word(&self) -> (u128, usize) {
        let rest = self.rest();
        let len = chars::span(rest, ATOM);
        (word_of(rest, len), len)
    }
}

macro_rules! words {
    ($($name:ident = $text:literal,)*) => {
        $(pub(super) const $name: u128 = $crate::codec::command::words::word($text);)*
    };
}
pub(super) use words;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_in_any_letter_case_and_in_no_other_length() {
        for text in [&b"noOp"[..], b"NOOP", b"noop (and more than 16 bytes)", b"noop x"] {
            assert_eq!(word_of(text, 4), word(b"NOOP"), "{}", text.escape_ascii());
        }
        assert_ne!(word_of(b"NOOPS", 5), word(b"NOOP"));
        assert_eq!(word_of(b"0123456789ABCDEF", 16), word(b"0123456789ABCDEF"));
        assert_eq!(word_of(b"0123456789ABCDEFG", 17), 0);
        assert_eq!(word_of(b"", 0), 0);
    }
}

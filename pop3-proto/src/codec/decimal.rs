//! Decimal numbers, read; [`mail_wire::decimal`] writes them.

/// What a word of digits says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Digits {
    /// This number.
    Number(u64),
    /// One that is too large.
    Huge,
    /// The word is none of digits.
    None,
}

/// Reads a word of digits.
pub(super) fn digits(word: &[u8]) -> Digits {
    if word.is_empty() || !word.iter().all(u8::is_ascii_digit) {
        return Digits::None;
    }
    let add = |sum: u64, digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    word.iter().try_fold(0, add).map_or(Digits::Huge, Digits::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_up_to_the_largest() {
        for number in [0, 1, 9, 10, 99, 100, 4_294_967_296, u64::MAX] {
            assert_eq!(digits(number.to_string().as_bytes()), Digits::Number(number));
        }
        assert_eq!(digits(b"18446744073709551616"), Digits::Huge);
        assert_eq!(digits(b"00000000000000000000000000001"), Digits::Number(1));
        for bad in ["", "+1", "-1", "1 ", "a", "1.0"] {
            assert_eq!(digits(bad.as_bytes()), Digits::None);
        }
    }
}

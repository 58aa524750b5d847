//! A set of bytes.

/// Which of the 256 bytes are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(super) fn of(byte: u8) -> Self {
        let mut set = Self::default();
        set.insert(byte);
        set
    }

    /// Letters, digits and the underscore.
    pub(super) fn word() -> Self {
        let mut set = Self::of(b'_');
        for byte in (b'0'..=b'9').chain(b'a'..=b'z').chain(b'A'..=b'Z') {
            set.insert(byte);
        }
        set
    }

    pub(super) fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    pub(super) fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    pub(super) fn complement(self) -> Self {
        Self(self.0.map(|part| !part))
    }

    /// The byte in it, if there is no other; those that differ in case count as one if it is folded, the lower.
    pub(super) fn only(&self, fold: bool) -> Option<u8> {
        let count: u32 = self.0.iter().map(|part| part.count_ones()).sum();
        // Letters share a part, in which the upper case comes first.
        let at = self.0.iter().position(|part| *part != 0)?;
        let first = (at as u8) << 6 | self.0[at].trailing_zeros() as u8;
        let lower = first.to_ascii_lowercase();
        match count {
            1 if !fold || !first.is_ascii_alphabetic() => Some(first),
            2 if fold && lower != first && self.contains(lower) => Some(lower),
            _ => None,
        }
    }

    /// Adds the other case of each ASCII letter in it.
    pub(super) fn fold(&mut self) {
        // In their part, each letter in lower case stands 32 bits behind its upper case.
        const UPPER: u64 = 0x07ff_fffe;
        let part = &mut self.0[1];
        let letters = (*part | *part >> 32) & UPPER;
        *part |= letters | letters << 32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_adds_the_other_case_and_nothing_else() {
        let mut set = ByteSet::of(b'a');
        set.insert(b'_');
        set.fold();
        let all: Vec<u8> = (0..=255).filter(|byte| set.contains(*byte)).collect();
        assert_eq!(all, b"A_a");
    }

    #[test]
    fn a_set_of_one_byte_has_it_alone_or_in_both_cases() {
        for byte in 0..=255u8 {
            let mut set = ByteSet::of(byte);
            assert_eq!(set.only(false), Some(byte));
            set.fold();
            assert_eq!(set.only(true), Some(byte.to_ascii_lowercase()));
            set.insert(b'_');
            assert_eq!(set.only(true), (byte == b'_').then_some(b'_'));
        }
        assert_eq!(ByteSet::default().only(true), None);
    }

    #[test]
    fn a_complement_has_what_the_set_lacks() {
        let set = ByteSet::word();
        assert!((0..=255).all(|byte| set.contains(byte) != set.complement().contains(byte)));
    }
}

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

    /// Adds the other case of each ASCII letter in it.
    pub(super) fn fold(&mut self) {
        for lower in b'a'..=b'z' {
            let upper = lower.to_ascii_uppercase();
            if self.contains(lower) || self.contains(upper) {
                self.insert(lower);
                self.insert(upper);
            }
        }
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
    fn a_complement_has_what_the_set_lacks() {
        let set = ByteSet::word();
        assert!((0..=255).all(|byte| set.contains(byte) != set.complement().contains(byte)));
    }
}

//! [`Knobs`]: choices that a fuzzer makes, apart from the bytes that it feeds.

/// Gives choices one after the other: first the bytes it was made of, then numbers that follow from them. So few bytes
/// in front of a transcript settle how it is cut and answered, and the transcript stays readable.
#[derive(Debug, Clone)]
pub struct Knobs {
    state: u64,
}

impl Knobs {
    /// How many bytes [`split`](Self::split) takes.
    pub const LEN: usize = 4;

    /// Takes the knobs off the front of `data`.
    pub fn split(data: &[u8]) -> (Self, &[u8]) {
        let (front, rest) = data.split_at(data.len().min(Self::LEN));
        let mut bytes = [0; 8];
        bytes[..front.len()].copy_from_slice(front);
        (Self { state: u64::from_le_bytes(bytes) }, rest)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        // The finaliser of SplitMix64.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    /// Yes in one of `times`.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

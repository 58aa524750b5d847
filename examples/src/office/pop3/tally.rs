//! [`Tally`]: what a session has done, for the log and for the marks at its end.

use pop3_proto::types::MessageNumber;

/// What a session has done.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// How often a message was sent whole.
    pub(super) retrieved: u64,
    /// Octets of those, before dot-stuffing.
    pub(super) octets: u64,
    /// How often a part of one was.
    pub(super) tops: u64,
    /// How many messages were removed.
    pub(super) removed: usize,
    /// The messages that were sent whole: a bit for each up to the last of them.
    whole: Vec<u64>,
}

impl Tally {
    /// A message was sent whole.
    pub(super) fn retrieved(&mut self, number: MessageNumber, octets: u64) {
        self.retrieved += 1;
        self.octets += octets;
        let (word, bit) = (number.index() / 64, number.index() % 64);
        if self.whole.len() <= word {
            self.whole.resize(word + 1, 0);
        }
        self.whole[word] |= 1 << bit;
    }

    /// The indices of the messages that were sent whole, in order, each once.
    pub(super) fn whole(&self) -> impl Iterator<Item = usize> + '_ {
        let set = |word: u64| (0..64).filter(move |bit| word >> bit & 1 != 0);
        self.whole.iter().enumerate().flat_map(move |(at, &word)| set(word).map(move |bit| at * 64 + bit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_twice_is_marked_once() {
        let mut tally = Tally::default();
        for number in [200, 1, 64, 65, 64] {
            tally.retrieved(MessageNumber::new(number).unwrap(), 10);
        }
        assert_eq!(tally.whole().collect::<Vec<_>>(), [0, 63, 64, 199]);
        assert_eq!((tally.retrieved, tally.octets), (5, 50));
    }
}

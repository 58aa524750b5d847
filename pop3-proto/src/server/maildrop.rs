//! What the machine keeps of a maildrop while its session lasts: sizes and marks.

use crate::types::MessageNumber;

/// The messages of a maildrop as a session begins, in the order of their numbers: the answer to
/// [`Event::Open`](super::Event::Open).
///
/// Four bytes are kept for each message, and unique-ids only if they are given here or asked for later.
///
/// ```
/// use pop3_proto::server::Maildrop;
///
/// let maildrop: Maildrop = [120, 200].into_iter().collect();
/// assert_eq!((maildrop.len(), maildrop.octets()), (2, 320));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Maildrop {
    /// Sizes that fit; of others [`ELSEWHERE`].
    sizes: Vec<u32>,
    /// Sizes that do not fit, with their indices, in order.
    large: Vec<(u32, u64)>,
    octets: u64,
    pub(super) unique_ids: Option<super::UniqueIds>,
    pub(super) expire: Option<Option<u32>>,
    pub(super) login_delay: Option<u32>,
}

/// Stands for a size that is among the large ones.
const ELSEWHERE: u32 = u32::MAX;

impl Maildrop {
    /// No messages.
    pub fn new() -> Self {
        Self::default()
    }

    /// No messages, with room for so many.
    pub fn with_capacity(messages: usize) -> Self {
        Self { sizes: Vec::with_capacity(messages), ..Self::default() }
    }

    /// Adds a message by its size in octets as it is sent: each line end counts as two, a last line without its end gets
    /// one, and stuffing dots do not count (RFC 1939 §11).
    ///
    /// # Panics
    ///
    /// If there are 4,294,967,295 messages already: no number is left.
    pub fn push(&mut self, octets: u64) {
        let index = u32::try_from(self.sizes.len()).ok().filter(|index| *index < u32::MAX);
        let index = index.expect("a maildrop has fewer messages than there are numbers");
        match u32::try_from(octets) {
            Ok(size) if size != ELSEWHERE => self.sizes.push(size),
            _ => {
                self.sizes.push(ELSEWHERE);
                self.large.push((index, octets));
            }
        }
        self.octets = self.octets.saturating_add(octets);
    }

    /// Gives the unique-ids at once, where they are at hand. Without them, [`Event::UniqueIds`](super::Event::UniqueIds) asks
    /// when the client does.
    #[must_use]
    pub fn with_unique_ids(mut self, ids: super::UniqueIds) -> Self {
        self.unique_ids = Some(ids);
        self
    }

    /// For how many days this user's messages are kept at least, `None` for ever: what EXPIRE tells from here on.
    #[must_use]
    pub fn with_expire(mut self, days: Option<u32>) -> Self {
        self.expire = Some(days);
        self
    }

    /// How many seconds must lie between two logins of this user: what LOGIN-DELAY tells from here on.
    #[must_use]
    pub fn with_login_delay(mut self, seconds: u32) -> Self {
        self.login_delay = Some(seconds);
        self
    }

    /// Number of messages.
    pub fn len(&self) -> usize {
        self.sizes.len()
    }

    /// Whether there are no messages.
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// Octets of all messages.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// The size of a message; `None` if there is none of this number.
    pub fn size(&self, number: MessageNumber) -> Option<u64> {
        match *self.sizes.get(number.index())? {
            ELSEWHERE => {
                let index = number.get() - 1;
                let at = self.large.binary_search_by_key(&index, |(index, _)| *index).ok()?;
                Some(self.large[at].1)
            }
            size => Some(size.into()),
        }
    }

    fn capacity(&self) -> usize {
        self.sizes.capacity() * size_of::<u32>()
            + self.large.capacity() * size_of::<(u32, u64)>()
            + self.unique_ids.as_ref().map_or(0, super::UniqueIds::capacity)
    }
}

impl Extend<u64> for Maildrop {
    fn extend<I: IntoIterator<Item = u64>>(&mut self, sizes: I) {
        let sizes = sizes.into_iter();
        self.sizes.reserve(sizes.size_hint().0);
        sizes.for_each(|size| self.push(size));
    }
}

impl FromIterator<u64> for Maildrop {
    fn from_iter<I: IntoIterator<Item = u64>>(sizes: I) -> Self {
        let mut maildrop = Self::new();
        maildrop.extend(sizes);
        maildrop
    }
}

/// The messages that are marked as deleted, by their numbers. A bit for each message up to the last that is marked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deleted {
    bits: Vec<u64>,
    count: u32,
}

impl Deleted {
    /// Whether this message is marked.
    pub fn contains(&self, number: MessageNumber) -> bool {
        let (word, bit) = place(number);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// How many are marked.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether none is marked.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The numbers that are marked, from the lowest.
    pub fn iter(&self) -> impl Iterator<Item = MessageNumber> {
        self.bits.iter().enumerate().flat_map(|(word, &bits)| {
            let set = (0..64).filter(move |bit| bits >> bit & 1 != 0);
            set.filter_map(move |bit| MessageNumber::from_index(word * 64 + bit))
        })
    }

    fn insert(&mut self, number: MessageNumber) {
        let (word, bit) = place(number);
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        self.count += u32::from(self.bits[word] & bit == 0);
        self.bits[word] |= bit;
    }
}

const fn place(number: MessageNumber) -> (usize, u64) {
    (number.index() / 64, 1 << (number.index() % 64))
}

/// The maildrop of the session, with its marks.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) maildrop: Maildrop,
    pub(super) deleted: Deleted,
    deleted_octets: u64,
}

impl Opened {
    pub(super) fn new(maildrop: Maildrop) -> Self {
        Self { maildrop, deleted: Deleted::default(), deleted_octets: 0 }
    }

    /// The size of a message that is there and not marked.
    pub(super) fn size(&self, number: MessageNumber) -> Option<u64> {
        self.maildrop.size(number).filter(|_| !self.deleted.contains(number))
    }

    /// Marks a message that is there and not marked.
    pub(super) fn delete(&mut self, number: MessageNumber) {
        if let Some(size) = self.size(number) {
            self.deleted.insert(number);
            self.deleted_octets = self.deleted_octets.saturating_add(size);
        }
    }

    pub(super) fn reset(&mut self) {
        self.deleted = Deleted::default();
        self.deleted_octets = 0;
    }

    /// Number and octets of messages that are not marked.
    pub(super) fn count(&self) -> (u32, u64) {
        let messages = self.maildrop.sizes.len() as u32 - self.deleted.count;
        (messages, self.maildrop.octets.saturating_sub(self.deleted_octets))
    }

    pub(super) fn capacity(&self) -> usize {
        self.maildrop.capacity() + self.deleted.bits.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u32) -> MessageNumber {
        MessageNumber::new(number).unwrap()
    }

    #[test]
    fn sizes_beyond_four_gigabytes_are_kept_too() {
        let sizes = [0, u64::from(u32::MAX) - 1, u64::from(u32::MAX), 7, 1 << 40];
        let maildrop: Maildrop = sizes.into_iter().collect();
        for (index, size) in sizes.into_iter().enumerate() {
            assert_eq!(maildrop.size(MessageNumber::from_index(index).unwrap()), Some(size));
        }
        assert_eq!(maildrop.size(number(6)), None);
        assert_eq!(maildrop.octets(), sizes.iter().sum::<u64>());
    }

    #[test]
    fn marks_are_counted_once_and_taken_back_together() {
        let mut opened = Opened::new((1..=200).collect());
        for deleted in [1, 64, 65, 64, 200, 201] {
            opened.delete(number(deleted));
        }
        assert_eq!(opened.deleted.iter().map(MessageNumber::get).collect::<Vec<_>>(), [1, 64, 65, 200]);
        assert_eq!(opened.count(), (196, 20_100 - 330));
        assert_eq!((opened.size(number(64)), opened.size(number(63))), (None, Some(63)));
        opened.reset();
        assert_eq!(opened.count(), (200, 20_100));
        assert!(opened.deleted.is_empty());
    }
}

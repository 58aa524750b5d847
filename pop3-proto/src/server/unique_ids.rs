//! [`UniqueIds`]: the unique-ids of a whole maildrop, packed.

use crate::types::{UniqueId, UniqueIdError};

/// After so many ids the place of the next is noted.
const STRIDE: usize = 32;

/// The unique-ids of all messages, in the order of their numbers. Kept as one run of bytes, one byte more than the text of
/// each: 100,000 ids as Dovecot makes them take two megabytes.
///
/// ```
/// use pop3_proto::server::UniqueIds;
///
/// let mut ids = UniqueIds::new();
/// ids.push("whqtswO00WBw418f9t5JxYwZ")?;
/// ids.push("QhdPYR:00WBw1Ph7x7")?;
/// assert_eq!(ids.get(1), Some("QhdPYR:00WBw1Ph7x7"));
/// # Ok::<(), pop3_proto::types::UniqueIdError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct UniqueIds {
    /// Length and text of each.
    bytes: Vec<u8>,
    /// Where each id begins whose index is a multiple of [`STRIDE`].
    places: Vec<usize>,
    len: usize,
}

impl UniqueIds {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the id of the next message. Two messages must not have the same (RFC 1939 §7); that is not looked at.
    ///
    /// # Errors
    ///
    /// If it is no [`UniqueId`]; nothing is added then.
    pub fn push(&mut self, id: impl AsRef<str>) -> Result<(), UniqueIdError> {
        let id = UniqueId::check(id.as_ref().as_bytes())?;
        if self.len.is_multiple_of(STRIDE) {
            self.places.push(self.bytes.len());
        }
        self.bytes.push(id.len() as u8);
        self.bytes.extend_from_slice(id.as_bytes());
        self.len += 1;
        Ok(())
    }

    /// The id of the message with this [index](crate::types::MessageNumber::index).
    pub fn get(&self, index: usize) -> Option<&str> {
        if index >= self.len {
            return None;
        }
        let mut rest = self.bytes.get(*self.places.get(index / STRIDE)?..)?;
        for _ in 0..index % STRIDE {
            let (len, behind) = rest.split_first()?;
            rest = behind.get(usize::from(*len)..)?;
        }
        let (len, text) = rest.split_first()?;
        core::str::from_utf8(text.get(..usize::from(*len))?).ok()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity() + self.places.capacity() * size_of::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_is_found_by_its_index() {
        let id = |index: usize| format!("{}{index}", "x".repeat(index % 60));
        let mut ids = UniqueIds::new();
        (0..1000).for_each(|index| ids.push(id(index)).unwrap());
        assert_eq!(ids.len(), 1000);
        for index in 0..1000 {
            assert_eq!(ids.get(index), Some(&*id(index)));
        }
        assert_eq!(ids.get(1000), None);
    }

    #[test]
    fn what_is_no_id_is_not_added() {
        let mut ids = UniqueIds::new();
        assert!(ids.push("a b").is_err());
        assert!(ids.push("").is_err());
        assert!(ids.push("x".repeat(71)).is_err());
        assert!(ids.is_empty());
    }
}

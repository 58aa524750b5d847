//! What a session changes, as one.

/// Changes to a mailbox, made all at once by [`Mailbox::commit`](super::Mailbox::commit).
///
/// ```
/// use maildrop::store::Update;
///
/// let mut update = Update::new();
/// update.remove(3).remove(1).remove(3).seen(3).seen(0);
/// assert!(update.removed().eq([1, 3]));
/// assert!(update.marked_seen().eq([0]), "what is removed needs no flags");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Update {
    removed: Vec<usize>,
    seen: Vec<usize>,
}

impl Update {
    /// No changes.
    pub fn new() -> Update {
        Update::default()
    }

    /// Removes a message. To name it twice does no harm.
    pub fn remove(&mut self, index: usize) -> &mut Update {
        add(&mut self.removed, index);
        self
    }

    /// Marks a message as seen: somebody has read it, or taken a copy. A Maildir moves it from `new/` to `cur/`.
    pub fn seen(&mut self, index: usize) -> &mut Update {
        add(&mut self.seen, index);
        self
    }

    /// Whether there are no changes.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.seen.is_empty()
    }

    /// The messages to be removed, in order, each once.
    pub fn removed(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.removed.iter().copied()
    }

    /// The messages to be marked as seen, in order, each once, without those that are removed.
    pub fn marked_seen(&self) -> impl Iterator<Item = usize> + '_ {
        self.seen.iter().copied().filter(|index| self.removed.binary_search(index).is_err())
    }
}

/// Adds a number to a sorted list.
fn add(list: &mut Vec<usize>, index: usize) {
    match list.last() {
        // Sessions mostly name them in order.
        Some(&last) if last >= index => {
            if let Err(at) = list.binary_search(&index) {
                list.insert(at, index);
            }
        }
        _ => list.push(index),
    }
}

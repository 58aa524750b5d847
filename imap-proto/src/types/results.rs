//! What SEARCH, SORT and THREAD found.

use super::{MailboxName, ModSeq, NumberSet, PartialRange, Raw, Text, UidValidity};
use core::num::NonZeroU32;

/// A SEARCH or SORT response: sequence numbers or UIDs, as the command asked for (RFC 3501 §7.2.5, RFC 5256).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SearchResults {
    /// The messages, in order for SORT.
    pub numbers: Vec<NonZeroU32>,
    /// The highest modification sequence among them (RFC 7162).
    pub mod_seq: Option<ModSeq>,
}

/// A THREAD response: which message answers which (RFC 5256 §4).
///
/// The trees lie in one row, each message before those that answer it, and with the number of messages above it. So they can be
/// as deep as mails go, and nothing recurses.
///
/// ```
/// use imap_proto::types::{ThreadNode, Threads};
///
/// // 2 has the answers 6 and 4; 4 has the answer 7.
/// let number = std::num::NonZero::new;
/// let nodes = [(0, 2), (1, 6), (1, 4), (2, 7)].map(|(depth, n)| ThreadNode { depth, number: number(n) });
/// let threads = Threads::new(nodes.to_vec()).unwrap();
/// assert_eq!(threads.roots().count(), 1);
/// assert_eq!(threads.answers(0).collect::<Vec<_>>(), [1, 2]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Threads {
    nodes: Vec<ThreadNode>,
}

/// A message of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ThreadNode {
    /// How many messages are above it.
    pub depth: u32,
    /// Its sequence number or UID; `None` for one that must have been but is not in the mailbox.
    pub number: Option<NonZeroU32>,
}

impl Threads {
    /// From all messages, each before those that answer it; `None` if one is more than a level below the one before it.
    pub fn new(nodes: Vec<ThreadNode>) -> Option<Self> {
        let mut limit = 0;
        let valid = nodes.iter().all(|node| {
            let valid = node.depth <= limit;
            limit = node.depth.saturating_add(1);
            valid
        });
        valid.then_some(Self { nodes })
    }

    /// All messages, each before those that answer it.
    pub fn nodes(&self) -> &[ThreadNode] {
        &self.nodes
    }

    /// Where in the row each thread begins.
    pub fn roots(&self) -> impl Iterator<Item = usize> {
        self.nodes.iter().enumerate().filter(|(_, node)| node.depth == 0).map(|(at, _)| at)
    }

    /// Where in the row those are that answer the message at `at`.
    pub fn answers(&self, at: usize) -> impl Iterator<Item = usize> {
        let depth = self.nodes.get(at).map_or(u32::MAX, |node| node.depth);
        let below = self.nodes.iter().enumerate().skip(at.saturating_add(1));
        below
            .take_while(move |(_, node)| node.depth > depth)
            .filter(move |(_, node)| node.depth - depth == 1)
            .map(|(at, _)| at)
    }
}

/// An ESEARCH response (RFC 9051 §7.3.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ESearch {
    /// The tag of the command that this answers.
    pub tag: Option<Text>,
    /// The mailbox that was searched (RFC 7377).
    pub mailbox: Option<MailboxName>,
    /// Its UIDVALIDITY (RFC 7377).
    pub validity: Option<UidValidity>,
    /// Whether the numbers are UIDs.
    pub uid: bool,
    /// What was found, in the order in which it was told.
    pub items: Vec<ESearchItem>,
}

/// One item of an ESEARCH response.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ESearchItem {
    /// `MIN`: the lowest
    Min(NonZeroU32),
    /// `MAX`: the highest
    Max(NonZeroU32),
    /// `ALL`: all of them, in order for SORT
    All(NumberSet),
    /// `COUNT`: how many
    Count(u32),
    /// `MODSEQ`: the highest modification sequence among them (RFC 7162)
    ModSeq(ModSeq),
    /// `PARTIAL`: those in a range of the result, if there are any (RFC 9394)
    Partial(PartialRange, Option<NumberSet>),
    /// `ADDTO`: these come in at these positions of the result (RFC 5267)
    AddTo(Vec<(u32, NumberSet)>),
    /// `REMOVEFROM`: these go from these positions of the result (RFC 5267)
    RemoveFrom(Vec<(u32, NumberSet)>),
    /// `RELEVANCY`: a score of 1 to 100 for each (RFC 6203)
    Relevancy(Vec<u8>),
    /// Any other, or one of these that misses its grammar: its name and its value.
    Other(Raw),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_goes_down_by_one_level_at_a_time() {
        let nodes =
            |depths: &[u32]| depths.iter().map(|depth| ThreadNode { depth: *depth, number: None }).collect();
        for (depths, valid) in
            [(&[][..], true), (&[0, 1, 2, 0], true), (&[1], false), (&[0, 2], false), (&[0, u32::MAX], false)]
        {
            assert_eq!(Threads::new(nodes(depths)).is_some(), valid, "{depths:?}");
        }
        let threads = Threads::new(nodes(&[0, 1, 2, 1, 0, 1])).unwrap();
        assert_eq!(threads.roots().collect::<Vec<_>>(), [0, 4]);
        assert_eq!(threads.answers(0).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(threads.answers(99).count(), 0);
    }
}

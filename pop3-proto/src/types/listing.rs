//! Listings: what STAT, LIST and UIDL tell.

use super::{MessageNumber, UniqueId};

/// How many messages there are and how many octets they have together, without those marked as deleted (RFC 1939 §5, STAT).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct DropListing {
    /// Number of messages.
    pub messages: u32,
    /// Octets of all messages, each line end counted as two.
    pub octets: u64,
}

/// A message and its size (RFC 1939 §5, LIST).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ScanListing {
    /// Which message.
    pub number: MessageNumber,
    /// Its size in octets, each line end counted as two (RFC 1939 §11), stuffing dots not at all.
    pub octets: u64,
}

/// A message and its unique-id (RFC 1939 §7, UIDL).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UniqueIdListing {
    /// Which message.
    pub number: MessageNumber,
    /// What it is known by.
    pub id: UniqueId,
}

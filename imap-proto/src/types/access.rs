//! What is told of rights, quotas, metadata and URLs.

use super::{EntryName, MailboxName, QuotaResource, Rights, Text};

/// An ACL response: who may do what to a mailbox (RFC 4314 §3.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// Identifiers, such as user names, each with its rights.
    pub entries: Vec<(Text, Rights)>,
}

/// A LISTRIGHTS response: what rights somebody can be given (RFC 4314 §3.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRights {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// Whose rights.
    pub identifier: Text,
    /// Those that there are in any case.
    pub required: Rights,
    /// Those that can be given, where rights that go together stand together.
    pub optional: Vec<Rights>,
}

/// A MYRIGHTS response: what the user may do (RFC 4314 §3.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MyRights {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// The rights.
    pub rights: Rights,
}

/// A QUOTA response: what is used of what may be used (RFC 9208 §4.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// The quota root.
    pub root: Text,
    /// Its resources.
    pub resources: Vec<QuotaUsage>,
}

/// A resource of a quota root, in the unit of the [resource](QuotaResource).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QuotaUsage {
    /// Of what.
    pub resource: QuotaResource,
    /// How much is used.
    pub used: u64,
    /// How much may be used.
    pub limit: u64,
}

/// A QUOTAROOT response: which quota roots a mailbox counts in (RFC 9208 §4.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaRoots {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// The quota roots.
    pub roots: Vec<Text>,
}

/// A METADATA response (RFC 5464 §4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The mailbox; the empty name for the server itself.
    pub mailbox: MailboxName,
    /// What is told of it.
    pub entries: MetadataEntries,
}

/// What METADATA tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataEntries {
    /// Entries with their values, as they were asked for; `None` for one that is not there.
    Values(Vec<(EntryName, Option<Text>)>),
    /// Entries that have changed, at least one.
    Changed(Vec<EntryName>),
}

/// What URLFETCH says of a URL (RFC 4467 §7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlContent {
    /// The URL.
    pub url: Text,
    /// What it stands for; `None` if it cannot be fetched.
    pub content: Option<Text>,
}

//! [`List`]: which mailboxes there are, and what is asked of their metadata.

use super::Parameter;
use crate::types::{EntryName, ListPattern, MailboxName, NonEmpty, StatusAttribute};

/// LIST (RFC 9051 §6.3.9, RFC 5258).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct List {
    /// Selection options, if there is a list of them: only such mailboxes.
    pub selection: Option<Vec<ListSelection>>,
    /// The reference, that patterns start from.
    pub reference: MailboxName,
    /// The names that are looked for.
    pub patterns: Patterns,
    /// Return options, if there is a list of them: what to tell of each.
    pub returns: Option<Vec<ListReturn>>,
}

impl List {
    /// Whether this is the extended form: one pattern alone that is empty asks for the hierarchy delimiter in the basic form
    /// only (RFC 5258 §3).
    pub fn is_extended(&self) -> bool {
        self.selection.is_some() || self.returns.is_some() || matches!(self.patterns, Patterns::Many(_))
    }
}

/// One pattern, or some in parentheses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Patterns {
    /// One alone.
    One(ListPattern),
    /// In parentheses: mailboxes that match any of them.
    Many(NonEmpty<ListPattern>),
}

impl Patterns {
    /// The patterns.
    pub fn as_slice(&self) -> &[ListPattern] {
        match self {
            Patterns::One(pattern) => core::slice::from_ref(pattern),
            Patterns::Many(patterns) => patterns,
        }
    }
}

/// A selection option of LIST (RFC 5258 §3.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ListSelection {
    /// `SUBSCRIBED`: those that are subscribed to, whether they exist or not.
    Subscribed,
    /// `REMOTE`: and those elsewhere.
    Remote,
    /// `RECURSIVEMATCH`: and those above one that is selected. Another option that is not `REMOTE` must be there too.
    RecursiveMatch,
    /// `SPECIAL-USE`: those that have a special use (RFC 6154).
    SpecialUse,
    /// Any other; its value is in parentheses.
    Other(Parameter),
}

/// A return option of LIST (RFC 5258 §3.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ListReturn {
    /// `SUBSCRIBED`: whether it is subscribed to.
    Subscribed,
    /// `CHILDREN`: whether there are some below.
    Children,
    /// `SPECIAL-USE`: what it is for (RFC 6154).
    SpecialUse,
    /// `STATUS`: its status (RFC 5819).
    Status(NonEmpty<StatusAttribute>),
    /// `MYRIGHTS`: what the user may do with it (RFC 8440).
    MyRights,
    /// `METADATA`: these annotations of it (RFC 9590).
    Metadata(NonEmpty<EntryName>),
    /// Any other; its value is in parentheses.
    Other(Parameter),
}

/// GETMETADATA (RFC 5464 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GetMetadata {
    /// What of the entries.
    pub options: Vec<MetadataOption>,
    /// The mailbox; one without a name is the server.
    pub mailbox: MailboxName,
    /// Which entries.
    pub entries: NonEmpty<EntryName>,
}

/// An option of GETMETADATA.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetadataOption {
    /// `MAXSIZE`: no values of more octets (RFC 5464 §4.2.1).
    MaxSize(u32),
    /// `DEPTH`: and the entries below (RFC 5464 §4.2.2).
    Depth(Depth),
    /// Any other.
    Other(Parameter),
}

/// How far below an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Depth {
    /// `0`: only itself.
    Zero,
    /// `1`: and those right below.
    One,
    /// `infinity`: and all below.
    Infinity,
}

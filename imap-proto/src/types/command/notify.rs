//! [`Notify`]: what a client wants to be told unasked (RFC 5465).

use crate::types::{Atom, FetchAttribute, MailboxName, NonEmpty};

/// NOTIFY (RFC 5465 §3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Notify {
    /// `NONE`: nothing at all.
    None,
    /// `SET`: this, and nothing else.
    Set {
        /// `STATUS`: and the state of all these mailboxes once at the start.
        status: bool,
        /// What of which mailboxes. The first that holds a mailbox counts for it.
        groups: NonEmpty<EventGroup>,
    },
}

/// What of some mailboxes (RFC 5465 §8, event-group).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventGroup {
    /// Which mailboxes.
    pub mailboxes: MailboxFilter,
    /// What is to be told of them; nothing is `NONE`.
    pub events: Vec<Event>,
}

/// Which mailboxes (RFC 5465 §6, RFC 7377 §2.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MailboxFilter {
    /// `selected`: the one that is selected.
    Selected,
    /// `selected-delayed`: the same, but EXPUNGE only when a command allows it.
    SelectedDelayed,
    /// `inboxes`: those that mail may be delivered to.
    Inboxes,
    /// `personal`: those of the personal namespace.
    Personal,
    /// `subscribed`: those that are subscribed to.
    Subscribed,
    /// `subtree`: these and all below.
    Subtree(NonEmpty<MailboxName>),
    /// `subtree-one`: these and what is right below (RFC 7377).
    SubtreeOne(NonEmpty<MailboxName>),
    /// `mailboxes`: these.
    Mailboxes(NonEmpty<MailboxName>),
}

/// What may happen (RFC 5465 §5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// `MessageNew`: a message has come; of the selected mailbox, with these attributes.
    MessageNew(Vec<FetchAttribute>),
    /// `MessageExpunge`: one is gone.
    MessageExpunge,
    /// `FlagChange`
    FlagChange,
    /// `AnnotationChange`
    AnnotationChange,
    /// `MailboxName`: a mailbox was made, deleted or renamed.
    MailboxName,
    /// `SubscriptionChange`
    SubscriptionChange,
    /// `MailboxMetadataChange`
    MailboxMetadataChange,
    /// `ServerMetadataChange`
    ServerMetadataChange,
    /// Any other: the server says BADEVENT.
    Other(Atom),
}

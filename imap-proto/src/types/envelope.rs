//! [`Envelope`] and [`Address`]: what the header of a message says, parsed (RFC 9051 §7.5.2).

use super::Text;

/// The parsed header of a message. Fields that are not there are `None` or empty; texts are as they stand in the header, with
/// their encoded words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Envelope {
    /// `Date`, as it is written there.
    pub date: Option<Text>,
    /// `Subject`.
    pub subject: Option<Text>,
    /// `From`.
    pub from: Vec<Address>,
    /// `Sender`; servers give `From` where there is none.
    pub sender: Vec<Address>,
    /// `Reply-To`; servers give `From` where there is none.
    pub reply_to: Vec<Address>,
    /// `To`.
    pub to: Vec<Address>,
    /// `Cc`.
    pub cc: Vec<Address>,
    /// `Bcc`.
    pub bcc: Vec<Address>,
    /// `In-Reply-To`.
    pub in_reply_to: Option<Text>,
    /// `Message-ID`.
    pub message_id: Option<Text>,
}

/// An address of an [`Envelope`], or where a group begins or ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Address {
    /// The name that is shown, with its encoded words.
    pub name: Option<Text>,
    /// The source route of RFC 822.
    pub route: Option<Text>,
    /// What stands before the `@`; of the beginning of a group, its name.
    pub mailbox: Option<Text>,
    /// What stands behind the `@`.
    pub host: Option<Text>,
}

impl Address {
    /// Whether this begins a group: there is a name in [`mailbox`](Self::mailbox), and no host.
    pub fn is_group_start(&self) -> bool {
        self.host.is_none() && self.mailbox.is_some()
    }

    /// Whether this ends a group.
    pub fn is_group_end(&self) -> bool {
        self.host.is_none() && self.mailbox.is_none()
    }
}

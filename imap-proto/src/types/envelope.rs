//! [`Envelope`] and [`Address`]: what the header of a message says, parsed (RFC 9051 §7.5.2).

use super::Text;
use core::fmt;
use core::ops::Deref;
use std::sync::Arc;

/// The parsed header of a message. Fields that are not there are `None` or empty; texts are as they stand in the header, with
/// their encoded words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Envelope {
    /// `Date`, as it is written there.
    pub date: Option<Text>,
    /// `Subject`.
    pub subject: Option<Text>,
    /// `From`.
    pub from: Addresses,
    /// `Sender`; servers give `From` where there is none.
    pub sender: Addresses,
    /// `Reply-To`; servers give `From` where there is none.
    pub reply_to: Addresses,
    /// `To`.
    pub to: Addresses,
    /// `Cc`.
    pub cc: Addresses,
    /// `Bcc`.
    pub bcc: Addresses,
    /// `In-Reply-To`.
    pub in_reply_to: Option<Text>,
    /// `Message-ID`.
    pub message_id: Option<Text>,
}

/// The addresses of a field of an [`Envelope`]. Several fields often hold the same, so a clone shares them.
///
/// ```
/// use imap_proto::types::{Address, Addresses};
///
/// let from = Addresses::from(vec![Address { mailbox: Some("fred".into()), ..Address::default() }]);
/// assert_eq!(from.len(), 1);
/// assert!(Addresses::default().is_empty());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Addresses(Option<Arc<[Address]>>);

impl Addresses {
    /// No address: NIL.
    pub const NONE: Self = Self(None);

    /// One address, as most fields have.
    pub fn one(address: Address) -> Self {
        Self(Some(Arc::new([address])))
    }
}

impl From<Vec<Address>> for Addresses {
    fn from(addresses: Vec<Address>) -> Self {
        Self((!addresses.is_empty()).then(|| addresses.into()))
    }
}

impl FromIterator<Address> for Addresses {
    fn from_iter<T: IntoIterator<Item = Address>>(addresses: T) -> Self {
        addresses.into_iter().collect::<Vec<_>>().into()
    }
}

impl Deref for Addresses {
    type Target = [Address];

    fn deref(&self) -> &[Address] {
        self.0.as_deref().unwrap_or(&[])
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
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

//! What LIST, STATUS and NAMESPACE tell of mailboxes.

use super::{MailboxName, ModSeq, Raw, Text, Uid, UidValidity};
use core::fmt;

/// A LIST response, or one of its elder kin (RFC 9051 §7.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// By which response it was told.
    pub kind: ListKind,
    /// What is said of the mailbox.
    pub attributes: Vec<MailboxAttribute>,
    /// What stands between the levels of the hierarchy; `None` if there are none.
    pub delimiter: Option<Delimiter>,
    /// The mailbox.
    pub mailbox: MailboxName,
    /// Extended data items (RFC 5258).
    pub extended: Vec<ListItem>,
}

impl Listing {
    /// Whether an attribute is told.
    pub fn has(&self, attribute: &MailboxAttribute) -> bool {
        self.attributes.contains(attribute)
    }
}

/// By which response a mailbox was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListKind {
    /// `LIST`
    List,
    /// `LSUB` of IMAP4rev1: the subscriptions
    Lsub,
    /// `XLIST`, what special use was before RFC 6154
    XList,
}

/// The character between the levels of a hierarchy: printable ASCII.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Delimiter(u8);

impl Delimiter {
    /// `/`
    pub const SLASH: Self = Self(b'/');
    /// `.`
    pub const DOT: Self = Self(b'.');

    /// Takes a character, if it is printable ASCII.
    pub const fn new(delimiter: char) -> Option<Self> {
        if matches!(delimiter, ' '..='~') { Some(Self(delimiter as u8)) } else { None }
    }

    /// The character.
    pub const fn get(self) -> char {
        self.0 as char
    }
}

impl fmt::Debug for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.get(), f)
    }
}

macro_rules! attributes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What LIST says of a mailbox (RFC 9051 §7.3.1).
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum MailboxAttribute {
            $($(#[$doc])* $variant,)*
            /// Any other, with its backslash.
            Other(Text),
        }

        impl MailboxAttribute {
            /// By its name with the backslash, in any letter case; `None` for what is no backslash with an atom behind it.
            pub fn from_name(name: &[u8]) -> Option<Self> {
                $(if name.eq_ignore_ascii_case($name) {
                    return Some(MailboxAttribute::$variant);
                })*
                let valid = name.strip_prefix(b"\\").is_some_and(crate::codec::is_atom);
                valid.then(|| MailboxAttribute::Other(Text::copy(name)))
            }

            /// Its name.
            pub fn as_bytes(&self) -> &[u8] {
                match self {
                    $(MailboxAttribute::$variant => $name,)*
                    MailboxAttribute::Other(name) => name,
                }
            }
        }
    };
}

attributes! {
    /// There can be no mailboxes below it.
    NoInferiors = b"\\Noinferiors",
    /// It cannot be selected.
    NoSelect = b"\\Noselect",
    /// It is likely to have messages since it was selected last.
    Marked = b"\\Marked",
    /// It has no messages since it was selected last.
    Unmarked = b"\\Unmarked",
    /// There are mailboxes below it (RFC 3348).
    HasChildren = b"\\HasChildren",
    /// There are none below it (RFC 3348).
    HasNoChildren = b"\\HasNoChildren",
    /// It is not there (RFC 5258).
    NonExistent = b"\\NonExistent",
    /// It is subscribed to (RFC 5258).
    Subscribed = b"\\Subscribed",
    /// It is on another server (RFC 5258).
    Remote = b"\\Remote",
    /// All messages (RFC 6154).
    All = b"\\All",
    /// Messages that are put away (RFC 6154).
    Archive = b"\\Archive",
    /// Messages to be written on (RFC 6154).
    Drafts = b"\\Drafts",
    /// Messages that are flagged (RFC 6154).
    Flagged = b"\\Flagged",
    /// Messages taken for spam (RFC 6154).
    Junk = b"\\Junk",
    /// Messages that were sent (RFC 6154).
    Sent = b"\\Sent",
    /// Messages that were deleted (RFC 6154).
    Trash = b"\\Trash",
    /// Messages taken for important (RFC 8457).
    Important = b"\\Important",
}

/// An extended data item of LIST.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListItem {
    /// `CHILDINFO`: what mailboxes below it match, such as `SUBSCRIBED` (RFC 5258)
    ChildInfo(Vec<Text>),
    /// `OLDNAME`: what it was called, or what was asked for (RFC 9051 §6.3.9.7)
    OldName(MailboxName),
    /// Any other: its name and its value.
    Other(Raw),
}

/// A STATUS response (RFC 9051 §7.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxStatus {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// What is told of it.
    pub items: Vec<StatusItem>,
}

/// One item of a STATUS response; [`StatusAttribute`](super::StatusAttribute) asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusItem {
    /// How many messages there are.
    Messages(u32),
    /// How many have `\Recent`; of IMAP4rev1.
    Recent(u32),
    /// The UID that the next message will have at least.
    UidNext(Uid),
    /// The UIDVALIDITY.
    UidValidity(UidValidity),
    /// How many have no `\Seen`.
    Unseen(u32),
    /// How many have `\Deleted` (RFC 9051).
    Deleted(u32),
    /// Octets of all messages (RFC 8438).
    Size(u64),
    /// The highest modification sequence; 0 if there are none (RFC 7162).
    HighestModSeq(ModSeq),
    /// Octets of the largest message that can be appended; `None` for no limit (RFC 7889).
    AppendLimit(Option<u64>),
    /// The identifier of the mailbox (RFC 8474).
    MailboxId(Text),
    /// Octets that an expunge would free (RFC 9208).
    DeletedStorage(u64),
    /// Any other, or one of these that misses its grammar: its name and its value.
    Other(Raw),
}

/// A NAMESPACE response: where mailboxes are, and whose (RFC 2342).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Namespaces {
    /// The user's own.
    pub personal: Vec<Namespace>,
    /// Those of other users.
    pub others: Vec<Namespace>,
    /// Those of no user.
    pub shared: Vec<Namespace>,
}

/// One namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// What the names of its mailboxes begin with.
    pub prefix: MailboxName,
    /// What stands between the levels of the hierarchy; `None` if there are none.
    pub delimiter: Option<Delimiter>,
    /// Extensions, each with its values, such as `TRANSLATION` (RFC 5255).
    pub extensions: Vec<(Text, Vec<Text>)>,
}

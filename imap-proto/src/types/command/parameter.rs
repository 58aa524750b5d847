//! [`Parameter`]: an option of an extension that is not known here, and the options that are known of SELECT, CREATE, FETCH
//! and STORE.

use crate::types::{Atom, ModSeq, NumberSet, PartialRange, Raw, UidValidity};

/// A name, and its value if it has one, as all extensions write their options (RFC 4466 §2.1, tagged-ext).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Parameter {
    name: Atom,
    value: Option<Raw>,
}

impl Parameter {
    /// Takes a name, of letters, digits, `-`, `_`, `.` and `:`, not beginning with a digit or colon; and a value: a number, a
    /// set, or values in parentheses, in which literals are not allowed. `None` for what is none of that.
    ///
    /// ```
    /// use imap_proto::types::command::Parameter;
    ///
    /// assert!(Parameter::new("X-DEPTH", Some("(1 two)")).is_some());
    /// assert!(Parameter::new("X-DEPTH", Some("two")).is_none(), "a name would begin here");
    /// ```
    pub fn new(name: &str, value: Option<&str>) -> Option<Self> {
        crate::codec::parameter(name.as_bytes(), value.map(str::as_bytes))
    }

    pub(crate) fn trusted(name: Atom, value: Option<Raw>) -> Self {
        Self { name, value }
    }

    /// The name.
    pub fn name(&self) -> &Atom {
        &self.name
    }

    /// The value, as it is written.
    pub fn value(&self) -> Option<&Raw> {
        self.value.as_ref()
    }
}

/// A parameter of SELECT and EXAMINE (RFC 4466 §2.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SelectParameter {
    /// `CONDSTORE` (RFC 7162 §3.1.8)
    CondStore,
    /// `QRESYNC` (RFC 7162 §3.2.5)
    QResync(Box<QResync>),
    /// Any other.
    Other(Parameter),
}

/// What a client knows of a mailbox (RFC 7162 §3.2.5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QResync {
    /// The UIDVALIDITY under which it does.
    pub uid_validity: UidValidity,
    /// The modification sequence up to which it does.
    pub mod_seq: ModSeq,
    /// The UIDs that it knows; all of them if there are none here.
    pub known_uids: Option<NumberSet>,
    /// Some sequence numbers, and their UIDs, in ascending order.
    pub sequence_match: Option<(NumberSet, NumberSet)>,
}

/// A parameter of CREATE (RFC 4466 §2.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CreateParameter {
    /// `USE`: what the mailbox is for (RFC 6154 §3).
    Use(Vec<SpecialUse>),
    /// Any other.
    Other(Parameter),
}

/// What a mailbox is for (RFC 6154 §2, RFC 8457): an attribute with a backslash before it, such as `\Sent`. Its letter case is
/// kept and does not count.
///
/// ```
/// use imap_proto::types::command::SpecialUse;
///
/// assert_eq!(SpecialUse::new("\\Drafts").unwrap().as_bytes(), b"\\Drafts");
/// assert_eq!(SpecialUse::new("Drafts"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SpecialUse(crate::types::Keyword);

impl SpecialUse {
    /// Takes the name, with the backslash.
    pub fn new(name: &str) -> Option<Self> {
        let word = name.strip_prefix('\\').filter(|word| crate::codec::is_atom(word.as_bytes()))?;
        debug_assert!(!word.is_empty(), "an atom has one byte at least");
        Some(Self::trusted(name.into()))
    }

    pub(crate) fn trusted(name: crate::types::Text) -> Self {
        Self(crate::types::Keyword::trusted(name))
    }

    /// The name, with the backslash.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// A modifier of FETCH (RFC 4466 §2.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FetchModifier {
    /// `CHANGEDSINCE`: only messages with a larger modification sequence (RFC 7162 §3.1.4.1).
    ChangedSince(ModSeq),
    /// `VANISHED`: and the UIDs of those that are gone since (RFC 7162 §3.2.6).
    Vanished,
    /// `PARTIAL`: only some of them (RFC 9394 §3.3).
    Partial(PartialRange),
    /// Any other.
    Other(Parameter),
}

/// A modifier of STORE (RFC 4466 §2.5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreModifier {
    /// `UNCHANGEDSINCE`: only messages without a larger modification sequence (RFC 7162 §3.1.3).
    UnchangedSince(ModSeq),
    /// Any other.
    Other(Parameter),
}

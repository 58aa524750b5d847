//! [`Atom`]: a word of the protocol.

use super::Text;
use core::fmt;

/// A word that needs no quotes (RFC 9051 §4.1), such as the name of an authentication mechanism or of an extension. Its letter
/// case is kept and does not count.
///
/// ```
/// use imap_proto::types::Atom;
///
/// assert_eq!(Atom::new("SCRAM-SHA-256"), Atom::new("scram-sha-256"));
/// assert_eq!(Atom::new("two words"), None);
/// ```
#[derive(Clone)]
pub struct Atom(Text);

impl Atom {
    /// Takes a word; `None` if it is empty or has a character that no atom has.
    pub fn new(word: impl AsRef<[u8]>) -> Option<Self> {
        let word = word.as_ref();
        crate::codec::is_atom(word).then(|| Self(Text::copy(word)))
    }

    /// One that the parser has looked at.
    pub(crate) fn trusted(word: Text) -> Self {
        Self(word)
    }

    /// The word.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is a word, in any letter case.
    pub fn is(&self, word: &str) -> bool {
        self.0.eq_ignore_ascii_case(word.as_bytes())
    }
}

impl PartialEq for Atom {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Atom {}

impl core::hash::Hash for Atom {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        for byte in self.0.iter() {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Atom({})", self.0)
    }
}

//! [`Raw`]: what nobody here knows, kept as it came.

use super::Text;
use core::fmt;

/// One or more values of unknown meaning, exactly as they were on the wire: atoms, strings with their quotes or literals with
/// their announcements, lists in parentheses. It is written again as it is.
///
/// ```
/// use imap_proto::types::Raw;
///
/// let raw = Raw::parse(br#"X-STATUS (1 "two" NIL)"#)?;
/// assert_eq!(raw.as_bytes(), br#"X-STATUS (1 "two" NIL)"#);
/// assert!(Raw::parse(b"(1").is_err(), "what is not balanced would break a response");
/// # Ok::<(), imap_proto::codec::SyntaxError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Raw(Text);

impl Raw {
    /// What the parser has gone over.
    pub(crate) fn trusted(text: Text) -> Self {
        Self(text)
    }

    /// The bytes as they are on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({:?})", self.0)
    }
}

//! [`Tag`]: which command a response belongs to.

use super::Text;
use core::fmt;

/// The tag of a command: one or more bytes of an astring but `+` (RFC 9051 §2.2.1), [`Tag::MAX`] at the most.
///
/// ```
/// use imap_proto::types::Tag;
///
/// assert_eq!(Tag::new("a001").unwrap().to_string(), "a001");
/// assert_eq!(Tag::new("a b"), None);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tag(Text);

impl Tag {
    /// Longest tag in bytes. No client needs as many; each is sent back in a response.
    pub const MAX: usize = 256;

    /// Takes a tag.
    pub fn new(tag: impl AsRef<[u8]>) -> Option<Self> {
        let tag = tag.as_ref();
        let valid =
            (1..=Self::MAX).contains(&tag.len()) && tag.iter().all(|byte| crate::codec::is_tag_char(*byte));
        valid.then(|| Self(Text::copy(tag)))
    }

    /// One that the parser has looked at.
    pub(crate) fn trusted(tag: Text) -> Self {
        Self(tag)
    }

    /// The bytes, all of them printable ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_what_the_grammar_has() {
        for (tag, valid) in [
            ("A1", true),
            ("]", true),
            ("a.b-c:1", true),
            ("", false),
            ("+", false),
            ("a+", false),
            ("a(", false),
            ("*", false),
            ("é", false),
        ] {
            assert_eq!(Tag::new(tag).is_some(), valid, "{tag}");
        }
        assert!(Tag::new([b'x'; 256]).is_some() && Tag::new([b'x'; 257]).is_none());
    }
}

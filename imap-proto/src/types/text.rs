//! [`Text`]: a string as IMAP carries it.

use core::borrow::Borrow;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::{Deref, Range};
use std::sync::Arc;

/// Bytes of a string that was an atom, quoted, or a literal; which of them is the encoder's choice.
///
/// Most are UTF-8 and most of these ASCII, but what servers in the field send is sometimes neither, so this is bytes, and
/// [`to_str`](Text::to_str) says whether it is text.
///
/// Short ones (up to [`INLINE`](Text::INLINE) bytes) lie in the value itself. Longer ones are slices of the frame that they
/// were read from, which they keep in memory as a whole: who keeps a text for long that came with a long response
/// [detaches](Text::detach) it. Cloning never copies more than 32 bytes.
///
/// ```
/// use imap_proto::types::Text;
///
/// let text = Text::from("hello");
/// assert_eq!(text, *b"hello");
/// assert_eq!(text.to_str(), Some("hello"));
/// ```
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, bytes: [u8; Text::INLINE] },
    Shared { frame: Arc<[u8]>, start: u32, len: u32 },
}

impl Text {
    /// Longest text in bytes that is held without an allocation.
    pub const INLINE: usize = 30;

    /// The empty string.
    pub const EMPTY: Self = Self::from_static("");

    /// Takes a literal of the program.
    ///
    /// # Panics
    ///
    /// If it is longer than [`INLINE`](Self::INLINE); in a `const` this is a compile error.
    pub const fn from_static(text: &'static str) -> Self {
        let text = text.as_bytes();
        assert!(text.len() <= Self::INLINE, "the text is too long to lie in the value");
        let mut bytes = [0; Self::INLINE];
        let mut at = 0;
        while at < text.len() {
            bytes[at] = text[at];
            at += 1;
        }
        Self(Repr::Inline { len: text.len() as u8, bytes })
    }

    /// Copies bytes.
    ///
    /// # Panics
    ///
    /// If there are 4 GiB or more of them.
    #[inline]
    pub fn copy(bytes: &[u8]) -> Self {
        Self::inline(bytes).unwrap_or_else(|| Self::part(&bytes.into(), 0..bytes.len()))
    }

    /// The bytes, if they are few enough to lie in the value.
    #[inline]
    pub(crate) fn inline(bytes: &[u8]) -> Option<Self> {
        let mut inline = [0; Self::INLINE];
        inline.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self(Repr::Inline { len: bytes.len() as u8, bytes: inline }))
    }

    /// The first `len` bytes of what is at least as long as a value: without a branch on the length, and nothing of what
    /// follows them is kept.
    #[inline(always)]
    pub(crate) fn inline_front(chunk: &[u8; Self::INLINE], len: usize) -> Self {
        let len = len.min(Self::INLINE);
        // As many bytes of the word that begins at `at` as belong to the text.
        let keep = |word: u64, at: usize| {
            let beyond = 8 - len.saturating_sub(at).min(8) as u32;
            word & u64::MAX.checked_shr(beyond * 8).unwrap_or(0)
        };
        let [b0, b1, b2, b3, b4, b5, b6, b7, rest @ ..] = *chunk;
        let first = keep(u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]), 0);
        let [b0, b1, b2, b3, b4, b5, b6, b7, rest @ ..] = rest;
        let second = keep(u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]), 8);
        let [b0, b1, b2, b3, b4, b5, b6, b7, rest @ ..] = rest;
        let third = keep(u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]), 16);
        let [b0, b1, b2, b3, b4, b5] = rest;
        let fourth = keep(u64::from_le_bytes([b0, b1, b2, b3, b4, b5, 0, 0]), 24);
        let mut bytes = [0; Self::INLINE];
        bytes[..8].copy_from_slice(&first.to_le_bytes());
        bytes[8..16].copy_from_slice(&second.to_le_bytes());
        bytes[16..24].copy_from_slice(&third.to_le_bytes());
        bytes[24..].copy_from_slice(&fourth.to_le_bytes()[..6]);
        Self(Repr::Inline { len: len as u8, bytes })
    }

    /// A part of a frame, which is kept in memory.
    #[inline]
    pub(crate) fn part(frame: &Arc<[u8]>, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= frame.len(), "expected a part of the frame");
        assert!(u32::try_from(range.end).is_ok(), "expected a text of less than 4 GiB");
        Self(Repr::Shared { frame: Arc::clone(frame), start: range.start as u32, len: range.len() as u32 })
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            Repr::Shared { frame, start, len } => {
                let start = *start as usize;
                frame.get(start..start + *len as usize).unwrap_or(&[])
            }
        }
    }

    /// The text, where it is UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        core::str::from_utf8(self.as_bytes()).ok()
    }

    /// A copy that keeps nothing else in memory.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self::copy(self.as_bytes())
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Borrow<[u8]> for Text {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::copy(text.as_bytes())
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self::copy(bytes)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl PartialEq<[u8]> for Text {
    fn eq(&self, other: &[u8]) -> bool {
        self.as_bytes() == other
    }
}

impl<const N: usize> PartialEq<[u8; N]> for Text {
    fn eq(&self, other: &[u8; N]) -> bool {
        self.as_bytes() == other
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

/// Printable ASCII as it is, all else escaped; what is longer than 256 bytes is cut.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&mail_wire::Escaped(self.as_bytes()), f)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_takes_four_words() {
        assert_eq!(size_of::<Text>(), 32);
        assert_eq!(size_of::<Option<Text>>(), 32);
    }

    #[test]
    fn texts_of_all_lengths_are_what_they_were_made_of() {
        for len in [0, 1, 29, 30, 31, 300] {
            let bytes = vec![b'x'; len];
            for text in [Text::copy(&bytes), Text::copy(&bytes).detach()] {
                assert_eq!(text.as_bytes(), bytes, "{len}");
                assert_eq!(matches!(text.0, Repr::Inline { .. }), len <= Text::INLINE);
            }
            if let Some(front) =
                [&bytes[..], &[b'y'; 30]].concat().first_chunk().filter(|_| len <= Text::INLINE)
            {
                assert_eq!(Text::inline_front(front, len), Text::copy(&bytes));
            }
            let frame: Arc<[u8]> = [b"ab", &bytes[..], b"c"].concat().into();
            let part = Text::part(&frame, 2..2 + len);
            assert_eq!(part, Text::copy(&bytes));
            assert_eq!(part.detach(), part);
            assert_eq!(Arc::strong_count(&frame), 2);
        }
    }
}

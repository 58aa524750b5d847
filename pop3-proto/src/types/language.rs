//! Languages of reply texts (RFC 6856 §3).

use core::fmt;
use mail_wire::ReplyText;

/// A language tag (RFC 5646), as far as its form goes: words of 1 to 8 ASCII letters and digits, joined by hyphens, the first
/// of letters. Compared without regard to case.
///
/// ```
/// use pop3_proto::types::LanguageTag;
///
/// assert_eq!(LanguageTag::new("en-boont")?.as_str(), "en-boont");
/// assert_eq!(LanguageTag::new("DE-ch")?, LanguageTag::new("de-CH")?);
/// assert!(LanguageTag::new("en_US").is_err());
/// # Ok::<(), pop3_proto::types::LanguageError>(())
/// ```
#[derive(Debug, Clone)]
pub struct LanguageTag(Box<str>);

/// A text that is no language tag or range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a language tag: letters and digits in words of 1 to 8, joined by hyphens, {max} bytes at most", max = LanguageTag::MAX)]
pub struct LanguageError;

impl LanguageTag {
    /// Longest tag in bytes: that is more than RFC 5646 §4.4.1 asks to make room for.
    pub const MAX: usize = 64;

    /// Checks and takes a tag.
    ///
    /// # Errors
    ///
    /// If it is not of the form of a language tag.
    pub fn new(text: impl AsRef<[u8]>) -> Result<Self, LanguageError> {
        let text = text.as_ref();
        let mut words = text.split(|byte| *byte == b'-');
        let valid = |word: &[u8]| (1..=8).contains(&word.len()) && word.iter().all(u8::is_ascii_alphanumeric);
        let first = words.next().is_some_and(|word| valid(word) && word.iter().all(u8::is_ascii_alphabetic));
        if !first || !words.all(valid) || text.len() > Self::MAX {
            return Err(LanguageError);
        }
        Ok(Self(core::str::from_utf8(text).expect("letters and digits are ASCII").into()))
    }

    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for LanguageTag {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for LanguageTag {}

impl fmt::Display for LanguageTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A basic language range (RFC 4647 §2.1): what LANG asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LanguageRange {
    /// `*`: what the server's administrator prefers.
    Preferred,
    /// A language, with all narrower ones: `en` has `en-boont`.
    Tag(LanguageTag),
}

impl LanguageRange {
    /// Checks and takes a range.
    ///
    /// # Errors
    ///
    /// If it is neither `*` nor of the form of a language tag.
    pub fn new(text: impl AsRef<[u8]>) -> Result<Self, LanguageError> {
        match text.as_ref() {
            b"*" => Ok(Self::Preferred),
            text => LanguageTag::new(text).map(Self::Tag),
        }
    }

    /// Whether `tag` is in the range, by basic filtering (RFC 4647 §3.3.1). `*` has all tags.
    pub fn matches(&self, tag: &LanguageTag) -> bool {
        let Self::Tag(range) = self else { return true };
        let (range, tag) = (range.as_str(), tag.as_str());
        tag.get(..range.len()).is_some_and(|start| start.eq_ignore_ascii_case(range))
            && tag.as_bytes().get(range.len()).is_none_or(|byte| *byte == b'-')
    }
}

impl fmt::Display for LanguageRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preferred => f.write_str("*"),
            Self::Tag(tag) => tag.fmt(f),
        }
    }
}

/// A line of the reply to LANG without argument: a language, and what it is called by those who speak it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanguageListing {
    /// The language.
    pub tag: LanguageTag,
    /// Its name in itself.
    pub description: Option<ReplyText>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_the_form_that_the_rfc_gives_them() {
        for good in ["en", "EN-boont", "zh-Hant-TW", "x-klingon", "de-1996"] {
            assert!(LanguageTag::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-", "en-", "-en", "e1", "en--us", "abcdefghi", "en us", "é", "*", "en-*"] {
            assert_eq!(LanguageTag::new(bad), Err(LanguageError), "{bad}");
        }
    }

    #[test]
    fn a_range_has_its_tag_and_narrower_ones() {
        for (range, tag, matches) in [
            ("en", "en", true),
            ("EN", "en-US", true),
            ("en-us", "en", false),
            ("en", "enm", false),
            ("de-ch", "de-CH-1996", true),
            ("*", "sv", true),
        ] {
            let (range, tag) = (LanguageRange::new(range).unwrap(), LanguageTag::new(tag).unwrap());
            assert_eq!(range.matches(&tag), matches, "{range} {tag}");
        }
    }
}

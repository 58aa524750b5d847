//! [`Section`] and [`Partial`]: which bytes of a message are meant.

use super::Text;
use core::fmt;
use core::num::NonZeroU32;

/// Path of a body part: `1.2.3`, or nothing for the message itself (RFC 9051 §6.4.5.1).
#[derive(Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct PartPath(Vec<NonZeroU32>);

impl PartPath {
    /// The message itself.
    pub const MESSAGE: Self = Self(Vec::new());

    /// From the numbers of parts, outermost first.
    pub fn new(numbers: impl Into<Vec<NonZeroU32>>) -> Self {
        Self(numbers.into())
    }

    /// The numbers of parts, outermost first.
    pub fn numbers(&self) -> &[NonZeroU32] {
        &self.0
    }

    /// Whether this is the message itself.
    pub fn is_message(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for PartPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.0.iter().enumerate() {
            let dot = if index > 0 { "." } else { "" };
            write!(f, "{dot}{number}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for PartPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartPath({self})")
    }
}

/// What of a message or part is meant (RFC 9051 §6.4.5.1, section-spec).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum SectionText {
    /// All of it; of a part, its content without its MIME header.
    #[default]
    All,
    /// `HEADER`: the header of the message, or of the one in a message/rfc822 part.
    Header,
    /// `HEADER.FIELDS`: these of its fields.
    HeaderFields(Vec<Text>),
    /// `HEADER.FIELDS.NOT`: all of its fields but these.
    HeaderFieldsNot(Vec<Text>),
    /// `TEXT`: the body without the header.
    Text,
    /// `MIME`: the MIME header of a part.
    Mime,
}

/// What stands between the brackets of `BODY[…]`.
///
/// ```
/// use imap_proto::types::{PartPath, Section, SectionText};
///
/// assert_eq!(Section::FULL.to_string(), "");
/// let path = PartPath::new([std::num::NonZero::new(2).unwrap()]);
/// assert_eq!(Section::new(path, SectionText::Mime).unwrap().to_string(), "2.MIME");
/// assert!(Section::new(PartPath::MESSAGE, SectionText::Mime).is_none());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Section {
    part: PartPath,
    text: SectionText,
}

impl Section {
    /// The whole message.
    pub const FULL: Self = Self { part: PartPath::MESSAGE, text: SectionText::All };

    /// A section; `None` for what does not exist: `MIME` without a part, and header fields without a name.
    pub fn new(part: PartPath, text: SectionText) -> Option<Self> {
        let exists = match &text {
            SectionText::Mime => !part.is_message(),
            SectionText::HeaderFields(names) | SectionText::HeaderFieldsNot(names) => !names.is_empty(),
            SectionText::All | SectionText::Header | SectionText::Text => true,
        };
        exists.then_some(Self { part, text })
    }

    /// Of which part.
    pub fn part(&self) -> &PartPath {
        &self.part
    }

    /// What of it.
    pub fn text(&self) -> &SectionText {
        &self.text
    }
}

/// The part of the whole that is asked for: `<0.1024>` (RFC 9051 §6.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Partial {
    /// The first byte, from 0.
    pub start: u64,
    /// How many at the most.
    pub len: u64,
}

/// As it is written between brackets, but for names of fields that are no atoms, which are shown escaped.
impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.part.fmt(f)?;
        if !self.part.is_message() && self.text != SectionText::All {
            f.write_str(".")?;
        }
        let names = |f: &mut fmt::Formatter<'_>, word: &str, names: &[Text]| {
            write!(f, "{word} (")?;
            for (index, name) in names.iter().enumerate() {
                let space = if index > 0 { " " } else { "" };
                write!(f, "{space}{name}")?;
            }
            f.write_str(")")
        };
        match &self.text {
            SectionText::All => Ok(()),
            SectionText::Header => f.write_str("HEADER"),
            SectionText::HeaderFields(fields) => names(f, "HEADER.FIELDS", fields),
            SectionText::HeaderFieldsNot(fields) => names(f, "HEADER.FIELDS.NOT", fields),
            SectionText::Text => f.write_str("TEXT"),
            SectionText::Mime => f.write_str("MIME"),
        }
    }
}

impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Section({self})")
    }
}

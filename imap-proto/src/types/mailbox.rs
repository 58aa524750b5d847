//! [`MailboxName`] and [`ListPattern`]: names of mailboxes, and the patterns that LIST takes.

use super::Text;
use super::utf7;
use core::fmt;
use std::borrow::Cow;

/// Name of a mailbox, as text, whatever way it goes over the wire.
///
/// IMAP4rev1 writes names in [modified UTF-7](utf7), IMAP4rev2 and UTF8=ACCEPT in UTF-8 (RFC 9051 §5.1, RFC 6855 §3); the codec
/// knows which and translates. A name from a peer that keeps to neither is kept [as it came](Self::to_str), and is written
/// again as it came, so that a badly named mailbox can still be opened.
///
/// `INBOX` in any letter case is the same name, and is written in capitals.
///
/// ```
/// use imap_proto::types::MailboxName;
///
/// let name = MailboxName::new("Entwürfe")?;
/// assert_eq!(*name.to_wire(false), *b"Entw&APw-rfe");
/// assert_eq!(MailboxName::from_wire(b"Entw&APw-rfe", false), name);
/// assert_eq!(MailboxName::from_wire("Entwürfe".as_bytes(), true), name);
/// assert!(MailboxName::new("inBox")?.is_inbox());
/// # Ok::<(), imap_proto::types::MailboxNameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName {
    name: Text,
    /// Whether this is what was on the wire, since it was not encoded as it should be.
    raw: bool,
}

/// Why a text is no [`MailboxName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MailboxNameError {
    /// NUL, CR or LF, at this byte.
    #[error("expected a mailbox name without NUL and line breaks, found one at byte {0}")]
    Character(usize),
}

impl MailboxName {
    /// The mailbox that everybody has, and to which mail is delivered (RFC 9051 §5.1).
    pub const INBOX: Self = Self { name: Text::from_static("INBOX"), raw: false };

    /// Takes a name.
    ///
    /// # Errors
    ///
    /// If it holds NUL, CR or LF. Whether the server likes it otherwise is its business.
    pub fn new(name: impl AsRef<str>) -> Result<Self, MailboxNameError> {
        let name = name.as_ref();
        match breaks_a_line(name.as_bytes()) {
            Some(at) => Err(MailboxNameError::Character(at)),
            None => Ok(Self::text(Text::from(name))),
        }
    }

    fn text(name: Text) -> Self {
        if name.eq_ignore_ascii_case(b"INBOX") { Self::INBOX } else { Self { name, raw: false } }
    }

    /// From what was on the wire: in UTF-8 where the session has agreed on that, else in modified UTF-7.
    pub fn from_wire(bytes: &[u8], utf8: bool) -> Self {
        Self::from_text(Text::copy(bytes), utf8)
    }

    pub(crate) fn from_text(text: Text, utf8: bool) -> Self {
        if plain(&text, utf8) {
            return Self::text(text);
        }
        if utf8 {
            let raw = text.to_str().is_none() || breaks_a_line(&text).is_some();
            return Self { name: text, raw };
        }
        match utf7::decode(&text) {
            Ok(name) if breaks_a_line(name.as_bytes()).is_none() => {
                Self { name: Text::from(name.as_str()), raw: false }
            }
            _ => Self { name: text, raw: true },
        }
    }

    /// What goes on the wire: in UTF-8 where the session has agreed on that, else in modified UTF-7.
    pub fn to_wire(&self, utf8: bool) -> Cow<'_, [u8]> {
        match self.to_str() {
            Some(name) if !utf8 && !plain(&self.name, false) => {
                let mut encoded = Vec::with_capacity(name.len() * 2);
                utf7::encode(name, &mut encoded);
                Cow::Owned(encoded)
            }
            _ => Cow::Borrowed(&self.name),
        }
    }

    /// The name as text; `None` for one that was not encoded as it should be.
    pub fn to_str(&self) -> Option<&str> {
        if self.raw { None } else { self.name.to_str() }
    }

    /// The name in UTF-8, or what was on the wire if it was not encoded as it should be.
    pub fn as_bytes(&self) -> &[u8] {
        &self.name
    }

    /// Whether this is INBOX.
    pub fn is_inbox(&self) -> bool {
        self.name == "INBOX"
    }
}

/// Whether a name is the same in memory and on the wire: ASCII that needs no encoding.
fn plain(name: &[u8], utf8: bool) -> bool {
    name.iter().all(|byte| matches!(byte, b' '..=b'~') && (utf8 || *byte != b'&'))
}

fn breaks_a_line(name: &[u8]) -> Option<usize> {
    memchr::memchr3(0, b'\r', b'\n', name)
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_str() {
            Some(name) => f.write_str(name),
            None => self.name.fmt(f),
        }
    }
}

impl fmt::Debug for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_str() {
            Some(name) => fmt::Debug::fmt(name, f),
            None => write!(f, "raw {:?}", self.name),
        }
    }
}

/// What LIST and its kin look for: a name with wildcards, `*` for anything and `%` for anything within one level of the
/// hierarchy (RFC 9051 §6.3.9).
///
/// ```
/// use imap_proto::types::ListPattern;
///
/// let pattern = ListPattern::new("lists/%")?;
/// assert!(pattern.matches("lists/rust", Some('/')));
/// assert!(!pattern.matches("lists/rust/2026", Some('/')));
/// # Ok::<(), imap_proto::types::MailboxNameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ListPattern(MailboxName);

impl ListPattern {
    /// Takes a pattern.
    ///
    /// # Errors
    ///
    /// If it holds NUL, CR or LF.
    pub fn new(pattern: impl AsRef<str>) -> Result<Self, MailboxNameError> {
        MailboxName::new(pattern).map(Self)
    }

    /// The pattern with wildcards, as a name: it goes over the wire in the same ways.
    pub fn as_name(&self) -> &MailboxName {
        &self.0
    }

    /// Whether the pattern has wildcards.
    pub fn is_wild(&self) -> bool {
        self.0.as_bytes().iter().any(|byte| matches!(byte, b'*' | b'%'))
    }

    /// Whether a name is one of those that are looked for. The letter case of INBOX, and of what is below it in the
    /// hierarchy up to the delimiter, does not count.
    ///
    /// Takes time in proportion to the product of both lengths at the most, whatever the pattern is.
    pub fn matches(&self, name: &str, delimiter: Option<char>) -> bool {
        let inbox = name
            .split(|char| Some(char) == delimiter)
            .next()
            .is_some_and(|top| top.eq_ignore_ascii_case("INBOX"));
        let any_case = if inbox { "INBOX".len() } else { 0 };
        let mut buffer = [0; 4];
        let delimiter = delimiter.map_or(&[][..], |char| char.encode_utf8(&mut buffer).as_bytes());
        glob(self.0.as_bytes(), name.as_bytes(), delimiter, any_case)
    }
}

impl From<MailboxName> for ListPattern {
    fn from(name: MailboxName) -> Self {
        Self(name)
    }
}

/// Which prefixes of the name each prefix of the pattern can match, one row after the other.
fn glob(pattern: &[u8], name: &[u8], delimiter: &[u8], any_case: usize) -> bool {
    let mut row = vec![false; name.len() + 1];
    row[0] = true;
    for symbol in pattern {
        match symbol {
            b'*' => {
                let from = row.iter().position(|matched| *matched).unwrap_or(row.len());
                row[from..].fill(true);
            }
            b'%' => {
                // A match may be made longer up to the next delimiter.
                let mut within = false;
                for at in 0..row.len() {
                    within = row[at] || (within && !ends_with_delimiter(&name[..at], delimiter));
                    row[at] = within;
                }
            }
            symbol => {
                for at in (1..row.len()).rev() {
                    let byte = name[at - 1];
                    let same = byte == *symbol || (at <= any_case && byte.eq_ignore_ascii_case(symbol));
                    row[at] = row[at - 1] && same;
                }
                row[0] = false;
            }
        }
    }
    row.last().copied().unwrap_or(false)
}

fn ends_with_delimiter(name: &[u8], delimiter: &[u8]) -> bool {
    !delimiter.is_empty() && name.ends_with(delimiter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_over_the_wire_both_ways() {
        for (name, utf7, utf8) in [
            ("INBOX", "INBOX", "INBOX"),
            ("inbox/Sub", "inbox/Sub", "inbox/Sub"),
            ("R&D", "R&-D", "R&D"),
            ("台北", "&U,BTFw-", "台北"),
            ("", "", ""),
        ] {
            let mailbox = MailboxName::new(name).unwrap();
            assert_eq!(*mailbox.to_wire(false), *utf7.as_bytes());
            assert_eq!(*mailbox.to_wire(true), *utf8.as_bytes());
            assert_eq!(MailboxName::from_wire(utf7.as_bytes(), false), mailbox);
            assert_eq!(MailboxName::from_wire(utf8.as_bytes(), true), mailbox);
        }
    }

    #[test]
    fn a_name_in_no_encoding_is_written_again_as_it_came() {
        for (bytes, utf8) in [
            (&b"R&D"[..], false),
            (b"caf\xe9", false),
            (b"caf\xe9", true),
            ("é".as_bytes(), false),
            (b"&AAo-", false),
        ] {
            let mailbox = MailboxName::from_wire(bytes, utf8);
            assert_eq!(mailbox.to_str(), None, "{mailbox:?}");
            assert_eq!((&*mailbox.to_wire(false), &*mailbox.to_wire(true)), (bytes, bytes));
        }
    }

    #[test]
    fn names_hold_no_line_break_and_inbox_has_one_spelling() {
        assert_eq!(MailboxName::new("a\r\nb"), Err(MailboxNameError::Character(1)));
        assert_eq!(MailboxName::new("\0"), Err(MailboxNameError::Character(0)));
        assert_eq!(MailboxName::from_wire(b"iNbOx", false), MailboxName::INBOX);
        assert!(!MailboxName::new("INBOXES").unwrap().is_inbox());
    }

    #[test]
    fn patterns_find_what_the_rfc_says() {
        for (pattern, name, expected) in [
            ("*", "a/b/c", true),
            ("*", "", true),
            ("%", "a", true),
            ("%", "a/b", false),
            ("a%", "a/b", false),
            ("a*", "a/b", true),
            ("%/%", "a/b", true),
            ("%/%", "a/b/c", false),
            ("*/c", "a/b/c", true),
            ("a/%/c", "a/b/c", true),
            ("a/%/c", "a/b/b/c", false),
            ("a/*/c", "a/b/b/c", true),
            ("%b%", "abc", true),
            ("%%", "abc", true),
            ("%*%", "a/bc", true),
            ("abc", "ABC", false),
            ("inbox", "INBOX", true),
            ("Inb%", "INBOX", true),
            ("inbox/a", "INBOX/a", true),
            ("inbox/a", "INBOX/A", false),
            ("inbox", "INBOXES", false),
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
        ] {
            assert_eq!(
                ListPattern::new(pattern).unwrap().matches(name, Some('/')),
                expected,
                "{pattern} {name}"
            );
        }
        assert!(ListPattern::new("%").unwrap().matches("a/b", None), "without hierarchy all is one level");
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let pattern = ListPattern::new("*%".repeat(2000) + "b").unwrap();
        assert!(!pattern.matches(&"a/".repeat(2000), Some('/')));
    }
}

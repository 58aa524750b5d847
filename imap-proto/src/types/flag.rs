//! [`Flag`], [`Keyword`] and [`Flags`]: what is said of a message.

use super::Text;
use core::fmt;
use core::hash::{Hash, Hasher};

/// A flag that the protocol itself knows (RFC 9051 §2.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum SystemFlag {
    /// `\Answered`
    Answered = 1,
    /// `\Flagged`
    Flagged = 2,
    /// `\Deleted`
    Deleted = 4,
    /// `\Seen`
    Seen = 8,
    /// `\Draft`
    Draft = 16,
    /// `\Recent`: this session is the first to be told of the message. No client can set it; IMAP4rev2 has it no more.
    Recent = 32,
    /// `\*`: keywords may be made; only among PERMANENTFLAGS.
    Any = 64,
}

impl SystemFlag {
    /// All, in the order in which they are written.
    pub const ALL: [Self; 7] =
        [Self::Answered, Self::Flagged, Self::Deleted, Self::Seen, Self::Draft, Self::Recent, Self::Any];

    /// Its name, with the backslash.
    pub const fn as_str(self) -> &'static str {
        match self {
            SystemFlag::Answered => r"\Answered",
            SystemFlag::Flagged => r"\Flagged",
            SystemFlag::Deleted => r"\Deleted",
            SystemFlag::Seen => r"\Seen",
            SystemFlag::Draft => r"\Draft",
            SystemFlag::Recent => r"\Recent",
            SystemFlag::Any => r"\*",
        }
    }

    /// By its name, in any letter case.
    #[inline]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        let flag = match name.get(1)? | 0x20 {
            b'a' => SystemFlag::Answered,
            b'f' => SystemFlag::Flagged,
            b'd' if name.len() == 6 => SystemFlag::Draft,
            b'd' => SystemFlag::Deleted,
            b's' => SystemFlag::Seen,
            b'r' => SystemFlag::Recent,
            b'*' => SystemFlag::Any,
            _ => return None,
        };
        name.eq_ignore_ascii_case(flag.as_str().as_bytes()).then_some(flag)
    }
}

/// A flag that is none of the [system's](SystemFlag): a keyword such as `$Forwarded`, or a name with a backslash that is not
/// known here. Its letter case is kept and does not count (RFC 9051 §2.3.2).
///
/// ```
/// use imap_proto::types::Keyword;
///
/// assert_eq!(Keyword::new("$Junk")?, Keyword::JUNK);
/// assert!(Keyword::new("two words").is_err());
/// assert!(Keyword::new(r"\Seen").is_err(), "a system flag is no keyword");
/// # Ok::<(), imap_proto::types::KeywordError>(())
/// ```
#[derive(Clone)]
pub struct Keyword(Text);

/// Why a text is no [`Keyword`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeywordError {
    /// There is nothing.
    #[error("expected a keyword, found nothing")]
    Empty,
    /// A character that no atom has, at this byte.
    #[error("expected a character of an atom at byte {0} of the keyword")]
    Character(usize),
    /// This is a system flag.
    #[error("expected a keyword, found a system flag")]
    System,
}

impl Keyword {
    /// `$Forwarded` (RFC 9051 §2.3.2)
    pub const FORWARDED: Self = Self(Text::from_static("$Forwarded"));
    /// `$MDNSent` (RFC 3503)
    pub const MDN_SENT: Self = Self(Text::from_static("$MDNSent"));
    /// `$Junk` (RFC 9051 §2.3.2)
    pub const JUNK: Self = Self(Text::from_static("$Junk"));
    /// `$NotJunk` (RFC 9051 §2.3.2)
    pub const NOT_JUNK: Self = Self(Text::from_static("$NotJunk"));
    /// `$Phishing` (RFC 9051 §2.3.2)
    pub const PHISHING: Self = Self(Text::from_static("$Phishing"));
    /// `$Important` (RFC 8457)
    pub const IMPORTANT: Self = Self(Text::from_static("$Important"));

    /// Takes a name.
    ///
    /// # Errors
    ///
    /// If it is no atom, with or without a backslash before it, or is a [`SystemFlag`].
    pub fn new(name: impl AsRef<[u8]>) -> Result<Self, KeywordError> {
        let name = name.as_ref();
        let word = name.strip_prefix(b"\\").unwrap_or(name);
        if word.is_empty() {
            return Err(KeywordError::Empty);
        }
        if let Some(at) = word.iter().position(|byte| !crate::codec::is_atom_char(*byte)) {
            return Err(KeywordError::Character(at + name.len() - word.len()));
        }
        match SystemFlag::from_name(name) {
            Some(_) => Err(KeywordError::System),
            None => Ok(Self(Text::copy(name))),
        }
    }

    /// One that the parser has looked at.
    pub(crate) fn trusted(name: Text) -> Self {
        Self(name)
    }

    /// Its name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

impl Hash for Keyword {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.0.iter() {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A flag of either kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Flag {
    /// One that the protocol knows.
    System(SystemFlag),
    /// Any other.
    Keyword(Keyword),
}

impl Flag {
    /// Its name.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Flag::System(flag) => flag.as_str().as_bytes(),
            Flag::Keyword(keyword) => keyword.as_bytes(),
        }
    }
}

/// A set of flags. The system's come first and in a fixed order, keywords in the order in which they were added, `\*` last.
///
/// Nothing is allocated as long as there are no keywords.
///
/// ```
/// use imap_proto::types::{Flags, Keyword, SystemFlag};
///
/// let mut flags = Flags::from_iter([SystemFlag::Seen, SystemFlag::Answered]);
/// flags.insert(Keyword::JUNK);
/// assert!(flags.contains(SystemFlag::Seen));
/// assert_eq!(flags.to_string(), r"(\Answered \Seen $Junk)");
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    system: u8,
    keywords: Vec<Keyword>,
}

impl Flags {
    /// No flags.
    pub const EMPTY: Self = Self { system: 0, keywords: Vec::new() };

    /// What the parser has found: of each keyword the first is kept. However many there are, this takes no time to speak of.
    pub(crate) fn found(system: u8, mut keywords: Vec<Keyword>) -> Self {
        if keywords.len() > 1 {
            let folded = |at: &usize| keywords[*at].0.iter().map(u8::to_ascii_lowercase);
            let mut order: Vec<usize> = (0..keywords.len()).collect();
            order.sort_by(|a, b| folded(a).cmp(folded(b)).then(a.cmp(b)));
            let mut again: Vec<usize> = order
                .windows(2)
                .filter(|pair| keywords[pair[0]] == keywords[pair[1]])
                .map(|pair| pair[1])
                .collect();
            if !again.is_empty() {
                again.sort_unstable();
                let mut at = 0..;
                keywords.retain(|_| at.next().is_none_or(|at| again.binary_search(&at).is_err()));
            }
        }
        Self { system, keywords }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.system == 0 && self.keywords.is_empty()
    }

    /// Whether a system flag is among them.
    pub const fn contains(&self, flag: SystemFlag) -> bool {
        self.system & flag as u8 != 0
    }

    /// Whether a keyword is among them.
    pub fn has_keyword(&self, keyword: &Keyword) -> bool {
        self.keywords.contains(keyword)
    }

    /// Adds a flag. One that is there already is not added again.
    pub fn insert(&mut self, flag: impl Into<Flag>) {
        match flag.into() {
            Flag::System(flag) => self.system |= flag as u8,
            Flag::Keyword(keyword) => {
                if !self.has_keyword(&keyword) {
                    self.keywords.push(keyword);
                }
            }
        }
    }

    /// Takes a flag away.
    pub fn remove(&mut self, flag: impl Into<Flag>) {
        match flag.into() {
            Flag::System(flag) => self.system &= !(flag as u8),
            Flag::Keyword(keyword) => self.keywords.retain(|other| *other != keyword),
        }
    }

    /// The keywords.
    pub fn keywords(&self) -> &[Keyword] {
        &self.keywords
    }

    /// The system's flags, without `\*`.
    pub fn system(&self) -> impl Iterator<Item = SystemFlag> {
        SystemFlag::ALL.into_iter().filter(|flag| *flag != SystemFlag::Any && self.contains(*flag))
    }

    /// The names of all, in the order in which they are written.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        let any = self.contains(SystemFlag::Any).then_some(SystemFlag::Any.as_str().as_bytes());
        let system = self.system().map(|flag| flag.as_str().as_bytes());
        system.chain(self.keywords.iter().map(Keyword::as_bytes)).chain(any)
    }
}

impl From<SystemFlag> for Flag {
    fn from(flag: SystemFlag) -> Self {
        Flag::System(flag)
    }
}

impl From<Keyword> for Flag {
    fn from(keyword: Keyword) -> Self {
        Flag::Keyword(keyword)
    }
}

impl<F: Into<Flag>> FromIterator<F> for Flags {
    fn from_iter<I: IntoIterator<Item = F>>(flags: I) -> Self {
        let mut set = Self::EMPTY;
        set.extend(flags);
        set
    }
}

impl<F: Into<Flag>> Extend<F> for Flags {
    fn extend<I: IntoIterator<Item = F>>(&mut self, flags: I) {
        flags.into_iter().for_each(|flag| self.insert(flag));
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (index, name) in self.names().enumerate() {
            let space = if index > 0 { " " } else { "" };
            write!(f, "{space}{}", String::from_utf8_lossy(name))?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_flag_is_known_by_its_name_alone() {
        for flag in SystemFlag::ALL {
            let name = flag.as_str();
            assert_eq!(SystemFlag::from_name(name.as_bytes()), Some(flag));
            assert_eq!(SystemFlag::from_name(name.to_uppercase().as_bytes()), Some(flag));
            assert_eq!(SystemFlag::from_name(&name.as_bytes()[1..]), None, "without its backslash");
            assert_eq!(SystemFlag::from_name(&[name.as_bytes(), b"x"].concat()), None);
        }
        assert_eq!(SystemFlag::from_name(b"\\"), None);
        assert_eq!(SystemFlag::from_name(b""), None);
    }

    #[test]
    fn keywords_are_atoms_whose_letter_case_does_not_count() {
        for (name, expected) in [
            ("$Junk", Ok(())),
            (r"\XFoo", Ok(())),
            ("", Err(KeywordError::Empty)),
            (r"\", Err(KeywordError::Empty)),
            ("a b", Err(KeywordError::Character(1))),
            (r"\\a", Err(KeywordError::Character(1))),
            ("a]", Err(KeywordError::Character(1))),
            ("é", Err(KeywordError::Character(0))),
            (r"\DELETED", Err(KeywordError::System)),
        ] {
            assert_eq!(Keyword::new(name).map(|_| ()), expected, "{name}");
        }
        assert_eq!(Keyword::new("$JUNK").unwrap(), Keyword::JUNK);
    }

    #[test]
    fn sets_hold_each_flag_once() {
        let mut flags = Flags::EMPTY;
        for name in ["$Junk", "a", "$junk", "A"] {
            flags.insert(Keyword::new(name).unwrap());
        }
        flags.extend([SystemFlag::Any, SystemFlag::Seen, SystemFlag::Seen, SystemFlag::Answered]);
        assert_eq!(flags.to_string(), r"(\Answered \Seen $Junk a \*)");
        flags.remove(Keyword::new("A").unwrap());
        flags.remove(SystemFlag::Seen);
        assert_eq!(flags.to_string(), r"(\Answered $Junk \*)");
        assert_eq!(Flags::default().to_string(), "()");
    }
}

//! [`Mechanism`] and [`MechanismSet`]: which SASL mechanisms there are, and how strong each is.

use core::fmt;

use crate::keyword::begins;

/// A SASL mechanism this crate speaks, as client and as server.
///
/// Order is by strength: a greater mechanism gives an eavesdropper, a man in the middle and a stolen user database
/// less.
///
/// ```
/// use mail_wire::sasl::Mechanism;
///
/// assert_eq!(Mechanism::parse("scram-sha-256"), Some(Mechanism::ScramSha256));
/// assert_eq!(Mechanism::ScramSha256.name(), "SCRAM-SHA-256");
/// assert!(Mechanism::ScramSha256 > Mechanism::Plain);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// `ANONYMOUS` (RFC 4505): nobody in particular, with a line for the log.
    Anonymous,
    /// `LOGIN` (draft-murchison-sasl-login): name, then password, each on a line. Obsolete and wide-spread.
    Login,
    /// `PLAIN` (RFC 4616): names and password in one message.
    Plain,
    /// `CRAM-MD5` (RFC 2195): the password keys a digest of the server's challenge. Needs plain passwords stored.
    CramMd5,
    /// `XOAUTH2`: a bearer token in Google's form.
    XOAuth2,
    /// `OAUTHBEARER` (RFC 7628): a bearer token.
    OAuthBearer,
    /// `SCRAM-SHA-1` (RFC 5802): salted challenge and response, both sides prove themselves.
    ScramSha1,
    /// `SCRAM-SHA-256` (RFC 7677).
    ScramSha256,
    /// `EXTERNAL` (RFC 4422 appendix A): who the client is has been shown below, by a TLS client certificate say.
    External,
    /// `SCRAM-SHA-1-PLUS`: SCRAM bound to the TLS channel (RFC 5802 §6).
    ScramSha1Plus,
    /// `SCRAM-SHA-256-PLUS`.
    ScramSha256Plus,
}

impl Mechanism {
    /// Every mechanism, strongest first.
    pub const ALL: [Self; 11] = [
        Self::ScramSha256Plus,
        Self::ScramSha1Plus,
        Self::External,
        Self::ScramSha256,
        Self::ScramSha1,
        Self::OAuthBearer,
        Self::XOAuth2,
        Self::CramMd5,
        Self::Plain,
        Self::Login,
        Self::Anonymous,
    ];

    /// Finds the mechanism of that name, in any letter case; `None` where it is not one of ours.
    pub fn parse(name: impl AsRef<[u8]>) -> Option<Self> {
        let name = name.as_ref();
        Self::leading(name).filter(|mechanism| mechanism.name().len() == name.len())
    }

    /// The mechanism whose name is the first word of `words`.
    #[inline]
    fn leading(words: &[u8]) -> Option<Self> {
        // The first letter leaves one, or the family of SCRAM.
        let (known, mechanism) = match words.first()?.to_ascii_uppercase() {
            b'P' => (begins(words, b"PLAIN"), Self::Plain),
            b'L' => (begins(words, b"LOGIN"), Self::Login),
            b'X' => (begins(words, b"XOAUTH2"), Self::XOAuth2),
            b'C' => (begins(words, b"CRAM-MD5"), Self::CramMd5),
            b'E' => (begins(words, b"EXTERNAL"), Self::External),
            b'A' => (begins(words, b"ANONYMOUS"), Self::Anonymous),
            b'O' => (begins(words, b"OAUTHBEARER"), Self::OAuthBearer),
            b'S' if begins(words, b"SCRAM-SHA-256-PLUS") => (true, Self::ScramSha256Plus),
            b'S' if begins(words, b"SCRAM-SHA-256") => (true, Self::ScramSha256),
            b'S' if begins(words, b"SCRAM-SHA-1-PLUS") => (true, Self::ScramSha1Plus),
            b'S' => (begins(words, b"SCRAM-SHA-1"), Self::ScramSha1),
            _ => return None,
        };
        let ends = matches!(words.get(mechanism.name().len()), None | Some(b' ' | b'\t'));
        (known && ends).then_some(mechanism)
    }

    /// The registered name, in capitals.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "ANONYMOUS",
            Self::Login => "LOGIN",
            Self::Plain => "PLAIN",
            Self::CramMd5 => "CRAM-MD5",
            Self::XOAuth2 => "XOAUTH2",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::External => "EXTERNAL",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
        }
    }

    /// Whether whoever reads the wire can log in afterwards: the password or token itself is sent.
    ///
    /// Such a mechanism belongs under TLS only (RFC 4616 §6, RFC 7628 §5).
    pub const fn is_plaintext(self) -> bool {
        matches!(self, Self::Plain | Self::Login | Self::XOAuth2 | Self::OAuthBearer)
    }

    /// Whether this is a `-PLUS` form, which needs a [`ChannelBinding`](super::ChannelBinding) on both sides.
    pub const fn uses_channel_binding(self) -> bool {
        matches!(self, Self::ScramSha1Plus | Self::ScramSha256Plus)
    }

    /// Whether this is a SCRAM mechanism, with or without channel binding.
    pub const fn is_scram(self) -> bool {
        matches!(self, Self::ScramSha1 | Self::ScramSha256 | Self::ScramSha1Plus | Self::ScramSha256Plus)
    }

    /// Whether the client speaks first, so that an initial response is of use (RFC 4422 §5).
    ///
    /// `LOGIN` is server-first by its draft; a server here takes the name as initial response all the same, since
    /// clients in the field send it.
    pub const fn client_first(self) -> bool {
        !matches!(self, Self::Login | Self::CramMd5)
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of mechanisms: what a server offers, what a policy allows.
///
/// `Display` gives the names, strongest first, with a space between: the parameter of an SMTP `AUTH` or POP3 `SASL`
/// capability line.
///
/// ```
/// use mail_wire::sasl::{Mechanism, MechanismSet};
///
/// let offered = MechanismSet::parse("LOGIN PLAIN GSSAPI SCRAM-SHA-256");
/// assert_eq!(offered.to_string(), "SCRAM-SHA-256 PLAIN LOGIN");
/// assert_eq!(offered.iter().next(), Some(Mechanism::ScramSha256));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct MechanismSet(u16);

impl MechanismSet {
    /// No mechanism.
    pub const EMPTY: Self = Self(0);

    /// Every mechanism of this crate.
    pub const ALL: Self = Self((1 << Mechanism::ALL.len()) - 1);

    /// Reads names separated by spaces or tabs, as `EHLO` and `CAPA` answers list them; names unknown here are
    /// passed over.
    pub fn parse(words: impl AsRef<[u8]>) -> Self {
        let (mut words, mut set) = (words.as_ref(), Self::EMPTY);
        while !words.is_empty() {
            let len = match Mechanism::leading(words) {
                Some(mechanism) => {
                    set.insert(mechanism);
                    mechanism.name().len()
                }
                None => words.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(words.len()),
            };
            words = words.get(len + 1..).unwrap_or_default();
        }
        set
    }

    /// Whether `mechanism` is in the set.
    pub const fn contains(self, mechanism: Mechanism) -> bool {
        self.0 & mechanism.bit() != 0
    }

    /// Adds `mechanism`.
    pub const fn insert(&mut self, mechanism: Mechanism) {
        self.0 |= mechanism.bit();
    }

    /// Takes `mechanism` out.
    pub const fn remove(&mut self, mechanism: Mechanism) {
        self.0 &= !mechanism.bit();
    }

    /// What is in this set or in `other`.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set but not in `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those that send no password or token readable on the wire: what may be offered without TLS.
    #[must_use]
    pub fn without_plaintext(self) -> Self {
        self.iter().filter(|mechanism| !mechanism.is_plaintext()).collect()
    }

    /// Those that need no channel binding: what may be offered where there is none.
    #[must_use]
    pub fn without_channel_binding(self) -> Self {
        self.iter().filter(|mechanism| !mechanism.uses_channel_binding()).collect()
    }

    /// Whether nothing is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many are in the set.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The mechanisms, strongest first.
    pub fn iter(self) -> impl Iterator<Item = Mechanism> {
        Mechanism::ALL.into_iter().filter(move |&mechanism| self.contains(mechanism))
    }
}

impl FromIterator<Mechanism> for MechanismSet {
    fn from_iter<I: IntoIterator<Item = Mechanism>>(mechanisms: I) -> Self {
        let mut set = Self::EMPTY;
        set.extend(mechanisms);
        set
    }
}

impl Extend<Mechanism> for MechanismSet {
    fn extend<I: IntoIterator<Item = Mechanism>>(&mut self, mechanisms: I) {
        for mechanism in mechanisms {
            self.insert(mechanism);
        }
    }
}

impl From<Mechanism> for MechanismSet {
    fn from(mechanism: Mechanism) -> Self {
        Self(mechanism.bit())
    }
}

impl fmt::Display for MechanismSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mechanism) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(mechanism.name())?;
        }
        Ok(())
    }
}

impl fmt::Debug for MechanismSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_every_mechanism_once_from_strong_to_weak() {
        assert!(Mechanism::ALL.windows(2).all(|pair| pair[0] > pair[1]));
        assert_eq!(MechanismSet::ALL.len(), Mechanism::ALL.len());
        assert_eq!(Mechanism::ALL.into_iter().collect::<MechanismSet>(), MechanismSet::ALL);
    }

    #[test]
    fn a_name_is_read_in_any_letter_case_and_only_whole() {
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::parse(mechanism.name()), Some(mechanism));
            assert_eq!(Mechanism::parse(mechanism.name().to_ascii_lowercase()), Some(mechanism));
            assert_eq!(Mechanism::parse(format!("{mechanism}X")), None);
        }
        assert_eq!(Mechanism::parse(""), None);
        assert_eq!(Mechanism::parse(b"PLA\xc4\xb1N"), None);
    }

    #[test]
    fn a_list_of_names_keeps_the_known_ones() {
        let cases = [
            ("", ""),
            ("   ", ""),
            ("GSSAPI NTLM", ""),
            ("plain\tLOGIN  Plain", "PLAIN LOGIN"),
            ("CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-1-PLUS", "SCRAM-SHA-1-PLUS SCRAM-SHA-1 CRAM-MD5"),
        ];
        for (words, expected) in cases {
            assert_eq!(MechanismSet::parse(words).to_string(), expected, "{words:?}");
        }
    }

    #[test]
    fn a_set_can_be_cut_down_to_what_a_channel_bears() {
        let bare = MechanismSet::ALL.without_plaintext().without_channel_binding();
        assert_eq!(bare.to_string(), "EXTERNAL SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 ANONYMOUS");
        assert_eq!(MechanismSet::ALL.difference(bare).union(bare), MechanismSet::ALL);
        assert!(bare.intersection(Mechanism::Plain.into()).is_empty());
    }

    #[test]
    fn debug_names_the_members() {
        assert_eq!(format!("{:?}", MechanismSet::parse("LOGIN PLAIN")), "{Plain, Login}");
    }
}

//! Message flags as Maildir writes them: a letter each, in ASCII order, behind `:2,`.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};
use std::str::FromStr;

/// The letters in ASCII order, bit 0 first.
const LETTERS: &[u8; 32] = b"DFPRSTabcdefghijklmnopqrstuvwxyz";

/// A set of message flags: the six standard ones and the 26 keyword letters `a` to `z`, whose meaning each Maildir
/// defines for itself.
///
/// ```
/// use maildrop::Flags;
///
/// let flags = Flags::SEEN | Flags::REPLIED;
/// assert_eq!(flags.to_string(), "RS");
/// assert_eq!("SR".parse(), Ok(flags));
/// assert!(flags.contains(Flags::SEEN));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(u32);

/// A character that is no flag letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected flag letters out of D, F, P, R, S, T and a to z, but found {0:?}")]
pub struct FlagsError(char);

impl Flags {
    /// No flag.
    pub const EMPTY: Flags = Flags(0);
    /// `D`: a draft.
    pub const DRAFT: Flags = Flags(1 << 0);
    /// `F`: flagged by the user as special.
    pub const FLAGGED: Flags = Flags(1 << 1);
    /// `P`: passed on: forwarded, resent or bounced.
    pub const PASSED: Flags = Flags(1 << 2);
    /// `R`: replied to.
    pub const REPLIED: Flags = Flags(1 << 3);
    /// `S`: seen.
    pub const SEEN: Flags = Flags(1 << 4);
    /// `T`: trashed, to be deleted for good later. Does not count towards a Maildir++ quota.
    pub const TRASHED: Flags = Flags(1 << 5);

    /// The keyword flag of a letter from `a` to `z`.
    pub fn keyword(letter: char) -> Option<Flags> {
        letter.is_ascii_lowercase().then(|| u8::try_from(letter).ok().and_then(Flags::from_letter)).flatten()
    }

    pub(crate) fn from_letter(letter: u8) -> Option<Flags> {
        LETTERS.binary_search(&letter).ok().map(|bit| Flags(1 << bit))
    }

    /// Whether all of `other` are in this set.
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no flag is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// This set without those of `other`.
    #[must_use]
    pub fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// The letters, in ASCII order.
    pub fn letters(self) -> impl Iterator<Item = char> {
        LETTERS
            .iter()
            .enumerate()
            .filter(move |(bit, _)| self.0 & (1 << bit) != 0)
            .map(|(_, &letter)| char::from(letter))
    }
}

impl BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Flags) {
        self.0 |= other.0;
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.letters().try_for_each(|letter| fmt::Write::write_char(f, letter))
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({self})")
    }
}

impl FromStr for Flags {
    type Err = FlagsError;

    /// Reads flag letters in any order.
    fn from_str(letters: &str) -> Result<Flags, FlagsError> {
        letters.chars().try_fold(Flags::EMPTY, |flags, letter| {
            let flag = u8::try_from(letter).ok().and_then(Flags::from_letter).ok_or(FlagsError(letter))?;
            Ok(flags | flag)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_come_out_sorted_and_once() {
        let table = [
            ("", ""),
            ("S", "S"),
            ("TSRPFD", "DFPRST"),
            ("SS", "S"),
            ("aSz", "Saz"),
            ("zyxwvutsrqponmlkjihgfedcba", "abcdefghijklmnopqrstuvwxyz"),
        ];
        for (given, written) in table {
            assert_eq!(given.parse::<Flags>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn other_letters_are_refused() {
        for (text, letter) in [("X", 'X'), ("S,", ','), ("1", '1'), ("Sé", 'é')] {
            assert_eq!(text.parse::<Flags>(), Err(FlagsError(letter)));
        }
        assert_eq!(Flags::keyword('A'), None);
        assert_eq!(Flags::keyword('ß'), None);
    }

    #[test]
    fn a_set_can_be_asked_and_reduced() {
        let flags = Flags::SEEN | Flags::TRASHED | Flags::keyword('q').unwrap();
        assert!(flags.contains(Flags::TRASHED) && !flags.contains(Flags::SEEN | Flags::DRAFT));
        assert_eq!(flags.without(Flags::TRASHED | Flags::DRAFT).to_string(), "Sq");
        assert!(Flags::EMPTY.is_empty() && !flags.is_empty());
    }
}

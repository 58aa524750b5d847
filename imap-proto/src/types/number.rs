//! [`Uid`], [`SeqNum`], [`ModSeq`]: numbers that must not be taken for each other.

use core::fmt;
use core::num::NonZeroU32;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroU32);

        impl $name {
            /// The least.
            pub const MIN: Self = Self(NonZeroU32::MIN);
            /// The largest.
            pub const MAX: Self = Self(NonZeroU32::MAX);

            /// From its number; 0 is none.
            pub const fn new(number: u32) -> Option<Self> {
                match NonZeroU32::new(number) {
                    Some(number) => Some(Self(number)),
                    None => None,
                }
            }

            /// The number.
            pub const fn get(self) -> u32 {
                self.0.get()
            }
        }

        impl From<NonZeroU32> for $name {
            fn from(number: NonZeroU32) -> Self {
                Self(number)
            }
        }

        impl From<$name> for NonZeroU32 {
            fn from(number: $name) -> Self {
                number.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

number! {
    /// Unique identifier of a message in its mailbox, as long as the mailbox keeps its [`UidValidity`] (RFC 9051 §2.3.1.1).
    Uid
}

number! {
    /// Message sequence number: the place of a message in the mailbox as it is now, from 1 (RFC 9051 §2.3.1.2).
    SeqNum
}

number! {
    /// Unique identifier validity value: another one says that all UIDs known before are void (RFC 9051 §2.3.1.1).
    UidValidity
}

/// Modification sequence of a message or mailbox: at most 2⁶³ − 1, where 0 says that there is none (RFC 7162 §3.1.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ModSeq(u64);

impl ModSeq {
    /// No modification sequence.
    pub const ZERO: Self = Self(0);
    /// The largest.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// From its number, where it is not too large.
    pub const fn new(number: u64) -> Option<Self> {
        if number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ModSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ModSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModSeq({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_do_not_exist_are_refused() {
        assert_eq!(Uid::new(0), None);
        assert_eq!(SeqNum::new(u32::MAX), Some(SeqNum::MAX));
        assert_eq!(ModSeq::new(1 << 63), None);
        assert_eq!(ModSeq::new((1 << 63) - 1), Some(ModSeq::MAX));
        assert_eq!(size_of::<Option<Uid>>(), 4);
        assert_eq!(format!("{:?}", UidValidity::MIN), "UidValidity(1)");
    }
}

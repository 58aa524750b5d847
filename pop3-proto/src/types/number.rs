//! [`MessageNumber`]: which message of a session.

use core::fmt;
use core::num::NonZeroU32;

/// The number of a message within a session: the first is 1 (RFC 1939 §4). It names the same message until the session ends.
///
/// ```
/// use pop3_proto::types::MessageNumber;
///
/// let second = MessageNumber::new(2).unwrap();
/// assert_eq!(second.index(), 1);
/// assert_eq!(MessageNumber::from_index(1), Some(second));
/// assert_eq!(MessageNumber::new(0), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageNumber(NonZeroU32);

impl MessageNumber {
    /// The first message.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// Takes a number from 1 up.
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number of the message with this place in a list that begins at 0.
    pub fn from_index(index: usize) -> Option<Self> {
        Self::new(u32::try_from(index).ok()?.checked_add(1)?)
    }

    /// The number, from 1 up.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// Its place in a list that begins at 0.
    pub const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl From<NonZeroU32> for MessageNumber {
    fn from(number: NonZeroU32) -> Self {
        Self(number)
    }
}

impl fmt::Display for MessageNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

//! [`PartialRange`]: some of many results.

use core::fmt;
use core::num::NonZeroU32;

/// Which of the results are wanted (RFC 9394 §4, partial-range): the first is 1, counted from either end. Whichever of both
/// numbers is the larger, the range is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartialRange {
    /// `1:100`: counted from the oldest.
    FromFirst(NonZeroU32, NonZeroU32),
    /// `-1:-100`: counted from the newest.
    FromLast(NonZeroU32, NonZeroU32),
}

impl fmt::Display for PartialRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartialRange::FromFirst(a, b) => write!(f, "{a}:{b}"),
            PartialRange::FromLast(a, b) => write!(f, "-{a}:-{b}"),
        }
    }
}

//! What the flags `A a E e` of recipes go by.

use super::Reason;
use super::script::Test;

/// What is known of something that the flags `A a E e` go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    Yes,
    No,
    /// The script knows, by this flag.
    Flag(usize),
    /// Nobody knows, since what stands in this line is not converted.
    Unknown(usize),
}

impl Truth {
    pub(super) fn test(self) -> Result<Test, Reason> {
        match self {
            Self::Yes => Ok(Test::Always),
            Self::No => Ok(Test::Never),
            Self::Flag(flag) => Ok(Test::Flag(flag)),
            Self::Unknown(line) => Err(Reason::DependsOn(line)),
        }
    }
}

/// What is known of the recipes before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain {
    pub(super) last: Truth,
    pub(super) previous: Truth,
    pub(super) succeeded: Truth,
    /// Whether the command written last is one that an `elsif` may go on for the next `E`.
    pub(super) elsif: bool,
    /// Whether the body of its last branch is where the next `A` goes.
    pub(super) nest: bool,
    /// The same for `a`.
    pub(super) nest_succeeded: bool,
}

impl Chain {
    pub(super) const fn at_start(matched: Truth) -> Self {
        Self {
            last: matched,
            previous: matched,
            succeeded: Truth::Yes,
            elsif: false,
            nest: false,
            nest_succeeded: false,
        }
    }
}

//! What is said: values that are valid by construction, however they are written.

mod date;
mod flag;
mod mailbox;
mod number;
mod sequence;
mod tag;
mod text;
pub mod utf7;

pub use date::{Date, DateTime};
pub use flag::{Flag, Flags, Keyword, KeywordError, SystemFlag};
pub use mailbox::{ListPattern, MailboxName, MailboxNameError};
pub use number::{ModSeq, SeqNum, Uid, UidValidity};
pub use sequence::{NumberRange, NumberSet, Position, SequenceRange, SequenceSet};
pub use tag::Tag;
pub use text::Text;

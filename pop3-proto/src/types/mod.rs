//! What is said: values that are valid because they exist.

mod apop;
mod capability;
mod command;
mod language;
mod listing;
mod name;
mod number;
mod reply;
mod unique_id;

pub use apop::{ApopDigest, ApopTimestamp, TimestampError};
pub use capability::{Capabilities, Capability, Expire, LoginDelay, SaslNames};
pub use command::{Command, Verb};
pub use language::{LanguageError, LanguageListing, LanguageRange, LanguageTag};
pub use listing::{DropListing, ScanListing, UniqueIdListing};
pub use name::{NameError, UserName};
pub use number::MessageNumber;
pub use reply::{Refusal, RefusalError, Reply, ResponseCode, Status};
pub use unique_id::{UniqueId, UniqueIdError};

//! What is said: values that are valid by construction, however they are written.

mod access;
mod atom;
mod body;
mod capability;
mod code;
pub mod command;
mod date;
mod envelope;
mod fetch;
mod flag;
mod listing;
mod mailbox;
mod name;
mod nonempty;
mod number;
mod partial_range;
mod raw;
mod response;
mod results;
mod section;
mod sequence;
mod tag;
mod text;
pub mod utf7;

pub use access::{
    Acl, ListRights, Metadata, MetadataEntries, MyRights, Quota, QuotaRoots, QuotaUsage, UrlContent,
};
pub use atom::Atom;
pub use body::{
    BodyStructure, Disposition, Extension, MessagePart, MultiPart, Parameter, PartKind, SinglePart,
};
pub use capability::{Capabilities, Capability};
pub use code::{Code, CopyUid, InProgress, MetadataCode};
pub use date::{Date, DateTime};
pub use envelope::{Address, Addresses, Envelope};
pub use fetch::{
    BinaryContent, Content, Fetch, FetchAttribute, FetchItem, MessageId, Rfc822, SectionContent,
};
pub use flag::{Flag, Flags, Keyword, KeywordError, SystemFlag};
pub use listing::{
    Delimiter, ListItem, ListKind, Listing, MailboxAttribute, MailboxStatus, Namespace, Namespaces,
    StatusItem,
};
pub use mailbox::{ListPattern, MailboxName, MailboxNameError};
pub use name::{EntryName, QuotaResource, Rights, StatusAttribute, ThreadAlgorithm};
pub use nonempty::NonEmpty;
pub use number::{ModSeq, SeqNum, Uid, UidValidity};
pub use partial_range::PartialRange;
pub use raw::Raw;
pub use response::{Data, IdField, Outcome, Response, ResponseText, Status};
pub use results::{ESearch, ESearchItem, SearchResults, ThreadNode, Threads};
pub use section::{PartPath, Partial, Section, SectionText};
pub use sequence::{NumberRange, NumberSet, Position, SequenceRange, SequenceSet};
pub use tag::Tag;
pub use text::Text;

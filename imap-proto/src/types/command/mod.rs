//! [`Command`]: what a client asks for (RFC 9051 §6, and the extensions).
//!
//! ```
//! use imap_proto::codec::{Dialect, Style};
//! use imap_proto::types::command::{Command, CommandBody, Verb};
//!
//! let command = Command::parse(b"a1 UID FETCH 1:* (FLAGS)", &Dialect::SERVER)?;
//! assert_eq!(command.body.verb(), Verb::UidFetch);
//! assert!(matches!(command.body, CommandBody::Fetch { .. }));
//!
//! let mut out = Vec::new();
//! assert!(command.encode(&mut out, &Style::CLIENT).is_empty(), "nothing to wait for");
//! assert_eq!(out, b"a1 UID FETCH 1:* (FLAGS)\r\n");
//! # Ok::<(), imap_proto::codec::CommandError>(())
//! ```

mod append;
mod list;
mod notify;
mod parameter;
mod search;
mod verb;

pub use append::{Append, AppendData, AppendMessage, CatenatePart, MessageBytes, MessageLiteral, Replace};
pub use list::{Depth, GetMetadata, List, ListReturn, ListSelection, MetadataOption, Patterns};
pub use notify::{Event, EventGroup, MailboxFilter, Notify};
pub use parameter::{
    CreateParameter, FetchModifier, Parameter, QResync, SelectParameter, SpecialUse, StoreModifier,
};
pub(crate) use search::is_object_id;
pub use search::{
    EntryType, HeaderKey, ModSeqKey, MultiSearch, ReturnOption, Search, SearchKey, SearchSources, Sort,
    SortCriterion, SortKey, Thread,
};
pub use verb::{State, States, Verb};

use super::{
    Atom, EntryName, FetchAttribute, Flags, ListPattern, MailboxName, NonEmpty, QuotaResource, Rights,
    SequenceSet, StatusAttribute, Tag, Text,
};
use mail_wire::Secret;

/// A command, and the tag that its responses are known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The tag.
    pub tag: Tag,
    /// What is asked for.
    pub body: CommandBody,
}

impl Command {
    /// A command.
    pub fn new(tag: Tag, body: CommandBody) -> Self {
        Self { tag, body }
    }
}

/// Whether numbers are sequence numbers, or UIDs as in the commands that begin with `UID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ids {
    /// Sequence numbers.
    Seq,
    /// UIDs.
    Uid,
}

/// A command without its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandBody {
    /// `CAPABILITY`
    Capability,
    /// `NOOP`
    Noop,
    /// `LOGOUT`
    Logout,
    /// `ID`: who the client is, as names and values; `None` is `NIL`.
    Id(Option<Vec<(Text, Option<Text>)>>),
    /// `LANGUAGE`: the languages that are liked, best first; none asks for the list of all.
    Language(Vec<Text>),
    /// `STARTTLS`
    StartTls,
    /// `AUTHENTICATE`
    Authenticate {
        /// The mechanism.
        mechanism: Atom,
        /// The initial response (RFC 4959), still in base64; `=` is an empty one.
        initial: Option<Secret>,
    },
    /// `LOGIN`
    Login {
        /// Who.
        user: Text,
        /// The password.
        password: Secret,
    },
    /// `UNAUTHENTICATE`
    Unauthenticate,
    /// `COMPRESS`: the algorithm, of which there is only `DEFLATE`.
    Compress(Atom),
    /// `ENABLE`: these capabilities.
    Enable(NonEmpty<Atom>),
    /// `SELECT`
    Select {
        /// Which mailbox.
        mailbox: MailboxName,
        /// What else.
        parameters: Vec<SelectParameter>,
    },
    /// `EXAMINE`: the same, read-only.
    Examine {
        /// Which mailbox.
        mailbox: MailboxName,
        /// What else.
        parameters: Vec<SelectParameter>,
    },
    /// `CREATE`
    Create {
        /// Which mailbox.
        mailbox: MailboxName,
        /// What else.
        parameters: Vec<CreateParameter>,
    },
    /// `DELETE`
    Delete(MailboxName),
    /// `RENAME`
    Rename(Box<Rename>),
    /// `SUBSCRIBE`
    Subscribe(MailboxName),
    /// `UNSUBSCRIBE`
    Unsubscribe(MailboxName),
    /// `LIST`
    List(Box<List>),
    /// `LSUB`
    Lsub(Box<Lsub>),
    /// `NAMESPACE`
    Namespace,
    /// `STATUS`
    Status {
        /// Of which mailbox.
        mailbox: MailboxName,
        /// What.
        attributes: NonEmpty<StatusAttribute>,
    },
    /// `APPEND`
    Append(Box<Append>),
    /// `IDLE`, which goes on until the client says [`DONE`](Command::is_done).
    Idle,
    /// `SETACL`
    SetAcl(Box<SetAcl>),
    /// `DELETEACL`
    DeleteAcl {
        /// Of which mailbox.
        mailbox: MailboxName,
        /// Whose entry.
        identifier: Text,
    },
    /// `GETACL`
    GetAcl(MailboxName),
    /// `LISTRIGHTS`
    ListRights {
        /// Of which mailbox.
        mailbox: MailboxName,
        /// Whose.
        identifier: Text,
    },
    /// `MYRIGHTS`
    MyRights(MailboxName),
    /// `GETQUOTA`: of a quota root.
    GetQuota(Text),
    /// `GETQUOTAROOT`
    GetQuotaRoot(MailboxName),
    /// `SETQUOTA`
    SetQuota {
        /// Of which quota root.
        root: Text,
        /// What may be used of what; of all else as much as can be.
        limits: Vec<(QuotaResource, u64)>,
    },
    /// `GETMETADATA`
    GetMetadata(Box<GetMetadata>),
    /// `SETMETADATA`
    SetMetadata {
        /// Of which mailbox; one without a name is the server.
        mailbox: MailboxName,
        /// The entries and their values; an entry without goes away.
        entries: NonEmpty<(EntryName, Option<Text>)>,
    },
    /// `COMPARATOR`: the comparators that are liked, best first; none asks which one is active.
    Comparator(Vec<Text>),
    /// `NOTIFY`
    Notify(Notify),
    /// `GENURLAUTH`: URLs without what shows that they are genuine, and by which mechanism to make that.
    GenUrlAuth(NonEmpty<(Text, Atom)>),
    /// `URLFETCH`: what these URLs name.
    UrlFetch(NonEmpty<Text>),
    /// `RESETKEY`
    ResetKey(Option<Box<ResetKey>>),
    /// `ESEARCH`
    Esearch(Box<MultiSearch>),
    /// `CHECK`
    Check,
    /// `CLOSE`
    Close,
    /// `UNSELECT`
    Unselect,
    /// `EXPUNGE`
    Expunge,
    /// `UID EXPUNGE`: only these.
    UidExpunge(SequenceSet),
    /// `SEARCH` and `UID SEARCH`
    Search(Box<Search>),
    /// `SORT` and `UID SORT`
    Sort(Box<Sort>),
    /// `THREAD` and `UID THREAD`
    Thread(Box<Thread>),
    /// `FETCH` and `UID FETCH`
    Fetch {
        /// What the numbers are.
        ids: Ids,
        /// Of which messages.
        set: SequenceSet,
        /// What.
        items: FetchItems,
        /// What else.
        modifiers: Vec<FetchModifier>,
    },
    /// `STORE` and `UID STORE`
    Store(Box<Store>),
    /// `COPY` and `UID COPY`
    Copy {
        /// What the numbers are.
        ids: Ids,
        /// Which messages.
        set: SequenceSet,
        /// To which mailbox.
        mailbox: MailboxName,
    },
    /// `MOVE` and `UID MOVE`
    Move {
        /// What the numbers are.
        ids: Ids,
        /// Which messages.
        set: SequenceSet,
        /// To which mailbox.
        mailbox: MailboxName,
    },
    /// `REPLACE` and `UID REPLACE`
    Replace(Box<Replace>),
    /// `CANCELUPDATE`: the tags of searches of which no updates are wanted any more.
    CancelUpdate(NonEmpty<Tag>),
}

/// RENAME (RFC 9051 §6.3.6).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rename {
    /// The name that it has.
    pub from: MailboxName,
    /// The name that it gets.
    pub to: MailboxName,
}

/// LSUB (RFC 3501 §6.3.9).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lsub {
    /// The reference, that the pattern starts from.
    pub reference: MailboxName,
    /// The names that are looked for.
    pub pattern: ListPattern,
}

/// SETACL (RFC 4314 §3.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SetAcl {
    /// Of which mailbox.
    pub mailbox: MailboxName,
    /// Whose entry.
    pub identifier: Text,
    /// What to do with the rights that there are.
    pub change: Change,
    /// The rights.
    pub rights: Rights,
}

/// RESETKEY of a mailbox (RFC 4467 §5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResetKey {
    /// Of which mailbox.
    pub mailbox: MailboxName,
    /// Of which mechanisms; of all if there are none here.
    pub mechanisms: Vec<Atom>,
}

/// What to do with what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// Put these in its place.
    Replace,
    /// `+`: add these.
    Add,
    /// `-`: take these away.
    Remove,
}

/// What FETCH asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FetchItems {
    /// `ALL`: `(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)`
    All,
    /// `FAST`: `(FLAGS INTERNALDATE RFC822.SIZE)`
    Fast,
    /// `FULL`: `(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY)`
    Full,
    /// These.
    Attributes(NonEmpty<FetchAttribute>),
}

impl FetchItems {
    /// What is asked for, one by one.
    pub fn attributes(&self) -> &[FetchAttribute] {
        use FetchAttribute::{Body, Envelope, Flags, InternalDate, Size};
        match self {
            FetchItems::All => &[Flags, InternalDate, Size, Envelope],
            FetchItems::Fast => &[Flags, InternalDate, Size],
            FetchItems::Full => &[Flags, InternalDate, Size, Envelope, Body],
            FetchItems::Attributes(attributes) => attributes,
        }
    }
}

/// STORE and UID STORE (RFC 9051 §6.4.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// What the numbers are.
    pub ids: Ids,
    /// Which messages.
    pub set: SequenceSet,
    /// What else.
    pub modifiers: Vec<StoreModifier>,
    /// What to do with what they have.
    pub change: Change,
    /// `.SILENT`: the client knows how it ends, and does not want to be told.
    pub silent: bool,
    /// What they get or lose.
    pub what: StoreData,
}

/// What STORE changes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreData {
    /// `FLAGS`
    Flags(Flags),
    /// `X-GM-LABELS` of Gmail
    GmailLabels(Vec<Text>),
}

impl CommandBody {
    /// The name of the command.
    pub fn verb(&self) -> Verb {
        let of = |ids: Ids, seq, uid| if ids == Ids::Uid { uid } else { seq };
        match self {
            CommandBody::Capability => Verb::Capability,
            CommandBody::Noop => Verb::Noop,
            CommandBody::Logout => Verb::Logout,
            CommandBody::Id(_) => Verb::Id,
            CommandBody::Language(_) => Verb::Language,
            CommandBody::StartTls => Verb::StartTls,
            CommandBody::Authenticate { .. } => Verb::Authenticate,
            CommandBody::Login { .. } => Verb::Login,
            CommandBody::Unauthenticate => Verb::Unauthenticate,
            CommandBody::Compress(_) => Verb::Compress,
            CommandBody::Enable(_) => Verb::Enable,
            CommandBody::Select { .. } => Verb::Select,
            CommandBody::Examine { .. } => Verb::Examine,
            CommandBody::Create { .. } => Verb::Create,
            CommandBody::Delete(_) => Verb::Delete,
            CommandBody::Rename(_) => Verb::Rename,
            CommandBody::Subscribe(_) => Verb::Subscribe,
            CommandBody::Unsubscribe(_) => Verb::Unsubscribe,
            CommandBody::List(_) => Verb::List,
            CommandBody::Lsub(_) => Verb::Lsub,
            CommandBody::Namespace => Verb::Namespace,
            CommandBody::Status { .. } => Verb::Status,
            CommandBody::Append(_) => Verb::Append,
            CommandBody::Idle => Verb::Idle,
            CommandBody::SetAcl(_) => Verb::SetAcl,
            CommandBody::DeleteAcl { .. } => Verb::DeleteAcl,
            CommandBody::GetAcl(_) => Verb::GetAcl,
            CommandBody::ListRights { .. } => Verb::ListRights,
            CommandBody::MyRights(_) => Verb::MyRights,
            CommandBody::GetQuota(_) => Verb::GetQuota,
            CommandBody::GetQuotaRoot(_) => Verb::GetQuotaRoot,
            CommandBody::SetQuota { .. } => Verb::SetQuota,
            CommandBody::GetMetadata(_) => Verb::GetMetadata,
            CommandBody::SetMetadata { .. } => Verb::SetMetadata,
            CommandBody::Comparator(_) => Verb::Comparator,
            CommandBody::Notify(_) => Verb::Notify,
            CommandBody::GenUrlAuth(_) => Verb::GenUrlAuth,
            CommandBody::UrlFetch(_) => Verb::UrlFetch,
            CommandBody::ResetKey(_) => Verb::ResetKey,
            CommandBody::Esearch(_) => Verb::Esearch,
            CommandBody::Check => Verb::Check,
            CommandBody::Close => Verb::Close,
            CommandBody::Unselect => Verb::Unselect,
            CommandBody::Expunge => Verb::Expunge,
            CommandBody::UidExpunge(_) => Verb::UidExpunge,
            CommandBody::Search(search) => of(search.ids, Verb::Search, Verb::UidSearch),
            CommandBody::Sort(sort) => of(sort.ids, Verb::Sort, Verb::UidSort),
            CommandBody::Thread(thread) => of(thread.ids, Verb::Thread, Verb::UidThread),
            CommandBody::Fetch { ids, .. } => of(*ids, Verb::Fetch, Verb::UidFetch),
            CommandBody::Store(store) => of(store.ids, Verb::Store, Verb::UidStore),
            CommandBody::Copy { ids, .. } => of(*ids, Verb::Copy, Verb::UidCopy),
            CommandBody::Move { ids, .. } => of(*ids, Verb::Move, Verb::UidMove),
            CommandBody::Replace(replace) => of(replace.ids, Verb::Replace, Verb::UidReplace),
            CommandBody::CancelUpdate(_) => Verb::CancelUpdate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_moved_often_is_small() {
        assert!(size_of::<SearchKey>() <= 40, "{}", size_of::<SearchKey>());
        assert!(size_of::<CommandBody>() <= 80, "{}", size_of::<CommandBody>());
        assert!(size_of::<FetchAttribute>() <= 88, "{}", size_of::<FetchAttribute>());
    }

    #[test]
    fn commands_are_permitted_where_the_rfc_says() {
        use State::{Authenticated, Logout, NotAuthenticated, Selected};
        for (verb, states) in [
            (Verb::Noop, &[NotAuthenticated, Authenticated, Selected][..]),
            (Verb::Login, &[NotAuthenticated]),
            (Verb::Enable, &[Authenticated, Selected]),
            (Verb::Fetch, &[Selected]),
            (Verb::UidFetch, &[Selected]),
        ] {
            for state in [NotAuthenticated, Authenticated, Selected, Logout] {
                assert_eq!(verb.states().has(state), states.contains(&state), "{verb} {state:?}");
            }
        }
    }
}

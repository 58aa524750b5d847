//! [`Verb`]: what commands there are, and in which [state](State) each may be given: the one table of both.

use core::fmt;

/// What a session has come to (RFC 9051 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// The client has to say who it is.
    NotAuthenticated = 1,
    /// It has to select a mailbox before it can do something with messages.
    Authenticated = 2,
    /// A mailbox is selected.
    Selected = 4,
    /// It is over.
    Logout = 8,
}

/// The states in which a command may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct States(u8);

impl States {
    /// Before authentication only.
    pub const NOT_AUTHENTICATED: Self = Self(State::NotAuthenticated as u8);
    /// After authentication, whether a mailbox is selected or not.
    pub const AUTHENTICATED: Self = Self(State::Authenticated as u8 | State::Selected as u8);
    /// While a mailbox is selected.
    pub const SELECTED: Self = Self(State::Selected as u8);
    /// In all, as long as it is not over.
    pub const ANY: Self = Self(7);

    /// Whether a state is one of them.
    pub const fn has(self, state: State) -> bool {
        self.0 & state as u8 != 0
    }
}

macro_rules! verbs {
    ($($(#[$doc:meta])* $verb:ident = $name:literal, $states:ident;)*) => {
        /// The name of a command, with the `UID` before it where there is one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Verb {
            $($(#[$doc])* $verb,)*
        }

        impl Verb {
            /// All that are known here.
            pub const ALL: &[Self] = &[$(Verb::$verb,)*];

            /// Its name, as it is written.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Verb::$verb => $name,)*
                }
            }

            /// In which states it may be given.
            pub const fn states(self) -> States {
                match self {
                    $(Verb::$verb => States::$states,)*
                }
            }
        }
    };
}

verbs! {
    /// `CAPABILITY` (RFC 9051 §6.1.1)
    Capability = "CAPABILITY", ANY;
    /// `NOOP` (RFC 9051 §6.1.2)
    Noop = "NOOP", ANY;
    /// `LOGOUT` (RFC 9051 §6.1.3)
    Logout = "LOGOUT", ANY;
    /// `ID` (RFC 2971)
    Id = "ID", ANY;
    /// `LANGUAGE` (RFC 5255 §3.2)
    Language = "LANGUAGE", ANY;
    /// `STARTTLS` (RFC 9051 §6.2.1)
    StartTls = "STARTTLS", NOT_AUTHENTICATED;
    /// `AUTHENTICATE` (RFC 9051 §6.2.2)
    Authenticate = "AUTHENTICATE", NOT_AUTHENTICATED;
    /// `LOGIN` (RFC 9051 §6.2.3)
    Login = "LOGIN", NOT_AUTHENTICATED;
    /// `UNAUTHENTICATE` (RFC 8437)
    Unauthenticate = "UNAUTHENTICATE", AUTHENTICATED;
    /// `COMPRESS` (RFC 4978)
    Compress = "COMPRESS", AUTHENTICATED;
    /// `ENABLE` (RFC 9051 §6.3.1)
    Enable = "ENABLE", AUTHENTICATED;
    /// `SELECT` (RFC 9051 §6.3.2)
    Select = "SELECT", AUTHENTICATED;
    /// `EXAMINE` (RFC 9051 §6.3.3)
    Examine = "EXAMINE", AUTHENTICATED;
    /// `CREATE` (RFC 9051 §6.3.4)
    Create = "CREATE", AUTHENTICATED;
    /// `DELETE` (RFC 9051 §6.3.5)
    Delete = "DELETE", AUTHENTICATED;
    /// `RENAME` (RFC 9051 §6.3.6)
    Rename = "RENAME", AUTHENTICATED;
    /// `SUBSCRIBE` (RFC 9051 §6.3.7)
    Subscribe = "SUBSCRIBE", AUTHENTICATED;
    /// `UNSUBSCRIBE` (RFC 9051 §6.3.8)
    Unsubscribe = "UNSUBSCRIBE", AUTHENTICATED;
    /// `LIST` (RFC 9051 §6.3.9)
    List = "LIST", AUTHENTICATED;
    /// `LSUB` of IMAP4rev1 (RFC 3501 §6.3.9)
    Lsub = "LSUB", AUTHENTICATED;
    /// `NAMESPACE` (RFC 9051 §6.3.10)
    Namespace = "NAMESPACE", AUTHENTICATED;
    /// `STATUS` (RFC 9051 §6.3.11)
    Status = "STATUS", AUTHENTICATED;
    /// `APPEND` (RFC 9051 §6.3.12)
    Append = "APPEND", AUTHENTICATED;
    /// `IDLE` (RFC 9051 §6.3.13)
    Idle = "IDLE", AUTHENTICATED;
    /// `SETACL` (RFC 4314 §3.1)
    SetAcl = "SETACL", AUTHENTICATED;
    /// `DELETEACL` (RFC 4314 §3.2)
    DeleteAcl = "DELETEACL", AUTHENTICATED;
    /// `GETACL` (RFC 4314 §3.3)
    GetAcl = "GETACL", AUTHENTICATED;
    /// `LISTRIGHTS` (RFC 4314 §3.4)
    ListRights = "LISTRIGHTS", AUTHENTICATED;
    /// `MYRIGHTS` (RFC 4314 §3.5)
    MyRights = "MYRIGHTS", AUTHENTICATED;
    /// `GETQUOTA` (RFC 9208 §4.1.1)
    GetQuota = "GETQUOTA", AUTHENTICATED;
    /// `GETQUOTAROOT` (RFC 9208 §4.1.2)
    GetQuotaRoot = "GETQUOTAROOT", AUTHENTICATED;
    /// `SETQUOTA` (RFC 9208 §4.1.3)
    SetQuota = "SETQUOTA", AUTHENTICATED;
    /// `GETMETADATA` (RFC 5464 §4.2)
    GetMetadata = "GETMETADATA", AUTHENTICATED;
    /// `SETMETADATA` (RFC 5464 §4.3)
    SetMetadata = "SETMETADATA", AUTHENTICATED;
    /// `COMPARATOR` (RFC 5255 §4.7)
    Comparator = "COMPARATOR", AUTHENTICATED;
    /// `NOTIFY` (RFC 5465)
    Notify = "NOTIFY", AUTHENTICATED;
    /// `GENURLAUTH` (RFC 4467)
    GenUrlAuth = "GENURLAUTH", AUTHENTICATED;
    /// `URLFETCH` (RFC 4467)
    UrlFetch = "URLFETCH", AUTHENTICATED;
    /// `RESETKEY` (RFC 4467)
    ResetKey = "RESETKEY", AUTHENTICATED;
    /// `ESEARCH` over many mailboxes (RFC 7377)
    Esearch = "ESEARCH", AUTHENTICATED;
    /// `CHECK` of IMAP4rev1 (RFC 3501 §6.4.1)
    Check = "CHECK", SELECTED;
    /// `CLOSE` (RFC 9051 §6.4.1)
    Close = "CLOSE", SELECTED;
    /// `UNSELECT` (RFC 9051 §6.4.2)
    Unselect = "UNSELECT", SELECTED;
    /// `EXPUNGE` (RFC 9051 §6.4.3)
    Expunge = "EXPUNGE", SELECTED;
    /// `SEARCH` (RFC 9051 §6.4.4)
    Search = "SEARCH", SELECTED;
    /// `SORT` (RFC 5256)
    Sort = "SORT", SELECTED;
    /// `THREAD` (RFC 5256)
    Thread = "THREAD", SELECTED;
    /// `FETCH` (RFC 9051 §6.4.5)
    Fetch = "FETCH", SELECTED;
    /// `STORE` (RFC 9051 §6.4.6)
    Store = "STORE", SELECTED;
    /// `COPY` (RFC 9051 §6.4.7)
    Copy = "COPY", SELECTED;
    /// `MOVE` (RFC 9051 §6.4.8)
    Move = "MOVE", SELECTED;
    /// `REPLACE` (RFC 8508)
    Replace = "REPLACE", SELECTED;
    /// `CANCELUPDATE` (RFC 5267 §4.3.5)
    CancelUpdate = "CANCELUPDATE", SELECTED;
    /// `UID EXPUNGE` (RFC 9051 §6.4.9)
    UidExpunge = "UID EXPUNGE", SELECTED;
    /// `UID SEARCH` (RFC 9051 §6.4.9)
    UidSearch = "UID SEARCH", SELECTED;
    /// `UID SORT` (RFC 5256)
    UidSort = "UID SORT", SELECTED;
    /// `UID THREAD` (RFC 5256)
    UidThread = "UID THREAD", SELECTED;
    /// `UID FETCH` (RFC 9051 §6.4.9)
    UidFetch = "UID FETCH", SELECTED;
    /// `UID STORE` (RFC 9051 §6.4.9)
    UidStore = "UID STORE", SELECTED;
    /// `UID COPY` (RFC 9051 §6.4.9)
    UidCopy = "UID COPY", SELECTED;
    /// `UID MOVE` (RFC 9051 §6.4.9)
    UidMove = "UID MOVE", SELECTED;
    /// `UID REPLACE` (RFC 8508)
    UidReplace = "UID REPLACE", SELECTED;
}

impl Verb {
    /// Whether a message may follow, in a literal that is better streamed than kept.
    pub const fn carries_messages(self) -> bool {
        matches!(self, Verb::Append | Verb::Replace | Verb::UidReplace)
    }

    /// Whether the command carries a password or the like, so that its frame must be shown nowhere, and wiped.
    pub const fn is_secret(self) -> bool {
        matches!(self, Verb::Login | Verb::Authenticate)
    }

    /// Whether no EXPUNGE response may be sent while the command is in progress, since it speaks of sequence numbers (RFC 9051
    /// §7.5.1).
    pub const fn holds_expunges(self) -> bool {
        matches!(self, Verb::Fetch | Verb::Store | Verb::Search | Verb::Sort | Verb::Thread)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! [`Code`]: what a status response says to the program, where its text speaks to people.

use super::{Capabilities, Flags, ModSeq, NumberSet, Raw, SeqNum, Tag, Text, Uid, UidValidity};
use core::num::NonZeroU32;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A response code: what stands between brackets before the text of a status response (RFC 9051 §7.1).
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $variant,)*
            /// `BADCHARSET`, with the charsets that are taken, if they were told
            BadCharset(Vec<Text>),
            /// `CAPABILITY`
            Capability(Box<Capabilities>),
            /// `PERMANENTFLAGS`: the flags that can be changed for good
            PermanentFlags(Box<Flags>),
            /// `UIDNEXT`: the UID that the next message will have at least
            UidNext(Uid),
            /// `UIDVALIDITY`
            UidValidity(UidValidity),
            /// `UNSEEN`: the first message without `\Seen`; of IMAP4rev1
            Unseen(SeqNum),
            /// `APPENDUID`: the UIDs of what was appended (RFC 4315)
            AppendUid {
                /// The UIDVALIDITY of the mailbox.
                validity: UidValidity,
                /// The UIDs, in the order of the messages.
                uids: NumberSet,
            },
            /// `COPYUID`: which UIDs became which (RFC 4315)
            CopyUid(Box<CopyUid>),
            /// `HIGHESTMODSEQ` (RFC 7162)
            HighestModSeq(ModSeq),
            /// `MODIFIED`: messages left alone since they changed in between (RFC 7162)
            Modified(NumberSet),
            /// `REFERRAL`: URLs of where to go (RFC 2193, RFC 2221)
            Referral(Vec<Text>),
            /// `BADURL`: the URL of CATENATE that cannot be fetched (RFC 4469)
            BadUrl(Text),
            /// `NOUPDATE`: the search that will not be kept up to date, by its tag (RFC 5267)
            NoUpdate(Text),
            /// `BADEVENT`: the events that NOTIFY takes (RFC 5465)
            BadEvent(Vec<Text>),
            /// `UNDEFINED-FILTER`: the filter that is not there (RFC 5466)
            UndefinedFilter(Text),
            /// `METADATA` (RFC 5464)
            Metadata(MetadataCode),
            /// `MAILBOXID`: the identifier of the mailbox (RFC 8474)
            MailboxId(Text),
            /// `INPROGRESS`: how far a long command is (RFC 9585)
            InProgress(Option<Box<InProgress>>),
            /// `MESSAGELIMIT`: the command was done in part, for too many messages (RFC 9738)
            MessageLimit {
                /// How many messages one command may work on.
                limit: NonZeroU32,
                /// The lowest UID that was worked on, if not all were.
                lowest: Option<Uid>,
            },
            /// Any other, or one of these that misses its grammar, as it stands between the brackets.
            Other(Raw),
        }

        impl Code {
            const NAMES: &'static [(&'static str, Self)] = &[$(($name, Self::$variant),)*];

            /// The name of a code that has no value.
            pub(crate) fn fixed_name(&self) -> Option<&'static str> {
                match self {
                    $(Code::$variant => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// The text must be shown to the user.
    Alert = "ALERT",
    /// A message could not be parsed.
    Parse = "PARSE",
    /// The mailbox is open for reading only.
    ReadOnly = "READ-ONLY",
    /// The mailbox is open for reading and writing.
    ReadWrite = "READ-WRITE",
    /// The target mailbox is not there, and could be created.
    TryCreate = "TRYCREATE",
    /// UIDs of this mailbox do not last (RFC 4315).
    UidNotSticky = "UIDNOTSTICKY",
    /// A part of the server that is needed is down (RFC 5530).
    Unavailable = "UNAVAILABLE",
    /// The credentials are wrong (RFC 5530).
    AuthenticationFailed = "AUTHENTICATIONFAILED",
    /// The credentials do not allow for that identity (RFC 5530).
    AuthorizationFailed = "AUTHORIZATIONFAILED",
    /// The password has expired (RFC 5530).
    Expired = "EXPIRED",
    /// Not without encryption (RFC 5530).
    PrivacyRequired = "PRIVACYREQUIRED",
    /// The user should turn to those who run the server (RFC 5530).
    ContactAdmin = "CONTACTADMIN",
    /// The access control list forbids it (RFC 5530).
    NoPerm = "NOPERM",
    /// Another session is in the way (RFC 5530).
    InUse = "INUSE",
    /// Another session has expunged some of the messages (RFC 5530).
    ExpungeIssued = "EXPUNGEISSUED",
    /// The mailbox is damaged (RFC 5530).
    Corruption = "CORRUPTION",
    /// The server has a bug (RFC 5530).
    ServerBug = "SERVERBUG",
    /// The client has a bug (RFC 5530).
    ClientBug = "CLIENTBUG",
    /// The server cannot do that at all (RFC 5530).
    Cannot = "CANNOT",
    /// A limit of the server's own (RFC 5530).
    Limit = "LIMIT",
    /// The quota is exceeded (RFC 5530, RFC 9208).
    OverQuota = "OVERQUOTA",
    /// The mailbox is there already (RFC 5530).
    AlreadyExists = "ALREADYEXISTS",
    /// The mailbox is not there (RFC 5530).
    NonExistent = "NONEXISTENT",
    /// The mailbox has others below it, and can therefore not be deleted (RFC 9051 §7.1).
    HasChildren = "HASCHILDREN",
    /// The result of the search could not be saved (RFC 5182).
    NotSaved = "NOTSAVED",
    /// The mailbox that was selected is closed, and what follows is of the next (RFC 7162).
    Closed = "CLOSED",
    /// The mailbox has no modification sequences (RFC 7162).
    NoModSeq = "NOMODSEQ",
    /// The Content-Transfer-Encoding of the part is not known (RFC 3516).
    UnknownCte = "UNKNOWN-CTE",
    /// No comparator is as was asked for (RFC 5255).
    BadComparator = "BADCOMPARATOR",
    /// NOTIFY is off, for there was too much (RFC 5465).
    NotificationOverflow = "NOTIFICATIONOVERFLOW",
    /// The message is too large (RFC 4469, RFC 7889).
    TooBig = "TOOBIG",
    /// The connection is compressed already (RFC 4978).
    CompressionActive = "COMPRESSIONACTIVE",
    /// A mailbox for that special use cannot be created (RFC 6154).
    UseAttr = "USEATTR",
    /// UIDONLY is enabled, and the command names messages by their numbers (RFC 9586).
    UidRequired = "UIDREQUIRED",
}

impl Code {
    /// A code that has no value, by its name in any letter case.
    pub(crate) fn from_fixed_name(name: &[u8]) -> Option<Self> {
        let same = |(known, _): &&(&str, Self)| known.as_bytes().eq_ignore_ascii_case(name);
        Self::NAMES.iter().find(same).map(|(_, code)| code.clone())
    }
}

/// What COPY, MOVE and their kin did: the messages of one set became those of the other, in the order in which both are
/// written (RFC 4315 §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyUid {
    /// The UIDVALIDITY of the target.
    pub validity: UidValidity,
    /// The UIDs in the source.
    pub from: NumberSet,
    /// The UIDs in the target.
    pub to: NumberSet,
}

/// What METADATA says as a response code (RFC 5464 §4.2.1, §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetadataCode {
    /// `LONGENTRIES`: octets of the longest entry that was left out
    LongEntries(u64),
    /// `MAXSIZE`: octets that a value may have
    MaxSize(u64),
    /// `TOOMANY`: no more entries
    TooMany,
    /// `NOPRIVATE`: no private entries
    NoPrivate,
}

/// How far a long command is (RFC 9585 §4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InProgress {
    /// The command, if it is told.
    pub tag: Option<Tag>,
    /// How many of its things are done, if that is known.
    pub done: Option<u32>,
    /// How many there are, if that is known.
    pub of: Option<NonZeroU32>,
}

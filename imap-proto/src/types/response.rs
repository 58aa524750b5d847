//! [`Response`]: all that a server says.

use super::{
    Acl, Capabilities, Code, ESearch, Fetch, Flags, ListRights, Listing, MailboxStatus, Metadata, MyRights,
    Namespaces, NumberSet, Quota, QuotaRoots, Raw, SearchResults, SeqNum, Tag, Text, Threads, UrlContent,
};

/// What a server says: one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// `tag OK …`: a command is over.
    Done {
        /// Which command.
        tag: Tag,
        /// How it ended.
        outcome: Outcome,
        /// What there is to say of it.
        text: ResponseText,
    },
    /// `* OK …`: a status of the server or of the mailbox, or the greeting.
    Status {
        /// Which.
        status: Status,
        /// What there is to say of it.
        text: ResponseText,
    },
    /// `+ …`: the client may go on. In AUTHENTICATE the text is the challenge, in base64.
    Continue(ResponseText),
    /// `* …`: data.
    Data(Data),
}

/// How a command ended (RFC 9051 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was done.
    Ok,
    /// It failed.
    No,
    /// It was no command that the server knows, or not here.
    Bad,
}

/// Status of an untagged status response (RFC 9051 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Information, or a greeting before the login.
    Ok,
    /// A warning.
    No,
    /// A command was not understood, and it is not known which.
    Bad,
    /// The server is about to close the connection, or does not want it.
    Bye,
    /// A greeting: the client is logged in already.
    PreAuth,
}

/// What a status response says: a [`Code`] for the program, and a text for people.
///
/// ```
/// use imap_proto::types::{Code, ResponseText};
///
/// let text = ResponseText::new("done");
/// assert_eq!((text.code.is_none(), text.text == "done"), (true, true));
/// assert_eq!(ResponseText::with_code(Code::Alert, "the disk is full").code, Some(Code::Alert));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseText {
    /// The response code.
    pub code: Option<Code>,
    /// The text, in UTF-8 from most servers. Where there are CR, LF or NUL in it, spaces are written.
    pub text: Text,
}

impl ResponseText {
    /// A text without a code.
    pub fn new(text: impl Into<Text>) -> Self {
        Self { code: None, text: text.into() }
    }

    /// A text with a code.
    pub fn with_code(code: Code, text: impl Into<Text>) -> Self {
        Self { code: Some(code), text: text.into() }
    }
}

/// Data that a server sends, whether it was asked for or not (RFC 9051 §7.2 to §7.5).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Data {
    /// `CAPABILITY`
    Capability(Box<Capabilities>),
    /// `ENABLED` (RFC 5161)
    Enabled(Box<Capabilities>),
    /// `FLAGS`: the flags of the mailbox
    Flags(Flags),
    /// `EXISTS`: how many messages there are
    Exists(u32),
    /// `RECENT`: how many have `\Recent`; of IMAP4rev1
    Recent(u32),
    /// `EXPUNGE`: this message is gone, and those behind it move up
    Expunge(SeqNum),
    /// `VANISHED`: these UIDs are gone (RFC 7162)
    Vanished {
        /// Whether they were gone before, and no sequence number changes.
        earlier: bool,
        /// The UIDs.
        uids: NumberSet,
    },
    /// `FETCH`, and `UIDFETCH` (RFC 9586)
    Fetch(Fetch),
    /// `LIST`, `LSUB` and `XLIST`
    List(Box<Listing>),
    /// `STATUS`
    Status(Box<MailboxStatus>),
    /// `SEARCH`
    Search(SearchResults),
    /// `SORT` (RFC 5256)
    Sort(SearchResults),
    /// `THREAD` (RFC 5256)
    Thread(Threads),
    /// `ESEARCH` (RFC 4731)
    ESearch(Box<ESearch>),
    /// `NAMESPACE` (RFC 2342)
    Namespace(Box<Namespaces>),
    /// `ID`: fields and their values (RFC 2971)
    Id(Option<Vec<IdField>>),
    /// `ACL` (RFC 4314)
    Acl(Box<Acl>),
    /// `LISTRIGHTS` (RFC 4314)
    ListRights(Box<ListRights>),
    /// `MYRIGHTS` (RFC 4314)
    MyRights(Box<MyRights>),
    /// `QUOTA` (RFC 9208)
    Quota(Box<Quota>),
    /// `QUOTAROOT` (RFC 9208)
    QuotaRoots(Box<QuotaRoots>),
    /// `METADATA` (RFC 5464)
    Metadata(Box<Metadata>),
    /// `LANGUAGE`: the one in use, or those there are (RFC 5255)
    Language(Vec<Text>),
    /// `COMPARATOR`: the one in use, and those that were meant (RFC 5255)
    Comparator(Box<(Text, Vec<Text>)>),
    /// `GENURLAUTH`: URLs that give access (RFC 4467)
    GenUrlAuth(Vec<Text>),
    /// `URLFETCH`: what URLs stand for (RFC 4467)
    UrlFetch(Vec<UrlContent>),
    /// `JMAPACCESS`: URL of the JMAP session of the same account (RFC 9698)
    JmapAccess(Text),
    /// Any other, or one of these that misses its grammar: all of the line behind `* `.
    Other(Raw),
}

/// A field of ID, such as `name`, and its value (RFC 2971 §3.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdField {
    /// Its name.
    pub name: Text,
    /// Its value, if there is one.
    pub value: Option<Text>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_small_enough_to_be_moved_about() {
        assert_eq!(size_of::<Option<Code>>(), 40);
        assert_eq!(size_of::<Data>(), 48);
        assert!(size_of::<Response>() <= 112, "{}", size_of::<Response>());
    }
}

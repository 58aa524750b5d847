//! [`SearchKey`] and what else SEARCH, SORT and THREAD are told.

use super::{Ids, MailboxFilter, Parameter};
use crate::types::{
    Atom, Date, FetchAttribute, Flag, Keyword, ModSeq, NonEmpty, PartialRange, SequenceSet, Text,
    ThreadAlgorithm,
};
use core::num::NonZeroU32;

/// SEARCH and UID SEARCH (RFC 9051 §6.4.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Search {
    /// What the answer speaks of.
    pub ids: Ids,
    /// What to tell; `None` asks for the old SEARCH response of all, an empty list for the ESEARCH response of all (RFC 4731 §3.1).
    pub returns: Option<Vec<ReturnOption>>,
    /// The charset of the strings: US-ASCII if there is none, UTF-8 in IMAP4rev2.
    pub charset: Option<Text>,
    /// What messages have to satisfy: all of these.
    pub keys: NonEmpty<SearchKey>,
}

/// ESEARCH, over many mailboxes (RFC 7377).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MultiSearch {
    /// `IN`: which mailboxes; the one that is selected if there is none.
    pub sources: Option<SearchSources>,
    /// What to tell; `None` and an empty list ask for all.
    pub returns: Option<Vec<ReturnOption>>,
    /// The charset of the strings.
    pub charset: Option<Text>,
    /// What messages have to satisfy: all of these.
    pub keys: NonEmpty<SearchKey>,
}

/// Which mailboxes are searched (RFC 7377 §2.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SearchSources {
    /// Mailboxes that any of these selects; never [`SelectedDelayed`](MailboxFilter::SelectedDelayed) of NOTIFY.
    pub mailboxes: NonEmpty<MailboxFilter>,
    /// Options, of which none is defined so far.
    pub options: Vec<Parameter>,
}

/// SORT and UID SORT (RFC 5256 §3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sort {
    /// What the answer speaks of.
    pub ids: Ids,
    /// What to tell (RFC 5267); `None` asks for the SORT response.
    pub returns: Option<Vec<ReturnOption>>,
    /// By what to sort: what is equal by the first is sorted by the second, and so on.
    pub criteria: NonEmpty<SortCriterion>,
    /// The charset of the strings.
    pub charset: Text,
    /// What messages have to satisfy: all of these.
    pub keys: NonEmpty<SearchKey>,
}

/// By what to sort, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SortCriterion {
    /// `REVERSE`: the largest first.
    pub reverse: bool,
    /// By what.
    pub key: SortKey,
}

/// By what to sort (RFC 5256 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SortKey {
    /// `ARRIVAL`: when it came, with date and time.
    Arrival,
    /// `CC`: the mailbox of the first such address.
    Cc,
    /// `DATE`: when it was sent.
    Date,
    /// `FROM`: the mailbox of the first such address.
    From,
    /// `SIZE`
    Size,
    /// `SUBJECT`: without `Re:` and the like.
    Subject,
    /// `TO`: the mailbox of the first such address.
    To,
    /// `DISPLAYFROM`: as it is shown (RFC 5957).
    DisplayFrom,
    /// `DISPLAYTO`: as it is shown (RFC 5957).
    DisplayTo,
    /// `RELEVANCY`: how well it matched (RFC 6203).
    Relevancy,
}

/// THREAD and UID THREAD (RFC 5256 §3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Thread {
    /// What the answer speaks of.
    pub ids: Ids,
    /// How to find out what belongs together.
    pub algorithm: ThreadAlgorithm,
    /// The charset of the strings.
    pub charset: Text,
    /// What messages have to satisfy: all of these.
    pub keys: NonEmpty<SearchKey>,
}

/// What to tell of what was found (RFC 9051 §6.4.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReturnOption {
    /// `MIN`: the lowest number.
    Min,
    /// `MAX`: the highest number.
    Max,
    /// `ALL`: all of them, as a set.
    All,
    /// `COUNT`: how many there are.
    Count,
    /// `SAVE`: remember them as `$` (RFC 5182).
    Save,
    /// `PARTIAL`: some of them (RFC 9394, RFC 5267).
    Partial(PartialRange),
    /// `CONTEXT`: they will be asked for again (RFC 5267).
    Context,
    /// `UPDATE`: tell when they change (RFC 5267), and these attributes of messages that come to be among them (RFC 5465 §9).
    Update(Vec<FetchAttribute>),
    /// `RELEVANCY`: how well each matched (RFC 6203).
    Relevancy,
    /// Any other.
    Other(Parameter),
}

/// What a message has to satisfy (RFC 9051 §6.4.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SearchKey {
    /// `ALL`
    All,
    /// `ANSWERED`
    Answered,
    /// `BCC`
    Bcc(Text),
    /// `BEFORE`: came before this day.
    Before(Date),
    /// `BODY`
    Body(Text),
    /// `CC`
    Cc(Text),
    /// `DELETED`
    Deleted,
    /// `DRAFT`
    Draft,
    /// `FLAGGED`
    Flagged,
    /// `FROM`
    From(Text),
    /// `HEADER`
    Header(Box<HeaderKey>),
    /// `KEYWORD`
    Keyword(Keyword),
    /// `LARGER`: of more octets.
    Larger(u64),
    /// `NEW` of IMAP4rev1: `RECENT UNSEEN`.
    New,
    /// `NOT`
    Not(Box<SearchKey>),
    /// `OLD` of IMAP4rev1: `NOT RECENT`.
    Old,
    /// `ON`: came on this day.
    On(Date),
    /// `OR`
    Or(Box<(SearchKey, SearchKey)>),
    /// `RECENT` of IMAP4rev1
    Recent,
    /// `SEEN`
    Seen,
    /// `SENTBEFORE`
    SentBefore(Date),
    /// `SENTON`
    SentOn(Date),
    /// `SENTSINCE`
    SentSince(Date),
    /// `SINCE`: came on this day or later.
    Since(Date),
    /// `SMALLER`: of fewer octets.
    Smaller(u64),
    /// `SUBJECT`
    Subject(Text),
    /// `TEXT`: in the header or the body.
    Text(Text),
    /// `TO`
    To(Text),
    /// `UID`
    Uid(SequenceSet),
    /// `UNANSWERED`
    Unanswered,
    /// `UNDELETED`
    Undeleted,
    /// `UNDRAFT`
    Undraft,
    /// `UNFLAGGED`
    Unflagged,
    /// `UNKEYWORD`
    Unkeyword(Keyword),
    /// `UNSEEN`
    Unseen,
    /// Sequence numbers, or `$`.
    Set(SequenceSet),
    /// Keys in parentheses: all of these.
    And(NonEmpty<SearchKey>),
    /// `MODSEQ` (RFC 7162 §3.1.5)
    ModSeq(Box<ModSeqKey>),
    /// `OLDER`: came so many seconds ago, or more (RFC 5032).
    Older(NonZeroU32),
    /// `YOUNGER`: came so many seconds ago, or less (RFC 5032).
    Younger(NonZeroU32),
    /// `FUZZY`: the key, not taken too literally (RFC 6203).
    Fuzzy(Box<SearchKey>),
    /// `FILTER`: the keys that are stored under a name (RFC 5466).
    Filter(Atom),
    /// `EMAILID` (RFC 8474 §4.1)
    EmailId(Text),
    /// `THREADID` (RFC 8474 §4.2)
    ThreadId(Text),
    /// `SAVEDATESUPPORTED`: the mailbox knows when messages were saved to it (RFC 8514).
    SaveDateSupported,
    /// `SAVEDBEFORE` (RFC 8514)
    SavedBefore(Date),
    /// `SAVEDON` (RFC 8514)
    SavedOn(Date),
    /// `SAVEDSINCE` (RFC 8514)
    SavedSince(Date),
    /// `X-GM-RAW`: a search in the syntax of Gmail.
    GmailRaw(Text),
    /// `X-GM-MSGID`
    GmailMessageId(u64),
    /// `X-GM-THRID`
    GmailThreadId(u64),
    /// `X-GM-LABELS`
    GmailLabel(Text),
}

/// A field of the header, and a text in it; an empty text says that the field is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HeaderKey {
    /// The name of the field.
    pub name: Text,
    /// The text that it holds.
    pub value: Text,
}

/// `MODSEQ`: at least this modification sequence (RFC 7162 §3.1.5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModSeqKey {
    /// Of the metadata item of one flag, and whose.
    pub entry: Option<(Flag, EntryType)>,
    /// The modification sequence.
    pub mod_seq: ModSeq,
}

/// Whose metadata item is meant (RFC 7162 §3.1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryType {
    /// `priv`: the user's own.
    Private,
    /// `shared`: that of all.
    Shared,
    /// `all`: the larger of both.
    All,
}

/// An identifier of a message or thread (RFC 8474 §7): 1 to 255 letters, digits, `_` and `-`.
pub(crate) fn is_object_id(id: &[u8]) -> bool {
    (1..=255).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

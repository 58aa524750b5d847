//! Search keys.

use super::words::words;
use crate::codec::{Cursor, Fault, Parse, Writer};
use crate::types::command::{EntryType, HeaderKey, ModSeqKey, SearchKey, is_object_id};
use crate::types::{Date, Flag, Keyword, NonEmpty, SystemFlag, Text};

mod names {
    super::words! {
        ALL = b"ALL", ANSWERED = b"ANSWERED", BCC = b"BCC", BEFORE = b"BEFORE", BODY = b"BODY", CC = b"CC",
        DELETED = b"DELETED", DRAFT = b"DRAFT", FLAGGED = b"FLAGGED", FROM = b"FROM", HEADER = b"HEADER",
        KEYWORD = b"KEYWORD", LARGER = b"LARGER", NEW = b"NEW", NOT = b"NOT", OLD = b"OLD", ON = b"ON",
        OR = b"OR", RECENT = b"RECENT", SEEN = b"SEEN", SENTBEFORE = b"SENTBEFORE", SENTON = b"SENTON",
        SENTSINCE = b"SENTSINCE", SINCE = b"SINCE", SMALLER = b"SMALLER", SUBJECT = b"SUBJECT",
        TEXT = b"TEXT", TO = b"TO", UID = b"UID", UNANSWERED = b"UNANSWERED", UNDELETED = b"UNDELETED",
        UNDRAFT = b"UNDRAFT", UNFLAGGED = b"UNFLAGGED", UNKEYWORD = b"UNKEYWORD", UNSEEN = b"UNSEEN",
        MODSEQ = b"MODSEQ", OLDER = b"OLDER", YOUNGER = b"YOUNGER", FUZZY = b"FUZZY", FILTER = b"FILTER",
        EMAILID = b"EMAILID", THREADID = b"THREADID", SAVEDBEFORE = b"SAVEDBEFORE", SAVEDON = b"SAVEDON",
        SAVEDSINCE = b"SAVEDSINCE", GM_RAW = b"X-GM-RAW", GM_MSGID = b"X-GM-MSGID",
        GM_THRID = b"X-GM-THRID", GM_LABELS = b"X-GM-LABELS",
        // Whose metadata.
        PRIV = b"PRIV", SHARED = b"SHARED",
    }
}

const KEY: &str = "a search key, such as UNSEEN or SINCE 1-Feb-1994";

impl Cursor<'_> {
    /// Keys with spaces between, up to the end or a byte.
    pub(super) fn search_keys(&mut self, end: Option<u8>) -> Parse<NonEmpty<SearchKey>> {
        let mut keys = Vec::with_capacity(4);
        loop {
            keys.push(self.search_key()?);
            if self.peek() == end {
                self.skip(usize::from(end.is_some()));
                return self.non_empty(keys, KEY);
            }
            self.expect(
                b' ',
                match end {
                    Some(_) => "a space or a closing parenthesis",
                    None => "a space and another key, or the end of the line",
                },
            )?;
        }
    }

    fn search_key(&mut self) -> Parse<SearchKey> {
        match self.peek() {
            Some(b'(') => {
                return self.nested(|cursor| {
                    cursor.skip(1);
                    cursor.search_keys(Some(b')')).map(SearchKey::And)
                });
            }
            Some(b'0'..=b'9' | b'*' | b'$') => return self.sequence_set().map(SearchKey::Set),
            _ => {}
        }
        let start = self.at();
        let (word, len) = self.peek_word();
        self.skip(len);
        Ok(match word {
            names::ALL => SearchKey::All,
            names::ANSWERED => SearchKey::Answered,
            names::BCC => SearchKey::Bcc(self.key_text()?),
            names::BEFORE => SearchKey::Before(self.key_date()?),
            names::BODY => SearchKey::Body(self.key_text()?),
            names::CC => SearchKey::Cc(self.key_text()?),
            names::DELETED => SearchKey::Deleted,
            names::DRAFT => SearchKey::Draft,
            names::FLAGGED => SearchKey::Flagged,
            names::FROM => SearchKey::From(self.key_text()?),
            names::HEADER => {
                let name = self.key_text()?;
                let value = self.key_text()?;
                SearchKey::Header(Box::new(HeaderKey { name, value }))
            }
            names::KEYWORD => SearchKey::Keyword(self.key_keyword()?),
            names::LARGER => SearchKey::Larger(self.key_number()?),
            names::NEW => SearchKey::New,
            names::NOT => SearchKey::Not(Box::new(self.key_key()?)),
            names::OLD => SearchKey::Old,
            names::ON => SearchKey::On(self.key_date()?),
            names::OR => {
                let one = self.key_key()?;
                let other = self.key_key()?;
                SearchKey::Or(Box::new((one, other)))
            }
            names::RECENT => SearchKey::Recent,
            names::SEEN => SearchKey::Seen,
            names::SENTBEFORE => SearchKey::SentBefore(self.key_date()?),
            names::SENTON => SearchKey::SentOn(self.key_date()?),
            names::SENTSINCE => SearchKey::SentSince(self.key_date()?),
            names::SINCE => SearchKey::Since(self.key_date()?),
            names::SMALLER => SearchKey::Smaller(self.key_number()?),
            names::SUBJECT => SearchKey::Subject(self.key_text()?),
            names::TEXT => SearchKey::Text(self.key_text()?),
            names::TO => SearchKey::To(self.key_text()?),
            names::UID => {
                self.expect(b' ', "a space, and a set of UIDs such as 2,4:7")?;
                SearchKey::Uid(self.sequence_set()?)
            }
            names::UNANSWERED => SearchKey::Unanswered,
            names::UNDELETED => SearchKey::Undeleted,
            names::UNDRAFT => SearchKey::Undraft,
            names::UNFLAGGED => SearchKey::Unflagged,
            names::UNKEYWORD => SearchKey::Unkeyword(self.key_keyword()?),
            names::UNSEEN => SearchKey::Unseen,
            names::MODSEQ => SearchKey::ModSeq(Box::new(self.mod_seq_key()?)),
            names::OLDER => SearchKey::Older(self.key_seconds()?),
            names::YOUNGER => SearchKey::Younger(self.key_seconds()?),
            names::FUZZY => SearchKey::Fuzzy(Box::new(self.key_key()?)),
            names::FILTER => {
                self.expect(b' ', "a space, and the name of a filter")?;
                SearchKey::Filter(self.atom_value("the name of a filter")?)
            }
            names::EMAILID => SearchKey::EmailId(self.key_object_id()?),
            names::THREADID => SearchKey::ThreadId(self.key_object_id()?),
            names::SAVEDBEFORE => SearchKey::SavedBefore(self.key_date()?),
            names::SAVEDON => SearchKey::SavedOn(self.key_date()?),
            names::SAVEDSINCE => SearchKey::SavedSince(self.key_date()?),
            names::GM_RAW => SearchKey::GmailRaw(self.key_text()?),
            names::GM_MSGID => SearchKey::GmailMessageId(self.key_number()?),
            names::GM_THRID => SearchKey::GmailThreadId(self.key_number()?),
            names::GM_LABELS => {
                self.expect(b' ', "a space, and a label")?;
                SearchKey::GmailLabel(self.label()?)
            }
            _ => {
                self.rewind(start);
                if self.eat_word(b"SAVEDATESUPPORTED") {
                    return Ok(SearchKey::SaveDateSupported);
                }
                return self.fault(KEY);
            }
        })
    }

    #[inline]
    fn key_text(&mut self) -> Parse<Text> {
        self.expect(b' ', "a space, and an atom or a string")?;
        self.astring()
    }

    #[inline]
    fn key_date(&mut self) -> Parse<Date> {
        self.expect(b' ', "a space, and a date such as 1-Feb-1994")?;
        self.date()
    }

    #[inline]
    fn key_number(&mut self) -> Parse<u64> {
        self.expect(b' ', "a space, and a number")?;
        self.number64()
    }

    fn key_seconds(&mut self) -> Parse<core::num::NonZeroU32> {
        self.expect(b' ', "a space, and a number of seconds")?;
        self.nonzero()
    }

    fn key_key(&mut self) -> Parse<SearchKey> {
        self.expect(b' ', "a space, and a search key such as UNSEEN")?;
        self.nested(Cursor::search_key)
    }

    fn key_keyword(&mut self) -> Parse<Keyword> {
        self.expect(b' ', "a space, and a keyword")?;
        let at = self.at();
        match self.flag()? {
            Flag::Keyword(keyword) => Ok(keyword),
            Flag::System(_) => Err(Fault { at, expected: "a keyword, which is no system flag" }),
        }
    }

    fn key_object_id(&mut self) -> Parse<Text> {
        self.expect(b' ', "a space, and an object identifier")?;
        self.object_id()
    }

    fn mod_seq_key(&mut self) -> Parse<ModSeqKey> {
        self.expect(b' ', "a space, and a modification sequence")?;
        let entry = match self.peek() {
            Some(b'"') => {
                let flag = self.entry_flag()?;
                self.expect(b' ', "a space, and priv, shared or all")?;
                let (word, len) = self.peek_word();
                let kind = match word {
                    names::PRIV => EntryType::Private,
                    names::SHARED => EntryType::Shared,
                    names::ALL => EntryType::All,
                    _ => return self.fault("priv, shared or all"),
                };
                self.skip(len);
                self.expect(b' ', "a space, and a modification sequence")?;
                Some((flag, kind))
            }
            _ => None,
        };
        Ok(ModSeqKey { entry, mod_seq: self.mod_seq()? })
    }

    /// `"/flags/\\Seen"`
    fn entry_flag(&mut self) -> Parse<Flag> {
        let at = self.at();
        let fault = Fault { at, expected: "the metadata item of a flag, such as \"/flags/\\\\Seen\"" };
        let text = self.quoted()?;
        let name = text.first_chunk::<7>().filter(|start| start.eq_ignore_ascii_case(b"/flags/"));
        let name = name.and(text.get(7..)).ok_or(fault)?;
        match SystemFlag::from_name(name) {
            Some(SystemFlag::Any) => Err(fault),
            Some(flag) => Ok(Flag::System(flag)),
            None => Keyword::new(name).map(Flag::Keyword).map_err(|_| fault),
        }
    }
}

impl Writer<'_> {
    pub(super) fn search_key(&mut self, key: &SearchKey) {
        match key {
            SearchKey::All => self.raw(b"ALL"),
            SearchKey::Answered => self.raw(b"ANSWERED"),
            SearchKey::Bcc(text) => self.key_text(b"BCC ", text),
            SearchKey::Before(date) => self.key_date(b"BEFORE ", *date),
            SearchKey::Body(text) => self.key_text(b"BODY ", text),
            SearchKey::Cc(text) => self.key_text(b"CC ", text),
            SearchKey::Deleted => self.raw(b"DELETED"),
            SearchKey::Draft => self.raw(b"DRAFT"),
            SearchKey::Flagged => self.raw(b"FLAGGED"),
            SearchKey::From(text) => self.key_text(b"FROM ", text),
            SearchKey::Header(header) => {
                self.key_text(b"HEADER ", &header.name);
                self.key_text(b" ", &header.value);
            }
            SearchKey::Keyword(keyword) => self.key_raw(b"KEYWORD ", keyword.as_bytes()),
            SearchKey::Larger(number) => self.key_number(b"LARGER ", *number),
            SearchKey::New => self.raw(b"NEW"),
            SearchKey::Not(key) => self.key_key(b"NOT ", key),
            SearchKey::Old => self.raw(b"OLD"),
            SearchKey::On(date) => self.key_date(b"ON ", *date),
            SearchKey::Or(keys) => {
                self.key_key(b"OR ", &keys.0);
                self.key_key(b" ", &keys.1);
            }
            SearchKey::Recent => self.raw(b"RECENT"),
            SearchKey::Seen => self.raw(b"SEEN"),
            SearchKey::SentBefore(date) => self.key_date(b"SENTBEFORE ", *date),
            SearchKey::SentOn(date) => self.key_date(b"SENTON ", *date),
            SearchKey::SentSince(date) => self.key_date(b"SENTSINCE ", *date),
            SearchKey::Since(date) => self.key_date(b"SINCE ", *date),
            SearchKey::Smaller(number) => self.key_number(b"SMALLER ", *number),
            SearchKey::Subject(text) => self.key_text(b"SUBJECT ", text),
            SearchKey::Text(text) => self.key_text(b"TEXT ", text),
            SearchKey::To(text) => self.key_text(b"TO ", text),
            SearchKey::Uid(set) => {
                self.raw(b"UID ");
                self.sequence_set(set);
            }
            SearchKey::Unanswered => self.raw(b"UNANSWERED"),
            SearchKey::Undeleted => self.raw(b"UNDELETED"),
            SearchKey::Undraft => self.raw(b"UNDRAFT"),
            SearchKey::Unflagged => self.raw(b"UNFLAGGED"),
            SearchKey::Unkeyword(keyword) => self.key_raw(b"UNKEYWORD ", keyword.as_bytes()),
            SearchKey::Unseen => self.raw(b"UNSEEN"),
            SearchKey::Set(set) => self.sequence_set(set),
            SearchKey::And(keys) => self.list(keys, Writer::search_key),
            SearchKey::ModSeq(key) => self.mod_seq_key(key),
            SearchKey::Older(seconds) => self.key_number(b"OLDER ", seconds.get().into()),
            SearchKey::Younger(seconds) => self.key_number(b"YOUNGER ", seconds.get().into()),
            SearchKey::Fuzzy(key) => self.key_key(b"FUZZY ", key),
            SearchKey::Filter(name) => self.key_raw(b"FILTER ", name.as_bytes()),
            SearchKey::EmailId(id) => self.key_object_id(b"EMAILID ", id),
            SearchKey::ThreadId(id) => self.key_object_id(b"THREADID ", id),
            SearchKey::SaveDateSupported => self.raw(b"SAVEDATESUPPORTED"),
            SearchKey::SavedBefore(date) => self.key_date(b"SAVEDBEFORE ", *date),
            SearchKey::SavedOn(date) => self.key_date(b"SAVEDON ", *date),
            SearchKey::SavedSince(date) => self.key_date(b"SAVEDSINCE ", *date),
            SearchKey::GmailRaw(text) => self.key_text(b"X-GM-RAW ", text),
            SearchKey::GmailMessageId(id) => self.key_number(b"X-GM-MSGID ", *id),
            SearchKey::GmailThreadId(id) => self.key_number(b"X-GM-THRID ", *id),
            SearchKey::GmailLabel(label) => {
                self.raw(b"X-GM-LABELS ");
                self.label(label);
            }
        }
    }

    fn key_text(&mut self, name: &[u8], text: &Text) {
        self.raw(name);
        self.astring(text);
    }

    fn key_date(&mut self, name: &[u8], date: Date) {
        self.raw(name);
        self.date(date);
    }

    fn key_number(&mut self, name: &[u8], number: u64) {
        self.raw(name);
        self.number(number);
    }

    fn key_raw(&mut self, name: &[u8], value: &[u8]) {
        self.raw(name);
        self.raw(value);
    }

    fn key_key(&mut self, name: &[u8], key: &SearchKey) {
        self.raw(name);
        self.search_key(key);
    }

    /// What is no identifier is a string, which no server takes for one.
    fn key_object_id(&mut self, name: &[u8], id: &Text) {
        self.raw(name);
        if is_object_id(id) { self.raw(id) } else { self.string(id) }
    }

    fn mod_seq_key(&mut self, key: &ModSeqKey) {
        self.raw(b"MODSEQ ");
        if let Some((flag, kind)) = &key.entry {
            self.string(&[b"/flags/", flag.as_bytes()].concat());
            let kind: &[u8] = match kind {
                EntryType::Private => b" priv ",
                EntryType::Shared => b" shared ",
                EntryType::All => b" all ",
            };
            self.raw(kind);
        }
        self.number(key.mod_seq.get());
    }
}

//! SEARCH, SORT, THREAD and ESEARCH.

use super::words::words;
use crate::codec::{Cursor, Fault, Parse, Writer};
use crate::types::command::{
    Ids, MailboxFilter, MultiSearch, ReturnOption, Search, SearchKey, SearchSources, Sort, SortCriterion,
    SortKey, Thread,
};
use crate::types::{NonEmpty, Text, ThreadAlgorithm};

mod names {
    super::words! {
        CHARSET = b"CHARSET", IN = b"IN",
        // What to return.
        ALL = b"ALL", MIN = b"MIN", MAX = b"MAX", COUNT = b"COUNT", SAVE = b"SAVE", PARTIAL = b"PARTIAL",
        CONTEXT = b"CONTEXT", UPDATE = b"UPDATE", RELEVANCY = b"RELEVANCY",
        // Criteria.
        CC = b"CC", FROM = b"FROM", SUBJECT = b"SUBJECT", TO = b"TO",
        REVERSE = b"REVERSE", ARRIVAL = b"ARRIVAL", DATE = b"DATE", SIZE = b"SIZE",
        DISPLAYFROM = b"DISPLAYFROM", DISPLAYTO = b"DISPLAYTO",
    }
}

const RETURN: &str = "a return option, such as COUNT";

impl Cursor<'_> {
    pub(super) fn search(&mut self, ids: Ids) -> Parse<Search> {
        self.argument()?;
        let returns = self.return_options()?;
        let (charset, keys) = self.search_program()?;
        Ok(Search { ids, returns, charset, keys })
    }

    pub(super) fn multi_search(&mut self) -> Parse<MultiSearch> {
        self.argument()?;
        let (word, len) = self.peek_word();
        let sources = match word {
            names::IN => {
                self.skip(len);
                let sources = self.search_sources()?;
                self.argument()?;
                Some(sources)
            }
            _ => None,
        };
        let returns = self.return_options()?;
        let (charset, keys) = self.search_program()?;
        Ok(MultiSearch { sources, returns, charset, keys })
    }

    fn search_sources(&mut self) -> Parse<SearchSources> {
        const EXPECTED: &str = "mailboxes to search, such as personal, in parentheses";
        self.expect(b' ', EXPECTED)?;
        self.expect(b'(', EXPECTED)?;
        let mut mailboxes = Vec::new();
        loop {
            let at = self.at();
            let filter = self.mailbox_filter()?;
            if filter == MailboxFilter::SelectedDelayed {
                return Err(Fault { at, expected: "selected, or other mailboxes" });
            }
            mailboxes.push(filter);
            if !self.eat(b' ') {
                break;
            }
            if self.peek() == Some(b'(') {
                let options = self.non_empty_list("an option", |cursor| cursor.parameter("an option"))?;
                self.expect(b')', "a closing parenthesis")?;
                let mailboxes = self.non_empty(mailboxes, EXPECTED)?;
                return Ok(SearchSources { mailboxes, options: options.into_vec() });
            }
        }
        self.expect(b')', "a space or a closing parenthesis")?;
        Ok(SearchSources { mailboxes: self.non_empty(mailboxes, EXPECTED)?, options: Vec::new() })
    }

    /// `RETURN (…) SP`, if it is there.
    fn return_options(&mut self) -> Parse<Option<Vec<ReturnOption>>> {
        if !self.eat_return()? {
            return Ok(None);
        }
        let options = self.list(Cursor::return_option)?;
        self.argument()?;
        Ok(Some(options))
    }

    fn return_option(&mut self) -> Parse<ReturnOption> {
        let (word, len) = self.peek_word();
        let option = match word {
            names::MIN => ReturnOption::Min,
            names::MAX => ReturnOption::Max,
            names::ALL => ReturnOption::All,
            names::COUNT => ReturnOption::Count,
            names::SAVE => ReturnOption::Save,
            names::CONTEXT => ReturnOption::Context,
            names::RELEVANCY => ReturnOption::Relevancy,
            names::PARTIAL => {
                self.skip(len);
                return self.partial_argument().map(ReturnOption::Partial);
            }
            names::UPDATE => {
                self.skip(len);
                return self.optional_attributes().map(ReturnOption::Update);
            }
            _ => return self.parameter(RETURN).map(ReturnOption::Other),
        };
        self.skip(len);
        Ok(option)
    }

    /// The charset, if it is named, and keys to the end.
    fn search_program(&mut self) -> Parse<(Option<Text>, NonEmpty<SearchKey>)> {
        let (word, len) = self.peek_word();
        let charset = match word {
            names::CHARSET => {
                self.skip(len);
                self.expect(b' ', "a space, and the name of a charset")?;
                let charset = self.astring()?;
                self.argument()?;
                Some(charset)
            }
            _ => None,
        };
        Ok((charset, self.search_keys(None)?))
    }

    pub(super) fn sort(&mut self, ids: Ids) -> Parse<Sort> {
        const CRITERION: &str = "a sort criterion, such as ARRIVAL";
        self.argument()?;
        let returns = self.return_options()?;
        let criteria = self.non_empty_list(CRITERION, |cursor| {
            let (word, len) = cursor.peek_word();
            let reverse = word == names::REVERSE;
            if reverse {
                cursor.skip(len);
                cursor.expect(b' ', "a space, and a sort criterion")?;
            }
            let (word, len) = cursor.peek_word();
            let key = match word {
                names::ARRIVAL => SortKey::Arrival,
                names::CC => SortKey::Cc,
                names::DATE => SortKey::Date,
                names::FROM => SortKey::From,
                names::SIZE => SortKey::Size,
                names::SUBJECT => SortKey::Subject,
                names::TO => SortKey::To,
                names::DISPLAYFROM => SortKey::DisplayFrom,
                names::DISPLAYTO => SortKey::DisplayTo,
                names::RELEVANCY => SortKey::Relevancy,
                _ => return cursor.fault(CRITERION),
            };
            cursor.skip(len);
            Ok(SortCriterion { reverse, key })
        })?;
        let charset = self.charset_argument()?;
        Ok(Sort { ids, returns, criteria, charset, keys: self.search_keys(None)? })
    }

    pub(super) fn thread_command(&mut self, ids: Ids) -> Parse<Thread> {
        const EXPECTED: &str = "a threading algorithm, such as REFERENCES";
        self.argument()?;
        let at = self.at();
        let algorithm =
            ThreadAlgorithm::from_name(self.atom(EXPECTED)?).ok_or(Fault { at, expected: EXPECTED })?;
        let charset = self.charset_argument()?;
        Ok(Thread { ids, algorithm, charset, keys: self.search_keys(None)? })
    }

    fn charset_argument(&mut self) -> Parse<Text> {
        self.expect(b' ', "a space, and the name of a charset")?;
        let charset = self.astring()?;
        self.argument()?;
        Ok(charset)
    }
}

impl Writer<'_> {
    pub(super) fn search(&mut self, search: &Search) {
        self.space();
        self.return_options(search.returns.as_deref());
        self.search_program(search.charset.as_ref(), &search.keys);
    }

    pub(super) fn multi_search(&mut self, search: &MultiSearch) {
        if let Some(sources) = &search.sources {
            self.raw(b" IN (");
            self.spaced(&sources.mailboxes, Writer::mailbox_filter);
            self.optional_list(&sources.options, Writer::parameter);
            self.byte(b')');
        }
        self.space();
        self.return_options(search.returns.as_deref());
        self.search_program(search.charset.as_ref(), &search.keys);
    }

    fn return_options(&mut self, options: Option<&[ReturnOption]>) {
        let Some(options) = options else { return };
        self.raw(b"RETURN ");
        self.list(options, |writer, option| match option {
            ReturnOption::Min => writer.raw(b"MIN"),
            ReturnOption::Max => writer.raw(b"MAX"),
            ReturnOption::All => writer.raw(b"ALL"),
            ReturnOption::Count => writer.raw(b"COUNT"),
            ReturnOption::Save => writer.raw(b"SAVE"),
            ReturnOption::Partial(range) => {
                writer.raw(b"PARTIAL ");
                writer.display(range);
            }
            ReturnOption::Context => writer.raw(b"CONTEXT"),
            ReturnOption::Update(attributes) => {
                writer.raw(b"UPDATE");
                writer.optional_list(attributes, Writer::fetch_attribute);
            }
            ReturnOption::Relevancy => writer.raw(b"RELEVANCY"),
            ReturnOption::Other(parameter) => writer.parameter(parameter),
        });
        self.space();
    }

    fn search_program(&mut self, charset: Option<&Text>, keys: &[SearchKey]) {
        if let Some(charset) = charset {
            self.raw(b"CHARSET ");
            self.astring(charset);
            self.space();
        }
        self.spaced(keys, Writer::search_key);
    }

    pub(super) fn sort(&mut self, sort: &Sort) {
        self.space();
        self.return_options(sort.returns.as_deref());
        self.list(&sort.criteria, |writer, criterion| {
            if criterion.reverse {
                writer.raw(b"REVERSE ");
            }
            let name: &[u8] = match criterion.key {
                SortKey::Arrival => b"ARRIVAL",
                SortKey::Cc => b"CC",
                SortKey::Date => b"DATE",
                SortKey::From => b"FROM",
                SortKey::Size => b"SIZE",
                SortKey::Subject => b"SUBJECT",
                SortKey::To => b"TO",
                SortKey::DisplayFrom => b"DISPLAYFROM",
                SortKey::DisplayTo => b"DISPLAYTO",
                SortKey::Relevancy => b"RELEVANCY",
            };
            writer.raw(name);
        });
        self.space();
        self.astring(&sort.charset);
        self.space();
        self.spaced(&sort.keys, Writer::search_key);
    }

    pub(super) fn thread_command(&mut self, thread: &Thread) {
        self.space();
        self.raw(thread.algorithm.as_bytes());
        self.space();
        self.astring(&thread.charset);
        self.space();
        self.spaced(&thread.keys, Writer::search_key);
    }
}

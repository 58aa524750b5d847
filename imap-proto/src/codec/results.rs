//! SEARCH, SORT, THREAD and ESEARCH, from bytes and to bytes.

use super::{Cursor, Parse, Quirks, Writer};
use crate::types::{ESearch, ESearchItem, NumberSet, PartialRange, SearchResults, ThreadNode, Threads};

impl Cursor<'_> {
    /// Numbers, each with a space before it, and the modification sequence in parentheses, if it is told.
    pub(super) fn search_results(&mut self) -> Parse<SearchResults> {
        // One look at the first number tells about how many there are, so that the numbers are moved once or twice at most.
        let rest = self.rest();
        let first = rest.iter().skip(1).position(|byte| *byte == b' ').unwrap_or(rest.len());
        let mut numbers = Vec::with_capacity(rest.len().div_ceil(first + 1));
        let mut mod_seq = None;
        while self.eat(b' ') {
            match self.peek() {
                Some(b'0'..=b'9') => numbers.push(self.nonzero()?),
                Some(b'(') if mod_seq.is_none() => {
                    mod_seq = Some(self.in_parentheses(|cursor| match cursor.eat_word(b"MODSEQ") {
                        true => cursor.behind_space(Cursor::mod_seq),
                        false => cursor.fault("MODSEQ"),
                    })?);
                }
                _ if self.dialect.quirks.has(Quirks::SUPERFLUOUS_SPACES) => {}
                _ => return self.fault("a number"),
            }
        }
        Ok(SearchResults { numbers, mod_seq })
    }

    pub(super) fn threads(&mut self) -> Parse<Threads> {
        let mut nodes = Vec::new();
        // How deep the messages are that stand around each list that is open.
        let mut open: Vec<u32> = Vec::new();
        let mut depth = 0;
        // What stands before in the same list: nothing, a number, or a list.
        let (mut empty, mut after_list) = (true, true);
        loop {
            match self.peek() {
                None if open.is_empty() => break,
                Some(b' ') => self.skip(1),
                Some(b'(') => {
                    if empty && !open.is_empty() {
                        nodes.push(ThreadNode { depth, number: None });
                        depth += 1;
                    }
                    open.push(depth);
                    (empty, after_list) = (true, false);
                    self.skip(1);
                }
                Some(b')') => {
                    if empty && !open.is_empty() {
                        nodes.push(ThreadNode { depth, number: None });
                    }
                    let Some(around) = open.pop() else { return self.fault("a thread in parentheses") };
                    depth = around;
                    (empty, after_list) = (false, true);
                    self.skip(1);
                }
                Some(b'0'..=b'9') if !after_list => {
                    nodes.push(ThreadNode { depth, number: Some(self.nonzero()?) });
                    depth += 1;
                    empty = false;
                }
                _ => return self.fault("a thread in parentheses"),
            }
        }
        Threads::new(nodes).map_or_else(|| self.fault("a thread in parentheses"), Ok)
    }

    pub(super) fn esearch(&mut self) -> Parse<ESearch> {
        let mut esearch = ESearch::default();
        let mut space = self.eat_space();
        if space && self.peek() == Some(b'(') {
            self.list(|cursor| cursor.correlator(&mut esearch))?;
            space = self.eat_space();
        }
        if space && self.eat_word(b"UID") {
            esearch.uid = true;
            space = self.eat_space();
        }
        while space && !self.is_end() {
            let start = self.at();
            let item = match self.esearch_item() {
                Ok(item) if matches!(self.peek(), Some(b' ') | None) => item,
                _ => {
                    self.rewind(start);
                    ESearchItem::Other(self.name_and_value()?)
                }
            };
            esearch.items.push(item);
            space = self.eat_space();
        }
        Ok(esearch)
    }

    fn correlator(&mut self, esearch: &mut ESearch) -> Parse<()> {
        let name = self.atom("TAG, MAILBOX or UIDVALIDITY")?;
        self.space()?;
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match name.len() {
            3 if is(b"TAG") => esearch.tag = Some(self.astring()?),
            7 if is(b"MAILBOX") => esearch.mailbox = Some(self.mailbox()?),
            11 if is(b"UIDVALIDITY") => esearch.validity = Some(self.nonzero()?.into()),
            _ => return self.fault("TAG, MAILBOX or UIDVALIDITY"),
        }
        Ok(())
    }

    fn esearch_item(&mut self) -> Parse<ESearchItem> {
        let name = self.atom("an item of a search")?;
        self.space()?;
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        Ok(match name.len() {
            3 if is(b"MIN") => ESearchItem::Min(self.nonzero()?),
            3 if is(b"MAX") => ESearchItem::Max(self.nonzero()?),
            3 if is(b"ALL") => ESearchItem::All(self.number_set()?),
            5 if is(b"COUNT") => ESearchItem::Count(self.number()?),
            5 if is(b"ADDTO") => ESearchItem::AddTo(self.list_of_changes()?),
            6 if is(b"MODSEQ") => ESearchItem::ModSeq(self.mod_seq()?),
            7 if is(b"PARTIAL") => self.in_parentheses(|cursor| {
                let range = cursor.partial_range()?;
                cursor.space()?;
                let set = if cursor.eat_nil() { None } else { Some(cursor.number_set()?) };
                Ok(ESearchItem::Partial(range, set))
            })?,
            9 if is(b"RELEVANCY") => ESearchItem::Relevancy(self.list(Cursor::score)?),
            10 if is(b"REMOVEFROM") => ESearchItem::RemoveFrom(self.list_of_changes()?),
            _ => return self.fault("an item of a search"),
        })
    }

    fn list_of_changes(&mut self) -> Parse<Vec<(u32, NumberSet)>> {
        self.list(|cursor| {
            let position = cursor.number()?;
            Ok((position, cursor.behind_space(Cursor::number_set)?))
        })
    }

    fn score(&mut self) -> Parse<u8> {
        let start = self.at();
        match self.number()? {
            score @ 0..=255 => Ok(score as u8),
            _ => {
                self.rewind(start);
                self.fault("a score of 1 to 100")
            }
        }
    }

    /// `1:100`, or `-1:-100`.
    pub(super) fn partial_range(&mut self) -> Parse<PartialRange> {
        let from_last = self.eat(b'-');
        let first = self.nonzero()?;
        self.expect(b':', "a colon")?;
        if from_last {
            self.expect(b'-', "a minus")?;
            return Ok(PartialRange::FromLast(first, self.nonzero()?));
        }
        Ok(PartialRange::FromFirst(first, self.nonzero()?))
    }
}

impl Writer<'_> {
    pub(super) fn search_results(&mut self, name: &[u8], results: &SearchResults) {
        self.raw(name);
        for number in &results.numbers {
            self.space();
            self.number(number.get());
        }
        if let Some(mod_seq) = results.mod_seq {
            self.numbered(b" (MODSEQ ", mod_seq.get());
            self.byte(b')');
        }
    }

    pub(super) fn threads(&mut self, threads: &Threads) {
        self.raw(b"THREAD");
        if threads.nodes().is_empty() {
            return;
        }
        self.space();
        let nodes = threads.nodes();
        let only = only_answers(nodes);
        // For each message above: whether it stands in a list of its own, to be closed behind its last answer.
        let mut closes: Vec<bool> = Vec::new();
        for (at, node) in nodes.iter().enumerate() {
            while closes.len() > node.depth as usize {
                if closes.pop() == Some(true) {
                    self.byte(b')');
                }
            }
            // One answer alone goes on in the same list; behind a message that is not there it cannot.
            let goes_on = only[at] && node.number.is_some();
            if goes_on {
                self.space();
            } else {
                let behind_number =
                    at > 0 && node.depth > nodes[at - 1].depth && nodes[at - 1].number.is_some();
                if behind_number {
                    self.space();
                }
                self.byte(b'(');
            }
            if let Some(number) = node.number {
                self.number(number.get());
            }
            closes.push(!goes_on);
        }
        closes.into_iter().filter(|closes| *closes).for_each(|_| self.byte(b')'));
    }

    pub(super) fn esearch(&mut self, esearch: &ESearch) {
        self.raw(b"ESEARCH");
        let correlators = [esearch.tag.is_some(), esearch.mailbox.is_some(), esearch.validity.is_some()];
        if correlators.contains(&true) {
            self.raw(b" (");
            if let Some(tag) = &esearch.tag {
                self.raw(b"TAG ");
                self.string(tag);
            }
            if let Some(mailbox) = &esearch.mailbox {
                self.raw(if correlators[0] { b" MAILBOX " } else { b"MAILBOX " });
                self.mailbox(mailbox);
            }
            if let Some(validity) = esearch.validity {
                let space = correlators[0] || correlators[1];
                self.numbered(if space { b" UIDVALIDITY " } else { b"UIDVALIDITY " }, validity.get());
            }
            self.byte(b')');
        }
        if esearch.uid {
            self.raw(b" UID");
        }
        for item in &esearch.items {
            self.space();
            self.esearch_item(item);
        }
    }

    fn esearch_item(&mut self, item: &ESearchItem) {
        match item {
            ESearchItem::Min(number) => self.numbered(b"MIN ", number.get()),
            ESearchItem::Max(number) => self.numbered(b"MAX ", number.get()),
            ESearchItem::All(set) => {
                self.raw(b"ALL ");
                self.number_set(set);
            }
            ESearchItem::Count(count) => self.numbered(b"COUNT ", *count),
            ESearchItem::ModSeq(mod_seq) => self.numbered(b"MODSEQ ", mod_seq.get()),
            ESearchItem::Partial(range, set) => {
                self.raw(b"PARTIAL (");
                self.display(range);
                self.space();
                match set {
                    Some(set) => self.number_set(set),
                    None => self.raw(b"NIL"),
                }
                self.byte(b')');
            }
            ESearchItem::AddTo(changes) => {
                self.raw(b"ADDTO ");
                self.list_of_changes(changes);
            }
            ESearchItem::RemoveFrom(changes) => {
                self.raw(b"REMOVEFROM ");
                self.list_of_changes(changes);
            }
            ESearchItem::Relevancy(scores) => {
                self.raw(b"RELEVANCY ");
                self.list(scores, |writer, score| writer.number(*score));
            }
            ESearchItem::Other(raw) => self.raw(raw.as_bytes()),
        }
    }

    fn list_of_changes(&mut self, changes: &[(u32, NumberSet)]) {
        self.list(changes, |writer, (position, set)| {
            writer.number(*position);
            writer.space();
            writer.number_set(set);
        });
    }
}

/// For each message, whether it is the only answer to one that is there.
fn only_answers(nodes: &[ThreadNode]) -> Vec<bool> {
    let mut only = vec![false; nodes.len()];
    // Of each level: the message that is open there, and its last answer so far.
    let mut above: Vec<(usize, Option<usize>)> = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        above.truncate(node.depth as usize);
        if let Some((parent, answer)) = above.last_mut() {
            match *answer {
                None => only[at] = nodes[*parent].number.is_some(),
                Some(first) => only[first] = false,
            }
            *answer = Some(at);
        }
        above.push((at, None));
    }
    only
}

//! The items of FETCH responses, from bytes and to bytes.

use super::{Cursor, Literal, Parse, Quirks, Writer};
use crate::types::{BinaryContent, Content, Fetch, FetchItem, MessageId, Raw, Rfc822, SectionContent, Text};

impl Cursor<'_> {
    /// What follows FETCH or UIDFETCH and its space. An item that is not known, or that misses its grammar, is kept as it came.
    pub(super) fn fetch(&mut self, message: MessageId) -> Parse<Fetch> {
        self.expect(b'(', "items in parentheses")?;
        self.spaces();
        let mut items = Vec::with_capacity(8);
        if self.eat(b')') {
            return Ok(Fetch { message, items });
        }
        loop {
            let start = self.at();
            match self.fetch_item() {
                Ok(item) if matches!(self.peek(), Some(b' ' | b')')) => items.push(item),
                _ => {
                    self.rewind(start);
                    items.push(FetchItem::Other(self.name_and_value()?));
                }
            }
            if self.close_or_space()? {
                return Ok(Fetch { message, items });
            }
        }
    }

    /// A name and a value of unknown meaning.
    pub(super) fn name_and_value(&mut self) -> Parse<Raw> {
        let start = self.at();
        self.skip_value()?;
        self.space()?;
        self.skip_value()?;
        Ok(Raw::trusted(self.text(start..self.at())))
    }

    #[inline]
    fn fetch_item(&mut self) -> Parse<FetchItem> {
        // The names that are told of many messages, as all servers write them.
        let rest = self.rest();
        let behind = |cursor: &mut Self, name: &[u8]| {
            let found = rest.starts_with(name);
            cursor.skip(if found { name.len() } else { 0 });
            found
        };
        match rest.first() {
            Some(b'U') if behind(self, b"UID ") => self.uid().map(FetchItem::Uid),
            Some(b'F') if behind(self, b"FLAGS ") => self.flags().map(FetchItem::Flags),
            Some(b'E') if behind(self, b"ENVELOPE ") => self.envelope().map(FetchItem::Envelope),
            Some(b'B') if behind(self, b"BODYSTRUCTURE ") => {
                self.body_structure().map(FetchItem::BodyStructure)
            }
            Some(b'R') if behind(self, b"RFC822.SIZE ") => self.size().map(FetchItem::Size),
            Some(b'I') if behind(self, b"INTERNALDATE ") => self.date_time().map(FetchItem::InternalDate),
            _ => self.named_fetch_item(),
        }
    }

    fn named_fetch_item(&mut self) -> Parse<FetchItem> {
        let rest = self.rest();
        let len = rest.iter().position(|byte| matches!(byte, b' ' | b'[' | b')')).unwrap_or(rest.len());
        let name = &rest[..len];
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        self.skip(len);
        if self.peek() == Some(b'[') {
            return match len {
                4 if is(b"BODY") => self.section_item(),
                6 if is(b"BINARY") => self.binary_item(),
                11 if is(b"BINARY.SIZE") => {
                    let part = self.part()?;
                    self.space()?;
                    Ok(FetchItem::BinarySize(part, self.size()?))
                }
                _ => self.fault("a name that has brackets"),
            };
        }
        self.space()?;
        let item = match len {
            3 if is(b"UID") => FetchItem::Uid(self.uid()?),
            4 if is(b"BODY") => FetchItem::Body(self.body_structure()?),
            5 if is(b"FLAGS") => FetchItem::Flags(self.flags()?),
            6 if is(b"MODSEQ") => FetchItem::ModSeq(self.around(Cursor::mod_seq)?),
            6 if is(b"RFC822") => FetchItem::Rfc822(Rfc822::Full, self.content()?),
            7 if is(b"PREVIEW") => FetchItem::Preview(self.nstring()?),
            7 if is(b"EMAILID") => FetchItem::EmailId(self.around(Cursor::object_id)?),
            8 if is(b"ENVELOPE") => FetchItem::Envelope(self.envelope()?),
            8 if is(b"THREADID") && self.eat_nil() => FetchItem::ThreadId(None),
            8 if is(b"THREADID") => FetchItem::ThreadId(Some(self.in_parentheses(Cursor::object_id)?)),
            8 if is(b"SAVEDATE") && self.eat_nil() => FetchItem::SaveDate(None),
            8 if is(b"SAVEDATE") => FetchItem::SaveDate(Some(self.date_time()?)),
            10 if is(b"X-GM-MSGID") => FetchItem::GmailMessageId(self.number64()?),
            10 if is(b"X-GM-THRID") => FetchItem::GmailThreadId(self.number64()?),
            11 if is(b"RFC822.SIZE") => FetchItem::Size(self.size()?),
            11 if is(b"RFC822.TEXT") => FetchItem::Rfc822(Rfc822::Text, self.content()?),
            11 if is(b"X-GM-LABELS") => FetchItem::GmailLabels(self.list(Cursor::label)?),
            12 if is(b"INTERNALDATE") => FetchItem::InternalDate(self.date_time()?),
            13 if is(b"BODYSTRUCTURE") => FetchItem::BodyStructure(self.body_structure()?),
            13 if is(b"RFC822.HEADER") => FetchItem::Rfc822(Rfc822::Header, self.content()?),
            _ => return self.fault("the name of an item"),
        };
        Ok(item)
    }

    pub(super) fn in_parentheses<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        self.expect(b'(', "an opening parenthesis")?;
        let value = inner(self)?;
        self.spaces();
        self.expect(b')', "a closing parenthesis")?;
        Ok(value)
    }

    /// A value in parentheses, which are missing at times.
    fn around<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        match self.peek() == Some(b'(') || !self.dialect.quirks.has(Quirks::MISSING_PARENTHESES) {
            true => self.in_parentheses(inner),
            false => inner(self),
        }
    }

    fn section_item(&mut self) -> Parse<FetchItem> {
        let section = self.section()?;
        let origin = self.origin()?;
        self.space()?;
        let content = self.content()?;
        Ok(FetchItem::Section(Box::new(SectionContent { section, origin, content })))
    }

    fn binary_item(&mut self) -> Parse<FetchItem> {
        let part = self.part()?;
        let origin = self.origin()?;
        self.space()?;
        let content = self.content()?;
        Ok(FetchItem::Binary(Box::new(BinaryContent { part, origin, content })))
    }

    /// A string that may be NIL, or a literal that was streamed.
    fn content(&mut self) -> Parse<Content> {
        match self.peek() {
            Some(b'"') => self.quoted().map(Content::Inline),
            Some(b'{' | b'~') => Ok(match self.literal_or_streamed()? {
                Literal::Here(text) => Content::Inline(text),
                Literal::Streamed(len) => Content::Streamed(len),
            }),
            _ if self.eat_nil() => Ok(Content::Nil),
            _ => self.fault("a string or NIL"),
        }
    }

    /// An identifier of RFC 8474 §4: letters, digits, `_` and `-`.
    pub(super) fn object_id(&mut self) -> Parse<Text> {
        let start = self.at();
        let id = self.atom("an object identifier")?;
        let valid = id.len() <= 255
            && id.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        match valid {
            true => Ok(self.text(start..self.at())),
            false => {
                self.rewind(start);
                self.fault("an object identifier of letters, digits, `_` and `-`")
            }
        }
    }

    /// A label of Gmail: an astring, or a name with a backslash before it, such as `\Inbox`.
    pub(super) fn label(&mut self) -> Parse<Text> {
        let start = self.at();
        if self.eat(b'\\') {
            self.atom("a label")?;
            return Ok(self.text(start..self.at()));
        }
        self.astring()
    }
}

impl Writer<'_> {
    /// What follows FETCH or UIDFETCH and its space.
    pub(super) fn fetch_items(&mut self, items: &[FetchItem]) {
        self.list(items, Writer::fetch_item);
    }

    fn fetch_item(&mut self, item: &FetchItem) {
        match item {
            FetchItem::Flags(flags) => {
                self.raw(b"FLAGS ");
                self.flags(flags);
            }
            FetchItem::Uid(uid) => {
                self.raw(b"UID ");
                self.number(uid.get());
            }
            FetchItem::ModSeq(mod_seq) => {
                self.raw(b"MODSEQ (");
                self.number(mod_seq.get());
                self.byte(b')');
            }
            FetchItem::Size(size) => {
                self.raw(b"RFC822.SIZE ");
                self.number(*size);
            }
            FetchItem::InternalDate(moment) => {
                self.raw(b"INTERNALDATE ");
                self.date_time(*moment);
            }
            FetchItem::Envelope(envelope) => {
                self.raw(b"ENVELOPE ");
                self.envelope(envelope);
            }
            FetchItem::BodyStructure(body) => {
                self.raw(b"BODYSTRUCTURE ");
                self.body_structure(body);
            }
            FetchItem::Body(body) => {
                self.raw(b"BODY ");
                self.body_structure(body);
            }
            FetchItem::Section(section) => {
                self.raw(b"BODY");
                self.section(&section.section);
                self.origin(section.origin);
                self.space();
                self.content(&section.content, false);
            }
            FetchItem::Rfc822(which, content) => {
                self.raw(match which {
                    Rfc822::Full => b"RFC822 ",
                    Rfc822::Header => b"RFC822.HEADER ",
                    Rfc822::Text => b"RFC822.TEXT ",
                });
                self.content(content, false);
            }
            FetchItem::Binary(binary) => {
                self.raw(b"BINARY");
                self.part(&binary.part);
                self.origin(binary.origin);
                self.space();
                self.content(&binary.content, true);
            }
            FetchItem::BinarySize(part, size) => {
                self.raw(b"BINARY.SIZE");
                self.part(part);
                self.space();
                self.number(*size);
            }
            FetchItem::Preview(preview) => {
                self.raw(b"PREVIEW ");
                self.nstring(preview.as_deref());
            }
            FetchItem::EmailId(id) => self.object_id_item(b"EMAILID ", Some(id)),
            FetchItem::ThreadId(id) => self.object_id_item(b"THREADID ", id.as_ref()),
            FetchItem::SaveDate(moment) => {
                self.raw(b"SAVEDATE ");
                match moment {
                    Some(moment) => self.date_time(*moment),
                    None => self.raw(b"NIL"),
                }
            }
            FetchItem::GmailMessageId(id) => {
                self.raw(b"X-GM-MSGID ");
                self.number(*id);
            }
            FetchItem::GmailThreadId(id) => {
                self.raw(b"X-GM-THRID ");
                self.number(*id);
            }
            FetchItem::GmailLabels(labels) => {
                self.raw(b"X-GM-LABELS ");
                self.list(labels, Writer::label);
            }
            FetchItem::Other(raw) => self.raw(raw.as_bytes()),
        }
    }

    pub(super) fn label(&mut self, label: &Text) {
        match label.strip_prefix(b"\\") {
            Some(name) if super::is_atom(name) => self.raw(label),
            _ => self.astring(label),
        }
    }

    fn object_id_item(&mut self, name: &[u8], id: Option<&Text>) {
        self.raw(name);
        match id {
            Some(id) => {
                self.byte(b'(');
                self.raw(id);
                self.byte(b')');
            }
            None => self.raw(b"NIL"),
        }
    }

    /// Bytes of a message. Of what is streamed only the announcement is written; the bytes follow from elsewhere.
    fn content(&mut self, content: &Content, binary: bool) {
        match content {
            Content::Nil => self.raw(b"NIL"),
            Content::Inline(text) if binary && memchr::memchr(0, text).is_some() => {
                self.announce(text.len() as u64, true);
                self.raw(text);
            }
            Content::Inline(text) => self.literal(text),
            Content::Streamed(len) => {
                self.announce_streamed(*len, binary);
            }
        }
    }
}

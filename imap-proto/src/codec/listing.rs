//! LIST and NAMESPACE, from bytes and to bytes.

use super::chars::{ATOM, HIGH};
use super::{Cursor, Parse, Quirks, Writer};
use crate::types::{Data, Delimiter, ListItem, ListKind, Listing, MailboxAttribute, Namespace, Namespaces};

impl Cursor<'_> {
    pub(super) fn listing(&mut self, kind: ListKind) -> Parse<Data> {
        let attributes = self.list(Cursor::mailbox_attribute)?;
        self.space()?;
        let delimiter = self.delimiter()?;
        self.space()?;
        let mailbox = self.mailbox()?;
        let extended = match self.eat_space() && !self.is_end() {
            true => self.list(Cursor::list_item)?,
            false => Vec::new(),
        };
        Ok(Data::List(Box::new(Listing { kind, attributes, delimiter, mailbox, extended })))
    }

    fn mailbox_attribute(&mut self) -> Parse<MailboxAttribute> {
        let start = self.at();
        self.expect(b'\\', "an attribute of a mailbox")?;
        let high = if self.dialect.quirks.has(Quirks::EIGHT_BIT_ATOMS) { HIGH } else { 0 };
        self.run(ATOM | high, "an attribute of a mailbox")?;
        let name = self.slice(start..self.at());
        Ok(MailboxAttribute::from_name(name)
            .unwrap_or_else(|| MailboxAttribute::Other(self.text(start..self.at()))))
    }

    /// One character between quotes, or NIL.
    pub(super) fn delimiter(&mut self) -> Parse<Option<Delimiter>> {
        let start = self.at();
        if let [b'"', b'\\', b'"', b' ' | b')', ..] = self.rest()
            && self.dialect.quirks.has(Quirks::ODD_ESCAPES)
        {
            self.skip(3);
            return Ok(Delimiter::new('\\'));
        }
        let Some(text) = self.nstring()? else { return Ok(None) };
        match *text {
            [byte] => match Delimiter::new(byte.into()) {
                Some(delimiter) => return Ok(Some(delimiter)),
                None => self.rewind(start),
            },
            _ => self.rewind(start),
        }
        self.fault("one character between quotes, or NIL")
    }

    fn list_item(&mut self) -> Parse<ListItem> {
        let start = self.at();
        match self.known_list_item() {
            Ok(item) if matches!(self.peek(), Some(b' ' | b')')) => Ok(item),
            _ => {
                self.rewind(start);
                self.name_and_value().map(ListItem::Other)
            }
        }
    }

    fn known_list_item(&mut self) -> Parse<ListItem> {
        let name = self.astring()?;
        self.space()?;
        match () {
            () if name.eq_ignore_ascii_case(b"CHILDINFO") => {
                self.list(Cursor::astring).map(ListItem::ChildInfo)
            }
            () if name.eq_ignore_ascii_case(b"OLDNAME") => {
                self.in_parentheses(Cursor::mailbox).map(ListItem::OldName)
            }
            () => self.fault("CHILDINFO or OLDNAME"),
        }
    }

    pub(super) fn namespaces(&mut self) -> Parse<Namespaces> {
        let personal = self.namespace_list()?;
        let others = self.behind_space(Cursor::namespace_list)?;
        let shared = self.behind_space(Cursor::namespace_list)?;
        Ok(Namespaces { personal, others, shared })
    }

    fn namespace_list(&mut self) -> Parse<Vec<Namespace>> {
        let mut namespaces = Vec::new();
        if self.eat_nil() {
            return Ok(namespaces);
        }
        self.expect(b'(', "namespaces in parentheses, or NIL")?;
        self.spaces();
        while !self.eat(b')') {
            namespaces.push(self.namespace()?);
            self.spaces();
        }
        Ok(namespaces)
    }

    fn namespace(&mut self) -> Parse<Namespace> {
        self.expect(b'(', "a namespace in parentheses")?;
        let prefix = self.mailbox()?;
        let delimiter = self.behind_space(Cursor::delimiter)?;
        let mut extensions = Vec::new();
        while !self.eat(b')') {
            let name = self.behind_space(Cursor::string)?;
            let values = self.behind_space(|cursor| cursor.list(Cursor::string))?;
            extensions.push((name, values));
        }
        Ok(Namespace { prefix, delimiter, extensions })
    }
}

impl Writer<'_> {
    pub(super) fn listing(&mut self, listing: &Listing) {
        self.raw(match listing.kind {
            ListKind::List => b"LIST ",
            ListKind::Lsub => b"LSUB ",
            ListKind::XList => b"XLIST ",
        });
        self.list(&listing.attributes, |writer, attribute| writer.word(attribute.as_bytes()));
        self.space();
        self.delimiter(listing.delimiter);
        self.space();
        self.mailbox(&listing.mailbox);
        if !listing.extended.is_empty() {
            self.space();
            self.list(&listing.extended, |writer, item| match item {
                ListItem::ChildInfo(options) => {
                    writer.raw(b"\"CHILDINFO\" ");
                    writer.list(options, |writer, option| writer.string(option));
                }
                ListItem::OldName(name) => {
                    writer.raw(b"\"OLDNAME\" (");
                    writer.mailbox(name);
                    writer.byte(b')');
                }
                ListItem::Other(raw) => writer.raw(raw.as_bytes()),
            });
        }
    }

    pub(super) fn delimiter(&mut self, delimiter: Option<Delimiter>) {
        match delimiter {
            None => self.raw(b"NIL"),
            Some(delimiter) => self.string(delimiter.get().encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }

    pub(super) fn namespaces(&mut self, namespaces: &Namespaces) {
        self.raw(b"NAMESPACE");
        for list in [&namespaces.personal, &namespaces.others, &namespaces.shared] {
            self.space();
            if list.is_empty() {
                self.raw(b"NIL");
                continue;
            }
            self.byte(b'(');
            list.iter().for_each(|namespace| self.namespace(namespace));
            self.byte(b')');
        }
    }

    fn namespace(&mut self, namespace: &Namespace) {
        self.byte(b'(');
        self.string(&namespace.prefix.to_wire(self.style.utf8));
        self.space();
        self.delimiter(namespace.delimiter);
        for (name, values) in &namespace.extensions {
            self.space();
            self.string(name);
            self.space();
            self.list(values, |writer, value| writer.string(value));
        }
        self.byte(b')');
    }
}

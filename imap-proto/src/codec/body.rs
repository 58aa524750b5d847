//! ENVELOPE and BODYSTRUCTURE, from bytes and to bytes.

use super::{Cursor, Parse, Quirks, Span, Writer};
use crate::types::{
    Address, Addresses, BodyStructure, Disposition, Envelope, Extension, MessagePart, MultiPart, Parameter,
    PartKind, Raw, SinglePart, Text,
};

impl Cursor<'_> {
    pub(super) fn envelope(&mut self) -> Parse<Box<Envelope>> {
        self.expect(b'(', "an envelope in parentheses")?;
        let date = self.nspan()?;
        self.space()?;
        let subject = self.nspan()?;
        self.space()?;
        let start = self.at();
        let from = self.addresses()?;
        // Servers repeat From in place of what the mail does not have.
        let repeated = self.slice(start..self.at());
        let sender = self.addresses_or(repeated, &from)?;
        let reply_to = self.addresses_or(repeated, &from)?;
        let to = self.addresses()?;
        let cc = self.addresses()?;
        let bcc = self.addresses()?;
        let in_reply_to = self.nspan()?;
        self.space()?;
        let message_id = self.nspan()?;
        self.spaces();
        self.expect(b')', "the end of the envelope")?;
        Ok(Box::new(Envelope {
            date: self.take_some(date),
            subject: self.take_some(subject),
            from,
            sender,
            reply_to,
            to,
            cc,
            bcc,
            in_reply_to: self.take_some(in_reply_to),
            message_id: self.take_some(message_id),
        }))
    }

    /// Addresses in parentheses, or NIL, and the space behind them.
    fn addresses(&mut self) -> Parse<Addresses> {
        let mut addresses = Addresses::NONE;
        if self.eat(b'(') {
            self.spaces();
            if self.peek() != Some(b')') {
                let first = self.address()?;
                self.spaces();
                addresses = match self.peek() {
                    Some(b')') => Addresses::one(self.make_address(first)),
                    _ => self.more_addresses(first)?,
                };
            }
            self.expect(b')', "the end of the addresses")?;
        } else if !self.eat_nil() {
            return self.fault("addresses in parentheses, or NIL");
        }
        self.space()?;
        Ok(addresses)
    }

    fn more_addresses(&mut self, first: [Span; 4]) -> Parse<Addresses> {
        let mut addresses = Vec::with_capacity(4);
        addresses.push(self.make_address(first));
        while self.peek() != Some(b')') {
            let address = self.address()?;
            addresses.push(self.make_address(address));
            self.spaces();
        }
        Ok(addresses.into())
    }

    #[inline(always)]
    fn make_address(&self, [name, route, mailbox, host]: [Span; 4]) -> Address {
        Address {
            name: self.take_some(name),
            route: self.take_some(route),
            mailbox: self.take_some(mailbox),
            host: self.take_some(host),
        }
    }

    /// Addresses, which may well be these again.
    #[inline]
    fn addresses_or(&mut self, wire: &[u8], addresses: &Addresses) -> Parse<Addresses> {
        if !self.rest().starts_with(wire) {
            return self.addresses();
        }
        self.skip(wire.len());
        self.spaces();
        Ok(addresses.clone())
    }

    #[inline(always)]
    fn address(&mut self) -> Parse<[Span; 4]> {
        self.expect(b'(', "an address in parentheses")?;
        let name = self.nspan()?;
        self.space()?;
        let route = self.nspan()?;
        self.space()?;
        let mailbox = self.nspan()?;
        self.space()?;
        let host = self.nspan()?;
        self.spaces();
        self.expect(b')', "the end of the address")?;
        Ok([name, route, mailbox, host])
    }

    pub(super) fn body_structure(&mut self) -> Parse<BodyStructure> {
        self.nested(|cursor| {
            cursor.expect(b'(', "a body in parentheses")?;
            match cursor.peek() {
                Some(b'(') => cursor.multi_part().map(BodyStructure::Multi),
                _ => cursor.single_part().map(BodyStructure::Single),
            }
        })
    }

    fn multi_part(&mut self) -> Parse<Box<MultiPart>> {
        let mut parts = Vec::with_capacity(2);
        while self.peek() == Some(b'(') {
            parts.push(self.body_structure()?);
            // Exchange puts spaces there.
            if let [b' ', b'(', ..] = self.rest()
                && self.dialect.quirks.has(Quirks::SUPERFLUOUS_SPACES)
            {
                self.skip(1);
            }
        }
        self.space()?;
        let subtype = self.string_or_nil()?;
        let mut extension = Extension::default();
        let parameters = match self.more(&mut extension)? {
            true => self.parameters()?,
            false => Vec::new(),
        };
        self.rest_of_extension(&mut extension)?;
        Ok(Box::new(MultiPart { parts, subtype, parameters, extension }))
    }

    fn single_part(&mut self) -> Parse<Box<SinglePart>> {
        let mut part = Box::new(SinglePart {
            media_type: Text::EMPTY,
            subtype: Text::EMPTY,
            parameters: Vec::new(),
            id: None,
            description: None,
            encoding: Text::EMPTY,
            octets: 0,
            kind: PartKind::Basic,
            extension: Extension::default(),
        });
        let media_type = self.span_or_nil()?;
        part.media_type = self.take(media_type);
        self.space()?;
        let subtype = self.span_or_nil()?;
        part.subtype = self.take(subtype);
        self.space()?;
        part.parameters = self.parameters()?;
        self.space()?;
        let id = self.nspan()?;
        part.id = self.take_some(id);
        self.space()?;
        let description = self.nspan()?;
        part.description = self.take_some(description);
        self.space()?;
        let encoding = self.span_or_nil()?;
        part.encoding = self.take(encoding);
        self.space()?;
        part.octets = self.size()?;
        part.kind = self.part_kind(media_type, subtype)?;
        if self.more(&mut part.extension)? {
            let md5 = self.nspan()?;
            part.extension.md5 = self.take_some(md5);
        }
        self.rest_of_extension(&mut part.extension)?;
        Ok(part)
    }

    fn part_kind(&mut self, media_type: Span, subtype: Span) -> Parse<PartKind> {
        let media_type = self.look_at(media_type);
        if media_type.eq_ignore_ascii_case(b"text") {
            self.space()?;
            return Ok(PartKind::Text { lines: self.size()? });
        }
        let subtype = self.look_at(subtype);
        let is_message = media_type.eq_ignore_ascii_case(b"message")
            && (subtype.eq_ignore_ascii_case(b"rfc822") || subtype.eq_ignore_ascii_case(b"global"));
        // Servers that could not parse the message in the part tell as little of it as of any other.
        if !is_message || !matches!(self.rest(), [b' ', b'(', ..]) {
            return Ok(PartKind::Basic);
        }
        self.space()?;
        let envelope = self.envelope()?;
        self.space()?;
        let body = self.body_structure()?;
        self.space()?;
        let lines = self.size()?;
        Ok(PartKind::Message(Box::new(MessagePart { envelope: *envelope, body, lines })))
    }

    /// Whether a further field of extension data follows; if so, the space before it is read and it is counted.
    fn more(&mut self, extension: &mut Extension) -> Parse<bool> {
        if !self.eat(b' ') {
            return Ok(false);
        }
        self.spaces();
        if self.peek() == Some(b')') && self.dialect.quirks.has(Quirks::SUPERFLUOUS_SPACES) {
            return Ok(false);
        }
        extension.fields += 1;
        Ok(true)
    }

    /// What follows the first field of extension data, and the parenthesis that closes the part.
    fn rest_of_extension(&mut self, extension: &mut Extension) -> Parse<()> {
        // So it is told of most parts.
        const NONE: &[u8] = b" NIL NIL NIL)";
        if extension.fields == 1 && self.rest().starts_with(NONE) {
            self.skip(NONE.len());
            extension.fields = Extension::ALL;
            return Ok(());
        }
        if extension.fields > 0 && self.more(extension)? {
            self.disposition(&mut extension.disposition)?;
            if self.more(extension)? {
                extension.language = self.languages()?;
                if self.more(extension)? {
                    let location = self.nspan()?;
                    extension.location = self.take_some(location);
                    extension.others = self.other_extensions()?;
                }
            }
        }
        self.spaces();
        self.expect(b')', "the end of the body part")
    }

    fn disposition(&mut self, disposition: &mut Option<Disposition>) -> Parse<()> {
        if self.eat_nil() {
            return Ok(());
        }
        self.expect(b'(', "a disposition in parentheses, or NIL")?;
        let kind = self.span_or_nil()?;
        self.space()?;
        let parameters = self.parameters()?;
        self.spaces();
        self.expect(b')', "the end of the disposition")?;
        *disposition = Some(Disposition { kind: self.take(kind), parameters });
        Ok(())
    }

    fn languages(&mut self) -> Parse<Vec<Text>> {
        match self.peek() {
            Some(b'(') => self.list(Cursor::string),
            _ if self.eat_nil() => Ok(Vec::new()),
            _ => Ok(vec![self.string()?]),
        }
    }

    fn other_extensions(&mut self) -> Parse<Option<Raw>> {
        let start = self.at() + 1;
        while self.eat(b' ') {
            if self.peek() == Some(b')') {
                break;
            }
            self.skip_value()?;
        }
        Ok((self.at() > start).then(|| Raw::trusted(self.text(start..self.at()))))
    }

    fn parameters(&mut self) -> Parse<Vec<Parameter>> {
        let mut parameters = Vec::new();
        if self.eat_nil() {
            return Ok(parameters);
        }
        self.expect(b'(', "parameters in parentheses, or NIL")?;
        self.spaces();
        if self.eat(b')') {
            return Ok(parameters);
        }
        loop {
            let name = self.span_or_nil()?;
            self.space()?;
            let value = self.span_or_nil()?;
            match self.peek() {
                // Most lists hold one. What is made within `vec!` is made where it stays.
                Some(b')') if parameters.is_empty() => {
                    parameters = vec![Parameter { name: self.take(name), value: self.take(value) }];
                }
                _ => {
                    if parameters.is_empty() {
                        parameters.reserve_exact(4);
                    }
                    parameters.push(Parameter { name: self.take(name), value: self.take(value) });
                }
            }
            if self.close_or_space()? {
                return Ok(parameters);
            }
        }
    }
}

impl Writer<'_> {
    pub(super) fn envelope(&mut self, envelope: &Envelope) {
        self.byte(b'(');
        self.nstring(envelope.date.as_deref());
        self.space();
        self.nstring(envelope.subject.as_deref());
        let Envelope { from, sender, reply_to, to, cc, bcc, .. } = envelope;
        for addresses in [from, sender, reply_to, to, cc, bcc] {
            self.space();
            self.addresses(addresses);
        }
        self.space();
        self.nstring(envelope.in_reply_to.as_deref());
        self.space();
        self.nstring(envelope.message_id.as_deref());
        self.byte(b')');
    }

    fn addresses(&mut self, addresses: &[Address]) {
        if addresses.is_empty() {
            return self.raw(b"NIL");
        }
        self.byte(b'(');
        for address in addresses.iter() {
            self.byte(b'(');
            let Address { name, route, mailbox, host } = address;
            self.spaced([name, route, mailbox, host], |writer, text| writer.nstring(text.as_deref()));
            self.byte(b')');
        }
        self.byte(b')');
    }

    pub(super) fn body_structure(&mut self, body: &BodyStructure) {
        self.byte(b'(');
        match body {
            BodyStructure::Single(part) => self.single_part(part),
            BodyStructure::Multi(part) => self.multi_part(part),
        }
        self.byte(b')');
    }

    fn multi_part(&mut self, part: &MultiPart) {
        for part in &part.parts {
            self.body_structure(part);
        }
        self.space();
        self.string(&part.subtype);
        if part.extension.fields > 0 {
            self.space();
            self.parameters(&part.parameters);
            self.rest_of_extension(&part.extension);
        }
    }

    fn single_part(&mut self, part: &SinglePart) {
        self.string(&part.media_type);
        self.space();
        self.string(&part.subtype);
        self.space();
        self.parameters(&part.parameters);
        self.space();
        self.nstring(part.id.as_deref());
        self.space();
        self.nstring(part.description.as_deref());
        self.space();
        self.string(&part.encoding);
        self.space();
        self.number(part.octets);
        match &part.kind {
            PartKind::Basic => {}
            PartKind::Text { lines } => {
                self.space();
                self.number(*lines);
            }
            PartKind::Message(message) => {
                self.space();
                self.envelope(&message.envelope);
                self.space();
                self.body_structure(&message.body);
                self.space();
                self.number(message.lines);
            }
        }
        if part.extension.fields > 0 {
            self.space();
            self.nstring(part.extension.md5.as_deref());
            self.rest_of_extension(&part.extension);
        }
    }

    fn rest_of_extension(&mut self, extension: &Extension) {
        if extension.fields > 1 {
            self.space();
            match &extension.disposition {
                None => self.raw(b"NIL"),
                Some(disposition) => {
                    self.byte(b'(');
                    self.string(&disposition.kind);
                    self.space();
                    self.parameters(&disposition.parameters);
                    self.byte(b')');
                }
            }
        }
        if extension.fields > 2 {
            self.space();
            match extension.language.as_slice() {
                [] => self.raw(b"NIL"),
                languages => self.list(languages, |writer, language| writer.string(language)),
            }
        }
        if extension.fields > 3 {
            self.space();
            self.nstring(extension.location.as_deref());
            if let Some(others) = &extension.others {
                self.space();
                self.raw(others.as_bytes());
            }
        }
    }

    fn parameters(&mut self, parameters: &[Parameter]) {
        if parameters.is_empty() {
            return self.raw(b"NIL");
        }
        self.list(parameters, |writer, parameter| {
            writer.string(&parameter.name);
            writer.space();
            writer.string(&parameter.value);
        });
    }
}

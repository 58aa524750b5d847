//! Sections and parts, from bytes and to bytes.

use super::chars;
use super::{Cursor, Parse, Writer};
use crate::types::{PartPath, Partial, Section, SectionText, Text};

impl Cursor<'_> {
    /// What stands between brackets, with the brackets.
    pub(super) fn section(&mut self) -> Parse<Section> {
        self.expect(b'[', "an opening bracket")?;
        if self.eat(b']') {
            return Ok(Section::FULL);
        }
        let part = self.part_numbers()?;
        let start = self.at();
        // `1.` is followed by a word, `1` is not.
        let text = match part.is_message() || matches!(self.slice(start - 1..start), b".") {
            true => self.section_text()?,
            false => SectionText::All,
        };
        self.expect(b']', "a closing bracket")?;
        Section::new(part, text).map_or_else(
            || {
                self.rewind(start);
                self.fault("a section that exists")
            },
            Ok,
        )
    }

    /// The part that stands between brackets, with the brackets (BINARY).
    pub(super) fn part(&mut self) -> Parse<PartPath> {
        self.expect(b'[', "an opening bracket")?;
        let part = self.part_numbers()?;
        if self.slice(self.at() - 1..self.at()) == b"." {
            return self.fault("the number of a part");
        }
        self.expect(b']', "a closing bracket")?;
        Ok(part)
    }

    /// Numbers with dots between, and the dot behind them if there is one.
    fn part_numbers(&mut self) -> Parse<PartPath> {
        let mut numbers = Vec::new();
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            numbers.push(self.nonzero()?);
            if numbers.len() > usize::from(self.dialect.depth) {
                return self.fault("less nesting");
            }
            if !self.eat(b'.') {
                break;
            }
        }
        Ok(PartPath::new(numbers))
    }

    fn section_text(&mut self) -> Parse<SectionText> {
        if self.eat_word(b"HEADER.FIELDS.NOT") {
            return self.field_names().map(SectionText::HeaderFieldsNot);
        }
        if self.eat_word(b"HEADER.FIELDS") {
            return self.field_names().map(SectionText::HeaderFields);
        }
        if self.eat_word(b"HEADER") {
            return Ok(SectionText::Header);
        }
        if self.eat_word(b"TEXT") {
            return Ok(SectionText::Text);
        }
        if self.eat_word(b"MIME") {
            return Ok(SectionText::Mime);
        }
        self.fault("HEADER, TEXT, MIME or the number of a part")
    }

    fn field_names(&mut self) -> Parse<Vec<Text>> {
        self.space()?;
        self.list(Cursor::astring)
    }

    /// `<0>`, where a partial begins, if it is there.
    pub(super) fn origin(&mut self) -> Parse<Option<u64>> {
        if !self.eat(b'<') {
            return Ok(None);
        }
        let origin = self.number64()?;
        self.expect(b'>', "the end of the origin")?;
        Ok(Some(origin))
    }

    /// `<0.1024>`, if it is there.
    pub(super) fn partial(&mut self) -> Parse<Option<Partial>> {
        if !self.eat(b'<') {
            return Ok(None);
        }
        let start = self.number64()?;
        self.expect(b'.', "a dot and a number of octets")?;
        if self.peek() == Some(b'0') {
            return self.fault("a number of octets that is not 0");
        }
        let len = self.number64()?;
        self.expect(b'>', "the end of the partial")?;
        Ok(Some(Partial { start, len }))
    }
}

impl Writer<'_> {
    pub(super) fn section(&mut self, section: &Section) {
        self.byte(b'[');
        self.display(section.part());
        if !section.part().is_message() && *section.text() != SectionText::All {
            self.byte(b'.');
        }
        match section.text() {
            SectionText::All => {}
            SectionText::Header => self.raw(b"HEADER"),
            SectionText::HeaderFields(names) => self.field_names(b"HEADER.FIELDS ", names),
            SectionText::HeaderFieldsNot(names) => self.field_names(b"HEADER.FIELDS.NOT ", names),
            SectionText::Text => self.raw(b"TEXT"),
            SectionText::Mime => self.raw(b"MIME"),
        }
        self.byte(b']');
    }

    fn field_names(&mut self, word: &[u8], names: &[Text]) {
        self.raw(word);
        self.list(names, |writer, name| {
            // A bracket would end the section for many.
            match name.iter().all(|byte| chars::is(*byte, chars::ATOM)) {
                true => writer.astring(name),
                false => writer.string(name),
            }
        });
    }

    pub(super) fn part(&mut self, part: &PartPath) {
        self.byte(b'[');
        self.display(part);
        self.byte(b']');
    }

    pub(super) fn partial(&mut self, partial: Option<Partial>) {
        if let Some(Partial { start, len }) = partial {
            self.byte(b'<');
            self.number(start);
            self.byte(b'.');
            self.number(len);
            self.byte(b'>');
        }
    }

    pub(super) fn origin(&mut self, origin: Option<u64>) {
        if let Some(origin) = origin {
            self.byte(b'<');
            self.number(origin);
            self.byte(b'>');
        }
    }
}

//! APPEND and REPLACE.

use super::append_reader::MessageHead;
use super::words::words;
use crate::codec::{Cursor, Fault, Literal, Parse, Writer};
use crate::types::command::{
    Append, AppendData, AppendMessage, CatenatePart, CommandBody, Ids, MessageBytes, MessageLiteral, Replace,
};
use crate::types::{Flags, SystemFlag};

mod names {
    super::words! {
        UTF8 = b"UTF8", CATENATE = b"CATENATE", TEXT = b"TEXT", URL = b"URL",
    }
}

/// What stands before the bytes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Nothing.
    Literal,
    /// `UTF8 (`
    Utf8,
    /// `CATENATE (`
    Catenate,
}

/// What a part of a message begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// `TEXT SP`
    Text,
    /// `UTF8 SP (`
    Utf8,
    /// `URL SP`
    Url,
}

impl Cursor<'_> {
    pub(super) fn append(&mut self) -> Parse<CommandBody> {
        let mailbox = self.mailbox_argument()?;
        let mut messages = Vec::with_capacity(1);
        loop {
            messages.push(self.append_message()?);
            if self.is_end() {
                let messages = self.non_empty(messages, "a message")?;
                return Ok(CommandBody::Append(Box::new(Append { mailbox, messages })));
            }
        }
    }

    pub(super) fn replace(&mut self, ids: Ids) -> Parse<CommandBody> {
        self.expect(b' ', "a space, and the number of a message")?;
        let number = self.nonzero()?;
        let mailbox = self.mailbox_argument()?;
        let message = self.append_message()?;
        Ok(CommandBody::Replace(Box::new(Replace { ids, number, mailbox, message })))
    }

    fn append_message(&mut self) -> Parse<AppendMessage> {
        let (head, form) = self.message_head()?;
        let data = match form {
            Form::Literal => AppendData::Literal(self.message_literal()?),
            Form::Utf8 => AppendData::Utf8(self.literal8_in_parentheses()?),
            Form::Catenate => {
                let mut parts = Vec::new();
                loop {
                    parts.push(self.catenate_part()?);
                    if self.close_or_space()? {
                        break;
                    }
                }
                AppendData::Catenate(self.non_empty(parts, "a part")?)
            }
        };
        let MessageHead { flags, date, extensions, .. } = head;
        Ok(AppendMessage { flags, date, extensions, data })
    }

    /// A space, what is said of a message, and what stands before its bytes or its parts.
    pub(super) fn message_head(&mut self) -> Parse<(MessageHead, Form)> {
        self.expect(b' ', "a space, and a message")?;
        let mut head = MessageHead { flags: Flags::EMPTY, date: None, extensions: Vec::new(), parts: false };
        if self.peek() == Some(b'(') {
            let at = self.at();
            head.flags = self.flags()?;
            if head.flags.contains(SystemFlag::Any) {
                return Err(Fault { at, expected: "flags that a message can have" });
            }
            self.expect(b' ', "a space, and a date or the message")?;
        }
        if self.peek() == Some(b'"') {
            head.date = Some(self.date_time()?);
            self.expect(b' ', "a space, and the message")?;
        }
        loop {
            if matches!(self.peek(), Some(b'{' | b'~')) {
                return Ok((head, Form::Literal));
            }
            let (word, len) = self.peek_word();
            match word {
                names::UTF8 => {
                    self.skip(len);
                    self.open("UTF8, a space, and the message in parentheses")?;
                    return Ok((head, Form::Utf8));
                }
                names::CATENATE => {
                    self.skip(len);
                    self.open("CATENATE, a space, and parts in parentheses")?;
                    head.parts = true;
                    return Ok((head, Form::Catenate));
                }
                _ => {
                    let parameter = self.parameter("flags, a date, or a message in a literal")?;
                    head.extensions.push(parameter);
                    self.expect(b' ', "a space, and the message")?;
                }
            }
        }
    }

    fn open(&mut self, expected: &'static str) -> Parse<()> {
        self.expect(b' ', expected)?;
        self.expect(b'(', expected)
    }

    fn message_literal(&mut self) -> Parse<MessageLiteral> {
        let binary = self.peek() == Some(b'~');
        let bytes = match self.literal_or_streamed()? {
            Literal::Here(text) => MessageBytes::Inline(text),
            Literal::Streamed(len) => MessageBytes::Streamed(len),
        };
        Ok(MessageLiteral { binary, bytes })
    }

    /// A literal8 and the closing parenthesis.
    fn literal8_in_parentheses(&mut self) -> Parse<MessageBytes> {
        if self.peek() != Some(b'~') {
            return self.fault("a literal8 such as ~{5}");
        }
        let literal = self.message_literal()?;
        self.expect(b')', "a closing parenthesis")?;
        Ok(literal.bytes)
    }

    fn catenate_part(&mut self) -> Parse<CatenatePart> {
        Ok(match self.part_name()? {
            Part::Text => CatenatePart::Text(self.message_literal()?),
            Part::Utf8 => CatenatePart::Utf8(self.literal8_in_parentheses()?),
            Part::Url => CatenatePart::Url(self.astring()?),
        })
    }

    /// What a part is, and all up to its bytes.
    pub(super) fn part_name(&mut self) -> Parse<Part> {
        let (word, len) = self.peek_word();
        let part = match word {
            names::TEXT => Part::Text,
            names::UTF8 => Part::Utf8,
            names::URL => Part::Url,
            _ => return self.fault("a part: TEXT with a literal, or URL"),
        };
        self.skip(len);
        match part {
            Part::Text => self.expect(b' ', "a space, and a literal")?,
            Part::Utf8 => self.open("a space, and a literal8 in parentheses")?,
            Part::Url => self.expect(b' ', "a space, and a URL")?,
        }
        Ok(part)
    }
}

impl Writer<'_> {
    pub(super) fn append(&mut self, append: &Append) {
        self.mailbox_argument(&append.mailbox);
        for message in &append.messages {
            self.append_message(message);
        }
    }

    pub(super) fn replace(&mut self, replace: &Replace) {
        self.space();
        self.number(replace.number.get());
        self.mailbox_argument(&replace.mailbox);
        self.append_message(&replace.message);
    }

    fn append_message(&mut self, message: &AppendMessage) {
        if !message.flags.is_empty() {
            self.space();
            self.flags(&message.flags);
        }
        if let Some(date) = message.date {
            self.space();
            self.date_time(date);
        }
        for extension in &message.extensions {
            self.space();
            self.parameter(extension);
        }
        self.space();
        match &message.data {
            AppendData::Literal(literal) => self.message_literal(&literal.bytes, literal.binary),
            AppendData::Utf8(bytes) => self.utf8_literal(bytes),
            AppendData::Catenate(parts) => {
                self.raw(b"CATENATE ");
                self.list(parts, |writer, part| match part {
                    CatenatePart::Text(literal) => {
                        writer.raw(b"TEXT ");
                        writer.message_literal(&literal.bytes, literal.binary);
                    }
                    CatenatePart::Utf8(bytes) => writer.utf8_literal(bytes),
                    CatenatePart::Url(url) => {
                        writer.raw(b"URL ");
                        writer.astring(url);
                    }
                });
            }
        }
    }

    fn utf8_literal(&mut self, bytes: &MessageBytes) {
        self.raw(b"UTF8 (");
        self.message_literal(bytes, true);
        self.byte(b')');
    }

    fn message_literal(&mut self, bytes: &MessageBytes, binary: bool) {
        match bytes {
            MessageBytes::Inline(text) => {
                self.announce(text.len() as u64, binary);
                self.raw(text);
            }
            MessageBytes::Streamed(len) => self.announce_streamed(*len, binary),
        }
    }
}

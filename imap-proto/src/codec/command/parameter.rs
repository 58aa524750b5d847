//! Parameters of extensions, and those that SELECT, CREATE and FETCH are known to have.

use super::words::words;
use crate::codec::{Cursor, Dialect, Fault, Frame, Parse, Writer};
use crate::types::command::{
    CommandBody, CreateParameter, Parameter, QResync, Rename, SelectParameter, SpecialUse,
};
use crate::types::{
    Atom, MailboxName, NonEmpty, NumberSet, PartialRange, Raw, SequenceSet, StatusAttribute, UidValidity,
};

mod names {
    super::words! {
        CONDSTORE = b"CONDSTORE", QRESYNC = b"QRESYNC", USE = b"USE",
    }
}

/// A parameter from its name and value, if they are one.
pub(crate) fn parameter(name: &[u8], value: Option<&[u8]>) -> Option<Parameter> {
    let frame = [name, b" ", value.unwrap_or_default()].concat();
    let frame = Frame::new(&frame[..frame.len() - usize::from(value.is_none())]);
    let mut cursor = Cursor::new(&frame, Dialect::SERVER);
    let parameter = cursor.parameter("a parameter").ok()?;
    let whole = cursor.is_end()
        && parameter.name().as_bytes() == name
        && parameter.value().map(Raw::as_bytes) == value;
    whole.then_some(parameter)
}

impl Cursor<'_> {
    /// A name of a parameter, and the value behind it if there is one.
    pub(super) fn parameter(&mut self, expected: &'static str) -> Parse<Parameter> {
        let start = self.at();
        let is_first = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_' | b'.');
        let rest = self.rest();
        let len = match rest.first() {
            Some(first) if is_first(*first) => {
                let more = |byte: &u8| is_first(*byte) || byte.is_ascii_digit() || *byte == b':';
                rest.iter().position(|byte| !more(byte)).unwrap_or(rest.len())
            }
            _ => return self.fault(expected),
        };
        self.skip(len);
        let name = Atom::trusted(self.text(start..start + len));
        // A value begins with what no name begins with.
        let has_value = matches!(self.rest(), [b' ', b'(' | b'*' | b'0'..=b'9', ..]);
        if !has_value {
            return Ok(Parameter::trusted(name, None));
        }
        self.skip(1);
        let start = self.at();
        self.skip_value()?;
        // So nothing in a parameter has to be asked for, or to be read twice.
        if let Some(line_feed) = memchr::memchr(b'\n', self.slice(start..self.at())) {
            self.rewind(start + line_feed);
            return self.fault("a value without a literal in it");
        }
        Ok(Parameter::trusted(name, Some(Raw::trusted(self.text(start..self.at())))))
    }

    pub(super) fn mailbox_argument(&mut self) -> Parse<MailboxName> {
        self.expect(b' ', "a space, and the name of a mailbox")?;
        self.mailbox()
    }

    pub(super) fn set_argument(&mut self) -> Parse<SequenceSet> {
        self.expect(b' ', "a space, and a set of messages such as 2,4:7")?;
        self.sequence_set()
    }

    pub(super) fn set_and_mailbox(&mut self) -> Parse<(SequenceSet, MailboxName)> {
        Ok((self.set_argument()?, self.mailbox_argument()?))
    }

    pub(super) fn status_attributes(&mut self) -> Parse<NonEmpty<StatusAttribute>> {
        const EXPECTED: &str = "a status attribute, such as MESSAGES";
        self.non_empty_list(EXPECTED, |cursor| {
            let at = cursor.at();
            let name = cursor.atom(EXPECTED)?;
            StatusAttribute::from_name(name).ok_or(Fault { at, expected: EXPECTED })
        })
    }

    pub(super) fn rename(&mut self) -> Parse<CommandBody> {
        let from = self.mailbox_argument()?;
        let to = self.mailbox_argument()?;
        Ok(CommandBody::Rename(Box::new(Rename { from, to })))
    }

    /// The mailbox of SELECT or EXAMINE, and the parameters.
    pub(super) fn select(&mut self) -> Parse<(MailboxName, Vec<SelectParameter>)> {
        let mailbox = self.mailbox_argument()?;
        if !self.eat(b' ') {
            return Ok((mailbox, Vec::new()));
        }
        let parameters = self.non_empty_list("a parameter, such as CONDSTORE", Cursor::select_parameter)?;
        Ok((mailbox, parameters.into_vec()))
    }

    fn select_parameter(&mut self) -> Parse<SelectParameter> {
        let (word, len) = self.peek_word();
        Ok(match word {
            names::CONDSTORE => {
                self.skip(len);
                SelectParameter::CondStore
            }
            names::QRESYNC => {
                self.skip(len);
                SelectParameter::QResync(Box::new(self.qresync()?))
            }
            _ => SelectParameter::Other(self.parameter("a parameter, such as CONDSTORE")?),
        })
    }

    fn qresync(&mut self) -> Parse<QResync> {
        self.expect(b' ', "a space, and (UIDVALIDITY mod-sequence)")?;
        self.expect(b'(', "an opening parenthesis, and the UIDVALIDITY")?;
        let uid_validity = UidValidity::from(self.nonzero()?);
        self.expect(b' ', "a space, and a modification sequence")?;
        let mod_seq = self.mod_seq()?;
        let mut qresync = QResync { uid_validity, mod_seq, known_uids: None, sequence_match: None };
        if matches!(self.rest(), [b' ', b'0'..=b'9', ..]) {
            self.skip(1);
            qresync.known_uids = Some(self.number_set()?);
        }
        if self.eat(b' ') {
            qresync.sequence_match = Some(self.sequence_match()?);
        }
        self.expect(b')', "a closing parenthesis")?;
        Ok(qresync)
    }

    fn sequence_match(&mut self) -> Parse<(NumberSet, NumberSet)> {
        self.expect(b'(', "sequence numbers and their UIDs in parentheses")?;
        let numbers = self.number_set()?;
        self.expect(b' ', "a space, and the UIDs of these messages")?;
        let uids = self.number_set()?;
        self.expect(b')', "a closing parenthesis")?;
        Ok((numbers, uids))
    }

    pub(super) fn create(&mut self) -> Parse<CommandBody> {
        let mailbox = self.mailbox_argument()?;
        if !self.eat(b' ') {
            return Ok(CommandBody::Create { mailbox, parameters: Vec::new() });
        }
        let parameters = self.non_empty_list("a parameter, such as USE (\\Sent)", |cursor| {
            let (word, len) = cursor.peek_word();
            if word != names::USE {
                return cursor.parameter("a parameter, such as USE (\\Sent)").map(CreateParameter::Other);
            }
            cursor.skip(len);
            cursor.expect(b' ', "a space, and special uses in parentheses")?;
            cursor.list(Cursor::special_use).map(CreateParameter::Use)
        })?;
        Ok(CommandBody::Create { mailbox, parameters: parameters.into_vec() })
    }

    fn special_use(&mut self) -> Parse<SpecialUse> {
        const EXPECTED: &str = "a special use, such as \\Sent";
        let start = self.at();
        self.expect(b'\\', EXPECTED)?;
        self.atom(EXPECTED)?;
        Ok(SpecialUse::trusted(self.text(start..self.at())))
    }

    /// `PARTIAL SP`, of which the word was read: `1:100` or `-1:-100`.
    pub(super) fn partial_argument(&mut self) -> Parse<PartialRange> {
        self.expect(b' ', "a space, and a range such as 1:100 or -1:-100")?;
        self.partial_range()
    }

    /// Whether `RETURN` stands here, with options behind it; it is consumed then, and the space.
    pub(super) fn eat_return(&mut self) -> Parse<bool> {
        let (word, len) = self.peek_word();
        if word != RETURN {
            return Ok(false);
        }
        self.skip(len);
        self.expect(b' ', "a space, and options in parentheses")?;
        Ok(true)
    }
}

const RETURN: u128 = super::words::word(b"RETURN");

impl Writer<'_> {
    pub(super) fn mailbox_argument(&mut self, mailbox: &MailboxName) {
        self.space();
        self.mailbox(mailbox);
    }

    pub(super) fn parameter(&mut self, parameter: &Parameter) {
        self.raw(parameter.name().as_bytes());
        if let Some(value) = parameter.value() {
            self.space();
            self.raw(value.as_bytes());
        }
    }

    /// A space and items in parentheses, if there are any.
    pub(super) fn optional_list<T>(&mut self, items: &[T], item: impl FnMut(&mut Self, &T)) {
        if !items.is_empty() {
            self.space();
            self.list(items, item);
        }
    }

    pub(super) fn select_parameters(&mut self, parameters: &[SelectParameter]) {
        self.optional_list(parameters, |writer, parameter| match parameter {
            SelectParameter::CondStore => writer.raw(b"CONDSTORE"),
            SelectParameter::QResync(qresync) => writer.qresync(qresync),
            SelectParameter::Other(parameter) => writer.parameter(parameter),
        });
    }

    fn qresync(&mut self, qresync: &QResync) {
        self.raw(b"QRESYNC (");
        self.number(qresync.uid_validity.get());
        self.space();
        self.number(qresync.mod_seq.get());
        if let Some(uids) = &qresync.known_uids {
            self.space();
            self.number_set(uids);
        }
        if let Some((numbers, uids)) = &qresync.sequence_match {
            self.raw(b" (");
            self.number_set(numbers);
            self.space();
            self.number_set(uids);
            self.byte(b')');
        }
        self.byte(b')');
    }

    pub(super) fn create_parameters(&mut self, parameters: &[CreateParameter]) {
        self.optional_list(parameters, |writer, parameter| match parameter {
            CreateParameter::Use(uses) => {
                writer.raw(b"USE ");
                writer.list(uses, |writer, special_use| writer.raw(special_use.as_bytes()));
            }
            CreateParameter::Other(parameter) => writer.parameter(parameter),
        });
    }
}

//! LIST and LSUB.

use super::words::words;
use crate::codec::{Cursor, Fault, Parse, Writer};
use crate::types::command::{CommandBody, List, ListReturn, ListSelection, Lsub, Patterns};

mod names {
    super::words! {
        SUBSCRIBED = b"SUBSCRIBED", REMOTE = b"REMOTE", RECURSIVEMATCH = b"RECURSIVEMATCH",
        SPECIAL_USE = b"SPECIAL-USE", CHILDREN = b"CHILDREN", STATUS = b"STATUS", MYRIGHTS = b"MYRIGHTS",
        METADATA = b"METADATA",
    }
}

impl Cursor<'_> {
    pub(super) fn list_command(&mut self) -> Parse<List> {
        let selection = match self.rest() {
            [b' ', b'(', ..] => {
                self.skip(1);
                Some(self.list_selection()?)
            }
            _ => None,
        };
        let reference = self.mailbox_argument()?;
        self.expect(b' ', "a space, and a pattern such as *")?;
        let patterns = match self.peek() {
            Some(b'(') => Patterns::Many(self.non_empty_list("a pattern such as *", Cursor::list_pattern)?),
            _ => Patterns::One(self.list_pattern()?),
        };
        let returns = match self.eat(b' ') {
            true if self.eat_return()? => Some(self.list(Cursor::list_return)?),
            true => return self.fault("RETURN, and options in parentheses"),
            false => None,
        };
        Ok(List { selection, reference, patterns, returns })
    }

    fn list_selection(&mut self) -> Parse<Vec<ListSelection>> {
        let at = self.at();
        let options = self.list(|cursor| {
            let (word, len) = cursor.peek_word();
            let option = match word {
                names::SUBSCRIBED => ListSelection::Subscribed,
                names::REMOTE => ListSelection::Remote,
                names::RECURSIVEMATCH => ListSelection::RecursiveMatch,
                names::SPECIAL_USE => ListSelection::SpecialUse,
                _ => {
                    return cursor
                        .parameter("a selection option, such as SUBSCRIBED")
                        .map(ListSelection::Other);
                }
            };
            cursor.skip(len);
            Ok(option)
        })?;
        let modified =
            |option: &ListSelection| !matches!(option, ListSelection::Remote | ListSelection::RecursiveMatch);
        if options.contains(&ListSelection::RecursiveMatch) && !options.iter().any(modified) {
            return Err(Fault { at, expected: "RECURSIVEMATCH with an option such as SUBSCRIBED" });
        }
        Ok(options)
    }

    fn list_return(&mut self) -> Parse<ListReturn> {
        let (word, len) = self.peek_word();
        self.skip(len);
        Ok(match word {
            names::SUBSCRIBED => ListReturn::Subscribed,
            names::CHILDREN => ListReturn::Children,
            names::SPECIAL_USE => ListReturn::SpecialUse,
            names::MYRIGHTS => ListReturn::MyRights,
            names::STATUS => {
                self.expect(b' ', "a space, and status attributes in parentheses")?;
                ListReturn::Status(self.status_attributes()?)
            }
            names::METADATA => {
                self.expect(b' ', "a space, and names of entries in parentheses")?;
                ListReturn::Metadata(self.entry_names()?)
            }
            _ => {
                self.rewind(self.at() - len);
                ListReturn::Other(self.parameter("a return option, such as CHILDREN")?)
            }
        })
    }

    pub(super) fn lsub(&mut self) -> Parse<CommandBody> {
        let reference = self.mailbox_argument()?;
        self.expect(b' ', "a space, and a pattern such as *")?;
        let pattern = self.list_pattern()?;
        Ok(CommandBody::Lsub(Box::new(Lsub { reference, pattern })))
    }
}

impl Writer<'_> {
    pub(super) fn list_command(&mut self, list: &List) {
        if let Some(selection) = &list.selection {
            self.space();
            self.list(selection, |writer, option| match option {
                ListSelection::Subscribed => writer.raw(b"SUBSCRIBED"),
                ListSelection::Remote => writer.raw(b"REMOTE"),
                ListSelection::RecursiveMatch => writer.raw(b"RECURSIVEMATCH"),
                ListSelection::SpecialUse => writer.raw(b"SPECIAL-USE"),
                ListSelection::Other(parameter) => writer.parameter(parameter),
            });
        }
        self.mailbox_argument(&list.reference);
        self.space();
        match &list.patterns {
            Patterns::One(pattern) => self.list_pattern(pattern),
            Patterns::Many(patterns) => self.list(patterns, Writer::list_pattern),
        }
        if let Some(returns) = &list.returns {
            self.raw(b" RETURN ");
            self.list(returns, Writer::list_return);
        }
    }

    fn list_return(&mut self, option: &ListReturn) {
        match option {
            ListReturn::Subscribed => self.raw(b"SUBSCRIBED"),
            ListReturn::Children => self.raw(b"CHILDREN"),
            ListReturn::SpecialUse => self.raw(b"SPECIAL-USE"),
            ListReturn::MyRights => self.raw(b"MYRIGHTS"),
            ListReturn::Status(attributes) => {
                self.raw(b"STATUS ");
                self.list(attributes, |writer, attribute| writer.raw(attribute.as_bytes()));
            }
            ListReturn::Metadata(entries) => {
                self.raw(b"METADATA ");
                self.list(entries, |writer, entry| writer.astring(entry.as_bytes()));
            }
            ListReturn::Other(parameter) => self.parameter(parameter),
        }
    }
}

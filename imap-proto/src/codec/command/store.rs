//! STORE.

use super::words::words;
use crate::codec::{Cursor, Fault, Parse, Writer};
use crate::types::command::{Change, Ids, Store, StoreData, StoreModifier};
use crate::types::{Flag, Flags, SystemFlag, Text};

mod names {
    super::words! {
        UNCHANGEDSINCE = b"UNCHANGEDSINCE", FLAGS = b"FLAGS", FLAGS_SILENT = b"FLAGS.SILENT",
        GM_LABELS = b"X-GM-LABELS",
    }
}

impl Cursor<'_> {
    pub(super) fn store(&mut self, ids: Ids) -> Parse<Store> {
        const EXPECTED: &str = "what to change, such as +FLAGS or FLAGS.SILENT";
        let set = self.set_argument()?;
        self.argument()?;
        let modifiers = match self.peek() {
            Some(b'(') => {
                let modifiers =
                    self.non_empty_list("a modifier, such as UNCHANGEDSINCE 1", Cursor::store_modifier)?;
                self.argument()?;
                modifiers.into_vec()
            }
            _ => Vec::new(),
        };
        let change = self.change();
        let (word, len) = self.peek_word();
        let (labels, silent) = match word {
            names::FLAGS => (false, false),
            names::FLAGS_SILENT => (false, true),
            names::GM_LABELS => (true, false),
            _ if self.rest()[..len].eq_ignore_ascii_case(b"X-GM-LABELS.SILENT") => (true, true),
            _ => return self.fault(EXPECTED),
        };
        self.skip(len);
        self.argument()?;
        let what = match labels {
            true => StoreData::GmailLabels(self.list_or_bare(Cursor::label)?),
            false => StoreData::Flags(Flags::from_iter(self.list_or_bare(Cursor::message_flag)?)),
        };
        Ok(Store { ids, set, modifiers, change, silent, what })
    }

    /// `+` or `-`, if one of them is there.
    pub(super) fn change(&mut self) -> Change {
        match self.peek() {
            Some(b'+') => {
                self.skip(1);
                Change::Add
            }
            Some(b'-') => {
                self.skip(1);
                Change::Remove
            }
            _ => Change::Replace,
        }
    }

    fn store_modifier(&mut self) -> Parse<StoreModifier> {
        let (word, len) = self.peek_word();
        if word != names::UNCHANGEDSINCE {
            return self.parameter("a modifier, such as UNCHANGEDSINCE 1").map(StoreModifier::Other);
        }
        self.skip(len);
        self.expect(b' ', "a space, and a modification sequence")?;
        self.mod_seq().map(StoreModifier::UnchangedSince)
    }

    /// Items in parentheses, or without, where there must be one at least.
    fn list_or_bare<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parse<T>) -> Parse<Vec<T>> {
        if self.peek() == Some(b'(') {
            return self.list(item);
        }
        let mut items = vec![item(self)?];
        while self.eat(b' ') {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// A flag that a message can have.
    pub(super) fn message_flag(&mut self) -> Parse<Flag> {
        let at = self.at();
        match self.flag()? {
            Flag::System(SystemFlag::Any) => Err(Fault { at, expected: "a flag that a message can have" }),
            flag => Ok(flag),
        }
    }
}

impl Writer<'_> {
    pub(super) fn store(&mut self, store: &Store) {
        self.space();
        self.sequence_set(&store.set);
        self.optional_list(&store.modifiers, |writer, modifier| match modifier {
            StoreModifier::UnchangedSince(mod_seq) => {
                writer.raw(b"UNCHANGEDSINCE ");
                writer.number(mod_seq.get());
            }
            StoreModifier::Other(parameter) => writer.parameter(parameter),
        });
        self.space();
        self.change(store.change);
        let silent: &[u8] = if store.silent { b".SILENT " } else { b" " };
        match &store.what {
            StoreData::Flags(flags) => {
                self.raw(b"FLAGS");
                self.raw(silent);
                self.flags(flags);
            }
            StoreData::GmailLabels(labels) => {
                self.raw(b"X-GM-LABELS");
                self.raw(silent);
                self.list(labels, |writer, label: &Text| writer.label(label));
            }
        }
    }

    pub(super) fn change(&mut self, change: Change) {
        match change {
            Change::Replace => {}
            Change::Add => self.byte(b'+'),
            Change::Remove => self.byte(b'-'),
        }
    }
}

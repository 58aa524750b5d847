//! Access control lists, quotas, metadata and URLs.

use super::words::words;
use crate::codec::{Cursor, Fault, Parse, Writer};
use crate::types::command::{Change, CommandBody, Depth, GetMetadata, MetadataOption, ResetKey, SetAcl};
use crate::types::{EntryName, NonEmpty, QuotaResource, Rights};

mod names {
    super::words! {
        MAXSIZE = b"MAXSIZE", DEPTH = b"DEPTH", ZERO = b"0", ONE = b"1", INFINITY = b"INFINITY",
    }
}

impl Cursor<'_> {
    pub(super) fn set_acl(&mut self) -> Parse<CommandBody> {
        const EXPECTED: &str = "rights, such as lrs or +w";
        let mailbox = self.mailbox_argument()?;
        self.argument()?;
        let identifier = self.astring()?;
        self.argument()?;
        let at = self.at();
        // The sign may stand between the quotes.
        let text = self.astring()?;
        let (change, letters) = match &*text {
            [b'+', letters @ ..] => (Change::Add, letters),
            [b'-', letters @ ..] => (Change::Remove, letters),
            letters => (Change::Replace, letters),
        };
        let rights = Rights::new(letters).ok_or(Fault { at, expected: EXPECTED })?;
        Ok(CommandBody::SetAcl(Box::new(SetAcl { mailbox, identifier, change, rights })))
    }

    pub(super) fn set_quota(&mut self) -> Parse<CommandBody> {
        const EXPECTED: &str = "a resource and its limit, such as STORAGE 512";
        self.argument()?;
        let root = self.astring()?;
        self.argument()?;
        let limits = self.list(|cursor| {
            let at = cursor.at();
            let resource = cursor.atom(EXPECTED)?;
            let resource = QuotaResource::from_name(resource).ok_or(Fault { at, expected: EXPECTED })?;
            cursor.space()?;
            Ok((resource, cursor.number64()?))
        })?;
        Ok(CommandBody::SetQuota { root, limits })
    }

    /// The options may stand before the mailbox, as the grammar has it, or behind it, as the examples have it (RFC 5464 §4.2, §5).
    pub(super) fn get_metadata(&mut self) -> Parse<GetMetadata> {
        const EXPECTED: &str = "an option, such as DEPTH 1";
        let mut options = Vec::new();
        if matches!(self.rest(), [b' ', b'(', ..]) {
            self.skip(1);
            options = self.non_empty_list(EXPECTED, Cursor::metadata_option)?.into_vec();
        }
        let mailbox = self.mailbox_argument()?;
        if options.is_empty() && matches!(self.rest(), [b' ', b'(', b'A'..=b'Z' | b'a'..=b'z', ..]) {
            self.skip(1);
            options = self.non_empty_list(EXPECTED, Cursor::metadata_option)?.into_vec();
        }
        self.argument()?;
        let entries = match self.peek() {
            Some(b'(') => self.entry_names()?,
            _ => NonEmpty::one(self.entry_name()?),
        };
        Ok(GetMetadata { options, mailbox, entries })
    }

    fn metadata_option(&mut self) -> Parse<MetadataOption> {
        let (word, len) = self.peek_word();
        Ok(match word {
            names::MAXSIZE => {
                self.skip(len);
                self.expect(b' ', "a space, and a number of octets")?;
                MetadataOption::MaxSize(self.number()?)
            }
            names::DEPTH => {
                self.skip(len);
                self.expect(b' ', "a space, and 0, 1 or infinity")?;
                let (word, len) = self.peek_word();
                let depth = match word {
                    names::ZERO => Depth::Zero,
                    names::ONE => Depth::One,
                    names::INFINITY => Depth::Infinity,
                    _ => return self.fault("0, 1 or infinity"),
                };
                self.skip(len);
                MetadataOption::Depth(depth)
            }
            _ => MetadataOption::Other(self.parameter("an option, such as DEPTH 1")?),
        })
    }

    pub(super) fn entry_names(&mut self) -> Parse<NonEmpty<EntryName>> {
        self.non_empty_list("the name of an entry, such as /private/comment", Cursor::entry_name)
    }

    pub(super) fn set_metadata(&mut self) -> Parse<CommandBody> {
        let mailbox = self.mailbox_argument()?;
        self.argument()?;
        let entries = self.non_empty_list("the name of an entry and its value", |cursor| {
            let name = cursor.entry_name()?;
            cursor.space()?;
            Ok((name, cursor.nstring()?))
        })?;
        Ok(CommandBody::SetMetadata { mailbox, entries })
    }

    pub(super) fn gen_url_auth(&mut self) -> Parse<CommandBody> {
        let urls = self.arguments(|cursor| {
            let url = cursor.astring()?;
            cursor.argument()?;
            Ok((url, cursor.atom_value("a mechanism, such as INTERNAL")?))
        })?;
        Ok(CommandBody::GenUrlAuth(self.non_empty(urls, "a space, and a URL with a mechanism")?))
    }

    pub(super) fn reset_key(&mut self) -> Parse<CommandBody> {
        if self.is_end() {
            return Ok(CommandBody::ResetKey(None));
        }
        let mailbox = self.mailbox_argument()?;
        let mechanisms = self.arguments(|cursor| cursor.atom_value("a mechanism, such as INTERNAL"))?;
        Ok(CommandBody::ResetKey(Some(Box::new(ResetKey { mailbox, mechanisms }))))
    }
}

impl Writer<'_> {
    pub(super) fn set_acl(&mut self, set_acl: &SetAcl) {
        self.mailbox_argument(&set_acl.mailbox);
        self.space();
        self.astring(&set_acl.identifier);
        self.space();
        let rights = set_acl.rights.as_bytes();
        if set_acl.change == Change::Replace {
            return self.astring(rights);
        }
        self.change(set_acl.change);
        self.raw(rights);
    }

    pub(super) fn get_metadata(&mut self, get: &GetMetadata) {
        self.optional_list(&get.options, |writer, option| match option {
            MetadataOption::MaxSize(size) => {
                writer.raw(b"MAXSIZE ");
                writer.number(*size);
            }
            MetadataOption::Depth(Depth::Zero) => writer.raw(b"DEPTH 0"),
            MetadataOption::Depth(Depth::One) => writer.raw(b"DEPTH 1"),
            MetadataOption::Depth(Depth::Infinity) => writer.raw(b"DEPTH infinity"),
            MetadataOption::Other(parameter) => writer.parameter(parameter),
        });
        self.mailbox_argument(&get.mailbox);
        self.space();
        match &*get.entries {
            [entry] => self.astring(entry.as_bytes()),
            entries => self.list(entries, |writer, entry| writer.astring(entry.as_bytes())),
        }
    }
}

//! Response codes, from bytes and to bytes.

use super::{Cursor, Parse, Writer};
use crate::types::{Capabilities, Capability, Code, CopyUid, InProgress, MetadataCode, Tag, Text};
use core::num::NonZeroU32;

impl Cursor<'_> {
    /// A code with its brackets. `None` for one that is not known.
    pub(super) fn code(&mut self) -> Parse<Option<Code>> {
        self.expect(b'[', "an opening bracket")?;
        let name = self.atom("a response code")?;
        let code = match Code::from_fixed_name(name) {
            Some(code) => code,
            None => match self.code_with_value(name)? {
                Some(code) => code,
                None => return Ok(None),
            },
        };
        self.spaces();
        self.expect(b']', "the end of the response code")?;
        Ok(Some(code))
    }

    fn code_with_value(&mut self, name: &[u8]) -> Parse<Option<Code>> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        let code = match name.len() {
            6 if is(b"UNSEEN") => Code::Unseen(self.behind_space(Cursor::seq_num)?),
            6 if is(b"BADURL") => Code::BadUrl(self.behind_space(Cursor::url)?),
            7 if is(b"UIDNEXT") => Code::UidNext(self.behind_space(Cursor::uid)?),
            7 if is(b"COPYUID") => Code::CopyUid(Box::new(self.copy_uid()?)),
            8 if is(b"MODIFIED") => Code::Modified(self.behind_space(Cursor::number_set)?),
            8 if is(b"REFERRAL") => Code::Referral(self.urls()?),
            8 if is(b"NOUPDATE") => Code::NoUpdate(self.behind_space(Cursor::string)?),
            8 if is(b"BADEVENT") => Code::BadEvent(self.behind_space(|cursor| cursor.list(Cursor::astring))?),
            8 if is(b"METADATA") => Code::Metadata(self.behind_space(Cursor::metadata_code)?),
            9 if is(b"APPENDUID") => {
                let validity = self.behind_space(Cursor::nonzero)?.into();
                Code::AppendUid { validity, uids: self.behind_space(Cursor::number_set)? }
            }
            9 if is(b"MAILBOXID") => {
                Code::MailboxId(self.behind_space(|cursor| cursor.in_parentheses(Cursor::object_id))?)
            }
            10 if is(b"CAPABILITY") => Code::Capability(Box::new(self.capabilities()?)),
            10 if is(b"BADCHARSET") => {
                Code::BadCharset(if self.eat_space() { self.list(Cursor::astring)? } else { Vec::new() })
            }
            10 if is(b"INPROGRESS") => Code::InProgress(self.in_progress()?),
            11 if is(b"UIDVALIDITY") => Code::UidValidity(self.behind_space(Cursor::nonzero)?.into()),
            12 if is(b"MESSAGELIMIT") => {
                let limit = self.behind_space(Cursor::nonzero)?;
                let lowest = if self.eat_space() { Some(self.uid()?) } else { None };
                Code::MessageLimit { limit, lowest }
            }
            13 if is(b"HIGHESTMODSEQ") => Code::HighestModSeq(self.behind_space(Cursor::mod_seq)?),
            14 if is(b"PERMANENTFLAGS") => Code::PermanentFlags(Box::new(self.behind_space(Cursor::flags)?)),
            16 if is(b"UNDEFINED-FILTER") => {
                self.space()?;
                let name = self.atom("the name of a filter")?;
                Code::UndefinedFilter(Text::copy(name))
            }
            _ => return Ok(None),
        };
        Ok(Some(code))
    }

    pub(super) fn behind_space<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        self.space()?;
        inner(self)
    }

    fn copy_uid(&mut self) -> Parse<CopyUid> {
        let validity = self.behind_space(Cursor::nonzero)?.into();
        let from = self.behind_space(Cursor::number_set)?;
        let to = self.behind_space(Cursor::number_set)?;
        Ok(CopyUid { validity, from, to })
    }

    /// A URL between quotes, or up to a space or the end of the code.
    fn url(&mut self) -> Parse<Text> {
        let start = self.at();
        match self.peek() {
            Some(b'"') => return self.quoted(),
            Some(b'{') => match self.string() {
                Ok(url) => return Ok(url),
                Err(_) => self.rewind(start),
            },
            _ => {}
        }
        let len = self.rest().iter().take_while(|byte| is_bare_url(**byte)).count();
        if len == 0 {
            return self.fault("a URL");
        }
        self.skip(len);
        Ok(self.text(start..start + len))
    }

    fn urls(&mut self) -> Parse<Vec<Text>> {
        let mut urls = vec![self.behind_space(Cursor::url)?];
        while self.eat_space() {
            urls.push(self.url()?);
        }
        Ok(urls)
    }

    fn metadata_code(&mut self) -> Parse<MetadataCode> {
        let name = self.atom("LONGENTRIES, MAXSIZE, TOOMANY or NOPRIVATE")?;
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match name.len() {
            11 if is(b"LONGENTRIES") => Ok(MetadataCode::LongEntries(self.behind_space(Cursor::number64)?)),
            7 if is(b"MAXSIZE") => Ok(MetadataCode::MaxSize(self.behind_space(Cursor::number64)?)),
            7 if is(b"TOOMANY") => Ok(MetadataCode::TooMany),
            9 if is(b"NOPRIVATE") => Ok(MetadataCode::NoPrivate),
            _ => self.fault("LONGENTRIES, MAXSIZE, TOOMANY or NOPRIVATE"),
        }
    }

    fn in_progress(&mut self) -> Parse<Option<Box<InProgress>>> {
        if !self.eat_space() {
            return Ok(None);
        }
        self.in_parentheses(|cursor| {
            let start = cursor.at();
            let tag = match cursor.nstring()? {
                None => None,
                Some(tag) => match Tag::new(&*tag) {
                    Some(tag) => Some(tag),
                    None => {
                        cursor.rewind(start);
                        return cursor.fault("a tag");
                    }
                },
            };
            cursor.space()?;
            let done = if cursor.eat_nil() { None } else { Some(cursor.number()?) };
            cursor.space()?;
            let of: Option<NonZeroU32> = if cursor.eat_nil() { None } else { Some(cursor.nonzero()?) };
            Ok(Some(Box::new(InProgress { tag, done, of })))
        })
    }

    /// Capabilities, each with the space before it.
    pub(super) fn capabilities(&mut self) -> Parse<Capabilities> {
        let mut capabilities = Capabilities::default();
        while self.eat(b' ') {
            self.spaces();
            let start = self.at();
            let rest = self.rest();
            let len = rest.iter().take_while(|byte| is_capability(**byte)).count();
            if len == 0 {
                break;
            }
            self.skip(len);
            capabilities.insert(match Capability::known(&rest[..len]) {
                Some(capability) => capability,
                None => Capability::Other(self.text(start..start + len)),
            });
        }
        Ok(capabilities)
    }
}

/// What is borne in the name of a capability: all but what ends it.
fn is_capability(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f && byte != b']'
}

fn is_bare_url(byte: u8) -> bool {
    byte > b' ' && !matches!(byte, 0x7f | b']' | b'"' | b'\\')
}

impl Writer<'_> {
    /// A code without its brackets.
    pub(super) fn code(&mut self, code: &Code) {
        if let Some(name) = code.fixed_name() {
            return self.raw(name.as_bytes());
        }
        match code {
            Code::BadCharset(charsets) => {
                self.raw(b"BADCHARSET");
                if !charsets.is_empty() {
                    self.space();
                    self.list(charsets, |writer, charset| writer.string_or_atom(charset));
                }
            }
            Code::Capability(capabilities) => {
                self.raw(b"CAPABILITY");
                self.capabilities(capabilities);
            }
            Code::PermanentFlags(flags) => {
                self.raw(b"PERMANENTFLAGS ");
                self.flags(flags);
            }
            Code::UidNext(uid) => self.numbered(b"UIDNEXT ", uid.get()),
            Code::UidValidity(validity) => self.numbered(b"UIDVALIDITY ", validity.get()),
            Code::Unseen(number) => self.numbered(b"UNSEEN ", number.get()),
            Code::AppendUid { validity, uids } => {
                self.numbered(b"APPENDUID ", validity.get());
                self.space();
                self.number_set(uids);
            }
            Code::CopyUid(copied) => {
                self.numbered(b"COPYUID ", copied.validity.get());
                self.space();
                self.number_set(&copied.from);
                self.space();
                self.number_set(&copied.to);
            }
            Code::HighestModSeq(mod_seq) => self.numbered(b"HIGHESTMODSEQ ", mod_seq.get()),
            Code::Modified(set) => {
                self.raw(b"MODIFIED ");
                self.number_set(set);
            }
            Code::Referral(urls) => {
                self.raw(b"REFERRAL");
                for url in urls {
                    self.space();
                    self.url(url);
                }
            }
            Code::BadUrl(url) => {
                self.raw(b"BADURL ");
                self.url(url);
            }
            Code::NoUpdate(tag) => {
                self.raw(b"NOUPDATE ");
                self.string(tag);
            }
            Code::BadEvent(events) => {
                self.raw(b"BADEVENT ");
                self.list(events, |writer, event| writer.string_or_atom(event));
            }
            Code::UndefinedFilter(name) => {
                self.raw(b"UNDEFINED-FILTER ");
                self.word(name);
            }
            Code::Metadata(metadata) => match metadata {
                MetadataCode::LongEntries(octets) => self.numbered(b"METADATA LONGENTRIES ", *octets),
                MetadataCode::MaxSize(octets) => self.numbered(b"METADATA MAXSIZE ", *octets),
                MetadataCode::TooMany => self.raw(b"METADATA TOOMANY"),
                MetadataCode::NoPrivate => self.raw(b"METADATA NOPRIVATE"),
            },
            Code::MailboxId(id) => {
                self.raw(b"MAILBOXID (");
                self.word(id);
                self.byte(b')');
            }
            Code::InProgress(None) => self.raw(b"INPROGRESS"),
            Code::InProgress(Some(progress)) => {
                self.raw(b"INPROGRESS (");
                self.nstring(progress.tag.as_ref().map(Tag::as_bytes));
                self.space();
                self.number_or_nil(progress.done);
                self.space();
                self.number_or_nil(progress.of.map(NonZeroU32::get));
                self.byte(b')');
            }
            Code::MessageLimit { limit, lowest } => {
                self.numbered(b"MESSAGELIMIT ", limit.get());
                if let Some(uid) = lowest {
                    self.space();
                    self.number(uid.get());
                }
            }
            Code::Other(raw) => self.raw(raw.as_bytes()),
            // All others have a fixed name.
            _ => {}
        }
    }

    /// A name and a number.
    pub(super) fn numbered(&mut self, name: &[u8], number: impl Into<u64>) {
        self.raw(name);
        self.number(number);
    }

    fn number_or_nil(&mut self, number: Option<u32>) {
        match number {
            Some(number) => self.number(number),
            None => self.raw(b"NIL"),
        }
    }

    /// An atom if it can be one, else a string: no bracket ends the code too early.
    fn string_or_atom(&mut self, bytes: &[u8]) {
        match super::is_atom(bytes) {
            true => self.astring(bytes),
            false => self.string(bytes),
        }
    }

    fn url(&mut self, url: &[u8]) {
        match !url.is_empty() && url.iter().all(|byte| is_bare_url(*byte)) {
            true => self.raw(url),
            false => self.string(url),
        }
    }

    /// A word that was checked when it was made; if it was not, what would end it is left out.
    pub(super) fn word(&mut self, word: &[u8]) {
        match word.iter().all(|byte| *byte > b' ' && *byte != 0x7f) {
            true => self.raw(word),
            false => {
                word.iter().filter(|byte| **byte > b' ' && **byte != 0x7f).for_each(|byte| self.byte(*byte))
            }
        }
    }

    /// Capabilities, each with a space before it.
    pub(super) fn capabilities(&mut self, capabilities: &Capabilities) {
        for capability in capabilities.iter() {
            self.space();
            match capability {
                // Names from elsewhere may be long, and need not be ASCII.
                Capability::Other(name) => self.word(name),
                Capability::Auth(mechanism) => self.prefixed(b"AUTH=", mechanism),
                Capability::Thread(algorithm) => self.prefixed(b"THREAD=", algorithm.as_bytes()),
                Capability::QuotaResource(resource) => self.prefixed(b"QUOTA=RES-", resource.as_bytes()),
                Capability::Rights(rights) => self.prefixed(b"RIGHTS=", rights),
                capability => self.display(capability),
            }
        }
    }

    fn prefixed(&mut self, prefix: &[u8], value: &[u8]) {
        self.raw(prefix);
        self.word(value);
    }
}

//! FETCH, and what it asks for.

use super::words::{word_of, words};
use crate::codec::{Cursor, Parse, Writer};
use crate::types::command::{CommandBody, FetchItems, FetchModifier, Ids};
use crate::types::{FetchAttribute, NonEmpty, Rfc822, SequenceSet};

mod names {
    super::words! {
        ALL = b"ALL", FAST = b"FAST", FULL = b"FULL", FLAGS = b"FLAGS", UID = b"UID", MODSEQ = b"MODSEQ",
        RFC822 = b"RFC822", RFC822_SIZE = b"RFC822.SIZE", RFC822_HEADER = b"RFC822.HEADER",
        RFC822_TEXT = b"RFC822.TEXT", INTERNALDATE = b"INTERNALDATE", ENVELOPE = b"ENVELOPE",
        BODYSTRUCTURE = b"BODYSTRUCTURE", BODY = b"BODY", BODY_PEEK = b"BODY.PEEK", BINARY = b"BINARY",
        BINARY_PEEK = b"BINARY.PEEK", BINARY_SIZE = b"BINARY.SIZE", PREVIEW = b"PREVIEW",
        EMAILID = b"EMAILID", THREADID = b"THREADID", SAVEDATE = b"SAVEDATE", GM_MSGID = b"X-GM-MSGID",
        GM_THRID = b"X-GM-THRID", GM_LABELS = b"X-GM-LABELS", CHANGEDSINCE = b"CHANGEDSINCE",
        VANISHED = b"VANISHED", PARTIAL = b"PARTIAL",
    }
}

const EXPECTED: &str = "what to fetch, such as FLAGS or BODY[]";

impl Cursor<'_> {
    pub(super) fn fetch_command(&mut self, ids: Ids) -> Parse<CommandBody> {
        let set = self.set_argument()?;
        self.argument()?;
        let items = match self.peek() {
            Some(b'(') => FetchItems::Attributes(self.fetch_attributes()?),
            _ => self.fetch_macro()?,
        };
        let modifiers = match self.eat(b' ') {
            true => {
                self.non_empty_list("a modifier, such as CHANGEDSINCE 1", Cursor::fetch_modifier)?.into_vec()
            }
            false => Vec::new(),
        };
        Ok(CommandBody::Fetch { ids, set, items, modifiers })
    }

    fn fetch_macro(&mut self) -> Parse<FetchItems> {
        let (word, len) = self.peek_word();
        let items = match word {
            names::ALL => FetchItems::All,
            names::FAST => FetchItems::Fast,
            names::FULL => FetchItems::Full,
            _ => return Ok(FetchItems::Attributes(NonEmpty::one(self.fetch_attribute()?))),
        };
        self.skip(len);
        Ok(items)
    }

    /// Attributes in parentheses, one at least.
    pub(super) fn fetch_attributes(&mut self) -> Parse<NonEmpty<FetchAttribute>> {
        self.expect(b'(', "an opening parenthesis")?;
        let mut attributes = Vec::with_capacity(4);
        loop {
            attributes.push(self.fetch_attribute()?);
            if self.close_or_space()? {
                return self.non_empty(attributes, EXPECTED);
            }
        }
    }

    fn fetch_attribute(&mut self) -> Parse<FetchAttribute> {
        let rest = self.rest();
        // No name is longer; a bracket is a byte of an atom.
        let longest = &rest[..rest.len().min(17)];
        let ends = |byte: &u8| matches!(byte, b' ' | b')' | b'[' | b'(');
        let len = longest.iter().position(ends).unwrap_or(longest.len());
        let word = word_of(rest, len);
        let start = self.at();
        self.skip(len);
        Ok(match word {
            names::FLAGS => FetchAttribute::Flags,
            names::UID => FetchAttribute::Uid,
            names::MODSEQ => FetchAttribute::ModSeq,
            names::RFC822 => FetchAttribute::Rfc822(Rfc822::Full),
            names::RFC822_SIZE => FetchAttribute::Size,
            names::RFC822_HEADER => FetchAttribute::Rfc822(Rfc822::Header),
            names::RFC822_TEXT => FetchAttribute::Rfc822(Rfc822::Text),
            names::INTERNALDATE => FetchAttribute::InternalDate,
            names::ENVELOPE => FetchAttribute::Envelope,
            names::BODYSTRUCTURE => FetchAttribute::BodyStructure,
            names::BODY if self.peek() != Some(b'[') => FetchAttribute::Body,
            names::BODY | names::BODY_PEEK => FetchAttribute::Section {
                section: self.section()?,
                peek: word == names::BODY_PEEK,
                partial: self.partial()?,
            },
            names::BINARY | names::BINARY_PEEK => FetchAttribute::Binary {
                part: self.part()?,
                peek: word == names::BINARY_PEEK,
                partial: self.partial()?,
            },
            names::BINARY_SIZE => FetchAttribute::BinarySize(self.part()?),
            names::PREVIEW => {
                let lazy =
                    self.rest().first_chunk::<7>().is_some_and(|next| next.eq_ignore_ascii_case(b" (LAZY)"));
                self.skip(if lazy { 7 } else { 0 });
                FetchAttribute::Preview { lazy }
            }
            names::EMAILID => FetchAttribute::EmailId,
            names::THREADID => FetchAttribute::ThreadId,
            names::SAVEDATE => FetchAttribute::SaveDate,
            names::GM_MSGID => FetchAttribute::GmailMessageId,
            names::GM_THRID => FetchAttribute::GmailThreadId,
            names::GM_LABELS => FetchAttribute::GmailLabels,
            _ => {
                self.rewind(start);
                return self.fault(EXPECTED);
            }
        })
    }

    fn fetch_modifier(&mut self) -> Parse<FetchModifier> {
        let (word, len) = self.peek_word();
        Ok(match word {
            names::CHANGEDSINCE => {
                self.skip(len);
                self.expect(b' ', "a space, and a modification sequence")?;
                FetchModifier::ChangedSince(self.mod_seq()?)
            }
            names::VANISHED => {
                self.skip(len);
                FetchModifier::Vanished
            }
            names::PARTIAL => {
                self.skip(len);
                FetchModifier::Partial(self.partial_argument()?)
            }
            _ => FetchModifier::Other(self.parameter("a modifier, such as CHANGEDSINCE 1")?),
        })
    }
}

impl Writer<'_> {
    pub(super) fn fetch_command(
        &mut self,
        set: &SequenceSet,
        items: &FetchItems,
        modifiers: &[FetchModifier],
    ) {
        self.space();
        self.sequence_set(set);
        match items {
            FetchItems::All => self.raw(b" ALL"),
            FetchItems::Fast => self.raw(b" FAST"),
            FetchItems::Full => self.raw(b" FULL"),
            FetchItems::Attributes(attributes) => {
                self.space();
                self.list(attributes, Writer::fetch_attribute);
            }
        }
        self.optional_list(modifiers, |writer, modifier| match modifier {
            FetchModifier::ChangedSince(mod_seq) => {
                writer.raw(b"CHANGEDSINCE ");
                writer.number(mod_seq.get());
            }
            FetchModifier::Vanished => writer.raw(b"VANISHED"),
            FetchModifier::Partial(range) => {
                writer.raw(b"PARTIAL ");
                writer.display(range);
            }
            FetchModifier::Other(parameter) => writer.parameter(parameter),
        });
    }

    pub(super) fn fetch_attribute(&mut self, attribute: &FetchAttribute) {
        match attribute {
            FetchAttribute::Flags => self.raw(b"FLAGS"),
            FetchAttribute::Uid => self.raw(b"UID"),
            FetchAttribute::ModSeq => self.raw(b"MODSEQ"),
            FetchAttribute::Size => self.raw(b"RFC822.SIZE"),
            FetchAttribute::InternalDate => self.raw(b"INTERNALDATE"),
            FetchAttribute::Envelope => self.raw(b"ENVELOPE"),
            FetchAttribute::BodyStructure => self.raw(b"BODYSTRUCTURE"),
            FetchAttribute::Body => self.raw(b"BODY"),
            FetchAttribute::Section { section, peek, partial } => {
                self.raw(if *peek { &b"BODY.PEEK"[..] } else { b"BODY" });
                self.section(section);
                self.partial(*partial);
            }
            FetchAttribute::Rfc822(Rfc822::Full) => self.raw(b"RFC822"),
            FetchAttribute::Rfc822(Rfc822::Header) => self.raw(b"RFC822.HEADER"),
            FetchAttribute::Rfc822(Rfc822::Text) => self.raw(b"RFC822.TEXT"),
            FetchAttribute::Binary { part, peek, partial } => {
                self.raw(if *peek { &b"BINARY.PEEK"[..] } else { b"BINARY" });
                self.part(part);
                self.partial(*partial);
            }
            FetchAttribute::BinarySize(part) => {
                self.raw(b"BINARY.SIZE");
                self.part(part);
            }
            FetchAttribute::Preview { lazy: false } => self.raw(b"PREVIEW"),
            FetchAttribute::Preview { lazy: true } => self.raw(b"PREVIEW (LAZY)"),
            FetchAttribute::EmailId => self.raw(b"EMAILID"),
            FetchAttribute::ThreadId => self.raw(b"THREADID"),
            FetchAttribute::SaveDate => self.raw(b"SAVEDATE"),
            FetchAttribute::GmailMessageId => self.raw(b"X-GM-MSGID"),
            FetchAttribute::GmailThreadId => self.raw(b"X-GM-THRID"),
            FetchAttribute::GmailLabels => self.raw(b"X-GM-LABELS"),
        }
    }
}

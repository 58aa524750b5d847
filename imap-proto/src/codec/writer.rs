//! [`Writer`]: appends what frames are made of, and chooses how strings are written.

use super::chars::{self, ASTRING, ATOM, HIGH, LIST, QUOTED};
use crate::types::{Date, DateTime, Flags, ListPattern, MailboxName, NumberSet, SequenceSet};
use core::fmt::{Display, Write};

/// Which literals the other side takes (RFC 7888).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Literals {
    /// To a client, or from one that has sent the whole literal before: nobody waits, `{5}`.
    #[default]
    Plain,
    /// From a client to a server that has to ask for each: `{5}`, and the bytes wait for its continuation request.
    Synchronizing,
    /// LITERAL-: those of up to 4096 bytes need not be asked for.
    Minus,
    /// LITERAL+: none needs to be asked for.
    Plus,
}

impl Literals {
    /// Longest literal that need not be asked for where LITERAL- is offered (RFC 7888 §5).
    pub const MINUS_MAX: usize = 4096;
}

/// How frames are written: what the other side can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Style {
    /// Mailbox names and quoted strings may be UTF-8: IMAP4rev2 or UTF8=ACCEPT is enabled.
    pub utf8: bool,
    /// How literals are announced.
    pub literals: Literals,
    /// Whether literals that hold NUL may be announced as literal8 (BINARY or IMAP4rev2).
    pub binary: bool,
}

impl Style {
    /// To a client that has enabled nothing.
    pub const SERVER: Self = Self { utf8: false, literals: Literals::Plain, binary: false };
    /// To a server of which nothing is known.
    pub const CLIENT: Self = Self { utf8: false, literals: Literals::Synchronizing, binary: false };
}

/// A place in what was written where it does not just go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// Where, in bytes from the start of the buffer: right behind the announcement of a literal.
    pub at: usize,
    /// Whether the other side has to ask for the literal first, with a continuation request.
    pub waits: bool,
    /// How many bytes of a message are to be sent from elsewhere here, before the buffer goes on.
    pub streamed: Option<u64>,
}

/// Longest string that is written between quotes: lines are limited by many, and literals are not.
const QUOTED_MAX: usize = 1024;

/// Where bytes go, and in which style.
pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    pub(crate) style: Style,
    /// Places in `out` behind which the sender has to wait, or to send something else.
    stops: Vec<Stop>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, style: Style) -> Self {
        Self { out, style, stops: Vec::new() }
    }

    /// The places in the buffer behind which the sender has to wait, or to send something else.
    pub(crate) fn into_stops(self) -> Vec<Stop> {
        self.stops
    }

    #[inline]
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    #[inline]
    pub(crate) fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    #[inline]
    pub(crate) fn space(&mut self) {
        self.out.push(b' ');
    }

    pub(crate) fn crlf(&mut self) {
        self.raw(b"\r\n");
    }

    pub(crate) fn number(&mut self, number: impl Into<u64>) {
        mail_wire::decimal::encode(self.out, number.into());
    }

    /// Something that shows itself as it is written.
    pub(crate) fn display(&mut self, value: impl Display) {
        struct Append<'a>(&'a mut Vec<u8>);
        impl Write for Append<'_> {
            fn write_str(&mut self, text: &str) -> core::fmt::Result {
                self.0.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
        // Appending to a vector does not fail, and neither do the types of this crate.
        let _ = write!(Append(self.out), "{value}");
    }

    /// An atom if it can be one, else a string.
    #[inline]
    pub(crate) fn astring(&mut self, bytes: &[u8]) {
        self.bare_or_string(bytes, ASTRING);
    }

    fn bare_or_string(&mut self, bytes: &[u8], classes: u8) {
        // NIL could be taken for none.
        let bare = !bytes.is_empty()
            && bytes.iter().all(|byte| chars::is(*byte, classes))
            && !bytes.eq_ignore_ascii_case(b"NIL");
        if bare { self.raw(bytes) } else { self.string(bytes) }
    }

    /// Between quotes if it can be, else a literal.
    #[inline]
    pub(crate) fn string(&mut self, bytes: &[u8]) {
        let len = chars::span(bytes, QUOTED);
        if len == bytes.len() && len <= QUOTED_MAX {
            self.byte(b'"');
            self.raw(bytes);
            self.byte(b'"');
        } else {
            self.odd_string(bytes);
        }
    }

    #[cold]
    fn odd_string(&mut self, bytes: &[u8]) {
        let high = if self.style.utf8 && core::str::from_utf8(bytes).is_ok() { HIGH } else { 0 };
        let quotable = |byte: &u8| chars::is(*byte, QUOTED | high) || matches!(byte, b'"' | b'\\');
        if bytes.len() > QUOTED_MAX || !bytes.iter().all(quotable) {
            return self.literal(bytes);
        }
        self.byte(b'"');
        for byte in bytes {
            if matches!(byte, b'"' | b'\\') {
                self.byte(b'\\');
            }
            self.byte(*byte);
        }
        self.byte(b'"');
    }

    #[inline]
    pub(crate) fn nstring(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.string(bytes),
            None => self.raw(b"NIL"),
        }
    }

    pub(crate) fn literal(&mut self, bytes: &[u8]) {
        let binary = self.style.binary && memchr::memchr(0, bytes).is_some();
        self.announce(bytes.len() as u64, binary);
        self.raw(bytes);
    }

    /// Announces a literal, of which the bytes follow.
    pub(crate) fn announce(&mut self, len: u64, binary: bool) {
        if binary {
            self.byte(b'~');
        }
        self.byte(b'{');
        self.number(len);
        let waits = match self.style.literals {
            Literals::Plain => false,
            Literals::Synchronizing => true,
            Literals::Minus => len > Literals::MINUS_MAX as u64,
            Literals::Plus => false,
        };
        if !waits && self.style.literals != Literals::Plain {
            self.byte(b'+');
        }
        self.raw(b"}\r\n");
        if waits {
            self.stops.push(Stop { at: self.out.len(), waits, streamed: None });
        }
    }

    /// Announces a literal, of which the bytes come from elsewhere.
    pub(crate) fn announce_streamed(&mut self, len: u64, binary: bool) {
        self.announce(len, binary);
        let at = self.out.len();
        match self.stops.last_mut() {
            Some(stop) if stop.at == at => stop.streamed = Some(len),
            _ => self.stops.push(Stop { at, waits: false, streamed: Some(len) }),
        }
    }

    pub(crate) fn mailbox(&mut self, name: &MailboxName) {
        self.astring(&name.to_wire(self.style.utf8));
    }

    pub(crate) fn list_pattern(&mut self, pattern: &ListPattern) {
        self.bare_or_string(&pattern.as_name().to_wire(self.style.utf8), LIST);
    }

    /// Items in parentheses, with spaces between.
    pub(crate) fn list<T>(&mut self, items: impl IntoIterator<Item = T>, mut item: impl FnMut(&mut Self, T)) {
        self.byte(b'(');
        self.spaced(items, &mut item);
        self.byte(b')');
    }

    /// Items with spaces between.
    pub(crate) fn spaced<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut item: impl FnMut(&mut Self, T),
    ) {
        for (index, value) in items.into_iter().enumerate() {
            if index > 0 {
                self.space();
            }
            item(self, value);
        }
    }

    pub(crate) fn flags(&mut self, flags: &Flags) {
        self.list(flags.names(), |writer, name| writer.raw(name));
    }

    pub(crate) fn sequence_set(&mut self, set: &SequenceSet) {
        self.display(set);
    }

    pub(crate) fn number_set(&mut self, set: &NumberSet) {
        self.display(set);
    }

    pub(crate) fn date(&mut self, date: Date) {
        self.display(date);
    }

    pub(crate) fn date_time(&mut self, moment: DateTime) {
        self.byte(b'"');
        self.display(moment);
        self.byte(b'"');
    }
}

/// Whether bytes can be written as an atom.
pub(crate) fn is_atom(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| chars::is(*byte, ATOM))
}

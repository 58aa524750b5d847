//! [`Cursor`]: reads a frame from left to right, by the pieces that all of IMAP's grammar is made of.

use super::chars::{self, ASTRING, ATOM, HIGH, LIST, QUOTED, TAG};
use super::error::{Fault, Parse};
use super::frame::announcement_at;
use super::{Dialect, Quirks};
use crate::types::{
    Date, DateTime, Flag, Flags, Keyword, ListPattern, MailboxName, ModSeq, NumberRange, NumberSet, Position,
    SeqNum, SequenceRange, SequenceSet, SystemFlag, Tag, Text, Uid,
};
use core::cell::{Cell, OnceCell};
use core::num::NonZeroU32;
use core::ops::Range;
use mail_wire::Secret;
use std::sync::Arc;

/// The bytes of a frame, without the CRLF that ends it. They are copied once, when the first text needs to keep some of them.
pub(crate) struct Frame<'a> {
    bytes: &'a [u8],
    kept: OnceCell<Arc<[u8]>>,
    /// Where literals are announced that were streamed, and do not lie in the frame; ascending.
    streamed: &'a [usize],
    /// Whether texts are copied one by one, since the frame holds what must not be kept.
    piecewise: Cell<bool>,
}

impl<'a> Frame<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self::with_streamed(bytes, &[])
    }

    /// A frame from which literals were taken out.
    pub(crate) fn with_streamed(bytes: &'a [u8], streamed: &'a [usize]) -> Self {
        Self { bytes, kept: OnceCell::new(), streamed, piecewise: Cell::new(false) }
    }

    /// Texts are copied one by one from here on, and the frame is not kept: it holds a password, or is longer than what is read of
    /// it.
    pub(crate) fn copy_piecewise(&self) {
        self.piecewise.set(true);
    }

    #[inline(always)]
    fn text(&self, range: Range<usize>) -> Text {
        let len = range.len();
        if len > Text::INLINE {
            return self.shared(range);
        }
        match self.bytes.get(range.start..).and_then(<[u8]>::first_chunk) {
            Some(chunk) => Text::inline_front(chunk, len),
            None => Text::copy(&self.bytes[range]),
        }
    }

    #[inline(never)]
    fn shared(&self, range: Range<usize>) -> Text {
        if self.piecewise.get() {
            return Text::copy(&self.bytes[range]);
        }
        Text::part(self.kept.get_or_init(|| self.bytes.into()), range)
    }
}

/// A literal's content, or that it was streamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Literal<T = Text> {
    Here(T),
    Streamed(u64),
}

/// Where a string lies that may be NIL. A text is made of it where it is to stay, since a text that has just been made is slow to
/// move.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    start: usize,
    /// The length, and which of the forms it has: two words go through registers, where three would not.
    len: usize,
}

impl Span {
    const NIL: Self = Self { start: 0, len: usize::MAX };
    const BAD: Self = Self { start: 0, len: usize::MAX - 1 };
    const ESCAPED: usize = 1 << (usize::BITS - 2);

    /// Between quotes and without escapes, or a literal. Nothing in memory is a quarter of it long.
    fn plain(start: usize, len: usize) -> Self {
        Self { start, len }
    }
}

/// A place in a frame.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    frame: &'a Frame<'a>,
    bytes: &'a [u8],
    at: usize,
    depth: u16,
    pub(crate) dialect: Dialect,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(frame: &'a Frame<'a>, dialect: Dialect) -> Self {
        Self { frame, bytes: frame.bytes, at: 0, depth: dialect.depth, dialect }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn frame(&self) -> &'a Frame<'a> {
        self.frame
    }

    /// Goes back to a place, to read it another way.
    pub(crate) fn rewind(&mut self, at: usize) {
        self.at = at;
    }

    pub(crate) fn fault<T>(&self, expected: &'static str) -> Parse<T> {
        Err(Fault { at: self.at, expected })
    }

    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(crate) fn is_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(crate) fn skip(&mut self, n: usize) {
        self.at += n;
    }

    /// Text of what lies between two places.
    pub(crate) fn text(&self, range: Range<usize>) -> Text {
        self.frame.text(range)
    }

    pub(crate) fn slice(&self, range: Range<usize>) -> &'a [u8] {
        &self.bytes[range]
    }

    #[inline]
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let eaten = self.peek() == Some(byte);
        self.at += usize::from(eaten);
        eaten
    }

    #[inline]
    pub(crate) fn expect(&mut self, byte: u8, expected: &'static str) -> Parse<()> {
        if self.eat(byte) { Ok(()) } else { self.fault(expected) }
    }

    /// One space; more of them where that is let pass.
    #[inline(always)]
    pub(crate) fn space(&mut self) -> Parse<()> {
        self.expect(b' ', "a space")?;
        self.spaces();
        Ok(())
    }

    /// A space, if there is one.
    pub(crate) fn eat_space(&mut self) -> bool {
        let eaten = self.eat(b' ');
        self.spaces();
        eaten
    }

    /// Spaces that should not be there.
    #[inline(always)]
    pub(crate) fn spaces(&mut self) {
        if self.peek() == Some(b' ') {
            self.superfluous_spaces();
        }
    }

    #[cold]
    fn superfluous_spaces(&mut self) {
        if self.dialect.quirks.has(Quirks::SUPERFLUOUS_SPACES) {
            self.at += self.rest().iter().take_while(|byte| **byte == b' ').count();
        }
    }

    /// The end of the frame.
    pub(crate) fn end(&mut self) -> Parse<()> {
        self.spaces();
        if self.is_end() { Ok(()) } else { self.fault("the end of the line") }
    }

    /// A keyword, in any letter case, and nothing of an atom behind it. It is written here in capitals.
    #[inline]
    pub(crate) fn eat_word<const N: usize>(&mut self, word: &[u8; N]) -> bool {
        let rest = self.rest();
        let found = rest.first_chunk::<N>().is_some_and(|start| start.eq_ignore_ascii_case(word))
            && rest.get(N).is_none_or(|byte| !chars::is(*byte, ATOM));
        self.at += if found { N } else { 0 };
        found
    }

    /// `NIL` in any letter case.
    #[inline]
    pub(crate) fn eat_nil(&mut self) -> bool {
        match self.rest() {
            [b'N', b'I', b'L', b' ' | b')', ..] => {
                self.at += 3;
                true
            }
            [b'N' | b'n', ..] => self.eat_word(b"NIL"),
            _ => false,
        }
    }

    fn high(&self) -> u8 {
        if self.dialect.quirks.has(Quirks::EIGHT_BIT_ATOMS) { HIGH } else { 0 }
    }

    /// Bytes of these classes, one at least.
    #[inline]
    pub(crate) fn run(&mut self, classes: u8, expected: &'static str) -> Parse<&'a [u8]> {
        let rest = self.rest();
        let len = chars::span(rest, classes);
        if len == 0 {
            return self.fault(expected);
        }
        self.at += len;
        Ok(&rest[..len])
    }

    /// An atom.
    #[inline]
    pub(crate) fn atom(&mut self, expected: &'static str) -> Parse<&'a [u8]> {
        self.run(ATOM, expected)
    }

    pub(crate) fn tag(&mut self) -> Parse<Tag> {
        let start = self.at;
        let tag = self.run(TAG, "a tag")?;
        if tag.len() > Tag::MAX {
            self.at = start;
            return self.fault("a tag of at most 256 bytes");
        }
        Ok(Tag::trusted(self.text(start..self.at)))
    }

    /// Digits, as a number of at most 64 bits.
    #[inline]
    pub(crate) fn number64(&mut self) -> Parse<u64> {
        let rest = self.rest();
        let mut number = 0u64;
        let mut len = 0;
        while let Some(digit) = rest.get(len).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10)
        {
            // 19 digits fit whatever they are.
            number = if len < 19 {
                number * 10 + u64::from(digit)
            } else {
                match number.checked_mul(10).and_then(|number| number.checked_add(digit.into())) {
                    Some(number) => number,
                    None => return self.fault("a number of at most 64 bits"),
                }
            };
            len += 1;
        }
        if len == 0 {
            return self.fault("a number");
        }
        self.at += len;
        Ok(number)
    }

    #[inline]
    pub(crate) fn number(&mut self) -> Parse<u32> {
        let start = self.at;
        match u32::try_from(self.number64()?) {
            Ok(number) => Ok(number),
            Err(_) => {
                self.at = start;
                self.fault("a number of at most 32 bits")
            }
        }
    }

    #[inline]
    pub(crate) fn nonzero(&mut self) -> Parse<NonZeroU32> {
        let start = self.at;
        match NonZeroU32::new(self.number()?) {
            Some(number) => Ok(number),
            None => {
                self.at = start;
                self.fault("a number that is not 0")
            }
        }
    }

    pub(crate) fn uid(&mut self) -> Parse<Uid> {
        self.nonzero().map(Uid::from)
    }

    pub(crate) fn seq_num(&mut self) -> Parse<SeqNum> {
        self.nonzero().map(SeqNum::from)
    }

    pub(crate) fn mod_seq(&mut self) -> Parse<ModSeq> {
        let start = self.at;
        let number = self.number64()?;
        ModSeq::new(number).ok_or(Fault { at: start, expected: "a modification sequence of at most 63 bits" })
    }

    /// A number of octets or lines in a response; what is none counts as 0 where that is let pass.
    pub(crate) fn size(&mut self) -> Parse<u64> {
        let start = self.at;
        let odd = self.dialect.quirks.has(Quirks::ODD_NUMBERS);
        if odd && self.eat(b'-') {
            self.number64()?;
            return Ok(0);
        }
        match self.number64() {
            Err(_) if odd && self.peek().is_some_and(|byte| byte.is_ascii_digit()) => {
                self.at = start + self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
                Ok(0)
            }
            Err(_) if odd && self.eat_nil() => Ok(0),
            size => size,
        }
    }

    /// A string: quoted, or a literal that lies in the frame.
    #[inline]
    pub(crate) fn string(&mut self) -> Parse<Text> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{' | b'~') => self.literal(),
            _ => self.fault("a string"),
        }
    }

    /// A string that may be NIL.
    #[inline]
    pub(crate) fn nstring(&mut self) -> Parse<Option<Text>> {
        match self.peek() {
            Some(b'"') => self.quoted().map(Some),
            Some(b'{' | b'~') => self.literal().map(Some),
            _ if self.eat_nil() => Ok(None),
            _ => self.fault("a string or NIL"),
        }
    }

    /// Where a string lies that may be NIL.
    #[inline(always)]
    pub(crate) fn nspan(&mut self) -> Parse<Span> {
        let span = self.nspan_or_bad();
        match span.len {
            len if len == Span::BAD.len => self.no_nspan(),
            _ => Ok(span),
        }
    }

    /// A span goes through registers; with what can go wrong it would not.
    fn nspan_or_bad(&mut self) -> Span {
        match self.rest() {
            [b'"', inner @ ..] => {
                let (start, len) = (self.at + 1, chars::quoted_span(inner));
                match inner.get(len) {
                    Some(b'"') => {
                        self.at = start + len + 1;
                        Span::plain(start, len)
                    }
                    Some(b'\\') => self.escaped_span(start, len),
                    _ => Span::BAD,
                }
            }
            [b'{' | b'~', ..] => self.literal_span(),
            _ if self.eat_nil() => Span::NIL,
            _ => Span::BAD,
        }
    }

    #[cold]
    fn no_nspan(&mut self) -> Parse<Span> {
        match self.nstring() {
            Err(fault) => Err(fault),
            Ok(_) => self.fault("a string or NIL"),
        }
    }

    #[cold]
    fn escaped_span(&mut self, start: usize, len: usize) -> Span {
        let before = self.at;
        if self.escaped(start, len).is_err() {
            self.at = before;
            return Span::BAD;
        }
        Span { start, len: (self.at - 1 - start) | Span::ESCAPED }
    }

    /// Where a string lies that must be there; NIL is an empty one where that is let pass.
    #[inline(always)]
    pub(crate) fn span_or_nil(&mut self) -> Parse<Span> {
        let start = self.at;
        let span = self.nspan()?;
        if span.len == Span::NIL.len && !self.dialect.quirks.has(Quirks::NIL_STRINGS) {
            self.at = start;
            return self.fault("a string");
        }
        Ok(span)
    }

    #[cold]
    fn literal_span(&mut self) -> Span {
        let start = self.at;
        match self.literal_or_streamed() {
            Ok(Literal::Here(text)) => Span::plain(self.at - text.len(), text.len()),
            _ => {
                self.at = start;
                Span::BAD
            }
        }
    }

    /// The string that lies there; NIL is an empty one.
    #[inline(always)]
    pub(crate) fn take(&self, span: Span) -> Text {
        match span.len < Span::ESCAPED {
            true => self.frame.text(span.start..span.start + span.len),
            false => self.take_odd(span),
        }
    }

    /// The string that lies there, if it is not NIL.
    #[inline(always)]
    pub(crate) fn take_some(&self, span: Span) -> Option<Text> {
        match span.len == Span::NIL.len {
            true => None,
            false => Some(self.take(span)),
        }
    }

    /// The bytes that lie there, as they are on the wire.
    #[inline]
    pub(crate) fn look_at(&self, span: Span) -> &'a [u8] {
        let len = if span.len == Span::NIL.len { 0 } else { span.len & !Span::ESCAPED };
        &self.bytes[span.start..span.start + len]
    }

    #[cold]
    #[inline(never)]
    fn take_odd(&self, span: Span) -> Text {
        if span.len == Span::NIL.len {
            return Text::EMPTY;
        }
        // It has been gone over before, and was found right.
        Cursor { at: span.start, ..*self }.escaped(span.start, 0).unwrap_or_default()
    }

    /// A string that must be there; NIL is an empty one where that is let pass.
    pub(crate) fn string_or_nil(&mut self) -> Parse<Text> {
        if self.dialect.quirks.has(Quirks::NIL_STRINGS) {
            return self.nstring().map(Option::unwrap_or_default);
        }
        self.string()
    }

    /// A string, or the bytes of one as they are.
    #[inline]
    pub(crate) fn astring(&mut self) -> Parse<Text> {
        self.string_or_run(ASTRING, "an atom or a string")
    }

    fn string_or_run(&mut self, classes: u8, expected: &'static str) -> Parse<Text> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(),
            Some(b'~') if announcement_at(self.bytes, self.at).is_some() => self.literal(),
            _ => {
                let start = self.at;
                self.run(classes | self.high(), expected)?;
                Ok(self.text(start..self.at))
            }
        }
    }

    #[inline]
    pub(crate) fn quoted(&mut self) -> Parse<Text> {
        self.expect(b'"', "a quoted string")?;
        let start = self.at;
        let rest = self.rest();
        // 8-bit text between quotes is refused nowhere: it harms nobody, and in a response it must be borne.
        let len = chars::quoted_span(rest);
        match rest.get(len) {
            Some(b'"') => {
                self.at = start + len + 1;
                Ok(self.text(start..start + len))
            }
            Some(b'\\') => self.escaped(start, len),
            _ => {
                self.at = start + len;
                self.fault("the end of the quoted string")
            }
        }
    }

    /// The rest of a quoted string from its first backslash.
    #[cold]
    fn escaped(&mut self, start: usize, len: usize) -> Parse<Text> {
        let odd = self.dialect.quirks.has(Quirks::ODD_ESCAPES);
        let mut text = self.bytes[start..start + len].to_vec();
        self.at = start + len;
        loop {
            match (self.peek(), self.bytes.get(self.at + 1)) {
                (Some(b'"'), _) => {
                    self.at += 1;
                    return Ok(Text::copy(&text));
                }
                (Some(b'\\'), Some(&byte @ (b'"' | b'\\'))) => {
                    text.push(byte);
                    self.at += 2;
                }
                (Some(b'\\'), Some(&byte)) if odd && chars::is(byte, QUOTED | HIGH) => {
                    text.push(b'\\');
                    text.push(byte);
                    self.at += 2;
                }
                (Some(byte), _) if chars::is(byte, QUOTED | HIGH) => {
                    text.push(byte);
                    self.at += 1;
                }
                _ => return self.fault("the end of the quoted string"),
            }
        }
    }

    fn literal(&mut self) -> Parse<Text> {
        let start = self.at;
        match self.literal_or_streamed()? {
            Literal::Here(text) => Ok(text),
            Literal::Streamed(_) => {
                self.at = start;
                self.fault("a string in the frame")
            }
        }
    }

    /// A literal, of which the content may have been taken out of the frame.
    pub(crate) fn literal_or_streamed(&mut self) -> Parse<Literal> {
        Ok(match self.literal_range()? {
            Literal::Here(range) => Literal::Here(self.text(range)),
            Literal::Streamed(len) => Literal::Streamed(len),
        })
    }

    fn literal_range(&mut self) -> Parse<Literal<Range<usize>>> {
        let Some((announced, start)) = announcement_at(self.bytes, self.at) else {
            return self.fault("a literal");
        };
        if self.frame.streamed.binary_search(&self.at).is_ok() {
            self.at = start;
            return Ok(Literal::Streamed(announced.len));
        }
        let end = usize::try_from(announced.len).ok().and_then(|len| start.checked_add(len));
        match end.filter(|end| *end <= self.bytes.len()) {
            Some(end) => {
                self.at = end;
                Ok(Literal::Here(start..end))
            }
            None => self.fault("a literal that is in the frame"),
        }
    }

    pub(crate) fn mailbox(&mut self) -> Parse<MailboxName> {
        let utf8 = self.dialect.utf8;
        Ok(MailboxName::from_text(self.string_or_run(ASTRING, "the name of a mailbox")?, utf8))
    }

    pub(crate) fn list_pattern(&mut self) -> Parse<ListPattern> {
        let utf8 = self.dialect.utf8;
        Ok(MailboxName::from_text(self.string_or_run(LIST, "the name of a mailbox, or a pattern")?, utf8)
            .into())
    }

    /// A string with a password, of which no copy is left but the one that is returned. The frame that it came in is wiped by
    /// who owns it.
    pub(crate) fn secret(&mut self) -> Parse<Secret> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => {
                self.skip_quoted()?;
                let mut rest = &self.bytes[start + 1..self.at - 1];
                let mut secret = Vec::with_capacity(rest.len());
                while let Some((byte, after)) = rest.split_first() {
                    let (byte, after) = match (byte, after) {
                        (b'\\', [escaped @ (b'"' | b'\\'), after @ ..]) => (escaped, after),
                        (b'\\', _) => {
                            drop(Secret::new(secret));
                            self.at -= rest.len() + 1;
                            return self.fault("a backslash or a quote behind a backslash");
                        }
                        plain => plain,
                    };
                    secret.push(*byte);
                    rest = after;
                }
                Ok(Secret::new(secret))
            }
            Some(b'{' | b'~') if announcement_at(self.bytes, start).is_some() => {
                match self.literal_range()? {
                    Literal::Here(range) => Ok(Secret::new(&self.bytes[range])),
                    Literal::Streamed(_) => {
                        self.at = start;
                        self.fault("a string in the frame")
                    }
                }
            }
            _ => {
                self.run(ASTRING | self.high(), "a password")?;
                Ok(Secret::new(&self.bytes[start..self.at]))
            }
        }
    }

    /// Items in parentheses, with spaces between; there may be none.
    pub(crate) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parse<T>) -> Parse<Vec<T>> {
        self.expect(b'(', "an opening parenthesis")?;
        self.spaces();
        let mut items = Vec::new();
        if self.eat(b')') {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.close_or_space()? {
                return Ok(items);
            }
        }
    }

    /// What stands behind an item in parentheses: whether the list is over.
    #[inline]
    pub(crate) fn close_or_space(&mut self) -> Parse<bool> {
        if self.eat(b')') {
            return Ok(true);
        }
        if !self.eat(b' ') {
            return self.fault("a space or a closing parenthesis");
        }
        self.spaces();
        Ok(self.dialect.quirks.has(Quirks::SUPERFLUOUS_SPACES) && self.eat(b')'))
    }

    /// Goes one level down, where that is allowed.
    pub(crate) fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        match self.depth.checked_sub(1) {
            Some(depth) => self.depth = depth,
            None => return self.fault("less nesting"),
        }
        let result = inner(self);
        self.depth += 1;
        result
    }

    pub(crate) fn flag(&mut self) -> Parse<Flag> {
        let start = self.at;
        self.eat(b'\\');
        if self.at > start && self.eat(b'*') {
            return Ok(Flag::System(SystemFlag::Any));
        }
        // Keywords with `]` are in use (Gmail, among others), and hurt nobody.
        self.run(ASTRING | self.high(), "a flag")?;
        Ok(match SystemFlag::from_name(&self.bytes[start..self.at]) {
            Some(flag) => Flag::System(flag),
            None => Flag::Keyword(Keyword::trusted(self.text(start..self.at))),
        })
    }

    /// Flags in parentheses.
    pub(crate) fn flags(&mut self) -> Parse<Flags> {
        self.expect(b'(', "an opening parenthesis")?;
        self.spaces();
        let (mut system, mut keywords) = (0, Vec::new());
        if self.eat(b')') {
            return Ok(Flags::EMPTY);
        }
        loop {
            match self.flag()? {
                Flag::System(flag) => system |= flag as u8,
                Flag::Keyword(keyword) => keywords.push(keyword),
            }
            if self.close_or_space()? {
                return Ok(Flags::found(system, keywords));
            }
        }
    }

    pub(crate) fn sequence_set(&mut self) -> Parse<SequenceSet> {
        if self.eat(b'$') {
            return Ok(SequenceSet::SAVED);
        }
        let first = self.sequence_range()?;
        if self.peek() != Some(b',') {
            return Ok(SequenceSet::single(first));
        }
        let end = chars::span(self.rest(), LIST);
        let mut members = Vec::with_capacity(1 + memchr::memchr_iter(b',', &self.rest()[..end]).count());
        members.push(first);
        while self.eat(b',') {
            members.push(self.sequence_range()?);
        }
        SequenceSet::new(members).map_or_else(|| self.fault("a set of numbers"), Ok)
    }

    fn sequence_range(&mut self) -> Parse<SequenceRange> {
        let first = self.position()?;
        let last = if self.eat(b':') { self.position()? } else { first };
        Ok(SequenceRange { first, last })
    }

    fn position(&mut self) -> Parse<Position> {
        if self.eat(b'*') { Ok(Position::Largest) } else { self.nonzero().map(Position::Number) }
    }

    pub(crate) fn number_set(&mut self) -> Parse<NumberSet> {
        let first = self.number_range()?;
        if self.peek() != Some(b',') && first.first == first.last {
            return Ok(NumberSet::single(first.first));
        }
        let mut members = vec![first];
        while self.eat(b',') {
            members.push(self.number_range()?);
        }
        NumberSet::new(members).map_or_else(|| self.fault("a set of numbers"), Ok)
    }

    fn number_range(&mut self) -> Parse<NumberRange> {
        let first = self.nonzero()?;
        let last = if self.eat(b':') { self.nonzero()? } else { first };
        Ok(NumberRange { first, last })
    }

    /// A day, `1-Feb-1994`, between quotes or not.
    pub(crate) fn date(&mut self) -> Parse<Date> {
        let quoted = self.eat(b'"');
        let date = self.bare_date()?;
        if quoted {
            self.expect(b'"', "a closing quote")?;
        }
        Ok(date)
    }

    fn bare_date(&mut self) -> Parse<Date> {
        const EXPECTED: &str = "a date such as 1-Feb-1994";
        let start = self.at;
        let fault = Fault { at: start, expected: EXPECTED };
        let day = self.digits(1, 2, EXPECTED)?;
        self.expect(b'-', EXPECTED)?;
        let month = self.rest().get(..3).and_then(Date::month_by_name).ok_or(fault)?;
        self.at += 3;
        self.expect(b'-', EXPECTED)?;
        let year = self.digits(4, 4, EXPECTED)?;
        Date::new(year, month, day as u8).ok_or(fault)
    }

    /// A moment between quotes, `"17-Jul-1996 02:44:25 -0700"`.
    pub(crate) fn date_time(&mut self) -> Parse<DateTime> {
        const EXPECTED: &str = "a date with its time, such as \"17-Jul-1996 02:44:25 -0700\"";
        let start = self.at;
        if let Some(moment) = self.rest().first_chunk().and_then(usual_date_time) {
            self.at += 28;
            return Ok(moment);
        }
        self.expect(b'"', EXPECTED)?;
        self.eat(b' ');
        let date = self.bare_date()?;
        self.expect(b' ', EXPECTED)?;
        let hour = self.digits(2, 2, EXPECTED)?;
        self.expect(b':', EXPECTED)?;
        let minute = self.digits(2, 2, EXPECTED)?;
        self.expect(b':', EXPECTED)?;
        let second = self.digits(2, 2, EXPECTED)?;
        self.expect(b' ', EXPECTED)?;
        let west = self.eat(b'-');
        if !west {
            self.expect(b'+', EXPECTED)?;
        }
        let zone = self.digits(4, 4, EXPECTED)?;
        self.expect(b'"', EXPECTED)?;
        let minutes = (zone / 100 * 60 + zone % 100) as i16;
        let zone_is_one = zone % 100 < 60;
        let zone = if west { -minutes } else { minutes };
        let moment = DateTime::new(date, (hour as u8, minute as u8, second as u8), zone);
        moment.filter(|_| zone_is_one).ok_or(Fault { at: start, expected: EXPECTED })
    }

    fn digits(&mut self, min: usize, max: usize, expected: &'static str) -> Parse<u16> {
        let digits = self.rest().iter().take(max).take_while(|byte| byte.is_ascii_digit());
        let (len, number) =
            digits.fold((0, 0), |(len, sum), digit| (len + 1, sum * 10 + u16::from(digit - b'0')));
        if len < min {
            return self.fault(expected);
        }
        self.at += len;
        Ok(number)
    }

    /// Goes over one value of unknown meaning: an atom, a string, or a list in parentheses however deep, as all extensions have
    /// them (RFC 9051 §9, tagged-ext-val). It stops at what ends a value. No recursion.
    pub(crate) fn skip_value(&mut self) -> Parse<()> {
        let mut depth = 0usize;
        loop {
            match self.peek() {
                Some(b'(') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b')') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b' ') if depth > 0 => self.at += 1,
                Some(b'"') => self.skip_quoted()?,
                Some(b'{') => _ = self.literal_or_streamed()?,
                Some(b'~') if announcement_at(self.bytes, self.at).is_some() => {
                    _ = self.literal_or_streamed()?
                }
                Some(byte) if !matches!(byte, b' ' | b')' | b'\r' | b'\n' | 0) => self.skip_bare()?,
                _ => return self.fault("a value"),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn skip_quoted(&mut self) -> Parse<()> {
        self.at += 1;
        loop {
            self.at += chars::quoted_span(self.rest());
            match (self.peek(), self.bytes.get(self.at + 1)) {
                (Some(b'"'), _) => {
                    self.at += 1;
                    return Ok(());
                }
                (Some(b'\\'), Some(_)) => self.at += 2,
                _ => return self.fault("the end of the quoted string"),
            }
        }
    }

    /// A word up to a space or parenthesis. One with a bracket, such as `BODY[HEADER.FIELDS (A B)]`, goes on to its end.
    fn skip_bare(&mut self) -> Parse<()> {
        let start = self.at;
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'(' | b')' | b'\r' | b'\n' | 0 | b'{' | b'"' => break,
                b'[' => {
                    let end = memchr::memchr3(b']', b'\r', b'\n', self.rest());
                    match end.filter(|end| self.rest()[*end] == b']') {
                        Some(end) => self.at += end + 1,
                        None => self.at += 1,
                    }
                }
                _ => self.at += 1,
            }
        }
        if self.at == start { self.fault("a value") } else { Ok(()) }
    }
}

/// A moment as all write it, with each part in its place; what is not is looked at by the grammar.
fn usual_date_time(text: &[u8; 28]) -> Option<DateTime> {
    let separators = [0, 3, 7, 12, 15, 18, 21, 27].map(|at| text[at]);
    if separators != *b"\"-- :: \"" {
        return None;
    }
    let digit = |at: usize| Some(u16::from(text[at].wrapping_sub(b'0'))).filter(|digit| *digit < 10);
    let two = |at: usize| Some(digit(at)? * 10 + digit(at + 1)?);
    let day = if text[1] == b' ' { digit(2)? } else { two(1)? };
    let month = match &text[4..7] {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    };
    let date = Date::new(two(8)? * 100 + two(10)?, month, day as u8)?;
    let (hours, minutes) = (two(23)?, two(25)?);
    let zone = match text[22] {
        b'+' if minutes < 60 => (hours * 60 + minutes) as i16,
        b'-' if minutes < 60 => -((hours * 60 + minutes) as i16),
        _ => return None,
    };
    DateTime::new(date, (two(13)? as u8, two(16)? as u8, two(19)? as u8), zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_with_a_password_is_not_kept() {
        let line = b"a-user-whose-name-is-longer-than-a-value secret";
        for piecewise in [false, true] {
            let frame = Frame::new(line);
            if piecewise {
                frame.copy_piecewise();
            }
            let mut cursor = Cursor::new(&frame, Dialect::SERVER);
            assert_eq!(cursor.astring().map(|text| text.len()), Ok(40));
            assert_eq!(cursor.space(), Ok(()));
            assert_eq!(cursor.secret().as_ref().map(Secret::expose), Ok(&b"secret"[..]));
            assert_eq!(frame.kept.get().is_none(), piecewise);
        }
    }
}

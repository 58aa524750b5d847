//! Responses, from bytes and to bytes.
//!
//! Whatever a server sends behind `* ` is a [`Response`]: data that is not known, or that misses its grammar, becomes
//! [`Data::Other`], a code [`Code::Other`], an item of FETCH its own `Other`, each exactly as it was on
//! the wire. An error is only what is neither tagged with a status, nor `* `, nor `+`.

use super::{Cursor, Dialect, Fault, Frame, Literals, Parse, Quirks, Style, SyntaxError, Writer};
use crate::types::{Code, Data, MessageId, Outcome, Raw, Response, ResponseText, Status, Text};

impl Response {
    /// Reads a frame of a server, without the CRLF that ends it.
    ///
    /// ```
    /// use imap_proto::codec::{Dialect, Style};
    /// use imap_proto::types::{Code, Data, Response, Uid};
    ///
    /// let response = Response::parse(b"* OK [UIDNEXT 4392] Predicted next UID", &Dialect::CLIENT)?;
    /// let Response::Status { text, .. } = &response else { panic!("{response:?}") };
    /// assert_eq!(text.code, Uid::new(4392).map(Code::UidNext));
    ///
    /// let mut out = Vec::new();
    /// response.encode(&mut out, &Style::SERVER);
    /// assert_eq!(out, b"* OK [UIDNEXT 4392] Predicted next UID\r\n");
    ///
    /// let response = Response::parse(b"* X-WEATHER (rain \"5 mm\")", &Dialect::CLIENT)?;
    /// assert!(matches!(response, Response::Data(Data::Other(_))));
    /// # Ok::<(), imap_proto::codec::SyntaxError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If it is no response at all.
    pub fn parse(frame: &[u8], dialect: &Dialect) -> Result<Self, SyntaxError> {
        Self::parse_streamed(frame, &[], dialect)
    }

    /// Reads a frame of which the content of literals was taken out as it came. `streamed` is where these are
    /// [announced](super::Announced::at), in bytes from the start of the frame as it is here, ascending. They become
    /// [`Content::Streamed`](crate::types::Content::Streamed).
    ///
    /// # Errors
    ///
    /// If it is no response at all.
    pub fn parse_streamed(frame: &[u8], streamed: &[usize], dialect: &Dialect) -> Result<Self, SyntaxError> {
        if u32::try_from(frame.len()).is_err() {
            return Err(Fault { at: frame.len(), expected: "a frame of less than 4 GiB" }.with_tag(None));
        }
        let frame = Frame::with_streamed(frame, streamed);
        Cursor::new(&frame, *dialect).response()
    }

    /// Writes the response, with the CRLF at its end. Literals are announced as servers do, whatever the style says of them.
    ///
    /// Of content that is streamed only the announcement is written: see [`encode_streamed`](Self::encode_streamed).
    pub fn encode(&self, out: &mut Vec<u8>, style: &Style) {
        self.encode_streamed(out, style);
    }

    /// Writes the response, and tells the places in `out` where the bytes of
    /// [`Content::Streamed`](crate::types::Content::Streamed) belong, in their order.
    pub fn encode_streamed(&self, out: &mut Vec<u8>, style: &Style) -> Vec<usize> {
        let mut writer = Writer::new(out, Style { literals: Literals::Plain, ..*style });
        writer.response(self);
        writer.into_stops().into_iter().map(|stop| stop.at).collect()
    }
}

/// In which order statuses are looked for.
const STATUSES: [(&[u8], Status); 5] = [
    (b"OK", Status::Ok),
    (b"NO", Status::No),
    (b"BAD", Status::Bad),
    (b"BYE", Status::Bye),
    (b"PREAUTH", Status::PreAuth),
];

impl Cursor<'_> {
    fn response(&mut self) -> Result<Response, SyntaxError> {
        match self.rest() {
            [b'*', b' ', ..] => {
                self.skip(2);
                Ok(self.untagged())
            }
            [b'*'] => {
                self.skip(1);
                Ok(Response::Data(Data::Other(Raw::trusted(Text::EMPTY))))
            }
            [b'+', b' ', ..] => {
                self.skip(2);
                Ok(Response::Continue(self.response_text()))
            }
            [b'+', ..] if self.dialect.quirks.has(Quirks::MISSING_TEXT) => {
                self.skip(1);
                Ok(Response::Continue(self.response_text()))
            }
            _ => self.done(),
        }
    }

    fn done(&mut self) -> Result<Response, SyntaxError> {
        const EXPECTED: &str = "`*`, `+`, or a tag";
        let start = self.at();
        let tag = self.tag().map_err(|_| Fault { at: start, expected: EXPECTED }.with_tag(None))?;
        let text = self.space().and_then(|()| self.status());
        let outcome = match text {
            Ok(Status::Ok) => Ok(Outcome::Ok),
            Ok(Status::No) => Ok(Outcome::No),
            Ok(Status::Bad) => Ok(Outcome::Bad),
            Ok(_) => self.fault("OK, NO or BAD"),
            Err(fault) => Err(fault),
        };
        match outcome {
            Ok(outcome) => Ok(Response::Done { tag, outcome, text: self.response_text() }),
            Err(fault) => Err(fault.with_tag(Some(tag))),
        }
    }

    /// A status, and the space behind it.
    fn status(&mut self) -> Parse<Status> {
        let rest = self.rest();
        let len = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        let same = |(name, _): &&(&[u8], Status)| rest[..len].eq_ignore_ascii_case(name);
        let Some((_, status)) = STATUSES.iter().find(same) else { return self.fault("OK, NO or BAD") };
        if len == rest.len() && !self.dialect.quirks.has(Quirks::MISSING_TEXT) {
            self.skip(len);
            return self.fault("a space and a text");
        }
        self.skip(len + usize::from(len < rest.len()));
        Ok(*status)
    }

    /// What follows `* `. It is at least [`Data::Other`].
    #[inline]
    fn untagged(&mut self) -> Response {
        let start = self.at();
        let first = self.peek().unwrap_or(b' ');
        if !first.is_ascii_digit()
            && let Ok(status) = self.status()
        {
            return Response::Status { status, text: self.response_text() };
        }
        self.rewind(start);
        let data = if first.is_ascii_digit() { self.message_data() } else { self.data() };
        match data.and_then(|data| self.end().map(|()| data)) {
            Ok(data) => Response::Data(data),
            Err(_) => {
                self.rewind(start);
                Response::Data(Data::Other(self.line()))
            }
        }
    }

    /// `1 EXISTS` and what else begins with a number.
    #[inline]
    fn message_data(&mut self) -> Parse<Data> {
        let number = self.number()?;
        self.space()?;
        let word = self.atom("EXISTS, RECENT, EXPUNGE, FETCH or UIDFETCH")?;
        let is = |known: &[u8]| word.eq_ignore_ascii_case(known);
        let of = core::num::NonZeroU32::new(number);
        match (word.len(), of) {
            (5, Some(number)) if is(b"FETCH") => {
                self.space()?;
                Ok(Data::Fetch(self.fetch(MessageId::Seq(number.into()))?))
            }
            (8, Some(number)) if is(b"UIDFETCH") => {
                self.space()?;
                Ok(Data::Fetch(self.fetch(MessageId::Uid(number.into()))?))
            }
            (6, _) if is(b"EXISTS") => Ok(Data::Exists(number)),
            (6, _) if is(b"RECENT") => Ok(Data::Recent(number)),
            (7, Some(number)) if is(b"EXPUNGE") => Ok(Data::Expunge(number.into())),
            _ => self.fault("EXISTS, RECENT, EXPUNGE, FETCH or UIDFETCH"),
        }
    }

    /// All that is left, as it is.
    fn line(&mut self) -> Raw {
        let start = self.at();
        let end = start + self.rest().len();
        self.rewind(end);
        Raw::trusted(self.text(start..end))
    }

    /// The text of a status response, with its code if there is one. Anything goes.
    fn response_text(&mut self) -> ResponseText {
        let start = self.at();
        let code = match self.peek() {
            Some(b'[') => self.code().unwrap_or(None),
            _ => None,
        };
        if code.is_none() {
            self.rewind(start);
        }
        match code {
            Some(code) => {
                self.eat(b' ');
                ResponseText { code: Some(code), text: self.human_text() }
            }
            None if self.peek() == Some(b'[') => {
                if self.rest().iter().any(|byte| is_break(*byte)) {
                    // What no grammar knows is looked at again without what would break a line.
                    let text = self.human_text();
                    let frame = Frame::new(&text);
                    return Cursor::new(&frame, self.dialect).response_text();
                }
                match split_code(self.rest()) {
                    // With the space that belongs there it may be another code, and so it will be written.
                    Some(len) if !matches!(self.rest()[len + 2..], [] | [b' ', ..]) => {
                        let (code, text) = self.rest().split_at(len + 2);
                        let text = [code, b" ", text].concat();
                        let frame = Frame::new(&text);
                        Cursor::new(&frame, self.dialect).response_text()
                    }
                    Some(len) => {
                        let code = Code::Other(Raw::trusted(self.text(start + 1..start + 1 + len)));
                        self.skip(len + 2);
                        self.eat(b' ');
                        ResponseText { code: Some(code), text: self.human_text() }
                    }
                    None => ResponseText { code: None, text: self.human_text() },
                }
            }
            None => ResponseText { code: None, text: self.human_text() },
        }
    }

    /// All that is left, with spaces for what would break a line.
    fn human_text(&mut self) -> Text {
        let start = self.at();
        let rest = self.rest();
        self.skip(rest.len());
        match memchr::memchr3(b'\r', b'\n', 0, rest) {
            None => self.text(start..start + rest.len()),
            Some(_) => {
                let mut text = rest.to_vec();
                text.iter_mut().filter(|byte| is_break(**byte)).for_each(|byte| *byte = b' ');
                Text::copy(&text)
            }
        }
    }
}

fn is_break(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | 0)
}

/// How long the code is in `[code] text`. A bracket between quotes does not close the code, if there is another that does.
fn split_code(text: &[u8]) -> Option<usize> {
    let inner = text.strip_prefix(b"[")?;
    let mut quoted = false;
    let mut bytes = inner.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b']' if !quoted => return Some(at),
            b'"' => quoted = !quoted,
            b'\\' if quoted => _ = bytes.next(),
            _ => {}
        }
    }
    memchr::memchr(b']', inner)
}

impl Writer<'_> {
    fn response(&mut self, response: &Response) {
        match response {
            Response::Data(data) => {
                self.raw(b"* ");
                self.data(data);
            }
            Response::Status { status, text } => {
                self.raw(match status {
                    Status::Ok => b"* OK ",
                    Status::No => b"* NO ",
                    Status::Bad => b"* BAD ",
                    Status::Bye => b"* BYE ",
                    Status::PreAuth => b"* PREAUTH ",
                });
                self.response_text(text);
            }
            Response::Done { tag, outcome, text } => {
                self.raw(tag.as_bytes());
                self.raw(match outcome {
                    Outcome::Ok => b" OK ",
                    Outcome::No => b" NO ",
                    Outcome::Bad => b" BAD ",
                });
                self.response_text(text);
            }
            Response::Continue(text) => {
                self.raw(b"+ ");
                self.response_text(text);
            }
        }
        self.crlf();
    }

    fn response_text(&mut self, text: &ResponseText) {
        match &text.code {
            Some(code) => {
                self.byte(b'[');
                self.code(code);
                self.raw(b"] ");
            }
            // A text must not be taken for a code.
            None if split_code(&text.text).is_some() => self.space(),
            None => {}
        }
        match text.text.iter().any(|byte| is_break(*byte)) {
            false => self.raw(&text.text),
            true => text.text.iter().for_each(|byte| self.byte(if is_break(*byte) { b' ' } else { *byte })),
        }
    }
}

//! The body codec: dot-stuffing both ways (RFC 5321 §4.5.2, RFC 1939 §3), streaming, with detection of bare CR, bare LF
//! and NUL in the same pass.
//!
//! [`Decoder`] looks at what lies in a receive buffer and says what it is: so many bytes of clean content, a stuffing dot
//! to drop, a flaw, or the end. It copies nothing, and nothing but CRLF `.` CRLF ends a body. What it cannot judge
//! without the next byte (a CR at the end of the data) it leaves in the buffer, so the way the bytes were cut into reads
//! never matters.
//!
//! [`Encoder`] writes content so that no bare CR or LF leaves and no line is taken for the end, whatever the content is.

use crate::line::Flaw;
use memchr::{memchr2, memchr3, memmem};

const CR: u8 = b'\r';
const LF: u8 = b'\n';

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// By a line with a single dot; dots at line starts are doubled (DATA, RETR).
    Dots,
    /// By a count of bytes that the protocol keeps; dots mean nothing (BDAT).
    Counted,
}

/// What lies at the front of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Decoded {
    /// So many bytes of content without a flaw. At least one.
    Data(usize),
    /// A stuffing dot: one byte to drop.
    StuffedDot,
    /// One byte that should not be there. The caller decides whether it is refused, repaired or kept.
    Flaw(Flaw),
    /// The end of the body: so many bytes to drop.
    End(usize),
    /// More bytes are needed to tell.
    NeedMore,
}

/// Reads a body. See the [module docs](self).
///
/// ```
/// use mail_wire::dot::{Decoded, Decoder, Framing};
///
/// let mut wire: &[u8] = b"..a\r\nb\r\n.\r\nQUIT\r\n";
/// let mut decoder = Decoder::new(Framing::Dots);
/// let mut content = Vec::new();
/// loop {
///     match decoder.decode(wire) {
///         Decoded::Data(n) => {
///             content.extend_from_slice(&wire[..n]);
///             wire = &wire[n..];
///         }
///         Decoded::StuffedDot => wire = &wire[1..],
///         Decoded::End(n) => {
///             wire = &wire[n..];
///             break;
///         }
///         Decoded::Flaw(_) | Decoded::NeedMore => unreachable!("not in this example"),
///     }
/// }
/// assert_eq!(content, b".a\r\nb\r\n");
/// assert_eq!(wire, b"QUIT\r\n");
/// ```
#[derive(Debug, Clone)]
pub struct Decoder {
    framing: Framing,
    at_line_start: bool,
}

impl Decoder {
    /// A decoder at the start of a body. The start counts as the start of a line: an empty message is `.` CRLF alone.
    pub const fn new(framing: Framing) -> Self {
        Self { framing, at_line_start: true }
    }

    /// Says what is at the front of `data`. The caller must drop what was told before it calls again, since the decoder
    /// goes on from behind it; after
    /// [`Decoded::NeedMore`] the same data comes again with more at its end.
    pub fn decode(&mut self, data: &[u8]) -> Decoded {
        let dots = self.framing == Framing::Dots;
        if self.at_line_start && dots {
            match data {
                [] | [b'.'] | [b'.', CR] => return Decoded::NeedMore,
                // RFC 5321 §4.5.2: a line with a single period is the end.
                [b'.', CR, LF, ..] => return Decoded::End(3),
                [b'.', ..] => {
                    self.at_line_start = false;
                    return Decoded::StuffedDot;
                }
                _ => {}
            }
        }
        let clean = clean_len(data, dots);
        if clean > 0 {
            self.at_line_start = data[..clean].ends_with(b"\r\n");
            return Decoded::Data(clean);
        }
        let flaw = match data {
            [] | [CR] => return Decoded::NeedMore,
            [CR, ..] => Flaw::BareCr,
            [LF, ..] => Flaw::BareLf,
            _ => Flaw::Nul,
        };
        self.at_line_start = false;
        Decoded::Flaw(flaw)
    }

    /// Like [`decode`](Self::decode), for a body that is dropped: looks for nothing but the end. [`Decoded::Data`] is
    /// whatever is not the end, stuffing dots and flaws with it.
    pub fn skip(&mut self, data: &[u8]) -> Decoded {
        if self.framing == Framing::Counted {
            return if data.is_empty() { Decoded::NeedMore } else { Decoded::Data(data.len()) };
        }
        if self.at_line_start {
            match data {
                [] | [b'.'] | [b'.', CR] => return Decoded::NeedMore,
                [b'.', CR, LF, ..] => return Decoded::End(3),
                _ => {}
            }
        }
        let n = match memmem::find(data, b"\r\n.") {
            Some(at) => at + 2,
            None if data.last() == Some(&CR) => data.len() - 1,
            None => data.len(),
        };
        if n == 0 {
            return Decoded::NeedMore;
        }
        self.at_line_start = data[..n].ends_with(b"\r\n");
        Decoded::Data(n)
    }

    /// Whether the content up to here ends with a whole line (or is empty). For [`Framing::Counted`], a CR that is left
    /// over when the count is reached is a [`Flaw::BareCr`].
    pub fn at_line_start(&self) -> bool {
        self.at_line_start
    }
}

/// Bytes looked at in one go: few enough that a flaw costs little, enough to keep the vector units busy.
const WINDOW: usize = 1024;

/// Length of the content at the front of `data` that has no flaw and (with `dots`) no line that begins with a dot; at
/// the end of the data a CR is left out.
fn clean_len(data: &[u8], dots: bool) -> usize {
    if matches!(data, [] | [LF, ..]) {
        return 0;
    }
    let mut at = 0;
    // Each window needs the byte behind it.
    while at + WINDOW < data.len() {
        let (window, next) = (&data[at..at + WINDOW], &data[at + 1..at + 1 + WINDOW]);
        if !is_clean(window, next, dots) {
            break;
        }
        at += WINDOW;
    }
    // An LF at a window's start was judged with the byte before it.
    clean_len_by_line(data, at, dots)
}

/// Whether in `window` each CR has its LF and each LF its CR, there is no NUL, and no line begins with a dot, where
/// `next` is the same text one byte on. Branch-free, so that the compiler makes vector code of it.
fn is_clean(window: &[u8], next: &[u8], dots: bool) -> bool {
    let dot = if dots { b'.' } else { LF };
    let mut flawed = 0u8;
    for (&a, &b) in window.iter().zip(next) {
        let pair = u8::from(a == CR) ^ u8::from(b == LF);
        let line_dot = u8::from(a == LF) & u8::from(b == dot);
        flawed |= pair | line_dot | u8::from(a == 0);
    }
    flawed == 0
}

/// The same by looking at each line ending from `at` on, up to the first thing that is not clean.
fn clean_len_by_line(data: &[u8], mut at: usize, dots: bool) -> usize {
    if at > 0 && data[at] == LF {
        at += 1;
        if dots && data.get(at) == Some(&b'.') {
            return at;
        }
    }
    loop {
        let Some(found) = memchr3(CR, LF, 0, &data[at..]) else { return data.len() };
        at += found;
        if data[at] != CR || data.get(at + 1) != Some(&LF) {
            return at;
        }
        at += 2;
        if dots && data.get(at) == Some(&b'.') {
            return at;
        }
    }
}

/// What an [`Encoder`] does with a CR or LF that is not part of a CRLF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Newlines {
    /// A lone LF becomes CRLF (text files of this world), a lone CR becomes a space.
    Repair,
    /// It is an error: the content is meant to be in wire form.
    Strict,
}

/// A bare CR or LF in content that was to be in wire form, at this offset from the start of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected CRLF line endings only, found a {} at byte {at} of the message", flaw.name())]
pub struct NewlineError {
    /// What was found.
    pub flaw: Flaw,
    /// Where, in bytes of content.
    pub at: u64,
}

/// Writes a body. See the [module docs](self).
///
/// ```
/// use mail_wire::dot::{Encoder, Framing, Newlines};
///
/// let mut wire = Vec::new();
/// let mut encoder = Encoder::new(Framing::Dots, Newlines::Repair);
/// encoder.encode(b"Subject: x\n\n.dot\n", &mut wire)?;
/// encoder.finish(&mut wire)?;
/// assert_eq!(wire, b"Subject: x\r\n\r\n..dot\r\n.\r\n");
/// # Ok::<(), mail_wire::dot::NewlineError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Encoder {
    framing: Framing,
    newlines: Newlines,
    state: Position,
    offset: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    LineStart,
    Middle,
    /// A CR has come and is held back until its successor is known.
    AfterCr,
}

impl Encoder {
    /// An encoder at the start of a body.
    pub const fn new(framing: Framing, newlines: Newlines) -> Self {
        Self { framing, newlines, state: Position::LineStart, offset: 0 }
    }

    /// Appends `content` to `out` in wire form. At most twice as many bytes are appended, plus two.
    ///
    /// # Errors
    ///
    /// With [`Newlines::Strict`], at a bare CR or LF; `out` then holds what came before it.
    pub fn encode(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<(), NewlineError> {
        out.reserve(content.len() + content.len() / 32 + 8);
        let mut rest = content;
        while let Some(&first) = rest.first() {
            if self.state == Position::AfterCr && first != LF {
                self.lone(Flaw::BareCr, self.offset - 1, out)?;
            }
            match (self.state, first) {
                (Position::AfterCr, LF) => {
                    out.extend_from_slice(b"\r\n");
                    rest = self.advance(rest, 1, Position::LineStart);
                    continue;
                }
                (Position::LineStart, b'.') if self.framing == Framing::Dots => out.push(b'.'),
                _ => {}
            }
            self.state = Position::Middle;
            let plain = memchr2(CR, LF, rest).unwrap_or(rest.len());
            out.extend_from_slice(&rest[..plain]);
            rest = self.advance(rest, plain, Position::Middle);
            match rest {
                [] => {}
                [CR, LF, ..] => {
                    out.extend_from_slice(b"\r\n");
                    rest = self.advance(rest, 2, Position::LineStart);
                }
                [CR, ..] => rest = self.advance(rest, 1, Position::AfterCr),
                _ => {
                    self.lone(Flaw::BareLf, self.offset, out)?;
                    rest = self.advance(rest, 1, Position::LineStart);
                }
            }
        }
        Ok(())
    }

    /// Ends the body: completes the last line, and with [`Framing::Dots`] appends the line with the dot.
    ///
    /// # Errors
    ///
    /// With [`Newlines::Strict`], if the content ends with a bare CR.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), NewlineError> {
        if self.state == Position::AfterCr {
            self.lone(Flaw::BareCr, self.offset - 1, out)?;
            self.state = Position::Middle;
        }
        if self.state == Position::Middle {
            out.extend_from_slice(b"\r\n");
        }
        if self.framing == Framing::Dots {
            out.extend_from_slice(b".\r\n");
        }
        Ok(())
    }

    /// Bytes of content taken so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    fn advance<'a>(&mut self, rest: &'a [u8], n: usize, state: Position) -> &'a [u8] {
        self.offset += n as u64;
        self.state = state;
        &rest[n..]
    }

    fn lone(&mut self, flaw: Flaw, at: u64, out: &mut Vec<u8>) -> Result<(), NewlineError> {
        match (self.newlines, flaw) {
            (Newlines::Strict, _) => return Err(NewlineError { flaw, at }),
            (Newlines::Repair, Flaw::BareLf) => out.extend_from_slice(b"\r\n"),
            (Newlines::Repair, _) => out.push(b' '),
        }
        self.state = Position::Middle;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a body decodes to: content with `<CR>`, `<LF>`, `<NUL>` for flaws, and what is left after the end.
    fn decode(wire: &[u8], framing: Framing, chunk: usize) -> (Vec<u8>, Option<Vec<u8>>) {
        let (mut decoder, mut content) = (Decoder::new(framing), Vec::new());
        let (mut start, mut end) = (0, 0);
        loop {
            match decoder.decode(&wire[start..end]) {
                Decoded::Data(n) => {
                    assert!(n > 0);
                    content.extend_from_slice(&wire[start..start + n]);
                    start += n;
                }
                Decoded::StuffedDot => start += 1,
                Decoded::Flaw(flaw) => {
                    content.extend_from_slice(match flaw {
                        Flaw::BareCr => b"<CR>",
                        Flaw::BareLf => b"<LF>",
                        Flaw::Nul => b"<NUL>",
                    });
                    start += 1;
                }
                Decoded::End(n) => return (content, Some(wire[start + n..].to_vec())),
                Decoded::NeedMore if end == wire.len() => return (content, None),
                Decoded::NeedMore => end = (end + chunk).min(wire.len()),
            }
        }
    }

    #[test]
    fn only_crlf_dot_crlf_ends_a_body() {
        let cases: &[(&[u8], &[u8], bool)] = &[
            (b".\r\n", b"", true),
            (b"..\r\n.\r\n", b".\r\n", true),
            (b"a\r\n.\r\n", b"a\r\n", true),
            (b"a\r\n..b\r\n...\r\n.\r\n", b"a\r\n.b\r\n..\r\n", true),
            (b"a\r\n.b\r\n.\r\n", b"a\r\nb\r\n", true),
            (b"a\n.\n", b"a<LF>.<LF>", false),
            (b"a\n.\r\n", b"a<LF>.\r\n", false),
            (b"a\r\n.\nb", b"a\r\n<LF>b", false),
            (b"a\n.\rb", b"a<LF>.<CR>b", false),
            (b"a\r.\nb", b"a<CR>.<LF>b", false),
            (b"a\r.\rb", b"a<CR>.<CR>b", false),
            (b"a\r.\r\n", b"a<CR>.\r\n", false),
            (b"a\r\n.\rb", b"a\r\n<CR>b", false),
            (b"a\r\n\0.\r\n", b"a\r\n<NUL>.\r\n", false),
            (b"a\r\n.\0\r\n", b"a\r\n<NUL>\r\n", false),
            (b"a\r\n.\r\r\n", b"a\r\n<CR>\r\n", false),
            (b"a\r\r\n.\r\r\n", b"a<CR>\r\n<CR>\r\n", false),
            (b"a\n\n.\r\n", b"a<LF><LF>.\r\n", false),
            (b"a\n\r.\n\rb", b"a<LF><CR>.<LF><CR>b", false),
            (b"a\r\n. \r\n", b"a\r\n \r\n", false),
            (b"a\r\n.\t\r\n", b"a\r\n\t\r\n", false),
            (b"a\r\n .\r\n", b"a\r\n .\r\n", false),
            (b"a\r\n..\r\n", b"a\r\n.\r\n", false),
            (b"a\r\n.\x0b\r\n", b"a\r\n\x0b\r\n", false),
            (b"a\r\n.\xc2\x85\r\n", b"a\r\n\xc2\x85\r\n", false),
            (b"a\r\n\xe2\x80\xa8.\xe2\x80\xa8\r\n", b"a\r\n\xe2\x80\xa8.\xe2\x80\xa8\r\n", false),
        ];
        for (wire, content, ends) in cases {
            for chunk in [1, 2, 3, 4096] {
                let mut wire = wire.to_vec();
                wire.extend_from_slice(if *ends { b"NOOP\r\n" } else { b"" });
                let rest = ends.then(|| b"NOOP\r\n".to_vec());
                let expected = (content.to_vec(), rest);
                assert_eq!(
                    decode(&wire, Framing::Dots, chunk),
                    expected,
                    "{} by {chunk}",
                    wire.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn skipping_finds_the_same_end_as_decoding() {
        let wires: &[&[u8]] = &[
            b".\r\nN",
            b"a\r\n.\r\nN",
            b"a\n.\r\nb\r\n..\r\n.\r\nN",
            b"\r\n.\0\r\n\r\n.\r\nN",
            b"..\r\n.\r\nN",
            b"a\r\n.\rb\r\r\n.\r\nN",
            b"x.\r\n.\r\nN",
            b"a\r\n.x\r\n...\r\n.\r\nN",
        ];
        for wire in wires {
            for chunk in [1, 2, 3, 100] {
                let (mut decoder, mut start, mut end) = (Decoder::new(Framing::Dots), 0, 0);
                let rest = loop {
                    match decoder.skip(&wire[start..end]) {
                        Decoded::Data(n) => start += n,
                        Decoded::End(n) => break &wire[start + n..],
                        Decoded::NeedMore => {
                            assert!(end < wire.len(), "{} has an end", wire.escape_ascii());
                            end = (end + chunk).min(wire.len());
                        }
                        other => panic!("{other:?}"),
                    }
                };
                assert_eq!(rest, &b"N"[..rest.len()], "{} by {chunk}", wire.escape_ascii());
            }
        }
    }

    #[test]
    fn counted_bodies_have_no_dots_but_the_same_flaws() {
        for chunk in [1, 4096] {
            let (content, end) = decode(b".\r\n..\r\na\nb\rc\0d", Framing::Counted, chunk);
            assert_eq!((content, end), (b".\r\n..\r\na<LF>b<CR>c<NUL>d".to_vec(), None));
        }
    }

    #[test]
    fn flaws_are_found_at_every_place_around_a_window() {
        for len in [WINDOW - 2, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW, 2 * WINDOW + 1, 3 * WINDOW + 5] {
            for at in 0..len {
                for (odd, shown) in
                    [(&b"\r"[..], &b"<CR>"[..]), (b"\n", b"<LF>"), (b"\0", b"<NUL>"), (b"\r\n..", b"\r\n.")]
                {
                    let mut wire = vec![b'x'; len];
                    wire.splice(at..at, odd.iter().copied());
                    let mut expected = vec![b'x'; len];
                    expected.splice(at..at, shown.iter().copied());
                    expected.extend_from_slice(b"\r\n");
                    wire.extend_from_slice(b"\r\n.\r\n");
                    assert_eq!(
                        decode(&wire, Framing::Dots, 1 << 20),
                        (expected, Some(vec![])),
                        "at {at} of {len}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_encoder_lets_no_bare_newline_and_no_single_dot_out() {
        let cases: &[(&[u8], &[u8])] = &[
            (b"", b".\r\n"),
            (b"a", b"a\r\n.\r\n"),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b"a\n.\nb", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"a\r\n.\r\nb", b"a\r\n..\r\nb\r\n.\r\n"),
            (b".", b"..\r\n.\r\n"),
            (b"a\r.\rb", b"a . b\r\n.\r\n"),
            (b"a\r\r\nb", b"a \r\nb\r\n.\r\n"),
            (b"a\r", b"a \r\n.\r\n"),
            (b"a\n\r.\n\r", b"a\r\n .\r\n \r\n.\r\n"),
            (b"a\r\n\0.\r\n", b"a\r\n\0.\r\n.\r\n"),
        ];
        for (content, wire) in cases {
            for chunk in [1, 2, 3, 100] {
                let mut out = Vec::new();
                let mut encoder = Encoder::new(Framing::Dots, Newlines::Repair);
                for piece in content.chunks(chunk) {
                    encoder.encode(piece, &mut out).unwrap();
                }
                encoder.finish(&mut out).unwrap();
                assert_eq!(out, *wire, "{} by {chunk}", content.escape_ascii());
            }
        }
    }

    #[test]
    fn strict_encoding_names_the_place_of_a_bare_newline() {
        for (content, flaw, at) in
            [(&b"ab\nc"[..], Flaw::BareLf, 2), (b"a\r\nb\rc", Flaw::BareCr, 4), (b"a\r", Flaw::BareCr, 1)]
        {
            for chunk in [1, 100] {
                let mut encoder = Encoder::new(Framing::Dots, Newlines::Strict);
                let mut out = Vec::new();
                let error = content
                    .chunks(chunk)
                    .try_for_each(|piece| encoder.encode(piece, &mut out))
                    .and_then(|()| encoder.finish(&mut out));
                assert_eq!(error, Err(NewlineError { flaw, at }));
            }
        }
    }

    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(proptest::sample::select(&[b'.', CR, LF, 0, b'x', 0x85][..]), 0..200)
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(wire in hostile(), chunk in 1usize..50) {
            let whole = decode(&wire, Framing::Dots, 1 << 20);
            prop_assert_eq!(decode(&wire, Framing::Dots, chunk), whole);
        }

        #[test]
        fn what_is_encoded_decodes_to_the_repaired_content(content in hostile(), chunk in 1usize..50) {
            let (mut out, mut repaired) = (Vec::new(), Vec::new());
            let mut encoder = Encoder::new(Framing::Dots, Newlines::Repair);
            let mut counted = Encoder::new(Framing::Counted, Newlines::Repair);
            for piece in content.chunks(chunk) {
                encoder.encode(piece, &mut out).unwrap();
                counted.encode(piece, &mut repaired).unwrap();
            }
            encoder.finish(&mut out).unwrap();
            counted.finish(&mut repaired).unwrap();
            let (decoded, rest) = decode(&out, Framing::Dots, chunk);
            prop_assert_eq!(rest, Some(vec![]));
            prop_assert_eq!(String::from_utf8_lossy(&decoded).replace("<NUL>", "\0"), String::from_utf8_lossy(&repaired));
        }
    }
}

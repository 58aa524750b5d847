//! [`FrameScanner`]: where a command or response ends, over all its literals.
//!
//! A frame is a line, and where that ends in the announcement of a literal (`{5}`), the literal and the next line, and so on. It
//! is looked at once as it arrives, however it trickles in; the parsers then read it once.
//!
//! Not all that looks like a literal is one. `* OK see section {5}` is text to its end, and between quotes nothing is
//! announced. The scanner knows as much of the grammar as it takes to tell.

use super::chars;
use mail_wire::line::{Flaw, LineScanner, Scan};

/// A literal that a line announces at its end (RFC 9051 §4.3, RFC 7888, RFC 3516).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// Where it is announced, at the `{`, or the `~` of a literal8, in bytes from the start of the frame.
    pub at: usize,
    /// Length in bytes.
    pub len: u64,
    /// Whether the sender waits for a continuation request: `{5}`, not `{5+}`.
    pub synchronizing: bool,
    /// Whether it may hold NUL: `~{5}`.
    pub binary: bool,
}

/// What a look at the data found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The frame is whole: this many bytes, with the CRLF that ends it.
    Frame {
        /// Bytes with the line ending.
        total: usize,
        /// Length of the line ending: 2, or 1 for a bare LF.
        ending: usize,
        /// What its lines hold that they should not.
        flaw: Option<Flaw>,
    },
    /// The line announces a literal, of which the first byte comes at this place. Go on with
    /// [`literal`](FrameScanner::literal) if its bytes stay in the data; if they are taken out, just scan again.
    Literal {
        /// What is announced.
        literal: Announced,
        /// Bytes of the frame so far: up to where the literal begins.
        start: usize,
    },
    /// Neither yet.
    Partial,
    /// The frame is longer than the limit.
    TooLong,
}

/// Which side speaks, so that it is known where text without structure stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// A client: commands.
    Client,
    /// A server: responses, with text that goes on to the end of the line.
    Server,
}

/// Finds frames. It remembers how far it has searched.
///
/// ```
/// use imap_proto::codec::{Found, FrameScanner, Speaker};
///
/// let mut scanner = FrameScanner::new(Speaker::Client);
/// let data = b"a LOGIN {3+}\r\nbob secret\r\nb NOOP\r\n";
/// let Found::Literal { literal, start } = scanner.scan(data, 8192) else { panic!() };
/// assert_eq!((literal.len, literal.synchronizing, start), (3, false, 14));
/// scanner.literal(literal.len as usize);
/// assert_eq!(scanner.scan(data, 8192), Found::Frame { total: 26, ending: 2, flaw: None });
/// ```
#[derive(Debug)]
pub struct FrameScanner {
    speaker: Speaker,
    lines: LineScanner,
    /// Where the line begins that is searched.
    line: usize,
    /// The first flaw of an earlier line.
    flaw: Option<Flaw>,
}

impl FrameScanner {
    /// A scanner at the start of a frame.
    pub const fn new(speaker: Speaker) -> Self {
        Self { speaker, lines: LineScanner::new(), line: 0, flaw: None }
    }

    /// Looks for the end of the frame at the front of `data`, of at most `max` bytes with what literals are part of it.
    ///
    /// After [`Found::Frame`] the caller consumes what it found; after [`Found::Partial`] the same data comes again with more at
    /// its end.
    #[inline]
    pub fn scan(&mut self, data: &[u8], max: usize) -> Found {
        let Some(rest) = data.get(self.line..) else { return Found::Partial };
        let line = match self.lines.scan(rest, max.saturating_sub(self.line)) {
            Scan::Line(line) => line,
            Scan::Partial => return Found::Partial,
            Scan::TooLong => return Found::TooLong,
        };
        let flaw = self.flaw.or(line.flaw);
        let (text, total) = (self.line + line.text, self.line + line.total);
        if let Some(literal) = self.announced(&data[..text]) {
            self.flaw = flaw;
            self.line = total;
            return Found::Literal { literal, start: total };
        }
        self.reset();
        Found::Frame { total, ending: total - text, flaw }
    }

    /// The literal just found is part of the frame: its bytes, `len` of them, lie in the data where it begins.
    pub fn literal(&mut self, len: usize) {
        self.line = self.line.saturating_add(len);
    }

    /// How many bytes of data are needed at least before it makes sense to look again.
    pub fn wanted(&self) -> usize {
        self.line
    }

    /// Forgets what was searched, as after STARTTLS or [`Found::TooLong`].
    pub fn reset(&mut self) {
        *self = Self::new(self.speaker);
    }

    /// What the last line of a frame announces, which ends at its last `}`.
    #[inline]
    fn announced(&self, frame: &[u8]) -> Option<Announced> {
        // Not the last byte of a literal, with nothing behind it.
        match &frame[self.line..] {
            [.., b'}'] => self.announcement(frame),
            _ => None,
        }
    }

    #[cold]
    fn announcement(&self, frame: &[u8]) -> Option<Announced> {
        let line = &frame[self.line..];
        let inner = &line[..line.len() - 1];
        let (inner, synchronizing) = match inner {
            [inner @ .., b'+'] => (inner, false),
            inner => (inner, true),
        };
        let digits = inner.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let open = inner.len() - digits;
        let [before @ .., b'{'] = &inner[..open] else { return None };
        // More than 20 digits are a number that nobody has bytes for, if they are a number at all.
        let len = match digits {
            0 => return None,
            _ => inner[open..]
                .iter()
                .try_fold(0u64, |sum, digit| sum.checked_mul(10)?.checked_add((digit - b'0').into())),
        };
        let (before, binary) = match before {
            [before @ .., b'~'] => (before, true),
            before => (before, false),
        };
        if self.is_text(frame) || in_quotes(before) {
            return None;
        }
        Some(Announced { at: self.line + before.len(), len: len.unwrap_or(u64::MAX), synchronizing, binary })
    }

    /// Whether the frame ends in the text of a status response or of a continuation request, in which nothing is announced.
    fn is_text(&self, frame: &[u8]) -> bool {
        if self.speaker == Speaker::Client {
            return false;
        }
        let (tag, mut rest) = word(frame);
        if tag != b"+" {
            let (status, text) = word(rest);
            const STATUSES: [&[u8]; 5] = [b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"];
            if !STATUSES.iter().any(|known| status.eq_ignore_ascii_case(known)) {
                return false;
            }
            rest = text;
        }
        // Before its closing bracket a response code may have literals.
        match rest.first() {
            Some(b'[') => code_ends(&rest[1..]),
            _ => true,
        }
    }
}

/// The first word, and what stands behind the space after it.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b' ', text).unwrap_or(text.len());
    (&text[..end], text.get(end + 1..).unwrap_or(&[]))
}

/// Whether a line ends between quotes.
fn in_quotes(line: &[u8]) -> bool {
    let mut quoted = false;
    let mut rest = line;
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        // Outside of quotes a backslash begins a flag.
        let escape = rest[at] == b'\\';
        quoted ^= !escape;
        rest = rest.get(at + 1 + usize::from(escape && quoted)..).unwrap_or(&[]);
    }
    quoted
}

/// Whether the bracket of a response code is closed, outside of quotes.
fn code_ends(code: &[u8]) -> bool {
    let mut quoted = false;
    let mut bytes = code.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b']' if !quoted => return true,
            b'"' => quoted = !quoted,
            b'\\' if quoted => _ = bytes.next(),
            _ => {}
        }
    }
    false
}

/// Reads the announcement of a literal at `at`, with its CRLF: what it says, and where the literal begins.
pub(crate) fn announcement_at(frame: &[u8], at: usize) -> Option<(Announced, usize)> {
    let rest = frame.get(at..)?;
    let (binary, rest) = match rest {
        [b'~', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let [b'{', digits @ ..] = rest else { return None };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let len = digits[..count]
        .iter()
        .try_fold(0u64, |sum, digit| sum.checked_mul(10)?.checked_add((digit - b'0').into()))?;
    let (synchronizing, rest) = match &digits[count..] {
        [b'+', rest @ ..] => (false, rest),
        rest => (true, rest),
    };
    let rest = match rest {
        [b'}', b'\r', b'\n', rest @ ..] | [b'}', b'\n', rest @ ..] if count > 0 => rest,
        _ => return None,
    };
    Some((Announced { at, len, synchronizing, binary }, frame.len() - rest.len()))
}

/// Whether a response line that announces a literal announces the content of a message, as FETCH has it, rather than a string:
/// `BODY[…]`, `BINARY[…]` or one of RFC822, RFC822.HEADER and RFC822.TEXT stands right before it.
pub fn announces_content(frame: &[u8], literal: &Announced) -> bool {
    let Some([before @ .., b' ']) = frame.get(..literal.at) else { return false };
    let before = match before {
        // The origin of a partial: `BODY[]<0>`.
        [inner @ .., b'>'] => {
            let digits = inner.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
            match &inner[..inner.len() - digits] {
                [before @ .., b'<'] if digits > 0 => before,
                _ => return false,
            }
        }
        before => before,
    };
    let name = match before {
        [inner @ .., b']'] => {
            let Some(open) = memchr::memrchr(b'[', inner) else { return false };
            let name = last_word(&inner[..open]);
            return name.eq_ignore_ascii_case(b"BODY") || name.eq_ignore_ascii_case(b"BINARY");
        }
        name => last_word(name),
    };
    [&b"RFC822"[..], b"RFC822.HEADER", b"RFC822.TEXT"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

fn last_word(text: &[u8]) -> &[u8] {
    let len = text.iter().rev().take_while(|byte| chars::is(**byte, chars::ATOM)).count();
    &text[text.len() - len..]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frames in the data and what they announce, fed in pieces of a size.
    fn frames(speaker: Speaker, data: &[u8], piece: usize) -> Vec<(String, Vec<u64>)> {
        let mut scanner = FrameScanner::new(speaker);
        let (mut from, mut to) = (0, 0);
        let (mut found, mut literals) = (Vec::new(), Vec::new());
        loop {
            match scanner.scan(&data[from..to], 1000) {
                Found::Frame { total, .. } => {
                    let frame = data[from..from + total].escape_ascii().to_string();
                    found.push((frame, std::mem::take(&mut literals)));
                    from += total;
                }
                Found::Literal { literal, .. } => {
                    literals.push(literal.len);
                    scanner.literal(literal.len as usize);
                }
                Found::Partial if to == data.len() => return found,
                Found::Partial => to = data.len().min(to + piece),
                Found::TooLong => panic!("too long"),
            }
        }
    }

    #[test]
    fn literals_are_told_from_what_looks_like_them() {
        use Speaker::{Client, Server};
        let cases: &[(Speaker, &str, &[u64])] = &[
            (Client, "a NOOP\r\n", &[]),
            (Client, "a LOGIN {3}\r\nbob {4+}\r\npass\r\n", &[3, 4]),
            (Client, "a APPEND x ~{2}\r\n\r\n\r\n", &[2]),
            (Client, "a LOGIN x {2}\r\nx}\r\n", &[2]),
            (Client, "a LOGIN {0}\r\n \"\"\r\n", &[0]),
            (Client, "a SEARCH \"{5}\r\n", &[]),
            (Client, "a SEARCH \"\\\"{5}\r\n", &[]),
            (Client, "a SEARCH \"\\\\\" {2}\r\nxx\r\n", &[2]),
            (Client, "a STORE 1 FLAGS \\Seen {2}\r\nxx\r\n", &[2]),
            (Client, "a X {}\r\n", &[]),
            (Client, "a X {+}\r\n", &[]),
            (Client, "a X {-1}\r\n", &[]),
            (Client, "a X 5}\r\n", &[]),
            (Server, "* OK see section {5}\r\n", &[]),
            (Server, "a NO {5}\r\n", &[]),
            (Server, "+ {5}\r\n", &[]),
            (Server, "+ [BADCHARSET ({2}\r\n]])] {5}\r\n", &[2]),
            (Server, "* OK [ALERT] {5}\r\n", &[]),
            (Server, "* OK [ALERT \"]\" {2}\r\n]]] {5}\r\n", &[2]),
            (Server, "* BYE [\"\\\"]\"] {5}\r\n", &[]),
            (Server, "* OKAY {2}\r\nxx\r\n", &[2]),
            (Server, "* 1 FETCH (BODY[] {5}\r\nOK\r\n) FLAGS ())\r\n", &[5]),
            (Server, "* LIST () \"/\" {3}\r\na}b\r\n", &[3]),
        ];
        for (speaker, data, literals) in cases {
            let twice = [data.as_bytes(), data.as_bytes()].concat();
            let frame = data.as_bytes().escape_ascii().to_string();
            let expected = vec![(frame.clone(), literals.to_vec()), (frame, literals.to_vec())];
            for piece in [1, 2, 7, 1000] {
                assert_eq!(frames(*speaker, &twice, piece), expected, "in pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_literal_of_any_size_is_told_before_its_first_byte() {
        let mut scanner = FrameScanner::new(Speaker::Client);
        let data = b"a X {99999999999999999999999}\r\n";
        let expected = Announced { at: 4, len: u64::MAX, synchronizing: true, binary: false };
        assert_eq!(scanner.scan(data, 100), Found::Literal { literal: expected, start: data.len() });
        assert_eq!(announcement_at(data, 4), None, "a number that large is none");
    }

    #[test]
    fn limits_hold_over_the_whole_frame() {
        let mut scanner = FrameScanner::new(Speaker::Client);
        assert_eq!(scanner.scan(&[b'x'; 100], 100), Found::TooLong);
        scanner.reset();
        let data = b"a LOGIN {3+}\r\nbob secret\r\n";
        assert!(matches!(scanner.scan(data, 20), Found::Literal { .. }));
        scanner.literal(3);
        assert_eq!(scanner.scan(data, 20), Found::TooLong);
    }

    #[test]
    fn flaws_of_all_lines_are_told() {
        for (data, expected) in [
            (&b"a X {1}\nxb\r\n"[..], Some(Flaw::BareLf)),
            (b"a X {1}\r\nxb\n", Some(Flaw::BareLf)),
            (b"a \0X {1}\r\nxb\r\n", Some(Flaw::Nul)),
            (b"a X {1}\r\n\0b\r\n", None),
        ] {
            let mut scanner = FrameScanner::new(Speaker::Client);
            assert!(matches!(scanner.scan(data, 100), Found::Literal { .. }));
            scanner.literal(1);
            let Found::Frame { total, flaw, .. } = scanner.scan(data, 100) else { panic!() };
            assert_eq!((total, flaw), (data.len(), expected), "{}", data.escape_ascii());
        }
    }

    #[test]
    fn the_content_of_a_message_is_told_from_strings() {
        for (line, expected) in [
            ("* 1 FETCH (BODY[] {5}", true),
            ("* 1 FETCH (UID 1 BODY[HEADER.FIELDS (\"a]b\" c)]<12> {5}", true),
            ("* 1 FETCH (binary[1.2] ~{5}", true),
            ("* 1 FETCH (RFC822 {5}", true),
            ("* 1 FETCH (RFC822.HEADER {5}", true),
            ("* 1 FETCH (RFC822.SIZE {5}", false),
            ("* 1 FETCH (ENVELOPE (NIL {5}", false),
            ("* 1 FETCH (XBODY[] {5}", false),
            ("* 1 FETCH (BODY[]<a> {5}", false),
            ("* 1 FETCH (BODY {5}", false),
            ("* LIST () \"/\" {5}", false),
        ] {
            let frame = [line.as_bytes(), b"\r\n"].concat();
            let Found::Literal { literal, .. } = FrameScanner::new(Speaker::Server).scan(&frame, 1000) else {
                panic!("{line}")
            };
            assert_eq!(announces_content(&frame, &literal), expected, "{line}");
        }
    }
}

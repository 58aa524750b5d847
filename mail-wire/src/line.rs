//! The one line scanner: finds the end of a command or reply in what has been received.
//!
//! A line is what ends in LF. Whether the LF had its CR before it, and whether the line holds a bare CR or a NUL, is
//! reported with the line ([`Line::flaw`]) so that the protocol can refuse it by name; nothing is taken for what it
//! is not. The limit holds while bytes arrive: a line over the limit is told as soon as it is over, not at its end.
//! The scanner remembers how far it has searched, so bytes that trickle in are looked at once.

use memchr::{memchr, memchr2};

/// What a line holds that it should not (RFC 5321 §2.3.8: CR and LF only ever come as the pair CRLF).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Flaw {
    /// A CR that is not followed by LF.
    BareCr,
    /// An LF that is not preceded by CR.
    BareLf,
    /// A NUL byte.
    Nul,
}

impl Flaw {
    /// The flaw by its usual name, for reply texts.
    pub const fn name(self) -> &'static str {
        match self {
            Flaw::BareCr => "bare CR",
            Flaw::BareLf => "bare LF",
            Flaw::Nul => "NUL",
        }
    }
}

/// A whole line, as found at the front of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Length of the text, without its line ending.
    pub text: usize,
    /// Length with its line ending: what to consume.
    pub total: usize,
    /// The first flaw, if any.
    pub flaw: Option<Flaw>,
}

/// What a look at the data found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// A line lies at the front of the data.
    Line(Line),
    /// No end of line yet, and the limit is not passed.
    Partial,
    /// The line at the front is longer than the limit. Its end may not have come yet: use
    /// [`discard`](LineScanner::discard) to get rid of it.
    TooLong,
}

/// Finds lines, up to a limit.
///
/// ```
/// use mail_wire::line::{LineScanner, Scan};
///
/// let mut scanner = LineScanner::new();
/// assert_eq!(scanner.scan(b"NOO", 512), Scan::Partial);
/// let Scan::Line(line) = scanner.scan(b"NOOP\r\nQUIT\r\n", 512) else { panic!() };
/// assert_eq!((line.text, line.total, line.flaw), (4, 6, None));
/// ```
#[derive(Debug, Default)]
pub struct LineScanner {
    searched: usize,
}

impl LineScanner {
    /// A scanner at the start of a line.
    pub const fn new() -> Self {
        Self { searched: 0 }
    }

    /// Looks for a line at the front of `data`, of at most `max` bytes with its line ending.
    ///
    /// After [`Scan::Line`] the caller consumes [`Line::total`] bytes; after [`Scan::Partial`] the same data comes
    /// again with more at its end.
    #[inline]
    pub fn scan(&mut self, data: &[u8], max: usize) -> Scan {
        let window = &data[..data.len().min(max)];
        // The usual case in one search: a whole line without a control character.
        if self.searched == 0 {
            let text = printable_len(window);
            if let Some([b'\r', b'\n', ..]) = window.get(text..) {
                return Scan::Line(Line { text, total: text + 2, flaw: None });
            }
        }
        self.search(data, max)
    }

    /// What [`scan`](Self::scan) does for any other line.
    fn search(&mut self, data: &[u8], max: usize) -> Scan {
        let window = &data[..data.len().min(max)];
        let from = self.searched.min(window.len());
        match memchr(b'\n', &window[from..]) {
            Some(at) => {
                self.searched = 0;
                Scan::Line(Self::line(&window[..from + at]))
            }
            None if data.len() >= max => {
                self.searched = 0;
                Scan::TooLong
            }
            None => {
                self.searched = window.len();
                Scan::Partial
            }
        }
    }

    /// Looks for the end of a line that was [too long](Scan::TooLong). Returns how many bytes to consume, and whether
    /// the line ended with them.
    pub fn discard(&mut self, data: &[u8]) -> (usize, bool) {
        self.searched = 0;
        match memchr(b'\n', data) {
            Some(at) => (at + 1, true),
            None => (data.len(), false),
        }
    }

    /// Forgets what was searched: the data was purged.
    pub fn reset(&mut self) {
        self.searched = 0;
    }

    fn line(before_lf: &[u8]) -> Line {
        let total = before_lf.len() + 1;
        let (text, bare_lf) = match before_lf {
            [text @ .., b'\r'] => (text, false),
            text => (text, true),
        };
        let flaw = match memchr2(b'\r', 0, text) {
            Some(at) if text[at] == 0 => Some(Flaw::Nul),
            Some(_) => Some(Flaw::BareCr),
            None if bare_lf => Some(Flaw::BareLf),
            None => None,
        };
        Line { text: text.len(), total, flaw }
    }
}

/// How many bytes at the front are no control characters of ASCII: eight at a time, which for lines as short as most
/// commands and replies is faster than a search that must first find its stride.
fn printable_len(data: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    let (eights, rest) = data.as_chunks::<8>();
    for (index, eight) in eights.iter().enumerate() {
        let word = u64::from_le_bytes(*eight);
        // The high bit of each byte below a space; above the first such byte it may be set in others as well.
        let controls = word.wrapping_sub(ONES * 0x20) & !word & (ONES * 0x80);
        if controls != 0 {
            return index * 8 + controls.trailing_zeros() as usize / 8;
        }
    }
    let rest_len = rest.iter().position(|byte| *byte < b' ').unwrap_or(rest.len());
    data.len() - rest.len() + rest_len
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan_bytewise(data: &[u8], max: usize) -> Scan {
        let mut scanner = LineScanner::new();
        for n in 0..data.len() {
            match scanner.scan(&data[..n], max) {
                Scan::Partial => {}
                found => return found,
            }
        }
        scanner.scan(data, max)
    }

    #[test]
    fn lines_and_their_flaws_are_found_whole_and_byte_by_byte() {
        let cases: &[(&[u8], Scan)] = &[
            (b"NOOP\r\n", Scan::Line(Line { text: 4, total: 6, flaw: None })),
            (b"\r\n", Scan::Line(Line { text: 0, total: 2, flaw: None })),
            (b"NOOP\n", Scan::Line(Line { text: 4, total: 5, flaw: Some(Flaw::BareLf) })),
            (b"\n", Scan::Line(Line { text: 0, total: 1, flaw: Some(Flaw::BareLf) })),
            (b"NOOP\rRSET\r\n", Scan::Line(Line { text: 9, total: 11, flaw: Some(Flaw::BareCr) })),
            (b"NOOP\r\r\n", Scan::Line(Line { text: 5, total: 7, flaw: Some(Flaw::BareCr) })),
            (b"NO\0OP\r\n", Scan::Line(Line { text: 5, total: 7, flaw: Some(Flaw::Nul) })),
            (b"NOOP\r", Scan::Partial),
            (b"", Scan::Partial),
            (b"0123456789abcde", Scan::Partial),
            (b"0123456789abcd\r\n", Scan::Line(Line { text: 14, total: 16, flaw: None })),
            (b"0123456789abcde\r\n", Scan::TooLong),
            (b"0123456789abcdef", Scan::TooLong),
        ];
        for (data, expected) in cases {
            assert_eq!(LineScanner::new().scan(data, 16), *expected, "{:?} whole", data.escape_ascii());
            assert_eq!(scan_bytewise(data, 16), *expected, "{:?} byte by byte", data.escape_ascii());
        }
    }

    #[test]
    fn a_line_too_long_is_discarded_up_to_its_end() {
        let mut scanner = LineScanner::new();
        assert_eq!(scanner.scan(&[b'x'; 40], 16), Scan::TooLong);
        assert_eq!(scanner.discard(&[b'x'; 40]), (40, false));
        assert_eq!(scanner.discard(b"xx\r\nNOOP\r\n"), (4, true));
        assert_eq!(scanner.scan(b"NOOP\r\n", 16), Scan::Line(Line { text: 4, total: 6, flaw: None }));
    }

    #[test]
    fn control_characters_are_found_at_every_place() {
        for len in 0..40 {
            assert_eq!(printable_len(&vec![0xff; len]), len);
            for at in 0..len {
                for (control, others) in [(b'\r', b' '), (0, 0x80), (0x1f, 0x20), (b'\n', 0xff)] {
                    let mut data = vec![others; len];
                    data[at] = control;
                    data[len - 1] = control;
                    assert_eq!(printable_len(&data), at, "{control} in {len} bytes");
                }
            }
        }
    }
}

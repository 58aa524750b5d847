//! Line endings on the way from the wire to the file, and the two sizes that Maildir names carry.
//!
//! The wire ends lines with CRLF, files on Unix with LF. [`Converter`] works on chunks of any size and gives the same
//! result however a message is cut: a CR at the end of a chunk is held until the next octet shows whether it belongs to
//! a line end. CR and LF that stand alone are kept as they are.

use std::convert::Infallible;

use memchr::memchr_iter;

/// How line endings are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineEndings {
    /// CRLF becomes LF, as other programs that read Maildirs expect. CR or LF alone is kept.
    #[default]
    ToLf,
    /// Every octet is stored as given.
    Keep,
}

impl LineEndings {
    /// A whole text as it would be stored.
    ///
    /// ```
    /// assert_eq!(maildrop::LineEndings::ToLf.apply(b"a\r\nb\rc\n"), b"a\nb\rc\n");
    /// ```
    pub fn apply(self, text: &[u8]) -> Vec<u8> {
        let mut stored = Stored(Vec::with_capacity(text.len()));
        let mut converter = Converter::new(self);
        let Ok(()) = converter.push(text, &mut stored).and_then(|()| converter.finish(&mut stored));
        stored.0
    }
}

/// A text in memory.
struct Stored(Vec<u8>);

impl Sink for Stored {
    type Error = Infallible;

    fn append(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Where converted octets go.
pub(crate) trait Sink {
    type Error;

    /// Takes all octets, in order.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Takes a line whose last octet, a CR, is to be stored as LF.
    fn append_line_with_cr(&mut self, line: &[u8]) -> Result<(), Self::Error> {
        self.append(&line[..line.len() - 1])?;
        self.append(b"\n")
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Converter {
    mode: LineEndings,
    /// The last octet stored, an LF before the first: tells whether an LF at the start of the next chunk has a CR before it.
    last: u8,
    /// A CR at the end of the last chunk, not stored yet.
    held_cr: bool,
    /// LFs stored without a CR before them: each counts two octets in the CRLF size.
    lone_lfs: u64,
}

impl Converter {
    pub(crate) fn new(mode: LineEndings) -> Converter {
        Converter { mode, last: b'\n', held_cr: false, lone_lfs: 0 }
    }

    pub(crate) fn mode(&self) -> LineEndings {
        self.mode
    }

    /// Octets by which the message is longer with each line ended by CRLF than as stored so far.
    pub(crate) fn lone_lfs(&self) -> u64 {
        self.lone_lfs
    }

    /// Whether what is stored so far ends with a whole line.
    pub(crate) fn is_ended(&self) -> bool {
        self.last == b'\n'
    }

    pub(crate) fn push<S: Sink>(&mut self, chunk: &[u8], sink: &mut S) -> Result<(), S::Error> {
        if chunk.is_empty() {
            return Ok(());
        }
        match self.mode {
            LineEndings::Keep => self.keep(chunk, sink),
            LineEndings::ToLf => self.convert(chunk, sink),
        }
    }

    /// Stores what is held back: the message ends here.
    pub(crate) fn finish<S: Sink>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        if std::mem::take(&mut self.held_cr) {
            self.last = b'\r';
            sink.append(b"\r")?;
        }
        Ok(())
    }

    fn keep<S: Sink>(&mut self, chunk: &[u8], sink: &mut S) -> Result<(), S::Error> {
        for lf in memchr_iter(b'\n', chunk) {
            let before = if lf > 0 { chunk[lf - 1] } else { self.last };
            self.lone_lfs += u64::from(before != b'\r');
        }
        self.last = chunk[chunk.len() - 1];
        sink.append(chunk)
    }

    fn convert<S: Sink>(&mut self, chunk: &[u8], sink: &mut S) -> Result<(), S::Error> {
        let mut start = 0;
        if self.held_cr {
            self.held_cr = false;
            if chunk[0] == b'\n' {
                self.lone_lfs += u64::from(self.last != b'\r');
                self.last = b'\n';
                sink.append(b"\n")?;
                start = 1;
            } else {
                self.last = b'\r';
                sink.append(b"\r")?;
            }
        }
        let rest = start;
        for lf in memchr_iter(b'\n', &chunk[rest..]) {
            let lf = rest + lf;
            let line = &chunk[start..lf];
            match line {
                [head @ .., b'\r'] => {
                    let before = head.last().copied().unwrap_or(self.last);
                    self.lone_lfs += u64::from(before != b'\r');
                    sink.append_line_with_cr(line)?;
                }
                _ => {
                    let before = line.last().copied().unwrap_or(self.last);
                    self.lone_lfs += u64::from(before != b'\r');
                    sink.append(&chunk[start..=lf])?;
                }
            }
            self.last = b'\n';
            start = lf + 1;
        }
        let mut tail = &chunk[start..];
        if let [head @ .., b'\r'] = tail {
            self.held_cr = true;
            tail = head;
        }
        if let Some(&last) = tail.last() {
            self.last = last;
            sink.append(tail)?;
        }
        Ok(())
    }
}

/// Appends a chunk with a CR before each LF that has none: from the file to the wire. `last` is the octet before the
/// chunk, and becomes its last one.
pub(crate) fn expand(chunk: &[u8], last: &mut u8, out: &mut Vec<u8>) {
    out.reserve(chunk.len() + chunk.len() / 16 + 64);
    let mut start = 0;
    for lf in memchr_iter(b'\n', chunk) {
        let before = if lf > 0 { chunk[lf - 1] } else { *last };
        if before == b'\r' {
            continue;
        }
        out.extend_from_slice(&chunk[start..lf]);
        out.extend_from_slice(b"\r\n");
        start = lf + 1;
    }
    out.extend_from_slice(&chunk[start..]);
    *last = chunk.last().copied().unwrap_or(*last);
}

/// How many octets longer [`expand`] makes a chunk behind the octet `last`.
pub(crate) fn count_lone_lfs(chunk: &[u8], last: u8) -> u64 {
    /// As many as a sum of octets can count.
    const BLOCK: usize = 240;

    let Some(&first) = chunk.first() else { return 0 };
    let is_lone = |before: u8, octet: u8| u8::from(octet == b'\n' && before != b'\r');
    let mut count = u64::from(is_lone(last, first));
    let pairs = chunk.chunks(BLOCK).zip(chunk[1..].chunks(BLOCK));
    for (before, octets) in pairs {
        count += u64::from(before.iter().zip(octets).map(|(&b, &o)| is_lone(b, o)).sum::<u8>());
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Sink for Vec<u8> {
        type Error = Infallible;

        fn append(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
            self.extend_from_slice(bytes);
            Ok(())
        }
    }

    /// Converts chunk by chunk; answers what is stored and the CRLF size.
    fn convert<'a>(mode: LineEndings, chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, u64) {
        let mut converter = Converter::new(mode);
        let mut stored = Vec::new();
        for chunk in chunks {
            converter.push(chunk, &mut stored).unwrap();
        }
        converter.finish(&mut stored).unwrap();
        let crlf_size = stored.len() as u64 + converter.lone_lfs();
        (stored, crlf_size)
    }

    /// The CRLF size computed from the stored octets alone, as a reader of the file would.
    fn crlf_size(stored: &[u8]) -> u64 {
        let lone = (0..stored.len()).filter(|&i| stored[i] == b'\n' && (i == 0 || stored[i - 1] != b'\r'));
        (stored.len() + lone.count()) as u64
    }

    #[test]
    fn line_ends_are_converted_and_sizes_counted() {
        // (mode, given, stored, crlf size)
        type Row = (LineEndings, &'static [u8], &'static [u8], u64);
        use LineEndings::{Keep, ToLf};
        let table: [Row; 14] = [
            (ToLf, b"", b"", 0),
            (ToLf, b"a\r\nb\r\n", b"a\nb\n", 6),
            (ToLf, b"\r\n\r\n", b"\n\n", 4),
            (ToLf, b"a\r\nb", b"a\nb", 4),
            (ToLf, b"a\rb\r\n", b"a\rb\n", 5),
            (ToLf, b"a\nb\r\n", b"a\nb\n", 6),
            (ToLf, b"a\r", b"a\r", 2),
            (ToLf, b"\r", b"\r", 1),
            (ToLf, b"\n", b"\n", 2),
            // A CR before CRLF stays: the file then holds CRLF, which any reader counts as two.
            (ToLf, b"a\r\r\nb\n", b"a\r\nb\n", 6),
            (ToLf, b"\r\r\r\n", b"\r\r\n", 3),
            (Keep, b"a\r\nb\r\n", b"a\r\nb\r\n", 6),
            (Keep, b"a\nb\n", b"a\nb\n", 6),
            (Keep, b"\r", b"\r", 1),
        ];
        for (mode, given, stored, size) in table {
            assert_eq!(convert(mode, [given]), (stored.to_vec(), size), "{mode:?} {}", given.escape_ascii());
            assert_eq!(convert(mode, given.chunks(1)), (stored.to_vec(), size), "octet by octet");
            assert_eq!(crlf_size(stored), size);
        }
    }

    #[test]
    fn lone_line_ends_are_counted_in_blocks_of_any_length() {
        for length in (0..20).chain(230..500) {
            for text in [vec![b'\n'; length], b"x\n\r\n".repeat(length), b"\r\n".repeat(length)] {
                assert_eq!(count_lone_lfs(&text, 0), crlf_size(&text) - text.len() as u64);
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_expanded_has_no_lone_line_end_and_is_as_long_as_was_counted(
            message in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'x')], 0..60),
            size in 1_usize..20,
        ) {
            let (mut out, mut last, mut counted, mut before) = (Vec::new(), 0, 0, 0);
            for chunk in message.chunks(size) {
                counted += count_lone_lfs(chunk, before);
                before = chunk[chunk.len() - 1];
                expand(chunk, &mut last, &mut out);
            }
            prop_assert_eq!(crlf_size(&out), out.len() as u64);
            prop_assert_eq!(out.len() as u64, message.len() as u64 + counted);
            prop_assert_eq!(LineEndings::ToLf.apply(&out), LineEndings::ToLf.apply(&message));
        }

        #[test]
        fn cutting_a_message_does_not_matter(
            message in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'x')], 0..60),
            cuts in proptest::collection::vec(0_usize..60, 0..8),
            keep: bool,
        ) {
            let mode = if keep { LineEndings::Keep } else { LineEndings::ToLf };
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(message.len())).collect();
            cuts.extend([0, message.len()]);
            cuts.sort_unstable();
            let chunks = cuts.windows(2).map(|ends| &message[ends[0]..ends[1]]);
            let (stored, size) = convert(mode, chunks);
            let expected = match mode {
                LineEndings::Keep => message.clone(),
                LineEndings::ToLf => String::from_utf8(message.clone()).unwrap().replace("\r\n", "\n").into_bytes(),
            };
            prop_assert_eq!(&stored, &expected);
            prop_assert_eq!(size, crlf_size(&stored));
        }
    }
}

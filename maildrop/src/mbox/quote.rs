//! `From ` at the start of a line becomes `>From `, so that no reader takes it for the start of a message; and back.

use memchr::memmem;

use crate::from_line::MARK;

/// Quotes a message that comes in chunks of any size. The first line of the message is left alone: it is the From_ line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoter {
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Behind an LF and so many octets of the mark, which are held back.
    LineStart(usize),
    Inside,
}

impl Quoter {
    pub(super) fn new() -> Quoter {
        Quoter { place: Place::Inside }
    }

    pub(super) fn push<E>(
        &mut self,
        mut chunk: &[u8],
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while !chunk.is_empty() {
            match self.place {
                Place::LineStart(held) => {
                    let same = MARK[held..].iter().zip(chunk).take_while(|(mark, byte)| mark == byte).count();
                    chunk = &chunk[same..];
                    if held + same == MARK.len() {
                        sink(b">")?;
                    } else if chunk.is_empty() {
                        self.place = Place::LineStart(held + same);
                        return Ok(());
                    }
                    if held + same > 0 {
                        sink(&MARK[..held + same])?;
                    }
                    self.place = Place::Inside;
                }
                Place::Inside => match memmem::find(chunk, b"\nF") {
                    Some(at) => {
                        sink(&chunk[..=at])?;
                        chunk = &chunk[at + 1..];
                        self.place = Place::LineStart(0);
                    }
                    None => {
                        sink(chunk)?;
                        self.ends_with(chunk);
                        return Ok(());
                    }
                },
            }
        }
        Ok(())
    }

    /// Notes octets that went out as they are.
    pub(super) fn pass<E>(
        &mut self,
        chunk: &[u8],
        sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.finish(sink)?;
        if !chunk.is_empty() {
            self.ends_with(chunk);
        }
        Ok(())
    }

    /// Lets out what is held back.
    pub(super) fn finish<E>(&mut self, mut sink: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if let Place::LineStart(held @ 1..) = self.place {
            self.place = Place::Inside;
            sink(&MARK[..held])?;
        }
        Ok(())
    }

    fn ends_with(&mut self, chunk: &[u8]) {
        self.place = if chunk.ends_with(b"\n") { Place::LineStart(0) } else { Place::Inside };
    }
}

/// Takes one `>` off each line that begins with some and `From `: what mboxrd asks of readers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unquoter {
    place: QuotedPlace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QuotedPlace {
    /// Behind an LF and perhaps some `>`, one of which is held back, and so many octets of the mark, which are, too.
    LineStart {
        quoted: bool,
        held: usize,
    },
    Inside,
}

impl Default for Unquoter {
    /// At the start of a line.
    fn default() -> Unquoter {
        Unquoter { place: QuotedPlace::LineStart { quoted: false, held: 0 } }
    }
}

impl Unquoter {
    pub(crate) fn push(&mut self, mut chunk: &[u8], out: &mut Vec<u8>) {
        while let Some(&first) = chunk.first() {
            match self.place {
                QuotedPlace::LineStart { quoted, held: 0 } if first == b'>' => {
                    let quotes = chunk.iter().take_while(|&&byte| byte == b'>').count();
                    // They are all the same, so whichever is left may be the one that goes.
                    out.extend_from_slice(&chunk[usize::from(!quoted)..quotes]);
                    self.place = QuotedPlace::LineStart { quoted: true, held: 0 };
                    chunk = &chunk[quotes..];
                }
                QuotedPlace::LineStart { quoted, held } => {
                    let same = MARK[held..].iter().zip(chunk).take_while(|(mark, byte)| mark == byte).count();
                    chunk = &chunk[same..];
                    let held = held + same;
                    if held < MARK.len() && chunk.is_empty() {
                        self.place = QuotedPlace::LineStart { quoted, held };
                        return;
                    }
                    release(quoted && held < MARK.len(), held, out);
                    self.place = QuotedPlace::Inside;
                }
                QuotedPlace::Inside => match memmem::find(chunk, b"\n>") {
                    Some(at) => {
                        out.extend_from_slice(&chunk[..=at]);
                        chunk = &chunk[at + 1..];
                        self.place = QuotedPlace::LineStart { quoted: false, held: 0 };
                    }
                    None => {
                        out.extend_from_slice(chunk);
                        self.ends_with(chunk);
                        return;
                    }
                },
            }
        }
    }

    /// Lets out what is held back.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if let QuotedPlace::LineStart { quoted, held } = self.place {
            self.place = QuotedPlace::Inside;
            release(quoted, held, out);
        }
    }

    fn ends_with(&mut self, chunk: &[u8]) {
        self.place = match chunk.last() {
            Some(b'\n') => QuotedPlace::LineStart { quoted: false, held: 0 },
            Some(_) => QuotedPlace::Inside,
            None => self.place,
        };
    }
}

fn release(quoted: bool, held: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(if quoted { b">" } else { b"" });
    out.extend_from_slice(&MARK[..held]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unquote<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> String {
        let (mut unquoter, mut out) = (Unquoter::default(), Vec::new());
        for chunk in chunks {
            unquoter.push(chunk, &mut out);
        }
        unquoter.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_quote_is_taken_off_marks_at_the_start_of_a_line() {
        let table = [
            (">From a\n>>From b\n", "From a\n>From b\n"),
            ("x\n>From a", "x\nFrom a"),
            ("From a\n > From b\n>>From", "From a\n > From b\n>>From"),
            (">>FroFrom \n>>\n>From", ">>FroFrom \n>>\n>From"),
            ("a\n>\n\n>>>From x", "a\n>\n\n>>From x"),
        ];
        for (given, expected) in table {
            assert_eq!(unquote([given.as_bytes()]), expected);
            assert_eq!(unquote(given.as_bytes().chunks(1)), expected, "octet by octet");
        }
    }

    #[test]
    fn no_more_is_held_back_than_a_quote_and_a_mark() {
        let (mut unquoter, mut out) = (Unquoter::default(), Vec::new());
        let line = [&[b'>'; 100_000][..], b"From a\n"].concat();
        for (given, chunk) in line.chunks(100).enumerate() {
            unquoter.push(chunk, &mut out);
            assert!(out.len() + MARK.len() >= given * 100 && out.capacity() <= 2 * line.len());
        }
        unquoter.finish(&mut out);
        assert!(out == line[1..]);
    }

    fn quote<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut quoter = Quoter::new();
        let mut out = Vec::new();
        let mut sink = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok::<(), std::convert::Infallible>(())
        };
        for chunk in chunks {
            quoter.push(chunk, &mut sink).unwrap();
        }
        quoter.finish(&mut sink).unwrap();
        out
    }

    #[test]
    fn only_a_mark_at_the_start_of_a_line_is_quoted() {
        // As procmail does, which was asked.
        let table: [(&[u8], &[u8]); 7] = [
            (b"From a\n\nFrom me\n", b"From a\n\n>From me\n"),
            (b"From a\nFrom b\nTo: x\n", b"From a\n>From b\nTo: x\n"),
            (b"x\n From x\n>From y\nFrom\nFromage\nFrom\tz", b"x\n From x\n>From y\nFrom\nFromage\nFrom\tz"),
            (b"x\nFrom ", b"x\n>From "),
            (b"x\nFro", b"x\nFro"),
            (b"x\nFroFrom \nFFrom ", b"x\nFroFrom \nFFrom "),
            (b"x\n\nFrom \nFrom \n", b"x\n\n>From \n>From \n"),
        ];
        for (given, expected) in table {
            assert_eq!(quote([given]), expected, "{}", given.escape_ascii());
            assert_eq!(quote(given.chunks(1)), expected, "octet by octet");
        }
    }

    #[test]
    fn what_is_passed_over_is_seen_for_its_last_octet() {
        let mut quoter = Quoter::new();
        let mut out = Vec::new();
        let mut sink = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok::<(), std::convert::Infallible>(())
        };
        quoter.push(b"x\nFro", &mut sink).unwrap();
        quoter.pass(b"m me\n", &mut sink).unwrap();
        quoter.push(b"From you", &mut sink).unwrap();
        assert_eq!(out, b"x\nFro>From you");
    }

    proptest! {
        #[test]
        fn unquoting_does_not_depend_on_how_a_text_is_cut(
            words in proptest::collection::vec(prop_oneof![Just("\n"), Just("From "), Just("Fr"), Just(">"), Just("x")], 0..40),
            size in 1_usize..9,
        ) {
            let text = words.concat();
            let lines = text.split_inclusive('\n').map(|line| {
                let plain = line.trim_start_matches('>');
                if plain.starts_with("From ") { line.strip_prefix('>').unwrap_or(line) } else { line }
            });
            prop_assert_eq!(unquote(text.as_bytes().chunks(size)), lines.collect::<String>());
        }

        #[test]
        fn cutting_a_message_does_not_matter_and_no_mark_is_left(
            words in proptest::collection::vec(prop_oneof![Just("\n"), Just("From "), Just("From"), Just("F"), Just(" x")], 0..40),
            size in 1_usize..9,
        ) {
            let message = words.concat().into_bytes();
            let quoted = quote([message.as_slice()]);
            prop_assert_eq!(&quote(message.chunks(size)), &quoted);
            prop_assert!(memmem::find(&quoted, b"\nFrom ").is_none());
            let text = String::from_utf8(quoted).unwrap().replace("\n>From ", "\nFrom ");
            prop_assert_eq!(text.into_bytes(), message);
        }
    }
}

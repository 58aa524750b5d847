//! [`Requoter`]: the half of mboxrd quoting that an mbox does not do of itself.
//!
//! maildrop puts `>` before `From ` at the start of a line. Where a line was `>From ` already, nobody could tell it from that
//! later on; so it gets one `>` more here, and whoever takes one off each has what was sent.

const MARK: &[u8] = b"From ";

/// Adds a `>` to each line that begins with some of them and `From `. The text may come in chunks of any size.
#[derive(Debug, Default)]
pub(crate) struct Requoter {
    place: Place,
}

#[derive(Debug, Default, Clone, Copy)]
enum Place {
    #[default]
    LineStart,
    /// Behind the `>` at the start of a line, and so many bytes of the mark, which are held back.
    Quoted(usize),
    Inside,
}

impl Requoter {
    /// Takes a chunk and gives what is to be written for it.
    pub(crate) fn push<E>(
        &mut self,
        mut chunk: &[u8],
        mut write: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(&first) = chunk.first() {
            match self.place {
                Place::LineStart if first == b'>' => {
                    let quotes = chunk.iter().take_while(|&&byte| byte == b'>').count();
                    write(&chunk[..quotes])?;
                    chunk = &chunk[quotes..];
                    self.place = Place::Quoted(0);
                }
                Place::Quoted(0) if first == b'>' => self.place = Place::LineStart,
                Place::Quoted(held) => {
                    let same = MARK[held..].iter().zip(chunk).take_while(|(mark, byte)| mark == byte).count();
                    chunk = &chunk[same..];
                    if held + same < MARK.len() && chunk.is_empty() {
                        self.place = Place::Quoted(held + same);
                        return Ok(());
                    }
                    if held + same == MARK.len() {
                        write(b">")?;
                    }
                    write(&MARK[..held + same])?;
                    self.place = Place::Inside;
                }
                Place::LineStart | Place::Inside => {
                    let end = memchr::memmem::find(chunk, b"\n>").map(|at| at + 1);
                    let (text, rest) = chunk.split_at(end.unwrap_or(chunk.len()));
                    write(text)?;
                    self.place = if text.ends_with(b"\n") { Place::LineStart } else { Place::Inside };
                    chunk = rest;
                }
            }
        }
        Ok(())
    }

    /// Gives what was held back: the text ends here.
    pub(crate) fn finish<E>(self, mut write: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        match self.place {
            Place::Quoted(held @ 1..) => write(&MARK[..held]),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn requoted(text: &[u8], size: usize) -> Vec<u8> {
        let (mut requoter, mut out) = (Requoter::default(), Vec::new());
        let write = |out: &mut Vec<u8>, bytes: &[u8]| -> Result<(), Infallible> {
            out.extend_from_slice(bytes);
            Ok(())
        };
        for chunk in text.chunks(size) {
            let Ok(()) = requoter.push(chunk, |bytes| write(&mut out, bytes));
        }
        let Ok(()) = requoter.finish(|bytes| write(&mut out, bytes));
        out
    }

    #[test]
    fn lines_that_are_quoted_already_are_quoted_once_more() {
        for (text, expected) in [
            ("From a\n", "From a\n"),
            (">From a\n", ">>From a\n"),
            ("x\n>>From a\n>From b\n", "x\n>>>From a\n>>From b\n"),
            (">From", ">From"),
            (">Fro\n> From \n>\n>>x\n>", ">Fro\n> From \n>\n>>x\n>"),
            ("a >From \n\n>From ", "a >From \n\n>>From "),
            (">FrFrom \n>F>From \n", ">FrFrom \n>F>From \n"),
        ] {
            for size in 1..=text.len() {
                let found = requoted(text.as_bytes(), size);
                assert_eq!(found.escape_ascii().to_string(), expected.as_bytes().escape_ascii().to_string());
            }
        }
    }

    #[test]
    fn each_line_has_one_quote_more_or_is_the_same() {
        let parts = [">", "From ", "F", "\n", "x"];
        for number in 0..parts.len().pow(5) {
            let text: String =
                (0..5).map(|place| parts[number / parts.len().pow(place) % parts.len()]).collect();
            let line = |line: &str| {
                let more = line.starts_with('>') && line.trim_start_matches('>').starts_with("From ");
                format!("{}{line}", if more { ">" } else { "" })
            };
            let expected = text.split('\n').map(line).collect::<Vec<_>>().join("\n");
            for size in [1, 2, 3, 100] {
                assert_eq!(requoted(text.as_bytes(), size), expected.as_bytes(), "{text:?} by {size}");
            }
        }
    }
}

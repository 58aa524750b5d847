//! [`MboxMessage`]: a message from the wire, on its way into an mbox.
//!
//! It is kept apart until it is whole, as an mbox is not to be kept locked while a server takes its time. The fields in which
//! mail readers keep their notes in an mbox (`Status`, `X-IMAP`, `Content-Length`, …) are taken out, as `postoffice` does when
//! it delivers: a sender could have mail shown as read, or hidden, by them. Lines that begin with `From `, or with some `>` and
//! that, get one `>` more (mboxrd), so that what was sent is known again.

use std::io::{self, ErrorKind, Read, Seek, Write};
use std::time::SystemTime;

use maildrop::{FromLine, LineEndings, MboxAppend};
use tempfile::SpooledTempFile;

use super::exit::{Exit, Failure};
use crate::delivery::{HeaderFilter, Requoter};

/// Octets of a message that are kept in memory; what is longer goes to a file.
const IN_MEMORY: usize = 1 << 20;
/// Octets that are read at a time.
const CHUNK: u64 = 64 << 10;

/// A message that comes in chunks of any size, with the line ends of the wire.
pub struct MboxMessage {
    filter: HeaderFilter,
    text: SpooledTempFile,
    /// What the filter let through of a chunk.
    passed: Vec<u8>,
}

impl core::fmt::Debug for MboxMessage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("MboxMessage").field("filter", &self.filter).finish_non_exhaustive()
    }
}

impl Default for MboxMessage {
    fn default() -> Self {
        Self::new()
    }
}

impl MboxMessage {
    /// An empty one. Up to 1 MiB is kept in memory, and what is longer in the folder for temporary files, without a name.
    pub fn new() -> Self {
        let filter = HeaderFilter::new(true).keeping_return_path();
        Self { filter, text: SpooledTempFile::new(IN_MEMORY), passed: Vec::new() }
    }

    /// Takes a chunk.
    ///
    /// # Errors
    /// [`Exit::TempFail`] if the disk is full, or [`Exit::CantCreate`].
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        self.passed.clear();
        self.filter.push(chunk, &mut self.passed);
        self.text.write_all(&self.passed).map_err(not_kept)
    }

    /// The message is whole: appends it, with LF at the ends of lines, and makes it durable.
    ///
    /// # Errors
    /// What [`MboxAppend`] says, or what [`push`](Self::push) does. In each case nothing is left of it in the mbox.
    pub fn append_to(mut self, mut append: MboxAppend) -> Result<(), Failure> {
        self.passed.clear();
        self.filter.finish(&mut self.passed);
        self.text.write_all(&self.passed).and_then(|()| self.text.rewind()).map_err(not_kept)?;
        // Nobody told the sender, nor the time zone of the mailbox.
        append.append(FromLine::new(b"MAILER-DAEMON", SystemTime::now(), 0).as_bytes())?;
        let mut text = self.passed;
        text.clear();
        let (mut requoter, mut last) = (Requoter::default(), b'\n');
        loop {
            // A CR at the end may belong to an LF.
            let held = text.last() == Some(&b'\r');
            text.clear();
            text.extend(held.then_some(b'\r'));
            if (&mut self.text).take(CHUNK).read_to_end(&mut text).map_err(not_kept)? == 0 {
                requoter.push(&text, |text| append.append(text))?;
                requoter.finish(|text| append.append(text))?;
                // The empty line that readers take for the end of a message, whatever lines it ends with itself.
                append.append(if last == b'\n' { b"\n" } else { b"\n\n" })?;
                append.commit()?;
                return Ok(());
            }
            last = text.last().copied().unwrap_or(last);
            let whole = text.strip_suffix(b"\r").unwrap_or(&text);
            requoter.push(&LineEndings::ToLf.apply(whole), |text| append.append(text))?;
        }
    }
}

fn not_kept(error: io::Error) -> Failure {
    let exit = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Exit::TempFail,
        _ => Exit::CantCreate,
    };
    Failure::new(exit, format!("expected room for a message in the folder for temporary files: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use maildrop::Mbox;

    fn stored(message: &[u8], size: usize) -> String {
        let folder = tempfile::tempdir().unwrap();
        let mbox = Mbox::new(folder.path().join("box"));
        let mut taken = MboxMessage::new();
        for chunk in message.chunks(size) {
            taken.push(chunk).unwrap();
        }
        taken.append_to(mbox.begin().unwrap()).unwrap();
        let text = std::fs::read_to_string(mbox.path()).unwrap();
        assert!(text.starts_with("From MAILER-DAEMON "), "{text}");
        text.split_once('\n').unwrap().1.to_owned()
    }

    #[test]
    fn a_message_is_stored_without_notes_however_it_is_cut() {
        for (wire, expected) in [
            (
                "Return-Path: <a@b>\r\nX-IMAP: 1 2\r\nContent-Length: 5000\r\n x\r\nStatus: RO\r\nSubject: x\r\n\r\nStatus: here\r\n",
                "Return-Path: <a@b>\nSubject: x\n\nStatus: here\n\n",
            ),
            ("From x\r\nSubject: x\r\n\r\n\ra\r\r", "X-Mailbox-Line: From x\nSubject: x\n\n\ra\r\r\n\n"),
            (
                "A: b\r\n\r\nFrom a\r\n>From b\r\n> From\r\n>From",
                "A: b\n\n>From a\n>>From b\n> From\n>From\n\n",
            ),
            ("no field\r\n", "\nno field\n\n"),
            ("A: b\r\n\r\n\r\n", "A: b\n\n\n\n"),
        ] {
            for size in 1..=wire.len() {
                assert_eq!(stored(wire.as_bytes(), size), expected, "by {size}");
            }
        }
    }

    #[test]
    fn a_long_message_is_whole() {
        let body = "0123456789\r\n".repeat(IN_MEMORY / 8);
        let text = stored(format!("A: b\r\n\r\n{body}").as_bytes(), 4000);
        assert!(text == format!("A: b\n\n{}\n", body.replace('\r', "")));
    }
}

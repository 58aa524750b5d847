//! The digest of a message, of all that readers leave alone.
//!
//! mutt, Dovecot and others write into the header of a message in an mbox whether it was seen, how long it is, and what
//! number it has. Those fields are left out, and line ends behind the message, some of which whoever appends to the file may
//! have added. With all else, the From_ line and the body too, two messages have the same digest only if they are the same.

use memchr::memchr;
use sha2::{Digest, Sha256};

use super::unique_id::{MessageDigest, digest_of};

/// Fields that readers write, in lower case.
const VOLATILE: [&[u8]; 9] = [
    b"status",
    b"x-status",
    b"x-keywords",
    b"x-uid",
    b"x-imap",
    b"x-imapbase",
    b"content-length",
    b"lines",
    b"x-mozilla-status",
];
/// Octets of a line that tell whether it is such a field.
const LONGEST: usize = 17;

/// Takes a message in chunks of any size.
pub(crate) struct MessageHasher {
    hash: Sha256,
    /// Without the line ends that come last.
    settled: Sha256,
    place: Place,
    /// The start of a header line that is not known to be a field or not.
    held: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At the start of a header line, or a little behind it; `true` if the field before was left out.
    Start {
        skipped: bool,
    },
    /// Inside of a header line.
    Line {
        skipped: bool,
    },
    Body,
}

impl MessageHasher {
    pub(crate) fn new() -> MessageHasher {
        let place = Place::Start { skipped: false };
        MessageHasher { hash: Sha256::new(), settled: Sha256::new(), place, held: Vec::new() }
    }

    pub(crate) fn push(&mut self, mut chunk: &[u8]) {
        while !chunk.is_empty() {
            match self.place {
                Place::Body => {
                    self.update(chunk);
                    return;
                }
                Place::Line { skipped } => {
                    let end = memchr(b'\n', chunk).map(|at| at + 1);
                    let (line, rest) = chunk.split_at(end.unwrap_or(chunk.len()));
                    if !skipped {
                        self.update(line);
                    }
                    if end.is_some() {
                        self.place = Place::Start { skipped };
                    }
                    chunk = rest;
                }
                Place::Start { skipped } => {
                    let (&byte, rest) = chunk.split_first().expect("looked at above");
                    let known = match (byte, self.held.len()) {
                        (b' ' | b'\t', 0) => Some(skipped),
                        (b':', _) => Some(VOLATILE.iter().any(|name| self.held.eq_ignore_ascii_case(name))),
                        (b'\n', _) | (_, LONGEST..) => Some(false),
                        _ => None,
                    };
                    match known {
                        None => {
                            self.held.push(byte);
                            chunk = rest;
                        }
                        Some(skipped) => {
                            let empty = byte == b'\n' && matches!(*self.held, [] | [b'\r']);
                            self.release(skipped);
                            self.place = if empty { Place::Body } else { Place::Line { skipped } };
                        }
                    }
                }
            }
        }
    }

    pub(crate) fn finish(mut self) -> MessageDigest {
        self.release(false);
        digest_of(self.settled)
    }

    fn update(&mut self, piece: &[u8]) {
        let text = piece.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
        if text > 0 {
            self.hash.update(&piece[..text]);
            self.settled = self.hash.clone();
        }
        self.hash.update(&piece[text..]);
    }

    fn release(&mut self, skipped: bool) {
        let held = std::mem::take(&mut self.held);
        if !skipped {
            self.update(&held);
        }
        self.held = held;
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str, step: usize) -> MessageDigest {
        let mut hasher = MessageHasher::new();
        for chunk in text.as_bytes().chunks(step) {
            hasher.push(chunk);
        }
        hasher.finish()
    }

    #[test]
    fn what_readers_write_into_a_header_changes_nothing_and_all_else_does() {
        let message = "From a@b Tue Jan  2 03:04:05 2001\nSubject: x\nTo: y\n\nStatus: RO\nbody\n";
        let same = [
            "From a@b Tue Jan  2 03:04:05 2001\nStatus: RO\nSubject: x\nTo: y\n\nStatus: RO\nbody\n",
            "From a@b Tue Jan  2 03:04:05 2001\nSubject: x\nX-Keywords: a\n b\n\tc\nTo: y\n\nStatus: RO\nbody\n",
            "From a@b Tue Jan  2 03:04:05 2001\nSubject: x\nTo: y\ncontent-LENGTH: 7\nLines: 8\nX-UID: 5\n\nStatus: RO\nbody\n",
            "From a@b Tue Jan  2 03:04:05 2001\nSubject: x\nTo: y\n\nStatus: RO\nbody",
            "From a@b Tue Jan  2 03:04:05 2001\nSubject: x\nTo: y\n\nStatus: RO\nbody\r\n\n\n",
        ];
        let other = [
            "From a@b Tue Jan  2 03:04:06 2001\nSubject: x\nTo: y\n\nStatus: RO\nbody\n",
            "From a@b Tue Jan  2 03:04:05 2001\nSubject: x\nX-Keyword: a\nTo: y\n\nStatus: RO\nbody\n",
            "From a@b Tue Jan  2 03:04:05 2001\nSubject: x\nTo: y\n\nbody\n",
            "From a@b Tue Jan  2 03:04:05 2001\nSubject: x\nTo: y\n",
        ];
        let expected = digest(message, 1000);
        for step in [1, 2, 7, 1000] {
            assert_eq!(digest(message, step), expected);
            for text in same {
                assert_eq!(digest(text, step), expected, "{step} {text}");
            }
            for text in other {
                assert_ne!(digest(text, step), expected, "{step} {text}");
                assert_eq!(digest(text, step), digest(text, 1000), "{step} {text}");
            }
        }
        // A line without end, and one of the length that is looked at.
        for text in ["Stat", "12345678901234567", "1234567890123456789", ""] {
            assert_eq!(digest(text, 1), digest_of(Sha256::new_with_prefix(text)));
        }
    }
}

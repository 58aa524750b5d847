//! The digest of a message, of all that readers leave alone.
//!
//! mutt, Dovecot and others write into the header of a message in an mbox whether it was seen, how long it is, and what
//! number it has. Those fields are left out, and line ends behind the message, some of which whoever appends to the file may
//! have added. With all else, the From_ line and the body too, two messages have the same digest only if they are the same.

use sha2::{Digest, Sha256};

use super::unique_id::{MessageDigest, digest_of};
use crate::mbox::{FieldFilter, FieldKind};

/// Takes a message in chunks of any size.
pub(crate) struct MessageHasher {
    filter: FieldFilter,
    text: Text,
}

struct Text {
    hash: Sha256,
    /// Without the line ends that come last.
    settled: Sha256,
}

impl MessageHasher {
    pub(crate) fn new() -> MessageHasher {
        let filter = FieldFilter::new(|kind| kind != FieldKind::Other);
        MessageHasher { filter, text: Text { hash: Sha256::new(), settled: Sha256::new() } }
    }

    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.filter.push(chunk, |piece| self.text.update(piece));
    }

    pub(crate) fn finish(mut self) -> MessageDigest {
        self.filter.finish(|piece| self.text.update(piece));
        digest_of(self.text.settled)
    }
}

impl Text {
    fn update(&mut self, piece: &[u8]) {
        let text = piece.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
        if text > 0 {
            self.hash.update(&piece[..text]);
            self.settled = self.hash.clone();
        }
        self.hash.update(&piece[text..]);
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
        for text in ["Stat", &"x".repeat(64), &"x".repeat(66), ""] {
            assert_eq!(digest(text, 1), digest_of(Sha256::new_with_prefix(text)));
        }
    }
}

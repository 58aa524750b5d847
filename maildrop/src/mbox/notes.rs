//! Fields in which mail readers keep their notes in the header of a message in an mbox: whether it was read, its number, how
//! long it is, and data of the folder.
//!
//! The notes are no part of the message. Whoever reads it over POP3 or IMAP is shown none of them, as with Dovecot, or a
//! message would become another, of another length, when it is marked as seen; and whoever writes a message into an mbox
//! takes out those that came with it.

use memchr::memchr;

/// The names of the header fields that are notes of mail readers in an mbox, in lower case. Blanks may stand between name and
/// colon.
pub const MBOX_NOTES: [&str; 7] =
    ["status", "x-status", "x-keywords", "x-uid", "x-imap", "x-imapbase", "content-length"];
/// What some readers write too, and all show.
const FIGURES: [&str; 2] = ["lines", "x-mozilla-status"];
/// Octets of a line in which the colon behind its name is looked for.
pub(super) const LONGEST_NAME: usize = 64;

/// What a header field is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldKind {
    /// A note that readers show to nobody.
    Note,
    /// Written by readers, and shown: how many lines a message has, what Mozilla knows of it.
    Figure,
    /// Part of the message.
    Other,
}

impl FieldKind {
    pub(crate) fn of(name: &[u8]) -> FieldKind {
        let name = name.trim_ascii_end();
        let is_among = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        match name {
            _ if is_among(&MBOX_NOTES) => FieldKind::Note,
            _ if is_among(&FIGURES) => FieldKind::Figure,
            _ => FieldKind::Other,
        }
    }
}

/// Leaves fields out of the header of a message that comes in chunks of any size, with their continuation lines.
pub(crate) struct FieldFilter {
    leaves_out: fn(FieldKind) -> bool,
    place: Place,
    /// The start of a header line that is not known to be a field or not.
    held: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At the start of a header line, or a little behind it; whether the field before was left out.
    Start {
        skipped: bool,
    },
    /// Inside of a header line.
    Line {
        skipped: bool,
    },
    Body,
}

impl FieldFilter {
    pub(crate) fn new(leaves_out: fn(FieldKind) -> bool) -> FieldFilter {
        FieldFilter { leaves_out, place: Place::Start { skipped: false }, held: Vec::new() }
    }

    /// Takes a chunk, and gives what stays.
    pub(crate) fn push(&mut self, mut chunk: &[u8], mut keep: impl FnMut(&[u8])) {
        while !chunk.is_empty() {
            match self.place {
                Place::Body => {
                    keep(chunk);
                    return;
                }
                Place::Line { skipped } => {
                    let end = memchr(b'\n', chunk).map(|at| at + 1);
                    let (line, rest) = chunk.split_at(end.unwrap_or(chunk.len()));
                    if !skipped {
                        keep(line);
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
                        (b'\n', _) | (_, LONGEST_NAME..) => Some(false),
                        (b':', _) => Some((self.leaves_out)(FieldKind::of(&self.held))),
                        _ => None,
                    };
                    match known {
                        None => {
                            self.held.push(byte);
                            chunk = rest;
                        }
                        Some(skipped) => {
                            let empty = byte == b'\n' && matches!(*self.held, [] | [b'\r']);
                            if !skipped {
                                keep(&self.held);
                            }
                            self.held.clear();
                            self.place = if empty { Place::Body } else { Place::Line { skipped } };
                        }
                    }
                }
            }
        }
    }

    /// Gives what was held back.
    pub(crate) fn finish(&mut self, keep: impl FnOnce(&[u8])) {
        if !self.held.is_empty() {
            keep(&self.held);
            self.held.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_left_out_of_the_header_however_it_is_cut() {
        // (message, what is shown of it). Dovecot 2.3 leaves out the same fields, with any number of blanks in them.
        let long = |blanks: usize, shown: bool| {
            let field = format!("Status{}: RO\n", " ".repeat(blanks));
            let rest = if shown { format!("{field}S: x\n\n") } else { "S: x\n\n".to_owned() };
            (format!("{field}S: x\n\n"), rest)
        };
        let table = [
            ("", ""),
            ("S: x\nTo: y\n\nbody\n", "S: x\nTo: y\n\nbody\n"),
            ("Status: RO\n\nStatus: RO\n", "\nStatus: RO\n"),
            ("Status: RO\nX-Status: A\n cont\n\tmore\nTo: y\n folded\n\n", "To: y\n folded\n\n"),
            ("X-Keywords: a\n b\nX-UID: 7\nX-IMAP: 5 6\nX-IMAPbase: 1 9\nContent-Length: 9\n 1\n\nb", "\nb"),
            ("status:\r\nS: x\r\nX-KEYWORDS:\r\n\r\nX-UID: 7\r\n", "S: x\r\n\r\nX-UID: 7\r\n"),
            ("Status : O\nX-UID\t: 8\nS: x\n\n", "S: x\n\n"),
            ("X-UID\n : 9\nS: x\n\n", "X-UID\n : 9\nS: x\n\n"),
            ("Lines: 3\nX-Mozilla-Status: 1\nX-UIDL: a\n", "Lines: 3\nX-Mozilla-Status: 1\nX-UIDL: a\n"),
            (
                "X-Spam-Status: x\nX-Status-x: y\nX-Mozilla-Keys: 3\n",
                "X-Spam-Status: x\nX-Status-x: y\nX-Mozilla-Keys: 3\n",
            ),
            // Lines that do not end, and that are no fields.
            ("Stat", "Stat"),
            ("Status", "Status"),
            ("Status:", ""),
            ("S: x\nStatus: R", "S: x\n"),
            ("S: x\nX-UID: 1\n more", "S: x\n"),
            (" Status: x\nStatus\nX-UID\n", " Status: x\nStatus\nX-UID\n"),
            ("\r", "\r"),
            ("\nStatus: R\n", "\nStatus: R\n"),
            ("\r\r\nStatus: R\n\n", "\r\r\n\n"),
        ]
        .map(|(message, shown)| (message.to_owned(), shown.to_owned()));
        let longest = [long(LONGEST_NAME - 7, false), long(LONGEST_NAME - 6, true), long(1000, true)];
        for (message, shown) in table.into_iter().chain(longest) {
            for step in [1, 2, 3, 7, 1000] {
                let mut filter = FieldFilter::new(|kind| kind == FieldKind::Note);
                let mut out = Vec::new();
                for chunk in message.as_bytes().chunks(step) {
                    filter.push(chunk, |piece| out.extend_from_slice(piece));
                    assert!(filter.held.len() <= LONGEST_NAME);
                }
                filter.finish(|piece| out.extend_from_slice(piece));
                assert_eq!(String::from_utf8(out).unwrap(), shown, "{message:?} by {step}");
            }
        }
    }
}

//! [`HeaderFilter`]: what happens to the header of a message while it streams by.
//!
//! The fields that we put before a message must not run into it: where it does not begin with a field, an empty line is
//! put in, and a `From ` line of a mailbox becomes a field, `X-Mailbox-Line`, as other servers have it.
//!
//! `Received` fields are counted, so that a message that goes round in circles is noticed (RFC 5321 §6.3), and
//! `Return-Path` fields are taken out, since the one we add is to be the only one (RFC 5321 §4.4). So are, where a message
//! is for an mbox, the fields in which mail readers keep their notes there: a sender could have mail shown as read, or hidden,
//! by them.

use maildrop::MBOX_NOTES;

/// Longest beginning of a line that is looked at: a field name, blanks behind it, and its colon.
const LOOK: usize = 24;

/// Longest beginning of a message in which the colon of its first field is looked for.
const FIRST: usize = 256;
/// Most bytes that are held back or put in, at any time.
pub(crate) const HELD: usize = FIRST + LOOK;

/// Where a filtered message goes.
pub(crate) trait Take {
    fn take(&mut self, bytes: &[u8]);
}

impl Take for Vec<u8> {
    fn take(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Takes a message that nobody wants.
pub(crate) struct Nowhere;

impl Take for Nowhere {
    fn take(&mut self, _: &[u8]) {}
}

/// Filters a message that comes in slices of any size.
#[derive(Debug)]
pub(crate) struct HeaderFilter {
    state: State,
    /// Whether [`MBOX_NOTES`] are taken out.
    drops_notes: bool,
    /// Whether `Return-Path` fields are taken out.
    drops_return_path: bool,
    /// The beginning of the message, while it is not known whether that is a field.
    first: Vec<u8>,
    /// The beginning of a line whose kind is not known yet.
    held: [u8; LOOK],
    len: usize,
    /// Whether the last field was taken out, and its continuation lines with it.
    dropped: bool,
    received: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning of the message, which is being held.
    First,
    /// At the beginning of a header line, which is being held.
    Begin,
    /// Within a line that stays.
    Keep,
    /// Within a line that goes.
    Drop,
    /// Behind the header.
    Body,
}

/// What the beginning of a message shows.
enum First {
    Unknown,
    /// A field, or the empty line behind the header.
    Header,
    /// `From `, as it stands before a message in a mailbox.
    FromLine,
    /// Something else.
    Text,
}

/// What the beginning of a line shows.
enum Line {
    Unknown,
    End,
    Continuation,
    Received,
    ReturnPath,
    Note,
    Other,
}

impl HeaderFilter {
    /// Says whether the message is for an mbox.
    pub(crate) fn new(for_mbox: bool) -> Self {
        Self {
            state: State::First,
            drops_notes: for_mbox,
            drops_return_path: true,
            first: Vec::new(),
            held: [0; LOOK],
            len: 0,
            dropped: false,
            received: 0,
        }
    }

    /// For messages that were delivered before, whose `Return-Path` is the true one.
    pub(crate) fn keeping_return_path(self) -> Self {
        Self { drops_return_path: false, ..self }
    }

    /// How many `Received` fields there were so far.
    pub(crate) fn received_fields(&self) -> u32 {
        self.received
    }

    /// Whether the header is not over yet.
    pub(crate) fn is_in_header(&self) -> bool {
        self.state != State::Body
    }

    /// Gives `out` what is to be kept of `chunk`.
    pub(crate) fn push(&mut self, mut chunk: &[u8], out: &mut impl Take) {
        while !chunk.is_empty() {
            match self.state {
                State::Body => {
                    out.take(chunk);
                    return;
                }
                State::First => {
                    self.first.push(chunk[0]);
                    chunk = &chunk[1..];
                    self.begin(out);
                }
                State::Begin => {
                    self.held[self.len] = chunk[0];
                    self.len += 1;
                    chunk = &chunk[1..];
                    self.decide(out);
                }
                State::Keep | State::Drop => {
                    let end = memchr::memchr(b'\n', chunk).map_or(chunk.len(), |at| at + 1);
                    if self.state == State::Keep {
                        out.take(&chunk[..end]);
                    }
                    if chunk[end - 1] == b'\n' {
                        self.state = State::Begin;
                    }
                    chunk = &chunk[end..];
                }
            }
        }
    }

    /// The message is over: gives what was still held.
    pub(crate) fn finish(&mut self, out: &mut impl Take) {
        if !self.first.is_empty() {
            out.take(b"\r\n");
            out.take(&std::mem::take(&mut self.first));
        }
        out.take(&self.held[..self.len]);
        self.len = 0;
        self.state = State::Body;
    }

    /// Looks whether the message begins with a field.
    fn begin(&mut self, out: &mut impl Take) {
        let begins = first(&self.first);
        if matches!(begins, First::Unknown) {
            return;
        }
        let held = std::mem::take(&mut self.first);
        match begins {
            First::Unknown | First::Header => {
                self.state = State::Begin;
                self.push(&held, out);
            }
            First::FromLine => {
                out.take(b"X-Mailbox-Line: ");
                out.take(&held);
                self.state = State::Keep;
            }
            First::Text => {
                out.take(b"\r\n");
                out.take(&held);
                self.state = State::Body;
            }
        }
    }

    fn decide(&mut self, out: &mut impl Take) {
        let held = &self.held[..self.len];
        let kind = kind(held);
        let keep = match kind {
            Line::Unknown => return,
            Line::Continuation => !self.dropped,
            Line::ReturnPath => !self.drops_return_path,
            Line::Note => !self.drops_notes,
            Line::Received => {
                self.received = self.received.saturating_add(1);
                true
            }
            Line::Other | Line::End => true,
        };
        let ended = held.ends_with(b"\n");
        let state = match kind {
            Line::End => State::Body,
            _ if ended => State::Begin,
            _ if keep => State::Keep,
            _ => State::Drop,
        };
        if keep {
            out.take(held);
        }
        self.dropped = !keep;
        self.state = state;
        self.len = 0;
    }
}

fn first(held: &[u8]) -> First {
    match held {
        b"\r" => return First::Unknown,
        b"\n" | b"\r\n" => return First::Header,
        _ => {}
    }
    let quotes = held.iter().take_while(|byte| **byte == b'>').count();
    let line = &held[quotes..];
    let n = line.len().min(b"From ".len());
    if line[..n].eq_ignore_ascii_case(&b"From "[..n]) {
        return match held.len() {
            _ if n == b"From ".len() => First::FromLine,
            0..FIRST => First::Unknown,
            _ => First::Text,
        };
    }
    let name = held.iter().take_while(|byte| matches!(byte, b'!'..=b'~') && **byte != b':').count();
    match held[name..].iter().find(|byte| !matches!(byte, b' ' | b'\t')) {
        Some(b':') if name > 0 => First::Header,
        None if name > 0 && held.len() < FIRST => First::Unknown,
        _ => First::Text,
    }
}

fn kind(held: &[u8]) -> Line {
    match held {
        [b' ' | b'\t', ..] => return Line::Continuation,
        b"\n" | b"\r\n" => return Line::End,
        b"\r" => return Line::Unknown,
        _ => {}
    }
    let ours = [(&b"received"[..], Line::Received), (b"return-path", Line::ReturnPath)];
    for (name, line) in ours.into_iter().chain(MBOX_NOTES.map(|name| (name.as_bytes(), Line::Note))) {
        let n = name.len().min(held.len());
        if !held[..n].eq_ignore_ascii_case(&name[..n]) {
            continue;
        }
        // RFC 5322 §4.5 lets blanks stand between name and colon.
        let rest = held.get(name.len()..).unwrap_or_default();
        return match rest.iter().find(|byte| !matches!(byte, b' ' | b'\t')) {
            Some(b':') => line,
            // Another name may begin with this one.
            Some(_) => continue,
            // So many blanks stand there only to hide what the field is.
            None if held.len() == LOOK => line,
            None => Line::Unknown,
        };
    }
    Line::Other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str, size: usize) -> (String, u32) {
        filter_for(false, text, size)
    }

    fn filter_for(mbox: bool, text: &str, size: usize) -> (String, u32) {
        let (mut filter, mut out) = (HeaderFilter::new(mbox), Vec::new());
        for chunk in text.as_bytes().chunks(size) {
            filter.push(chunk, &mut out);
        }
        filter.finish(&mut out);
        (String::from_utf8(out).unwrap(), filter.received_fields())
    }

    #[test]
    fn what_mail_readers_keep_in_an_mbox_does_not_come_from_a_sender() {
        let text = "Status: RO\r\nSubject: x\r\nx-imapbase: 1\r\n 2\r\nX-IMAP : 3\r\nX-Im: 4\r\nX-Statuses: 5\r\n\
                    content-length:6\r\nX-UID: 7\r\nX-Keywords: 8\r\nX-STATUS: A\r\nTo: a\r\n\r\nStatus: RO\r\n";
        let left = "Subject: x\r\nX-Im: 4\r\nX-Statuses: 5\r\nTo: a\r\n\r\nStatus: RO\r\n";
        for size in 1..text.len() {
            assert_eq!(filter_for(true, text, size).0, left);
            assert_eq!(filter_for(false, text, size).0, text);
        }
    }

    #[test]
    fn no_more_of_a_message_is_held_than_its_first_bytes() {
        for byte in [">", "a", "\t"] {
            let (mut filter, mut out) = (HeaderFilter::new(false), Vec::new());
            filter.push(byte.repeat(FIRST).as_bytes(), &mut out);
            assert_eq!(out, format!("\r\n{}", byte.repeat(FIRST)).as_bytes());
            assert!(filter.first.is_empty());
        }
    }

    #[test]
    fn return_paths_go_received_fields_are_counted_however_the_message_is_cut() {
        let cases = [
            ("", "", 0),
            ("Subject: x\r\n\r\nbody\r\n", "Subject: x\r\n\r\nbody\r\n", 0),
            ("Return-Path: <a@b>\r\nSubject: x\r\n\r\n", "Subject: x\r\n\r\n", 0),
            ("A: 1\r\nRETURN-path :\r\n <a@b>\r\n\tc\r\nB: 2\r\n C\r\n\r\n", "A: 1\r\nB: 2\r\n C\r\n\r\n", 0),
            (
                "Return-Path-X: y\r\nReturn: z\r\nReturn\r\n\r\n",
                "Return-Path-X: y\r\nReturn: z\r\nReturn\r\n\r\n",
                0,
            ),
            (
                "Received: 1\r\nreceived\t: 2\r\n more\r\nReceived-SPF: n\r\n\r\n",
                "Received: 1\r\nreceived\t: 2\r\n more\r\nReceived-SPF: n\r\n\r\n",
                2,
            ),
            (
                "A: 1\r\n\r\nReturn-Path: x\r\nReceived: y\r\n",
                "A: 1\r\n\r\nReturn-Path: x\r\nReceived: y\r\n",
                0,
            ),
            ("\r\nReceived: y\r\n", "\r\nReceived: y\r\n", 0),
            ("A: 1\n\nReturn-Path: x\n", "A: 1\n\nReturn-Path: x\n", 0),
            ("Return-Path", "\r\nReturn-Path", 0),
            ("Received", "\r\nReceived", 0),
            ("A: 1\r\nReceived", "A: 1\r\nReceived", 0),
            ("just text\r\nA: 1\r\n", "\r\njust text\r\nA: 1\r\n", 0),
            (" folded: x\r\nReceived: y\r\n", "\r\n folded: x\r\nReceived: y\r\n", 0),
            ("\tx\r\n", "\r\n\tx\r\n", 0),
            (": x\r\n", "\r\n: x\r\n", 0),
            ("\u{e9}: x\r\n", "\r\n\u{e9}: x\r\n", 0),
            ("From a@b Mon\r\nA: 1\r\n\r\n", "X-Mailbox-Line: From a@b Mon\r\nA: 1\r\n\r\n", 0),
            (">From a\r\nReceived: y\r\n", "X-Mailbox-Line: >From a\r\nReceived: y\r\n", 1),
            ("From: a@b\r\n\r\n", "From: a@b\r\n\r\n", 0),
            ("Fro : x\r\n\r\n", "Fro : x\r\n\r\n", 0),
            ("Return-Path:", "", 0),
            ("Return-Path             :x\r\n y\r\n\r\n", "\r\n", 0),
            ("Received                :x\r\n\r\n", "Received                :x\r\n\r\n", 1),
            ("\rA: 1\r\n\r\n", "\r\n\rA: 1\r\n\r\n", 0),
        ];
        for (text, kept, received) in cases {
            for size in [1, 2, 3, 7, 1000] {
                assert_eq!(filter(text, size), (kept.to_owned(), received), "{text:?} by {size}");
            }
        }
    }
}

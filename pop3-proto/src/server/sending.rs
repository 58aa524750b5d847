//! Messages on their way to the client, whole (RETR) or in part (TOP).

use super::event::{Event, Part, ServerError};
use super::language::Phrase;
use super::machine::{Asked, Server, State, Timer};
use crate::types::{MessageNumber, Refusal};
use mail_wire::Step;
use mail_wire::dot::{Encoder, Framing, Newlines};
use memchr::memchr;

type Next = Option<Step<Event, ServerError>>;

/// A message that is being sent.
#[derive(Debug)]
pub(super) struct Sending {
    encoder: Encoder,
    /// For TOP: where its end is.
    cut: Option<Cut>,
    feed: Feed,
}

/// Whether the embedder knows that it should write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feed {
    /// It is to be told as soon as there is room.
    Due,
    /// It has been told.
    Told,
}

impl Server {
    pub(super) fn retrieve(&mut self, number: MessageNumber, part: Part) -> Next {
        let octets = self.existing(number)?;
        let pending = self.ask(Asked::Retrieve { octets, part });
        Some(Step::Event(Event::Retrieve { number, part, pending }))
    }

    pub(super) fn answer_retrieve(&mut self, answer: Result<(), Refusal>) {
        let Some(Asked::Retrieve { octets, part }) = self.asked() else { return };
        if let Err(refusal) = answer {
            return self.refuse_with(&refusal);
        }
        let cut = match part {
            Part::Whole => {
                self.ok_numbers(&[octets], Phrase::Octets);
                None
            }
            Part::Top(lines) => {
                self.ok(Phrase::TopFollows);
                Some(Cut::new(lines))
            }
        };
        let encoder = Encoder::new(Framing::Dots, Newlines::Repair);
        self.state = State::Sending(Sending { encoder, cut, feed: Feed::Due });
        self.set_timer(Timer::Wait, self.config.timeouts.answer());
    }

    /// Takes content of the message that [`Event::Retrieve`] asked for, as much as there is room for, and gives the number of bytes
    /// taken. Lines end with CRLF, or with LF as in files; a CR by itself becomes a space. Dots are stuffed here.
    ///
    /// What is not taken is to be given again when [`Event::Body`] tells of room. Where no more is wanted, all is taken and dropped:
    /// behind the last line that TOP asks for, and when the connection is over.
    pub fn write_body(&mut self, content: &[u8]) -> usize {
        let room = self.send.room();
        let State::Sending(sending) = &mut self.state else { return content.len() };
        if self.closed.is_some() {
            return content.len();
        }
        sending.feed = Feed::Due;
        let offered = &content[..content.len().min(room)];
        let (wanted, enough) = match &mut sending.cut {
            None => (offered.len(), false),
            Some(cut) => cut.take(offered),
        };
        sending
            .encoder
            .encode(&offered[..wanted], self.send.tail())
            .expect("repairing the encoder takes any content");
        self.set_timer(Timer::Wait, self.config.timeouts.answer());
        if enough { content.len() } else { offered.len() }
    }

    /// Whether [`write_body`](Self::write_body) takes more just now: a message is being sent, there is room for more of it, and
    /// more of it is wanted. So this can end a loop that writes; [`Event::Body`] or [`Event::BodyEnough`] then says how to go on.
    pub fn wants_body(&self) -> bool {
        match &self.state {
            State::Sending(sending) => {
                let enough = sending.cut.as_ref().is_some_and(Cut::is_reached);
                self.closed.is_none() && !enough && !self.send.is_high()
            }
            _ => false,
        }
    }

    /// The message is complete. A last line without its end gets one. Does nothing where no message is being sent.
    pub fn finish_body(&mut self) {
        if self.closed.is_some() {
            return;
        }
        match core::mem::replace(&mut self.state, State::Command) {
            State::Sending(sending) => {
                sending.encoder.finish(self.send.tail()).expect("repairing the encoder takes any content");
                self.await_command();
            }
            other => self.state = other,
        }
    }

    /// Breaks the message off: the rest of it cannot be read. There is no way to tell the client, but to close the connection before
    /// the end of the message. Does nothing where no message is being sent.
    pub fn abort_body(&mut self) {
        if matches!(self.state, State::Sending(_)) {
            self.close(Err(ServerError::BrokenOff));
        }
    }

    /// Tells the embedder to go on, when there is room for a good piece.
    pub(super) fn feed(&mut self) -> Next {
        let room = self.send.room();
        let State::Sending(sending) = &mut self.state else { return None };
        let enough = sending.cut.as_ref().is_some_and(Cut::is_reached);
        let ready = enough || room >= self.config.limits.send_bytes() / 2;
        if sending.feed == Feed::Told || !ready {
            // Commands may wait behind the message, and so may the end of input: it is dealt with when they are read.
            return Some(Step::Blocked);
        }
        sending.feed = Feed::Told;
        Some(Step::Event(if enough { Event::BodyEnough } else { Event::Body }))
    }
}

/// Finds the place in a message where TOP ends: behind the header, the empty line and so many lines of the body (RFC 1939 §7).
#[derive(Debug)]
struct Cut {
    part: CutPart,
    line: LineSoFar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CutPart {
    /// The empty line has yet to come; so many lines are wanted behind it.
    Header(u64),
    /// So many lines are still wanted.
    Body(u64),
}

/// What has come of the line, as far as it matters to know whether it is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineSoFar {
    Nothing,
    Cr,
    Something,
}

impl Cut {
    fn new(lines: u64) -> Self {
        Self { part: CutPart::Header(lines), line: LineSoFar::Nothing }
    }

    fn is_reached(&self) -> bool {
        self.part == CutPart::Body(0)
    }

    /// How much of what comes next is wanted, and whether that is all.
    fn take(&mut self, content: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while !self.is_reached() {
            let rest = &content[at..];
            let end = memchr(b'\n', rest);
            let text = &rest[..end.unwrap_or(rest.len())];
            self.line = match (self.line, text) {
                (line, []) => line,
                (LineSoFar::Nothing, b"\r") => LineSoFar::Cr,
                _ => LineSoFar::Something,
            };
            let Some(end) = end else { return (content.len(), false) };
            at += end + 1;
            let empty = self.line != LineSoFar::Something;
            self.line = LineSoFar::Nothing;
            self.part = match self.part {
                CutPart::Header(lines) if empty => CutPart::Body(lines),
                CutPart::Body(lines) => CutPart::Body(lines - 1),
                header => header,
            };
        }
        (at, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_ends_behind_its_last_line_however_the_message_is_cut() {
        let cases: &[(&str, u64, &str)] = &[
            ("A: b\r\n\r\n1\r\n2\r\n", 0, "A: b\r\n\r\n"),
            ("A: b\r\n\r\n1\r\n2\r\n", 1, "A: b\r\n\r\n1\r\n"),
            ("A: b\n\n1\n2\n", 1, "A: b\n\n1\n"),
            ("A: b\n\n1\n2\n", 9, "A: b\n\n1\n2\n"),
            ("A: b\n\n1\n2", 2, "A: b\n\n1\n2"),
            ("A: b\nC: d\n", 0, "A: b\nC: d\n"),
            ("\n\n\nx\n", 1, "\n\n"),
            ("\r\nx\r\n", 0, "\r\n"),
            ("\r\r\n\r\nx", 0, "\r\r\n\r\n"),
            ("A\r\n \r\n\r\nx", 0, "A\r\n \r\n\r\n"),
            ("", 3, ""),
            ("A: b\n\n1\n", u64::MAX, "A: b\n\n1\n"),
        ];
        for (message, lines, expected) in cases {
            for chunk in [1, 2, 3, 100] {
                let mut cut = Cut::new(*lines);
                let mut taken = String::new();
                for piece in message.as_bytes().chunks(chunk) {
                    let (n, _) = cut.take(piece);
                    taken += core::str::from_utf8(&piece[..n]).unwrap();
                }
                assert_eq!(taken, *expected, "{message:?} {lines} by {chunk}");
            }
        }
    }
}

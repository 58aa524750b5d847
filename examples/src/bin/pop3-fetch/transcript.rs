//! [`Tapped`]: a client whose conversation can be listened to.
//!
//! It sits between driver and client, where there is no TLS any more. What is shown holds no password: what follows PASS, APOP
//! and the mechanism of AUTH is masked, as is what answers a challenge. Of a message its size is told.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::Instant;

use mail_wire::{Connection, Escaped, Io, LayerInfo, Step};
use pop3_proto::client::{Client, ClientError, Event};

/// Longest part of a line that is kept to be shown.
const LONGEST: usize = 1024;

/// A client, with its transcript on standard error if one is wanted.
#[derive(Debug)]
pub(crate) struct Tapped {
    pub(crate) client: Client,
    tap: Option<Box<Tap>>,
}

impl Tapped {
    pub(crate) fn new(client: Client, verbose: bool) -> Self {
        Self { client, tap: verbose.then(Box::default) }
    }
}

impl Connection for Tapped {
    type Event = Event;
    type Error = ClientError;

    fn io(&mut self) -> Io<'_> {
        self.client.io()
    }

    fn received(&mut self, n: usize, now: Instant) {
        if let Some(tap) = &mut self.tap {
            tap.received(&self.client.io().recv[..n], &mut show);
        }
        self.client.received(n, now);
    }

    fn sent(&mut self, n: usize, now: Instant) {
        if let Some(tap) = &mut self.tap {
            tap.sent(&self.client.io().send[..n], &mut show);
        }
        self.client.sent(n, now);
    }

    fn poll(&mut self) -> Step<Event, ClientError> {
        let step = self.client.poll();
        if let (Some(tap), Step::Upgrade(_)) = (&mut self.tap, &step) {
            **tap = Tap { tls: true, ..Tap::default() };
            show("-- TLS handshake");
        }
        step
    }

    fn deadline(&self) -> Option<Instant> {
        self.client.deadline()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
    }

    fn upgraded(&mut self, layer: LayerInfo, now: Instant) {
        if let (Some(_), LayerInfo::Tls(info)) = (&self.tap, &layer) {
            let of = |fact: &Option<String>| fact.clone().unwrap_or_else(|| "unknown".to_owned());
            show(&format!("-- {} with {}", of(&info.version), of(&info.cipher)));
        }
        self.client.upgraded(layer, now);
    }
}

fn show(line: &str) {
    // Nothing is lost if nobody reads it.
    let _ = writeln!(io::stderr(), "{line}");
}

/// What is known from what went by.
#[derive(Debug, Default)]
struct Tap {
    from_server: Line,
    from_client: Line,
    /// What kind of answer each command that was sent will get, the oldest first.
    expected: VecDeque<Answer>,
    /// Lines that follow the status at hand.
    following: Option<Following>,
    greeted: bool,
    /// Whether the greeting went by before TLS.
    tls: bool,
    /// Whether the next line of the client's answers a challenge.
    secret: bool,
}

/// A line as it comes: its length, and the beginning of its text.
#[derive(Debug, Default)]
struct Line {
    text: Vec<u8>,
    length: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Status,
    Listing,
    Message,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Following {
    Listing,
    /// So many bytes so far.
    Message(u64),
}

impl Line {
    /// Takes bytes up to the end of a line; says whether that is there.
    fn take(&mut self, bytes: &mut &[u8]) -> bool {
        let end = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        self.length += part.len() as u64;
        let room = LONGEST.saturating_sub(self.text.len());
        self.text.extend_from_slice(&part[..part.len().min(room)]);
        *bytes = rest;
        end.is_some()
    }
}

impl Tap {
    fn received(&mut self, mut bytes: &[u8], show: &mut impl FnMut(&str)) {
        while self.from_server.take(&mut bytes) {
            let line = std::mem::take(&mut self.from_server);
            let text = line.text.trim_ascii_end();
            match self.following {
                Some(Following::Message(size)) if text == b"." => {
                    show(&format!("S: [{size} bytes of a message]"));
                    show("S: .");
                    self.following = None;
                }
                Some(Following::Message(size)) => {
                    self.following = Some(Following::Message(size + line.length));
                }
                Some(Following::Listing) => {
                    show(&format!("S: {}", Escaped(text)));
                    self.following = self.following.filter(|_| text != b".");
                }
                None => self.status(text, show),
            }
        }
    }

    fn status(&mut self, text: &[u8], show: &mut impl FnMut(&str)) {
        show(&format!("S: {}", Escaped(text)));
        if text.first() == Some(&b'+') && !text.starts_with(b"+OK") {
            self.secret = true;
            return;
        }
        if !std::mem::replace(&mut self.greeted, true) && !self.tls {
            return;
        }
        let answer = self.expected.pop_front().unwrap_or(Answer::Status);
        if text.starts_with(b"+OK") {
            self.following = match answer {
                Answer::Status => None,
                Answer::Listing => Some(Following::Listing),
                Answer::Message => Some(Following::Message(0)),
            };
        }
    }

    fn sent(&mut self, mut bytes: &[u8], show: &mut impl FnMut(&str)) {
        while self.from_client.take(&mut bytes) {
            let line = std::mem::take(&mut self.from_client);
            let text = line.text.trim_ascii_end();
            if std::mem::take(&mut self.secret) {
                show(if text == b"*" { "C: *" } else { "C: [secret]" });
                continue;
            }
            let mut words = text.split(|byte| *byte == b' ');
            let verb = words.next().unwrap_or_default().to_ascii_uppercase();
            let argument = words.next().unwrap_or_default();
            let more = words.next().is_some();
            show(&match verb.as_slice() {
                b"PASS" => "C: PASS [secret]".to_owned(),
                b"APOP" => format!("C: APOP {} [secret]", Escaped(argument)),
                b"AUTH" if more => format!("C: AUTH {} [secret]", Escaped(argument)),
                _ => format!("C: {}", Escaped(text)),
            });
            self.expected.push_back(match verb.as_slice() {
                b"CAPA" => Answer::Listing,
                b"LIST" | b"UIDL" | b"LANG" if argument.is_empty() => Answer::Listing,
                b"RETR" | b"TOP" => Answer::Message,
                _ => Answer::Status,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_shown_without_its_secrets_and_messages() {
        for step in [1, 3, 1000] {
            let (mut tap, mut lines) = (Tap::default(), Vec::new());
            let mut show = |line: &str| lines.push(line.to_owned());
            let mut say = |from_client: bool, text: &str| {
                for chunk in text.as_bytes().chunks(step) {
                    match from_client {
                        true => tap.sent(chunk, &mut show),
                        false => tap.received(chunk, &mut show),
                    }
                }
            };
            say(false, "+OK hello\r\n");
            say(true, "CAPA\r\n");
            say(false, "+OK\r\nUIDL\r\n.\r\n");
            say(true, "AUTH PLAIN AGEAYg==\r\n");
            say(false, "-ERR no\r\n");
            say(true, "AUTH PLAIN\r\n");
            say(false, "+ \r\n");
            say(true, "AGEAYg==\r\n");
            say(false, "-ERR no\r\n");
            say(true, "USER a\r\nPASS b c\r\n");
            say(false, "+OK\r\n+OK\r\n");
            say(true, "LIST 1\r\nRETR 1\r\nRETR 2\r\n");
            say(false, "+OK 1 6\r\n+OK\r\nTop\r\n secret\r\n..\r\n.\r\n-ERR gone\r\n");
            let expected = "S: +OK hello\nC: CAPA\nS: +OK\nS: UIDL\nS: .\nC: AUTH PLAIN [secret]\nS: -ERR no\nC: AUTH PLAIN\n\
                            S: +\nC: [secret]\nS: -ERR no\nC: USER a\nC: PASS [secret]\nS: +OK\nS: +OK\nC: LIST 1\nC: RETR 1\n\
                            C: RETR 2\nS: +OK 1 6\nS: +OK\nS: [18 bytes of a message]\nS: .\nS: -ERR gone";
            assert_eq!(lines.join("\n"), expected, "by {step}");
        }
    }
}

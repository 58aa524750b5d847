//! [`Tapped`]: a client whose conversation can be listened to.
//!
//! It sits between driver and client, where there is no TLS any more. What is shown holds no password: what follows
//! the mechanism of an AUTH command, and what answers a 334, is masked. Of a message its size is told.

use std::io::{self, Write};
use std::time::Instant;

use mail_wire::{Connection, Escaped, Io, LayerInfo, Step};
use smtp_proto::client::{Client, ClientError, Event};

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
            tap.received(&self.client.io().recv[..n]);
        }
        self.client.received(n, now);
    }

    fn sent(&mut self, n: usize, now: Instant) {
        if let Some(tap) = &mut self.tap {
            tap.sent(&self.client.io().send[..n]);
        }
        self.client.sent(n, now);
    }

    fn poll(&mut self) -> Step<Event, ClientError> {
        let step = self.client.poll();
        if let (Some(tap), Step::Upgrade(_)) = (&mut self.tap, &step) {
            tap.show("--", "TLS handshake");
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
        if let (Some(tap), LayerInfo::Tls(info)) = (&mut self.tap, &layer) {
            let unknown = || "unknown".to_owned();
            let version = info.version.clone().unwrap_or_else(unknown);
            let cipher = info.cipher.clone().unwrap_or_else(unknown);
            tap.show("--", &format!("{version} with {cipher}"));
        }
        self.client.upgraded(layer, now);
    }
}

/// What is known from what went by.
#[derive(Debug, Default)]
struct Tap {
    /// The line that is being received.
    from_server: Vec<u8>,
    /// The line that is being sent.
    from_client: Vec<u8>,
    sending: Sending,
}

/// What the client's next bytes are.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Sending {
    #[default]
    Command,
    /// The answer to a challenge.
    Secret,
    /// A message behind DATA, of which so many bytes have gone by.
    Message(u64),
    /// A chunk, of which so many of so many bytes are left.
    Chunk { left: u64, size: u64 },
}

impl Tap {
    fn received(&mut self, mut bytes: &[u8]) {
        while let Some(line) = take_line(&mut self.from_server, &mut bytes) {
            let text = line.trim_ascii_end();
            self.show("S:", &shown(text));
            // The last line of a reply has no hyphen behind its code.
            match text.get(..4) {
                Some(b"334 ") => self.sending = Sending::Secret,
                Some(b"354 ") => self.sending = Sending::Message(0),
                None if text == b"334" => self.sending = Sending::Secret,
                None if text == b"354" => self.sending = Sending::Message(0),
                _ => {}
            }
        }
    }

    fn sent(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if let Sending::Chunk { left, size } = self.sending {
                let n = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                bytes = &bytes[n..];
                let left = left - n as u64;
                self.sending = Sending::Chunk { left, size };
                if left == 0 {
                    self.show("C:", &format!("[{size} bytes of the message]"));
                    self.sending = Sending::Command;
                }
                continue;
            }
            let Some(line) = take_line(&mut self.from_client, &mut bytes) else { return };
            self.line_sent(&line);
        }
    }

    fn line_sent(&mut self, line: &[u8]) {
        let text = line.trim_ascii_end();
        match self.sending {
            Sending::Message(size) if text == b"." => {
                self.show("C:", &format!("[{size} bytes of the message]"));
                self.show("C:", ".");
                self.sending = Sending::Command;
            }
            Sending::Message(size) => self.sending = Sending::Message(size + line.len() as u64),
            Sending::Secret => {
                self.show("C:", if text == b"*" { "*" } else { "[secret]" });
                self.sending = Sending::Command;
            }
            Sending::Command | Sending::Chunk { .. } => {
                self.show("C:", &masked(text));
                if let Some(size) = chunk_size(text) {
                    self.sending =
                        if size == 0 { Sending::Command } else { Sending::Chunk { left: size, size } };
                }
            }
        }
    }

    fn show(&mut self, who: &str, text: &str) {
        // Where nobody listens there is nobody to tell.
        let _ = writeln!(io::stderr(), "{who} {text}");
    }
}

/// Takes a line off `bytes`, with what came of it before. What is left of a line is kept.
fn take_line(begun: &mut Vec<u8>, bytes: &mut &[u8]) -> Option<Vec<u8>> {
    match memchr::memchr(b'\n', bytes) {
        Some(at) => {
            begun.extend_from_slice(&bytes[..=at]);
            *bytes = &bytes[at + 1..];
            Some(std::mem::take(begun))
        }
        None => {
            begun.extend_from_slice(bytes);
            *bytes = &[];
            None
        }
    }
}

fn shown(text: &[u8]) -> String {
    match core::str::from_utf8(text) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => Escaped(text).to_string(),
    }
}

/// A command, without the initial response of AUTH.
fn masked(text: &[u8]) -> String {
    let line = shown(text);
    let mut words = line.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some(verb), Some(mechanism), Some(_)) if verb.eq_ignore_ascii_case("AUTH") => {
            format!("{verb} {mechanism} [secret]")
        }
        _ => line,
    }
}

fn chunk_size(text: &[u8]) -> Option<u64> {
    let text = core::str::from_utf8(text).ok()?.strip_prefix("BDAT ")?;
    text.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_auth_is_masked() {
        for (line, expected) in [
            ("AUTH PLAIN AGEAYg==", "AUTH PLAIN [secret]"),
            ("AUTH LOGIN", "AUTH LOGIN"),
            ("MAIL FROM:<a@b> AUTH=<> SIZE=1", "MAIL FROM:<a@b> AUTH=<> SIZE=1"),
            ("EHLO \u{1b}[2J", "EHLO \\x1b[2J"),
        ] {
            assert_eq!(masked(line.as_bytes()), expected);
        }
    }

    #[test]
    fn the_state_follows_the_conversation_in_any_pieces() {
        for chunk in [1, 3, 1000] {
            let mut tap = Tap::default();
            let feed = |tap: &mut Tap, bytes: &[u8]| bytes.chunks(chunk).for_each(|bytes| tap.sent(bytes));
            tap.received(b"334-x\r\n");
            assert_eq!(tap.sending, Sending::Command);
            tap.received(b"334 Zm9v\r\n");
            assert_eq!(tap.sending, Sending::Secret);
            feed(&mut tap, b"cGVuY2ls\r\n");
            assert_eq!(tap.sending, Sending::Command);
            tap.received(b"354\r\n");
            feed(&mut tap, b"x\r\n..\r\n");
            assert_eq!(tap.sending, Sending::Message(7));
            feed(&mut tap, b".\r\n");
            assert_eq!(tap.sending, Sending::Command);
            feed(&mut tap, b"BDAT 5\r\n.\r\n.");
            assert_eq!(tap.sending, Sending::Chunk { left: 1, size: 5 });
            feed(&mut tap, b"\nBDAT 0 LAST\r\n");
            assert_eq!(tap.sending, Sending::Command);
            assert!(tap.from_client.is_empty());
        }
    }
}

//! [`Tapped`]: a machine whose conversation can be listened to.
//!
//! It sits between driver and machine, where there is no TLS any more. What a [`Tap`] makes of the bytes is the protocol's
//! matter: it shows no password, and of a message the size.

use std::io::{self, Write};
use std::time::Instant;

use mail_wire::{Connection, Escaped, Io, LayerInfo, Step};

/// Longest part of a line that is kept to be shown.
const LONGEST: usize = 1024;

/// Listens to what goes by, in pieces of any length, and shows lines of it.
pub trait Tap: Default {
    /// Bytes from the server.
    fn received(&mut self, bytes: &[u8], show: &mut impl FnMut(&str));

    /// Bytes from the client.
    fn sent(&mut self, bytes: &[u8], show: &mut impl FnMut(&str));

    /// TLS begins; nothing that was begun goes on.
    fn encrypted(&mut self) {}
}

/// A client, with its transcript on standard error if one is wanted.
#[derive(Debug)]
pub struct Tapped<C, T> {
    /// The client.
    pub client: C,
    tap: Option<Box<T>>,
}

impl<C, T: Tap> Tapped<C, T> {
    /// Shows the conversation if it is `wanted`.
    pub fn new(client: C, wanted: bool) -> Self {
        Self { client, tap: wanted.then(Box::default) }
    }
}

impl<C: Connection, T: Tap> Connection for Tapped<C, T> {
    type Event = C::Event;
    type Error = C::Error;

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

    fn poll(&mut self) -> Step<C::Event, C::Error> {
        let step = self.client.poll();
        if let (Some(tap), Step::Upgrade(_)) = (&mut self.tap, &step) {
            tap.encrypted();
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

/// A line as it comes: its length, and the beginning of its text.
#[derive(Debug, Default)]
pub struct Line {
    text: Vec<u8>,
    length: u64,
}

impl Line {
    /// Takes bytes up to the end of a line, and the line if that is there. What is not at its end is kept.
    pub fn take(&mut self, bytes: &mut &[u8]) -> Option<Line> {
        let end = memchr::memchr(b'\n', bytes).map(|at| at + 1);
        let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        self.length += part.len() as u64;
        let room = LONGEST.saturating_sub(self.text.len());
        self.text.extend_from_slice(&part[..part.len().min(room)]);
        *bytes = rest;
        end.map(|_| std::mem::take(self))
    }

    /// The text without its line end, cut if it is very long.
    pub fn text(&self) -> &[u8] {
        self.text.trim_ascii_end()
    }

    /// Bytes, with the line end.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether nothing of it has come yet.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// Text as it is, unless it would do something to a terminal.
pub fn shown(text: &[u8]) -> String {
    match core::str::from_utf8(text) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => Escaped(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_and_long_ones_cut() {
        let mut begun = Line::default();
        let mut lines = Vec::new();
        let long = "x".repeat(3000);
        for chunk in format!("one\r\n{long}\r\nthr").as_bytes().chunks(7) {
            let mut bytes = chunk;
            while let Some(line) = begun.take(&mut bytes) {
                lines.push((line.text().len(), line.length()));
            }
        }
        assert_eq!(lines, [(3, 5), (LONGEST, 3002)]);
        assert!(!begun.is_empty());
    }

    #[test]
    fn nothing_is_done_to_a_terminal() {
        for (text, expected) in [("Grüße", "Grüße"), ("EHLO \u{1b}[2J", "EHLO \\x1b[2J")] {
            assert_eq!(shown(text.as_bytes()), expected);
        }
    }
}

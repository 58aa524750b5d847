//! [`Tap`]: shows an SMTP conversation.
//!
//! What follows the mechanism of an AUTH command, and what answers a 334, is masked. Of a message its size is told.

use mailwright::client::transcript::{self, Line, shown};

/// What is known from what went by.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    /// The line that is being received.
    from_server: Line,
    /// The line that is being sent.
    from_client: Line,
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

impl transcript::Tap for Tap {
    fn received(&mut self, mut bytes: &[u8], show: &mut impl FnMut(&str)) {
        while let Some(line) = self.from_server.take(&mut bytes) {
            let text = line.text();
            show(&format!("S: {}", shown(text)));
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

    fn sent(&mut self, mut bytes: &[u8], show: &mut impl FnMut(&str)) {
        while !bytes.is_empty() {
            if let Sending::Chunk { left, size } = self.sending {
                let n = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                bytes = &bytes[n..];
                let left = left - n as u64;
                self.sending = Sending::Chunk { left, size };
                if left == 0 {
                    show(&format!("C: [{size} bytes of the message]"));
                    self.sending = Sending::Command;
                }
                continue;
            }
            let Some(line) = self.from_client.take(&mut bytes) else { return };
            self.line_sent(&line, show);
        }
    }
}

impl Tap {
    fn line_sent(&mut self, line: &Line, show: &mut impl FnMut(&str)) {
        let text = line.text();
        match self.sending {
            Sending::Message(size) if text == b"." => {
                show(&format!("C: [{size} bytes of the message]"));
                show("C: .");
                self.sending = Sending::Command;
            }
            Sending::Message(size) => self.sending = Sending::Message(size + line.length()),
            Sending::Secret => {
                show(if text == b"*" { "C: *" } else { "C: [secret]" });
                self.sending = Sending::Command;
            }
            Sending::Command | Sending::Chunk { .. } => {
                show(&format!("C: {}", masked(text)));
                if let Some(size) = chunk_size(text) {
                    self.sending =
                        if size == 0 { Sending::Command } else { Sending::Chunk { left: size, size } };
                }
            }
        }
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
    use mailwright::client::transcript::Tap as _;

    #[test]
    fn what_follows_auth_is_masked() {
        for (line, expected) in [
            ("AUTH PLAIN AGEAYg==", "AUTH PLAIN [secret]"),
            ("AUTH LOGIN", "AUTH LOGIN"),
            ("MAIL FROM:<a@b> AUTH=<> SIZE=1", "MAIL FROM:<a@b> AUTH=<> SIZE=1"),
        ] {
            assert_eq!(masked(line.as_bytes()), expected);
        }
    }

    #[test]
    fn the_state_follows_the_conversation_in_any_pieces() {
        for chunk in [1, 3, 1000] {
            let mut tap = Tap::default();
            let feed = |tap: &mut Tap, bytes: &[u8]| {
                bytes.chunks(chunk).for_each(|bytes| tap.sent(bytes, &mut |_| {}))
            };
            tap.received(b"334-x\r\n", &mut |_| {});
            assert_eq!(tap.sending, Sending::Command);
            tap.received(b"334 Zm9v\r\n", &mut |_| {});
            assert_eq!(tap.sending, Sending::Secret);
            feed(&mut tap, b"cGVuY2ls\r\n");
            assert_eq!(tap.sending, Sending::Command);
            tap.received(b"354\r\n", &mut |_| {});
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

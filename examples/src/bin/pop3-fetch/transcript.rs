//! [`Tap`]: shows a POP3 conversation.
//!
//! What follows PASS, APOP and the mechanism of AUTH is masked, as is what answers a challenge. Of a message its size is told.

use std::collections::VecDeque;

use mail_wire::Escaped;
use mailwright::client::transcript::{self, Line};

/// What is known from what went by.
#[derive(Debug, Default)]
pub(crate) struct Tap {
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

impl transcript::Tap for Tap {
    fn received(&mut self, mut bytes: &[u8], show: &mut impl FnMut(&str)) {
        while let Some(line) = self.from_server.take(&mut bytes) {
            let text = line.text();
            match self.following {
                Some(Following::Message(size)) if text == b"." => {
                    show(&format!("S: [{size} bytes of a message]"));
                    show("S: .");
                    self.following = None;
                }
                Some(Following::Message(size)) => {
                    self.following = Some(Following::Message(size + line.length()));
                }
                Some(Following::Listing) => {
                    show(&format!("S: {}", Escaped(text)));
                    self.following = self.following.filter(|_| text != b".");
                }
                None => self.status(text, show),
            }
        }
    }

    fn sent(&mut self, mut bytes: &[u8], show: &mut impl FnMut(&str)) {
        while let Some(line) = self.from_client.take(&mut bytes) {
            let text = line.text();
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

    fn encrypted(&mut self) {
        *self = Self { tls: true, ..Self::default() };
    }
}

impl Tap {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailwright::client::transcript::Tap as _;

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

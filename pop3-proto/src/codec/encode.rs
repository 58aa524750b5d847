//! Commands and replies to bytes.

use super::MAX_REPLY;
use crate::types::{Command, Refusal, ResponseCode, Status};
use mail_wire::{ReplyText, decimal};

impl Command {
    /// Appends the command with its CRLF. What is appended holds no other line break, whatever the arguments are.
    ///
    /// A password that holds CR, LF or NUL cannot be said by PASS: each such byte becomes `?`, and the server will refuse it.
    /// Whether the line is short enough for the server is not looked at.
    ///
    /// ```
    /// use pop3_proto::types::{Command, MessageNumber};
    ///
    /// let mut line = Vec::new();
    /// Command::Top { number: MessageNumber::FIRST, lines: 10 }.encode(&mut line);
    /// assert_eq!(line, b"TOP 1 10\r\n");
    /// ```
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.verb().as_str().as_bytes());
        match self {
            Command::User(name) | Command::Rpop(name) => word(out, name.as_str().as_bytes()),
            Command::Pass(password) => word(out, password.expose()),
            Command::Apop { user, digest } => {
                word(out, user.as_str().as_bytes());
                word(out, digest.to_hex().as_bytes());
            }
            Command::Auth { mechanism, initial } => {
                word(out, mechanism.as_bytes());
                if let Some(initial) = initial {
                    word(out, initial.expose());
                }
            }
            Command::List(Some(number)) | Command::Uidl(Some(number)) => argument(out, number.get().into()),
            Command::Retr(number) | Command::Dele(number) => argument(out, number.get().into()),
            Command::Top { number, lines } => {
                argument(out, number.get().into());
                argument(out, *lines);
            }
            Command::Lang(Some(range)) => word(out, range.to_string().as_bytes()),
            Command::AuthList
            | Command::Stat
            | Command::List(None)
            | Command::Noop
            | Command::Rset
            | Command::Quit
            | Command::Uidl(None)
            | Command::Capa
            | Command::Stls
            | Command::Utf8
            | Command::Lang(None) => {}
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn word(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b' ');
    out.extend(text.iter().map(|byte| if matches!(byte, b'\r' | b'\n' | 0) { b'?' } else { *byte }));
}

fn argument(out: &mut Vec<u8>, number: u64) {
    out.push(b' ');
    decimal::encode(out, number);
}

impl Refusal {
    /// Appends the reply with its CRLF: 512 bytes at the most, what is longer is cut at a character.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_reply(out, Status::Err, self.code(), self.text());
    }
}

/// Appends the first line of a reply with its CRLF: 512 bytes at the most (RFC 2449 §3), what is longer is cut at a
/// character. A text that would be taken for a response code, since it begins with `[`, begins with `(` instead.
///
/// ```
/// use mail_wire::ReplyText;
/// use pop3_proto::codec::encode_reply;
/// use pop3_proto::types::{ResponseCode, Status};
///
/// let mut out = Vec::new();
/// encode_reply(&mut out, Status::Err, Some(&ResponseCode::InUse), &ReplyText::from_static("come later"));
/// assert_eq!(out, b"-ERR [IN-USE] come later\r\n");
/// ```
pub fn encode_reply(out: &mut Vec<u8>, status: Status, code: Option<&ResponseCode>, text: &ReplyText) {
    let start = out.len();
    out.extend_from_slice(status.as_str().as_bytes());
    if let Some(code) = code {
        out.extend_from_slice(b" [");
        out.extend_from_slice(code.as_str().as_bytes());
        out.push(b']');
    }
    let text = text.as_str();
    if !text.is_empty() {
        out.push(b' ');
        let room = MAX_REPLY - b"\r\n".len() - (out.len() - start);
        let text = &text[..text.floor_char_boundary(room)];
        match text.strip_prefix('[') {
            Some(rest) if code.is_none() => {
                out.push(b'(');
                out.extend_from_slice(rest.as_bytes());
            }
            _ => out.extend_from_slice(text.as_bytes()),
        }
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(status: Status, code: Option<ResponseCode>, text: &str) -> String {
        let mut out = Vec::new();
        encode_reply(&mut out, status, code.as_ref(), &ReplyText::sanitized(text));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn no_text_makes_a_second_line_a_code_or_a_line_too_long() {
        let other = ResponseCode::new("x".repeat(128)).unwrap();
        for (status, code, text, expected) in [
            (Status::Ok, None, "", "+OK\r\n"),
            (Status::Ok, None, "a\r\nb", "+OK a??b\r\n"),
            (Status::Err, None, "[AUTH] no", "-ERR (AUTH] no\r\n"),
            (Status::Err, Some(ResponseCode::Auth), "[no]", "-ERR [AUTH] [no]\r\n"),
            (Status::Err, Some(ResponseCode::SysTemp), "", "-ERR [SYS/TEMP]\r\n"),
        ] {
            assert_eq!(line(status, code, text), expected);
        }
        let long = line(Status::Err, Some(other), &"é".repeat(240));
        assert!(long.len() <= 512 && long.len() > 508 && long.ends_with("é\r\n"), "{long}");
    }

    #[test]
    fn a_password_cannot_smuggle_a_command() {
        let mut out = Vec::new();
        Command::Pass("a\r\nDELE 1\0".into()).encode(&mut out);
        assert_eq!(out, b"PASS a??DELE 1?\r\n");
    }
}

//! Commands and replies to bytes.

use super::xclient;
use crate::types::{Command, EnhancedCode, ReplyCode};
use core::fmt::Write as _;
use mail_wire::ReplyText;

impl Command {
    /// Appends the command with its CRLF. What is appended holds no other line break, whatever the arguments are.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Command::Auth { mechanism, initial } = self {
            // Straight into the caller's buffer: no copy of a password is left behind.
            out.extend_from_slice(b"AUTH ");
            out.extend(mechanism.bytes().map(harmless));
            if let Some(initial) = initial {
                out.push(b' ');
                out.extend(initial.expose().iter().copied().map(harmless));
            }
            out.extend_from_slice(b"\r\n");
            return;
        }
        let mut line = String::with_capacity(80);
        line.push_str(self.verb().as_str());
        // Writing to a string cannot fail.
        let _ = match self {
            Command::Ehlo(name) | Command::Helo(name) | Command::Lhlo(name) => write!(line, " {name}"),
            Command::Mail { from, params } => write!(line, " FROM:{from}{params}"),
            Command::Rcpt { to, params } => write!(line, " TO:{to}{params}"),
            Command::Bdat { size, last } => write!(line, " {size}{}", if *last { " LAST" } else { "" }),
            Command::Burl { url, last } => write!(line, " {url}{}", if *last { " LAST" } else { "" }),
            Command::Vrfy(target) | Command::Expn(target) => write!(line, " {target}"),
            Command::Help(Some(topic)) => write!(line, " {topic}"),
            Command::Etrn(target) => write!(line, " {target}"),
            Command::Atrn(domains) => {
                for (index, domain) in domains.iter().enumerate() {
                    let separator = if index == 0 { ' ' } else { ',' };
                    let _ = write!(line, "{separator}{domain}");
                }
                Ok(())
            }
            Command::Xclient(attributes) | Command::Xforward(attributes) => {
                xclient::encode(attributes, &mut line);
                Ok(())
            }
            Command::Data
            | Command::Rset
            | Command::Noop
            | Command::Quit
            | Command::StartTls
            | Command::Help(None)
            | Command::Auth { .. } => Ok(()),
        };
        // The free text of VRFY, EXPN, HELP and BURL is the caller's: a line break in it must not become a command.
        out.extend(line.bytes().map(harmless));
        out.extend_from_slice(b"\r\n");
    }
}

fn harmless(byte: u8) -> u8 {
    if byte.is_ascii_control() { b'?' } else { byte }
}

/// Appends a reply of one line.
pub fn encode_reply(out: &mut Vec<u8>, code: ReplyCode, enhanced: Option<EnhancedCode>, text: &ReplyText) {
    encode_line(out, code, b' ', enhanced, text.as_str());
}

/// Appends a reply of several lines; with no line at all, one line without text.
pub fn encode_reply_lines<'a>(
    out: &mut Vec<u8>,
    code: ReplyCode,
    enhanced: Option<EnhancedCode>,
    lines: impl IntoIterator<Item = &'a ReplyText>,
) {
    let mut lines = lines.into_iter().map(ReplyText::as_str);
    let mut line = lines.next().unwrap_or("");
    for next in lines {
        encode_line(out, code, b'-', enhanced, line);
        line = next;
    }
    encode_line(out, code, b' ', enhanced, line);
}

fn encode_line(
    out: &mut Vec<u8>,
    code: ReplyCode,
    separator: u8,
    enhanced: Option<EnhancedCode>,
    text: &str,
) {
    let digit = |n: u16| b'0' + (n % 10) as u8;
    let number = code.get();
    out.extend_from_slice(&[digit(number / 100), digit(number / 10), digit(number), separator]);
    if let Some(enhanced) = enhanced {
        encode_enhanced(out, enhanced);
        out.push(b' ');
    }
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn encode_enhanced(out: &mut Vec<u8>, enhanced: EnhancedCode) {
    out.extend_from_slice(&[b'0' + enhanced.class(), b'.']);
    for (number, end) in [(enhanced.subject(), &b"."[..]), (enhanced.detail(), b"")] {
        for power in [100, 10, 1] {
            if number >= power || power == 1 {
                out.push(b'0' + (number / power % 10) as u8);
            }
        }
        out.extend_from_slice(end);
    }
}

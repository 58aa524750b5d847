//! Replies and EHLO answers.

use mail_wire::ReplyText;
use smtp_proto::codec::{ReplyReader, encode_reply_lines};
use smtp_proto::types::{Capabilities, Reply, ReplyCode};

/// Reads `data` as lines of replies; shows and reads again what was read.
pub fn check(data: &[u8]) {
    let mut reader = ReplyReader::new();
    let mut lines = 0;
    for line in data.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        lines += 1;
        match reader.line(line) {
            Ok(Some(reply)) => {
                assert_eq!(reply.lines().count(), lines);
                check_reply(&reply);
                lines = 0;
            }
            Ok(None) => assert!(reader.is_partial() && lines <= ReplyReader::MAX_LINES),
            Err(_) => {
                assert!(!reader.is_partial());
                lines = 0;
            }
        }
    }
}

fn check_reply(reply: &Reply) {
    assert!(!reply.to_string().contains(char::is_control), "{reply}");
    assert!(reply.enhanced().is_none_or(|enhanced| enhanced.class() == reply.code().class()));
    let capabilities = Capabilities::from_reply(reply);
    assert!(capabilities.other.len() < reply.lines().count());

    let texts: Option<Vec<ReplyText>> = reply
        .lines()
        .map(|line| core::str::from_utf8(line).ok().and_then(|line| ReplyText::new(line.to_owned()).ok()))
        .collect();
    let Some(texts) = texts else { return };
    let mut wire = Vec::new();
    encode_reply_lines(&mut wire, reply.code(), None, &texts);
    assert_eq!(read(&wire).as_ref(), Some(reply), "{}", wire.escape_ascii());
}

fn read(wire: &[u8]) -> Option<Reply> {
    let mut reader = ReplyReader::new();
    let mut lines =
        wire.strip_suffix(b"\r\n")?.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l));
    lines.find_map(|line| reader.line(line).expect("what was written can be read"))
}

/// Whether `wire` is nothing but whole replies; gives their codes.
pub fn codes(wire: &[u8]) -> Vec<ReplyCode> {
    let (mut reader, mut codes) = (ReplyReader::new(), Vec::new());
    let mut rest = wire;
    while !rest.is_empty() {
        let end = rest.iter().position(|b| *b == b'\n').expect("output ends with a line ending");
        let line = rest[..end].strip_suffix(b"\r").expect("each line of a reply ends with CRLF");
        assert!(!line.iter().any(|b| b.is_ascii_control()), "{}", wire.escape_ascii());
        assert!(line.len() <= 510, "a reply line over the limit: {}", line.escape_ascii());
        if let Some(reply) = reader.line(line).expect("output is made of replies") {
            codes.push(reply.code());
        }
        rest = &rest[end + 1..];
    }
    assert!(!reader.is_partial(), "the last reply is whole");
    codes
}

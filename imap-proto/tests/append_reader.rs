//! APPEND and REPLACE step by step, with messages that are never in the frame.

use imap_proto::codec::{AppendReader, AppendStep, Dialect, Found, FrameScanner, Speaker, SyntaxError};
use imap_proto::types::Tag;

/// What the reader says of a command, of which the messages are taken out as they come.
fn steps(wire: &[u8]) -> Result<Vec<String>, SyntaxError> {
    let (mut frame, mut rest) = (Vec::new(), wire);
    let mut scanner = FrameScanner::new(Speaker::Client);
    let mut reader = AppendReader::new(Dialect::SERVER);
    let mut told = Vec::new();
    loop {
        // A line at a time.
        let line = rest.iter().position(|byte| *byte == b'\n').expect("the command ends") + 1;
        frame.extend_from_slice(&rest[..line]);
        rest = &rest[line..];
        let (end, literal) = match scanner.scan(&frame, 8192) {
            Found::Partial => continue,
            Found::Literal { literal, start } => (start, Some(literal)),
            Found::Frame { total, ending, .. } => (total - ending, None),
            other => panic!("{other:?}"),
        };
        loop {
            let step = reader.next(&frame[..end], literal.as_ref())?;
            match step {
                AppendStep::Head(head) => {
                    let number = head.replaces.map(|number| format!(" {number}")).unwrap_or_default();
                    told.push(format!("{} {}{number} {}", head.tag, head.verb, head.mailbox));
                }
                AppendStep::Message(head) => {
                    let flags: Vec<_> =
                        head.flags.names().map(|name| name.escape_ascii().to_string()).collect();
                    told.push(format!("message {flags:?} {} {}", head.date.is_some(), head.parts));
                }
                AppendStep::Bytes(bytes) => {
                    let len = bytes.literal.len as usize;
                    told.push(format!("{} utf8={}", rest[..len].escape_ascii(), bytes.utf8));
                    rest = &rest[len..];
                    break;
                }
                AppendStep::Url(url) => told.push(format!("url {url}")),
                AppendStep::MessageEnd => told.push("message end".to_owned()),
                AppendStep::String => {
                    let len = literal.expect("a literal").len as usize;
                    frame.extend_from_slice(&rest[..len]);
                    rest = &rest[len..];
                    scanner.literal(len);
                    break;
                }
                AppendStep::End => return Ok(told),
            }
        }
    }
}

#[test]
fn messages_are_told_from_strings() {
    let tests: &[(&[u8], &[&str])] = &[
        (
            b"a APPEND Sent (\\Seen) \"17-Jul-1996 02:44:25 -0700\" {2}\r\nab\r\n",
            &["a APPEND Sent", "message [\"\\\\\\\\Seen\"] true false", "ab utf8=false", "message end"],
        ),
        (
            b"a APPEND {4}\r\nSent {2+}\r\nab {0}\r\n (x) ~{1}\r\n\0\r\n",
            &[
                "a APPEND Sent",
                "message [] false false",
                "ab utf8=false",
                "message end",
                "message [] false false",
                " utf8=false",
                "message end",
                "message [\"x\"] false false",
                "\\x00 utf8=false",
                "message end",
            ],
        ),
        (
            b"a UID REPLACE 7 Sent UTF8 (~{2}\r\n\r\n)\r\n",
            &["a UID REPLACE 7 Sent", "message [] false false", "\\r\\n utf8=true", "message end"],
        ),
        (
            b"a APPEND Sent CATENATE (URL {2}\r\n/a TEXT {1}\r\nx URL /b UTF8 (~{1}\r\ny)) {1}\r\nz\r\n",
            &[
                "a APPEND Sent",
                "message [] false true",
                "url /a",
                "x utf8=false",
                "url /b",
                "y utf8=true",
                "message end",
                "message [] false false",
                "z utf8=false",
                "message end",
            ],
        ),
    ];
    for (wire, expected) in tests {
        let told = steps(wire).unwrap_or_else(|error| panic!("{}: {error}", wire.escape_ascii()));
        assert_eq!(told, *expected, "{}", wire.escape_ascii());
    }
}

#[test]
fn what_breaks_the_grammar_is_refused_in_its_place() {
    let tests: &[(&[u8], usize)] = &[
        (b"a APPEND Sent (\\Seen {2}\r\nab\r\n", 21),
        (b"a APPEND\r\n", 8),
        (b"a APPEND Sent\r\n", 13),
        (b"a APPEND Sent (\\*) {2}\r\nab\r\n", 14),
        (b"a NOOP {2}\r\nab\r\n", 2),
        (b"a REPLACE 0 Sent {2}\r\nab\r\n", 10),
        (b"a REPLACE 1 Sent {1}\r\na {1}\r\nb\r\n", 22),
        (b"a APPEND Sent {2}\r\nabc\r\n", 19),
        (b"a APPEND Sent UTF8 ({2}\r\nab)\r\n", 19),
        (b"a APPEND Sent CATENATE (URL x)x\r\n", 30),
        (b"a APPEND Sent CATENATE (BLURB x)\r\n", 24),
    ];
    for (wire, at) in tests {
        match steps(wire) {
            Err(error) => assert_eq!(error.at, *at, "{} {error:?}", wire.escape_ascii()),
            Ok(steps) => panic!("{}: {steps:?}", wire.escape_ascii()),
        }
    }
    let tag = steps(b"a APPEND Sent (\\* {2}\r\nab\r\n").expect_err("no such flag").tag;
    assert_eq!(tag, Tag::new("a"));
}

#[test]
fn a_literal_of_any_size_is_only_announced() {
    let frame = b"a APPEND Sent {4294967295}\r\n";
    let Found::Literal { literal, start } = FrameScanner::new(Speaker::Client).scan(frame, 8192) else {
        panic!("a literal")
    };
    let mut reader = AppendReader::new(Dialect::SERVER);
    for _ in 0..2 {
        reader.next(&frame[..start], Some(&literal)).expect("a step");
    }
    let step = reader.next(&frame[..start], Some(&literal)).expect("a step");
    assert!(matches!(step, AppendStep::Bytes(bytes) if bytes.literal.len == 4_294_967_295));
}

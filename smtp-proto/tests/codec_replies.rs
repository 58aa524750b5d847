//! Replies and EHLO answers: what a client reads, and what a server writes.

#![allow(clippy::unwrap_used, reason = "what a test takes for granted fails the test where it does not hold")]

use mail_wire::ReplyText;
use mail_wire::sasl::Mechanism;
use proptest::prelude::*;
use smtp_proto::codec::{ReplyError, ReplyReader, encode_reply, encode_reply_lines};
use smtp_proto::types::{Capabilities, EnhancedCode, Limits, Reply, ReplyCode};

/// Reads a whole reply from its wire form.
fn read(wire: &[u8]) -> Result<Option<Reply>, ReplyError> {
    let mut reader = ReplyReader::new();
    let mut lines = wire.split_inclusive(|b| *b == b'\n');
    let reply = lines.by_ref().find_map(|line| {
        let line = line.strip_suffix(b"\r\n").expect("each line of a reply ends with CRLF");
        reader.line(line).transpose()
    });
    assert_eq!(lines.next(), None, "a reply ends with its last line");
    assert!(reply.is_none() || !reader.is_partial());
    reply.transpose()
}

fn ehlo(lines: &[&str]) -> Capabilities {
    let wire: String = core::iter::once("250-mx.example greets you\r\n".to_string())
        .chain(lines.iter().enumerate().map(|(index, line)| {
            format!("250{}{line}\r\n", if index + 1 == lines.len() { ' ' } else { '-' })
        }))
        .collect();
    Capabilities::from_reply(&read(wire.as_bytes()).unwrap().unwrap())
}

#[test]
fn each_keyword_of_an_ehlo_answer_sets_its_own_field_and_no_other() {
    type Set = fn(&mut Capabilities);
    let cases: &[(&str, Set)] = &[
        ("PIPELINING", |c| c.pipelining = true),
        ("SIZE", |c| c.size = Some(0)),
        ("SIZE 0", |c| c.size = Some(0)),
        ("SIZE 18446744073709551615", |c| c.size = Some(u64::MAX)),
        ("8BITMIME", |c| c.eight_bit_mime = true),
        ("SMTPUTF8", |c| c.smtputf8 = true),
        ("CHUNKING", |c| c.chunking = true),
        ("BINARYMIME", |c| c.binary_mime = true),
        ("STARTTLS", |c| c.starttls = true),
        ("AUTH PLAIN", |c| c.auth.insert(Mechanism::Plain)),
        ("AUTH=LOGIN", |c| c.auth.insert(Mechanism::Login)),
        ("AUTH", |_| {}),
        ("ENHANCEDSTATUSCODES", |c| c.enhanced_status_codes = true),
        ("DSN", |c| c.dsn = true),
        ("DELIVERBY", |c| c.deliver_by = Some(0)),
        ("DELIVERBY 240", |c| c.deliver_by = Some(240)),
        ("FUTURERELEASE 86400 2026-12-31T00:00:00Z", |c| c.future_release = Some(86400)),
        ("MT-PRIORITY MIXER", |c| c.mt_priority = true),
        ("REQUIRETLS", |c| c.requiretls = true),
        ("RRVS", |c| c.rrvs = true),
        ("LIMITS RCPTMAX=5", |c| c.limits = Limits::NONE.with_rcpt_max(5)),
        ("LIMITS MAILMAX=7 rcptmax=1", |c| c.limits = Limits::NONE.with_rcpt_max(1).with_mail_max(7)),
        ("ETRN", |c| c.etrn = true),
        ("ATRN", |c| c.atrn = true),
        ("VRFY", |c| c.vrfy = true),
        ("EXPN", |c| c.expn = true),
        ("HELP", |c| c.help = true),
        ("XCLIENT NAME ADDR", |c| c.xclient = Some("NAME ADDR".into())),
        ("XFORWARD NAME ADDR PROTO", |c| c.xforward = Some("NAME ADDR PROTO".into())),
        ("X-NEW thing", |c| c.other.push("X-NEW thing".into())),
        ("PIPELININGX", |c| c.other.push("PIPELININGX".into())),
        ("DSNX", |c| c.other.push("DSNX".into())),
    ];
    for (line, set) in cases {
        let mut expected = Capabilities::default();
        set(&mut expected);
        assert_eq!(ehlo(&[line]), expected, "{line}");
        // Keywords are compared without regard to case (RFC 5321 §4.1.1.1); what is not known is kept as it came.
        if expected.other.is_empty() && expected.xclient.is_none() && expected.xforward.is_none() {
            assert_eq!(ehlo(&[&line.to_ascii_lowercase()]), expected, "{line}");
        }
    }
    let all: Vec<&str> = cases.iter().map(|(line, _)| *line).collect();
    assert!(ehlo(&all).other.len() == 3);
}

#[test]
fn senseless_values_in_an_ehlo_answer_are_ignored() {
    for line in ["SIZE x", "SIZE -1", "SIZE 18446744073709551616"] {
        assert_eq!(ehlo(&[line]).size, Some(0), "{line}");
    }
    assert_eq!(ehlo(&["LIMITS RCPTMAX=0 MAILMAX=x FOO"]).limits, Limits::NONE);
    assert_eq!(ehlo(&["AUTH  FOO BAR "]).auth.len(), 0);
}

#[test]
fn the_mechanisms_of_several_auth_lines_add_up() {
    let auth = ehlo(&["AUTH PLAIN SCRAM-SHA-256-PLUS", "AUTH=LOGIN PLAIN", "auth scram-sha-256"]).auth;
    let expected = [Mechanism::Plain, Mechanism::Login, Mechanism::ScramSha256, Mechanism::ScramSha256Plus];
    assert_eq!(auth, expected.into_iter().collect());
}

#[test]
fn replies_are_read_with_their_code_enhanced_code_and_lines() {
    type Expected = (u16, Option<(u8, u16, u16)>, &'static [&'static [u8]]);
    let cases: &[(&[u8], Expected)] = &[
        (b"220 mx ESMTP\r\n", (220, None, &[b"mx ESMTP"])),
        (b"250\r\n", (250, None, &[b""])),
        (b"250 \r\n", (250, None, &[b""])),
        (b"250 2.1.0 ok\r\n", (250, Some((2, 1, 0)), &[b"2.1.0 ok"])),
        (b"550 5.1.1 no\r\n", (550, Some((5, 1, 1)), &[b"5.1.1 no"])),
        (b"550 4.1.1 other class\r\n", (550, None, &[b"4.1.1 other class"])),
        (b"550-5.7.1 a\r\n550 5.7.1 b\r\n", (550, Some((5, 7, 1)), &[b"5.7.1 a", b"5.7.1 b"])),
        (b"354 go\r\n", (354, None, &[b"go"])),
        (b"334 \r\n", (334, None, &[b""])),
        (b"250-\xff\x01\r\n250  x\r\n", (250, None, &[b"\xff\x01", b" x"])),
        (b"599 a\r\n", (599, None, &[b"a"])),
        (b"200-\r\n200\r\n", (200, None, &[b"", b""])),
    ];
    for (wire, (code, enhanced, lines)) in cases {
        let reply = read(wire).unwrap().unwrap();
        assert_eq!(reply.code().get(), *code);
        assert_eq!(reply.enhanced(), enhanced.and_then(|(a, b, c)| EnhancedCode::new(a, b, c)));
        assert_eq!(reply.lines().collect::<Vec<_>>(), *lines, "{}", wire.escape_ascii());
    }
}

#[test]
fn what_is_no_reply_is_refused_with_its_line() {
    let cases: &[(&[u8], ReplyError)] = &[
        (b"\r\n", ReplyError::Code(1)),
        (b"2\r\n", ReplyError::Code(1)),
        (b"ok\r\n", ReplyError::Code(1)),
        (b"+OK ready\r\n", ReplyError::Code(1)),
        (b" 250 x\r\n", ReplyError::Code(1)),
        (b"100 x\r\n", ReplyError::Code(1)),
        (b"600 x\r\n", ReplyError::Code(1)),
        (b"2a0 x\r\n", ReplyError::Code(1)),
        (b"2500 x\r\n", ReplyError::Separator(1)),
        (b"250\tx\r\n", ReplyError::Separator(1)),
        (b"250=x\r\n", ReplyError::Separator(1)),
        (b"250-a\r\nb\r\n", ReplyError::Code(2)),
        (b"250-a\r\n550 b\r\n", ReplyError::Changed { first: 250, found: 550, line: 2 }),
        (b"250-a\r\n250-b\r\n251-c\r\n", ReplyError::Changed { first: 250, found: 251, line: 3 }),
    ];
    for (wire, error) in cases {
        assert_eq!(read(wire), Err(*error), "{}", wire.escape_ascii());
    }
}

#[test]
fn a_reader_begins_anew_after_a_reply_and_after_an_error() {
    let mut reader = ReplyReader::new();
    for wrong in [&b"250-a"[..], b"what"] {
        let _ = reader.line(wrong);
    }
    assert!(!reader.is_partial());
    assert_eq!(reader.line(b"354 go").unwrap().unwrap().code().get(), 354);
    assert_eq!(reader.line(b"250-a"), Ok(None));
    assert!(reader.is_partial());
    assert_eq!(reader.line(b"250 b").unwrap().unwrap().lines().count(), 2);
}

#[test]
fn the_longest_reply_passes_and_one_line_more_does_not() {
    let read = |n: usize| {
        let mut reader = ReplyReader::new();
        (1..n).try_for_each(|_| reader.line(b"250-x").map(|_| ())).and_then(|()| reader.line(b"250 x"))
    };
    assert!(read(ReplyReader::MAX_LINES).unwrap().is_some());
    assert_eq!(read(ReplyReader::MAX_LINES + 1), Err(ReplyError::TooLong));
}

fn codes() -> impl Strategy<Value = ReplyCode> {
    (200u16..600).prop_map(|code| ReplyCode::new(code).unwrap())
}

fn texts() -> impl Strategy<Value = ReplyText> {
    "[ -~é用]{0,60}".prop_map(|text| ReplyText::new(text).unwrap())
}

proptest! {
    #[test]
    fn a_reply_that_is_written_is_read_back(
        code in codes(),
        enhanced in proptest::option::of((0u16..1000, 0u16..1000)),
        lines in proptest::collection::vec(texts(), 1..8),
    ) {
        let enhanced = enhanced.and_then(|(subject, detail)| EnhancedCode::new(code.class(), subject, detail));
        let mut wire = Vec::new();
        encode_reply_lines(&mut wire, code, enhanced, &lines);
        let reply = read(&wire).unwrap().unwrap();
        prop_assert_eq!(reply.code(), code);
        if enhanced.is_some() {
            prop_assert_eq!(reply.enhanced(), enhanced);
        }
        let prefix = enhanced.map_or(String::new(), |enhanced| format!("{enhanced} "));
        let expected: Vec<Vec<u8>> =
            lines.iter().map(|line| format!("{prefix}{}", line.as_str()).into_bytes()).collect();
        prop_assert_eq!(reply.lines().map(<[u8]>::to_vec).collect::<Vec<_>>(), expected);
        let mut single = Vec::new();
        encode_reply(&mut single, code, enhanced, &lines[0]);
        prop_assert_eq!(read(&single).unwrap().unwrap().lines().count(), 1);
    }

    #[test]
    fn no_line_of_the_peer_breaks_the_reader_or_the_display(
        lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20),
    ) {
        let mut reader = ReplyReader::new();
        for line in &lines {
            let prefixed = [&b"250-"[..], line].concat();
            for line in [line, &prefixed] {
                if let Ok(Some(reply)) = reader.line(line) {
                    prop_assert!(!reply.to_string().chars().any(char::is_control));
                    let _ = Capabilities::from_reply(&reply);
                }
            }
        }
    }
}

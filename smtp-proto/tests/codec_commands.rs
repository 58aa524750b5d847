//! Command lines to commands: what each verb takes, what it refuses, and the reply that says so.

#![allow(clippy::unwrap_used, reason = "what a test takes for granted fails the test where it does not hold")]

use mail_wire::Secret;
use smtp_proto::codec::{CommandErrorKind, Leniency};
use smtp_proto::types::{
    AddressError, Command, Domain, EtrnTarget, ForwardPath, HelloName, Host, MailParams, Mailbox, RcptParams,
    ReversePath, Verb, XclientAttributes,
};

fn parse(line: &[u8]) -> Command {
    Command::parse(line, Leniency::STRICT).unwrap_or_else(|error| panic!("{}: {error}", line.escape_ascii()))
}

/// The kind of the error, and the code and enhanced code of its reply.
fn refused(line: &[u8], leniency: Leniency) -> (CommandErrorKind, String) {
    let error = Command::parse(line, leniency).expect_err(&format!("{}", line.escape_ascii()));
    let refusal = error.refusal();
    (error.kind, format!("{} {}", refusal.code(), refusal.enhanced()))
}

fn encoded(command: &Command) -> Vec<u8> {
    let mut wire = Vec::new();
    command.encode(&mut wire);
    wire
}

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

fn mail(path: &str) -> Command {
    Command::Mail { from: ReversePath::parse(path).unwrap(), params: MailParams::new() }
}

fn rcpt(path: &str) -> Command {
    Command::Rcpt { to: ForwardPath::parse(path).unwrap(), params: RcptParams::new() }
}

#[test]
fn each_verb_is_read_and_written_back_byte_for_byte() {
    let other = |name: &str| HelloName::parse(name).unwrap();
    let auth = |mechanism: &str, initial: Option<&str>| Command::Auth {
        mechanism: mechanism.into(),
        initial: initial.map(Secret::new),
    };
    let cases: Vec<(&str, Command)> = vec![
        ("EHLO mx.example.org", Command::Ehlo(domain("mx.example.org").into())),
        ("EHLO [192.0.2.1]", Command::Ehlo(domain("[192.0.2.1]").into())),
        ("EHLO [IPv6:2001:db8::1]", Command::Ehlo(domain("[IPv6:2001:db8::1]").into())),
        ("HELO MY_PC", Command::Helo(other("MY_PC"))),
        ("LHLO localhost", Command::Lhlo(domain("localhost").into())),
        ("MAIL FROM:<>", Command::Mail { from: ReversePath::Null, params: MailParams::new() }),
        ("MAIL FROM:<alice@example.org>", mail("<alice@example.org>")),
        ("RCPT TO:<bob@example.org>", rcpt("<bob@example.org>")),
        ("RCPT TO:<Postmaster>", Command::Rcpt { to: ForwardPath::Postmaster, params: RcptParams::new() }),
        ("DATA", Command::Data),
        ("BDAT 0", Command::Bdat { size: 0, last: false }),
        ("BDAT 86 LAST", Command::Bdat { size: 86, last: true }),
        ("BDAT 18446744073709551615", Command::Bdat { size: u64::MAX, last: false }),
        (
            "BURL imap://u@h/INBOX;uid=1;urlauth=submit+u:internal:91 LAST",
            Command::Burl { url: "imap://u@h/INBOX;uid=1;urlauth=submit+u:internal:91".into(), last: true },
        ),
        ("RSET", Command::Rset),
        ("NOOP", Command::Noop),
        ("QUIT", Command::Quit),
        ("VRFY postmaster", Command::Vrfy("postmaster".into())),
        ("VRFY 用户 SMTPUTF8", Command::Vrfy("用户 SMTPUTF8".into())),
        ("EXPN staff list", Command::Expn("staff list".into())),
        ("HELP", Command::Help(None)),
        ("HELP MAIL", Command::Help(Some("MAIL".into()))),
        ("ETRN example.org", Command::Etrn(EtrnTarget::Node(domain("example.org")))),
        ("ETRN @example.org", Command::Etrn(EtrnTarget::Subdomains(domain("example.org")))),
        ("ETRN #slow-queue", Command::Etrn(EtrnTarget::Queue("slow-queue".into()))),
        ("ATRN", Command::Atrn(vec![])),
        ("ATRN a.example,b.example", Command::Atrn(vec![domain("a.example"), domain("b.example")])),
        ("STARTTLS", Command::StartTls),
        ("AUTH CRAM-MD5", auth("CRAM-MD5", None)),
        ("AUTH PLAIN AGEAYg==", auth("PLAIN", Some("AGEAYg=="))),
        ("AUTH EXTERNAL =", auth("EXTERNAL", Some("="))),
        ("XCLIENT NAME=spike.example ADDR=192.0.2.7 PORT=1234 LOGIN=[UNAVAILABLE]", {
            let mut attributes = XclientAttributes::new();
            attributes.name = Some(Some("spike.example".into()));
            attributes.addr = Some(Some("192.0.2.7".parse().unwrap()));
            attributes.port = Some(Some(1234));
            attributes.login = Some(None);
            Command::Xclient(attributes)
        }),
        ("XCLIENT ADDR=IPV6:2001:db8::1 PROTO=ESMTP HELO=a+2Bb+20c DESTADDR=IPV6:::1 DESTPORT=25", {
            let mut attributes = XclientAttributes::new();
            attributes.addr = Some(Some("2001:db8::1".parse().unwrap()));
            attributes.proto = Some(Some("ESMTP".into()));
            attributes.helo = Some(Some("a+b c".into()));
            attributes.dest_addr = Some(Some("::1".parse().unwrap()));
            attributes.dest_port = Some(Some(25));
            Command::Xclient(attributes)
        }),
        ("XFORWARD NAME=[UNAVAILABLE] IDENT=4D1A7 SOURCE=REMOTE", {
            let mut attributes = XclientAttributes::new();
            attributes.name = Some(None);
            attributes.ident = Some(Some("4D1A7".into()));
            attributes.source = Some(Some("REMOTE".into()));
            Command::Xforward(attributes)
        }),
    ];
    for (text, command) in cases {
        assert_eq!(parse(text.as_bytes()), command, "{text}");
        assert_eq!(encoded(&command), format!("{text}\r\n").as_bytes(), "{text}");
        assert!(text.starts_with(command.verb().as_str()), "{text}");
    }
}

#[test]
fn letters_case_and_spaces_around_arguments_do_not_matter() {
    for (text, canonical) in [
        ("ehlo mx", "EHLO mx"),
        ("EhLo  mx  ", "EHLO mx"),
        ("mail from:<a@X>", "MAIL FROM:<a@X>"),
        ("MAIL  FROM:<a@x> ", "MAIL FROM:<a@x>"),
        ("RCPT to:<POSTMASTER>", "RCPT TO:<Postmaster>"),
        ("MAIL FROM:<a@x>  size=1   body=8bitmime ", "MAIL FROM:<a@x> SIZE=1 BODY=8BITMIME"),
        ("data ", "DATA"),
        ("bdat  10  last ", "BDAT 10 LAST"),
        ("BDAT 007", "BDAT 7"),
        ("noop whatever  it is", "NOOP"),
        ("vrfy  a b ", "VRFY a b"),
        ("help ", "HELP"),
        ("starttls", "STARTTLS"),
        ("auth plain  AAA=", "AUTH plain AAA="),
        ("xclient name=a ADDR=[tempunavail]", "XCLIENT NAME=a ADDR=[UNAVAILABLE]"),
    ] {
        assert_eq!(encoded(&parse(text.as_bytes())), format!("{canonical}\r\n").as_bytes(), "{text}");
    }
}

#[test]
fn a_source_route_is_accepted_and_dropped() {
    for (line, canonical) in [
        ("RCPT TO:<@r,@s:a@x>", "RCPT TO:<a@x>"),
        ("RCPT TO:<@local:u@remote>", "RCPT TO:<u@remote>"),
        ("MAIL FROM:<@[192.0.2.1]:a@x>", "MAIL FROM:<a@x>"),
        (r#"RCPT TO:<@r:"a@b"@x>"#, r#"RCPT TO:<"a@b"@x>"#),
    ] {
        assert_eq!(encoded(&parse(line.as_bytes())), format!("{canonical}\r\n").as_bytes(), "{line}");
    }
}

#[test]
fn a_local_part_is_opaque_however_much_it_looks_like_a_route() {
    for (line, local, host) in [
        ("RCPT TO:<u@remote>", "u", "remote"),
        ("RCPT TO:<u%remote@local>", "u%remote", "local"),
        ("RCPT TO:<remote!u@local>", "remote!u", "local"),
        (r#"RCPT TO:<"u@remote"@local>"#, r#""u@remote""#, "local"),
        (r#"RCPT TO:<"u%remote"@local>"#, r#""u%remote""#, "local"),
        (r#"RCPT TO:<"a b"@x>"#, r#""a b""#, "x"),
        (r#"RCPT TO:<"a>b <c\"d"@x>"#, r#""a>b <c\"d""#, "x"),
        (r#"RCPT TO:<"a SIZE=1"@x>"#, r#""a SIZE=1""#, "x"),
    ] {
        let Command::Rcpt { to, params } = parse(line.as_bytes()) else { panic!("{line}") };
        let mailbox = to.mailbox().unwrap();
        assert_eq!((mailbox.local_part(), mailbox.host()), (local, Host::Name(host)), "{line}");
        assert_eq!(params, RcptParams::new(), "{line}");
    }
}

#[test]
fn a_bad_address_is_refused_as_sender_or_as_recipient() {
    use AddressError::*;
    let cases: &[(&[u8], AddressError)] = &[
        // The place is counted from the start of the path.
        (b"<a@b@c>", Bracket(4, '>')),
        (b"<.a@x>", LocalPart(1)),
        (b"<a.@x>", LocalPart(3)),
        (b"<a..b@x>", LocalPart(3)),
        (b"<<a@x>>", LocalPart(1)),
        (b"<a@x>junk", Trailing(5)),
        (b"<a@x>\tSIZE=1", Control(5)),
        (b"<a@x>>", Trailing(5)),
        (b"<a@x", Bracket(4, '>')),
        (b"a@x", Bracket(0, '<')),
        (b"", Bracket(0, '<')),
        (b"<", LocalPart(1)),
        (b"<a>", At(2)),
        (b"<a@>", Domain(3)),
        (b"<@x>", Route(3)),
        (b"<remote!u>", At(9)),
        (b"<a b@x>", At(2)),
        (b"<a\tb@x>", Control(2)),
        (b"<a\x01b@x>", Control(2)),
        (b"<a\x7fb@x>", Control(2)),
        (b"<\"a\x01\"@x>", Control(3)),
        (b"<\"a\tb\"@x>", Control(3)),
        (b"<\"a\0b\"@x>", Control(3)),
        (b"<a@x\x01>", Control(4)),
        (b"<a\xff@x>", Control(2)),
        (b"<a@\xc3\x28>", Control(3)),
        (b"<a\xc0\xae@x>", Control(2)),
        (b"<a\xed\xa0\x80@x>", Control(2)),
        (b"<a\xc2\x9b@x>", Control(2)),
        (b"<a@x y>", Bracket(4, '>')),
        (b"<a@x_y>", Bracket(4, '>')),
        (b"<a@[300.1.2.3]>", Literal(3)),
        (b"<a@[IPv6:::1>", Literal(3)),
        (b"<a@[IPv6:fe80::1%eth0]>", Literal(3)),
    ];
    for (path, error) in cases {
        for (prefix, reply) in [(&b"MAIL FROM:"[..], "501 5.1.7"), (b"RCPT TO:", "501 5.1.3")] {
            let line = [prefix, path].concat();
            let shifted = shift(*error, prefix.len());
            let expected = (CommandErrorKind::Address(shifted), reply.to_string());
            assert_eq!(refused(&line, Leniency::STRICT), expected, "{}", line.escape_ascii());
        }
    }
}

fn shift(error: AddressError, by: usize) -> AddressError {
    use AddressError::*;
    match error {
        LocalPart(at) => LocalPart(at + by),
        QuotedString(at) => QuotedString(at + by),
        At(at) => At(at + by),
        Domain(at) => Domain(at + by),
        Literal(at) => Literal(at + by),
        Route(at) => Route(at + by),
        Bracket(at, wanted) => Bracket(at + by, wanted),
        Control(at) => Control(at + by),
        Trailing(at) => Trailing(at + by),
        other => other,
    }
}

#[test]
fn null_is_no_recipient_and_a_bare_postmaster_no_sender() {
    let address = |error| CommandErrorKind::Address(error);
    for (line, kind, reply) in [
        ("RCPT TO:<>", address(AddressError::LocalPart(9)), "501 5.1.3"),
        ("MAIL FROM:<Postmaster>", address(AddressError::At(21)), "501 5.1.7"),
    ] {
        assert_eq!(refused(line.as_bytes(), Leniency::STRICT), (kind, reply.into()), "{line}");
    }
}

#[test]
fn utf8_addresses_are_read_and_known_as_such() {
    let Command::Mail { from, params } = parse("MAIL FROM:<用户@例子.example> SMTPUTF8".as_bytes())
    else {
        panic!()
    };
    assert!(!from.is_ascii() && params.smtputf8);
    // Whether SMTPUTF8 was said is the server's question: the address alone is no syntax error.
    let Command::Mail { from, params } = parse("MAIL FROM:<é@x>".as_bytes()) else { panic!() };
    assert!(!from.is_ascii() && !params.smtputf8);
}

#[test]
fn every_other_malformed_command_has_its_kind_and_reply() {
    use CommandErrorKind::*;
    let argument = |expected, at| Argument { expected, at };
    let hello = |at| argument("a domain or address literal", at);
    let chunk = |at| argument("a chunk size in decimal digits", at);
    let etrn = |at| argument("a domain, @domain or #queue", at);
    let atrn = |at| argument("domains separated by commas", at);
    let attribute = |at| argument("a known attribute with its value", at);
    let cases: Vec<(&[u8], CommandErrorKind, &str)> = vec![
        (b"", UnknownVerb, "500 5.5.2"),
        (b"\x00", UnknownVerb, "500 5.5.2"),
        (b"FOO", UnknownVerb, "500 5.5.2"),
        (b"FOOO bar", UnknownVerb, "500 5.5.2"),
        (b" NOOP", UnknownVerb, "500 5.5.2"),
        (b"NOOPX", UnknownVerb, "500 5.5.2"),
        (b"NOOP\t", UnknownVerb, "500 5.5.2"),
        (b"MAILFROM:<a@x>", OtherProtocol, "521 5.7.0"),
        (b"DATAX", UnknownVerb, "500 5.5.2"),
        (b"STARTTL", UnknownVerb, "500 5.5.2"),
        (b"STARTTLSX", UnknownVerb, "500 5.5.2"),
        (b"\xff\xfe", UnknownVerb, "500 5.5.2"),
        (b"GET / HTTP/1.1", OtherProtocol, "521 5.7.0"),
        (b"POST /x HTTP/1.0", OtherProtocol, "521 5.7.0"),
        (b"CONNECT mx:25 HTTP/1.1", OtherProtocol, "521 5.7.0"),
        (b"Subject: x", OtherProtocol, "521 5.7.0"),
        (b"Host: mx", OtherProtocol, "521 5.7.0"),
        (b"NOOP \x01", Control(5), "500 5.5.2"),
        (b"NOOP a\0b", Control(6), "500 5.5.2"),
        (b"NOOP a\rRSET", Control(6), "500 5.5.2"),
        (b"NOOP \xff", Control(5), "500 5.5.2"),
        (b"EHLO", MissingArgument, "501 5.5.4"),
        (b"EHLO ", MissingArgument, "501 5.5.4"),
        (b"HELO", MissingArgument, "501 5.5.4"),
        (b"LHLO", MissingArgument, "501 5.5.4"),
        (b"EHLO a b", UnexpectedArgument, "501 5.5.4"),
        (b"EHLO a\tb", Control(6), "500 5.5.2"),
        (b"EHLO \xe9", Control(5), "500 5.5.2"),
        ("EHLO a_é".as_bytes(), hello(5), "501 5.5.4"),
        (b"MAIL", Keyword("FROM:"), "501 5.5.4"),
        (b"MAIL FROM", Keyword("FROM:"), "501 5.5.4"),
        (b"MAIL FROM :<a@x>", Keyword("FROM:"), "501 5.5.4"),
        (b"MAIL FROM: <a@x>", Keyword("FROM:"), "501 5.5.4"),
        (b"MAIL TO:<a@x>", Keyword("FROM:"), "501 5.5.4"),
        (b"MAIL <a@x>", Keyword("FROM:"), "501 5.5.4"),
        (b"RCPT", Keyword("TO:"), "501 5.5.4"),
        (b"RCPT TO: <a@x>", Keyword("TO:"), "501 5.5.4"),
        (b"RCPT FROM:<a@x>", Keyword("TO:"), "501 5.5.4"),
        (b"DATA foo", UnexpectedArgument, "501 5.5.4"),
        (b"RSET x", UnexpectedArgument, "501 5.5.4"),
        (b"QUIT now", UnexpectedArgument, "501 5.5.4"),
        (b"STARTTLS foo", UnexpectedArgument, "501 5.5.4"),
        (b"BDAT", MissingArgument, "501 5.5.4"),
        (b"BDAT LAST", chunk(5), "501 5.5.4"),
        (b"BDAT -1", chunk(5), "501 5.5.4"),
        (b"BDAT +5", chunk(5), "501 5.5.4"),
        (b"BDAT 0x10", chunk(5), "501 5.5.4"),
        (b"BDAT 5,LAST", chunk(5), "501 5.5.4"),
        (b"BDAT 18446744073709551616", chunk(5), "501 5.5.4"),
        (b"BDAT 000000000000000000005", chunk(5), "501 5.5.4"),
        (b"BDAT 5 FOO", argument("LAST", 7), "501 5.5.4"),
        (b"BDAT 5 LAST x", UnexpectedArgument, "501 5.5.4"),
        (b"BURL", MissingArgument, "501 5.5.4"),
        (b"BURL imap://x FIRST", argument("LAST", 14), "501 5.5.4"),
        (b"VRFY", MissingArgument, "501 5.5.4"),
        (b"EXPN  ", MissingArgument, "501 5.5.4"),
        (b"VRFY a\x1b[2J", Control(6), "500 5.5.2"),
        (b"HELP \x07", Control(5), "500 5.5.2"),
        (b"ETRN", MissingArgument, "501 5.5.4"),
        (b"ETRN @", etrn(5), "501 5.5.4"),
        (b"ETRN #", etrn(5), "501 5.5.4"),
        (b"ETRN a..b", etrn(5), "501 5.5.4"),
        (b"ETRN a b", UnexpectedArgument, "501 5.5.4"),
        (b"ATRN a,,b", atrn(5), "501 5.5.4"),
        (b"ATRN a, b", UnexpectedArgument, "501 5.5.4"),
        (b"AUTH", MissingArgument, "501 5.5.4"),
        (b"AUTH PLAIN AA== BB==", UnexpectedArgument, "501 5.5.4"),
        (b"AUTH PL\x01AIN", Control(7), "500 5.5.2"),
        (b"AUTH PLAIN AG\0EA", Control(13), "500 5.5.2"),
        (b"AUTH PLAIN \xff", Control(11), "500 5.5.2"),
        (b"XCLIENT", MissingArgument, "501 5.5.4"),
        (b"XCLIENT NAME", attribute(8), "501 5.5.4"),
        (b"XCLIENT FOO=bar", attribute(8), "501 5.5.4"),
        (b"XCLIENT NAME=a ADDR=1.2.3", attribute(15), "501 5.5.4"),
        (b"XCLIENT ADDR=::1", attribute(8), "501 5.5.4"),
        (b"XCLIENT PORT=65536", attribute(8), "501 5.5.4"),
        (b"XCLIENT NAME=a+0D+0AQUIT", attribute(8), "501 5.5.4"),
        (b"XCLIENT IDENT=x", attribute(8), "501 5.5.4"),
        (b"XFORWARD LOGIN=x", attribute(9), "501 5.5.4"),
        (b"XFORWARD", MissingArgument, "501 5.5.4"),
    ];
    for (line, kind, reply) in cases {
        assert_eq!(refused(line, Leniency::STRICT), (kind, reply.into()), "{}", line.escape_ascii());
    }
}

#[test]
fn an_error_knows_its_verb_and_never_repeats_the_peers_bytes() {
    let error = Command::parse(b"MAIL FROM:<se\x1bcret@x>", Leniency::STRICT).unwrap_err();
    assert_eq!(error.verb, Some(Verb::Mail));
    assert_eq!(error.to_string(), "bad address: expected printable UTF-8 at byte 13 (in MAIL)");
    let error = Command::parse(b"WHAT", Leniency::STRICT).unwrap_err();
    assert_eq!((error.verb, error.to_string()), (None, "expected an SMTP command (in the verb)".into()));
}

#[test]
fn atrn_takes_sixty_four_domains_and_no_more() {
    let line = |n: usize| format!("ATRN {}", vec!["a.example"; n].join(",")).into_bytes();
    assert!(matches!(parse(&line(64)), Command::Atrn(domains) if domains.len() == 64));
    assert!(Command::parse(&line(65), Leniency::STRICT).is_err());
}

#[test]
fn each_leniency_lets_its_own_departure_pass_and_nothing_else() {
    let mut spaces = Leniency::STRICT;
    spaces.space_after_colon = true;
    let mut brackets = Leniency::STRICT;
    brackets.missing_brackets = true;
    // The line, and whether it passes with each departure allowed alone and with both.
    for (line, with_spaces, with_brackets, with_both) in [
        ("MAIL FROM: <a@x>", true, false, true),
        ("MAIL FROM:a@x", false, true, true),
        ("MAIL FROM: a@x SIZE=1", false, false, true),
        ("RCPT TO:   <a@x>", true, false, true),
        ("RCPT TO:a@x NOTIFY=NEVER", false, true, true),
        ("RCPT TO:<a@x", false, false, false),
        ("RCPT TO:a@x>", false, false, false),
        ("RCPT TO:a@b@c", false, false, false),
        ("RCPT TO:Postmaster", false, false, false),
        ("MAIL FROM :<a@x>", false, false, false),
        ("MAIL FROM:", false, false, false),
        ("MAIL FROM:\t<a@x>", false, false, false),
        ("MAIL FROM:<<a@x>>", false, false, false),
    ] {
        let passes = |leniency| Command::parse(line.as_bytes(), leniency).is_ok();
        assert!(!passes(Leniency::STRICT), "{line}");
        assert_eq!(
            (passes(spaces), passes(brackets), passes(Leniency::LENIENT)),
            (with_spaces, with_brackets, with_both),
            "{line}"
        );
    }
}

#[test]
fn what_an_encoded_command_holds_cannot_become_a_second_command() {
    let evil = "x\r\nRCPT TO:<victim@x>\r\n\0";
    let commands = [
        Command::Vrfy(evil.into()),
        Command::Expn(evil.into()),
        Command::Help(Some(evil.into())),
        Command::Burl { url: evil.into(), last: true },
        Command::Etrn(EtrnTarget::Queue(evil.into())),
        Command::Auth { mechanism: evil.into(), initial: Some(Secret::new(evil)) },
        Command::Xclient({
            let mut attributes = XclientAttributes::new();
            attributes.name = Some(Some(evil.into()));
            attributes.helo = Some(Some(evil.into()));
            attributes
        }),
    ];
    for command in commands {
        let wire = encoded(&command);
        let (text, end) = wire.split_at(wire.len() - 2);
        assert_eq!(end, b"\r\n");
        assert!(!text.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)), "{}", wire.escape_ascii());
    }
}

#[test]
fn debug_output_of_auth_hides_the_initial_response() {
    let command = parse(b"AUTH PLAIN AGFsaWNlAGh1bnRlcjI=");
    let shown = format!("{command:?}");
    assert!(shown.contains("PLAIN") && !shown.contains("AGFs"), "{shown}");
}

#[test]
fn a_mailbox_survives_the_way_through_a_command() {
    for text in [r#""a@b"@c.example"#, r#""\"quoted\\ "@x"#, "a+tag@[IPv6:::1]", "o'neil@x-y.example"] {
        let mailbox = Mailbox::parse(text).unwrap();
        let command = Command::Mail { from: mailbox.clone().into(), params: MailParams::new() };
        let wire = encoded(&command);
        let Command::Mail { from, .. } = parse(&wire[..wire.len() - 2]) else { panic!("{text}") };
        assert_eq!(from.mailbox(), Some(&mailbox), "{text}");
    }
}

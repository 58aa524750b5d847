//! Command lines, good and bad.

use pop3_proto::codec::{CommandError, CommandErrorKind};
use pop3_proto::types::{ApopDigest, Command, LanguageRange, MessageNumber, UserName, Verb};

fn number(number: u32) -> MessageNumber {
    MessageNumber::new(number).expect("not 0")
}

fn name(text: &str) -> UserName {
    UserName::new(text).expect("a name")
}

#[test]
fn good_lines_are_the_commands_they_say() {
    let digest = ApopDigest::from_hex(b"c4c9334bac560ecc979e58001b3e22fb").unwrap();
    let cases = [
        ("USER mrose", Command::User(name("mrose"))),
        ("user mrose ", Command::User(name("mrose"))),
        ("USER  Marshall T. Rose", Command::User(name("Marshall T. Rose"))),
        ("USER grün", Command::User(name("grün"))),
        ("PASS tanstaaf", Command::Pass("tanstaaf".into())),
        ("PASS  a  b ", Command::Pass(" a  b ".into())),
        ("PASS ", Command::Pass("".into())),
        ("APOP mrose c4c9334bac560ecc979e58001b3e22fb", Command::Apop { user: name("mrose"), digest }),
        ("APOP m rose c4c9334bac560ecc979e58001b3e22fb ", Command::Apop { user: name("m rose"), digest }),
        ("RPOP mrose", Command::Rpop(name("mrose"))),
        ("AUTH", Command::AuthList),
        ("AUTH ", Command::AuthList),
        ("AUTH PLAIN", Command::Auth { mechanism: "PLAIN".into(), initial: None }),
        ("auth plain =", Command::Auth { mechanism: "plain".into(), initial: Some("=".into()) }),
        ("AUTH X dGVzdA==", Command::Auth { mechanism: "X".into(), initial: Some("dGVzdA==".into()) }),
        ("STAT", Command::Stat),
        ("stat  ", Command::Stat),
        ("LIST", Command::List(None)),
        ("LIST ", Command::List(None)),
        ("LIST 2", Command::List(Some(number(2)))),
        ("RETR 1", Command::Retr(number(1))),
        ("rEtR 0001", Command::Retr(number(1))),
        ("RETR 4294967295", Command::Retr(number(u32::MAX))),
        ("DELE  3", Command::Dele(number(3))),
        ("NOOP", Command::Noop),
        ("RSET", Command::Rset),
        ("QUIT", Command::Quit),
        ("TOP 1 0", Command::Top { number: number(1), lines: 0 }),
        ("top 1  10 ", Command::Top { number: number(1), lines: 10 }),
        ("TOP 1 99999999999999999999999", Command::Top { number: number(1), lines: u64::MAX }),
        ("UIDL", Command::Uidl(None)),
        ("UIDL 7", Command::Uidl(Some(number(7)))),
        ("CAPA", Command::Capa),
        ("STLS", Command::Stls),
        ("UTF8", Command::Utf8),
        ("utf8", Command::Utf8),
        ("LANG", Command::Lang(None)),
        ("LANG *", Command::Lang(Some(LanguageRange::Preferred))),
        ("LANG en-boont", Command::Lang(Some(LanguageRange::new("en-boont").unwrap()))),
    ];
    for (line, command) in cases {
        assert_eq!(Command::parse(line.as_bytes()), Ok(command), "{line}");
    }
}

#[test]
fn a_password_may_be_any_bytes() {
    assert_eq!(Command::parse(b"PASS \xff\x01"), Ok(Command::Pass(vec![0xff, 1].into())));
}

#[test]
fn bad_lines_are_told_what_is_wrong_with_them() {
    use CommandErrorKind::*;
    let long = format!("USER {}", "x".repeat(241));
    let cases = [
        ("", None, UnknownVerb),
        ("RE", None, UnknownVerb),
        ("RETRX 1", None, UnknownVerb),
        ("TOPS 1 1", None, UnknownVerb),
        ("UTF\x18", None, UnknownVerb),
        ("\u{32}TAT", None, UnknownVerb),
        ("XTND XMIT", None, UnknownVerb),
        (" STAT", None, UnknownVerb),
        ("STAT\t", None, UnknownVerb),
        ("GET / HTTP/1.1", None, OtherProtocol),
        ("Host: example.org", None, OtherProtocol),
        ("USER", Some(Verb::User), MissingArgument),
        ("USER ", Some(Verb::User), MissingArgument),
        ("USER a\u{7f}b", Some(Verb::User), Argument { expected: "a printable name", at: 5 }),
        (&long, Some(Verb::User), Argument { expected: "a printable name", at: 5 }),
        ("PASS", Some(Verb::Pass), MissingArgument),
        ("APOP", Some(Verb::Apop), MissingArgument),
        ("APOP mrose", Some(Verb::Apop), MissingArgument),
        ("APOP mrose x", Some(Verb::Apop), Argument { expected: "32 hexadecimal digits", at: 11 }),
        ("APOP  c4c9334bac560ecc979e58001b3e22fb", Some(Verb::Apop), MissingArgument),
        ("STAT 1", Some(Verb::Stat), UnexpectedArgument(5)),
        ("LIST x", Some(Verb::List), Argument { expected: "the number of a message", at: 5 }),
        ("LIST 1 2", Some(Verb::List), UnexpectedArgument(7)),
        ("LIST 0", Some(Verb::List), NoSuchMessage(5)),
        ("RETR", Some(Verb::Retr), MissingArgument),
        ("RETR -1", Some(Verb::Retr), Argument { expected: "the number of a message", at: 5 }),
        ("RETR 4294967296", Some(Verb::Retr), NoSuchMessage(5)),
        ("RETR 99999999999999999999", Some(Verb::Retr), NoSuchMessage(5)),
        ("DELE 1 1", Some(Verb::Dele), UnexpectedArgument(7)),
        ("TOP 1", Some(Verb::Top), MissingArgument),
        ("TOP 1 -1", Some(Verb::Top), Argument { expected: "a number of lines", at: 6 }),
        ("AUTH PL\u{e9}IN", Some(Verb::Auth), Argument { expected: "the name of a SASL mechanism", at: 5 }),
        ("AUTH PLAIN a b", Some(Verb::Auth), UnexpectedArgument(13)),
        ("LANG en_US", Some(Verb::Lang), Argument { expected: "a language range", at: 5 }),
        ("QUIT now", Some(Verb::Quit), UnexpectedArgument(5)),
    ];
    for (line, verb, kind) in cases {
        assert_eq!(Command::parse(line.as_bytes()), Err(CommandError { verb, kind }), "{line}");
    }
    assert!(matches!(
        Command::parse(b"USER gr\xfcn"),
        Err(CommandError { verb: Some(Verb::User), kind: Argument { .. } })
    ));
}

#[test]
fn verbs_are_told_apart_at_each_byte() {
    for verb in Verb::ALL {
        let name = verb.as_str().as_bytes();
        for at in 0..name.len() {
            for byte in 0..=255u8 {
                let mut line = name.to_vec();
                line[at] = byte;
                let found = match Command::parse(&line) {
                    Ok(command) => Some(command.verb()),
                    Err(error) => error.verb,
                };
                let meant = Verb::ALL.into_iter().find(|v| line.eq_ignore_ascii_case(v.as_str().as_bytes()));
                assert_eq!(found, meant, "{}", line.escape_ascii());
            }
        }
    }
}

#[test]
fn secrets_are_shown_to_nobody() {
    for line in ["PASS tanstaaf", "AUTH PLAIN dGFuc3RhYWY=", "APOP mrose c4c9334bac560ecc979e58001b3e22fb"] {
        let shown = format!("{:?}", Command::parse(line.as_bytes()).unwrap());
        assert!(!shown.contains("tanstaaf") && !shown.contains("dGFu") && !shown.contains("c4c9"), "{shown}");
    }
}

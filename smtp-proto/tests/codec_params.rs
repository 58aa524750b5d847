//! The parameters of MAIL and RCPT: each value that an extension defines, and each that it forbids.

#![allow(clippy::unwrap_used, reason = "what a test takes for granted fails the test where it does not hold")]

use smtp_proto::codec::{CommandErrorKind, Leniency};
use smtp_proto::types::{
    Body, ByMode, Command, DateTime, DeliverBy, Hold, MailAuth, MailParams, Mailbox, Notify,
    OriginalRecipient, Parameter, RcptParams, Ret, Rrvs, RrvsAction, Xtext,
};

fn mail(text: &str) -> Result<MailParams, CommandErrorKind> {
    match Command::parse(format!("MAIL FROM:<a@x> {text}").as_bytes(), Leniency::STRICT) {
        Ok(Command::Mail { params, .. }) => Ok(params),
        Ok(other) => panic!("{other:?}"),
        Err(error) => {
            let refusal = error.refusal();
            assert_eq!(
                (refusal.code().get(), refusal.enhanced().to_string().as_str()),
                (501, "5.5.4"),
                "{text}"
            );
            Err(error.kind)
        }
    }
}

fn rcpt(text: &str) -> Result<RcptParams, CommandErrorKind> {
    match Command::parse(format!("RCPT TO:<a@x> {text}").as_bytes(), Leniency::STRICT) {
        Ok(Command::Rcpt { params, .. }) => Ok(params),
        Ok(other) => panic!("{other:?}"),
        Err(error) => {
            let refusal = error.refusal();
            assert_eq!(
                (refusal.code().get(), refusal.enhanced().to_string().as_str()),
                (501, "5.5.4"),
                "{text}"
            );
            Err(error.kind)
        }
    }
}

fn date(text: &str) -> DateTime {
    DateTime::parse_rfc3339(text).unwrap()
}

fn with_mail(set: impl FnOnce(&mut MailParams)) -> MailParams {
    let mut params = MailParams::new();
    set(&mut params);
    params
}

fn with_rcpt(set: impl FnOnce(&mut RcptParams)) -> RcptParams {
    let mut params = RcptParams::new();
    set(&mut params);
    params
}

#[test]
fn each_parameter_of_mail_is_read_and_written_back() {
    let by = |seconds, mode, trace| with_mail(|p| p.by = Some(DeliverBy { seconds, mode, trace }));
    let hold = |hold| with_mail(|p| p.hold = Some(hold));
    let cases: Vec<(&str, MailParams)> = vec![
        ("SIZE=0", with_mail(|p| p.size = Some(0))),
        ("SIZE=18446744073709551615", with_mail(|p| p.size = Some(u64::MAX))),
        ("BODY=7BIT", with_mail(|p| p.body = Some(Body::SevenBit))),
        ("BODY=8BITMIME", with_mail(|p| p.body = Some(Body::EightBitMime))),
        ("BODY=BINARYMIME", with_mail(|p| p.body = Some(Body::BinaryMime))),
        ("SMTPUTF8", with_mail(|p| p.smtputf8 = true)),
        ("RET=FULL", with_mail(|p| p.ret = Some(Ret::Full))),
        ("RET=HDRS", with_mail(|p| p.ret = Some(Ret::Headers))),
        ("ENVID=QQ314159", with_mail(|p| p.envid = Some(Xtext::new("QQ314159").unwrap()))),
        ("ENVID=a+2Bb+3Dc+20d", with_mail(|p| p.envid = Some(Xtext::new("a+b=c d").unwrap()))),
        ("AUTH=<>", with_mail(|p| p.auth = Some(MailAuth::Unknown))),
        (
            "AUTH=e+3Dmc2@example.com",
            with_mail(|p| p.auth = Some(MailAuth::Mailbox(Mailbox::parse("e=mc2@example.com").unwrap()))),
        ),
        ("BY=120;R", by(120, ByMode::Return, false)),
        ("BY=120;RT", by(120, ByMode::Return, true)),
        ("BY=-30;N", by(-30, ByMode::Notify, false)),
        ("BY=0;NT", by(0, ByMode::Notify, true)),
        ("BY=999999999;R", by(999_999_999, ByMode::Return, false)),
        ("HOLDFOR=999999999", hold(Hold::For(999_999_999))),
        ("HOLDUNTIL=2026-11-23T10:00:00Z", hold(Hold::Until(date("2026-11-23T10:00:00Z")))),
        ("MT-PRIORITY=-9", with_mail(|p| p.mt_priority = Some(-9))),
        ("MT-PRIORITY=9", with_mail(|p| p.mt_priority = Some(9))),
        ("REQUIRETLS", with_mail(|p| p.requiretls = true)),
        ("FOO", with_mail(|p| p.other.push(Parameter::new("FOO", None).unwrap()))),
        ("X-Bar=b@z;1", with_mail(|p| p.other.push(Parameter::new("X-Bar", Some("b@z;1")).unwrap()))),
        ("SOLICIT=org.example:ADV:ADLT", {
            with_mail(|p| p.other.push(Parameter::new("SOLICIT", Some("org.example:ADV:ADLT")).unwrap()))
        }),
    ];
    for (text, params) in cases {
        assert_eq!(mail(text).as_ref(), Ok(&params), "{text}");
        assert_eq!(params.to_string(), format!(" {text}"));
    }
}

#[test]
fn each_parameter_of_rcpt_is_read_and_written_back() {
    let notify = |notify| with_rcpt(|p| p.notify = Some(notify));
    let on = |success, failure, delay| notify(Notify::On { success, failure, delay });
    let orcpt = |text: &str| with_rcpt(|p| p.orcpt = OriginalRecipient::parse(text));
    let rrvs = |since, action| with_rcpt(|p| p.rrvs = Some(Rrvs { since: date(since), action }));
    let cases: Vec<(&str, RcptParams)> = vec![
        ("NOTIFY=NEVER", notify(Notify::Never)),
        ("NOTIFY=SUCCESS", on(true, false, false)),
        ("NOTIFY=FAILURE,DELAY", on(false, true, true)),
        ("NOTIFY=SUCCESS,FAILURE,DELAY", on(true, true, true)),
        ("ORCPT=rfc822;bob@example.org", orcpt("rfc822;bob@example.org")),
        ("ORCPT=rfc822;b+2Bob+20x@example.org", orcpt("rfc822;b+2Bob+20x@example.org")),
        ("ORCPT=x400;/C+3Dus/", orcpt("x400;/C+3Dus/")),
        (r"ORCPT=utf-8;\x{7528}@example.org", orcpt(r"utf-8;\x{7528}@example.org")),
        ("RRVS=2014-04-03T23:01:00Z", rrvs("2014-04-03T23:01:00Z", RrvsAction::Continue)),
        ("RRVS=2014-04-03T23:01:00-05:00;R", rrvs("2014-04-03T23:01:00-05:00", RrvsAction::Reject)),
        ("FOO=bar", with_rcpt(|p| p.other.push(Parameter::new("FOO", Some("bar")).unwrap()))),
    ];
    for (text, params) in cases {
        assert_ne!(params, RcptParams::new(), "{text}");
        assert_eq!(rcpt(text).as_ref(), Ok(&params), "{text}");
        assert_eq!(params.to_string(), format!(" {text}"));
    }
    let orcpt = rcpt("ORCPT=RFC822;a+2Bb@x").unwrap().orcpt.unwrap();
    assert_eq!((orcpt.address_type(), orcpt.address()), ("RFC822", "a+b@x"));
}

#[test]
fn values_may_be_written_in_other_ways() {
    for (text, canonical) in [
        ("size=007", " SIZE=7"),
        ("Body=8BitMime", " BODY=8BITMIME"),
        ("smtpUTF8", " SMTPUTF8"),
        ("ret=hdrs", " RET=HDRS"),
        ("by=+60;r", " BY=60;R"),
        ("by=60;nt", " BY=60;NT"),
        ("auth=<>", " AUTH=<>"),
        ("mt-priority=0", " MT-PRIORITY=0"),
        // RFC 5321 §4.1.1: white space is tolerated; the order is the extension's own.
        ("RET=FULL   SIZE=5 ", " SIZE=5 RET=FULL"),
        // A parameter that is not known keeps the case it came in.
        ("fOo=Bar", " fOo=Bar"),
    ] {
        assert_eq!(mail(text).unwrap().to_string(), canonical, "{text}");
    }
    for (text, canonical) in [
        ("notify=delay,success", " NOTIFY=SUCCESS,DELAY"),
        ("notify=never", " NOTIFY=NEVER"),
        ("rrvs=2014-04-03T23:01:00Z;c", " RRVS=2014-04-03T23:01:00Z"),
    ] {
        assert_eq!(rcpt(text).unwrap().to_string(), canonical, "{text}");
    }
}

#[test]
fn a_wrong_value_is_refused_by_its_keyword() {
    const PLACE: usize = "MAIL FROM:<a@x> ".len();
    let long = |prefix: &str, n: usize| format!("{prefix}{}", "x".repeat(n));
    let cases: Vec<(&'static str, Vec<String>)> = vec![
        (
            "SIZE",
            ["SIZE", "SIZE=", "SIZE=-1", "SIZE=+1", "SIZE=1k", "SIZE=0x10", "SIZE=1.5", "SIZE=\u{661}"]
                .map(String::from)
                .into(),
        ),
        (
            "SIZE",
            ["SIZE=18446744073709551616", "SIZE=99999999999999999999999", "SIZE=000000000000000000001"]
                .map(String::from)
                .into(),
        ),
        ("BODY", ["BODY", "BODY=", "BODY=FOO", "BODY=8BIT", "BODY=8BITMIME,7BIT"].map(String::from).into()),
        ("SMTPUTF8", vec!["SMTPUTF8=1".into(), "SMTPUTF8=".into()]),
        ("RET", ["RET", "RET=FOO", "RET=FULL,HDRS", "RET=HEADERS"].map(String::from).into()),
        (
            "ENVID",
            ["ENVID", "ENVID=", "ENVID=a+zz", "ENVID=a+", "ENVID=a+2", "ENVID=a+2b", "ENVID=a=b"]
                .map(String::from)
                .into(),
        ),
        // A line break or a byte of 8 bits has no place in a report (RFC 3461 §4.4).
        ("ENVID", vec!["ENVID=a+0D+0Ab".into(), "ENVID=a+C3+A9".into(), "ENVID=a+00".into()]),
        ("ENVID", vec![long("ENVID=", 101)]),
        (
            "AUTH",
            ["AUTH", "AUTH=", "AUTH=<a@x>", "AUTH=a", "AUTH=a@x+20", "AUTH=a@@x"].map(String::from).into(),
        ),
        (
            "BY",
            ["BY", "BY=", "BY=10", "BY=;R", "BY=0;R", "BY=-1;R", "BY=10;X", "BY=10;RX", "BY=10;", "BY=10;TR"]
                .map(String::from)
                .into(),
        ),
        ("BY", vec!["BY=1000000000;N".into(), "BY=--1;N".into(), "BY=+-1;N".into()]),
        (
            "HOLDFOR",
            ["HOLDFOR", "HOLDFOR=", "HOLDFOR=1000000000", "HOLDFOR=-1", "HOLDFOR=1h"]
                .map(String::from)
                .into(),
        ),
        (
            "HOLDUNTIL",
            [
                "HOLDUNTIL",
                "HOLDUNTIL=1000",
                "HOLDUNTIL=2026-02-30T00:00:00Z",
                "HOLDUNTIL=2026-11-23T10:00:00",
            ]
            .map(String::from)
            .into(),
        ),
        (
            "MT-PRIORITY",
            [
                "MT-PRIORITY",
                "MT-PRIORITY=10",
                "MT-PRIORITY=-10",
                "MT-PRIORITY=+1",
                "MT-PRIORITY=",
                "MT-PRIORITY=-",
            ]
            .map(String::from)
            .into(),
        ),
        ("REQUIRETLS", vec!["REQUIRETLS=yes".into()]),
    ];
    for (keyword, texts) in cases {
        for text in texts {
            assert_eq!(mail(&text), Err(CommandErrorKind::Parameter { keyword, at: PLACE }), "{text}");
        }
    }
}

#[test]
fn a_wrong_value_of_rcpt_is_refused_by_its_keyword() {
    const PLACE: usize = "RCPT TO:<a@x> ".len();
    for (keyword, texts) in [
        (
            "NOTIFY",
            &[
                "NOTIFY",
                "NOTIFY=",
                "NOTIFY=NEVER,SUCCESS",
                "NOTIFY=SUCCESS,NEVER",
                "NOTIFY=SUCCESS,SUCCESS",
                "NOTIFY=SUCCESS,",
                "NOTIFY=,SUCCESS",
                "NOTIFY=ALWAYS",
            ][..],
        ),
        (
            "ORCPT",
            &[
                "ORCPT",
                "ORCPT=box",
                "ORCPT=;a@x",
                "ORCPT=rfc822;",
                "ORCPT=rfc822;a+zz",
                "ORCPT=rfc 822;a",
                "ORCPT=rfc_822;a",
                "ORCPT=rfc822;a+0D+0AX",
                "ORCPT=rfc822;é@x",
                "ORCPT=utf-8;",
                "ORCPT=utf-8;a+b",
            ],
        ),
        (
            "RRVS",
            &[
                "RRVS",
                "RRVS=",
                "RRVS=yesterday",
                "RRVS=2014-04-03T23:01:00Z;X",
                "RRVS=2014-04-03T23:01:00Z;",
                "RRVS=2014-13-03T23:01:00Z",
            ],
        ),
    ] {
        for text in texts {
            assert_eq!(rcpt(text), Err(CommandErrorKind::Parameter { keyword, at: PLACE }), "{text}");
        }
    }
}

#[test]
fn no_parameter_may_be_given_twice() {
    for first in [
        "SIZE=1",
        "BODY=7BIT",
        "SMTPUTF8",
        "RET=FULL",
        "ENVID=a",
        "AUTH=<>",
        "BY=1;N",
        "HOLDFOR=1",
        "HOLDUNTIL=2026-11-23T10:00:00Z",
        "MT-PRIORITY=1",
        "REQUIRETLS",
        "FOO=1",
    ] {
        let text = format!(
            "{first} {}",
            first.to_ascii_lowercase().replace("10:00:00z", "10:00:00Z").replace("23t", "23T")
        );
        let place = "MAIL FROM:<a@x> ".len() + first.len() + 1;
        assert_eq!(mail(&text), Err(CommandErrorKind::DuplicateParameter(place)), "{text}");
    }
    assert_eq!(mail("SIZE=1 SIZE=2"), Err(CommandErrorKind::DuplicateParameter(23)));
    // RFC 4865 §4: one or the other.
    assert_eq!(
        mail("HOLDFOR=1 HOLDUNTIL=2026-11-23T10:00:00Z"),
        Err(CommandErrorKind::DuplicateParameter(26))
    );
    for first in ["NOTIFY=NEVER", "ORCPT=rfc822;a@x", "RRVS=2014-04-03T23:01:00Z", "FOO"] {
        let place = "RCPT TO:<a@x> ".len() + first.len() + 1;
        let text = format!("{first} {first}");
        assert_eq!(rcpt(&text), Err(CommandErrorKind::DuplicateParameter(place)), "{text}");
    }
}

#[test]
fn what_is_no_parameter_is_refused_by_its_place() {
    for text in ["=", "=x", "-FOO=1", "F_OO=1", "FOO=", "FOO=a=b", "<b@x>", "FÖÖ=1", "SIZE:1"] {
        assert_eq!(mail(text), Err(CommandErrorKind::ParameterSyntax(16)), "{text}");
    }
}

#[test]
fn a_parameter_of_the_other_command_is_kept_as_not_known() {
    assert_eq!(mail("NOTIFY=NEVER").unwrap().other[0].keyword(), "NOTIFY");
    assert_eq!(rcpt("SIZE=1 BODY=7BIT").unwrap().other.len(), 2);
}

#[test]
fn control_characters_and_invalid_utf8_have_no_place_in_parameters() {
    for (tail, at) in [(&b"SIZE=1\x01"[..], 22), (b"FOO=\xff", 20), (b"FOO=a\tb", 21), (b"FOO=a\0", 21)] {
        let line = [&b"MAIL FROM:<a@x> "[..], tail].concat();
        let error = Command::parse(&line, Leniency::STRICT).unwrap_err();
        assert_eq!(error.kind, CommandErrorKind::Control(at), "{}", line.escape_ascii());
        assert_eq!(error.refusal().code().get(), 500);
    }
}

#[test]
fn sixteen_parameters_that_are_not_known_are_kept_and_no_more() {
    let text = |n: usize| (0..n).map(|i| format!("X-{i}=v")).collect::<Vec<_>>().join(" ");
    assert_eq!(mail(&text(16)).unwrap().other.len(), 16);
    assert!(matches!(mail(&text(17)), Err(CommandErrorKind::ParameterSyntax(_))));
}

#[test]
fn an_envid_of_a_hundred_characters_passes_however_long_its_encoding() {
    let envid = "+2B".repeat(100);
    assert_eq!(mail(&format!("ENVID={envid}")).unwrap().envid.unwrap().as_str(), "+".repeat(100));
}

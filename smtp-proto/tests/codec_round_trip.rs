//! Whole commands, made from every part they can have, written and read back.

#![allow(clippy::unwrap_used, reason = "what a test takes for granted fails the test where it does not hold")]

use mail_wire::Secret;
use proptest::option;
use proptest::prelude::*;
use smtp_proto::codec::Leniency;
use smtp_proto::types::{
    Body, ByMode, Command, DateTime, DeliverBy, Domain, EtrnTarget, ForwardPath, HelloName, Hold, MailAuth,
    MailParams, Mailbox, Notify, OriginalRecipient, Parameter, RcptParams, Ret, ReversePath, Rrvs,
    RrvsAction, XclientAttributes, Xtext,
};

/// A strategy for texts whose values the type takes; `make` says which.
fn made<T: core::fmt::Debug>(
    texts: &'static str,
    make: impl Fn(&str) -> Option<T> + 'static,
) -> impl Strategy<Value = T> {
    texts.prop_filter_map("a value of the type", move |text| make(&text))
}

fn domain() -> impl Strategy<Value = Domain> {
    prop_oneof![
        4 => made("[a-zA-Z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\\.[a-z0-9]{1,6}){0,3}", |t| Domain::parse(t).ok()),
        1 => made("例子\\.[a-z]{2,5}", |t| Domain::parse(t).ok()),
        1 => any::<[u8; 4]>().prop_map(|ip| {
            Domain::parse(&format!("[{}]", core::net::Ipv4Addr::from(ip))).unwrap()
        }),
        1 => any::<[u8; 16]>().prop_map(|ip| {
            Domain::parse(&format!("[IPv6:{}]", core::net::Ipv6Addr::from(ip))).unwrap()
        }),
        1 => made("\\[[a-z]{1,5}:[!-Z^-~]{1,9}\\]", |t| Domain::parse(t).ok()),
    ]
}

fn hello() -> impl Strategy<Value = HelloName> {
    prop_oneof![domain().prop_map(HelloName::from), made("[!-~]{1,20}", |t| HelloName::parse(t).ok()),]
}

fn local_part() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]{1,12}(\\.[a-z0-9]{1,6}){0,2}",
        "[a-z]{0,3}[é用]{1,3}",
        "\"([ !#-\\[\\]-~é]|\\\\[ -~]){0,12}\"",
    ]
}

fn mailbox() -> impl Strategy<Value = Mailbox> {
    (local_part(), domain()).prop_map(|(local, domain)| Mailbox::parse(&format!("{local}@{domain}")).unwrap())
}

fn ascii_mailbox() -> impl Strategy<Value = Mailbox> {
    mailbox().prop_filter("ASCII", Mailbox::is_ascii)
}

fn xtext(max: usize) -> impl Strategy<Value = Xtext> {
    proptest::collection::vec(b' '..=b'~', 1..=max)
        .prop_map(|bytes| Xtext::new(core::str::from_utf8(&bytes).unwrap()).unwrap())
}

fn date() -> impl Strategy<Value = DateTime> {
    (-62_000_000_000i64..253_000_000_000, -1439i16..1440)
        .prop_map(|(unix, minutes)| DateTime::from_unix(unix).with_offset_minutes(minutes))
}

fn other() -> impl Strategy<Value = Vec<Parameter>> {
    // The prefix keeps clear of what is known, the index of doubles.
    proptest::collection::vec(option::of("[!-<>-~é]{1,10}"), 0..4).prop_map(|values| {
        let parameter = |(index, value): (usize, Option<String>)| {
            Parameter::new(&format!("X-{index}"), value.as_deref()).unwrap()
        };
        values.into_iter().enumerate().map(parameter).collect()
    })
}

fn mail_params() -> impl Strategy<Value = MailParams> {
    let body = prop_oneof![Just(Body::SevenBit), Just(Body::EightBitMime), Just(Body::BinaryMime)];
    let ret = prop_oneof![Just(Ret::Full), Just(Ret::Headers)];
    let auth = prop_oneof![Just(MailAuth::Unknown), ascii_mailbox().prop_map(MailAuth::Mailbox)];
    let by = prop_oneof![
        (-999_999_999..=999_999_999, Just(ByMode::Notify), any::<bool>()),
        (1..=999_999_999, Just(ByMode::Return), any::<bool>()),
    ]
    .prop_map(|(seconds, mode, trace)| DeliverBy { seconds, mode, trace });
    let hold = prop_oneof![(0u32..=999_999_999).prop_map(Hold::For), date().prop_map(Hold::Until)];
    (
        (option::of(any::<u64>()), option::of(body), any::<bool>(), option::of(ret), option::of(xtext(100))),
        (option::of(auth), option::of(by), option::of(hold), option::of(-9i8..=9), any::<bool>(), other()),
    )
        .prop_map(
            |((size, body, smtputf8, ret, envid), (auth, by, hold, mt_priority, requiretls, other))| {
                let mut params = MailParams::new();
                params.size = size;
                params.body = body;
                params.smtputf8 = smtputf8;
                params.ret = ret;
                params.envid = envid;
                params.auth = auth;
                params.by = by;
                params.hold = hold;
                params.mt_priority = mt_priority;
                params.requiretls = requiretls;
                params.other = other;
                params
            },
        )
}

fn rcpt_params() -> impl Strategy<Value = RcptParams> {
    let notify = prop_oneof![
        Just(Notify::Never),
        (1u8..8).prop_map(|bits| Notify::On {
            success: bits & 1 != 0,
            failure: bits & 2 != 0,
            delay: bits & 4 != 0
        }),
    ];
    let orcpt = prop_oneof![
        xtext(60).prop_map(OriginalRecipient::rfc822),
        made("[a-z0-9-]{1,8};[!-*,-<>-~]{1,20}", OriginalRecipient::parse),
        made("utf-8;[!-*,-<>-~é用]{1,20}", OriginalRecipient::parse),
    ];
    let action = prop_oneof![Just(RrvsAction::Continue), Just(RrvsAction::Reject)];
    let rrvs = (date(), action).prop_map(|(since, action)| Rrvs { since, action });
    (option::of(notify), option::of(orcpt), option::of(rrvs), other()).prop_map(
        |(notify, orcpt, rrvs, other)| {
            let mut params = RcptParams::new();
            params.notify = notify;
            params.orcpt = orcpt;
            params.rrvs = rrvs;
            params.other = other;
            params
        },
    )
}

fn attributes(xclient: bool) -> impl Strategy<Value = XclientAttributes> {
    let text = || option::of(option::of("[!-Z^-~][ -~]{0,12}".prop_map(Box::<str>::from)));
    let ip = || option::of(option::of(any::<core::net::IpAddr>()));
    let port = || option::of(option::of(any::<u16>()));
    ((text(), ip(), port(), text(), text()), (text(), text(), text()), (ip(), port()))
        .prop_map(move |((name, addr, port, proto, helo), (login, ident, source), (dest_addr, dest_port))| {
            let mut attributes = XclientAttributes::new();
            attributes.name = name;
            attributes.addr = addr;
            attributes.port = port;
            attributes.proto = proto;
            attributes.helo = helo;
            if xclient {
                attributes.login = login;
                attributes.dest_addr = dest_addr;
                attributes.dest_port = dest_port;
            } else {
                attributes.ident = ident;
                attributes.source = source;
            }
            attributes
        })
        .prop_filter("at least one attribute", |attributes| *attributes != XclientAttributes::new())
}

fn command() -> impl Strategy<Value = Command> {
    let free_text = || "[!-~é]([ -~é]{0,20}[!-~é])?".prop_map(Box::<str>::from);
    let word = || "[!-~]{1,30}".prop_map(Box::<str>::from);
    let reverse = prop_oneof![
        1 => Just(ReversePath::Null),
        6 => mailbox().prop_map(ReversePath::Mailbox),
    ];
    let forward = prop_oneof![
        1 => Just(ForwardPath::Postmaster),
        6 => mailbox().prop_map(ForwardPath::Mailbox),
    ];
    let etrn = prop_oneof![
        domain().prop_map(EtrnTarget::Node),
        domain().prop_map(EtrnTarget::Subdomains),
        word().prop_map(EtrnTarget::Queue),
    ];
    let bare = prop_oneof![
        Just(Command::Data),
        Just(Command::Rset),
        Just(Command::Noop),
        Just(Command::Quit),
        Just(Command::StartTls),
    ];
    prop_oneof![
        1 => hello().prop_map(Command::Ehlo),
        1 => hello().prop_map(Command::Helo),
        1 => hello().prop_map(Command::Lhlo),
        8 => (reverse, mail_params()).prop_map(|(from, params)| Command::Mail { from, params }),
        8 => (forward, rcpt_params()).prop_map(|(to, params)| Command::Rcpt { to, params }),
        1 => bare,
        1 => (any::<u64>(), any::<bool>()).prop_map(|(size, last)| Command::Bdat { size, last }),
        1 => (word(), any::<bool>()).prop_map(|(url, last)| Command::Burl { url, last }),
        1 => free_text().prop_map(|text| Command::Vrfy((&*text).into())),
        1 => free_text().prop_map(|text| Command::Expn((&*text).into())),
        1 => option::of(free_text()).prop_map(Command::Help),
        1 => etrn.prop_map(Command::Etrn),
        1 => proptest::collection::vec(
            domain().prop_filter("no comma", |d| !d.as_str().contains(',')), 0..5
        ).prop_map(Command::Atrn),
        1 => (word(), option::of("[!-~]{1,40}".prop_map(Secret::new)))
            .prop_map(|(mechanism, initial)| Command::Auth { mechanism, initial }),
        1 => attributes(true).prop_map(Command::Xclient),
        1 => attributes(false).prop_map(Command::Xforward),
    ]
}

fn encode(command: &Command) -> Vec<u8> {
    let mut wire = Vec::new();
    command.encode(&mut wire);
    wire
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_written_is_read_back_as_the_same_command(command in command()) {
        let wire = encode(&command);
        let line = wire.strip_suffix(b"\r\n").expect("a command ends with CRLF");
        prop_assert!(!line.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)));
        let again = Command::parse(line, Leniency::STRICT);
        prop_assert_eq!(again.as_ref(), Ok(&command), "{}", wire.escape_ascii());
        // A strict line means the same to a lenient reader.
        prop_assert_eq!(Command::parse(line, Leniency::LENIENT), again);
    }

    #[test]
    fn what_is_read_from_a_damaged_command_is_written_in_a_form_that_reads_the_same(
        command in command(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        what in 0..3,
    ) {
        let wire = encode(&command);
        let mut line = wire[..wire.len() - 2].to_vec();
        let at = place.index(line.len());
        match what {
            0 => line[at] = byte,
            1 => line.insert(at, byte),
            _ => _ = line.remove(at),
        }
        for leniency in [Leniency::STRICT, Leniency::LENIENT] {
            match Command::parse(&line, leniency) {
                Ok(read) => {
                    let wire = encode(&read);
                    prop_assert_eq!(Command::parse(&wire[..wire.len() - 2], Leniency::STRICT), Ok(read));
                }
                Err(error) => prop_assert_eq!(error.refusal().code().class(), 5),
            }
        }
    }

    #[test]
    fn any_bytes_give_a_command_or_an_error(line in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = Command::parse(&line, Leniency::LENIENT);
        for verb in ["MAIL FROM:<", "RCPT TO:<", "XCLIENT ", "AUTH ", "BDAT ", "ETRN "] {
            let _ = Command::parse(&[verb.as_bytes(), &line].concat(), Leniency::STRICT);
        }
    }
}

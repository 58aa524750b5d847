//! What is written reads back as what it was, whatever it is; and nothing that is read makes a panic.

use mail_wire::ReplyText;
use mail_wire::sasl::{Mechanism, MechanismSet};
use pop3_proto::codec::{LineKind, MAX_REPLY, ReplyLine, encode_reply};
use pop3_proto::types::*;
use proptest::prelude::*;

fn number() -> impl Strategy<Value = MessageNumber> {
    (1..=u32::MAX).prop_map(|number| MessageNumber::new(number).expect("not 0"))
}

fn name() -> impl Strategy<Value = UserName> {
    "[!-~\u{a1}-\u{ff}]([ -~\u{a1}-\u{ff}]{0,60}[!-~])?"
        .prop_map(|text| UserName::new(text).expect("printable"))
}

fn language() -> impl Strategy<Value = LanguageTag> {
    "[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,3}".prop_map(|text| LanguageTag::new(text).expect("a tag"))
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        name().prop_map(Command::User),
        name().prop_map(Command::Rpop),
        "[^\r\n\0]{0,80}".prop_map(|password| Command::Pass(password.into())),
        (name(), any::<[u8; 16]>())
            .prop_map(|(user, digest)| Command::Apop { user, digest: ApopDigest::from_bytes(digest) }),
        ("[!-~]{1,20}", proptest::option::of("[A-Za-z0-9+/]{1,40}={0,2}")).prop_map(
            |(mechanism, initial)| Command::Auth {
                mechanism: mechanism.into(),
                initial: initial.map(Into::into)
            }
        ),
        proptest::option::of(number()).prop_map(Command::List),
        proptest::option::of(number()).prop_map(Command::Uidl),
        number().prop_map(Command::Retr),
        number().prop_map(Command::Dele),
        (number(), any::<u64>()).prop_map(|(number, lines)| Command::Top { number, lines }),
        language().prop_map(|tag| Command::Lang(Some(LanguageRange::Tag(tag)))),
        proptest::sample::select(vec![
            Command::AuthList,
            Command::Stat,
            Command::Noop,
            Command::Rset,
            Command::Quit,
            Command::Capa,
            Command::Stls,
            Command::Utf8,
            Command::Lang(None),
            Command::Lang(Some(LanguageRange::Preferred)),
        ]),
    ]
}

fn code() -> impl Strategy<Value = ResponseCode> {
    prop_oneof![
        proptest::sample::select(vec!["IN-USE", "LOGIN-DELAY", "SYS/TEMP", "SYS/PERM", "AUTH", "UTF8"])
            .prop_map(str::to_owned),
        "[!-.0-Z\\\\^-~]{1,12}(/[!-.0-Z\\\\^-~]{1,12}){0,3}",
    ]
    .prop_map(|text| ResponseCode::new(text).expect("a code"))
}

fn capability() -> impl Strategy<Value = Capability> {
    let mechanisms = proptest::sample::subsequence(Mechanism::ALL.to_vec(), 0..Mechanism::ALL.len());
    let others = proptest::collection::vec("X-[A-Z]{1,8}".prop_map(Into::into), 0..5);
    prop_oneof![
        proptest::sample::select(vec![
            Capability::Top,
            Capability::User,
            Capability::RespCodes,
            Capability::Pipelining,
            Capability::Uidl,
            Capability::Stls,
            Capability::AuthRespCode,
            Capability::Lang,
        ]),
        (mechanisms, others).prop_map(|(known, others)| {
            let known: MechanismSet = known.into_iter().collect();
            Capability::Sasl(SaslNames { known, others })
        }),
        any::<bool>().prop_map(|user| Capability::Utf8 { user }),
        (any::<u32>(), any::<bool>())
            .prop_map(|(seconds, per_user)| Capability::LoginDelay(LoginDelay { seconds, per_user })),
        (any::<Option<u32>>(), any::<bool>())
            .prop_map(|(days, per_user)| Capability::Expire(Expire { days, per_user })),
        "[!-~]([ -~]{0,80}[!-~])?".prop_map(|text| Capability::Implementation(text.into())),
        "X-[!-~]([ -~]{0,80}[!-~])?".prop_map(|text| Capability::Other(text.into())),
    ]
}

/// The line without its CRLF, of which there is one at the end and none else.
fn one_line(wire: &[u8]) -> &[u8] {
    let line = wire.strip_suffix(b"\r\n").expect("CRLF at the end");
    assert!(!line.contains(&b'\r') && !line.contains(&b'\n'));
    line
}

proptest! {
    #[test]
    fn commands_read_back(command in command()) {
        let mut wire = Vec::new();
        command.encode(&mut wire);
        prop_assert_eq!(Command::parse(one_line(&wire)), Ok(command));
    }

    #[test]
    fn what_parses_is_written_so_that_it_parses_again(line in "[A-Za-z8]{3,4}( [ -~]{0,30})?") {
        if let Ok(command) = Command::parse(line.as_bytes()) {
            let mut wire = Vec::new();
            command.encode(&mut wire);
            prop_assert_eq!(Command::parse(one_line(&wire)), Ok(command));
        }
    }

    #[test]
    fn replies_read_back(ok: bool, code in proptest::option::of(code()), text in "[!-Z^-~\u{a1}-\u{ff}][ -~\u{a1}-\u{ff}]{0,300}") {
        let status = if ok { Status::Ok } else { Status::Err };
        let mut wire = Vec::new();
        encode_reply(&mut wire, status, code.as_ref(), &ReplyText::sanitized(&text));
        prop_assert!(wire.len() <= MAX_REPLY);
        let line = ReplyLine::parse(one_line(&wire)).expect("a reply");
        prop_assert_eq!(line.kind(), LineKind::Status(status));
        prop_assert_eq!(line.code(), code);
        prop_assert!(text.as_bytes().starts_with(line.text()), "cut at the most");
        prop_assert!(line.text().len() >= text.len().min(340));
    }

    #[test]
    fn capabilities_read_back(capability in capability()) {
        let mut line = Vec::new();
        capability.encode(&mut line);
        prop_assert_eq!(Capability::parse(&line), Ok(capability));
    }

    #[test]
    fn all_capabilities_together_read_back(lines in proptest::collection::vec(capability(), 0..20)) {
        let mut capabilities = Capabilities::default();
        lines.into_iter().for_each(|capability| capabilities.insert(capability));
        let mut again = Capabilities::default();
        capabilities.iter().for_each(|capability| again.insert(capability));
        prop_assert_eq!(again, capabilities);
    }

    #[test]
    fn listings_read_back(number in number(), octets: u64, messages: u32, id in "[!-~]{1,70}", tag in language()) {
        let mut line = Vec::new();
        let scan = ScanListing { number, octets };
        scan.encode(&mut line);
        prop_assert_eq!(ScanListing::parse(&line), Ok(scan));
        line.clear();
        let drop = DropListing { messages, octets };
        drop.encode(&mut line);
        prop_assert_eq!(DropListing::parse(&line), Ok(drop));
        line.clear();
        let listing = UniqueIdListing { number, id: UniqueId::new(&id).expect("printable") };
        listing.encode(&mut line);
        prop_assert_eq!(UniqueIdListing::parse(&line), Ok(listing));
        line.clear();
        let listing = LanguageListing { tag, description: Some(ReplyText::sanitized(&id)) };
        listing.encode(&mut line);
        prop_assert_eq!(LanguageListing::parse(&line), Ok(listing));
    }

    #[test]
    fn no_line_makes_a_parser_panic(line in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = Command::parse(&line);
        let _ = ReplyLine::parse(&line).map(|reply| (reply.code(), reply.text().len(), format!("{reply:?}")));
        let _ = Capability::parse(&line);
        let _ = (DropListing::parse(&line), ScanListing::parse(&line));
        let _ = (UniqueIdListing::parse(&line), LanguageListing::parse(&line));
        let _ = ApopTimestamp::find(&line);
    }

    #[test]
    fn a_timestamp_is_found_behind_any_text(before in "[ -;=-~]{0,60}", local in "[a-z0-9]{1,20}", after in "[ -~]{0,30}") {
        let text = format!("{before}<{local}@pop.example>{after}");
        let found = ApopTimestamp::find(text.as_bytes()).expect("there is one");
        prop_assert_eq!(found.as_str(), format!("<{local}@pop.example>"));
    }
}

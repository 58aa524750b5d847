//! Responses of all kinds, written and read, and read and written: what comes out is what went in.

use imap_proto::codec::{Dialect, Found, FrameScanner, Speaker, Style};
use imap_proto::types::*;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use std::num::NonZeroU32;

fn written(response: &Response, style: &Style) -> Vec<u8> {
    let mut out = Vec::new();
    response.encode(&mut out, style);
    out
}

/// Written in each style, the response is one frame, and is read again as the same.
fn comes_back(response: &Response) -> Result<(), TestCaseError> {
    for utf8 in [false, true] {
        for binary in [false, true] {
            let mut style = Style::SERVER;
            (style.utf8, style.binary) = (utf8, binary);
            let wire = written(response, &style);
            let mut scanner = FrameScanner::new(Speaker::Server);
            let frame = loop {
                match scanner.scan(&wire, usize::MAX) {
                    Found::Literal { literal, .. } => scanner.literal(literal.len as usize),
                    Found::Frame { total, ending, .. } => {
                        prop_assert_eq!(total, wire.len(), "{}", wire.escape_ascii());
                        break &wire[..total - ending];
                    }
                    other => return Err(TestCaseError::fail(format!("{other:?}: {}", wire.escape_ascii()))),
                }
            };
            let mut dialect = Dialect::CLIENT;
            dialect.utf8 = utf8;
            let again = Response::parse(frame, &dialect)
                .map_err(|error| TestCaseError::fail(format!("{error}: {}", wire.escape_ascii())))?;
            prop_assert_eq!(&again, response, "{}", wire.escape_ascii());
        }
    }
    Ok(())
}

fn text() -> impl Strategy<Value = Text> {
    prop_oneof![
        "[ -~]{0,40}".prop_map(|text| Text::from(text.as_str())),
        vec(any::<u8>(), 0..60).prop_map(|bytes| Text::copy(&bytes)),
        Just(Text::from("NIL")),
        Just(Text::from("a]b\"c\\d")),
        "[a-zé]{900,1100}".prop_map(|text| Text::from(text.as_str())),
    ]
}

fn number() -> impl Strategy<Value = NonZeroU32> {
    any::<u32>().prop_map(|number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MAX))
}

fn atom() -> impl Strategy<Value = Text> {
    "[A-Z][A-Z0-9=+-]{0,35}".prop_map(|name| Text::from(format!("X{name}").as_str()))
}

fn object_id() -> impl Strategy<Value = Text> {
    "[a-zA-Z0-9_-]{1,60}".prop_map(|id| Text::from(id.as_str()))
}

fn mod_seq() -> impl Strategy<Value = ModSeq> {
    (0..=ModSeq::MAX.get()).prop_map(|number| ModSeq::new(number).expect("63 bits"))
}

fn set() -> impl Strategy<Value = NumberSet> {
    vec((number(), number()), 1..5).prop_map(|ranges| {
        let ranges = ranges.into_iter().map(|(first, last)| NumberRange { first, last }).collect();
        NumberSet::new(ranges).expect("one at least")
    })
}

fn flags() -> impl Strategy<Value = Flags> {
    let keyword =
        "[$a-z][a-zA-Z0-9]{0,40}".prop_map(|name| Flag::Keyword(Keyword::new(name).expect("an atom")));
    let system = prop::sample::select(&SystemFlag::ALL[..]).prop_map(Flag::System);
    vec(prop_oneof![keyword, system], 0..6).prop_map(|flags| {
        let mut set = Flags::EMPTY;
        flags.into_iter().for_each(|flag| set.insert(flag));
        set
    })
}

fn mailbox() -> impl Strategy<Value = MailboxName> {
    prop_oneof![
        Just(MailboxName::INBOX),
        "[^\r\n\0]{0,20}".prop_map(|name| MailboxName::new(name).expect("no break")),
        "[a-z/&\\\\\"%*() ]{0,50}".prop_map(|name| MailboxName::new(name).expect("no break")),
    ]
}

fn moment() -> impl Strategy<Value = DateTime> {
    (0i64..250_000_000_000, -1400i16..1400)
        .prop_map(|(seconds, zone)| DateTime::from_unix(seconds, zone).expect("in this era"))
}

fn envelope() -> impl Strategy<Value = Envelope> {
    let address = (of(text()), of(text()), of(text()), of(text()))
        .prop_map(|(name, route, mailbox, host)| Address { name, route, mailbox, host });
    (vec(of(text()), 4), vec(vec(address, 0..3).prop_map(Addresses::from), 6)).prop_map(
        |(texts, addresses)| {
            let [date, subject, in_reply_to, message_id] = texts.try_into().expect("four");
            let [from, sender, reply_to, to, cc, bcc] = addresses.try_into().expect("six");
            Envelope { date, subject, from, sender, reply_to, to, cc, bcc, in_reply_to, message_id }
        },
    )
}

fn parameters() -> impl Strategy<Value = Vec<Parameter>> {
    vec((text(), text()).prop_map(|(name, value)| Parameter { name, value }), 0..3)
}

fn extension() -> impl Strategy<Value = Extension> {
    let disposition = (text(), parameters()).prop_map(|(kind, parameters)| Disposition { kind, parameters });
    let others = prop::sample::select(&["(1 (2))", "NIL", "\"a\" 3"][..]);
    let others = others.prop_map(|others| Raw::parse(others.as_bytes()).expect("values"));
    (0..=Extension::ALL, of(text()), of(disposition), vec(text(), 0..3), of(text()), of(others)).prop_map(
        |(fields, md5, disposition, language, location, others)| Extension {
            fields,
            md5: md5.filter(|_| fields > 0),
            disposition: disposition.filter(|_| fields > 1),
            language: if fields > 2 { language } else { Vec::new() },
            location: location.filter(|_| fields > 3),
            others: others.filter(|_| fields > 3),
        },
    )
}

fn body() -> impl Strategy<Value = BodyStructure> {
    let leaf = single(Just(PartKind::Basic).boxed(), "application", "pdf").prop_union(single(
        any::<u32>().prop_map(|lines| PartKind::Text { lines: lines.into() }).boxed(),
        "TEXT",
        "x",
    ));
    leaf.prop_recursive(4, 12, 3, |inner| {
        let multi = (vec(inner.clone(), 1..4), text(), parameters(), extension()).prop_map(
            |(parts, subtype, parameters, mut extension)| {
                extension.md5 = None;
                let parameters = if extension.fields > 0 { parameters } else { Vec::new() };
                BodyStructure::Multi(Box::new(MultiPart { parts, subtype, parameters, extension }))
            },
        );
        let message = (envelope(), inner, any::<u32>()).prop_map(|(envelope, body, lines)| {
            PartKind::Message(Box::new(MessagePart { envelope, body, lines: lines.into() }))
        });
        multi.boxed().prop_union(single(message.boxed(), "Message", "RFC822").boxed())
    })
}

fn single(
    kind: BoxedStrategy<PartKind>,
    media_type: &'static str,
    subtype: &'static str,
) -> BoxedStrategy<BodyStructure> {
    (kind, parameters(), of(text()), of(text()), text(), any::<u32>(), extension())
        .prop_map(move |(kind, parameters, id, description, encoding, octets, extension)| {
            BodyStructure::Single(Box::new(SinglePart {
                media_type: media_type.into(),
                subtype: subtype.into(),
                parameters,
                id,
                description,
                encoding,
                octets: octets.into(),
                kind,
                extension,
            }))
        })
        .boxed()
}

fn part() -> impl Strategy<Value = PartPath> {
    vec(number(), 0..4).prop_map(PartPath::new)
}

fn section() -> impl Strategy<Value = Section> {
    let names = || vec(text(), 1..4);
    let text = prop_oneof![
        Just(SectionText::All),
        Just(SectionText::Header),
        Just(SectionText::Text),
        Just(SectionText::Mime),
        names().prop_map(SectionText::HeaderFields),
        names().prop_map(SectionText::HeaderFieldsNot),
    ];
    (part(), text).prop_map(|(part, text)| Section::new(part, text).unwrap_or_default())
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![Just(Content::Nil), text().prop_map(Content::Inline)]
}

fn fetch_item() -> impl Strategy<Value = FetchItem> {
    let rfc822 = prop::sample::select(&[Rfc822::Full, Rfc822::Header, Rfc822::Text][..]);
    prop_oneof![
        flags().prop_map(FetchItem::Flags),
        number().prop_map(|uid| FetchItem::Uid(uid.into())),
        mod_seq().prop_map(FetchItem::ModSeq),
        any::<u64>().prop_map(FetchItem::Size),
        moment().prop_map(FetchItem::InternalDate),
        envelope().prop_map(|envelope| FetchItem::Envelope(Box::new(envelope))),
        body().prop_map(FetchItem::BodyStructure),
        body().prop_map(FetchItem::Body),
        (section(), of(any::<u64>()), content()).prop_map(|(section, origin, content)| FetchItem::Section(
            Box::new(SectionContent { section, origin, content })
        )),
        (rfc822, content()).prop_map(|(which, content)| FetchItem::Rfc822(which, content)),
        (part(), of(any::<u64>()), content()).prop_map(|(part, origin, content)| FetchItem::Binary(
            Box::new(BinaryContent { part, origin, content })
        )),
        (part(), any::<u64>()).prop_map(|(part, size)| FetchItem::BinarySize(part, size)),
        of(text()).prop_map(FetchItem::Preview),
        object_id().prop_map(FetchItem::EmailId),
        of(object_id().prop_filter("NIL is none", |id| !id.eq_ignore_ascii_case(b"NIL")))
            .prop_map(FetchItem::ThreadId),
        of(moment()).prop_map(FetchItem::SaveDate),
        any::<u64>().prop_map(FetchItem::GmailMessageId),
        vec(text(), 0..3).prop_map(FetchItem::GmailLabels),
        Just(FetchItem::Other(Raw::parse(b"X-NEW (1 {3}\r\n))) \"a\")").expect("values"))),
    ]
}

fn fetch() -> impl Strategy<Value = Data> {
    let message = prop_oneof![
        number().prop_map(|number| MessageId::Seq(number.into())),
        number().prop_map(|number| MessageId::Uid(number.into())),
    ];
    (message, vec(fetch_item(), 0..5)).prop_map(|(message, items)| Data::Fetch(Fetch { message, items }))
}

fn capability() -> impl Strategy<Value = Capability> {
    prop_oneof![
        Just(Capability::Imap4Rev2),
        Just(Capability::GmailExt1),
        Just(Capability::LiteralPlus),
        atom().prop_map(Capability::Auth),
        atom().prop_map(|name| Capability::Thread(ThreadAlgorithm::Other(name))),
        Just(Capability::QuotaResource(QuotaResource::AnnotationStorage)),
        of(any::<u64>()).prop_map(Capability::AppendLimit),
        number().prop_map(Capability::MessageLimit),
        atom().prop_map(Capability::Other),
    ]
}

fn capabilities() -> impl Strategy<Value = Box<Capabilities>> {
    vec(capability(), 0..8).prop_map(|list| Box::new(list.into_iter().collect()))
}

fn code() -> impl Strategy<Value = Code> {
    let url = || "[!-~]{1,40}".prop_map(|url| Text::from(url.as_str()));
    let tag = "[A-Za-z0-9]{1,40}".prop_map(|tag| Tag::new(tag).expect("a tag"));
    prop_oneof![
        Just(Code::Alert),
        Just(Code::UnknownCte),
        Just(Code::UidRequired),
        vec(text(), 0..3).prop_map(Code::BadCharset),
        capabilities().prop_map(Code::Capability),
        flags().prop_map(|flags| Code::PermanentFlags(Box::new(flags))),
        number().prop_map(|uid| Code::UidNext(uid.into())),
        number().prop_map(|number| Code::Unseen(number.into())),
        (number(), set()).prop_map(|(validity, uids)| Code::AppendUid { validity: validity.into(), uids }),
        (number(), set(), set()).prop_map(|(validity, from, to)| Code::CopyUid(Box::new(CopyUid {
            validity: validity.into(),
            from,
            to
        }))),
        mod_seq().prop_map(Code::HighestModSeq),
        set().prop_map(Code::Modified),
        vec(url(), 1..3).prop_map(Code::Referral),
        url().prop_map(Code::BadUrl),
        text().prop_map(Code::NoUpdate),
        vec(text(), 0..3).prop_map(Code::BadEvent),
        atom().prop_map(Code::UndefinedFilter),
        any::<u64>().prop_map(|octets| Code::Metadata(MetadataCode::MaxSize(octets))),
        object_id().prop_map(Code::MailboxId),
        of((of(tag), of(any::<u32>()), of(number()))).prop_map(|progress| Code::InProgress(
            progress.map(|(tag, done, of)| Box::new(InProgress { tag, done, of }))
        )),
        (number(), of(number()))
            .prop_map(|(limit, lowest)| Code::MessageLimit { limit, lowest: lowest.map(Uid::from) }),
    ]
}

fn response_text() -> impl Strategy<Value = ResponseText> {
    let text = "[^\r\n\0\\[][^\r\n\0]{0,60}".prop_map(|text| Text::from(text.as_str()));
    (of(code()), text).prop_map(|(code, text)| ResponseText { code, text })
}

fn threads() -> impl Strategy<Value = Threads> {
    vec((any::<u32>(), of(number())), 0..20).prop_map(|nodes| {
        let mut limit = 0;
        let nodes = nodes.into_iter().map(|(depth, number)| {
            let depth = depth % (limit + 1);
            limit = depth + 1;
            ThreadNode { depth, number }
        });
        Threads::new(nodes.collect()).expect("one level at a time")
    })
}

fn delimiter() -> impl Strategy<Value = Option<Delimiter>> {
    of(prop::char::range(' ', '~').prop_map(|char| Delimiter::new(char).expect("printable")))
}

fn listing() -> impl Strategy<Value = Data> {
    let attribute = prop_oneof![
            Just(MailboxAttribute::NoSelect),
            Just(MailboxAttribute::Important),
            atom().prop_map(
                |name| MailboxAttribute::from_name(&[b"\\", &name[..]].concat()).expect("an attribute")
            ),
        ];
    let item = prop_oneof![
        vec(text(), 0..3).prop_map(ListItem::ChildInfo),
        mailbox().prop_map(ListItem::OldName),
        Just(ListItem::Other(Raw::parse(b"X (1 2)").expect("values"))),
    ];
    let kind = prop::sample::select(&[ListKind::List, ListKind::Lsub, ListKind::XList][..]);
    (kind, vec(attribute, 0..4), delimiter(), mailbox(), vec(item, 0..3)).prop_map(
        |(kind, attributes, delimiter, mailbox, extended)| {
            Data::List(Box::new(Listing { kind, attributes, delimiter, mailbox, extended }))
        },
    )
}

fn status() -> impl Strategy<Value = Data> {
    let item = prop_oneof![
        any::<u32>().prop_map(StatusItem::Messages),
        number().prop_map(|uid| StatusItem::UidNext(uid.into())),
        number().prop_map(|validity| StatusItem::UidValidity(validity.into())),
        any::<u64>().prop_map(StatusItem::Size),
        mod_seq().prop_map(StatusItem::HighestModSeq),
        of(any::<u64>()).prop_map(StatusItem::AppendLimit),
        object_id().prop_map(StatusItem::MailboxId),
    ];
    (mailbox(), vec(item, 0..5))
        .prop_map(|(mailbox, items)| Data::Status(Box::new(MailboxStatus { mailbox, items })))
}

fn esearch() -> impl Strategy<Value = Data> {
    let range = (any::<bool>(), number(), number()).prop_map(|(from_last, first, last)| match from_last {
        true => PartialRange::FromLast(first, last),
        false => PartialRange::FromFirst(first, last),
    });
    let item = prop_oneof![
        number().prop_map(ESearchItem::Min),
        set().prop_map(ESearchItem::All),
        any::<u32>().prop_map(ESearchItem::Count),
        mod_seq().prop_map(ESearchItem::ModSeq),
        (range, of(set())).prop_map(|(range, set)| ESearchItem::Partial(range, set)),
        vec((any::<u32>(), set()), 0..3).prop_map(ESearchItem::AddTo),
        vec(any::<u8>(), 0..4).prop_map(ESearchItem::Relevancy),
        Just(ESearchItem::Other(Raw::parse(b"X-NEW (1 2)").expect("values"))),
    ];
    (of(text()), of(mailbox()), of(number()), any::<bool>(), vec(item, 0..4)).prop_map(
        |(tag, mailbox, validity, uid, items)| {
            let validity = validity.map(UidValidity::from);
            Data::ESearch(Box::new(ESearch { tag, mailbox, validity, uid, items }))
        },
    )
}

fn access() -> impl Strategy<Value = Data> {
    let rights = || "[a-z0-9]{0,12}".prop_map(|rights| Rights::new(rights).expect("letters"));
    let entry = || "(/[a-z .\"()]{1,12}){1,4}".prop_map(|name| EntryName::new(name).expect("a name"));
    let usage = (any::<u64>(), any::<u64>()).prop_map(|(used, limit)| QuotaUsage {
        resource: QuotaResource::Storage,
        used,
        limit,
    });
    let namespace = || {
        let extension = (text(), vec(text(), 0..3));
        let namespace = (mailbox(), delimiter(), vec(extension, 0..2))
            .prop_map(|(prefix, delimiter, extensions)| Namespace { prefix, delimiter, extensions });
        vec(namespace, 0..3)
    };
    prop_oneof![
        (mailbox(), vec((text(), rights()), 0..3))
            .prop_map(|(mailbox, entries)| Data::Acl(Box::new(Acl { mailbox, entries }))),
        (mailbox(), text(), rights(), vec(rights(), 0..4)).prop_map(
            |(mailbox, identifier, required, optional)| Data::ListRights(Box::new(ListRights {
                mailbox,
                identifier,
                required,
                optional
            }))
        ),
        (text(), vec(usage, 0..3))
            .prop_map(|(root, resources)| Data::Quota(Box::new(Quota { root, resources }))),
        (mailbox(), vec(text(), 0..3))
            .prop_map(|(mailbox, roots)| Data::QuotaRoots(Box::new(QuotaRoots { mailbox, roots }))),
        (mailbox(), vec((entry(), of(text())), 0..3)).prop_map(|(mailbox, values)| Data::Metadata(Box::new(
            Metadata { mailbox, entries: MetadataEntries::Values(values) }
        ))),
        (mailbox(), vec(entry(), 1..3)).prop_map(|(mailbox, entries)| Data::Metadata(Box::new(Metadata {
            mailbox,
            entries: MetadataEntries::Changed(entries)
        }))),
        (namespace(), namespace(), namespace()).prop_map(|(personal, others, shared)| Data::Namespace(
            Box::new(Namespaces { personal, others, shared })
        )),
        of(vec((text(), of(text())).prop_map(|(name, value)| IdField { name, value }), 0..3))
            .prop_map(Data::Id),
        vec(text(), 0..3).prop_map(Data::Language),
        (text(), vec(text(), 0..3)).prop_map(|comparator| Data::Comparator(Box::new(comparator))),
        vec((text(), of(text())), 0..3).prop_map(|contents| Data::UrlFetch(
            contents.into_iter().map(|(url, content)| UrlContent { url, content }).collect()
        )),
        text().prop_map(Data::JmapAccess),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    let results = || {
        (vec(number(), 0..9), of(mod_seq())).prop_map(|(numbers, mod_seq)| SearchResults { numbers, mod_seq })
    };
    let data = prop_oneof![
        8 => fetch(),
        1 => capabilities().prop_map(Data::Capability),
        1 => capabilities().prop_map(Data::Enabled),
        1 => flags().prop_map(Data::Flags),
        1 => any::<u32>().prop_map(Data::Exists),
        1 => number().prop_map(|number| Data::Expunge(number.into())),
        1 => (any::<bool>(), set()).prop_map(|(earlier, uids)| Data::Vanished { earlier, uids }),
        3 => listing(),
        2 => status(),
        1 => results().prop_map(Data::Search),
        1 => results().prop_map(Data::Sort),
        3 => threads().prop_map(Data::Thread),
        3 => esearch(),
        6 => access(),
    ];
    let outcome = prop::sample::select(&[Outcome::Ok, Outcome::No, Outcome::Bad][..]);
    let status =
        prop::sample::select(&[Status::Ok, Status::No, Status::Bad, Status::Bye, Status::PreAuth][..]);
    let tag = "[A-Za-z0-9.\\]]{1,40}".prop_map(|tag| Tag::new(tag).expect("a tag"));
    prop_oneof![
        8 => data.prop_map(Response::Data),
        2 => (tag, outcome, response_text()).prop_map(|(tag, outcome, text)| Response::Done { tag, outcome, text }),
        2 => (status, response_text()).prop_map(|(status, text)| Response::Status { status, text }),
        1 => response_text().prop_map(Response::Continue),
    ]
}

/// What takes sentences apart.
const BREAKING: &[&[u8]] = &[b"\r\n", b"{3}\r\n", b"\0", b"\xff", b"\r", b"\"", b"\\", b"]"];

/// Bytes that mean something, so that what is made of them gets far.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&[u8]> = include_str!("data/words").lines().map(str::as_bytes).collect();
    let piece = prop_oneof![
        6 => prop::sample::select(words).prop_map(<[u8]>::to_vec),
        1 => prop::sample::select(BREAKING)
            .prop_map(<[u8]>::to_vec),
        1 => any::<u32>().prop_map(|number| number.to_string().into_bytes()),
    ];
    let separator = prop::sample::select(&["", " ", " ", " ", "  "][..]);
    (
        prop::sample::select(
            &["* ", "* 1 FETCH (", "* OK [", "a NO [", "+ ", "* ESEARCH ", "* THREAD ", ""][..],
        ),
        vec((piece, separator), 0..20),
    )
        .prop_map(|(start, pieces)| {
            let mut frame = start.as_bytes().to_vec();
            for (piece, separator) in pieces {
                frame.extend_from_slice(&piece);
                frame.extend_from_slice(separator.as_bytes());
            }
            frame
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_written_is_read_again(response in response()) {
        comes_back(&response)?;
    }

    #[test]
    fn what_is_read_is_read_again_once_written(frame in fragments()) {
        for dialect in [Dialect::CLIENT, Dialect::SERVER] {
            if let Ok(response) = Response::parse(&frame, &dialect) {
                let wire = written(&response, &Style::SERVER);
                let again = Response::parse(&wire[..wire.len() - 2], &dialect);
                prop_assert_eq!(again.as_ref(), Ok(&response), "{}", wire.escape_ascii());
            }
        }
    }

    #[test]
    fn a_changed_byte_changes_no_more_than_it_must(response in response(), at in any::<usize>(), byte in any::<u8>()) {
        let mut wire = written(&response, &Style::SERVER);
        let end = wire.len() - 2;
        wire[at % end] = byte;
        if let Ok(response) = Response::parse(&wire[..end], &Dialect::CLIENT) {
            let wire = written(&response, &Style::SERVER);
            let again = Response::parse(&wire[..wire.len() - 2], &Dialect::CLIENT);
            prop_assert_eq!(again.as_ref(), Ok(&response), "{}", wire.escape_ascii());
        }
    }
}

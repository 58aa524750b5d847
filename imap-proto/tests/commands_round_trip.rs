//! Commands of all kinds, written in all styles and read again: what comes out is what went in.

use imap_proto::codec::{Dialect, Found, FrameScanner, Literals, Speaker, Style};
use imap_proto::types::command::*;
use imap_proto::types::{
    Atom, Date, DateTime, EntryName, FetchAttribute, Flag, Flags, Keyword, ListPattern, MailboxName, ModSeq,
    NonEmpty, NumberRange, NumberSet, PartPath, Partial, PartialRange, Position, QuotaResource, Rfc822,
    Rights, Section, SectionText, SequenceRange, SequenceSet, StatusAttribute, SystemFlag, Tag, Text,
    ThreadAlgorithm, UidValidity,
};
use mail_wire::Secret;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use std::num::NonZeroU32;

/// Written in each style, the command is one frame, and is read again as the same.
fn comes_back(command: &Command) -> Result<(), TestCaseError> {
    let literals = [Literals::Plain, Literals::Synchronizing, Literals::Minus, Literals::Plus];
    for (utf8, binary, literals) in literals
        .into_iter()
        .flat_map(|literals| [(false, false, literals), (false, true, literals), (true, true, literals)])
    {
        let mut style = Style::CLIENT;
        (style.utf8, style.binary, style.literals) = (utf8, binary, literals);
        let mut wire = Vec::new();
        let stops = command.encode(&mut wire, &style);
        let shown = wire.escape_ascii();
        let mut scanner = FrameScanner::new(Speaker::Client);
        let mut waits = Vec::new();
        let frame = loop {
            match scanner.scan(&wire, usize::MAX) {
                Found::Literal { literal, start } => {
                    if literal.synchronizing {
                        waits.push(start);
                    }
                    scanner.literal(literal.len as usize);
                }
                Found::Frame { total, ending, .. } => {
                    prop_assert_eq!(total, wire.len(), "{}", shown);
                    break &wire[..total - ending];
                }
                other => return Err(TestCaseError::fail(format!("{other:?}: {shown}"))),
            }
        };
        if literals != Literals::Plain {
            let stops: Vec<_> = stops.iter().filter(|stop| stop.waits).map(|stop| stop.at).collect();
            prop_assert_eq!(stops, waits, "{}", shown);
        }
        let mut dialect = Dialect::SERVER;
        dialect.utf8 = utf8;
        let again = Command::parse(frame, &dialect)
            .map_err(|error| TestCaseError::fail(format!("{error}: {shown}")))?;
        prop_assert_eq!(&again, command, "{}", shown);
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

/// An atom that is none of those with a meaning.
fn atom() -> impl Strategy<Value = Atom> {
    "X-[A-Z][A-Z0-9-]{0,35}".prop_map(|name| Atom::new(name).expect("an atom"))
}

fn object_id() -> impl Strategy<Value = Text> {
    "[a-zA-Z0-9_-]{1,60}".prop_map(|id| Text::from(id.as_str()))
}

fn mod_seq() -> impl Strategy<Value = ModSeq> {
    (0..=ModSeq::MAX.get()).prop_map(|number| ModSeq::new(number).expect("63 bits"))
}

fn number_set() -> impl Strategy<Value = NumberSet> {
    vec((number(), number()), 1..5).prop_map(|ranges| {
        let ranges = ranges.into_iter().map(|(first, last)| NumberRange { first, last }).collect();
        NumberSet::new(ranges).expect("one at least")
    })
}

fn set() -> impl Strategy<Value = SequenceSet> {
    let position = || prop_oneof![number().prop_map(Position::Number), Just(Position::Largest)];
    let members = vec((position(), position()), 1..5).prop_map(|members| {
        let members = members.into_iter().map(|(first, last)| SequenceRange { first, last }).collect();
        SequenceSet::new(members).expect("one at least")
    });
    prop_oneof![members, Just(SequenceSet::SAVED), Just(SequenceSet::ALL)]
}

fn keyword() -> impl Strategy<Value = Keyword> {
    "[$a-z][a-zA-Z0-9]{0,40}".prop_map(|name| Keyword::new(name).expect("an atom"))
}

fn system() -> impl Strategy<Value = SystemFlag> {
    prop::sample::select(&SystemFlag::ALL[..]).prop_filter("a message's", |flag| *flag != SystemFlag::Any)
}

fn flag() -> impl Strategy<Value = Flag> {
    prop_oneof![keyword().prop_map(Flag::Keyword), system().prop_map(Flag::System)]
}

fn flags() -> impl Strategy<Value = Flags> {
    vec(flag(), 0..6).prop_map(Flags::from_iter)
}

fn mailbox() -> impl Strategy<Value = MailboxName> {
    prop_oneof![
        Just(MailboxName::INBOX),
        "[^\r\n\0]{0,20}".prop_map(|name| MailboxName::new(name).expect("no break")),
        "[a-z/&\\\\\"%*() ]{0,50}".prop_map(|name| MailboxName::new(name).expect("no break")),
    ]
}

fn pattern() -> impl Strategy<Value = ListPattern> {
    mailbox().prop_map(ListPattern::from)
}

fn date() -> impl Strategy<Value = Date> {
    (-700_000i64..2_900_000).prop_map(|days| Date::from_days(days).expect("in the years that can be written"))
}

fn moment() -> impl Strategy<Value = DateTime> {
    (0i64..250_000_000_000, -1400i16..1400)
        .prop_map(|(seconds, zone)| DateTime::from_unix(seconds, zone).expect("in this era"))
}

fn some<T: std::fmt::Debug + Clone>(one: impl Strategy<Value = T>) -> impl Strategy<Value = NonEmpty<T>> {
    vec(one, 1..4).prop_map(|values| NonEmpty::new(values).expect("one at least"))
}

fn parameter() -> impl Strategy<Value = Parameter> {
    let value = prop::sample::select(&["1", "2:4", "(a \"b c\" (d))", "()", "1,*"][..]);
    ("X-[A-Za-z][a-z0-9._:-]{0,40}", of(value))
        .prop_map(|(name, value)| Parameter::new(&name, value).unwrap_or_else(|| panic!("{name} {value:?}")))
}

fn partial_range() -> impl Strategy<Value = PartialRange> {
    (any::<bool>(), number(), number()).prop_map(|(last, a, b)| match last {
        true => PartialRange::FromLast(a, b),
        false => PartialRange::FromFirst(a, b),
    })
}

fn path() -> impl Strategy<Value = PartPath> {
    vec(number(), 0..4).prop_map(PartPath::new)
}

fn attribute() -> impl Strategy<Value = FetchAttribute> {
    use FetchAttribute as A;
    let plain = prop::sample::select(vec![
        A::Flags,
        A::Uid,
        A::ModSeq,
        A::Size,
        A::InternalDate,
        A::Envelope,
        A::BodyStructure,
        A::Body,
        A::Rfc822(Rfc822::Full),
        A::Rfc822(Rfc822::Header),
        A::Rfc822(Rfc822::Text),
        A::Preview { lazy: false },
        A::Preview { lazy: true },
        A::EmailId,
        A::ThreadId,
        A::SaveDate,
        A::GmailMessageId,
        A::GmailThreadId,
        A::GmailLabels,
    ]);
    let partial = || {
        of((any::<u32>(), number())).prop_map(|partial| {
            partial.map(|(start, len)| Partial { start: start.into(), len: len.get().into() })
        })
    };
    let what = prop_oneof![
        Just(SectionText::All),
        Just(SectionText::Header),
        Just(SectionText::Text),
        Just(SectionText::Mime),
        vec(text(), 1..3).prop_map(SectionText::HeaderFields),
        vec(text(), 1..3).prop_map(SectionText::HeaderFieldsNot),
    ];
    let section = (path(), what).prop_map(|(part, text)| Section::new(part, text).unwrap_or(Section::FULL));
    prop_oneof![
        plain,
        (section, any::<bool>(), partial()).prop_map(|(section, peek, partial)| A::Section {
            section,
            peek,
            partial
        }),
        (path(), any::<bool>(), partial()).prop_map(|(part, peek, partial)| A::Binary {
            part,
            peek,
            partial
        }),
        path().prop_map(A::BinarySize),
    ]
}

fn key() -> impl Strategy<Value = SearchKey> {
    use SearchKey as K;
    let plain = prop::sample::select(vec![
        K::All,
        K::Answered,
        K::Deleted,
        K::Draft,
        K::Flagged,
        K::New,
        K::Old,
        K::Recent,
        K::Seen,
        K::Unanswered,
        K::Undeleted,
        K::Undraft,
        K::Unflagged,
        K::Unseen,
        K::SaveDateSupported,
    ]);
    let texts = (0..9usize, text()).prop_map(|(which, text)| {
        [K::Bcc, K::Body, K::Cc, K::From, K::Subject, K::Text, K::To, K::GmailRaw, K::GmailLabel][which](text)
    });
    let dates = (0..9usize, date()).prop_map(|(which, date)| {
        [
            K::Before,
            K::On,
            K::SentBefore,
            K::SentOn,
            K::SentSince,
            K::Since,
            K::SavedBefore,
            K::SavedOn,
            K::SavedSince,
        ][which](date)
    });
    let numbers = (0..4usize, any::<u64>())
        .prop_map(|(which, n)| [K::Larger, K::Smaller, K::GmailMessageId, K::GmailThreadId][which](n));
    let entry = (flag(), prop::sample::select(&[EntryType::Private, EntryType::Shared, EntryType::All][..]));
    let leaf = prop_oneof![
        plain,
        texts,
        dates,
        numbers,
        (text(), text()).prop_map(|(name, value)| K::Header(Box::new(HeaderKey { name, value }))),
        keyword().prop_map(K::Keyword),
        keyword().prop_map(K::Unkeyword),
        set().prop_map(K::Uid),
        set().prop_map(K::Set),
        (of(entry), mod_seq()).prop_map(|(entry, mod_seq)| K::ModSeq(Box::new(ModSeqKey { entry, mod_seq }))),
        number().prop_map(K::Older),
        number().prop_map(K::Younger),
        atom().prop_map(K::Filter),
        object_id().prop_map(K::EmailId),
        object_id().prop_map(K::ThreadId),
    ];
    leaf.prop_recursive(5, 20, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|key| K::Not(Box::new(key))),
            inner.clone().prop_map(|key| K::Fuzzy(Box::new(key))),
            (inner.clone(), inner.clone()).prop_map(|keys| K::Or(Box::new(keys))),
            some(inner).prop_map(K::And),
        ]
    })
}

fn returns() -> impl Strategy<Value = Option<Vec<ReturnOption>>> {
    use ReturnOption as R;
    let plain =
        prop::sample::select(vec![R::Min, R::Max, R::All, R::Count, R::Save, R::Context, R::Relevancy]);
    of(vec(
        prop_oneof![
            plain,
            partial_range().prop_map(R::Partial),
            vec(attribute(), 0..3).prop_map(R::Update),
            parameter().prop_map(R::Other),
        ],
        0..4,
    ))
}

fn ids() -> impl Strategy<Value = Ids> {
    prop::sample::select(&[Ids::Seq, Ids::Uid][..])
}

fn filter() -> impl Strategy<Value = MailboxFilter> {
    prop_oneof![
        Just(MailboxFilter::Selected),
        Just(MailboxFilter::Inboxes),
        Just(MailboxFilter::Personal),
        Just(MailboxFilter::Subscribed),
        some(mailbox()).prop_map(MailboxFilter::Subtree),
        some(mailbox()).prop_map(MailboxFilter::SubtreeOne),
        some(mailbox()).prop_map(MailboxFilter::Mailboxes),
    ]
}

fn notify() -> impl Strategy<Value = Notify> {
    let event = prop_oneof![
        vec(attribute(), 0..3).prop_map(Event::MessageNew),
        prop::sample::select(vec![
            Event::MessageExpunge,
            Event::FlagChange,
            Event::AnnotationChange,
            Event::MailboxName,
            Event::SubscriptionChange,
            Event::MailboxMetadataChange,
            Event::ServerMetadataChange,
        ]),
        atom().prop_map(Event::Other),
    ];
    let filter = prop_oneof![filter(), Just(MailboxFilter::SelectedDelayed)];
    let group = (filter, vec(event, 0..4)).prop_map(|(mailboxes, events)| EventGroup { mailboxes, events });
    prop_oneof![
        Just(Notify::None),
        (any::<bool>(), some(group)).prop_map(|(status, groups)| Notify::Set { status, groups }),
    ]
}

fn message() -> impl Strategy<Value = AppendMessage> {
    let bytes = || text().prop_map(MessageBytes::Inline);
    let literal = || (any::<bool>(), bytes()).prop_map(|(binary, bytes)| MessageLiteral { binary, bytes });
    let part = prop_oneof![
        literal().prop_map(CatenatePart::Text),
        bytes().prop_map(CatenatePart::Utf8),
        text().prop_map(CatenatePart::Url),
    ];
    let data = prop_oneof![
        literal().prop_map(AppendData::Literal),
        bytes().prop_map(AppendData::Utf8),
        some(part).prop_map(AppendData::Catenate),
    ];
    (flags(), of(moment()), vec(parameter(), 0..2), data)
        .prop_map(|(flags, date, extensions, data)| AppendMessage { flags, date, extensions, data })
}

fn status_attribute() -> impl Strategy<Value = StatusAttribute> {
    prop::sample::select(&["MESSAGES", "UIDNEXT", "SIZE", "MAILBOXID", "X-ODD"][..])
        .prop_map(|name| StatusAttribute::from_name(name.as_bytes()).expect("an atom"))
}

fn entry() -> impl Strategy<Value = EntryName> {
    "/(private|shared)(/[a-z \"\\\\]{1,12}){1,3}".prop_map(|name| EntryName::new(name).expect("a name"))
}

fn list() -> impl Strategy<Value = List> {
    let select = prop_oneof![
        prop::sample::select(vec![
            ListSelection::Subscribed,
            ListSelection::Remote,
            ListSelection::RecursiveMatch,
            ListSelection::SpecialUse,
        ]),
        parameter_in_parentheses().prop_map(ListSelection::Other),
    ];
    let tell = prop_oneof![
        prop::sample::select(vec![
            ListReturn::Subscribed,
            ListReturn::Children,
            ListReturn::SpecialUse,
            ListReturn::MyRights,
        ]),
        some(status_attribute()).prop_map(ListReturn::Status),
        some(entry()).prop_map(ListReturn::Metadata),
        parameter_in_parentheses().prop_map(ListReturn::Other),
    ];
    let patterns = prop_oneof![pattern().prop_map(Patterns::One), some(pattern()).prop_map(Patterns::Many)];
    let selection = of(vec(select, 0..3)).prop_map(|mut selection| {
        // It must not stand alone, or with REMOTE only.
        if let Some(options) = selection.as_mut().filter(|all| all.contains(&ListSelection::RecursiveMatch)) {
            options.push(ListSelection::Subscribed);
        }
        selection
    });
    (selection, mailbox(), patterns, of(vec(tell, 0..3))).prop_map(
        |(selection, reference, patterns, returns)| List { selection, reference, patterns, returns },
    )
}

fn parameter_in_parentheses() -> impl Strategy<Value = Parameter> {
    ("X-[A-Za-z]{1,40}", of(Just("(a (b) \"c\")")))
        .prop_map(|(name, value)| Parameter::new(&name, value).expect("a parameter"))
}

fn mailboxes() -> BoxedStrategy<CommandBody> {
    use CommandBody as C;
    let qresync = (number(), mod_seq(), of(number_set()), of((number_set(), number_set()))).prop_map(
        |(uid_validity, mod_seq, known_uids, sequence_match)| {
            let uid_validity = UidValidity::from(uid_validity);
            SelectParameter::QResync(Box::new(QResync { uid_validity, mod_seq, known_uids, sequence_match }))
        },
    );
    let select =
        prop_oneof![Just(SelectParameter::CondStore), qresync, parameter().prop_map(SelectParameter::Other)];
    let special_use = prop::sample::select(&["\\Sent", "\\Drafts", "\\X-Odd"][..])
        .prop_map(|name| SpecialUse::new(name).expect("a use"));
    let create = prop_oneof![
        vec(special_use, 0..3).prop_map(CreateParameter::Use),
        parameter().prop_map(CreateParameter::Other),
    ];
    prop_oneof![
        (mailbox(), vec(select, 0..3), any::<bool>()).prop_map(
            |(mailbox, parameters, examine)| match examine {
                true => C::Examine { mailbox, parameters },
                false => C::Select { mailbox, parameters },
            }
        ),
        (mailbox(), vec(create, 0..3)).prop_map(|(mailbox, parameters)| C::Create { mailbox, parameters }),
        (0..6usize, mailbox()).prop_map(|(which, mailbox)| {
            [C::Delete, C::Subscribe, C::Unsubscribe, C::GetAcl, C::MyRights, C::GetQuotaRoot][which](mailbox)
        }),
        (mailbox(), mailbox()).prop_map(|(from, to)| C::Rename(Box::new(Rename { from, to }))),
        list().prop_map(|list| C::List(Box::new(list))),
        (mailbox(), pattern())
            .prop_map(|(reference, pattern)| C::Lsub(Box::new(Lsub { reference, pattern }))),
        (mailbox(), some(status_attribute()))
            .prop_map(|(mailbox, attributes)| C::Status { mailbox, attributes }),
        (mailbox(), some(message()))
            .prop_map(|(mailbox, messages)| C::Append(Box::new(Append { mailbox, messages }))),
        (ids(), number(), mailbox(), message()).prop_map(|(ids, number, mailbox, message)| {
            C::Replace(Box::new(Replace { ids, number, mailbox, message }))
        }),
    ]
    .boxed()
}

fn access() -> BoxedStrategy<CommandBody> {
    use CommandBody as C;
    let change = prop::sample::select(&[Change::Replace, Change::Add, Change::Remove][..]);
    let rights = "[a-z0-9]{0,12}".prop_map(|letters| Rights::new(letters).expect("letters"));
    let resource = prop::sample::select(&["STORAGE", "MESSAGE", "X-ODD"][..])
        .prop_map(|name| QuotaResource::from_name(name.as_bytes()).expect("an atom"));
    let option = prop_oneof![
        any::<u32>().prop_map(MetadataOption::MaxSize),
        prop::sample::select(&[Depth::Zero, Depth::One, Depth::Infinity][..]).prop_map(MetadataOption::Depth),
        parameter().prop_map(MetadataOption::Other),
    ];
    prop_oneof![
        (mailbox(), text(), change, rights).prop_map(|(mailbox, identifier, change, rights)| {
            C::SetAcl(Box::new(SetAcl { mailbox, identifier, change, rights }))
        }),
        (mailbox(), text()).prop_map(|(mailbox, identifier)| C::DeleteAcl { mailbox, identifier }),
        (mailbox(), text()).prop_map(|(mailbox, identifier)| C::ListRights { mailbox, identifier }),
        text().prop_map(C::GetQuota),
        (text(), vec((resource, any::<u64>()), 0..3)).prop_map(|(root, limits)| C::SetQuota { root, limits }),
        (vec(option, 0..3), mailbox(), some(entry())).prop_map(|(options, mailbox, entries)| {
            C::GetMetadata(Box::new(GetMetadata { options, mailbox, entries }))
        }),
        (mailbox(), some((entry(), of(text()))))
            .prop_map(|(mailbox, entries)| C::SetMetadata { mailbox, entries }),
        notify().prop_map(C::Notify),
        some((text(), atom())).prop_map(C::GenUrlAuth),
        some(text()).prop_map(C::UrlFetch),
        of((mailbox(), vec(atom(), 0..3))).prop_map(|reset| {
            C::ResetKey(reset.map(|(mailbox, mechanisms)| Box::new(ResetKey { mailbox, mechanisms })))
        }),
    ]
    .boxed()
}

fn session() -> BoxedStrategy<CommandBody> {
    use CommandBody as C;
    let secret = text().prop_map(|text| Secret::new(text.as_bytes()));
    let initial = "(|[A-Za-z0-9+/]{1,80}={0,2})".prop_map(|base64| match base64.as_str() {
        "" => Secret::new(&b"="[..]),
        base64 => Secret::new(base64.as_bytes()),
    });
    prop_oneof![
        prop::sample::select(vec![
            C::Capability,
            C::Noop,
            C::Logout,
            C::StartTls,
            C::Unauthenticate,
            C::Namespace,
            C::Idle,
            C::Check,
            C::Close,
            C::Unselect,
            C::Expunge,
        ]),
        of(vec((text(), of(text())), 0..4)).prop_map(C::Id),
        vec(text(), 0..4).prop_map(C::Language),
        vec(text(), 0..4).prop_map(C::Comparator),
        (atom(), of(initial)).prop_map(|(mechanism, initial)| C::Authenticate { mechanism, initial }),
        (text(), secret).prop_map(|(user, password)| C::Login { user, password }),
        atom().prop_map(C::Compress),
        some(atom()).prop_map(C::Enable),
        some("[A-Za-z0-9.]{1,40}".prop_map(|tag| Tag::new(&tag).expect("a tag"))).prop_map(C::CancelUpdate),
    ]
    .boxed()
}

fn messages() -> BoxedStrategy<CommandBody> {
    use CommandBody as C;
    let criterion = {
        use SortKey::*;
        let key = prop::sample::select(
            &[Arrival, Cc, Date, From, Size, Subject, To, DisplayFrom, DisplayTo, Relevancy][..],
        );
        (any::<bool>(), key).prop_map(|(reverse, key)| SortCriterion { reverse, key })
    };
    let algorithm = prop::sample::select(&["ORDEREDSUBJECT", "REFERENCES", "X-ODD"][..])
        .prop_map(|name| ThreadAlgorithm::from_name(name.as_bytes()).expect("an atom"));
    let sources = (some(filter()), vec(parameter(), 0..2))
        .prop_map(|(mailboxes, options)| SearchSources { mailboxes, options });
    let items = prop_oneof![
        prop::sample::select(vec![FetchItems::All, FetchItems::Fast, FetchItems::Full]),
        some(attribute()).prop_map(FetchItems::Attributes),
    ];
    let fetch_modifier = prop_oneof![
        mod_seq().prop_map(FetchModifier::ChangedSince),
        Just(FetchModifier::Vanished),
        partial_range().prop_map(FetchModifier::Partial),
        parameter().prop_map(FetchModifier::Other),
    ];
    let store_modifier = prop_oneof![
        mod_seq().prop_map(StoreModifier::UnchangedSince),
        parameter().prop_map(StoreModifier::Other),
    ];
    let change = prop::sample::select(&[Change::Replace, Change::Add, Change::Remove][..]);
    let what =
        prop_oneof![flags().prop_map(StoreData::Flags), vec(text(), 0..3).prop_map(StoreData::GmailLabels),];
    prop_oneof![
        set().prop_map(C::UidExpunge),
        (ids(), returns(), of(text()), some(key())).prop_map(|(ids, returns, charset, keys)| {
            C::Search(Box::new(Search { ids, returns, charset, keys }))
        }),
        (of(sources), returns(), of(text()), some(key())).prop_map(|(sources, returns, charset, keys)| {
            C::Esearch(Box::new(MultiSearch { sources, returns, charset, keys }))
        }),
        (ids(), returns(), some(criterion), text(), some(key())).prop_map(
            |(ids, returns, criteria, charset, keys)| {
                C::Sort(Box::new(Sort { ids, returns, criteria, charset, keys }))
            }
        ),
        (ids(), algorithm, text(), some(key())).prop_map(|(ids, algorithm, charset, keys)| {
            C::Thread(Box::new(Thread { ids, algorithm, charset, keys }))
        }),
        (ids(), set(), items, vec(fetch_modifier, 0..3)).prop_map(|(ids, set, items, modifiers)| C::Fetch {
            ids,
            set,
            items,
            modifiers
        }),
        (ids(), set(), vec(store_modifier, 0..2), change, any::<bool>(), what).prop_map(
            |(ids, set, modifiers, change, silent, what)| {
                C::Store(Box::new(Store { ids, set, modifiers, change, silent, what }))
            }
        ),
        (ids(), set(), mailbox()).prop_map(|(ids, set, mailbox)| C::Copy { ids, set, mailbox }),
        (ids(), set(), mailbox()).prop_map(|(ids, set, mailbox)| C::Move { ids, set, mailbox }),
    ]
    .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn commands_come_back_as_they_were(
        tag in "[A-Za-z0-9.-]{1,40}",
        body in prop_oneof![session(), mailboxes(), access(), messages()],
    ) {
        comes_back(&Command::new(Tag::new(&tag).expect("a tag"), body))?;
    }

    #[test]
    fn bytes_that_are_no_command_do_no_harm(bytes in vec(any::<u8>(), 0..80)) {
        let mut line = b"a ".to_vec();
        for verb in Verb::ALL {
            line.truncate(2);
            line.extend_from_slice(verb.as_str().as_bytes());
            line.push(b' ');
            line.extend_from_slice(&bytes);
            let _ = Command::parse(&line, &Dialect::SERVER);
        }
    }

    #[test]
    fn what_is_read_of_odd_lines_comes_back(
        body in prop_oneof![session(), mailboxes(), access(), messages()],
        at in any::<prop::sample::Index>(),
        byte in prop::sample::select(&b" ()\"\\{}*%$:,1aZ\0\xff["[..]),
        insert in any::<bool>(),
    ) {
        let mut wire = Vec::new();
        let mut style = Style::CLIENT;
        style.literals = Literals::Plus;
        Command::new(Tag::new("a").expect("a tag"), body).encode(&mut wire, &style);
        wire.truncate(wire.len() - 2);
        let at = at.index(wire.len());
        match insert {
            true => wire.insert(at, byte),
            false => wire[at] = byte,
        }
        if let Ok(command) = Command::parse(&wire, &Dialect::SERVER) {
            let mut again = Vec::new();
            command.encode(&mut again, &style);
            again.truncate(again.len() - 2);
            let read = Command::parse(&again, &Dialect::SERVER);
            prop_assert_eq!(read.as_ref(), Ok(&command), "{} {}", wire.escape_ascii(), again.escape_ascii());
        }
    }
}

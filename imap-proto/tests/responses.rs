//! What servers say, read and written again: the examples of the RFCs, what servers in the field send, and what nobody should.

use imap_proto::codec::{Dialect, Quirks, Style};
use imap_proto::types::*;
use std::num::NonZeroU32;

fn parse(line: impl AsRef<[u8]>) -> Response {
    let line = line.as_ref();
    Response::parse(line, &Dialect::CLIENT).unwrap_or_else(|error| panic!("{}: {error}", line.escape_ascii()))
}

fn data(line: impl AsRef<[u8]>) -> Data {
    match parse(line) {
        Response::Data(data) => data,
        other => panic!("{other:?}"),
    }
}

fn items(line: impl AsRef<[u8]>) -> Vec<FetchItem> {
    match data(line) {
        Data::Fetch(fetch) => fetch.items,
        other => panic!("{other:?}"),
    }
}

fn code(line: impl AsRef<[u8]>) -> Option<Code> {
    match parse(line) {
        Response::Done { text, .. } | Response::Status { text, .. } | Response::Continue(text) => text.code,
        other => panic!("{other:?}"),
    }
}

fn written(response: &Response) -> Vec<u8> {
    let mut out = Vec::new();
    response.encode(&mut out, &Style::SERVER);
    assert_eq!(out.split_off(out.len() - 2), b"\r\n");
    out
}

/// Whether something in the response was only kept, and not understood.
fn is_kept(response: &Response) -> bool {
    let shown = format!("{response:?}");
    shown.contains("Other(") || shown.contains("Raw(")
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not 0")
}

/// Each is understood in full, and is written as it stands here.
const AS_WRITTEN: &[&str] = &[
    // RFC 9051 and 3501
    "* OK IMAP4rev2 server ready",
    "* PREAUTH IMAP4rev2 server logged in as Smith",
    "* BYE Autologout; idle for too long",
    "* BAD Command line too long",
    "* NO Disk is 98% full, please delete unnecessary data",
    "A222 NO COPY failed: disk is full",
    "A443 BAD COPY failed",
    "a002 OK [READ-WRITE] SELECT completed",
    "+ Ready for additional command text",
    "+ ",
    "+ PENCeUxFREJoU0NnbmhNWitOMjNGNndAZWx3b29kLmlubm9zb2Z0LmNvbT4=",
    "* CAPABILITY STARTTLS AUTH=GSSAPI IMAP4rev2 LOGINDISABLED XPIG-LATIN",
    "* 18 EXISTS",
    "* 2 RECENT",
    "* 44 EXPUNGE",
    "* OK [UNSEEN 12] Message 12 is first unseen",
    "* OK [UIDVALIDITY 3857529045] UIDs valid",
    "* OK [UIDNEXT 4392] Predicted next UID",
    "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)",
    "* OK [PERMANENTFLAGS (\\Deleted \\Seen \\*)] Limited",
    "* LIST (\\Noselect) \"/\" \"\"",
    "* LIST () \"/\" blurdybloop",
    "* LIST () NIL INBOX",
    "* LSUB () \".\" #news.comp.mail.mime",
    "* LIST (\\Subscribed \\NonExistent) \"/\" Fruit/Peach",
    "* LIST () \"/\" INBOX (\"OLDNAME\" (old))",
    "* LIST (\\NonExistent) \"/\" Foo (\"CHILDINFO\" (\"SUBSCRIBED\"))",
    "* LIST (\\Marked \\HasNoChildren \\Junk \\X-New) \"\\\\\" \"two words\"",
    "* XLIST (\\HasNoChildren \\Inbox) \"/\" INBOX",
    "* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)",
    "* STATUS INBOX (RECENT 1 UIDVALIDITY 7 UNSEEN 0 DELETED 3 SIZE 44421 HIGHESTMODSEQ 7011231777 APPENDLIMIT NIL MAILBOXID (F2212ea87-6097-4256-9d51-71338625) DELETED-STORAGE 8)",
    "* SEARCH 2 84 882",
    "* SEARCH",
    "* NAMESPACE ((\"\" \"/\")) ((\"~\" \"/\")) ((\"#shared/\" \"/\")(\"#ftp/\" NIL))",
    "* 23 FETCH (FLAGS (\\Seen) RFC822.SIZE 44827)",
    "* 12 FETCH (FLAGS (\\Seen) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 4286 ENVELOPE (\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev2 WG mtg summary and minutes\" ((\"Terry Gray\" NIL \"gray\" \"cac.washington.example\")) ((\"Terry Gray\" NIL \"gray\" \"cac.washington.example\")) ((\"Terry Gray\" NIL \"gray\" \"cac.washington.example\")) ((NIL NIL \"imap\" \"cac.washington.example\")) ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL \"<B27397-0100000@cac.washington.example>\") BODY (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 3028 92))",
    "* 1 FETCH (BODY ((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 1152 23)(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\" \"NAME\" \"cc.diff\") \"<960723163407.20117h@cac.washington.example>\" \"Compiler diff\" \"BASE64\" 4554 73) \"MIXED\"))",
    "* 1 FETCH (BODYSTRUCTURE ((\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 1152 23 NIL NIL NIL NIL)(\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 342 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) (\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 2 1) 12 \"md5\" (\"attachment\" (\"filename\" \"a.eml\")) (\"de\" \"en\") \"http://x/\" (1 2)) \"MIXED\" (\"BOUNDARY\" \"x\") (\"inline\" NIL) NIL NIL))",
    "* 2 FETCH (BODY[HEADER.FIELDS (DATE \"X Y\")]<0> {2}\r\na\0 BODY[1.2.MIME] NIL BODY[] {0}\r\n UID 7)",
    "* 2 FETCH (RFC822 {1}\r\nx RFC822.HEADER {0}\r\n RFC822.TEXT NIL)",
    "* 9 FETCH (BINARY[1] {3}\r\nabc BINARY.SIZE[1.2] 3 BINARY[]<7> ~{2}\r\n\0b)",
    "* 12 FETCH ()",
    // RFC 5530
    "c OK [UNAVAILABLE] x",
    "b NO [AUTHENTICATIONFAILED] Authentication failed",
    "d OK [EXPIRED] That account doesn't exist any more",
    "g NO [CONTACTADMIN] x",
    "* NO [ALREADYEXISTS] Mailbox \"that\" already exists",
    // RFC 4315, 5182, 7162
    "A003 OK [APPENDUID 38505 3955] APPEND completed",
    "A003 OK [APPENDUID 38505 3955:3957,4] APPEND completed",
    "A004 OK [COPYUID 38505 304,319:320 3956:3958] Done",
    "* NO [UIDNOTSTICKY] Non-persistent UIDs",
    "A301 NO [NOTSAVED] x",
    "* OK [HIGHESTMODSEQ 715194045007] x",
    "* OK [NOMODSEQ] Sorry, this mailbox format doesn't support modsequences",
    "d105 OK [MODIFIED 7,9] Conditional STORE failed",
    "* OK [CLOSED] x",
    "* SEARCH 2 5 6 7 11 12 18 19 20 23 (MODSEQ 917162500)",
    "* 7 FETCH (MODSEQ (2121231000))",
    "* VANISHED (EARLIER) 41,43:116,118,120:211,214:540",
    "* VANISHED 405,407,410,425",
    "* ESEARCH (TAG \"a\") ALL 1:3,5 MODSEQ 1236",
    // RFC 4731, 5267, 9394, 6203, 7377
    "* ESEARCH (TAG \"A282\") MIN 2 COUNT 3",
    "* ESEARCH (TAG \"A283\") UID ALL 2,10:11",
    "* ESEARCH (TAG \"A284\")",
    "* ESEARCH (TAG \"A01\") UID PARTIAL (-1:-100 200:250,252:300)",
    "* ESEARCH (TAG \"A04\") UID PARTIAL (24001:24500 NIL)",
    "* ESEARCH (TAG \"C01\") UID ADDTO (0 32768:32769 1 5) REMOVEFROM (0 32768)",
    "* ESEARCH (TAG \"B1\") ALL 1,5,10 RELEVANCY (4 99 42)",
    "* ESEARCH (TAG \"tag1\" MAILBOX folder1 UIDVALIDITY 1) UID ALL 4001,4003,4005,4007,4009",
    "* NO [NOUPDATE \"B02\"] Too many contexts",
    // RFC 5256
    "* SORT 5 3 4 1 2",
    "* SORT",
    "* THREAD (2)(3 6 (4 23)(44 7 96))",
    "* THREAD ((3)(5))",
    "* THREAD (166)(167)(168)(169)(172)((170)(179))(171)(173)(174 (175)(176)(178)(181)(180))",
    "* THREAD (1 ((2)(3)))(())()",
    "* THREAD",
    // RFC 2971, 4314, 9208, 5464, 5255, 4467, 9698
    "* ID NIL",
    "* ID ()",
    "* ID (\"name\" \"Cyrus\" \"version\" NIL)",
    "* ACL INBOX Fred rwipslxetad Chris lrswi \"\" \"\"",
    "* LISTRIGHTS ~/Mail/saved smith la r swicdkxte",
    "* LISTRIGHTS archive/imap anyone \"\" l r s w i p k x t e c d a 0 1 2",
    "* MYRIGHTS INBOX rwiptsldaex",
    "* QUOTA \"\" (STORAGE 10 512)",
    "* QUOTA !partition/sda4 (STORAGE 104 10923847 X-FOO 1 2)",
    "* QUOTAROOT INBOX \"\" \"two words\"",
    "* QUOTAROOT comp.mail.mime",
    "b2 NO [OVERQUOTA] x",
    "* METADATA \"\" (/shared/comment \"Shared comment\" /private/x NIL)",
    "* METADATA INBOX /shared/comment /private/comment",
    "a OK [METADATA LONGENTRIES 2199] GETMETADATA complete",
    "a NO [METADATA MAXSIZE 1024] x",
    "a NO [METADATA TOOMANY] x",
    "a NO [METADATA NOPRIVATE] x",
    "* LANGUAGE (EN DE IT i-default)",
    "* NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\" \"TRANSLATION\" (\"Andere Ben&APw-tzer/\"))) NIL",
    "* COMPARATOR i;unicode-casemap",
    "* COMPARATOR i;basic (i;basic i;ascii-casemap)",
    "b NO [BADCOMPARATOR] x",
    "* GENURLAUTH imap://joe@example.com/INBOX/;uid=20/;urlauth=submit+fred:internal:91354a473744909de610943775f92038",
    "* URLFETCH imap://a/ \"x\" imap://b/ NIL",
    "* JMAPACCESS \"https://example.com/.well-known/jmap\"",
    // RFC 4469, 4978, 3516, 6154, 8474, 8508, 5465, 5466, 2193, 2221, 9585, 9586, 9738
    "A003 NO [BADURL /INBOX;UIDVALIDITY=785799047/;UID=113330;section=1.5.9] CATENATE append has failed",
    "A003 NO [TOOBIG] x",
    "a NO [COMPRESSIONACTIVE] DEFLATE active via TLS",
    "a NO [UNKNOWN-CTE] x",
    "t1 NO [USEATTR] \\All not supported",
    "* OK [MAILBOXID (F2212ea87-6097-4256-9d51-71338625)] Ok",
    "* 3 FETCH (EMAILID (M6d99ac3275bb4e) THREADID (T64b478a75b7ea9) SAVEDATE NIL PREVIEW \"x\")",
    "* 3 FETCH (THREADID NIL SAVEDATE \" 1-Feb-2020 00:00:00 +0000\" PREVIEW NIL)",
    "* OK [NOTIFICATIONOVERFLOW] ...A comment can go here...",
    "a NO [BADEVENT (MessageNew MessageExpunge)] x",
    "a NO [UNDEFINED-FILTER bar] x",
    "A001 NO [REFERRAL IMAP://user;AUTH=*@SERVER2/ imap://b/] Specified user is invalid on this server",
    "* OK [INPROGRESS (\"A001\" 454 1000)] Processed 45% of the mailbox",
    "* OK [INPROGRESS (NIL 1 NIL)] x",
    "* OK [INPROGRESS] Still working on this...",
    "07 BAD [UIDREQUIRED] x",
    "* 25900 UIDFETCH (FLAGS (\\Seen))",
    "03 OK [MESSAGELIMIT 1000 23221] x",
    "03 NO [MESSAGELIMIT 1000] x",
    "* ENABLED CONDSTORE QRESYNC",
    "* CAPABILITY IMAP4rev1 APPENDLIMIT=257890 MESSAGELIMIT=1000 QUOTA=RES-STORAGE THREAD=REFS RIGHTS=kxten",
    "* OK [BADCHARSET (UTF-8 \"a]b\")] x",
    "* NO [BADCHARSET] x",
    // Gmail
    "* 1 FETCH (X-GM-THRID 1278455344230334865 X-GM-MSGID 1278455344230334866 X-GM-LABELS (\\Inbox \\Sent Important \"Muy Importante\"))",
];

#[test]
fn what_is_known_is_understood_and_written_as_it_was() {
    let mut failed = Vec::new();
    for line in AS_WRITTEN {
        let response = parse(line);
        let odd = ["http://x/\" (1 2)", "\\X-New", "\\Inbox)", "X-FOO"].iter().any(|odd| line.contains(odd));
        if is_kept(&response) != odd || written(&response) != line.as_bytes() {
            failed.push(format!("{line}\n{}\n{response:?}", written(&response).escape_ascii()));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn letter_case_does_not_count() {
    let is_word = |line: &str| !line.contains(['"', '{']) && line.starts_with('*') && !line.contains("LSUB");
    for line in AS_WRITTEN.iter().filter(|line| is_word(line)) {
        let lower = line.to_ascii_lowercase();
        assert_eq!(is_kept(&parse(&lower)), is_kept(&parse(line)), "{lower}");
    }
}

#[test]
fn what_is_not_known_is_kept_as_it_came() {
    for line in [
        "* X-UNKNOWN what ever )( \"",
        "* ",
        "* 12 X-FOO",
        "* 12",
        "* 0 EXPUNGE",
        "* 4294967296 EXISTS",
        "* LIST (\\x) \"//\" a",
        "* STATUS no parentheses (MESSAGES 1)",
        "* STATUS a (UIDNEXT 0 X-NEW (1 \"2\") MESSAGES 4)",
        "* ESEARCH (TAG \"a\") X-NEW (1 2 (3)) COUNT 1",
        "* ESEARCH (FOO \"a\") COUNT 1",
        "* LIST () \"/\" a (X-NEW (1 (2)) \"Y\" 3)",
        "* SEARCH 1 two",
        "* THREAD (1",
        "* THREAD (1 (2) 3)",
        "* THREAD 1",
        "* METADATA \"\" (comment \"x\")",
        "* MYRIGHTS INBOX l-r",
        "* NAMESPACE NIL NIL",
        "* OK [X-NEW \"a]b\" (1 2)] text",
        "* OK [UIDNEXT 0] text",
        "* OK [COPYUID 1 2] text",
        "* OK [INPROGRESS (1 2 3)] text",
        "* OK [] text",
        "* OK [\"] text",
        "* OK [ALERT",
        "* 1 FETCH (INTERNALDATE NIL UID 4)",
        "* 1 FETCH (X-NEW (1 \"2\" {3}\r\n)))) UID 4)",
        "* 1 FETCH (BODYSTRUCTURE (1 2) UID 4)",
        "* 1 FETCH (MODSEQ (9223372036854775808))",
        "* 1 FETCH (UID 4",
    ] {
        let response = parse(line);
        assert_eq!(written(&response).escape_ascii().to_string(), line.as_bytes().escape_ascii().to_string());
        assert_eq!(parse(written(&response)), response);
        assert!(is_kept(&response) || line == "* OK [ALERT", "{response:?}");
    }
}

#[test]
fn one_odd_item_does_not_take_the_others_with_it() {
    let found = items("* 1 FETCH (FLAGS (\\Seen) INTERNALDATE NIL ENVELOPE NIL BODYSTRUCTURE (NIL) UID 4)");
    assert_eq!(found.len(), 5);
    assert_eq!(found[4], FetchItem::Uid(Uid::new(4).unwrap()));
    assert!(found[1..4].iter().all(|item| matches!(item, FetchItem::Other(_))), "{found:?}");
}

#[test]
fn only_what_is_no_response_is_an_error() {
    for (line, tag, at) in [
        ("", None, 0),
        ("(", None, 0),
        (" * OK", None, 0),
        ("a", Some("a"), 1),
        ("a FOO bar", Some("a"), 2),
        ("a BYE bar", Some("a"), 6),
    ] {
        let error = Response::parse(line.as_bytes(), &Dialect::CLIENT).unwrap_err();
        assert_eq!((error.tag, error.at), (tag.and_then(Tag::new), at), "{line}");
    }
}

#[test]
fn faults_of_servers_are_borne() {
    // Text that nobody wrote, and text right behind the bracket.
    for (line, expected_code, text) in [
        ("* OK", None, ""),
        ("a OK", None, ""),
        ("+", None, ""),
        ("+OK", None, "OK"),
        ("* OK [UIDNEXT 4]", Some(Code::UidNext(Uid::new(4).unwrap())), ""),
        ("* OK [ALERT]é…", Some(Code::Alert), "é…"),
        ("* OK [ALERT]  x", Some(Code::Alert), " x"),
        ("* OK see section {5}", None, "see section {5}"),
        ("* OK [READ-WRITE ] x", Some(Code::ReadWrite), "x"),
        ("* OK [BADURL \"/INBOX;UID=1\"] x", Some(Code::BadUrl("/INBOX;UID=1".into())), "x"),
    ] {
        let response = parse(line);
        let (Response::Status { text: found, .. }
        | Response::Done { text: found, .. }
        | Response::Continue(found)) = &response
        else {
            panic!("{response:?}")
        };
        assert_eq!((&found.code, &found.text), (&expected_code, &Text::from(text)), "{line}");
        assert_eq!(parse(written(&response)), response);
    }
    let latin = parse(b"* NO [ALERT] caf\xe9");
    assert_eq!(written(&latin), b"* NO [ALERT] caf\xe9");
    // Without IMAP4rev1, and with a space at the end.
    let Data::Capability(capabilities) = data("* CAPABILITY IMAP4 IDLE ") else { panic!() };
    assert!(capabilities.has(&Capability::Idle) && !capabilities.has(&Capability::Imap4Rev1));
    assert_eq!(data("* SEARCH "), Data::Search(SearchResults::default()));
    assert_eq!(data("* SEARCH  4  5 "), data("* SEARCH 4 5"));
    assert_eq!(data("* STATUS a (MESSAGES 1 ) "), data("* STATUS a (MESSAGES 1)"));
    assert_eq!(data("* 1 FETCH (MODSEQ 5)"), data("* 1 FETCH (MODSEQ (5))"));
    assert_eq!(data("* 1 FETCH (EMAILID a)"), data("* 1 FETCH (EMAILID (a))"));
    // Backslashes are taken out of quoted strings, and written again.
    assert_eq!(items(r#"* 1 FETCH (PREVIEW "a\\b\"c")"#), [FetchItem::Preview(Some(r#"a\b"c"#.into()))]);
    // Text in no encoding.
    let Data::List(listing) = data(b"* LIST () \"/\" caf\xe9") else { panic!() };
    assert_eq!(listing.mailbox.as_bytes(), b"caf\xe9");
    let Data::List(listing) = data("* LIST (\\HasNoChildren) \"\\\" INBOX") else { panic!() };
    assert_eq!(listing.delimiter, Delimiter::new('\\'));
    let line = b"* 1 FETCH (ENVELOPE (NIL \"caf\xe9\" NIL NIL NIL NIL NIL NIL NIL NIL))";
    let FetchItem::Envelope(envelope) = &items(line)[0] else { panic!() };
    assert_eq!(envelope.subject.as_deref(), Some(&b"caf\xe9"[..]));
    let found = items(b"* 1 FETCH (BODY[] {3}\r\na\0b)");
    let FetchItem::Section(section) = &found[0] else { panic!() };
    assert_eq!(section.content, Content::Inline(Text::copy(b"a\0b")));
    let Data::Metadata(metadata) = data(b"* METADATA \"\" (/shared/a {2}\r\n\xff\xfe)") else { panic!() };
    let entry = (EntryName::new("/shared/a").unwrap(), Some(Text::copy(b"\xff\xfe")));
    assert_eq!(metadata.entries, MetadataEntries::Values(vec![entry]));
}

#[test]
fn a_text_does_not_become_a_code_and_breaks_no_line() {
    let status = |text: &str| Response::Status { status: Status::Ok, text: ResponseText::new(text) };
    assert_eq!(written(&status("[ALERT] x")), b"* OK  [ALERT] x");
    assert_eq!(written(&status("[x")), b"* OK [x");
    assert_eq!(written(&status("a\r\n* BYE\0")), b"* OK a  * BYE ");
    // What is broken by the server is broken no further.
    for line in ["* OK [UIDNEXT\r4] x\0y", "* OK [PERMANENTFLAGS (\\Seen]\\Flagged)] x", "* OK [X\"]a\"] b"] {
        let response = parse(line);
        assert_eq!(parse(written(&response)), response, "{line}");
    }
}

#[test]
fn without_quirks_the_grammar_counts() {
    let strict = |line: &str| {
        let mut dialect = Dialect::CLIENT;
        dialect.quirks = Quirks::NONE;
        Response::parse(line.as_bytes(), &dialect)
    };
    assert!(strict("a OK").is_err() && strict("+").is_err());
    for line in ["* OK", "* CAPABILITY  IDLE", "* 1 FETCH (MODSEQ 5)", "* STATUS a (MESSAGES 1 )"] {
        assert!(is_kept(&strict(line).unwrap()), "{line}");
    }
}

/// How long something takes is measured by the size of what comes out: all these are linear, or they do not end here.
#[test]
fn what_is_made_to_hurt_does_not() {
    let deep = "(".repeat(10_000);
    for line in [
        format!("* 1 FETCH (BODYSTRUCTURE {deep}"),
        format!("* 1 FETCH (BODYSTRUCTURE {deep}{})", ")".repeat(10_000)),
        format!("* 1 FETCH ({deep}"),
        format!("* THREAD {deep}"),
        format!("* X {deep}"),
        format!("* LIST () \"/\" a ({deep}"),
        format!("* OK [{deep}"),
        format!("* NAMESPACE {deep}"),
        format!("* OK [X {}] x", "\"".repeat(100_001)),
        format!("* CAPABILITY{}", " X".repeat(100_000)),
        format!("* FLAGS ({})", (0..100_000).map(|at| format!("k{at}")).collect::<Vec<_>>().join(" ")),
        format!("* SEARCH{}", " 4294967295".repeat(100_000)),
        format!("* 1 FETCH (BODY[] {{{}}}\r\n)", u64::MAX),
        format!("* 1 FETCH (BODY[] {{{}}}\r\n)", 1 << 30),
        format!("* 1 FETCH (BODY[{}] NIL)", "1.".repeat(10_000)),
    ] {
        let response = parse(&line);
        assert_eq!(parse(written(&response)), response);
    }
    let line = format!("* THREAD {deep}{}", ")".repeat(10_000));
    let Data::Thread(threads) = data(&line) else { panic!() };
    assert_eq!(threads.nodes().last(), Some(&ThreadNode { depth: 9_999, number: None }));
    assert_eq!(written(&parse(&line)), line.as_bytes());
    let Data::Vanished { uids, .. } = data("* VANISHED 1:4294967295") else { panic!() };
    assert_eq!(uids.members().len(), 1);
}

#[test]
fn bodies_are_nested_as_deep_as_mails_are() {
    for depth in [7, 60, 99] {
        let mut body = "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1)".to_owned();
        for _ in 0..depth {
            body = format!("({body} \"mixed\")");
        }
        let line = format!("* 1 FETCH (BODYSTRUCTURE {body})");
        assert!(!is_kept(&parse(&line)), "{depth}");
        assert_eq!(written(&parse(&line)), line.as_bytes());
    }
    let message = |inner: String| {
        format!(
            "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 9 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) {inner} 2)"
        )
    };
    let body =
        (0..60).fold("(\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1)".to_owned(), |body, _| message(body));
    assert!(!is_kept(&parse(format!("* 1 FETCH (BODY {body})"))));
}

#[test]
fn content_that_was_streamed_is_told_by_its_size() {
    // The frame as it is once the literals' bytes are taken out.
    let frame = b"* 1 FETCH (BODY[] {5000}\r\n UID 4 BODY[HEADER] {3}\r\nabc BINARY[1] ~{70}\r\n)";
    let binary = frame.iter().position(|byte| *byte == b'~').unwrap();
    let streamed = [18, binary];
    let response = Response::parse_streamed(frame, &streamed, &Dialect::CLIENT).unwrap();
    let Response::Data(Data::Fetch(fetch)) = &response else { panic!("{response:?}") };
    let sizes: Vec<_> = fetch
        .items
        .iter()
        .map(|item| match item {
            FetchItem::Section(section) => format!("{:?}", section.content),
            FetchItem::Binary(binary) => format!("{:?}", binary.content),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(sizes, ["Streamed(5000 bytes)", "Uid(Uid(4))", "Inline(3 bytes)", "Streamed(70 bytes)"]);
    let mut out = b"before".to_vec();
    let stops = response.encode_streamed(&mut out, &Style::SERVER);
    assert_eq!(&out[6..out.len() - 2], frame);
    assert_eq!(stops, [6 + 26, 6 + binary + 7]);
}

/// The structure of a mail, as each of these servers told it once, and as it is written.
#[test]
fn structures_that_miss_the_grammar_are_read_all_the_same() {
    for (told, meant) in [
        // Exchange: spaces between parts, no encoding, and a disposition without parameters.
        (
            "((\"text\" \"plain\" NIL NIL NIL NIL 5 1 NIL (\"inline\" NIL) NIL NIL) (\"image\" \"png\" (\"name\" NIL) NIL NIL \"base64\" 9) \"mixed\")",
            "((\"text\" \"plain\" NIL NIL NIL \"\" 5 1 NIL (\"inline\" NIL) NIL NIL)(\"image\" \"png\" (\"name\" \"\") NIL NIL \"base64\" 9) \"mixed\")",
        ),
        // Dovecot with a broken cache: less than no lines; and sizes of more than 64 bits.
        (
            "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 99999999999999999999 -1)",
            "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0)",
        ),
        // Gmail: a message that it could not parse has neither envelope nor body nor lines.
        ("(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 5 NIL (\"attachment\" (\"filename\" \"x\")) NIL)", ""),
        // iCloud and others: empty parentheses for NIL, a language that is no list, letter case as it comes.
        (
            "(\"TEXT\" \"HTML\" () nil Nil \"7BIT\" 5 1 NIL NIL \"de\")",
            "(\"TEXT\" \"HTML\" NIL NIL NIL \"7BIT\" 5 1 NIL NIL (\"de\"))",
        ),
        // Fields of extension data that nobody has written down.
        ("(\"a\" \"b\" NIL NIL NIL \"7bit\" 5 NIL NIL NIL NIL NIL (\"x\" (1)) {1}\r\n))", ""),
        ("(\"a\" \"b\" NIL NIL NIL \"7bit\" 5 \"md5\" )", "(\"a\" \"b\" NIL NIL NIL \"7bit\" 5 \"md5\")"),
    ] {
        let response = parse(format!("* 1 FETCH (BODYSTRUCTURE {told} UID 7)"));
        assert!(!format!("{response:?}").contains("Other("), "{response:?}");
        let meant = if meant.is_empty() { told } else { meant };
        assert_eq!(
            written(&response).escape_ascii().to_string(),
            format!("* 1 FETCH (BODYSTRUCTURE {meant} UID 7)").as_bytes().escape_ascii().to_string()
        );
    }
    let mut strict = Dialect::CLIENT;
    strict.quirks = Quirks::NONE;
    for body in [
        "(\"text\" \"plain\" NIL NIL NIL NIL 5 1)",
        "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 5 -1)",
        "((\"a\" \"b\" NIL NIL NIL \"7bit\" 5) (\"a\" \"b\" NIL NIL NIL \"7bit\" 5) \"mixed\")",
    ] {
        let line = format!("* 1 FETCH (BODYSTRUCTURE {body})");
        assert!(is_kept(&Response::parse(line.as_bytes(), &strict).expect("a response")), "{line}");
    }
}

#[test]
fn envelopes_share_what_is_repeated_and_are_read_with_spaces_between() {
    let address = |name: &str| format!("(\"{name}\" NIL \"m\" \"h.example\")");
    let (a, b) = (address("A"), address("B"));
    for (told, meant) in [
        (format!("({a}) ({a}) ({a}) ({b}) NIL NIL"), None),
        (format!("({a}) ({b}) ({a}{b}) ({a}{b}{a}{b}{a}) NIL NIL"), None),
        (format!("NIL NIL NIL ({b}) ({a}) NIL"), None),
        (
            format!("({a}) ({a})  ({a}) ({b} {a}) ( {b} ) ()"),
            Some(format!("({a}) ({a}) ({a}) ({b}{a}) ({b}) NIL")),
        ),
        (
            "((NIL NIL \"friends\" NIL)(NIL NIL \"f\" \"h\")(NIL NIL NIL NIL)) NIL NIL NIL NIL NIL"
                .to_owned(),
            None,
        ),
        (
            "((\"\\\"q\\\" \\\\\" NIL \"f\" \"h\")) ((\"\\\"q\\\" \\\\\" NIL \"f\" \"h\")) NIL NIL NIL NIL"
                .to_owned(),
            None,
        ),
    ] {
        let response = parse(format!("* 1 FETCH (ENVELOPE (NIL NIL {told} NIL NIL))"));
        assert!(!is_kept(&response), "{response:?}");
        let meant = meant.unwrap_or(told);
        assert_eq!(
            String::from_utf8(written(&response)).unwrap(),
            format!("* 1 FETCH (ENVELOPE (NIL NIL {meant} NIL NIL))")
        );
    }
    let found = items(
        "* 1 FETCH (ENVELOPE (NIL NIL ((NIL NIL \"list\" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL NIL NIL NIL))",
    );
    let FetchItem::Envelope(envelope) = &found[0] else { panic!("{found:?}") };
    assert!(envelope.from[0].is_group_start() && envelope.from[1].is_group_end());
}

#[test]
fn sections_are_what_was_asked_for() {
    let sections = [
        ("[]", true),
        ("[1]", true),
        ("[1.2.3]", true),
        ("[HEADER]", true),
        ("[1.HEADER]", true),
        ("[4.2.TEXT]", true),
        ("[1.MIME]", true),
        ("[MIME]", false),
        ("[1.]", false),
        ("[0]", false),
        ("[HEADER.FIELDS ()]", false),
        ("[HEADER.FIELDS (A B)]", true),
        ("[2.HEADER.FIELDS.NOT (A)]", true),
        ("[HEADER.FIELDS (\"A]B\")]", true),
        ("[X]", false),
    ];
    for (section, exists) in sections {
        for origin in ["", "<0>", "<1024>"] {
            let line = format!("* 1 FETCH (BODY{section}{origin} NIL UID 4)");
            let response = parse(&line);
            assert_eq!(is_kept(&response), !exists, "{response:?}");
            assert_eq!(String::from_utf8(written(&response)).unwrap(), line);
        }
    }
}

#[test]
fn moments_are_read_as_all_write_them_and_as_some_do() {
    let moment = |text: &str| match &items(format!("* 1 FETCH (INTERNALDATE {text})"))[0] {
        FetchItem::InternalDate(moment) => Some(moment.to_string()),
        _ => None,
    };
    let first = Some(" 1-Feb-1994 12:30:59 +0130".to_owned());
    for text in ["\" 1-Feb-1994", "\"01-Feb-1994", "\"1-Feb-1994", "\" 1-feb-1994", "\"01-FEB-1994"] {
        assert_eq!(moment(&format!("{text} 12:30:59 +0130\"")), first, "{text}");
    }
    assert_eq!(moment("\"31-Dec-9999 23:59:60 -1400\"").as_deref(), Some("31-Dec-9999 23:59:60 -1400"));
    for text in [
        "\"31-Feb-1994 12:30:59 +0130\"",
        "\"01-Feb-1994 24:30:59 +0130\"",
        "\"01-Feb-1994 12:30:59 +0160\"",
        "\"01-Feb-1994 12:30:59 00130\"",
        "\"01-Feb-1994 12:3x:59 +0130\"",
        "\"01-Feb-1994 12:30:59 +01300\"",
        "\"00-Feb-1994 12:30:59 +0130\"",
    ] {
        assert_eq!(moment(text), None, "{text}");
    }
}

#[test]
fn of_flags_that_are_told_twice_the_first_is_kept() {
    for (told, kept) in [
        ("a A b a", "a b"),
        ("b a B A", "b a"),
        ("\\Seen x \\SEEN X", "\\Seen x"),
        ("a b c", "a b c"),
        ("a a a", "a"),
    ] {
        assert_eq!(written(&parse(format!("* FLAGS ({told})"))), format!("* FLAGS ({kept})").as_bytes());
    }
}

#[test]
fn threads_are_trees() {
    let Data::Thread(threads) = data("* THREAD (2)(3 6 (4 23)(44 7 96))((8)(9))") else { panic!() };
    let found: Vec<_> =
        threads.nodes().iter().map(|node| (node.depth, node.number.map_or(0, NonZeroU32::get))).collect();
    let expected =
        [(0, 2), (0, 3), (1, 6), (2, 4), (3, 23), (2, 44), (3, 7), (4, 96), (0, 0), (1, 8), (1, 9)];
    assert_eq!(found, expected);
}

#[test]
fn values_are_what_was_said() {
    let Data::List(listing) = data("* LIST (\\Sent \\HasNoChildren) \"/\" \"Entw&APw-rfe\"") else {
        panic!()
    };
    assert!(listing.has(&MailboxAttribute::Sent) && !listing.has(&MailboxAttribute::Trash));
    assert_eq!(listing.mailbox, MailboxName::new("Entwürfe").unwrap());
    let mut utf8 = Dialect::CLIENT;
    utf8.utf8 = true;
    let line = "* LIST () \"/\" \"Entwürfe\"".as_bytes();
    let Response::Data(Data::List(listing)) = Response::parse(line, &utf8).unwrap() else { panic!() };
    assert_eq!(listing.mailbox, MailboxName::new("Entwürfe").unwrap());

    let Some(Code::CopyUid(copied)) = code("A OK [COPYUID 38505 304,319:320 3956:3958] Done") else {
        panic!()
    };
    assert_eq!((copied.validity.get(), copied.from.count(), copied.to.count()), (38505, 3, 3));
    let progress = InProgress { tag: Tag::new("A001"), done: Some(454), of: Some(number(1000)) };
    assert_eq!(
        code("* OK [INPROGRESS (\"A001\" 454 1000)] x"),
        Some(Code::InProgress(Some(Box::new(progress))))
    );
    assert_eq!(
        data("* SEARCH 2 5 (MODSEQ 9)"),
        Data::Search(SearchResults { numbers: vec![number(2), number(5)], mod_seq: ModSeq::new(9) })
    );
    let Data::ESearch(found) = data("* ESEARCH (TAG \"A\") UID PARTIAL (-1:-100 7) COUNT 0") else {
        panic!()
    };
    let range = PartialRange::FromLast(number(1), number(100));
    let partial = ESearchItem::Partial(range, Some(NumberSet::single(number(7))));
    assert_eq!((found.uid, found.items), (true, vec![partial, ESearchItem::Count(0)]));
}

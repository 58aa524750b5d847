//! What clients ask for, read and written again: the examples of the RFCs, what clients in the field send, and what nobody
//! should.

use imap_proto::codec::{CommandError, Dialect, Literals, Stop, Style, SyntaxError};
use imap_proto::types::command::*;
use imap_proto::types::{MailboxName, Tag};

fn try_parse(line: impl AsRef<[u8]>) -> Result<Command, CommandError> {
    Command::parse(line.as_ref(), &Dialect::SERVER)
}

fn parse(line: impl AsRef<[u8]>) -> Command {
    let line = line.as_ref();
    try_parse(line).unwrap_or_else(|error| panic!("{}: {error}", line.escape_ascii()))
}

fn written(command: &Command, style: &Style) -> (String, Vec<Stop>) {
    let mut out = Vec::new();
    let stops = command.encode(&mut out, style);
    assert_eq!(out.split_off(out.len() - 2), b"\r\n");
    (out.escape_ascii().to_string().replace("\\\"", "\""), stops)
}

/// Without escaping, where a command has no bytes that need it.
fn line(command: &Command) -> String {
    let mut out = Vec::new();
    command.encode(&mut out, &style(Literals::Plus));
    String::from_utf8(out).expect("UTF-8").strip_suffix("\r\n").expect("a line").to_owned()
}

fn style(literals: Literals) -> Style {
    let mut style = Style::CLIENT;
    style.literals = literals;
    style
}

/// Each is written as it stands here.
const AS_WRITTEN: &[&str] = &[
    // RFC 9051 and 3501, in every state
    "abcd CAPABILITY",
    "a002 NOOP",
    "A023 LOGOUT",
    // RFC 2971
    "a023 ID (\"name\" \"sodr\" \"version\" \"19.34\" \"vendor\" \"Pink Floyd Music Limited\")",
    "a042 ID NIL",
    "a043 ID (\"name\" NIL)",
    "a044 ID ()",
    // RFC 5255
    "A001 LANGUAGE",
    "A002 LANGUAGE i-default",
    "D001 LANGUAGE DE FR",
    "B001 COMPARATOR",
    "A002 COMPARATOR \"cz;*\" i;basic",
    // Not authenticated
    "a002 STARTTLS",
    "A001 AUTHENTICATE GSSAPI",
    "C01 AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=",
    "C02 AUTHENTICATE EXTERNAL =",
    "a001 LOGIN SMITH SESAME",
    "a001 LOGIN \"joe smith\" \"pass \\\"word\\\\\"",
    // Authenticated
    "h1 UNAUTHENTICATE",
    "a COMPRESS DEFLATE",
    "t2 ENABLE CONDSTORE",
    "t2 ENABLE CONDSTORE X-GOOD-IDEA",
    "A142 SELECT INBOX",
    "A932 EXAMINE blurdybloop",
    "A142 SELECT INBOX (CONDSTORE)",
    "A02 SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))",
    "A03 SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541))",
    "B04 SELECT INBOX (QRESYNC (67890007 90060115205545359 (3,6,9 5,10,15)))",
    "B05 SELECT INBOX (QRESYNC (67890007 90060115205545359 1:29997 (5000,7500,9000,9990:9999 15000,22500,27000,29970,29973,29976,29979,29982,29985,29988,29991,29994,29997)))",
    "A04 SELECT INBOX (X-NEW (1 2) CONDSTORE)",
    "A003 CREATE owatagusiam/",
    "t2 CREATE MySpecial (USE (\\Drafts \\Sent))",
    "t3 CREATE Odd (X-TYPE (x) USE (\\Archive))",
    "A683 DELETE blurdybloop",
    "A683 RENAME blurdybloop sarasoop",
    "A002 SUBSCRIBE #news.comp.mail.mime",
    "A002 UNSUBSCRIBE #news.comp.mail.mime",
    "A101 LIST \"\" \"\"",
    "A102 LIST #news.comp.mail.misc \"\"",
    "A202 LIST ~/Mail/ %",
    "A01 LIST \"\" *",
    "A03 LIST (SUBSCRIBED) \"\" %",
    "A04 LIST (SUBSCRIBED REMOTE) \"\" *",
    "A06 LIST (REMOTE) \"\" * RETURN (CHILDREN)",
    "BBB LIST \"\" (INBOX Drafts Sent/%)",
    "C01 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %",
    "C05 LIST (SUBSCRIBED) \"\" % RETURN (SUBSCRIBED CHILDREN)",
    "A02 LIST () \"\" %",
    "A03 LIST (SPECIAL-USE) \"\" * RETURN (SPECIAL-USE)",
    "A04 LIST \"\" % RETURN (STATUS (MESSAGES UNSEEN))",
    "A05 LIST \"\" % RETURN (MYRIGHTS SUBSCRIBED)",
    "A06 LIST \"\" % RETURN (METADATA (/shared/vendor/cmu/cyrus-imapd/color))",
    "A07 LIST (X-SEL) \"\" % RETURN (X-RET (1 2))",
    "A002 LSUB #news. comp.mail.*",
    "A001 NAMESPACE",
    "A042 STATUS blurdybloop (UIDNEXT MESSAGES)",
    "A043 STATUS blurdybloop (SIZE DELETED HIGHESTMODSEQ APPENDLIMIT MAILBOXID DELETED-STORAGE RECENT)",
    "A001 IDLE",
    // RFC 4314
    "A035 SETACL INBOX Smith lrs",
    "A036 SETACL INBOX John +lrQswicda",
    "A037 SETACL INBOX John -x",
    "A038 SETACL INBOX John \"\"",
    "B001 DELETEACL INBOX Fred",
    "A002 GETACL INBOX",
    "a001 LISTRIGHTS ~/Mail/saved smith",
    "A003 MYRIGHTS INBOX",
    // RFC 9208
    "G0001 GETQUOTA !partition/sda4",
    "G0002 GETQUOTAROOT INBOX",
    "S0000 SETQUOTA \"\" (STORAGE 512)",
    "S0001 SETQUOTA \"\" ()",
    "S0002 SETQUOTA root (STORAGE 512 MESSAGE 18446744073709551615)",
    // RFC 5464
    "a GETMETADATA \"\" /shared/comment",
    "a GETMETADATA INBOX (/shared/comment /private/comment)",
    "a GETMETADATA (MAXSIZE 1024) INBOX (/shared/comment /private/comment)",
    "a GETMETADATA (DEPTH 1) INBOX /private/filters/values",
    "a GETMETADATA (MAXSIZE 1 DEPTH infinity) \"\" /private/comment",
    "a SETMETADATA INBOX (/private/comment \"My comment\" /shared/comment NIL)",
    // RFC 5465
    "a NOTIFY NONE",
    "a NOTIFY SET STATUS (selected (MessageNew))",
    "a NOTIFY SET STATUS (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (From To Subject)]) MessageExpunge)) (subtree Lists (MessageNew))",
    "a NOTIFY SET (personal (MailboxName SubscriptionChange)) (mailboxes (a b) NONE) (inboxes (FlagChange AnnotationChange))",
    "a NOTIFY SET (selected-delayed (MessageNew MessageExpunge X-Event)) (subscribed (MailboxMetadataChange ServerMetadataChange))",
    // RFC 4467
    "a GENURLAUTH imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred INTERNAL",
    "a URLFETCH imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred:internal:91354a473744909de610943775f92038",
    "a RESETKEY",
    "a RESETKEY INBOX",
    "a RESETKEY INBOX INTERNAL X-OTHER",
    // RFC 7377
    "tag1 ESEARCH IN (mailboxes folder1 subtree folder2) UNSEEN SUBJECT chad",
    "tag2 ESEARCH IN (selected subtree-one (a b)) RETURN (COUNT) CHARSET UTF-8 ALL",
    "tag3 ESEARCH ALL",
    "tag4 ESEARCH IN (personal (X-OPT 1)) RETURN () ALL",
    // Selected
    "FXXZ CHECK",
    "A341 CLOSE",
    "A342 UNSELECT",
    "A202 EXPUNGE",
    "A003 UID EXPUNGE 3000:3002",
    "A004 UID EXPUNGE $",
    "A282 SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM Smith",
    "A282 SEARCH RETURN (MIN COUNT) FLAGGED SINCE 1-Feb-1994 NOT FROM Smith",
    "A283 SEARCH RETURN () FLAGGED",
    "A284 SEARCH TEXT \"string not in mailbox\"",
    "A285 SEARCH CHARSET UTF-8 TEXT XXXXXX",
    "A286 SEARCH RETURN (SAVE) SENTSINCE 31-Dec-2005 (OR FROM a TO b) 1:4,*",
    "A287 SEARCH ALL ANSWERED BCC b BEFORE 1-Jan-2000 BODY c CC d DELETED DRAFT HEADER Message-ID \"\" KEYWORD $Junk LARGER 5000000000 NEW OLD ON 2-Jan-2000 RECENT SEEN",
    "A288 SEARCH SENTBEFORE 1-Jan-2000 SENTON 1-Jan-2000 SMALLER 1 SUBJECT a TO b UID 1:* UNANSWERED UNDELETED UNDRAFT UNFLAGGED UNKEYWORD a UNSEEN $",
    "a SEARCH MODSEQ \"/flags/\\\\Draft\" all 620162338",
    "t SEARCH OR NOT MODSEQ 720162338 LARGER 50000",
    "a1 SEARCH YOUNGER 259200 OLDER 1",
    "a2 SEARCH FUZZY SUBJECT \"IMAP break\"",
    "a3 SEARCH FUZZY (FROM a BODY b)",
    "a SEARCH RETURN (RELEVANCY ALL MAX) FILTER on-the-road",
    "a SEARCH EMAILID M6d99ac3275bb4e THREADID T64b478a75b7ea9",
    "a SEARCH SAVEDSINCE 1-Feb-1994 SAVEDBEFORE 2-Feb-1994 SAVEDON 1-Feb-1994 SAVEDATESUPPORTED",
    "C01 UID SEARCH RETURN (PARTIAL -1:-100) UNDELETED UNKEYWORD $Junk",
    "D01 UID SEARCH RETURN (CONTEXT UPDATE PARTIAL 1:20) ALL",
    "D02 SEARCH RETURN (UPDATE (UID FLAGS)) ALL",
    "D03 SEARCH RETURN (X-NEW 1:2) ALL",
    "g UID SEARCH X-GM-RAW \"has:attachment in:unread\" X-GM-MSGID 1278455344230334865 X-GM-THRID 1 X-GM-LABELS foo",
    "B01 CANCELUPDATE \"A01\" \"A02\"",
    "A282 SORT (SUBJECT) UTF-8 SINCE 1-Feb-1994",
    "A283 SORT (SUBJECT REVERSE DATE) UTF-8 ALL",
    "A284 UID SORT RETURN (PARTIAL 1:500) (DISPLAYFROM DISPLAYTO REVERSE ARRIVAL CC FROM SIZE TO RELEVANCY) UTF-8 ALL",
    "A283 THREAD ORDEREDSUBJECT UTF-8 SINCE 5-Mar-2000",
    "A285 UID THREAD REFERENCES US-ASCII TEXT gewp",
    "A654 FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])",
    "A655 FETCH 1 ALL",
    "A656 FETCH 1,3 FAST",
    "A657 FETCH * FULL",
    "A658 UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY MODSEQ)",
    "A659 FETCH 1 (BODY.PEEK[]<0.2048> BODY[1.2.MIME] BODY[TEXT] BODY[4.1.HEADER.FIELDS.NOT (To)] RFC822 RFC822.HEADER RFC822.TEXT)",
    "A660 FETCH 1 (BINARY[1.2]<5.6> BINARY.PEEK[] BINARY.SIZE[3])",
    "A661 FETCH 1 (PREVIEW PREVIEW (LAZY) SAVEDATE EMAILID THREADID X-GM-MSGID X-GM-THRID X-GM-LABELS)",
    "s100 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345)",
    "s101 UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)",
    "s102 UID FETCH 1:* (UID FLAGS) (PARTIAL -1:-30 X-NEW)",
    "A003 STORE 2:4 +FLAGS (\\Deleted)",
    "A004 UID STORE 2:4 -FLAGS.SILENT (\\Deleted $Forwarded)",
    "A005 STORE $ FLAGS ()",
    "d105 STORE 7,5,9 (UNCHANGEDSINCE 320162338) +FLAGS.SILENT (\\Deleted)",
    "d106 STORE 7 (X-MOD 1) X-GM-LABELS (foo)",
    "d107 STORE 7 -X-GM-LABELS.SILENT (\\Inbox \"two words\")",
    "A003 COPY 2:4 MEETING",
    "A004 UID COPY $ MEETING",
    "a MOVE 42:69 foo",
    "a UID MOVE 42:69 foo",
    // Messages
    "A003 APPEND saved-messages (\\Seen) {5+}\r\nhello",
    "A004 APPEND saved-messages (\\Seen $MDNSent) \" 7-Feb-1994 21:52:25 -0800\" {5+}\r\nhello",
    "A005 APPEND saved-messages {5+}\r\nhello (\\Seen) {3+}\r\nabc {0+}\r\n",
    "A006 APPEND Sent ~{5+}\r\nhello",
    "A007 APPEND Sent UTF8 (~{5+}\r\nhello)",
    "A008 APPEND Sent X-EXT (1) CATENATE (URL /Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER TEXT {2+}\r\nab URL b UTF8 (~{1+}\r\nc))",
    "R1 REPLACE 4 Drafts (\\Seen \\Draft) {2+}\r\nab",
    "R2 UID REPLACE 2000 Drafts \"17-Jul-1996 02:44:25 -0700\" CATENATE (TEXT {2+}\r\nab)",
];

#[test]
fn the_examples_of_the_rfcs_are_written_as_they_were_read() {
    let mut others = Vec::new();
    for example in AS_WRITTEN {
        let command = parse(example);
        if line(&command) != *example {
            others.push((*example, line(&command)));
        }
        let (tag, rest) = example.split_once(' ').expect("a tag");
        assert!(rest.starts_with(command.body.verb().as_str()), "{example}");
        assert_eq!(Command::head(example.as_bytes()).verb, Some(command.body.verb()));
        assert_eq!(command.tag, Tag::new(tag).expect("a tag"));
    }
    assert_eq!(others, []);
}

#[test]
fn every_command_has_an_example() {
    for verb in Verb::ALL {
        let has = |line: &&&str| Command::head(line.as_bytes()).verb == Some(*verb);
        assert!(AS_WRITTEN.iter().any(|line| has(&line)), "{verb}");
    }
}

/// What is read, and how it is written then.
const ALSO: &[(&str, &str)] = &[
    ("a login \"joe\" \"p w\"", "a LOGIN joe \"p w\""),
    ("a LOGIN {3}\r\njoe {4}\r\nab c", "a LOGIN joe \"ab c\""),
    ("a LOGIN {3+}\r\njoe {4+}\r\nab\"c", "a LOGIN joe \"ab\\\"c\""),
    ("a select inbox", "a SELECT INBOX"),
    ("a SELECT \"&AMQ-\"", "a SELECT &AMQ-"),
    ("a uid fetch 1:* flags", "a UID FETCH 1:* (FLAGS)"),
    (
        "a FETCH 1 body.peek[header.fields (date \"from\")]",
        "a FETCH 1 (BODY.PEEK[HEADER.FIELDS (date from)])",
    ),
    ("a STORE 1 +flags \\Seen \\Deleted", "a STORE 1 +FLAGS (\\Deleted \\Seen)"),
    ("a SETACL INBOX joe \"+lr\"", "a SETACL INBOX joe +lr"),
    ("a GETMETADATA INBOX (DEPTH 1) (/private/a)", "a GETMETADATA (DEPTH 1) INBOX /private/a"),
    ("a GETMETADATA \"\" (/shared/comment)", "a GETMETADATA \"\" /shared/comment"),
    ("a SEARCH since \"01-Feb-1994\"", "a SEARCH SINCE 1-Feb-1994"),
    ("a SEARCH or seen (not (from \"x\"))", "a SEARCH OR SEEN (NOT (FROM x))"),
    ("a LIST \"\" \"*\"", "a LIST \"\" *"),
    ("a STATUS \"x\" (messages)", "a STATUS x (MESSAGES)"),
];

#[test]
fn other_ways_to_write_a_command_are_read_too() {
    for (read, as_written) in ALSO {
        assert_eq!(line(&parse(read)), *as_written, "{read:?}");
    }
}

/// What is refused, and where.
const REFUSED: &[(&[u8], usize)] = &[
    (b"", 0),
    (b" NOOP", 0),
    (b"a", 1),
    (b"a ", 2),
    (b"a+ NOOP", 1),
    (b"a NOOP ", 6),
    (b"a NOOP x", 6),
    (b"a  NOOP", 2),
    (b"a UID", 2),
    (b"a UID ", 6),
    (b"a LOGIN joe", 11),
    (b"a LOGIN joe ", 12),
    (b"a LOGIN joe \"x", 14),
    (b"a LOGIN joe x y", 13),
    (b"a LOGIN joe {9}\r\nx", 12),
    (b"a SELECT", 8),
    (b"a SELECT INBOX ()", 16),
    (b"a SELECT in\0box", 11),
    (b"a SELECT b\xe9b", 10),
    (b"a FETCH 0 FLAGS", 8),
    (b"a FETCH 4294967296 FLAGS", 8),
    (b"a FETCH 1 ()", 11),
    (b"a FETCH 1 (FLAGS", 16),
    (b"a FETCH 1 FLAGSX", 10),
    (b"a FETCH 1 (FLAGS) x)", 18),
    (b"a STORE 1 FLAGS (\\*)", 17),
    (b"a SEARCH", 8),
    (b"a SEARCH ", 9),
    (b"a SEARCH ()", 10),
    (b"a SEARCH XYZZY", 9),
    (b"a SEARCH OR SEEN", 16),
    (b"a SEARCH SINCE 31-Feb-1994", 15),
    (b"a SEARCH KEYWORD \\Seen", 17),
    (b"a LIST (RECURSIVEMATCH) \"\" *", 7),
    (b"a LIST (RECURSIVEMATCH REMOTE) \"\" *", 7),
    (b"a APPEND x", 10),
    (b"a APPEND x (\\Seen)", 18),
    (b"a APPEND x UTF8 ({1}\r\nx)", 17),
    (b"a APPEND x CATENATE ()", 21),
    (b"a ESEARCH IN (selected-delayed) ALL", 14),
];

#[test]
fn what_breaks_the_grammar_is_refused_with_its_tag_and_place() {
    for (line, at) in REFUSED {
        let shown = line.escape_ascii();
        match try_parse(line) {
            Err(CommandError::Syntax(SyntaxError { tag, at: found, .. })) => {
                assert_eq!(found, *at, "{shown}");
                let expected = if line.starts_with(b"a ") { Tag::new("a") } else { None };
                assert_eq!(tag, expected, "{shown}");
            }
            other => panic!("{shown}: {other:?}"),
        }
    }
    for line in ["a XYZZY", "a UID NOOP", "a UID XYZZY 1", "a NOOPS"] {
        assert_eq!(
            try_parse(line),
            Err(CommandError::Unknown { tag: Tag::new("a").expect("a tag") }),
            "{line}"
        );
    }
}

#[test]
fn lines_that_are_cut_short_or_hold_odd_bytes_do_no_harm() {
    for example in AS_WRITTEN {
        for len in 0..example.len() {
            // It must end, and not panic.
            let _ = try_parse(&example[..len]);
            let mut odd = example.as_bytes().to_vec();
            odd[len] = 0;
            let _ = try_parse(&odd);
            odd[len] = 0xff;
            let _ = try_parse(&odd);
        }
    }
}

#[test]
fn nesting_is_bounded() {
    let deep =
        |open: &str, close: &str| format!("a SEARCH {}SEEN{}", open.repeat(10_000), close.repeat(10_000));
    for (open, close) in
        [("(", ")"), ("NOT ", ""), ("OR ", " SEEN"), ("OR SEEN ", ""), ("FUZZY ", ""), ("(NOT ", ")")]
    {
        match try_parse(deep(open, close)) {
            Err(CommandError::Syntax(error)) => assert_eq!(error.expected, "less nesting"),
            other => panic!("{open}: {}", other.is_ok()),
        }
    }
    // What an extension nests is not gone down into.
    let parameter = format!("a SELECT x (X {}{})", "(".repeat(10_000), ")".repeat(10_000));
    assert!(try_parse(parameter).is_ok());
    let nested = format!("a SEARCH {}SEEN{}", "(".repeat(40), ")".repeat(40));
    assert_eq!(line(&parse(&nested)), nested);
}

#[test]
fn ranges_are_kept_as_ranges() {
    let ranges = vec!["1:4294967295"; 10_000].join(",");
    let CommandBody::Fetch { set, .. } = parse(format!("a FETCH {ranges} FLAGS")).body else { panic!() };
    assert_eq!(set.members().len(), 10_000);
}

#[test]
fn passwords_are_shown_nowhere() {
    for line in [
        "a LOGIN joe hunter2",
        "a LOGIN joe \"hunter2\"",
        "a LOGIN joe {7}\r\nhunter2",
        "a LOGIN a-name-that-does-not-fit-into-a-value-of-text hunter2",
        "a AUTHENTICATE PLAIN hunter2",
    ] {
        let command = parse(line);
        let shown = format!("{command:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        let (CommandBody::Login { password: secret, .. }
        | CommandBody::Authenticate { initial: Some(secret), .. }) = command.body
        else {
            panic!("{line}")
        };
        assert_eq!(secret.expose(), b"hunter2");
    }
    for line in ["a LOGIN joe hunter2 x", "a LOGIN joe \"hunter2", "a LOGIN joe \"hunter2\\x\""] {
        let shown = format!("{:?}", try_parse(line));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn the_client_is_told_where_to_stop() {
    let stop = |at, waits, streamed| Stop { at, waits, streamed };
    let command = parse("a LOGIN {2}\r\n\"\n {2}\r\na\n");
    for (literals, wire, stops) in [
        (
            Literals::Synchronizing,
            "a LOGIN {2}\\r\\n\"\\n {2}\\r\\na\\n",
            vec![stop(13, true, None), stop(21, true, None)],
        ),
        (Literals::Minus, "a LOGIN {2+}\\r\\n\"\\n {2+}\\r\\na\\n", vec![]),
        (Literals::Plus, "a LOGIN {2+}\\r\\n\"\\n {2+}\\r\\na\\n", vec![]),
        (Literals::Plain, "a LOGIN {2}\\r\\n\"\\n {2}\\r\\na\\n", vec![]),
    ] {
        assert_eq!(written(&command, &style(literals)), (wire.to_owned(), stops));
    }

    let message = AppendMessage::new(AppendData::Literal(MessageLiteral::streamed(5000)));
    let append = Append { mailbox: MailboxName::INBOX, messages: imap_proto::types::NonEmpty::one(message) };
    let command = Command::new(Tag::new("a").expect("a tag"), CommandBody::Append(Box::new(append)));
    for (literals, wire, waits) in [
        (Literals::Synchronizing, "a APPEND INBOX {5000}\\r\\n", true),
        (Literals::Minus, "a APPEND INBOX {5000}\\r\\n", true),
        (Literals::Plus, "a APPEND INBOX {5000+}\\r\\n", false),
    ] {
        let at = wire.len() - 2;
        assert_eq!(written(&command, &style(literals)), (wire.to_owned(), vec![stop(at, waits, Some(5000))]));
    }
    let frame = b"a APPEND INBOX {5000+}\r\n";
    assert_eq!(Command::parse_streamed(frame, &[15], &Dialect::SERVER), Ok(command));
    assert!(try_parse(frame).is_err(), "without the message");
}

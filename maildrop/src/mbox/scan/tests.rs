use super::*;
use proptest::prelude::*;

const FROM: &str = "From a@b Tue Jan  2 03:04:05 2001\n";

/// A message without the notes of readers.
fn shown(text: &[u8]) -> Vec<u8> {
    let (mut shown, mut skipped, mut lines) =
        (Vec::new(), false, text.split_inclusive(|&byte| byte == b'\n'));
    for line in lines.by_ref() {
        if !line.starts_with(b" ") {
            let name = line.split(|&byte| byte == b':').next().unwrap().trim_ascii_end().to_ascii_lowercase();
            skipped = line.contains(&b':') && crate::MBOX_NOTES.iter().any(|note| note.as_bytes() == name);
        }
        if !skipped {
            shown.extend_from_slice(line);
        }
        if line.trim_ascii().is_empty() {
            break;
        }
    }
    shown.extend(lines.flatten());
    shown
}

/// The texts of the messages.
fn texts(mbox: &[u8], content_length: bool) -> Vec<String> {
    let messages = MboxMessage::all_in(mbox, content_length).unwrap();
    let text = |message: &MboxMessage| {
        let text = &mbox[message.header as usize..message.end as usize];
        let shown = &*shown(text);
        let missing_end = if shown.last().is_none_or(|&last| last == b'\n') { 0 } else { 2 };
        let crlf = shown.len() as u64 + count_lone_lfs(shown, b'\n') + missing_end;
        assert_eq!(message.octets, crlf, "{}", text.escape_ascii());
        String::from_utf8(text.to_vec()).unwrap()
    };
    messages.iter().map(text).collect()
}

#[test]
fn messages_begin_with_from_lines_and_nothing_else() {
    // (file, messages); `@` stands for a From_ line
    let table: [(&str, &[&str]); 21] = [
        ("", &[]),
        ("\n\n", &[]),
        ("@", &[""]),
        ("@S: x\n", &["S: x\n"]),
        ("@S: x\n\n", &["S: x\n\n"]),
        ("@S: x\n\nbody\n\n@S: y\n\n", &["S: x\n\nbody\n", "S: y\n\n"]),
        ("\n@S: x\n\nbody\n@S: y\n\nno newline", &["S: x\n\nbody\n", "S: y\n\nno newline"]),
        ("@S: x\n\nFrom me\nFrom you to me\n\n", &["S: x\n\nFrom me\nFrom you to me\n"]),
        ("@S: x\n\nbody\n\n\n@@S: y\n\n", &["S: x\n\nbody\n\n", "S: y\n\n"]),
        ("@@@@>From x\nS: y\n\n", &["", "S: y\n\n"]),
        ("@S: x\n@S: y\n\n\n@", &["S: x\n", "S: y\n\n", ""]),
        ("@>From root Tue\n>From x\nS: x\n\n>From y\n", &["S: x\n\n>From y\n"]),
        ("@S: x\r\n\r\nbody\r\n\r\n@S: y\r\n\r\n", &["S: x\r\n\r\nbody\r\n", "S: y\r\n\r\n"]),
        // Content-Length: true, lying, too long, up to the last line feed or behind it, in a header without end.
        ("@Content-Length: 41\n\n0123456@\n@S: y\n\n", &["Content-Length: 41\n\n0123456@", "S: y\n\n"]),
        ("@Content-Length: 39\n\nbody\n@\n@S: y\n\n", &["Content-Length: 39\n\nbody\n@", "S: y\n\n"]),
        ("@Content-Length: 38\n\nbody\n@\n@S: y\n\n", &["Content-Length: 38\n\nbody\n+", "S: y\n\n"]),
        ("@Content-Length: 4\n\nbody\nmore\n\n@", &["Content-Length: 4\n\nbody\nmore\n", ""]),
        (
            "@Content-Length: 999999999999999999999\n\nbody\n\n@",
            &["Content-Length: 999999999999999999999\n\nbody\n", ""],
        ),
        ("@Content-Length: 18446744073709551615\n\nb\n", &["Content-Length: 18446744073709551615\n\nb\n"]),
        ("@Content-Length: 0\n\n\n@", &["Content-Length: 0\n\n", ""]),
        ("@Content-Length: 5\n", &["Content-Length: 5\n"]),
    ];
    for (file, expected) in table {
        let full = |text: &str| text.replace('@', FROM).replace('+', FROM.trim_end());
        let expected: Vec<String> = expected.iter().map(|text| full(text)).collect();
        assert_eq!(texts(full(file).as_bytes(), true), expected, "{file:?}");
    }
    for other in ["S: x\n\n", "\nx\n@", "From: x\n"] {
        assert_eq!(MboxMessage::all_in(other.as_bytes(), true), None, "{other}");
    }
    // The first message is known by less.
    assert_eq!(texts(b"From me\n\nx\n", true), ["\nx\n"]);
    // Where the field is not heeded.
    let file = format!("{FROM}Content-Length: 39\n\nbody\n{FROM}\n{FROM}");
    assert_eq!(texts(file.as_bytes(), false).len(), 3);
}

#[test]
fn messages_are_those_that_dovecot_finds() {
    // (file, messages as Dovecot 2.3 serves them, with the fields that it leaves out); `@` stands for a From_ line
    let table: [(&str, &[&str]); 13] = [
        ("@S: 1\n\nbody\n@S: 2\n\nbody\n\n", &["S: 1\n\nbody\n", "S: 2\n\nbody\n"]),
        ("@S: 1\n\n>From me\n>>From you\nx\n\n", &["S: 1\n\n>From me\n>>From you\nx\n"]),
        (
            "@S: 1\n\na\nFrom me to you\n\nFrom here on\n\n@S: 2\n\nx\n\n",
            &["S: 1\n\na\nFrom me to you\n\nFrom here on\n", "S: 2\n\nx\n"],
        ),
        ("@S: 1\n\na\n@b\n\n", &["S: 1\n\na\n", "b\n\n"]),
        ("@S: 1\n\nbody\n\n\n\n@S: 2\n\nbody\n\n\n", &["S: 1\n\nbody\n\n\n", "S: 2\n\nbody\n\n"]),
        (
            "@S: 1\nContent-Length: 2\n\nabc\n\n@S: 2\n\nx\n\n",
            &["S: 1\nContent-Length: 2\n\nabc\n", "S: 2\n\nx\n"],
        ),
        (
            "@S: 1\nContent-Length: 9999\n\nabc\n\n@S: 2\n\nx\n\n",
            &["S: 1\nContent-Length: 9999\n\nabc\n", "S: 2\n\nx\n"],
        ),
        (
            "@S: 1\nContent-Length: 20\n\nabc\n\n@S: 2\n\nx\n\n",
            &["S: 1\nContent-Length: 20\n\nabc\n", "S: 2\n\nx\n"],
        ),
        (
            "@S: 1\nContent-Length: 47\n\nabcdef\n\n@S: 2\n\n\n@S: 3\n\ny\n\n",
            &["S: 1\nContent-Length: 47\n\nabcdef\n", "S: 2\n\n", "S: 3\n\ny\n"],
        ),
        (
            "@S: 1\nContent-Length: 47\n\nabcdef\n\n@S: 2\n\n@S: 3\n\ny\n\n",
            &["S: 1\nContent-Length: 47\n\nabcdef\n\n@S: 2\n", "S: 3\n\ny\n"],
        ),
        ("@S: 1\n\n@S: 2\n\nx\n\n", &["S: 1\n\n", "S: 2\n\nx\n"]),
        ("@S: 1\n@S: 2\n\nx\n\n", &["S: 1\n", "S: 2\n\nx\n"]),
        ("@S: 1\n\nx\0y\n\n", &["S: 1\n\nx\0y\n"]),
    ];
    for (file, expected) in table {
        let expected: Vec<String> = expected.iter().map(|text| text.replace('@', FROM)).collect();
        assert_eq!(texts(file.replace('@', FROM).as_bytes(), true), expected, "{file:?}");
    }
}

#[test]
fn from_lines_behind_each_other_are_as_many_messages_as_dovecot_counts() {
    // (file, messages of Dovecot 2.3); `@` stands for a From_ line. The second of two it takes for text of the first message.
    for (file, count) in [
        ("@", 1),
        ("@@", 1),
        ("@@\n", 1),
        ("@\n@\n", 2),
        ("@@\nb\n", 1),
        ("@@S: 1\n\nb\n\n", 1),
        ("@@@\n", 2),
        ("@@@S: 1\n\nx\n", 2),
        ("@@@@\nx\n", 2),
        ("@S: 1\n@@S: 2\n\n", 2),
        ("@>From x\nS: 1\n\nb\n", 1),
    ] {
        assert_eq!(texts(file.replace('@', FROM).as_bytes(), true).len(), count, "{file:?}");
    }
}

#[test]
fn a_header_tells_the_flags_and_whether_it_is_no_message() {
    let file = format!("{FROM}X-IMAP: 1 2\n\n\n{FROM}Status: RO\nX-Status: AF\n\nx\n\n{FROM}X-IMAP: 1\n\n");
    let messages = MboxMessage::all_in(file.as_bytes(), true).unwrap();
    let flags: Vec<String> = messages.iter().map(|message| message.flags.to_string()).collect();
    assert_eq!(flags, ["FRS", ""]);
    // Only the first, and only with what such programs write.
    for (first, hidden) in [
        ("X-IMAP: 0946684800 0000000042 $Forwarded\n", true),
        ("x-imap: 1 2\n", true),
        ("X-IMAP: 1\n", false),
        ("X-IMAP: yes please\n", false),
        ("X-IMAPbase: 1 2\n", false),
    ] {
        for before in ["", "\n\n"] {
            let file = format!("{before}{FROM}{first}\n\n{FROM}{first}\nx\n");
            let messages = MboxMessage::all_in(file.as_bytes(), true).unwrap();
            assert_eq!(messages.len(), if hidden { 1 } else { 2 }, "{first}");
        }
    }
}

#[test]
fn what_is_read_does_not_depend_on_where_reads_end() {
    for length in (WINDOW - 120..WINDOW + 8).chain([3 * WINDOW]) {
        for end in ["\n", "\r\n", "", "\nFrom x\nFr"] {
            let body = format!("{}{end}", "x".repeat(length));
            let counted = format!("Content-Length: {}\n\n{body}", body.len());
            // The end of its last line, if it has none, and an empty line.
            let behind = if end.ends_with('\n') { "\n" } else { "\n\n" };
            let file = format!("{FROM}S: x\n\n{body}\n\n{FROM}{counted}{behind}{FROM}S: y\n\n");
            let expected = [format!("S: x\n\n{body}\n"), counted, "S: y\n\n".to_owned()];
            let found = texts(file.as_bytes(), true);
            assert!(found == expected, "{length} {end:?}");
        }
        // A header line as long.
        let header = format!("S: {}\nStatus: R\n\n", "x".repeat(length));
        let file = format!("{FROM}{header}\n{FROM}");
        assert!(texts(file.as_bytes(), true) == [header, String::new()], "{length}");
    }
}

/// Counts the octets that are read.
struct Counted(Vec<u8>, std::cell::Cell<u64>);

impl ReadAt for Counted {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = ReadAt::read_at(&*self.0, buffer, offset)?;
        self.1.set(self.1.get() + count as u64);
        Ok(count)
    }
}

#[test]
fn fields_that_lie_do_not_have_the_file_read_over_and_over() {
    const MESSAGES: usize = 3000;
    let long_line = format!("From {}\n", "x".repeat(2 * LONGEST_FROM_LINE));
    // (what stands at the end of the file, where the fields point to, octets before and behind it)
    let table = [
        ("x".repeat(20_000), 10_000, 1),
        (format!("{}{}", "x".repeat(9_999), "\n".repeat(10_001)), 10_000, 1),
        (long_line.repeat(20), 5 * long_line.len(), 0),
        (long_line.repeat(20), 5 * long_line.len(), long_line.len()),
    ];
    for (tail, place, spread) in table {
        let mut file = String::new();
        let start = |number: usize| number * (FROM.len() + "Content-Length: 12345678\n\n\n".len());
        for number in 0..MESSAGES {
            let body = start(number + 1) - 1;
            let target = start(MESSAGES) + FROM.len() + 1 + place + number % 5 * spread;
            file.push_str(&format!("{FROM}Content-Length: {:8}\n\n\n", target - body));
        }
        assert_eq!(file.len(), start(MESSAGES));
        file.push_str(&format!("{FROM}\n{tail}"));
        let size = file.len() as u64;
        let source = Counted(file.into_bytes(), Default::default());
        assert_eq!(scan(&source, size, true).unwrap().unwrap().len(), MESSAGES + 1);
        let far = if tail.starts_with("From ") { FAR_AHEAD } else { 0 };
        let most = 3 * size + (MESSAGES * (AHEAD + far)) as u64;
        assert!(source.1.get() < most, "{} octets of {size} at {place}", source.1.get());
    }
}

#[test]
fn messages_are_told_apart_but_for_what_readers_write() {
    let prints = |texts: &[&str]| -> Vec<u64> {
        let file: String = texts.iter().map(|text| format!("{FROM}{text}\n")).collect();
        let messages = MboxMessage::all_in(file.as_bytes(), true).unwrap();
        messages.iter().map(|message| message.fingerprint).collect()
    };
    let same =
        prints(&["S: x\n\nb\n", "S: x\nStatus: RO\nX-UID: 7\n\nb\n", "Content-Length: 2\nS: x\n\nb\n"]);
    assert!(same.iter().all(|print| *print == same[0]));
    // Whoever appends may add line ends.
    let ends = ["@", "@\n", "@\r\n\r\n\n", "@S: x", "@S: x\n", "@S: x\n\n", "@S: x\n\nb", "@S: x\n\nb\n"]
        .map(|text| MboxMessage::all_in(text.replace('@', FROM).as_bytes(), true).unwrap()[0].fingerprint);
    let same_ends = [&ends[..3], &ends[3..6], &ends[6..]];
    assert!(same_ends.iter().all(|prints| prints.iter().all(|print| *print == prints[0])), "{ends:?}");
    assert!(ends[0] != ends[3] && ends[3] != ends[6]);
    let other = prints(&["S: x\n\nb\n", "S: y\n\nb\n", "S: x\n\nc\n"]);
    assert!(other[0] != other[1] && other[0] != other[2] && other[1] != other[2]);
}

proptest! {
    #[test]
    fn any_file_is_covered_by_its_messages_in_order(
        words in proptest::collection::vec(
            prop_oneof![Just(FROM), Just("\n"), Just("\r\n"), Just("From x\n"), Just("Content-Length: 7\n"),
                Just("Content-Length: 34\n"), Just("x"), Just("S: y\n"), Just("Status: R\n"), Just(" x\n")], 0..30),
        heeded: bool,
    ) {
        let file = words.concat();
        if let Some(messages) = MboxMessage::all_in(file.as_bytes(), heeded) {
            let mut at = None;
            for message in &messages {
                prop_assert!(at.is_none_or(|at| at == message.start));
                prop_assert!(message.start < message.header && message.header <= message.body);
                prop_assert!(message.body <= message.end && message.end <= message.next);
                prop_assert!(message.next - message.end <= 4);
                prop_assert!(file[message.start as usize..].starts_with("From "));
                let text = shown(&file.as_bytes()[message.header as usize..message.end as usize]);
                let ended = text.last().is_none_or(|&last| last == b'\n');
                let crlf = text.len() as u64 + count_lone_lfs(&text, b'\n') + if ended { 0 } else { 2 };
                prop_assert_eq!(message.octets, crlf);
                at = Some(message.next);
            }
            prop_assert!(at.is_none_or(|at| at == file.len() as u64));
        }
    }
}

#[test]
fn no_sender_can_tell_what_a_message_is_known_by() {
    let text = b"From a@b Tue Jan  2 03:04:05 2001\nSubject: x\n\nbody";
    let message = MboxMessage::all_in(text, true).unwrap()[0];
    let mut computed = DefaultHasher::new();
    computed.write(text);
    assert_ne!(message.fingerprint, computed.finish());
    assert_eq!(message, MboxMessage::all_in(text, true).unwrap()[0]);
}

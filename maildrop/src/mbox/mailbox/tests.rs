use super::*;
use crate::dot_lock::DotLockOptions;
use crate::fault::Fault;
use crate::fault::Faults;
use crate::from_line::FromLine;
use crate::mbox::{MboxOptions, MboxStore};
use crate::store::{Folder, Store};
use crate::store::{MessageReader, ready};
use crate::user::{MailRoot, UserName};
use proptest::prelude::*;
use rustix::fs::Mode;
use std::io::Write;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

/// A process that another test starts has the locks of all for a moment.
const PATIENT: Duration = Duration::from_millis(200);

fn quick() -> MboxOptions {
    MboxOptions::new().dot_lock(Some(DotLockOptions::new().retries(0))).kernel_lock(Some(PATIENT))
}

fn line() -> Vec<u8> {
    FromLine::new(b"a@b", std::time::UNIX_EPOCH, 0).as_bytes().to_vec()
}

fn text(mailbox: &mut MboxMailbox, index: usize) -> String {
    let mut reader = LocalReader::default();
    ready(mailbox.read(index, &mut reader)).unwrap();
    let mut text = Vec::new();
    while let chunk @ [_, ..] = ready(reader.chunk()).unwrap() {
        text.extend_from_slice(chunk);
        let taken = chunk.len();
        reader.consume(taken);
    }
    assert_eq!(ready(mailbox.octets(index)).unwrap(), text.len() as u64);
    String::from_utf8(text).unwrap()
}

fn texts(mailbox: &mut MboxMailbox) -> Vec<String> {
    (0..mailbox.len()).map(|index| text(mailbox, index)).collect()
}

/// Does something once, before the steps of a kind.
struct Meanwhile<F>(Operation, Mutex<Option<F>>);

impl<F> fmt::Debug for Meanwhile<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meanwhile")
    }
}

impl<F: FnOnce() + Send> Faults for Meanwhile<F> {
    fn inject(&self, operation: Operation) -> Fault {
        if operation == self.0
            && let Some(work) = self.1.lock().unwrap().take()
        {
            work();
        }
        Fault::None
    }
}

#[test]
fn what_is_written_to_the_file_that_was_replaced_is_carried_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box");
    let message = |name: &str| [&line()[..], format!("Subject: {name}\n\n{name}\n\n").as_bytes()].concat();
    std::fs::write(&path, [message("1"), message("2")].concat()).unwrap();
    let mut late = File::options().append(true).open(&path).unwrap();
    // Opened before, written when another file stands in its place.
    let writes = message("late");
    let meanwhile =
        Meanwhile(Operation::SyncDirectory, Mutex::new(Some(move || late.write_all(&writes).unwrap())));
    let mbox = Mbox::with_options(&path, quick().with_faults(Arc::new(meanwhile)));
    let mut update = Update::new();
    update.remove(0);
    ready(mbox.mailbox(Access::Exclusive).unwrap().commit(&update)).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), [message("2"), message("late")].concat());
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_that_has_the_file_open_and_waits_longer_loses_nothing() {
    use std::os::unix::fs::MetadataExt;
    use std::process::{Command, Stdio};

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box");
    let message = |name: &str| [&line()[..], format!("Subject: {name}\n\n{name}\n\n").as_bytes()].concat();
    std::fs::write(&path, [message("1"), message("2")].concat()).unwrap();
    let inode = || path.metadata().unwrap().ino();
    let before = inode();
    let handle = File::options().append(true).open(&path).unwrap();
    let mut program = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::from(handle)).spawn().unwrap();
    let mut update = Update::new();
    update.remove(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while inode() == before {
                thread::yield_now();
            }
            // Longer than anybody is waited for who is not seen.
            thread::sleep(Duration::from_millis(300));
            program.stdin.take().unwrap().write_all(&message("late")).unwrap();
            program.wait().unwrap();
        });
        let mbox = Mbox::with_options(&path, quick());
        ready(mbox.mailbox(Access::Exclusive).unwrap().commit(&update)).unwrap();
    });
    assert_eq!(std::fs::read(&path).unwrap(), [message("2"), message("late")].concat());
}

#[test]
fn half_a_message_is_not_listed_and_cut_off_by_who_may() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box");
    let plan = crate::fault::FaultPlan::new().nth(Operation::SyncFile, 3, Fault::io_error()).nth(
        Operation::Truncate,
        2,
        Fault::io_error(),
    );
    let faulty = Mbox::with_options(&path, quick().with_faults(Arc::new(plan)));
    faulty.append(&[&line()[..], b"Subject: 1\n\nx\n"].concat()).unwrap();
    assert!(faulty.append(&[&line()[..], b"Subject: half\n\nx\n"].concat()).is_err());
    let left = std::fs::read(&path).unwrap();
    assert!(left.windows(4).any(|octets| octets == b"half"));

    let mbox = Mbox::with_options(&path, quick());
    assert_eq!(texts(&mut mbox.mailbox(Access::ReadOnly).unwrap()), ["Subject: 1\r\n\r\nx\r\n"]);
    assert_eq!(std::fs::read(&path).unwrap(), left);
    assert_eq!(texts(&mut mbox.mailbox(Access::Exclusive).unwrap()), ["Subject: 1\r\n\r\nx\r\n"]);
    assert_eq!(std::fs::read(&path).unwrap(), [&line()[..], b"Subject: 1\n\nx\n\n"].concat());
}

#[test]
fn quoting_is_taken_off_where_the_format_is_said_to_be_mboxrd() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box");
    let quoted = "Subject: x\n\n>From a\n>>From b\n> From c\n";
    let counted = "Content-Length: 10\n\n>From a\nb\n";
    let lying = "Content-Length: 4\n\n>From a\nb\n";
    let content =
        [quoted, counted, lying].map(|text| [&line()[..], text.as_bytes(), b"\n"].concat()).concat();
    std::fs::write(&path, content).unwrap();
    let read = |unquoting| {
        let mbox = Mbox::with_options(&path, quick().unquoting(unquoting));
        texts(&mut mbox.mailbox(Access::ReadOnly).unwrap())
            .iter()
            .map(|t| t.replace("\r\n", "\n"))
            .collect::<Vec<_>>()
    };
    let [counted, lying] = [counted, lying].map(|text| &text[text.find('\n').unwrap() + 1..]);
    assert_eq!(read(Unquoting::AsFound), [quoted, counted, lying]);
    let plain = quoted.replace("\n>From", "\nFrom").replace("\n>>From", "\n>From");
    assert_eq!(read(Unquoting::Rd), [&*plain, counted, &lying.replace(">From", "From")]);
}

#[test]
fn what_others_write_into_headers_leaves_messages_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box");
    let message = |status: &str, name: &str| {
        [&line()[..], format!("Subject: {name}\n{status}\n{name}\n\n").as_bytes()].concat()
    };
    std::fs::write(&path, [message("", "1"), message("", "2"), message("", "2")].concat()).unwrap();
    let mut mailbox = Mbox::with_options(&path, quick()).mailbox(Access::Exclusive).unwrap();
    let ids = |mailbox: &mut MboxMailbox| -> Vec<UniqueId> {
        (0..mailbox.len()).map(|index| ready(mailbox.unique_id(index)).unwrap()).collect()
    };
    let before = ids(&mut mailbox);
    let octets = ready(mailbox.octets(1)).unwrap();
    // As mutt does: in place, with one message less.
    std::fs::write(&path, [message("Status: O\n", "2"), message("Status: RO\n", "2")].concat()).unwrap();
    let mut reader = LocalReader::default();
    assert!(matches!(ready(mailbox.read(0, &mut reader)), Err(Error::Vanished { .. })));
    assert_eq!(text(&mut mailbox, 1), "Subject: 2\r\n\r\n2\r\n");
    assert_eq!(ready(mailbox.octets(1)).unwrap(), octets);
    let mut update = Update::new();
    update.remove(1).seen(2);
    ready(mailbox.commit(&update)).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), message("Status: RO\n", "2"));
    let after = ids(&mut Mbox::with_options(&path, quick()).mailbox(Access::Exclusive).unwrap());
    assert_eq!(after, before[1..2]);
}

#[test]
fn a_last_message_without_line_ends_is_the_same_when_others_come_behind_it() {
    for end in ["Subject: x", "Subject: x\n", "Subject: x\n\n", "Subject: x\n\nb", "Subject: x\n\nb\n"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        let message = [&line()[..], b"Subject: late\n\nlate\n"].concat();
        std::fs::write(&path, [&line()[..], end.as_bytes()].concat()).unwrap();
        let mbox = Mbox::with_options(&path, quick());
        let mut mailbox = mbox.mailbox(Access::Exclusive).unwrap();
        let id = ready(mailbox.unique_id(0)).unwrap();
        mbox.append(&message).unwrap();
        assert!(text(&mut mailbox, 0).trim_end() == end.trim_end().replace('\n', "\r\n"), "{end:?}");
        let mut later = mbox.mailbox(Access::ReadOnly).unwrap();
        assert_eq!(ready(later.unique_id(0)).unwrap(), id, "{end:?}");
        let mut update = Update::new();
        update.remove(0);
        ready(mailbox.commit(&update)).unwrap();
        assert_eq!(texts(&mut mbox.mailbox(Access::ReadOnly).unwrap()), ["Subject: late\r\n\r\nlate\r\n"]);
    }
}

/// The text of a message, while something is done after the first part of it was lent.
fn text_while(mailbox: &mut MboxMailbox, index: usize, work: impl FnOnce()) -> (String, Result<(), Error>) {
    let mut reader = LocalReader::default();
    ready(mailbox.read(index, &mut reader)).unwrap();
    let (mut text, mut work) = (Vec::new(), Some(work));
    let end = loop {
        match ready(reader.chunk()) {
            Ok([]) => break Ok(()),
            Ok(chunk) => text.extend_from_slice(chunk),
            // It goes on being one.
            Err(_) => break ready(reader.chunk()).map(|_| ()),
        }
        let taken = ready(reader.chunk()).unwrap().len();
        reader.consume(taken);
        work.take().into_iter().for_each(|work| work());
    };
    (String::from_utf8(text).unwrap(), end)
}

#[test]
fn no_octet_of_another_message_is_lent_when_the_file_is_rewritten_while_one_is_read() {
    let message = |name: &str, status: &str| {
        let body = format!("line of {name}\n").repeat(20_000);
        [&line()[..], format!("Subject: {name}\n{status}\n{body}\n").as_bytes()].concat()
    };
    let both = [message("1", ""), message("2", "Status: O \n")].concat();
    type Change = fn(&Path, &dyn Fn(&str, &str) -> Vec<u8>);
    // (what is done, whether the message is still there)
    let table: [(&str, Change, bool); 9] = [
        ("nothing", |_, _| (), true),
        (
            "delivery",
            |path, message| {
                Mbox::with_options(path, quick()).append(&message("3", "")).unwrap();
            },
            true,
        ),
        (
            "delivery that fails",
            |path, message| {
                let mut append = Mbox::with_options(path, quick()).begin().unwrap();
                append.append(&message("3", "")).unwrap();
            },
            true,
        ),
        (
            "another file in its place",
            |path, message| {
                std::fs::write(path.with_extension("new"), message("1", "")).unwrap();
                std::fs::rename(path.with_extension("new"), path).unwrap();
            },
            true,
        ),
        (
            "a flag, as Dovecot sets it",
            |path, _| {
                let content = std::fs::read_to_string(path).unwrap();
                std::fs::write(path, content.replace("Status: O ", "Status: RO")).unwrap();
            },
            true,
        ),
        (
            "the first message goes",
            |path, message| std::fs::write(path, message("2", "Status: O \n")).unwrap(),
            false,
        ),
        (
            "the first message goes for another of its length",
            |path, message| {
                std::fs::write(path, [message("2", "Status: O \n"), message("3", "")].concat()).unwrap()
            },
            false,
        ),
        (
            "others of the same length, and the time is set back as mutt does",
            |path, message| {
                let modified = path.metadata().unwrap().modified().unwrap();
                let file = File::create(path).unwrap();
                (&file).write_all(&[message("1", ""), message("3", "Status: O \n")].concat()).unwrap();
                file.set_modified(modified).unwrap();
            },
            false,
        ),
        ("all goes", |path, _| drop(File::create(path).unwrap()), false),
    ];
    for unquoting in [Unquoting::AsFound, Unquoting::Rd] {
        for (case, change, stays) in table {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("box");
            std::fs::write(&path, &both).unwrap();
            let mbox = Mbox::with_options(&path, quick().unquoting(unquoting));
            let mut mailbox = mbox.mailbox(Access::Exclusive).unwrap();
            let whole = text(&mut mailbox, 1);
            let (lent, end) = text_while(&mut mailbox, 1, || change(&path, &message));
            assert!(whole.starts_with(lent.trim_end_matches(|c| c != '\n')), "{case}: {}", lent.len());
            match stays {
                true => assert!(end.is_ok() && lent == whole, "{case}"),
                false => assert!(
                    matches!(end, Err(Error::Vanished { .. })) && lent.len() < whole.len(),
                    "{case}: {end:?}"
                ),
            }
        }
    }
}

#[test]
fn mail_that_arrives_does_not_have_the_whole_file_read_again_for_each_message() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box");
    let message = |name: &str| [&line()[..], format!("Subject: {name}\n\n{name}\n\n").as_bytes()].concat();
    std::fs::write(&path, [message("1"), message("2")].concat()).unwrap();
    let mut mailbox = Mbox::with_options(&path, quick()).mailbox(Access::Exclusive).unwrap();
    Mbox::with_options(&path, quick()).append(&message("3")).unwrap();
    // Nor is the lock of the file wanted for that.
    let _lock = crate::DotLock::acquire(crate::DotLock::path_for(&path), &DotLockOptions::new()).unwrap();
    assert_eq!(texts(&mut mailbox), ["Subject: 1\r\n\r\n1\r\n", "Subject: 2\r\n\r\n2\r\n"]);
    assert!(ready(mailbox.unique_id(1)).is_ok());
}

#[test]
fn a_commit_fails_if_messages_stay_or_may_come_back() {
    use Operation::{Copy, CreateFile, Rename, SyncDirectory, SyncFile, Truncate};
    // (messages that go, step, messages that are left)
    let table: [(&[usize], Operation, &[usize]); 9] = [
        (&[0, 1, 2], Truncate, &[0, 1, 2]),
        (&[0, 1, 2], SyncFile, &[]),
        (&[2], Truncate, &[0, 1, 2]),
        (&[2], SyncFile, &[0, 1]),
        (&[0], CreateFile, &[0, 1, 2]),
        (&[0], Copy, &[0, 1, 2]),
        (&[0], SyncFile, &[0, 1, 2]),
        (&[0], Rename, &[0, 1, 2]),
        (&[0], SyncDirectory, &[1, 2]),
    ];
    for (removed, step, left) in table {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        let message =
            |number: usize| [&line()[..], format!("Subject: {number}\n\nx\n\n").as_bytes()].concat();
        let content =
            |numbers: &[usize]| numbers.iter().map(|&number| message(number)).collect::<Vec<_>>().concat();
        std::fs::write(&path, content(&[0, 1, 2])).unwrap();
        let plan = crate::fault::FaultPlan::new().nth(step, 1, Fault::io_error());
        let mbox = Mbox::with_options(&path, quick().with_faults(Arc::new(plan)));
        let mut update = Update::new();
        removed.iter().for_each(|&index| {
            update.remove(index);
        });
        assert!(ready(mbox.mailbox(Access::Exclusive).unwrap().commit(&update)).is_err(), "{step:?}");
        assert_eq!(std::fs::read(&path).unwrap(), content(left), "{removed:?} {step:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "{removed:?} {step:?}");
    }
}

#[test]
fn from_lines_tell_when_messages_arrived() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box");
    let lines = ["From a@b Tue Jan  2 03:04:05 2001\n", "From a@b Tue Jan  2 03:04:05 2001 +0100\n"];
    std::fs::write(&path, lines.map(|line| format!("{line}Subject: x\n\n\n")).concat()).unwrap();
    for (offset, expected) in [(0, [978_404_645, 978_401_045]), (7200, [978_397_445, 978_401_045])] {
        let mbox = Mbox::with_options(&path, quick().utc_offset(offset));
        let mailbox = mbox.mailbox(Access::ReadOnly).unwrap();
        let arrived = [0, 1].map(|index| mailbox.message(index).arrived.unwrap());
        assert_eq!(arrived, expected.map(|seconds| std::time::UNIX_EPOCH + Duration::from_secs(seconds)));
    }
    // The first line need not have a date.
    std::fs::write(&path, "From me\n\n").unwrap();
    assert_eq!(Mbox::new(&path).mailbox(Access::ReadOnly).unwrap().message(0).arrived, None);
}

#[test]
fn what_other_programs_know_of_a_folder_is_no_message_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box");
    let internal = "From MAILER-DAEMON Tue Jan  2 03:04:05 2001\nFrom: Mail System Internal Data <MAILER-DAEMON@x>\n\
        Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 0978404645 0000000002\nStatus: RO\n\n\
        This text is part of the internal format of your mail folder, and is not\na real message.\n\n";
    let message = |name: &str| [&line()[..], format!("Subject: {name}\n\nx\n\n").as_bytes()].concat();
    for (removed, left) in [(&[0][..], &["2"][..]), (&[1], &["1"]), (&[0, 1], &[])] {
        std::fs::write(&path, [internal.as_bytes(), &message("1"), &message("2")].concat()).unwrap();
        let mut mailbox = Mbox::with_options(&path, quick()).mailbox(Access::Exclusive).unwrap();
        assert_eq!(texts(&mut mailbox), ["Subject: 1\r\n\r\nx\r\n", "Subject: 2\r\n\r\nx\r\n"]);
        let mut update = Update::new();
        removed.iter().for_each(|&index| {
            update.remove(index);
        });
        ready(mailbox.commit(&update)).unwrap();
        let left = left.iter().map(|name| message(name)).collect::<Vec<_>>().concat();
        assert_eq!(std::fs::read(&path).unwrap(), [internal.as_bytes(), &left].concat());
    }
}

#[test]
fn a_message_is_marked_as_seen_once_and_nothing_else_of_it_changes() {
    // (header before, header after, what is read of both)
    let table = [
        ("Subject: x\n\n", "Subject: x\nStatus: RO\n\n", "Subject: x\n\n"),
        ("Subject: x\r\n\r\n", "Subject: x\r\nStatus: RO\r\n\r\n", "Subject: x\n\n"),
        (
            "Status: O\nSubject: x\nX-Status: A\n\n",
            "Status: RO\nSubject: x\nX-Status: A\n\n",
            "Subject: x\n\n",
        ),
        ("status:\nSubject: x\n\n", "Status: RO\nSubject: x\n\n", "Subject: x\n\n"),
        ("Status: R\nSubject: x\n\n", "Status: R\nSubject: x\n\n", "Subject: x\n\n"),
        ("Content-Length: 9\n\n", "Content-Length: 9\nStatus: RO\n\n", "\n"),
        ("Lines: 1\nX-UID: 7\n 8\n\n", "Lines: 1\nX-UID: 7\n 8\nStatus: RO\n\n", "Lines: 1\n\n"),
        // Where no header ends there is no place.
        ("Subject: x\n", "Subject: x\n", "Subject: x\n"),
    ];
    for (before, after, read) in table {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        let body = if before == after && !before.contains("Status") { "" } else { "Status: \n\n" };
        let with = |header: &str| {
            let other = [&line()[..], b"Subject: other\n\nx\n\n"].concat();
            [&other, &line()[..], header.as_bytes(), body.as_bytes(), &other].concat()
        };
        let read = [read, body.trim_end_matches('\n'), if body.is_empty() { "" } else { "\n" }].concat();
        std::fs::write(&path, with(before)).unwrap();
        for unquoting in [Unquoting::AsFound, Unquoting::Rd] {
            let mbox = Mbox::with_options(&path, quick().unquoting(unquoting));
            let mut ids = Vec::new();
            for _ in 0..2 {
                let mut mailbox = mbox.mailbox(Access::Exclusive).unwrap();
                ids.push(ready(mailbox.unique_id(1)).unwrap());
                assert_eq!(text(&mut mailbox, 1), read.replace('\n', "\r\n"), "{before:?}");
                let mut update = Update::new();
                update.seen(1);
                ready(mailbox.commit(&update)).unwrap();
                let found = String::from_utf8(std::fs::read(&path).unwrap()).unwrap();
                assert_eq!(found, String::from_utf8(with(after)).unwrap(), "{before:?}");
            }
            assert_eq!(ids[0], ids[1], "{before:?}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn marks_are_left_for_another_time_while_a_program_has_the_file_open_for_writing() {
    use std::process::{Command, Stdio};

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box");
    let message = |name: &str| [&line()[..], format!("Subject: {name}\n\n{name}\n\n").as_bytes()].concat();
    let plain = [message("1"), message("2")].concat();
    let marked =
        String::from_utf8(plain.clone()).unwrap().replace("2\n\n2", "2\nStatus: RO\n\n2").into_bytes();
    let mbox = Mbox::with_options(&path, quick());
    let mark = |update: &mut Update| {
        ready(mbox.mailbox(Access::Exclusive).unwrap().commit(update.seen(1))).unwrap();
        std::fs::read(&path).unwrap()
    };
    for (open_for, only_marks, expected) in [("w", true, &plain), ("r", true, &marked), ("w", false, &marked)]
    {
        std::fs::write(&path, &plain).unwrap();
        let handle = File::options().read(open_for == "r").append(open_for == "w").open(&path).unwrap();
        let mut program = Command::new("cat");
        let mut program = program.stdin(Stdio::piped()).stdout(Stdio::from(handle)).spawn().unwrap();
        let mut update = Update::new();
        if !only_marks {
            update.remove(0);
            // Who is waited for then.
            drop(program.stdin.take());
        }
        let after = mark(&mut update);
        let expected = if only_marks { &expected[..] } else { &expected[message("1").len()..] };
        assert_eq!(after, expected, "{open_for} {only_marks}");
        drop(program.stdin.take());
        program.wait().unwrap();
        if only_marks {
            assert_eq!(mark(&mut Update::new()), marked);
        }
    }
}

#[test]
fn a_pipe_is_no_mailbox_and_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box");
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let error = Mbox::with_options(&path, quick()).mailbox(Access::Exclusive).unwrap_err();
    assert!(matches!(error, Error::NotAFile { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_read(
        bodies in proptest::collection::vec(
            proptest::collection::vec(prop_oneof![
                Just("\n"), Just("From "), Just(">From "), Just("x"), Just("\r\n"),
                Just("From a@b Tue Jan  2 03:04:05 2001\n"), Just("Content-Length: 3\n"),
            ], 0..12), 0..6),
        length: bool,
        unquoted: bool,
        removed in proptest::collection::vec(0_usize..6, 0..4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let unquoting = if unquoted { Unquoting::Rd } else { Unquoting::AsFound };
        let mbox = Mbox::with_options(dir.path().join("box"), quick().unquoting(unquoting));
        let mut expected = Vec::new();
        for (number, body) in bodies.iter().enumerate() {
            let field = if length { "Content-Length:      0\n" } else { "" };
            // The field counts an octet less, as procmail's does, where the last line is one octet without end.
            let body = body.concat() + if length && !body.is_empty() { "\n" } else { "" };
            let mut message = format!("Subject: {number}\n{field}\n{body}");
            mbox.append(&[&line()[..], message.as_bytes()].concat()).unwrap();
            if length {
                message = message.replacen(field, "", 1);
            } else {
                message = message.replace("\nFrom ", "\n>From ");
                if unquoted {
                    // One mark of each line that was quoted or looks like it goes.
                    message = message.split_inclusive('\n').map(|line| {
                        let plain = line.trim_start_matches('>').starts_with("From ");
                        line.strip_prefix('>').filter(|_| plain).unwrap_or(line)
                    }).collect();
                }
            }
            expected.push(message.replace("\r\n", "\n"));
        }
        let mut mailbox = mbox.mailbox(Access::Exclusive).unwrap();
        prop_assert_eq!(mailbox.len(), expected.len());
        // Whether a message ended with a line feed, or an empty line, nobody can tell.
        let trimmed = |text: &str| text.replace("\r\n", "\n").trim_end_matches('\n').to_owned();
        for (index, expected) in expected.iter().enumerate() {
            let read = text(&mut mailbox, index);
            prop_assert!(trimmed(&read) == trimmed(expected), "{read:?} {expected:?}");
        }
        let mut update = Update::new();
        removed.iter().filter(|index| **index < expected.len()).for_each(|&index| { update.remove(index); });
        ready(mailbox.commit(&update)).unwrap();
        let kept = expected.iter().enumerate().filter(|(index, _)| !removed.contains(index));
        let left = texts(&mut mbox.mailbox(Access::ReadOnly).unwrap());
        prop_assert!(left.iter().map(|text| trimmed(text)).eq(kept.map(|(_, text)| trimmed(text))));
    }
}

/// Puts a link, or another name of the file, in the place of a mbox.
fn plant(path: &Path, target: &Path, hard: bool) {
    let _ = std::fs::remove_file(path);
    match hard {
        true => std::fs::hard_link(target, path).unwrap(),
        false => std::os::unix::fs::symlink(target, path).unwrap(),
    }
}

#[test]
fn what_a_user_puts_in_the_place_of_their_mbox_leads_nowhere() {
    let message = |name: &str| [&line()[..], format!("Subject: {name}\n\n{name}\n\n").as_bytes()].concat();
    for hard in [false, true] {
        let root = tempfile::tempdir().unwrap();
        let store = MboxStore::new(MailRoot::new(root.path())).with_options(quick());
        let user = UserName::parse("alice").unwrap();
        let (own, others) = (root.path().join("alice/mbox"), root.path().join("bob"));
        let content = [message("1"), message("2")].concat();
        std::fs::write(&others, &content).unwrap();
        let unharmed = |case: &str| assert_eq!(std::fs::read(&others).unwrap(), content, "{case} {hard}");

        // Planted when the directory was looked at already.
        let mbox = store.mbox(&user, &Folder::Inbox).unwrap();
        plant(&own, &others, hard);
        let planted = |error: Error| match hard {
            true => assert!(matches!(error, Error::ManyNames { names: 2, .. }), "{error}"),
            false => assert!(matches!(error, Error::Symlink { .. }), "{error}"),
        };
        planted(mbox.append(&message("3")).unwrap_err());
        unharmed("delivery");
        planted(mbox.repair().unwrap_err());
        for access in [Access::Exclusive, Access::ReadOnly] {
            planted(mbox.mailbox(access).unwrap_err());
        }

        // Planted during a session, with each kind of update.
        let mut sizes = Update::new();
        sizes.remove(1);
        let mut anew = Update::new();
        anew.remove(0);
        for update in [sizes, anew] {
            let _ = std::fs::remove_file(&own);
            std::fs::write(&own, &content).unwrap();
            let mailbox = ready(store.open(&user, &Folder::Inbox, Access::Exclusive)).unwrap();
            plant(&own, &others, hard);
            planted(ready(mailbox.commit(&update)).unwrap_err());
            unharmed("commit");
        }

        // Planted between any two steps, which may go through where they are at the file by then.
        for step in [Operation::Open, Operation::Lock, Operation::Recover, Operation::Read, Operation::Write]
        {
            for deliver in [true, false] {
                let _ = std::fs::remove_file(&own);
                std::fs::write(&own, &content).unwrap();
                let (from, to) = (own.clone(), others.clone());
                let work = move || plant(&from, &to, hard);
                let meanwhile = Arc::new(Meanwhile(step, Mutex::new(Some(work))));
                let store = store.clone().with_faults(meanwhile);
                let mbox = store.mbox(&user, &Folder::Inbox).unwrap();
                match deliver {
                    true => drop(mbox.append(&message("3"))),
                    false => drop(mbox.mailbox(Access::Exclusive).and_then(|mailbox| {
                        let mut update = Update::new();
                        update.remove(0);
                        ready(mailbox.commit(&update))
                    })),
                }
                unharmed(&format!("{step:?}"));
            }
        }
    }
}

#[test]
fn elsewhere_a_link_leads_to_the_mbox_that_is_rewritten() {
    let dir = tempfile::tempdir().unwrap();
    let (path, real) = (dir.path().join("link"), dir.path().join("box"));
    let message = |name: &str| [&line()[..], format!("Subject: {name}\n\n{name}\n\n").as_bytes()].concat();
    std::fs::write(&real, [message("1"), message("2")].concat()).unwrap();
    plant(&path, &real, false);
    let mut update = Update::new();
    update.remove(0);
    let mbox = Mbox::with_options(&path, quick());
    ready(mbox.mailbox(Access::Exclusive).unwrap().commit(&update)).unwrap();
    mbox.append(&message("3")).unwrap();
    assert_eq!(std::fs::read(&real).unwrap(), [message("2"), message("3")].concat());
    assert!(path.is_symlink());
}

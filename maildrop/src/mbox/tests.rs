use super::*;
use crate::fault::FaultPlan;
use proptest::prelude::*;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;

const FROM: &str = "From a@b Tue Jan  2 03:04:05 2001\n";

fn fresh(content: Option<&[u8]>) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box");
    if let Some(content) = content {
        std::fs::write(&path, content).unwrap();
    }
    (dir, path)
}

fn quick() -> MboxOptions {
    MboxOptions::new().dot_lock(Some(DotLockOptions::new().retries(0))).kernel_lock(Some(Duration::ZERO))
}

/// What is in the file after a message was appended to an empty one.
fn stored(message: &[u8], options: MboxOptions) -> String {
    let (_dir, path) = fresh(None);
    let appended = Mbox::with_options(&path, options).append(message).unwrap();
    let stored = std::fs::read(&path).unwrap();
    assert_eq!((appended.offset(), appended.size()), (0, stored.len() as u64));
    String::from_utf8(stored).unwrap()
}

#[test]
fn messages_are_stored_as_procmail_stores_them() {
    // Each row was run through procmail 3.22.
    let table = [
        ("Subject: x\n\nline\nFrom me\nFrom you\n", "Subject: x\n\nline\n>From me\n>From you\n\n"),
        ("Subject: x\n\nline\nFrom you", "Subject: x\n\nline\n>From you\n"),
        ("Subject: x\n\nline\n\n", "Subject: x\n\nline\n\n"),
        ("Subject: x\n\nline\n\n\n", "Subject: x\n\nline\n\n\n"),
        ("Subject: x\n", "Subject: x\n\n"),
        ("Subject: x", "Subject: x\n"),
        ("From b\nSubject: x\n\n>From y\nFrom\tz\n", ">From b\nSubject: x\n\n>From y\nFrom\tz\n\n"),
        ("Subject: x\r\n\r\nFrom x\r\n", "Subject: x\r\n\r\n>From x\r\n\n"),
        ("Content-Length: 5\n\nline\nFrom me\n", "Content-Length:13\n\nline\nFrom me\n\n"),
        ("Content-Length: 5\n\nline\nFrom me\n\n", "Content-Length:13\n\nline\nFrom me\n\n"),
        ("Content-Length: 5\n\nline\nFrom me\n\n\n", "Content-Length:14\n\nline\nFrom me\n\n\n"),
        ("Content-Length: 5\n\n\n", "Content-Length: 0\n\n\n"),
        ("Content-Length: 5\n\nline\nFrom me", "Content-Length:12\n\nline\nFrom me\n"),
        ("Content-Length:5\n\nline\nFrom me\nFrom you\n", "Content-Length:9\n\nline\nFrom me\n>From you\n\n"),
        ("content-length :  5 x\n\nFrom me\n", "content-length :  5 x\n\n>From me\n\n"),
    ];
    for (message, expected) in table {
        let message = [FROM, message].concat();
        assert_eq!(stored(message.as_bytes(), quick()), [FROM, expected].concat(), "{message:?}");
    }
    // Without a From_ line.
    for (message, expected) in
        [("", "\n"), ("\n\n", "\n\n"), ("Subject: x\n\nFrom x\n", "Subject: x\n\n>From x\n\n")]
    {
        assert_eq!(stored(message.as_bytes(), quick()), expected, "{message:?}");
    }
}

#[test]
fn raw_messages_are_stored_octet_by_octet_and_the_berkeley_format_knows_no_lengths() {
    let raw = "Content-Length: 5\n\nFrom me\nFrom you";
    assert_eq!(stored(raw.as_bytes(), quick().quoting(Quoting::Raw)), raw);
    let message = "Content-Length: 100\n\nFrom me\n";
    let expected = "Content-Length: 100\n\n>From me\n\n";
    assert_eq!(stored(message.as_bytes(), quick().content_length(false)), expected);
}

#[test]
fn a_message_begins_behind_an_empty_line_whatever_stands_in_the_file() {
    // (in the file, appended by default, appended as procmail does)
    let table = [
        ("", "From x\n\n", "From x\n\n"),
        ("\n", "\nFrom x\n\n", "\nFrom x\n\n"),
        ("x", "x\n\nFrom x\n\n", "xFrom x\n\n"),
        ("x\n", "x\n\nFrom x\n\n", "x\nFrom x\n\n"),
        ("x\n\n", "x\n\nFrom x\n\n", "x\n\nFrom x\n\n"),
        ("no newline", "no newline\n\nFrom x\n\n", "no newlineFrom x\n\n"),
    ];
    for (before, separated, as_found) in table {
        for (separation, expected) in [(Separation::EmptyLine, separated), (Separation::AsFound, as_found)] {
            let (_dir, path) = fresh(Some(before.as_bytes()));
            let mbox = Mbox::with_options(&path, quick().separation(separation));
            let appended = mbox.append(b"From x\n").unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), expected, "{before:?} {separation:?}");
            assert_eq!(expected.len() as u64, appended.offset() + appended.size());
        }
    }
}

#[test]
fn the_mode_of_a_new_file_is_given_and_that_of_an_old_one_stays() {
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let (_dir, path) = fresh(None);
    Mbox::with_options(&path, quick()).append(b"x").unwrap();
    assert_eq!(mode(&path), 0o600);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    Mbox::with_options(&path, quick().mode(0o666)).append(b"x").unwrap();
    assert_eq!(mode(&path), 0o640);
}

#[test]
fn a_mailbox_looks_unread_after_a_delivery() {
    let (_dir, path) = fresh(None);
    let mbox = Mbox::with_options(&path, quick());
    for _ in 0..2 {
        mbox.append(b"From x\n\n").unwrap();
        let metadata = path.metadata().unwrap();
        let age = metadata.modified().unwrap().duration_since(metadata.accessed().unwrap()).unwrap();
        assert!(age >= Duration::from_millis(1), "{age:?}");
        std::fs::read(&path).unwrap();
    }
}

#[test]
fn both_locks_are_held_until_the_end_and_given_up_in_any_case() {
    let (dir, path) = fresh(None);
    let mbox = Mbox::with_options(&path, quick());
    let no_dot_lock = Mbox::with_options(&path, quick().dot_lock(None));
    let locked = |mbox: &Mbox| matches!(mbox.append(b"x\n"), Err(Error::LockHeld { .. }));

    let append = mbox.begin().unwrap();
    assert!(dir.path().join("box.lock").exists());
    assert!(locked(&mbox) && locked(&no_dot_lock));
    drop(append);
    assert!(!locked(&no_dot_lock));
    let append = no_dot_lock.begin().unwrap();
    assert!(!dir.path().join("box.lock").exists());
    assert!(locked(&mbox));
    append.commit().unwrap();
    assert!(!locked(&mbox));
    let other = quick().lock_file(dir.path().join("other.lock"));
    let _append = Mbox::with_options(&path, other).begin().unwrap();
    assert!(dir.path().join("other.lock").exists());
}

#[test]
fn devices_are_written_to_as_they_are() {
    let mbox = Mbox::with_options("/dev/null", quick().dot_lock(None));
    assert_eq!(mbox.append(b"From x\n").unwrap().size(), 8);
    assert!(Mbox::with_options(std::env::temp_dir(), quick().dot_lock(None)).append(b"x").is_err());
}

fn long_message() -> Vec<u8> {
    let mut message = FROM.as_bytes().to_vec();
    for line in 0..5000 {
        message.extend_from_slice(format!("{line} is a line among others in this message\n").as_bytes());
    }
    message
}

/// Notes all steps in order.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<Operation>>);

impl Faults for Recorder {
    fn inject(&self, operation: Operation) -> Fault {
        self.0.lock().unwrap().push(operation);
        Fault::None
    }
}

#[test]
fn whichever_step_fails_the_file_is_as_it_was_and_the_next_message_goes_through() {
    for before in [None, Some(b"From old\n\nno newline".as_slice()), Some(b"From old\n\nold\n\n")] {
        let recorder = Arc::new(Recorder::default());
        let (_dir, path) = fresh(before);
        let options = quick().with_faults(Arc::clone(&recorder) as Arc<dyn Faults>);
        Mbox::with_options(path, options).append(&long_message()).unwrap();
        let steps = recorder.0.lock().unwrap().clone();
        assert!(steps.len() >= 10, "{steps:?}");

        for (index, &step) in steps.iter().enumerate() {
            let nth = steps[..=index].iter().filter(|&&other| other == step).count() as u64;
            let (dir, path) = fresh(before);
            let plan = Arc::new(FaultPlan::new().nth(step, nth, Fault::no_space()));
            let mbox = Mbox::with_options(&path, quick().with_faults(plan));
            let case = format!("{step:?} {nth}");
            let error = mbox.append(&long_message()).unwrap_err();
            assert!(error.is_storage_full(), "{case}: {error}");
            assert_eq!(std::fs::read(&path).unwrap_or_default(), before.unwrap_or_default(), "{case}");
            assert!(!dir.path().join("box.lock").exists(), "{case}");
            let appended = mbox.append(b"From new\n\nnew\n").unwrap();
            let content = std::fs::read(&path).unwrap();
            assert_eq!(&content[appended.offset() as usize..], b"From new\n\nnew\n\n", "{case}");
        }
    }
}

#[test]
fn what_cannot_be_taken_back_at_once_is_cut_off_by_the_next_delivery() {
    let before: &[u8] = b"From old\n\nold\n\n";
    let (_dir, path) = fresh(Some(before));
    let plan = FaultPlan::new().nth(Operation::Write, 4, Fault::no_space()).nth(
        Operation::Truncate,
        1,
        Fault::io_error(),
    );
    let mbox = Mbox::with_options(&path, quick().with_faults(Arc::new(plan)));
    assert!(mbox.append(&long_message()).is_err());
    let left = std::fs::read(&path).unwrap();
    assert!(left.len() > 60_000 && left.ends_with(guard::END));

    let repairing = Mbox::with_options(&path, quick());
    std::fs::copy(&path, path.with_extension("copy")).unwrap();
    assert_eq!(repairing.repair().unwrap(), (left.len() - before.len()) as u64);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(repairing.repair().unwrap(), 0);
    // A copy is another file, which nobody can say the like of.
    let copy = Mbox::with_options(path.with_extension("copy"), quick());
    assert_eq!(copy.repair().unwrap(), 0);
    assert!(Mbox::with_options(path.with_extension("none"), quick()).repair().unwrap_err().is_not_found());

    // What another program appended meanwhile stays whole, and is a message of its own.
    let plan = FaultPlan::new().nth(Operation::Write, 4, Fault::no_space()).nth(
        Operation::Truncate,
        1,
        Fault::io_error(),
    );
    let mbox = Mbox::with_options(&path, quick().with_faults(Arc::new(plan)));
    assert!(mbox.append(&long_message()).is_err());
    let mut content = std::fs::read(&path).unwrap();
    content.extend_from_slice(b"From other\n\nother\n\n");
    std::fs::write(&path, &content).unwrap();
    mbox.append(b"From new\n\n").unwrap();
    let content = std::fs::read(&path).unwrap();
    assert!(content.ends_with(b"\n\nFrom other\n\nother\n\nFrom new\n\n"));
}

#[test]
fn short_writes_are_continued() {
    let (_dir, path) = fresh(None);
    let plan = FaultPlan::new().always(Operation::Write, Fault::Short(997));
    Mbox::with_options(&path, quick().with_faults(Arc::new(plan))).append(&long_message()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), [&long_message()[..], b"\n"].concat());
}

#[test]
fn no_message_can_end_as_guards_do() {
    for quoting in [Quoting::Raw, Quoting::From] {
        let (_dir, path) = fresh(Some(b"From old\n\nold\n\n"));
        let mbox = Mbox::with_options(&path, quick().quoting(quoting));
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let forged = Identity::of(&file).unwrap().guard(0);
        mbox.append(&forged).unwrap();
        mbox.append(b"From new\n\nnew\n\n").unwrap();
        assert!(std::fs::read(&path).unwrap().starts_with(b"From old\n\nold\n\n"));
    }
}

#[test]
fn threads_that_share_a_file_lose_and_mangle_nothing() {
    let (_dir, path) = fresh(None);
    for dot_lock in [None, Some(DotLockOptions::new().sleep(Duration::from_millis(1)))] {
        let _ = std::fs::remove_file(&path);
        let mbox = Mbox::with_options(&path, MboxOptions::new().dot_lock(dot_lock));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let mbox = &mbox;
                scope.spawn(move || {
                    for number in 0..10 {
                        let line = format!("{thread} {number}\n");
                        mbox.append(format!("{FROM}\n{}", line.repeat(2000)).as_bytes()).unwrap();
                    }
                });
            }
        });
        let content = std::fs::read_to_string(&path).unwrap();
        let mut messages: Vec<&str> = content.split(FROM).skip(1).collect();
        messages.sort_unstable();
        messages.dedup();
        assert_eq!(messages.len(), 80);
        for message in messages {
            let first = message.trim_start().lines().next().unwrap();
            assert_eq!(message, format!("\n{}\n", format!("{first}\n").repeat(2000)));
        }
    }
}

#[test]
fn a_file_that_is_replaced_while_it_is_waited_for_is_opened_again() {
    let (_dir, path) = fresh(Some(b""));
    let mbox = Mbox::with_options(&path, quick().dot_lock(None).kernel_lock(Some(Duration::from_secs(60))));
    let reader = mbox.begin().unwrap();
    let (told, tell) = std::sync::mpsc::channel();
    #[derive(Debug)]
    struct Told(Mutex<std::sync::mpsc::Sender<()>>);
    impl Faults for Told {
        fn inject(&self, operation: Operation) -> Fault {
            if operation == Operation::Lock {
                let _ = self.0.lock().unwrap().send(());
            }
            Fault::None
        }
    }
    let waiting =
        Mbox::with_options(&path, mbox.options.clone().with_faults(Arc::new(Told(Mutex::new(told)))));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(move || waiting.append(b"From new\n\n").unwrap());
        tell.recv().unwrap();
        std::fs::write(path.with_extension("tmp"), b"From kept\n\n").unwrap();
        std::fs::rename(path.with_extension("tmp"), &path).unwrap();
        drop(reader);
        waiter.join().unwrap();
    });
    assert_eq!(std::fs::read(&path).unwrap(), b"From kept\n\nFrom new\n\n");
}

proptest! {
    #[test]
    fn a_message_in_chunks_is_stored_like_a_whole_one(
        words in proptest::collection::vec(prop_oneof![Just("\n"), Just("From "), Just("x\n"), Just("From")], 0..30),
        size in 1_usize..9,
    ) {
        let message = words.concat();
        let whole = stored(message.as_bytes(), quick().content_length(false));
        let (_dir, path) = fresh(None);
        let mut append = Mbox::with_options(&path, quick()).begin().unwrap();
        for chunk in message.as_bytes().chunks(size) {
            append.append(chunk).unwrap();
        }
        append.commit().unwrap();
        prop_assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
    }
}

#[test]
fn a_pipe_takes_messages_only_while_somebody_reads_it() {
    let (_dir, path) = fresh(None);
    rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mbox = Mbox::with_options(&path, quick());
    let error = mbox.append(b"Subject: x\n").unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");

    let reader = rustix::fs::open(&path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).unwrap();
    mbox.append(b"Subject: x\n").unwrap();
    let mut read = Vec::new();
    File::from(reader).read_to_end(&mut read).unwrap();
    assert_eq!(read, b"Subject: x\n\n");
}

#[test]
fn a_pipe_that_is_full_is_waited_for_while_the_caller_wants_it() {
    let (_dir, path) = fresh(None);
    rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let message = [b"Subject: x\n\n", b"0123456789abcde\n".repeat(20_000).as_slice(), b"\n"].concat();
    let open = || rustix::fs::open(&path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).unwrap();

    // Nobody reads it.
    let reader = open();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let mbox = Mbox::with_options(
        &path,
        quick().waiting(move |waited| {
            let mut seen = seen.lock().unwrap();
            seen.push(waited);
            seen.len() < 3
        }),
    );
    let error = mbox.append(&message).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    let asked = asked.lock().unwrap();
    assert!(asked.len() == 3 && asked.is_sorted() && asked[2] > Duration::ZERO, "{asked:?}");
    drop(reader);

    // Somebody reads it when it is full.
    let reader = open();
    let (full, when_full) = std::sync::mpsc::channel();
    let mbox = Mbox::with_options(&path, quick().waiting(move |_| full.send(()).is_ok()));
    std::thread::scope(|scope| {
        let read = scope.spawn(move || {
            when_full.recv().unwrap();
            rustix::io::ioctl_fionbio(&reader, false).unwrap();
            let mut read = Vec::new();
            File::from(reader).read_to_end(&mut read).unwrap();
            read
        });
        mbox.append(&message).unwrap();
        assert_eq!(read.join().unwrap(), message);
    });

    // Its reader goes when it is full.
    let reader = Mutex::new(Some(open()));
    let mbox = Mbox::with_options(
        &path,
        quick().waiting(move |_| {
            drop(reader.lock().unwrap().take());
            true
        }),
    );
    assert_eq!(mbox.append(&message).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn only_files_are_written_to_where_nothing_else_is_wanted() {
    let (dir, path) = fresh(Some(b""));
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let pipe = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let _reader = rustix::fs::open(&pipe, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).unwrap();
    let append = |path: &Path| Mbox::with_options(path, quick().files_only(true)).append(b"Subject: x\n");
    for written in [path.as_path(), &link, &dir.path().join("new")] {
        append(written).unwrap();
    }
    for refused in [pipe.as_path(), Path::new("/dev/null")] {
        assert!(matches!(append(refused), Err(Error::NotAFile { .. })), "{}", refused.display());
    }
}

#[test]
fn what_waits_is_written_out_before_the_commit_if_asked_for() {
    let (_dir, path) = fresh(None);
    let plan = FaultPlan::new().nth(Operation::Write, 1, Fault::no_space());
    let mbox = Mbox::with_options(&path, quick().with_faults(Arc::new(plan)));
    let mut append = mbox.begin().unwrap();
    append.append(FROM.as_bytes()).unwrap();
    assert!(append.write_out().unwrap_err().is_storage_full());
    assert!(matches!(append.commit(), Err(Error::Incomplete { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), b"");
    let mut append = mbox.begin().unwrap();
    append.append(FROM.as_bytes()).unwrap();
    append.write_out().unwrap();
    append.append(b"Subject: x\n\nhi\n").unwrap();
    append.commit().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), [FROM.as_bytes(), b"Subject: x\n\nhi\n\n"].concat());
}

#[test]
fn no_lease_on_the_mbox_of_a_user_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let home = fs::open_dir(dir.path()).unwrap();
    let mbox = Mbox::inside(home, dir.path().join("box"), quick());
    for access in [Access::Exclusive, Access::ReadOnly] {
        let locked = mbox.lock(OFlags::CREATE, access).unwrap();
        let flags = rustix::fs::fcntl_getfl(&locked.file).unwrap();
        assert!(flags.contains(OFlags::NONBLOCK), "{access:?}");
    }
    // What the system says of one.
    assert!(matches!(mbox.not_opened(Errno::AGAIN), Error::LockHeld { .. }));
}

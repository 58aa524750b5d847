//! What every store does, over all of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail where it stands")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use maildrop::store::{
    Access, AnyMailbox, AnyStore, Folder, LocalReader, Mailbox, MessageReader, Store, StoreFormat, UniqueId,
    Update, ready,
};
use maildrop::{DeliveryOptions, Error, Fault, FaultPlan, Flags, FolderName, FromLine, Operation, UserName};

const FORMATS: [StoreFormat; 4] = StoreFormat::ALL;

/// A store with a user.
struct Bench {
    _dir: tempfile::TempDir,
    root: PathBuf,
    store: AnyStore,
    alice: UserName,
}

impl Bench {
    fn new(format: StoreFormat) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("mail");
        let store = AnyStore::new(format, &root);
        Bench { _dir: dir, root, store, alice: UserName::parse("alice").unwrap() }
    }

    fn with(format: StoreFormat, messages: &[&str]) -> Bench {
        let bench = Bench::new(format);
        messages.iter().for_each(|message| bench.deliver(message));
        bench
    }

    /// The same store as a program sees it that is started later.
    fn restarted(&mut self) {
        if self.store.format() != StoreFormat::Memory {
            self.store = AnyStore::new(self.store.format(), &self.root);
        }
    }

    /// Delivers as an MTA does.
    fn deliver(&self, message: &str) {
        match &self.store {
            AnyStore::Maildir(store) => {
                let maildir = store.root().create(&self.alice).unwrap();
                let mut delivery = maildir.deliver(&DeliveryOptions::new()).unwrap();
                delivery.append(message.replace('\n', "\r\n").as_bytes()).unwrap();
                delivery.stage().unwrap().commit().unwrap();
            }
            AnyStore::Mbox(store) => {
                let line = FromLine::new(b"bob@example.org", UNIX_EPOCH + Duration::from_secs(1), 0);
                let message = [line.as_bytes(), message.as_bytes()].concat();
                store.mbox(&self.alice, &Folder::Inbox).unwrap().append(&message).unwrap();
            }
            AnyStore::Mh(store) => {
                let mut delivery = store.folder(&self.alice, &Folder::Inbox).unwrap().deliver().unwrap();
                delivery.append(message.as_bytes()).unwrap();
                delivery.commit().unwrap();
            }
            AnyStore::Memory(store) => {
                store.deliver(&self.alice, &Folder::Inbox, message.as_bytes(), UNIX_EPOCH);
            }
            _ => unreachable!(),
        }
    }

    fn try_open(&self, access: Access) -> Result<AnyMailbox, Error> {
        ready(self.store.open(&self.alice, &Folder::Inbox, access))
    }

    fn open(&self) -> AnyMailbox {
        self.try_open(Access::Exclusive).unwrap()
    }

    /// The messages by their subjects, as a session of its own sees them.
    fn subjects(&self) -> Vec<String> {
        subjects(&mut self.try_open(Access::ReadOnly).unwrap())
    }
}

fn text(mailbox: &mut AnyMailbox, index: usize) -> Result<String, Error> {
    let mut reader = LocalReader::default();
    ready(mailbox.read(index, &mut reader))?;
    let mut text = Vec::new();
    loop {
        let chunk = ready(reader.chunk())?;
        if chunk.is_empty() {
            return Ok(String::from_utf8(text).unwrap());
        }
        text.extend_from_slice(chunk);
        let taken = chunk.len();
        reader.consume(taken);
    }
}

fn subjects(mailbox: &mut AnyMailbox) -> Vec<String> {
    let subject = |text: String| text.lines().next().unwrap_or_default().replace("Subject: ", "");
    (0..mailbox.len()).map(|index| text(mailbox, index).map_or("gone".to_owned(), subject)).collect()
}

fn ids(mailbox: &mut AnyMailbox) -> Vec<UniqueId> {
    (0..mailbox.len()).map(|index| ready(mailbox.unique_id(index)).unwrap()).collect()
}

fn removing(indexes: &[usize]) -> Update {
    let mut update = Update::new();
    indexes.iter().for_each(|&index| {
        update.remove(index);
    });
    update
}

fn message(subject: &str) -> String {
    format!("Subject: {subject}\n\nbody of {subject}\n")
}

fn numbered(bench: &Bench, count: usize) {
    (0..count).for_each(|number| bench.deliver(&message(&number.to_string())));
}

/// Servers spawn sessions, whatever the store.
#[test]
fn sessions_with_any_store_can_go_from_thread_to_thread() {
    async fn session<S: Store>(store: Arc<S>, user: UserName) -> Result<u64, Error> {
        let mut mailbox = store.open(&user, &Folder::Inbox, Access::Exclusive).await?;
        let (mut reader, mut octets) = (<S::Mailbox as Mailbox>::Reader::default(), 0);
        for index in 0..mailbox.len() {
            let _ = (mailbox.octets(index).await?, mailbox.unique_id(index).await?);
            mailbox.read(index, &mut reader).await?;
            while let chunk @ [_, ..] = reader.chunk().await? {
                let taken = chunk.len();
                octets += taken as u64;
                reader.consume(taken);
            }
        }
        mailbox.commit(&Update::new()).await?;
        Ok(octets)
    }

    fn spawn<S: Store + 'static>(store: S, user: UserName) -> Result<u64, Error> {
        let session: Box<dyn Future<Output = _> + Send + 'static> = Box::new(session(Arc::new(store), user));
        std::thread::spawn(|| ready(Box::into_pin(session))).join().unwrap()
    }

    for format in FORMATS {
        let bench = Bench::with(format, &[&message("a"), &message("b")]);
        assert_eq!(spawn(bench.store.clone(), bench.alice.clone()).unwrap(), 2 * 25, "{format}");
    }
}

#[test]
fn a_user_without_mail_has_an_empty_inbox() {
    for format in FORMATS {
        let bench = Bench::new(format);
        for access in [Access::Exclusive, Access::ReadOnly] {
            assert!(bench.try_open(access).unwrap().is_empty(), "{format}");
        }
        ready(bench.open().commit(&Update::new())).unwrap();
        bench.deliver(&message("first"));
        assert_eq!(bench.subjects(), ["first"], "{format}");
    }
}

#[test]
fn messages_come_in_order_with_crlf_and_their_octets_are_exact() {
    let long = format!("Subject: long\n\n{}", "line\n".repeat(30_000));
    let texts = ["Subject: 1\n\nbody\n", "Subject: 2\n\n", "Subject: 3\n\n\n.\n..\nFrom here\n", &long];
    for format in FORMATS {
        let bench = Bench::with(format, &texts);
        let mut mailbox = bench.open();
        assert_eq!(mailbox.len(), texts.len(), "{format}");
        for (index, expected) in texts.iter().enumerate() {
            let mut expected = expected.replace('\n', "\r\n");
            if format == StoreFormat::Mbox {
                expected = expected.replace("\r\nFrom ", "\r\n>From ");
            }
            let octets = ready(mailbox.octets(index)).unwrap();
            assert_eq!(octets, expected.len() as u64, "{format} {index}");
            assert_eq!(mailbox.message(index).octets, Some(octets), "{format} {index}: kept");
            assert!(text(&mut mailbox, index).unwrap() == expected, "{format} {index}");
        }
    }
}

#[test]
fn a_reader_lends_the_same_until_it_is_consumed_and_nothing_behind_the_end() {
    for format in FORMATS {
        let bench = Bench::with(format, &[&message("a"), &message("b")]);
        let mut mailbox = bench.open();
        let mut reader = LocalReader::default();
        assert!(ready(reader.chunk()).unwrap().is_empty());
        ready(mailbox.read(0, &mut reader)).unwrap();
        let first = ready(reader.chunk()).unwrap().to_vec();
        reader.consume(5);
        assert_eq!(ready(reader.chunk()).unwrap(), &first[5..], "{format}");
        // Another message begins at its beginning.
        ready(mailbox.read(1, &mut reader)).unwrap();
        let second = ready(reader.chunk()).unwrap().to_vec();
        assert!(second.starts_with(b"Subject: b\r\n"), "{format}");
        reader.consume(second.len());
        for _ in 0..2 {
            assert!(ready(reader.chunk()).unwrap().is_empty(), "{format}");
        }
    }
}

#[test]
fn unique_ids_differ_and_last_over_restarts_removals_and_deliveries() {
    for format in FORMATS {
        let mut bench = Bench::new(format);
        numbered(&bench, 4);
        // The same to the octet.
        bench.deliver(&message("3"));
        let before = ids(&mut bench.open());
        for (index, id) in before.iter().enumerate() {
            assert_eq!(UniqueId::parse(id.as_str().as_bytes()).as_ref(), Ok(id));
            assert!(!before[..index].contains(id), "{format} {before:?}");
        }
        bench.restarted();
        ready(bench.open().commit(&removing(&[1]))).unwrap();
        bench.deliver(&message("new"));
        let after = ids(&mut bench.open());
        assert_eq!([&after[..1], &after[1..4]].concat(), [&before[..1], &before[2..]].concat(), "{format}");
        assert!(!before.contains(&after[4]), "{format}");
    }
}

#[test]
fn copies_have_identifiers_of_their_own_and_those_that_stay_have_the_first_of_them() {
    for format in [StoreFormat::Mbox, StoreFormat::Mh] {
        for removed in 0..3 {
            let bench = Bench::with(format, &[&message("a"), &message("b"), &message("a"), &message("a")]);
            let before = ids(&mut bench.open());
            let copies: Vec<String> =
                before.iter().map(|id| id.as_str().replace(before[0].as_str(), "")).collect();
            assert_eq!([&copies[0], &copies[2], &copies[3]], ["", ".2", ".3"], "{format}");
            ready(bench.open().commit(&removing(&[[0, 2, 3][removed]]))).unwrap();
            let after = ids(&mut bench.open());
            let place = after.iter().position(|id| *id == before[1]).unwrap();
            assert_eq!(place, usize::from(removed > 0), "{format}");
            let left: Vec<&UniqueId> = after.iter().filter(|id| **id != before[1]).collect();
            assert_eq!(left, [&before[0], &before[2]], "{format}");
        }
    }
}

#[test]
fn a_commit_removes_what_it_says_and_nothing_else() {
    let sets: [&[usize]; 9] =
        [&[], &[0], &[4], &[2], &[0, 1], &[3, 4], &[1, 3], &[0, 2, 4], &[0, 1, 2, 3, 4]];
    for format in FORMATS {
        for set in sets {
            let bench = Bench::new(format);
            numbered(&bench, 5);
            let mailbox = bench.open();
            bench.deliver(&message("late"));
            ready(mailbox.commit(&removing(set))).unwrap();
            let mut expected: Vec<String> =
                (0..5).filter(|number| !set.contains(number)).map(|number| number.to_string()).collect();
            expected.push("late".to_owned());
            assert_eq!(bench.subjects(), expected, "{format} {set:?}");
            // Nothing of ours is left but the file that is locked.
            let ours: Vec<PathBuf> = files(&bench.root).into_iter().filter(|p| is_ours(p)).collect();
            assert!(
                ours.iter().all(|path| path.to_string_lossy().ends_with(".session")),
                "{format} {ours:?}"
            );
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path),
        }
    }
    found
}

fn is_ours(path: &Path) -> bool {
    path.file_name().unwrap().to_string_lossy().contains("maildrop")
}

#[test]
fn a_session_that_is_dropped_changes_nothing() {
    for format in FORMATS {
        let bench = Bench::new(format);
        numbered(&bench, 3);
        let mut mailbox = bench.open();
        assert_eq!(subjects(&mut mailbox), ["0", "1", "2"], "{format}");
        drop(mailbox);
        assert_eq!(bench.subjects(), ["0", "1", "2"], "{format}");
    }
}

#[test]
fn exclusive_sessions_keep_each_other_out_and_readers_in() {
    for format in FORMATS {
        let bench = Bench::with(format, &[&message("a")]);
        let session = bench.open();
        let error = bench.try_open(Access::Exclusive).unwrap_err();
        assert!(matches!(error, Error::InUse { .. }), "{format}: {error}");
        assert!(error.is_transient());
        assert_eq!(bench.subjects(), ["a"], "{format}");
        let bob = UserName::parse("bob").unwrap();
        assert!(ready(bench.store.open(&bob, &Folder::Inbox, Access::Exclusive)).is_ok(), "{format}");
        drop(session);
        ready(bench.open().commit(&removing(&[0]))).unwrap();
        assert!(bench.open().is_empty(), "{format}");
    }
}

#[test]
fn a_reader_cannot_change_anything() {
    for format in FORMATS {
        let bench = Bench::with(format, &[&message("a")]);
        let mailbox = bench.try_open(Access::ReadOnly).unwrap();
        let error = ready(mailbox.commit(&removing(&[0]))).unwrap_err();
        assert!(matches!(error, Error::ReadOnly { .. }), "{format}: {error}");
        assert_eq!(bench.subjects(), ["a"], "{format}");
    }
}

#[test]
fn a_message_that_vanished_is_an_error_of_its_own_and_removing_it_is_none() {
    for format in FORMATS {
        let bench = Bench::new(format);
        numbered(&bench, 3);
        let mut reader = bench.try_open(Access::ReadOnly).unwrap();
        ready(bench.open().commit(&removing(&[1]))).unwrap();
        bench.deliver(&message("new"));
        assert_eq!(subjects(&mut reader), ["0", "gone", "2"], "{format}");
        assert!(matches!(text(&mut reader, 1), Err(Error::Vanished { .. })), "{format}");
        assert!(ready(reader.octets(2)).is_ok(), "{format}");
    }
    for format in FORMATS {
        for (removed, left) in [(&[1, 2][..], &["0"][..]), (&[0], &["2"]), (&[0, 1], &["2"])] {
            let bench = Bench::new(format);
            numbered(&bench, 3);
            let session = bench.open();
            remove_behind_its_back(&bench, 1);
            ready(session.commit(&removing(removed))).unwrap();
            assert_eq!(bench.subjects(), left, "{format} {removed:?}");
        }
    }
}

/// Removes a message as another program would.
fn remove_behind_its_back(bench: &Bench, index: usize) {
    let home = bench.root.join("alice");
    match &bench.store {
        AnyStore::Maildir(_) => {
            let mut paths = files(&home.join("Maildir/new"));
            // Their names are no order: the digits of microseconds are as many as they are.
            paths.sort_by_key(|path| std::fs::read(path).unwrap());
            std::fs::remove_file(&paths[index]).unwrap();
        }
        AnyStore::Mh(_) => std::fs::remove_file(home.join(format!("Mail/inbox/{}", index + 1))).unwrap(),
        AnyStore::Mbox(_) => {
            // In place, as mutt writes it.
            let content = std::fs::read_to_string(home.join("mbox")).unwrap();
            let mut parts: Vec<&str> = content.split_inclusive("\n\nFrom").collect();
            assert_eq!(parts.len(), 3);
            parts.remove(index);
            std::fs::write(home.join("mbox"), parts.concat()).unwrap();
        }
        _ => {
            let mut store = bench.try_open(Access::ReadOnly).unwrap();
            let id = ready(store.unique_id(index)).unwrap();
            let AnyStore::Memory(memory) = &bench.store else { unreachable!() };
            assert!(memory.remove(&bench.alice, &Folder::Inbox, &id));
        }
    }
}

#[test]
fn what_is_seen_stays_seen_and_is_the_same_message() {
    for format in FORMATS {
        let bench = Bench::new(format);
        numbered(&bench, 3);
        let mut session = bench.open();
        if format == StoreFormat::Mh {
            std::fs::write(bench.root.join("alice/Mail/inbox/.mh_sequences"), "unseen: 1-3\n").unwrap();
            session = {
                drop(session);
                bench.open()
            };
        }
        let before = ids(&mut session);
        assert!((0..3).all(|index| !session.message(index).flags.contains(Flags::SEEN)), "{format}");
        let mut update = removing(&[0]);
        update.seen(1);
        ready(session.commit(&update)).unwrap();
        let mut session = bench.open();
        assert_eq!(ids(&mut session), before[1..], "{format}");
        let seen: Vec<bool> =
            (0..2).map(|index| session.message(index).flags.contains(Flags::SEEN)).collect();
        assert_eq!(seen, [true, false], "{format}");
        assert_eq!(subjects(&mut session), ["1", "2"], "{format}");
        let octets = ready(session.octets(0)).unwrap();
        assert_eq!(text(&mut session, 0).unwrap().len() as u64, octets, "{format}");
    }
}

#[test]
fn named_folders_are_mailboxes_of_their_own_and_must_exist() {
    let folder = Folder::Named(FolderName::parse("Work/2024").unwrap());
    for format in FORMATS {
        let bench = Bench::with(format, &[&message("inbox")]);
        let open = || ready(bench.store.open(&bench.alice, &folder, Access::Exclusive));
        let error = open().unwrap_err();
        assert!(error.is_not_found(), "{format}: {error}");
        match &bench.store {
            AnyStore::Maildir(store) => {
                let inbox = store.root().open(&bench.alice).unwrap();
                let name = FolderName::parse("Work/2024").unwrap();
                let mut delivery =
                    inbox.create_folder(&name).unwrap().deliver(&DeliveryOptions::new()).unwrap();
                delivery.append(message("work").as_bytes()).unwrap();
                delivery.stage().unwrap().commit().unwrap();
            }
            AnyStore::Mbox(store) => {
                let line = FromLine::new(b"bob", UNIX_EPOCH, 0);
                let message = [line.as_bytes(), message("work").as_bytes()].concat();
                store.mbox(&bench.alice, &folder).unwrap().append(&message).unwrap();
            }
            AnyStore::Mh(store) => {
                std::fs::create_dir_all(bench.root.join("alice/Mail/Work/2024")).unwrap();
                let mut delivery = store.folder(&bench.alice, &folder).unwrap().deliver().unwrap();
                delivery.append(message("work").as_bytes()).unwrap();
                delivery.commit().unwrap();
            }
            AnyStore::Memory(store) => {
                store.deliver(&bench.alice, &folder, message("work").as_bytes(), UNIX_EPOCH);
            }
            _ => unreachable!(),
        }
        assert_eq!(subjects(&mut open().unwrap()), ["work"], "{format}");
        assert_eq!(bench.subjects(), ["inbox"], "{format}");
    }
}

#[test]
fn a_last_line_without_its_end_gets_one_and_it_is_counted() {
    for format in FORMATS {
        // The last one lies in memory and on disk as it came; an mbox gives its messages ends.
        for (text_in, expected) in
            [("Subject: 1\n\nbody", "Subject: 1\r\n\r\nbody\r\n"), ("Subject: 2", "Subject: 2\r\n")]
        {
            let bench = Bench::with(format, &[text_in]);
            if format == StoreFormat::Mbox {
                let path = bench.root.join("alice/mbox");
                let from = "From bob Tue Jan  2 03:04:05 2001\n";
                std::fs::write(path, format!("{from}{text_in}")).unwrap();
            }
            let mut mailbox = bench.open();
            assert_eq!(text(&mut mailbox, 0).unwrap(), expected, "{format}");
            assert_eq!(ready(mailbox.octets(0)).unwrap(), expected.len() as u64, "{format}");
        }
    }
}

#[test]
fn a_delivery_tells_the_size_on_the_wire_only_if_it_ends_with_a_line() {
    let bench = Bench::with(StoreFormat::Maildir, &["Subject: 1\n\nbody", "Subject: 1\n\nbody\n", ""]);
    let AnyStore::Maildir(store) = &bench.store else { unreachable!() };
    let maildir = store.root().open(&bench.alice).unwrap();
    let names = files(&maildir.path().join("new"));
    let with_size = names.iter().filter(|path| path.to_string_lossy().contains(",W=")).count();
    assert_eq!((names.len(), with_size), (3, 2));
    for (body, told) in [("x", false), ("x\r\n", true), ("", true)] {
        let mut delivery = maildir.deliver(&DeliveryOptions::new().prefix(b"A: b")).unwrap();
        delivery.append(body.as_bytes()).unwrap();
        let staged = delivery.stage().unwrap();
        let copy = staged.duplicate(&maildir, b"C: d").unwrap().commit().unwrap();
        assert_eq!(copy.name().crlf_size().is_some(), told, "{body:?}");
        assert_eq!(staged.commit().unwrap().name().crlf_size().is_some(), told, "{body:?}");
    }
}

#[test]
fn files_with_crlf_are_served_as_they_are() {
    let crlf = message("crlf").replace('\n', "\r\n");
    for format in [StoreFormat::Maildir, StoreFormat::Mbox, StoreFormat::Mh] {
        let bench = Bench::with(format, &[&message("lf")]);
        let home = bench.root.join("alice");
        match format {
            StoreFormat::Maildir => {
                std::fs::write(home.join("Maildir/cur/9999999999.x.y:2,"), &crlf).unwrap()
            }
            StoreFormat::Mh => std::fs::write(home.join("Mail/inbox/2"), &crlf).unwrap(),
            _ => {
                let path = home.join("mbox");
                let mbox = std::fs::read_to_string(&path).unwrap();
                let from = "From bob Tue Jan  2 03:04:05 2001\r\n";
                std::fs::write(&path, format!("{mbox}{from}{crlf}\r\n")).unwrap();
            }
        }
        let mut mailbox = bench.open();
        assert_eq!(text(&mut mailbox, 1).unwrap(), crlf, "{format}");
        assert_eq!(ready(mailbox.octets(1)).unwrap(), crlf.len() as u64, "{format}");
    }
}

#[test]
fn what_is_delivered_while_sessions_delete_is_collected_once() {
    const MESSAGES: usize = 40;
    for format in FORMATS {
        let bench = Bench::new(format);
        let mut collected = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..MESSAGES).for_each(|number| bench.deliver(&message(&number.to_string()))));
            while collected.len() < MESSAGES {
                let mut session = bench.open();
                let listed = subjects(&mut session);
                // Some stay for the next session.
                let taken: Vec<usize> = (0..listed.len()).filter(|index| index % 3 != 1).collect();
                ready(session.commit(&removing(&taken))).unwrap();
                collected.extend(taken.into_iter().map(|index| listed[index].parse::<usize>().unwrap()));
            }
        });
        assert!(bench.subjects().is_empty(), "{format}");
        collected.sort_unstable();
        assert!(collected.into_iter().eq(0..MESSAGES), "{format}");
    }
}

#[test]
fn messages_of_a_maildir_are_found_whatever_a_reader_calls_them_meanwhile() {
    let bench = Bench::new(StoreFormat::Maildir);
    numbered(&bench, 30);
    let maildir = bench.root.join("alice/Maildir");
    let rename = |flags: &str| {
        for path in files(&maildir).into_iter().filter(|path| path.to_string_lossy().contains(",S=")) {
            let name = path.file_name().unwrap().to_string_lossy();
            let base = name.split(':').next().unwrap();
            std::fs::rename(&path, maildir.join("cur").join(format!("{base}:2,{flags}"))).unwrap();
        }
    };
    let mut session = bench.open();
    let before = ids(&mut session);
    let all: Vec<String> = (0..30).map(|number| number.to_string()).collect();
    for flags in ["", "S", "FS", "T"] {
        rename(flags);
        assert_eq!(subjects(&mut session), all, "{flags}");
    }
    assert_eq!(ids(&mut session), before);
    rename("R");
    ready(session.commit(&removing(&(1..30).collect::<Vec<_>>()))).unwrap();
    assert_eq!(bench.subjects(), ["0"]);
    assert_eq!(ids(&mut bench.open()), before[..1]);
}

#[test]
fn removed_messages_no_longer_count_towards_the_quota() {
    let bench = Bench::new(StoreFormat::Maildir);
    numbered(&bench, 3);
    let AnyStore::Maildir(store) = &bench.store else { unreachable!() };
    let maildir = store.root().open(&bench.alice).unwrap();
    // Neither does one whose name tells no size.
    std::fs::write(maildir.path().join("new/9999999999.x.y"), message("x")).unwrap();
    maildir.set_quota(Some("1000000S,100C".parse().unwrap())).unwrap();
    ready(bench.open().commit(&removing(&[0, 3]))).unwrap();
    let usage = maildir.quota().unwrap().unwrap().usage;
    assert_eq!((usage.messages, usage.bytes), (2, 2 * message("1").len() as u64));
}

#[test]
fn messages_of_an_mh_folder_are_found_when_it_is_packed_and_numbers_are_no_names() {
    let bench = Bench::new(StoreFormat::Mh);
    numbered(&bench, 4);
    let inbox = bench.root.join("alice/Mail/inbox");
    for name in ["0", "007", "x", ",9", "10.txt"] {
        std::fs::write(inbox.join(name), "no message").unwrap();
    }
    std::fs::create_dir(inbox.join("12")).unwrap();
    let mut session = bench.open();
    let before = ids(&mut session);
    assert_eq!(subjects(&mut session), ["0", "1", "2", "3"]);
    std::fs::remove_file(inbox.join("1")).unwrap();
    for number in 2..5 {
        std::fs::rename(inbox.join(number.to_string()), inbox.join((number - 1).to_string())).unwrap();
    }
    assert_eq!(subjects(&mut session), ["gone", "1", "2", "3"]);
    assert_eq!(ids(&mut session), before);
    bench.deliver(&message("new"));
    ready(session.commit(&removing(&[0, 3]))).unwrap();
    assert_eq!(bench.subjects(), ["1", "2", "new"]);
}

#[test]
fn an_mbox_keeps_its_place_mode_and_times_when_messages_go() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    let dir = tempfile::tempdir().unwrap();
    let (link, real) = (dir.path().join("link"), dir.path().join("deep/real"));
    std::fs::create_dir(dir.path().join("deep")).unwrap();
    symlink("deep/real", &link).unwrap();
    let mbox = maildrop::Mbox::new(&link);
    for number in 0..3 {
        let line = FromLine::new(b"bob", UNIX_EPOCH, 0);
        mbox.append(&[line.as_bytes(), message(&number.to_string()).as_bytes()].concat()).unwrap();
    }
    std::fs::set_permissions(&real, PermissionsExt::from_mode(0o640)).unwrap();
    let before = real.metadata().unwrap();
    ready(mbox.mailbox(Access::Exclusive).unwrap().commit(&removing(&[0]))).unwrap();
    assert!(link.is_symlink());
    let after = real.metadata().unwrap();
    assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
    assert_eq!(after.modified().unwrap(), before.modified().unwrap());
    let content = std::fs::read_to_string(&real).unwrap();
    assert!(content.contains("Subject: 1") && !content.contains("Subject: 0"));
    let names =
        |dir: &Path| files(dir).into_iter().map(|p| p.file_name().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&dir.path().join("deep")).len(), 2);
}

#[test]
fn what_is_no_mbox_is_said_to_be_none_and_is_left_alone() {
    let bench = Bench::with(StoreFormat::Mbox, &[&message("a")]);
    let path = bench.root.join("alice/mbox");
    std::fs::write(&path, "Subject: no mbox\n\n").unwrap();
    let error = bench.try_open(Access::Exclusive).unwrap_err();
    assert!(matches!(error, Error::NotAnMbox { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "Subject: no mbox\n\n");
}

#[test]
fn links_in_place_of_a_users_mail_are_not_followed() {
    use std::os::unix::fs::symlink;
    for format in [StoreFormat::Maildir, StoreFormat::Mbox, StoreFormat::Mh] {
        let victim = Bench::with(format, &[&message("secret")]);
        let bench = Bench::with(format, &[&message("a")]);
        let home = bench.root.join("alice");
        let name = match format {
            StoreFormat::Maildir => "Maildir",
            StoreFormat::Mbox => "mbox",
            _ => "Mail",
        };
        std::fs::rename(home.join(name), home.join("old")).unwrap();
        symlink(victim.root.join("alice").join(name), home.join(name)).unwrap();
        let error = bench.try_open(Access::Exclusive).unwrap_err();
        assert!(matches!(error, Error::Symlink { .. }), "{format}: {error}");
    }
}

/// A store whose steps are noted, and fail when they are told to.
fn faulty(bench: &mut Bench, plan: FaultPlan) {
    bench.store = AnyStore::new(bench.store.format(), &bench.root).with_faults(Arc::new(plan));
}

#[test]
fn whatever_fails_the_messages_are_all_there_or_those_removed_are_gone() {
    use Operation::*;
    let steps =
        [Lock, Open, List, Read, CreateFile, Write, Copy, SyncFile, Rename, SyncDirectory, Remove, Truncate];
    for format in [StoreFormat::Maildir, StoreFormat::Mbox, StoreFormat::Mh] {
        let mut failures = 0;
        for step in steps {
            for nth in 1..4 {
                let mut bench = Bench::new(format);
                numbered(&bench, 5);
                faulty(&mut bench, FaultPlan::new().nth(step, nth, Fault::io_error()));
                let case = format!("{format} {step:?} {nth}");
                let done =
                    bench.try_open(Access::Exclusive).and_then(|s| ready(s.commit(&removing(&[1, 3]))));
                bench.restarted();
                let left = bench.subjects();
                // A file that cannot be removed stays, and that is said.
                let some = step == Remove && done.is_err();
                let whole = left == ["0", "1", "2", "3", "4"] || left == ["0", "2", "4"];
                assert!(whole || some, "{case}: {left:?}");
                assert!(done.is_err() || left.len() == 3, "{case}: {left:?}");
                failures += usize::from(done.is_err());
                // The next session does it.
                let mut update = Update::new();
                for (index, subject) in left.iter().enumerate() {
                    if ["1", "3"].contains(&subject.as_str()) {
                        update.remove(index);
                    }
                }
                ready(bench.open().commit(&update)).unwrap();
                assert_eq!(bench.subjects(), ["0", "2", "4"], "{case}");
            }
        }
        assert!(failures >= 8, "{format}: {failures}");
    }
}

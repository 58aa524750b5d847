//! What every store does, over all of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail where it stands")]

mod store_bench;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use maildrop::store::{
    Access, AnyStore, Folder, LocalReader, Mailbox, MessageReader, Store, StoreFormat, UniqueId, Update,
    ready,
};
use maildrop::{DeliveryOptions, Error, Fault, FaultPlan, Flags, FolderName, FromLine, Operation, UserName};
use store_bench::{Bench, files, ids, message, numbered, removing, subjects, text};

const FORMATS: [StoreFormat; 4] = StoreFormat::ALL;

impl Bench {
    /// The same store as a program sees it that is started later.
    fn restarted(&mut self) {
        if self.store.format() != StoreFormat::Memory {
            self.store = AnyStore::new(self.store.format(), &self.root);
        }
    }
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

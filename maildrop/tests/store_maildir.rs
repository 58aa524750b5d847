//! Sessions with Maildirs that other programs work on at the same time, on disks that are full or fail.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail where it stands")]

mod maildir_session;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use maildir_session::{all_of, fresh, names, open, removing, text, with_faults};
use maildrop::store::{Access, Mailbox, Update, ready};
use maildrop::{DeliveryOptions, Error, Fault, FaultPlan, Flags, Maildir, Operation};

fn deliver(maildir: &Maildir, count: usize) {
    for number in 0..count {
        let mut delivery = maildir.deliver(&DeliveryOptions::new()).unwrap();
        delivery.append(format!("Subject: {number}\n\n").as_bytes()).unwrap();
        delivery.stage().unwrap().commit().unwrap();
    }
}

fn journal(maildir: &Maildir) -> PathBuf {
    maildir.path().join("maildrop.removing")
}

/// Goes on changing the flags of all messages, but for `S`, as fast as it can, while something else is done.
fn while_renaming<T>(maildir: &Maildir, work: impl FnOnce() -> T) -> T {
    let (stop, turned) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0;
            while !stop.load(Ordering::Relaxed) {
                for name in names(maildir) {
                    let (_, name_in_dir) = name.split_once('/').unwrap();
                    let (base, flags) = name_in_dir.split_once(":2,").unwrap_or((name_in_dir, ""));
                    let kept = if flags.contains('S') { "S" } else { "" };
                    let renamed = ["", "F", "FR", "R"][round % 4];
                    let path = maildir.path();
                    let _ = fs::rename(path.join(&name), path.join(format!("cur/{base}:2,{renamed}{kept}")));
                }
                round += 1;
                turned.store(true, Ordering::Relaxed);
            }
        });
        let _stopping = Stopping(&stop);
        while !turned.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        work()
    })
}

/// Lets the other program stop, also when a test fails.
struct Stopping<'a>(&'a AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn what_was_removed_is_gone_even_if_another_program_never_stops_renaming_it() {
    let (mut done, mut missed) = (0, 0);
    for round in 0..30 {
        let (_dir, maildir) = fresh();
        let count = 1 + round % 23;
        deliver(&maildir, count);
        let (listed, committed) = while_renaming(&maildir, || {
            let session = open(&maildir);
            let update = all_of(&session);
            (session.len(), ready(session.commit(&update)))
        });
        missed += count - listed;
        match committed {
            Ok(()) => done += 1,
            Err(error) => {
                assert!(matches!(error, Error::Unsettled { .. }), "round {round}: {error}");
                // What one session could not do the next does. A message alone has no journal.
                let left = open(&maildir).len();
                assert!(left == count - listed || listed == 1, "round {round}");
                continue;
            }
        }
        assert_eq!(names(&maildir).len(), count - listed, "round {round}");
        assert!(!journal(&maildir).exists(), "round {round}");
    }
    // Hardly any is overlooked when a mailbox is opened, or too quick to be removed.
    assert!(done > 20 && missed < 5, "{done} {missed}");
}

#[test]
fn messages_are_read_while_another_program_never_stops_renaming_them() {
    let (_dir, maildir) = fresh();
    deliver(&maildir, 20);
    let mut read = 0;
    for _ in 0..8 {
        while_renaming(&maildir, || {
            let mut session = open(&maildir);
            for index in 0..session.len() {
                match text(&mut session, index) {
                    Ok(text) => {
                        assert!(text.starts_with("Subject: ") && text.ends_with("\r\n\r\n"), "{text}");
                        read += 1;
                    }
                    Err(error) => assert!(matches!(error, Error::Unsettled { .. }), "{error}"),
                }
            }
        });
    }
    assert!(read > 150, "{read}");
}

#[test]
fn what_was_marked_as_seen_stays_so_whatever_else_is_renamed_meanwhile() {
    let mut done = 0;
    for round in 0..10 {
        let (_dir, maildir) = fresh();
        deliver(&maildir, 12);
        let committed = while_renaming(&maildir, || {
            let session = open(&maildir);
            let mut update = removing(&[0, 7]);
            (0..12).filter(|index| index % 3 == 1).for_each(|index| {
                update.seen(index);
            });
            (session.len() == 12).then(|| ready(session.commit(&update)))
        });
        match committed {
            Some(Ok(())) => done += 1,
            Some(Err(error)) => {
                assert!(matches!(error, Error::Unsettled { .. }), "{error}");
                continue;
            }
            None => continue,
        }
        let session = open(&maildir);
        let seen: Vec<bool> =
            (0..session.len()).map(|index| session.message(index).flags.contains(Flags::SEEN)).collect();
        let expected: Vec<bool> =
            (0..12).filter(|index| ![0, 7].contains(index)).map(|index| index % 3 == 1).collect();
        assert_eq!(seen, expected, "round {round}");
    }
    assert!(done > 5, "{done}");
}

/// Puts files with these names into a Maildir.
fn put(maildir: &Maildir, names: &[&str]) {
    for name in names {
        fs::write(maildir.path().join(name), format!("Subject: {name}\n\n")).unwrap();
    }
}

#[test]
fn all_files_of_a_message_are_one_message_and_go_together() {
    let files = ["new/1.a", "cur/1.a:2,S", "cur/2.a:2,", "cur/2.a:2,FS", "new/2.a", "cur/3.a:2,", "new/4.a"];
    for removed in [&[0][..], &[1], &[0, 1], &[0, 1, 2, 3]] {
        let (_dir, maildir) = fresh();
        put(&maildir, &files);
        for file in files {
            // Files of one message hold the same.
            fs::write(maildir.path().join(file), format!("Subject: {}\n\n", &file[4..7])).unwrap();
        }
        let mut session = open(&maildir);
        assert_eq!(session.len(), 4);
        assert_eq!(text(&mut session, 1).unwrap(), "Subject: 2.a\r\n\r\n");
        assert!(session.message(0).flags.contains(Flags::SEEN));
        // One that is renamed meanwhile goes too.
        fs::rename(maildir.path().join("cur/2.a:2,"), maildir.path().join("cur/2.a:2,Ta")).unwrap();
        ready(session.commit(&removing(removed))).unwrap();
        let left: Vec<String> =
            (0..4).filter(|index| !removed.contains(index)).map(|index| format!("{}.a", index + 1)).collect();
        let mut session = open(&maildir);
        let ids: Vec<String> =
            (0..session.len()).map(|at| ready(session.unique_id(at)).unwrap().as_str().to_owned()).collect();
        assert_eq!(ids, left, "{removed:?}");
        let gone = removed.iter().map(|index| format!("/{}.a", index + 1));
        assert!(gone.into_iter().all(|base| !names(&maildir).iter().any(|name| name.contains(&base))));
    }
}

/// mutt moves a message by giving it another name, then taking the first away.
#[test]
fn a_message_that_is_about_to_be_moved_goes_under_its_other_name_too() {
    let (dir, maildir) = fresh();
    put(&maildir, &["new/1.a", "new/2.a", "cur/3.a:2,S"]);
    let session = open(&maildir);
    let link = |from: &str, to: PathBuf| fs::hard_link(maildir.path().join(from), to).unwrap();
    link("new/1.a", maildir.path().join("cur/1.a:2,FRS"));
    link("cur/3.a:2,S", maildir.path().join("cur/3.a:2,D"));
    // A name elsewhere is none of ours.
    link("new/2.a", dir.path().join("elsewhere"));
    let update = all_of(&session);
    ready(session.commit(&update)).unwrap();
    assert_eq!(names(&maildir), [""; 0]);
    assert!(dir.path().join("elsewhere").exists());
}

#[test]
fn a_message_that_was_just_delivered_by_a_link_is_known_to_be_gone() {
    let (_dir, maildir) = fresh();
    deliver(&maildir, 5);
    put(&maildir, &["new/9.a"]);
    let path = |name: &str| maildir.path().join(name);
    // What procmail has of it until it has the next system call.
    fs::hard_link(path("new/9.a"), path("tmp/9.a")).unwrap();
    let session = open(&maildir);
    let done = AtomicBool::new(false);
    let committed = while_renaming(&maildir, || {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while names(&maildir).iter().any(|name| name.contains("/9.a"))
                    && !done.load(Ordering::Relaxed)
                {
                    std::thread::yield_now();
                }
                fs::remove_file(path("tmp/9.a")).unwrap();
            });
            let committed = ready(session.commit(&removing(&[0])));
            done.store(true, Ordering::Relaxed);
            committed
        })
    });
    committed.unwrap();
    assert_eq!(names(&maildir).len(), 5);
}

#[test]
fn a_message_with_two_files_is_marked_as_seen_for_good() {
    for files in [&["new/1.a", "cur/1.a:2,"][..], &["cur/1.a:2,", "cur/1.a:2,S"], &["new/1.a", "cur/1.a:2,S"]]
    {
        let (_dir, maildir) = fresh();
        put(&maildir, files);
        let session = open(&maildir);
        let mut update = Update::new();
        update.seen(0);
        ready(session.commit(&update)).unwrap();
        let session = open(&maildir);
        assert_eq!(session.len(), 1, "{files:?}");
        assert!(session.message(0).flags.contains(Flags::SEEN), "{files:?}: {:?}", names(&maildir));
    }
}

#[test]
fn removed_files_count_towards_the_quota_each() {
    let (_dir, maildir) = fresh();
    put(&maildir, &["new/1.a,S=18", "cur/1.a,S=18:2,", "new/2.a"]);
    fs::copy(maildir.path().join("new/1.a,S=18"), maildir.path().join("cur/1.a,S=18:2,")).unwrap();
    maildir.set_quota(Some("100000S".parse().unwrap())).unwrap();
    let session = open(&maildir);
    let update = removing(&[0]);
    ready(session.commit(&update)).unwrap();
    let usage = maildir.quota().unwrap().unwrap().usage;
    assert_eq!((usage.messages, usage.bytes), (1, "Subject: new/2.a\n\n".len() as u64));
}

#[test]
fn what_is_no_regular_file_is_no_message_and_locks_nobody_out() {
    use std::os::unix::fs::symlink;
    let (_dir, maildir) = fresh();
    put(&maildir, &["new/1.a", "new/2.a", "new/3.a"]);
    fs::write(maildir.path().join("victim"), "victim").unwrap();
    for name in
        ["maildrop.session", "maildrop.removing/x", "maildrop.removing.tmp/x", "new/4.a", "cur/5.a:2,/x"]
    {
        fs::create_dir_all(maildir.path().join(name)).unwrap();
    }
    symlink("../victim", maildir.path().join("new/6.a")).unwrap();
    let mut session = open(&maildir);
    assert_eq!(session.len(), 3);
    assert_eq!(text(&mut session, 2).unwrap(), "Subject: new/3.a\r\n\r\n");
    ready(session.commit(&removing(&[0, 1]))).unwrap();
    assert_eq!(names(&maildir), ["cur/5.a:2,", "new/3.a", "new/4.a", "new/6.a"]);
    assert_eq!(fs::read(maildir.path().join("victim")).unwrap(), b"victim");
    let session = open(&maildir);
    ready(session.commit(&removing(&[0]))).unwrap();
    assert!(open(&maildir).is_empty());
}

#[test]
fn a_full_disk_keeps_no_message_from_being_removed() {
    type Plan = fn() -> FaultPlan;
    let table: [(&str, Plan); 6] = [
        ("once", || FaultPlan::new().nth(Operation::CreateFile, 1, Fault::no_space())),
        ("disk quota", || FaultPlan::new().nth(Operation::Write, 1, Fault::disk_quota())),
        ("when synced", || FaultPlan::new().nth(Operation::SyncFile, 1, Fault::no_space())),
        ("when renamed", || FaultPlan::new().nth(Operation::Rename, 1, Fault::no_space())),
        ("for long", || {
            let plan = FaultPlan::new().nth(Operation::Write, 1, Fault::no_space());
            plan.nth(Operation::Write, 2, Fault::no_space())
        }),
        ("for ever", || {
            let plan = FaultPlan::new().always(Operation::CreateFile, Fault::no_space());
            plan.always(Operation::Write, Fault::no_space())
        }),
    ];
    for (case, plan) in table {
        for count in [1, 2, 3, 10] {
            let (_dir, maildir) = fresh();
            deliver(&maildir, count + 1);
            let session = open(&with_faults(&maildir, plan()));
            ready(session.commit(&removing(&(1..=count).collect::<Vec<_>>()))).unwrap();
            assert_eq!(text(&mut open(&maildir), 0).unwrap(), "Subject: 0\r\n\r\n", "{case} {count}");
            assert_eq!(open(&maildir).len(), 1, "{case} {count}");
            assert!(!journal(&maildir).exists(), "{case} {count}");
        }
    }
}

#[test]
fn on_a_full_disk_a_message_that_cannot_be_removed_keeps_the_others() {
    let (_dir, maildir) = fresh();
    deliver(&maildir, 4);
    let plan = FaultPlan::new().always(Operation::Write, Fault::no_space());
    let session = open(&with_faults(&maildir, plan.always(Operation::Remove, Fault::io_error())));
    let update = all_of(&session);
    assert!(ready(session.commit(&update)).is_err());
    assert_eq!(open(&maildir).len(), 4);
}

/// An update that could not be made durable says so. As far as there was a journal, what comes back after a power failure is
/// removed again.
#[test]
fn what_comes_back_after_a_power_failure_is_removed_by_the_next_session() {
    for nth in [2, 3] {
        let (dir, maildir) = fresh();
        deliver(&maildir, 3);
        let copy = dir.path().join("before");
        copy_dir(&maildir.path().join("new"), &copy);
        let session = open(&with_faults(
            &maildir,
            FaultPlan::new().nth(Operation::SyncDirectory, nth, Fault::io_error()),
        ));
        let error = ready(session.commit(&removing(&[0, 1]))).unwrap_err();
        assert!(matches!(error, Error::Io { operation: Operation::SyncDirectory, .. }), "{nth}: {error}");
        assert_eq!(names(&maildir).len(), 1, "{nth}: gone for the time being");
        copy_dir(&copy, &maildir.path().join("new"));
        assert_eq!(maildir.mailbox(Access::ReadOnly).unwrap().len(), 1, "{nth}");
        assert_eq!(names(&maildir).len(), 3, "{nth}");
        assert_eq!(open(&maildir).len(), 1, "{nth}");
        assert_eq!((names(&maildir).len(), journal(&maildir).exists()), (1, false), "{nth}");
    }
    let (_dir, maildir) = fresh();
    deliver(&maildir, 1);
    let session =
        open(&with_faults(&maildir, FaultPlan::new().nth(Operation::SyncDirectory, 1, Fault::io_error())));
    assert!(ready(session.commit(&removing(&[0]))).is_err());
    assert_eq!((names(&maildir).len(), journal(&maildir).exists()), (0, false), "one has no journal");
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_session_that_cannot_finish_what_another_began_goes_on_and_forgets_nothing() {
    let (_dir, maildir) = fresh();
    deliver(&maildir, 6);
    let listed = names(&maildir);
    let base = |at: usize| listed[at].strip_prefix("new/").unwrap().to_owned();
    fs::write(journal(&maildir), format!("maildrop removes\n{}\0{}\0", base(0), base(1))).unwrap();
    // The disk fails twice: when it is opened, and when others are removed.
    for removed in [0, 1] {
        let plan = FaultPlan::new().always(Operation::SyncDirectory, Fault::io_error());
        let faulty = with_faults(&maildir, plan);
        let session = faulty.mailbox(Access::Exclusive).unwrap();
        assert_eq!(session.len(), 4 - removed);
        assert!(journal(&maildir).exists());
        if removed == 0 {
            let plan = FaultPlan::new().nth(Operation::SyncDirectory, 2, Fault::io_error());
            drop(session);
            let session = open(&with_faults(&maildir, plan));
            ready(session.commit(&removing(&[0]))).unwrap();
            fs::write(journal(&maildir), format!("maildrop removes\n{}\0", base(1))).unwrap();
        }
    }
    assert_eq!(open(&maildir).len(), 3);
    assert!(!journal(&maildir).exists());
}

#[test]
fn what_has_the_name_of_a_removed_message_but_another_text_stays_as_a_message_of_its_own() {
    /// Other files with the name of the message, and the texts that stay.
    type Row = (&'static [(&'static str, &'static str)], &'static [&'static str]);
    let table: [Row; 5] = [
        (&[("new/1.a", "other\n")], &["other\n"]),
        (&[("new/1.a", "of other length\n")], &["of other length\n"]),
        (&[("new/1.a", "shown\n")], &[]),
        (&[("new/1.a", "shown\n"), ("cur/1.a:2,F", "other\n")], &["other\n"]),
        (&[("cur/1.a:2,", "other\n"), ("cur/1.a:2,F", "third\n")], &["other\n", "third\n"]),
    ];
    for (others, left) in table {
        // One goes without a journal, two with one.
        for count in [1, 2] {
            let (_dir, maildir) = fresh();
            let write = |name: &str, text: &str| fs::write(maildir.path().join(name), text).unwrap();
            write("cur/1.a:2,S", "shown\n");
            write("cur/2.a:2,S", "second\n");
            others.iter().for_each(|(name, text)| write(name, text));
            let mut mailbox = open(&maildir);
            assert_eq!(text(&mut mailbox, 0).unwrap(), "shown\r\n");
            let shown_id = ready(mailbox.unique_id(0)).unwrap();
            ready(mailbox.commit(&removing(&[0, 1][..count]))).unwrap();
            let mut mailbox = open(&maildir);
            let mut texts = Vec::new();
            for index in 0..mailbox.len() {
                assert_ne!(ready(mailbox.unique_id(index)).unwrap(), shown_id, "{others:?}");
                texts.push(text(&mut mailbox, index).unwrap().replace('\r', ""));
            }
            texts.retain(|text| text != "second\n");
            texts.sort();
            assert_eq!(texts, left, "{others:?}, {count} removed");
            assert_eq!(names(&maildir).len(), left.len() + 2 - count, "{others:?}");
        }
    }
}

#[test]
fn a_message_whose_twin_cannot_be_kept_stays() {
    let (_dir, maildir) = fresh();
    fs::write(maildir.path().join("cur/1.a:2,S"), "shown\n").unwrap();
    fs::write(maildir.path().join("new/1.a"), "other\n").unwrap();
    let faults = FaultPlan::new().nth(Operation::SyncDirectory, 1, Fault::io_error());
    let mailbox = open(&maildir.clone().with_faults(Arc::new(faults)));
    assert!(ready(mailbox.commit(&removing(&[0]))).is_err());
    assert!(maildir.path().join("cur/1.a:2,S").exists());
    assert_eq!(names(&maildir).len(), 2);
}

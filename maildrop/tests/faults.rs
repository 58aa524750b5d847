//! Deliveries on a failing disk: every failure is reported for the message that it hit, and leaves nothing of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail where it stands")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use maildrop::store::{Access, Mailbox, Update, ready};
use maildrop::{
    Delivered, DeliveryOptions, Error, Fault, FaultPlan, Faults, Maildir, MessageDir, MhSequences, Naming,
    Operation, Staged, SyncStrategy, commit_all, commit_all_with,
};

/// Three writes of the 16 KiB buffer.
const MESSAGE: usize = 40_000;

fn message() -> Vec<u8> {
    (0..MESSAGE).map(|n| if n % 64 == 63 { b'\n' } else { b'a' + (n % 23) as u8 }).collect()
}

fn fresh() -> (tempfile::TempDir, Maildir) {
    let dir = tempfile::tempdir().unwrap();
    let maildir = Maildir::create(dir.path().join("Maildir")).unwrap();
    (dir, maildir)
}

fn stage(maildir: &Maildir) -> Result<Staged, Error> {
    let mut delivery = maildir.deliver(&DeliveryOptions::new())?;
    for chunk in message().chunks(1000) {
        delivery.append(chunk)?;
    }
    delivery.stage()
}

fn deliver(maildir: &Maildir) -> Result<Delivered, Error> {
    stage(maildir)?.commit()
}

fn count(maildir: &Maildir, inner: &str) -> usize {
    std::fs::read_dir(maildir.path().join(inner)).unwrap().count()
}

#[test]
fn a_failing_step_leaves_nothing_and_is_reported_with_its_reason() {
    use Operation::{CreateFile, Rename, SyncDirectory, SyncFile, Write};
    // (step, nth, fault, storage full, over quota)
    let table = [
        (CreateFile, 1, Fault::no_space(), true, false),
        (CreateFile, 1, Fault::disk_quota(), true, true),
        (CreateFile, 1, Fault::Fail(24), false, false), // EMFILE
        (Write, 1, Fault::no_space(), true, false),
        (Write, 2, Fault::no_space(), true, false),
        (Write, 3, Fault::no_space(), true, false),
        (Write, 2, Fault::disk_quota(), true, true),
        (Write, 3, Fault::io_error(), false, false),
        (SyncFile, 1, Fault::io_error(), false, false),
        (SyncFile, 1, Fault::no_space(), true, false), // delayed allocation
        (Rename, 1, Fault::io_error(), false, false),
        (Rename, 1, Fault::no_space(), true, false),
        (SyncDirectory, 1, Fault::io_error(), false, false),
        (SyncDirectory, 1, Fault::no_space(), true, false),
    ];
    for (operation, nth, fault, full, quota) in table {
        let (_dir, healthy) = fresh();
        let plan = Arc::new(FaultPlan::new().nth(operation, nth, fault));
        let maildir = healthy.clone().with_faults(plan);
        let error = deliver(&maildir).unwrap_err();
        let case = format!("{operation:?} {nth} {fault:?}: {error}");
        assert_eq!((error.is_storage_full(), error.is_over_quota()), (full, quota), "{case}");
        assert!(error.is_transient(), "{case}");
        assert!(matches!(error, Error::Io { operation: o, .. } if o == operation), "{case}");
        assert_eq!((count(&maildir, "tmp"), count(&maildir, "new")), (0, 0), "{case}");
        // The fault struck once; the next message goes through.
        let delivered = deliver(&maildir).unwrap();
        assert_eq!(std::fs::read(delivered.path()).unwrap(), message());
    }
}

#[test]
fn short_writes_are_continued() {
    let plans = [
        FaultPlan::new().nth(Operation::Write, 1, Fault::Short(1)),
        FaultPlan::new().nth(Operation::Write, 2, Fault::Short(16_383)).nth(
            Operation::Write,
            3,
            Fault::Short(0),
        ),
        FaultPlan::new().always(Operation::Write, Fault::Short(997)),
    ];
    for plan in plans {
        let (_dir, maildir) = fresh();
        let delivered = deliver(&maildir.with_faults(Arc::new(plan))).unwrap();
        assert_eq!(std::fs::read(delivered.path()).unwrap(), message());
        assert_eq!(delivered.size(), MESSAGE as u64);
    }
}

#[test]
fn a_short_write_on_a_disk_that_is_then_full_leaves_nothing() {
    let (_dir, maildir) = fresh();
    let plan = FaultPlan::new().nth(Operation::Write, 2, Fault::Short(100)).nth(
        Operation::Write,
        3,
        Fault::no_space(),
    );
    let maildir = maildir.with_faults(Arc::new(plan));
    assert!(deliver(&maildir).unwrap_err().is_storage_full());
    assert_eq!((count(&maildir, "tmp"), count(&maildir, "new")), (0, 0));
}

#[test]
fn a_delivery_that_failed_to_write_cannot_be_staged() {
    let (_dir, maildir) = fresh();
    let plan = Arc::new(FaultPlan::new().nth(Operation::Write, 1, Fault::no_space()));
    let maildir = maildir.with_faults(plan);
    let mut delivery = maildir.deliver(&DeliveryOptions::new()).unwrap();
    assert!(delivery.append(&message()).unwrap_err().is_storage_full());
    assert!(matches!(delivery.append(b"x"), Err(Error::Incomplete { .. })));
    assert!(matches!(delivery.stage(), Err(Error::Incomplete { .. })));
    assert_eq!((count(&maildir, "tmp"), count(&maildir, "new")), (0, 0));
}

#[test]
fn a_copy_that_fails_leaves_the_original_alone() {
    // (fault of the copy, copied in the end)
    let table = [
        (FaultPlan::new().nth(Operation::Copy, 1, Fault::no_space()), false),
        (FaultPlan::new().nth(Operation::Copy, 1, Fault::Short(5)), true),
        (FaultPlan::new().always(Operation::Copy, Fault::Short(4001)), true),
        (FaultPlan::new().nth(Operation::Write, 1, Fault::no_space()), false),
        (FaultPlan::new().nth(Operation::CreateFile, 1, Fault::no_space()), false),
    ];
    for (plan, copied) in table {
        let (_dir, alice) = fresh();
        let (_dir_b, bob) = fresh();
        let bob = bob.with_faults(Arc::new(plan));
        let staged = stage(&alice).unwrap();
        let copy = staged.duplicate(&bob, b"To: bob\n");
        assert_eq!(copy.is_ok(), copied, "{copy:?}");
        match copy {
            Ok(copy) => {
                let delivered = copy.commit().unwrap();
                let expected = [b"To: bob\n".as_slice(), &message()].concat();
                assert_eq!(std::fs::read(delivered.path()).unwrap(), expected);
            }
            Err(error) => {
                assert!(error.is_storage_full());
                assert_eq!((count(&bob, "tmp"), count(&bob, "new")), (0, 0));
            }
        }
        assert_eq!(std::fs::read(staged.commit().unwrap().path()).unwrap(), message());
    }
}

#[test]
fn each_member_of_a_batch_has_its_own_verdict() {
    for strategy in [SyncStrategy::Auto, SyncStrategy::EachFile] {
        let bad = [Operation::SyncFile, Operation::Rename, Operation::SyncDirectory];
        let maildirs: Vec<_> = (0..9).map(|_| fresh()).collect();
        let maildirs: Vec<Maildir> = maildirs
            .iter()
            .enumerate()
            .map(|(index, (_, maildir))| {
                // Good and bad ones alternate.
                let Some(operation) = (index % 2 == 1).then(|| bad[index / 2 % 3]) else {
                    return maildir.clone();
                };
                let plan = FaultPlan::new().always(operation, Fault::io_error());
                maildir.clone().with_faults(Arc::new(plan))
            })
            .collect();
        let batch = maildirs.iter().map(|maildir| stage(maildir).unwrap()).collect();
        let results = commit_all_with(batch, strategy);
        for (index, (result, maildir)) in results.iter().zip(&maildirs).enumerate() {
            assert_eq!(count(maildir, "tmp"), 0);
            match result {
                Ok(delivered) => {
                    assert_eq!(index % 2, 0);
                    assert_eq!(std::fs::read(delivered.path()).unwrap(), message());
                }
                Err(Error::Io { operation, .. }) => {
                    assert_eq!((index % 2, *operation), (1, bad[index / 2 % 3]));
                    assert_eq!(count(maildir, "new"), 0);
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn members_in_one_directory_share_its_fate() {
    let (_dir, maildir) = fresh();
    let (_other_dir, other) = fresh();
    let plan = Arc::new(FaultPlan::new().nth(Operation::SyncDirectory, 1, Fault::io_error()));
    let maildir = maildir.with_faults(plan);
    let batch = [&maildir, &other, &maildir].map(|maildir| stage(maildir).unwrap());
    let verdicts: Vec<bool> = commit_all(batch.into()).iter().map(Result::is_ok).collect();
    assert_eq!(verdicts, [false, true, false]);
    assert_eq!((count(&maildir, "new"), count(&other, "new")), (0, 1));
}

#[test]
fn where_the_shared_sync_fails_each_file_is_synced_for_itself() {
    let (_dir, maildir) = fresh();
    let plan = FaultPlan::new().always(Operation::SyncFilesystem, Fault::io_error());
    // Asked once for each file of the batch, and again when each is synced for itself: the third fails then. Where there
    // is no shared sync, this strikes nobody.
    let plan = Arc::new(plan.nth(Operation::SyncFile, 5 + 3, Fault::io_error()));
    let maildir = maildir.with_faults(plan);
    let batch: Vec<Staged> = (0..5).map(|_| stage(&maildir).unwrap()).collect();
    let verdicts: Vec<bool> = commit_all(batch).iter().map(Result::is_ok).collect();
    let third = !syncs_together();
    assert_eq!(verdicts, [true, true, third, true, true]);
    assert_eq!(count(&maildir, "new"), 4 + usize::from(third));
}

#[test]
fn where_the_shared_sync_of_directories_fails_each_is_synced_for_itself() {
    let maildirs: Vec<_> = (0..4).map(|_| fresh()).collect();
    // The first shared sync is that of the files.
    let plan = FaultPlan::new().nth(Operation::SyncFilesystem, 2, Fault::io_error()).nth(
        Operation::SyncDirectory,
        4 + 2,
        Fault::io_error(),
    );
    let plan: Arc<dyn Faults> = Arc::new(plan);
    let batch =
        maildirs.iter().map(|(_, maildir)| stage(&maildir.clone().with_faults(Arc::clone(&plan))).unwrap());
    let results = commit_all(batch.collect());
    let failed = results.iter().filter(|result| result.is_err()).count();
    let left: usize = maildirs.iter().map(|(_, maildir)| count(maildir, "new")).sum();
    assert_eq!((failed, left), if syncs_together() { (1, 3) } else { (0, 4) });
}

/// Whether batches on the disk that holds temporary files share a sync.
fn syncs_together() -> bool {
    let (_dir, maildir) = fresh();
    let recorder = Arc::new(Recorder::default());
    let maildir = maildir.with_faults(Arc::clone(&recorder) as Arc<dyn Faults>);
    let batch = (0..3).map(|_| stage(&maildir).unwrap()).collect();
    assert!(commit_all(batch).iter().all(Result::is_ok));
    recorder.0.lock().unwrap().contains(&Operation::SyncFilesystem)
}

#[test]
fn a_message_counts_against_the_quota_only_if_it_was_delivered() {
    let (_dir, maildir) = fresh();
    maildir.set_quota(Some("1000000S".parse().unwrap())).unwrap();
    let plan = Arc::new(FaultPlan::new().nth(Operation::SyncFile, 2, Fault::io_error()));
    let faulty = maildir.clone().with_faults(plan);
    let batch = (0..3).map(|_| stage(&faulty).unwrap()).collect();
    let verdicts: Vec<bool> = commit_all(batch).iter().map(Result::is_ok).collect();
    assert_eq!(verdicts, [true, false, true]);
    let usage = maildir.quota().unwrap().unwrap().usage;
    assert_eq!((usage.bytes, usage.messages), (2 * MESSAGE as u64, 2));
}

#[test]
fn mail_that_is_safe_is_delivered_even_if_it_cannot_be_counted() {
    let (_dir, maildir) = fresh();
    maildir.set_quota(Some("1000000S".parse().unwrap())).unwrap();
    let plan = Arc::new(FaultPlan::new().always(Operation::WriteQuota, Fault::no_space()));
    deliver(&maildir.clone().with_faults(plan)).unwrap();
    assert_eq!(count(&maildir, "new"), 1);
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
fn nothing_is_visible_before_it_is_durable() {
    use Operation::{CreateFile, Rename, SyncDirectory, SyncFile, SyncFilesystem, Write};
    let staged = [CreateFile, Write, Write, Write];
    let one = [&staged[..], &[SyncFile, Rename, SyncDirectory]].concat();
    let mut three = staged.repeat(3);
    three.extend([SyncFile; 3]);
    // On a file system that is not known to be fit for it, there is no shared sync.
    let shared = [&three[..], &[SyncFilesystem], &[Rename; 3], &[SyncDirectory]].concat();
    let unshared = [&three[..], &[Rename; 3], &[SyncDirectory]].concat();

    for (count, strategy, allowed) in [
        (1, SyncStrategy::Auto, vec![one]),
        (3, SyncStrategy::Auto, vec![shared, unshared.clone()]),
        (3, SyncStrategy::EachFile, vec![unshared]),
    ] {
        let (_dir, maildir) = fresh();
        let recorder = Arc::new(Recorder::default());
        let maildir = maildir.with_faults(Arc::clone(&recorder) as Arc<dyn Faults>);
        let batch = (0..count).map(|_| stage(&maildir).unwrap()).collect();
        assert!(commit_all_with(batch, strategy).iter().all(Result::is_ok));
        let steps = recorder.0.lock().unwrap().clone();
        assert!(allowed.contains(&steps), "{strategy:?} {count}: {steps:?}");
    }
}

/// A session with two messages at its beginning, both delivered and unseen.
fn two_messages(is_mh: bool, dir: &Path) {
    if is_mh {
        for name in ["1", "2"] {
            std::fs::write(dir.join(name), "Subject: x\n\n").unwrap();
        }
        std::fs::write(dir.join(MhSequences::FILE), "unseen: 1-2\n").unwrap();
    } else {
        Maildir::create(dir).unwrap();
        for name in ["new/1.a", "cur/2.a:2,"] {
            std::fs::write(dir.join(name), "Subject: x\n\n").unwrap();
        }
    }
}

fn commit(is_mh: bool, dir: &Path, update: &Update, faults: Arc<dyn Faults>) -> Result<(), Error> {
    if is_mh {
        let folder = MessageDir::open(dir, Naming::Number)?.with_faults(faults);
        ready(folder.mailbox(Access::Exclusive)?.commit(update))
    } else {
        let maildir = Maildir::open(dir)?.with_faults(faults);
        ready(maildir.mailbox(Access::Exclusive)?.commit(update))
    }
}

#[test]
fn marks_are_durable_when_they_are_promised_for_one_sync_of_each_directory() {
    // (messages marked, messages removed)
    let table: [(&[usize], &[usize]); 5] =
        [(&[0], &[]), (&[0, 1], &[]), (&[0], &[1]), (&[], &[1]), (&[], &[])];
    for is_mh in [false, true] {
        for (marked, removed) in table {
            let mut update = Update::new();
            for &index in marked {
                update.seen(index);
            }
            for &index in removed {
                update.remove(index);
            }
            let case = format!("{is_mh} {marked:?} {removed:?}");

            let dir = tempfile::tempdir().unwrap();
            two_messages(is_mh, dir.path());
            let recorder = Arc::new(Recorder::default());
            commit(is_mh, dir.path(), &update, Arc::clone(&recorder) as Arc<dyn Faults>).unwrap();
            let steps = recorder.0.lock().unwrap().clone();
            let syncs = steps.iter().filter(|&&step| step == Operation::SyncDirectory).count();
            let directories = if is_mh { 1 } else { 2 };
            assert_eq!(syncs, if update.is_empty() { 0 } else { directories }, "{case}: {steps:?}");
            if !update.is_empty() {
                assert_eq!(steps.last(), Some(&Operation::SyncDirectory), "{case}: {steps:?}");
            }
            // Nothing that is marked already is made durable again.
            if removed.is_empty() {
                let recorder = Arc::new(Recorder::default());
                commit(is_mh, dir.path(), &update, Arc::clone(&recorder) as Arc<dyn Faults>).unwrap();
                assert!(!recorder.0.lock().unwrap().contains(&Operation::SyncDirectory), "{case}");
            }

            for nth in 1..=if update.is_empty() { 0 } else { directories as u64 } {
                let dir = tempfile::tempdir().unwrap();
                two_messages(is_mh, dir.path());
                let plan = FaultPlan::new().nth(Operation::SyncDirectory, nth, Fault::io_error());
                let plan = plan.nth(Operation::SyncDirectory, nth + directories as u64, Fault::io_error());
                let error = commit(is_mh, dir.path(), &update, Arc::new(plan)).unwrap_err();
                assert_eq!(error.is_only_marks(), removed.is_empty(), "{case} {nth}: {error}");
            }
        }
    }
}

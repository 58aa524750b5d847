use super::*;
use crate::fault::{Fault, FaultPlan};
use rustix::fs::FileType;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

fn quick() -> DotLockOptions {
    DotLockOptions::new().sleep(Duration::from_millis(1)).suspend(Duration::from_millis(1))
}

fn names(dir: &Path) -> Vec<OsString> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn a_lock_looks_like_procmails_and_goes_when_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box.lock");
    assert_eq!(DotLock::path_for(&dir.path().join("box")), path);
    let lock = DotLock::acquire(&path, &quick()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"0");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777 & !0o444, 0);
    assert_eq!(names(dir.path()), ["box.lock"]);
    drop(lock);
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_lock_can_be_kept_and_its_loss_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = DotLock::acquire(dir.path().join("a"), &quick()).unwrap().keep();
    assert!(path.exists());
    DotLock::force(&path).unwrap();
    DotLock::force(&path).unwrap();
    let lock = DotLock::acquire(&path, &quick()).unwrap();
    DotLock::force(&path).unwrap();
    assert!(lock.release().unwrap_err().is_not_found());
}

#[test]
fn a_lock_that_another_has_put_in_the_place_of_ours_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box.lock");
    let replace = || {
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "theirs").unwrap();
    };
    let lock = DotLock::acquire(&path, &quick()).unwrap();
    replace();
    assert!(matches!(lock.release(), Err(Error::LockLost { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
    std::fs::remove_file(&path).unwrap();
    let lock = DotLock::acquire(&path, &quick()).unwrap();
    replace();
    drop(lock);
    assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
}

#[test]
fn a_lock_that_mail_was_written_to_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box");
    let lock = DotLock::acquire(&path, &quick()).unwrap();
    let mail = b"From a@b\nSubject: x\n\nbody\n";
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, mail).unwrap();
    assert!(matches!(lock.release(), Err(Error::LockLost { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), mail);
}

#[test]
fn only_the_lock_that_was_found_stale_is_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box.lock");
    let held = || match DotLock::attempt(&path, &quick()).unwrap() {
        LockAttempt::Held(held) => held,
        LockAttempt::Acquired(_) => panic!("expected that another holds the lock"),
    };
    std::fs::write(&path, "").unwrap();
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    File::open(&path).unwrap().set_modified(hour_ago).unwrap();
    let stale = held();
    assert!(stale.age() >= Duration::from_secs(3599));
    let kept_open = File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    assert!(!stale.clone().force().unwrap());
    assert!(path.exists());
    drop(kept_open);
    assert!(held().force().unwrap());
    assert!(!path.exists());
    assert!(!stale.force().unwrap());
}

#[test]
fn what_is_no_file_is_no_stale_lock() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    let pipe = File::options().read(true).write(true).open(&path).unwrap();
    pipe.set_modified(hour_ago).unwrap();
    let options = quick().retries(0).stale_after(Some(Duration::from_secs(60)));
    assert!(matches!(DotLock::acquire(&path, &options), Err(Error::LockHeld { .. })));
    assert!(path.exists());
}

#[test]
fn a_held_lock_is_given_up_after_the_retries() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box.lock");
    let _lock = DotLock::acquire(&path, &quick()).unwrap();
    let mut seen = Vec::new();
    let result = DotLock::acquire_with(&path, &quick().retries(2), |event| {
        seen.push(event);
        ControlFlow::Continue(())
    });
    assert!(matches!(result, Err(Error::LockHeld { attempts: 3, .. })), "{result:?}");
    assert_eq!(seen, [1, 2, 3].map(|attempts| LockWait::Held { attempts }));
    let result = DotLock::acquire_with(&path, &quick(), |_| ControlFlow::Break(()));
    assert!(result.unwrap_err().is_transient());
    assert_eq!(names(dir.path()), ["box.lock"]);
}

#[test]
fn a_stale_lock_is_taken_away_and_a_fresh_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box.lock");
    std::fs::write(&path, "").unwrap();
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    File::open(&path).unwrap().set_modified(hour_ago).unwrap();
    let limit = |secs| quick().stale_after(Some(Duration::from_secs(secs))).retries(0);
    assert!(DotLock::acquire(&path, &limit(7200)).is_err());
    assert!(DotLock::acquire(&path, &quick().stale_after(None).retries(0)).is_err());
    let mut seen = Vec::new();
    let lock = DotLock::acquire_with(&path, &limit(1800).retries(1), |event| {
        seen.push(event);
        ControlFlow::Continue(())
    });
    assert_eq!(lock.unwrap().path(), path);
    assert_eq!(seen, [LockWait::Forced]);
}

#[test]
fn who_has_no_attempt_left_waits_for_nothing_that_was_forced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box.lock");
    let put_stale = || {
        std::fs::write(&path, "").unwrap();
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        File::open(&path).unwrap().set_modified(hour_ago).unwrap();
    };
    put_stale();
    let started = std::time::Instant::now();
    let options = quick().retries(0).suspend(Duration::from_secs(20));
    let result = DotLock::acquire(&path, &options);
    assert!(matches!(result, Err(Error::LockHeld { attempts: 1, .. })), "{result:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
    drop(DotLock::acquire(&path, &options).unwrap());

    // Where another puts a stale one there again and again, that is no reason to go on for ever.
    let options = quick().retries(0).suspend(Duration::ZERO);
    put_stale();
    drop(DotLock::acquire(&path, &options).unwrap());
    put_stale();
    let mut seen = 0;
    let result = DotLock::acquire_with(&path, &options, |_| {
        put_stale();
        seen += 1;
        if seen < 10 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    assert!(matches!(result, Err(Error::LockHeld { attempts: 2, .. })), "{result:?}");
}

#[test]
fn the_lock_of_a_process_that_is_dead_is_taken_away_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let options = quick().retries(0).tell_owner();
    let ours = DotLock::acquire(&path, &options).unwrap();
    let Some(owner) = lock_owner::this_process() else { return };
    assert_eq!(std::fs::read_to_string(&path).unwrap(), owner);
    assert!(DotLock::acquire(&path, &options).is_err(), "its owner lives");
    drop(ours);
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let dead = owner.replace(&std::process::id().to_string(), &child.id().to_string());
    child.wait().unwrap();
    std::fs::write(&path, dead).unwrap();
    // Whoever takes no notice of owners in its own locks heeds those of others.
    drop(DotLock::acquire(&path, &quick().retries(0).suspend(Duration::from_secs(3600))).unwrap());
    assert_eq!(names(dir.path()), Vec::<OsString>::new());
}

#[test]
fn one_thread_at_a_time_takes_the_lock_of_a_dead_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let Some(owner) = lock_owner::this_process() else { return };
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let dead = owner.replace(&std::process::id().to_string(), &child.id().to_string());
    child.wait().unwrap();
    let options = quick().tell_owner();
    let holders = std::sync::atomic::AtomicUsize::new(0);
    for _ in 0..300 {
        std::fs::write(&path, &dead).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let lock = DotLock::acquire(&path, &options).unwrap();
                    assert_eq!(holders.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                    std::thread::yield_now();
                    holders.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    lock.release().unwrap();
                });
            }
        });
    }
}

#[test]
fn a_missing_directory_and_failing_steps_are_told_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let error = DotLock::acquire(dir.path().join("no/box.lock"), &quick()).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    for operation in [Operation::Lock, Operation::Link] {
        let plan = FaultPlan::new().nth(operation, 1, Fault::no_space());
        let options = quick().with_faults(Arc::new(plan));
        let error = DotLock::acquire(dir.path().join("box.lock"), &options).unwrap_err();
        assert!(error.is_storage_full());
        assert!(names(dir.path()).is_empty());
    }
}

#[test]
fn one_thread_at_a_time_holds_a_lock() {
    let dir = tempfile::tempdir().unwrap();
    let (path, counter) = (dir.path().join("box.lock"), dir.path().join("counter"));
    std::fs::write(&counter, "0").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let _lock = DotLock::acquire(&path, &quick()).unwrap();
                    let count: u32 = std::fs::read_to_string(&counter).unwrap().parse().unwrap();
                    std::fs::write(&counter, (count + 1).to_string()).unwrap();
                }
            });
        }
    });
    assert_eq!(std::fs::read_to_string(&counter).unwrap(), "160");
    assert_eq!(names(dir.path()), ["counter"]);
}

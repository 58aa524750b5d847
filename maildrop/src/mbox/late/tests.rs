use super::*;
use crate::dot_lock::DotLock;
use crate::fault::{Fault, Faults};
use crate::mbox::{MboxOptions, MboxStore};
use crate::store::{Folder, Mailbox, Store, Update, ready};
use crate::user::{MailRoot, UserName};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

fn message(name: &str) -> String {
    format!("From a@b Tue Jan  2 03:04:05 2001\nSubject: {name}\n\n{name}\n\n")
}

/// A process that another test starts has the locks of all for a moment.
const PATIENT: Duration = Duration::from_millis(200);

fn quick() -> MboxOptions {
    MboxOptions::new().dot_lock(Some(DotLockOptions::new().retries(0))).kernel_lock(Some(PATIENT))
}

fn late_path(path: &Path) -> PathBuf {
    path.with_file_name(".box.maildrop.late")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// A box of two messages, in a directory.
fn a_box() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box");
    std::fs::write(&path, message("1") + &message("2")).unwrap();
    (dir, path)
}

/// Does something when another file has come in the place of an mbox.
struct Replaced<F>(Mutex<Option<F>>);

impl<F> std::fmt::Debug for Replaced<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Replaced")
    }
}

impl<F: FnOnce() + Send> Faults for Replaced<F> {
    fn inject(&self, operation: Operation) -> Fault {
        if operation == Operation::SyncDirectory
            && let Some(work) = self.0.lock().unwrap().take()
        {
            work();
        }
        Fault::None
    }
}

/// Removes the first message, with something done when the file was replaced.
fn remove_first(path: &Path, meanwhile: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let faults = Arc::new(Replaced(Mutex::new(Some(meanwhile))));
    let mbox = Mbox::with_options(path, quick().with_faults(faults));
    let mut update = Update::new();
    update.remove(0);
    ready(mbox.mailbox(Access::Exclusive)?.commit(&update))
}

fn append_to(file: &File, text: &str) {
    let end = file.metadata().unwrap().len();
    file.write_all_at(text.as_bytes(), end).unwrap();
}

#[test]
fn mail_that_comes_late_waits_for_the_next_who_can_lock_the_file() {
    type Lock = fn(&Path) -> Box<dyn std::any::Any + Send>;
    let dot_lock: Lock = |path| {
        let lock =
            DotLock::acquire(DotLock::path_for(path), &DotLockOptions::new().retries(400).sleep(PAUSE));
        Box::new(lock.unwrap())
    };
    let kernel_lock: Lock = |path| {
        let file = File::options().write(true).open(path).unwrap();
        assert_eq!(kernel_lock::lock(&file, Duration::ZERO), Ok(true));
        Box::new(file)
    };
    type Next = fn(&Mbox) -> Vec<&'static str>;
    let session: Next = |mbox| {
        assert_eq!(mbox.mailbox(Access::ReadOnly).unwrap().len(), 1);
        assert_eq!(mbox.mailbox(Access::Exclusive).unwrap().len(), 2);
        vec!["2", "late"]
    };
    let delivery: Next = |mbox| {
        mbox.append(message("next").as_bytes()).unwrap();
        assert_eq!(mbox.mailbox(Access::Exclusive).unwrap().len(), 3);
        vec!["2", "next", "late"]
    };
    for (take, next) in [(dot_lock, session), (kernel_lock, delivery)] {
        let (_dir, path) = a_box();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let old = File::options().write(true).open(&path).unwrap();
        let held = Arc::new(Mutex::new(None));
        let (holder, place) = (Arc::clone(&held), path.clone());
        remove_first(&path, move || {
            append_to(&old, &message("late"));
            if take as usize == dot_lock as usize {
                // The one who removes holds it yet.
                DotLock::force(&DotLock::path_for(&place)).unwrap();
            }
            *holder.lock().unwrap() = Some(take(&place));
        })
        .unwrap();
        assert_eq!(read(&path), message("2"));
        assert_eq!(read(&late_path(&path)), message("late"));
        assert_eq!(late_path(&path).metadata().unwrap().mode() & 0o777, 0o640);
        held.lock().unwrap().take();
        let expected: String = next(&Mbox::with_options(&path, quick())).into_iter().map(message).collect();
        assert_eq!(read(&path), expected);
        assert!(!late_path(&path).exists());
    }
}

#[test]
fn of_one_who_does_not_end_what_is_there_is_kept_and_somebody_is_told() {
    for (written, told) in [(message("half"), true), (String::new(), false)] {
        let (dir, path) = a_box();
        let old = File::options().read(true).write(true).open(&path).unwrap();
        let writer = File::options().write(true).open(&path).unwrap();
        assert_eq!(kernel_lock::lock(&writer, Duration::ZERO), Ok(true));
        let before = rustix::fs::fstat(&old).unwrap();
        let end = End::of(&old, old.metadata().unwrap().len()).unwrap();
        std::fs::write(dir.path().join("other"), message("2")).unwrap();
        std::fs::rename(dir.path().join("other"), &path).unwrap();
        append_to(&writer, &written);
        let carried = carry_over(&Mbox::with_options(&path, quick()), &old, &before, &end);
        assert_eq!(matches!(carried, Err(Error::LockHeld { .. })), told, "{carried:?}");
        assert_eq!(carried.is_ok(), !told);
        assert_eq!(read(&path), message("2") + &written);
    }
}

#[test]
fn only_mail_is_carried_over_and_only_from_a_file_that_was_added_to() {
    let (one, two, late) = (message("1"), message("2"), message("late"));
    // (what the old file holds in the end, what comes to the new one)
    let table = [
        (format!("{one}{two}{late}"), late.clone()),
        (format!("{one}{two}\n\r\n\n{late}"), late.clone()),
        (format!("{one}{two}{late}{late}"), late.repeat(2)),
        // Whose writer ends no lines: what comes next shall not go on in it.
        (format!("{one}{two}{}", late.trim_end()), format!("{}\n\n", late.trim_end())),
        (format!("{one}{two}From me to you\n\n"), "From me to you\n\n".to_owned()),
        // First what UW IMAP would take for its own if it stood first.
        (
            format!("{one}{two}From x Tue Jan  2 03:04:05 2001\nX-IMAP: 1 2\n\nx\n\n{late}"),
            format!("From x Tue Jan  2 03:04:05 2001\nX-IMAP: 1 2\n\nx\n\n{late}"),
        ),
        (format!("{one}{two}\n\n\n"), String::new()),
        (format!("{one}{two}more\n\n{late}"), String::new()),
        (format!("{one}{two}From"), String::new()),
        (one.clone(), String::new()),
        (String::new(), String::new()),
        // Readers mark messages, and are not to have parts of them added behind.
        (one.replace("\n\n", "\nStatus: RO\n\n") + &two, String::new()),
        (format!("{one}{}", two.replace("\n\n", "\nStatus: RO\n\n")), String::new()),
        (format!("{two}{one}{late}"), String::new()),
    ];
    for (content, expected) in table {
        let (_dir, path) = a_box();
        let old = File::options().write(true).open(&path).unwrap();
        let written = content.clone();
        remove_first(&path, move || {
            old.set_len(0).unwrap();
            append_to(&old, &written);
        })
        .unwrap();
        assert_eq!(read(&path), two.clone() + &expected, "{content:?}");
        assert!(!late_path(&path).exists());
    }
}

/// Fails from a step on, as if the process had died there.
#[derive(Debug)]
struct Dead(AtomicUsize);

impl Faults for Dead {
    fn inject(&self, _: Operation) -> Fault {
        match self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Fault::None,
            Err(_) => Fault::io_error(),
        }
    }
}

#[test]
fn mail_that_waits_is_neither_lost_nor_doubled_wherever_it_stops_to_be_added() {
    let two = message("late 1") + &message("late 2");
    let mut stopped = [0; 3];
    for steps in 0.. {
        let (_dir, path) = a_box();
        std::fs::write(late_path(&path), &two).unwrap();
        let dead = Arc::new(Dead(AtomicUsize::new(steps)));
        let done = Mbox::with_options(&path, quick().with_faults(dead)).repair();
        let added = std::fs::read_to_string(&path).unwrap().matches("late ").count() / 2;
        stopped[added] += usize::from(late_path(&path).exists());
        // A reader marks what has come, if it is whole.
        let whole = !read(&path).contains('\0');
        let marked = read(&path).replace("Subject: late 1\n", "Subject: late 1\nStatus: RO\n");
        if whole {
            std::fs::write(&path, marked).unwrap();
        }
        Mbox::with_options(&path, quick()).repair().unwrap();
        let plain = read(&path).replace("Status: RO\n", "");
        assert_eq!(plain, message("1") + &message("2") + &two, "{steps}");
        assert!(!late_path(&path).exists());
        if done.is_ok() {
            break;
        }
    }
    // Before the first, behind it, and behind both.
    assert!(stopped.iter().all(|&count| count > 0), "{stopped:?}");
}

#[test]
fn what_others_put_in_the_place_of_the_late_file_is_neither_read_nor_written() {
    let root = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let victim = elsewhere.path().join("victim");
    let store = MboxStore::new(MailRoot::new(root.path())).with_options(quick());
    let user: UserName = "bob".parse().unwrap();
    let path = store.mbox(&user, &Folder::Inbox).unwrap().path().to_owned();
    let late = path.with_file_name(".mbox.maildrop.late");
    type Plant = fn(&Path, &Path);
    let link: Plant = |victim, late| std::os::unix::fs::symlink(victim, late).unwrap();
    let hard_link: Plant = |victim, late| std::fs::hard_link(victim, late).unwrap();
    let pipe: Plant = |_, late| {
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, late, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    };
    for plant in [link, hard_link, pipe] {
        std::fs::write(&path, message("1") + &message("2")).unwrap();
        std::fs::write(&victim, message("secret")).unwrap();
        plant(&victim, &late);
        let old = File::options().write(true).open(&path).unwrap();
        let mailbox = ready(store.open(&user, &Folder::Inbox, Access::Exclusive)).unwrap();
        assert_eq!(mailbox.len(), 2);
        drop(mailbox);
        let meanwhile = move || append_to(&old, &message("late"));
        let faults = Arc::new(Replaced(Mutex::new(Some(meanwhile))));
        let writing = MboxStore::new(MailRoot::new(root.path())).with_options(quick()).with_faults(faults);
        let mut update = Update::new();
        update.remove(0);
        ready(ready(writing.open(&user, &Folder::Inbox, Access::Exclusive)).unwrap().commit(&update))
            .unwrap();
        assert_eq!(read(&path), message("2") + &message("late"));
        assert_eq!(read(&victim), message("secret"));
        assert!(late.symlink_metadata().is_err());
    }
}

#[test]
fn a_late_file_of_another_owner_is_not_believed() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (_dir, path) = a_box();
    std::fs::write(late_path(&path), message("forged")).unwrap();
    std::os::unix::fs::chown(late_path(&path), Some(12345), None).unwrap();
    assert_eq!(Mbox::with_options(&path, quick()).mailbox(Access::Exclusive).unwrap().len(), 2);
    // Nor written to: its owner could read it.
    let old = File::options().write(true).open(&path).unwrap();
    remove_first(&path, move || append_to(&old, &message("late"))).unwrap();
    assert_eq!(read(&path), message("2") + &message("late"));
}

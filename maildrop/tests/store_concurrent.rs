//! Mail that is delivered in several ways while sessions read, mark and remove it: nothing is lost, nothing is doubled, no
//! message is ever seen in part, and each keeps its unique identifier.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail where it stands")]

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use maildrop::store::{
    Access, AnyMailbox, AnyStore, Folder, LocalReader, Mailbox, MboxStore, MessageReader, Store, StoreFormat,
    UniqueId, Update, ready,
};
use maildrop::{
    DeliveryOptions, DotLock, DotLockOptions, Error, FromLine, MailRoot, MboxOptions, MhSequences, UserName,
};

/// Messages of each writer, which is no more than some messages ahead of the sessions.
const MESSAGES: usize = 100;
const AHEAD: usize = 3;
/// Sessions at a time, of which all but one are turned away.
const SESSIONS: usize = 2;

fn alice() -> UserName {
    UserName::parse("alice").unwrap()
}

fn dot_lock() -> DotLockOptions {
    DotLockOptions::new().sleep(Duration::from_millis(1)).retries(60_000)
}

fn store(format: StoreFormat, root: &Path) -> AnyStore {
    match format {
        StoreFormat::Mbox => {
            let options = MboxOptions::new().dot_lock(Some(dot_lock()));
            AnyStore::Mbox(MboxStore::new(MailRoot::new(root)).with_options(options))
        }
        other => AnyStore::new(other, root),
    }
}

/// Some are longer than buffers.
fn body(subject: &str) -> String {
    let number: usize = subject.rsplit('.').next().unwrap().parse().unwrap();
    let lines = if number % 30 == 7 { 2600 } else { 1 + number * 7 % 20 };
    format!("body of {subject}, line by line\n").repeat(lines)
}

/// As this crate does.
fn deliver(store: &AnyStore, subject: &str) {
    let message = format!("Subject: {subject}\n\n{}", body(subject));
    match store {
        AnyStore::Maildir(store) => {
            let maildir = store.root().create(&alice()).unwrap();
            let mut delivery = maildir.deliver(&DeliveryOptions::new()).unwrap();
            delivery.append(message.as_bytes()).unwrap();
            delivery.stage().unwrap().commit().unwrap();
        }
        AnyStore::Mbox(store) => {
            let mbox = store.mbox(&alice(), &Folder::Inbox).unwrap();
            mbox.append(&[from_line().as_bytes(), message.as_bytes()].concat()).unwrap();
        }
        AnyStore::Mh(store) => {
            let mut delivery = store.folder(&alice(), &Folder::Inbox).unwrap().deliver().unwrap();
            delivery.append(message.as_bytes()).unwrap();
            delivery.commit().unwrap();
        }
        other => panic!("{other:?}"),
    }
}

fn from_line() -> FromLine {
    FromLine::new(b"bob@example.org", UNIX_EPOCH, 0)
}

/// As others do: procmail with both of its locks for an mbox, rcvstore for an MH folder, anybody for a Maildir.
fn deliver_as_others_do(home: &Path, format: StoreFormat, subject: &str) {
    let message = format!("Subject: {subject}\n\n{}", body(subject));
    match format {
        StoreFormat::Maildir => {
            let maildir = home.join("Maildir");
            fs::write(maildir.join("tmp").join(subject), message).unwrap();
            fs::rename(maildir.join("tmp").join(subject), maildir.join("new").join(subject)).unwrap();
        }
        StoreFormat::Mbox => {
            let path = home.join("mbox");
            let _lock = DotLock::acquire(DotLock::path_for(&path), &dot_lock()).unwrap();
            append_with_kernel_lock(&path, &message);
        }
        _ => {
            let inbox = home.join("Mail/inbox");
            let tmp = inbox.join(format!("rcvstore.{subject}"));
            fs::write(&tmp, message).unwrap();
            let number = |name: std::ffi::OsString| name.to_str()?.parse::<u64>().ok();
            let largest = || {
                let names = fs::read_dir(&inbox).unwrap().map(|entry| entry.unwrap().file_name());
                names.filter_map(number).max().unwrap_or(0)
            };
            while let Err(error) = fs::hard_link(&tmp, inbox.join((largest() + 1).to_string())) {
                assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
            }
            fs::remove_file(&tmp).unwrap();
        }
    }
}

/// In two writes, so that half of it can be seen by who does not lock.
fn append_with_kernel_lock(path: &Path, message: &str) {
    use std::os::unix::fs::MetadataExt;
    loop {
        let mut file = File::options().append(true).create(true).open(path).unwrap();
        lock(&file);
        // A file that was replaced meanwhile is not the mailbox any more.
        if fs::metadata(path).is_ok_and(|named| named.ino() == file.metadata().unwrap().ino()) {
            file.write_all(from_line().as_bytes()).unwrap();
            return file.write_all(format!("{message}\n").as_bytes()).unwrap();
        }
    }
}

#[cfg(target_os = "linux")]
fn lock(file: &File) {
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;
    let whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_OFD_SETLKW(&whole)).unwrap();
}

/// Elsewhere these locks belong to the process, so that they are of no use between threads.
#[cfg(not(target_os = "linux"))]
fn lock(_: &File) {}

/// As Dovecot does it where it is told to lock with `fcntl` alone.
fn deliver_without_lock_file(home: &Path, format: StoreFormat, subject: &str) {
    match format {
        StoreFormat::Mbox if cfg!(target_os = "linux") => {
            let message = format!("Subject: {subject}\n\n{}", body(subject));
            append_with_kernel_lock(&home.join("mbox"), &message);
        }
        other => deliver_as_others_do(home, other, subject),
    }
}

/// The subject of a message, which is whole.
fn subject(mailbox: &mut AnyMailbox, index: usize) -> Result<String, Error> {
    let mut reader = LocalReader::default();
    ready(mailbox.read(index, &mut reader))?;
    let mut text = Vec::new();
    while let chunk @ [_, ..] = ready(reader.chunk())? {
        text.extend_from_slice(chunk);
        let taken = chunk.len();
        reader.consume(taken);
    }
    let text = String::from_utf8(text).unwrap();
    let (header, found) = text.split_once("\r\n\r\n").unwrap();
    let subject = header.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap().to_owned();
    assert!(found.replace("\r\n", "\n") == body(&subject), "{subject} is not whole");
    Ok(subject)
}

/// What sessions have found.
#[derive(Default)]
struct Found {
    removed: Vec<String>,
    ids: HashMap<String, UniqueId>,
}

/// Reads all, then removes some, marks some as seen, and leaves some alone; or gives up. Answers whether it was let in.
fn session(store: &AnyStore, number: usize, found: &Mutex<Found>) -> bool {
    let mut mailbox = match ready(store.open(&alice(), &Folder::Inbox, Access::Exclusive)) {
        Err(Error::InUse { .. }) => {
            std::thread::yield_now();
            return false;
        }
        opened => opened.unwrap(),
    };
    let subjects: Vec<String> =
        (0..mailbox.len()).map(|index| subject(&mut mailbox, index).unwrap()).collect();
    let ids: Vec<UniqueId> =
        (0..mailbox.len()).map(|index| ready(mailbox.unique_id(index)).unwrap()).collect();
    let mut update = Update::new();
    let mut removed = Vec::new();
    for (index, subject) in subjects.iter().enumerate() {
        match (index + number) % 4 {
            0 => {}
            1 => {
                update.seen(index);
            }
            _ => {
                update.remove(index);
                removed.push(subject.clone());
            }
        }
    }
    let mut found = found.lock().unwrap();
    for (subject, id) in subjects.into_iter().zip(ids) {
        let known = found.ids.entry(subject).or_insert_with(|| id.clone());
        assert_eq!(*known, id);
    }
    if !number.is_multiple_of(5) {
        ready(mailbox.commit(&update)).unwrap();
        found.removed.extend(removed);
    }
    true
}

#[test]
fn what_is_delivered_in_several_ways_while_sessions_remove_is_collected_once() {
    for format in [StoreFormat::Maildir, StoreFormat::Mbox, StoreFormat::Mh] {
        let dir = tempfile::tempdir().unwrap();
        let store = store(format, dir.path());
        let home = dir.path().join("alice");
        // Makes the folders.
        drop(ready(store.open(&alice(), &Folder::Inbox, Access::Exclusive)).unwrap());
        if format == StoreFormat::Mh {
            fs::write(home.join("Mail/inbox").join(MhSequences::FILE), "cur: 1\nunseen: 1-1000\n").unwrap();
        }
        let (found, running) = (Mutex::new(Found::default()), AtomicUsize::new(3));
        let sessions = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let writer = |name: &'static str, deliver: &'static (dyn Fn(&AnyStore, &Path, &str) + Sync)| {
                let (store, home, running, sessions) = (&store, &home, &running, &sessions);
                scope.spawn(move || {
                    for number in 0..MESSAGES {
                        while number > sessions.load(Ordering::SeqCst) + AHEAD {
                            std::thread::yield_now();
                        }
                        deliver(store, home, &format!("{name}.{number}"));
                    }
                    running.fetch_sub(1, Ordering::SeqCst);
                });
            };
            writer("ours", &|store, _, subject| deliver(store, subject));
            writer("theirs", &|store, home, subject| deliver_as_others_do(home, store.format(), subject));
            writer("kernel", &|store, home, subject| {
                deliver_without_lock_file(home, store.format(), subject)
            });
            for first in 0..SESSIONS {
                let (store, found, running, sessions) = (&store, &found, &running, &sessions);
                scope.spawn(move || {
                    let mut number = first;
                    while running.load(Ordering::SeqCst) > 0 {
                        sessions.fetch_add(usize::from(session(store, number, found)), Ordering::SeqCst);
                        number += SESSIONS;
                    }
                });
            }
        });
        // What is left is there once.
        for number in 1..50 {
            session(&store, number, &found);
        }
        let mailbox = ready(store.open(&alice(), &Folder::Inbox, Access::ReadOnly)).unwrap();
        assert_eq!(mailbox.len(), 0, "{format}");
        let found = found.into_inner().unwrap();
        let mut expected: Vec<String> = ["ours", "theirs", "kernel"]
            .iter()
            .flat_map(|name| (0..MESSAGES).map(move |number| format!("{name}.{number}")))
            .collect();
        let mut removed = found.removed;
        expected.sort();
        removed.sort();
        assert_eq!(removed, expected, "{format}");
        let mut ids: Vec<&str> = found.ids.values().map(UniqueId::as_str).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), expected.len(), "{format}");
        if format == StoreFormat::Mh {
            let left = fs::read_to_string(home.join("Mail/inbox").join(MhSequences::FILE)).unwrap();
            assert!(left.starts_with("cur: 1\n"), "{left:?}");
        }
    }
}

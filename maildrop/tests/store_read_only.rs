//! Mail that may be read and not written to, by a process that is not its owner's.
//!
//! Where the test program runs as root, for whom modes are nothing, it starts itself again as another user.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail where it stands")]

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use maildrop::store::{Access, AnyStore, Folder, Mailbox, Store, StoreFormat, ready};
use maildrop::{DeliveryOptions, FromLine, MhSequences, UserName};

const ROOT: &str = "MAILDROP_TEST_READ_ONLY";
const NOBODY: u32 = 65534;
const FORMATS: [StoreFormat; 3] = [StoreFormat::Maildir, StoreFormat::Mbox, StoreFormat::Mh];

fn alice() -> UserName {
    UserName::parse("alice").unwrap()
}

fn deliver(store: &AnyStore, message: &str) {
    match store {
        AnyStore::Maildir(store) => {
            let mut delivery =
                store.root().create(&alice()).unwrap().deliver(&DeliveryOptions::new()).unwrap();
            delivery.append(message.as_bytes()).unwrap();
            delivery.stage().unwrap().commit().unwrap();
        }
        AnyStore::Mbox(store) => {
            let line = FromLine::new(b"bob@example.org", UNIX_EPOCH, 0);
            let mbox = store.mbox(&alice(), &Folder::Inbox).unwrap();
            mbox.append(&[line.as_bytes(), message.as_bytes()].concat()).unwrap();
        }
        AnyStore::Mh(store) => {
            let folder = store.folder(&alice(), &Folder::Inbox).unwrap();
            let mut delivery = folder.deliver().unwrap();
            delivery.append(message.as_bytes()).unwrap();
            delivery.commit().unwrap();
            fs::write(folder.path().join(MhSequences::FILE), "unseen: 1\n").unwrap();
        }
        other => panic!("{other:?}"),
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    for entry in fs::read_dir(dir).unwrap() {
        match entry.unwrap().path() {
            path if path.is_dir() => found.extend(entries(&path)),
            path => found.push(path),
        }
    }
    found
}

/// Not a test of its own: what is done by a process that may only read.
#[test]
fn reading_process() {
    let Some(root) = env::var_os(ROOT).map(PathBuf::from) else { return };
    for format in FORMATS {
        let store = AnyStore::new(format, root.join(format.as_str()));
        let open = |access| ready(store.open(&alice(), &Folder::Inbox, access));
        assert!(fs::write(root.join(format.as_str()).join("x"), "").is_err(), "modes do not matter here");
        // Two at a time.
        let mut mailbox = open(Access::ReadOnly).unwrap_or_else(|error| panic!("{format}: {error}"));
        let mut other = open(Access::ReadOnly).unwrap();
        assert_eq!((mailbox.len(), other.len()), (2, 2), "{format}");
        for index in 0..2 {
            assert_eq!(ready(mailbox.octets(index)).unwrap(), 25, "{format}");
            assert_eq!(ready(mailbox.unique_id(index)).unwrap(), ready(other.unique_id(index)).unwrap());
        }
    }
}

#[test]
fn mail_is_read_without_the_right_to_write() {
    let dir = tempfile::tempdir().unwrap();
    for format in FORMATS {
        let store = AnyStore::new(format, dir.path().join(format.as_str()));
        ["a", "b"].iter().for_each(|name| deliver(&store, &format!("Subject: {name}\n\nbody of {name}\n")));
    }
    let program = dir.path().join("program");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    let all = entries(dir.path());
    let set = |writable: u32| {
        for path in &all {
            let mode = if path.is_dir() || *path == program { 0o555 } else { 0o444 };
            fs::set_permissions(path, Permissions::from_mode(mode | writable)).unwrap();
        }
    };
    set(0);
    let mut command = Command::new(&program);
    command.args(["--exact", "reading_process", "--test-threads=1"]).env(ROOT, dir.path()).current_dir("/");
    if dir.path().metadata().unwrap().uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    set(0o200);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(entries(dir.path()), all, "something was left behind");
}

#[test]
fn readers_hold_no_lock_of_an_mbox_when_they_have_listed_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = AnyStore::new(StoreFormat::Mbox, dir.path());
    deliver(&store, "Subject: a\n\nbody of a\n");
    let _reader = ready(store.open(&alice(), &Folder::Inbox, Access::ReadOnly)).unwrap();
    let AnyStore::Mbox(mboxes) = &store else { unreachable!() };
    let mbox = mboxes.mbox(&alice(), &Folder::Inbox).unwrap();
    let quick = maildrop::MboxOptions::new()
        .dot_lock(Some(maildrop::DotLockOptions::new().retries(0)))
        .kernel_lock(Some(Duration::ZERO));
    let line = FromLine::new(b"bob@example.org", UNIX_EPOCH, 0);
    maildrop::Mbox::with_options(mbox.path(), quick).append(line.as_bytes()).unwrap();
}

//! What a user may put into a mailbox of theirs, which a process opens that serves all users: it costs neither time nor
//! memory, keeps nobody waiting, and does nothing to the mail.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail where it stands")]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use maildrop::store::{Access, Mailbox};
use maildrop::{DeliveryOptions, Error, FolderName, Maildir, MessageDir, Naming};

/// Opens a mailbox with one message, an MH folder or else a Maildir.
fn open(path: &Path, is_mh: bool, access: Access) -> usize {
    if is_mh {
        MessageDir::create(path, Naming::Number).unwrap().mailbox(access).unwrap().len()
    } else {
        Maildir::create(path).unwrap().mailbox(access).unwrap().len()
    }
}

fn is_left_after_opening(is_mh: bool, name: &str, plant: impl Fn(&Path)) -> bool {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), is_mh, Access::Exclusive);
    let message = dir.path().join(if is_mh { "1" } else { "new/1.a" });
    fs::write(&message, "Subject: x\n\n").unwrap();
    let journal = dir.path().join(name);
    plant(&journal);
    assert_eq!(open(dir.path(), is_mh, Access::ReadOnly), 1);
    assert!(journal.exists());
    assert_eq!(open(dir.path(), is_mh, Access::Exclusive), 1);
    assert!(message.exists());
    journal.exists()
}

#[test]
fn a_journal_that_nobody_wrote_is_removed_with_the_mail_untouched() {
    const HEAD: &str = "maildrop removes\n";
    for (is_mh, name, named) in [(false, "maildrop.removing", "1.a"), (true, ".maildrop.removing", "1 1 1 1")]
    {
        for size in [0, 1 << 20, 60 << 20, 256 << 20, 1 << 40] {
            for content in ["", HEAD, &format!("{HEAD}{named}\0")] {
                if size == 0 && content.ends_with('\0') {
                    continue;
                }
                let is_left = is_left_after_opening(is_mh, name, |path| {
                    let mut file = File::create(path).unwrap();
                    file.write_all(content.as_bytes()).unwrap();
                    // Of holes.
                    file.set_len(size.max(content.len() as u64)).unwrap();
                });
                assert!(!is_left, "{name} {size} {content:?}");
            }
        }
    }
}

/// Runs this in a thread of its own; a test that waits for ever would never fail.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    result.recv_timeout(Duration::from_secs(30)).unwrap()
}

#[test]
fn nobody_is_waited_for_to_open_or_unlock_a_quota() {
    let dir = tempfile::tempdir().unwrap();
    let maildir = Maildir::create(dir.path().join("Maildir")).unwrap();
    let quota = maildir.path().join("maildirsize");
    let mark = maildir.path().join(".Work/maildirfolder");
    fs::create_dir(mark.parent().unwrap()).unwrap();
    for pipe in [&quota, &mark] {
        assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    }
    let deliver = |maildir: &Maildir| {
        let maildir = maildir.clone();
        in_time(move || {
            let mut delivery = maildir.deliver(&DeliveryOptions::new())?;
            delivery.append(b"Subject: x\n\n")?;
            delivery.stage()?.commit().map(drop)
        })
    };
    assert!(matches!(deliver(&maildir), Err(Error::NotAFile { .. })));
    let main = maildir.clone();
    in_time(move || main.create_folder(&FolderName::parse("Work").unwrap()).map(drop)).unwrap();
    let main = maildir.clone();
    assert!(matches!(in_time(move || main.quota()), Err(Error::NotAFile { .. })));
    let main = maildir.clone();
    assert!(in_time(move || main.adjust_usage(1, 1)).is_err());

    fs::remove_file(&quota).unwrap();
    maildir.set_quota(Some("1000000S".parse().unwrap())).unwrap();
    let held = File::open(&quota).unwrap();
    held.lock().unwrap();
    deliver(&maildir).unwrap();
    assert_eq!(maildir.quota().unwrap().unwrap().usage.messages, 1);
}

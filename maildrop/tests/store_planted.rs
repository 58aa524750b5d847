//! What a user may put into a mailbox of theirs, which a process opens that serves all users: it costs neither time nor
//! memory, keeps nobody waiting, and does nothing to the mail.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail where it stands")]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use maildrop::store::{Access, Mailbox};
use maildrop::{Maildir, MessageDir, Naming};

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

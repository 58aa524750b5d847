//! Sessions with a Maildir of their own.

use std::fs;
use std::sync::Arc;

use maildrop::store::{Access, LocalReader, Mailbox, MaildirMailbox, MessageReader, Update, ready};
use maildrop::{Error, FaultPlan, Maildir};

pub(crate) fn fresh() -> (tempfile::TempDir, Maildir) {
    let dir = tempfile::tempdir().unwrap();
    let maildir = Maildir::create(dir.path().join("Maildir")).unwrap();
    (dir, maildir)
}

pub(crate) fn open(maildir: &Maildir) -> MaildirMailbox {
    maildir.mailbox(Access::Exclusive).unwrap()
}

pub(crate) fn all_of(mailbox: &MaildirMailbox) -> Update {
    removing(&(0..mailbox.len()).collect::<Vec<_>>())
}

pub(crate) fn removing(indexes: &[usize]) -> Update {
    let mut update = Update::new();
    indexes.iter().for_each(|&index| {
        update.remove(index);
    });
    update
}

pub(crate) fn text(mailbox: &mut MaildirMailbox, index: usize) -> Result<String, Error> {
    let mut reader = LocalReader::default();
    ready(mailbox.read(index, &mut reader))?;
    let mut text = Vec::new();
    while let chunk @ [_, ..] = ready(reader.chunk())? {
        text.extend_from_slice(chunk);
        let taken = chunk.len();
        reader.consume(taken);
    }
    Ok(String::from_utf8(text).unwrap())
}

/// The names of all messages, in `new/` and in `cur/`.
pub(crate) fn names(maildir: &Maildir) -> Vec<String> {
    let mut names = Vec::new();
    for dir in ["new", "cur"] {
        for entry in fs::read_dir(maildir.path().join(dir)).unwrap() {
            names.push(format!("{dir}/{}", entry.unwrap().file_name().to_str().unwrap()));
        }
    }
    names.sort();
    names
}

pub(crate) fn with_faults(maildir: &Maildir, plan: FaultPlan) -> Maildir {
    maildir.clone().with_faults(Arc::new(plan))
}

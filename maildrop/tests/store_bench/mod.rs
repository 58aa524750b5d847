//! A store of any format, and what tests ask of it.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use maildrop::store::{
    Access, AnyMailbox, AnyStore, Folder, LocalReader, Mailbox, MessageReader, Store, StoreFormat, UniqueId,
    Update, ready,
};
use maildrop::{DeliveryOptions, Error, FromLine, UserName};

/// A store with a user.
pub(crate) struct Bench {
    _dir: tempfile::TempDir,
    pub(crate) root: PathBuf,
    pub(crate) store: AnyStore,
    pub(crate) alice: UserName,
}

impl Bench {
    pub(crate) fn new(format: StoreFormat) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("mail");
        let store = AnyStore::new(format, &root);
        Bench { _dir: dir, root, store, alice: UserName::parse("alice").unwrap() }
    }

    pub(crate) fn with(format: StoreFormat, messages: &[&str]) -> Bench {
        let bench = Bench::new(format);
        messages.iter().for_each(|message| bench.deliver(message));
        bench
    }

    /// Delivers as an MTA does.
    pub(crate) fn deliver(&self, message: &str) {
        match &self.store {
            AnyStore::Maildir(store) => {
                let maildir = store.root().create(&self.alice).unwrap();
                let mut delivery = maildir.deliver(&DeliveryOptions::new()).unwrap();
                delivery.append(message.replace('\n', "\r\n").as_bytes()).unwrap();
                delivery.stage().unwrap().commit().unwrap();
            }
            AnyStore::Mbox(store) => {
                let line = FromLine::new(b"bob@example.org", UNIX_EPOCH + Duration::from_secs(1), 0);
                let message = [line.as_bytes(), message.as_bytes()].concat();
                store.mbox(&self.alice, &Folder::Inbox).unwrap().append(&message).unwrap();
            }
            AnyStore::Mh(store) => {
                let mut delivery = store.folder(&self.alice, &Folder::Inbox).unwrap().deliver().unwrap();
                delivery.append(message.as_bytes()).unwrap();
                delivery.commit().unwrap();
            }
            AnyStore::Memory(store) => {
                store.deliver(&self.alice, &Folder::Inbox, message.as_bytes(), UNIX_EPOCH);
            }
            _ => unreachable!(),
        }
    }

    pub(crate) fn try_open(&self, access: Access) -> Result<AnyMailbox, Error> {
        ready(self.store.open(&self.alice, &Folder::Inbox, access))
    }

    pub(crate) fn open(&self) -> AnyMailbox {
        self.try_open(Access::Exclusive).unwrap()
    }

    /// The messages by their subjects, as a session of its own sees them.
    pub(crate) fn subjects(&self) -> Vec<String> {
        subjects(&mut self.try_open(Access::ReadOnly).unwrap())
    }
}

pub(crate) fn text(mailbox: &mut AnyMailbox, index: usize) -> Result<String, Error> {
    let mut reader = LocalReader::default();
    ready(mailbox.read(index, &mut reader))?;
    let mut text = Vec::new();
    loop {
        let chunk = ready(reader.chunk())?;
        if chunk.is_empty() {
            return Ok(String::from_utf8(text).unwrap());
        }
        text.extend_from_slice(chunk);
        let taken = chunk.len();
        reader.consume(taken);
    }
}

pub(crate) fn subjects(mailbox: &mut AnyMailbox) -> Vec<String> {
    let subject = |text: String| text.lines().next().unwrap_or_default().replace("Subject: ", "");
    (0..mailbox.len()).map(|index| text(mailbox, index).map_or("gone".to_owned(), subject)).collect()
}

pub(crate) fn ids(mailbox: &mut AnyMailbox) -> Vec<UniqueId> {
    (0..mailbox.len()).map(|index| ready(mailbox.unique_id(index)).unwrap()).collect()
}

pub(crate) fn removing(indexes: &[usize]) -> Update {
    let mut update = Update::new();
    indexes.iter().for_each(|&index| {
        update.remove(index);
    });
    update
}

pub(crate) fn message(subject: &str) -> String {
    format!("Subject: {subject}\n\nbody of {subject}\n")
}

pub(crate) fn numbered(bench: &Bench, count: usize) {
    (0..count).for_each(|number| bench.deliver(&message(&number.to_string())));
}

pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path),
        }
    }
    found
}

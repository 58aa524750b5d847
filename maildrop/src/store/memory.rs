//! Mail in memory, for tests and for programs that hand mail on at once.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::{Access, Folder, LocalReader, Mailbox, Message, Store, UniqueId, Update};
use crate::error::{Error, Operation};
use crate::flags::Flags;
use crate::line_endings::expand;
use crate::user::UserName;

/// Mailboxes in memory. Clones share them; they go with the last clone. Each user has an inbox; other folders are made by
/// the first delivery.
///
/// ```
/// use maildrop::store::{Access, Folder, Mailbox, MemoryStore, Store, ready};
/// use maildrop::UserName;
///
/// let store = MemoryStore::new();
/// let alice = UserName::parse("alice")?;
/// store.deliver(&alice, &Folder::Inbox, b"Subject: hello\n\nHi!\n", std::time::SystemTime::now());
/// let mut mailbox = ready(store.open(&alice, &Folder::Inbox, Access::Exclusive))?;
/// assert_eq!(ready(mailbox.octets(0))?, 23);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    mailboxes: Arc<Mutex<HashMap<(UserName, Folder), Shared>>>,
}

type Shared = Arc<Mutex<Mails>>;

/// A mailbox.
#[derive(Debug, Default)]
struct Mails {
    /// By the number of their delivery.
    messages: BTreeMap<u64, Stored>,
    delivered: u64,
    /// Whether there is an exclusive session.
    in_use: bool,
}

#[derive(Clone, Debug)]
struct Stored {
    text: Arc<[u8]>,
    flags: Flags,
    arrived: SystemTime,
}

impl MemoryStore {
    /// No mail.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// Adds a message, whose lines may end with LF or CRLF.
    pub fn deliver(&self, user: &UserName, folder: &Folder, message: &[u8], arrived: SystemTime) {
        let mut text = Vec::new();
        expand(message, &mut 0, &mut text);
        let shared = self.shared(user, folder, true).unwrap_or_default();
        let mut mails = lock(&shared);
        mails.delivered += 1;
        let number = mails.delivered;
        mails.messages.insert(number, Stored { text: text.into(), flags: Flags::EMPTY, arrived });
    }

    /// Removes a message, also while it is listed in a session. Answers whether it was there.
    pub fn remove(&self, user: &UserName, folder: &Folder, id: &UniqueId) -> bool {
        let number = id.as_str().parse().ok();
        let shared = self.shared(user, folder, false);
        number.zip(shared).is_some_and(|(number, shared)| lock(&shared).messages.remove(&number).is_some())
    }

    fn shared(&self, user: &UserName, folder: &Folder, make: bool) -> Option<Shared> {
        let mut mailboxes = self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (user.clone(), folder.clone());
        if make || *folder == Folder::Inbox {
            return Some(Arc::clone(mailboxes.entry(key).or_default()));
        }
        mailboxes.get(&key).cloned()
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, Mails> {
    // Each change is one step, so what a thread that panicked left is whole.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store for MemoryStore {
    type Mailbox = MemoryMailbox;

    async fn open(&self, user: &UserName, folder: &Folder, access: Access) -> Result<MemoryMailbox, Error> {
        let path = || PathBuf::from(user.as_str());
        let Some(shared) = self.shared(user, folder, false) else {
            return Err(Error::io(Operation::Open, path(), io::ErrorKind::NotFound));
        };
        let mut mails = lock(&shared);
        if access == Access::Exclusive {
            if mails.in_use {
                return Err(Error::InUse { path: path() });
            }
            mails.in_use = true;
        }
        let messages = mails.messages.iter().map(|(number, stored)| (*number, stored.clone())).collect();
        drop(mails);
        Ok(MemoryMailbox { user: user.clone(), shared, access, messages })
    }
}

/// A session with a mailbox in memory. Unique identifiers are the numbers of the deliveries.
#[derive(Debug)]
pub struct MemoryMailbox {
    user: UserName,
    shared: Shared,
    access: Access,
    messages: Vec<(u64, Stored)>,
}

impl Drop for MemoryMailbox {
    fn drop(&mut self) {
        if self.access == Access::Exclusive {
            lock(&self.shared).in_use = false;
        }
    }
}

impl Mailbox for MemoryMailbox {
    type Reader = LocalReader;

    fn len(&self) -> usize {
        self.messages.len()
    }

    fn message(&self, index: usize) -> Message {
        let Stored { text, flags, arrived } = &self.messages[index].1;
        Message { octets: Some(text.len() as u64), flags: *flags, arrived: Some(*arrived) }
    }

    async fn octets(&mut self, index: usize) -> Result<u64, Error> {
        Ok(self.messages[index].1.text.len() as u64)
    }

    async fn unique_id(&mut self, index: usize) -> Result<UniqueId, Error> {
        Ok(UniqueId::of_name(self.messages[index].0.to_string().as_bytes()))
    }

    async fn read(&mut self, index: usize, reader: &mut LocalReader) -> Result<(), Error> {
        reader.end();
        let (number, stored) = &self.messages[index];
        if !lock(&self.shared).messages.contains_key(number) {
            return Err(Error::Vanished { path: self.user.as_str().into() });
        }
        reader.begin_memory(Arc::clone(&stored.text));
        Ok(())
    }

    async fn commit(self, update: &Update) -> Result<(), Error> {
        if update.is_empty() {
            return Ok(());
        }
        if self.access == Access::ReadOnly {
            return Err(Error::ReadOnly { path: self.user.as_str().into() });
        }
        let mut mails = lock(&self.shared);
        for index in update.removed() {
            mails.messages.remove(&self.messages[index].0);
        }
        for index in update.marked_seen() {
            if let Some(stored) = mails.messages.get_mut(&self.messages[index].0) {
                stored.flags |= Flags::SEEN;
            }
        }
        Ok(())
    }
}

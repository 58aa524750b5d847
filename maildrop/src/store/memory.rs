//! Mail in memory, for tests and for programs that hand mail on at once.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::reader::missing_end;
use super::{Access, Folder, LocalReader, Mailbox, Message, Store, UniqueId, Update};
use crate::error::{Error, Operation};
use crate::flags::Flags;
use crate::line_endings::expand;
use crate::unique::Unique;
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
    shared: Arc<Mutex<Mailboxes>>,
}

/// Whose mailbox, and which.
type Key = (UserName, Folder);

#[derive(Debug)]
struct Mailboxes {
    mailboxes: HashMap<Key, Mails>,
    delivered: u64,
    /// What unique identifiers begin with: numbers begin anew with each store.
    prefix: Arc<str>,
    /// Octets of all messages.
    octets: u64,
    /// How many there may be.
    most: u64,
}

/// A mailbox.
#[derive(Debug, Default)]
struct Mails {
    /// By the number of their delivery.
    messages: BTreeMap<u64, Stored>,
    /// Whether there is an exclusive session.
    in_use: bool,
}

#[derive(Clone, Debug)]
struct Stored {
    text: Arc<[u8]>,
    flags: Flags,
    arrived: SystemTime,
}

impl Default for Mailboxes {
    fn default() -> Mailboxes {
        let prefix = Unique::of_store().into();
        Mailboxes { mailboxes: HashMap::new(), delivered: 0, prefix, octets: 0, most: u64::MAX }
    }
}

impl MemoryStore {
    /// No mail, and room for as much as there is memory.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// No mail, and room for so many octets of all users together: then the oldest messages are forgotten, but never the one
    /// that came last.
    pub fn with_room(octets: u64) -> MemoryStore {
        let mailboxes = Mailboxes { most: octets, ..Mailboxes::default() };
        MemoryStore { shared: Arc::new(Mutex::new(mailboxes)) }
    }

    /// Adds a message, whose lines may end with LF or CRLF.
    pub fn deliver(&self, user: &UserName, folder: &Folder, message: &[u8], arrived: SystemTime) {
        let (mut text, mut last) = (Vec::new(), b'\n');
        expand(message, &mut last, &mut text);
        text.extend_from_slice(missing_end(last));
        let stored = Stored { text: text.into(), flags: Flags::EMPTY, arrived };
        lock(&self.shared).add((user.clone(), folder.clone()), stored);
    }

    /// Removes a message, also while it is listed in a session. Answers whether it was there.
    pub fn remove(&self, user: &UserName, folder: &Folder, id: &UniqueId) -> bool {
        let key = (user.clone(), folder.clone());
        let mut mailboxes = lock(&self.shared);
        let number = id.as_str().strip_prefix(&*mailboxes.prefix).and_then(|number| number.parse().ok());
        number.is_some_and(|number| mailboxes.remove(&key, number))
    }
}

impl Mailboxes {
    fn add(&mut self, key: Key, stored: Stored) {
        self.delivered += 1;
        self.octets += stored.text.len() as u64;
        self.mailboxes.entry(key).or_default().messages.insert(self.delivered, stored);
        while self.octets > self.most {
            let oldest = |(key, mails): (&Key, &Mails)| {
                mails.messages.first_key_value().map(|(number, _)| (*number, key.clone()))
            };
            match self.mailboxes.iter().filter_map(oldest).min_by_key(|(number, _)| *number) {
                Some((number, key)) if number < self.delivered => self.remove(&key, number),
                _ => return,
            };
        }
    }

    fn remove(&mut self, key: &Key, number: u64) -> bool {
        let removed = self.mailboxes.get_mut(key).and_then(|mails| mails.messages.remove(&number));
        self.octets -= removed.as_ref().map_or(0, |stored| stored.text.len() as u64);
        removed.is_some()
    }
}

fn lock(shared: &Mutex<Mailboxes>) -> MutexGuard<'_, Mailboxes> {
    // Each change is whole before anything can panic.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store for MemoryStore {
    type Mailbox = MemoryMailbox;

    async fn open(&self, user: &UserName, folder: &Folder, access: Access) -> Result<MemoryMailbox, Error> {
        let path = || PathBuf::from(user.as_str());
        let key = (user.clone(), folder.clone());
        let mut mailboxes = lock(&self.shared);
        if *folder != Folder::Inbox && !mailboxes.mailboxes.contains_key(&key) {
            return Err(Error::io(Operation::Open, path(), io::ErrorKind::NotFound));
        }
        let mails = mailboxes.mailboxes.entry(key.clone()).or_default();
        if access == Access::Exclusive {
            if mails.in_use {
                return Err(Error::InUse { path: path() });
            }
            mails.in_use = true;
        }
        let messages = mails.messages.iter().map(|(number, stored)| (*number, stored.clone())).collect();
        let prefix = Arc::clone(&mailboxes.prefix);
        Ok(MemoryMailbox { key, shared: Arc::clone(&self.shared), access, prefix, messages })
    }
}

/// A session with a mailbox in memory. Unique identifiers are the numbers of the deliveries behind a prefix that each
/// [`MemoryStore`] has for itself, made of the time, the process and random bits: so a client that remembers those of a
/// process that is gone does not take its mail for that of the next one (RFC 1939 §7).
#[derive(Debug)]
pub struct MemoryMailbox {
    key: Key,
    shared: Arc<Mutex<Mailboxes>>,
    access: Access,
    prefix: Arc<str>,
    messages: Vec<(u64, Stored)>,
}

impl Drop for MemoryMailbox {
    fn drop(&mut self) {
        if self.access == Access::Exclusive
            && let Some(mails) = lock(&self.shared).mailboxes.get_mut(&self.key)
        {
            mails.in_use = false;
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
        Ok(UniqueId::of_name(format!("{}{}", self.prefix, self.messages[index].0).as_bytes()))
    }

    async fn read(&mut self, index: usize, reader: &mut LocalReader) -> Result<(), Error> {
        reader.end();
        let (number, stored) = &self.messages[index];
        let mailboxes = lock(&self.shared);
        if !mailboxes.mailboxes.get(&self.key).is_some_and(|mails| mails.messages.contains_key(number)) {
            return Err(Error::Vanished { path: self.key.0.as_str().into() });
        }
        reader.begin_memory(Arc::clone(&stored.text));
        Ok(())
    }

    async fn commit(self, update: &Update) -> Result<(), Error> {
        if update.is_empty() {
            return Ok(());
        }
        if self.access == Access::ReadOnly {
            return Err(Error::ReadOnly { path: self.key.0.as_str().into() });
        }
        let mut mailboxes = lock(&self.shared);
        for index in update.removed() {
            mailboxes.remove(&self.key, self.messages[index].0);
        }
        for index in update.marked_seen() {
            let mails = mailboxes.mailboxes.get_mut(&self.key);
            if let Some(stored) = mails.and_then(|mails| mails.messages.get_mut(&self.messages[index].0)) {
                stored.flags |= Flags::SEEN;
            }
        }
        drop(mailboxes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ready;

    #[test]
    fn a_unique_identifier_never_names_a_message_of_another_store() {
        let alice = UserName::parse("alice").unwrap();
        let ids = || {
            let store = MemoryStore::new();
            for _ in 0..3 {
                store.deliver(&alice, &Folder::Inbox, b"\n", SystemTime::UNIX_EPOCH);
            }
            let mut mailbox = ready(store.open(&alice, &Folder::Inbox, Access::ReadOnly)).unwrap();
            let ids: Vec<UniqueId> = (0..3).map(|index| ready(mailbox.unique_id(index)).unwrap()).collect();
            (store, ids)
        };
        let (store, ids_of_one) = ids();
        let (other, ids_of_other) = ids();
        for (index, id) in ids_of_one.iter().enumerate() {
            assert!(!ids_of_other.contains(id) && !ids_of_one[..index].contains(id), "{id:?}");
            assert!(id.as_str().len() <= 50, "{id:?}");
            assert!(!other.remove(&alice, &Folder::Inbox, id), "{id:?}");
            assert!(store.remove(&alice, &Folder::Inbox, id), "{id:?}");
        }
    }

    #[test]
    fn the_oldest_messages_of_all_users_make_room_but_never_the_last_one() {
        let user = |name: &str| UserName::parse(name).unwrap();
        let store = MemoryStore::with_room(30);
        let deliver = |name: &str, text: &str| {
            store.deliver(&user(name), &Folder::Inbox, text.as_bytes(), SystemTime::UNIX_EPOCH);
        };
        let held = |name: &str| -> Vec<u64> {
            let mailbox = ready(store.open(&user(name), &Folder::Inbox, Access::ReadOnly)).unwrap();
            (0..mailbox.len()).filter_map(|index| mailbox.message(index).octets).collect()
        };
        deliver("alice", "12345678\n");
        deliver("bob", "123456789\n");
        deliver("alice", "1234567\n");
        assert_eq!((held("alice"), held("bob")), (vec![10, 9], vec![11]));
        // What is removed makes room as well.
        let mailbox = ready(store.open(&user("alice"), &Folder::Inbox, Access::Exclusive)).unwrap();
        let mut update = Update::new();
        update.remove(1);
        ready(mailbox.commit(&update)).unwrap();
        deliver("bob", "1234567\n");
        assert_eq!((held("alice"), held("bob")), (vec![10], vec![11, 9]));
        deliver("bob", "\n");
        assert_eq!((held("alice"), held("bob")), (vec![], vec![11, 9, 2]));
        deliver("alice", &("x".repeat(98) + "\n"));
        assert_eq!((held("alice"), held("bob")), (vec![100], vec![]));
        deliver("alice", "\n");
        assert_eq!(held("alice"), [2]);
    }
}

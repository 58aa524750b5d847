//! [`Maildrops`]: the mail of all users, as POP3 sessions open it.

use std::sync::{Arc, Mutex, PoisonError};

use maildrop::store::{Access, AnyMailbox, AnyStore, Folder, Mailbox, Message, Store, Update, ready};
use maildrop::{Error, UserName};
use pop3_proto::server::{Deleted, Maildrop, UniqueIds};
use pop3_proto::types::Refusal;
use tokio::sync::Semaphore;

/// How many maildrops are opened or updated at the same time.
const AT_ONCE: usize = 16;
/// How many readers are kept for the next message. Each has buffers for one.
const READERS: usize = 64;

/// What reads a message.
pub(super) type Reader = <AnyMailbox as Mailbox>::Reader;

/// The mail of all users.
#[derive(Debug)]
pub(in super::super) struct Maildrops {
    store: AnyStore,
    turns: Arc<Semaphore>,
    /// Sessions that are idle hold none.
    readers: Mutex<Vec<Reader>>,
}

/// A maildrop that is open, and what the machine is told of it.
pub(super) type Opened = (AnyMailbox, Maildrop);

impl Maildrops {
    pub(in super::super) fn new(store: AnyStore) -> Self {
        Self { store, turns: Arc::new(Semaphore::new(AT_ONCE)), readers: Mutex::default() }
    }

    /// A reader, with the buffers of one that was [put back](Self::put_back).
    pub(super) fn reader(&self) -> Reader {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Takes a reader whose message is at its end.
    pub(super) fn put_back(&self, reader: Reader) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS {
            readers.push(reader);
        }
    }

    /// Opens the maildrop of a user, for one session at a time.
    pub(super) async fn open(&self, user: UserName) -> Result<Opened, Refusal> {
        let store = self.store.clone();
        let opened = self.off_thread(move || {
            let mut mailbox = ready(store.open(&user, &Folder::Inbox, Access::Exclusive))?;
            let mut maildrop = Maildrop::with_capacity(mailbox.len());
            for index in 0..mailbox.len() {
                maildrop.push(match mailbox.message(index) {
                    Message { octets: Some(octets), .. } => octets,
                    // Where it cannot be read it has a number all the same, and whoever asks for it is told.
                    _ => ready(mailbox.octets(index)).unwrap_or_else(|error| {
                        tracing::warn!(%user, %error, "a message cannot be read");
                        0
                    }),
                });
            }
            Ok((mailbox, maildrop))
        });
        match opened.await {
            Some(Ok(opened)) => Ok(opened),
            Some(Err(Error::InUse { .. })) => Err(Refusal::IN_USE),
            Some(Err(error)) => {
                tracing::error!(%error, "a maildrop could not be opened");
                Err(Refusal::TEMPORARY)
            }
            None => Err(Refusal::TEMPORARY),
        }
    }

    /// The unique-ids of all messages. The mailbox comes back, unless a bug struck.
    pub(super) async fn unique_ids(
        &self,
        mut mailbox: AnyMailbox,
    ) -> (Option<AnyMailbox>, Result<UniqueIds, Refusal>) {
        let listed = self.off_thread(move || {
            let ids = unique_ids(&mut mailbox);
            (mailbox, ids)
        });
        match listed.await {
            Some((mailbox, ids)) => (Some(mailbox), ids),
            None => (None, Err(Refusal::TEMPORARY)),
        }
    }

    /// Removes messages for good, and closes the maildrop.
    pub(super) async fn commit(&self, mailbox: AnyMailbox, deleted: &Deleted) -> Result<(), Refusal> {
        let mut update = Update::new();
        for number in deleted.iter() {
            update.remove(number.index());
        }
        match self.off_thread(move || ready(mailbox.commit(&update))).await {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => {
                tracing::error!(%error, "messages could not be removed");
                Err(Refusal::NOT_REMOVED)
            }
            None => Err(Refusal::NOT_REMOVED),
        }
    }

    /// Does what blocks. `None` says that it panicked, which only a bug can bring about.
    async fn off_thread<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        let work = move || {
            // Held until the disk is done, even if nobody waits for it any more.
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(work).await.ok()
    }
}

fn unique_ids(mailbox: &mut AnyMailbox) -> Result<UniqueIds, Refusal> {
    let mut ids = UniqueIds::new();
    for index in 0..mailbox.len() {
        let pushed = match ready(mailbox.unique_id(index)) {
            Ok(id) => ids.push(id.as_str()),
            // It has a number all the same, and so must have an id, which is no other's.
            Err(Error::Vanished { .. }) => ids.push(format!("gone.{index}")),
            Err(error) => {
                tracing::error!(%error, "messages cannot be told apart");
                return Err(Refusal::TEMPORARY);
            }
        };
        if let Err(error) = pushed {
            tracing::error!(%error, "messages cannot be told apart");
            return Err(Refusal::TEMPORARY);
        }
    }
    Ok(ids)
}

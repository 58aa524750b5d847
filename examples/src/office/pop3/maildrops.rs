//! [`Maildrops`]: the mail of all users, as POP3 sessions open it.

use std::sync::{Arc, Mutex, PoisonError};

use maildrop::store::{Access, AnyMailbox, AnyStore, Folder, Mailbox, Message, Store, Update, ready};
use maildrop::{Error, UserName};
use pop3_proto::server::{Deleted, Maildrop, UniqueIds};
use pop3_proto::types::{Refusal, UniqueId};
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
                    _ => match ready(mailbox.octets(index)) {
                        // It has a number all the same; who asks for it is told.
                        Err(Error::Vanished { .. }) => 0,
                        octets => octets?,
                    },
                });
            }
            Ok((mailbox, maildrop))
        });
        match opened.await {
            Some(Ok(opened)) => Ok(opened),
            Some(Err(Error::InUse { .. })) => Err(Refusal::IN_USE),
            Some(Err(error)) => Err(refusal("the maildrop cannot be opened", &error)),
            None => Err(Refusal::TEMPORARY),
        }
    }

    /// The unique-ids of all messages. The mailbox comes back, unless a bug struck.
    pub(super) async fn unique_ids(
        &self,
        mut mailbox: AnyMailbox,
    ) -> (Option<AnyMailbox>, Result<UniqueIds, Refusal>) {
        let listed = self.off_thread(move || {
            let mut ids = UniqueIds::with_capacity(mailbox.len());
            let mut failed = None;
            for index in 0..mailbox.len() {
                match ready(mailbox.unique_id(index)) {
                    Ok(id) => ids.push(&id),
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
            (mailbox, failed.map_or(Ok(ids), Err))
        });
        match listed.await {
            Some((mailbox, Ok(ids))) => (Some(mailbox), Ok(ids)),
            Some((mailbox, Err(error))) => {
                (Some(mailbox), Err(refusal("the messages cannot be told apart", &error)))
            }
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

/// What the client is told of an error on disk.
fn refusal(what: &str, error: &Error) -> Refusal {
    tracing::error!(%error, "{what}");
    Refusal::TEMPORARY
}

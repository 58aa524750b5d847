//! [`Maildrops`]: the mail of all users, as POP3 sessions open it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use maildrop::store::{Access, AnyMailbox, AnyStore, Folder, Mailbox, Message, Store, Update, ready};
use maildrop::{Error, Flags, UserName};
use pop3_proto::server::{Deleted, Maildrop, UniqueIds};
use pop3_proto::types::{Refusal, ResponseCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::logins::Logins;
use super::pace::Pace;
use super::places::Places;
use super::tally::Tally;
use crate::config::{Pop3Config, WithoutUtf8};

/// How many readers are kept for the next message. Each has buffers for one.
const READERS: usize = 64;
/// How many sessions have a message read ahead at a time.
const AHEAD: usize = 64;

/// Another program works on the mailbox, and is not done in time.
const LOCKED: Refusal = Refusal::from_static(
    Some(ResponseCode::InUse),
    "another program has locked the maildrop, try again later",
);

/// What reads a message.
pub(super) type Reader = <AnyMailbox as Mailbox>::Reader;

/// The mail of all users.
#[derive(Debug)]
pub(in super::super) struct Maildrops {
    store: AnyStore,
    places: Places,
    /// Sessions that are idle hold none.
    readers: Mutex<Vec<Reader>>,
    ahead: Arc<Semaphore>,
    /// Where messages are read.
    pub(super) pace: Pace,
    logins: Logins,
    /// How long messages stay that were collected.
    kept_for: Option<Duration>,
    marks_seen: bool,
    /// Whether messages that need UTF8 are sent to clients that have not said so.
    pub(super) without_utf8: WithoutUtf8,
}

/// A maildrop that is open, and what the machine is told of it.
pub(super) type Opened = (Box<AnyMailbox>, Maildrop);

impl Maildrops {
    pub(in super::super) fn new(store: AnyStore, config: &Pop3Config) -> Self {
        Self {
            store,
            places: Places::new(),
            readers: Mutex::default(),
            ahead: Arc::new(Semaphore::new(AHEAD)),
            pace: Pace::new(),
            logins: Logins::new(config.login_delay.0),
            kept_for: config.expire.time(),
            marks_seen: config.mark_seen,
            without_utf8: config.without_utf8,
        }
    }

    /// Whether mail stays until somebody removes it. In memory the oldest makes room.
    pub(super) fn keeps(&self) -> bool {
        !matches!(self.store, AnyStore::Memory(_))
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

    /// The right to have a message read ahead, while it is held.
    pub(super) fn place_ahead(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.ahead).try_acquire_owned().ok()
    }

    /// Opens the maildrop of a user, for one session at a time.
    pub(super) async fn open(&self, user: UserName) -> Result<Opened, Refusal> {
        if !self.logins.may(&user) {
            return Err(Refusal::LOGIN_DELAY);
        }
        let (store, kept_for, who) = (self.store.clone(), self.kept_for, user.clone());
        let opened = self.places.off_thread(move || {
            let open = || ready(store.open(&user, &Folder::Inbox, Access::Exclusive));
            let mut mailbox = open()?;
            if let Some(update) = kept_for.and_then(|time| expired(&mailbox, time)) {
                let messages = update.removed().len();
                match ready(mailbox.commit(&update)) {
                    Ok(()) => tracing::info!(%user, messages, "expired messages removed"),
                    Err(error) => tracing::error!(%user, %error, "expired messages could not be removed"),
                }
                mailbox = open()?;
            }
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
            Ok((Box::new(mailbox), maildrop))
        });
        match opened.await {
            Some(Ok(opened)) => {
                self.logins.note(&who);
                Ok(opened)
            }
            Some(Err(Error::InUse { .. })) => Err(Refusal::IN_USE),
            Some(Err(error @ (Error::LockHeld { .. } | Error::LockLost { .. }))) => {
                tracing::warn!(user = %who, %error, "a maildrop could not be opened");
                Err(LOCKED)
            }
            Some(Err(error)) => {
                tracing::error!(%error, "a maildrop could not be opened");
                Err(if error.is_misplaced() { Refusal::PERMANENT } else { Refusal::TEMPORARY })
            }
            None => Err(Refusal::TEMPORARY),
        }
    }

    /// The unique-ids of all messages. The mailbox comes back, unless a bug struck.
    pub(super) async fn unique_ids(
        &self,
        mut mailbox: Box<AnyMailbox>,
    ) -> (Option<Box<AnyMailbox>>, Result<UniqueIds, Refusal>) {
        let listed = self.places.off_thread(move || {
            let ids = unique_ids(&mut mailbox);
            (mailbox, ids)
        });
        match listed.await {
            Some((mailbox, ids)) => (Some(mailbox), ids),
            None => (None, Err(Refusal::TEMPORARY)),
        }
    }

    /// Removes messages for good, marks what was collected and stays, and closes the maildrop.
    pub(super) async fn commit(
        &self,
        mailbox: Box<AnyMailbox>,
        deleted: &Deleted,
        tally: &Tally,
    ) -> Result<(), Refusal> {
        let miscounted = mailbox.miscounted();
        if miscounted > 0 {
            tracing::warn!(
                messages = miscounted,
                "messages were not as long as the names of their files say"
            );
        }
        let mut update = Update::new();
        for number in deleted.iter() {
            update.remove(number.index());
        }
        if self.marks_seen {
            for index in tally.whole().filter(|&index| !is_seen(&mailbox, index)) {
                update.seen(index);
            }
        }
        match self.places.off_thread(move || ready(mailbox.commit(&update))).await {
            Some(Ok(())) => Ok(()),
            // It can be found out by the next session as well what is read already.
            Some(Err(error)) if deleted.is_empty() || error.is_only_marks() => {
                tracing::warn!(%error, "messages could not be marked as seen");
                Ok(())
            }
            Some(Err(error)) => {
                tracing::error!(%error, "messages could not be removed");
                Err(Refusal::NOT_REMOVED)
            }
            None => Err(Refusal::NOT_REMOVED),
        }
    }
}

fn is_seen(mailbox: &AnyMailbox, index: usize) -> bool {
    mailbox.message(index).flags.contains(Flags::SEEN)
}

/// The removal of what was seen and arrived so long ago, if there is any. What its user has flagged stays.
fn expired(mailbox: &AnyMailbox, kept_for: Duration) -> Option<Update> {
    let before = SystemTime::now().checked_sub(kept_for)?;
    let mut update = Update::new();
    for index in 0..mailbox.len() {
        let Message { arrived, flags, .. } = mailbox.message(index);
        let is_wanted = !flags.contains(Flags::SEEN) || flags.contains(Flags::FLAGGED);
        if arrived.is_some_and(|time| time <= before) && !is_wanted {
            update.remove(index);
        }
    }
    (!update.is_empty()).then_some(update)
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

#[cfg(test)]
mod tests {
    use maildrop::store::MemoryStore;

    use super::*;
    use crate::config::Expire;

    #[tokio::test]
    async fn of_mail_in_memory_only_what_is_old_and_was_collected_expires() {
        let (memory, alice) = (MemoryStore::new(), UserName::parse("alice").unwrap());
        let old = SystemTime::now() - Duration::from_secs(31 * 24 * 60 * 60);
        for arrived in [old, old, SystemTime::now()] {
            memory.deliver(&alice, &Folder::Inbox, b"Subject: x\n\n", arrived);
        }
        let config = Pop3Config { expire: Expire::Days(30), ..Pop3Config::default() };
        let maildrops = Maildrops::new(AnyStore::Memory(memory), &config);
        let (mailbox, maildrop) = maildrops.open(alice.clone()).await.unwrap();
        assert_eq!(maildrop.len(), 3, "nobody has seen any");
        let mut update = Update::new();
        update.seen(1);
        update.seen(2);
        ready(mailbox.commit(&update)).unwrap();
        let (_, maildrop) = maildrops.open(alice).await.unwrap();
        assert_eq!(maildrop.len(), 2);
    }
}

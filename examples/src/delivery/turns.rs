//! [`Turns`]: who may write to the mail of which users, and how many at a time; and who waits for a mailbox that another
//! program has locked, which nobody does who has a turn.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use maildrop::UserName;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// Users of whom it is remembered that they are busy, until those that are not are forgotten.
const MOST_USERS: usize = 1000;
/// Messages that wait for the same mailbox at the same time.
const MOST_WAITING: usize = 8;

/// So many turns at a time, and one for each user: messages of a user go one after the other.
#[derive(Debug)]
pub(super) struct Turns {
    places: Arc<Semaphore>,
    busy: Mutex<HashMap<UserName, Weak<AsyncMutex<()>>>>,
    locked: Arc<Mutex<HashMap<UserName, Locked>>>,
}

/// A mailbox that another program has locked.
#[derive(Debug, Default)]
struct Locked {
    waiting: usize,
    /// Until when nobody begins to wait, as somebody has waited in vain.
    hopeless_until: Option<Instant>,
}

impl Locked {
    fn is_hopeless(&self) -> bool {
        self.hopeless_until.is_some_and(|until| Instant::now() < until)
    }
}

/// The right to wait for a mailbox, while it is held.
#[derive(Debug)]
pub(super) struct Wait {
    user: UserName,
    locked: Arc<Mutex<HashMap<UserName, Locked>>>,
}

impl Wait {
    /// Has nobody else begin to wait for so long.
    pub(super) fn in_vain(&self, time: Duration) {
        let mut locked = self.locked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mailbox) = locked.get_mut(&self.user) {
            mailbox.hopeless_until = Instant::now().checked_add(time);
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut locked = self.locked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mailbox) = locked.get_mut(&self.user) {
            mailbox.waiting = mailbox.waiting.saturating_sub(1);
            if mailbox.waiting == 0 && !mailbox.is_hopeless() {
                locked.remove(&self.user);
            }
        }
    }
}

/// The right to write, while it is held.
#[derive(Debug)]
pub(super) struct Turn {
    _busy: Vec<OwnedMutexGuard<()>>,
    _place: OwnedSemaphorePermit,
}

impl Turns {
    pub(super) fn new(at_once: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(at_once)), busy: Mutex::default(), locked: Arc::default() }
    }

    /// Waits until a message for these users may be written.
    pub(super) async fn turn(&self, users: impl Iterator<Item = &UserName>) -> Option<Turn> {
        // In the same order for all messages, so that no two wait for each other.
        let users: BTreeSet<&UserName> = users.collect();
        let mut busy = Vec::with_capacity(users.len());
        for user in users {
            busy.push(self.busy(user).lock_owned().await);
        }
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        Some(Turn { _busy: busy, _place: place })
    }

    /// Lets a message wait for a mailbox that it found locked, unless enough do, or one has waited in vain lately.
    pub(super) fn wait(&self, user: &UserName) -> Option<Wait> {
        let mut locked = self.locked.lock().unwrap_or_else(PoisonError::into_inner);
        if locked.len() >= MOST_USERS {
            locked.retain(|_, mailbox| mailbox.waiting > 0 || mailbox.is_hopeless());
        }
        let mailbox = locked.entry(user.clone()).or_default();
        if mailbox.waiting >= MOST_WAITING || mailbox.is_hopeless() {
            return None;
        }
        mailbox.waiting += 1;
        Some(Wait { user: user.clone(), locked: Arc::clone(&self.locked) })
    }

    fn busy(&self, user: &UserName) -> Arc<AsyncMutex<()>> {
        let mut users = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(busy) = users.get(user).and_then(Weak::upgrade) {
            return busy;
        }
        if users.len() >= MOST_USERS {
            users.retain(|_, busy| busy.strong_count() > 0);
        }
        let busy = Arc::default();
        users.insert(user.clone(), Arc::downgrade(&busy));
        busy
    }
}

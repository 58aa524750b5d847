//! [`Turns`]: who may write to the mail of which users, and how many at a time.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use maildrop::UserName;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// Users of whom it is remembered that they are busy, until those that are not are forgotten.
const MOST_USERS: usize = 1000;

/// So many turns at a time, and one for each user: messages of a user go one after the other, so that a lock that stays
/// takes one turn only.
#[derive(Debug)]
pub(super) struct Turns {
    places: Arc<Semaphore>,
    busy: Mutex<HashMap<UserName, Weak<AsyncMutex<()>>>>,
}

/// The right to write, while it is held.
#[derive(Debug)]
pub(super) struct Turn {
    _busy: Vec<OwnedMutexGuard<()>>,
    _place: OwnedSemaphorePermit,
}

impl Turns {
    pub(super) fn new(at_once: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(at_once)), busy: Mutex::default() }
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

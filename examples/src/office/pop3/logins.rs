//! [`Logins`]: when users logged in last, where the next login must wait.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use maildrop::UserName;
use tokio::time::Instant;

/// When users logged in last. Nothing is kept of those who may log in again, but until there are twice as many as were kept
/// when it was last looked for them.
#[derive(Debug)]
pub(super) struct Logins {
    delay: Duration,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    times: HashMap<UserName, Instant>,
    /// How many there may be before those are dropped that are of no use.
    room: usize,
}

/// The fewest that are looked through.
const LEAST: usize = 64;

impl Logins {
    /// `delay` must lie between two logins of a user; zero for nothing.
    pub(super) fn new(delay: Duration) -> Self {
        Self { delay, last: Mutex::default() }
    }

    /// Whether this user may log in.
    pub(super) fn may(&self, user: &UserName) -> bool {
        if self.delay.is_zero() {
            return true;
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.times.get(user).is_none_or(|time| time.elapsed() >= self.delay)
    }

    /// This user has logged in.
    pub(super) fn note(&self, user: &UserName) {
        if self.delay.is_zero() {
            return;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let last = &mut *last;
        if last.times.len() >= last.room {
            last.times.retain(|_, time| time.elapsed() < self.delay);
            last.room = LEAST.max(2 * last.times.len());
        }
        last.times.insert(user.clone(), Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: impl Into<String>) -> UserName {
        UserName::parse(&name.into()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_delay_runs_from_the_last_login_for_each_user() {
        let logins = Logins::new(Duration::from_secs(10));
        let (alice, bob) = (user("alice"), user("bob"));
        assert!(logins.may(&alice));
        logins.note(&alice);
        assert!(!logins.may(&alice) && logins.may(&bob));
        tokio::time::advance(Duration::from_millis(9_999)).await;
        assert!(!logins.may(&alice));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(logins.may(&alice));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_for_ever() {
        let logins = Logins::new(Duration::from_secs(1));
        for number in 0..10_000 {
            logins.note(&user(format!("user{number}")));
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert!(logins.last.lock().unwrap().times.len() <= LEAST);
        let none = Logins::new(Duration::ZERO);
        none.note(&user("alice"));
        assert!(none.may(&user("alice")) && none.last.lock().unwrap().times.is_empty());
    }
}

//! How a lock is waited for.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Operation;
use crate::fault::{Fault, Faults};

/// How long to try for a lock, and when another's is taken for a dead one. The defaults are procmail's.
#[derive(Clone, Debug)]
pub struct DotLockOptions {
    pub(super) sleep: Duration,
    pub(super) retries: Option<u32>,
    pub(super) stale_after: Option<Duration>,
    pub(super) suspend: Duration,
    pub(super) tells_owner: bool,
    faults: Option<Arc<dyn Faults>>,
}

impl Default for DotLockOptions {
    fn default() -> DotLockOptions {
        DotLockOptions {
            sleep: Duration::from_secs(8),
            retries: None,
            stale_after: Some(Duration::from_secs(1024)),
            suspend: Duration::from_secs(16),
            tells_owner: false,
            faults: None,
        }
    }
}

impl DotLockOptions {
    /// Try every 8 seconds without end, force locks that are older than 1024 seconds, then wait 16 seconds.
    pub fn new() -> DotLockOptions {
        DotLockOptions::default()
    }

    /// Time between attempts.
    #[must_use]
    pub fn sleep(self, sleep: Duration) -> DotLockOptions {
        DotLockOptions { sleep, ..self }
    }

    /// Attempts after the first before the lock is given up.
    #[must_use]
    pub fn retries(self, retries: u32) -> DotLockOptions {
        DotLockOptions { retries: Some(retries), ..self }
    }

    /// Age from which on a lock is taken away by force; `None` never does.
    #[must_use]
    pub fn stale_after(self, age: Option<Duration>) -> DotLockOptions {
        DotLockOptions { stale_after: age, ..self }
    }

    /// Time to wait after a lock was taken away, so that two programs that both found it stale do not take away each
    /// other's new one. Where no attempt is left there is no such time: the lock is given up then, and free for whoever
    /// comes again.
    #[must_use]
    pub fn suspend(self, suspend: Duration) -> DotLockOptions {
        DotLockOptions { suspend, ..self }
    }

    /// Writes into the lock file whose it is, where the system can tell (on Linux), so that others who use this crate need
    /// not wait for it to grow old should this process be killed. To other programs it looks like any lock file.
    #[must_use]
    pub fn tell_owner(self) -> DotLockOptions {
        DotLockOptions { tells_owner: true, ..self }
    }

    /// Sets a fault hook for the steps of taking a lock.
    #[must_use]
    pub fn with_faults(self, faults: Arc<dyn Faults>) -> DotLockOptions {
        DotLockOptions { faults: Some(faults), ..self }
    }

    pub(super) fn inject(&self, operation: Operation) -> io::Result<()> {
        self.faults.as_ref().map_or(Fault::None, |faults| faults.inject(operation)).check()
    }
}

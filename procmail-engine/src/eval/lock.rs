//! Lock files: one try after the other.

use std::time::Duration;

use super::{Evaluator, Task, Value};
use crate::effect::{Effect, Outcome};

/// How often a lock is tried whose place cannot be written to.
const PLACE_TRIES: u32 = 8;

/// A lock that is being taken.
#[derive(Debug, Clone)]
pub(super) struct TakeLock {
    path: Vec<u8>,
    no_place: u32,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Try,
    Tried,
    Broken,
    Slept,
}

impl TakeLock {
    pub(super) fn new(path: Vec<u8>) -> Self {
        Self { path, no_place: 0, stage: Stage::Try }
    }

    /// The lock, if it is being waited for.
    pub(super) fn awaited(&self) -> Option<&[u8]> {
        (self.stage != Stage::Try).then_some(self.path.as_slice())
    }
}

impl Evaluator {
    /// Goes on with a lock. The result is [`Value::Locked`].
    pub(super) fn take_lock(&mut self, mut lock: TakeLock) {
        match lock.stage {
            Stage::Try | Stage::Slept => {
                self.outcome = None;
                self.tell_of("Locking", &lock.path);
                self.emit(Effect::Lock(lock.path.clone()));
                lock.stage = Stage::Tried;
                self.tasks.push(Task::Lock(lock));
            }
            Stage::Tried => match self.outcome.take() {
                Some(Outcome::Done) => self.value = Value::Locked(true),
                Some(Outcome::Held(age)) => {
                    let limit = Duration::from_secs(self.numbers.lock_timeout);
                    let stale = !limit.is_zero() && age.is_some_and(|age| age > limit);
                    if stale {
                        self.complain_of("Forcing lock on", &lock.path);
                        self.emit(Effect::BreakLock(lock.path.clone()));
                        lock.stage = Stage::Broken;
                        self.tasks.push(Task::Lock(lock));
                    } else {
                        self.wait(lock, self.numbers.lock_sleep);
                    }
                }
                Some(Outcome::NoPlace(file)) => {
                    self.tell_of("Error while writing to", &file);
                    lock.no_place += 1;
                    if lock.no_place < PLACE_TRIES {
                        self.wait(lock, self.numbers.lock_sleep);
                    } else {
                        self.complain_of("Lock failure on", &lock.path);
                        self.value = Value::Locked(false);
                    }
                }
                _ => {
                    self.complain_of("Lock failure on", &lock.path);
                    self.value = Value::Locked(false);
                }
            },
            Stage::Broken => self.wait(lock, self.numbers.suspend),
        }
    }

    fn wait(&mut self, mut lock: TakeLock, seconds: u64) {
        lock.stage = Stage::Slept;
        self.tasks.push(Task::Lock(lock));
        self.emit(Effect::Sleep(Duration::from_secs(seconds)));
    }

    pub(super) fn release_lock_file(&mut self) {
        if let Some(path) = self.lock_file.take() {
            self.tell_of("Unlocking", &path);
            self.emit(Effect::Unlock(path));
        }
    }

    pub(super) fn release_local_lock(&mut self) {
        if let Some(path) = self.local_lock.take() {
            self.tell_of("Unlocking", &path);
            self.emit(Effect::Unlock(path));
        }
    }
}

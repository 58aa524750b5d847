//! Copies of an evaluation, as `c` on a block makes them: each on a thread of its own, with a host of its own.
//!
//! The rights of a process are those of all its threads. So a copy that is to go on with the rights of the recipient waits
//! until the original does, and the original waits until all copies have ended or wait for it, be it for a lock that it or
//! one of those that wait holds.
//!
//! Who waits for such a lock goes on without the rights. For a copy that means that it does not keep the original from giving
//! them up; the original gives them up earlier than it was to. A copy on the thread of another evaluation is neither, and
//! waits for the lock as if another process held it. So does everybody where the lock file lies in a directory in which the
//! recipient may not remove it: it stays when the rights are gone.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use procmail_engine::effect::{Exit, Outcome, Ran};
use procmail_engine::eval::{Evaluator, Fate, Finished};

use super::Host;

/// Copies that run beside each other. The original waits for one to end before there are more; a copy that would make more
/// has them go on in turn with itself.
const MOST_BESIDE: usize = 32;
/// Copies of one mail in all, so that rc files that include themselves in copies come to an end.
const MOST: usize = 512;
/// Copies that go on in turn, one within the other.
const MOST_WITHIN: u32 = 32;
/// sysexits(3): a bug.
const EX_SOFTWARE: i32 = 70;

/// All copies of one evaluation.
#[derive(Default)]
pub(super) struct Copies {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    threads: Vec<JoinHandle<Finished>>,
    ended: Vec<Finished>,
    /// Copies that were made.
    made: usize,
    /// Threads that have not ended.
    alive: usize,
    /// Threads that wait for rights to be given up, or for a lock of one that does.
    parked: usize,
    /// The locks that they hold.
    parked_locks: Vec<PathBuf>,
    /// The locks that the original holds while it waits to give up rights.
    locks: Vec<PathBuf>,
    /// Whether rights were given up, once they were to be.
    dropped: Option<bool>,
}

/// Which of the evaluations of a mail a host serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The first.
    Original,
    /// A copy on a thread.
    Beside,
    /// A copy that another evaluation waits for, on its thread, so deep.
    Within(u32),
}

impl Host {
    /// A copy of the evaluator goes on beside this one, or to its end before this one goes on.
    pub(super) fn fork(&self, copy: Box<Evaluator>, wait: bool) -> Outcome {
        let mut state = self.copies.lock();
        if state.made >= MOST {
            return Outcome::Failed;
        }
        state.made += 1;
        if wait {
            drop(state);
            return self
                .in_turn(copy)
                .map_or(Outcome::Failed, |ended| Outcome::Ran(Ran::ended(Exit::Code(ended.code))));
        }
        if self.role == Role::Original {
            // Those that wait for rights to be given up wait for the original.
            let full = |state: &State| state.alive >= MOST_BESIDE && state.parked < state.alive;
            state = self.copies.wait_while(state, full);
        }
        state.reap();
        let copy = match state.alive < MOST_BESIDE {
            true => match self.go_on_beside(copy) {
                Ok(thread) => {
                    state.alive += 1;
                    state.threads.push(thread);
                    return Outcome::Done;
                }
                Err(copy) => copy,
            },
            false => Some(copy),
        };
        let rights_are_kept = self.dropping.is_some() && state.dropped.is_none();
        drop(state);
        match copy.filter(|_| !rights_are_kept).and_then(|copy| self.in_turn(copy)) {
            Some(ended) => {
                self.copies.lock().ended.push(ended);
                Outcome::Done
            }
            None => Outcome::Failed,
        }
    }

    /// Has a copy go on on a thread of its own. If there is none, it comes back.
    fn go_on_beside(&self, copy: Box<Evaluator>) -> Result<JoinHandle<Finished>, Option<Box<Evaluator>>> {
        let mut host = self.beside(Role::Beside);
        let kept = Arc::new(Mutex::new(Some(copy)));
        let given = Arc::clone(&kept);
        let started = std::thread::Builder::new().spawn(move || {
            let _alive = Alive(Arc::clone(&host.copies));
            let copy = given.lock().unwrap_or_else(PoisonError::into_inner).take();
            copy.map_or(Finished { code: EX_SOFTWARE, fate: Fate::Requeued }, |copy| host.evaluate(*copy))
        });
        started.map_err(|_| kept.lock().unwrap_or_else(PoisonError::into_inner).take())
    }

    /// Has a copy go on on this thread, to its end. Nothing if that would be too deep.
    fn in_turn(&self, copy: Box<Evaluator>) -> Option<Finished> {
        let depth = if let Role::Within(depth) = self.role { depth + 1 } else { 1 };
        (depth <= MOST_WITHIN).then(|| self.beside(Role::Within(depth)).evaluate(*copy))
    }

    /// Waits for all copies that `c` on a block made, and answers how they ended.
    pub fn wait(&self) -> Vec<Finished> {
        // Those that wait for rights to be given up would wait for ever.
        let alive = self.copies.lock().alive > 0;
        if alive {
            self.drop_privileges();
        }
        loop {
            // Copies may make copies.
            let mut state = self.copies.lock();
            let Some(thread) = state.threads.pop() else { return std::mem::take(&mut state.ended) };
            drop(state);
            let ended = end(thread);
            self.copies.lock().ended.push(ended);
        }
    }

    /// Gives up rights for those of the recipient. Answers whether they are gone.
    pub(super) fn drop_privileges(&self) -> bool {
        let Some(dropping) = &self.dropping else { return true };
        let mut state = self.copies.lock();
        match self.role {
            _ if state.dropped.is_some() => {}
            // Whoever waits for it has work left for which the rights are needed.
            Role::Within(_) => return false,
            Role::Beside => {
                self.park(&mut state);
                state = self.copies.wait_while(state, |state| state.dropped.is_none());
                self.unpark(&mut state);
            }
            Role::Original => {
                state.locks = self.locks.keys().cloned().collect();
                state = self.copies.wait_while(state, |state| state.parked < state.alive);
                state.dropped = Some(dropping());
                self.copies.changed.notify_all();
            }
        }
        state.dropped == Some(true)
    }
}

impl Host {
    /// Does `sleep`. If that is to wait for a lock that is kept until rights are given up, nobody waits for the one who sleeps
    /// before they are.
    pub(super) fn sleep_beside(&self, sleep: impl FnOnce()) {
        let mut state = self.copies.lock();
        let waits = self.held.as_ref().is_some_and(|held| state.keeps(held.path()));
        match self.role {
            Role::Beside if waits => {
                self.park(&mut state);
                drop(state);
                sleep();
                self.unpark(&mut self.copies.lock());
            }
            Role::Original if waits => {
                drop(state);
                self.drop_privileges();
                sleep();
            }
            _ => {
                drop(state);
                sleep();
            }
        }
    }

    /// The original does not wait for this copy any more.
    fn park(&self, state: &mut State) {
        state.parked += 1;
        state.parked_locks.extend(self.locks.keys().cloned());
        self.copies.changed.notify_all();
    }

    fn unpark(&self, state: &mut State) {
        state.parked -= 1;
        for lock in self.locks.keys() {
            if let Some(at) = state.parked_locks.iter().position(|parked| parked == lock) {
                state.parked_locks.swap_remove(at);
            }
        }
    }
}

impl Copies {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while<'a>(
        &self,
        state: MutexGuard<'a, State>,
        condition: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        self.changed.wait_while(state, |state| condition(state)).unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether a lock is held by one that waits for rights to be given up.
    fn keeps(&self, lock: &Path) -> bool {
        let mut locks = self.locks.iter().chain(&self.parked_locks);
        self.dropped.is_none() && locks.any(|kept| kept == lock)
    }

    /// Takes the outcomes of threads that have ended.
    fn reap(&mut self) {
        let (ended, running) =
            std::mem::take(&mut self.threads).into_iter().partition(JoinHandle::is_finished);
        self.threads = running;
        let ended: Vec<_> = ended;
        self.ended.extend(ended.into_iter().map(end));
    }
}

fn end(thread: JoinHandle<Finished>) -> Finished {
    thread.join().unwrap_or(Finished { code: EX_SOFTWARE, fate: Fate::Requeued })
}

/// Counts a thread as alive while it is.
struct Alive(Arc<Copies>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.lock().alive -= 1;
        self.0.changed.notify_all();
    }
}

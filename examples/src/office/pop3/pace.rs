//! [`Pace`]: where messages are read, on the thread of the session or off it.
//!
//! A message that the system has in memory is read in less time than it takes to hand it to another thread. One that comes
//! from a disk, over a network or after a search through a folder lets all other sessions of the thread wait. Nobody knows
//! which it will be; but what the last ones took is known. So reads are done in place as long as they are quick, and elsewhere
//! while they are not, or while one in place is not back yet. What may wait for a lock or search a folder is never done in
//! place, however quick it was lately.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// Reads that take longer than this, on the average of the last ones, are done elsewhere.
const QUICK: Duration = Duration::from_millis(1);
/// While a read in place has taken longer than this already, others are done elsewhere.
const STUCK: Duration = Duration::from_millis(20);
/// How much of the average one read makes, as a power of two.
const WEIGHT: u32 = 3;
/// How many reads are done elsewhere at the same time.
const AT_ONCE: usize = 64;

/// How long reads took lately. Shared by all sessions.
#[derive(Debug)]
pub(super) struct Pace(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    origin: Instant,
    /// Average time of a read, in nanoseconds.
    average: AtomicU64,
    /// When the read in place that began last began, in nanoseconds after `origin`; 0 when it is back.
    since: AtomicU64,
    turns: Arc<Semaphore>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared {
            origin: Instant::now(),
            average: AtomicU64::new(0),
            since: AtomicU64::new(0),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }))
    }

    /// Does what may block with something, which comes back: in place what `at_hand` can do without waiting for anything but
    /// the disk, if reads are quick; else all of it elsewhere. `None` says that it did not within the limit, or panicked, which
    /// only a bug can bring about.
    pub(super) async fn read<S, T>(
        &self,
        limit: Duration,
        mut subject: S,
        at_hand: impl FnOnce(&mut S) -> Option<T>,
        work: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Option<(S, T)>
    where
        S: Send + 'static,
        T: Send + 'static,
    {
        let shared = &*self.0;
        if shared.is_quick() {
            let began = Instant::now();
            let since = shared.after(began);
            shared.since.store(since, Ordering::Relaxed);
            let done = at_hand(&mut subject);
            shared.took(began.elapsed());
            // Unless another one has begun meanwhile.
            let _ = shared.since.compare_exchange(since, 0, Ordering::Relaxed, Ordering::Relaxed);
            if let Some(done) = done {
                return Some((subject, done));
            }
        }
        let shared = Arc::clone(&self.0);
        let elsewhere = async move {
            let turn = Arc::clone(&shared.turns).acquire_owned().await.ok()?;
            let work = move || {
                let _turn = turn;
                let began = Instant::now();
                let done = work(&mut subject);
                shared.took(began.elapsed());
                (subject, done)
            };
            tokio::task::spawn_blocking(work).await.ok()
        };
        crate::office::session::in_time(limit, elsewhere).await.flatten()
    }
}

impl Shared {
    fn is_quick(&self) -> bool {
        if u128::from(self.average.load(Ordering::Relaxed)) > QUICK.as_nanos() {
            return false;
        }
        match self.since.load(Ordering::Relaxed) {
            0 => true,
            since => u128::from(self.after(Instant::now()).saturating_sub(since)) <= STUCK.as_nanos(),
        }
    }

    fn after(&self, time: Instant) -> u64 {
        nanoseconds(time.duration_since(self.origin)).max(1)
    }

    /// Counts a read. That two at the same time may count as one does no harm.
    fn took(&self, time: Duration) {
        let average = self.average.load(Ordering::Relaxed);
        let average = average - (average >> WEIGHT) + (nanoseconds(time) >> WEIGHT);
        self.average.store(average, Ordering::Relaxed);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    // So that sums of some of them stay in bounds; half a century is slow enough.
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).min(u64::MAX >> WEIGHT)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn others_go_on_while_a_read_takes_its_time_once_reads_are_known_to_be_slow() {
        let pace = Pace::new();
        pace.0.took(Duration::from_millis(50));
        // On one thread, the read is back only if what comes behind it in this test runs meanwhile.
        let (go_on, wait) = mpsc::channel();
        let read = tokio::spawn(async move {
            let read = pace.read(LIMIT, "message", |_| None, move |_| wait.recv_timeout(LIMIT)).await;
            (pace, read)
        });
        tokio::task::yield_now().await;
        go_on.send("octets").unwrap();
        let (pace, read) = read.await.unwrap();
        assert_eq!(read, Some(("message", Ok("octets"))));
        assert!(!pace.0.is_quick());
    }

    #[tokio::test]
    async fn reads_come_back_to_their_session_when_they_are_quick_again() {
        let pace = Pace::new();
        let here = std::thread::current().id();
        let id = || std::thread::current().id();
        let thread = async || pace.read(LIMIT, (), |()| Some(id()), move |()| id()).await.unwrap().1;
        assert_eq!(thread().await, here);
        pace.0.took(Duration::from_millis(50));
        assert_ne!(thread().await, here);
        for _ in 0..1000 {
            if thread().await == here {
                return;
            }
        }
        panic!("reads are still done elsewhere");
    }

    #[tokio::test]
    async fn what_is_not_at_hand_is_done_elsewhere_however_quick_reads_are() {
        let pace = Pace::new();
        assert!(pace.0.is_quick());
        let read = pace.read(LIMIT, (), |()| None, |()| std::thread::current().id()).await;
        assert_ne!(read.unwrap().1, std::thread::current().id());
    }

    #[test]
    fn one_read_that_lost_its_turn_to_another_program_is_no_slow_disk() {
        let pace = Pace::new();
        for _ in 0..100 {
            pace.0.took(Duration::from_micros(30));
        }
        pace.0.took(Duration::from_millis(6));
        assert!(pace.0.is_quick());
        pace.0.took(Duration::from_millis(6));
        assert!(!pace.0.is_quick(), "twice is slow");
        pace.0.took(Duration::MAX);
        pace.0.took(Duration::MAX);
        assert!(!pace.0.is_quick());
    }

    #[test]
    fn while_one_read_is_stuck_others_are_done_elsewhere() {
        let pace = Pace::new();
        assert!(pace.0.is_quick());
        pace.0.since.store(pace.0.after(Instant::now()), Ordering::Relaxed);
        assert!(pace.0.is_quick(), "it has just begun");
        let pace = Pace(Arc::new(Shared {
            origin: Instant::now() - Duration::from_secs(1),
            average: AtomicU64::new(0),
            since: AtomicU64::new(1),
            turns: Arc::new(Semaphore::new(1)),
        }));
        assert!(!pace.0.is_quick());
    }
}

//! [`Pace`]: where messages are read, on the thread of the session or off it.
//!
//! A message that the system has in memory is read in less time than it takes to hand it to another thread. One that comes
//! from a slow disk or over a network lets all other sessions of the thread wait. Nobody knows which it will be; but what the
//! last ones took is known. So reads are done in place as long as they are quick, and elsewhere while they are not. What may
//! wait for a lock or search a folder is never done in place, however quick it was lately.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// Reads that take longer than this, on the average of the last ones, are done elsewhere.
const QUICK: Duration = Duration::from_millis(1);
/// How much of the average one read makes, as a power of two.
const WEIGHT: u32 = 3;
/// How many reads are done elsewhere at the same time.
const AT_ONCE: usize = 64;

/// How long reads took lately. Shared by all sessions.
#[derive(Debug)]
pub(super) struct Pace {
    average: Arc<Average>,
    turns: Arc<Semaphore>,
}

/// The time of a read, in nanoseconds.
#[derive(Debug, Default)]
struct Average(AtomicU64);

impl Pace {
    pub(super) fn new() -> Self {
        Self { average: Arc::default(), turns: Arc::new(Semaphore::new(AT_ONCE)) }
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
        if let Some(done) = self.in_place(|| at_hand(&mut subject)) {
            return Some((subject, done));
        }
        let (average, turns) = (Arc::clone(&self.average), Arc::clone(&self.turns));
        let elsewhere = async move {
            let turn = turns.acquire_owned().await.ok()?;
            let work = move || {
                let _turn = turn;
                let done = average.timed(|| work(&mut subject));
                (subject, done)
            };
            tokio::task::spawn_blocking(work).await.ok()
        };
        crate::office::session::in_time(limit, elsewhere).await.flatten()
    }

    /// Does in place what waits for nothing but the disk, if reads are quick.
    pub(super) fn in_place<T>(&self, at_hand: impl FnOnce() -> Option<T>) -> Option<T> {
        if !self.average.is_quick() {
            return None;
        }
        self.average.timed(at_hand)
    }
}

impl Average {
    fn is_quick(&self) -> bool {
        u128::from(self.0.load(Ordering::Relaxed)) <= QUICK.as_nanos()
    }

    fn timed<T>(&self, read: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = read();
        self.took(began.elapsed());
        done
    }

    /// Counts a read. That two at the same time may count as one does no harm.
    fn took(&self, time: Duration) {
        // So that sums of some of them stay in bounds; half a century is slow enough.
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).min(u64::MAX >> WEIGHT);
        let average = self.0.load(Ordering::Relaxed);
        self.0.store(average - (average >> WEIGHT) + (time >> WEIGHT), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn others_go_on_while_a_read_takes_its_time_once_reads_are_known_to_be_slow() {
        let pace = Pace::new();
        pace.average.took(Duration::from_millis(50));
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
        assert!(!pace.average.is_quick());
    }

    #[tokio::test]
    async fn reads_come_back_to_their_session_when_they_are_quick_again() {
        let pace = Pace::new();
        let here = std::thread::current().id();
        let id = || std::thread::current().id();
        let thread = async || pace.read(LIMIT, (), |()| Some(id()), move |()| id()).await.unwrap().1;
        assert_eq!(thread().await, here);
        pace.average.took(Duration::from_millis(50));
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
        assert!(pace.average.is_quick());
        let read = pace.read(LIMIT, (), |()| None, |()| std::thread::current().id()).await;
        assert_ne!(read.unwrap().1, std::thread::current().id());
    }

    #[test]
    fn one_read_that_lost_its_turn_to_another_program_is_no_slow_disk() {
        let pace = Pace::new();
        for _ in 0..100 {
            pace.average.took(Duration::from_micros(30));
        }
        pace.average.took(Duration::from_millis(6));
        assert!(pace.average.is_quick());
        pace.average.took(Duration::from_millis(6));
        assert!(!pace.average.is_quick(), "twice is slow");
        pace.average.took(Duration::MAX);
        pace.average.took(Duration::MAX);
        assert!(!pace.average.is_quick());
    }
}

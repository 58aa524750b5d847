//! [`Places`]: how many maildrops are opened or updated at the same time.
//!
//! A disk is no faster for being asked by many. But who waits for an mbox that another program has locked asks nothing of
//! it, and would keep out those whose maildrops are free. So whoever takes long goes on in a place of another kind, of which
//! there are more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

/// How many work.
const BUSY: usize = 16;
/// How many more take long.
const SLOW: usize = 128;
/// What takes longer is not at work but waits for something, most likely.
const LONG: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Places {
    busy: Arc<Semaphore>,
    slow: Arc<Semaphore>,
}

impl Places {
    pub(super) fn new() -> Self {
        Self { busy: Arc::new(Semaphore::new(BUSY)), slow: Arc::new(Semaphore::new(SLOW)) }
    }

    /// Does what blocks. `None` says that it panicked, which only a bug can bring about.
    pub(super) async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let place = Arc::clone(&self.busy).acquire_owned().await.ok()?;
        let place = Arc::new(Mutex::new(place));
        let held = Arc::clone(&place);
        let mut working = tokio::task::spawn_blocking(move || {
            // Until the disk is done, even if nobody waits for it any more.
            let _held = held;
            work()
        });
        let slow = async {
            tokio::time::sleep(LONG).await;
            Arc::clone(&self.slow).acquire_owned().await
        };
        tokio::select! {
            biased;
            done = &mut working => return done.ok(),
            slow = slow => *place.lock().unwrap_or_else(PoisonError::into_inner) = slow.ok()?,
        }
        working.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn those_who_wait_keep_nobody_out() {
        let places = Arc::new(Places::new());
        let waiting: Vec<_> = (0..BUSY + 1)
            .map(|number| {
                let (places, (go_on, wait)) = (Arc::clone(&places), mpsc::channel());
                let waits =
                    async move { places.off_thread(move || wait.recv_timeout(LIMIT).map(|()| number)).await };
                (tokio::spawn(waits), go_on)
            })
            .collect();
        let free = places.off_thread(|| "open");
        assert_eq!(tokio::time::timeout(LIMIT / 2, free).await, Ok(Some("open")));
        for (number, (waiting, go_on)) in waiting.into_iter().enumerate() {
            go_on.send(()).unwrap();
            assert_eq!(waiting.await.unwrap(), Some(Ok(number)));
        }
        assert_eq!((places.busy.available_permits(), places.slow.available_permits()), (BUSY, SLOW));
    }

    #[tokio::test]
    async fn not_more_work_at_once_than_there_are_places_while_none_takes_long() {
        let places = Places::new();
        let taken = Arc::clone(&places.busy).acquire_many_owned(BUSY as u32).await.unwrap();
        let mut work = std::pin::pin!(places.off_thread(|| "open"));
        let early = tokio::time::timeout(Duration::ZERO, &mut work).await;
        assert!(early.is_err(), "{early:?}");
        drop(taken);
        assert_eq!(work.await, Some("open"));
    }
}

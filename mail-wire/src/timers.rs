//! A small table of deadlines.

use std::time::Instant;

/// Deadlines, one for each of `N` purposes. A machine numbers its purposes by an enum that converts to `usize`.
///
/// ```
/// use mail_wire::Timers;
/// use std::time::{Duration, Instant};
///
/// let now = Instant::now();
/// let mut timers = Timers::<2>::new();
/// timers.set(0, now + Duration::from_secs(300));
/// timers.set(1, now + Duration::from_secs(60));
/// assert_eq!(timers.earliest(), Some(now + Duration::from_secs(60)));
/// assert_eq!(timers.take_expired(now), None);
/// assert_eq!(timers.take_expired(now + Duration::from_secs(61)), Some(1));
/// assert_eq!(timers.earliest(), Some(now + Duration::from_secs(300)));
/// ```
#[derive(Debug, Clone)]
pub struct Timers<const N: usize>([Option<Instant>; N]);

impl<const N: usize> Timers<N> {
    /// No deadlines.
    pub const fn new() -> Self {
        Self([None; N])
    }

    /// Sets the deadline of `purpose`, in place of any other it had.
    ///
    /// # Panics
    ///
    /// If `purpose` is not below `N`.
    pub fn set(&mut self, purpose: usize, at: Instant) {
        self.0[purpose] = Some(at);
    }

    /// Takes the deadline of `purpose` away.
    ///
    /// # Panics
    ///
    /// If `purpose` is not below `N`.
    pub fn clear(&mut self, purpose: usize) {
        self.0[purpose] = None;
    }

    /// The deadline of `purpose`.
    pub fn at(&self, purpose: usize) -> Option<Instant> {
        self.0.get(purpose).copied().flatten()
    }

    /// The earliest deadline of all.
    pub fn earliest(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// A purpose whose deadline has come, the earliest first. It is cleared.
    pub fn take_expired(&mut self, now: Instant) -> Option<usize> {
        let (purpose, _) = self
            .0
            .iter()
            .enumerate()
            .filter_map(|(purpose, at)| at.filter(|at| *at <= now).map(|at| (purpose, at)))
            .min_by_key(|(_, at)| *at)?;
        self.0[purpose] = None;
        Some(purpose)
    }
}

impl<const N: usize> Default for Timers<N> {
    fn default() -> Self {
        Self::new()
    }
}

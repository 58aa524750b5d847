//! Questions that must be answered exactly once.
//!
//! A machine that needs an answer from its application issues a [`Pending`] token. The token is not `Clone` and is
//! consumed by answering, so answering twice does not compile; its type parameter names the question, so the wrong kind
//! of answer does not compile either. A token that is dropped unanswered is noticed by the machine, which then gives the
//! protocol's "try again later". The token is owned and borrows nothing: a slow look-up may hold one across an await,
//! on any thread.

use core::fmt;
use core::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A question that waits for its answer. `Q` names the kind of question.
#[must_use = "the peer waits for an answer; dropping this token gives it a temporary failure"]
pub struct Pending<Q> {
    ticket: u64,
    /// Where the machine looks for tickets that were dropped; emptied by answering.
    dropped: Option<Arc<AtomicU64>>,
    question: PhantomData<fn() -> Q>,
}

impl<Q> Drop for Pending<Q> {
    fn drop(&mut self) {
        if let Some(dropped) = self.dropped.take() {
            // Tickets rise: a cancelled token that is dropped late must not hide the open one.
            dropped.fetch_max(self.ticket, Ordering::Release);
        }
    }
}

impl<Q> fmt::Debug for Pending<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pending({})", self.ticket)
    }
}

/// The machine's side: at most one open question at a time. A protocol that can have several keeps a lane for each.
///
/// ```
/// struct WhoIsThere;
/// let mut lane = mail_wire::Lane::new();
/// let pending = lane.ask::<WhoIsThere>();
/// assert!(lane.is_open());
/// assert!(lane.settle(pending));
/// assert!(!lane.is_open());
///
/// drop(lane.ask::<WhoIsThere>());
/// assert!(lane.take_dropped());
/// ```
#[derive(Debug, Default)]
pub struct Lane {
    /// The ticket of the open question; 0 is none.
    open: u64,
    last: u64,
    dropped: Arc<AtomicU64>,
}

impl Lane {
    /// A lane with no open question.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a question. One that was still open is cancelled: its token does nothing any more.
    pub fn ask<Q>(&mut self) -> Pending<Q> {
        self.last += 1;
        self.open = self.last;
        Pending { ticket: self.last, dropped: Some(Arc::clone(&self.dropped)), question: PhantomData }
    }

    /// Whether a question is open.
    pub fn is_open(&self) -> bool {
        self.open != 0
    }

    /// Takes a token back with its answer. `false` says that the answer comes too late (or from another lane) and is to
    /// be ignored.
    pub fn settle<Q>(&mut self, mut pending: Pending<Q>) -> bool {
        let ours = pending.dropped.take().is_some_and(|dropped| Arc::ptr_eq(&dropped, &self.dropped));
        let current = ours && self.open == pending.ticket;
        if current {
            self.open = 0;
        }
        current
    }

    /// Whether the open question's token was dropped unanswered; if so, the question is closed.
    pub fn take_dropped(&mut self) -> bool {
        let dropped = self.open != 0 && self.dropped.load(Ordering::Acquire) == self.open;
        if dropped {
            self.open = 0;
        }
        dropped
    }

    /// Closes the open question, if any: an answer that comes later does nothing.
    pub fn cancel(&mut self) {
        self.open = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Q;

    #[test]
    fn a_late_answer_does_nothing() {
        let mut lane = Lane::new();
        let late = lane.ask::<Q>();
        lane.cancel();
        let current = lane.ask::<Q>();
        assert!(!lane.settle(late));
        assert!(lane.is_open());
        assert!(lane.settle(current));
    }

    #[test]
    fn dropping_a_cancelled_token_does_not_close_the_next_question() {
        let mut lane = Lane::new();
        let first = lane.ask::<Q>();
        lane.cancel();
        let second = lane.ask::<Q>();
        drop(first);
        assert!(!lane.take_dropped());
        drop(second);
        assert!(lane.take_dropped());
        assert!(!lane.take_dropped(), "told once");
    }

    #[test]
    fn tokens_dropped_out_of_order_are_all_noticed() {
        let mut lane = Lane::new();
        let first = lane.ask::<Q>();
        lane.cancel();
        let second = lane.ask::<Q>();
        drop(second);
        drop(first);
        assert!(lane.take_dropped());
    }

    #[test]
    fn a_token_of_another_connection_is_ignored() {
        let (mut ours, mut theirs) = (Lane::new(), Lane::new());
        let _open = ours.ask::<Q>();
        assert!(!ours.settle(theirs.ask::<Q>()));
        assert!(ours.is_open());
    }
}

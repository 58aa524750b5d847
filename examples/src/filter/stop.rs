//! Being told to stop: by a signal, or by the program that evaluates.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use procmail_engine::eval::Fate;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

/// Tells hosts to stop. All clones are one; whatever a host waits for, it notices at once.
///
/// ```
/// use mailwright::filter::Stop;
/// use procmail_engine::eval::Fate;
///
/// let stop = Stop::new()?;
/// assert_eq!(stop.requested(), None);
/// stop.request(Fate::Requeued);
/// assert_eq!(stop.requested(), Some(Fate::Requeued));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Stop(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Shared with signal handlers.
    fate: Arc<AtomicUsize>,
    verbose: Arc<AtomicUsize>,
    alarm: Arc<AtomicUsize>,
    /// Readable from the first request on.
    woken: OwnedFd,
    waker: OwnedFd,
}

const REQUEUED: usize = 1;
const BOUNCED: usize = 2;
const LOST: usize = 3;

const QUIET: usize = 1;
const VERBOSE: usize = 2;

impl Stop {
    /// One that nobody has asked for yet.
    ///
    /// # Errors
    /// What the system says when it gives no pipe.
    pub fn new() -> io::Result<Stop> {
        let (woken, waker) = io::pipe()?;
        let inner = Inner {
            fate: Arc::new(AtomicUsize::new(0)),
            verbose: Arc::new(AtomicUsize::new(0)),
            alarm: Arc::new(AtomicUsize::new(0)),
            woken: woken.into(),
            waker: waker.into(),
        };
        rustix::io::ioctl_fionbio(&inner.waker, true)?;
        Ok(Stop(Arc::new(inner)))
    }

    /// Asks all hosts to end: the mail is to be requeued, bounced, or given up. The last request counts.
    pub fn request(&self, fate: Fate) {
        self.0.fate.store(number(fate), Ordering::Relaxed);
        // A full pipe is readable, which is all that is wanted.
        let _ = rustix::io::write(&self.0.waker, b"!");
    }

    /// What becomes of the mail, if a stop was asked for.
    pub fn requested(&self) -> Option<Fate> {
        match self.0.fate.load(Ordering::Relaxed) {
            REQUEUED => Some(Fate::Requeued),
            BOUNCED => Some(Fate::Bounced),
            LOST => Some(Fate::Lost),
            _ => None,
        }
    }

    /// Has a signal ask for it.
    ///
    /// # Errors
    /// What the system says, such as that this signal cannot be caught.
    pub fn on_signal(&self, signal: i32, fate: Fate) -> io::Result<()> {
        // In this order: whoever is woken finds the request.
        signal_hook::flag::register_usize(signal, Arc::clone(&self.0.fate), number(fate))?;
        signal_hook::low_level::pipe::register(signal, self.0.waker.try_clone()?)?;
        Ok(())
    }

    /// Has one signal turn verbose mode off and another turn it on.
    ///
    /// # Errors
    /// What the system says, such as that such a signal cannot be caught.
    pub fn verbose_on_signals(&self, quiet: i32, verbose: i32) -> io::Result<()> {
        signal_hook::flag::register_usize(quiet, Arc::clone(&self.0.verbose), QUIET)?;
        signal_hook::flag::register_usize(verbose, Arc::clone(&self.0.verbose), VERBOSE)?;
        Ok(())
    }

    /// Has a signal end the program that runs, as if its time were up.
    ///
    /// # Errors
    /// What the system says, such as that this signal cannot be caught.
    pub fn timeout_on_signal(&self, signal: i32) -> io::Result<()> {
        signal_hook::flag::register_usize(signal, Arc::clone(&self.0.alarm), 1)?;
        Ok(())
    }

    /// Waits until there is something to read, or this is asked for.
    ///
    /// # Errors
    /// What the system says of waiting.
    pub fn wait_for_input(&self, input: impl AsFd) -> io::Result<()> {
        let mut fds = [PollFd::new(&self.0.woken, PollFlags::IN), PollFd::new(&input, PollFlags::IN)];
        Ok(wait(&mut fds, None)?)
    }

    /// Whether a program is to be ended; asked once, it is not told again.
    pub(super) fn alarm(&self) -> bool {
        self.0.alarm.load(Ordering::Relaxed) != 0 && self.0.alarm.swap(0, Ordering::Relaxed) != 0
    }

    /// Whether verbose mode is to be changed; asked once, it is not told again.
    pub(super) fn verbose(&self) -> Option<bool> {
        if self.0.verbose.load(Ordering::Relaxed) == 0 {
            return None;
        }
        Some(self.0.verbose.swap(0, Ordering::Relaxed) == VERBOSE)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.woken.as_fd()
    }

    /// Sleeps, unless it is asked for meanwhile.
    pub(super) fn sleep(&self, time: Duration) {
        let end = after(time);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.requested().is_some() {
                return;
            }
            let _ = wait(&mut [PollFd::new(&self.fd(), PollFlags::IN)], Some(left));
        }
    }
}

/// So much later, or as late as it gets.
pub(super) fn after(time: Duration) -> Instant {
    const LATEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
    Instant::now() + time.min(LATEST)
}

fn number(fate: Fate) -> usize {
    match fate {
        Fate::Bounced => BOUNCED,
        Fate::Lost => LOST,
        _ => REQUEUED,
    }
}

/// Polls; interrupted by a signal, it answers as if nothing had happened.
pub(super) fn wait(fds: &mut [PollFd<'_>], most: Option<Duration>) -> Result<(), Errno> {
    let most = most.map(|most| Timespec {
        tv_sec: i64::try_from(most.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: most.subsec_nanos().into(),
    });
    match rustix::event::poll(fds, most.as_ref()) {
        Err(Errno::INTR) => {
            fds.iter_mut().for_each(PollFd::clear_revents);
            Ok(())
        }
        polled => polled.map(|_| ()),
    }
}

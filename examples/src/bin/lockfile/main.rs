//! `lockfile`: takes semaphore files for shell scripts. See `lockfile -h`.
//!
//! The command line is done from left to right, as lockfile(1) of procmail 3.22 does it. All files are taken or none.

mod options;
mod user;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use maildrop::{DotLock, DotLockOptions, LockAttempt};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use options::{Item, Refused};

/// Exit codes of sysexits(3).
const EX_USAGE: u8 = 64;
const EX_UNAVAILABLE: u8 = 69;
const EX_OSERR: u8 = 71;
const EX_CANTCREAT: u8 = 73;
const EX_TEMPFAIL: u8 = 75;

const USAGE: &str = "Usage: lockfile -v | -nnn | -r nnn | -l nnn | -s nnn | -! | -ml | -mu | file ...\n";

const HELP: &str = "\t-v\tsay which version this is
\t-nnn\ttry every nnn seconds (8)
\t-r nnn\tgive up after nnn retries (-1: never)
\t-l nnn\ttake away locks that are older than nnn seconds
\t-s nnn\tthen wait nnn seconds (16)
\t-!\tturn the exit code round
\t-ml\tlock the mailbox in the mail spool
\t-mu\tunlock it
";

fn main() -> ExitCode {
    let items = match options::parse(std::env::args_os().skip(1)) {
        Ok(items) => items,
        Err(refused) => return usage(refused),
    };
    // Signals are waited for together with the clock, so that a death leaves no locks.
    let runtime = Builder::new_current_thread().enable_all().build();
    let waiter = runtime.and_then(Waiter::new);
    let waiter = match waiter {
        Ok(waiter) => waiter,
        Err(error) => {
            eprintln!("lockfile: cannot wait for signals: {error}");
            return ExitCode::from(EX_OSERR);
        }
    };
    ExitCode::from(Run::new(waiter).all(items))
}

fn usage(refused: Refused) -> ExitCode {
    let text = match refused {
        Refused::Usage => USAGE.to_owned(),
        Refused::Help => [USAGE, HELP].concat(),
        Refused::Version => {
            let lock = user::mailbox_lock().unwrap_or_else(|| PathBuf::from("none"));
            format!(
                "lockfile {} (Mailwright), as of procmail 3.22\n\nYour system mailbox's lockfile:\t{}\n",
                env!("CARGO_PKG_VERSION"),
                lock.display()
            )
        }
    };
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::from(EX_USAGE)
}

/// Waits for time to pass, unless a signal comes.
struct Waiter {
    runtime: Runtime,
    signals: Vec<Signal>,
}

impl Waiter {
    fn new(runtime: Runtime) -> std::io::Result<Waiter> {
        let kinds =
            [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit(), SignalKind::terminate()];
        let guard = runtime.enter();
        let signals = kinds.into_iter().map(signal).collect::<Result<_, _>>()?;
        drop(guard);
        Ok(Waiter { runtime, signals })
    }

    /// Answers whether a signal came.
    fn wait(&mut self, time: Duration) -> bool {
        let [hangup, interrupt, quit, terminate] = &mut self.signals[..] else { return false };
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                _ = hangup.recv() => true,
                _ = interrupt.recv() => true,
                _ = quit.recv() => true,
                _ = terminate.recv() => true,
                () = tokio::time::sleep(time) => false,
            }
        })
    }
}

/// Why a file could not be locked.
enum Failure {
    /// Another has it.
    Held,
    /// No file can be made there.
    Impossible,
    Signal,
}

struct Run {
    waiter: Waiter,
    sleep: Duration,
    retries: Option<u32>,
    stale_after: Option<Duration>,
    suspend: Duration,
    inverted: bool,
    taken: Vec<DotLock>,
    unlocked_or_locked: bool,
}

impl Run {
    fn new(waiter: Waiter) -> Run {
        Run {
            waiter,
            sleep: Duration::from_secs(8),
            retries: None,
            stale_after: None,
            suspend: Duration::from_secs(16),
            inverted: false,
            taken: Vec::new(),
            unlocked_or_locked: false,
        }
    }

    fn all(mut self, items: Vec<Item>) -> u8 {
        for item in items {
            match item {
                Item::Sleep(seconds) => self.sleep = Duration::from_secs(seconds.into()),
                Item::Retries(retries) => self.retries = retries,
                Item::StaleAfter(seconds) => {
                    let limit = u64::try_from(seconds).unwrap_or(0);
                    self.stale_after = (seconds != 0).then(|| Duration::from_secs(limit));
                }
                Item::Suspend(seconds) => self.suspend = Duration::from_secs(seconds.into()),
                Item::Invert => self.inverted = !self.inverted,
                Item::UnlockMailbox => {
                    let Some(path) = user::mailbox_lock() else { return self.give_up(None, EX_UNAVAILABLE) };
                    if std::fs::remove_file(&path).is_err() {
                        eprintln!("lockfile: Can't unlock \"{}\"", path.display());
                        continue;
                    }
                    self.unlocked_or_locked = true;
                }
                Item::LockMailbox => {
                    let Some(path) = user::mailbox_lock() else { return self.give_up(None, EX_UNAVAILABLE) };
                    if let Err(code) = self.lock(path) {
                        return code;
                    }
                }
                Item::File(path) => {
                    if let Err(code) = self.lock(path) {
                        return code;
                    }
                }
            }
        }
        if self.taken.is_empty() && !self.unlocked_or_locked {
            let _ = std::io::stderr().write_all(USAGE.as_bytes());
            return EX_USAGE;
        }
        for lock in std::mem::take(&mut self.taken) {
            lock.keep();
        }
        if self.inverted { EX_CANTCREAT } else { 0 }
    }

    fn lock(&mut self, path: PathBuf) -> Result<(), u8> {
        match self.take(path.clone()) {
            Ok(lock) => {
                self.taken.push(lock);
                Ok(())
            }
            Err(Failure::Held) => Err(self.give_up(Some(("Sorry", &path)), EX_CANTCREAT)),
            Err(Failure::Impossible) => Err(self.give_up(Some(("Try praying", &path)), EX_UNAVAILABLE)),
            Err(Failure::Signal) => Err(self.give_up(Some(("Signal received", &path)), EX_TEMPFAIL)),
        }
    }

    /// Removes what was taken.
    fn give_up(&mut self, why: Option<(&str, &Path)>, code: u8) -> u8 {
        self.taken.clear();
        if let Some((why, path)) = why {
            eprintln!("lockfile: {why}, giving up on \"{}\"", path.display());
        }
        // Only that another has the lock is worth another round of a loop.
        if self.inverted && code == EX_CANTCREAT { 0 } else { code }
    }

    fn take(&mut self, mut path: PathBuf) -> Result<DotLock, Failure> {
        let options = DotLockOptions::new();
        loop {
            let held = match DotLock::attempt(&path, &options) {
                Ok(LockAttempt::Acquired(lock)) => return Ok(lock),
                Ok(LockAttempt::Held(held)) => Some(held),
                Ok(_) => None,
                Err(error) if error.kind() == std::io::ErrorKind::InvalidFilename => {
                    eprintln!("lockfile: Truncating \"{}\" and retrying lock", path.display());
                    path = options::shortened(&path).ok_or(Failure::Impossible)?;
                    continue;
                }
                Err(_) => return Err(Failure::Impossible),
            };
            if let Some(stale) = held.filter(|held| self.stale_after.is_some_and(|limit| held.age() > limit))
            {
                if stale.force().is_ok() {
                    eprintln!("lockfile: Forcing lock on \"{}\"", path.display());
                    if self.waiter.wait(self.suspend) {
                        return Err(Failure::Signal);
                    }
                    continue;
                }
                eprintln!("lockfile: Forced unlock denied on \"{}\"", path.display());
            }
            // What is left of the retries is for the files behind this one.
            match &mut self.retries {
                Some(0) => return Err(Failure::Held),
                Some(left) => *left -= 1,
                None => {}
            }
            if self.waiter.wait(self.sleep) {
                return Err(Failure::Signal);
            }
        }
    }
}

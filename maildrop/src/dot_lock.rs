//! Lock files: `box.lock` beside `box`, as procmail, mutt, Dovecot and liblockfile know them.
//!
//! A lock is taken the way that is safe on NFS, where exclusive creation may not be: a file with a unique name is made
//! beside it, then linked to the name of the lock, which fails if that exists. What counts is not the answer to `link`,
//! which NFS may lose, but whether the unique file has two names afterwards. The lock holds the octet `0` and has mode
//! 0444, as procmail's, unless it shall [tell its owner](DotLockOptions::tell_owner).
//!
//! A lock file outlives a program that is killed. One that tells its owner, a process of this host, is taken away as soon as
//! that is gone; any other that has not been touched for long enough, by force too. Its age is measured against the time
//! stamp of the unique file: by the clock of the disk, not of this machine.
//!
//! Only the file that was made is removed when a lock is given up, and only the one that was found stale is taken away:
//! what another has put in its place meanwhile stays. No system removes a name only if it is that of a certain file, so
//! it is looked at right before; those who use this crate keep each other out meanwhile, by a lock of the kernel's on the
//! stale file.
//!
//! ```
//! use maildrop::{DotLock, DotLockOptions};
//!
//! # let dir = tempfile::tempdir()?;
//! let path = dir.path().join("box.lock");
//! let lock = DotLock::acquire(&path, &DotLockOptions::new())?;
//! assert!(path.exists());
//! assert!(DotLock::acquire(&path, &DotLockOptions::new().retries(0)).is_err());
//! drop(lock);
//! assert!(!path.exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod held;
mod options;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

pub use self::held::HeldLock;
pub use self::options::DotLockOptions;

use self::held::{Identity, LARGEST};
use crate::error::{Error, Operation};
use crate::lock_owner;
use crate::unique::{HostPart, Unique};

/// What the file holds that does not tell its owner: a process id that no process has, so that nobody takes the owner for dead.
const NOBODY: &[u8] = b"0";
const MODE: u32 = 0o444;
/// Unique names to try.
const ATTEMPTS: usize = 8;
/// Looks at a directory that is not there before the lock is given up: it may be on its way (an automounter).
const MISSING_ATTEMPTS: u32 = 8;

/// What happens while a lock is being waited for. The answer of the observer says whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockWait {
    /// Another holds it. The caller sleeps next.
    Held {
        /// How often it was tried so far.
        attempts: u32,
    },
    /// It is stale and was taken away.
    Forced,
    /// It is stale, but could not be taken away.
    ForceRefused,
}

/// One attempt at a lock.
#[derive(Debug)]
#[non_exhaustive]
pub enum LockAttempt {
    /// The lock is held from here on.
    Acquired(DotLock),
    /// Another holds it.
    Held(HeldLock),
}

/// A lock file that is held, and removed when this is dropped.
#[derive(Debug)]
#[must_use = "a lock that is dropped is released"]
pub struct DotLock {
    path: PathBuf,
    /// While it is open, no other file has its number.
    file: File,
    released: bool,
}

impl DotLock {
    /// Takes a lock, waiting as the options say.
    ///
    /// # Errors
    /// [`Error::LockHeld`] if another keeps it for too long, or [`Error::Io`].
    pub fn acquire(path: impl Into<PathBuf>, options: &DotLockOptions) -> Result<DotLock, Error> {
        DotLock::acquire_with(path, options, |_| ControlFlow::Continue(()))
    }

    /// Takes a lock, and tells `observe` about the waiting: to log it, or to break it off, which is answered with
    /// [`Error::LockHeld`].
    ///
    /// # Errors
    /// [`Error::LockHeld`] or [`Error::Io`].
    pub fn acquire_with(
        path: impl Into<PathBuf>,
        options: &DotLockOptions,
        mut observe: impl FnMut(LockWait) -> ControlFlow<()>,
    ) -> Result<DotLock, Error> {
        let path = path.into();
        let (mut attempts, mut missing) = (0_u32, 0_u32);
        let mut is_last_look = false;
        loop {
            let exhausted = options.retries.is_some_and(|retries| attempts >= retries);
            let held = match DotLock::attempt(&path, options) {
                Ok(LockAttempt::Acquired(lock)) => return Ok(lock),
                Ok(LockAttempt::Held(held)) => Some(held),
                // NFS servers forget, disks are being mounted: try again some times.
                Err(error) if error.is_not_found() && missing < MISSING_ATTEMPTS && !exhausted => {
                    missing += 1;
                    None
                }
                Err(error) => return Err(error),
            };
            attempts += 1;
            let is_stale = |held: &HeldLock| {
                held.is_orphaned() || options.stale_after.is_some_and(|limit| held.age() > limit)
            };
            let orphaned = held.as_ref().is_some_and(HeldLock::is_orphaned);
            let stale = held.filter(is_stale);
            let event = match stale.map(HeldLock::force) {
                Some(Ok(true)) => LockWait::Forced,
                Some(Err(_)) => LockWait::ForceRefused,
                Some(Ok(false)) | None => LockWait::Held { attempts },
            };
            let forced = event == LockWait::Forced;
            let go_on = observe(event).is_continue();
            // Of one that is merely old, the owner may be alive, and see what became of it.
            let pause = match (forced, orphaned) {
                (true, true) => Duration::ZERO,
                (true, false) => options.suspend,
                (false, _) => options.sleep,
            };
            // What was freed by force is worth another look, if it need not be waited for, but only one: others may go on
            // putting stale ones there.
            let looks_again = forced && pause.is_zero() && !is_last_look;
            if !go_on || (exhausted && !looks_again) {
                return Err(Error::LockHeld { path, attempts });
            }
            is_last_look = exhausted;
            std::thread::sleep(pause);
        }
    }

    /// Tries once, without waiting.
    ///
    /// # Errors
    /// [`Error::Io`] if no lock can be made there, whoever holds it: [`Error::is_not_found`] for a missing directory.
    pub fn attempt(path: &Path, options: &DotLockOptions) -> Result<LockAttempt, Error> {
        let lock_error = |error: io::Error| Error::io(Operation::Lock, path, error);
        options.inject(Operation::Lock).map_err(lock_error)?;
        let owner = if options.tells_owner { lock_owner::this_process() } else { None };
        let content = owner.as_deref().map_or(NOBODY, str::as_bytes);
        let (unique, file) = UniqueFile::create(path, content).map_err(lock_error)?;
        let acquired = |file| LockAttempt::Acquired(DotLock { path: path.to_owned(), file, released: false });
        let linked = match options.inject(Operation::Link) {
            Ok(()) => rustix::fs::linkat(CWD, &unique.0, CWD, path, AtFlags::empty()),
            Err(error) => return Err(lock_error(error)),
        };
        let stat = match rustix::fs::fstat(&file) {
            Ok(stat) => stat,
            Err(errno) => {
                // It may be ours, and nobody would ever give it up.
                if linked.is_ok() {
                    drop(std::fs::remove_file(path));
                }
                return Err(lock_error(errno.into()));
            }
        };
        match linked {
            // The answer may have been lost on the way from an NFS server; the count of names was not.
            _ if stat.st_nlink == 2 => Ok(acquired(file)),
            Ok(()) | Err(Errno::EXIST) => Ok(LockAttempt::Held(HeldLock::new(path, stat.st_mtime))),
            // No hard links on this disk.
            Err(Errno::PERM | Errno::NOTSUP | Errno::NOSYS | Errno::MLINK) => match create(path, content) {
                Ok(file) => Ok(acquired(file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    Ok(LockAttempt::Held(HeldLock::new(path, stat.st_mtime)))
                }
                Err(error) => Err(lock_error(error)),
            },
            Err(errno) => Err(lock_error(errno.into())),
        }
    }

    /// Takes away a lock whoever holds it. One that is gone already is as good.
    ///
    /// # Errors
    /// [`Error::Io`] if the system does not let it be removed.
    pub fn force(path: &Path) -> Result<(), Error> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io(Operation::Remove, path, error))
            }
            _ => Ok(()),
        }
    }

    /// The lock file that goes with `file`: its name with `.lock` behind it.
    pub fn path_for(file: &Path) -> PathBuf {
        let mut path = OsString::from(file);
        path.push(".lock");
        path.into()
    }

    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the lock file, and says whether that worked.
    ///
    /// # Errors
    /// [`Error::LockLost`] if another has taken it away and put its own in its place, or if it has become more than a lock
    /// file, since mail was written to it: what is there stays. [`Error::Io`] if it could not be removed, also if it is gone.
    pub fn release(mut self) -> Result<(), Error> {
        self.released = true;
        self.remove()
    }

    fn remove(&self) -> Result<(), Error> {
        let error = |error: io::Error| Error::io(Operation::Remove, &self.path, error);
        let named = rustix::fs::lstat(&self.path).map_err(|errno| error(errno.into()))?;
        match rustix::fs::fstat(&self.file) {
            Ok(ours)
                if ours.st_size <= LARGEST && Identity::of(&ours).is_same_file(&Identity::of(&named)) =>
            {
                std::fs::remove_file(&self.path).map_err(error)
            }
            // An NFS server does not know a file that was removed.
            _ => Err(Error::LockLost { path: self.path.clone() }),
        }
    }

    /// Leaves the lock file where it is, for another program to remove.
    pub fn keep(mut self) -> PathBuf {
        self.released = true;
        std::mem::take(&mut self.path)
    }
}

impl Drop for DotLock {
    fn drop(&mut self) {
        if !self.released {
            // Nothing can be done about a failure here; others will find the lock stale in time.
            let _ = self.remove();
        }
    }
}

/// The name of the file that is linked to the name of the lock; it goes when this is dropped.
struct UniqueFile(PathBuf);

impl UniqueFile {
    fn create(lock: &Path, content: &[u8]) -> io::Result<(UniqueFile, File)> {
        let mut attempts = 0;
        loop {
            // procmail's begin with an underscore too, so that who cleans up after one cleans up after both.
            let name = format!("_{}", Unique::generate(&HostPart::this_host()));
            let path = lock.with_file_name(name);
            match create(&path, content) {
                Ok(file) => return Ok((UniqueFile(path), file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempts < ATTEMPTS => {
                    attempts += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for UniqueFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn create(path: &Path, content: &[u8]) -> io::Result<File> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut file = File::from(rustix::fs::open(path, flags, Mode::from_raw_mode(MODE))?);
    if let Err(error) = file.write_all(content)
        // On a full disk an empty file is a lock as good, and what it is for may need no room.
        && !matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    {
        let _ = std::fs::remove_file(path);
        return Err(error);
    }
    Ok(file)
}

#[cfg(test)]
mod tests;

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

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::{Error, Operation};
use crate::fault::{Fault, Faults};
use crate::lock_owner;
use crate::unique::{HostPart, Unique};

/// What the file holds that does not tell its owner: a process id that no process has, so that nobody takes the owner for dead.
const NOBODY: &[u8] = b"0";
/// Bytes of the largest lock file that any program makes.
const LARGEST: i64 = 16;
const MODE: u32 = 0o444;
/// Unique names to try.
const ATTEMPTS: usize = 8;
/// Looks at a directory that is not there before the lock is given up: it may be on its way (an automounter).
const MISSING_ATTEMPTS: u32 = 8;

/// How long to try for a lock, and when another's is taken for a dead one. The defaults are procmail's.
#[derive(Clone, Debug)]
pub struct DotLockOptions {
    sleep: Duration,
    retries: Option<u32>,
    stale_after: Option<Duration>,
    suspend: Duration,
    tells_owner: bool,
    faults: Option<Arc<dyn Faults>>,
}

impl Default for DotLockOptions {
    fn default() -> DotLockOptions {
        DotLockOptions {
            sleep: Duration::from_secs(8),
            retries: None,
            stale_after: Some(Duration::from_secs(1024)),
            suspend: Duration::from_secs(16),
            tells_owner: false,
            faults: None,
        }
    }
}

impl DotLockOptions {
    /// Try every 8 seconds without end, force locks that are older than 1024 seconds, then wait 16 seconds.
    pub fn new() -> DotLockOptions {
        DotLockOptions::default()
    }

    /// Time between attempts.
    #[must_use]
    pub fn sleep(self, sleep: Duration) -> DotLockOptions {
        DotLockOptions { sleep, ..self }
    }

    /// Attempts after the first before the lock is given up.
    #[must_use]
    pub fn retries(self, retries: u32) -> DotLockOptions {
        DotLockOptions { retries: Some(retries), ..self }
    }

    /// Age from which on a lock is taken away by force; `None` never does.
    #[must_use]
    pub fn stale_after(self, age: Option<Duration>) -> DotLockOptions {
        DotLockOptions { stale_after: age, ..self }
    }

    /// Time to wait after a lock was taken away, so that two programs that both found it stale do not take away each
    /// other's new one.
    #[must_use]
    pub fn suspend(self, suspend: Duration) -> DotLockOptions {
        DotLockOptions { suspend, ..self }
    }

    /// Writes into the lock file whose it is, where the system can tell (on Linux), so that others who use this crate need
    /// not wait for it to grow old should this process be killed. To other programs it looks like any lock file.
    #[must_use]
    pub fn tell_owner(self) -> DotLockOptions {
        DotLockOptions { tells_owner: true, ..self }
    }

    /// Sets a fault hook for the steps of taking a lock.
    #[must_use]
    pub fn with_faults(self, faults: Arc<dyn Faults>) -> DotLockOptions {
        DotLockOptions { faults: Some(faults), ..self }
    }

    fn inject(&self, operation: Operation) -> io::Result<()> {
        self.faults.as_ref().map_or(Fault::None, |faults| faults.inject(operation)).check()
    }
}

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

/// A lock file that another holds.
#[derive(Clone, Debug)]
pub struct HeldLock {
    path: PathBuf,
    age: Duration,
    /// Whether it tells of an owner that is gone.
    orphaned: bool,
    /// Nothing if it is gone already.
    identity: Option<Identity>,
}

impl HeldLock {
    /// `now` is when another file on the same disk was written. What has more bytes than a lock file, or is no file, is
    /// something else, such as a mailbox or `/dev/null`, and never old: nobody is to take it away.
    fn new(path: &Path, now: i64) -> HeldLock {
        let stat = rustix::fs::lstat(path).ok();
        let is_lock =
            |stat: &&Stat| stat.st_size <= LARGEST && FileType::from_raw_mode(stat.st_mode).is_file();
        let lock = stat.as_ref().filter(is_lock);
        let touched = lock.map_or(now, |stat| stat.st_mtime);
        let age = Duration::from_secs(u64::try_from(now.saturating_sub(touched)).unwrap_or(0));
        let orphaned = lock.is_some() && lock_owner::is_dead(path);
        HeldLock { path: path.to_owned(), age, orphaned, identity: stat.as_ref().map(Identity::of) }
    }

    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Time since it was last touched, by the clock of the disk. Zero if it is gone already, or is no lock file: no regular
    /// file, or one of more than 16 bytes.
    pub fn age(&self) -> Duration {
        self.age
    }

    /// Whether it tells of an owner that is gone; see [`DotLockOptions::tell_owner`].
    pub fn is_orphaned(&self) -> bool {
        self.orphaned
    }

    /// Takes it away, unless another file has come in its place. Answers whether it did; one that is gone already need not be.
    ///
    /// # Errors
    /// [`Error::Io`] if the system does not let it be removed.
    pub fn force(self) -> Result<bool, Error> {
        // Whoever has this lock is the only one of us that may take this file away, so no other comes in its place between
        // the look and the removal. Where there are no such locks it is less sure.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = rustix::fs::open(&self.path, flags, Mode::empty());
        if let Ok(file) = &file
            && rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::AGAIN)
        {
            return Ok(false);
        }
        let found = rustix::fs::lstat(&self.path).ok().as_ref().map(Identity::of);
        let stays = self.identity.is_none() || found != self.identity;
        if stays { Ok(false) } else { DotLock::force(&self.path).map(|()| true) }
    }
}

/// Which file it is. A number is given to another file only when the one that had it is gone; that one was then made at
/// another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    // Wide enough for the numbers of all systems.
    device: i128,
    inode: i128,
    modified: (i128, i128),
}

impl Identity {
    fn of(stat: &Stat) -> Identity {
        Identity {
            device: stat.st_dev.into(),
            inode: stat.st_ino.into(),
            modified: (stat.st_mtime.into(), stat.st_mtime_nsec.into()),
        }
    }

    fn is_same_file(&self, other: &Identity) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
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
            let is_stale =
                |held: &HeldLock| held.orphaned || options.stale_after.is_some_and(|limit| held.age > limit);
            let orphaned = held.as_ref().is_some_and(HeldLock::is_orphaned);
            let stale = held.filter(is_stale);
            let event = match stale.map(HeldLock::force) {
                Some(Ok(true)) => LockWait::Forced,
                Some(Err(_)) => LockWait::ForceRefused,
                Some(Ok(false)) | None => LockWait::Held { attempts },
            };
            let forced = event == LockWait::Forced;
            let go_on = observe(event).is_continue();
            // What was freed by force is worth another look.
            if !go_on || (exhausted && !forced) {
                return Err(Error::LockHeld { path, attempts });
            }
            // Of one that is merely old, the owner may be alive, and see what became of it.
            let pause = if forced { options.suspend } else { options.sleep };
            if !(forced && orphaned) {
                std::thread::sleep(pause);
            }
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
mod tests {
    use super::*;
    use crate::fault::FaultPlan;
    use std::os::unix::fs::PermissionsExt;
    use std::time::SystemTime;

    fn quick() -> DotLockOptions {
        DotLockOptions::new().sleep(Duration::from_millis(1)).suspend(Duration::from_millis(1))
    }

    fn names(dir: &Path) -> Vec<OsString> {
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_lock_looks_like_procmails_and_goes_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box.lock");
        assert_eq!(DotLock::path_for(&dir.path().join("box")), path);
        let lock = DotLock::acquire(&path, &quick()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"0");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777 & !0o444, 0);
        assert_eq!(names(dir.path()), ["box.lock"]);
        drop(lock);
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn a_lock_can_be_kept_and_its_loss_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = DotLock::acquire(dir.path().join("a"), &quick()).unwrap().keep();
        assert!(path.exists());
        DotLock::force(&path).unwrap();
        DotLock::force(&path).unwrap();
        let lock = DotLock::acquire(&path, &quick()).unwrap();
        DotLock::force(&path).unwrap();
        assert!(lock.release().unwrap_err().is_not_found());
    }

    #[test]
    fn a_lock_that_another_has_put_in_the_place_of_ours_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box.lock");
        let replace = || {
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, "theirs").unwrap();
        };
        let lock = DotLock::acquire(&path, &quick()).unwrap();
        replace();
        assert!(matches!(lock.release(), Err(Error::LockLost { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
        std::fs::remove_file(&path).unwrap();
        let lock = DotLock::acquire(&path, &quick()).unwrap();
        replace();
        drop(lock);
        assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
    }

    #[test]
    fn a_lock_that_mail_was_written_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        let lock = DotLock::acquire(&path, &quick()).unwrap();
        let mail = b"From a@b\nSubject: x\n\nbody\n";
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, mail).unwrap();
        assert!(matches!(lock.release(), Err(Error::LockLost { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), mail);
    }

    #[test]
    fn only_the_lock_that_was_found_stale_is_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box.lock");
        let held = || match DotLock::attempt(&path, &quick()).unwrap() {
            LockAttempt::Held(held) => held,
            LockAttempt::Acquired(_) => panic!("expected that another holds the lock"),
        };
        std::fs::write(&path, "").unwrap();
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        File::open(&path).unwrap().set_modified(hour_ago).unwrap();
        let stale = held();
        assert!(stale.age() >= Duration::from_secs(3599));
        let kept_open = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        assert!(!stale.clone().force().unwrap());
        assert!(path.exists());
        drop(kept_open);
        assert!(held().force().unwrap());
        assert!(!path.exists());
        assert!(!stale.force().unwrap());
    }

    #[test]
    fn what_is_no_file_is_no_stale_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        let pipe = File::options().read(true).write(true).open(&path).unwrap();
        pipe.set_modified(hour_ago).unwrap();
        let options = quick().retries(0).stale_after(Some(Duration::from_secs(60)));
        assert!(matches!(DotLock::acquire(&path, &options), Err(Error::LockHeld { .. })));
        assert!(path.exists());
    }

    #[test]
    fn a_held_lock_is_given_up_after_the_retries() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box.lock");
        let _lock = DotLock::acquire(&path, &quick()).unwrap();
        let mut seen = Vec::new();
        let result = DotLock::acquire_with(&path, &quick().retries(2), |event| {
            seen.push(event);
            ControlFlow::Continue(())
        });
        assert!(matches!(result, Err(Error::LockHeld { attempts: 3, .. })), "{result:?}");
        assert_eq!(seen, [1, 2, 3].map(|attempts| LockWait::Held { attempts }));
        let result = DotLock::acquire_with(&path, &quick(), |_| ControlFlow::Break(()));
        assert!(result.unwrap_err().is_transient());
        assert_eq!(names(dir.path()), ["box.lock"]);
    }

    #[test]
    fn a_stale_lock_is_taken_away_and_a_fresh_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box.lock");
        std::fs::write(&path, "").unwrap();
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        File::open(&path).unwrap().set_modified(hour_ago).unwrap();
        let limit = |secs| quick().stale_after(Some(Duration::from_secs(secs))).retries(0);
        assert!(DotLock::acquire(&path, &limit(7200)).is_err());
        assert!(DotLock::acquire(&path, &quick().stale_after(None).retries(0)).is_err());
        let mut seen = Vec::new();
        let lock = DotLock::acquire_with(&path, &limit(1800), |event| {
            seen.push(event);
            ControlFlow::Continue(())
        });
        assert_eq!(lock.unwrap().path(), path);
        assert_eq!(seen, [LockWait::Forced]);
    }

    #[test]
    fn the_lock_of_a_process_that_is_dead_is_taken_away_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let options = quick().retries(0).tell_owner();
        let ours = DotLock::acquire(&path, &options).unwrap();
        let Some(owner) = lock_owner::this_process() else { return };
        assert_eq!(std::fs::read_to_string(&path).unwrap(), owner);
        assert!(DotLock::acquire(&path, &options).is_err(), "its owner lives");
        drop(ours);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = owner.replace(&std::process::id().to_string(), &child.id().to_string());
        child.wait().unwrap();
        std::fs::write(&path, dead).unwrap();
        // Whoever takes no notice of owners in its own locks heeds those of others.
        drop(DotLock::acquire(&path, &quick().retries(0).suspend(Duration::from_secs(3600))).unwrap());
        assert_eq!(names(dir.path()), Vec::<OsString>::new());
    }

    #[test]
    fn one_thread_at_a_time_takes_the_lock_of_a_dead_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let Some(owner) = lock_owner::this_process() else { return };
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = owner.replace(&std::process::id().to_string(), &child.id().to_string());
        child.wait().unwrap();
        let options = quick().tell_owner();
        let holders = std::sync::atomic::AtomicUsize::new(0);
        for _ in 0..300 {
            std::fs::write(&path, &dead).unwrap();
            std::thread::scope(|scope| {
                for _ in 0..6 {
                    scope.spawn(|| {
                        let lock = DotLock::acquire(&path, &options).unwrap();
                        assert_eq!(holders.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        holders.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        lock.release().unwrap();
                    });
                }
            });
        }
    }

    #[test]
    fn a_missing_directory_and_failing_steps_are_told_and_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let error = DotLock::acquire(dir.path().join("no/box.lock"), &quick()).unwrap_err();
        assert!(error.is_not_found(), "{error}");
        for operation in [Operation::Lock, Operation::Link] {
            let plan = FaultPlan::new().nth(operation, 1, Fault::no_space());
            let options = quick().with_faults(Arc::new(plan));
            let error = DotLock::acquire(dir.path().join("box.lock"), &options).unwrap_err();
            assert!(error.is_storage_full());
            assert!(names(dir.path()).is_empty());
        }
    }

    #[test]
    fn one_thread_at_a_time_holds_a_lock() {
        let dir = tempfile::tempdir().unwrap();
        let (path, counter) = (dir.path().join("box.lock"), dir.path().join("counter"));
        std::fs::write(&counter, "0").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let _lock = DotLock::acquire(&path, &quick()).unwrap();
                        let count: u32 = std::fs::read_to_string(&counter).unwrap().parse().unwrap();
                        std::fs::write(&counter, (count + 1).to_string()).unwrap();
                    }
                });
            }
        });
        assert_eq!(std::fs::read_to_string(&counter).unwrap(), "160");
        assert_eq!(names(dir.path()), ["counter"]);
    }
}

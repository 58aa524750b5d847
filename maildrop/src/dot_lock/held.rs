//! Lock files of others, and what tells one file from another.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::DotLock;
use crate::error::Error;
use crate::lock_owner;

/// Bytes of the largest lock file that any program makes.
pub(super) const LARGEST: i64 = 16;

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
    pub(super) fn new(path: &Path, now: i64) -> HeldLock {
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

    /// Whether it tells of an owner that is gone; see [`DotLockOptions::tell_owner`](super::DotLockOptions::tell_owner).
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
pub(super) struct Identity {
    // Wide enough for the numbers of all systems.
    device: i128,
    inode: i128,
    modified: (i128, i128),
}

impl Identity {
    pub(super) fn of(stat: &Stat) -> Identity {
        Identity {
            device: stat.st_dev.into(),
            inode: stat.st_ino.into(),
            modified: (stat.st_mtime.into(), stat.st_mtime_nsec.into()),
        }
    }

    pub(super) fn is_same_file(&self, other: &Identity) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

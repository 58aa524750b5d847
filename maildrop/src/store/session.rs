//! The lock that lets one exclusive session at a time have a mailbox.
//!
//! It is a lock of the kernel's, so that other processes see it and it dies with the process. A mailbox that is a directory
//! is locked itself, which needs no room on the disk; one that is a file has an empty file beside it for that. Such a file
//! stays: whoever removed it would take away the lock of another who is about to take it.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::path::Arg;

use crate::error::{Error, Operation};
use crate::fs;

/// Held until it is dropped.
#[derive(Debug)]
pub(crate) struct SessionLock {
    _file: File,
}

impl SessionLock {
    /// Takes the lock on a directory, by a handle of its own, or says at once that another has it. Where directories cannot
    /// be locked, as over NFS, it is that on the file `name` in it. `mailbox` is what the error shall name.
    pub(crate) fn of_directory(dir: impl AsFd, name: impl Arg, mailbox: &Path) -> Result<SessionLock, Error> {
        let error = |errno: Errno| Error::io(Operation::Lock, mailbox, errno);
        // Locks belong to the open file, which clones of a handle share.
        let itself = fs::open_dir_at(&dir, ".").map_err(error)?;
        match try_lock(&itself) {
            Ok(()) => Ok(SessionLock { _file: itself.into() }),
            Err(Errno::AGAIN) => Err(Error::InUse { path: mailbox.to_owned() }),
            // All who have this disk mounted in the same way find it so.
            Err(Errno::BADF | Errno::INVAL | Errno::ISDIR | Errno::NOTSUP | Errno::NOSYS) => {
                SessionLock::acquire(dir, name, mailbox)
            }
            Err(errno) => Err(error(errno)),
        }
    }

    /// Takes the lock on the file `name`, which is made if it is not there, or says at once that another has it. `mailbox`
    /// is what the error shall name.
    pub(crate) fn acquire(dir: impl AsFd, name: impl Arg, mailbox: &Path) -> Result<SessionLock, Error> {
        let error = |errno: Errno| Error::io(Operation::Lock, mailbox, errno);
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
        let file = rustix::fs::openat(dir, name, flags | OFlags::NONBLOCK, fs::FILE_MODE).map_err(error)?;
        match try_lock(&file) {
            Ok(()) => Ok(SessionLock { _file: file.into() }),
            Err(Errno::AGAIN) => Err(Error::InUse { path: mailbox.to_owned() }),
            Err(errno) => Err(error(errno)),
        }
    }
}

/// Not the lock that mail programs take: it belongs to the open file on all systems.
fn try_lock(file: impl AsFd) -> rustix::io::Result<()> {
    retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_session_has_to_wait_for_the_end_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let fd = fs::open_dir(dir.path()).unwrap();
        let of_file = || SessionLock::acquire(&fd, "session", dir.path());
        let of_directory = || SessionLock::of_directory(&fd, "session", dir.path());
        for lock in [&of_file as &dyn Fn() -> _, &of_directory] {
            let first = lock().unwrap();
            assert!(matches!(lock(), Err(Error::InUse { .. })));
            drop(first);
            lock().unwrap();
        }
    }

    #[test]
    fn a_directory_is_locked_whatever_lies_in_it_and_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("session")).unwrap();
        let fd = fs::open_dir(dir.path()).unwrap();
        let lock = SessionLock::of_directory(&fd, "session", dir.path()).unwrap();
        drop(lock);
        SessionLock::of_directory(&fd, "other", dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

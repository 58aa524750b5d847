//! The lock that lets one exclusive session at a time have a mailbox.
//!
//! It is a lock of the kernel's on an empty file, so that other processes see it and it dies with the process. The file
//! stays: whoever removed it would take away the lock of another who is about to take it.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::error::{Error, Operation};
use crate::fs;

/// Held until it is dropped.
#[derive(Debug)]
pub(crate) struct SessionLock {
    _file: File,
}

impl SessionLock {
    /// Takes the lock on the file `name`, which is made if it is not there, or says at once that another has it. `mailbox`
    /// is what the error shall name.
    pub(crate) fn acquire(dir: impl AsFd, name: impl Arg, mailbox: &Path) -> Result<SessionLock, Error> {
        let error = |errno: Errno| Error::io(Operation::Lock, mailbox, errno);
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
        let file = rustix::fs::openat(dir, name, flags | OFlags::NONBLOCK, fs::FILE_MODE).map_err(error)?;
        loop {
            // Not the lock that mail programs take: it belongs to the open file on all systems.
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(SessionLock { _file: file.into() }),
                Err(Errno::AGAIN) => return Err(Error::InUse { path: mailbox.to_owned() }),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(error(errno)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_session_has_to_wait_for_the_end_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let fd = fs::open_dir(dir.path()).unwrap();
        let lock = || SessionLock::acquire(&fd, "session", dir.path());
        let first = lock().unwrap();
        assert!(matches!(lock(), Err(Error::InUse { .. })));
        drop(first);
        lock().unwrap();
    }
}

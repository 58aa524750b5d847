//! The kernel's lock on a mailbox file: `fcntl` over the whole file, as procmail, mutt and Dovecot take it.
//!
//! On Linux it belongs to the open file rather than to the process, so that threads of one process keep each other out,
//! and closing another handle of the same file does not give it up; towards other processes it is the same lock.

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;

const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Waits for the lock; it goes when the file is closed. Answers whether it was got before the time was up.
///
/// # Errors
/// What the system says, such as [`Errno::NOLCK`] from a disk that has no locks.
pub(crate) fn lock(file: &File, most: Duration) -> Result<bool, Errno> {
    wait_for(Kind::Alone, file, most)
}

/// The same with others who only read; for files that are open for reading.
///
/// # Errors
/// What the system says.
pub(crate) fn lock_shared(file: &File, most: Duration) -> Result<bool, Errno> {
    wait_for(Kind::Shared, file, most)
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Alone,
    Shared,
    #[cfg(target_os = "linux")]
    None,
}

fn wait_for(kind: Kind, file: &File, most: Duration) -> Result<bool, Errno> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        match set(file, kind) {
            Ok(()) => return Ok(true),
            // Which of the two is up to the system.
            Err(Errno::AGAIN | Errno::ACCESS) => {}
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
        }
        let Some(left) = most.checked_sub(start.elapsed()) else { return Ok(false) };
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Gives the lock up before the file is closed.
///
/// # Errors
/// What the system says.
pub(crate) fn unlock(file: &File) -> Result<(), Errno> {
    #[cfg(target_os = "linux")]
    return set(file, Kind::None);
    #[cfg(not(target_os = "linux"))]
    rustix::fs::fcntl_lock(file, rustix::fs::FlockOperation::NonBlockingUnlock)
}

#[cfg(target_os = "linux")]
fn set(file: &File, kind: Kind) -> Result<(), Errno> {
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    let kind = match kind {
        Kind::Alone => libc::F_WRLCK,
        Kind::Shared => libc::F_RDLCK,
        Kind::None => libc::F_UNLCK,
    };
    let whole = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&whole)) {
        Ok(_) => Ok(()),
        Err(errno) => Err(Errno::from_raw_os_error(errno as i32)),
    }
}

#[cfg(not(target_os = "linux"))]
fn set(file: &File, kind: Kind) -> Result<(), Errno> {
    let operation = match kind {
        Kind::Alone => rustix::fs::FlockOperation::NonBlockingLockExclusive,
        Kind::Shared => rustix::fs::FlockOperation::NonBlockingLockShared,
    };
    rustix::fs::fcntl_lock(file, operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_handle_waits_until_the_first_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        let first = File::create(&path).unwrap();
        let second = File::options().write(true).open(&path).unwrap();
        assert_eq!(lock(&first, Duration::ZERO), Ok(true));
        assert_eq!(lock(&second, Duration::from_millis(5)), Ok(false));
        // Closing yet another handle does not give it up.
        drop(File::open(&path).unwrap());
        assert_eq!(lock(&second, Duration::ZERO), Ok(false));
        drop(first);
        assert_eq!(lock(&second, Duration::ZERO), Ok(true));
    }

    #[test]
    fn readers_share_a_lock_and_keep_writers_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        let writer = File::create(&path).unwrap();
        let readers = [File::open(&path).unwrap(), File::open(&path).unwrap()];
        for reader in &readers {
            assert_eq!(lock_shared(reader, Duration::ZERO), Ok(true));
        }
        assert_eq!(lock(&writer, Duration::ZERO), Ok(false));
        drop(readers);
        assert_eq!(lock(&writer, Duration::ZERO), Ok(true));
        assert_eq!(lock_shared(&File::open(&path).unwrap(), Duration::ZERO), Ok(false));
    }
}

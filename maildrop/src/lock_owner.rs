//! Who holds a lock file, written into it so that the lock of a program that was killed need not grow old.
//!
//! It is `p`, the process id, a colon and seven hexadecimal digits, which stand for the host, its boot and the name space of
//! process ids: a process of another host or container is not looked for here. That is no more than the sixteen octets that
//! programs take for a lock file, and does not begin with a digit: to those that look for a process id in it, nobody's.

use std::path::Path;
use std::sync::LazyLock;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, getpid, test_kill_process};
use sha2::{Digest, Sha256};

/// Digits of the place.
const DIGITS: usize = 7;
/// Octets of the longest owner.
const LONGEST: usize = 16;

/// Where process ids mean what they mean to this process. Nothing where the system does not tell.
static PLACE: LazyLock<Option<String>> = LazyLock::new(|| {
    let boot = std::fs::read("/proc/sys/kernel/random/boot_id").ok()?;
    let names = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let mut hash = Sha256::new();
    hash.update(rustix::system::uname().nodename().to_bytes());
    hash.update(boot);
    hash.update(names.as_os_str().as_encoded_bytes());
    let digest = hash.finalize();
    let digits: String = digest.iter().take(DIGITS.div_ceil(2)).map(|byte| format!("{byte:02x}")).collect();
    Some(digits[..DIGITS].to_owned())
});

/// What this process writes into a lock file, where it can be found by that.
pub(crate) fn this_process() -> Option<String> {
    let owner = format!("p{}:{}", getpid().as_raw_nonzero(), PLACE.as_deref()?);
    (owner.len() <= LONGEST).then_some(owner)
}

/// Whether a lock file tells of an owner that is dead.
pub(crate) fn is_dead(lock: &Path) -> bool {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let Ok(file) = rustix::fs::open(lock, flags, Mode::empty()) else { return false };
    let mut text = [0; LONGEST + 1];
    match rustix::io::read(&file, &mut text) {
        Ok(length) => owner_of(&text[..length]).is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH)),
        Err(_) => false,
    }
}

/// The process that wrote this, if it would be found here.
fn owner_of(text: &[u8]) -> Option<Pid> {
    let text = std::str::from_utf8(text).ok()?;
    let (pid, place) = text.strip_prefix('p')?.split_once(':')?;
    let pid = pid.parse().ok().filter(|pid| *pid > 0).and_then(Pid::from_raw);
    pid.filter(|_| PLACE.as_deref() == Some(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_known_to_be_dead_is_dead() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let Some(ours) = this_process() else { return };
        assert!(ours.len() <= LONGEST);
        let place = PLACE.as_deref().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = child.id();
        child.wait().unwrap();
        for (text, expected) in [
            (ours.clone(), false),
            (format!("p{dead}:{place}"), true),
            (format!("p{dead}:0000000"), false),
            (format!("p{dead}"), false),
            (format!("{dead}"), false),
            (format!("p-{dead}:{place}"), false),
            (format!("p0:{place}"), false),
            ("0".to_owned(), false),
            (String::new(), false),
        ] {
            std::fs::write(&path, &text).unwrap();
            assert_eq!(is_dead(&path), expected, "{text}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(!is_dead(&path));
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(!is_dead(&path));
    }
}

//! Lock files.

use std::path::Path;

use maildrop::{DotLock, DotLockOptions, LockAttempt};
use procmail_engine::effect::Outcome;

use super::policy::NULL_DEVICE;
use super::{Host, Places, now};

impl Host {
    pub(super) fn lock(&mut self, name: &[u8], verbose: bool) -> Outcome {
        self.held = None;
        let Some(path) = self.path(name) else { return Outcome::Failed };
        // The lock is made by way of a file beside it.
        let beside = path.parent().is_none_or(|parent| self.places.allow(parent));
        if self.places != Places::Anywhere && (path == Path::new(NULL_DEVICE) || !beside) {
            return Outcome::Failed;
        }
        match DotLock::attempt(&path, &DotLockOptions::new()) {
            Ok(LockAttempt::Acquired(lock)) => {
                self.locks.insert(path, lock);
                Outcome::Done
            }
            Ok(LockAttempt::Held(held)) => {
                let age = held.age();
                self.held = Some(held);
                Outcome::Held(Some(age))
            }
            Ok(_) => Outcome::Held(None),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                if verbose {
                    self.complain("Error while writing to", &temporary_name(name));
                }
                Outcome::Failed
            }
            Err(_) => Outcome::NoPlace(temporary_name(name)),
        }
    }
}

/// The file that could not be made to take a lock, as procmail calls it.
pub(super) fn temporary_name(lock: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
    let digits = |mut number: u64| {
        let mut text = Vec::new();
        while number > 0 || text.len() < 3 {
            text.push(DIGITS[(number % 64) as usize]);
            number /= 64;
        }
        text
    };
    let place = lock.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
    let now = now();
    let uname = rustix::system::uname();
    let process = digits(std::process::id().into());
    [&lock[..place], b"_", &process, b".", &digits(now), b".", uname.nodename().to_bytes()].concat()
}

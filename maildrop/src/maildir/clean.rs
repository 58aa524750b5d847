//! Removing what crashed deliveries left in `tmp/`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, OFlags, Stat};
use rustix::io::Errno;

use super::{Maildir, TMP, open_file};
use crate::error::{Error, Operation};

/// The age at which the Maildir convention takes a file in `tmp/` for abandoned.
pub const STALE_AFTER: Duration = Duration::from_secs(36 * 60 * 60);

/// What [`Maildir::clean_tmp`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Number of files.
    pub files: u64,
    /// Octets that they held.
    pub bytes: u64,
}

impl Maildir {
    /// Removes files from `tmp/` that were neither read nor written for `max_age` before `now`, usually [`STALE_AFTER`].
    /// Files of deliveries that are going on, here or in another process of this crate, stay whatever their age. Hidden
    /// files and all that is not a regular file, such as a symbolic link, stay too.
    ///
    /// # Errors
    /// [`Error::Io`] if the directory cannot be read or a file not be removed.
    pub fn clean_tmp(&self, now: SystemTime, max_age: Duration) -> Result<Cleaned, Error> {
        let tmp = &self.dirs.tmp;
        let list_error = |errno: Errno| Error::io(Operation::List, self.dirs.path.join(TMP), errno);
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut cleaned = Cleaned::default();
        for entry in Dir::read_from(tmp).map_err(list_error)? {
            let entry = entry.map_err(list_error)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name.starts_with('.') {
                continue;
            }
            let error = |operation, errno: Errno| Error::io(operation, self.tmp_path(name), errno);
            let stat = match rustix::fs::statat(tmp, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(error(Operation::Stat, errno)),
            };
            let is_file = FileType::from_raw_mode(stat.st_mode).is_file();
            if !is_file || now.saturating_sub(last_used(&stat)) <= max_age || self.is_alive(name) {
                continue;
            }
            match rustix::fs::unlinkat(tmp, name, AtFlags::empty()) {
                Ok(()) => {
                    cleaned.files += 1;
                    cleaned.bytes += u64::try_from(stat.st_size).unwrap_or(0);
                }
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(error(Operation::Remove, errno)),
            }
        }
        Ok(cleaned)
    }

    /// Whether somebody holds the lock that each delivery takes on its file.
    fn is_alive(&self, name: &str) -> bool {
        let Ok(file) = open_file(&self.dirs.tmp, name, OFlags::RDONLY | OFlags::NONBLOCK) else {
            return false;
        };
        matches!(rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive), Err(Errno::WOULDBLOCK))
    }
}

/// When the file was last read or written, since 1970.
fn last_used(stat: &Stat) -> Duration {
    let seconds = stat.st_atime.max(stat.st_mtime);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeliveryOptions;
    use std::fs::{File, FileTimes};
    use std::path::Path;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    fn put(path: &Path, now: SystemTime, read: Duration, written: Duration) {
        let file = File::create(path).unwrap();
        std::io::Write::write_all(&mut &file, b"12345").unwrap();
        file.set_times(FileTimes::new().set_accessed(now - read).set_modified(now - written)).unwrap();
    }

    #[test]
    fn only_files_untouched_for_long_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let maildir = Maildir::create(dir.path()).unwrap();
        let now = SystemTime::now();
        // (name, hours since it was read, since it was written, stays)
        let table = [
            ("1.stale", 37, 37, false),
            ("2.read", 35, 40, true),
            ("3.written", 40, 35, true),
            ("4.fresh", 0, 0, true),
            (".hidden", 40, 40, true),
        ];
        for (name, read, written, _) in table {
            put(&dir.path().join("tmp").join(name), now, read * HOUR, written * HOUR);
        }
        // Nothing outside tmp/ is touched, not even what a link in it leads to.
        for outside in ["new/1.stale", "cur/1.stale", "target"] {
            put(&dir.path().join(outside), now, 99 * HOUR, 99 * HOUR);
        }
        std::os::unix::fs::symlink(dir.path().join("target"), dir.path().join("tmp/link")).unwrap();
        std::fs::create_dir(dir.path().join("tmp/directory")).unwrap();

        let far = now + 100 * HOUR;
        assert_eq!(maildir.clean_tmp(now, STALE_AFTER).unwrap(), Cleaned { files: 1, bytes: 5 });
        for (name, _, _, stays) in table {
            assert_eq!(dir.path().join("tmp").join(name).exists(), stays, "{name}");
        }
        assert_eq!(maildir.clean_tmp(far, STALE_AFTER).unwrap(), Cleaned { files: 3, bytes: 15 });
        for stays in ["tmp/.hidden", "tmp/link", "tmp/directory", "new/1.stale", "cur/1.stale", "target"] {
            assert!(dir.path().join(stays).exists(), "{stays}");
        }
    }

    #[test]
    fn files_of_deliveries_going_on_stay_whatever_the_clock_says() {
        let dir = tempfile::tempdir().unwrap();
        let maildir = Maildir::create(dir.path()).unwrap();
        let other = Maildir::open(dir.path()).unwrap();
        let far = SystemTime::now() + 1000 * HOUR;
        let mut delivery = maildir.deliver(&DeliveryOptions::new()).unwrap();
        delivery.append(b"x").unwrap();
        assert_eq!(other.clean_tmp(far, STALE_AFTER).unwrap(), Cleaned::default());
        let staged = delivery.stage().unwrap();
        assert_eq!(other.clean_tmp(far, STALE_AFTER).unwrap(), Cleaned::default());
        let delivered = staged.commit().unwrap();
        assert_eq!(other.clean_tmp(far, STALE_AFTER).unwrap(), Cleaned::default());
        assert_eq!(std::fs::read(delivered.path()).unwrap(), b"x");
    }
}

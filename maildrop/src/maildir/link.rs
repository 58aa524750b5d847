//! A message that lies in another folder, given a name here too.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, OFlags};
use rustix::io::Errno;

use super::{DeliveryOptions, Maildir};
use crate::error::{Error, Operation};
use crate::fault::Fault;
use crate::fs;
use crate::line_endings::LineEndings;

/// Names to try, which unique names make next to impossible to need.
const ATTEMPTS: usize = 8;

impl Maildir {
    /// Puts a message that lies in another folder into `new/` too: as a hard link, or as a copy if it lies on another disk
    /// or has too many names. Answers where it lies here; it is durable then. A link counts towards no quota, and its name
    /// tells no sizes.
    ///
    /// ```
    /// use maildrop::{Maildir, MessageDir, Naming};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let folder = MessageDir::create(dir.path().join("mh"), Naming::Number)?;
    /// let mut delivery = folder.deliver()?;
    /// delivery.append(b"Subject: lunch?\n\n")?;
    /// let filed = delivery.commit()?;
    /// let linked = Maildir::create(dir.path().join("Maildir"))?.link(filed.path())?;
    /// assert_eq!(std::fs::read(linked)?, std::fs::read(filed.path())?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::NamesTaken`].
    pub fn link(&self, message: &Path) -> Result<PathBuf, Error> {
        for attempt in 0..ATTEMPTS {
            let name = self.unique(attempt).text;
            let linked = match self.inject(Operation::Link) {
                Fault::Fail(errno) => Err(Errno::from_raw_os_error(errno)),
                Fault::None | Fault::Short(_) => {
                    rustix::fs::linkat(CWD, message, &self.dirs.new, &name, AtFlags::empty())
                }
            };
            match linked {
                Ok(()) => {
                    let synced = self
                        .check(Operation::SyncDirectory, || self.new_path())
                        .and_then(|()| self.sync_new());
                    return match synced {
                        Ok(()) => Ok(self.new_path().join(name)),
                        Err(error) => {
                            let _ = rustix::fs::unlinkat(&self.dirs.new, &name, AtFlags::empty());
                            Err(error)
                        }
                    };
                }
                Err(Errno::EXIST) => {}
                Err(Errno::XDEV | Errno::MLINK | Errno::PERM) => return self.copy(message),
                Err(errno) => return Err(Error::io(Operation::Link, message, errno)),
            }
        }
        Err(Error::NamesTaken { path: self.new_path() })
    }

    fn sync_new(&self) -> Result<(), Error> {
        fs::sync_dir(&self.dirs.new)
            .map_err(|error| Error::io(Operation::SyncDirectory, self.new_path(), error))
    }

    fn copy(&self, message: &Path) -> Result<PathBuf, Error> {
        let flags = OFlags::NOFOLLOW.bits() as i32;
        let opened = File::options().read(true).custom_flags(flags).open(message);
        let mut file = opened.map_err(|error| Error::io(Operation::Open, message, error))?;
        let mut delivery = self.deliver(&DeliveryOptions::new().line_endings(LineEndings::Keep))?;
        let mut chunk = vec![0; 16 * 1024];
        loop {
            match file.read(&mut chunk) {
                Ok(0) => return Ok(delivery.stage()?.commit()?.path()),
                Ok(count) => delivery.append(&chunk[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(Operation::Copy, message, error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::FaultPlan;
    use std::os::unix::fs::MetadataExt;
    use std::sync::Arc;

    fn fresh() -> (tempfile::TempDir, Maildir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let maildir = Maildir::create(dir.path().join("Maildir")).unwrap();
        let message = dir.path().join("message");
        std::fs::write(&message, "Subject: x\n\n").unwrap();
        (dir, maildir, message)
    }

    fn count(maildir: &Maildir) -> usize {
        std::fs::read_dir(maildir.new_path()).unwrap().count()
    }

    #[test]
    fn a_message_is_linked_as_often_as_is_asked() {
        let (_dir, maildir, message) = fresh();
        let linked = maildir.link(&message).unwrap();
        assert_ne!(maildir.link(&message).unwrap(), linked);
        let (one, other) = (linked.metadata().unwrap(), message.metadata().unwrap());
        assert_eq!((one.ino(), one.nlink()), (other.ino(), 3));
        assert!(maildir.link(Path::new("/nonexistent/message")).unwrap_err().is_not_found());
    }

    #[test]
    fn a_failing_step_leaves_nothing() {
        for operation in [Operation::Link, Operation::SyncDirectory] {
            let (_dir, maildir, message) = fresh();
            let plan = FaultPlan::new().nth(operation, 1, Fault::no_space());
            let faulty = maildir.clone().with_faults(Arc::new(plan));
            assert!(faulty.link(&message).unwrap_err().is_storage_full());
            assert_eq!(count(&maildir), 0);
            faulty.link(&message).unwrap();
            assert_eq!(count(&maildir), 1);
        }
    }

    #[test]
    fn where_no_link_can_be_made_the_message_is_copied() {
        let (_dir, maildir, message) = fresh();
        let plan = FaultPlan::new().nth(Operation::Link, 1, Fault::Fail(Errno::XDEV.raw_os_error()));
        let copied = maildir.clone().with_faults(Arc::new(plan)).link(&message).unwrap();
        assert_eq!(std::fs::read(&copied).unwrap(), b"Subject: x\n\n");
        assert_eq!(copied.metadata().unwrap().nlink(), 1);
    }
}

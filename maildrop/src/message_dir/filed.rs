//! A message that has come to lie in a folder, and how it is taken back.

use std::fmt;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, Stat};
use rustix::io::Errno;

use super::{MessageDir, Naming, name};
use crate::error::{Error, Operation};
use crate::fs;

/// A message that lies in a [`MessageDir`] and survives a power failure.
pub struct Filed {
    folder: MessageDir,
    /// While it is open, no other file has its number.
    file: File,
    path: PathBuf,
}

impl Filed {
    pub(super) fn new(folder: MessageDir, file: File, name: &Path) -> Filed {
        let path = folder.path.join(name);
        Filed { folder, file, path }
    }

    /// Where it came to lie. Programs that sort a folder anew give it another name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the message again, and says whether it did. It is looked for in the folder that it was delivered to, wherever
    /// that lies by then, and under the other numbers of MH if another file has its name. No other message is removed.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn take_back(self) -> Result<bool, Error> {
        self.folder.check(Operation::Remove)?;
        let error = |errno: Errno| Error::io(Operation::Remove, &self.path, errno);
        let ours = rustix::fs::fstat(&self.file).map_err(error)?;
        let name = fs::split(&self.path).1.as_bytes();
        if self.remove(name, &ours).map_err(error)? {
            return Ok(true);
        }
        if self.folder.naming != Naming::Number || ours.st_nlink == 0 {
            return Ok(false);
        }
        for entry in Dir::read_from(&self.folder.dir).map_err(error)? {
            let entry = entry.map_err(error)?;
            let name = entry.file_name().to_bytes();
            if entry.ino() == ours.st_ino
                && name::number(name).is_some()
                && self.remove(name, &ours).map_err(error)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes a name if it is that of the message, which no system does in one step.
    fn remove(&self, name: &[u8], ours: &Stat) -> Result<bool, Errno> {
        let dir = &self.folder.dir;
        match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino) => {}
            Ok(_) | Err(Errno::NOENT) => return Ok(false),
            Err(errno) => return Err(errno),
        }
        match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}

impl fmt::Debug for Filed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filed").field(&self.path).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn deliver(folder: &MessageDir, message: &[u8]) -> Filed {
        let mut delivery = folder.deliver().unwrap();
        delivery.append(message).unwrap();
        delivery.commit().unwrap()
    }

    fn messages(dir: &Path) -> BTreeMap<String, String> {
        let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
        entries
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                (name, std::fs::read_to_string(entry.path()).unwrap())
            })
            .collect()
    }

    #[test]
    fn a_message_is_taken_back_once_from_where_it_lies() {
        let dir = tempfile::tempdir().unwrap();
        for naming in [Naming::Number, Naming::Inode { prefix: b"msg.".to_vec() }] {
            let folder = MessageDir::open(dir.path(), naming).unwrap();
            assert!(deliver(&folder, b"one").take_back().unwrap());
            let filed = deliver(&folder, b"one");
            std::fs::remove_file(filed.path()).unwrap();
            assert!(!filed.take_back().unwrap());
            assert_eq!(messages(dir.path()).len(), 0);
        }
    }

    #[test]
    fn a_link_in_place_of_the_folder_leads_to_no_other_message() {
        let dir = tempfile::tempdir().unwrap();
        let (inbox, moved, other) =
            (dir.path().join("inbox"), dir.path().join("moved"), dir.path().join("other"));
        let filed = deliver(&MessageDir::create(&inbox, Naming::Number).unwrap(), b"ours");
        drop(deliver(&MessageDir::create(&other, Naming::Number).unwrap(), b"another's"));
        std::fs::rename(&inbox, &moved).unwrap();
        std::os::unix::fs::symlink(&other, &inbox).unwrap();
        assert!(filed.take_back().unwrap());
        assert_eq!(messages(&moved).len(), 0);
        assert_eq!(messages(&other)["1"], "another's");
    }

    #[test]
    fn a_message_that_got_another_number_is_found_by_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("2"), "two").unwrap();
        std::fs::write(at("5"), "five").unwrap();
        let folder = MessageDir::open(dir.path(), Naming::Number).unwrap();
        let filed = deliver(&folder, b"ours");
        assert!(filed.path().ends_with("6"));
        // As `folder -pack` numbers them, before another comes.
        for (from, to) in [("2", "1"), ("5", "2"), ("6", "3")] {
            std::fs::rename(at(from), at(to)).unwrap();
        }
        std::fs::write(at("6"), "another").unwrap();
        assert!(filed.take_back().unwrap());
        let left = [("1", "two"), ("2", "five"), ("6", "another")];
        assert_eq!(messages(dir.path()), left.map(|(name, text)| (name.into(), text.into())).into());

        // What `rmm` has removed is no message any more.
        let filed = deliver(&folder, b"ours");
        std::fs::rename(at("7"), at(",7")).unwrap();
        assert!(!filed.take_back().unwrap());
        assert_eq!(messages(dir.path())[",7"], "ours");
    }
}

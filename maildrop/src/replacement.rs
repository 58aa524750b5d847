//! Files that are replaced as a whole: written under another name, made durable, and renamed.
//!
//! Whoever reads finds the old file or the one that takes its place, also after a crash. The name that is written under is ours:
//! what has it was left by a process that died, or put there by somebody, and nothing is written through it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::fs;

/// A file that is to take the place of another. Dropped before, it is removed.
#[derive(Debug)]
pub(crate) struct Replacement<'a> {
    dir: &'a OwnedFd,
    tmp: &'a str,
    file: File,
    is_in_place: bool,
}

impl<'a> Replacement<'a> {
    /// Makes the file, empty and for its user alone, in place of what has its name. A directory stays, and is an error.
    pub(crate) fn create(dir: &'a OwnedFd, tmp: &'a str) -> rustix::io::Result<Replacement<'a>> {
        match rustix::fs::unlinkat(dir, tmp, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(dir, tmp, flags, fs::FILE_MODE)?.into();
        Ok(Replacement { dir, tmp, file, is_in_place: false })
    }

    /// To set its owner and mode.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn write(&mut self, content: &[u8]) -> io::Result<()> {
        self.file.write_all(content)
    }

    /// Makes what was written durable, so that no power failure leaves an empty file in place of a full one.
    pub(crate) fn sync(&self) -> io::Result<()> {
        fs::sync_file(&self.file)
    }

    /// Renames it. That is durable once the directory is.
    pub(crate) fn put_in_place(&mut self, dir: impl AsFd, name: impl Arg) -> rustix::io::Result<()> {
        rustix::fs::renameat(self.dir, self.tmp, dir, name)?;
        self.is_in_place = true;
        Ok(())
    }
}

impl Drop for Replacement<'_> {
    fn drop(&mut self) {
        if !self.is_in_place {
            // Nothing can be done about a failure here: the next who writes removes it.
            let _ = rustix::fs::unlinkat(self.dir, self.tmp, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_put_in_place_goes_and_nothing_is_written_through_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let fd = fs::open_dir(dir.path()).unwrap();
        std::fs::write(path("file"), "old").unwrap();
        std::fs::hard_link(path("file"), path("tmp")).unwrap();
        for (is_put, left) in [(false, "old"), (true, "content")] {
            let mut replacement = Replacement::create(&fd, "tmp").unwrap();
            replacement.write(b"content").unwrap();
            replacement.sync().unwrap();
            if is_put {
                replacement.put_in_place(&fd, "file").unwrap();
                // Somebody else's.
                std::fs::write(path("tmp"), "other").unwrap();
            }
            drop(replacement);
            assert_eq!(std::fs::read_to_string(path("file")).unwrap(), left);
            assert_eq!(path("tmp").exists(), is_put);
        }
        std::fs::remove_file(path("tmp")).unwrap();
        std::fs::create_dir(path("tmp")).unwrap();
        assert!(Replacement::create(&fd, "tmp").is_err());
        assert!(path("tmp").is_dir());
    }
}

//! Reading `.mh_sequences`, and replacing it while others that lock it are kept out.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::{MessageDir, MhSequences};
use crate::error::{Error, Operation};
use crate::kernel_lock;
use crate::replacement::Replacement;

pub(super) const SEQUENCES_TMP: &str = ".maildrop.sequences.tmp";
/// Most octets of `.mh_sequences` that are read.
const LARGEST_SEQUENCES: u64 = 1024 * 1024;
/// Most sequences of a folder that are changed: nobody has so many. Removing messages may cut each of them into as many ranges as there are messages, so thousands
/// of short lines could become more than memory holds.
const MOST_SEQUENCES: usize = 256;
/// How long to wait for another program that writes them.
const SEQUENCES_WAIT: Duration = Duration::from_secs(10);
/// How often a file that was replaced while its lock was being waited for is opened again.
const SEQUENCES_ATTEMPTS: u32 = 16;

impl MessageDir {
    /// The sequences; none if the file is not there, no regular file, too large, or not text.
    pub(super) fn sequences(&self) -> Result<Option<MhSequences>, Error> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        match rustix::fs::openat(&self.dir, MhSequences::FILE, flags, Mode::empty()) {
            Ok(fd) => self.read_sequences(&fd.into()),
            // Not there, or a symbolic link, or a socket.
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => Ok(None),
            Err(errno) => Err(self.error(Operation::Open, errno)),
        }
    }

    fn read_sequences(&self, file: &File) -> Result<Option<MhSequences>, Error> {
        let mut content = Vec::new();
        let error = |error| self.error(Operation::Read, error);
        if !file.metadata().map_err(error)?.is_file() {
            return Ok(None);
        }
        file.take(LARGEST_SEQUENCES + 1).read_to_end(&mut content).map_err(error)?;
        let whole = content.len() as u64 <= LARGEST_SEQUENCES;
        Ok(std::str::from_utf8(&content).ok().filter(|_| whole).map(MhSequences::parse))
    }

    /// Changes the sequences, keeping out other programs that lock the file, as nmh does. It is replaced as a whole.
    /// Answers whether it was; that is durable once the directory is.
    pub(super) fn change_sequences(&self, change: impl FnOnce(&mut MhSequences)) -> Result<bool, Error> {
        let Some(file) = self.lock_sequences()? else { return Ok(false) };
        let old = self.read_sequences(&file)?.filter(|sequences| sequences.count() <= MOST_SEQUENCES);
        let Some(old) = old else { return Ok(false) };
        let mut sequences = old.clone();
        change(&mut sequences);
        if sequences == old {
            return Ok(false);
        }
        self.check(Operation::Write)?;
        self.write_sequences(&file, &sequences).map_err(|error| self.error(Operation::Write, error))?;
        Ok(true)
    }

    /// The file of the sequences with the lock on it; nothing if there is none.
    fn lock_sequences(&self) -> Result<Option<File>, Error> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        for _ in 0..SEQUENCES_ATTEMPTS {
            let file = match rustix::fs::openat(&self.dir, MhSequences::FILE, flags, Mode::empty()) {
                Ok(fd) => File::from(fd),
                // Nothing that is no regular file is changed.
                Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::ISDIR) => return Ok(None),
                Err(errno) => return Err(self.error(Operation::Open, errno)),
            };
            // Sequences are worth less than the removal of mail: where they cannot be locked they are changed all the same.
            let _ = kernel_lock::lock(&file, SEQUENCES_WAIT);
            let locked = rustix::fs::fstat(&file).map_err(|errno| self.error(Operation::Stat, errno))?;
            let named = rustix::fs::statat(&self.dir, MhSequences::FILE, AtFlags::SYMLINK_NOFOLLOW);
            // Whoever had the lock may have put another file in its place.
            if named.is_ok_and(|named| (named.st_dev, named.st_ino) == (locked.st_dev, locked.st_ino)) {
                return Ok(Some(file));
            }
        }
        Err(Error::LockHeld { path: self.path.join(MhSequences::FILE), attempts: SEQUENCES_ATTEMPTS })
    }

    /// Puts a file with the sequences in the place of the one that is there, with its mode and owner.
    fn write_sequences(&self, old: &File, sequences: &MhSequences) -> std::io::Result<()> {
        let before = rustix::fs::fstat(old)?;
        let mut replacement = Replacement::create(&self.dir, SEQUENCES_TMP)?;
        let made = rustix::fs::fstat(replacement.file())?;
        if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid) {
            let owner = Some(Uid::from_raw(before.st_uid)).filter(|_| made.st_uid != before.st_uid);
            // Not everybody may give files away.
            let _ = rustix::fs::fchown(replacement.file(), owner, Some(Gid::from_raw(before.st_gid)));
        }
        rustix::fs::fchmod(replacement.file(), Mode::from_raw_mode(before.st_mode & 0o777))?;
        replacement.write(sequences.to_string().as_bytes())?;
        replacement.sync()?;
        Ok(replacement.put_in_place(&self.dir, MhSequences::FILE)?)
    }
}

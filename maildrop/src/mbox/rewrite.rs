//! Changing an mbox so that a crash at any point leaves all of an update, or none of it.
//!
//! An update that takes messages from the end of the file sets its length, which is one step. Any other writes what stays
//! to a file beside it, with the same mode, owner and group (or without rights of a group that the system does not let it
//! have), makes that durable, and puts it in the place of the old one, all under the locks: so at any instant the file has
//! all of the messages that were to be removed, or none. What others write to the old one, which they have open, is told in
//! `late`.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, RawMode, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::late::{self, End};
use super::mailbox::hidden;
use super::{Locked, Mbox};
use crate::error::{Error, Operation};
use crate::fs;
use crate::kernel_lock;

/// Octets that are copied at once.
const COPY: usize = 256 * 1024;

/// A part of a file that is written anew.
#[derive(Debug)]
pub(super) enum Piece {
    Kept(std::ops::Range<u64>),
    Written(Vec<u8>),
}

impl Locked {
    /// Ends the file at an offset, as one step.
    pub(super) fn cut(self, size: u64) -> Result<(), Error> {
        self.truncate(size)?;
        self.mbox.check(Operation::SyncFile)?;
        fs::sync_file(&self.file).map_err(|error| self.mbox.error(Operation::SyncFile, error))
    }

    /// Puts a file in the place of this one.
    pub(super) fn replace(self, pieces: &[Piece]) -> Result<(), Error> {
        let mbox = self.mbox.clone();
        let before = self.stat()?;
        let size = u64::try_from(before.st_size).unwrap_or(0);
        let end = End::of(&self.file, size).map_err(|error| mbox.error(Operation::Read, error))?;
        let (dir, name) = mbox.directory()?;
        let tmp = hidden(&name, ".maildrop.update");
        let replaced = self.write_beside(&dir, &tmp, &before, pieces).and_then(|()| {
            mbox.check(Operation::Rename)?;
            rustix::fs::renameat(&dir, &tmp, &dir, &name)
                .map_err(|errno| mbox.error(Operation::Rename, errno))
        });
        if let Err(error) = replaced {
            let _ = rustix::fs::unlinkat(&dir, &tmp, AtFlags::empty());
            return Err(error);
        }
        let synced = mbox
            .check(Operation::SyncDirectory)
            .and_then(|()| fs::sync_dir(&dir).map_err(|error| mbox.error(Operation::SyncDirectory, error)));
        let Locked { file: old, _dot_lock: dot_lock, .. } = self;
        let _ = kernel_lock::unlock(&old);
        drop(dot_lock);
        late::carry_over(&mbox, &old, &before, &end)?;
        synced
    }

    fn write_beside(
        &self,
        dir: &std::os::fd::OwnedFd,
        tmp: &OsStr,
        before: &Stat,
        pieces: &[Piece],
    ) -> Result<(), Error> {
        let mbox = &self.mbox;
        let create = |errno: Errno| mbox.error(Operation::CreateFile, errno);
        mbox.check(Operation::CreateFile)?;
        // Left by a process that died: the session lock says that nobody is at it.
        match rustix::fs::unlinkat(dir, tmp, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(create(errno)),
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut file = File::from(rustix::fs::openat(dir, tmp, flags, fs::FILE_MODE).map_err(create)?);
        own_as(&file, before).map_err(create)?;
        let mut buffer = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Written(text) => {
                    mbox.check(Operation::Write)?;
                    file.write_all(text).map_err(|error| mbox.error(Operation::Write, error))?;
                }
                Piece::Kept(range) => copy(mbox, &self.file, range.clone(), &mut buffer, |chunk| {
                    file.write_all(chunk).map_err(|error| mbox.error(Operation::Write, error))
                })?,
            }
        }
        mbox.check(Operation::SyncFile)?;
        fs::sync_file(&file).map_err(|error| mbox.error(Operation::SyncFile, error))?;
        // Whether there is unread mail in it is told by these.
        let time = |seconds, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
        let times = Timestamps {
            last_access: time(before.st_atime, before.st_atime_nsec as _),
            last_modification: time(before.st_mtime, before.st_mtime_nsec as _),
        };
        let _ = rustix::fs::futimens(&file, &times);
        Ok(())
    }
}

/// Gives a file that was made the owner, the group and the mode of another, as far as it may have them.
pub(super) fn own_as(file: &File, like: &Stat) -> Result<(), Errno> {
    let chown = |owner: Option<u32>, group: Option<u32>| {
        rustix::fs::fchown(file, owner.map(Uid::from_raw), group.map(Gid::from_raw))
    };
    let mode = keep_owner(&rustix::fs::fstat(file)?, like, chown)?;
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode))
}

/// Gives a new file the owner and the group of the one whose place it is to take, and answers which mode it may have.
///
/// Only members of a group can give files to it, so that of an mbox in group `mail` may be refused to its owner. That is no
/// reason to keep its mail for ever: the file has the owner's group then, and neither that nor others may do what the group
/// or others could not do before.
fn keep_owner(
    made: &Stat,
    before: &Stat,
    chown: impl Fn(Option<u32>, Option<u32>) -> Result<(), Errno>,
) -> Result<RawMode, Errno> {
    let mode = before.st_mode & 0o7777;
    if (made.st_uid, made.st_gid) == (before.st_uid, before.st_gid) {
        return Ok(mode);
    }
    let owner = Some(before.st_uid).filter(|_| made.st_uid != before.st_uid);
    match chown(owner, Some(before.st_gid)) {
        Ok(()) => Ok(mode),
        // Members of the old group are others from here on.
        Err(Errno::PERM | Errno::INVAL) if owner.is_none() => {
            Ok((mode & 0o700) | (mode & (mode >> 3) & 0o007))
        }
        Err(errno) => Err(errno),
    }
}

pub(super) fn copy(
    mbox: &Mbox,
    from: &File,
    mut range: std::ops::Range<u64>,
    buffer: &mut Vec<u8>,
    mut write: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    buffer.resize(COPY, 0);
    while !range.is_empty() {
        mbox.check(Operation::Copy)?;
        let most = usize::try_from(range.end - range.start).unwrap_or(usize::MAX).min(buffer.len());
        from.read_exact_at(&mut buffer[..most], range.start)
            .map_err(|error| mbox.error(Operation::Copy, error))?;
        write(&buffer[..most])?;
        range.start += most as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_group_is_refused_nobody_may_do_more_than_before() {
        let file = tempfile::tempfile().unwrap();
        let stat = |owner, group, mode| {
            let mut stat = rustix::fs::fstat(&file).unwrap();
            (stat.st_uid, stat.st_gid, stat.st_mode) = (owner, group, mode);
            stat
        };
        let made = stat(1000, 1000, 0o100600);
        let (refused, failed) = (Err(Errno::PERM), Err(Errno::IO));
        // (owner, group, mode, what the system says, mode of the new file)
        let table = [
            (1000, 1000, 0o100660, failed, Ok(0o660)),
            (1000, 8, 0o100660, Ok(()), Ok(0o660)),
            (1000, 8, 0o100660, refused, Ok(0o600)),
            (1000, 8, 0o100660, Err(Errno::INVAL), Ok(0o600)),
            (1000, 8, 0o102664, refused, Ok(0o604)),
            (1000, 8, 0o100646, refused, Ok(0o604)),
            (1000, 8, 0o100606, refused, Ok(0o600)),
            (1000, 8, 0o100440, refused, Ok(0o400)),
            (1000, 8, 0o100660, failed, Err(Errno::IO)),
            // That of somebody else would become ours.
            (0, 1000, 0o100660, refused, Err(Errno::PERM)),
            (0, 8, 0o100660, Ok(()), Ok(0o660)),
        ];
        for (owner, group, mode, answer, expected) in table {
            let before = stat(owner, group, mode);
            let chown = |uid: Option<u32>, gid: Option<u32>| {
                assert_eq!((uid.unwrap_or(made.st_uid), gid), (owner, Some(group)));
                answer
            };
            assert_eq!(keep_owner(&made, &before, chown), expected, "{owner} {group} {mode:o} {answer:?}");
        }
    }
}

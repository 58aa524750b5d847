//! Mail that others write to an mbox that was replaced, while they wait for its lock.
//!
//! A program that opens the file, waits for the kernel's lock without a lock file, and does not look whether another file has
//! come in its place, writes to the old one. So whoever has replaced it looks at the old one once nobody else has it open for
//! writing, or after five seconds; on Linux, that is, and as far as /proc shows others: root sees all of the machine, others
//! those of the same user. What was added goes to `.NAME.maildrop.late` first, which is made durable and needs no lock that
//! others take. From there whoever locks the mbox to change what is in it adds it, before anything else: mostly whoever replaced
//! it, at once, but if a lock cannot be had, the next session. Deliveries do not: they are to be quick whatever lies there.
//!
//! The late file is emptied when its messages are durable in the mbox. A process that dies between the two leaves both, so
//! messages that stand in the mbox already are passed over. What does not begin with a From_ line is no mail: a reader has
//! rewritten the old file in place, and what it has changed is lost. A process that dies while it waits for others loses what
//! they write, and so does one that waits in vain: let those programs take the lock file, too.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

use rustix::fs::{AtFlags, OFlags, Stat};
use rustix::io::Errno;

use super::append::MboxAppend;
use super::mailbox::hidden;
use super::rewrite::{copy, own_as};
use super::scan::{MboxMessage, ReadAt, scan};
use super::writers::wait_for_writers;
use super::{Locked, Mbox, Quoting, Separation};
use crate::dot_lock::DotLockOptions;
use crate::error::{Error, Operation};
use crate::from_line::MARK;
use crate::fs;
use crate::kernel_lock;
use crate::store::Access;

/// For how long those are waited for who are seen to have the old file open for writing. Many try for its lock once a second.
const PATIENCE: Duration = Duration::from_secs(5);
/// For how long all are, who may not be seen: those who wait in the kernel are woken by then, and are to go first.
const HEAD_START: Duration = Duration::from_millis(10);
/// For how long somebody may hold the lock of the old file, or of the late one.
const LOCK_PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 300 } else { 10_000 });
/// How often, and after which time, the locks of the mbox are tried for again: there is no haste.
const RETRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);
/// How often a late file is made that goes again before it is locked.
const ATTEMPTS: usize = 8;
/// Octets at the end of the old file that stay what they are if it is only added to.
const END: u64 = 512;

/// How a file ends that is about to be replaced.
pub(super) struct End {
    size: u64,
    octets: Vec<u8>,
}

impl End {
    pub(super) fn of(file: &File, size: u64) -> io::Result<End> {
        let mut octets = vec![0; usize::try_from(size.min(END)).unwrap_or(0)];
        let start = size - octets.len() as u64;
        file.read_exact_at(&mut octets, start)?;
        Ok(End { size, octets })
    }

    /// Where the mail stands that was added since.
    fn added(&self, file: &File) -> io::Result<Option<Range<u64>>> {
        let size = file.metadata()?.len();
        if size <= self.size || End::of(file, self.size)?.octets != self.octets {
            return Ok(None);
        }
        let (mut start, mut chunk) = (self.size, [0; MARK.len()]);
        loop {
            let count = ReadAt::read_at(file, &mut chunk, start)?;
            let empty = chunk[..count].iter().take_while(|octet| matches!(octet, b'\n' | b'\r')).count();
            if empty == 0 {
                return Ok((chunk[..count] == *MARK).then_some(start..size));
            }
            start += empty as u64;
        }
    }
}

/// Adds to an mbox what others have written to the file in whose place another stands.
pub(super) fn carry_over(mbox: &Mbox, old: &File, before: &Stat, end: &End) -> Result<(), Error> {
    thread::sleep(HEAD_START);
    wait_for_writers(old, fs::split(&mbox.path).1, PATIENCE);
    // Where there are no such locks, nobody waits for them either.
    let is_whole = kernel_lock::lock(old, LOCK_PATIENCE).unwrap_or(true);
    let added = end.added(old).map_err(|error| mbox.error(Operation::Read, error))?;
    let Some(added) = added else { return Ok(()) };
    keep(mbox, old, added, before)?;
    let dot_lock = |options: DotLockOptions| options.sleep(PAUSE).retries(RETRIES).stale_after(None);
    let options = mbox.options.clone();
    let options = options
        .dot_lock(mbox.options.dot_lock.clone().map(dot_lock))
        .kernel_lock(mbox.options.kernel_lock.map(|most| most.min(PAUSE * RETRIES)));
    // If it cannot be locked, it is added by whoever locks it next.
    let _ = Mbox { options, ..mbox.clone() }.lock(OFlags::CREATE, Access::Exclusive);
    match is_whole {
        true => Ok(()),
        // The rest of it is lost, and somebody should be told.
        false => Err(Error::LockHeld { path: mbox.path.clone(), attempts: 1 }),
    }
}

/// The late file of an mbox: an mbox itself, which only this crate locks.
fn late_file(mbox: &Mbox) -> Result<Mbox, Error> {
    let (dir, name) = mbox.directory()?;
    let path = mbox.path.with_file_name(hidden(&name, ".maildrop.late"));
    let options = mbox.options.clone().dot_lock(None).kernel_lock(Some(LOCK_PATIENCE)).files_only(true);
    let options = options.quoting(Quoting::From).separation(Separation::EmptyLine);
    Ok(Mbox { path, options, home: Some(dir) })
}

/// Makes mail durable in the late file.
fn keep(mbox: &Mbox, from: &File, range: Range<u64>, like: &Stat) -> Result<(), Error> {
    let late = late_file(mbox)?;
    for _ in 0..ATTEMPTS {
        create(&late, like)?;
        match late.lock_alone(OFlags::empty(), Access::Exclusive) {
            Ok(locked) if locked.stat()?.st_uid == like.st_uid => {
                let messages = messages(mbox, from, &range)?;
                return add(locked, from, &ranges(&messages, &range, |_| true));
            }
            // Somebody has put something in its place who may do so, but not read this mail.
            Ok(_) | Err(Error::NotAFile { .. } | Error::ManyNames { .. } | Error::Symlink { .. }) => {
                remove(&late)?;
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Err(late.error(Operation::CreateFile, Errno::EXIST))
}

fn create(late: &Mbox, like: &Stat) -> Result<(), Error> {
    late.check(Operation::CreateFile)?;
    let error = |errno: Errno| late.error(Operation::CreateFile, errno);
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = match late.open_named(flags, fs::FILE_MODE) {
        Ok(file) => File::from(file),
        Err(Errno::EXIST) => return Ok(()),
        Err(errno) => return Err(error(errno)),
    };
    own_as(&file, like).map_err(error)
}

fn remove(late: &Mbox) -> Result<(), Error> {
    let (dir, name) = late.directory()?;
    match rustix::fs::unlinkat(&dir, &name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(late.error(Operation::Remove, errno)),
    }
}

/// Whether something waits to be added to an mbox.
pub(super) fn waits(mbox: &Mbox) -> bool {
    late_file(mbox).is_ok_and(|late| late.named().is_ok_and(|stat| stat.st_size > 0))
}

/// Adds what waits to an mbox, and gives up its kernel lock.
pub(super) fn take(mbox: Locked) -> Result<(), Error> {
    let mut late_mbox = late_file(&mbox.mbox)?;
    // Nobody but this crate locks it, and not for long.
    late_mbox.options.kernel_lock = Some(Duration::ZERO);
    let own = mbox.stat()?.st_uid;
    if late_mbox.named().is_ok_and(|stat| stat.st_uid != own) {
        return Ok(());
    }
    let late = late_mbox.lock_alone(OFlags::empty(), Access::Exclusive)?;
    if late.stat()?.st_uid != own {
        return Ok(());
    }
    let size = late.recover(late.size()?)?;
    let end = mbox.recover(mbox.size()?)?;
    let waiting = messages(&late_mbox, &late.file, &(0..size))?;
    // All or some of it may have been added by a process that died next.
    let there = scan(&mbox.file, end, mbox.mbox.options.content_length)
        .map_err(|error| mbox.mbox.error(Operation::Read, error))?
        .unwrap_or_default();
    let there: HashSet<u64> = there.iter().map(|message| message.fingerprint).collect();
    let missing = ranges(&waiting, &(0..size), |message| !there.contains(&message.fingerprint));
    add(mbox, &late.file, &missing)?;
    // Whoever may not change the directory may do this.
    late.truncate(0)?;
    fs::sync_file(&late.file).map_err(|error| late_mbox.error(Operation::SyncFile, error))?;
    remove(&late_mbox)
}

/// Appends messages as they are, each made durable before the next.
fn add(mut to: Locked, from: &File, ranges: &[Range<u64>]) -> Result<(), Error> {
    if ranges.is_empty() {
        return Ok(());
    }
    let options = to.mbox.options.clone().quoting(Quoting::From).separation(Separation::EmptyLine);
    to.mbox = Mbox { options, ..to.mbox };
    let (mbox, mut buffer) = (to.mbox.clone(), Vec::new());
    let mut append = MboxAppend::new(to)?;
    for (index, range) in ranges.iter().enumerate() {
        if index > 0 {
            append.begin_next()?;
        }
        copy(&mbox, from, range.clone(), &mut buffer, |chunk| append.append_verbatim(chunk))?;
        append.commit_here()?;
    }
    Ok(())
}

/// The messages in a part of a file, by offsets into that.
fn messages(mbox: &Mbox, file: &File, range: &Range<u64>) -> Result<Vec<MboxMessage>, Error> {
    let part = Part { file, start: range.start };
    scan(&part, range.end - range.start, mbox.options.content_length)
        .map_err(|error| mbox.error(Operation::Read, error))?
        .ok_or_else(|| Error::NotAnMbox { path: mbox.path.clone() })
}

/// Where in the file those messages are that are wanted, with what stands before the first, which readers pass over.
fn ranges(
    messages: &[MboxMessage],
    range: &Range<u64>,
    wanted: impl Fn(&MboxMessage) -> bool,
) -> Vec<Range<u64>> {
    let start = range.start;
    let first = messages.first().map_or(range.end, |message| start + message.start);
    let hidden = Some(start..first).filter(|hidden| !hidden.is_empty());
    let messages = messages.iter().filter(|message| wanted(message));
    hidden.into_iter().chain(messages.map(|message| start + message.start..start + message.next)).collect()
}

struct Part<'a> {
    file: &'a File,
    start: u64,
}

impl ReadAt for Part<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        ReadAt::read_at(self.file, buffer, self.start + offset)
    }
}

#[cfg(test)]
mod tests;

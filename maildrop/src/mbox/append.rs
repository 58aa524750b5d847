//! A message on its way into an mbox.

use std::fmt;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Stat, Timespec, Timestamps};
use rustix::io::Errno;

use super::guard::{self, Identity};
use super::quote::Quoter;
use super::{Locked, Quoting, Separation};
use crate::error::{Error, Operation};
use crate::fault::Fault;
use crate::fs;

/// Octets that are collected before they are written.
const BUFFER: usize = 64 * 1024;
/// After which time it is asked again whether to wait for a pipe.
const TURN: Duration = Duration::from_millis(100);

/// A message being appended, with the mbox locked. Write it with [`MboxAppend::append`] or as [`std::io::Write`], then
/// [`MboxAppend::commit`] it. Dropped before that, it leaves nothing behind.
#[must_use = "a message that is dropped is taken back"]
pub struct MboxAppend {
    target: Target,
    quoter: Quoter,
    failed: bool,
}

/// A message that stands in an mbox and survives a power failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    path: PathBuf,
    offset: u64,
    size: u64,
}

impl Appended {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where in the file the message begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Octets that were written for it: quoting and the empty line at its end included.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl MboxAppend {
    pub(super) fn new(locked: Locked) -> Result<MboxAppend, Error> {
        Ok(MboxAppend { target: Target::new(locked)?, quoter: Quoter::new(), failed: false })
    }

    /// Adds a chunk to the message, quoted as the options say.
    ///
    /// # Errors
    /// [`Error::Io`]; the message is then good for nothing but being dropped.
    pub fn append(&mut self, chunk: &[u8]) -> Result<(), Error> {
        match self.target.locked.mbox.options.quoting {
            Quoting::Raw => self.append_verbatim(chunk),
            Quoting::From => self.with(|quoter, out| quoter.push(chunk, |bytes| out.collect(bytes))),
        }
    }

    /// Adds a chunk that is not quoted: a part of the body that a `Content-Length:` field covers.
    ///
    /// # Errors
    /// [`Error::Io`]; the message is then good for nothing but being dropped.
    pub fn append_verbatim(&mut self, chunk: &[u8]) -> Result<(), Error> {
        self.with(|quoter, out| {
            quoter.pass(chunk, |bytes| out.collect(bytes))?;
            out.collect(chunk)
        })
    }

    /// Writes out what waits in the buffer, which is given up until there is more: to find a disk that is full before
    /// [`MboxAppend::commit`] makes the message durable, and to wait with many messages for that.
    ///
    /// # Errors
    /// [`Error::Io`]; the message is then good for nothing but being dropped.
    pub fn write_out(&mut self) -> Result<(), Error> {
        self.with(|_, out| {
            out.flush()?;
            out.buffer = Vec::new();
            Ok(())
        })
    }

    fn with(
        &mut self,
        work: impl FnOnce(&mut Quoter, &mut Target) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.failed {
            return Err(Error::Incomplete { path: self.target.locked.mbox.path.clone() });
        }
        let done = work(&mut self.quoter, &mut self.target);
        self.failed = done.is_err();
        done
    }

    /// Ends the message, makes it durable, and gives up the locks. When this answers `Ok`, it survives a power failure.
    ///
    /// # Errors
    /// [`Error::Incomplete`] if an earlier write failed, or [`Error::Io`]. In each case nothing is left behind.
    pub fn commit(mut self) -> Result<Appended, Error> {
        self.commit_here()
    }

    /// The same, but keeps the locks.
    pub(super) fn commit_here(&mut self) -> Result<Appended, Error> {
        self.with(|quoter, out| {
            quoter.finish(|bytes| out.collect(bytes))?;
            out.end()?;
            out.flush()
        })?;
        self.target.commit()
    }

    /// Begins another message behind the one that was committed.
    pub(super) fn begin_next(&mut self) -> Result<(), Error> {
        self.quoter = Quoter::new();
        self.with(|_, out| {
            (out.base, out.start, out.committed) = (out.next, out.next, false);
            out.separate()
        })
    }
}

impl Write for MboxAppend {
    /// Takes the whole chunk.
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        self.append(chunk)?;
        Ok(chunk.len())
    }

    /// Does nothing: what waits in the buffer is written when it is full, and by [`MboxAppend::commit`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for MboxAppend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MboxAppend").field("mbox", &self.target.locked.mbox).finish()
    }
}

/// The end of the file, with a write buffer before it.
struct Target {
    locked: Locked,
    before: Stat,
    kind: Kind,
    /// Where the file ended.
    base: u64,
    /// Where the message begins.
    start: u64,
    /// Where the next octets go.
    next: u64,
    buffer: Vec<u8>,
    /// The last octets of the message, as many as guards end with.
    tail: [u8; 3],
    committed: bool,
}

/// What is being written to.
enum Kind {
    File(Identity),
    /// A device or a pipe: there is nothing to be taken back.
    Stream,
}

impl Target {
    fn new(locked: Locked) -> Result<Target, Error> {
        let before = locked.stat()?;
        let kind = match locked.regular()? {
            true => Kind::File(
                Identity::of(&locked.file).map_err(|error| locked.mbox.error(Operation::Stat, error))?,
            ),
            false => Kind::Stream,
        };
        let base = match kind {
            Kind::File(_) => locked.recover(u64::try_from(before.st_size).unwrap_or(0))?,
            Kind::Stream => 0,
        };
        let mut target = Target {
            locked,
            before,
            kind,
            base,
            start: base,
            next: base,
            buffer: Vec::new(),
            tail: [b' '; 3],
            committed: false,
        };
        target.separate()?;
        Ok(target)
    }

    /// Ends the last line and the last message, if their writers did not. A line feed more does no harm if this process
    /// dies next.
    fn separate(&mut self) -> Result<(), Error> {
        if self.locked.mbox.options.separation == Separation::AsFound || self.base == 0 {
            return Ok(());
        }
        let mut end = [b'\n'; 2];
        let length = self.base.min(2);
        let from = end.len() - length as usize;
        let missing: &[u8] = match self.locked.file.read_exact_at(&mut end[from..], self.base - length) {
            // Not allowed to read, so nothing to be known.
            Err(_) => return Ok(()),
            Ok(()) => match end {
                [b'\n', b'\n'] => return Ok(()),
                [_, b'\n'] => b"\n",
                _ => b"\n\n",
            },
        };
        self.write_at(missing, self.base)?;
        self.start = self.base + missing.len() as u64;
        self.next = self.start;
        Ok(())
    }

    fn collect(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match bytes {
            [.., a, b, c] => self.tail = [*a, *b, *c],
            _ => {
                self.tail.rotate_left(bytes.len());
                self.tail[3 - bytes.len()..].copy_from_slice(bytes);
            }
        }
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
            if bytes.len() >= BUFFER {
                return self.extend(bytes);
            }
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Ends the message with an empty line; and in no case as guards end.
    fn end(&mut self) -> Result<(), Error> {
        let ended = self.locked.mbox.options.quoting == Quoting::Raw || self.tail.ends_with(b"\n\n");
        if !ended || self.tail == *guard::END {
            self.collect(b"\n")?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        let buffer = std::mem::take(&mut self.buffer);
        let done = self.extend(&buffer);
        self.buffer = buffer;
        self.buffer.clear();
        done
    }

    /// Writes octets behind those that were written, keeping a guard behind them.
    fn extend(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let end = self.next + bytes.len() as u64;
        if let Kind::File(identity) = &self.kind {
            let guard = identity.guard(self.start);
            self.write_at(&guard, guard::place(end, guard.len() as u64))?;
        }
        self.write_at(bytes, self.next)?;
        self.next = end;
        Ok(())
    }

    fn commit(&mut self) -> Result<Appended, Error> {
        if let Kind::File(_) = self.kind {
            // What the message says must be on the disk before the guard goes.
            self.sync()?;
            self.locked.truncate(self.next)?;
            self.sync()?;
            if self.before.st_size == 0 {
                self.locked.mbox.check(Operation::SyncDirectory)?;
                // The file may have been made where a symbolic link leads.
                let mbox = &self.locked.mbox;
                let (dir, _) = mbox.directory()?;
                fs::sync_dir(&dir).map_err(|error| mbox.error(Operation::SyncDirectory, error))?;
            }
            self.mark_unread();
        }
        self.committed = true;
        Ok(Appended { path: self.locked.mbox.path.clone(), offset: self.start, size: self.next - self.start })
    }

    fn sync(&self) -> Result<(), Error> {
        self.locked.mbox.check(Operation::SyncFile)?;
        fs::sync_file(&self.locked.file).map_err(|error| self.locked.mbox.error(Operation::SyncFile, error))
    }

    /// Readers take a mailbox for unread if it was changed after it was last read, by seconds. procmail sleeps for one;
    /// this sets back the time at which it was read, where the owner delivers. Having looked at the end of the file is no
    /// reading either.
    fn mark_unread(&self) {
        let Ok(after) = self.locked.stat() else { return };
        let latest = after.st_mtime - 1;
        let read = match self.before.st_atime {
            read if read <= latest && self.before.st_size > 0 => {
                Timespec { tv_sec: read, tv_nsec: self.before.st_atime_nsec as _ }
            }
            _ => Timespec { tv_sec: latest, tv_nsec: 0 },
        };
        let written = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
        let times = Timestamps { last_access: read, last_modification: written };
        let _ = rustix::fs::futimens(&self.locked.file, &times);
    }

    fn write_at(&self, mut bytes: &[u8], mut offset: u64) -> Result<(), Error> {
        let mbox = &self.locked.mbox;
        let mut full_since = None;
        while !bytes.is_empty() {
            let most = match mbox.inject(Operation::Write) {
                Fault::None => bytes.len(),
                Fault::Short(most) => most.clamp(1, bytes.len()),
                fault @ Fault::Fail(_) => {
                    return fault.check().map_err(|error| mbox.error(Operation::Write, error));
                }
            };
            let written = match self.kind {
                Kind::File(_) => self.locked.file.write_at(&bytes[..most], offset),
                Kind::Stream => (&self.locked.file).write(&bytes[..most]),
            };
            match written {
                Ok(0) => return Err(mbox.error(Operation::Write, io::Error::from(io::ErrorKind::WriteZero))),
                Ok(count) => {
                    bytes = &bytes[count..];
                    offset += count as u64;
                    full_since = None;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let since: Instant = *full_since.get_or_insert_with(Instant::now);
                    if !(mbox.options.waiting.0)(since.elapsed()) {
                        return Err(mbox.error(Operation::Write, io::Error::from(io::ErrorKind::TimedOut)));
                    }
                    self.wait_for_room().map_err(|errno| mbox.error(Operation::Write, errno))?;
                }
                Err(error) => return Err(mbox.error(Operation::Write, error)),
            }
        }
        Ok(())
    }

    /// Waits for a pipe that is full to be read from, for a turn.
    fn wait_for_room(&self) -> Result<(), Errno> {
        let turn = Timespec { tv_sec: 0, tv_nsec: TURN.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&self.locked.file, PollFlags::OUT)], Some(&turn)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.committed && matches!(self.kind, Kind::File(_)) {
            // If this fails the guard is still there, and the next delivery cuts off what is before it.
            let _ = self.locked.truncate(self.base);
        }
    }
}

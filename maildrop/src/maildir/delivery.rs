//! A message on its way to `tmp/`.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};

use rustix::fs::{AtFlags, FlockOperation, OFlags};
use rustix::io::Errno;

use super::{Maildir, Names, Staged};
use crate::error::{Error, Operation};
use crate::fault::Fault;
use crate::fs;
use crate::line_endings::{Converter, LineEndings, Sink};
use crate::message_name::MessageName;
use crate::unique::Unique;

/// Octets that are collected before they are written, in a buffer that exists while a message is being written.
const BUFFER: usize = 16 * 1024;

/// Octets after which the kernel is asked to begin writing a large message to disk. Left to itself it would keep hundreds
/// of megabytes in memory, and whoever syncs the file system next, for a small message, would wait for all of them.
const WRITEBACK: u64 = 4 * 1024 * 1024;

/// Names to try if a file is there already, which unique names make next to impossible.
const ATTEMPTS: usize = 8;

/// How a message is to be stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeliveryOptions<'a> {
    line_endings: LineEndings,
    prefix: &'a [u8],
}

impl<'a> DeliveryOptions<'a> {
    /// CRLF becomes LF, and nothing stands before the message.
    pub fn new() -> DeliveryOptions<'a> {
        DeliveryOptions::default()
    }

    /// How line endings are stored, those of the prefix included.
    #[must_use]
    pub fn line_endings(self, line_endings: LineEndings) -> DeliveryOptions<'a> {
        DeliveryOptions { line_endings, ..self }
    }

    /// A block of header lines to stand before the message, such as `Return-Path` and `Delivered-To`. If its last line
    /// has no end, one is added.
    #[must_use]
    pub fn prefix(self, prefix: &'a [u8]) -> DeliveryOptions<'a> {
        DeliveryOptions { prefix, ..self }
    }
}

/// A message being written. Write it with [`Delivery::append`] or as [`std::io::Write`], then [`Delivery::stage`] it.
/// Dropped before that, it leaves nothing behind.
///
/// Chunks of any size are fine: small ones are collected in a buffer of 16 KiB, large ones go to the file without being
/// copied (with [`LineEndings::ToLf`], lines are copied once).
#[must_use = "a delivery that is dropped is taken back"]
pub struct Delivery {
    spool: Spool,
    converter: Converter,
    prefix: Sizes,
    failed: bool,
}

/// Octets of a message or a part of it, as stored and with each line ended by CRLF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) stored: u64,
    pub(super) crlf: u64,
    /// Whether the last line has an end. One that has none gets one where the message is read, and `crlf` is not what a
    /// server sends.
    pub(super) ended: bool,
}

impl Maildir {
    /// Begins a delivery: makes a file in `tmp/`.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be made, or the prefix not be written.
    pub fn deliver(&self, options: &DeliveryOptions<'_>) -> Result<Delivery, Error> {
        let mut delivery = Delivery {
            spool: Spool::new(TmpFile::create(self)?),
            converter: Converter::new(options.line_endings),
            prefix: Sizes::default(),
            failed: false,
        };
        delivery.append(options.prefix)?;
        if options.prefix.last().is_some_and(|&last| last != b'\n') {
            delivery.append(b"\r\n")?;
        }
        delivery.prefix = delivery.sizes();
        Ok(delivery)
    }
}

impl Delivery {
    /// Adds a chunk to the message.
    ///
    /// # Errors
    /// [`Error::Io`] if the chunk, or others before it that waited in the buffer, cannot be written. The delivery is
    /// then good for nothing but being dropped.
    pub fn append(&mut self, chunk: &[u8]) -> Result<(), Error> {
        if self.failed {
            return Err(self.incomplete());
        }
        let done = self.converter.push(chunk, &mut self.spool);
        self.failed = done.is_err();
        done
    }

    /// Octets that the file holds so far, those in the buffer included.
    pub fn size(&self) -> u64 {
        self.spool.size()
    }

    /// Ends the message: all its octets go to the file, which has its sizes, and its quota is checked. It is not durable
    /// yet.
    ///
    /// # Errors
    /// [`Error::OverQuota`] if it does not fit, [`Error::Incomplete`] if an earlier write failed, or [`Error::Io`]. In
    /// each case nothing is left behind.
    pub fn stage(mut self) -> Result<Staged, Error> {
        if self.failed {
            return Err(self.incomplete());
        }
        self.converter.finish(&mut self.spool)?;
        self.spool.flush()?;
        let sizes = self.sizes();
        Staged::new(self.spool.file, sizes, self.prefix, self.converter.mode())
    }

    fn sizes(&self) -> Sizes {
        let stored = self.spool.size();
        Sizes { stored, crlf: stored + self.converter.lone_lfs(), ended: self.converter.is_ended() }
    }

    fn incomplete(&self) -> Error {
        Error::Incomplete { path: self.spool.file.maildir.path().to_owned() }
    }
}

impl Write for Delivery {
    /// Takes the whole chunk.
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        self.append(chunk)?;
        Ok(chunk.len())
    }

    /// Does nothing: what waits in the buffer is written when it is full, and by [`Delivery::stage`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("file", &self.spool.file).field("size", &self.size()).finish()
    }
}

/// A file with a write buffer before it.
pub(super) struct Spool {
    file: TmpFile,
    buffer: Vec<u8>,
    /// Octets that went to the file.
    written: u64,
    /// Octets of them that the kernel was asked to write to disk.
    started: u64,
}

impl Spool {
    pub(super) fn new(file: TmpFile) -> Spool {
        Spool { file, buffer: Vec::new(), written: 0, started: 0 }
    }

    pub(super) fn size(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.file.write_all(&self.buffer)?;
        self.count(self.buffer.len());
        self.buffer.clear();
        Ok(())
    }

    fn count(&mut self, octets: usize) {
        self.written += octets as u64;
        if self.written - self.started >= WRITEBACK {
            fs::start_writeback(&self.file.file, self.started, self.written - self.started);
            self.started = self.written;
        }
    }

    pub(super) fn target(&self) -> &TmpFile {
        &self.file
    }

    pub(super) fn into_file(self) -> TmpFile {
        self.file
    }

    /// Whether so many octets fit behind those that wait, after writing these out if need be.
    fn make_room(&mut self, octets: usize) -> Result<bool, Error> {
        if self.buffer.len() + octets > BUFFER {
            self.flush()?;
            if octets >= BUFFER {
                return Ok(false);
            }
        }
        if self.buffer.capacity() == 0 {
            self.buffer.reserve_exact(BUFFER);
        }
        Ok(true)
    }
}

impl Sink for Spool {
    type Error = Error;

    #[inline]
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.make_room(bytes.len())? {
            self.buffer.extend_from_slice(bytes);
        } else {
            self.file.write_all(bytes)?;
            self.count(bytes.len());
        }
        Ok(())
    }

    #[inline]
    fn append_line_with_cr(&mut self, line: &[u8]) -> Result<(), Error> {
        if self.make_room(line.len())? {
            // One copy, then the CR is overwritten: cheaper than two copies.
            self.buffer.extend_from_slice(line);
            if let Some(last) = self.buffer.last_mut() {
                *last = b'\n';
            }
            return Ok(());
        }
        self.append(&line[..line.len() - 1])?;
        self.append(b"\n")
    }
}

/// A message file that is taken back when dropped, unless it is released.
pub(super) struct TmpFile {
    pub(super) maildir: Maildir,
    pub(super) file: File,
    pub(super) unique: Unique,
    place: Place,
}

/// Where the file lies.
enum Place {
    Tmp,
    New(MessageName),
    /// Not this value's to remove.
    Released,
}

impl TmpFile {
    pub(super) fn create(maildir: &Maildir) -> Result<TmpFile, Error> {
        maildir.check(Operation::CreateFile, || maildir.dirs.path.join(super::TMP))?;
        // Readable too, since copies for other recipients are made from it.
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut attempts = 0;
        loop {
            let unique = maildir.unique(attempts);
            match rustix::fs::openat(&maildir.dirs.tmp, &unique.text, flags, fs::FILE_MODE) {
                Ok(fd) => {
                    // Tells cleaners that this file is alive. Where locks do not work, its age does.
                    let _ = rustix::fs::flock(&fd, FlockOperation::NonBlockingLockShared);
                    let file = File::from(fd);
                    return Ok(TmpFile { maildir: maildir.clone(), file, unique, place: Place::Tmp });
                }
                Err(Errno::EXIST) if attempts < ATTEMPTS => attempts += 1,
                Err(errno) => {
                    return Err(Error::io(Operation::CreateFile, maildir.tmp_path(&unique.text), errno));
                }
            }
        }
    }

    pub(super) fn write_all(&self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let written = match self.maildir.inject(Operation::Write) {
                Fault::None => (&self.file).write(bytes),
                Fault::Short(most) => (&self.file).write(&bytes[..most.clamp(1, bytes.len())]),
                fault @ Fault::Fail(_) => fault.check().map(|()| 0),
            };
            match written {
                Ok(0) => return Err(self.error(Operation::Write, io::Error::from(io::ErrorKind::WriteZero))),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(Operation::Write, error)),
            }
        }
        Ok(())
    }

    /// Moves the file to `new/`, under a name that tells its sizes.
    pub(super) fn move_to_new(&mut self, sizes: Sizes) -> Result<MessageName, Error> {
        let new_path = || self.maildir.new_path();
        self.maildir.check(Operation::Rename, new_path)?;
        let dirs = &self.maildir.dirs;
        let mut name = self.name(&self.unique, sizes);
        let mut attempts = 0;
        loop {
            match fs::rename_without_replacing(&dirs.tmp, &*self.unique.text, &dirs.new, name.as_os_str()) {
                Ok(()) => {
                    self.place = Place::New(name.clone());
                    return Ok(name);
                }
                Err(Errno::EXIST) if attempts < ATTEMPTS => {
                    attempts += 1;
                    name = self.name(&self.maildir.unique(attempts), sizes);
                }
                Err(errno) => return Err(Error::io(Operation::Rename, new_path(), errno)),
            }
        }
    }

    fn name(&self, unique: &Unique, sizes: Sizes) -> MessageName {
        match self.maildir.names {
            Names::WithSizes => {
                let crlf = Some(sizes.crlf).filter(|_| sizes.ended);
                MessageName::delivered(&unique.text, sizes.stored, crlf)
            }
            Names::Short => MessageName::plain(&unique.text),
        }
    }

    /// Leaves the file where it is, for its readers to keep.
    pub(super) fn release(mut self) {
        self.place = Place::Released;
    }

    pub(super) fn error(&self, operation: Operation, error: impl Into<io::Error>) -> Error {
        Error::io(operation, self.maildir.tmp_path(&self.unique.text), error)
    }
}

impl Drop for TmpFile {
    fn drop(&mut self) {
        let dirs = &self.maildir.dirs;
        // Nothing can be done about a failure here; a file left in tmp/ is removed when it is stale.
        let _ = match &self.place {
            Place::Tmp => rustix::fs::unlinkat(&dirs.tmp, &*self.unique.text, AtFlags::empty()),
            Place::New(name) => rustix::fs::unlinkat(&dirs.new, name.as_os_str(), AtFlags::empty()),
            Place::Released => Ok(()),
        };
    }
}

impl fmt::Debug for TmpFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::New(name) => write!(f, "{}", self.maildir.new_path().join(name.as_os_str()).display()),
            Place::Tmp | Place::Released => {
                write!(f, "{}", self.maildir.tmp_path(&self.unique.text).display())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_holds_can_move_between_threads() {
        fn assert_send<T: Send + 'static>() {}
        fn assert_sync<T: Sync>() {}
        assert_send::<Maildir>();
        assert_sync::<Maildir>();
        assert_send::<Delivery>();
        assert_send::<Staged>();
        assert_send::<crate::Delivered>();
        assert_send::<Error>();
    }

    #[test]
    fn a_buffer_exists_while_it_is_used_and_large_chunks_pass_it_by() {
        let dir = tempfile::tempdir().unwrap();
        let maildir = Maildir::create(dir.path()).unwrap();
        let options = DeliveryOptions::new().line_endings(LineEndings::Keep);
        let mut delivery = maildir.deliver(&options).unwrap();
        assert_eq!(delivery.spool.buffer.capacity(), 0);
        delivery.append(&vec![b'x'; 9_000_000]).unwrap();
        assert_eq!((delivery.spool.buffer.capacity(), delivery.spool.written), (0, 9_000_000));
        delivery.append(b"small").unwrap();
        assert_eq!((delivery.spool.buffer.capacity(), delivery.spool.written), (BUFFER, 9_000_000));
        assert_eq!(delivery.size(), 9_000_005);
        delivery.append(&vec![b'x'; BUFFER]).unwrap();
        assert_eq!(delivery.spool.written, 9_000_005 + BUFFER as u64);
    }
}

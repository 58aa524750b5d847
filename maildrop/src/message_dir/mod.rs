//! Folders with a file for each message: MH folders, and plain directories as procmail fills them.
//!
//! A message is written to a file with a unique name that begins with `_`, made durable, and then linked to the name
//! that readers look for: the next number in an MH folder, or a prefix and the inode number in a plain directory. Two
//! programs never get the same name, since a link is refused if its name is taken. procmail makes the name first and
//! writes afterwards; here readers see whole messages only.
//!
//! One message can stand in several folders as hard links of one file: [`MessageDir::link`].

mod filed;
mod mailbox;
mod name;
mod removal;
mod sequences;
mod sequences_file;
mod store;

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags};
use rustix::io::Errno;

pub use self::filed::Filed;
pub use self::mailbox::MhMailbox;
pub use self::sequences::MhSequences;
pub use self::store::MhStore;

use crate::error::{Error, Operation};
use crate::fault::{Fault, Faults};
use crate::fs;
use crate::unique::{HostPart, Unique};

/// Octets that are collected before they are written.
const BUFFER: usize = 16 * 1024;
/// Names to try in a plain directory, and for unique names. Numbers are tried for as long as others take them.
const ATTEMPTS: usize = 32;
/// Numbers to try before others are taken to be at fault.
const NUMBER_ATTEMPTS: usize = 100_000;

/// The largest number that programs which count in an `int`, as nmh does, can give.
const NUMBER_LIMIT: u64 = i32::MAX as u64;

/// How the files of a folder are named.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Naming {
    /// The next number: one more than the largest there is (MH). `.mh_sequences` is left to the readers.
    Number,
    /// This, then the inode number in 64 digits from `A` to `_`, least first: procmail's `msg.jB0q`.
    Inode {
        /// `msg.` unless MSGPREFIX says otherwise. It cannot lead out of the directory: no `/` may be in it.
        prefix: Vec<u8>,
    },
}

impl Naming {
    /// The name that [`Naming::Inode`] gives a file.
    ///
    /// ```
    /// assert_eq!(maildrop::Naming::inode(b"msg.", 11_223_139), b"msg.jB0q");
    /// ```
    pub fn inode(prefix: &[u8], number: u64) -> Vec<u8> {
        name::from_inode(prefix, number, 0)
    }
}

/// A folder with a file for each message.
///
/// ```
/// use maildrop::{MessageDir, Naming};
///
/// # let dir = tempfile::tempdir()?;
/// let inbox = MessageDir::create(dir.path().join("inbox"), Naming::Number)?;
/// let mut delivery = inbox.deliver()?;
/// delivery.append(b"Subject: lunch?\n\nAt noon?\n")?;
/// let filed = delivery.commit()?;
/// assert!(filed.path().ends_with("inbox/1"));
///
/// let plain = MessageDir::create(dir.path().join("plain"), Naming::Inode { prefix: b"msg.".to_vec() })?;
/// let other = plain.link(filed.path())?;
/// assert_eq!(std::fs::read(other)?, std::fs::read(filed.path())?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MessageDir {
    path: PathBuf,
    dir: Arc<OwnedFd>,
    naming: Naming,
    mode: u32,
    faults: Option<Arc<dyn Faults>>,
}

impl MessageDir {
    /// Opens a folder that exists.
    ///
    /// # Errors
    /// [`Error::Io`], also if something that is no directory is in its place, or a `/` in the prefix.
    pub fn open(path: impl Into<PathBuf>, naming: Naming) -> Result<MessageDir, Error> {
        let path = path.into();
        if matches!(&naming, Naming::Inode { prefix } if prefix.contains(&b'/')) {
            let error =
                io::Error::new(io::ErrorKind::InvalidInput, "expected a prefix of names, found a `/` in it");
            return Err(Error::io(Operation::Open, path, error));
        }
        let dir = fs::open_dir(&path).map_err(|errno| Error::io(Operation::Open, &path, errno))?;
        Ok(MessageDir::from_dir(dir, path, naming))
    }

    fn from_dir(dir: OwnedFd, path: PathBuf, naming: Naming) -> MessageDir {
        MessageDir { path, dir: Arc::new(dir), naming, mode: 0o600, faults: None }
    }

    /// Opens a folder, making it for the user alone (mode 0700) if it is not there. Its parent must exist.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(path: impl Into<PathBuf>, naming: Naming) -> Result<MessageDir, Error> {
        MessageDir::create_with_mode(path, naming, 0o700)
    }

    /// Opens a folder, making it with this mode, less the umask, if it is not there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create_with_mode(
        path: impl Into<PathBuf>,
        naming: Naming,
        mode: u32,
    ) -> Result<MessageDir, Error> {
        let path = path.into();
        match std::fs::DirBuilder::new().mode(mode).create(&path) {
            Ok(()) => fs::sync_parent(&path)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io(Operation::CreateDirectory, path, error)),
        }
        MessageDir::open(path, naming)
    }

    /// The mode of message files, less the umask. It is 0600 if nothing else is said.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> MessageDir {
        self.mode = mode;
        self
    }

    /// Sets a fault hook for this value and its deliveries.
    #[must_use]
    pub fn with_faults(mut self, faults: Arc<dyn Faults>) -> MessageDir {
        self.faults = Some(faults);
        self
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the message in an MH folder whose file has this name: digits, the first of which is no `0`. All other
    /// files are no messages: nmh's `,1`, which it has removed, editors' `1~` and `#1#`, and `.mh_sequences`.
    ///
    /// ```
    /// assert_eq!(maildrop::MessageDir::number_of(b"12"), Some(12));
    /// assert_eq!(maildrop::MessageDir::number_of(b"012"), None);
    /// ```
    pub fn number_of(name: &[u8]) -> Option<u64> {
        name::number(name).filter(|_| name.first() != Some(&b'0'))
    }

    /// Begins a delivery: makes a file with a unique name.
    ///
    /// # Errors
    /// [`Error::Io`] if that cannot be made.
    pub fn deliver(&self) -> Result<MessageDelivery, Error> {
        Ok(MessageDelivery { file: TmpFile::create(self)?, buffer: Vec::new(), written: 0, failed: false })
    }

    /// Gives a message that lies in another folder a name in this one: a hard link, or a copy if it lies on another disk
    /// or has too many names. Answers where it lies here; it is durable then.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::NamesTaken`].
    pub fn link(&self, message: &Path) -> Result<PathBuf, Error> {
        let open_error = |error: io::Error| Error::io(Operation::Open, message, error);
        let flags = OFlags::NOFOLLOW.bits() as i32;
        let file = File::options().read(true).custom_flags(flags).open(message).map_err(open_error)?;
        match self.name(&file, CWD, message) {
            Err(Error::Io { operation: Operation::Link, source, .. })
                if matches!(
                    Errno::from_io_error(&source),
                    Some(Errno::XDEV | Errno::MLINK | Errno::PERM)
                ) =>
            {
                self.copy(file)
            }
            Ok(name) => {
                let path = self.path.join(&name);
                self.sync().inspect_err(|_| {
                    let _ = std::fs::remove_file(&path);
                })?;
                Ok(path)
            }
            Err(error) => Err(error),
        }
    }

    fn copy(&self, mut file: File) -> Result<PathBuf, Error> {
        let mut delivery = self.deliver()?;
        let mut chunk = vec![0; BUFFER];
        loop {
            match file.read(&mut chunk) {
                Ok(0) => return delivery.commit().map(|filed| filed.path().to_owned()),
                Ok(count) => delivery.append(&chunk[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(Operation::Copy, &self.path, error)),
            }
        }
    }

    /// Links a file to a name of this folder that nothing has.
    fn name(
        &self,
        file: &File,
        from_dir: impl std::os::fd::AsFd,
        from: impl rustix::path::Arg + Copy,
    ) -> Result<PathBuf, Error> {
        self.check(Operation::Link)?;
        let link = |name: &[u8]| match rustix::fs::linkat(&from_dir, from, &self.dir, name, AtFlags::empty())
        {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(self.error(Operation::Link, errno)),
        };
        match &self.naming {
            Naming::Number => {
                let mut number = self.largest_number()?;
                for _ in 0..NUMBER_ATTEMPTS {
                    let Some(next) = number.checked_add(1) else { break };
                    number = next;
                    let name = number.to_string();
                    if link(name.as_bytes())? {
                        return Ok(name.into());
                    }
                }
            }
            Naming::Inode { prefix } => {
                let stat = rustix::fs::fstat(file).map_err(|errno| self.error(Operation::Stat, errno))?;
                for attempt in 0..ATTEMPTS {
                    let name = name::from_inode(prefix, stat.st_ino, attempt);
                    if link(&name)? {
                        return Ok(name::path(name));
                    }
                }
            }
        }
        Err(Error::NamesTaken { path: self.path.clone() })
    }

    /// The number that a delivery goes on from. Larger ones than others know what to do with are messages too, but passed over
    /// here: one file of such a name would be the end of all numbers.
    fn largest_number(&self) -> Result<u64, Error> {
        let list_error = |errno: Errno| self.error(Operation::List, errno);
        let mut largest = 0;
        for entry in Dir::read_from(&self.dir).map_err(list_error)? {
            let entry = entry.map_err(list_error)?;
            let number = name::number(entry.file_name().to_bytes());
            largest = largest.max(number.filter(|&number| number < NUMBER_LIMIT).unwrap_or(0));
        }
        Ok(largest)
    }

    fn sync(&self) -> Result<(), Error> {
        self.check(Operation::SyncDirectory)?;
        fs::sync_dir(&self.dir).map_err(|error| self.error(Operation::SyncDirectory, error))
    }

    fn inject(&self, operation: Operation) -> Fault {
        self.faults.as_ref().map_or(Fault::None, |faults| faults.inject(operation))
    }

    fn check(&self, operation: Operation) -> Result<(), Error> {
        self.inject(operation).check().map_err(|error| self.error(operation, error))
    }

    fn error(&self, operation: Operation, error: impl Into<io::Error>) -> Error {
        Error::io(operation, &self.path, error)
    }
}

impl fmt::Debug for MessageDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MessageDir").field(&self.path).finish()
    }
}

/// A message being written to a [`MessageDir`]. Dropped before it is committed, it leaves nothing behind.
#[must_use = "a delivery that is dropped is taken back"]
pub struct MessageDelivery {
    file: TmpFile,
    buffer: Vec<u8>,
    written: u64,
    failed: bool,
}

impl MessageDelivery {
    /// Adds a chunk to the message. Every octet is stored as given.
    ///
    /// # Errors
    /// [`Error::Io`]; the delivery is then good for nothing but being dropped.
    pub fn append(&mut self, chunk: &[u8]) -> Result<(), Error> {
        if self.failed {
            return Err(Error::Incomplete { path: self.folder().path.clone() });
        }
        let done = self.collect(chunk);
        self.failed = done.is_err();
        done
    }

    /// Octets so far.
    pub fn size(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn folder(&self) -> &MessageDir {
        &self.file.unique.folder
    }

    fn collect(&mut self, chunk: &[u8]) -> Result<(), Error> {
        if self.buffer.len() + chunk.len() > BUFFER {
            self.flush_buffer()?;
            if chunk.len() >= BUFFER {
                self.written += chunk.len() as u64;
                return self.file.write_all(chunk);
            }
        }
        self.buffer.extend_from_slice(chunk);
        Ok(())
    }

    fn flush_buffer(&mut self) -> Result<(), Error> {
        self.file.write_all(&self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Makes the message durable and gives it its name. The file stays open until what is answered is dropped.
    ///
    /// # Errors
    /// [`Error::Incomplete`] if an earlier write failed, [`Error::NamesTaken`], or [`Error::Io`]. In each case nothing is
    /// left behind.
    pub fn commit(mut self) -> Result<Filed, Error> {
        if self.failed {
            return Err(Error::Incomplete { path: self.folder().path.clone() });
        }
        self.flush_buffer()?;
        let TmpFile { file, unique } = self.file;
        let folder = unique.folder.clone();
        folder.check(Operation::SyncFile)?;
        fs::sync_file(&file).map_err(|error| folder.error(Operation::SyncFile, error))?;
        let name = folder.name(&file, &*folder.dir, &*unique.name)?;
        // The entry must last before the other name goes, or a power failure might leave neither.
        match folder.sync() {
            Ok(()) => Ok(Filed::new(folder, file, &name)),
            Err(error) => {
                let _ = rustix::fs::unlinkat(&folder.dir, &name, AtFlags::empty());
                Err(error)
            }
        }
    }
}

impl Write for MessageDelivery {
    /// Takes the whole chunk.
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        self.append(chunk)?;
        Ok(chunk.len())
    }

    /// Does nothing: what waits in the buffer is written when it is full, and by [`MessageDelivery::commit`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for MessageDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.folder().path.join(&self.file.unique.name);
        f.debug_struct("MessageDelivery").field("file", &path).field("size", &self.size()).finish()
    }
}

/// The file under its unique name.
struct TmpFile {
    file: File,
    unique: UniqueName,
}

/// The unique name of a file, which is removed when this is dropped: the message then has its other name, or none.
struct UniqueName {
    folder: MessageDir,
    name: String,
}

impl TmpFile {
    fn create(folder: &MessageDir) -> Result<TmpFile, Error> {
        folder.check(Operation::CreateFile)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mode = Mode::from_raw_mode(folder.mode);
        let mut attempts = 0;
        loop {
            let name = format!("_{}", Unique::generate(&HostPart::this_host()));
            match rustix::fs::openat(&folder.dir, &name, flags, mode) {
                Ok(fd) => {
                    let unique = UniqueName { folder: folder.clone(), name };
                    return Ok(TmpFile { file: fd.into(), unique });
                }
                Err(Errno::EXIST) if attempts < ATTEMPTS => attempts += 1,
                Err(errno) => return Err(folder.error(Operation::CreateFile, errno)),
            }
        }
    }

    fn write_all(&self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let written = match self.unique.folder.inject(Operation::Write) {
                Fault::None => (&self.file).write(bytes),
                Fault::Short(most) => (&self.file).write(&bytes[..most.clamp(1, bytes.len())]),
                fault @ Fault::Fail(_) => fault.check().map(|()| 0),
            };
            match written {
                Ok(0) => return Err(self.error(io::Error::from(io::ErrorKind::WriteZero))),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(error)),
            }
        }
        Ok(())
    }

    fn error(&self, error: io::Error) -> Error {
        Error::io(Operation::Write, self.unique.folder.path.join(&self.unique.name), error)
    }
}

impl Drop for UniqueName {
    fn drop(&mut self) {
        // Nothing can be done about a failure here: readers pass over such names.
        let _ = rustix::fs::unlinkat(&self.folder.dir, &self.name, AtFlags::empty());
    }
}

#[cfg(test)]
mod tests;

//! An mbox: one file in which messages stand one behind another, each behind a From_ line.
//!
//! Appending locks the file as procmail does: first the lock file, then the kernel's lock, so that procmail, mutt, Dovecot
//! and this crate can work on the same file at the same time. A message is whole and durable in the file when
//! [`MboxAppend::commit`] answers `Ok`, and nothing is left of it when a step fails. If the process dies, what it wrote
//! is cut off by whoever appends next with this crate, or by [`Mbox::repair`]; only what has an unquoted `From ` line in it
//! stays, as a message of its own, so that nobody can have the messages of others cut off.
//!
//! What is written is what procmail 3.22 writes: `From ` at the start of a line becomes `>From ` unless a
//! `Content-Length:` field covers it, and the message ends with an empty line. procmail glues a message to what stands
//! in the file even if that does not end with an empty line; here the lines that are missing are written first, unless
//! the options say otherwise.
//!
//! What is written to a named pipe or a device cannot be taken back. A pipe is written to only while somebody has it open for
//! reading; while it is full, it is waited for, for as long as [`MboxOptions::waiting`] says.

mod append;
mod content_length;
mod guard;
mod late;
mod mailbox;
mod notes;
mod quote;
mod rewrite;
mod scan;
mod store;
mod watch;
mod writers;

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use memchr::memmem;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

pub use self::append::{Appended, MboxAppend};
pub use self::content_length::fit_content_length;
pub use self::mailbox::{MboxMailbox, Unquoting};
pub use self::notes::MBOX_NOTES;
pub use self::scan::MboxMessage;
pub use self::store::MboxStore;

pub(crate) use self::notes::{FieldFilter, FieldKind};
pub(crate) use self::quote::Unquoter;
pub(crate) use self::watch::Watch;

use self::guard::Identity;
use crate::dot_lock::{DotLock, DotLockOptions};
use crate::error::{Error, Operation};
use crate::fault::{Fault, Faults};
use crate::fs;
use crate::kernel_lock;
use crate::store::Access;

/// How often a file that was replaced while its lock was being waited for is opened again.
const REPLACED_ATTEMPTS: u32 = 16;
/// For how long a pipe may take nothing.
const PIPE_PATIENCE: Duration = Duration::from_secs(960);

/// What becomes of `From ` at the start of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quoting {
    /// `>From `, and the message is made to end with an empty line.
    #[default]
    From,
    /// Every octet is stored as given, and nothing is added: the `r` flag of procmail.
    Raw,
}

/// What stands between a message and those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Separation {
    /// If the file does not end with an empty line, the line feeds that are missing are written first.
    #[default]
    EmptyLine,
    /// Nothing: the message goes right behind what is there, as procmail does it.
    AsFound,
}

/// How an mbox is locked and written.
#[derive(Clone, Debug)]
pub struct MboxOptions {
    dot_lock: Option<DotLockOptions>,
    lock_file: Option<PathBuf>,
    kernel_lock: Option<Duration>,
    mode: u32,
    quoting: Quoting,
    separation: Separation,
    content_length: bool,
    unquoting: Unquoting,
    utc_offset: i32,
    files_only: bool,
    waiting: Waiting,
    faults: Option<Arc<dyn Faults>>,
}

/// Says whether to wait on for a pipe that took nothing for so long.
#[derive(Clone)]
struct Waiting(Arc<dyn Fn(Duration) -> bool + Send + Sync>);

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting")
    }
}

impl Default for MboxOptions {
    fn default() -> MboxOptions {
        MboxOptions {
            dot_lock: Some(DotLockOptions::new().tell_owner()),
            lock_file: None,
            kernel_lock: Some(Duration::from_secs(960)),
            mode: 0o600,
            quoting: Quoting::default(),
            separation: Separation::default(),
            content_length: true,
            unquoting: Unquoting::default(),
            utc_offset: 0,
            files_only: false,
            waiting: Waiting(Arc::new(|waited| waited < PIPE_PATIENCE)),
            faults: None,
        }
    }
}

impl MboxOptions {
    /// A lock file and the kernel's lock, mode 0600 for a new file, quoting, and empty lines between messages.
    pub fn new() -> MboxOptions {
        MboxOptions::default()
    }

    /// How long to try for the lock file; `None` takes none, for callers that hold it already.
    #[must_use]
    pub fn dot_lock(self, options: Option<DotLockOptions>) -> MboxOptions {
        MboxOptions { dot_lock: options, ..self }
    }

    /// The lock file, where it is not the name of the mbox with `.lock` behind it.
    #[must_use]
    pub fn lock_file(self, path: impl Into<PathBuf>) -> MboxOptions {
        MboxOptions { lock_file: Some(path.into()), ..self }
    }

    /// How long to wait for the kernel's lock; `None` takes none. On a disk that knows no such locks the lock file alone
    /// must do.
    #[must_use]
    pub fn kernel_lock(self, most: Option<Duration>) -> MboxOptions {
        MboxOptions { kernel_lock: most, ..self }
    }

    /// The mode of a file that is made, less the umask. That of a file that is there is left alone.
    #[must_use]
    pub fn mode(self, mode: u32) -> MboxOptions {
        MboxOptions { mode, ..self }
    }

    /// What becomes of `From ` at the start of a line.
    #[must_use]
    pub fn quoting(self, quoting: Quoting) -> MboxOptions {
        MboxOptions { quoting, ..self }
    }

    /// What stands between a message and those before it.
    #[must_use]
    pub fn separation(self, separation: Separation) -> MboxOptions {
        MboxOptions { separation, ..self }
    }

    /// Whether a `Content-Length:` field is corrected and spares its part of the body the quoting (the default), or is a
    /// field like any other, as in the traditional Berkeley format. With [`Quoting::Raw`] it is never corrected, nor is it in
    /// messages that are given in chunks: see [`fit_content_length`]. A session heeds it if it tells the truth.
    #[must_use]
    pub fn content_length(self, heeded: bool) -> MboxOptions {
        MboxOptions { content_length: heeded, ..self }
    }

    /// What becomes of `>From ` at the start of a line when a message is read.
    #[must_use]
    pub fn unquoting(self, unquoting: Unquoting) -> MboxOptions {
        MboxOptions { unquoting, ..self }
    }

    /// The zone of the dates in From_ lines, most of which name none: seconds east of Greenwich, as in
    /// [`FromLine::new`](crate::FromLine::new). It is Greenwich if nothing else is said.
    #[must_use]
    pub fn utc_offset(self, seconds: i32) -> MboxOptions {
        MboxOptions { utc_offset: seconds, ..self }
    }

    /// Whether anything but a regular file, or a symbolic link to one, is refused with [`Error::NotAFile`]. Otherwise (the
    /// default) messages are written to devices and named pipes too.
    #[must_use]
    pub fn files_only(self, only: bool) -> MboxOptions {
        MboxOptions { files_only: only, ..self }
    }

    /// Asked a few times a second while a named pipe is full, with the time for which it has taken nothing: whether to wait
    /// on. If not, the message fails with [`std::io::ErrorKind::TimedOut`]. The default is to wait for 960 seconds.
    #[must_use]
    pub fn waiting(self, goes_on: impl Fn(Duration) -> bool + Send + Sync + 'static) -> MboxOptions {
        MboxOptions { waiting: Waiting(Arc::new(goes_on)), ..self }
    }

    /// Sets a fault hook for all steps on the file.
    #[must_use]
    pub fn with_faults(self, faults: Arc<dyn Faults>) -> MboxOptions {
        MboxOptions { faults: Some(faults), ..self }
    }
}

/// An mbox that messages are appended to.
///
/// ```
/// use maildrop::{FromLine, Mbox};
///
/// # let dir = tempfile::tempdir()?;
/// let mbox = Mbox::new(dir.path().join("box"));
/// let line = FromLine::new(b"bob@example.org", std::time::UNIX_EPOCH, 0);
/// let message = [line.as_bytes(), b"Subject: lunch?\n\nFrom noon on?\n"].concat();
/// let appended = mbox.append(&message)?;
///
/// let stored = std::fs::read_to_string(mbox.path())?;
/// assert_eq!(appended.size(), stored.len() as u64);
/// assert!(stored.ends_with("Subject: lunch?\n\n>From noon on?\n\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Mbox {
    path: PathBuf,
    options: MboxOptions,
    /// The directory, where its owner is not trusted: then the file is never reached but through this, and no link is
    /// followed.
    home: Option<Arc<OwnedFd>>,
}

impl Mbox {
    /// An mbox with the default options. Nothing is opened yet, and the file need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Mbox {
        Mbox::with_options(path, MboxOptions::new())
    }

    /// An mbox with other options.
    pub fn with_options(path: impl Into<PathBuf>, options: MboxOptions) -> Mbox {
        Mbox { path: path.into(), options, home: None }
    }

    /// An mbox in a directory of somebody who may put anything in its place: nothing but a regular file without other
    /// names is read or written. `path` is what errors tell, and ends with its name.
    pub(crate) fn inside(home: OwnedFd, path: PathBuf, options: MboxOptions) -> Mbox {
        Mbox { path, options: options.files_only(true), home: Some(Arc::new(home)) }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a whole message, which should begin with a From_ line (see [`FromLine`](crate::FromLine)). When this
    /// answers `Ok`, it survives a power failure.
    ///
    /// # Errors
    /// [`Error::LockHeld`], [`Error::NotAFile`], [`Error::ManyNames`] or [`Error::Io`]. In each case nothing of the message is left in the file.
    pub fn append(&self, message: &[u8]) -> Result<Appended, Error> {
        let mut append = self.begin()?;
        let (header, body) = message.split_at(header_length(message));
        let mut fitted = header.to_vec();
        // An empty line at the end is not counted, as with procmail.
        let empty_end = message.iter().nth_back(1) == Some(&b'\n');
        let length = body.len().saturating_sub(usize::from(empty_end));
        let heeded = self.options.content_length && self.options.quoting == Quoting::From;
        let covered = heeded.then(|| fit_content_length(&mut fitted, length as u64)).flatten();
        let covered = usize::try_from(covered.unwrap_or(0)).unwrap_or(usize::MAX).min(body.len());
        append.append(&fitted)?;
        append.append_verbatim(&body[..covered])?;
        append.append(&body[covered..])?;
        append.commit()
    }

    /// Locks the file and begins a message that comes in chunks. The locks are held until the message is committed or
    /// dropped, so do not wait for a peer meanwhile.
    ///
    /// # Errors
    /// [`Error::LockHeld`], [`Error::NotAFile`], [`Error::ManyNames`] or [`Error::Io`].
    pub fn begin(&self) -> Result<MboxAppend, Error> {
        // Mail that waits to be added is left to the sessions: a delivery is not to take long for what a user may have put there.
        MboxAppend::new(self.lock_alone(OFlags::CREATE, Access::Exclusive)?)
    }

    /// Cuts off what a process left that died while it was appending; the next append does the same. Answers how many
    /// octets went.
    ///
    /// # Errors
    /// [`Error::LockHeld`], [`Error::NotAFile`], [`Error::ManyNames`] or [`Error::Io`].
    pub fn repair(&self) -> Result<u64, Error> {
        let locked = self.lock(OFlags::empty(), Access::Exclusive)?;
        let size = locked.size()?;
        Ok(size - locked.recover(size)?)
    }

    /// The open file with its locks. Who only reads shares the kernel's with others, and goes without the lock file where
    /// none may be made.
    ///
    /// Mail that came while the file was being replaced is added to it first.
    fn lock(&self, create: OFlags, access: Access) -> Result<Locked, Error> {
        self.lock_with(create, access, true)
    }

    /// The same, and adds nothing.
    fn lock_alone(&self, create: OFlags, access: Access) -> Result<Locked, Error> {
        self.lock_with(create, access, false)
    }

    fn lock_with(&self, create: OFlags, access: Access, mut adds: bool) -> Result<Locked, Error> {
        let dot_lock = match &self.options.dot_lock {
            Some(options) => {
                let path = self.options.lock_file.clone();
                match DotLock::acquire(path.unwrap_or_else(|| DotLock::path_for(&self.path)), options) {
                    Err(Error::Io { source, .. })
                        if access == Access::ReadOnly
                            && matches!(
                                Errno::from_io_error(&source),
                                Some(Errno::ACCESS | Errno::PERM | Errno::ROFS)
                            ) =>
                    {
                        None
                    }
                    locked => Some(locked?),
                }
            }
            None => None,
        };
        let mut attempts = 0;
        loop {
            attempts += 1;
            let file = match access {
                Access::Exclusive => self.open(create)?,
                Access::ReadOnly => self.open_to_read()?,
            };
            let locked = Locked { file, mbox: self.clone(), _dot_lock: None };
            self.check(Operation::Lock)?;
            if let Some(most) = self.options.kernel_lock
                && locked.regular()?
            {
                let taken = match access {
                    Access::Exclusive => kernel_lock::lock(&locked.file, most),
                    Access::ReadOnly => kernel_lock::lock_shared(&locked.file, most),
                };
                match taken {
                    Ok(true) => {}
                    Ok(false) => return Err(Error::LockHeld { path: self.path.clone(), attempts }),
                    Err(Errno::NOLCK | Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
                    Err(errno) => return Err(self.error(Operation::Lock, errno)),
                }
            }
            // A reader may have put another file in its place while it held the lock.
            if locked.is_in_place()? {
                if adds && access == Access::Exclusive && locked.regular()? && late::waits(self) {
                    // If there is no room for it, that is no reason not to let mail be removed.
                    let _ = late::take(locked);
                    adds = false;
                    continue;
                }
                return Ok(Locked { _dot_lock: dot_lock, ..locked });
            }
            if attempts >= REPLACED_ATTEMPTS {
                return Err(Error::LockHeld { path: self.path.clone(), attempts });
            }
        }
    }

    fn open(&self, create: OFlags) -> Result<File, Error> {
        self.check(Operation::Open)?;
        let flags = create | OFlags::CLOEXEC | OFlags::NOCTTY;
        let mode = Mode::from_raw_mode(self.options.mode);
        let open = |flags| self.open_named(flags, mode);
        let found = self.named().map(|stat| FileType::from_raw_mode(stat.st_mode));
        let is_pipe = found.is_ok_and(FileType::is_fifo);
        if found.is_ok_and(|found| found.is_symlink()) {
            return Err(Error::Symlink { path: self.path.clone() });
        }
        if self.options.files_only && found.is_ok_and(|found| !found.is_file()) {
            return Err(Error::NotAFile { path: self.path.clone() });
        }
        let opened = match is_pipe {
            // One that is opened for reading too takes what nobody reads.
            true => open(flags | OFlags::WRONLY | OFlags::NONBLOCK),
            false => match open(flags | OFlags::RDWR) {
                // A mailbox that others may drop mail into, but not read.
                Err(Errno::ACCESS) if self.home.is_none() => open(flags | OFlags::WRONLY),
                opened => opened,
            },
        };
        let file = opened.map(File::from).map_err(|errno| self.not_opened(errno))?;
        // It may have been replaced meanwhile.
        let stat = rustix::fs::fstat(&file).map_err(|errno| self.error(Operation::Stat, errno))?;
        self.check_names(&stat)?;
        match FileType::from_raw_mode(stat.st_mode) {
            opened if self.options.files_only && !opened.is_file() => {
                Err(Error::NotAFile { path: self.path.clone() })
            }
            opened if opened.is_fifo() && !is_pipe => Err(self.error(Operation::Open, Errno::AGAIN)),
            _ => Ok(file),
        }
    }

    /// Opens a regular file so that reading it does not look as if its owner had read their mail, where the system can.
    fn open_to_read(&self) -> Result<File, Error> {
        self.check(Operation::Open)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let open = |flags| self.open_named(flags, Mode::empty());
        // Only the owner may ask for that.
        #[cfg(target_os = "linux")]
        let opened = open(flags | OFlags::NOATIME).or_else(|_| open(flags));
        #[cfg(not(target_os = "linux"))]
        let opened = open(flags);
        let file = File::from(opened.map_err(|errno| self.not_opened(errno))?);
        let stat = rustix::fs::fstat(&file).map_err(|errno| self.error(Operation::Stat, errno))?;
        self.check_names(&stat)?;
        match FileType::from_raw_mode(stat.st_mode).is_file() {
            true => Ok(file),
            false => Err(Error::NotAFile { path: self.path.clone() }),
        }
    }

    fn open_named(&self, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        match &self.home {
            Some(home) => {
                // The owner may have a lease on the file, for which the kernel has others wait most of a minute.
                let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK;
                rustix::fs::openat(home, fs::split(&self.path).1, flags, mode)
            }
            None => rustix::fs::open(&self.path, flags, mode),
        }
    }

    /// What stands in the place of the file by then.
    fn named(&self) -> Result<Stat, Errno> {
        match &self.home {
            Some(home) => rustix::fs::statat(home, fs::split(&self.path).1, AtFlags::SYMLINK_NOFOLLOW),
            None => rustix::fs::stat(&self.path),
        }
    }

    /// The directory in which the file lies, wherever links lead to it, and its name there.
    fn directory(&self) -> Result<(Arc<OwnedFd>, OsString), Error> {
        if let Some(home) = &self.home {
            return Ok((Arc::clone(home), fs::split(&self.path).1.to_owned()));
        }
        let real = match self.path.canonicalize() {
            Ok(real) => Cow::Owned(real),
            Err(_) => Cow::Borrowed(&*self.path),
        };
        let (parent, name) = fs::split(&real);
        let dir = fs::open_dir(parent).map_err(|errno| Error::io(Operation::Open, parent, errno))?;
        Ok((Arc::new(dir), name.to_owned()))
    }

    /// Refuses a file that has a second name where links are not followed: it may be somebody else's.
    fn check_names(&self, stat: &Stat) -> Result<(), Error> {
        match self.home.is_some() && stat.st_nlink > 1 {
            true => Err(Error::ManyNames { path: self.path.clone(), names: stat.st_nlink as _ }),
            false => Ok(()),
        }
    }

    fn not_opened(&self, errno: Errno) -> Error {
        match errno {
            Errno::LOOP if self.home.is_some() => Error::Symlink { path: self.path.clone() },
            Errno::AGAIN if self.home.is_some() => Error::LockHeld { path: self.path.clone(), attempts: 1 },
            errno => self.error(Operation::Open, errno),
        }
    }

    fn inject(&self, operation: Operation) -> Fault {
        self.options.faults.as_ref().map_or(Fault::None, |faults| faults.inject(operation))
    }

    fn check(&self, operation: Operation) -> Result<(), Error> {
        self.inject(operation).check().map_err(|error| self.error(operation, error))
    }

    fn error(&self, operation: Operation, error: impl Into<io::Error>) -> Error {
        Error::io(operation, &self.path, error)
    }
}

impl fmt::Debug for Mbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mbox").field(&self.path).finish()
    }
}

/// The open file with its locks, which go in procmail's order: first the kernel's, then the lock file.
struct Locked {
    file: File,
    mbox: Mbox,
    _dot_lock: Option<DotLock>,
}

impl Locked {
    fn stat(&self) -> Result<Stat, Error> {
        rustix::fs::fstat(&self.file).map_err(|errno| self.mbox.error(Operation::Stat, errno))
    }

    fn size(&self) -> Result<u64, Error> {
        Ok(u64::try_from(self.stat()?.st_size).unwrap_or(0))
    }

    fn regular(&self) -> Result<bool, Error> {
        Ok(FileType::from_raw_mode(self.stat()?.st_mode).is_file())
    }

    fn is_in_place(&self) -> Result<bool, Error> {
        let open = self.stat()?;
        let named = self.mbox.named();
        Ok(named.is_ok_and(|named| (named.st_dev, named.st_ino) == (open.st_dev, open.st_ino)))
    }

    /// Cuts off an unfinished message, and answers where the file ends then.
    fn recover(&self, size: u64) -> Result<u64, Error> {
        self.mbox.check(Operation::Recover)?;
        let unfinished = Identity::of(&self.file).and_then(|id| id.unfinished(&self.file, size));
        match unfinished {
            Ok(None) => Ok(size),
            Ok(Some(start)) => self.truncate(start).map(|()| start),
            // Not allowed to read: then there is nothing to be known.
            Err(error) if error.raw_os_error() == Some(Errno::BADF.raw_os_error()) => Ok(size),
            Err(error) => Err(self.mbox.error(Operation::Recover, error)),
        }
    }

    fn truncate(&self, size: u64) -> Result<(), Error> {
        self.mbox.check(Operation::Truncate)?;
        self.file.set_len(size).map_err(|error| self.mbox.error(Operation::Truncate, error))
    }
}

/// Octets of the header, with the empty line that ends it. Empty lines before it belong to it.
fn header_length(message: &[u8]) -> usize {
    let leading = message.iter().take_while(|&&byte| byte == b'\n').count();
    memmem::find(&message[leading..], b"\n\n").map_or(message.len(), |at| leading + at + 2)
}

#[cfg(test)]
mod tests;

//! Folders: the mail written to one, and linked into others.

use std::borrow::Cow;
use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use maildrop::{
    DeliveryOptions, Error, LineEndings, Maildir, Mbox, MboxAppend, MboxOptions, MessageDir, Naming, Quoting,
    Separation,
};
use procmail_engine::effect::{Deliver, Delivered, Note};

use super::{Host, NULL, Places};

/// The modes that maildrop gives files and directories of its own accord.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
/// For how long the kernel's lock of a mailbox is waited for before it is asked whether to stop.
const LOCK_TURN: Duration = Duration::from_millis(500);

/// A directory that holds a file for each mail.
enum Place {
    Maildir(Maildir),
    Files(MessageDir),
    /// Of MH, whose messages are served.
    Served(MessageDir),
}

/// What a folder's name says of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Maildir,
    Mh,
    Plain,
}

/// Splits a folder's name into what the end of it says and the directory.
fn kind(folder: &[u8]) -> (Kind, &[u8]) {
    let (kind, name) = match folder {
        [name @ .., b'/', b'.'] => (Kind::Mh, name),
        [name @ .., b'/'] => (Kind::Maildir, name),
        _ => return (Kind::Plain, folder),
    };
    let slashes = name.iter().rev().take_while(|&&byte| byte == b'/').count();
    let name = &name[..name.len() - slashes];
    (kind, if name.is_empty() { b"/" } else { name })
}

/// A directory in which mails get files of their own.
struct Directory<'a> {
    name: Cow<'a, [u8]>,
    /// What the names of the files start with.
    prefix: &'a [u8],
    /// Whether a prefix has led into it, so that it must be there.
    is_led_into: bool,
}

/// A prefix of names may lead into another directory, which then is the folder.
fn into_prefix<'a>(kind: Kind, name: &'a [u8], prefix: &'a [u8]) -> Directory<'a> {
    match memchr::memrchr(b'/', prefix) {
        Some(at) if kind == Kind::Plain => Directory {
            name: [name, b"/", &prefix[..at]].concat().into(),
            prefix: &prefix[at + 1..],
            is_led_into: true,
        },
        _ => Directory { name: name.into(), prefix, is_led_into: false },
    }
}

impl Host {
    /// Writes a mail to its folders. `patience` is how long to wait for the kernel's lock of a mailbox, or for the reader of a
    /// pipe that is full; nothing is for ever.
    pub(super) fn deliver(&self, deliver: &Deliver, patience: Option<Duration>) -> Delivered {
        let Some((first, others)) = deliver.folders.split_first() else {
            return Delivered { notes: Vec::new(), size: None };
        };
        let mut notes = Vec::new();
        let (kind, name) = kind(first);
        let is_directory = !first.is_empty() && self.path(first).is_some_and(|path| path.is_dir());
        if kind == Kind::Plain && !is_directory {
            return self.append(first, others, deliver, patience, notes);
        }
        let directory = into_prefix(kind, name, &deliver.message_prefix);
        let name = directory.name.as_ref();
        let written = match self.place(kind, &directory) {
            Some(place) => self.write(&place, deliver),
            // The name of a file in a directory is none of a mailbox.
            None if directory.is_led_into => Err(Failure::Making),
            None => {
                notes.push(Note::NotDirectory(name.to_vec()));
                return self.append(name, others, deliver, patience, notes);
            }
        };
        match written {
            Ok((path, size)) => {
                let file = shown(kind, name, &path);
                notes.push(Note::Folder(file.clone()));
                if kind != Kind::Maildir {
                    notes.push(Note::Opening(file));
                    notes.push(Note::KernelLock);
                }
                for folder in others {
                    self.link(&path, folder, &deliver.message_prefix, &mut notes);
                }
                Delivered { notes, size: Some(size) }
            }
            Err(failure) => {
                let file = temporary_file(kind, name);
                match failure {
                    Failure::Making => {
                        notes.extend([Note::WriteError(file.clone()), Note::NoFile(file)]);
                    }
                    Failure::Writing(error) => {
                        notes.push(Note::Begun(deliver.content.raw().len() as u64));
                        notes.push(if kind == Kind::Maildir {
                            why(&error, file)
                        } else {
                            // What procmail says of any failure here.
                            Note::WriteError(file)
                        });
                    }
                }
                Delivered { notes, size: None }
            }
        }
    }

    /// Opens a directory, making it if need be, unless a prefix leads into it.
    fn place(&self, kind: Kind, directory: &Directory<'_>) -> Option<Place> {
        let path = self.path(&directory.name)?;
        if !directory.is_led_into {
            self.make_directory(&path).ok()?;
        }
        Some(match kind {
            Kind::Maildir => {
                let maildir = match Maildir::open(&path) {
                    Ok(maildir) => maildir,
                    Err(_) => {
                        for part in ["tmp", "new", "cur"] {
                            self.make_directory(&path.join(part)).ok()?;
                        }
                        // Makes them durable.
                        Maildir::create(&path).ok()?
                    }
                };
                Place::Maildir(maildir.with_short_names())
            }
            Kind::Mh if self.is_served => Place::Served(self.message_dir(&path, Naming::Number)?),
            Kind::Mh => Place::Files(self.message_dir(&path, Naming::Number)?),
            Kind::Plain => {
                Place::Files(self.message_dir(&path, Naming::Inode { prefix: directory.prefix.to_vec() })?)
            }
        })
    }

    fn message_dir(&self, path: &Path, naming: Naming) -> Option<MessageDir> {
        Some(MessageDir::open(path, naming).ok()?.mode(self.file_mode() & FILE_MODE))
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        match fs::DirBuilder::new().mode(DIRECTORY_MODE & !self.umask).create(path) {
            Ok(()) => {
                let mode = 0o777 & !self.umask;
                if mode & !DIRECTORY_MODE != 0 {
                    fs::set_permissions(path, Permissions::from_mode(mode))?;
                }
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What the umask leaves; the right to execute is added if it leaves it to others, by which procmail tells who looks at
    /// a mailbox that it is meant to be seen.
    fn file_mode(&self) -> u32 {
        0o666 & !self.umask | u32::from(self.umask & 1 == 0)
    }

    /// Writes the mail to a file of its own, durably.
    fn write(&self, place: &Place, deliver: &Deliver) -> Result<(PathBuf, u64), Failure> {
        let content = &deliver.content;
        let made = |_| Failure::Making;
        let (path, size) = match place {
            Place::Maildir(maildir) => {
                let bytes = content.for_maildir();
                let mut delivery =
                    maildir.deliver(&DeliveryOptions::new().line_endings(LineEndings::Keep)).map_err(made)?;
                delivery.append(bytes)?;
                (delivery.stage()?.commit()?.path(), bytes.len())
            }
            Place::Served(folder) => {
                let bytes = content.for_maildir();
                let mut delivery = folder.deliver().map_err(made)?;
                delivery.append(bytes)?;
                (delivery.commit()?.path().to_owned(), bytes.len())
            }
            Place::Files(folder) => {
                let bytes = content.with_end();
                let mut delivery = folder.deliver().map_err(made)?;
                delivery.append(&bytes)?;
                (delivery.commit()?.path().to_owned(), bytes.len())
            }
        };
        if self.file_mode() != FILE_MODE {
            // The mail is there: who may read it is no reason to deliver it again.
            drop(fs::set_permissions(&path, Permissions::from_mode(self.file_mode())));
        }
        Ok((path, size as u64))
    }

    fn link(&self, from: &Path, folder: &[u8], prefix: &[u8], notes: &mut Vec<Note>) {
        let (kind, name) = kind(folder);
        let directory = into_prefix(kind, name, prefix);
        let linked = self.place(kind, &directory).and_then(|place| match place {
            Place::Maildir(maildir) => maildir.link(from).ok(),
            Place::Files(folder) | Place::Served(folder) => folder.link(from).ok(),
        });
        match linked {
            Some(path) => notes.push(Note::Linking(shown(kind, &directory.name, &path))),
            None => {
                notes.push(Note::NotDirectory(folder.to_vec()));
                notes.push(Note::Skipped(folder.to_vec()));
            }
        }
    }

    /// Appends the mail to a mailbox.
    fn append(
        &self,
        name: &[u8],
        others: &[Vec<u8>],
        deliver: &Deliver,
        patience: Option<Duration>,
        mut notes: Vec<Note>,
    ) -> Delivered {
        if !others.is_empty() {
            notes.push(Note::Skipped(others.join(&b' ')));
        }
        notes.push(Note::Folder(name.to_vec()));
        notes.push(Note::Opening(name.to_vec()));
        if name == NULL {
            return Delivered { notes, size: Some(deliver.content.raw().len() as u64) };
        }
        let bytes = deliver.content.for_mbox();
        let path = self.path(name).filter(|_| !name.is_empty());
        let Some(mut append) = path.and_then(|path| match self.open_mailbox(&path, patience) {
            Ok(append) => Some(append),
            Err(error) => {
                if matches!(error, Error::LockHeld { .. }) {
                    notes.push(Note::KernelLock);
                    notes.extend(self.interrupted().map(|_| Note::KernelLockAwaited));
                }
                None
            }
        }) else {
            if notes.last() != Some(&Note::KernelLockAwaited) {
                notes.push(Note::WriteError(name.to_vec()));
            }
            return Delivered { notes, size: None };
        };
        notes.push(Note::KernelLock);
        match append.append(&bytes).and_then(|()| append.commit()) {
            Ok(appended) => {
                notes.push(Note::Start(appended.offset()));
                Delivered { notes, size: Some(bytes.len() as u64) }
            }
            Err(error) => {
                let begun = Note::Begun(deliver.content.raw().len() as u64);
                notes.extend([begun, why(&error, name.to_vec())]);
                if self.path(name).is_some_and(|path| path.is_file()) {
                    notes.push(Note::Truncated);
                }
                Delivered { notes, size: None }
            }
        }
    }

    fn open_mailbox(&self, path: &Path, patience: Option<Duration>) -> Result<MboxAppend, Error> {
        let mode = self.file_mode();
        if mode != FILE_MODE {
            // Whoever makes the file gives it its mode; that of one that is there is left alone.
            let made = OpenOptions::new().write(true).create_new(true).mode(mode & FILE_MODE).open(path);
            if let Ok(file) = made {
                drop(file.set_permissions(Permissions::from_mode(mode)));
            }
        }
        let (stop, deadline) = (self.stop.clone(), self.deadline);
        let options = MboxOptions::new()
            .files_only(self.places != Places::Anywhere)
            .waiting(move |waited| {
                stop.requested().is_none()
                    && deadline.is_none_or(|deadline| Instant::now() < deadline)
                    && patience.is_none_or(|patience| waited < patience)
            })
            .dot_lock(None)
            .kernel_lock(Some(LOCK_TURN))
            .mode(FILE_MODE)
            .quoting(Quoting::Raw)
            .separation(Separation::AsFound);
        let mbox = Mbox::with_options(path, options);
        let start = Instant::now();
        loop {
            match mbox.begin() {
                Err(Error::LockHeld { .. })
                    if self.interrupted().is_none()
                        && patience.is_none_or(|patience| start.elapsed() < patience) => {}
                begun => return begun,
            }
        }
    }
}

/// What keeps a mail from a file of its own.
enum Failure {
    /// There is no file.
    Making,
    /// It could not be written.
    Writing(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Writing(error)
    }
}

/// How the log calls a failure to write to a file.
fn why(error: &Error, file: Vec<u8>) -> Note {
    match error {
        error if error.is_over_quota() => Note::OverQuota(file),
        error if error.is_storage_full() => Note::NoSpace(file),
        _ => Note::WriteError(file),
    }
}

/// A file that a mail would have come into a directory by, as procmail calls it.
fn temporary_file(kind: Kind, name: &[u8]) -> Vec<u8> {
    if kind != Kind::Maildir {
        return super::lock::temporary_name(&[name, b"/"].concat());
    }
    let uname = rustix::system::uname();
    let unique = format!("/tmp/{}.{}_0.", super::now(), std::process::id());
    [name, unique.as_bytes(), uname.nodename().to_bytes()].concat()
}

/// A file as it is called in the log: by its folder's name.
fn shown(kind: Kind, name: &[u8], path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    let file = path.file_name().unwrap_or_default().as_bytes();
    let between: &[u8] = if kind == Kind::Maildir { b"/new/" } else { b"/" };
    [name, between, file].concat()
}

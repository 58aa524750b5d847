//! A Maildir: a directory with `tmp/`, `new/` and `cur/`, and Maildir++ folders beside them.
//!
//! A message is written to `tmp/`, made durable, and moved to `new/`; readers never look into `tmp/`, so they see whole
//! messages only. Work is done relative to directory handles that a [`Maildir`] keeps open, so that a delivery costs few
//! system calls and cannot be redirected by renaming a directory above.

mod arrival;
mod changed;
mod clean;
mod commit;
mod delivery;
mod link;
mod listing;
mod mailbox;
mod quota;
mod removal;
mod search;
mod sizes;
mod staged;

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;

pub use self::clean::{Cleaned, STALE_AFTER};
pub use self::commit::{Delivered, SyncStrategy, commit_all, commit_all_with};
pub use self::delivery::{Delivery, DeliveryOptions};
pub use self::mailbox::{MaildirMailbox, MaildirStore};
pub use self::staged::Staged;

use crate::error::{Error, Operation};
use crate::fault::{Fault, Faults};
use crate::folder_name::FolderName;
use crate::fs::{self, Volume};
use crate::unique::{HostPart, Unique};

const TMP: &str = "tmp";
const NEW: &str = "new";
const CUR: &str = "cur";

/// The empty file that marks a directory as a Maildir++ folder rather than a Maildir of its own.
const FOLDER_MARK: &str = "maildirfolder";

/// The Maildir++ folder whose messages do not count towards the quota.
const TRASH: &str = ".Trash";

/// A Maildir, or one of its Maildir++ folders, open for delivery.
///
/// It holds three directory handles (a folder three more, which it shares with the Maildir it lies in), and clones share
/// them. Where the directories are moved away meanwhile, deliveries go with them: ask [`Maildir::is_in_place`] before a
/// value that was kept for a while is used, and open the Maildir again if it is not. Where they are removed, deliveries
/// fail with an error for which [`Error::is_not_found`] holds.
///
/// ```
/// use std::io::Write;
/// use maildrop::{DeliveryOptions, Maildir};
///
/// # let dir = tempfile::tempdir()?;
/// let maildir = Maildir::create(dir.path().join("Maildir"))?;
/// let mut delivery = maildir.deliver(&DeliveryOptions::new().prefix(b"Return-Path: <a@example.org>\r\n"))?;
/// delivery.write_all(b"Subject: hello\r\n\r\nHow are you?\r\n")?;
/// let delivered = delivery.stage()?.commit()?;
///
/// let stored = std::fs::read_to_string(delivered.path())?;
/// assert_eq!(stored, "Return-Path: <a@example.org>\nSubject: hello\n\nHow are you?\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Maildir {
    dirs: Arc<Dirs>,
    host: HostPart,
    names: Names,
    faults: Option<Arc<dyn Faults>>,
}

/// How message files are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    WithSizes,
    Short,
}

struct Dirs {
    path: PathBuf,
    root: OwnedFd,
    tmp: OwnedFd,
    new: OwnedFd,
    tmp_inode: u64,
    /// Inode of `new/`: tells whether two values are the same Maildir.
    new_inode: u64,
    volume: Volume,
    /// For a folder, the Maildir it lies in, which keeps the quota of both.
    main: Option<Arc<Dirs>>,
    /// Whether messages here count towards the quota.
    counted: bool,
}

impl Maildir {
    /// Opens a Maildir, making what is missing of it: the directory with its parents, `tmp`, `new` and `cur`, all for the
    /// user alone (mode 0700). What is made is durable when this returns.
    ///
    /// # Errors
    /// [`Error::Symlink`] if a link stands in place of `tmp`, `new` or `cur`, or [`Error::Io`].
    pub fn create(path: impl Into<PathBuf>) -> Result<Maildir, Error> {
        let path = path.into();
        fs::make_dir_all(&path)?;
        let root = fs::open_dir(&path).map_err(|errno| Error::io(Operation::Open, &path, errno))?;
        Maildir::complete(&root, &path)?;
        // Also if the directory was there: whoever made it may not have come this far.
        fs::sync_parent(&path)?;
        Maildir::from_dir(root, path)
    }

    /// Opens a Maildir that exists. A folder may be opened by its path too.
    ///
    /// # Errors
    /// [`Error::NotAMaildir`] if the directory or its `tmp`, `new` or `cur` is missing, [`Error::Symlink`] if a link
    /// stands in place of one of those three, or [`Error::Io`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Maildir, Error> {
        let path = path.into();
        let root = fs::open_dir(&path).map_err(|errno| {
            Error::io(Operation::Open, &path, errno)
                .or_missing(|| Error::NotAMaildir { path: path.clone(), missing: path.clone() })
        })?;
        Maildir::from_dir(root, path)
    }

    /// Makes `tmp`, `new` and `cur` inside an open directory.
    pub(crate) fn complete(root: &OwnedFd, path: &Path) -> Result<(), Error> {
        for name in [CUR, NEW, TMP] {
            fs::make_dir_at(root, name)
                .map_err(|errno| Error::io(Operation::CreateDirectory, path.join(name), errno))?;
        }
        fs::sync_dir(root).map_err(|error| Error::io(Operation::SyncDirectory, path, error))
    }

    pub(crate) fn from_dir(root: OwnedFd, path: PathBuf) -> Result<Maildir, Error> {
        let main = if exists(&root, FOLDER_MARK) { main_of(&root, &path) } else { None };
        let dirs = Dirs::open(root, path, main)?;
        Ok(Maildir {
            dirs: Arc::new(dirs),
            host: HostPart::this_host(),
            names: Names::WithSizes,
            faults: None,
        })
    }

    /// Names the host in the file names of messages, where the system's host name will not do: several machines that
    /// deliver to one disk need different names. Octets with a meaning in file names are escaped. Of a name that is too long
    /// the first octets are taken, and a digest of all, so that names of messages with their sizes have at most 70 octets:
    /// POP3 gives them as unique identifiers.
    #[must_use]
    pub fn with_host_name(mut self, name: &str) -> Maildir {
        self.host = HostPart::new(name.as_bytes());
        self
    }

    /// Names messages `<seconds>.<process>_<number>.<host>`, as procmail does, for scripts that know such names. They tell no
    /// sizes.
    #[must_use]
    pub fn with_short_names(mut self) -> Maildir {
        self.names = Names::Short;
        self
    }

    /// The name to try at an attempt, the first of which is 0. Where all processes have the same number, as in containers,
    /// a short one may be taken again and again.
    fn unique(&self, attempt: usize) -> Unique {
        match self.names {
            Names::Short if attempt == 0 => Unique::short(&self.host),
            Names::Short | Names::WithSizes => Unique::generate(&self.host),
        }
    }

    /// Sets a fault hook for this value, its folders and deliveries.
    #[must_use]
    pub fn with_faults(mut self, faults: Arc<dyn Faults>) -> Maildir {
        self.faults = Some(faults);
        self
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.dirs.path
    }

    /// Whether the directories that this value has open are those that lie at its [path](Self::path): whoever moves a Maildir
    /// away, or puts a copy in its place, does not mean mail to go on to the old one.
    pub fn is_in_place(&self) -> bool {
        let dirs = &self.dirs;
        let is = |name: &str, inode: u64| {
            rustix::fs::stat(dirs.path.join(name))
                .is_ok_and(|stat| stat.st_ino == inode && stat.st_dev == dirs.volume.device)
        };
        is(TMP, dirs.tmp_inode) && is(NEW, dirs.new_inode)
    }

    /// Opens a Maildir++ folder. Names count from the Maildir itself, also if this value is a folder.
    ///
    /// # Errors
    /// [`Error::NotAMaildir`] if there is no such folder, [`Error::Symlink`] if a link stands in its place, or
    /// [`Error::Io`].
    pub fn folder(&self, name: &FolderName) -> Result<Maildir, Error> {
        let main = self.main();
        let directory = name.directory_name();
        let path = main.path.join(&directory);
        let root = open_inside(&main.root, &directory, &path, &path)?;
        self.folder_from_dir(root, path)
    }

    /// Opens a Maildir++ folder, making what is missing of it. What is made is durable. Folders that it lies in are not
    /// made: Maildir++ needs none.
    ///
    /// # Errors
    /// [`Error::Symlink`] if a link stands in place of a directory, or [`Error::Io`].
    pub fn create_folder(&self, name: &FolderName) -> Result<Maildir, Error> {
        let main = self.main();
        let directory = name.directory_name();
        let path = main.path.join(&directory);
        fs::make_dir_at(&main.root, &directory)
            .map_err(|errno| Error::io(Operation::CreateDirectory, &path, errno))?;
        let root = open_inside(&main.root, &directory, &path, &path)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match rustix::fs::openat(&root, FOLDER_MARK, flags, fs::FILE_MODE) {
            // Whatever it is: it is not opened.
            Ok(_) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::io(Operation::CreateFile, path.join(FOLDER_MARK), errno)),
        }
        Maildir::complete(&root, &path)?;
        fs::sync_dir(&main.root).map_err(|error| Error::io(Operation::SyncDirectory, &main.path, error))?;
        self.folder_from_dir(root, path)
    }

    /// The names of all Maildir++ folders, sorted. Directories whose name is not modified UTF-7, that are no Maildirs, or
    /// that are reached through a link, are passed over.
    ///
    /// # Errors
    /// [`Error::Io`] if the directory cannot be read.
    pub fn folders(&self) -> Result<Vec<FolderName>, Error> {
        let main = self.main();
        let list_error = |errno: Errno| Error::io(Operation::List, &main.path, errno);
        let mut folders = Vec::new();
        for entry in Dir::read_from(&main.root).map_err(list_error)? {
            let entry = entry.map_err(list_error)?;
            let Ok(name) = FolderName::from_directory_name(entry.file_name().to_bytes()) else { continue };
            let is_maildir = fs::open_dir_at(&main.root, entry.file_name()).is_ok_and(|dir| exists(dir, CUR));
            if is_maildir {
                folders.push(name);
            }
        }
        folders.sort();
        Ok(folders)
    }

    fn folder_from_dir(&self, root: OwnedFd, path: PathBuf) -> Result<Maildir, Error> {
        let main = self.dirs.main.as_ref().unwrap_or(&self.dirs);
        let dirs = Arc::new(Dirs::open(root, path, Some(Arc::clone(main)))?);
        Ok(Maildir { dirs, host: self.host.clone(), names: self.names, faults: self.faults.clone() })
    }

    /// The Maildir that keeps the quota: this one, or the one that this folder lies in.
    fn main(&self) -> &Dirs {
        self.dirs.main.as_ref().unwrap_or(&self.dirs)
    }

    fn inject(&self, operation: Operation) -> Fault {
        self.faults.as_ref().map_or(Fault::None, |faults| faults.inject(operation))
    }

    /// Asks the fault hook about a step that fails with a path.
    fn check(&self, operation: Operation, path: impl FnOnce() -> PathBuf) -> Result<(), Error> {
        self.inject(operation).check().map_err(|error| Error::io(operation, path(), error))
    }

    fn tmp_path(&self, name: &str) -> PathBuf {
        self.dirs.path.join(TMP).join(name)
    }

    fn new_path(&self) -> PathBuf {
        self.dirs.path.join(NEW)
    }
}

impl fmt::Debug for Maildir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Maildir").field(&self.dirs.path).finish()
    }
}

impl Dirs {
    fn open(root: OwnedFd, path: PathBuf, main: Option<Arc<Dirs>>) -> Result<Dirs, Error> {
        let tmp = open_inside(&root, TMP, &path, &path.join(TMP))?;
        let new = open_inside(&root, NEW, &path, &path.join(NEW))?;
        drop(open_inside(&root, CUR, &path, &path.join(CUR))?);
        let stat_error = |errno: Errno| Error::io(Operation::Stat, path.join(NEW), errno);
        let inode = |dir: &OwnedFd| rustix::fs::fstat(dir).map(|stat| stat.st_ino).map_err(stat_error);
        let (tmp_inode, new_inode) = (inode(&tmp)?, inode(&new)?);
        let volume = Volume::of(&new).map_err(stat_error)?;
        let counted = main.is_none() || path.file_name().is_none_or(|name| name != TRASH);
        Ok(Dirs { path, root, tmp, new, tmp_inode, new_inode, volume, main, counted })
    }
}

/// The Maildir that a folder opened by path lies in, if it does.
fn main_of(folder: &OwnedFd, path: &Path) -> Option<Arc<Dirs>> {
    let root = fs::open_dir_at(folder, "..").ok()?;
    Dirs::open(root, path.join(".."), None).ok().map(Arc::new)
}

/// Opens a directory that makes `maildir` a Maildir.
fn open_inside(parent: &OwnedFd, name: &str, maildir: &Path, path: &Path) -> Result<OwnedFd, Error> {
    fs::open_dir_at(parent, name).map_err(|errno| {
        if fs::is_symlink(parent, name) {
            return Error::Symlink { path: path.to_owned() };
        }
        Error::io(Operation::Open, path, errno)
            .or_missing(|| Error::NotAMaildir { path: maildir.to_owned(), missing: path.to_owned() })
    })
}

fn exists(dir: impl std::os::fd::AsFd, name: &str) -> bool {
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Opens a file in a directory, never through a symbolic link, and waiting for nobody: a named pipe would have it wait for
/// another program.
fn open_file(dir: &OwnedFd, name: &str, flags: OFlags) -> rustix::io::Result<std::fs::File> {
    let safe = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    rustix::fs::openat(dir, name, flags | safe, Mode::empty()).map(std::fs::File::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn folder(text: &str) -> FolderName {
        FolderName::parse(text).unwrap()
    }

    #[test]
    fn a_maildir_that_was_moved_replaced_or_lost_a_part_is_not_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("Maildir");
        let maildir = Maildir::create(&path).unwrap();
        assert!(maildir.is_in_place());
        for name in ["new", "tmp"] {
            let maildir = Maildir::create(&path).unwrap();
            std::fs::remove_dir(path.join(name)).unwrap();
            assert!(!maildir.is_in_place(), "without {name}");
            std::fs::create_dir(path.join(name)).unwrap();
            assert!(!maildir.is_in_place(), "with another {name}");
        }
        let maildir = Maildir::create(&path).unwrap();
        std::fs::rename(&path, dir.path().join("old")).unwrap();
        assert!(!maildir.is_in_place(), "moved away");
        Maildir::create(&path).unwrap();
        assert!(!maildir.is_in_place(), "replaced");
        assert!(Maildir::open(&path).unwrap().is_in_place());
    }

    #[test]
    fn creating_makes_private_directories_and_parents_and_may_be_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/Maildir");
        for _ in 0..2 {
            Maildir::create(&path).unwrap();
        }
        for inner in ["", "tmp", "new", "cur"] {
            let mode = path.join(inner).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{inner}");
        }
        // What is missing is made up for.
        std::fs::remove_dir(path.join("tmp")).unwrap();
        Maildir::create(&path).unwrap();
        assert!(path.join("tmp").is_dir());
    }

    #[test]
    fn opening_takes_nothing_but_a_maildir() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("Maildir");
        let missing = |result: Result<Maildir, Error>| match result {
            Err(Error::NotAMaildir { missing, .. }) => missing,
            other => panic!("{other:?}"),
        };
        assert_eq!(missing(Maildir::open(&path)), path);
        for inner in ["tmp", "new", "cur"] {
            let _ = std::fs::remove_dir_all(&path);
            Maildir::create(&path).unwrap();
            std::fs::remove_dir(path.join(inner)).unwrap();
            assert_eq!(missing(Maildir::open(&path)), path.join(inner));
            std::fs::write(path.join(inner), "").unwrap();
            assert_eq!(missing(Maildir::open(&path)), path.join(inner));
        }
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(Maildir::open(dir.path().join("file")).unwrap_err().is_not_found());
    }

    #[test]
    fn folders_lie_flat_beside_the_inbox_and_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        let maildir = Maildir::create(dir.path()).unwrap();
        assert_eq!(maildir.folders().unwrap(), []);
        assert!(maildir.folder(&folder("Work")).unwrap_err().is_not_found());
        let work = maildir.create_folder(&folder("Work/Entwürfe")).unwrap();
        assert_eq!(work.path(), dir.path().join(".Work.Entw&APw-rfe"));
        assert!(work.path().join("maildirfolder").is_file());
        // Names count from the Maildir, whichever value is asked.
        work.create_folder(&folder("Archive")).unwrap();
        maildir.create_folder(&folder("Archive")).unwrap();
        // None of these is a folder.
        std::fs::create_dir(dir.path().join(".hidden")).unwrap();
        std::fs::create_dir_all(dir.path().join(".raw\u{fc}/cur")).unwrap();
        std::fs::write(dir.path().join(".file"), "").unwrap();
        symlink(work.path(), dir.path().join(".Link")).unwrap();
        assert_eq!(work.folders().unwrap(), [folder("Archive"), folder("Work/Entwürfe")]);
        assert_eq!(maildir.folder(&folder("Archive")).unwrap().path(), dir.path().join(".Archive"));
    }

    #[test]
    fn links_in_place_of_a_folder_are_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        Maildir::create(outside.path()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let maildir = Maildir::create(dir.path()).unwrap();
        symlink(outside.path(), dir.path().join(".Link")).unwrap();
        for result in [maildir.folder(&folder("Link")), maildir.create_folder(&folder("Link"))] {
            assert!(matches!(result, Err(Error::Symlink { .. })), "{result:?}");
        }
        assert!(!outside.path().join("maildirfolder").exists());
    }

    #[test]
    fn a_folder_opened_by_path_knows_the_maildir_it_lies_in() {
        let dir = tempfile::tempdir().unwrap();
        let maildir = Maildir::create(dir.path()).unwrap();
        let created = maildir.create_folder(&folder("A")).unwrap();
        let opened = Maildir::open(created.path()).unwrap();
        assert_eq!(opened.main().new_inode, maildir.dirs.new_inode);
        assert_eq!(opened.folders().unwrap(), [folder("A")]);
    }
}

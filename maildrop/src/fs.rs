//! The few file system calls that everything here is made of, with the flags that keep them safe: nothing below a given
//! directory is opened through a symbolic link, nothing is overwritten, nothing is inherited by child programs.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::path::Arg;

use crate::error::{Error, Operation};

/// Directories and files belong to the user alone.
const DIRECTORY_MODE: u32 = 0o700;
pub(crate) const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Opens a directory by path. Links are followed: the path is the operator's.
pub(crate) fn open_dir(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// Opens a directory inside another, never through a symbolic link.
pub(crate) fn open_dir_at(parent: impl AsFd, name: impl Arg + Copy) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// Whether `name` is a symbolic link.
pub(crate) fn is_symlink(parent: impl AsFd, name: impl Arg) -> bool {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_symlink())
}

/// Makes a directory inside another; one that is there already is as good. Answers whether it was made.
pub(crate) fn make_dir_at(parent: impl AsFd, name: impl Arg) -> rustix::io::Result<bool> {
    match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(DIRECTORY_MODE)) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Makes a directory and its missing parents, each entry durable.
pub(crate) fn make_dir_all(path: &Path) -> Result<(), Error> {
    match std::fs::DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = parent_of(path);
            if parent == path {
                return Err(Error::io(Operation::CreateDirectory, path, error));
            }
            make_dir_all(parent)?;
            match std::fs::DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    Err(Error::io(Operation::CreateDirectory, path, error))
                }
                _ => sync_parent(path),
            }
        }
        Err(error) => Err(Error::io(Operation::CreateDirectory, path, error)),
    }
}

/// Makes the entry of `path` in its directory durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), Error> {
    let parent = parent_of(path);
    let fd = open_dir(parent).map_err(|errno| Error::io(Operation::Open, parent, errno))?;
    sync_dir(&fd).map_err(|error| Error::io(Operation::SyncDirectory, parent, error))
}

/// The directory of a file, and its name in it.
pub(crate) fn split(path: &Path) -> (&Path, &OsStr) {
    (parent_of(path), path.file_name().unwrap_or_default())
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_dir(dir: impl AsFd) -> io::Result<()> {
    retry_on_intr(|| rustix::fs::fsync(&dir)).map_err(io::Error::from)
}

/// Makes a file durable: its octets and what is needed to find them.
pub(crate) fn sync_file(file: &File) -> io::Result<()> {
    file.sync_all()
}

/// Asks the kernel to start writing a part of a file to disk, without waiting. A length of zero reaches to its end. Only a
/// hint.
pub(crate) fn start_writeback(file: &File, offset: u64, length: u64) {
    // Dropping a file's pages from the cache begins with starting to write the dirty ones; those, being busy, stay.
    #[cfg(target_os = "linux")]
    let _ =
        rustix::fs::fadvise(file, offset, std::num::NonZeroU64::new(length), rustix::fs::Advice::DontNeed);
    #[cfg(not(target_os = "linux"))]
    let _ = (file, offset, length);
}

/// Moves a file between directories without ever replacing another: [`Errno::EXIST`] if the target is there.
pub(crate) fn rename_without_replacing(
    from_dir: impl AsFd,
    from: impl Arg + Copy,
    to_dir: impl AsFd,
    to: impl Arg + Copy,
) -> rustix::io::Result<()> {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    {
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&from_dir, from, &to_dir, to, flags) {
            // The file system or the kernel does not know the flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            done => return done,
        }
    }
    link_and_unlink(from_dir, from, to_dir, to)
}

/// The same where the system has no such rename: a link is refused if the target is there.
fn link_and_unlink(
    from_dir: impl AsFd,
    from: impl Arg + Copy,
    to_dir: impl AsFd,
    to: impl Arg + Copy,
) -> rustix::io::Result<()> {
    match rustix::fs::linkat(&from_dir, from, &to_dir, to, AtFlags::empty()) {
        Ok(()) => {
            // The message is in place; a file left in tmp/ is removed when it is stale.
            let _ = rustix::fs::unlinkat(&from_dir, from, AtFlags::empty());
            Ok(())
        }
        // No hard links here either, so look first. Unique names make it a formality.
        Err(Errno::PERM | Errno::NOTSUP | Errno::NOSYS | Errno::MLINK) => {
            match rustix::fs::statat(&to_dir, to, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Err(Errno::EXIST),
                Err(Errno::NOENT) => rustix::fs::renameat(&from_dir, from, &to_dir, to),
                Err(errno) => Err(errno),
            }
        }
        Err(errno) => Err(errno),
    }
}

/// Facts about the file system that a directory lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Volume {
    /// Messages on the same device may share one `syncfs`.
    pub(crate) device: u64,
    /// Whether `syncfs` gives the same promise here as an fsync of each file.
    pub(crate) shared_sync: bool,
}

impl Volume {
    pub(crate) fn of(dir: impl AsFd) -> rustix::io::Result<Volume> {
        let device = rustix::fs::fstat(&dir)?.st_dev as u64;
        Ok(Volume { device, shared_sync: syncfs_is_trusted(&dir) })
    }
}

/// `syncfs` reports failed writes since Linux 5.8, and is only as good as the file system makes it: FUSE, for one, may
/// answer without asking its server. So it is used on local file systems that are known to mean it.
#[cfg(target_os = "linux")]
fn syncfs_is_trusted(dir: impl AsFd) -> bool {
    use std::sync::LazyLock;

    const EXT4: u32 = 0xef53;
    const XFS: u32 = 0x5846_5342;
    const BTRFS: u32 = 0x9123_683e;
    const F2FS: u32 = 0xf2f5_2010;
    const TMPFS: u32 = 0x0102_1994;
    static KERNEL_REPORTS_ERRORS: LazyLock<bool> = LazyLock::new(|| {
        let name = rustix::system::uname();
        reports_errors(name.release().to_str().unwrap_or_default())
    });

    let known = |kind: u32| matches!(kind, EXT4 | XFS | BTRFS | F2FS | TMPFS);
    *KERNEL_REPORTS_ERRORS && rustix::fs::fstatfs(&dir).is_ok_and(|stat| known(stat.f_type as u32))
}

#[cfg(not(target_os = "linux"))]
fn syncfs_is_trusted(_: impl AsFd) -> bool {
    false
}

/// Whether a kernel of this release tells `syncfs` about failed writes.
#[cfg(target_os = "linux")]
fn reports_errors(release: &str) -> bool {
    let numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut numbers = numbers.map(|digits| digits.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 8)
}

/// Makes everything on the file system of `fd` durable, and reports writes that failed since `fd` was opened.
pub(crate) fn sync_filesystem(fd: impl AsFd) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return retry_on_intr(|| rustix::fs::syncfs(&fd)).map_err(io::Error::from);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = fd;
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn neither_way_of_moving_replaces_a_file() {
        type Move = fn(&OwnedFd, &str, &OwnedFd, &str) -> rustix::io::Result<()>;
        let ways: [Move; 2] = [
            |a, from, b, to| rename_without_replacing(a, from, b, to),
            |a, from, b, to| link_and_unlink(a, from, b, to),
        ];
        for way in ways {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("a"), "one").unwrap();
            std::fs::write(dir.path().join("b"), "two").unwrap();
            let fd = open_dir(dir.path()).unwrap();
            assert_eq!(way(&fd, "a", &fd, "b"), Err(Errno::EXIST));
            assert_eq!(std::fs::read(dir.path().join("b")).unwrap(), b"two");
            assert_eq!(way(&fd, "a", &fd, "c"), Ok(()));
            assert_eq!(names(dir.path()), ["b", "c"]);
            assert_eq!(way(&fd, "a", &fd, "d"), Err(Errno::NOENT));
        }
    }

    #[test]
    fn parents_are_made_and_a_file_in_the_way_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/c");
        make_dir_all(&deep).unwrap();
        make_dir_all(&deep).unwrap();
        assert!(deep.is_dir());
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(make_dir_all(&dir.path().join("file")).is_err());
        assert!(make_dir_all(&dir.path().join("file/x")).is_err());
    }

    #[test]
    fn directories_are_not_opened_through_links() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("link")).unwrap();
        let fd = open_dir(dir.path()).unwrap();
        assert!(open_dir_at(&fd, "link").is_err());
        assert!(is_symlink(&fd, "link") && !is_symlink(&fd, "none"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn kernels_that_report_errors_are_told_by_their_release() {
        let table = [
            ("5.8.0", true),
            ("5.10.0-8-amd64", true),
            ("6.1", true),
            ("5.7.19", false),
            ("4.19", false),
            ("x", false),
        ];
        for (release, reports) in table {
            assert_eq!(reports_errors(release), reports, "{release}");
        }
    }
}

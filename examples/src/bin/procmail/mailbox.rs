//! The system mailbox: looked over before mail is written to it, and made, with rights that its owner may not have.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags};

use super::{EX_NOUSER, EX_TEMPFAIL, say};

/// The mode of a mailbox, and where its directory has the group that this runs with.
const MODE: u32 = 0o600;
const SHARED_MODE: u32 = 0o660;
const SET_ID: u32 = 0o6000;
const OWNER_WRITES: u32 = 0o200;
const OTHERS: u32 = 0o007;
/// How often another who makes files under the mailbox's name is put up with.
const ATTEMPTS: u32 = 8;

/// Why no mail is to go to a system mailbox.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// It has its set-user-id or set-group-id bit set.
    #[error("Autoforwarding mailbox found")]
    Autoforwarding,
    /// What is there could not be put aside.
    #[error("Couldn't rename bogus mailbox \"{}\": {error}", path.display())]
    Bogus { path: PathBuf, error: io::Error },
}

impl Refused {
    /// The exit code that says so.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Refused::Autoforwarding => EX_NOUSER,
            Refused::Bogus { .. } => EX_TEMPFAIL,
        }
    }
}

/// Sees to it that what stands under the name of a user's mailbox is the user's own, so that no mail gets into the hands of
/// others. Anything else is put aside as `BOGUS.user.` with more behind it. If nothing is there, an empty mailbox is made, with
/// the group of its directory.
///
/// # Errors
/// [`Refused`]
pub(crate) fn prepare(path: &Path, owner: u32) -> Result<(), Refused> {
    let Ok(group) = fs::metadata(path.parent().unwrap_or(path)).map(|data| data.gid()) else { return Ok(()) };
    let most = if group == rustix::process::getegid().as_raw() { SHARED_MODE } else { MODE };
    for _ in 0..ATTEMPTS {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = match rustix::fs::open(path, flags, rustix::fs::Mode::empty()) {
            Ok(found) => File::from(found),
            Err(rustix::io::Errno::NOENT) => match make(path, owner, group, most) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                // If it could not be made, the delivery will tell.
                _ => return Ok(()),
            },
            Err(_) => return Ok(()),
        };
        let Ok(data) = found.metadata() else { return Ok(()) };
        if is_bogus(&data, owner) {
            put_aside(path, data.ino()).map_err(|error| Refused::Bogus { path: path.into(), error })?;
            continue;
        }
        if data.is_dir() {
            return Ok(());
        }
        if data.mode() & SET_ID != 0 {
            return Err(Refused::Autoforwarding);
        }
        if data.mode() & OTHERS != 0 {
            say(&format!("procmail: Enforcing stricter permissions on \"{}\"\n", path.display()));
            // By what was looked at, whatever stands under the name by this time.
            let file = format!("/proc/self/fd/{}", found.as_raw_fd());
            drop(fs::set_permissions(file, Permissions::from_mode(data.mode() & most)));
        }
        return Ok(());
    }
    Err(Refused::Bogus { path: path.into(), error: io::ErrorKind::AlreadyExists.into() })
}

/// Whether this cannot be a mailbox that the owner has made, or that was made for them.
fn is_bogus(data: &fs::Metadata, owner: u32) -> bool {
    data.uid() != owner
        || data.file_type().is_symlink()
        || data.mode() & OWNER_WRITES == 0
        || !data.is_dir() && data.nlink() != 1
}

fn put_aside(path: &Path, inode: u64) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default();
    let prefix = [b"BOGUS.", name.as_bytes(), b"."].concat();
    let aside = path.with_file_name(OsString::from_vec(maildrop::Naming::inode(&prefix, inode)));
    let shown = |path: &Path| path.as_os_str().as_bytes().escape_ascii().to_string();
    say(&format!("procmail: Renaming bogus mailbox \"{}\" info \"{}\"\n", shown(path), shown(&aside)));
    match rustix::fs::renameat_with(CWD, path, CWD, &aside, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::NOENT) => Ok(()),
        // Another link to what was put aside before: to rename it would leave both.
        Err(rustix::io::Errno::EXIST) if fs::symlink_metadata(&aside)?.ino() == inode => {
            fs::remove_file(path)
        }
        Err(rustix::io::Errno::EXIST | rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            fs::rename(path, &aside)
        }
        renamed => Ok(renamed?),
    }
}

fn make(path: &Path, owner: u32, group: u32, mode: u32) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    std::os::unix::fs::fchown(&file, Some(owner), Some(group))?;
    file.set_permissions(Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> u32 {
        rustix::process::getuid().as_raw()
    }

    fn spool() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("joe");
        (dir, path)
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    /// What was put aside.
    fn bogus(dir: &tempfile::TempDir) -> Vec<OsString> {
        let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.as_bytes().starts_with(b"BOGUS.joe.")).collect()
    }

    #[test]
    fn a_mailbox_that_is_not_there_is_made() {
        let (dir, path) = spool();
        prepare(&path, own()).unwrap();
        assert_eq!((mode(&path), fs::read(&path).unwrap().len()), (SHARED_MODE, 0));
        assert!(bogus(&dir).is_empty());
    }

    #[test]
    fn a_mailbox_of_ones_own_is_kept_and_closed_to_others() {
        for (before, after) in
            [(0o600, 0o600), (0o660, 0o660), (0o644, 0o640), (0o666, 0o660), (0o200, 0o200)]
        {
            let (dir, path) = spool();
            fs::write(&path, "mail\n").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(before)).unwrap();
            prepare(&path, own()).unwrap();
            assert_eq!(mode(&path), after, "{before:o}");
            assert_eq!(fs::metadata(&path).unwrap().len(), 5);
            assert!(bogus(&dir).is_empty());
        }
        let (dir, path) = spool();
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        prepare(&path, own()).unwrap();
        assert_eq!((mode(&path), bogus(&dir).len()), (0o755, 0));
    }

    #[test]
    fn what_others_could_have_put_there_is_put_aside() {
        let other = |path: &Path| path.with_file_name("other");
        type Setting<'a> = (&'a str, u32, &'a dyn Fn(&Path));
        let table: [Setting<'_>; 6] = [
            ("a file of another", own() + 1, &|path| fs::write(path, "x").unwrap()),
            ("a folder of another", own() + 1, &|path| fs::create_dir(path).unwrap()),
            ("a second link", own(), &|path| {
                fs::write(other(path), "x").unwrap();
                fs::hard_link(other(path), path).unwrap();
            }),
            ("a symbolic link", own(), &|path| {
                fs::write(other(path), "x").unwrap();
                std::os::unix::fs::symlink(other(path), path).unwrap();
            }),
            ("a symbolic link to nothing", own(), &|path| {
                std::os::unix::fs::symlink(other(path), path).unwrap();
            }),
            ("what its owner cannot write", own(), &|path| {
                fs::write(path, "x").unwrap();
                fs::set_permissions(path, Permissions::from_mode(0o400)).unwrap();
            }),
        ];
        for (what, owner, make) in table {
            let (dir, path) = spool();
            make(&path);
            let inode = fs::symlink_metadata(&path).unwrap().ino();
            // For another user nothing can be made without root's rights; that it is out of the way is enough.
            prepare(&path, owner).ok();
            let name = OsString::from_vec(maildrop::Naming::inode(b"BOGUS.joe.", inode));
            assert!(bogus(&dir).contains(&name), "{what}");
            assert_eq!(fs::symlink_metadata(dir.path().join(name)).unwrap().ino(), inode, "{what}");
            if owner == own() {
                assert_eq!(
                    (mode(&path), fs::symlink_metadata(&path).unwrap().nlink()),
                    (SHARED_MODE, 1),
                    "{what}"
                );
            }
        }
    }

    #[test]
    fn what_is_linked_there_again_goes_again() {
        let (dir, path) = spool();
        let other = dir.path().join("other");
        fs::write(&other, "x").unwrap();
        for _ in 0..3 {
            drop(fs::remove_file(&path));
            fs::hard_link(&other, &path).unwrap();
            prepare(&path, own()).unwrap();
            assert_eq!((fs::metadata(&path).unwrap().nlink(), bogus(&dir).len()), (1, 1));
        }
    }

    #[test]
    fn the_mark_of_forwarded_mail_refuses_it() {
        for set_id in [0o4600, 0o2600] {
            let (_dir, path) = spool();
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(set_id)).unwrap();
            assert!(matches!(prepare(&path, own()), Err(Refused::Autoforwarding)));
        }
    }
}

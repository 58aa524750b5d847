//! The system mailbox: looked over before mail is written to it, and made, with rights that its owner may not have.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, OFlags, RenameFlags};
use rustix::io::Errno;

use super::{EX_NOUSER, EX_TEMPFAIL, say};

/// The mode of a mailbox, and where its directory has the group that this runs with.
const MODE: u32 = 0o600;
const SHARED_MODE: u32 = 0o660;
const SET_ID: u32 = 0o6000;
const OWNER_WRITES: u32 = 0o200;
const OTHERS: u32 = 0o007;
/// How often another who makes files under the mailbox's name is put up with.
const ATTEMPTS: u32 = 8;
/// How many names are tried for what is put aside.
const NAMES: u32 = 1000;
/// For how long a mailbox may have two names while it is made.
const LINKING: Duration = Duration::from_millis(50);

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
    for attempt in 0..ATTEMPTS {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = match rustix::fs::open(path, flags, rustix::fs::Mode::empty()) {
            Ok(found) => File::from(found),
            Err(Errno::NOENT) => match make(path, owner, group, most) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                // If it could not be made, the delivery will tell.
                _ => return Ok(()),
            },
            Err(_) => return Ok(()),
        };
        let Ok(data) = found.metadata() else { return Ok(()) };
        if is_bogus(&data, owner) {
            if attempt == 0 && data.nlink() == 2 {
                std::thread::sleep(LINKING);
                continue;
            }
            put_aside(path, &data).map_err(|error| Refused::Bogus { path: path.into(), error })?;
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
fn is_bogus(data: &Metadata, owner: u32) -> bool {
    data.uid() != owner
        || data.file_type().is_symlink()
        || data.mode() & OWNER_WRITES == 0
        || !data.is_dir() && data.nlink() != 1
}

/// Moves what was judged out of the way. Another delivery may do the same, and has put a good mailbox there by the time that
/// this one moves it: so nothing is removed by the name of the mailbox, and what was moved is looked at.
fn put_aside(path: &Path, judged: &Metadata) -> io::Result<()> {
    let shown = |path: &Path| path.as_os_str().as_bytes().escape_ascii().to_string();
    let prefix = [b"BOGUS.", path.file_name().unwrap_or_default().as_bytes(), b"."].concat();
    let first = path.with_file_name(OsString::from_vec(maildrop::Naming::inode(&prefix, judged.ino())));
    let Some(aside) = move_to_free(path, &first, judged.is_dir())? else { return Ok(()) };
    if !is_same(&aside, judged) {
        let back = put_back(&aside, path);
        if back.is_err() {
            say(&format!("procmail: Mailbox \"{}\" is now \"{}\"\n", shown(path), shown(&aside)));
        }
        return match back {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        };
    }
    // Another link to what was put aside before need not be kept.
    let is_kept = aside == first || !is_same(&first, judged) || fs::remove_file(&aside).is_err();
    let kept = if is_kept { &aside } else { &first };
    say(&format!("procmail: Renaming bogus mailbox \"{}\" info \"{}\"\n", shown(path), shown(kept)));
    Ok(())
}

/// Whether this is what was judged.
fn is_same(path: &Path, judged: &Metadata) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (judged.dev(), judged.ino()))
}

/// Moves a file or a directory to this name, or one with a number behind it, none of which is another's. Nothing if there is
/// none any more.
fn move_to_free(path: &Path, first: &Path, is_dir: bool) -> io::Result<Option<PathBuf>> {
    for number in 0..NAMES {
        let mut to = first.as_os_str().to_owned();
        if number > 0 {
            to.push(format!(".{number}"));
        }
        let moved = match rustix::fs::renameat_with(CWD, path, CWD, &to, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS) => move_over_own(path, Path::new(&to), is_dir),
            moved => moved.map_err(io::Error::from),
        };
        match moved {
            Ok(()) => return Ok(Some(to.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Moves a file or a directory to where nothing is, on a disk that cannot tell: over one that was made to have the name.
fn move_over_own(path: &Path, to: &Path, is_dir: bool) -> io::Result<()> {
    match is_dir {
        true => fs::create_dir(to)?,
        false => drop(File::create_new(to)?),
    }
    fs::rename(path, to).inspect_err(|_| drop(if is_dir { fs::remove_dir(to) } else { fs::remove_file(to) }))
}

/// Gives a mailbox its name again, unless another has it.
fn put_back(aside: &Path, path: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, aside, CWD, path, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::hard_link(aside, path)?;
            fs::remove_file(aside)
        }
        moved => Ok(moved?),
    }
}

/// Makes a mailbox, which has its owner when it gets its name: others would take it for bogus.
fn make(path: &Path, owner: u32, group: u32, mode: u32) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mailbox = tempfile::Builder::new().prefix("_").tempfile_in(directory)?;
    fchown(mailbox.as_file(), Some(owner), Some(group))?;
    mailbox.as_file().set_permissions(Permissions::from_mode(mode))?;
    mailbox.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
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
    fn a_mailbox_that_another_has_put_in_the_place_of_what_was_judged_stays() {
        let (dir, path) = spool();
        fs::write(&path, "x").unwrap();
        let judged = fs::symlink_metadata(&path).unwrap();
        // What another delivery does meanwhile.
        put_aside(&path, &judged).unwrap();
        fs::write(&path, "mail\n").unwrap();
        put_aside(&path, &judged).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"mail\n");
        let aside = bogus(&dir);
        assert_eq!(aside.len(), 1);
        assert_eq!(fs::read(dir.path().join(&aside[0])).unwrap(), b"x");
        // Where the name has been taken again, both are kept.
        fs::rename(&path, dir.path().join("other")).unwrap();
        fs::write(&path, "more\n").unwrap();
        let error = put_back(&dir.path().join("other"), &path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"more\n");
        assert_eq!(fs::read(dir.path().join("other")).unwrap(), b"mail\n");
    }

    #[test]
    fn what_was_put_aside_is_never_replaced() {
        for is_dir in [false, true] {
            let (dir, path) = spool();
            let first = dir.path().join("BOGUS.joe.A");
            for number in 0..3 {
                match is_dir {
                    true => fs::create_dir(&path).unwrap(),
                    false => fs::write(&path, format!("{number}")).unwrap(),
                }
                let to = move_to_free(&path, &first, is_dir).unwrap().unwrap();
                assert_eq!(to.extension().unwrap(), ["A", "1", "2"][number]);
            }
            assert_eq!((bogus(&dir).len(), move_to_free(&path, &first, is_dir).unwrap()), (3, None));
            // The same where the disk cannot rename like that.
            let error = move_over_own(&dir.path().join("BOGUS.joe.A.1"), &first, is_dir).unwrap_err();
            assert_eq!((error.kind(), bogus(&dir).len()), (io::ErrorKind::AlreadyExists, 3));
            move_over_own(&first, &path, is_dir).unwrap();
            assert_eq!(bogus(&dir).len(), 2);
            assert!(move_over_own(&first, &dir.path().join("BOGUS.joe.B"), is_dir).is_err());
            assert_eq!(bogus(&dir).len(), 2);
        }
    }

    #[test]
    fn those_who_make_it_at_the_same_time_take_none_for_bogus() {
        // Only root can make one for another, which is when it can look like somebody else's.
        let owner = if own() == 0 { 65534 } else { own() };
        for _ in 0..50 {
            let (dir, path) = spool();
            let barrier = std::sync::Barrier::new(6);
            std::thread::scope(|scope| {
                for _ in 0..6 {
                    scope.spawn(|| {
                        barrier.wait();
                        prepare(&path, owner).unwrap();
                    });
                }
            });
            assert_eq!(fs::metadata(&path).unwrap().uid(), owner);
            let names: Vec<_> =
                fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, ["joe"]);
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

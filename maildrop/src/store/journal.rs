//! A file that says what is about to be removed, so that a removal of many files is done as a whole.
//!
//! It is written, made durable, and given its name by renaming; then the files are removed, then it is. Whoever opens the
//! mailbox and finds one goes on where a dead process stopped. Its names are ended by NULs, which no name holds. What is no
//! regular file of that kind is none, whatever its name; a directory that is in the way is put aside.
//!
//! The mailbox is its user's, and so a journal may be anybody's work, read by a process that serves all users. So it is of use
//! as a whole or not at all, is read up to the first name that makes no sense and never held twice, and a file that is larger
//! than any that is written is not read.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Operation};
use crate::fault::Fault;
use crate::fs;
use crate::replacement::Replacement;

/// The first line.
const HEAD: &[u8] = b"maildrop removes\n";
/// Most names in one. Updates that remove more do so in parts, each of them as a whole.
const MOST_NAMES: usize = 256 * 1024;
/// Most octets of a name with its end.
const LONGEST: usize = 256;
/// Most octets of one.
const LARGEST: u64 = (HEAD.len() + MOST_NAMES * LONGEST) as u64;
/// Names to try for a directory that is put aside.
const ASIDE: u32 = 100;

/// Where the journal of a mailbox lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Journal<'a> {
    pub(crate) dir: &'a OwnedFd,
    /// The directory, to be named in errors.
    pub(crate) path: &'a Path,
    pub(crate) name: &'static str,
    /// The name that it is written under. Only the holder of the session lock writes.
    pub(crate) tmp: &'static str,
}

/// What stands where a journal would.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing, or what is no regular file.
    #[default]
    Nothing,
    /// A file that is no journal, or none that can be believed.
    Other,
    Names(Names),
}

/// What a journal names, each with its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names(Vec<u8>);

impl Names {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split_inclusive(|&byte| byte == 0).filter_map(|name| name.strip_suffix(b"\0"))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Journal<'_> {
    /// What a dead process was about to remove. `is_name` tells what may be named.
    pub(crate) fn read(&self, is_name: impl Fn(&[u8]) -> bool) -> Result<Found, Error> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match rustix::fs::openat(self.dir, self.name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            // Not there, or a symbolic link, or a socket.
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Ok(Found::Nothing),
            Err(errno) => return Err(self.error(Operation::Open, errno)),
        };
        let metadata = file.metadata().map_err(|error| self.error(Operation::Stat, error))?;
        if !metadata.is_file() {
            return Ok(Found::Nothing);
        }
        if metadata.len() > LARGEST {
            return Ok(Found::Other);
        }
        let names = read_names(BufReader::new(file.take(LARGEST)), is_name);
        let names = names.map_err(|error| self.error(Operation::Read, error))?;
        Ok(names.map_or(Found::Other, Found::Names))
    }

    /// Says what is going to be removed. `inject` is asked before each step.
    pub(crate) fn write<N: AsRef<[u8]>>(
        &self,
        names: impl Iterator<Item = N>,
        inject: impl Fn(Operation) -> Fault,
    ) -> Result<(), Error> {
        let check = |operation| inject(operation).check().map_err(|error| self.error(operation, error));
        let mut content = HEAD.to_vec();
        for name in names {
            content.extend_from_slice(name.as_ref());
            content.push(0);
        }
        check(Operation::CreateFile)?;
        let mut file = self.create_tmp().map_err(|errno| self.error(Operation::CreateFile, errno))?;
        check(Operation::Write)?;
        file.write(&content).map_err(|error| self.error(Operation::Write, error))?;
        check(Operation::SyncFile)?;
        file.sync().map_err(|error| self.error(Operation::SyncFile, error))?;
        check(Operation::Rename)?;
        self.put_in_place(file).map_err(|errno| self.error(Operation::Rename, errno))?;
        let synced = check(Operation::SyncDirectory).and_then(|()| {
            fs::sync_dir(self.dir).map_err(|error| self.error(Operation::SyncDirectory, error))
        });
        if synced.is_err() {
            // Nothing shall be removed that was reported as not removed.
            let _ = rustix::fs::unlinkat(self.dir, self.name, AtFlags::empty());
        }
        synced
    }

    /// Makes a file of ours, whatever has its name.
    fn create_tmp(&self) -> rustix::io::Result<Replacement<'_>> {
        match Replacement::create(self.dir, self.tmp) {
            Err(Errno::ISDIR | Errno::PERM) => {
                self.put_aside(self.tmp)?;
                Replacement::create(self.dir, self.tmp)
            }
            created => created,
        }
    }

    fn put_in_place(&self, mut file: Replacement<'_>) -> rustix::io::Result<()> {
        match file.put_in_place(self.dir, self.name) {
            Err(Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY) => {
                self.put_aside(self.name)?;
                file.put_in_place(self.dir, self.name)
            }
            done => done,
        }
    }

    /// Frees a name that a directory has, which is none of ours.
    fn put_aside(&self, name: &str) -> rustix::io::Result<()> {
        if rustix::fs::unlinkat(self.dir, name, AtFlags::REMOVEDIR).is_ok() {
            return Ok(());
        }
        for number in 1..ASIDE {
            let aside = format!("{name}.aside{number}");
            match fs::rename_without_replacing(self.dir, name, self.dir, &*aside) {
                Err(Errno::EXIST) => {}
                done => return done,
            }
        }
        Err(Errno::EXIST)
    }

    /// Forgets it: all is removed, or nobody is to go on. If it should come back after a power failure, it names nothing
    /// that is still there.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        match rustix::fs::unlinkat(self.dir, self.name, AtFlags::empty()) {
            // A directory is none.
            Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => Ok(()),
            Err(errno) => Err(self.error(Operation::Remove, errno)),
        }
    }

    fn error(&self, operation: Operation, error: impl Into<io::Error>) -> Error {
        Error::io(operation, self.path.join(self.name), error)
    }
}

/// All names of a journal; none if something in it makes no sense.
fn read_names(mut file: impl BufRead, is_name: impl Fn(&[u8]) -> bool) -> io::Result<Option<Names>> {
    let mut line = Vec::with_capacity(LONGEST);
    (&mut file).take(HEAD.len() as u64).read_to_end(&mut line)?;
    if line != HEAD {
        return Ok(None);
    }
    let mut names = Names::default();
    for _ in 0..MOST_NAMES {
        line.clear();
        if (&mut file).take(LONGEST as u64).read_until(0, &mut line)? == 0 {
            return Ok(Some(names).filter(|names| !names.is_empty()));
        }
        // Holes of a file read as NULs.
        match line.strip_suffix(b"\0") {
            Some(name @ [_, ..]) if is_name(name) => names.0.extend_from_slice(&line),
            _ => return Ok(None),
        }
    }
    let is_end = file.fill_buf()?.is_empty();
    Ok(Some(names).filter(|_| is_end))
}

/// A mailbox that removes messages with a journal.
pub(crate) trait JournaledRemoval {
    /// Writes the journal of what is going to be removed.
    fn announce(&mut self, doomed: &[usize]) -> Result<(), Error>;

    /// Removes messages, then makes that durable; last the journal, if there is one.
    fn remove(&mut self, doomed: &[usize], journaled: bool) -> Result<(), Error>;

    /// Removes messages so that the next session finds all of them or none, or where they are more than a journal holds, a
    /// first part of them. Those of an earlier journal that is `carried` on stand first.
    fn remove_as_one(&mut self, doomed: &[usize], carried: bool) -> Result<(), Error> {
        let (first, mut rest) = doomed.split_at(doomed.len().min(MOST_NAMES));
        self.remove_part_as_one(first, carried)?;
        while !rest.is_empty() {
            let part;
            (part, rest) = rest.split_at(rest.len().min(MOST_NAMES));
            self.remove_part_as_one(part, false)?;
        }
        Ok(())
    }

    /// Removes no more messages than a journal holds. One goes as a whole anyway, unless an earlier
    /// journal is `carried` on. On a disk that is full there is no room for a journal, but removing makes room: then one goes by
    /// itself, then two, four and so on, until the journal of the rest can be written.
    fn remove_part_as_one(&mut self, mut rest: &[usize], carried: bool) -> Result<(), Error> {
        let (mut journaled, mut alone) = (carried, 1);
        while rest.len() > 1 || (carried && !rest.is_empty()) {
            match self.announce(rest) {
                Ok(()) => {
                    journaled = true;
                    break;
                }
                Err(error) if error.is_storage_full() => {
                    let (first, others) = rest.split_at(alone.min(rest.len()));
                    self.remove(first, false)?;
                    (rest, alone) = (others, alone * 2);
                }
                Err(error) => return Err(error),
            }
        }
        if rest.is_empty() && !journaled { Ok(()) } else { self.remove(rest, journaled) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(journal: &Journal<'_>) -> Vec<Vec<u8>> {
        match journal.read(|name| name != b"invalid").unwrap() {
            Found::Names(names) => names.iter().map(<[u8]>::to_vec).collect(),
            Found::Nothing | Found::Other => Vec::new(),
        }
    }

    #[test]
    fn what_was_written_is_read_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let fd = fs::open_dir(dir.path()).unwrap();
        let journal = Journal { dir: &fd, path: dir.path(), name: "removing", tmp: "removing.tmp" };
        assert!(names(&journal).is_empty());
        journal.write(["a".as_bytes(), b"b\nc"].iter(), |_| Fault::None).unwrap();
        assert_eq!(names(&journal), [b"a".as_slice(), b"b\nc"]);
        journal.remove().unwrap();
        journal.remove().unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_journal_that_makes_no_sense_somewhere_or_is_too_long_names_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("removing");
        let fd = fs::open_dir(dir.path()).unwrap();
        let journal = Journal { dir: &fd, path: dir.path(), name: "removing", tmp: "removing.tmp" };
        let head = "maildrop removes\n";
        let longest = "x".repeat(LONGEST - 1);
        let table = [
            (String::new(), 0),
            ("other\na\0".to_owned(), 0),
            (head.to_owned(), 0),
            (format!("{head}a\0b"), 0),
            (format!("{head}a\0\0b\0"), 0),
            (format!("{head}\0"), 0),
            (format!("{head}a\0invalid\0"), 0),
            (format!("{head}a\0{longest}x\0"), 0),
            (format!("{head}a\0{longest}\0"), 2),
            (format!("{head}{}", "a\0".repeat(MOST_NAMES)), MOST_NAMES),
            (format!("{head}{}", "a\0".repeat(MOST_NAMES + 1)), 0),
        ];
        for (content, count) in table {
            std::fs::write(&path, &content).unwrap();
            assert_eq!(names(&journal).len(), count, "{:.40}", content);
        }
        // Of holes.
        for size in [LARGEST - 1, LARGEST + 1, 1 << 40] {
            std::fs::write(&path, format!("{head}a\0")).unwrap();
            File::options().write(true).open(&path).unwrap().set_len(size).unwrap();
            assert_eq!(journal.read(|_| true).unwrap(), Found::Other, "{size}");
        }
    }

    #[test]
    fn more_than_a_journal_holds_goes_in_parts_each_with_a_journal_of_its_own() {
        #[derive(Default)]
        struct Recorder(Vec<(bool, usize, usize)>);

        impl JournaledRemoval for Recorder {
            fn announce(&mut self, doomed: &[usize]) -> Result<(), Error> {
                self.0.push((false, doomed[0], doomed.len()));
                Ok(())
            }

            fn remove(&mut self, doomed: &[usize], journaled: bool) -> Result<(), Error> {
                assert!(journaled || doomed.len() == 1);
                self.0.push((true, doomed[0], doomed.len()));
                Ok(())
            }
        }

        let doomed: Vec<usize> = (0..2 * MOST_NAMES + 1).collect();
        let mut recorder = Recorder::default();
        recorder.remove_as_one(&doomed, false).unwrap();
        let part =
            |number| [(false, number * MOST_NAMES, MOST_NAMES), (true, number * MOST_NAMES, MOST_NAMES)];
        let expected = [part(0).as_slice(), &part(1), &[(true, 2 * MOST_NAMES, 1)]].concat();
        assert_eq!(recorder.0, expected);
    }

    #[test]
    fn what_is_no_journal_is_passed_over_replaced_or_put_aside_and_never_followed() {
        use std::os::unix::fs::symlink;

        type Plant = fn(&Path);
        let table: [(&str, Plant); 6] = [
            ("file", |path| std::fs::write(path, "garbage").unwrap()),
            ("empty directory", |path| std::fs::create_dir(path).unwrap()),
            ("directory", |path| std::fs::create_dir_all(path.join("x")).unwrap()),
            ("link", |path| symlink(path.with_file_name("victim"), path).unwrap()),
            ("hard link", |path| std::fs::hard_link(path.with_file_name("victim"), path).unwrap()),
            ("socket", |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())),
        ];
        let victim = "maildrop removes\na\0";
        for (what, plant) in table {
            for (at, name) in [(0, "removing"), (1, "removing.tmp")] {
                let dir = tempfile::tempdir().unwrap();
                std::fs::write(dir.path().join("victim"), if at == 0 { "victim" } else { victim }).unwrap();
                let before = std::fs::read(dir.path().join("victim")).unwrap();
                plant(&dir.path().join(name));
                let fd = fs::open_dir(dir.path()).unwrap();
                let journal = Journal { dir: &fd, path: dir.path(), name: "removing", tmp: "removing.tmp" };
                assert!(names(&journal).is_empty(), "{what} {name}");
                journal.remove().unwrap();
                journal.write(["b", "c"].iter(), |_| Fault::None).unwrap();
                assert_eq!(names(&journal), [b"b", b"c"], "{what} {name}");
                assert!(std::fs::symlink_metadata(dir.path().join("removing")).unwrap().is_file());
                assert_eq!(std::fs::read(dir.path().join("victim")).unwrap(), before, "{what} {name}");
                let kept = what != "directory" || dir.path().join(format!("{name}.aside1/x")).is_dir();
                assert!(kept, "{what} {name}");
                journal.remove().unwrap();
                assert!(names(&journal).is_empty(), "{what} {name}");
            }
        }
    }

    #[test]
    fn whichever_step_fails_nothing_is_left_to_be_removed() {
        use Operation::{CreateFile, Rename, SyncDirectory, SyncFile, Write};
        for step in [CreateFile, Write, SyncFile, Rename, SyncDirectory] {
            let dir = tempfile::tempdir().unwrap();
            let fd = fs::open_dir(dir.path()).unwrap();
            let journal = Journal { dir: &fd, path: dir.path(), name: "removing", tmp: "removing.tmp" };
            let inject = |operation| if operation == step { Fault::io_error() } else { Fault::None };
            journal.write(["a"].iter(), inject).unwrap_err();
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "{step:?}");
        }
    }
}

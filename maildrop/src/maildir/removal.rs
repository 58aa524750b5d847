//! Removing messages of a Maildir, all that a session removes as one.
//!
//! The names of several go into a journal first, which is durable before the first is removed; one file is removed as a whole
//! anyway. A message has all of its files removed, and is taken for gone only if that was seen: if its one file was
//! removed under the name that it had, and has no other name (mutt moves a message by giving it two, and procmail delivers one
//! so), or a settled listing does not show it.
//!
//! Files of one name need not be one message, after a restore for example. What differs from the file that was shown is given
//! a name of its own first, so that it stays, and the next session lists it under a unique identifier of its own.
//!
//! On a disk that is full there is no room for a journal, but removing makes room: then one message goes by itself, then
//! two, four and so on, one by one, until the journal of the rest can be written.
//!
//! | what happened | what a session says | what becomes of the journal |
//! |---|---|---|
//! | all is gone, and that is durable | `Ok` | it is removed |
//! | the disk refused to remove a file | an error | it is removed, so that nobody removes it later |
//! | other programs renamed a file without rest | [`Error::Unsettled`] | it stays: the next session goes on |
//! | all is gone, but may come back after a power failure | an error | it stays: the next session goes on |

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::listing::Place;
use super::mailbox::MaildirMailbox;
use super::search::Search;
use super::{CUR, NEW, exists};
use crate::error::{Error, Operation};
use crate::flags::Flags;
use crate::fs;
use crate::message_name::NameParts;
use crate::store::{Access, Found, JournaledRemoval, Update};
use crate::unique::Unique;

/// To ask for facts of a file, not to read it.
#[cfg(target_os = "linux")]
const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const LOOK: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// How many files are kept open that have names which are not known.
const HELD: usize = 64;

/// To read a file.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Whether two files hold the same.
fn is_equal(mut one: impl BufRead, mut other: impl BufRead) -> io::Result<bool> {
    loop {
        let (a, b) = (one.fill_buf()?, other.fill_buf()?);
        let common = a.len().min(b.len());
        if common == 0 {
            return Ok(a.len() == b.len());
        }
        if a[..common] != b[..common] {
            return Ok(false);
        }
        one.consume(common);
        other.consume(common);
    }
}

/// Whether there is a name by which a file can be found.
fn has_name(file: &OwnedFd) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| stat.st_nlink > 0)
}

/// The directory of a file and its name there.
type FileName = (Place, Vec<u8>);

/// What was removed, as the quota counts it.
#[derive(Default)]
struct Tally {
    octets: i64,
    files: i64,
}

/// What became of the files of a message.
#[derive(Debug)]
enum Unlinked {
    /// None is left.
    Wholly,
    /// Some were removed; others may be left under names that are not known. If it is one file that has another name, this
    /// is the file.
    Partly(Option<OwnedFd>),
    /// None was found.
    Nothing,
}

/// Whether messages may be named so in a journal.
fn is_base(name: &[u8]) -> bool {
    NameParts::parse(name).is_ok_and(|parts| parts.info == name.len())
}

impl MaildirMailbox {
    /// Removes what a dead process was about to remove, or does as if, where nothing may be changed, or it cannot be done
    /// just now. `settled` tells of the listing.
    pub(super) fn finish_removal(&mut self, settled: bool) -> Result<(), Error> {
        let bases = match self.journal().read(is_base)? {
            Found::Names(bases) => bases,
            Found::Nothing => return Ok(()),
            Found::Other => {
                if self.access == Access::Exclusive {
                    // It would be read by each session. The next that is written takes its place anyway.
                    let _ = self.journal().remove();
                }
                return Ok(());
            }
        };
        let listed = self.listing.len();
        let mut hidden: Vec<usize> = bases.iter().filter_map(|base| self.listing.find(base)).collect();
        hidden.sort_unstable();
        hidden.dedup();
        if self.access == Access::Exclusive {
            let mut indexes = hidden.clone();
            if !settled {
                let unlisted: Vec<&[u8]> =
                    bases.iter().filter(|base| self.listing.find(base).is_none()).collect();
                indexes.extend(unlisted.into_iter().map(|base| self.listing.add_unlisted(base)));
            }
            if let Err(error) = self.remove(&indexes, true) {
                if !matches!(self.journal().read(is_base)?, Found::Names(_)) {
                    return Err(error);
                }
                self.unfinished = bases;
            }
        }
        self.listing.truncate(listed);
        self.listing.remove_all(&hidden);
        Ok(())
    }

    /// Removes messages so that the next session finds all of them or none, should this process die.
    pub(super) fn remove_messages(&mut self, update: &Update) -> Result<(), Error> {
        if update.removed().next().is_none() {
            return Ok(());
        }
        // A journal that is written anew shall not forget what another says.
        let carried = !self.unfinished.is_empty();
        let unfinished = std::mem::take(&mut self.unfinished);
        let mut doomed: Vec<usize> = unfinished.iter().map(|base| self.listing.add_unlisted(base)).collect();
        doomed.extend(update.removed());
        let parted = self.part_twins(&mut doomed)?;
        self.remove_as_one(&doomed, carried).and(parted)
    }

    /// Gives files a name of their own that have the name of a message to be removed, but another text. Takes messages out for
    /// which that cannot be done, and answers why.
    ///
    /// # Errors
    /// Those for which nothing may be removed.
    fn part_twins(&mut self, doomed: &mut Vec<usize>) -> Result<Result<(), Error>, Error> {
        let (mut search, mut refused, mut renamed) = (Search::new(), Ok(()), HashSet::new());
        doomed.retain(|&index| match self.part_twins_of(index, &mut search, &mut renamed) {
            Ok(()) => true,
            Err(error) => {
                refused = std::mem::replace(&mut refused, Ok(())).and(Err(error));
                false
            }
        });
        if !renamed.is_empty() {
            self.listing.forget_twins(|place, name| renamed.contains(&(place, name.to_vec())));
            // Else the old names could come back with a power failure, and go with what the journal names.
            self.sync()?;
        }
        Ok(refused)
    }

    fn part_twins_of(
        &mut self,
        index: usize,
        search: &mut Search,
        renamed: &mut HashSet<FileName>,
    ) -> Result<(), Error> {
        while self.listing.has_twins(index) {
            let files: Vec<FileName> =
                self.listing.files(index).map(|(place, name)| (place, name.to_vec())).collect();
            let left = files.iter().filter(|file| !renamed.contains(*file));
            let stats: Option<Vec<(&FileName, Stat)>> = left
                .map(|file| {
                    let dir = self.candidate(file.0, &file.1)?.dir;
                    let stat = rustix::fs::statat(dir, &*file.1, AtFlags::SYMLINK_NOFOLLOW).ok()?;
                    Some((file, stat))
                })
                .collect();
            let Some(stats) = stats else {
                // One of them has another name by then.
                self.list_again(search)?;
                continue;
            };
            let Some((first, twins)) = stats.split_first() else { break };
            for twin in twins {
                let is_file = FileType::from_raw_mode(twin.1.st_mode).is_file();
                if is_file && !self.is_same(first, twin) {
                    self.rename_twin(index, twin.0)?;
                    renamed.insert(twin.0.clone());
                }
            }
            break;
        }
        Ok(())
    }

    /// Whether two names stand for one file, or for files with the same content. Those that cannot be read differ.
    fn is_same(&self, (one, a): &(&FileName, Stat), (other, b): &(&FileName, Stat)) -> bool {
        if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino) {
            return true;
        }
        let open = |(place, name): &FileName| {
            let dir = self.candidate(*place, name)?.dir;
            Some(BufReader::new(File::from(rustix::fs::openat(dir, &**name, READ, Mode::empty()).ok()?)))
        };
        a.st_size == b.st_size
            && open(one).zip(open(other)).is_some_and(|(one, other)| is_equal(one, other).unwrap_or(false))
    }

    fn rename_twin(&self, index: usize, (place, name): &FileName) -> Result<(), Error> {
        let Some(file) = self.candidate(*place, name) else { return Ok(()) };
        let mut other = Unique::generate(&self.maildir.host).text.into_bytes();
        other.extend_from_slice(&name[self.listing.base(index).len()..]);
        fs::rename_without_replacing(file.dir, &**name, file.dir, &*other)
            .map_err(|errno| Error::io(Operation::Rename, self.path_of(index), errno))
    }

    /// Removes the files of a message under all names that are known, or that they are likely to have.
    fn unlink(&self, index: usize, counted: bool, tally: &mut Tally) -> Result<Unlinked, Error> {
        self.maildir.check(Operation::Remove, || self.path_of(index))?;
        let trashed = self.listing.entry(index).flags.contains(Flags::TRASHED);
        let octets = if counted && !trashed { self.size_of(index) } else { 0 };
        let mut linked = None;
        let mut remove = |place, name: &[u8]| -> Result<bool, Error> {
            let Some(file) = self.candidate(place, name) else { return Ok(false) };
            // Open, it can be asked for other names when this one is gone, and nobody can give it one from then on.
            let opened = rustix::fs::openat(file.dir, name, LOOK, Mode::empty());
            match rustix::fs::unlinkat(file.dir, name, AtFlags::empty()) {
                Ok(()) => {
                    linked = opened.ok().filter(has_name).or(linked.take());
                    if !trashed {
                        tally.octets = tally.octets.saturating_add(octets);
                        tally.files += 1;
                    }
                    Ok(true)
                }
                // A directory is no message, whatever it is called.
                Err(Errno::NOENT | Errno::ISDIR) => Ok(false),
                Err(errno) => Err(Error::io(Operation::Remove, self.path_of(index), errno)),
            }
        };
        let (mut removed, mut missed) = (false, false);
        for (place, name) in self.listing.files(index) {
            if remove(place, name)? {
                removed = true;
            } else {
                missed = true;
            }
        }
        let twins = self.listing.has_twins(index);
        if missed {
            for (place, name) in self.listing.likely_names(index) {
                removed |= remove(place, &name)?;
                if removed && !twins {
                    break;
                }
            }
        }
        Ok(match (removed, missed) {
            (false, _) => Unlinked::Nothing,
            (true, missed) if linked.is_none() && !(missed && twins) => Unlinked::Wholly,
            (true, _) => Unlinked::Partly(linked.filter(|_| !twins)),
        })
    }

    /// Makes durable what was done to the files of messages.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        let sync = |dir, name| {
            let path = || self.maildir.path().join(name);
            self.maildir.check(Operation::SyncDirectory, path)?;
            fs::sync_dir(dir).map_err(|error| Error::io(Operation::SyncDirectory, path(), error))
        };
        let new = sync(&self.maildir.dirs.new, NEW);
        let synced = new.and(sync(&self.cur, CUR));
        self.marks_unsynced &= synced.is_err();
        synced
    }

    /// Octets of the file; none if it is not there under any name that it is likely to have.
    fn size_of(&self, index: usize) -> i64 {
        let size = NameParts::size_in(self.listing.base(index)).or_else(|| {
            let stat = self
                .try_names(index, |file| rustix::fs::statat(file.dir, file.name, AtFlags::SYMLINK_NOFOLLOW));
            u64::try_from(stat.ok().flatten()?.st_size).ok()
        });
        size.and_then(|size| i64::try_from(size).ok()).unwrap_or(0)
    }
}

impl JournaledRemoval for MaildirMailbox {
    fn announce(&mut self, doomed: &[usize]) -> Result<(), Error> {
        let bases = doomed.iter().map(|&index| self.listing.base(index));
        self.journal().write(bases, |operation| self.maildir.inject(operation))
    }

    /// Removes their files. One that is gone already is as good. Goes on where one cannot be removed, and answers the first
    /// error.
    fn remove(&mut self, indexes: &[usize], journaled: bool) -> Result<(), Error> {
        let counted = self.maildir.dirs.counted && exists(&self.maildir.main().root, super::quota::FILE);
        let (mut tally, mut refused) = (Tally::default(), None);
        let (mut search, mut unsettled) = (Search::new(), Ok(()));
        let mut settled = true;
        let mut missing: Vec<(usize, Option<OwnedFd>)> = indexes.iter().map(|&index| (index, None)).collect();
        loop {
            let (mut left, mut held) = (Vec::new(), 0);
            for (index, file) in missing {
                let gone = self.listing.entry(index).place == Place::Gone;
                let nameless = file.as_ref().is_some_and(|file| !has_name(file));
                let unlinked = match gone {
                    true if settled || nameless => Ok(Unlinked::Wholly),
                    true => Ok(Unlinked::Partly(file)),
                    false => self.unlink(index, counted, &mut tally),
                };
                match unlinked {
                    Ok(Unlinked::Wholly) => self.listing.entry_mut(index).place = Place::Gone,
                    Ok(Unlinked::Partly(file)) => {
                        // Unless a listing shows it.
                        self.listing.entry_mut(index).place = Place::Gone;
                        left.push((index, file.filter(|_| held < HELD)));
                        held += 1;
                    }
                    Ok(Unlinked::Nothing) => left.push((index, None)),
                    Err(error) => refused = refused.take().or(Some(error)),
                }
            }
            missing = left;
            if missing.is_empty() {
                break;
            }
            // One listing serves all of them.
            match self.list_again(&mut search) {
                Ok(is_settled) => settled = is_settled,
                Err(error) => {
                    unsettled = Err(error);
                    break;
                }
            }
        }
        let synced = self.sync();
        let mut forgotten = Ok(());
        if journaled && (refused.is_some() || (unsettled.is_ok() && synced.is_ok())) {
            forgotten = self.journal().remove();
        }
        if journaled && refused.is_some() {
            // So that no power failure brings the journal back.
            let _ = fs::sync_dir(&self.maildir.dirs.root);
        }
        if counted && tally.files > 0 {
            // The next who counts gets it right.
            let _ = self.maildir.adjust_usage(-tally.octets, -tally.files);
        }
        refused.map_or(Ok(()), Err).and(unsettled).and(synced).and(forgotten)
    }
}

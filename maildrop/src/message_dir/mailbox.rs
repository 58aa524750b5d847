//! Sessions with an MH folder.
//!
//! A number is no name for good: the largest is given again when its message is gone, and `folder -pack` gives new ones to
//! all. So a message is known by its file as well (the inode, and when it was written), and looked for by that when its
//! number has another.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use super::sequences::{MhSequences, holds};
use super::{MessageDir, Naming};
use crate::error::{Error, Operation};
use crate::fault::Faults;
use crate::flags::Flags;
use crate::fs;
use crate::kernel_lock;
use crate::replacement::Replacement;
use crate::store::{
    Access, Folder, Journal, JournaledRemoval, LocalReader, Mailbox, Message, MessageDigest, SessionLock,
    Store, UniqueId, Update,
};
use crate::user::{MailRoot, UserName};

const SESSION: &str = ".maildrop.session";
const REMOVING: &str = ".maildrop.removing";
const REMOVING_TMP: &str = ".maildrop.removing.tmp";
const SEQUENCES_TMP: &str = ".maildrop.sequences.tmp";
/// Most octets of `.mh_sequences` that are read.
const LARGEST_SEQUENCES: u64 = 1024 * 1024;
/// How long to wait for another program that writes them.
const SEQUENCES_WAIT: Duration = Duration::from_secs(10);

/// How often a file that was replaced while its lock was being waited for is opened again.
const SEQUENCES_ATTEMPTS: u32 = 16;

/// Where MH keeps its folders in a user's directory, and the one where mail arrives.
const MAIL: &str = "Mail";
const INBOX: &str = "inbox";

/// MH folders: `ROOT/USER/Mail/inbox`, others beside it, folders in folders.
#[derive(Clone, Debug)]
pub struct MhStore {
    root: MailRoot,
}

impl MhStore {
    /// The MH folders of the users below a root.
    pub fn new(root: MailRoot) -> MhStore {
        MhStore { root }
    }

    /// Gives every folder this fault hook.
    #[must_use]
    pub fn with_faults(self, faults: Arc<dyn Faults>) -> MhStore {
        MhStore { root: self.root.with_faults(faults) }
    }

    /// A folder of a user, to deliver to it. The inbox is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Symlink`] if a link stands in place of a directory, or [`Error::Io`], for which [`Error::is_not_found`]
    /// holds if there is no such folder.
    pub fn folder(&self, user: &UserName, folder: &Folder) -> Result<MessageDir, Error> {
        let (home, mut path) = self.root.home(user)?;
        path.push(MAIL);
        let mail = self.enter(&home, MAIL, &path, true)?;
        let (dir, path) = match folder {
            Folder::Inbox => {
                path.push(INBOX);
                (self.enter(&mail, INBOX, &path, true)?, path)
            }
            Folder::Named(name) => {
                name.components().try_fold((mail, path), |(dir, mut path), component| {
                    path.push(component);
                    Ok::<_, Error>((self.enter(&dir, component, &path, false)?, path))
                })?
            }
        };
        let dir = MessageDir::from_dir(dir, path, Naming::Number);
        Ok(match self.root.faults() {
            Some(faults) => dir.with_faults(Arc::clone(faults)),
            None => dir,
        })
    }

    fn enter(&self, parent: &OwnedFd, name: &str, path: &Path, make: bool) -> Result<OwnedFd, Error> {
        match self.root.step_down(parent, name, path) {
            Err(error) if make && error.is_not_found() => self.root.make_and_step_down(parent, name, path),
            entered => entered,
        }
    }
}

impl Store for MhStore {
    type Mailbox = MhMailbox;

    async fn open(&self, user: &UserName, folder: &Folder, access: Access) -> Result<MhMailbox, Error> {
        self.folder(user, folder)?.mailbox(access)
    }
}

/// A session with an MH folder. Unique identifiers are digests of the messages, since numbers change. They leave out the
/// header fields that readers of mboxes write, and line ends behind the message. Of messages that are the same otherwise, a
/// number behind the digest tells which; when one of them goes, those behind it move up, so that an identifier still stands
/// for the same text. A message is seen unless it is in the sequence `unseen`.
///
/// What is removed is taken out of all sequences but `cur`, as nmh's `rmm` does. A file that is written to after the session
/// began is another message. So one that procmail was still writing, which makes the name first, is not removed.
///
/// Exclusive sessions lock the folder itself, or where that cannot be done a file `.maildrop.session` in it;
/// `.maildrop.removing` is there while several messages are being removed.
pub struct MhMailbox {
    folder: MessageDir,
    access: Access,
    entries: Vec<Entry>,
    /// Of all messages, once one is asked for: the digest, and which it is of those that have it.
    digests: Vec<(MessageDigest, usize)>,
    _lock: Option<SessionLock>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    number: u64,
    inode: u64,
    /// When the file was written.
    written: (i64, u32),
    octets: Option<u64>,
    flags: Flags,
    gone: bool,
}

/// The inode of a file, and when it was written: its inode is given to another when it is gone.
type FileId = (u64, (i64, u32));

impl Entry {
    fn file(&self) -> FileId {
        (self.inode, self.written)
    }

    fn is(&self, stat: &Stat) -> bool {
        self.file() == (stat.st_ino, written_of(stat))
    }
}

fn written_of(stat: &Stat) -> (i64, u32) {
    (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(0))
}

impl MessageDir {
    /// Begins a session with an MH folder: lists the messages by their numbers. Files that are not named by a number, and
    /// folders, are none.
    ///
    /// # Errors
    /// [`Error::InUse`] or [`Error::Io`].
    pub fn mailbox(&self, access: Access) -> Result<MhMailbox, Error> {
        let lock = match access {
            Access::Exclusive => {
                self.check(Operation::Lock)?;
                Some(SessionLock::of_directory(&*self.dir, SESSION, &self.path)?)
            }
            Access::ReadOnly => None,
        };
        let mut entries = self.list()?;
        if let Some(sequences) = self.sequences()? {
            set_flags(&mut entries, &sequences);
        }
        let mut mailbox =
            MhMailbox { folder: self.clone(), access, entries, digests: Vec::new(), _lock: lock };
        mailbox.finish_removal()?;
        Ok(mailbox)
    }

    fn list(&self) -> Result<Vec<Entry>, Error> {
        self.check(Operation::List)?;
        let list_error = |errno: Errno| self.error(Operation::List, errno);
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.dir).map_err(list_error)? {
            let entry = entry.map_err(list_error)?;
            let Some(number) = MessageDir::number_of(entry.file_name().to_bytes()) else { continue };
            if !matches!(entry.file_type(), FileType::RegularFile | FileType::Unknown) {
                continue;
            }
            match rustix::fs::statat(&self.dir, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_file() => entries.push(Entry {
                    number,
                    inode: stat.st_ino,
                    written: written_of(&stat),
                    octets: None,
                    flags: Flags::SEEN,
                    gone: false,
                }),
                // Removed meanwhile.
                Ok(_) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(self.error(Operation::Stat, errno)),
            }
        }
        entries.sort_unstable_by_key(|entry| entry.number);
        Ok(entries)
    }

    /// The sequences; none if the file is not there, no regular file, too large, or not text.
    fn sequences(&self) -> Result<Option<MhSequences>, Error> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        match rustix::fs::openat(&self.dir, MhSequences::FILE, flags, Mode::empty()) {
            Ok(fd) => self.read_sequences(&fd.into()),
            // Not there, or a symbolic link, or a socket.
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => Ok(None),
            Err(errno) => Err(self.error(Operation::Open, errno)),
        }
    }

    fn read_sequences(&self, file: &File) -> Result<Option<MhSequences>, Error> {
        let mut content = Vec::new();
        let error = |error| self.error(Operation::Read, error);
        if !file.metadata().map_err(error)?.is_file() {
            return Ok(None);
        }
        file.take(LARGEST_SEQUENCES + 1).read_to_end(&mut content).map_err(error)?;
        let whole = content.len() as u64 <= LARGEST_SEQUENCES;
        Ok(std::str::from_utf8(&content).ok().filter(|_| whole).map(MhSequences::parse))
    }

    /// Changes the sequences, keeping out other programs that lock the file, as nmh does. It is replaced as a whole.
    fn change_sequences(&self, change: impl FnOnce(&mut MhSequences)) -> Result<(), Error> {
        let Some(file) = self.lock_sequences()? else { return Ok(()) };
        let Some(old) = self.read_sequences(&file)? else { return Ok(()) };
        let mut sequences = old.clone();
        change(&mut sequences);
        if sequences == old {
            return Ok(());
        }
        self.check(Operation::Write)?;
        self.write_sequences(&file, &sequences).map_err(|error| self.error(Operation::Write, error))
    }

    /// The file of the sequences with the lock on it; nothing if there is none.
    fn lock_sequences(&self) -> Result<Option<File>, Error> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        for _ in 0..SEQUENCES_ATTEMPTS {
            let file = match rustix::fs::openat(&self.dir, MhSequences::FILE, flags, Mode::empty()) {
                Ok(fd) => File::from(fd),
                // Nothing that is no regular file is changed.
                Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::ISDIR) => return Ok(None),
                Err(errno) => return Err(self.error(Operation::Open, errno)),
            };
            // Sequences are worth less than the removal of mail: where they cannot be locked they are changed all the same.
            let _ = kernel_lock::lock(&file, SEQUENCES_WAIT);
            let locked = rustix::fs::fstat(&file).map_err(|errno| self.error(Operation::Stat, errno))?;
            let named = rustix::fs::statat(&self.dir, MhSequences::FILE, AtFlags::SYMLINK_NOFOLLOW);
            // Whoever had the lock may have put another file in its place.
            if named.is_ok_and(|named| (named.st_dev, named.st_ino) == (locked.st_dev, locked.st_ino)) {
                return Ok(Some(file));
            }
        }
        Err(Error::LockHeld { path: self.path.join(MhSequences::FILE), attempts: SEQUENCES_ATTEMPTS })
    }

    /// Puts a file with the sequences in the place of the one that is there, with its mode and owner.
    fn write_sequences(&self, old: &File, sequences: &MhSequences) -> std::io::Result<()> {
        let before = rustix::fs::fstat(old)?;
        let mut replacement = Replacement::create(&self.dir, SEQUENCES_TMP)?;
        let made = rustix::fs::fstat(replacement.file())?;
        if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid) {
            let owner = Some(Uid::from_raw(before.st_uid)).filter(|_| made.st_uid != before.st_uid);
            // Not everybody may give files away.
            let _ = rustix::fs::fchown(replacement.file(), owner, Some(Gid::from_raw(before.st_gid)));
        }
        rustix::fs::fchmod(replacement.file(), Mode::from_raw_mode(before.st_mode & 0o777))?;
        replacement.write(sequences.to_string().as_bytes())?;
        replacement.sync()?;
        Ok(replacement.put_in_place(&self.dir, MhSequences::FILE)?)
    }
}

/// nmh and mutt keep `unseen`; mutt `replied` and `flagged` too.
fn set_flags(entries: &mut [Entry], sequences: &MhSequences) {
    let unseen = sequences.ranges("unseen");
    let others = [("replied", Flags::REPLIED), ("flagged", Flags::FLAGGED)]
        .map(|(name, flag)| (sequences.ranges(name), flag));
    for entry in entries {
        entry.flags = if holds(&unseen, entry.number) { Flags::EMPTY } else { Flags::SEEN };
        for (ranges, flag) in &others {
            if holds(ranges, entry.number) {
                entry.flags |= *flag;
            }
        }
    }
}

impl MhMailbox {
    fn journal(&self) -> Journal<'_> {
        Journal { dir: &self.folder.dir, path: &self.folder.path, name: REMOVING, tmp: REMOVING_TMP }
    }

    /// Removes what a dead process was about to remove, or does as if, where nothing may be changed.
    fn finish_removal(&mut self) -> Result<(), Error> {
        let named = self.journal().read()?;
        if named.is_empty() {
            return Ok(());
        }
        let mut files: HashMap<FileId, Vec<usize>> = HashMap::new();
        for (index, entry) in self.entries.iter().enumerate() {
            files.entry(entry.file()).or_default().push(index);
        }
        let (mut indexes, mut removed) = (BTreeSet::new(), Vec::new());
        for Doomed { number, file, is_copied } in named.iter().filter_map(|text| Doomed::parse(text)) {
            let same = files.get(&file).map_or(&[][..], Vec::as_slice);
            match same.iter().find(|&&index| self.entries[index].number == number) {
                Some(&index) => drop(indexes.insert(index)),
                // It has another number by then. But a message that was to stay is not taken for one that is gone.
                None if !is_copied => indexes.extend(same),
                None => {}
            }
            // The number may have been given again.
            if self.entries.binary_search_by_key(&number, |entry| entry.number).is_err() {
                removed.push(number);
            }
        }
        if self.access == Access::Exclusive {
            let indexes: Vec<usize> = indexes.iter().copied().collect();
            self.remove_files(&indexes, removed)?;
        }
        let mut index = 0..;
        self.entries.retain(|_| !index.next().is_some_and(|index| indexes.contains(&index)));
        Ok(())
    }

    fn vanished(&self) -> Error {
        Error::Vanished { path: self.folder.path.clone() }
    }

    /// Finds the numbers by which the files go by then. What is not there any more is gone.
    fn renumber(&mut self) -> Result<(), Error> {
        let mut later: HashMap<FileId, Vec<u64>> = HashMap::new();
        for entry in self.folder.list()?.iter().rev() {
            later.entry(entry.file()).or_default().push(entry.number);
        }
        let mut moved = Vec::new();
        for (index, entry) in self.entries.iter_mut().enumerate() {
            let numbers = later.get_mut(&entry.file());
            let same = numbers.and_then(|numbers| {
                let at = numbers.binary_search_by(|number| entry.number.cmp(number)).ok()?;
                Some(numbers.remove(at))
            });
            if same.is_none() {
                moved.push(index);
            }
            entry.gone &= same.is_none();
        }
        // One file may be several messages, by links: each has a number of its own, and what is gone does not take one.
        moved.sort_by_key(|&index| self.entries[index].gone);
        for index in moved {
            let entry = &mut self.entries[index];
            match later.get_mut(&entry.file()).and_then(Vec::pop) {
                Some(number) => (entry.number, entry.gone) = (number, false),
                None => entry.gone = true,
            }
        }
        Ok(())
    }

    /// Opens the file of a message and makes sure that it is that.
    fn open(&mut self, index: usize) -> Result<File, Error> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        for attempt in 0..2 {
            let entry = self.entries[index];
            if entry.gone {
                break;
            }
            self.folder.check(Operation::Read)?;
            match rustix::fs::openat(&self.folder.dir, entry.number.to_string(), flags, Mode::empty()) {
                Ok(fd) => {
                    let stat =
                        rustix::fs::fstat(&fd).map_err(|errno| self.folder.error(Operation::Stat, errno))?;
                    if entry.is(&stat) {
                        return Ok(fd.into());
                    }
                }
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(self.folder.error(Operation::Read, errno)),
            }
            if attempt == 0 {
                self.renumber()?;
            }
        }
        Err(self.vanished())
    }

    fn begin(&mut self, index: usize, reader: &mut LocalReader) -> Result<(), Error> {
        reader.end();
        let file = self.open(index)?;
        reader.begin_file(file, self.folder.path.join(self.entries[index].number.to_string()), None);
        Ok(())
    }

    /// Finds the number that a message has by then. Answers whether it is there.
    fn locate(&mut self, index: usize) -> Result<bool, Error> {
        for attempt in 0..2 {
            let entry = self.entries[index];
            if entry.gone {
                return Ok(false);
            }
            let name = entry.number.to_string();
            match rustix::fs::statat(&self.folder.dir, &*name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if entry.is(&stat) => return Ok(true),
                Ok(_) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(self.folder.error(Operation::Stat, errno)),
            }
            if attempt == 0 {
                self.renumber()?;
            }
        }
        Ok(false)
    }

    fn mark_seen(&mut self, indexes: impl Iterator<Item = usize>) -> Result<(), Error> {
        let mut seen = Vec::new();
        for index in indexes {
            if self.locate(index)? {
                seen.push(self.entries[index].number);
            }
        }
        if seen.is_empty() {
            return Ok(());
        }
        self.folder.change_sequences(|sequences| sequences.remove_from("unseen", seen))
    }

    /// Removes files, and their numbers and those that were `removed` already from the sequences; then makes that durable.
    /// Goes on where one cannot be removed, and answers the first error.
    ///
    /// What is left in the sequences of messages that are gone does not count: MH passes over it. Nor does a journal that
    /// names only such.
    fn remove_files(&mut self, indexes: &[usize], mut removed: Vec<u64>) -> Result<(), Error> {
        let mut failed = None;
        for &index in indexes {
            let done = self.locate(index).and_then(|found| {
                if !found {
                    return Ok(());
                }
                self.folder.check(Operation::Remove)?;
                let number = self.entries[index].number;
                match rustix::fs::unlinkat(&self.folder.dir, number.to_string(), AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => {
                        self.entries[index].gone = true;
                        removed.push(number);
                        Ok(())
                    }
                    Err(errno) => Err(self.folder.error(Operation::Remove, errno)),
                }
            });
            failed = failed.or(done.err());
        }
        let _ = self.folder.change_sequences(|sequences| {
            sequences.remove_all(removed.iter().copied());
        });
        let synced = self.folder.sync();
        // If what is gone may come back, the next session goes on.
        if failed.is_some() || synced.is_ok() {
            let _ = self.journal().remove();
        }
        if failed.is_some() {
            // So that no power failure brings it back and removes what was said to be still there.
            let _ = fs::sync_dir(&self.folder.dir);
        }
        failed.map_or(Ok(()), Err).and(synced)
    }
}

impl JournaledRemoval for MhMailbox {
    fn announce(&mut self, doomed: &[usize]) -> Result<(), Error> {
        let mut named = Vec::with_capacity(doomed.len());
        for &index in doomed {
            if self.locate(index)? {
                named.push(index);
            }
        }
        let staying = |(index, entry): &(usize, &Entry)| !entry.gone && doomed.binary_search(index).is_err();
        let staying: HashSet<FileId> =
            self.entries.iter().enumerate().filter(staying).map(|(_, entry)| entry.file()).collect();
        let lines = named.iter().map(|&index| {
            let (number, file) = (self.entries[index].number, self.entries[index].file());
            Doomed { number, file, is_copied: staying.contains(&file) }.to_string()
        });
        self.journal().write(lines, |operation| self.folder.inject(operation))
    }

    fn remove(&mut self, doomed: &[usize], _: bool) -> Result<(), Error> {
        self.remove_files(doomed, Vec::new())
    }
}

/// What the journal says of a message.
#[derive(Clone, Copy, Debug)]
struct Doomed {
    number: u64,
    file: FileId,
    /// Whether a message that stays is the same file.
    is_copied: bool,
}

impl Doomed {
    const COPIED: &'static str = " copied";

    fn parse(text: &[u8]) -> Option<Doomed> {
        let text = std::str::from_utf8(text).ok()?;
        let mut words = text.split(' ');
        let (number, inode) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let written = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Doomed { number, file: (inode, written), is_copied: text.ends_with(Doomed::COPIED) })
    }
}

impl fmt::Display for Doomed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (inode, (seconds, nanoseconds)) = self.file;
        let copied = if self.is_copied { Doomed::COPIED } else { "" };
        write!(f, "{} {inode} {seconds} {nanoseconds}{copied}", self.number)
    }
}

impl Mailbox for MhMailbox {
    type Reader = LocalReader;

    fn len(&self) -> usize {
        self.entries.len()
    }

    fn message(&self, index: usize) -> Message {
        let entry = &self.entries[index];
        let since = u64::try_from(entry.written.0).ok().map(Duration::from_secs);
        Message {
            octets: entry.octets,
            flags: entry.flags,
            arrived: since.and_then(|s| UNIX_EPOCH.checked_add(s)),
        }
    }

    async fn octets(&mut self, index: usize) -> Result<u64, Error> {
        if let Some(octets) = self.entries[index].octets {
            return Ok(octets);
        }
        let mut reader = LocalReader::default();
        self.begin(index, &mut reader)?;
        let octets = reader.measure()?;
        self.entries[index].octets = Some(octets);
        Ok(octets)
    }

    async fn unique_id(&mut self, index: usize) -> Result<UniqueId, Error> {
        if self.digests.is_empty() {
            let mut copies: HashMap<MessageDigest, usize> = HashMap::new();
            let mut digests = Vec::with_capacity(self.entries.len());
            let mut reader = LocalReader::default();
            for index in 0..self.entries.len() {
                // One that is gone has none, and nobody can ask for it.
                let digest = match self.begin(index, &mut reader) {
                    Ok(()) => reader.digest()?,
                    Err(Error::Vanished { .. }) => MessageDigest::default(),
                    Err(error) => return Err(error),
                };
                let copy = copies.entry(digest).or_default();
                *copy += 1;
                digests.push((digest, *copy));
            }
            self.digests = digests;
        }
        let (digest, copy) = self.digests[index];
        if digest == MessageDigest::default() {
            return Err(self.vanished());
        }
        Ok(UniqueId::of_digest(digest, copy))
    }

    async fn read(&mut self, index: usize, reader: &mut LocalReader) -> Result<(), Error> {
        self.begin(index, reader)
    }

    async fn commit(mut self, update: &Update) -> Result<(), Error> {
        if update.is_empty() {
            return Ok(());
        }
        if self.access == Access::ReadOnly {
            return Err(Error::ReadOnly { path: self.folder.path.clone() });
        }
        let removed: Vec<usize> = update.removed().collect();
        self.remove_as_one(&removed, false)?;
        self.mark_seen(update.marked_seen()).map_err(Error::not_marked)
    }
}

impl fmt::Debug for MhMailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.folder.path;
        f.debug_struct("MhMailbox").field("path", path).field("messages", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests;

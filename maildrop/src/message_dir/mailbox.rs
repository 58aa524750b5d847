//! Sessions with an MH folder.
//!
//! A number is no name for good: the largest is given again when its message is gone, and `folder -pack` gives new ones to
//! all. So a message is known by its file as well (the inode, and when it was written), and looked for by that when its
//! number has another.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::MessageDir;
use super::sequences::{MhSequences, holds};
use crate::error::{Error, Operation};
use crate::flags::Flags;
use crate::store::{
    Access, JournaledRemoval, LocalReader, Mailbox, Message, MessageDigest, SessionLock, UniqueId, Update,
};

const SESSION: &str = ".maildrop.session";

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
    pub(super) folder: MessageDir,
    pub(super) access: Access,
    pub(super) entries: Vec<Entry>,
    /// Of all messages, once one is asked for: the digest, and which it is of those that have it.
    digests: Vec<(MessageDigest, usize)>,
    /// Whether marks have been set that may not survive a power failure.
    pub(super) marks_unsynced: bool,
    _lock: Option<SessionLock>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) number: u64,
    inode: u64,
    /// When the file was written.
    written: (i64, u32),
    octets: Option<u64>,
    flags: Flags,
    pub(super) gone: bool,
}

/// The inode of a file, and when it was written: its inode is given to another when it is gone.
pub(super) type FileId = (u64, (i64, u32));

impl Entry {
    pub(super) fn file(&self) -> FileId {
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
        let mut mailbox = MhMailbox {
            folder: self.clone(),
            access,
            entries,
            digests: Vec::new(),
            marks_unsynced: false,
            _lock: lock,
        };
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
    pub(super) fn locate(&mut self, index: usize) -> Result<bool, Error> {
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

    /// Makes durable what was done to messages and sequences.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        let synced = self.folder.sync();
        self.marks_unsynced &= synced.is_err();
        synced
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
        self.marks_unsynced =
            self.folder.change_sequences(|sequences| sequences.remove_from("unseen", seen))?;
        Ok(())
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
        let mut marked = self.mark_seen(update.marked_seen());
        // What makes removals durable makes marks so.
        let done = self.remove_as_one(&removed, false);
        if self.marks_unsynced {
            marked = marked.and(self.sync());
        }
        done.and(marked.map_err(Error::not_marked))
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

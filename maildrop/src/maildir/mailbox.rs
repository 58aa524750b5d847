//! Sessions with a Maildir.
//!
//! Opening reads the two directories and no file. A file that another program has renamed (to set flags, or from `new/` to
//! `cur/`) is found again by what stands before its flags.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::listing::{Listing, Place};
use super::{CUR, Maildir, NEW, exists, open_inside};
use crate::error::{Error, Operation};
use crate::fault::Faults;
use crate::flags::Flags;
use crate::fs;
use crate::message_name::{MessageName, NameParts};
use crate::store::{
    Access, Folder, Journal, LocalReader, Mailbox, Message, SessionLock, Store, UniqueId, Update,
};
use crate::user::{MailRoot, UserName};

const SESSION: &str = "maildrop.session";
const REMOVING: &str = "maildrop.removing";
const REMOVING_TMP: &str = "maildrop.removing.tmp";

/// The Maildirs below a [`MailRoot`], with their Maildir++ folders.
#[derive(Clone, Debug)]
pub struct MaildirStore {
    root: MailRoot,
}

impl MaildirStore {
    /// The Maildirs below a root.
    pub fn new(root: MailRoot) -> MaildirStore {
        MaildirStore { root }
    }

    /// Gives every mailbox this fault hook.
    #[must_use]
    pub fn with_faults(self, faults: Arc<dyn Faults>) -> MaildirStore {
        MaildirStore { root: self.root.with_faults(faults) }
    }

    /// Where the Maildirs lie, to deliver to them.
    pub fn root(&self) -> &MailRoot {
        &self.root
    }

    fn maildir(&self, user: &UserName, folder: &Folder) -> Result<Maildir, Error> {
        // Most users have one, and making sure of it costs waits for the disk.
        let inbox = match self.root.open(user) {
            Err(error) if error.is_not_found() => self.root.create(user)?,
            opened => opened?,
        };
        match folder {
            Folder::Inbox => Ok(inbox),
            Folder::Named(name) => inbox.folder(name),
        }
    }
}

impl Store for MaildirStore {
    type Mailbox = MaildirMailbox;

    async fn open(&self, user: &UserName, folder: &Folder, access: Access) -> Result<MaildirMailbox, Error> {
        self.maildir(user, folder)?.mailbox(access)
    }
}

/// A session with a Maildir or one of its folders. Unique identifiers are the names of the files without flags, which is
/// Dovecot's `pop3_uidl_format = %f`; a digest stands for a name that RFC 1939 does not allow as one.
///
/// Exclusive sessions lock the directory, or an empty file `maildrop.session` in it where directories cannot be locked, as
/// over NFS; `maildrop.removing` is there while several messages are being removed.
pub struct MaildirMailbox {
    maildir: Maildir,
    cur: OwnedFd,
    access: Access,
    listing: Listing,
    _lock: Option<SessionLock>,
}

impl Maildir {
    /// Begins a session: lists the messages of this Maildir or folder.
    ///
    /// # Errors
    /// [`Error::InUse`] or [`Error::Io`].
    pub fn mailbox(&self, access: Access) -> Result<MaildirMailbox, Error> {
        let dirs = &self.dirs;
        let lock = match access {
            Access::Exclusive => {
                self.check(Operation::Lock, || dirs.path.clone())?;
                Some(SessionLock::of_directory(&dirs.root, SESSION, &dirs.path)?)
            }
            Access::ReadOnly => None,
        };
        let cur = open_inside(&dirs.root, CUR, &dirs.path, &dirs.path.join(CUR))?;
        let mut mailbox =
            MaildirMailbox { maildir: self.clone(), cur, access, listing: Listing::default(), _lock: lock };
        mailbox.listing = mailbox.list()?;
        mailbox.finish_removal()?;
        Ok(mailbox)
    }
}

impl MaildirMailbox {
    fn list(&self) -> Result<Listing, Error> {
        self.maildir.check(Operation::List, || self.maildir.path().to_owned())?;
        Listing::read(&self.maildir.dirs.new, &self.cur)
            .map_err(|errno| Error::io(Operation::List, self.maildir.path(), errno))
    }

    fn journal(&self) -> Journal<'_> {
        let dirs = &self.maildir.dirs;
        Journal { dir: &dirs.root, path: &dirs.path, name: REMOVING, tmp: REMOVING_TMP }
    }

    /// Removes what a dead process was about to remove, or does as if, where nothing may be changed.
    fn finish_removal(&mut self) -> Result<(), Error> {
        let bases = self.journal().read()?;
        if bases.is_empty() {
            return Ok(());
        }
        if self.access == Access::Exclusive {
            let indexes: Vec<usize> = bases.iter().filter_map(|base| self.listing.find(base)).collect();
            self.remove(&indexes)?;
        }
        let bases: HashSet<Vec<u8>> = bases.into_iter().collect();
        self.listing.retain(|base| !bases.contains(base));
        Ok(())
    }

    fn vanished(&self) -> Error {
        Error::Vanished { path: self.maildir.path().to_owned() }
    }

    fn dir(&self, place: Place) -> Option<&OwnedFd> {
        match place {
            Place::New => Some(&self.maildir.dirs.new),
            Place::Cur => Some(&self.cur),
            Place::Gone => None,
        }
    }

    fn path_of(&self, index: usize) -> PathBuf {
        let place = match self.listing.entry(index).place {
            Place::New => NEW,
            Place::Cur | Place::Gone => CUR,
        };
        self.maildir.path().join(place).join(OsStr::from_bytes(self.listing.name(index)))
    }

    /// Does something with the file of a message, under the name that it has by then. Nothing if it is gone.
    fn with_file<T>(
        &mut self,
        index: usize,
        operation: Operation,
        mut work: impl FnMut(&OwnedFd, &[u8]) -> Result<T, Errno>,
    ) -> Result<Option<T>, Error> {
        let mut listed_again = false;
        loop {
            let Some(dir) = self.dir(self.listing.entry(index).place) else { return Ok(None) };
            self.maildir.check(operation, || self.path_of(index))?;
            match work(dir, self.listing.name(index)) {
                Ok(done) => return Ok(Some(done)),
                Err(Errno::NOENT) if listed_again => return Ok(None),
                Err(Errno::NOENT) => {
                    let later = self.list()?;
                    self.listing.update(later);
                    listed_again = true;
                }
                Err(errno) => return Err(Error::io(operation, self.path_of(index), errno)),
            }
        }
    }

    fn begin(&mut self, index: usize, reader: &mut LocalReader) -> Result<(), Error> {
        reader.end();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = self.with_file(index, Operation::Read, |dir, name| {
            rustix::fs::openat(dir, name, flags, Mode::empty())
        })?;
        let file = File::from(file.ok_or_else(|| self.vanished())?);
        let size = NameParts::size_in(self.listing.base(index));
        reader.begin_file(file, self.path_of(index), size);
        Ok(())
    }

    /// Removes files, then makes that durable. One that is gone already is as good. Goes on where one cannot be removed, and
    /// answers the first error.
    fn remove(&mut self, indexes: &[usize]) -> Result<(), Error> {
        let counted = self.maildir.dirs.counted && exists(&self.maildir.main().root, super::quota::FILE);
        let (mut octets, mut messages, mut failed) = (0_i64, 0_i64, None);
        for &index in indexes {
            let size = if counted { self.size_of(index) } else { 0 };
            match self.with_file(index, Operation::Remove, |dir, name| {
                rustix::fs::unlinkat(dir, name, AtFlags::empty())
            }) {
                Ok(Some(())) if !self.listing.entry(index).flags.contains(Flags::TRASHED) => {
                    octets -= i64::try_from(size).unwrap_or(0);
                    messages -= 1;
                }
                Ok(_) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
            self.listing.entry_mut(index).place = Place::Gone;
        }
        let synced = self.sync();
        // With what could not be removed, so that no power failure brings it back and removes it after all.
        let forgotten = self.journal().remove();
        if failed.is_some() {
            let _ = fs::sync_dir(&self.maildir.dirs.root);
        }
        if counted && messages < 0 {
            // The next who counts gets it right.
            let _ = self.maildir.adjust_usage(octets, messages);
        }
        failed.map_or(Ok(()), Err).and(synced).and(forgotten)
    }

    fn sync(&self) -> Result<(), Error> {
        for (dir, name) in [(&self.maildir.dirs.new, NEW), (&self.cur, CUR)] {
            let path = || self.maildir.path().join(name);
            self.maildir.check(Operation::SyncDirectory, path)?;
            fs::sync_dir(dir).map_err(|error| Error::io(Operation::SyncDirectory, path(), error))?;
        }
        Ok(())
    }

    /// Octets of the file.
    fn size_of(&mut self, index: usize) -> u64 {
        if let Some(size) = NameParts::size_in(self.listing.base(index)) {
            return size;
        }
        let stat = self.with_file(index, Operation::Stat, |dir, name| {
            rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        });
        stat.ok().flatten().and_then(|stat| u64::try_from(stat.st_size).ok()).unwrap_or(0)
    }

    fn mark_seen(&mut self, index: usize) -> Result<(), Error> {
        for _ in 0..2 {
            let Some(dir) = self.dir(self.listing.entry(index).place) else { return Ok(()) };
            let name = MessageName::parse(self.listing.name(index))?;
            let Ok(seen) = name.with_flags(name.flags() | Flags::SEEN) else { return Ok(()) };
            if self.listing.entry(index).place == Place::Cur && seen == name {
                return Ok(());
            }
            self.maildir.check(Operation::Rename, || self.path_of(index))?;
            match fs::rename_without_replacing(dir, name.as_bytes(), &self.cur, seen.as_bytes()) {
                Ok(()) | Err(Errno::EXIST) => return Ok(()),
                Err(Errno::NOENT) => {
                    let later = self.list()?;
                    self.listing.update(later);
                }
                Err(errno) => return Err(Error::io(Operation::Rename, self.path_of(index), errno)),
            }
        }
        Ok(())
    }
}

impl Mailbox for MaildirMailbox {
    type Reader = LocalReader;

    fn len(&self) -> usize {
        self.listing.len()
    }

    fn message(&self, index: usize) -> Message {
        let entry = self.listing.entry(index);
        let arrived = entry.seconds.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        Message { octets: entry.octets, flags: entry.flags, arrived }
    }

    async fn octets(&mut self, index: usize) -> Result<u64, Error> {
        if let Some(octets) = self.listing.entry(index).octets {
            return Ok(octets);
        }
        // Not kept: a session that waits for its client shall be small.
        let mut reader = LocalReader::default();
        self.begin(index, &mut reader)?;
        let octets = reader.measure()?;
        self.listing.entry_mut(index).octets = Some(octets);
        Ok(octets)
    }

    async fn unique_id(&mut self, index: usize) -> Result<UniqueId, Error> {
        Ok(UniqueId::of_name(self.listing.base(index)))
    }

    async fn read(&mut self, index: usize, reader: &mut LocalReader) -> Result<(), Error> {
        self.begin(index, reader)
    }

    async fn commit(mut self, update: &Update) -> Result<(), Error> {
        if update.is_empty() {
            return Ok(());
        }
        if self.access == Access::ReadOnly {
            return Err(Error::ReadOnly { path: self.maildir.path().to_owned() });
        }
        let removed: Vec<usize> = update.removed().collect();
        // One file is removed as a whole anyway.
        if removed.len() > 1 {
            let bases = removed.iter().map(|&index| self.listing.base(index));
            self.journal().write(bases, |operation| self.maildir.inject(operation))?;
        }
        let done = if removed.is_empty() { Ok(()) } else { self.remove(&removed) };
        let mut marked = Ok(());
        for index in update.marked_seen() {
            marked = marked.and(self.mark_seen(index));
        }
        done.and(marked)
    }
}

impl fmt::Debug for MaildirMailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.maildir.path();
        f.debug_struct("MaildirMailbox").field("path", &path).field("messages", &self.len()).finish()
    }
}

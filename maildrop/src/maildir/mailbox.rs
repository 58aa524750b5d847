//! Sessions with a Maildir.
//!
//! Opening reads the two directories and no file. A file that another program has renamed (to set flags, or from `new/` to
//! `cur/`) is found again by what stands before its flags, as long as it takes: see `search`. What an update removes is in
//! `removal`.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::listing::{Listing, Place, Size};
use super::search::{Candidate, Search};
use super::sizes::Kept;
use super::{CUR, Maildir, NEW, open_inside};
use crate::error::{Error, Operation};
use crate::fault::Faults;
use crate::message_name::NameParts;
use crate::store::{
    Access, Folder, Journal, LocalReader, Mailbox, Message, Miscounts, Names, SessionLock, Store, Told,
    UniqueId, Update,
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
/// over NFS; `maildrop.removing` is there while several messages are being removed. `maildrop.sizes` holds the octets of
/// messages whose names do not tell, or tell what is wrong, so that later sessions need not read them: sizes in listings are as good as it is.
pub struct MaildirMailbox {
    pub(super) maildir: Maildir,
    pub(super) cur: OwnedFd,
    pub(super) access: Access,
    pub(super) listing: Listing,
    /// What a journal names that could not be removed when the mailbox was opened.
    pub(super) unfinished: Names,
    pub(super) kept: Kept,
    pub(super) miscounts: Miscounts,
    /// Whether marks have been set that may not survive a power failure.
    pub(super) marks_unsynced: bool,
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
        self.check(Operation::List, || dirs.path.clone())?;
        let (listing, settled) =
            Listing::read(&dirs.new, &cur).map_err(|errno| Error::io(Operation::List, &dirs.path, errno))?;
        let mut mailbox = MaildirMailbox {
            maildir: self.clone(),
            cur,
            access,
            listing,
            unfinished: Names::default(),
            kept: Kept::default(),
            miscounts: Miscounts::default(),
            marks_unsynced: false,
            _lock: lock,
        };
        mailbox.finish_removal(settled)?;
        mailbox.recall_sizes();
        Ok(mailbox)
    }
}

impl MaildirMailbox {
    pub(super) fn journal(&self) -> Journal<'_> {
        let dirs = &self.maildir.dirs;
        Journal { dir: &dirs.root, path: &dirs.path, name: REMOVING, tmp: REMOVING_TMP }
    }

    fn vanished(&self) -> Error {
        Error::Vanished { path: self.maildir.path().to_owned() }
    }

    pub(super) fn path_of(&self, index: usize) -> PathBuf {
        let place = match self.listing.entry(index).place {
            Place::New => NEW,
            Place::Cur | Place::Gone => CUR,
        };
        self.maildir.path().join(place).join(OsStr::from_bytes(self.listing.name(index)))
    }

    /// How many messages had other octets, when they were read to the end, than they were said to have: by the name of the
    /// file (`,W=`) most likely. The next session is told better if this one is closed by [`commit`](Mailbox::commit).
    pub fn miscounted(&self) -> usize {
        self.miscounts.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Begins to read a message whose file has a name that is known or likely. Nothing is listed, locked or waited for: where
    /// there is no such file, the answer is none, and [`read`](Mailbox::read) searches.
    ///
    /// # Errors
    /// [`Error::NotAFile`] or [`Error::Io`].
    pub fn read_at_hand(&mut self, index: usize, reader: &mut LocalReader) -> Result<Option<()>, Error> {
        reader.end();
        if self.listing.entry(index).place == Place::Gone {
            return Ok(None);
        }
        self.maildir.check(Operation::Read, || self.path_of(index))?;
        let opened = self.try_names(index, open);
        match opened.map_err(|errno| Error::io(Operation::Read, self.path_of(index), errno))? {
            Some(file) => self.begin_file(index, file, reader).map(|_| Some(())),
            None => Ok(None),
        }
    }

    /// Answers the octets of the file, where they had to be asked for.
    fn begin(&mut self, index: usize, reader: &mut LocalReader) -> Result<Option<u64>, Error> {
        reader.end();
        let file = self.with_file(index, Operation::Read, &mut Search::new(), open)?;
        let file = file.ok_or_else(|| self.vanished())?;
        self.begin_file(index, file, reader)
    }

    fn begin_file(
        &mut self,
        index: usize,
        file: OwnedFd,
        reader: &mut LocalReader,
    ) -> Result<Option<u64>, Error> {
        let file = File::from(file);
        let path = self.path_of(index);
        let (mut size, mut asked) = (NameParts::size_in(self.listing.base(index)), None);
        if size.is_none() || self.listing.entry(index).size != Size::Named {
            let metadata = file.metadata().map_err(|error| Error::io(Operation::Stat, &*path, error))?;
            if !metadata.is_file() {
                return Err(Error::NotAFile { path });
            }
            (size, asked) = (Some(metadata.len()), Some(metadata.len()));
            self.check_size(index, metadata.len());
        }
        reader.begin_file(file, path, size);
        if let Some(octets) = self.listing.entry(index).octets {
            reader.compare(Told { index, octets, miscounts: Arc::clone(&self.miscounts) });
        }
        Ok(asked)
    }
}

fn open(file: Candidate<'_>) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    rustix::fs::openat(file.dir, file.name, flags, Mode::empty())
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
        let begun = self.begin(index, &mut reader);
        let counted = begun.and_then(|stored| Ok((stored.unwrap_or(0), reader.measure()?)));
        self.note_size(index, counted.as_ref().ok().copied());
        counted.map(|(_, octets)| octets)
    }

    async fn unique_id(&mut self, index: usize) -> Result<UniqueId, Error> {
        Ok(UniqueId::of_name(self.listing.base(index)))
    }

    async fn read(&mut self, index: usize, reader: &mut LocalReader) -> Result<(), Error> {
        self.begin(index, reader).map(drop)
    }

    async fn commit(mut self, update: &Update) -> Result<(), Error> {
        if self.access == Access::ReadOnly {
            let refused = || Err(Error::ReadOnly { path: self.maildir.path().to_owned() });
            return if update.is_empty() { Ok(()) } else { refused() };
        }
        if update.is_empty() {
            self.correct_sizes();
            return Ok(());
        }
        let mut search = Search::new();
        let mut marked = Ok(());
        for index in update.marked_seen() {
            marked = marked.and(self.mark_seen(index, &mut search));
        }
        // What makes removals durable makes marks so.
        let done = self.remove_messages(update);
        if self.marks_unsynced {
            marked = marked.and(self.sync());
        }
        self.correct_sizes();
        self.trim_sizes();
        done.and(marked.map_err(Error::not_marked))
    }
}

impl fmt::Debug for MaildirMailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.maildir.path();
        f.debug_struct("MaildirMailbox").field("path", &path).field("messages", &self.len()).finish()
    }
}

//! Sessions with an mbox.
//!
//! The file is read under its locks when it is opened. Then nothing is locked until the update, so mail goes on being
//! delivered however long a client takes. (Dovecot does the same unless `pop3_lock_session` is set; qpopper moves the
//! whole mbox elsewhere for the session, and back.) What others do meanwhile:
//!
//! - *Append a message*: it belongs to the next session.
//! - *Rewrite the file, or replace it*, as mail readers do: a message that is asked for is looked for at its place, and if it
//!   is not there the file is read again under its locks, and messages are known by what is in them. One that is not found is
//!   [`Error::Vanished`].
//! - *Rewrite it while a message is being read*: noticed before the next part of the message is lent, which is
//!   [`Error::Vanished`] then: a server can only break off, and no client takes another message's text for this one.
//!
//! How an update changes the file is told in `rewrite`.

use std::collections::{HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::guard::Identity;
use super::rewrite::Piece;
use super::scan::{MboxMessage, is_in_place, scan};
use super::watch::{Stamp, Watch};
use super::writers::has_writers;
use super::{Locked, Mbox};
use crate::error::{Error, Operation};
use crate::flags::Flags;
use crate::store::{
    Access, LocalReader, Mailbox, Message, MessageDigest, SessionLock, Strip, UniqueId, Update,
};

/// Octets of a header in which a `Status:` field is looked for.
const LARGEST_HEADER: u64 = 1024 * 1024;
/// How often a message is looked for again that was moved while it was being read.
const MOVED_ATTEMPTS: usize = 3;

/// What becomes of `>From ` at the start of a line when a message is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unquoting {
    /// It stays, as Dovecot shows it: in the mboxo format, which procmail writes, nobody can tell what it was.
    #[default]
    AsFound,
    /// One `>` goes, however many there are: the mboxrd format. A message whose end a `Content-Length:` told stays as it is.
    /// Right for files that only writers of mboxrd write: of `>From ` that was sent, procmail keeps the `>`, and it goes.
    Rd,
}

/// A session with an mbox. Unique identifiers are digests of the messages with their From_ lines, but for the header fields
/// that mail readers write and for line ends behind the message. So they stay what they are when a flag is set, when other
/// messages go, and when the file is written anew. Of messages that are the same, a number behind the digest tells which; when
/// one of them goes, those behind it move up, so that an identifier still stands for the same text.
///
/// Flags are what `Status:` and `X-Status:` say, and [`Update::seen`] writes `Status: RO`, as Dovecot, mutt and qpopper do, in
/// the same step that removes messages. An update that only marks does nothing while another process has the file open for
/// writing, as far as can be seen: marks are not worth a new file, to which that would have to turn. Such [notes of readers](crate::MBOX_NOTES) stay in the file, but are neither lent nor
/// counted, as with Dovecot; so marking a message changes nothing of what is read.
///
/// An empty file `.NAME.maildrop.session` beside the mbox is what exclusive sessions lock; `.NAME.maildrop.update` is there
/// while it is being replaced, and `.NAME.maildrop.late` while mail waits to be added that came meanwhile.
pub struct MboxMailbox {
    mbox: Box<Mbox>,
    path: Arc<Path>,
    access: Access,
    entries: Vec<Entry>,
    /// The file that the entries are offsets into; none if there was none.
    opened: Option<Opened>,
    /// Of all messages, once one is asked for: the digest, and which it is of those that have it.
    digests: Vec<(MessageDigest, usize)>,
    _lock: Option<SessionLock>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    message: MboxMessage,
    /// With quoting taken off, once that was counted.
    octets: Option<u64>,
    gone: bool,
}

#[derive(Debug)]
struct Opened {
    file: Arc<File>,
    stamp: Stamp,
    /// Whether the stamp would be another if the file had been changed since.
    settled: bool,
}

impl Opened {
    fn is(&self, stamp: &Stamp) -> bool {
        self.settled && self.stamp == *stamp
    }
}

/// What an mbox holds, read under its locks.
struct Content {
    opened: Opened,
    messages: Vec<MboxMessage>,
}

impl Mbox {
    /// Begins a session: lists the messages. A file that is not there has none. The locks of the file are held while it is
    /// read, and given up then. With [`Access::ReadOnly`] the kernel's lock is shared with other readers, and neither the
    /// file nor its directory need be writable: where no lock file may be made, none is.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::LockHeld`], [`Error::NotAFile`], [`Error::ManyNames`], [`Error::NotAnMbox`] or
    /// [`Error::Io`].
    pub fn mailbox(&self, access: Access) -> Result<MboxMailbox, Error> {
        let options = self.options.clone().files_only(true);
        Mbox { options, ..self.clone() }.session(access)
    }

    fn session(&self, access: Access) -> Result<MboxMailbox, Error> {
        let lock = match access {
            Access::Exclusive => {
                self.check(Operation::Lock)?;
                let (dir, name) = self.directory()?;
                Some(SessionLock::acquire(&dir, hidden(&name, ".maildrop.session"), &self.path)?)
            }
            Access::ReadOnly => None,
        };
        let content = match self.lock(OFlags::empty(), access) {
            Ok(locked) => Some(locked.read(access)?),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        let rd = self.options.unquoting == Unquoting::Rd;
        let (opened, messages) =
            content.map_or((None, Vec::new()), |content| (Some(content.opened), content.messages));
        let entry = |message: MboxMessage| Entry {
            message,
            octets: (!rd || message.counted).then_some(message.octets),
            gone: false,
        };
        Ok(MboxMailbox {
            mbox: Box::new(self.clone()),
            path: Arc::from(&*self.path),
            access,
            entries: messages.into_iter().map(entry).collect(),
            opened,
            digests: Vec::new(),
            _lock: lock,
        })
    }
}

/// The name of a file of ours that goes with an mbox.
pub(super) fn hidden(name: &OsStr, what: &str) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(what);
    hidden
}

impl Locked {
    /// Reads the whole file. What a dead process left at its end is cut off, or passed over where nothing may be changed.
    fn read(&self, access: Access) -> Result<Content, Error> {
        let mbox = &self.mbox;
        let mut size = self.size()?;
        match access {
            Access::Exclusive => size = self.recover(size)?,
            Access::ReadOnly => {
                let unfinished = Identity::of(&self.file).and_then(|id| id.unfinished(&self.file, size));
                size = unfinished.ok().flatten().unwrap_or(size);
            }
        }
        // Another handle, for this one keeps the lock.
        let file = mbox.open_to_read()?;
        let now = SystemTime::now();
        let stat = rustix::fs::fstat(&file).map_err(|errno| mbox.error(Operation::Stat, errno))?;
        let locked = self.stat()?;
        if (stat.st_dev, stat.st_ino) != (locked.st_dev, locked.st_ino) {
            return Err(mbox.error(Operation::Open, Errno::AGAIN));
        }
        mbox.check(Operation::Read)?;
        let messages = scan(&file, size, mbox.options.content_length)
            .map_err(|error| mbox.error(Operation::Read, error))?
            .ok_or_else(|| Error::NotAnMbox { path: mbox.path.clone() })?;
        let stamp = Stamp::of(&stat);
        let settled = stamp.is_settled(now);
        Ok(Content { opened: Opened { file: Arc::new(file), stamp, settled }, messages })
    }
}

impl MboxMailbox {
    fn vanished(&self) -> Error {
        Error::Vanished { path: self.mbox.path.clone() }
    }

    /// The file that is there by then.
    fn stamp(&self) -> Option<Stamp> {
        self.mbox.named().ok().map(|stat| Stamp::of(&stat))
    }

    /// Makes sure that a message is where it was found, or finds it again; mostly others have only added to the file.
    /// Answers how the file was right before.
    fn locate(&mut self, index: usize) -> Result<Stamp, Error> {
        let Entry { message, gone, .. } = self.entries[index];
        if !gone
            && let Some(opened) = &self.opened
            && let Some(stamp) = self.stamp()
            && (opened.is(&stamp)
                || (opened.stamp.is_same_file(&stamp)
                    && is_in_place(&*opened.file, &message, self.mbox.options.content_length)
                        .map_err(|error| self.mbox.error(Operation::Read, error))?))
        {
            return Ok(stamp);
        }
        self.refresh()?;
        match &self.opened {
            Some(opened) if !self.entries[index].gone => Ok(opened.stamp),
            _ => Err(self.vanished()),
        }
    }

    /// Reads the file again if it is not as it was.
    fn refresh(&mut self) -> Result<(), Error> {
        match (&self.opened, self.stamp()) {
            (Some(opened), Some(stamp)) if opened.is(&stamp) => return Ok(()),
            (None, None) => return Ok(()),
            _ => {}
        }
        match self.mbox.lock(OFlags::empty(), self.access) {
            Ok(locked) => {
                let content = locked.read(self.access)?;
                self.adopt(content);
            }
            Err(error) if error.is_not_found() => {
                self.opened = None;
                self.entries.iter_mut().for_each(|entry| entry.gone = true);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Finds the messages in the file as it is by then. What is not there any more is gone; what is new is passed over.
    fn adopt(&mut self, content: Content) {
        let mut places: HashMap<u64, VecDeque<MboxMessage>> = HashMap::new();
        for message in content.messages {
            places.entry(message.fingerprint).or_default().push_back(message);
        }
        for entry in &mut self.entries {
            match places.get_mut(&entry.message.fingerprint).and_then(VecDeque::pop_front) {
                Some(message) => {
                    // What readers write into a header changes its length.
                    let counted = entry.octets == Some(entry.message.octets);
                    entry.octets = if counted { Some(message.octets) } else { None };
                    (entry.message, entry.gone) = (message, false);
                }
                None => entry.gone = true,
            }
        }
        self.opened = Some(content.opened);
    }

    fn begin(&mut self, index: usize, reader: &mut LocalReader, unquoting: Unquoting) -> Result<(), Error> {
        reader.end();
        self.mbox.check(Operation::Read)?;
        let stamp = self.locate(index)?;
        let message = self.entries[index].message;
        let Some(opened) = &self.opened else { return Err(self.vanished()) };
        let quoting = unquoting == Unquoting::Rd && !message.counted;
        let strip = Strip { notes: message.has_notes, quoting };
        let part = message.header..message.end;
        reader.begin_part(Arc::clone(&opened.file), Arc::clone(&self.path), part, strip);
        reader.watch(Watch::new(message, self.mbox.options.content_length, stamp));
        Ok(())
    }

    /// Whether another program has the file open for writing.
    fn is_open_elsewhere(&self, locked: &Locked) -> Result<bool, Error> {
        Ok(has_writers(&locked.file, &self.mbox.directory()?.1))
    }

    fn all_digests(&mut self) -> Result<Vec<(MessageDigest, usize)>, Error> {
        let mut copies: HashMap<MessageDigest, usize> = HashMap::new();
        let mut digests = Vec::with_capacity(self.entries.len());
        let mut reader = LocalReader::default();
        for index in 0..self.entries.len() {
            // One that is gone has none, and nobody can ask for it.
            let digest = match self.digest(index, &mut reader) {
                Err(Error::Vanished { .. }) => MessageDigest::default(),
                digest => digest?,
            };
            let copy = copies.entry(digest).or_default();
            *copy += 1;
            digests.push((digest, *copy));
        }
        Ok(digests)
    }

    fn digest(&mut self, index: usize, reader: &mut LocalReader) -> Result<MessageDigest, Error> {
        let mut attempts = 0;
        loop {
            let stamp = self.locate(index)?;
            let message = self.entries[index].message;
            let Some(opened) = &self.opened else { return Err(self.vanished()) };
            let part = message.start..message.end;
            reader.begin_part(Arc::clone(&opened.file), Arc::clone(&self.path), part, Strip::default());
            reader.watch(Watch::new(message, self.mbox.options.content_length, stamp));
            attempts += 1;
            match reader.digest() {
                // It was moved while it was being read.
                Err(Error::Vanished { .. }) if attempts < MOVED_ATTEMPTS => {}
                digest => return digest,
            }
        }
    }

    /// The parts of the file that stay, and what is to be written between them.
    fn pieces(&self, file: &File, size: u64, removed: &[usize], seen: &[usize]) -> Result<Vec<Piece>, Error> {
        let mut changes: Vec<(std::ops::Range<u64>, Vec<u8>)> = Vec::new();
        for entry in removed.iter().map(|&index| &self.entries[index]).filter(|entry| !entry.gone) {
            changes.push((entry.message.start..entry.message.next, Vec::new()));
        }
        for entry in seen.iter().map(|&index| &self.entries[index]).filter(|entry| !entry.gone) {
            if !entry.message.flags.contains(Flags::SEEN)
                && let Some(change) =
                    status(file, &entry.message).map_err(|error| self.mbox.error(Operation::Read, error))?
            {
                changes.push(change);
            }
        }
        changes.sort_by_key(|(range, _)| range.start);
        let (mut pieces, mut at) = (Vec::new(), 0);
        for (range, text) in changes {
            if at < range.start {
                pieces.push(Piece::Kept(at..range.start));
            }
            if !text.is_empty() {
                pieces.push(Piece::Written(text));
            }
            at = range.end;
        }
        if at < size {
            pieces.push(Piece::Kept(at..size));
        }
        Ok(pieces)
    }
}

/// The place in a header where `Status: RO` is to stand, and the line. None if the header does not end, or is longer than
/// anybody's.
fn status(file: &File, message: &MboxMessage) -> io::Result<Option<(std::ops::Range<u64>, Vec<u8>)>> {
    let length = message.body - message.header;
    if length > LARGEST_HEADER {
        return Ok(None);
    }
    let mut header = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut header, message.header)?;
    let mut at = 0;
    for line in header.split_inclusive(|&byte| byte == b'\n') {
        let is_status = line.len() > 7 && line[..7].eq_ignore_ascii_case(b"status:");
        let is_end = matches!(line, b"\n" | b"\r\n");
        if is_status || is_end {
            let end: &[u8] = if line.ends_with(b"\r\n") { b"\r\n" } else { b"\n" };
            let from = message.header + at as u64;
            let replaced = if is_status { line.len() as u64 } else { 0 };
            return Ok(Some((from..from + replaced, [b"Status: RO", end].concat())));
        }
        at += line.len();
    }
    Ok(None)
}

impl Mailbox for MboxMailbox {
    type Reader = LocalReader;

    fn len(&self) -> usize {
        self.entries.len()
    }

    fn message(&self, index: usize) -> Message {
        let entry = &self.entries[index];
        let arrived = entry.message.date.and_then(|date| date.time(self.mbox.options.utc_offset));
        Message { octets: entry.octets, flags: entry.message.flags, arrived }
    }

    async fn octets(&mut self, index: usize) -> Result<u64, Error> {
        if let Some(octets) = self.entries[index].octets {
            return Ok(octets);
        }
        let mut reader = LocalReader::default();
        self.begin(index, &mut reader, self.mbox.options.unquoting)?;
        let octets = reader.measure()?;
        self.entries[index].octets = Some(octets);
        Ok(octets)
    }

    async fn unique_id(&mut self, index: usize) -> Result<UniqueId, Error> {
        if self.digests.is_empty() {
            self.digests = self.all_digests()?;
        }
        let (digest, copy) = self.digests[index];
        if digest == MessageDigest::default() {
            return Err(self.vanished());
        }
        Ok(UniqueId::of_digest(digest, copy))
    }

    async fn read(&mut self, index: usize, reader: &mut LocalReader) -> Result<(), Error> {
        self.begin(index, reader, self.mbox.options.unquoting)
    }

    async fn commit(mut self, update: &Update) -> Result<(), Error> {
        if update.is_empty() {
            return Ok(());
        }
        if self.access == Access::ReadOnly {
            return Err(Error::ReadOnly { path: self.mbox.path.clone() });
        }
        let locked = match self.mbox.lock(OFlags::empty(), self.access) {
            Ok(locked) => locked,
            // All is gone, so nothing is left to be done.
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error),
        };
        let stamp = Stamp::of(&locked.stat()?);
        if self.opened.as_ref().is_none_or(|opened| !opened.is(&stamp)) {
            let content = locked.read(self.access)?;
            self.adopt(content);
        }
        let size = locked.size()?;
        let removed: Vec<usize> = update.removed().collect();
        let seen: Vec<usize> = update.marked_seen().collect();
        let removes = removed.iter().any(|&index| !self.entries[index].gone);
        if !removes && self.is_open_elsewhere(&locked)? {
            return Ok(());
        }
        match &*self.pieces(&locked.file, size, &removed, &seen)? {
            [Piece::Kept(all)] if *all == (0..size) => Ok(()),
            [] => locked.cut(0),
            [Piece::Kept(first)] if first.start == 0 => locked.cut(first.end),
            pieces => locked.replace(pieces),
        }
    }
}

impl fmt::Debug for MboxMailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MboxMailbox").field("path", &self.path).field("messages", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests;

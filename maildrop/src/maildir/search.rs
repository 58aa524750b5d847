//! Finding the file of a message again, which other programs rename while a session is open.
//!
//! First the name is tried that it had, then those that it is likely to have got: no directory is read for that. Then the
//! directories are listed, which serves all messages of the session, until the file is found, or a listing that is settled
//! says that it is gone. Programs that never rest are waited for about a second; then nobody can tell.

use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;

use super::listing::{Listing, Place};
use super::mailbox::MaildirMailbox;
use crate::error::{Error, Operation};
use crate::flags::Flags;
use crate::fs;
use crate::message_name::MessageName;

/// Listings of one search, and how long is waited before each but the first: longer each time, up to a most.
const LISTINGS: u32 = 24;
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// How long has been searched.
#[derive(Debug)]
pub(super) struct Search {
    listings: u32,
    pause: Duration,
}

impl Search {
    pub(super) fn new() -> Search {
        Search { listings: 0, pause: Duration::ZERO }
    }
}

/// A name to be tried.
pub(super) struct Candidate<'a> {
    pub(super) dir: &'a OwnedFd,
    pub(super) place: Place,
    pub(super) name: &'a [u8],
    /// Where files with flags are.
    pub(super) cur: &'a OwnedFd,
}

impl MaildirMailbox {
    /// Does something with the file of a message, under the name that it has by then. Nothing if it is gone.
    ///
    /// # Errors
    /// [`Error::Unsettled`], or [`Error::Io`].
    pub(super) fn with_file<T>(
        &mut self,
        index: usize,
        operation: Operation,
        search: &mut Search,
        mut work: impl FnMut(Candidate<'_>) -> Result<T, Errno>,
    ) -> Result<Option<T>, Error> {
        loop {
            if self.listing.entry(index).place == Place::Gone {
                return Ok(None);
            }
            self.maildir.check(operation, || self.path_of(index))?;
            let done = self.try_names(index, &mut work);
            match done.map_err(|errno| Error::io(operation, self.path_of(index), errno))? {
                Some(done) => return Ok(Some(done)),
                None => drop(self.list_again(search)?),
            }
        }
    }

    /// The same with the names that are known and those that are likely. Nothing if there are no such files.
    pub(super) fn try_names<T>(
        &self,
        index: usize,
        mut work: impl FnMut(Candidate<'_>) -> Result<T, Errno>,
    ) -> Result<Option<T>, Errno> {
        let mut attempt = |place, name: &[u8]| {
            let Some(file) = self.candidate(place, name) else { return Ok(None) };
            match work(file) {
                Ok(done) => Ok(Some(done)),
                Err(Errno::NOENT) => Ok(None),
                Err(errno) => Err(errno),
            }
        };
        for (place, name) in self.listing.files(index) {
            if let Some(done) = attempt(place, name)? {
                return Ok(Some(done));
            }
        }
        for (place, name) in self.listing.likely_names(index) {
            if let Some(done) = attempt(place, &name)? {
                return Ok(Some(done));
            }
        }
        Ok(None)
    }

    /// A name in its directory; none for what is gone.
    pub(super) fn candidate<'a>(&'a self, place: Place, name: &'a [u8]) -> Option<Candidate<'a>> {
        let dir = match place {
            Place::New => &self.maildir.dirs.new,
            Place::Cur => &self.cur,
            Place::Gone => return None,
        };
        Some(Candidate { dir, place, name, cur: &self.cur })
    }

    /// Learns the names that files have by now. Answers whether that is settled.
    pub(super) fn list_again(&mut self, search: &mut Search) -> Result<bool, Error> {
        if search.listings == LISTINGS {
            return Err(Error::Unsettled { path: self.maildir.path().to_owned() });
        }
        thread::sleep(search.pause);
        search.pause = (search.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        search.listings += 1;
        self.maildir.check(Operation::List, || self.maildir.path().to_owned())?;
        let (later, settled) = Listing::read_once(&self.maildir.dirs.new, &self.cur)
            .map_err(|errno| Error::io(Operation::List, self.maildir.path(), errno))?;
        self.listing.update(&later, settled);
        Ok(settled)
    }

    /// Moves a message to `cur/`, marked as seen. One that is gone needs no mark.
    pub(super) fn mark_seen(&mut self, index: usize, search: &mut Search) -> Result<(), Error> {
        let mut renamed = false;
        let done = self.with_file(index, Operation::Rename, search, |file| {
            let seen =
                MessageName::parse(file.name).and_then(|name| name.with_flags(name.flags() | Flags::SEEN));
            match seen {
                Ok(seen) if file.place == Place::New || seen.as_bytes() != file.name => {
                    match fs::rename_without_replacing(file.dir, file.name, file.cur, seen.as_bytes()) {
                        // It stands there already.
                        Err(Errno::EXIST) => Ok(()),
                        done => done.inspect(|()| renamed = true),
                    }
                }
                // Seen already, if it is still there, or a name that has no room for flags.
                _ => rustix::fs::statat(file.dir, file.name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).map(drop),
            }
        });
        self.marks_unsynced |= renamed;
        done.map(drop)
    }
}

//! Removing messages of an MH folder, all that a session removes as one.
//!
//! The journal tells of each message its number and its file, by which it is found when the folder was packed meanwhile.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::mailbox::{Entry, FileId, MhMailbox};
use crate::error::{Error, Operation};
use crate::fs;
use crate::store::{Access, Found, Journal, JournaledRemoval};

pub(super) const REMOVING: &str = ".maildrop.removing";
const REMOVING_TMP: &str = ".maildrop.removing.tmp";

impl MhMailbox {
    fn journal(&self) -> Journal<'_> {
        Journal { dir: &self.folder.dir, path: &self.folder.path, name: REMOVING, tmp: REMOVING_TMP }
    }

    /// Removes what a dead process was about to remove, or does as if, where nothing may be changed.
    pub(super) fn finish_removal(&mut self) -> Result<(), Error> {
        let named = match self.journal().read(|text| Doomed::parse(text).is_some())? {
            Found::Names(named) => named,
            Found::Nothing => return Ok(()),
            Found::Other => {
                if self.access == Access::Exclusive {
                    // It would be read by each session. The next that is written takes its place anyway.
                    let _ = self.journal().remove();
                }
                return Ok(());
            }
        };
        let mut files: HashMap<FileId, Vec<usize>> = HashMap::new();
        for (index, entry) in self.entries.iter().enumerate() {
            files.entry(entry.file()).or_default().push(index);
        }
        let (mut indexes, mut removed) = (BTreeSet::new(), Vec::new());
        for Doomed { number, file, is_copied } in named.iter().filter_map(Doomed::parse) {
            let numbered = self.entries.binary_search_by_key(&number, |entry| entry.number).ok();
            match numbered.filter(|&index| self.entries[index].file() == file) {
                Some(index) => drop(indexes.insert(index)),
                // It has another number by then. But a message that was to stay is not taken for one that is gone.
                None if !is_copied => indexes.extend(files.remove(&file).unwrap_or_default()),
                None => {}
            }
            // The number may have been given again.
            if numbered.is_none() {
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
        let synced = self.sync();
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

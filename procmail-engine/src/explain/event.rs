//! What an explanation tells.

use std::sync::Arc;

use super::Explanation;
use crate::effect::{Exit, Purpose};
use crate::eval::{Opened, Reached, Test, Tested};

/// Something that happens.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Where the reason stands; nothing for what comes before the first rc file and behind the last.
    pub place: Option<Place>,
    /// In how many blocks, and included files, it is.
    pub depth: usize,
    /// What happens.
    pub event: Event,
}

/// A place in an rc file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The path of the file.
    pub file: Arc<[u8]>,
    /// The line, from 1.
    pub line: usize,
    /// The column in bytes, from 1.
    pub column: usize,
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// An rc file is read.
    Opened {
        /// Its path.
        path: Vec<u8>,
        /// Why it is read.
        how: Opened,
    },
    /// An rc file cannot be read.
    Unreadable(Vec<u8>),
    /// A variable gets a value, or is removed.
    Variable {
        /// Its name.
        name: Vec<u8>,
        /// Its value.
        value: Option<Vec<u8>>,
    },
    /// A recipe is reached.
    Recipe(Box<Reached>),
    /// A condition is tested.
    Condition {
        /// As it stands in the rc file, continued lines joined.
        text: Vec<u8>,
        /// What came of it.
        tested: Box<Tested>,
    },
    /// It is known whether the recipe applies.
    Decided {
        /// Whether it does.
        matches: bool,
        /// What it scored, if it has weights.
        score: Option<i64>,
    },
    /// The block of the recipe comes next.
    BlockEntered,
    /// The block of the recipe is passed over.
    BlockSkipped,
    /// The block is at its end.
    BlockLeft,
    /// A copy of all this goes on beside it; nothing if that is not followed, since there are too many.
    Copy(Option<Box<Explanation>>),
    /// A lock file is asked for.
    Locked {
        /// Its path.
        path: Vec<u8>,
        /// Whether it could be had.
        succeeded: bool,
    },
    /// The mail is written to folders.
    Delivered {
        /// Which.
        folders: Vec<Folder>,
        /// Whether only a copy is.
        copy: bool,
        /// Whether that worked.
        succeeded: bool,
    },
    /// The mail is written to the standard output.
    Printed {
        /// Whether only a copy is.
        copy: bool,
        /// Whether that worked.
        succeeded: bool,
    },
    /// A program is run.
    Ran {
        /// What for.
        purpose: Purpose,
        /// The command line, or the words of it.
        command: Vec<u8>,
        /// Whether it gets only a copy.
        copy: bool,
        /// How it ended; nothing if it could not be run.
        exit: Option<Exit>,
        /// Whether that is an assumption.
        assumed: bool,
    },
    /// Something for the log, without the `procmail:` before it.
    Message(Vec<u8>),
}

/// A folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its name.
    pub name: Vec<u8>,
    /// What it is, by its name.
    pub kind: FolderKind,
}

/// What a folder is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FolderKind {
    /// A mailbox, or a directory that gets a file, if there is one of this name.
    Mailbox,
    /// A Maildir: the name ends in `/`.
    Maildir,
    /// An MH folder: the name ends in `/.`.
    Mh,
    /// `/dev/null`.
    Nothing,
}

impl Folder {
    pub(super) fn new(name: &[u8]) -> Self {
        Self { name: name.to_vec(), kind: FolderKind::of(name) }
    }
}

impl FolderKind {
    /// What a folder of this name is.
    pub fn of(name: &[u8]) -> Self {
        if name == b"/dev/null" {
            Self::Nothing
        } else if name.ends_with(b"/.") {
            Self::Mh
        } else if name.ends_with(b"/") {
            Self::Maildir
        } else {
            Self::Mailbox
        }
    }
}

/// What was assumed, since nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Assumption {
    /// Deliveries succeed.
    Deliveries,
    /// Locks are free.
    Locks,
    /// Directories are there.
    Directories,
    /// Programs end with this code, and write nothing.
    Programs(i32),
    /// Filters end well, and give back what they got.
    Filters,
}

impl Event {
    /// How many bytes of text it holds, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Opened { path, .. } | Self::Unreadable(path) | Self::Locked { path, .. } => path.len(),
            Self::Variable { name, value } => name.len() + value.as_ref().map_or(0, Vec::len),
            Self::Recipe(reached) => reached.head.len(),
            Self::Condition { text, tested } => {
                let test = match &tested.test {
                    Test::Expression { pattern, found, .. } => {
                        pattern.len() + found.as_ref().map_or(0, |found| found.text.len())
                    }
                    Test::Program { command: text, .. } | Test::None(text) => text.len(),
                    Test::Size { .. } => 0,
                };
                text.len() + test
            }
            Self::Delivered { folders, .. } => folders.iter().map(|folder| folder.name.len()).sum(),
            Self::Ran { command, .. } => command.len(),
            Self::Message(text) => text.len(),
            _ => 0,
        }
    }
}

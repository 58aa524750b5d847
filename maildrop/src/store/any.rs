//! A store that is chosen when the program starts.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use super::{Access, Folder, LocalReader, Mailbox, Message, Store, UniqueId, Update};
use super::{
    MaildirMailbox, MaildirStore, MboxMailbox, MboxStore, MemoryMailbox, MemoryStore, MhMailbox, MhStore,
};
use crate::error::Error;
use crate::fault::Faults;
use crate::user::{MailRoot, UserName};

/// How mail is stored: what stands in a configuration.
///
/// ```
/// use maildrop::store::StoreFormat;
///
/// assert_eq!("mbox".parse(), Ok(StoreFormat::Mbox));
/// assert_eq!(StoreFormat::default().to_string(), "maildir");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreFormat {
    /// `maildir`: [`MaildirStore`].
    #[default]
    Maildir,
    /// `mbox`: [`MboxStore`].
    Mbox,
    /// `mh`: [`MhStore`].
    Mh,
    /// `memory`: [`MemoryStore`].
    Memory,
}

/// A name of no store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected maildir, mbox, mh or memory as the store, but found {0:?}")]
pub struct StoreFormatError(String);

impl StoreFormat {
    /// All of them.
    pub const ALL: [StoreFormat; 4] =
        [StoreFormat::Maildir, StoreFormat::Mbox, StoreFormat::Mh, StoreFormat::Memory];

    /// The name, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            StoreFormat::Maildir => "maildir",
            StoreFormat::Mbox => "mbox",
            StoreFormat::Mh => "mh",
            StoreFormat::Memory => "memory",
        }
    }
}

impl fmt::Display for StoreFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for StoreFormat {
    type Err = StoreFormatError;

    fn from_str(name: &str) -> Result<StoreFormat, StoreFormatError> {
        let found = StoreFormat::ALL.into_iter().find(|format| format.as_str() == name);
        found.ok_or_else(|| StoreFormatError(name.to_owned()))
    }
}

/// One of the stores of this crate.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AnyStore {
    /// Maildirs.
    Maildir(MaildirStore),
    /// Mboxes.
    Mbox(MboxStore),
    /// MH folders.
    Mh(MhStore),
    /// Memory.
    Memory(MemoryStore),
}

impl AnyStore {
    /// A store of this format below a directory, which memory has no use for.
    pub fn new(format: StoreFormat, root: impl Into<PathBuf>) -> AnyStore {
        let root = MailRoot::new(root);
        match format {
            StoreFormat::Maildir => AnyStore::Maildir(MaildirStore::new(root)),
            StoreFormat::Mbox => AnyStore::Mbox(MboxStore::new(root)),
            StoreFormat::Mh => AnyStore::Mh(MhStore::new(root)),
            StoreFormat::Memory => AnyStore::Memory(MemoryStore::new()),
        }
    }

    /// Gives every mailbox this fault hook; memory has no faults.
    #[must_use]
    pub fn with_faults(self, faults: Arc<dyn Faults>) -> AnyStore {
        match self {
            AnyStore::Maildir(store) => AnyStore::Maildir(store.with_faults(faults)),
            AnyStore::Mbox(store) => AnyStore::Mbox(store.with_faults(faults)),
            AnyStore::Mh(store) => AnyStore::Mh(store.with_faults(faults)),
            AnyStore::Memory(store) => AnyStore::Memory(store),
        }
    }

    /// How it stores mail.
    pub fn format(&self) -> StoreFormat {
        match self {
            AnyStore::Maildir(_) => StoreFormat::Maildir,
            AnyStore::Mbox(_) => StoreFormat::Mbox,
            AnyStore::Mh(_) => StoreFormat::Mh,
            AnyStore::Memory(_) => StoreFormat::Memory,
        }
    }
}

impl Store for AnyStore {
    type Mailbox = AnyMailbox;

    async fn open(&self, user: &UserName, folder: &Folder, access: Access) -> Result<AnyMailbox, Error> {
        Ok(match self {
            AnyStore::Maildir(store) => AnyMailbox::Maildir(store.open(user, folder, access).await?),
            AnyStore::Mbox(store) => AnyMailbox::Mbox(store.open(user, folder, access).await?),
            AnyStore::Mh(store) => AnyMailbox::Mh(store.open(user, folder, access).await?),
            AnyStore::Memory(store) => AnyMailbox::Memory(store.open(user, folder, access).await?),
        })
    }
}

/// A session with a mailbox of an [`AnyStore`].
#[derive(Debug)]
#[non_exhaustive]
pub enum AnyMailbox {
    /// A Maildir.
    Maildir(MaildirMailbox),
    /// An mbox.
    Mbox(MboxMailbox),
    /// An MH folder.
    Mh(MhMailbox),
    /// Memory.
    Memory(MemoryMailbox),
}

macro_rules! each {
    ($mailbox:expr, $inner:ident => $work:expr) => {
        match $mailbox {
            AnyMailbox::Maildir($inner) => $work,
            AnyMailbox::Mbox($inner) => $work,
            AnyMailbox::Mh($inner) => $work,
            AnyMailbox::Memory($inner) => $work,
        }
    };
}

impl AnyMailbox {
    /// Begins to read a message that takes no waiting for a lock and no search: one in memory, or in a file of a Maildir whose
    /// name is known or likely. The answer is none for all others, which [`read`](Mailbox::read) is for.
    ///
    /// # Errors
    /// Those of [`read`](Mailbox::read).
    pub fn read_at_hand(&mut self, index: usize, reader: &mut LocalReader) -> Result<Option<()>, Error> {
        match self {
            AnyMailbox::Maildir(mailbox) => mailbox.read_at_hand(index, reader),
            AnyMailbox::Memory(mailbox) => super::ready(mailbox.read(index, reader)).map(Some),
            AnyMailbox::Mbox(_) | AnyMailbox::Mh(_) => Ok(None),
        }
    }

    /// How many messages had other octets when they were read to the end than the name of the file said: see
    /// [`MaildirMailbox::miscounted`]. All other mailboxes count for themselves.
    pub fn miscounted(&self) -> usize {
        match self {
            AnyMailbox::Maildir(mailbox) => mailbox.miscounted(),
            AnyMailbox::Mbox(_) | AnyMailbox::Mh(_) | AnyMailbox::Memory(_) => 0,
        }
    }
}

impl Mailbox for AnyMailbox {
    type Reader = LocalReader;

    fn len(&self) -> usize {
        each!(self, mailbox => mailbox.len())
    }

    fn message(&self, index: usize) -> Message {
        each!(self, mailbox => mailbox.message(index))
    }

    async fn octets(&mut self, index: usize) -> Result<u64, Error> {
        each!(self, mailbox => mailbox.octets(index).await)
    }

    async fn unique_id(&mut self, index: usize) -> Result<UniqueId, Error> {
        each!(self, mailbox => mailbox.unique_id(index).await)
    }

    async fn read(&mut self, index: usize, reader: &mut LocalReader) -> Result<(), Error> {
        each!(self, mailbox => mailbox.read(index, reader).await)
    }

    async fn commit(self, update: &Update) -> Result<(), Error> {
        each!(self, mailbox => mailbox.commit(update).await)
    }
}

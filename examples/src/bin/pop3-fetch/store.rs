//! Where messages go: a Maildir or an mbox, and the file of unique-ids that were fetched.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use maildrop::{
    Delivery, DeliveryOptions, DotLockOptions, Error, Maildir, Mbox, MboxAppend, MboxOptions, Staged,
    commit_all,
};
use mailwright::client::exit::{Exit, Failure};
use mailwright::client::mbox::MboxMessage;

use crate::options::Place;

/// Between two looks at a lock.
const PAUSE: Duration = Duration::from_millis(100);
/// How long the locks of an mbox, or the reader of a pipe, are waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Maildir or an mbox that takes messages.
pub(crate) enum Store {
    Maildir {
        maildir: Maildir,
        staged: Vec<Staged>,
    },
    Mbox {
        mbox: Mbox,
        /// How long its locks are waited for.
        patience: Duration,
    },
}

/// A message that is being written.
pub(crate) enum Incoming {
    Maildir(Box<Delivery>),
    Mbox(Box<MboxMessage>),
}

impl Store {
    /// Waits for locks no longer than `limit`, if there is one.
    pub(crate) fn open(place: &Place, limit: Option<Duration>) -> Result<Self, Failure> {
        let patience = limit.map_or(PATIENCE, |limit| limit.min(PATIENCE));
        Ok(match place {
            Place::Maildir(path) => Self::Maildir { maildir: Maildir::create(path)?, staged: Vec::new() },
            Place::Mbox(path) => {
                let mbox = Mbox::with_options(path, options().waiting(move |waited| waited < patience));
                Self::Mbox { mbox, patience }
            }
        })
    }

    /// Begins a message.
    pub(crate) fn begin(&self) -> Result<Incoming, Failure> {
        Ok(match self {
            Self::Maildir { maildir, .. } => {
                Incoming::Maildir(Box::new(maildir.deliver(&DeliveryOptions::new())?))
            }
            Self::Mbox { .. } => Incoming::Mbox(Box::default()),
        })
    }

    /// How many messages to make safe together. What an mbox takes is safe at once, and shall be noted at once.
    pub(crate) fn batch(&self) -> usize {
        match self {
            Self::Maildir { .. } => 100,
            Self::Mbox { .. } => 1,
        }
    }

    /// Ends a message. It is safe after [`Store::commit`]; where this is given up while it waits, nothing was stored.
    pub(crate) async fn end(&mut self, incoming: Incoming) -> Result<(), Failure> {
        match (self, incoming) {
            (Self::Maildir { staged, .. }, Incoming::Maildir(delivery)) => staged.push(delivery.stage()?),
            (Self::Mbox { mbox, patience }, Incoming::Mbox(message)) => {
                message.append_to(locked(mbox, *patience).await?)?;
            }
            _ => unreachable!("a store takes messages that it has begun"),
        }
        Ok(())
    }

    /// Makes safe what was ended, in this order. Gives those that are, and why others are not.
    pub(crate) fn commit<T>(&mut self, ended: Vec<T>) -> (Vec<T>, Result<(), Failure>) {
        let Self::Maildir { staged, .. } = self else { return (ended, Ok(())) };
        let mut result = Ok(());
        let mut safe = Vec::with_capacity(ended.len());
        for (message, committed) in ended.into_iter().zip(commit_all(std::mem::take(staged))) {
            match committed {
                Ok(_) => safe.push(message),
                Err(error) if result.is_ok() => result = Err(error.into()),
                Err(_) => {}
            }
        }
        (safe, result)
    }
}

impl Incoming {
    /// Takes a part of the message, with the line ends of the wire.
    pub(crate) fn append(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Maildir(delivery) => delivery.append(chunk)?,
            Self::Mbox(message) => message.push(chunk)?,
        }
        Ok(())
    }
}

/// How an mbox is written. Its locks are tried without waiting: see [`locked`].
fn options() -> MboxOptions {
    let dot_lock = DotLockOptions::new().tell_owner().sleep(PAUSE).suspend(PAUSE).retries(0);
    MboxOptions::new().dot_lock(Some(dot_lock)).kernel_lock(Some(Duration::ZERO))
}

/// Locks an mbox. Signals come through meanwhile, as a thread that waits for a lock could not be stopped.
async fn locked(mbox: &Mbox, patience: Duration) -> Result<MboxAppend, Failure> {
    let start = Instant::now();
    loop {
        match mbox.begin() {
            Err(Error::LockHeld { .. }) if start.elapsed() < patience => tokio::time::sleep(PAUSE).await,
            Err(Error::LockHeld { path, .. }) => {
                let text = format!(
                    "expected to get the lock {}, but other programs held it for {} s",
                    path.display(),
                    patience.as_secs_f32()
                );
                return Err(Failure::new(Exit::TempFail, text));
            }
            begun => return Ok(begun?),
        }
    }
}

/// The unique-ids of what was fetched before. The file is locked, so that no two programs fetch the same.
pub(crate) struct Seen {
    path: PathBuf,
    file: File,
    /// Octets of the file that are good.
    length: u64,
    ids: HashSet<String>,
    /// Of messages that are safe, and not noted yet.
    pending: Vec<String>,
}

impl Seen {
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error| failure(path, error);
        let is_new = !path.exists();
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).create(true).mode(0o600).open(path).map_err(failed)?;
        // Where there are no locks, there is nobody to wait for either.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            let text = format!("{}: another program is using it", path.display());
            return Err(Failure::new(Exit::TempFail, text));
        }
        if is_new {
            sync_folder_of(path).map_err(failed)?;
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        // A line without its end may be the beginning of an id, and equal another one.
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        let ids = text[..whole].lines().map(str::to_owned).collect();
        let seen = Self { path: path.to_owned(), file, length: whole as u64, ids, pending: Vec::new() };
        if whole < text.len() {
            seen.file.set_len(seen.length).map_err(failed)?;
        }
        Ok(seen)
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    pub(crate) fn add(&mut self, id: String) {
        self.pending.push(id);
    }

    /// Writes down what was added: all of it, or nothing.
    pub(crate) fn commit(&mut self) -> Result<(), Failure> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut text = self.pending.join("\n");
        text.push('\n');
        if let Err(error) = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data()) {
            // Should that fail too, the next run cuts off what is not whole.
            let _ = self.file.set_len(self.length);
            return Err(failure(&self.path, error));
        }
        self.length += text.len() as u64;
        self.ids.extend(self.pending.drain(..));
        Ok(())
    }
}

/// Makes the entry of a file durable.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn failure(path: &Path, error: io::Error) -> Failure {
    let full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    let exit = if full { Exit::TempFail } else { Exit::CantCreate };
    Failure::new(exit, format!("{}: {error}", path.display()))
}

//! Where messages go: a Maildir or an mbox, and the file of unique-ids that were fetched.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
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

/// What the first line of a file of unique-ids begins with. A unique-id has no spaces in it, as a rule.
const OWNER: &str = "# pop3-fetch: ";

/// The unique-ids of what was fetched before, by one user from one server. The file is locked, so that no two programs fetch
/// the same.
pub(crate) struct Seen {
    path: PathBuf,
    file: File,
    /// The line that tells whose they are.
    owner: String,
    /// Whether the file has that line.
    owned: bool,
    /// Octets of the file that are good.
    length: u64,
    ids: HashSet<String>,
    /// Of messages that are safe, and not noted yet.
    pending: Vec<String>,
}

impl Seen {
    /// Opens the file of this user of a server, or one that may become theirs: it tells no owner, or has no unique-ids.
    pub(crate) fn open(path: &Path, account: &str) -> Result<Self, Failure> {
        let failed = |error| failure(path, error);
        let (mut file, is_new) = loop {
            let is_new = !path.exists();
            let mut options = OpenOptions::new();
            let file = options.read(true).append(true).create(true).mode(0o600).open(path).map_err(failed)?;
            // Where there are no locks, there is nobody to wait for either.
            if let Err(TryLockError::WouldBlock) = file.try_lock() {
                let text = format!("{}: another program is using it", path.display());
                return Err(Failure::new(Exit::TempFail, text));
            }
            // Another program may have put another in its place meanwhile.
            if is_at(&file, path).map_err(failed)? {
                break (file, is_new);
            }
        };
        if is_new {
            sync_folder_of(path).map_err(failed)?;
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        // A line without its end may be the beginning of an id, and equal another one.
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        let owner = format!("{OWNER}{account}");
        let mut lines = text[..whole].lines();
        let found = lines.clone().next().filter(|line| line.starts_with(OWNER));
        if let Some(found) = found {
            lines.next();
            if found != owner && lines.clone().next().is_some() {
                let text = format!(
                    "{}: expected the unique-ids of {account}, found those of {}",
                    path.display(),
                    &found[OWNER.len()..]
                );
                return Err(Failure::new(Exit::Config, text));
            }
        }
        let ids = lines.map(str::to_owned).collect();
        let path = path.canonicalize().map_err(failed)?;
        let owned = found == Some(owner.as_str());
        Ok(Self { path, file, owner, owned, length: whole as u64, ids, pending: Vec::new() })
    }

    /// Cuts off what is not whole, and writes down whose the file is, if it does not tell. Where that takes another file, and
    /// none can be made, it goes on to tell nobody.
    pub(crate) fn adopt(&mut self) -> Result<(), Failure> {
        if !self.owned && self.ids.is_empty() {
            self.length = 0;
        }
        self.file.set_len(self.length).map_err(|error| failure(&self.path, error))?;
        if self.owned {
            return Ok(());
        }
        if !self.ids.is_empty() {
            return self.rewrite();
        }
        self.append(&self.owner.clone())
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
        self.append(&self.pending.join("\n"))?;
        self.ids.extend(self.pending.drain(..));
        Ok(())
    }

    fn append(&mut self, lines: &str) -> Result<(), Failure> {
        let text = format!("{lines}\n");
        if let Err(error) = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data()) {
            // Should that fail too, the next run cuts off what is not whole.
            let _ = self.file.set_len(self.length);
            return Err(failure(&self.path, error));
        }
        self.length += text.len() as u64;
        Ok(())
    }

    /// Forgets all but those of messages that `stay` on the server: it may give the others to other messages.
    pub(crate) fn keep(&mut self, stay: &HashSet<&str>) -> Result<(), Failure> {
        let before = self.ids.len();
        self.ids.retain(|id| stay.contains(id.as_str()));
        if self.ids.len() < before { self.rewrite() } else { Ok(()) }
    }

    /// Puts a file in place of this one that has the owner and the ids. Where none may be put there, this one stays.
    fn rewrite(&mut self) -> Result<(), Failure> {
        let mut ids: Vec<&str> = self.ids.iter().map(String::as_str).collect();
        ids.sort_unstable();
        ids.insert(0, &self.owner);
        let text = ids.join("\n") + "\n";
        match self.replaced(text.as_bytes()) {
            Ok(file) => (self.file, self.length) = (file, text.len() as u64),
            Err(error)
                if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {}
            Err(error) => return Err(failure(&self.path, error)),
        }
        Ok(())
    }

    fn replaced(&self, text: &[u8]) -> io::Result<File> {
        // Before anything is made: what fails behind `persist` leaves another file in place.
        let folder = File::open(folder_of(&self.path))?;
        let mut made = tempfile::Builder::new()
            .prefix(".pop3-fetch.")
            .append(true)
            .tempfile_in(folder_of(&self.path))?;
        let old = self.file.metadata()?;
        // A group may be kept where the owner may not. The mode is last, as a change of owner may take bits from it.
        if fchown(made.as_file(), Some(old.uid()), Some(old.gid())).is_err() {
            let _ = fchown(made.as_file(), None, Some(old.gid()));
        }
        made.as_file().set_permissions(old.permissions())?;
        made.write_all(text)?;
        made.as_file().sync_all()?;
        // Nobody else knows it; and where there are no locks, there is nobody to wait for.
        let _ = made.as_file().try_lock();
        let file = made.persist(&self.path)?;
        folder.sync_all()?;
        Ok(file)
    }
}

/// Whether the file stands there still.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((own.dev(), own.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes the entry of a file durable.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

fn failure(path: &Path, error: io::Error) -> Failure {
    let full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    let exit = if full { Exit::TempFail } else { Exit::CantCreate };
    Failure::new(exit, format!("{}: {error}", path.display()))
}

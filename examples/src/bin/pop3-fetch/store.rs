//! Where messages go: a Maildir or an mbox, and the file of unique-ids that were fetched.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use maildrop::{
    Delivery, DeliveryOptions, FromLine, LineEndings, Maildir, Mbox, MboxAppend, Staged, commit_all,
};
use mailwright::client::exit::{Exit, Failure};

use crate::options::Place;

/// A Maildir or an mbox that takes messages.
pub(crate) enum Store {
    Maildir { maildir: Maildir, staged: Vec<Staged> },
    Mbox(Mbox),
}

/// A message that is being written.
pub(crate) enum Incoming {
    Maildir(Box<Delivery>),
    Mbox { append: Box<MboxAppend>, last: Option<u8> },
}

impl Store {
    pub(crate) fn open(place: &Place) -> Result<Self, Failure> {
        Ok(match place {
            Place::Maildir(path) => Self::Maildir { maildir: Maildir::create(path)?, staged: Vec::new() },
            Place::Mbox(path) => Self::Mbox(Mbox::new(path)),
        })
    }

    /// Begins a message.
    pub(crate) fn begin(&self) -> Result<Incoming, Failure> {
        Ok(match self {
            Self::Maildir { maildir, .. } => {
                Incoming::Maildir(Box::new(maildir.deliver(&DeliveryOptions::new())?))
            }
            Self::Mbox(mbox) => {
                let mut append = mbox.begin()?;
                // POP3 does not tell the sender, nor the time zone of the mailbox.
                append.append(FromLine::new(b"MAILER-DAEMON", SystemTime::now(), 0).as_bytes())?;
                Incoming::Mbox { append: Box::new(append), last: None }
            }
        })
    }

    /// Ends a message. It is safe after [`Store::commit`].
    pub(crate) fn end(&mut self, incoming: Incoming) -> Result<(), Failure> {
        match (self, incoming) {
            (Self::Maildir { staged, .. }, Incoming::Maildir(delivery)) => staged.push(delivery.stage()?),
            (_, Incoming::Mbox { append, .. }) => drop(append.commit()?),
            (Self::Mbox(_), Incoming::Maildir(_)) => unreachable!("a store takes messages that it has begun"),
        }
        Ok(())
    }

    /// Makes all messages safe that were ended.
    pub(crate) fn commit(&mut self) -> Result<(), Failure> {
        if let Self::Maildir { staged, .. } = self {
            for committed in commit_all(std::mem::take(staged)) {
                committed?;
            }
        }
        Ok(())
    }
}

impl Incoming {
    /// Takes a part of the message, with the line ends of the wire.
    pub(crate) fn append(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Maildir(delivery) => delivery.append(chunk)?,
            Self::Mbox { append, last } => {
                // A CR that ended the chunk before may belong to an LF.
                let (held, next) = (last.take(), chunk.last().copied());
                let mut text = Vec::with_capacity(chunk.len() + 1);
                text.extend(held);
                text.extend_from_slice(chunk);
                if next == Some(b'\r') {
                    text.pop();
                    *last = next;
                }
                append.append(&LineEndings::ToLf.apply(&text))?;
            }
        }
        Ok(())
    }
}

/// The unique-ids of what was fetched before.
pub(crate) struct Seen {
    path: PathBuf,
    file: File,
    ids: HashSet<String>,
    /// Of messages that are not safe yet.
    pending: Vec<String>,
}

impl Seen {
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::new(Exit::CantCreate, format!("{}: {error}", path.display()));
        let ids = match File::open(path) {
            Ok(file) => BufReader::new(file).lines().collect::<Result<_, _>>().map_err(failed)?,
            Err(error) if error.kind() == ErrorKind::NotFound => HashSet::new(),
            Err(error) => return Err(failed(error)),
        };
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(failed)?;
        Ok(Self { path: path.to_owned(), file, ids, pending: Vec::new() })
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    pub(crate) fn add(&mut self, id: String) {
        self.pending.push(id);
    }

    /// Writes down what was added.
    pub(crate) fn commit(&mut self) -> Result<(), Failure> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut text = self.pending.join("\n");
        text.push('\n');
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        written
            .map_err(|error| Failure::new(Exit::CantCreate, format!("{}: {error}", self.path.display())))?;
        self.ids.extend(self.pending.drain(..));
        Ok(())
    }
}

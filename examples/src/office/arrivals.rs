//! [`Mail`] that arrived, and waiting for it.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mail_parser::{Message, MessageParser};
use maildrop::UserName;
use smtp_proto::types::ReversePath;
use tokio::sync::Notify;

use crate::filter::Destination;

/// A message that was delivered to one recipient.
#[derive(Debug, Clone)]
pub struct Mail {
    from: ReversePath,
    to: Arc<str>,
    user: UserName,
    size: u64,
    place: Place,
}

#[derive(Clone)]
pub(super) enum Place {
    File(PathBuf),
    /// In an mbox or an MH folder, where others come and go.
    Stored {
        path: PathBuf,
        message: Arc<[u8]>,
    },
    /// Where an rc file sent it.
    Filed {
        destinations: Vec<Destination>,
        message: Arc<[u8]>,
    },
    Memory(Arc<[u8]>),
}

impl core::fmt::Debug for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::File(path) | Self::Stored { path, .. } => path.fmt(f),
            Self::Filed { destinations, .. } => destinations.fmt(f),
            Self::Memory(_) => f.write_str("(memory)"),
        }
    }
}

impl Mail {
    pub(super) fn new(from: ReversePath, to: &str, user: UserName, size: u64, place: Place) -> Self {
        Self { from, to: to.into(), user, size, place }
    }

    /// The envelope's sender; empty for the null reverse-path `<>`.
    pub fn from(&self) -> &str {
        self.from.mailbox().map_or("", |mailbox| mailbox.as_str())
    }

    /// The recipient, as the client named it.
    pub fn to(&self) -> &str {
        &self.to
    }

    /// The user whose mail it is.
    pub fn user(&self) -> &str {
        self.user.as_str()
    }

    /// Size in bytes as it came, without what was put before it.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where it was delivered, if to a file: a mailbox of many messages, or the file of this one. With an rc file, the folder
    /// that it chose last.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) | Place::Stored { path, .. } => Some(path),
            Place::Filed { destinations, .. } => destinations.iter().rev().find_map(|to| match to {
                Destination::File { path, .. } => Some(path.as_path()),
                _ => None,
            }),
            Place::Memory(_) => None,
        }
    }

    /// Where an rc file sent it, in order: into files, to programs or to other addresses. Empty where there is no rc file.
    pub fn destinations(&self) -> &[Destination] {
        match &self.place {
            Place::Filed { destinations, .. } => destinations,
            Place::File(_) | Place::Stored { .. } | Place::Memory(_) => &[],
        }
    }

    /// The whole message, with the trace fields that were put before it. In files lines end as the configuration has it,
    /// in memory by CRLF.
    ///
    /// # Errors
    ///
    /// If the file cannot be read. A reader that moved it from `new` to `cur` meanwhile does no harm.
    pub fn message(&self) -> io::Result<Vec<u8>> {
        match &self.place {
            Place::Memory(bytes)
            | Place::Stored { message: bytes, .. }
            | Place::Filed { message: bytes, .. } => Ok(bytes.to_vec()),
            Place::File(path) => match std::fs::read(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    std::fs::read(moved(path).ok_or(error)?)
                }
                read => read,
            },
        }
    }

    /// The subject, decoded. Empty where there is none, or the message cannot be read.
    pub fn subject(&self) -> String {
        self.parsed(|message| message.subject().map(str::to_owned)).unwrap_or_default()
    }

    /// The first field of that name, unfolded and as it was written otherwise.
    pub fn header(&self, name: &str) -> Option<String> {
        self.parsed(|message| {
            let raw = message.header_raw(name)?;
            Some(raw.split_whitespace().collect::<Vec<_>>().join(" "))
        })
    }

    /// The first text part, decoded. Empty where there is none, or the message cannot be read.
    pub fn text(&self) -> String {
        self.parsed(|message| message.body_text(0).map(|text| text.into_owned())).unwrap_or_default()
    }

    fn parsed<T>(&self, look: impl FnOnce(&Message<'_>) -> Option<T>) -> Option<T> {
        let bytes = self.message().ok()?;
        look(&MessageParser::default().parse(&bytes)?)
    }
}

/// Where a message of `new` lies after a reader moved it to `cur`.
fn moved(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let base = name.split(':').next()?;
    let cur = path.parent()?.with_file_name("cur");
    std::fs::read_dir(cur).ok()?.flatten().map(|entry| entry.path()).find(|candidate| {
        candidate
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.split(':').next() == Some(base))
    })
}

/// Why no message was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// None that fits arrived in time.
    #[error("expected a message that fits within {waited:?}, found {}", list(.arrived))]
    Timeout {
        /// How long was waited.
        waited: Duration,
        /// What did arrive, as `from -> to: subject`, the last ones.
        arrived: Vec<String>,
    },
}

fn list(arrived: &[String]) -> String {
    if arrived.is_empty() { "none at all".to_owned() } else { format!("only: {}", arrived.join("; ")) }
}

/// What arrived, in order; so many at most.
#[derive(Debug)]
pub(super) struct Arrivals {
    most: usize,
    /// Most bytes that messages in memory take together.
    most_bytes: u64,
    kept: Mutex<Kept>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    mails: VecDeque<Mail>,
    bytes: u64,
    /// How many were forgotten, so that each has a number that stays.
    forgotten: u64,
}

impl Arrivals {
    pub(super) fn new(most: usize, most_bytes: u64) -> Self {
        Self { most, most_bytes, kept: Mutex::default(), changed: Notify::new() }
    }

    pub(super) fn push(&self, mail: Mail) {
        if self.most == 0 {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += held(&mail);
        kept.mails.push_back(mail);
        while kept.mails.len() > self.most || (kept.bytes > self.most_bytes && kept.mails.len() > 1) {
            if let Some(oldest) = kept.mails.pop_front() {
                kept.bytes -= held(&oldest);
                kept.forgotten += 1;
            }
        }
        drop(kept);
        self.changed.notify_waiters();
    }

    pub(super) fn all(&self) -> Vec<Mail> {
        self.since(0).0
    }

    pub(super) fn clear(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.forgotten += kept.mails.len() as u64;
        kept.mails.clear();
        kept.bytes = 0;
    }

    pub(super) async fn wait_for(
        &self,
        mut fits: impl FnMut(&Mail) -> bool,
        timeout: Duration,
    ) -> Result<Mail, WaitError> {
        let deadline = tokio::time::Instant::now() + timeout;
        let mut seen = 0;
        loop {
            // Made before looking, so that what arrives in between is not missed.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let (mails, next) = self.since(seen);
            seen = next;
            if let Some(mail) = mails.into_iter().find(|mail| fits(mail)) {
                return Ok(mail);
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                let last = self
                    .all()
                    .into_iter()
                    .rev()
                    .take(10)
                    .map(|mail| format!("<{}> -> <{}>: {}", mail.from(), mail.to(), mail.subject()));
                return Err(WaitError::Timeout { waited: timeout, arrived: last.collect() });
            }
        }
    }

    /// Those from number `from` on, and the number of the next to come.
    fn since(&self, from: u64) -> (Vec<Mail>, u64) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let skip = usize::try_from(from.saturating_sub(kept.forgotten)).unwrap_or(usize::MAX);
        (kept.mails.iter().skip(skip).cloned().collect(), kept.forgotten + kept.mails.len() as u64)
    }
}

fn held(mail: &Mail) -> u64 {
    match &mail.place {
        Place::Memory(bytes) | Place::Stored { message: bytes, .. } | Place::Filed { message: bytes, .. } => {
            bytes.len() as u64
        }
        Place::File(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(subject: &str) -> Mail {
        let text = format!("Return-Path: <>\r\nSubject: {subject}\r\n\r\nbody of {subject}\r\n");
        let user = UserName::parse("alice").unwrap();
        let size = text.len() as u64;
        Mail::new(ReversePath::Null, "alice@x.test", user, size, Place::Memory(text.into_bytes().into()))
    }

    #[tokio::test(start_paused = true)]
    async fn what_arrived_before_counts_and_so_does_what_comes() {
        let arrivals = Arc::new(Arrivals::new(10, 1 << 20));
        arrivals.push(mail("one"));
        let second = Duration::from_secs(1);
        assert_eq!(
            arrivals.wait_for(|mail| mail.subject() == "one", second).await.unwrap().text(),
            "body of one\r\n"
        );
        let waiting = Arc::clone(&arrivals);
        let waiter =
            tokio::spawn(async move { waiting.wait_for(|mail| mail.subject() == "two", second).await });
        tokio::task::yield_now().await;
        arrivals.push(mail("three"));
        tokio::task::yield_now().await;
        arrivals.push(mail("two"));
        assert_eq!(waiter.await.unwrap().unwrap().subject(), "two");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_fails_tells_what_did_arrive() {
        let arrivals = Arrivals::new(10, 1 << 20);
        arrivals.push(mail("one"));
        let error = arrivals.wait_for(|_| false, Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected a message that fits within 5s, found only: <> -> <alice@x.test>: one"
        );
    }

    #[test]
    fn only_so_many_are_remembered() {
        let arrivals = Arrivals::new(3, 1 << 20);
        for n in 0..5 {
            arrivals.push(mail(&n.to_string()));
        }
        let subjects: Vec<String> = arrivals.all().iter().map(Mail::subject).collect();
        assert_eq!(subjects, ["2", "3", "4"]);
        let arrivals = Arrivals::new(100, 150);
        for n in 0..5 {
            arrivals.push(mail(&n.to_string()));
        }
        assert!(arrivals.all().len() < 4);
    }

    #[test]
    fn fields_are_found_by_name_and_unfolded() {
        let mail = mail("one\r\n two");
        assert_eq!(mail.header("subject").as_deref(), Some("one two"));
        assert_eq!(mail.header("x-none"), None);
    }
}

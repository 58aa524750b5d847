//! [`Maildirs`]: the Maildirs of the users, and the thread that makes messages durable many at a time.
//!
//! A session hands its message over and waits. The committer takes all that waits, writes it out, syncs once for all, and
//! tells each session what became of its message. So a message costs less the more come at a time, and a lone one waits
//! for nobody. Nothing is reported as delivered before it survives a power failure.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use maildrop::{
    Delivered, Delivery, DeliveryOptions, Error, Faults, LineEndings, MailRoot, Maildir, STALE_AFTER, Staged,
    UserName, commit_all,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::store::Copy;
use super::usage::Elsewhere;
use crate::filter::Destination;

/// Most messages that are committed together, so that the first does not wait for too many others to be written.
const BATCH: usize = 256;
/// Most jobs that the committer has, so that a disk that stands still does not fill the memory with messages.
const QUEUE: usize = 1024;
/// Most Maildirs that are kept open: each holds some file descriptors.
const OPEN_MAILDIRS: usize = 200;

/// What became of the copies of a message, in order.
pub(crate) type Outcome = Vec<Result<Delivered, Error>>;

/// The Maildirs of all users. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Maildirs {
    mailboxes: Arc<Mailboxes>,
    committer: Sender<Job>,
    places: Arc<Semaphore>,
}

#[derive(Debug)]
struct Mailboxes {
    root: MailRoot,
    line_endings: LineEndings,
    open: Mutex<HashMap<UserName, Maildir>>,
    elsewhere: Elsewhere,
}

#[derive(Debug)]
struct Job {
    work: Work,
    done: oneshot::Sender<Outcome>,
    /// Its place in the queue.
    place: OwnedSemaphorePermit,
}

enum Work {
    /// A message that was small enough to be handed over in one piece.
    Whole { body: Vec<u8>, copies: Vec<Copy>, together: bool },
    /// Copies that lie on disk already, or why they do not.
    Staged { copies: Vec<Result<Staged, Error>>, together: bool },
}

impl core::fmt::Debug for Work {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Whole { .. } => "Whole(..)",
            Self::Staged { .. } => "Staged(..)",
        })
    }
}

impl Maildirs {
    /// Starts a committer for the Maildirs below `root`. It ends when the last clone of the store is dropped.
    pub(crate) fn new(
        root: &Path,
        line_endings: LineEndings,
        faults: Option<Arc<dyn Faults>>,
    ) -> std::io::Result<Self> {
        let mut root = MailRoot::new(root);
        if let Some(faults) = faults {
            root = root.with_faults(faults);
        }
        let mailboxes = Arc::new(Mailboxes {
            root,
            line_endings,
            open: Mutex::default(),
            elsewhere: Elsewhere::default(),
        });
        let (committer, jobs) = channel();
        let theirs = Arc::clone(&mailboxes);
        std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || commit_jobs(&theirs, &jobs))?;
        Ok(Self { mailboxes, committer, places: Arc::new(Semaphore::new(QUEUE)) })
    }

    /// Delivers a small message. With `together`, either all copies are delivered or none.
    ///
    /// `None` says that the committer panicked over it, which only a bug can bring about.
    pub(crate) async fn deliver(&self, body: Vec<u8>, copies: Vec<Copy>, together: bool) -> Option<Outcome> {
        self.submit(Work::Whole { body, copies, together }).await
    }

    /// Delivers a message that was written out before.
    pub(crate) async fn commit(&self, copies: Vec<Result<Staged, Error>>, together: bool) -> Option<Outcome> {
        self.submit(Work::Staged { copies, together }).await
    }

    /// Removes what deliveries that were cut off left in `tmp/` of each Maildir, once it is 36 hours old. Blocks.
    pub(crate) fn clean_tmp(&self) {
        let folder = self.mailboxes.root.path();
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(user) = name.to_str().and_then(|name| UserName::parse(name).ok()) else { continue };
            match self.mailboxes.clean_tmp(&user) {
                Ok(0) => {}
                Ok(files) => tracing::info!(%user, files, "stale files removed from tmp"),
                Err(error) if error.is_not_found() => {}
                Err(error) => tracing::warn!(%user, %error, "tmp could not be cleaned"),
            }
        }
    }

    async fn submit(&self, work: Work) -> Option<Outcome> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let (done, outcome) = oneshot::channel();
        self.committer.send(Job { work, done, place }).ok()?;
        outcome.await.ok()
    }

    /// Begins to write a message out, for the first of its copies. Blocks.
    pub(crate) fn begin(&self, copy: &Copy) -> Result<Delivery, Error> {
        self.mailboxes.begin(copy)
    }

    /// Ends a message that was [begun](Self::begin) for the first of its copies, and makes the others. Blocks.
    pub(crate) fn stage(
        &self,
        delivery: Delivery,
        copies: &[Copy],
        together: bool,
    ) -> Vec<Result<Staged, Error>> {
        let first = delivery.stage();
        let staged = match (&first, copies) {
            (Ok(original), [_, others @ ..]) => {
                let others = self.mailboxes.duplicate(original, others);
                std::iter::once(first).chain(others).collect()
            }
            // The others have no original. They fail with it, as something that is to be tried again.
            _ => std::iter::once(first).collect(),
        };
        if together { all_or_none(staged) } else { staged }
    }

    /// Makes copies of a message that is whole. Blocks.
    pub(crate) fn stage_whole(
        &self,
        body: &[u8],
        copies: &[Copy],
        together: bool,
    ) -> Vec<Result<Staged, Error>> {
        self.mailboxes.stage(body, copies, together)
    }

    /// Makes further copies of a message. Blocks.
    pub(crate) fn duplicate(&self, original: &Staged, copies: &[Copy]) -> Vec<Result<Staged, Error>> {
        self.mailboxes.duplicate(original, copies)
    }

    /// Whether a message of that size would not fit into the user's quota. Blocks.
    pub(crate) fn would_exceed(&self, user: &UserName, size: u64) -> Result<bool, Error> {
        Ok(self.mailboxes.with(user, |maildir| maildir.would_exceed(size))?
            || self.room(user, size)?.is_some_and(|room| room < size))
    }

    /// How many bytes more the user may keep, if that is limited; counted carefully where it is less than `wanted`. Blocks.
    pub(crate) fn room(&self, user: &UserName, wanted: u64) -> Result<Option<u64>, Error> {
        let quota = match self.mailboxes.with(user, Maildir::quota) {
            // Mail is not lost for a quota that nobody can tell.
            Err(Error::QuotaFile { .. }) => None,
            quota => quota?,
        };
        let Some((limit, inbox)) = quota.and_then(|quota| Some((quota.limits.bytes?, quota.usage.bytes)))
        else {
            return Ok(None);
        };
        let folder = self.mailboxes.root.path().join(user.as_str());
        let left = limit.saturating_sub(inbox);
        Ok(Some(self.mailboxes.elsewhere.room(user, &folder, left, wanted)))
    }

    /// Notes what was filed for a user by other ways than this store.
    pub(crate) fn note(&self, user: &UserName, destinations: &[Destination]) {
        let folder = self.mailboxes.root.path().join(user.as_str());
        self.mailboxes.elsewhere.note(user, &folder, destinations);
    }
}

impl Mailboxes {
    fn begin(&self, copy: &Copy) -> Result<Delivery, Error> {
        let options = DeliveryOptions::new().line_endings(self.line_endings).prefix(&copy.prefix);
        self.with(&copy.user, |maildir| maildir.deliver(&options))
    }

    fn duplicate(&self, original: &Staged, copies: &[Copy]) -> Vec<Result<Staged, Error>> {
        copies
            .iter()
            .map(|copy| self.with(&copy.user, |maildir| original.duplicate(maildir, &copy.prefix)))
            .collect()
    }

    fn stage(&self, body: &[u8], copies: &[Copy], together: bool) -> Vec<Result<Staged, Error>> {
        let mut staged: Vec<Result<Staged, Error>> = Vec::with_capacity(copies.len());
        for copy in copies {
            let original = staged.iter().find_map(|copy| copy.as_ref().ok());
            let outcome = match original {
                Some(original) => self.with(&copy.user, |maildir| original.duplicate(maildir, &copy.prefix)),
                None => self.begin(copy).and_then(|mut delivery| {
                    delivery.append(body)?;
                    delivery.stage()
                }),
            };
            staged.push(outcome);
        }
        if together { all_or_none(staged) } else { staged }
    }

    fn clean_tmp(&self, user: &UserName) -> Result<u64, Error> {
        let now = std::time::SystemTime::now();
        let maildir = self.root.open(user)?;
        let mut files = maildir.clean_tmp(now, STALE_AFTER)?.files;
        for folder in maildir.folders()? {
            files += maildir.folder(&folder)?.clean_tmp(now, STALE_AFTER)?.files;
        }
        Ok(files)
    }

    /// Does something with a user's Maildir, which is kept open. Where it was removed, moved away or replaced meanwhile, it is
    /// made or opened afresh.
    fn with<T>(&self, user: &UserName, act: impl Fn(&Maildir) -> Result<T, Error>) -> Result<T, Error> {
        let known = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(user).cloned();
        if let Some(maildir) = known.filter(Maildir::is_in_place) {
            return act(&maildir);
        }
        let maildir = self.root.create(user)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= OPEN_MAILDIRS
            && let Some(other) = open.keys().next().cloned()
        {
            open.remove(&other);
        }
        open.insert(user.clone(), maildir.clone());
        drop(open);
        act(&maildir)
    }
}

/// Where one copy cannot be staged, none is.
fn all_or_none(staged: Vec<Result<Staged, Error>>) -> Vec<Result<Staged, Error>> {
    match staged.iter().position(Result::is_err) {
        Some(failed) => staged.into_iter().skip(failed).take(1).collect(),
        None => staged,
    }
}

/// The committer's loop.
fn commit_jobs(mailboxes: &Mailboxes, jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        // Whoever waits for this batch is told of a local error, and the next batch has its chance.
        if catch_unwind(AssertUnwindSafe(|| commit_batch(mailboxes, first, jobs))).is_err() {
            tracing::error!("a bug struck while messages were being delivered; their senders will try again");
        }
    }
}

/// Commits a job together with those that wait behind it.
fn commit_batch(mailboxes: &Mailboxes, first: Job, jobs: &Receiver<Job>) {
    let (mut batch, mut waiting) = (Vec::new(), Vec::new());
    let mut next = Some(first);
    while let Some(Job { work, done, place }) = next {
        // Whoever stopped waiting has told the client to try again, and need not find the message twice.
        if !done.is_closed() {
            let (staged, together) = match work {
                Work::Whole { body, copies, together } => {
                    (mailboxes.stage(&body, &copies, together), together)
                }
                Work::Staged { copies, together } => (copies, together),
            };
            // In place of a staged copy stands its turn in the batch.
            let turns: Vec<Result<(), Error>> =
                staged.into_iter().map(|copy| copy.map(|copy| batch.push(copy))).collect();
            waiting.push((turns, together, done, place));
        }
        next = if batch.len() < BATCH { jobs.try_recv().ok() } else { None };
    }
    let mut committed = commit_all(batch).into_iter();
    for (turns, together, done, _place) in waiting {
        let outcome: Outcome = turns
            .into_iter()
            .filter_map(|turn| match turn {
                Ok(()) => committed.next(),
                Err(error) => Some(Err(error)),
            })
            .collect();
        // A session that is gone by this time is not told. Its message is delivered all the same: it lies in its Maildir, and
        // twice is better than never.
        let _ = done.send(if together { take_back_where_one_failed(outcome) } else { outcome });
    }
}

/// Where a copy could not be made durable, takes the others back: the client is told of one outcome for all, and will
/// send the message again.
fn take_back_where_one_failed(outcome: Outcome) -> Outcome {
    if outcome.iter().all(Result::is_ok) {
        return outcome;
    }
    let mut failed = None;
    for copy in outcome {
        match copy {
            Ok(delivered) => {
                let path = delivered.path();
                match delivered.take_back() {
                    Ok(true) => {}
                    Ok(false) => {
                        tracing::warn!(path = %path.display(), "a copy was gone before it was taken back");
                    }
                    Err(error) => tracing::warn!(%error, "a copy could not be taken back"),
                }
            }
            Err(error) => {
                failed.get_or_insert(Err(error));
            }
        }
    }
    failed.into_iter().collect()
}

#[cfg(test)]
mod tests;

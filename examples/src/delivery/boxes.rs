//! [`Boxes`]: the mboxes or MH folders of the users.
//!
//! A message that is whole is written to all inboxes, and only when it stands in all of them it is made durable and their
//! locks are given up; so where one outcome for all is asked for, a mailbox that is locked or full keeps the message out of
//! the others too. If a disk fails in the last step, files of MH are taken back; what stands in an mbox stays, and the
//! client sends it again: twice is better than never.
//!
//! Locks of an mbox are tried without waiting. A message that finds one held gives up all that it has, and begins again a
//! while later with that one, for a time that is told: it keeps nobody's mail waiting but its own. Only some wait for the
//! same mbox; others are refused at once, as are those that find it held soon after one has waited in vain.
//! Messages to the same mbox go one after the other without being kept apart by locks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use maildrop::store::{AnyStore, Folder, MboxStore, MhStore, Unquoting};
use maildrop::{
    DotLockOptions, Error, Faults, Filed, FromLine, LineEndings, MailRoot, MboxAppend, MboxOptions,
    MessageDelivery, UserName,
};
use smtp_proto::types::Refusal;

use super::requote::Requoter;
use super::spool::{Body, SpoolFile};
use super::store::{Copy, Message, Parts};
use super::turns::{Turn, Turns, Wait};
use super::{Kept, refusal, refused};

/// How many messages are written at the same time.
const WRITERS: usize = 8;
/// Between two looks at a lock file.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a lock is waited for once copies are durable that cannot be taken back.
const LATE: Duration = Duration::from_millis(500);

/// The inboxes of all users. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Boxes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    format: Format,
    root: PathBuf,
    turns: Turns,
    /// Whether messages are wanted after they were delivered.
    remembers: bool,
}

enum Format {
    Mbox {
        store: MboxStore,
        faults: Option<Arc<dyn Faults>>,
        /// How long a message waits for locks.
        patience: Duration,
    },
    Mh(MhStore),
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mbox { .. } => "Mbox",
            Self::Mh(_) => "Mh",
        })
    }
}

/// A copy that is written and can be taken back by dropping it.
enum Begun {
    Mbox(Box<MboxAppend>),
    Mh(MessageDelivery),
}

impl Begun {
    /// Makes it durable.
    fn commit(self) -> Result<Lying, Error> {
        Ok(match self {
            Self::Mbox(append) => Lying::Mbox(append.commit()?.path().to_owned()),
            Self::Mh(delivery) => Lying::Mh(delivery.commit()?),
        })
    }
}

/// A copy that is durable.
enum Lying {
    Mbox(PathBuf),
    Mh(Filed),
}

impl Lying {
    fn path(&self) -> &Path {
        match self {
            Self::Mbox(path) => path,
            Self::Mh(filed) => filed.path(),
        }
    }

    /// Takes it back, where the client is told that the message failed for all, and will send it again.
    fn take_back(self) {
        let path = self.path().to_owned();
        match self {
            // Others may have appended to it already.
            Self::Mbox(_) => tracing::warn!(path = %path.display(), "a copy in an mbox is not taken back"),
            Self::Mh(filed) => match filed.take_back() {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!(path = %path.display(), "a copy was gone before it was taken back")
                }
                Err(error) => tracing::warn!(%error, "a copy could not be taken back"),
            },
        }
    }
}

impl Boxes {
    /// Mboxes below `root`, whose locks are waited for that long.
    pub(crate) fn mbox(
        root: PathBuf,
        patience: Duration,
        faults: Option<Arc<dyn Faults>>,
        remembers: bool,
    ) -> Self {
        let store = MboxStore::new(MailRoot::new(&root)).with_options(options(patience));
        Self::new(root, Format::Mbox { store, faults, patience }, remembers)
    }

    /// MH folders below `root`.
    pub(crate) fn mh(root: PathBuf, faults: Option<Arc<dyn Faults>>, remembers: bool) -> Self {
        let store = MhStore::new(MailRoot::new(&root));
        let store = match faults {
            Some(faults) => store.with_faults(faults),
            None => store,
        };
        Self::new(root, Format::Mh(store), remembers)
    }

    fn new(root: PathBuf, format: Format, remembers: bool) -> Self {
        Self(Arc::new(Shared { format, root, turns: Turns::new(WRITERS), remembers }))
    }

    /// What reads the same mail, without faults.
    pub(crate) fn reading(&self) -> AnyStore {
        match &self.0.format {
            Format::Mbox { store, .. } => AnyStore::Mbox(store.clone()),
            Format::Mh(_) => AnyStore::Mh(MhStore::new(MailRoot::new(&self.0.root))),
        }
    }

    pub(super) fn is_mbox(&self) -> bool {
        matches!(self.0.format, Format::Mbox { .. })
    }

    /// Makes the folders that mail of a user needs. Blocks.
    pub(super) fn prepare(&self, user: &UserName) -> Result<(), Error> {
        match &self.0.format {
            Format::Mbox { store, .. } => store.mbox(user, &Folder::Inbox).map(drop),
            Format::Mh(store) => store.folder(user, &Folder::Inbox).map(drop),
        }
    }

    /// Begins to write a large message out, whose first copy is this user's. Blocks.
    pub(super) fn spool(&self, first: &UserName) -> Result<SpoolFile, Error> {
        self.prepare(first)?;
        SpoolFile::create(&self.0.root)
    }

    /// Delivers a message. There is a verdict for each copy, in order; what was delivered is safe.
    pub(super) async fn deliver(&self, message: Message, parts: Parts) -> Vec<Result<Kept, Refusal>> {
        let count = parts.copies.len();
        let whole = move || match message {
            Message::Whole(body) => Ok(Body::Memory(LineEndings::ToLf.apply(&body))),
            Message::Begun(begun, rest) => {
                let mut spool = begun.resume().into_spool();
                spool.append(&rest)?;
                spool.finish()
            }
        };
        self.write(whole, parts).await.unwrap_or_else(|| refused(count, &Refusal::LOCAL_ERROR))
    }

    /// Delivers a message that is whole already.
    pub(super) async fn deliver_body(&self, body: Vec<u8>, parts: Parts) -> Vec<Result<Kept, Refusal>> {
        let count = parts.copies.len();
        let written = self.write(|| Ok(Body::Memory(body)), parts).await;
        written.unwrap_or_else(|| refused(count, &Refusal::LOCAL_ERROR))
    }

    /// Writes where it may block. `None` says that it panicked, which only a bug can bring about.
    async fn write(
        &self,
        whole: impl FnOnce() -> Result<Body, Error> + Send + 'static,
        parts: Parts,
    ) -> Option<Vec<Result<Kept, Refusal>>> {
        let patience = match &self.0.format {
            Format::Mbox { patience, .. } => *patience,
            Format::Mh(_) => Duration::ZERO,
        };
        let until = Instant::now().checked_add(patience);
        let turn = self.turn(parts.copies.iter()).await?;
        let here = self.clone();
        let work = move || {
            // Held until the disk is done, even if nobody waits for it any more.
            let _turn = turn;
            let count = parts.copies.len();
            match whole().and_then(|body| Job::new(&here.0, body, parts)) {
                Ok(job) => job.attempt(&here.0),
                Err(error) => Attempt::Done(refused(count, &refusal(&error))),
            }
        };
        let mut attempt = tokio::task::spawn_blocking(work).await.ok()?;
        let mut waits: BTreeMap<UserName, Wait> = BTreeMap::new();
        loop {
            let mut job = match attempt {
                Attempt::Done(verdicts) => return Some(verdicts),
                Attempt::Held(job) => job,
            };
            let held = job.held_users();
            waits.retain(|user, _| held.contains(user));
            let is_late = until.is_some_and(|until| Instant::now() >= until);
            for user in held {
                if is_late {
                    waits.remove(&user).iter().for_each(|wait| wait.in_vain(patience));
                } else if !waits.contains_key(&user)
                    && let Some(wait) = self.0.turns.wait(&user)
                {
                    waits.insert(user, wait);
                }
            }
            job.waits_for(|user| waits.contains_key(user));
            let turn = match waits.is_empty() {
                true => None,
                false => {
                    tokio::time::sleep(PAUSE).await;
                    Some(self.turn(job.missing()).await?)
                }
            };
            let here = self.clone();
            let work = move || {
                let _turn = turn;
                job.attempt(&here.0)
            };
            attempt = tokio::task::spawn_blocking(work).await.ok()?;
        }
    }

    /// Waits until copies may be written.
    async fn turn(&self, copies: impl Iterator<Item = &Copy>) -> Option<Turn> {
        // In an MH folder there is nothing to wait for.
        self.0.turns.turn(copies.filter(|_| self.is_mbox()).map(|copy| &copy.user)).await
    }
}

/// A message that is whole, and what has become of its copies so far.
struct Job {
    body: Body,
    /// The message, where it is remembered.
    text: Option<Vec<u8>>,
    parts: Parts,
    /// For each copy that is done with where it lies.
    done: Vec<Option<Result<PathBuf, Error>>>,
    /// The copies whose mailboxes were found locked.
    held: Vec<(usize, Error)>,
}

/// How far a message came.
enum Attempt {
    Done(Vec<Result<Kept, Refusal>>),
    /// Other programs have locked mailboxes.
    Held(Box<Job>),
}

/// Why a message was written to none.
struct Failed {
    error: Error,
    /// The copy whose mailbox is locked, if that is all.
    held: Option<usize>,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, held: None }
    }
}

impl Job {
    fn new(shared: &Shared, body: Body, parts: Parts) -> Result<Box<Self>, Error> {
        let text = shared.remembers.then(|| body.read()).transpose()?;
        let done = parts.copies.iter().map(|_| None).collect();
        Ok(Box::new(Self { body, text, parts, done, held: Vec::new() }))
    }

    fn held_users(&self) -> BTreeSet<UserName> {
        self.held.iter().map(|&(copy, _)| self.parts.copies[copy].user.clone()).collect()
    }

    /// Gives up the copies for those that are locked and not waited for.
    fn waits_for(&mut self, waited: impl Fn(&UserName) -> bool) {
        for (copy, error) in std::mem::take(&mut self.held) {
            match waited(&self.parts.copies[copy].user) {
                true => self.held.push((copy, error)),
                false => self.done[copy] = Some(Err(error)),
            }
        }
    }

    /// The copies that are to be made yet.
    fn missing(&self) -> impl Iterator<Item = &Copy> {
        self.parts.copies.iter().zip(&self.done).filter(|(_, done)| done.is_none()).map(|(copy, _)| copy)
    }

    /// Makes the copies that are missing. Blocks, but not for locks.
    fn attempt(mut self: Box<Self>, shared: &Shared) -> Attempt {
        let count = self.parts.copies.len();
        let writing = Writing::new(shared, &self.body, &self.parts);
        if self.parts.together {
            if let Some(error) = self.done.iter().flatten().find_map(|done| done.as_ref().err()) {
                return Attempt::Done(refused(count, &refusal(error)));
            }
            match writing.all(&self.parts.copies, self.held.first().map(|&(copy, _)| copy)) {
                Ok(paths) => self.done = paths.into_iter().map(|path| Some(Ok(path))).collect(),
                Err(Failed { error, held: Some(copy) }) => {
                    self.held = vec![(copy, error)];
                    return Attempt::Held(self);
                }
                Err(Failed { error, held: None }) => {
                    return Attempt::Done(refused(count, &refusal(&error)));
                }
            }
        } else {
            self.held.clear();
            for (at, copy) in self.parts.copies.iter().enumerate() {
                if self.done[at].is_some() {
                    continue;
                }
                match writing.begin(copy, Duration::ZERO) {
                    Err(error @ Error::LockHeld { .. }) => self.held.push((at, error)),
                    begun => {
                        let committed = begun.and_then(Begun::commit);
                        self.done[at] = Some(committed.map(|lying| lying.path().to_owned()));
                    }
                }
            }
            if !self.held.is_empty() {
                return Attempt::Held(self);
            }
        }
        Attempt::Done(self.verdicts())
    }

    fn verdicts(self) -> Vec<Result<Kept, Refusal>> {
        let Self { text, parts, done, .. } = self;
        let kept = |(copy, path): (&Copy, Option<Result<PathBuf, Error>>)| {
            let path = path.ok_or(Refusal::LOCAL_ERROR)?.map_err(|error| refusal(&error))?;
            let message =
                text.as_ref().map(|text| [LineEndings::ToLf.apply(&copy.prefix).as_slice(), text].concat());
            Ok(Kept::Stored { path, message: message.map(Arc::from) })
        };
        parts.copies.iter().zip(done).map(kept).collect()
    }
}

/// A message being written to inboxes.
struct Writing<'a> {
    shared: &'a Shared,
    body: &'a Body,
    sender: &'a str,
    arrived: SystemTime,
}

impl<'a> Writing<'a> {
    fn new(shared: &'a Shared, body: &'a Body, parts: &'a Parts) -> Self {
        Self { shared, body, sender: &parts.sender, arrived: SystemTime::now() }
    }

    /// Makes all copies or none, as far as disks let that be done, and answers where they lie. The mailbox that was found
    /// locked before is the first to be tried: as long as it is, nothing is written to others.
    fn all(&self, copies: &[Copy], held: Option<usize>) -> Result<Vec<PathBuf>, Failed> {
        let mut order: Vec<usize> = (0..copies.len()).collect();
        let is_held = |user: &UserName| held.is_some_and(|held| copies[held].user == *user);
        order.sort_by_key(|&at| (!is_held(&copies[at].user), &copies[at].user));
        // An mbox takes one message at a time.
        let (first, further): (Vec<_>, Vec<_>) = (0..order.len())
            .partition(|&place| place == 0 || copies[order[place]].user != copies[order[place - 1]].user);
        let mut begun = Vec::with_capacity(first.len());
        for place in first {
            let copy = order[place];
            let locked = |error: &Error| matches!(error, Error::LockHeld { .. }).then_some(copy);
            let written = self.begin(&copies[copy], Duration::ZERO);
            begun.push((copy, written.map_err(|error| Failed { held: locked(&error), error })?));
        }
        let mut lying: Vec<(usize, Lying)> = Vec::with_capacity(copies.len());
        let further = further.into_iter().map(|place| (order[place], None));
        for (copy, begun) in begun.into_iter().map(|(copy, begun)| (copy, Some(begun))).chain(further) {
            let begun = begun.map_or_else(|| self.begin(&copies[copy], LATE), Ok);
            match begun.and_then(Begun::commit) {
                Ok(committed) => lying.push((copy, committed)),
                Err(error) => {
                    lying.into_iter().for_each(|(_, lying)| lying.take_back());
                    return Err(error.into());
                }
            }
        }
        lying.sort_unstable_by_key(|&(copy, _)| copy);
        Ok(lying.into_iter().map(|(_, lying)| lying.path().to_owned()).collect())
    }

    /// Writes a copy, which is not durable yet, and which an mbox is locked for. Its lock is waited for so long.
    fn begin(&self, copy: &Copy, patience: Duration) -> Result<Begun, Error> {
        let prefix = LineEndings::ToLf.apply(&copy.prefix);
        match &self.shared.format {
            Format::Mh(store) => {
                let mut delivery = store.folder(&copy.user, &Folder::Inbox)?.deliver()?;
                delivery.append(&prefix)?;
                self.body.each(|chunk| delivery.append(chunk))?;
                Ok(Begun::Mh(delivery))
            }
            Format::Mbox { store, faults, .. } => {
                let mut store = store.clone().with_options(options(patience));
                if let Some(faults) = faults {
                    store = store.with_faults(Arc::clone(faults));
                }
                // In Greenwich's time, as sessions read it: the zone of the machine changes with the season.
                let from_line = FromLine::new(self.sender.as_bytes(), self.arrived, 0);
                let mut append = Box::new(store.mbox(&copy.user, &Folder::Inbox)?.begin()?);
                append.append(from_line.as_bytes())?;
                let (mut requoter, mut last) = (Requoter::default(), b'\n');
                requoter.push(&prefix, |text| append.append(text))?;
                self.body.each(|chunk| {
                    last = chunk.last().copied().unwrap_or(last);
                    requoter.push(chunk, |text| append.append(text))
                })?;
                requoter.finish(|text| append.append(text))?;
                // The empty line that readers take for the end of a message, whatever lines it ends with itself.
                append.append(if last == b'\n' { b"\n" } else { b"\n\n" })?;
                append.write_out()?;
                Ok(Begun::Mbox(append))
            }
        }
    }
}

/// How an mbox is written and read: with a lock file and the kernel's lock, and `>` before `From ` in such a way that what was
/// sent is known again (mboxrd).
fn options(patience: Duration) -> MboxOptions {
    let retries = u32::try_from(patience.as_millis() / PAUSE.as_millis()).unwrap_or(u32::MAX);
    MboxOptions::new()
        .dot_lock(Some(DotLockOptions::new().tell_owner().sleep(PAUSE).suspend(PAUSE).retries(retries)))
        .kernel_lock(Some(patience))
        .files_only(true)
        .unquoting(Unquoting::Rd)
}

#[cfg(test)]
mod tests;

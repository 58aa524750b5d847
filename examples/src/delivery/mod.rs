//! The sink behind SMTP and LMTP: what becomes of a message that was taken.
//!
//! [`Sink`] is where messages go: to disk, memory or nowhere. [`Incoming`] is one message on its way there. Small
//! messages (up to 32 KiB) are handed over in one piece; larger ones are written out as they come, off the async threads and
//! only so many at a time. No message is ever whole in memory, but in the memory sink, for rules, and where it is remembered.

mod boxes;
mod filtered;
mod header;
mod maildirs;
mod requote;
mod rules;
mod spool;
mod store;
mod trace;
mod turns;
mod usage;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use maildrop::store::{Folder, MemoryStore};
use maildrop::{Delivered, Error, UserName};
use smtp_proto::types::Refusal;
use tokio::sync::Semaphore;

pub(crate) use boxes::Boxes;
pub(crate) use header::HeaderFilter;
use header::{HELD, Nowhere};
pub(crate) use maildirs::Maildirs;
pub(crate) use requote::Requoter;
pub use rules::RulesError;
pub(crate) use rules::{Rules, given};
pub(crate) use store::{Copy, MailStore};
use store::{Draft, Message, Parts};
pub(crate) use trace::{Origin, message_id, prefix};

use crate::filter::Destination;

/// Up to this many bytes of a message gather before they are written out.
const SPILL: usize = 32 * 1024;
/// How many messages are written out at the same time.
const WRITERS: usize = 8;
/// How many mailboxes are asked for room at the same time.
const READERS: usize = 8;

const LOCKED: Refusal =
    Refusal::from_static(451, (4, 2, 0), "another program has locked the mailbox, try again later");

/// Where messages go.
#[derive(Debug, Clone)]
pub(crate) enum Sink {
    /// To the users' inboxes on disk.
    Disk { store: MailStore, rules: Option<Rules>, writers: Arc<Semaphore>, readers: Arc<Semaphore> },
    /// To the memory of this process.
    Memory(MemoryStore),
    /// Nowhere; they are counted.
    Discard(Arc<Counter>),
}

/// What a [discarding](Sink::Discard) sink has seen.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Counter {
    /// Messages and bytes so far.
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.messages.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

/// Where a copy of a message came to lie.
#[derive(Debug)]
pub(crate) enum Kept {
    File(Delivered),
    /// In an mbox or an MH folder. With the message, where it is wanted: others come and go there.
    Stored {
        path: PathBuf,
        message: Option<Arc<[u8]>>,
    },
    /// Where the user's rc file sent it, which is nowhere if it dropped the message. With the message, where it is wanted.
    Filed {
        destinations: Vec<Destination>,
        message: Option<Arc<[u8]>>,
    },
    Memory(Arc<[u8]>),
    Nowhere,
}

/// Which way a copy goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Straight to the inbox.
    Inbox,
    /// Through the user's rc file.
    Rules,
}

impl Sink {
    pub(crate) fn disk(store: MailStore, rules: Option<Rules>) -> Self {
        Self::Disk {
            store,
            rules,
            writers: Arc::new(Semaphore::new(WRITERS)),
            readers: Arc::new(Semaphore::new(READERS)),
        }
    }

    /// Has rc files that are being obeyed give up what they wait for: their mail comes again.
    pub(crate) fn stop(&self) {
        if let Self::Disk { rules: Some(rules), .. } = self {
            rules.stop();
        }
    }

    /// Whether messages are kept at all.
    pub(crate) fn keeps(&self) -> bool {
        !matches!(self, Self::Discard(_))
    }

    /// Says which way the mail of a recipient goes. Refuses one whose mailbox is known to have no room for a message of that
    /// size.
    pub(crate) async fn admit(&self, user: &UserName, size: Option<u64>) -> Result<Way, Refusal> {
        let Self::Disk { store, rules, readers, .. } = self else { return Ok(Way::Inbox) };
        let Ok(permit) = Arc::clone(readers).acquire_owned().await else { return Err(Refusal::LOCAL_ERROR) };
        let (store, rules, user) = (store.clone(), rules.clone(), user.clone());
        let check = move || {
            // Held until the disk is done, even if nobody waits for it any more.
            let _permit = permit;
            if store.would_exceed(&user, size.unwrap_or(1))? {
                return Ok(None);
            }
            let ruled = rules.is_some_and(|rules| rules.are_there_for(&user));
            Ok(Some(if ruled { Way::Rules } else { Way::Inbox }))
        };
        match tokio::task::spawn_blocking(check).await {
            Ok(Ok(Some(way))) => Ok(way),
            Ok(Ok(None)) => Err(Refusal::MAILBOX_FULL),
            Ok(Err(error)) => Err(refusal(&error)),
            Err(_) => Err(Refusal::LOCAL_ERROR),
        }
    }
}

/// A message on its way to the sink.
#[derive(Debug)]
pub(crate) struct Incoming {
    sink: Sink,
    /// The reverse-path, empty for `<>`.
    sender: Box<str>,
    copies: Vec<Copy>,
    /// Whether all copies are to be delivered or none.
    together: bool,
    filter: HeaderFilter,
    /// What was not written out yet.
    body: Vec<u8>,
    spool: Spool,
    size: u64,
}

/// What was written out already.
enum Spool {
    Nothing,
    Begun(Begun),
    /// The disk would not have it. The rest of the message is dropped.
    Failed(Refusal),
}

/// A delivery between two writes. What is dropped then is removed from the disk off the async threads.
struct Begun(Option<Draft>);

impl Begun {
    fn resume(mut self) -> Draft {
        self.0.take().expect("it is taken here and when dropped, of which only one happens")
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(delivery) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn_blocking(move || drop(delivery));
        }
    }
}

impl core::fmt::Debug for Spool {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Begun(_) => "Begun",
            Self::Failed(_) => "Failed",
        })
    }
}

impl Incoming {
    pub(crate) fn new(sink: Sink, sender: &str, copies: Vec<Copy>, together: bool) -> Self {
        let for_mbox = matches!(&sink, Sink::Disk { store, .. } if store.is_mbox());
        Self {
            sink,
            sender: sender.into(),
            copies,
            together,
            filter: HeaderFilter::new(for_mbox),
            body: Vec::new(),
            spool: Spool::Nothing,
            size: 0,
        }
    }

    /// Takes the front of these bytes of the message and says how many. After each call, [`spill`](Self::spill) is to be
    /// called where the message [is due](Self::is_due) for it.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> usize {
        let room = match self.sink {
            Sink::Disk { .. } => SPILL.saturating_sub(self.body.len()).max(1),
            Sink::Memory(_) | Sink::Discard(_) => usize::MAX,
        };
        let bytes = &bytes[..bytes.len().min(room)];
        self.size += bytes.len() as u64;
        match (&self.sink, &self.spool) {
            (_, Spool::Failed(_)) => {}
            (Sink::Discard(_), _) => {
                if self.filter.is_in_header() {
                    self.filter.push(bytes, &mut Nowhere);
                }
            }
            (Sink::Memory(_), _) => self.filter.push(bytes, &mut self.body),
            (Sink::Disk { .. }, _) => {
                let wanted = self.body.len() + bytes.len() + HELD;
                if wanted > self.body.capacity() {
                    // Doubling, but not beyond what is ever needed.
                    let size = (self.body.capacity() * 2).min(SPILL + HELD).max(wanted);
                    self.body.reserve_exact(size - self.body.len());
                }
                self.filter.push(bytes, &mut self.body);
            }
        }
        bytes.len()
    }

    /// Whether enough has gathered to be written out.
    pub(crate) fn is_due(&self) -> bool {
        self.body.len() >= SPILL && matches!(self.sink, Sink::Disk { .. })
    }

    /// How many `Received` fields were there.
    pub(crate) fn received_fields(&self) -> u32 {
        self.filter.received_fields()
    }

    /// Bytes so far, as they came.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Writes out what has gathered.
    pub(crate) async fn spill(&mut self) {
        let Sink::Disk { store, writers, .. } = &self.sink else { return };
        let Some(first) = self.copies.first() else { return };
        // Held until the disk is done, even if nobody waits for it any more.
        let Ok(permit) = Arc::clone(writers).acquire_owned().await else { return };
        let (body, spool) =
            (std::mem::take(&mut self.body), std::mem::replace(&mut self.spool, Spool::Nothing));
        let (store, first) = (store.clone(), first.clone());
        let work = move || {
            let _permit = permit;
            let written = match spool {
                Spool::Nothing => store.begin(&first),
                Spool::Begun(begun) => Ok(begun.resume()),
                Spool::Failed(refusal) => return (body, Spool::Failed(refusal)),
            };
            let written = written.and_then(|mut delivery| delivery.append(&body).map(|()| delivery));
            let spool = match written {
                Ok(delivery) => Spool::Begun(Begun(Some(delivery))),
                Err(error) => Spool::Failed(refusal(&error)),
            };
            (body, spool)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok((mut body, spool)) => {
                body.clear();
                (self.body, self.spool) = (body, spool);
            }
            Err(_) => self.spool = Spool::Failed(Refusal::LOCAL_ERROR),
        }
    }

    /// Gives the message up: the rest of it is dropped, and the outcome will be this refusal.
    pub(crate) fn fail(&mut self, refusal: Refusal) {
        self.body.clear();
        self.spool = Spool::Failed(refusal);
    }

    /// The message is whole: delivers it. There is a verdict for each copy, in order; what was delivered is safe.
    pub(crate) async fn deliver(mut self) -> Vec<Result<Kept, Refusal>> {
        self.filter.finish(&mut self.body);
        let count = self.copies.len();
        match self.sink {
            Sink::Discard(counter) => {
                counter.messages.fetch_add(1, Ordering::Relaxed);
                counter.bytes.fetch_add(self.size, Ordering::Relaxed);
                (0..count).map(|_| Ok(Kept::Nowhere)).collect()
            }
            Sink::Memory(store) => {
                let (body, now) = (self.body, SystemTime::now());
                let keep = |copy: Copy| {
                    let message = [copy.prefix, body.clone()].concat();
                    store.deliver(&copy.user, &Folder::Inbox, &message, now);
                    Ok(Kept::Memory(message.into()))
                };
                self.copies.into_iter().map(keep).collect()
            }
            Sink::Disk { store, rules, writers, .. } => {
                let message = match self.spool {
                    Spool::Failed(refusal) => return refused(count, &refusal),
                    Spool::Nothing => Message::Whole(self.body),
                    Spool::Begun(begun) => Message::Begun(Box::new(begun), self.body),
                };
                let (sender, copies, together) = (self.sender, self.copies, self.together);
                let is_ruled = copies.iter().any(|copy| copy.way == Way::Rules);
                let parts = Parts { sender, copies, together };
                match rules.filter(|_| is_ruled) {
                    Some(rules) => filtered::deliver(store, rules, message, parts).await,
                    None => store.deliver(message, parts, writers).await,
                }
            }
        }
    }
}

fn refused(count: usize, refusal: &Refusal) -> Vec<Result<Kept, Refusal>> {
    (0..count).map(|_| Err(refusal.clone())).collect()
}

/// What the peer is told of an error on disk.
fn refusal(error: &Error) -> Refusal {
    tracing::error!(%error, "delivery failed");
    if matches!(error, Error::LockHeld { .. }) {
        LOCKED
    } else if error.is_over_quota() {
        Refusal::MAILBOX_FULL
    } else if error.is_storage_full() {
        Refusal::INSUFFICIENT_STORAGE
    } else {
        Refusal::LOCAL_ERROR
    }
}

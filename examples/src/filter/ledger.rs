//! What an evaluation and its copies may write, and where the mail went.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use procmail_engine::effect::{Deliver, Delivered, Effect, Exit, Note, Purpose, Ran, Run};

use super::NULL;
use super::program::NOT_FOUND;

/// Destinations that are remembered.
const MOST: usize = 1000;

/// How much an evaluation and its copies may write together. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// How often the mail may be filed, given to a program that delivers it, or forwarded. What would go beyond ends the
    /// evaluation, and the mail is to be tried again.
    pub copies: Option<usize>,
    /// Bytes of mail that folders take together. For what would go beyond, they answer that the quota is exceeded.
    pub bytes: Option<u64>,
    /// Bytes that log files take together. What goes beyond is not logged.
    pub log: Option<u64>,
}

/// Where a mail went.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Destination {
    /// A mailbox, or a file of its own.
    File {
        /// The file.
        path: PathBuf,
        /// How many bytes it took: none for a further name of the file before it.
        bytes: u64,
    },
    /// `/dev/null`.
    Nowhere,
    /// A program that was started for it.
    Program,
    /// Other addresses.
    Addresses,
}

impl Allowance {
    /// How many copies an effect makes.
    pub(crate) fn copies_of(effect: &Effect) -> usize {
        match effect {
            Effect::Deliver(deliver) if deliver.folders != [NULL] => deliver.folders.len(),
            Effect::Run(run) if matches!(run.purpose, Purpose::Delivery | Purpose::Forward) => 1,
            _ => 0,
        }
    }

    /// How many bytes of mail a delivery writes.
    pub(crate) fn bytes_of(deliver: &Deliver) -> u64 {
        if deliver.folders == [NULL] { 0 } else { deliver.content.raw().len() as u64 }
    }
}

/// Takes from what is left, if there is so much.
fn take<T: Copy + PartialOrd + std::ops::SubAssign>(left: &mut Option<T>, amount: T) -> bool {
    match left {
        Some(left) if *left < amount => return false,
        Some(left) => *left -= amount,
        None => {}
    }
    true
}

/// The account of an evaluation and its copies.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Account>);

#[derive(Debug, Default)]
struct Account {
    left: Allowance,
    exceeded: bool,
    destinations: Vec<Destination>,
}

impl Ledger {
    pub(super) fn new(allowance: Allowance) -> Ledger {
        Ledger(Mutex::new(Account { left: allowance, ..Account::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the effect makes no more copies than are left; takes them.
    pub(super) fn has_copies(&self, effect: &Effect) -> bool {
        let copies = Allowance::copies_of(effect);
        let mut account = self.lock();
        let allowed = copies == 0 || take(&mut account.left.copies, copies);
        account.exceeded |= !allowed;
        allowed
    }

    /// Takes bytes of mail.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        take(&mut self.lock().left.bytes, bytes)
    }

    /// Takes bytes of the log.
    pub(super) fn has_log(&self, bytes: usize) -> bool {
        take(&mut self.lock().left.log, bytes as u64)
    }

    /// Whether more copies were asked for than allowed.
    pub(super) fn is_exceeded(&self) -> bool {
        self.lock().exceeded
    }

    pub(super) fn destinations(&self) -> Vec<Destination> {
        self.lock().destinations.clone()
    }

    /// Notes what became of a delivery to folders, which had taken `bytes` of room.
    pub(super) fn delivered(&self, delivered: &Delivered, directory: &Path, bytes: u64) {
        let mut account = self.lock();
        let Some(size) = delivered.size else {
            account.left.bytes = account.left.bytes.map(|left| left.saturating_add(bytes));
            return;
        };
        for note in &delivered.notes {
            let (file, bytes) = match note {
                Note::Folder(file) if file == NULL => {
                    account.note(Destination::Nowhere);
                    continue;
                }
                Note::Folder(file) => (file, size),
                Note::Linking(file) => (file, 0),
                _ => continue,
            };
            account.note(Destination::File { path: directory.join(OsStr::from_bytes(file)), bytes });
        }
    }

    /// Notes what became of a program.
    pub(super) fn ran(&self, run: &Run, ran: &Ran) {
        // Nobody asks how a program ends that is not waited for.
        let fails = if run.wait { !ran.exit.is_success() } else { ran.exit == Exit::Code(NOT_FOUND) };
        let failed = fails || ran.timed_out || run.must_read_all && !ran.fed;
        if failed {
            return;
        }
        match run.purpose {
            Purpose::Delivery => self.lock().note(Destination::Program),
            Purpose::Forward => self.lock().note(Destination::Addresses),
            _ => {}
        }
    }
}

impl Account {
    fn note(&mut self, destination: Destination) {
        if self.destinations.len() < MOST {
            self.destinations.push(destination);
        }
    }
}

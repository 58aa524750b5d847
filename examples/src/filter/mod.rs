//! A host for the procmail engine: it does what an [`Evaluator`] asks for, with files, locks and programs.
//!
//! The program `procmail` is this and a command line; a mail server files the mail of its users with it. Nothing of it is
//! global: directory, umask and log belong to each [`Host`], so that many of them can work on threads of one process.
//!
//! ```
//! use mailwright::filter::{Host, Log, Programs, Stop};
//! use procmail_engine::eval::{Evaluator, Fate, Setup};
//! use procmail_engine::mail::Mail;
//!
//! let home = tempfile::tempdir()?;
//! std::fs::write(home.path().join("rc"), ":0:\n* ^Subject:.*cats\nMail/\n")?;
//! let directory = home.path().as_os_str().as_encoded_bytes();
//! let mut setup = Setup::new().variable("HOME", directory).variable("DEFAULT", "inbox");
//! setup.rc_files.push(b"rc".to_vec());
//!
//! let mut host = Host::new(home.path(), Stop::new()?).with_programs(Programs::Refuse).with_log(Log::Nowhere);
//! let finished = host.evaluate(Evaluator::new(setup, Mail::new(b"Subject: more cats\n\nmeow\n".to_vec())));
//! assert_eq!(finished.fate, Fate::Delivered);
//! assert_eq!(std::fs::read_dir(home.path().join("Mail/new"))?.count(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it promises
//!
//! - *No mail is lost*: [`Fate::Delivered`] is answered when the mail is on stable storage, or when a program that was
//!   waited for has taken it. All that fails is told to the evaluator, which goes on to the next folder and in the end
//!   answers that the mail is to be requeued or bounced.
//! - *Half of a mail is never seen* in Maildirs and MH folders, and taken back from mailboxes, also by the delivery that
//!   follows one that was killed.
//! - *It ends*: when [`Stop`] is asked for, whatever it waits for.
//!
//! # What it does not do
//!
//! It does not enter other users' rights: [`Effect::DropPrivileges`] and changes of user belong to the program. It makes no
//! process of its own for `c` on a block: the copy runs on a thread, and [`Host::wait`] waits for all of them.

mod copies;
mod files;
mod folder;
mod ledger;
mod lock;
mod log;
mod notify;
mod policy;
mod program;
mod stop;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use maildrop::{DotLock, HeldLock};
use procmail_engine::effect::{Delivered, Effect, LogText, Note, Outcome, ReadRc, Run};
use procmail_engine::eval::{Evaluator, Fate, Finished, Step};

pub use self::ledger::{Allowance, Destination};
pub use self::log::Log;
pub use self::policy::{Limits, Notices, Owners, Places, Programs};
pub use self::stop::Stop;

use self::copies::{Copies, Role};
use self::ledger::Ledger;
use self::log::Clock;
use self::program::LeftRunning;

/// Where mail goes to be dropped.
const NULL: &[u8] = policy::NULL_DEVICE.as_bytes();

/// Does what an evaluator asks for.
pub struct Host {
    directory: PathBuf,
    umask: u32,
    inherited_umask: Option<u32>,
    log: Log,
    clock: Clock,
    programs: Programs,
    notices: Notices,
    places: Places,
    is_served: bool,
    owners: Owners,
    output: Option<Output>,
    locks: BTreeMap<PathBuf, DotLock>,
    /// The lock that was tried last, if it was found to be another's.
    held: Option<HeldLock>,
    left: LeftRunning,
    stop: Stop,
    copies: Arc<Copies>,
    role: Role,
    refused: Option<Vec<u8>>,
    dropping: Option<Dropping>,
    reader: Option<Reader>,
    /// When the evaluation is to end.
    deadline: Option<Instant>,
    ledger: Arc<Ledger>,
}

/// Reads an rc file in the place of the host, which has this current directory.
type Reader = Arc<dyn Fn(&ReadRc, &Path) -> Outcome + Send + Sync>;

/// Where `|` without a program writes to.
type Output = Arc<Mutex<dyn Write + Send>>;
/// How the rights of others are given up; answers whether it worked.
type Dropping = Arc<dyn Fn() -> bool + Send + Sync>;

impl Host {
    /// A host whose relative paths start at `directory`. It runs programs, opens whatever the system lets it, logs to the
    /// standard error, and creates files for their owner only.
    pub fn new(directory: impl Into<PathBuf>, stop: Stop) -> Host {
        Host {
            directory: directory.into(),
            umask: 0o077,
            inherited_umask: None,
            log: Log::Errors,
            clock: Clock::default(),
            programs: Programs::Run(Limits::default()),
            notices: Notices::Anywhere,
            places: Places::Anywhere,
            is_served: false,
            owners: Owners::Anybody,
            output: None,
            locks: BTreeMap::new(),
            held: None,
            left: LeftRunning::default(),
            stop,
            copies: Arc::default(),
            role: Role::Original,
            refused: None,
            dropping: None,
            reader: None,
            deadline: None,
            ledger: Arc::default(),
        }
    }

    /// Whether programs run.
    #[must_use]
    pub fn with_programs(self, programs: Programs) -> Host {
        Host { programs, ..self }
    }

    /// Whom `COMSAT` may have told of mail.
    #[must_use]
    pub fn with_notices(self, notices: Notices) -> Host {
        Host { notices, ..self }
    }

    /// Which files may be used.
    #[must_use]
    pub fn with_places(self, places: Places) -> Host {
        Host { places, ..self }
    }

    /// MH folders are served to mail clients: messages in them get neither a From_ line nor an empty line at the end, which
    /// procmail gives them.
    #[must_use]
    pub fn with_served_folders(self) -> Host {
        Host { is_served: true, ..self }
    }

    /// Whose rc files are read.
    #[must_use]
    pub fn with_owners(self, owners: Owners) -> Host {
        Host { owners, ..self }
    }

    /// Where the log goes until `LOGFILE` says otherwise.
    #[must_use]
    pub fn with_log(self, log: Log) -> Host {
        Host { log, ..self }
    }

    /// Where `|` without a program writes to; otherwise it fails.
    #[must_use]
    pub fn with_output(self, output: Arc<Mutex<dyn Write + Send>>) -> Host {
        Host { output: Some(output), ..self }
    }

    /// Tells the umask of this process, with which programs start. Where `UMASK` differs from it, or it is not told,
    /// programs are started by a shell that changes it.
    #[must_use]
    pub fn with_inherited_umask(self, umask: u32) -> Host {
        Host { inherited_umask: Some(umask), ..self }
    }

    /// What is done for [`Effect::DropPrivileges`]. It answers whether it worked; if not, the evaluation ends and the mail is to
    /// be tried again.
    #[must_use]
    pub fn with_dropping(self, dropping: impl Fn() -> bool + Send + Sync + 'static) -> Host {
        Host { dropping: Some(Arc::new(dropping)), ..self }
    }

    /// Has rc files read by this in the place of the host: it is given the current directory, and answers
    /// [`Outcome::Read`], [`Outcome::Parsed`] or [`Outcome::Failed`]. Places and owners are for it to check.
    #[must_use]
    pub fn with_reader(self, reader: impl Fn(&ReadRc, &Path) -> Outcome + Send + Sync + 'static) -> Host {
        Host { reader: Some(Arc::new(reader)), ..self }
    }

    /// When the evaluation is to end, waiting for locks and programs included: the mail is to be tried again then. A single
    /// condition is not broken off; between them the clock is looked at if the evaluator
    /// [pauses](procmail_engine::eval::Setup::pauses).
    #[must_use]
    pub fn with_deadline(self, deadline: Instant) -> Host {
        Host { deadline: Some(deadline), ..self }
    }

    /// How much may be written.
    #[must_use]
    pub fn with_allowance(self, allowance: Allowance) -> Host {
        Host { ledger: Arc::new(Ledger::new(allowance)), ..self }
    }

    /// Evaluates to the end, or until [`Stop`] is asked for.
    pub fn evaluate(&mut self, mut evaluator: Evaluator) -> Finished {
        loop {
            if let Some(verbose) = self.stop.verbose() {
                evaluator.set_verbose(verbose);
            }
            let effect = match evaluator.step() {
                Step::Finished(finished) => {
                    self.locks.clear();
                    return finished;
                }
                Step::Effect(effect) => effect,
            };
            if let Some(fate) = self.interrupted().filter(|_| begins_work(&effect)) {
                evaluator.abandon(fate);
                continue;
            }
            if !self.ledger.has_copies(&effect) {
                evaluator.abandon(Fate::Requeued);
                continue;
            }
            if let Effect::Run(run) = &effect
                && self.programs == Programs::Refuse
            {
                self.refused = Some(run.command.text(b" ").trim_ascii().to_vec());
                evaluator.abandon(Fate::Requeued);
                continue;
            }
            if matches!(effect, Effect::DropPrivileges) && !self.drop_privileges() {
                self.complain("Insufficient privileges", b"");
                evaluator.abandon(Fate::Requeued);
                continue;
            }
            let needs_answer = effect.needs_answer();
            match self.perform(effect, &evaluator) {
                Some(outcome) => {
                    let awaited = matches!(&outcome, Outcome::Delivered(delivered)
                        if delivered.notes.contains(&Note::KernelLockAwaited));
                    evaluator.answer(outcome);
                    if awaited {
                        evaluator.abandon(self.interrupted().unwrap_or(Fate::Requeued));
                    }
                }
                None if needs_answer => evaluator.abandon(self.interrupted().unwrap_or(Fate::Requeued)),
                None => {}
            }
        }
    }

    /// Runs a program as the evaluation would, for who answers an evaluator of their own: [`Outcome::Ran`] or
    /// [`Outcome::NoResources`]. Nothing if it is refused, or was asked to stop.
    pub fn run(&mut self, run: &Run) -> Option<Outcome> {
        match self.programs.clone() {
            Programs::Run(limits) => {
                let limits = Limits { time: self.at_most(limits.time), ..limits };
                let ran = self.execute(run, &limits)?;
                ran.iter().for_each(|ran| self.ledger.ran(run, ran));
                Some(ran.map_or(Outcome::NoResources, Outcome::Ran))
            }
            Programs::Refuse => None,
        }
    }

    /// Goes on in another directory.
    pub fn enter(&mut self, directory: impl Into<PathBuf>) {
        self.directory = directory.into();
    }

    /// The command that [`Programs::Refuse`] kept from running, if that ended the evaluation.
    pub fn refused(&self) -> Option<&[u8]> {
        self.refused.as_deref()
    }

    /// Where the mail went, copies included, in order: the first thousand.
    pub fn destinations(&self) -> Vec<Destination> {
        self.ledger.destinations()
    }

    /// Whether an evaluation was ended since it made more copies than [allowed](Allowance::copies).
    pub fn is_exceeded(&self) -> bool {
        self.ledger.is_exceeded()
    }

    /// What becomes of the mail if the evaluation is to end, since a stop was asked for or there is no time left.
    fn interrupted(&self) -> Option<Fate> {
        let late = || (self.left() == Some(Duration::ZERO)).then_some(Fate::Requeued);
        self.stop.requested().or_else(late)
    }

    /// How much time is left, if it is limited.
    fn left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// The shorter of this and what is left.
    fn at_most(&self, time: Option<Duration>) -> Option<Duration> {
        match (time, self.left()) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// Does what is asked. No answer to what needs one means that it was broken off to stop.
    fn perform(&mut self, effect: Effect, evaluator: &Evaluator) -> Option<Outcome> {
        Some(match effect {
            Effect::Log(text) => {
                self.write_log(&text);
                return None;
            }
            Effect::ReadRc(rc) => match &self.reader {
                Some(reader) => reader(&rc, &self.directory),
                None => self.read_rc(&rc).map_or(Outcome::Failed, Outcome::Read),
            },
            Effect::ChangeDirectory(name) => match self.path(&name).filter(|path| is_entered(path)) {
                Some(path) => {
                    self.directory = path;
                    Outcome::Done
                }
                None => Outcome::Failed,
            },
            Effect::OpenLog(name) => match self.open_log(&name) {
                Some(file) => {
                    self.log = Log::File(Arc::new(file));
                    Outcome::Done
                }
                // It goes where it went.
                None => Outcome::Failed,
            },
            Effect::CloseLog => {
                self.log = Log::Nowhere;
                return None;
            }
            Effect::SetUmask(mask) => {
                self.umask = mask;
                return None;
            }
            Effect::Run(run) => self.run(&run)?,
            Effect::Deliver(deliver) => {
                let bytes = Allowance::bytes_of(&deliver);
                if !self.ledger.has_room(bytes) {
                    let folder = deliver.folders.into_iter().next().unwrap_or_default();
                    let notes = vec![Note::Folder(folder.clone()), Note::OverQuota(folder)];
                    return Some(Outcome::Delivered(Delivered { notes, size: None }));
                }
                let delivered = self.deliver(&deliver, self.at_most(evaluator.timeout()));
                self.ledger.delivered(&delivered, &self.directory, bytes);
                Outcome::Delivered(delivered)
            }
            Effect::Print(content) => {
                let bytes = content.with_end();
                let size = self.print(&bytes).then_some(bytes.len() as u64);
                Outcome::Delivered(Delivered { notes: vec![Note::Folder(b"|".to_vec())], size })
            }
            Effect::IsMailbox(folder) => match self.path(&folder).is_some_and(|path| path.is_dir()) {
                true => Outcome::Failed,
                false => Outcome::Done,
            },
            Effect::Lock(name) => self.lock(&name, evaluator.is_verbose()),
            Effect::Unlock(name) => {
                let lock = self.path(&name).and_then(|path| self.locks.remove(&path));
                // Another may have taken it away by force: there is nothing to be done about that here.
                drop(lock.map(DotLock::release));
                return None;
            }
            Effect::BreakLock(name) => {
                let path = self.path(&name);
                let held = self.held.take().filter(|held| path.as_deref() == Some(held.path()));
                match held.map(HeldLock::force) {
                    Some(Ok(_)) => Outcome::Done,
                    _ => Outcome::Failed,
                }
            }
            Effect::Sleep(time) => {
                let time = self.at_most(Some(time)).unwrap_or(time);
                self.sleep_beside(|| self.stop.sleep(time));
                if self.interrupted().is_some() {
                    return None;
                }
                Outcome::Done
            }
            Effect::Fork { copy, wait } => self.fork(copy, wait),
            Effect::Notify(notice) => {
                self.notify(&notice);
                return None;
            }
            effect => return effect.needs_answer().then_some(Outcome::Failed),
        })
    }

    /// Where a name leads, if it may be used.
    fn path(&self, name: &[u8]) -> Option<PathBuf> {
        let path = self.directory.join(OsStr::from_bytes(name));
        (!name.contains(&0) && self.places.allow(&path)).then_some(path)
    }

    fn write_log(&mut self, text: &LogText) {
        if matches!(self.log, Log::File(_)) && !self.ledger.has_log(text.text.len()) {
            return;
        }
        if let Some(stamp) = self.clock.stamp(text) {
            self.log.write(stamp.as_bytes());
        }
        self.log.write(&text.text);
    }

    /// A message of the host's own.
    fn complain(&self, what: &str, about: &[u8]) {
        let about = if about.is_empty() { Vec::new() } else { [b" \"", about, b"\""].concat() };
        self.log.write(&[b"procmail: ", what.as_bytes(), &about, b"\n"].concat());
    }

    fn print(&self, bytes: &[u8]) -> bool {
        let Some(output) = &self.output else { return false };
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        output.write_all(bytes).and_then(|()| output.flush()).is_ok()
    }

    /// A host for a copy: the same but for its locks.
    fn beside(&self, role: Role) -> Host {
        Host {
            directory: self.directory.clone(),
            umask: self.umask,
            inherited_umask: self.inherited_umask,
            log: self.log.clone(),
            clock: self.clock.clone(),
            programs: self.programs.clone(),
            notices: self.notices,
            places: self.places.clone(),
            is_served: self.is_served,
            owners: self.owners.clone(),
            output: self.output.clone(),
            locks: BTreeMap::new(),
            held: None,
            left: LeftRunning::default(),
            stop: self.stop.clone(),
            copies: Arc::clone(&self.copies),
            role,
            refused: None,
            dropping: self.dropping.clone(),
            reader: self.reader.clone(),
            deadline: self.deadline,
            ledger: Arc::clone(&self.ledger),
        }
    }
}

/// Whether an effect is one that a host that was told to stop does not begin.
fn begins_work(effect: &Effect) -> bool {
    match effect {
        Effect::Run(run) => run.purpose != procmail_engine::effect::Purpose::Trap,
        Effect::ReadRc(_)
        | Effect::Deliver(_)
        | Effect::Print(_)
        | Effect::Lock(_)
        | Effect::BreakLock(_)
        | Effect::Sleep(_)
        | Effect::Fork { .. }
        | Effect::Pause => true,
        _ => false,
    }
}

fn is_entered(path: &Path) -> bool {
    path.is_dir() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests;

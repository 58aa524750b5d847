//! The evaluator: a machine that yields effects and is told their outcomes.
//!
//! Call [`Evaluator::step`] until it gives [`Step::Finished`]; after each effect that
//! [needs an answer](crate::effect::Effect::needs_answer), call [`Evaluator::answer`] first. The evaluator holds no
//! clock, file or process: what it knows is the mail, the variables and what the host tells.
//!
//! It can be cloned at any time, which is how `c` on a block is done.

mod action;
mod assign;
mod command;
mod condition;
mod expand;
mod files;
mod finish;
mod head;
mod lock;
mod recipe;
mod score;
mod setup;
mod skip;
mod trace;
mod variables;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use action::Act;
use command::RunCommand;
use condition::Conditions;
pub(crate) use condition::searched_variable;
use expand::Expand;
use finish::Finish;
use lock::TakeLock;
pub(crate) use score::Weight;
use variables::{Numbers, Variables};

pub(crate) use head::Head;
pub use setup::{Setup, SystemRc};
pub use trace::{
    ChainFlag, Chained, Found, MailPlace, Opened, Reached, Subject, Test, Tested, Trace, Verdict,
};

use crate::effect::{Command, Effect, LogText, Outcome, Ran};
use crate::mail::{Area, Mail};
use crate::shown::Text;
use crate::syntax::Rc;

/// How an evaluation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Finished {
    /// What procmail would exit with.
    pub code: i32,
    /// What became of the mail.
    pub fate: Fate,
}

/// What became of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fate {
    /// It is delivered.
    Delivered,
    /// It could not be delivered, and is to be returned to its sender.
    Bounced,
    /// It could not be delivered, and is to be tried again.
    Requeued,
    /// It could not be delivered, after `DELIVERED` promised that it was.
    Lost,
    /// A `HOST` that did not match ended the last rc file: the rc file wants it dropped.
    Dropped,
}

/// What [`Evaluator::step`] gives.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// The host is to do this.
    Effect(Effect),
    /// There is no more to do.
    Finished(Finished),
}

/// An evaluation of rc files for one mail.
#[derive(Clone)]
pub struct Evaluator {
    setup: Arc<Setup>,
    mail: Arc<Mail>,
    variables: Variables,
    numbers: Numbers,
    arguments: Vec<Vec<u8>>,
    files: Vec<File>,
    next_rc: usize,
    in_rc: bool,
    missing_told: bool,
    default_set: bool,
    directory_set: bool,
    /// The system's rc file is being evaluated, or is not there: what `PATH` was before.
    in_system_rc: Option<Option<Vec<u8>>>,
    dropped: bool,
    chain: Chain,
    status: i32,
    score: i64,
    /// How much was written last for an action or a condition. It is what the log shows for a mail that goes nowhere.
    written: u64,
    /// Continued fields of the header are joined, as conditions want them. It shows when `HOST` ends the rc files then.
    header_joined: bool,
    /// Whether the last filter or capture that was waited for failed.
    filter_failed: bool,
    lock_file: Option<Vec<u8>>,
    local_lock: Option<Vec<u8>>,
    logging: bool,
    tasks: Vec<Task>,
    value: Value,
    outcome: Option<Outcome>,
    queue: VecDeque<Effect>,
    waiting: bool,
    /// The host was given a pause before the task at hand.
    paused: bool,
    finished: Option<Finished>,
    /// How many items may still be evaluated, by all copies together.
    budget: Budget,
    /// Which of the words expanded last stands for all arguments. It is empty until it is replaced by them, and so it is
    /// shown in `LASTFOLDER`.
    arguments_at: Option<usize>,
    /// How the command is shown, if not as it is run.
    shown: Option<Vec<u8>>,
    /// Where in which file the mail was delivered last, if it was to a file.
    place: Option<(u64, Vec<u8>)>,
}

impl fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<_> = self.files.iter().map(|file| Text(&file.path)).collect();
        f.debug_struct("Evaluator")
            .field("mail", &self.mail)
            .field("files", &files)
            .field("waiting", &self.waiting)
            .field("finished", &self.finished)
            .finish_non_exhaustive()
    }
}

/// How many items may still be evaluated. A clone counts on its own, from what is left.
#[derive(Debug)]
struct Budget(Arc<AtomicU32>);

impl Budget {
    fn new(items: u32) -> Self {
        Self(Arc::new(AtomicU32::new(items)))
    }

    fn share(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Clone for Budget {
    fn clone(&self) -> Self {
        Self::new(self.0.load(Ordering::Relaxed))
    }
}

/// An rc file that is being read.
#[derive(Debug, Clone)]
struct File {
    path: Vec<u8>,
    rc: Arc<Rc>,
    at: usize,
    /// The flags to return to at the end of each open block.
    blocks: Vec<Chain>,
}

/// What the flags `A a E e` go by.
#[derive(Debug, Clone, Copy, Default)]
struct Chain {
    /// The last recipe without `A` and `a` matched.
    last: bool,
    /// The preceding recipe, or the chain of `E` it ends, matched.
    previous: bool,
    /// The last action succeeded. Blocks do not save it.
    succeeded: bool,
}

/// What is to be gone on with.
#[derive(Debug, Clone)]
enum Task {
    CommandLine(usize),
    NextRc,
    OpenSystemRc(SystemRc),
    OpenRc(Vec<u8>),
    Items,
    Assign(Vec<u8>),
    Expand(Expand),
    Command(RunCommand),
    Include { path: Vec<u8>, switch: bool },
    ChangeDirectory(Vec<u8>),
    OpenLog(Vec<u8>),
    LockFile(Vec<u8>),
    Head(usize),
    Conditions(Box<Conditions>),
    Act(Box<Act>),
    Lock(TakeLock),
    Finish(Finish),
}

/// What the task that ended last gave.
#[derive(Debug, Clone, Default)]
enum Value {
    #[default]
    Nothing,
    Words(Vec<Vec<u8>>),
    Output(Vec<u8>),
    Ran(Ran, Command),
    /// The system had no room for the program.
    NotStarted(Command),
    Locked(bool),
    Overflow,
}

/// How many rc files may be open at once, one including the other; as many as procmail has descriptors for.
const MAX_NESTING: usize = 1000;
/// How many items a copy counts for.
const COPY_COST: u32 = 1000;

impl Evaluator {
    /// Starts an evaluation.
    pub fn new(mut setup: Setup, mail: Mail) -> Self {
        let mut variables = Variables::default();
        let mut numbers = Numbers::default();
        for (name, value) in std::mem::take(&mut setup.inherited) {
            variables.count_as(&name, None);
            variables.inherit(name, value);
        }
        for (name, value) in std::mem::take(&mut setup.hidden) {
            variables.count_as(&name, Some(value));
        }
        for (name, value) in std::mem::take(&mut setup.environment) {
            numbers.assigned(&name, &value);
            variables.put(name, value);
        }
        let budget = Budget::new(setup.most_items);
        Self {
            arguments: std::mem::take(&mut setup.arguments),
            mail: Arc::new(counted(&setup, mail)),
            variables,
            numbers,
            files: Vec::new(),
            next_rc: 0,
            in_rc: false,
            missing_told: setup.rc_files_are_presets,
            default_set: setup.falls_back,
            directory_set: false,
            in_system_rc: None,
            dropped: false,
            chain: Chain::default(),
            status: 0,
            score: 0,
            written: 0,
            header_joined: false,
            filter_failed: false,
            lock_file: None,
            local_lock: None,
            logging: false,
            tasks: vec![Task::CommandLine(0)],
            value: Value::Nothing,
            outcome: None,
            queue: VecDeque::new(),
            waiting: false,
            paused: false,
            finished: None,
            budget,
            arguments_at: None,
            shown: None,
            setup: Arc::new(setup),
            place: None,
        }
    }

    /// Gives an area of the mail what a filter has made of it.
    fn replace(&mut self, area: Area, replacement: &[u8]) {
        self.mail = Arc::new(counted(&self.setup, self.mail.with(area, replacement)));
    }

    /// The mail as it is at this point; filters change it.
    pub fn mail(&self) -> &Mail {
        &self.mail
    }

    /// The value of a variable.
    pub fn variable(&self, name: &[u8]) -> Option<&[u8]> {
        self.variables.get(name)
    }

    /// Whether it is in verbose mode.
    pub fn is_verbose(&self) -> bool {
        self.numbers.verbose
    }

    /// How long programs and locks of the kernel's are waited for, as `TIMEOUT` has it; nothing for as long as it takes.
    pub fn timeout(&self) -> Option<Duration> {
        (self.numbers.timeout > 0).then(|| Duration::from_secs(self.numbers.timeout))
    }

    /// Turns verbose mode on or off, as `VERBOSE` does.
    pub fn set_verbose(&mut self, verbose: bool) {
        self.numbers.verbose = verbose;
    }

    /// Goes on to the next effect. Called while an answer is due, it takes [`Outcome::Failed`] for it.
    pub fn step(&mut self) -> Step {
        loop {
            if let Some(effect) = self.queue.pop_front() {
                self.waiting = effect.needs_answer();
                return Step::Effect(effect);
            }
            if self.waiting {
                self.answer(Outcome::Failed);
            }
            if let Some(finished) = self.finished {
                return Step::Finished(finished);
            }
            if self.setup.pauses && self.pauses() {
                return Step::Effect(Effect::Pause);
            }
            let task = self.tasks.pop().unwrap_or(Task::Finish(Finish::Default));
            self.advance(task);
        }
    }

    /// Whether the host gets a pause before the task at hand: one that begins with an item or a condition, and only once.
    #[cold]
    fn pauses(&mut self) -> bool {
        let begins = matches!(self.tasks.last(), Some(Task::Items | Task::Conditions(_)));
        self.paused = begins && !self.paused;
        self.paused
    }

    /// Tells the outcome of the effect that [`Evaluator::step`] gave last.
    /// One for an effect that needs none is not looked at.
    pub fn answer(&mut self, outcome: Outcome) {
        if std::mem::take(&mut self.waiting) {
            self.outcome = Some(outcome);
        }
    }

    fn advance(&mut self, task: Task) {
        match task {
            Task::CommandLine(at) => self.command_line(at),
            Task::NextRc => self.next_rc(),
            Task::OpenSystemRc(rc) => self.open_system_rc(rc),
            Task::OpenRc(path) => self.open_rc(path),
            Task::Items => self.items(),
            Task::Assign(name) => match std::mem::take(&mut self.value) {
                Value::Words(words) => self.assign(name, words.into_iter().next().unwrap_or_default()),
                _ => self.value = Value::Nothing,
            },
            Task::Expand(expand) => self.expand(expand),
            Task::Command(run) => self.command(run),
            Task::Include { path, switch } => self.include(path, switch),
            Task::ChangeDirectory(path) => {
                if !self.done() {
                    self.complain_of("Couldn't chdir to", &path);
                    self.assign_quietly(b"MAILDIR", b".");
                }
            }
            Task::OpenLog(path) => {
                if !self.done() {
                    self.complain_of("Error while writing to", &path);
                }
            }
            Task::LockFile(path) => match std::mem::take(&mut self.value) {
                Value::Locked(true) => self.lock_file = Some(path),
                _ => {
                    self.tell_of("Assigning", b"LOCKFILE");
                    self.remove_variable(b"LOCKFILE");
                }
            },
            Task::Head(item) => self.head(item),
            Task::Conditions(conditions) => self.conditions(*conditions),
            Task::Act(act) => self.act(act),
            Task::Lock(lock) => self.take_lock(lock),
            Task::Finish(finish) => self.finish(finish),
        }
    }

    fn done(&mut self) -> bool {
        self.outcome.take() == Some(Outcome::Done)
    }

    /// Whether so many items may still be evaluated; takes them.
    fn spend(&self, items: u32) -> bool {
        self.budget
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(items))
            .is_ok()
    }

    /// Puts the arguments where a word stands for them.
    fn with_arguments(&mut self, words: &mut Vec<Vec<u8>>, at: Option<usize>) {
        if let Some(at) = at.filter(|&at| at < words.len()) {
            self.shown = Some(words.join(&b' '));
            words.splice(at..=at, self.arguments.iter().cloned());
        }
    }

    fn set_variable(&mut self, name: &[u8], value: &[u8]) {
        self.variables.set(name, value);
        self.trace(|_| Trace::Variable { name: name.to_vec(), value: Some(value.to_vec()) });
    }

    fn remove_variable(&mut self, name: &[u8]) {
        self.variables.remove(name);
        self.trace(|_| Trace::Variable { name: name.to_vec(), value: None });
    }

    fn emit(&mut self, effect: Effect) {
        self.queue.push_back(effect);
    }

    fn trace(&mut self, trace: impl FnOnce(&Self) -> Trace) {
        if self.setup.traces {
            let trace = trace(self);
            self.emit(Effect::Trace(Box::new(trace)));
        }
    }

    /// A message of verbose mode.
    fn tell(&mut self, text: &[u8]) {
        if self.numbers.verbose {
            self.message(text);
        }
    }

    fn tell_of(&mut self, what: &str, about: &[u8]) {
        if self.numbers.verbose {
            self.complain_of(what, about);
        }
    }

    fn complain(&mut self, text: &str) {
        self.message(text.as_bytes());
    }

    fn complain_bytes(&mut self, text: &[u8]) {
        self.message(text);
    }

    fn complain_of(&mut self, what: &str, about: &[u8]) {
        self.message(&[what.as_bytes(), b" \"", about, b"\""].concat());
    }

    fn message(&mut self, text: &[u8]) {
        let text = [b"procmail: ", text, b"\n"].concat();
        self.emit(Effect::Log(LogText { text, stamped: self.numbers.verbose }));
    }
}

/// Whatever is read is counted, if lengths are obeyed.
fn counted(setup: &Setup, mail: Mail) -> Mail {
    if setup.obeys_content_length { mail.with_true_length() } else { mail }
}

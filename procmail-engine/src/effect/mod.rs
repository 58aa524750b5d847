//! What an evaluator asks of its host, and what the host answers.
//!
//! | effect | answers | if there is none, or another |
//! |---|---|---|
//! | [`Log`](Effect::Log), [`CloseLog`](Effect::CloseLog), [`SetUmask`](Effect::SetUmask), [`Unlock`](Effect::Unlock), [`DropPrivileges`](Effect::DropPrivileges), [`Acknowledge`](Effect::Acknowledge), [`Notify`](Effect::Notify), [`Trace`](Effect::Trace) | none is awaited | |
//! | [`ReadRc`](Effect::ReadRc) | [`Read`](Outcome::Read): its text; [`Parsed`](Outcome::Parsed): it was parsed before; [`Failed`](Outcome::Failed) | the file could not be read |
//! | [`ChangeDirectory`](Effect::ChangeDirectory) | [`Done`](Outcome::Done), [`Failed`](Outcome::Failed) | the directory stays, and `MAILDIR` becomes `.` |
//! | [`OpenLog`](Effect::OpenLog) | [`Done`](Outcome::Done), [`Failed`](Outcome::Failed) | told in the log, which is the one it was |
//! | [`Run`](Effect::Run) | [`Ran`](Outcome::Ran) | the program took no input and exited with 71 |
//! | [`Deliver`](Effect::Deliver), [`Print`](Effect::Print) | [`Delivered`](Outcome::Delivered), without a size if it failed | it failed, and there is nothing to tell of it |
//! | [`IsMailbox`](Effect::IsMailbox) | [`Done`](Outcome::Done): yes; [`Failed`](Outcome::Failed): no | it is a directory, and is not locked |
//! | [`Lock`](Effect::Lock) | [`Done`](Outcome::Done): it is made; [`Held`](Outcome::Held): another's, to be waited for or broken; [`NoPlace`](Outcome::NoPlace): to be tried a few times; [`Failed`](Outcome::Failed): given up | given up: what was to be done under it is done without |
//! | [`BreakLock`](Effect::BreakLock), [`Sleep`](Effect::Sleep) | [`Done`](Outcome::Done), [`Failed`](Outcome::Failed): all the same | the lock is tried once more |
//! | [`Fork`](Effect::Fork) | with `wait` [`Ran`](Outcome::Ran): how the copy ended; without it [`Done`](Outcome::Done); [`Failed`](Outcome::Failed) | there is no copy, and the recipe has failed |
//!
//! [`Effect::needs_answer`] tells those of the first row from the others. A host that goes on without answering another is
//! taken to have said [`Outcome::Failed`].

mod shown;

use std::sync::Arc;
use std::time::Duration;

use crate::eval::{Evaluator, Trace};
use crate::mail::Content;
use crate::syntax::Rc;

/// A request to the host.
#[derive(Clone)]
#[non_exhaustive]
pub enum Effect {
    /// Append to the log. No answer.
    Log(LogText),
    /// Read an rc file. Answer: [`Outcome::Read`], [`Outcome::Parsed`] or [`Outcome::Failed`].
    ReadRc(ReadRc),
    /// Change the directory to which all relative paths refer. Answer: [`Outcome::Done`] or [`Outcome::Failed`].
    ChangeDirectory(Vec<u8>),
    /// Log to this file from here on. Answer: [`Outcome::Done`], or [`Outcome::Failed`], after which the log goes where it
    /// went before.
    OpenLog(Vec<u8>),
    /// Log nothing from here on. No answer.
    CloseLog,
    /// Create files with this mask. No answer.
    SetUmask(u32),
    /// Run a program. Answer: [`Outcome::Ran`] or [`Outcome::NoResources`].
    Run(Box<Run>),
    /// Write the mail to one folder, and link it into the others. Answer: [`Outcome::Delivered`].
    Deliver(Box<Deliver>),
    /// Write the mail to the standard output. Answer: [`Outcome::Delivered`].
    Print(Box<Content>),
    /// Say whether a folder without a slash at its end is a mailbox, or would become one: many mails in one file, which is
    /// to be locked. Answer: [`Outcome::Done`], or [`Outcome::Failed`] if it is a directory.
    IsMailbox(Vec<u8>),
    /// Try once to make a lock file. Answer: [`Outcome::Done`], [`Outcome::Held`] or [`Outcome::NoPlace`].
    Lock(Vec<u8>),
    /// Remove a lock file that this evaluator made. No answer.
    Unlock(Vec<u8>),
    /// Remove a lock file that another left behind. Answer: [`Outcome::Done`] or [`Outcome::Failed`].
    BreakLock(Vec<u8>),
    /// Wait. Answer: [`Outcome::Done`].
    Sleep(Duration),
    /// Go on with a copy of this evaluator beside it, in its own directory, umask and log. Answer when `wait` is set: the
    /// [`Outcome::Ran`] of the copy; else [`Outcome::Done`]. If there can be no copy, [`Outcome::Failed`]: this evaluator then
    /// does the work of the copy.
    Fork {
        /// The copy.
        copy: Box<Evaluator>,
        /// Whether the answer is how it ended.
        wait: bool,
    },
    /// Go on with the rights of the recipient only (`DROPPRIVS`). No answer.
    DropPrivileges,
    /// Tell who handed over the mail that it is delivered, whatever comes. No answer.
    Acknowledge,
    /// Send a datagram that tells of the mail. No answer.
    Notify(Notice),
    /// Take note of the way, if you care. Comes only with [`Setup::traces`](crate::eval::Setup::traces). No answer.
    Trace(Box<Trace>),
    /// Nothing is to be done: the evaluator is about to begin with an item or a condition, and the host may
    /// [abandon](crate::eval::Evaluator::abandon) it if that takes too long. Comes only with
    /// [`Setup::pauses`](crate::eval::Setup::pauses). No answer.
    Pause,
}

impl Effect {
    /// Whether the evaluator waits for an answer.
    pub fn needs_answer(&self) -> bool {
        !matches!(
            self,
            Self::Log(_)
                | Self::CloseLog
                | Self::SetUmask(_)
                | Self::Unlock(_)
                | Self::DropPrivileges
                | Self::Acknowledge
                | Self::Notify(_)
                | Self::Trace(_)
                | Self::Pause
        )
    }
}

/// What `COMSAT` has a service told.
#[derive(Clone, PartialEq, Eq)]
pub struct Notice {
    /// The name or the number of the service, `biff` unless the variable says otherwise.
    pub service: Vec<u8>,
    /// The host on which it runs.
    pub host: Vec<u8>,
    /// What it is told: the user, where the mail starts in the file, and the file, as `user@offset:file`.
    pub message: Vec<u8>,
}

/// A text for the log.
#[derive(Clone, PartialEq, Eq)]
pub struct LogText {
    /// What to append, line ends included.
    pub text: Vec<u8>,
    /// Whether procmail writes its process number and the time before it, if the second has changed: in verbose mode.
    pub stamped: bool,
}

/// An rc file to read.
#[derive(Clone, PartialEq, Eq)]
pub struct ReadRc {
    /// Its path, relative to the current directory unless it starts with a slash.
    pub path: Vec<u8>,
    /// Whether it is one of the files that the user or the program named, which are to be checked for their owner.
    pub first: bool,
}

/// What to run.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// A command line for a shell.
    Shell {
        /// The shell, with which the command runs as `shell flags line`.
        shell: Vec<u8>,
        /// Its flags.
        flags: Vec<u8>,
        /// The command line.
        line: Vec<u8>,
    },
    /// A program with its arguments, the first of which names it. If it cannot be executed, procmail has `/bin/sh` read it.
    Program(Vec<Vec<u8>>),
}

impl Command {
    /// What procmail calls it in messages: the line, or the name of the program.
    pub fn name(&self) -> &[u8] {
        match self {
            Self::Shell { line, .. } => line,
            Self::Program(arguments) => arguments.first().map_or(b"", Vec::as_slice),
        }
    }

    /// All of it: the line, or the arguments with `separator` between them.
    pub fn text(&self, separator: &[u8]) -> Vec<u8> {
        match self {
            Self::Shell { line, .. } => line.clone(),
            Self::Program(arguments) => arguments.join(separator),
        }
    }
}

/// What happens to the standard output of a program. Its standard error goes to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// It is thrown away.
    Discard,
    /// It goes to the log.
    Log,
    /// It comes with the answer, cut off after so many bytes, if there is a limit.
    Capture(Option<usize>),
}

/// A program to run.
#[derive(Clone, PartialEq, Eq)]
pub struct Run {
    /// What to run.
    pub command: Command,
    /// What it reads.
    pub input: Arc<[u8]>,
    /// What becomes of its output.
    pub output: Output,
    /// Whether to wait for its end; otherwise only until it has taken its input and, if captured, given its output.
    pub wait: bool,
    /// Whether it has failed if it does not take all of its input: not with the `i` flag.
    pub must_read_all: bool,
    /// After which time to end it; none if it may run forever.
    pub timeout: Option<Duration>,
    /// Its environment.
    pub environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// What it is run for.
    pub purpose: Purpose,
}

/// What a program is run for, so that a host can refuse some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// A `?` condition.
    Condition,
    /// Backquotes.
    Substitution,
    /// An action that delivers.
    Delivery,
    /// An action that forwards.
    Forward,
    /// A filter.
    Filter,
    /// `VAR=|`.
    Capture,
    /// `TRAP`.
    Trap,
}

/// A mail to write to folders.
#[derive(Clone, PartialEq, Eq)]
pub struct Deliver {
    /// The folders. A folder that ends in `/` is a Maildir, one that ends in `/.` an MH folder, one that is a directory
    /// gets a file; any other is a mailbox.
    pub folders: Vec<Vec<u8>>,
    /// What to write.
    pub content: Content,
    /// What the names of files in plain directories start with.
    pub message_prefix: Vec<u8>,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Nobody waited.
    Unknown,
}

impl Exit {
    /// Whether it ended well, or nobody knows.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Code(0) | Self::Unknown)
    }

    /// As procmail writes it: signals are negative.
    pub fn number(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => -signal,
            Self::Unknown => 0,
        }
    }
}

/// What became of a program.
#[derive(Clone, PartialEq, Eq)]
pub struct Ran {
    /// How it ended.
    pub exit: Exit,
    /// Its output, if it was captured.
    pub output: Vec<u8>,
    /// Whether output was cut off.
    pub cut_off: bool,
    /// Whether it took all of its input.
    pub fed: bool,
    /// Whether it was ended for its time.
    pub timed_out: bool,
}

impl Ran {
    /// Took all input, wrote nothing, ended so.
    pub fn ended(exit: Exit) -> Self {
        Self { exit, output: Vec::new(), cut_off: false, fed: true, timed_out: false }
    }
}

/// What happened in a delivery, in order.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// This name could not be taken for a directory.
    NotDirectory(Vec<u8>),
    /// This folder was left out.
    Skipped(Vec<u8>),
    /// The mail goes to this file, or was to.
    Folder(Vec<u8>),
    /// The file is opened.
    Opening(Vec<u8>),
    /// The file is locked by the system.
    KernelLock,
    /// The file is linked to this one.
    Linking(Vec<u8>),
    /// Writing to this file failed.
    WriteError(Vec<u8>),
    /// This file, by which a mail comes into a directory, could not be made.
    NoFile(Vec<u8>),
    /// There was no room for all of the mail in this file.
    NoSpace(Vec<u8>),
    /// Nobody may write more than is in this file to the disk as this user.
    OverQuota(Vec<u8>),
    /// A mail of so many bytes was begun to be written.
    Begun(u64),
    /// The lock of the system was being waited for when the host was told to stop. It answers so, and then
    /// [abandons](crate::eval::Evaluator::abandon) the evaluation.
    KernelLockAwaited,
    /// The mail starts at this byte of the file, where the host began to write it; 0 if that is not told.
    Start(u64),
    /// The file got its former size back.
    Truncated,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// What happened.
    pub notes: Vec<Note>,
    /// How many bytes were written; none if it failed.
    pub size: Option<u64>,
}

/// An answer of the host. One that does not fit its effect counts as [`Outcome::Failed`].
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is done.
    Done,
    /// It could not be done.
    Failed,
    /// The contents of an rc file.
    Read(Vec<u8>),
    /// An rc file that the host has parsed before.
    Parsed(Arc<Rc>),
    /// A program has run.
    Ran(Ran),
    /// The system has no room for another process. It is tried again, `NORESRETRY` times.
    NoResources,
    /// A delivery was tried.
    Delivered(Delivered),
    /// Another holds the lock, and made it so long ago.
    Held(Option<Duration>),
    /// A lock cannot be made there, since this file could not be written.
    NoPlace(Vec<u8>),
}

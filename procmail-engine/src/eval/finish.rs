//! The end: delivery to `DEFAULT` and `ORGMAIL`, the abstract in the log, `TRAP`, the exit code.

use super::action::Writing;
use super::command::RunCommand;
use super::lock::TakeLock;
use super::variables::number;
use super::{Evaluator, Fate, Finished, Task, Value};
use crate::effect::{Command, Deliver, Effect, LogText, Note, Notice, Outcome, Purpose};
use crate::mail::{Area, Mail};

const CANNOT_CREATE: i32 = 73;
const TRY_AGAIN: i32 = 75;

/// A step towards the end.
#[derive(Debug, Clone)]
pub(super) enum Finish {
    /// No recipe delivered the mail.
    Default,
    /// It is known whether `DEFAULT`, which has this lock, is a mailbox.
    DefaultKnown(Vec<u8>),
    /// The lock of `DEFAULT` is there, or cannot be had.
    DefaultLocked(Vec<u8>),
    /// It was written to `DEFAULT`.
    DefaultTried,
    /// It was written to `ORGMAIL`.
    OriginalTried,
    /// It is delivered: the size.
    Delivered(u64),
    /// A host did not match.
    Dropped,
    /// The trap has run.
    Trapped(Finished),
}

/// Whether a last folder stands for the standard output, as where procmail is used as a filter.
fn prints(folder: &[u8]) -> bool {
    folder.starts_with(b"|")
}

/// Whether a folder is written as a Maildir or an MH folder: each mail is a file of its own there, so that no lock is needed.
fn is_directory(folder: &[u8]) -> bool {
    folder.ends_with(b"/") || folder.ends_with(b"/.")
}

impl Evaluator {
    pub(super) fn finish(&mut self, finish: Finish) {
        match finish {
            Finish::Default => {
                self.header_joined = false;
                self.files.clear();
                if !self.default_set {
                    self.fail();
                    return;
                }
                let folder = self.variables.value("DEFAULT").to_vec();
                if folder.is_empty() {
                    self.original();
                    return;
                }
                let lock = [folder.as_slice(), self.variables.value("LOCKEXT")].concat();
                let unlocked = folder == b"/dev/null" || prints(&folder) || is_directory(&folder);
                if unlocked || self.lock_file.as_ref() == Some(&lock) {
                    self.deliver_to(folder, Finish::DefaultTried);
                } else {
                    self.tasks.push(Task::Finish(Finish::DefaultKnown(lock)));
                    self.emit(Effect::IsMailbox(folder));
                }
            }
            Finish::DefaultKnown(lock) => {
                if self.done() {
                    self.release_local_lock();
                    self.tasks.push(Task::Finish(Finish::DefaultLocked(lock.clone())));
                    self.tasks.push(Task::Lock(TakeLock::new(lock)));
                } else {
                    let folder = self.variables.value("DEFAULT").to_vec();
                    self.deliver_to(folder, Finish::DefaultTried);
                }
            }
            Finish::DefaultLocked(lock) => {
                if matches!(std::mem::take(&mut self.value), Value::Locked(true)) {
                    self.local_lock = Some(lock);
                }
                let folder = self.variables.value("DEFAULT").to_vec();
                self.deliver_to(folder, Finish::DefaultTried);
            }
            Finish::DefaultTried => match self.delivered_as("DEFAULT") {
                Some(size) => self.delivered(size),
                None => self.original(),
            },
            Finish::OriginalTried => match self.delivered_as("ORGMAIL") {
                Some(size) => self.delivered(size),
                None => self.fail(),
            },
            Finish::Delivered(size) => self.delivered(size),
            Finish::Dropped => {
                self.release_local_lock();
                // It is told of the copy that was delivered last, if there is one.
                if !self.variables.value("LASTFOLDER").is_empty() {
                    self.place = None;
                    self.notify();
                }
                self.log_abstract(self.written);
                self.trap(Finished { code: 0, fate: Fate::Dropped });
            }
            Finish::Trapped(finished) => {
                let code = match std::mem::take(&mut self.value) {
                    Value::Ran(ran, _) => ran.exit.number(),
                    _ => finished.code,
                };
                let empty = self.variables.setting("EXITCODE").is_some_and(<[u8]>::is_empty);
                self.end(if empty { Finished { code, ..finished } } else { finished });
            }
        }
    }

    fn original(&mut self) {
        let folder = self.variables.value("ORGMAIL").to_vec();
        if folder.is_empty() {
            self.fail();
        } else {
            self.deliver_to(folder, Finish::OriginalTried);
        }
    }

    /// What a mail was delivered to, if it was. All of a value that prints it is its folder.
    fn delivered_as(&mut self, variable: &str) -> Option<u64> {
        let folder = self.variables.value(variable);
        if prints(folder)
            && let Some(Outcome::Delivered(delivered)) = &mut self.outcome
        {
            for note in &mut delivered.notes {
                if let Note::Folder(name) = note {
                    folder.clone_into(name);
                }
            }
        }
        self.delivered_to()
    }

    fn deliver_to(&mut self, folder: Vec<u8>, then: Finish) {
        let content = self.content(Area::Whole, Writing::Repaired);
        if prints(&folder) {
            self.tasks.push(Task::Finish(then));
            self.emit(Effect::Print(Box::new(content)));
            return;
        }
        let message_prefix = self.variables.value("MSGPREFIX").to_vec();
        self.tasks.push(Task::Finish(then));
        self.emit(Effect::Deliver(Box::new(Deliver { folders: vec![folder], content, message_prefix })));
    }

    fn delivered(&mut self, size: u64) {
        self.release_local_lock();
        self.files.clear();
        self.tasks.clear();
        self.notify();
        self.log_abstract(size);
        self.trap(Finished { code: 0, fate: Fate::Delivered });
    }

    /// Ends the evaluation before its time, since the host was told to stop or will not do what it is asked: locks are given
    /// up and the log tells of it, as procmail's does of a signal, but `TRAP` does not run. What is left to do comes from [`Evaluator::step`] as ever. A mail
    /// whose delivery was promised by `DELIVERED` is [`Fate::Lost`].
    pub fn abandon(&mut self, fate: Fate) {
        if self.finished.is_some() {
            return;
        }
        self.waiting = false;
        self.queue.clear();
        let mut text = b"Terminating prematurely".to_vec();
        let mut shown = Shown { from_line: true, subject: false };
        match (self.tasks.last(), &self.outcome) {
            (_, Some(Outcome::Delivered(delivered))) => {
                if delivered.notes.contains(&Note::KernelLockAwaited) {
                    text.extend_from_slice(b" whilst waiting for a kernel-lock");
                }
                self.delivered_to();
            }
            (Some(Task::Lock(lock)), _) => {
                if let Some(path) = lock.awaited() {
                    text.extend_from_slice(b" whilst waiting for lockfile \"");
                    text.extend_from_slice(path);
                    text.push(b'"');
                }
            }
            (Some(Task::Command(run)), _) if run.is_suspended() => {
                text.extend_from_slice(b" whilst waiting for fork");
            }
            (Some(Task::Command(run)), _) if run.filters() => {
                shown.from_line = false;
                self.complain("Rescue of unfiltered data succeeded");
            }
            _ => {}
        }
        self.complain_bytes(&text);
        let fate = if self.numbers.delivered { Fate::Lost } else { fate };
        let (code, told): (_, &[u8]) = match fate {
            Fate::Requeued => (TRY_AGAIN, b"**Requeued**"),
            Fate::Bounced => (CANNOT_CREATE, b"**Bounced**"),
            Fate::Lost | Fate::Delivered | Fate::Dropped => (0, b"**Lost**"),
        };
        self.variables.set(b"LASTFOLDER", told);
        self.log_abstract_of(self.written, shown);
        self.files.clear();
        self.release_local_lock();
        self.end(Finished { code, fate });
    }

    fn notify(&mut self) {
        let Some((service, host)) = comsat(self.variables.setting("COMSAT").unwrap_or_default()) else {
            return;
        };
        let (start, folder) = match self.place.take() {
            Some((start, folder)) => (start.to_string(), folder),
            None => (String::new(), self.variables.value("LASTFOLDER").to_vec()),
        };
        let mut message = self.variables.value("LOGNAME").to_vec();
        message.extend_from_slice(format!("@{start}:").as_bytes());
        if !folder.starts_with(b"/") {
            message.extend_from_slice(self.variables.value("MAILDIR"));
            message.push(b'/');
        }
        message.extend_from_slice(&folder);
        self.tell_of("Notified comsat:", &message);
        self.emit(Effect::Notify(Notice { service, host, message }));
    }

    fn fail(&mut self) {
        self.release_local_lock();
        let (fate, code, told): (_, _, &[u8]) = if self.numbers.delivered {
            (Fate::Lost, 0, b"**Lost**")
        } else if self.setup.requeues {
            (Fate::Requeued, TRY_AGAIN, b"**Requeued**")
        } else {
            (Fate::Bounced, CANNOT_CREATE, b"**Bounced**")
        };
        self.set_variable(b"LASTFOLDER", told);
        self.log_abstract(self.written);
        self.trap(Finished { code, fate });
    }

    fn trap(&mut self, finished: Finished) {
        let exit = self.variables.setting("EXITCODE").map(|value| number(value, -2));
        let code = match exit {
            Some(code) if code >= 0 => i32::try_from(code).unwrap_or(i32::MAX) & 0xff,
            _ => finished.code,
        };
        let finished = Finished { code, ..finished };
        let trap = self.variables.value("TRAP").to_vec();
        if trap.is_empty() {
            self.end(finished);
            return;
        }
        if self.variables.setting("EXITCODE").is_none() {
            self.assign_quietly(b"EXITCODE", code.to_string().as_bytes());
        }
        self.tasks.push(Task::Finish(Finish::Trapped(finished)));
        let run = RunCommand::new(trap, Purpose::Trap);
        self.tasks.push(Task::Command(run));
    }

    fn end(&mut self, finished: Finished) {
        self.release_lock_file();
        self.tasks.clear();
        self.finished = Some(finished);
    }

    /// Writes the abstract, if it is wanted.
    pub(super) fn log_abstract(&mut self, size: u64) {
        self.log_abstract_of(size, Shown { from_line: true, subject: true });
    }

    fn log_abstract_of(&mut self, size: u64, shown: Shown) {
        let wanted = self.numbers.log_abstract > 0
            || (self.numbers.log_abstract != 0 && (self.logging || self.numbers.verbose));
        if !wanted {
            return;
        }
        let joined = self.header_joined.then(|| Mail::new(self.mail.searched(Area::Whole).into_owned()));
        let mail = joined.as_ref().unwrap_or(&self.mail);
        let text = log_abstract(mail, shown, self.variables.value("LASTFOLDER"), size);
        self.emit(Effect::Log(LogText { text, stamped: false }));
    }

    /// Whether every copy gets an abstract.
    pub(super) fn logs_copies(&self) -> bool {
        self.numbers.log_abstract > 1
    }

    /// Runs a command whose words are known already.
    pub(super) fn run_words(&mut self, words: Vec<Vec<u8>>, run: RunCommand) {
        self.start_command(run, Command::Program(words));
    }
}

/// Service and host as `COMSAT` has them; nothing if none is to be told.
pub(super) fn comsat(value: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let Some(at) = memchr::memchr(b'@', value) else {
        return (number(value, 1) != 0).then(|| (b"biff".to_vec(), b"localhost".to_vec()));
    };
    let (service, host) = (&value[..at], &value[at + 1..]);
    let service = if service.is_empty() { b"biff" } else { service };
    let known = matches!(service, b"biff" | b"comsat") || service.iter().all(u8::is_ascii_digit);
    known.then(|| (service.to_vec(), if host.is_empty() { b"localhost".to_vec() } else { host.to_vec() }))
}

/// Which lines of the mail an abstract shows.
#[derive(Clone, Copy)]
struct Shown {
    from_line: bool,
    subject: bool,
}

/// The lines that `LOGABSTRACT` gives: sender, subject, folder and size.
fn log_abstract(mail: &Mail, shown: Shown, folder: &[u8], size: u64) -> Vec<u8> {
    const WIDTH: usize = 79;
    const SIZE_COLUMN: usize = 72;
    const LONGEST_FOLDER: usize = 60;
    let mut out = Vec::new();
    let plain = |bytes: &[u8]| -> Vec<u8> {
        bytes.iter().map(|&byte| if matches!(byte, b'\t'..=b'\r') { b' ' } else { byte }).collect()
    };
    if let Some(line) = mail.from_line().filter(|_| shown.from_line) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    if let Some(subject) = mail.field_line(b"Subject").filter(|_| shown.subject) {
        let line = [b" ", plain(subject).as_slice()].concat();
        out.extend_from_slice(&line[..line.len().min(WIDTH)]);
        out.push(b'\n');
    }
    let mut line = b"  Folder: ".to_vec();
    line.extend(plain(folder).into_iter().take(LONGEST_FOLDER));
    out.extend_from_slice(&line);
    let mut column = line.len();
    while column < SIZE_COLUMN {
        out.push(b'\t');
        column = (column / 8 + 1) * 8;
    }
    out.extend_from_slice(format!("{size:>7}\n").as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comsat_names_a_service_and_a_host_or_says_no() {
        let named = |service: &str, host: &str| Some((service.as_bytes().to_vec(), host.as_bytes().to_vec()));
        for (value, expected) in [
            ("yes", named("biff", "localhost")),
            ("", named("biff", "localhost")),
            ("@", named("biff", "localhost")),
            ("biff@mx", named("biff", "mx")),
            ("512@192.0.2.1", named("512", "192.0.2.1")),
            ("no", None),
            ("false", None),
            ("0", None),
            ("nosuch@mx", None),
        ] {
            assert_eq!(comsat(value.as_bytes()), expected, "{value}");
        }
    }
}

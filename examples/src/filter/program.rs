//! Programs: started as procmail starts them, fed and read at the same time, ended when their time is up.

use std::ffi::{OsStr, OsString};
use std::io::{self, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use procmail_engine::effect::{Command, Exit, Output, Purpose, Ran, Run};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::Access;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, waitid};

use super::Host;
use super::policy::Limits;
use super::stop::{self, Stop};

/// Bytes that are read from a program at once.
const CHUNK: usize = 64 * 1024;
/// How often a program is looked at where the system cannot tell of its end.
const GLANCE: Duration = Duration::from_millis(5);
/// The code of a program that could not be executed.
pub(super) const NOT_FOUND: i32 = 127;
/// The code of a program of whose end nothing is known.
const UNKNOWN: i32 = 71;
/// What reads a program that cannot be executed.
const SHELL: &str = "/bin/sh";

/// Programs that nobody waited for.
#[derive(Default)]
pub(super) struct LeftRunning(Vec<Left>);

struct Left {
    child: Child,
    /// When its time is up.
    deadline: Option<Instant>,
    limits: Limits,
}

impl LeftRunning {
    fn add(&mut self, child: Child, limits: &Limits) {
        self.0.retain_mut(|left| !left.has_ended());
        let deadline = limits.time.map(stop::after);
        self.0.push(Left { child, deadline, limits: limits.clone() });
    }
}

impl Drop for LeftRunning {
    /// Has them waited for.
    fn drop(&mut self) {
        self.0.retain_mut(|left| !left.has_ended());
        let left = std::mem::take(&mut self.0);
        if !left.is_empty() {
            // Without a thread they stay zombies until this process ends.
            drop(thread::Builder::new().spawn(move || left.into_iter().for_each(Left::wait)));
        }
    }
}

impl Left {
    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end, so that the system can forget it.
    fn wait(mut self) {
        let Some(deadline) = self.deadline else {
            drop(self.child.wait());
            return;
        };
        let ended = end_of(&self.child);
        if !self.ends_until(deadline, ended.as_ref()) {
            signal(&self.child, &self.limits, Signal::TERM);
            if !self.ends_until(stop::after(self.limits.grace), ended.as_ref()) {
                signal(&self.child, &self.limits, Signal::KILL);
                drop(self.child.wait());
            }
        }
    }

    fn ends_until(&mut self, until: Instant, ended: Option<&OwnedFd>) -> bool {
        while !self.has_ended() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            match ended {
                Some(ended) => drop(stop::wait(&mut [PollFd::new(ended, PollFlags::IN)], Some(left))),
                None => thread::sleep(GLANCE.min(left)),
            }
        }
        true
    }
}

impl Host {
    /// Runs a program; nothing if it was asked to stop meanwhile.
    pub(super) fn execute(&mut self, run: &Run, limits: &Limits) -> Option<Result<Ran, NoResources>> {
        let started = self.start(run, limits, false).or_else(|error| match error.kind() {
            io::ErrorKind::ArgumentListTooLong => Err(error),
            _ if has_no_room(&error) => Err(error),
            _ => self.start(run, limits, true),
        });
        let started = match started {
            Ok(started) => started,
            Err(error) if has_no_room(&error) => return Some(Err(NoResources)),
            Err(_) => {
                self.complain("Failed to execute", run.command.name());
                return Some(Ok(Ran { fed: false, ..Ran::ended(Exit::Code(NOT_FOUND)) }));
            }
        };
        let mut session = Session::new(run, limits, started);
        let ran = session.attend(&self.stop);
        match session.exit {
            Some(_) => drop(session.child.wait()),
            None => self.left.add(session.child, limits),
        }
        ran.map(Ok)
    }

    /// Starts a program, or a shell that reads it. As much input as goes in is in the pipe before: a program that ends without
    /// having read a small mail has not refused it.
    fn start(&self, run: &Run, limits: &Limits, script: bool) -> io::Result<Started> {
        let mut words: Vec<OsString> = match &run.command {
            Command::Shell { shell, flags, line } => vec![word(shell), word(flags), word(line)],
            Command::Program(words) => words.iter().map(|text| word(text)).collect(),
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        if script {
            words.insert(0, SHELL.into());
        }
        if self.inherited_umask != Some(self.umask) {
            if !script && !self.finds(&words, run) {
                return Err(io::ErrorKind::NotFound.into());
            }
            // The mask belongs to the whole process, so it is another one that changes it.
            let change = format!("umask {:o} && exec \"$@\"", self.umask);
            words.splice(0..0, [SHELL, "-c", &change, "sh"].map(OsString::from));
        }
        let (stdin, mut input) = io::pipe()?;
        rustix::io::ioctl_fionbio(&input, true)?;
        let given = input.write(&run.input).unwrap_or(0);
        let mut process = Process::new(words.first().map_or(OsStr::new(""), OsString::as_os_str));
        process.args(words.iter().skip(1)).current_dir(&self.directory).env_clear();
        process.envs(run.environment.iter().map(|(name, value)| (word(name), word(value))));
        process.stdin(stdin).stderr(self.log.sink());
        if limits.as_group {
            process.process_group(0);
        }
        if let Some((user, group)) = limits.user {
            process.uid(user).gid(group);
        }
        let output = match run.output {
            Output::Capture(_) => {
                let (read, write) = io::pipe()?;
                rustix::io::ioctl_fionbio(&read, true)?;
                process.stdout(write);
                Some(OwnedFd::from(read))
            }
            Output::Log => {
                process.stdout(self.log.output());
                None
            }
            _ => {
                process.stdout(Stdio::null());
                None
            }
        };
        let child = match process.spawn() {
            // The folder of a mail system's user is not for the user as whom programs run.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && limits.user.is_some() => {
                process.current_dir("/").spawn()?
            }
            spawned => spawned?,
        };
        Ok(Started { child, input, given, output })
    }

    /// Whether the first word names a program that can be executed.
    fn finds(&self, words: &[OsString], run: &Run) -> bool {
        let Some(name) = words.first().filter(|name| !name.is_empty()) else { return false };
        let executes = |file: &Path| {
            let file = self.directory.join(file);
            file.is_file() && rustix::fs::access(&file, Access::EXEC_OK).is_ok()
        };
        if name.as_bytes().contains(&b'/') {
            return executes(Path::new(name));
        }
        let places = run.environment.iter().find(|(variable, _)| variable == b"PATH");
        let places = places.map_or(b"".as_slice(), |(_, value)| value);
        places
            .split(|&byte| byte == b':')
            .any(|place| executes(&Path::new(OsStr::from_bytes(place)).join(name)))
    }
}

/// The system has no room for another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoResources;

/// Whether that is why a program could not be started.
fn has_no_room(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::AGAIN | Errno::NOMEM))
}

/// Text for the system, which ends at a NUL.
fn word(text: &[u8]) -> OsString {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    OsStr::from_bytes(&text[..end]).to_owned()
}

fn pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

fn signal(child: &Child, limits: &Limits, signal: Signal) {
    // A child that has not been waited for keeps its number.
    if let Some(pid) = pid(child) {
        let _ = match limits.as_group {
            true => rustix::process::kill_process_group(pid, signal),
            false => rustix::process::kill_process(pid, signal),
        };
    }
}

/// What becomes readable when the child ends.
fn end_of(child: &Child) -> Option<OwnedFd> {
    rustix::process::pidfd_open(pid(child)?, PidfdFlags::empty()).ok()
}

/// A program that was started, and what of its input was written.
struct Started {
    child: Child,
    input: PipeWriter,
    given: usize,
    output: Option<OwnedFd>,
}

/// A program while it is attended to.
struct Session<'a> {
    run: &'a Run,
    limits: &'a Limits,
    child: Child,
    /// Readable when it has ended.
    ended: Option<OwnedFd>,
    exit: Option<Exit>,
    input: Option<PipeWriter>,
    given: usize,
    fed: bool,
    output: Option<OwnedFd>,
    taken: Vec<u8>,
    cut_off: bool,
    /// When it gets the next signal.
    deadline: Option<Instant>,
    timed_out: bool,
}

impl<'a> Session<'a> {
    fn new(run: &'a Run, limits: &'a Limits, started: Started) -> Session<'a> {
        let time = match (run.timeout, limits.time) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Session {
            run,
            limits,
            ended: end_of(&started.child),
            child: started.child,
            exit: None,
            input: Some(started.input),
            given: started.given,
            fed: true,
            output: started.output,
            taken: Vec::new(),
            cut_off: false,
            deadline: time.map(stop::after),
            timed_out: false,
        }
    }

    fn attend(&mut self, stop: &Stop) -> Option<Ran> {
        while !self.is_done() {
            if self.heeds_stop() && stop.requested().is_some() {
                signal(&self.child, self.limits, Signal::TERM);
                return None;
            }
            self.give();
            self.take();
            self.look();
            if self.is_done() {
                break;
            }
            self.sleep(stop);
            if stop.alarm() || self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.end();
            }
        }
        Some(Ran {
            exit: self.exit.unwrap_or(Exit::Unknown),
            output: std::mem::take(&mut self.taken),
            cut_off: self.cut_off,
            fed: self.fed,
            timed_out: self.timed_out,
        })
    }

    /// What runs at the end, when the mail is delivered, is not broken off.
    fn heeds_stop(&self) -> bool {
        self.run.purpose != Purpose::Trap
    }

    /// A program that was ended is done when it is gone; what holds its pipes open does not count.
    fn is_done(&self) -> bool {
        if self.timed_out {
            return self.exit.is_some();
        }
        self.input.is_none() && self.output.is_none() && (!self.run.wait || self.exit.is_some())
    }

    fn give(&mut self) {
        while let Some(pipe) = &mut self.input {
            let rest = &self.run.input[self.given..];
            if rest.is_empty() {
                self.input = None;
                return;
            }
            match pipe.write(rest) {
                Ok(count) => self.given += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.fed = false;
                    self.input = None;
                }
            }
        }
    }

    fn take(&mut self) {
        let Some(pipe) = self.output.take() else { return };
        let mut pipe = std::fs::File::from(pipe);
        let mut chunk = vec![0; CHUNK];
        loop {
            match pipe.read(&mut chunk) {
                Ok(0) => return,
                Ok(count) => self.keep(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
            if self.timed_out {
                break;
            }
        }
        self.output = Some(pipe.into());
    }

    fn keep(&mut self, bytes: &[u8]) {
        let most = match self.run.output {
            Output::Capture(Some(most)) => most,
            _ => self.limits.output,
        };
        let room = most.saturating_sub(self.taken.len()).min(bytes.len());
        self.taken.extend_from_slice(&bytes[..room]);
        if room == bytes.len() {
            return;
        }
        self.cut_off = true;
        if self.run.output == Output::Capture(None) && !self.timed_out {
            // Half of what a filter writes is no mail.
            self.taken = Vec::new();
            self.end();
        }
    }

    fn look(&mut self) {
        if self.exit.is_some() {
            return;
        }
        // It keeps its number until all is done, so that no signal can go to another.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let found = pid(&self.child).ok_or(Errno::CHILD).and_then(|pid| waitid(WaitId::Pid(pid), options));
        self.exit = match found {
            Ok(None) | Err(Errno::INTR) => None,
            Ok(Some(status)) => Some(match status.exit_status() {
                Some(code) => Exit::Code(code),
                None => Exit::Signal(status.terminating_signal().unwrap_or(0)),
            }),
            // Whoever started this process ignores the ends of children: nobody knows how it went.
            Err(_) => Some(Exit::Code(UNKNOWN)),
        };
    }

    /// Waits until there is something to do.
    fn sleep(&self, stop: &Stop) {
        let mut fds = Vec::with_capacity(4);
        if self.heeds_stop() {
            fds.push(PollFd::from_borrowed_fd(stop.fd(), PollFlags::IN));
        }
        if let Some(pipe) = &self.input {
            fds.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::OUT));
        }
        if let Some(pipe) = &self.output {
            fds.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN));
        }
        let mut most = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if self.exit.is_none() {
            match &self.ended {
                Some(ended) => fds.push(PollFd::from_borrowed_fd(ended.as_fd(), PollFlags::IN)),
                None => most = Some(most.map_or(GLANCE, |most| most.min(GLANCE))),
            }
        }
        if stop::wait(&mut fds, most).is_err() {
            thread::sleep(GLANCE);
        }
    }

    /// Its time is up: first it is asked to end, then it is made to.
    fn end(&mut self) {
        if std::mem::replace(&mut self.timed_out, true) {
            self.signal(Signal::KILL);
            self.deadline = None;
        } else {
            self.signal(Signal::TERM);
            self.input = None;
            self.deadline = Some(stop::after(self.limits.grace));
        }
    }
    /// What has ended needs none; but what it started, in a group of its own, may.
    fn signal(&self, which: Signal) {
        if self.exit.is_none() || self.limits.as_group {
            signal(&self.child, self.limits, which);
        }
    }
}

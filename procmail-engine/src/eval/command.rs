//! Programs: how a command line becomes a command, and what a run of it gives.

use std::sync::Arc;
use std::time::Duration;

use super::expand::Expand;
use super::{Evaluator, Task, Value};
use crate::effect::{Command, Effect, Exit, Outcome, Output, Purpose, Ran, Run};
use crate::syntax::{Mode, Part, parse_text};

/// What `$?` is when a program between backquotes is ended for its time.
const UNAVAILABLE: i32 = 69;

/// A command on its way.
#[derive(Debug, Clone)]
pub(super) struct RunCommand {
    line: Vec<u8>,
    purpose: Purpose,
    input: Option<Arc<[u8]>>,
    limit: Option<usize>,
    wait: bool,
    must_read_all: bool,
    /// How often it was tried to start it in vain.
    tries: i64,
    stage: Stage,
}

#[derive(Debug, Clone)]
enum Stage {
    Parse,
    Words,
    Ran(Command),
    /// It waits to be started again.
    Suspended(Command),
}

impl RunCommand {
    pub(super) fn new(line: Vec<u8>, purpose: Purpose) -> Self {
        Self {
            line,
            purpose,
            input: None,
            limit: None,
            wait: true,
            must_read_all: false,
            tries: 0,
            stage: Stage::Parse,
        }
    }

    pub(super) fn limited(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    pub(super) fn fed(mut self, input: Arc<[u8]>) -> Self {
        self.input = Some(input);
        self
    }

    pub(super) fn waiting(mut self, wait: bool) -> Self {
        self.wait = wait;
        self
    }

    pub(super) fn reading_all(mut self, must: bool) -> Self {
        self.must_read_all = must;
        self
    }

    /// Whether it waits to be started again.
    pub(super) fn is_suspended(&self) -> bool {
        matches!(self.stage, Stage::Suspended(_))
    }

    /// Whether it is a filter that is running.
    pub(super) fn filters(&self) -> bool {
        self.purpose == Purpose::Filter && matches!(self.stage, Stage::Ran(_))
    }
}

impl Evaluator {
    /// Goes on with a command. For backquotes the result is [`Value::Output`], else [`Value::Ran`].
    pub(super) fn command(&mut self, mut run: RunCommand) {
        match std::mem::replace(&mut run.stage, Stage::Words) {
            Stage::Parse => {
                if self.needs_shell(&run.line) {
                    let command = self.shell(&run.line);
                    self.start(run, command);
                } else {
                    let text = Arc::new(parse_text(&run.line, 0, Mode::Words));
                    self.tasks.push(Task::Command(run));
                    self.tasks.push(Task::Expand(Expand::new(text, Mode::Words, 0)));
                }
            }
            Stage::Words => match std::mem::take(&mut self.value) {
                Value::Words(mut words) => {
                    let at = self.arguments_at.take();
                    self.with_arguments(&mut words, at);
                    let command = if words.first().is_some_and(|word| word == b"test") {
                        self.shell(&run.line)
                    } else {
                        Command::Program(if words.is_empty() { vec![Vec::new()] } else { words })
                    };
                    self.start(run, command);
                }
                // Too long to be expanded here: the shell may try.
                _ => {
                    let command = self.shell(&run.line);
                    self.start(run, command);
                }
            },
            Stage::Ran(command) => self.ended(run, command),
            Stage::Suspended(command) => self.try_to_start(run, command),
        }
    }

    /// Whether a command has a byte of `SHELLMETAS`.
    pub(super) fn needs_shell(&self, line: &[u8]) -> bool {
        let metas = self.variables.value("SHELLMETAS");
        line.iter().any(|byte| metas.contains(byte))
    }

    /// Whether a command has no words, so that none is run.
    pub(super) fn is_nothing(&self, line: &[u8]) -> bool {
        let text = parse_text(line, 0, Mode::Words);
        !self.needs_shell(line)
            && text.parts.iter().all(|part| match part {
                Part::Bytes(bytes) => bytes.is_empty(),
                Part::Quote => true,
                Part::Variable { name, .. } => self.lookup(name).is_none_or(|value| value.is_empty()),
                _ => false,
            })
    }

    fn shell(&self, line: &[u8]) -> Command {
        Command::Shell {
            shell: self.variables.value("SHELL").to_vec(),
            flags: self.variables.value("SHELLFLAGS").to_vec(),
            line: line.to_vec(),
        }
    }

    /// Runs a command whose words are known.
    pub(super) fn start_command(&mut self, run: RunCommand, command: Command) {
        self.start(run, command);
    }

    fn start(&mut self, run: RunCommand, command: Command) {
        self.tell_of("Executing", &command.text(b","));
        self.try_to_start(run, command);
    }

    fn try_to_start(&mut self, mut run: RunCommand, command: Command) {
        let output = match run.purpose {
            Purpose::Substitution => Output::Capture(run.limit),
            Purpose::Filter | Purpose::Capture => Output::Capture(None),
            Purpose::Trap => Output::Log,
            _ => Output::Discard,
        };
        let input = run.input.get_or_insert_with(|| {
            self.header_joined = false;
            self.mail.with_end().into()
        });
        let effect = Run {
            command: command.clone(),
            input: Arc::clone(input),
            output,
            wait: run.wait,
            must_read_all: run.must_read_all,
            timeout: self.timeout(),
            environment: self.variables.export(),
            purpose: run.purpose,
        };
        run.stage = Stage::Ran(command);
        self.tasks.push(Task::Command(run));
        self.emit(Effect::Run(Box::new(effect)));
    }

    fn ended(&mut self, run: RunCommand, command: Command) {
        let ran = match self.outcome.take() {
            Some(Outcome::Ran(ran)) => ran,
            Some(Outcome::NoResources) => return self.not_started(run, command),
            _ => Ran { fed: false, ..Ran::ended(Exit::Code(71)) },
        };
        if ran.timed_out {
            self.complain_of("Timeout, terminating", command.name());
        }
        if ran.exit != Exit::Unknown {
            self.status = ran.exit.number();
        }
        if run.purpose != Purpose::Substitution {
            self.value = Value::Ran(ran, command);
            return;
        }
        if ran.timed_out {
            self.complain("Rescue of unfiltered data succeeded");
            self.status = UNAVAILABLE;
        }
        let mut output = ran.output;
        if ran.cut_off || run.limit.is_some_and(|limit| output.len() >= limit) {
            output.truncate(run.limit.unwrap_or(output.len()));
            self.complain_of("Excessive output quenched from", command.name());
            self.assign_quietly(b"PROCMAIL_OVERFLOW", b"yes");
        }
        while output.last() == Some(&b'\n') {
            output.pop();
        }
        self.value = Value::Output(output);
    }

    /// There was no room for another process.
    fn not_started(&mut self, mut run: RunCommand, command: Command) {
        run.tries += 1;
        if self.numbers.retries < 0 || run.tries <= self.numbers.retries {
            run.stage = Stage::Suspended(command);
            self.tasks.push(Task::Command(run));
            self.emit(Effect::Sleep(Duration::from_secs(self.numbers.suspend)));
            return;
        }
        // What is fed and read at the same time takes a process more, which comes first.
        let name: &[u8] = match run.purpose {
            Purpose::Filter | Purpose::Capture => b"procmail",
            _ => command.name(),
        };
        self.complain_of("Failed forking", name);
        self.value = match run.purpose {
            Purpose::Substitution => Value::Output(Vec::new()),
            _ => Value::NotStarted(command),
        };
    }

    /// Tells of a program that ended badly.
    pub(super) fn complain_of_exit(&mut self, exit: Exit, name: &[u8], quiet: bool) {
        if exit.is_success() {
            return;
        }
        let mut text = if quiet { b"Non-zero exitcode (".to_vec() } else { b"Program failure (".to_vec() };
        text.extend_from_slice(exit.number().to_string().as_bytes());
        text.extend_from_slice(if quiet { b") from \"" } else { b") of \"" });
        text.extend_from_slice(name);
        text.push(b'"');
        if quiet {
            self.tell(&text);
        } else {
            self.complain_bytes(&text);
        }
    }
}

//! Processes that are killed: before each of their steps on disk, or at any moment.
//!
//! A test program starts itself again as such a process: one of its tests is its work, and does nothing when it is run as a
//! test. The process tells on its standard output what it is about to do (`@step`) and what it has been promised (`@ok`), and
//! waits for leave on its standard input before each step if it is [held](hold).

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use maildrop::{Fault, Faults, Operation};

const HOLD: &str = "MAILDROP_TEST_HOLD";
/// How many writes a held process finds the disk full for.
pub(crate) const FULL: &str = "MAILDROP_TEST_FULL";

/// Says a line to the test that has started this process.
pub(crate) fn say(line: &str) {
    // Past the capture of the test harness, and whole.
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(format!("{line}\n").as_bytes());
    let _ = stdout.flush();
}

/// The number in a variable of the environment.
pub(crate) fn number(name: &str) -> u64 {
    env::var(name).unwrap().parse().unwrap()
}

/// What this process shall do before its steps; nothing if it is not to be held.
pub(crate) fn hold() -> Option<Arc<dyn Faults>> {
    env::var_os(HOLD)?;
    let full = if env::var_os(FULL).is_some() { number(FULL) } else { 0 };
    Some(Arc::new(Hold { full: full.into() }))
}

/// Holds the process before each step until it is let go. On a disk that is `full`, nothing can be written so often.
#[derive(Debug)]
struct Hold {
    full: AtomicU64,
}

impl Faults for Hold {
    fn inject(&self, operation: Operation) -> Fault {
        say(&format!("@step {operation:?}"));
        let mut leave = [0];
        if std::io::stdin().read_exact(&mut leave).is_err() {
            // Whoever held the other end has gone.
            std::process::exit(1);
        }
        let one_less = |left: u64| left.checked_sub(1);
        if operation == Operation::Write && self.full.fetch_update(SeqCst, SeqCst, one_less).is_ok() {
            return Fault::no_space();
        }
        Fault::None
    }
}

/// How to start this program again with one of its tests as its work.
pub(crate) fn process(work: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", work, "--nocapture", "--test-threads=1"]);
    command
}

/// A process that runs.
pub(crate) struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Process {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Process { child, stdin, stdout }
    }

    /// The next thing it says, without the talk of the test harness.
    fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.stdout.read_line(&mut line).unwrap() > 0 {
            // The harness starts a line of its own that the first word of ours ends.
            if let Some(at) = line.find('@') {
                return Some(line[at..].trim_end().to_owned());
            }
            line.clear();
        }
        None
    }

    /// All that it says until it has done its work.
    #[allow(dead_code, reason = "what removes mail has no others beside it")]
    pub(crate) fn finish(mut self) -> Vec<String> {
        let said: Vec<String> = std::iter::from_fn(|| self.next()).collect();
        assert!(self.child.wait().unwrap().success(), "{said:?}");
        said
    }

    /// SIGKILL; answers what it had said behind the lines that were heard.
    fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::iter::from_fn(|| self.next()).collect()
    }
}

/// A process that was killed before a step, or had no such step and came to its end.
pub(crate) struct Crash {
    /// The step, counted from 0.
    pub(crate) at: usize,
    /// What it had said.
    pub(crate) said: Vec<String>,
    /// Whether it came to its end.
    pub(crate) all_done: bool,
}

/// Kills a process before each of its steps, each time a fresh one, until one has done its work. Answers how many steps that
/// has.
pub(crate) fn kill_at_every_step<T>(
    mut set_up: impl FnMut() -> (T, Command),
    mut check: impl FnMut(T, &Crash),
) -> usize {
    let mut crash = Crash { at: 0, said: Vec::new(), all_done: false };
    loop {
        let (place, mut command) = set_up();
        let mut process = Process::start({
            command.env(HOLD, "1");
            command
        });
        let (mut said, mut steps) = (Vec::new(), 0);
        crash.all_done = loop {
            let Some(line) = process.next() else { break true };
            let is_step = line.starts_with("@step");
            said.push(line);
            if is_step && steps == crash.at {
                break false;
            }
            if is_step {
                steps += 1;
                process.stdin.write_all(b".").unwrap();
            }
        };
        if crash.all_done {
            assert!(said.last().is_some_and(|line| line.starts_with("@ok")), "it failed: {said:?}");
        }
        said.extend(process.kill());
        crash.said = said;
        check(place, &crash);
        if crash.all_done {
            return crash.at;
        }
        crash.at += 1;
    }
}

/// Kills a process that was heard to say so many lines. It goes on while it is being killed, so that may be at any moment
/// behind them. Answers all that it said.
pub(crate) fn kill_after(lines: u64, command: Command) -> Vec<String> {
    let mut process = Process::start(command);
    let mut said: Vec<String> = (0..lines).map_while(|_| process.next()).collect();
    assert_eq!(said.len() as u64, lines);
    said.extend(process.kill());
    said
}

/// Numbers that look like random ones, the same in each run.
pub(crate) fn numbers() -> impl Iterator<Item = u64> {
    std::iter::successors(Some(0x2545_f491_4f6c_dd1d_u64), |&state| {
        let state = state ^ state << 13;
        let state = state ^ state >> 7;
        Some(state ^ state << 17)
    })
    .skip(1)
}

/// What a process was promised.
pub(crate) fn promised(said: &[String]) -> impl Iterator<Item = &str> {
    said.iter().filter_map(|line| line.strip_prefix("@ok "))
}

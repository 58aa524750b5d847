//! Real processes that append to one mbox: killed at every step and at any moment, they leave whole messages only once
//! the next delivery has been; and many of them together lose and mangle nothing.
//!
//! The test program starts itself again as a delivering process, which tells on its standard output what it is about to
//! do (`@step`) and what it has been promised (`@ok`), and waits for leave on its standard input where it is told to.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail where it stands")]

use std::collections::HashSet;
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use maildrop::{DotLock, DotLockOptions, Fault, Faults, Mbox, MboxOptions, Operation};

const MBOX: &str = "MAILDROP_TEST_MBOX";
const FIRST: &str = "MAILDROP_TEST_FIRST";
const MESSAGES: &str = "MAILDROP_TEST_MESSAGES";
const HOLD: &str = "MAILDROP_TEST_HOLD";
const FROM: &str = "From a@b Tue Jan  2 03:04:05 2001\n";

fn say(line: &str) {
    // Past the capture of the test harness, and whole.
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(format!("{line}\n").as_bytes());
    let _ = stdout.flush();
}

/// Holds the process before each step until it is let go.
#[derive(Debug)]
struct Hold;

impl Faults for Hold {
    fn inject(&self, operation: Operation) -> Fault {
        say(&format!("@step {operation:?}"));
        let mut leave = [0];
        if std::io::stdin().read_exact(&mut leave).is_err() {
            // Whoever held the other end has gone.
            std::process::exit(1);
        }
        Fault::None
    }
}

/// A message whose lines all tell which it is, and how many they are. The largest take several writes.
fn message(number: u64) -> String {
    let lines = number * 1237 % 4000;
    let line = format!("{number} of {lines} lines, with empty ones between them\n\n");
    format!("{FROM}Subject: {number} {lines}\n\n{}", line.repeat(lines as usize))
}

/// The numbers of the messages in an mbox that holds nothing but whole ones.
fn numbers(mbox: &Path, case: &str) -> Vec<u64> {
    let content = std::fs::read_to_string(mbox).unwrap_or_default();
    let mut found = Vec::new();
    for stored in content.split(FROM).skip(1) {
        let subject = stored.strip_prefix("Subject: ").unwrap_or_else(|| panic!("{case}: {stored:.200}"));
        let number = subject.split(' ').next().unwrap().parse().unwrap();
        let whole = &message(number)[FROM.len()..];
        let whole = if whole.ends_with("\n\n") { whole.to_owned() } else { format!("{whole}\n") };
        assert!(stored == whole, "{case}: message {number} has {} of {} octets", stored.len(), whole.len());
        found.push(number);
    }
    let total: usize = content.len();
    assert!(content.is_empty() || content.starts_with(FROM), "{case}: {total}");
    found
}

fn options() -> MboxOptions {
    let lock = DotLockOptions::new().sleep(Duration::from_millis(2)).suspend(Duration::ZERO);
    MboxOptions::new().dot_lock(Some(lock))
}

/// Not a test of its own: the delivering process, when the others start this program again.
#[test]
fn delivering_process() {
    let Some(path) = env::var_os(MBOX).map(PathBuf::from) else { return };
    let number = |name: &str| env::var(name).unwrap().parse::<u64>().unwrap();
    let mut options = options();
    if env::var_os(HOLD).is_some() {
        options = options.with_faults(Arc::new(Hold));
    }
    let mbox = Mbox::with_options(path, options);
    for number in number(FIRST)..number(FIRST) + number(MESSAGES) {
        mbox.append(message(number).as_bytes()).unwrap();
        say(&format!("@ok {number}"));
    }
}

struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    fn start(mbox: &Path, first: u64, messages: u64, hold: bool) -> Process {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "delivering_process", "--nocapture", "--test-threads=1"]);
        command.env(MBOX, mbox).env(FIRST, first.to_string()).env(MESSAGES, messages.to_string());
        if hold {
            command.env(HOLD, "1");
        }
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
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

    /// SIGKILL; answers what it had said before.
    fn kill(mut self, said: &mut Vec<String>) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        while let Some(line) = self.next() {
            said.push(line);
        }
    }
}

/// What must hold after a crash, whenever it came, once another has delivered.
fn check(mbox: &Path, said: &[String], case: &str) {
    // The dead process cannot take its lock away; others would wait until it is stale.
    DotLock::force(&DotLock::path_for(mbox)).unwrap();
    Mbox::with_options(mbox, options()).append(message(1_000_000).as_bytes()).unwrap();
    let found = numbers(mbox, case);
    assert_eq!(found.last(), Some(&1_000_000), "{case}");
    let found: HashSet<u64> = found.into_iter().collect();
    for promised in said.iter().filter_map(|line| line.strip_prefix("@ok ")) {
        assert!(found.contains(&promised.parse().unwrap()), "{case}: {promised} was promised and is lost");
    }
}

#[test]
fn a_process_killed_before_any_step_leaves_whole_messages_only() {
    let mut at = 0;
    loop {
        let dir = tempfile::tempdir().unwrap();
        let mbox = dir.path().join("box");
        // A small message and one of several writes.
        let mut process = Process::start(&mbox, 2, 2, true);
        let (mut said, mut steps) = (Vec::new(), 0);
        while let Some(line) = process.next() {
            let is_step = line.starts_with("@step");
            said.push(line);
            if is_step {
                if steps == at {
                    break;
                }
                steps += 1;
                process.stdin.write_all(b".").unwrap();
            }
        }
        let all_done = steps < at || said.last().is_some_and(|line| line.starts_with("@ok"));
        process.kill(&mut said);
        check(&mbox, &said, &format!("killed before step {at}: {said:?}"));
        if all_done {
            break;
        }
        at += 1;
    }
    assert!(at >= 20, "{at}");
}

#[test]
fn a_process_killed_at_any_moment_leaves_whole_messages_only() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for run in 0..30 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let acknowledged = state % 20;
        let dir = tempfile::tempdir().unwrap();
        let mbox = dir.path().join("box");
        let mut process = Process::start(&mbox, state % 1000, 1_000_000, false);
        // It goes on while it is being killed, so the moment is anywhere behind these promises.
        let mut said: Vec<String> = (0..acknowledged).map_while(|_| process.next()).collect();
        assert_eq!(said.len() as u64, acknowledged);
        process.kill(&mut said);
        check(&mbox, &said, &format!("run {run}"));
    }
}

#[test]
fn processes_that_share_an_mbox_lose_and_mangle_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mbox = dir.path().join("box");
    let processes: Vec<Process> =
        (0..4).map(|process| Process::start(&mbox, process * 1000, 25, false)).collect();
    for mut process in processes {
        while process.next().is_some() {}
        assert!(process.child.wait().unwrap().success());
    }
    let mut found = numbers(&mbox, "all alive");
    found.sort_unstable();
    let expected: Vec<u64> = (0..4).flat_map(|process| process * 1000..process * 1000 + 25).collect();
    assert_eq!(found, expected);
}

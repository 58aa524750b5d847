//! Real processes: deliveries that are killed at every step and at any moment, and many that share a Maildir.
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
use std::time::{Duration, SystemTime};

use maildrop::{
    Delivered, DeliveryOptions, Fault, Faults, Maildir, MessageName, Operation, STALE_AFTER, commit_all,
};

const DIRECTORY: &str = "MAILDROP_TEST_DIRECTORY";
const BATCH: &str = "MAILDROP_TEST_BATCH";
const BATCHES: &str = "MAILDROP_TEST_BATCHES";
const HOLD: &str = "MAILDROP_TEST_HOLD";

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

/// A message whose content can be checked without knowing it: numbered lines, and a sum at the end.
fn message(seed: u64) -> Vec<u8> {
    let mut body = format!("Subject: {seed}\r\n\r\n").into_bytes();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    // Up to three writes of the 16 KiB buffer.
    for line in 0..(seed * 37) % 600 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        body.extend_from_slice(format!("{line} {state:064x}\r\n").as_bytes());
    }
    let sum = checksum(&body);
    body.extend_from_slice(format!("end {sum:016x}\r\n").as_bytes());
    body
}

fn checksum(bytes: &[u8]) -> u64 {
    // FNV-1a over what the file holds: line ends are LF there.
    bytes
        .iter()
        .filter(|&&byte| byte != b'\r')
        .fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn is_whole(content: &[u8]) -> bool {
    // Behind the copied prefix, if any, comes the message.
    let content = content.strip_prefix(b"Delivered-To: other\n").unwrap_or(content);
    let Some(at) = content.len().checked_sub(b"end 0123456789abcdef\n".len()) else { return false };
    let (body, end) = content.split_at(at);
    end == format!("end {:016x}\n", checksum(body)).as_bytes()
}

/// Not a test of its own: the delivering process, when the others start this program again.
#[test]
fn delivering_process() {
    let Some(directory) = env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let number = |name: &str| env::var(name).unwrap().parse::<u64>().unwrap();
    let mut maildirs = ["a", "b"].map(|name| Maildir::open(directory.join(name)).unwrap());
    if env::var_os(HOLD).is_some() {
        maildirs = maildirs.map(|maildir| maildir.with_faults(Arc::new(Hold)));
    }
    let [a, b] = &maildirs;
    for batch_number in 0..number(BATCHES) {
        let mut batch = Vec::new();
        for member in 0..number(BATCH) {
            let mut delivery = a.deliver(&DeliveryOptions::new()).unwrap();
            for chunk in message(batch_number * 7 + member).chunks(1000) {
                delivery.append(chunk).unwrap();
            }
            let staged = delivery.stage().unwrap();
            let copy = (member == 0).then(|| staged.duplicate(b, b"Delivered-To: other\r\n").unwrap());
            batch.push(staged);
            batch.extend(copy);
        }
        for delivered in commit_all(batch) {
            let path = |delivered: Delivered| delivered.path().into_os_string().into_string().unwrap();
            say(&format!("@ok {}", path(delivered.unwrap())));
        }
    }
}

struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    fn start(directory: &Path, batch: u64, batches: u64, hold: bool) -> Process {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "delivering_process", "--nocapture", "--test-threads=1"]);
        command.env(DIRECTORY, directory).env(BATCH, batch.to_string()).env(BATCHES, batches.to_string());
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

fn two_maildirs() -> (tempfile::TempDir, [Maildir; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let maildirs = ["a", "b"].map(|name| Maildir::create(dir.path().join(name)).unwrap());
    (dir, maildirs)
}

/// What must hold after a crash, whenever it came.
fn check(maildirs: &[Maildir; 2], said: &[String], case: &str) {
    let mut found = HashSet::new();
    for maildir in maildirs {
        for entry in std::fs::read_dir(maildir.path().join("new")).unwrap() {
            let path = entry.unwrap().path();
            let content = std::fs::read(&path).unwrap();
            let name = MessageName::parse(path.file_name().unwrap().as_encoded_bytes()).unwrap();
            let lines = content.iter().filter(|&&byte| byte == b'\n').count();
            assert!(is_whole(&content), "{case}: {path:?}");
            assert_eq!(name.size(), Some(content.len() as u64), "{case}");
            assert_eq!(name.crlf_size(), Some((content.len() + lines) as u64), "{case}");
            found.insert(path);
        }
        // What the dead process left in tmp/ is nobody's, and is removed in time.
        let later = SystemTime::now() + STALE_AFTER + Duration::from_secs(10);
        maildir.clean_tmp(later, STALE_AFTER).unwrap();
        assert_eq!(std::fs::read_dir(maildir.path().join("tmp")).unwrap().count(), 0, "{case}");
    }
    for promised in said.iter().filter_map(|line| line.strip_prefix("@ok ")) {
        assert!(found.contains(Path::new(promised)), "{case}: {promised} was promised and is lost");
    }
}

/// Kills a process before each step of two batches, and answers how many steps there were.
fn kill_at_every_step(batch: u64) -> u64 {
    let mut at = 0;
    loop {
        let (_dir, maildirs) = two_maildirs();
        let mut process = Process::start(_dir.path(), batch, 2, true);
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
        check(&maildirs, &said, &format!("killed before step {at} of batches of {batch}: {said:?}"));
        if all_done {
            return at;
        }
        at += 1;
    }
}

#[test]
fn a_process_killed_before_any_step_of_single_messages_leaves_whole_messages_only() {
    // Create, write, sync, rename and sync of each, and those of a copy.
    assert!(kill_at_every_step(1) >= 16);
}

#[test]
fn a_process_killed_before_any_step_of_a_batch_leaves_whole_messages_only() {
    assert!(kill_at_every_step(4) >= 40);
}

#[test]
fn a_process_killed_at_any_moment_leaves_whole_messages_only() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for run in 0..30 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let (batch, acknowledged) = (1 + state % 7, state / 7 % 40);
        let (_dir, maildirs) = two_maildirs();
        let mut process = Process::start(_dir.path(), batch, 1_000_000, false);
        // It goes on while it is being killed, so the moment is anywhere behind these promises.
        let mut said: Vec<String> = (0..acknowledged).map_while(|_| process.next()).collect();
        assert_eq!(said.len() as u64, acknowledged);
        process.kill(&mut said);
        check(&maildirs, &said, &format!("run {run}, batches of {batch}"));
    }
}

#[test]
fn processes_that_share_a_maildir_never_use_a_name_twice() {
    let (dir, maildirs) = two_maildirs();
    let processes: Vec<Process> = (0..4).map(|_| Process::start(dir.path(), 25, 4, false)).collect();
    let mut said = Vec::new();
    for mut process in processes {
        let before = said.len();
        while let Some(line) = process.next() {
            said.push(line);
        }
        assert!(process.child.wait().unwrap().success());
        assert_eq!(said.len() - before, 4 * 26);
    }
    let distinct: HashSet<&String> = said.iter().collect();
    assert_eq!(distinct.len(), 4 * 4 * 26);
    assert_eq!(std::fs::read_dir(maildirs[0].path().join("new")).unwrap().count(), 400);
    assert_eq!(std::fs::read_dir(maildirs[1].path().join("new")).unwrap().count(), 16);
    check(&maildirs, &said, "all alive");
}

//! Real processes that deliver to MH and plain folders: killed at every step and at any moment, they leave whole messages
//! only; and many of them together use no name twice. And one whose files may not grow.
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

use maildrop::{Fault, Faults, Mbox, MessageDir, Naming, Operation};

const FOLDER: &str = "MAILDROP_TEST_FOLDER";
const FIRST: &str = "MAILDROP_TEST_FIRST";
const MESSAGES: &str = "MAILDROP_TEST_MESSAGES";
const HOLD: &str = "MAILDROP_TEST_HOLD";
const LIMITED: &str = "MAILDROP_TEST_LIMITED";

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

/// A message that tells how long it is. The largest take several writes.
fn message(number: u64) -> String {
    let lines = number * 1237 % 2000;
    format!("Subject: {number} {lines}\n\n{}", format!("{number} of {lines} lines\n").repeat(lines as usize))
}

fn naming(folder: &Path) -> Naming {
    match folder.ends_with("mh") {
        true => Naming::Number,
        false => Naming::Inode { prefix: b"msg.".to_vec() },
    }
}

/// Not a test of its own: the delivering process, when the others start this program again.
#[test]
fn delivering_process() {
    let Some(path) = env::var_os(FOLDER).map(PathBuf::from) else { return };
    let number = |name: &str| env::var(name).unwrap().parse::<u64>().unwrap();
    let mut folder = MessageDir::open(&path, naming(&path)).unwrap();
    if env::var_os(HOLD).is_some() {
        folder = folder.with_faults(Arc::new(Hold));
    }
    for number in number(FIRST)..number(FIRST) + number(MESSAGES) {
        let mut delivery = folder.deliver().unwrap();
        delivery.append(message(number).as_bytes()).unwrap();
        say(&format!("@ok {}", delivery.commit().unwrap().path().display()));
    }
}

struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    fn start(folder: &Path, first: u64, messages: u64, hold: bool) -> Process {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "delivering_process", "--nocapture", "--test-threads=1"]);
        command.env(FOLDER, folder).env(FIRST, first.to_string()).env(MESSAGES, messages.to_string());
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

fn folders() -> (tempfile::TempDir, [PathBuf; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let folders = ["mh", "plain"].map(|name| dir.path().join(name));
    folders.iter().for_each(|folder| drop(MessageDir::create(folder, naming(folder)).unwrap()));
    (dir, folders)
}

/// What must hold after a crash, whenever it came: what readers look at is whole, and what was promised is there.
fn check(folder: &Path, said: &[String], case: &str) -> usize {
    let mut found = HashSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // A dead process may leave these; no reader takes them for messages.
        if path.file_name().unwrap().as_encoded_bytes().starts_with(b"_") {
            continue;
        }
        let content = std::fs::read_to_string(&path).unwrap();
        let number = content.strip_prefix("Subject: ").and_then(|rest| rest.split(' ').next());
        let number = number.unwrap_or_else(|| panic!("{case}: {path:?} holds {content:.80}"));
        assert!(content == message(number.parse().unwrap()), "{case}: {path:?} is not whole");
        found.insert(path);
    }
    for promised in said.iter().filter_map(|line| line.strip_prefix("@ok ")) {
        assert!(found.contains(Path::new(promised)), "{case}: {promised} was promised and is lost");
    }
    found.len()
}

#[test]
fn a_process_killed_before_any_step_leaves_whole_messages_only() {
    let (_dir, folders) = folders();
    for folder in folders {
        let (mut at, mut all_done) = (0, false);
        while !all_done {
            // A small message and one of several writes.
            let mut process = Process::start(&folder, 1, 2, true);
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
            all_done = steps < at || said.last().is_some_and(|line| line.starts_with("@ok"));
            process.kill(&mut said);
            check(&folder, &said, &format!("killed before step {at}: {said:?}"));
            at += 1;
        }
        assert!(at >= 10, "{at}");
    }
}

#[test]
fn a_process_killed_at_any_moment_leaves_whole_messages_only() {
    let (_dir, folders) = folders();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for run in 0..20 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let folder = &folders[run % 2];
        let mut process = Process::start(folder, state % 1000, 1_000_000, false);
        // It goes on while it is being killed, so the moment is anywhere behind these promises.
        let mut said: Vec<String> = (0..state % 20).map_while(|_| process.next()).collect();
        process.kill(&mut said);
        check(folder, &said, &format!("run {run}"));
    }
}

#[test]
fn processes_that_share_a_folder_use_no_name_twice() {
    let (_dir, folders) = folders();
    for folder in folders {
        let mut said = Vec::new();
        let processes: Vec<Process> =
            (0..4).map(|process| Process::start(&folder, process * 1000, 50, false)).collect();
        for mut process in processes {
            while let Some(line) = process.next() {
                said.push(line);
            }
            assert!(process.child.wait().unwrap().success());
        }
        assert_eq!(said.iter().collect::<HashSet<_>>().len(), 200);
        assert_eq!(check(&folder, &said, "all alive"), 200);
        if folder.ends_with("mh") {
            let names: HashSet<u32> = std::fs::read_dir(&folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
                .collect();
            assert_eq!(names, (1..=200).collect());
        }
    }
}

/// Not a test of its own: a process whose files may be 64 KiB long.
#[test]
fn limited_process() {
    let Some(dir) = env::var_os(LIMITED).map(PathBuf::from) else { return };
    let large = vec![b'x'; 200_000];
    let mbox = Mbox::new(dir.join("box"));
    mbox.append(b"From a b\n\nsmall\n").unwrap();
    for _ in 0..3 {
        mbox.append(&large).unwrap_err();
        assert_eq!(std::fs::read(mbox.path()).unwrap(), b"From a b\n\nsmall\n\n");
    }
    mbox.append(b"From c d\n\nsmall too\n").unwrap();
    for name in ["mh", "plain"] {
        let folder = MessageDir::open(dir.join(name), naming(&dir.join(name))).unwrap();
        let mut delivery = folder.deliver().unwrap();
        let failed = delivery.append(&large).is_err();
        assert!(delivery.commit().is_err() && failed, "{name}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    say("@done");
}

#[test]
fn a_message_that_does_not_fit_is_taken_back() {
    let (dir, _) = folders();
    let mut command = Command::new("sh");
    // Blocks of 512 octets.
    command.args(["-c", "ulimit -f 128; trap '' XFSZ; exec \"$0\" \"$@\""]).arg(env::current_exe().unwrap());
    command.args(["--exact", "limited_process", "--nocapture"]).env(LIMITED, dir.path());
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    assert!(ran.stdout.windows(5).any(|bytes| bytes == b"@done"));
    let stored = std::fs::read(dir.path().join("box")).unwrap();
    assert_eq!(stored, b"From a b\n\nsmall\n\nFrom c d\n\nsmall too\n\n");
}

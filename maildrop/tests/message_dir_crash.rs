//! Real processes that deliver to MH and plain folders: killed at every step and at any moment, they leave whole messages
//! only; and many of them together use no name twice. And one whose files may not grow.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail where it stands")]

mod crash_support;

use std::collections::HashSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crash_support::{Process, hold, kill_after, kill_at_every_step, number, numbers, process, promised, say};
use maildrop::{Mbox, MessageDir, Naming};

const FOLDER: &str = "MAILDROP_TEST_FOLDER";
const FIRST: &str = "MAILDROP_TEST_FIRST";
const MESSAGES: &str = "MAILDROP_TEST_MESSAGES";
const LIMITED: &str = "MAILDROP_TEST_LIMITED";

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
    let mut folder = MessageDir::open(&path, naming(&path)).unwrap();
    if let Some(hold) = hold() {
        folder = folder.with_faults(hold);
    }
    for number in number(FIRST)..number(FIRST) + number(MESSAGES) {
        let mut delivery = folder.deliver().unwrap();
        delivery.append(message(number).as_bytes()).unwrap();
        say(&format!("@ok {}", delivery.commit().unwrap().path().display()));
    }
}

fn delivering(folder: &Path, first: u64, messages: u64) -> Command {
    let mut command = process("delivering_process");
    command.env(FOLDER, folder).env(FIRST, first.to_string()).env(MESSAGES, messages.to_string());
    command
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
    for path in promised(said) {
        assert!(found.contains(Path::new(path)), "{case}: {path} was promised and is lost");
    }
    found.len()
}

#[test]
fn a_process_killed_before_any_step_leaves_whole_messages_only() {
    let (_dir, folders) = folders();
    for folder in folders {
        // A small message and one of several writes.
        let set_up = || ((), delivering(&folder, 1, 2));
        let steps = kill_at_every_step(set_up, |(), crash| {
            check(&folder, &crash.said, &format!("killed before step {}: {:?}", crash.at, crash.said));
        });
        assert!(steps >= 9, "{steps}");
    }
}

#[test]
fn a_process_killed_at_any_moment_leaves_whole_messages_only() {
    let (_dir, folders) = folders();
    for (run, number) in numbers().take(20).enumerate() {
        let folder = &folders[run % 2];
        let said = kill_after(number % 20, delivering(folder, number % 1000, 1_000_000));
        check(folder, &said, &format!("run {run}"));
    }
}

#[test]
fn processes_that_share_a_folder_use_no_name_twice() {
    let (_dir, folders) = folders();
    for folder in folders {
        let processes: Vec<Process> =
            (0..4).map(|process| Process::start(delivering(&folder, process * 1000, 50))).collect();
        let said: Vec<String> = processes.into_iter().flat_map(Process::finish).collect();
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

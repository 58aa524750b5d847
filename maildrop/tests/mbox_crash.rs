//! Real processes that append to one mbox: killed at every step and at any moment, they leave whole messages only once
//! the next delivery has been; and many of them together lose and mangle nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail where it stands")]

mod crash_support;

use std::collections::HashSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crash_support::{Process, hold, kill_after, kill_at_every_step, number, numbers, process, promised, say};
use maildrop::{DotLock, DotLockOptions, Mbox, MboxOptions};

const MBOX: &str = "MAILDROP_TEST_MBOX";
const FIRST: &str = "MAILDROP_TEST_FIRST";
const MESSAGES: &str = "MAILDROP_TEST_MESSAGES";
const FROM: &str = "From a@b Tue Jan  2 03:04:05 2001\n";

/// A message whose lines all tell which it is, and how many they are. The largest take several writes.
fn message(number: u64) -> String {
    let lines = number * 1237 % 4000;
    let line = format!("{number} of {lines} lines, with empty ones between them\n\n");
    format!("{FROM}Subject: {number} {lines}\n\n{}", line.repeat(lines as usize))
}

/// The numbers of the messages in an mbox that holds nothing but whole ones.
fn stored(mbox: &Path, case: &str) -> Vec<u64> {
    let content = std::fs::read_to_string(mbox).unwrap_or_default();
    let mut found = Vec::new();
    for text in content.split(FROM).skip(1) {
        let subject = text.strip_prefix("Subject: ").unwrap_or_else(|| panic!("{case}: {text:.200}"));
        let number = subject.split(' ').next().unwrap().parse().unwrap();
        let whole = &message(number)[FROM.len()..];
        let whole = if whole.ends_with("\n\n") { whole.to_owned() } else { format!("{whole}\n") };
        assert!(text == whole, "{case}: message {number} has {} of {} octets", text.len(), whole.len());
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
    let mut options = options();
    if let Some(hold) = hold() {
        options = options.with_faults(hold);
    }
    let mbox = Mbox::with_options(path, options);
    for number in number(FIRST)..number(FIRST) + number(MESSAGES) {
        mbox.append(message(number).as_bytes()).unwrap();
        say(&format!("@ok {number}"));
    }
}

fn delivering(mbox: &Path, first: u64, messages: u64) -> Command {
    let mut command = process("delivering_process");
    command.env(MBOX, mbox).env(FIRST, first.to_string()).env(MESSAGES, messages.to_string());
    command
}

/// What must hold after a crash, whenever it came, once another has delivered.
fn check(mbox: &Path, said: &[String], case: &str) {
    // The dead process cannot take its lock away; others would wait until it is stale.
    DotLock::force(&DotLock::path_for(mbox)).unwrap();
    Mbox::with_options(mbox, options()).append(message(1_000_000).as_bytes()).unwrap();
    let found = stored(mbox, case);
    assert_eq!(found.last(), Some(&1_000_000), "{case}");
    let found: HashSet<u64> = found.into_iter().collect();
    for number in promised(said) {
        assert!(found.contains(&number.parse().unwrap()), "{case}: {number} was promised and is lost");
    }
}

#[test]
fn a_process_killed_before_any_step_leaves_whole_messages_only() {
    let set_up = || {
        let dir = tempfile::tempdir().unwrap();
        // A small message and one of several writes.
        let command = delivering(&dir.path().join("box"), 2, 2);
        (dir, command)
    };
    let steps = kill_at_every_step(set_up, |dir, crash| {
        let case = format!("killed before step {}: {:?}", crash.at, crash.said);
        check(&dir.path().join("box"), &crash.said, &case);
    });
    assert!(steps >= 20, "{steps}");
}

#[test]
fn a_process_killed_at_any_moment_leaves_whole_messages_only() {
    for (run, number) in numbers().take(30).enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let mbox = dir.path().join("box");
        let said = kill_after(number % 20, delivering(&mbox, number % 1000, 1_000_000));
        check(&mbox, &said, &format!("run {run}"));
    }
}

#[test]
fn processes_that_share_an_mbox_lose_and_mangle_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mbox = dir.path().join("box");
    let processes: Vec<Process> =
        (0..4).map(|process| Process::start(delivering(&mbox, process * 1000, 25))).collect();
    for process in processes {
        process.finish();
    }
    let mut found = stored(&mbox, "all alive");
    found.sort_unstable();
    let expected: Vec<u64> = (0..4).flat_map(|process| process * 1000..process * 1000 + 25).collect();
    assert_eq!(found, expected);
}

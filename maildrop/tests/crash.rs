//! Real processes: deliveries that are killed at every step and at any moment, and many that share a Maildir.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail where it stands")]

mod crash_support;

use std::collections::HashSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crash_support::{Process, hold, kill_after, kill_at_every_step, number, numbers, process, promised, say};
use maildrop::{Delivered, DeliveryOptions, Maildir, MessageName, STALE_AFTER, commit_all};

const DIRECTORY: &str = "MAILDROP_TEST_DIRECTORY";
const BATCH: &str = "MAILDROP_TEST_BATCH";
const BATCHES: &str = "MAILDROP_TEST_BATCHES";

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
    let mut maildirs = ["a", "b"].map(|name| Maildir::open(directory.join(name)).unwrap());
    if let Some(hold) = hold() {
        maildirs = maildirs.map(|maildir| maildir.with_faults(Arc::clone(&hold)));
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

fn delivering(directory: &Path, batch: u64, batches: u64) -> Command {
    let mut command = process("delivering_process");
    command.env(DIRECTORY, directory).env(BATCH, batch.to_string()).env(BATCHES, batches.to_string());
    command
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
    for path in promised(said) {
        assert!(found.contains(Path::new(path)), "{case}: {path} was promised and is lost");
    }
}

/// Kills a process before each step of two batches, and answers how many steps there were.
fn kill_at_every_step_of(batch: u64) -> usize {
    let set_up = || {
        let (dir, maildirs) = two_maildirs();
        let command = delivering(dir.path(), batch, 2);
        ((dir, maildirs), command)
    };
    kill_at_every_step(set_up, |(_dir, maildirs), crash| {
        let (at, said) = (crash.at, &crash.said);
        check(&maildirs, said, &format!("killed before step {at} of batches of {batch}: {said:?}"));
    })
}

#[test]
fn a_process_killed_before_any_step_of_single_messages_leaves_whole_messages_only() {
    // Create, write, sync, rename and sync of each, and those of a copy.
    assert!(kill_at_every_step_of(1) >= 16);
}

#[test]
fn a_process_killed_before_any_step_of_a_batch_leaves_whole_messages_only() {
    assert!(kill_at_every_step_of(4) >= 40);
}

#[test]
fn a_process_killed_at_any_moment_leaves_whole_messages_only() {
    for (run, number) in numbers().take(30).enumerate() {
        let (batch, acknowledged) = (1 + number % 7, number / 7 % 40);
        let (dir, maildirs) = two_maildirs();
        let said = kill_after(acknowledged, delivering(dir.path(), batch, 1_000_000));
        check(&maildirs, &said, &format!("run {run}, batches of {batch}"));
    }
}

#[test]
fn processes_that_share_a_maildir_never_use_a_name_twice() {
    let (dir, maildirs) = two_maildirs();
    let processes: Vec<Process> = (0..4).map(|_| Process::start(delivering(dir.path(), 25, 4))).collect();
    let mut said = Vec::new();
    for process in processes {
        let before = said.len();
        said.extend(process.finish());
        assert_eq!(said.len() - before, 4 * 26);
    }
    let distinct: HashSet<&String> = said.iter().collect();
    assert_eq!(distinct.len(), 4 * 4 * 26);
    assert_eq!(std::fs::read_dir(maildirs[0].path().join("new")).unwrap().count(), 400);
    assert_eq!(std::fs::read_dir(maildirs[1].path().join("new")).unwrap().count(), 16);
    check(&maildirs, &said, "all alive");
}

//! Killed while it delivers: what it said is delivered is there, whole, and nothing half.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::PROGRAM;
use crate::crowd::messages;

/// Points in time at which it is killed.
const POINTS: u32 = 60;
const KILL: i32 = 9;

struct Folder {
    home: TempDir,
    sent: BTreeMap<u32, Vec<u8>>,
    delivered: Vec<u32>,
}

impl Folder {
    fn new(recipe: &str) -> Folder {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("rc"), recipe).unwrap();
        Folder { home, sent: BTreeMap::new(), delivered: Vec::new() }
    }

    /// Starts a delivery. The mail is large enough to be written in several pieces.
    fn start(&mut self, number: u32) -> Child {
        let line = format!("{number:08} of the mail\n");
        let mail =
            format!("From a@b  Tue Jan  2 03:04:05 2001\nSubject: {number}\n\n{}", line.repeat(20_000));
        let path = self.home.path().join("mail");
        fs::write(&path, &mail).unwrap();
        self.sent.insert(number, mail.into_bytes());
        let home = self.home.path().display();
        Command::new(PROGRAM)
            .args([format!("DEFAULT={home}/default"), format!("ORGMAIL={home}/default"), "./rc".into()])
            .current_dir(self.home.path())
            .stdin(File::open(path).unwrap())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap()
    }

    /// Delivers a mail, and kills the program after that time, if it still runs.
    fn deliver_for(&mut self, number: u32, time: Duration) -> bool {
        let start = Instant::now();
        let mut child = self.start(number);
        while start.elapsed() < time && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let _ = child.kill();
        let status = child.wait().unwrap();
        if status.success() {
            self.delivered.push(number);
        } else {
            assert_eq!(status.signal(), Some(KILL), "mail {number}");
        }
        status.success()
    }

    /// Kills deliveries at points from the first moment to the last, then delivers undisturbed.
    fn torment(&mut self) {
        let start = Instant::now();
        assert!(self.deliver_for(0, Duration::from_secs(60)));
        let whole = start.elapsed();
        let mut killed = 0;
        for number in 1..=POINTS {
            killed += u32::from(!self.deliver_for(number, whole * number / POINTS));
        }
        assert!(killed > POINTS / 4, "only {killed} of {POINTS} were killed in time");
        assert!(self.deliver_for(POINTS + 1, Duration::from_secs(60)));
    }

    /// All that was delivered is there once, and whatever is there is whole.
    fn holds(&self, found: Vec<Vec<u8>>, expected: impl Fn(&[u8]) -> Vec<u8>) {
        let mut numbers = Vec::new();
        for message in found {
            let whole = self.sent.iter().find(|(_, mail)| expected(mail) == message);
            let start = String::from_utf8_lossy(&message[..message.len().min(100)]).into_owned();
            numbers
                .push(*whole.unwrap_or_else(|| panic!("of {} bytes, not whole: {start}", message.len())).0);
        }
        numbers.sort_unstable();
        let mut unique = numbers.clone();
        unique.dedup();
        assert_eq!(numbers, unique, "found twice");
        for number in &self.delivered {
            assert!(numbers.contains(number), "mail {number} was delivered and is lost");
        }
    }
}

fn files(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let named = entries.filter(|entry| wanted(entry.file_name().to_str().unwrap()));
    named.map(|entry| fs::read(entry.path()).unwrap()).collect()
}

#[test]
fn a_mailbox_holds_what_was_delivered_and_no_halves() {
    let mut folder = Folder::new(":0\nbox\n");
    folder.torment();
    let mailbox = fs::read(folder.home.path().join("box")).unwrap();
    folder.holds(messages(&mailbox), |mail| [mail, b"\n"].concat());
}

#[test]
fn a_maildir_holds_what_was_delivered_and_no_halves() {
    let mut folder = Folder::new(":0\nMaildir/\n");
    folder.torment();
    let found = files(&folder.home.path().join("Maildir/new"), |_| true);
    folder.holds(found, |mail| mail[memchr::memchr(b'\n', mail).unwrap() + 1..].to_vec());
}

#[test]
fn an_mh_folder_holds_what_was_delivered_and_no_halves() {
    let mut folder = Folder::new(":0\nmh/.\n");
    folder.torment();
    let found = files(&folder.home.path().join("mh"), |name| !name.starts_with('_'));
    folder.holds(found, |mail| [mail, b"\n"].concat());
}

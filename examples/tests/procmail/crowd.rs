//! Many deliveries at once into one mailbox: all are there, none in pieces.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::PROGRAM;

/// Takes a mailbox apart, at `From ` lines behind empty ones.
pub(crate) fn messages(mailbox: &[u8]) -> Vec<Vec<u8>> {
    let mut starts: Vec<usize> = memchr::memmem::find_iter(mailbox, b"\n\nFrom ").map(|at| at + 2).collect();
    starts.insert(0, 0);
    starts.push(mailbox.len());
    starts.windows(2).map(|range| mailbox[range[0]..range[1]].to_vec()).collect()
}

fn mail(number: usize) -> String {
    let line = format!("{number:06} from here\nFrom there\n\n");
    format!("From a@b  Tue Jan  2 03:04:05 2001\nSubject: {number}\n\n{}", line.repeat(number % 400 + 1))
}

fn deliver(home: &Path, number: usize) {
    let mut child = Command::new(PROGRAM)
        .args([
            format!("DEFAULT={}/default", home.display()),
            "ORGMAIL=/nonexistent/box".into(),
            "./rc".into(),
        ])
        .current_dir(home)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(mail(number).as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "mail {number}");
}

fn crowd(recipe: &str, threads: usize, each: usize) {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("rc"), recipe).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let home = home.path();
            scope.spawn(move || (0..each).for_each(|number| deliver(home, thread * each + number)));
        }
    });
    let mailbox = fs::read(home.path().join("box")).unwrap();
    let found = messages(&mailbox);
    assert_eq!(found.len(), threads * each);
    let expected: BTreeSet<Vec<u8>> = (0..threads * each)
        .map(|number| mail(number).replace("\nFrom there", "\n>From there").into_bytes())
        .collect();
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    assert!(!home.path().join("box.lock").exists());
}

#[test]
fn with_the_kernels_lock_alone_all_mails_are_there() {
    crowd(":0\nbox\n", 16, 16);
}

#[test]
fn with_lock_files_all_mails_are_there() {
    crowd("LOCKSLEEP=1\n:0:\nbox\n", 6, 6);
}

//! Told to end by SIGTERM: what the exit code says of the copies then.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal};

use crate::PROGRAM;

const MAIL: &str = "From a@b  Tue Jan  2 03:04:05 2001\nSubject: x\n\nbody\n";
/// Waits to be ended, and tells so.
const HANGS: &str = "echo >started; while :; do sleep 1; done";

fn start(home: &Path, rc: &str) -> Child {
    fs::write(home.join("rc"), rc).unwrap();
    fs::write(home.join("mail"), MAIL).unwrap();
    Command::new(PROGRAM)
        .args(["DEFAULT=default", "ORGMAIL=default", "./rc"])
        .current_dir(home)
        .stdin(File::open(home.join("mail")).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn wait_for(file: &Path) {
    while !file.exists() {
        std::thread::yield_now();
    }
}

/// The exit code of a delivery that gets the signal when it has made a file `started`.
fn terminated(rc: &str) -> (Option<i32>, tempfile::TempDir) {
    let home = tempfile::tempdir().unwrap();
    let mut child = start(home.path(), rc);
    wait_for(&home.path().join("started"));
    rustix::process::kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    fs::write(home.path().join("go"), "").unwrap();
    (child.wait().unwrap().code(), home)
}

#[test]
fn a_copy_that_keeps_no_mail_does_not_have_it_sent_again() {
    // It ends since it is for another host, while the original waits for the trap.
    let rc = "TRAP='while [ ! -e copied ]; do :; done; echo >started; while [ ! -e go ]; do :; done'\n\
        :0 c\n{\n:0 c\ncopied\nTRAP=\nHOST=elsewhere\n}\n:0\nbox\n";
    let (code, home) = terminated(rc);
    assert_eq!((code, fs::metadata(home.path().join("box")).unwrap().len()), (Some(0), 53));
    // What is called delivered is, whatever comes.
    let rc =
        format!(":0 c\n{{\nDELIVERED=yes\n:0 w\n| while [ ! -s box ]; do :; done; {HANGS}\n}}\n:0\nbox\n");
    let (code, home) = terminated(&rc);
    assert_eq!((code, fs::metadata(home.path().join("box")).unwrap().len()), (Some(0), 53));
}

#[test]
fn a_copy_that_was_to_file_mail_has_it_sent_again() {
    let rc = format!(":0 c\n{{\n:0 w\n| while [ ! -s box ]; do :; done; {HANGS}\n}}\n:0\nbox\n");
    assert_eq!(terminated(&rc).0, Some(75));
}

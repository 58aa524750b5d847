//! Where whoever starts it has taken away something: room in files, memory, the ends of programs.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::PROGRAM;

#[test]
fn a_mail_too_large_for_a_file_is_returned_and_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::write(at("rc"), ":0:\nbox\n:0\nMaildir/\n:0\nplain\n").unwrap();
    fs::write(at("box"), "before\n").unwrap();
    fs::create_dir(at("plain")).unwrap();
    fs::write(at("mail"), format!("Subject: x\n\n{}", "0123456789abcde\n".repeat(10_000))).unwrap();
    let home_path = home.path().display();
    let out = Command::new("/bin/sh")
        .args(["-c", "ulimit -f 40; exec \"$@\"", "sh", PROGRAM])
        .args([format!("DEFAULT={home_path}/default"), format!("ORGMAIL={home_path}/orgmail")])
        .arg("./rc")
        .current_dir(home.path())
        .stdin(File::open(at("mail")).unwrap())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let log = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(73), "{log}");
    let told = "procmail: Error while writing to \"box\"\nprocmail: Truncated file to former size\n";
    assert!(log.starts_with(told), "{log}");
    assert_eq!(fs::read(at("box")).unwrap(), b"before\n");
    for empty in ["default", "orgmail"] {
        assert_eq!(fs::read(at(empty)).unwrap(), b"");
    }
    for empty in ["Maildir/new", "Maildir/tmp", "plain"] {
        assert_eq!(fs::read_dir(at(empty)).unwrap().count(), 0, "{empty}");
    }
    assert!(!at("box.lock").exists() && !at("default.lock").exists());
}

/// Delivers with what a shell has set up before: the exit code and what it said.
fn deliver(home: &Path, setup: &str, rc: &str, mail: &str) -> (Option<i32>, String) {
    fs::write(home.join("rc"), rc).unwrap();
    fs::write(home.join("mail"), mail).unwrap();
    let out = Command::new("/bin/sh")
        .args(["-c", &format!("{setup}; exec \"$@\""), "sh", PROGRAM])
        .args([format!("DEFAULT={}/default", home.display()), "./rc".into()])
        .current_dir(home)
        .stdin(File::open(home.join("mail")).unwrap())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    (out.status.code(), String::from_utf8(out.stderr).unwrap())
}

#[test]
fn the_ends_of_programs_are_known_even_if_whoever_starts_it_ignores_them() {
    let home = tempfile::tempdir().unwrap();
    let rc = ":0fw\n| sed s/body/told/\n:0w\n* ? test -f rc\n| cat >piped\n";
    let (code, log) = deliver(home.path(), "trap '' CHLD", rc, "Subject: x\n\nbody\n");
    assert_eq!(code, Some(0), "{log}");
    assert!(fs::read_to_string(home.path().join("piped")).unwrap().contains("told"), "{log}");
    assert!(!home.path().join("default").exists());
}

#[test]
fn a_mail_for_which_there_is_no_memory_is_to_be_tried_again() {
    let home = tempfile::tempdir().unwrap();
    let mail = format!("Subject: x\n\n{}", "0123456789abcde\n".repeat(4 << 20));
    let (code, log) = deliver(home.path(), "ulimit -v 300000", ":0\nbox\n", &mail);
    assert_eq!(code, Some(75), "{log}");
    assert!(!home.path().join("box").exists());
}

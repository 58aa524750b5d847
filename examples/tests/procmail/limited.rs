//! Where files may not become as large as a mail.

use std::fs::{self, File};
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

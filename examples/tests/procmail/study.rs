//! The long options: rc files looked at rather than obeyed.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::PROGRAM;

const RC: &str = ":0fw : spam.lock\n*   < 256000\n| touch ran; cat\n:0\n* ^Subject:.*cats\ncats\n";
const TIDY: &str = ":0 fw: spam.lock\n* < 256000\n| touch ran; cat\n\n:0\n* ^Subject:.*cats\ncats\n";
const MAIL: &str = "From: a@b\nSubject: more cats\n\nmeow\n";

/// Exit code, standard output, standard error.
fn study(home: &TempDir, arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .current_dir(home.path())
        .env("HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that is not interested may have ended.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let ended = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ended.status.code().unwrap(), text(ended.stdout), text(ended.stderr))
}

fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("rc"), RC).unwrap();
    fs::write(home.path().join("bad"), "}\n").unwrap();
    home
}

#[test]
fn a_check_fails_for_errors_and_not_for_warnings() {
    let home = home();
    let (code, out, err) = study(&home, &["--check", "rc"], "");
    assert_eq!((code, err.as_str()), (0, "errors: 0; warnings and hints: 1\n"));
    assert!(out.starts_with("warning[missing-lock]") && out.contains("--> rc:4:1"), "{out}");
    let (code, out, _) = study(&home, &["--check", "rc", "bad"], "");
    assert_eq!(code, 1);
    assert!(out.contains("error[") && out.contains("--> bad:1:1"), "{out}");
    let (code, _, err) = study(&home, &["--check", "missing"], "");
    assert_eq!((code, err.contains("cannot read \"missing\"")), (66, true), "{err}");
}

#[test]
fn a_mended_file_needs_no_mending() {
    let home = home();
    study(&home, &["--check", "--fix", "rc"], "");
    assert!(fs::read_to_string(home.path().join("rc")).unwrap().contains("\n:0:\n"));
    let (code, out, err) = study(&home, &["--check", "rc"], "");
    assert_eq!((code, out.as_str(), err.as_str()), (0, "", ""));
    let (_, out, _) = study(&home, &["--check", "--fix", "-"], ":0\nbox\n");
    assert_eq!(out, ":0:\nbox\n");
}

#[test]
fn a_file_that_is_replaced_keeps_owner_group_and_mode() {
    for arguments in [["--format", "--in-place", "rc"], ["--check", "--fix", "rc"]] {
        let home = home();
        let rc = home.path().join("rc");
        fs::set_permissions(&rc, fs::Permissions::from_mode(0o640)).unwrap();
        // Only root can give a file away.
        let _ = chown(&rc, Some(1), Some(2));
        let before = fs::metadata(&rc).unwrap();
        study(&home, &arguments, "");
        let after = fs::metadata(&rc).unwrap();
        assert_ne!(after.ino(), before.ino());
        let kept = |data: &fs::Metadata| (data.uid(), data.gid(), data.mode());
        assert_eq!(kept(&after), kept(&before), "{arguments:?}");
    }
}

#[test]
fn a_file_is_laid_out_on_the_standard_output_or_in_place() {
    let home = home();
    assert_eq!(study(&home, &["--format", "rc"], ""), (0, TIDY.into(), String::new()));
    assert_eq!(study(&home, &["--format", "-"], RC), (0, TIDY.into(), String::new()));
    assert_eq!(study(&home, &["--format", "--test", "rc"], ""), (1, "rc\n".into(), String::new()));
    assert_eq!(study(&home, &["--format", "--in-place", "rc"], ""), (0, String::new(), String::new()));
    assert_eq!(fs::read_to_string(home.path().join("rc")).unwrap(), TIDY);
    assert_eq!(study(&home, &["--format", "--test", "rc"], ""), (0, String::new(), String::new()));
}

#[test]
fn an_explanation_delivers_nothing_and_runs_programs_only_when_told_to() {
    let home = home();
    let (code, out, _) = study(&home, &["--explain", "--ascii", "rc"], MAIL);
    assert_eq!(code, 0);
    assert!(out.contains("yes * ^Subject:.*cats") && out.contains("deliver to \"cats\""), "{out}");
    assert!(out.contains("not run: assumed to have ended with 0"), "{out}");
    assert!(!home.path().join("ran").exists());
    let rest = format!("HOME={}", home.path().display());
    let (code, out, _) = study(&home, &["--explain", "--run-programs", &rest, "MAILDIR=.", "rc"], MAIL);
    assert_eq!((code, out.contains("not run")), (0, false), "{out}");
    assert!(!home.path().join("cats").exists());
}

#[test]
fn a_conversion_tells_what_is_not_converted() {
    let home = home();
    let (code, out, err) = study(&home, &["--to-sieve", "rc"], "");
    assert_eq!(code, 1);
    assert!(out.contains("fileinto") && err.starts_with("rc:3:2: not converted"), "{out}{err}");
    fs::write(home.path().join("easy"), ":0\n* ^Subject:.*cats\ncats\n").unwrap();
    assert_eq!(study(&home, &["--to-sieve", "easy"], "").0, 0);
}

#[test]
fn mistakes_on_the_command_line_are_told() {
    let home = home();
    for arguments in [&["--check"][..], &["--check", "--ascii", "rc"], &["--explain", "rc", "bad"]] {
        let (code, out, err) = study(&home, arguments, "");
        assert_eq!((code, out.as_str()), (64, ""), "{arguments:?}");
        assert!(err.starts_with("procmail: expected"), "{err}");
    }
    assert_eq!(study(&home, &["--help"], "").0, 0);
}

#[test]
fn long_options_may_stand_anywhere_and_those_that_are_not_known_deliver_nothing() {
    let home = home();
    fs::write(home.path().join("rc"), ":0:\n./box\n").unwrap();
    let maildir = format!("MAILDIR={}", home.path().display());
    for arguments in
        [&["X=1", "--check", "./rc"][..], &["./rc", "--check"], &["--fix", "--check", "--", "./rc"]]
    {
        assert_eq!(study(&home, arguments, MAIL), (0, String::new(), String::new()), "{arguments:?}");
    }
    for (arguments, expected) in [
        (&["--foo", "./rc"][..], "found \"--foo\"; nothing is delivered"),
        (&["--chek", "./rc"], "found \"--chek\" (did you mean --check?)"),
        (&["--sieve=./rc"], "found \"--sieve=./rc\" (did you mean --to-sieve?)"),
        (&[&maildir, "./rc", "--fmt"], "found \"--fmt\" (did you mean --format?)"),
        (&["--fix", "./rc"], "expected --check beside \"--fix\""),
        (&["--check", "--ascii", "./rc"], "goes with --check, found \"--ascii\""),
        (&["--check", "--format", "./rc"], "goes with --check, found \"--format\""),
        (&["-t", "--check", "./rc"], "goes with --check, found \"-t\""),
    ] {
        let (code, out, err) = study(&home, arguments, MAIL);
        assert_eq!((code, out.as_str()), (64, ""), "{arguments:?}: {err}");
        assert!(err.contains(expected), "{arguments:?}: {err}");
    }
    assert!(!home.path().join("box").exists());
    // What is a value or an argument of the rc file is no option.
    for arguments in [&["-a", "--chek", "./rc"][..], &["-m", "./rc", "--chek"], &["--", "./rc"]] {
        assert_eq!(study(&home, arguments, MAIL), (0, String::new(), String::new()), "{arguments:?}");
        fs::remove_file(home.path().join("box")).unwrap();
    }
}

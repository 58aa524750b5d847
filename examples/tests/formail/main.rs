//! `formail` and `lockfile` over cases that were recorded from procmail 3.22.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail where it stands")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    inputs: BTreeMap<String, String>,
    case: Vec<Case>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    tool: Option<String>,
    args: Vec<String>,
    #[serde(default)]
    input: String,
    /// The name of an input that several cases share.
    #[serde(default)]
    shared: Option<String>,
    /// Shell commands that prepare the directory.
    #[serde(default)]
    before: Option<String>,
    #[serde(default)]
    code: i32,
    #[serde(default)]
    output: String,
    /// Whether the output is that of the case `plain`.
    #[serde(default)]
    same: bool,
    #[serde(default)]
    errors: Option<String>,
    #[serde(default)]
    files: Vec<File>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
struct File {
    name: String,
    mode: u32,
    content: String,
}

fn program(tool: Option<&str>) -> &'static str {
    match tool {
        Some("lockfile") => env!("CARGO_BIN_EXE_lockfile"),
        _ => env!("CARGO_BIN_EXE_formail"),
    }
}

fn command(tool: Option<&str>, directory: &Path) -> Command {
    // The umask decides on the modes of what is made.
    let mut command = Command::new("sh");
    command.args(["-c", "umask 022; exec \"$0\" \"$@\"", program(tool)]);
    command.current_dir(directory).env_clear().env("PATH", "/usr/bin:/bin").env("TZ", "UTC");
    command
}

/// Puts `@TIME@` in place of dates of this century's third decade and later.
fn without_dates(text: &str) -> String {
    const LENGTH: usize = "Tue Jan  2 03:04:05 2001".len();
    let is_date = |text: &str| {
        let days = ["Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat ", "Sun "];
        days.iter().any(|day| text.starts_with(day))
            && text.get(..LENGTH).is_some_and(|date| date.as_bytes()[13] == b':' && &date[20..] > "2020")
    };
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if is_date(rest) {
            out.push_str("@TIME@");
            rest = &rest[LENGTH..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

fn files(directory: &Path) -> Vec<File> {
    let mut files: Vec<File> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            File {
                name: path.file_name().unwrap().to_str().unwrap().to_owned(),
                mode: path.metadata().unwrap().permissions().mode() & 0o7777,
                content: String::from_utf8(std::fs::read(&path).unwrap()).unwrap(),
            }
        })
        .collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

#[test]
fn the_programs_answer_as_those_of_procmail() {
    let cases: Cases = toml::from_str(include_str!("cases.toml")).unwrap();
    let plain = cases.case.iter().find(|case| case.name == "plain").unwrap().output.clone();
    assert_eq!(cases.case.len(), 196);
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let (cases, plain) = (&cases, &plain);
            scope.spawn(move || {
                for case in cases.case.iter().skip(worker).step_by(8) {
                    let input = case.shared.as_ref().map_or(&case.input, |name| &cases.inputs[name]);
                    run(case, input, if case.same { plain } else { &case.output });
                }
            });
        }
    });
}

fn run(case: &Case, input: &str, output: &str) {
    let dir = tempfile::tempdir().unwrap();
    let name = &case.name;
    if let Some(before) = &case.before {
        let before = format!("umask 022; {before}");
        let done = Command::new("sh").args(["-c", &before]).current_dir(dir.path()).status().unwrap();
        assert!(done.success(), "{name}");
    }
    let mut child = command(case.tool.as_deref(), dir.path())
        .args(&case.args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Some end before they have read it all.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let done = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| without_dates(std::str::from_utf8(bytes).unwrap());
    assert_eq!(text(&done.stdout), output, "{name}");
    let errors = text(&done.stderr);
    match &case.errors {
        Some(expected) => assert_eq!(&errors, expected, "{name}"),
        // What help and versions say is our own affair.
        None => assert_eq!(errors.is_empty(), case.code != 64, "{name}: {errors}"),
    }
    assert_eq!(done.status.code(), Some(case.code), "{name}");
    assert_eq!(files(dir.path()), case.files, "{name}");
}

#[test]
fn a_signal_makes_lockfile_take_its_locks_away() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("held"), "").unwrap();
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let child = command(Some("lockfile"), dir.path())
            .args(["first", "held"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while !dir.path().join("first").exists() {
            assert!(start.elapsed() < Duration::from_secs(60));
            std::thread::yield_now();
        }
        let id = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(id, signal).unwrap();
        let done = child.wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(75));
        assert_eq!(done.stderr, b"lockfile: Signal received, giving up on \"held\"\n");
        assert!(!dir.path().join("first").exists());
    }
}

#[test]
fn a_name_that_is_too_long_is_shortened() {
    let dir = tempfile::tempdir().unwrap();
    let done = command(Some("lockfile"), dir.path()).arg("x".repeat(257)).output().unwrap();
    assert_eq!(done.status.code(), Some(0));
    assert!(dir.path().join("x".repeat(255)).exists());
    assert_eq!(done.stderr.iter().filter(|&&byte| byte == b'\n').count(), 2);
}

#[test]
fn a_large_mailbox_is_split_as_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = command(None, dir.path())
        .args(["-s", "sh", "-c", "cat >/dev/null; echo $FILENO"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let message = format!("From a b\nTo: x\n\n{}\n\n", "line\n".repeat(50_000));
    for number in 0..8 {
        stdin.write_all(message.as_bytes()).unwrap();
        if number > 0 {
            // The message before this one is through, though the input goes on.
            let mut line = [0; 4];
            stdout.read_exact(&mut line).unwrap();
            assert_eq!(line, *format!("{:03}\n", number - 1).as_bytes());
        }
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let most: u64 = most.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(most < 24 * 1024, "{most} KiB");
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn numbers_are_as_wide_as_the_first_however_wide_that_is() {
    let dir = tempfile::tempdir().unwrap();
    let mailbox = dir.path().join("mailbox");
    std::fs::write(&mailbox, "From a b\nTo: x\n\nbody\n\n".repeat(2)).unwrap();
    for (start, second) in [("9", "10"), ("09", "10"), ("007", "008"), ("", "1")] {
        let first = if start.is_empty() { "0" } else { start };
        assert_eq!(file_numbers(&mailbox, start), format!("{first}\n{second}\n"));
    }
    let zeros = "0".repeat(70_000);
    assert_eq!(file_numbers(&mailbox, &format!("{zeros}7")), format!("{zeros}7\n{zeros}8\n"));
}

/// What the programs that get the messages see as `FILENO`.
fn file_numbers(mailbox: &Path, start: &str) -> String {
    let done = command(None, mailbox.parent().unwrap())
        .args(["-s", "sh", "-c", "cat >/dev/null; echo $FILENO"])
        .env("FILENO", start)
        .stdin(std::fs::File::open(mailbox).unwrap())
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn programs_run_side_by_side_and_numbers_begin_where_they_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let mailbox = "From a b\nTo: x\n\nbody\n\n".repeat(5);
    for (options, start, names) in
        [(vec!["-n", "3", "-s"], "07", ["07", "08", "09", "10", "11"]), (vec!["-s"], "none", ["none"; 5])]
    {
        let mut child = command(None, dir.path())
            .args(options)
            .args(["sh", "-c", "cat >/dev/null; echo x >>$FILENO"])
            .env("FILENO", start)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(mailbox.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        for name in names {
            assert!(dir.path().join(name).exists(), "{name}");
        }
    }
    assert_eq!(std::fs::read(dir.path().join("none")).unwrap(), b"x\n".repeat(5));
}

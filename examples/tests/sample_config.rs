//! `postoffice.example.toml` as somebody starts with it.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside of test functions, and a failure is to fail the test"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal};

const SAMPLE: &str = include_str!("../postoffice.example.toml");

/// The command line that the sample gives with these words, run in the folder on free ports.
fn said_there(folder: &Path, words: &str) -> Command {
    let mut lines = SAMPLE.lines().filter_map(|line| line.strip_prefix("#     postoffice "));
    let arguments = lines.find(|line| line.starts_with(words)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_postoffice"));
    command.args(arguments.split(' ').take_while(|word| *word != ">")).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn the_sample_starts_by_the_commands_in_its_first_lines() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("postoffice.toml"), SAMPLE).unwrap();
    let mut passwd = said_there(folder.path(), "passwd").spawn().unwrap();
    passwd.stdin.take().unwrap().write_all(b"secret\n").unwrap();
    let users = passwd.wait_with_output().unwrap();
    assert!(users.status.success());
    std::fs::write(folder.path().join("users"), users.stdout).unwrap();
    let listen = ["--listen", "smtp=127.0.0.1:0", "--listen", "pop3=127.0.0.1:0"];
    let mut server = said_there(folder.path(), "serve").args(listen).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "ready"));
    rustix::process::kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    assert!(server.wait().unwrap().success());
}

#[test]
fn the_sample_without_users_says_what_to_write_where() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("postoffice.toml"), SAMPLE).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_postoffice"));
    command.args(["serve", "--config", "postoffice.toml"]).current_dir(folder.path());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let error = String::from_utf8(output.stderr).unwrap();
    let line = "alice = \"PASSWORD\"";
    assert!(error.contains(&format!("under [users] in postoffice.toml a line such as {line}")), "{error}");
    assert!(SAMPLE.contains("\n[users]\n#: alice = "));
}

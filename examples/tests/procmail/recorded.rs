//! The recorded cases of the engine, played through the program: exit code, files, modes, logs.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use crate::PROGRAM;
use crate::archive::{self, Case};
use crate::scene::{self, Played, Scene};

/// Usage and version, whose wording is its own.
const WORDED: [&str; 2] = ["cli-h", "cli-v"];
/// Cases that tell the name, home or shell of who runs them: root, with bash.
const OF_ROOT: [&str; 4] = ["cli-m-env", "var-env-preset", "var-env-p", "var-env-export"];

fn play_group(text: &[u8]) {
    let only = std::env::var("CASE").ok();
    let as_root = std::env::var_os("HOME").is_some_and(|home| home == "/root");
    let cases: Vec<Case> = archive::parse(text)
        .into_iter()
        .filter(|case| !WORDED.contains(&case.name.as_str()))
        .filter(scene::can_be_played)
        .filter(|case| as_root || !OF_ROOT.contains(&case.name.as_str()))
        .filter(|case| only.as_ref().is_none_or(|only| case.name.contains(only.as_str())))
        .collect();
    let report: String = std::thread::scope(|scope| {
        let threads: Vec<_> = cases
            .iter()
            .map(|case| scope.spawn(move || (&case.name, scene::differences(case, run))))
            .collect();
        let ended = threads.into_iter().map(|thread| thread.join().unwrap());
        let differing = ended.filter(|(_, differences)| !differences.is_empty());
        differing.map(|(name, text)| format!("=== {name}\n{text}")).collect()
    });
    assert!(report.is_empty(), "of {} cases, these differ\n{report}", cases.len());
}

fn run(case: &Case, verbose: bool) -> Played {
    let scene = Scene::new(case, tidy);
    let mail = scene.stderr().with_file_name("mail");
    let stdout = scene.stderr().with_file_name("stdout");
    fs::write(&mail, Scene::mail(case)).unwrap();
    let mut command = Command::new("/bin/sh");
    // Whoever is left running holds the pipe open.
    let script = "exec 3>&1 >\"$1\"; shift; exec \"$0\" \"$@\"";
    command.args(["-c", script, PROGRAM]).arg(&stdout).args(scene.arguments(case, verbose));
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &scene.home).env("LOGNAME", "root");
    command.env("TZ", "UTC").env("LC_ALL", "C").current_dir(&scene.home);
    for line in scene.text(case, "env").lines() {
        let (name, value) = line.split_once('=').unwrap();
        command.env(name, value);
    }
    command.stdin(File::open(mail).unwrap());
    command.stdout(Stdio::piped()).stderr(File::create(scene.stderr()).unwrap());
    let ended = command.spawn().unwrap().wait_with_output().unwrap();
    scene.look(ended.status.code().unwrap_or(-1), &fs::read(stdout).unwrap())
}

/// Gives what differs from run to run the names that it has in the recordings.
fn tidy(bytes: &[u8]) -> Vec<u8> {
    let host = rustix::system::uname().nodename().to_bytes().to_vec();
    let bytes = scene::replace(bytes, PROGRAM.as_bytes(), b"/usr/bin/procmail");
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let inside_word = at > 0 && is_word(bytes[at - 1]);
        let (length, name): (usize, &[u8]) = if let Some(length) = stamp(rest) {
            (length, b"")
        } else if let Some(length) = date(rest) {
            (length, b"@CTIME@")
        } else if let Some(length) = maildir_name(rest, &host).filter(|_| !inside_word) {
            (length, b"@MAILDIR@")
        } else if let Some(length) = temporary_name(rest, &host) {
            (length, b"@TMP@")
        } else if let Some(length) = inode_name(rest).filter(|_| !inside_word) {
            out.extend_from_slice(&rest[..length.0]);
            (length.1, b"@INO@")
        } else if rest.starts_with(&host)
            && !inside_word
            && !rest.get(host.len()).is_some_and(|&byte| is_word(byte))
        {
            (host.len(), b"@HOST@")
        } else {
            (1, &rest[..1])
        };
        out.extend_from_slice(name);
        at += length;
    }
    out
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// `procmail: [process] date` of verbose mode.
fn stamp(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(b"procmail: [")?;
    let number = digits(rest);
    rest[number..].starts_with(b"] ").then_some(())?;
    memchr::memchr(b'\n', text).map(|at| at + 1)
}

/// A date of these years, as ctime(3) writes it.
fn date(text: &[u8]) -> Option<usize> {
    const PATTERN: &[u8] = b"Aaa Aaa  d dd:dd:dd 20dd";
    let fits = |(&pattern, &byte): (&u8, &u8)| match pattern {
        b'A' => byte.is_ascii_uppercase(),
        b'a' => byte.is_ascii_lowercase(),
        b'd' => byte.is_ascii_digit(),
        b' ' => byte == b' ' || byte.is_ascii_digit(),
        other => byte == other,
    };
    let text = text.get(..PATTERN.len())?;
    (PATTERN.iter().zip(text).all(fits) && text[22] >= b'2').then_some(PATTERN.len())
}

/// `seconds.process_number.host`
fn maildir_name(text: &[u8], host: &[u8]) -> Option<usize> {
    let seconds = digits(text);
    let process = digits(text.get(seconds..)?.strip_prefix(b".")?);
    let number_at = seconds + 1 + process;
    let number = digits(text.get(number_at..)?.strip_prefix(b"_")?);
    let host_at = number_at + 1 + number;
    text.get(host_at..)?.strip_prefix(b".")?.starts_with(host).then_some(())?;
    (seconds >= 9 && process > 0 && number > 0).then_some(host_at + 1 + host.len())
}

/// `_letters.letters.host`
fn temporary_name(text: &[u8], host: &[u8]) -> Option<usize> {
    let letters = |text: &[u8]| text.iter().take_while(|&&byte| is_word(byte) || byte == b'-').count();
    let first = letters(text.strip_prefix(b"_")?);
    let second_at = first + 2;
    let second = letters(text.get(second_at..)?);
    let host_at = second_at + second;
    text.get(host_at..)?.strip_prefix(b".")?.starts_with(host).then_some(host_at + 1 + host.len())
}

/// `msg.letters`, or with another prefix that the cases use: the length of the prefix, and of all.
fn inode_name(text: &[u8]) -> Option<(usize, usize)> {
    let prefix = if text.starts_with(b"msg.") {
        4
    } else if text.starts_with(b"m-") {
        2
    } else {
        return None;
    };
    let letters = text[prefix..].iter().take_while(|&&byte| is_word(byte) || byte == b'-').count();
    (letters > 0).then_some((prefix, prefix + letters))
}

macro_rules! groups {
    ($($test:ident: $file:literal,)*) => {
        $(#[test]
        fn $test() {
            play_group(include_bytes!(concat!("../../../procmail-engine/tests/recorded/cases/", $file, ".cases")));
        })*
    };
}

groups! {
    actions_end_as_recorded: "act",
    rc_files_are_read_as_recorded: "basic",
    command_lines_work_as_recorded: "cli",
    conditions_match_as_recorded: "cond",
    flags_work_as_recorded: "flag",
    includes_work_as_recorded: "inc",
    locks_are_taken_as_recorded: "lock",
    mailboxes_are_written_as_recorded: "mbox",
    recipes_of_the_manual_work_as_recorded: "manual",
    common_recipes_work_as_recorded: "real",
    expressions_match_as_recorded: "regex",
    scores_add_up_as_recorded: "score",
    switches_work_as_recorded: "switch",
    variables_work_as_recorded: "var",
}

//! Hostile expressions over a mail of 10 MiB: `cargo bench --bench hostile`. Prints a line for each: our time, that of a
//! mail of 5 MiB, which is to be about half of it, and that of the installed procmail, which is given up after a minute.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use procmail_engine::regex::{Case, Regex};

const PROCMAIL: &str = "/usr/bin/procmail";
const SIZE: usize = 10 << 20;

const EXPRESSIONS: [&str; 7] = [
    "(a*)*b",
    "(a|aa)*$c",
    "(a+)+b",
    "(a?)(a?)(a?)(a?)(a?)(a?)(a?)(a?)aaaaaaaab",
    "(.*)(.*)(.*)(.*)(.*)(.*)x",
    "(x+x+)+y",
    "a.*b.*c.*d.*e.*f",
];

fn body(size: usize) -> Vec<u8> {
    b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
        .iter()
        .copied()
        .cycle()
        .take(size)
        .collect()
}

fn ours(expression: &str, text: &[u8]) -> Duration {
    let start = Instant::now();
    assert!(!Regex::new(expression.as_bytes(), Case::Fold).is_match(text), "{expression} matches nothing");
    start.elapsed()
}

fn theirs(expression: &str, body: &[u8]) -> Option<Duration> {
    let rc = std::env::temp_dir().join(format!("bench-hostile-{}", std::process::id()));
    std::fs::write(&rc, format!("DEFAULT=/dev/null\n:0 B\n* {expression}\n/dev/null\n")).ok()?;
    let start = Instant::now();
    let mut child = Command::new("timeout")
        .args(["60", PROCMAIL, "SHELL=/bin/sh"])
        .arg(&rc)
        .stdin(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take()?;
    let _ = stdin.write_all(b"From a@b Tue Jan  2 03:04:05 2001\nSubject: x\n\n").and_then(|()| stdin.write_all(body));
    drop(stdin);
    let status = child.wait().ok()?;
    let _ = std::fs::remove_file(rc);
    status.success().then(|| start.elapsed())
}

fn main() {
    let text = body(SIZE);
    for expression in EXPRESSIONS {
        let (whole, half) = (ours(expression, &text), ours(expression, &text[..SIZE / 2]));
        let procmail = match Path::new(PROCMAIL).exists().then(|| theirs(expression, &text)) {
            None => "not installed".to_owned(),
            Some(None) => "over a minute".to_owned(),
            Some(Some(time)) => format!("{:.2} s", time.as_secs_f64()),
        };
        println!(
            "{expression:45} ours {:6.1} ms (half the mail {:6.1} ms), procmail {procmail}",
            whole.as_secs_f64() * 1e3,
            half.as_secs_f64() * 1e3,
        );
    }
}

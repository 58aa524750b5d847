//! Filtering a mail of 5 KiB by an rc file of 50 recipes, of which the last delivers: the engine embedded, a program that
//! makes the same tests with the `regex` crate, and the installed procmail, spawned.

use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use procmail_engine::effect::{Delivered, Effect, Note, Outcome};
use procmail_engine::eval::{Evaluator, Fate, Setup, Step};
use procmail_engine::mail::Mail;
use procmail_engine::regex::{Library, expand_macros};
use procmail_engine::syntax::Rc;
use regex::bytes::{Regex, RegexBuilder};

const PROCMAIL: &str = "/usr/bin/procmail";

/// Flags and expression of a recipe.
fn tests() -> Vec<(&'static str, String)> {
    let mut tests: Vec<(&str, String)> = (0..49)
        .map(|number| match number % 7 {
            0 => ("", format!(r"^Subject:.*\[list-{number}\]")),
            1 => ("", format!(r"^From:.*(joe|jane){number}@example\.(com|org)")),
            2 => ("", format!(r"^TO_project-{number}@lists\.example\.org")),
            3 => ("", format!(r"^List-Id:.*<announce{number}\.")),
            4 => ("", format!(r"^X-Spam-Level: \*\*\*\*\*.*{number}")),
            5 => ("B", format!(r"unsubscribe.*click{number} here")),
            _ => ("", format!(r"^(To|Cc):.*team{number}@(mail\.)?example\.net")),
        })
        .collect();
    tests.push(("", "^Subject:.*quarterly report".to_owned()));
    tests
}

fn rc() -> String {
    let recipe = |(number, (flags, expression)): (usize, (&str, String))| {
        format!(":0{flags}\n* {expression}\nfolder-{number}\n\n")
    };
    tests().into_iter().enumerate().map(recipe).collect()
}

fn mail() -> Vec<u8> {
    let mut mail = b"From jane@example.org Tue Jan  2 03:04:05 2001\n".to_vec();
    for hop in 0..6 {
        let line = format!(
            "Received: from relay{hop}.example.net (relay{hop}.example.net [192.0.2.{hop}])\n\tby mx.example.org with \
             ESMTPS id 4F2A{hop}\n\tfor <joe@example.org>; Tue, 2 Jan 2001 03:04:0{hop} +0000\n"
        );
        mail.extend_from_slice(line.as_bytes());
    }
    mail.extend_from_slice(
        b"From: Jane Doe <jane@example.org>\nTo: Joe <joe@example.org>, team@example.net\nCc: office@example.net\n\
          Subject: Re: the quarterly report\nMessage-ID: <20010102030405.12345@mail.example.org>\n\
          Date: Tue, 2 Jan 2001 03:04:05 +0000\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n",
    );
    while mail.len() < 5 * 1024 {
        mail.extend_from_slice(b"Please find the figures below, and tell me what you think of them before Friday.\n");
    }
    mail
}

fn filter(rc: &Arc<Rc>, expressions: &Library, mail: &[u8]) -> Fate {
    let mut setup = Setup::new().variable("HOME", "/home/joe").variable("DEFAULT", "/var/mail/joe");
    setup.rc_files.push(b".procmailrc".to_vec());
    setup.expressions = expressions.clone();
    let mut evaluator = Evaluator::new(setup, Mail::new(mail.to_vec()));
    loop {
        let outcome = match evaluator.step() {
            Step::Finished(finished) => return finished.fate,
            Step::Effect(Effect::ReadRc(_)) => Outcome::Parsed(rc.clone()),
            Step::Effect(Effect::Deliver(deliver)) => {
                let size = Some(deliver.content.for_mbox().len() as u64);
                Outcome::Delivered(Delivered { notes: vec![Note::Folder(deliver.folders[0].clone())], size })
            }
            Step::Effect(_) => Outcome::Done,
        };
        evaluator.answer(outcome);
    }
}

fn compiled() -> Vec<(bool, Regex)> {
    let compile = |(flags, expression): (&str, String)| {
        let pattern = expand_macros(expression.as_bytes()).pattern.into_owned();
        let regex = RegexBuilder::new(&String::from_utf8(pattern).expect("it is ASCII"))
            .case_insensitive(true)
            .multi_line(true)
            .unicode(false)
            .build();
        (flags == "B", regex.expect("it is an expression in both languages"))
    };
    tests().into_iter().map(compile).collect()
}

/// What someone would write who knows the rules beforehand.
fn by_hand(tests: &[(bool, Regex)], mail: &[u8]) -> Option<(usize, Vec<u8>)> {
    let mail = mail.to_vec();
    let end = mail.windows(2).position(|pair| pair == b"\n\n").map_or(mail.len(), |at| at + 2);
    let (header, body) = mail.split_at(end);
    let mut joined = header.to_vec();
    for at in 1..joined.len() {
        if joined[at - 1] == b'\n' && matches!(joined[at], b' ' | b'\t') {
            joined[at - 1] = b' ';
        }
    }
    let folder = tests.iter().position(|(in_body, regex)| regex.is_match(if *in_body { body } else { &joined }))?;
    Some((folder, mail))
}

fn spawned(home: &Path, mail: &[u8]) {
    let mut child = Command::new(PROCMAIL)
        .arg(format!("HOME={}", home.display()))
        .arg(format!("MAILDIR={}", home.display()))
        .arg(home.join("rc"))
        .stdin(Stdio::piped())
        .spawn()
        .expect("procmail is installed");
    child.stdin.take().expect("it is piped").write_all(mail).expect("procmail reads");
    assert!(child.wait().expect("it is a child").success());
}

fn benches(criterion: &mut Criterion) {
    let mail = mail();
    let rc_text = rc();
    let rc = Arc::new(Rc::parse(rc_text.clone().into_bytes()));
    let expressions = Library::default();
    let tests = compiled();
    assert_eq!(filter(&rc, &expressions, &mail), Fate::Delivered);
    assert_eq!(by_hand(&tests, &mail).map(|found| found.0), Some(49));

    let mut group = criterion.benchmark_group("procmail");
    group.throughput(Throughput::Elements(1));
    group.bench_function("embedded", |bencher| bencher.iter(|| filter(&rc, &expressions, black_box(&mail))));
    group.bench_function("by hand, with regex", |bencher| bencher.iter(|| by_hand(&tests, black_box(&mail))));
    if Path::new(PROCMAIL).exists() {
        let home = std::env::temp_dir().join(format!("bench-procmail-{}", std::process::id()));
        std::fs::create_dir_all(&home).expect("a folder can be made");
        // So that no folder grows.
        std::fs::write(home.join("rc"), rc_text.replace("\nfolder-49\n", "\n/dev/null\n")).expect("it can be written");
        group.sample_size(20);
        group.bench_function("procmail, spawned", |bencher| bencher.iter(|| spawned(&home, &mail)));
        std::fs::remove_dir_all(&home).expect("it was made above");
    }
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);

//! Random rc files, given to the evaluator and to the installed procmail: both are to log the same.
//!
//! Without procmail there is nothing to compare with, and the tests pass. `DIFFERENTIAL_RUNS` sets how many rc files are
//! tried (a rc file has dozens of conditions), `DIFFERENTIAL_SEED` where to start.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use procmail_engine::effect::{Delivered, Effect, Exit, Note, Outcome, Ran};
use procmail_engine::eval::{Evaluator, Setup, Step};
use procmail_engine::mail::Mail;

const MAIL: &[u8] = b"From a@b Tue Jan  2 03:04:05 2001\nSubject: x\n\nb\n";
const PROGRAM: &str = "/usr/bin/procmail";

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn text(&mut self, from: &[&str], longest: usize) -> String {
        (0..=self.below(longest)).map(|_| self.pick(from)).collect()
    }
}

fn ours(rc: &[u8], home: &str) -> String {
    let mut setup = Setup::new().variable("HOME", home).variable("DEFAULT", "d").variable("SHELL", "/bin/sh");
    setup.assignments = vec![b"VERBOSE=yes".to_vec()];
    setup.rc_files = vec![b"rc".to_vec()];
    setup.directory = Some(home.into());
    let mut evaluator = Evaluator::new(setup, Mail::new(MAIL.to_vec()));
    let mut log = Vec::new();
    loop {
        match evaluator.step() {
            Step::Finished(_) => return String::from_utf8_lossy(&log).into_owned(),
            Step::Effect(effect) => {
                let outcome = match effect {
                    Effect::Log(text) => {
                        log.extend(text.text);
                        continue;
                    }
                    Effect::ReadRc(_) => Outcome::Read(rc.to_vec()),
                    Effect::Deliver(deliver) => Outcome::Delivered(Delivered {
                        notes: vec![Note::Folder(deliver.folders[0].clone())],
                        size: Some(0),
                    }),
                    Effect::Run(_) => Outcome::Ran(Ran::ended(Exit::Code(0))),
                    _ => Outcome::Done,
                };
                evaluator.answer(outcome);
            }
        }
    }
}

/// Nothing if procmail hangs, as it does on some expressions.
fn real(rc: &[u8], home: &Path) -> Option<String> {
    fs::write(home.join("rc"), rc).unwrap();
    let _ = fs::remove_file(home.join("log"));
    let name = home.to_str().unwrap();
    let mut child = Command::new("timeout")
        .args(["-s", "KILL", "2", PROGRAM])
        .args([
            format!("HOME={name}"),
            "SHELL=/bin/sh".into(),
            format!("DEFAULT={name}/d"),
            format!("ORGMAIL={name}/o"),
        ])
        .args([format!("LOGFILE={name}/log"), "VERBOSE=yes".into(), format!("{name}/rc")])
        .current_dir(home)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(MAIL).unwrap();
    let status = child.wait().unwrap();
    let log = String::from_utf8_lossy(&fs::read(home.join("log")).unwrap()).into_owned();
    status.success().then_some(log)
}

/// What both should have logged: all between the start of the rc file and the delivery.
fn comparable(log: &str) -> Vec<String> {
    log.split_inclusive("procmail: ")
        .map(|message| message.trim_end_matches("procmail: ").to_owned())
        .filter(|message| !(message.starts_with('[') && message.ends_with('\n')))
        .skip_while(|message| !message.starts_with("Assigning \"MAILDIR="))
        .skip(1)
        .take_while(|message| {
            !message.starts_with("Locking") && !message.starts_with("Assigning \"LASTFOLDER")
        })
        .collect()
}

fn compare(name: &str, mut make: impl FnMut(&mut Random) -> String) {
    if !Path::new(PROGRAM).exists() {
        return;
    }
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let mut random = Random(number("DIFFERENTIAL_SEED", 0x9e37_79b9_7f4a_7c15));
    let home = tempfile::tempdir().unwrap();
    let mut differences = 0;
    let runs = number("DIFFERENTIAL_RUNS", 20);
    for _ in 0..runs {
        let rc = make(&mut random);
        let Some(real) = real(rc.as_bytes(), home.path()) else { continue };
        let expected = comparable(&real);
        let got = comparable(&ours(rc.as_bytes(), home.path().to_str().unwrap()));
        if expected != got {
            differences += 1;
            let at = expected.iter().zip(&got).take_while(|(one, other)| one == other).count();
            let around =
                |log: &[String]| log[at.saturating_sub(3).min(log.len())..(at + 3).min(log.len())].concat();
            println!("--- {name}, real:\n{}--- ours:\n{}", around(&expected), around(&got));
            if std::env::var_os("DIFFERENTIAL_SHOW").is_some() {
                println!("--- rc:\n{rc}");
            }
        }
    }
    assert_eq!(differences, 0, "of {runs} rc files differ");
}

/// An expression with balanced parentheses. Procmail's ways with `^^` and `\/` in odd places, and with quantifiers behind
/// those, are not ours.
fn expression(random: &mut Random, depth: usize) -> String {
    let mut out = String::new();
    for _ in 0..=random.below(4) {
        let atom = match random.below(if depth > 2 { 12 } else { 15 }) {
            0..=4 => random.pick(&["a", "b", "c", "A", " "]).to_owned(),
            5 => ".".to_owned(),
            6 => random.pick(&["[ab]", "[^a]", "[^-b]", "[b-a]", "[]a]", "[a-]"]).to_owned(),
            7 if !out.ends_with('^') => "^".to_owned(),
            7 => "b".to_owned(),
            8 => "$".to_owned(),
            9 => random.pick(&["\\<", "\\>"]).to_owned(),
            10 => random.pick(&["\\.", "\\*", "\\a", "\\\\"]).to_owned(),
            11 => "()".to_owned(),
            12 => format!("({})", expression(random, depth + 1)),
            _ => format!("({}|{})", expression(random, depth + 1), expression(random, depth + 1)),
        };
        out += &atom;
        if random.below(3) == 0 {
            out += random.pick(&["*", "+", "?"]);
        }
    }
    out
}

fn subject(random: &mut Random) -> String {
    random.text(&["a", "a", "b", "b", "c", "A", " ", "\n", "\n"], 8)
}

#[test]
fn expressions_match_the_same() {
    compare("expressions", |random| {
        let mut rc = String::new();
        for _ in 0..60 {
            let (start, end) = (random.pick(&["()", "()", "^^"]), random.pick(&["()", "()", "^^"]));
            let left = expression(random, 0);
            // Matches that take the newline thought at the end are counted differently.
            let counted = !left.contains(['^', '$', '<', '>']) && end == "()";
            let weights: &[&str] = if counted { &["", "1^1 ", "2^.5 ", "-3^2 "] } else { &["", "! "] };
            let weight = random.pick(weights);
            let pattern = match random.below(4) {
                // Right of the mark, newlines and anchors have ways of their own.
                0 if end == "()" => {
                    let right = random.pick(&["a", "a*", ".*", ".+", "[ab]+", "(a|ab|b)+", "b?a*"]);
                    format!("{left}\\/{right}")
                }
                _ => left,
            };
            let subject = subject(random);
            rc += &format!("X=\"{subject}\"\n:0\n* {weight}X ?? {start}{pattern}{end}\n{{ }}\n");
        }
        rc
    });
}

/// Texts with quotes and variables, in assignments.
#[test]
fn texts_expand_the_same() {
    const PIECES: [&str; 23] = [
        "a",
        "b",
        "c",
        "\"x y\"",
        "\"$A\"",
        "$A",
        "${A}",
        "$B",
        "${U}",
        "${U-d}",
        "${A+e}",
        "${A:-f}",
        "${E:-g}",
        "${E-h}",
        "'q $A'",
        "\\\\",
        "\\$",
        "\\\"",
        "#",
        "\"\\n\"",
        "$\\A",
        "\"${U:-z $A}\"",
        "${U+i}",
    ];
    compare("texts", |random| {
        let mut rc = "A='one two'\nB=b.c\nE=\n".to_owned();
        for number in 0..40 {
            rc += &format!("V{number}={}\n", random.text(&PIECES, 5));
            let condition = random.text(&PIECES, 3);
            rc += &format!(":0\n* $ V{number} ?? {condition}\n{{ W={number} }}\n");
        }
        rc
    });
}

/// Recipes with the flags that make chains.
#[test]
fn chains_of_recipes_are_followed_the_same() {
    compare("chains", |random| {
        let mut rc = String::new();
        let mut open = 0;
        for number in 0..40 {
            let flags: String =
                (0..random.below(3)).map(|_| random.pick(&["A", "a", "E", "e", "D", "B"])).collect();
            let condition =
                random.pick(&["* ^Subject: x", "* ^Subject: y", "* ! ^From", "* B ?? b", "* 1^0 ^From", ""]);
            let action = random.pick(&["{ V=1 }", "{ V=2 W }", "{", "{ }"]);
            rc += &format!(":0 {flags}\n{condition}\n{action}\n");
            open += usize::from(action == "{");
            if open > 0 && random.below(3) == 0 {
                open -= 1;
                rc += "}\n";
            }
            rc += &format!("N={number}\n");
        }
        rc + &"}\n".repeat(open)
    });
}

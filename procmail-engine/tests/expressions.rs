//! Many short expressions and texts, given to our matcher and to the installed procmail: both are to find the same.
//!
//! Two hundred of them go into one rc file, so that a million takes minutes. Without procmail there is nothing to compare
//! with, and the test passes. `EXPRESSIONS` sets how many are tried, `EXPRESSIONS_SEED` where to start.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use procmail_engine::regex::{Case, Regex};

const PROGRAM: &str = "/usr/bin/procmail";
const BATCH: usize = 200;

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

    fn text(&mut self) -> String {
        (0..self.below(9)).map(|_| self.pick(&["a", "a", "b", "b", "c", "A", "_", " ", "\n", "\n"])).collect()
    }

    /// Up to four items with quantifiers, and whether it can match nothing. Procmail misses matches of empty alternatives,
    /// and never ends on a repeated group that can match nothing: there are none.
    fn sequence(&mut self, depth: usize) -> (String, bool) {
        let (mut out, mut empty) = (String::new(), true);
        for _ in 0..=self.below(4) {
            let plain = |text: &str| (text.to_owned(), false);
            let (atom, optional) = match self.below(if depth > 2 { 15 } else { 20 }) {
                0..=5 => plain(self.pick(&["a", "b", "c", "A", " "])),
                6 => plain("."),
                7 => plain(self.pick(&["[ab]", "[^a]", "[^-b]", "[b-a]", "[]a]", "[a-]", "[a-c]"])),
                8 if !out.ends_with('^') => plain("^"),
                8 => plain("b"),
                9 => plain("$"),
                10 => plain(self.pick(&["\\<", "\\>"])),
                11 => plain(self.pick(&["\\.", "\\*", "\\a"])),
                12 => ("()".to_owned(), true),
                13 if depth == 0 && !out.ends_with('^') => ("^^".to_owned(), true),
                13 | 14 => plain("a"),
                15 | 16 => {
                    let (inner, optional) = self.sequence(depth + 1);
                    (format!("({inner})"), optional)
                }
                _ => {
                    let (one, other) = (self.sequence(depth + 1), self.sequence(depth + 1));
                    (format!("({}|{})", one.0, other.0), one.1 || other.1)
                }
            };
            out += &atom;
            let quantifier = if optional || self.below(3) > 0 { "" } else { self.pick(&["*", "+", "?"]) };
            out += quantifier;
            empty &= optional || matches!(quantifier, "*" | "?");
        }
        (out, empty)
    }

    /// With a mark now and then, behind what people write before one.
    fn expression(&mut self) -> String {
        if self.below(4) > 0 {
            let expression = format!("(){}", self.sequence(0).0);
            // A blank at the end would be taken off.
            return if expression.ends_with(' ') { expression + "a" } else { expression };
        }
        let left = self.pick(&[
            "()", "^", "^^", "^a", "^.*", "^[ab]*", "a", "(a|b)", "^(a|b)*", ".", "b.*", "^a +", "c?",
        ]);
        let right = self.pick(&[
            "a",
            ".*",
            ".+",
            "[ab]+",
            "[ab]*c",
            "(a|ab|b)+",
            "b?a*",
            "[^ ]+",
            "[^ ]*",
            "a.*$",
            ".*b",
            "[a-c]+ ?",
        ]);
        format!("{left}\\/{right}")
    }
}

/// What the log tells of each expression.
fn real(home: &Path, batch: &[(String, String)]) -> Vec<Option<String>> {
    let mut rc = String::new();
    for (number, (expression, text)) in batch.iter().enumerate() {
        rc += &format!("X=\"{text}\"\nLOG=\"#{number}\n\"\n:0\n* X ?? {expression}\n{{ }}\n");
    }
    fs::write(home.join("rc"), rc).unwrap();
    let log = home.join("log");
    let _ = fs::remove_file(&log);
    let mail = home.join("mail");
    fs::write(&mail, "From a@b Tue Jan  2 03:04:05 2001\n\nx\n").unwrap();
    let status = Command::new("timeout")
        .args(["-s", "KILL", "2", PROGRAM, "SHELL=/bin/sh", "DEFAULT=/dev/null"])
        .arg(format!("LOGFILE={}", log.display()))
        .args(["VERBOSE=yes".into(), home.join("rc")])
        .stdin(Stdio::from(fs::File::open(&mail).unwrap()))
        .status()
        .unwrap();
    if !status.success() {
        // On some expressions procmail never ends.
        return match batch {
            [_] => vec![None],
            _ => {
                let (one, other) = batch.split_at(batch.len() / 2);
                [real(home, one), real(home, other)].concat()
            }
        };
    }
    let log = String::from_utf8(fs::read(&log).unwrap()).unwrap();
    let (_, mut rest) = log.split_once("#0\n").unwrap();
    let mut told = Vec::new();
    for number in 1..=batch.len() {
        let end = if number == batch.len() {
            "procmail: Assigning \"LASTFOLDER".into()
        } else {
            format!("#{number}\n")
        };
        let (this, behind) = rest.split_once(&end).unwrap();
        rest = behind;
        told.push(Some(outcome(this)));
    }
    told
}

/// `no`, `yes`, or `yes` with what `MATCH` gets.
fn outcome(log: &str) -> String {
    if log.contains("procmail: No match on \"") {
        return "no".to_owned();
    }
    assert!(log.contains("procmail: Match on \""), "{log}");
    match log.split_once("procmail: Matched \"") {
        Some((_, matched)) => format!("yes: {}", matched.split('"').next().unwrap()),
        None => "yes".to_owned(),
    }
}

fn ours(expression: &str, text: &str) -> String {
    // As in a condition, where a leading backslash is taken off.
    let expression = expression.strip_prefix('\\').unwrap_or(expression);
    match Regex::new(expression.as_bytes(), Case::Fold).find(text.as_bytes(), 0) {
        None => "no".to_owned(),
        Some(found) => found.marked().map_or("yes".to_owned(), |range| format!("yes: {}", &text[range])),
    }
}

#[test]
fn short_expressions_find_the_same_in_short_texts() {
    if !Path::new(PROGRAM).exists() {
        return;
    }
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let mut random = Random(number("EXPRESSIONS_SEED", 0x9e37_79b9_7f4a_7c15));
    let home = tempfile::tempdir().unwrap();
    let count = usize::try_from(number("EXPRESSIONS", 3000)).unwrap();
    let (mut compared, mut differences) = (0, 0);
    while compared < count {
        let batch: Vec<_> = (0..BATCH).map(|_| (random.expression(), random.text())).collect();
        for ((expression, text), real) in batch.iter().zip(real(home.path(), &batch)) {
            compared += 1;
            let Some(real) = real else { continue };
            let ours = ours(expression, text);
            if ours != real {
                differences += 1;
                println!("{expression} in {text:?}: procmail finds {real:?}, we find {ours:?}");
            }
        }
    }
    println!("{compared} expressions compared, {differences} differ");
    assert_eq!(differences, 0, "expressions of {compared} differ");
}

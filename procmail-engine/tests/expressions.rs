//! Many short expressions and texts, given to our evaluator and to the installed procmail: both are to log the same.
//!
//! Hundreds of conditions go into one rc file, so that a million takes minutes. Without procmail there is nothing to
//! compare with, and the test passes. `EXPRESSIONS` sets how many are tried, `EXPRESSIONS_SEED` where to start.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::path::Path;

use common::{Random, SEED, comparable, is_installed, ours, real, setting};
use procmail_engine::regex::{Case, Regex, expand_macros};

/// Conditions in one rc file.
const BATCH: usize = 500;
/// Conditions in a row that look at the same variable.
const SAME_TEXT: usize = 4;
/// What takes longer is taken to go on for ever.
const SECONDS: u64 = 20;

/// Letters that stand for themselves, of both cases, and bytes that are no letters.
const PLAIN: [&[u8]; 16] = [
    b"a", b"a", b"a", b"b", b"b", b"b", b"c", b"A", b"B", b" ", b"_", b"-", b"\xe9", b"\xc9", b"\x80",
    b"\xff",
];
const CLASSES: [&[u8]; 24] = [
    b"[ab]",
    b"[^a]",
    b"[^-b]",
    b"[b-a]",
    b"[]a]",
    b"[a-]",
    b"[a-c]",
    b"[^]a]",
    b"[]-a]",
    b"[^^]",
    b"[a^]",
    b"[a-c-e]",
    b"[--b]",
    b"[-]",
    b"[^-]",
    b"[\\]",
    b"[\\a]",
    b"[\x80-\xff]",
    b"[^\xe9]",
    b"[Z-a]",
    b"[A-b]",
    b"[^A-Z]",
    b"[$]",
    b"[[:alpha:]]",
];
const ESCAPED: [&[u8]; 20] = [
    b"\\.", b"\\*", b"\\a", b"\\\\", b"\\(", b"\\)", b"\\|", b"\\[", b"\\]", b"\\^", b"\\$", b"\\+", b"\\?",
    b"\\n", b"\\ ", b"\\B", b"\\\xe9", b"\\-", b"\\{", b"\\d",
];
const MACROS: [&[u8]; 6] = [b"^TO_", b"^TO", b"^FROM_DAEMON", b"^FROM_MAILER", b"\\^TO_", b"^TO_?"];

/// An alternative: up to five items with what repeats them.
fn sequence(random: &mut Random, depth: usize, out: &mut Vec<u8>) {
    for _ in 0..random.below(5) {
        match random.below(if depth > 2 { 19 } else { 24 }) {
            0..=6 => out.extend_from_slice(random.pick(&PLAIN)),
            7 => out.push(b'.'),
            8 | 9 => out.extend_from_slice(random.pick(&CLASSES)),
            10 => out.push(b'^'),
            11 => out.push(b'$'),
            12 => out.extend_from_slice(random.pick(&[b"\\<", b"\\>"])),
            13 => out.extend_from_slice(random.pick(&ESCAPED)),
            14 => out.extend_from_slice(b"()"),
            15 => out.extend_from_slice(b"^^"),
            16 | 17 => out.extend_from_slice(b"\\/"),
            18 => {
                out.extend_from_slice(random.pick(&[b"*", b"+", b"?", b"{", b"}", b"]", b"/", b".*", b".+"]))
            }
            _ => group(random, depth, out),
        }
        if random.one_in(3) {
            out.extend_from_slice(random.pick::<[u8]>(&[b"*", b"+", b"?", b"*", b"+", b"?", b"**", b"+?"]));
        }
    }
    if random.one_in(500) {
        out.extend_from_slice(random.pick::<[u8]>(&[b"(", b")", b"[", b"[a", b"[^", b"[]", b"[a-"]));
    }
    if random.one_in(300) {
        out.extend_from_slice(random.pick(&MACROS));
    }
}

fn group(random: &mut Random, depth: usize, out: &mut Vec<u8>) {
    out.push(b'(');
    sequence(random, depth + 1, out);
    while random.one_in(2) {
        out.push(b'|');
        if !random.one_in(4) {
            sequence(random, depth + 1, out);
        }
    }
    out.push(b')');
}

fn expression(random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    if random.below(4) > 0 {
        out.extend_from_slice(b"()");
    }
    match random.below(6) {
        // What people write before a mark, and behind it.
        0 => {
            out.extend_from_slice(random.pick::<[u8]>(&[
                b"", b"^", b"^^", b"^a", b"^.*", b"^[ab]*", b"a", b"(a|b)", b"^(a|b)*", b".", b"b.*",
                b"^a +", b"c?",
            ]));
            out.extend_from_slice(b"\\/");
            out.extend_from_slice(random.pick::<[u8]>(&[
                b"a",
                b".*",
                b".+",
                b"[ab]+",
                b"[ab]*c",
                b"(a|ab|b)+",
                b"b?a*",
                b"[^ ]+",
                b"[^ ]*",
                b"a.*$",
                b".*b",
                b"[a-c]+ ?",
                b"$b",
                b"^.*$",
                b"(.|$)*",
                b".*^^",
                b"(^.*)+",
            ]));
        }
        1 => {
            sequence(random, 0, &mut out);
            out.push(b'|');
            sequence(random, 0, &mut out);
        }
        _ => sequence(random, 0, &mut out),
    }
    // What starts a program, an expansion or the name of a variable is not meant.
    let blanks = out.iter().take_while(|&&byte| matches!(byte, b' ' | b'!')).count();
    let names = memchr::memmem::find(&out, b"??").is_some();
    if names || matches!(out.get(blanks), Some(b'?' | b'$')) {
        out.splice(blanks..blanks, *b"()");
    }
    // A backslash at the end would join the next line.
    let slashes = out.iter().rev().take_while(|&&byte| byte == b'\\').count();
    if slashes > 0 {
        out.push(b'a');
    }
    out
}

fn text(random: &mut Random, longest: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..random.below(longest) {
        match random.below(6) {
            0 => out.push(b'\n'),
            1 => out.extend_from_slice(
                random.pick(&[b"*", b"+", b"^", b"$", b"]", b"[", b"(", b"\\", b"/", b"{"]),
            ),
            _ => out.extend_from_slice(random.pick(&PLAIN)),
        }
    }
    out
}

fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for &byte in text {
        if matches!(byte, b'"' | b'$' | b'`' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
    out
}

/// A header whose fields are continued now and then, and a body.
fn mail(random: &mut Random) -> Vec<u8> {
    let mut out = b"From a@b Tue Jan  2 03:04:05 2001\n".to_vec();
    for _ in 0..random.below(4) {
        out.extend_from_slice(random.pick::<[u8]>(&[b"a: ", b"B:", b"To: ", b"Cc:", b"Sender: ", b"From: "]));
        let value = text(random, 12);
        // No empty line, no line without a name.
        for line in value.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            out.extend_from_slice(line);
            out.extend_from_slice(random.pick::<[u8]>(&[b"\n ", b"\n\t", b"\n  "]));
        }
        out.extend_from_slice(b"a\n");
    }
    out.push(b'\n');
    out.extend(text(random, 40));
    if random.one_in(3) {
        out.push(0);
        out.extend(text(random, 8));
    }
    if random.below(3) > 0 {
        out.push(b'\n');
    }
    out
}

/// Whether procmail goes round and round in it, or crashes.
fn is_endless(expression: &[u8]) -> bool {
    let written_out = expand_macros(expression);
    let pattern = written_out.pattern.strip_prefix(b"\\").unwrap_or(&written_out.pattern);
    Regex::new(pattern, Case::Fold).is_endless()
}

/// Whether procmail starts each search for it afresh, when it counts matches. Else, what a search with `\/` left behind hides
/// some of the next: a newline that was taken behind the text, or what went on while there was a match without `\/`.
fn starts_afresh(expression: &[u8]) -> bool {
    let written_out = expand_macros(expression);
    let Some(mark) = memchr::memmem::find(&written_out.pattern, b"\\/") else { return true };
    let (left, right) = written_out.pattern.split_at(mark);
    let left = left.strip_prefix(b"()").unwrap_or(left);
    let left = left.strip_prefix(b"^").unwrap_or(left);
    // One newline is taken by the right part without harm.
    let right = [b"$".as_slice(), b"\\<", b"\\>"]
        .into_iter()
        .find_map(|end| right.strip_suffix(end))
        .unwrap_or(right);
    let none_of = |text: &[u8], bytes: &[u8]| !text.iter().any(|byte| bytes.contains(byte));
    !matches!(left.first(), Some(b'*' | b'+' | b'?'))
        && none_of(left, b"(|^$<>\n")
        && none_of(right, b"|^$<>\n")
}

struct Condition {
    /// What sets the variables that it looks at.
    before: Vec<u8>,
    /// The recipe.
    recipe: Vec<u8>,
}

fn condition(random: &mut Random, same: &mut (usize, Vec<u8>)) -> Condition {
    let expression = loop {
        let expression = expression(random);
        if !is_endless(&expression) {
            break expression;
        }
    };
    if same.0 == 0 {
        *same = (SAME_TEXT, [b"X=", quoted(&text(random, 12)).as_slice(), b"\n"].concat());
    }
    same.0 -= 1;
    let mut before = same.1.clone();
    let (flags, area): (&[u8], &[u8]) = match random.below(10) {
        0 => (b"", b""),
        1 => (b"B", b""),
        2 => (b"HB", b""),
        3 => (b"", random.pick::<[u8]>(&[b"B ?? ", b"H ?? "])),
        4 => (b"", b"HB ??"),
        _ => (b"", b"X ?? "),
    };
    let case: &[u8] = if random.one_in(4) { b"D" } else { b"" };
    let not: &[u8] = if random.one_in(8) { b"! " } else { b"" };
    let weight: &[u8] = if starts_afresh(&expression) && random.one_in(4) {
        random.pick::<[u8]>(&[b"1^1 ", b"2^.5 ", b"-3^2 ", b"1^0 ", b"10^-1 "])
    } else {
        b""
    };
    let mut recipe = [b":0 ".as_slice(), flags, case, b"\n* ", weight, not].concat();
    if random.one_in(10) {
        // The expression, or a part of it, comes out of a variable.
        before.extend([b"R=", quoted(&expression).as_slice(), b"\n"].concat());
        recipe.extend([b"$ ".as_slice(), area, random.pick(&[b"$R", b"${R}", b"()$\\R"])].concat());
    } else {
        recipe.extend([area, &expression].concat());
    }
    recipe.extend_from_slice(b"\n{ }\n");
    Condition { before, recipe }
}

/// What of the log belongs to each condition.
fn logged(log: &[u8]) -> Vec<Vec<u8>> {
    let mut conditions = Vec::new();
    let mut this = Vec::new();
    for message in comparable(log) {
        if message.starts_with(b"Assigning \"NEXT=") {
            conditions.push(std::mem::take(&mut this));
        } else {
            this.extend(message);
        }
    }
    conditions.push(this);
    assert!(!conditions.is_empty(), "{}", log.escape_ascii());
    conditions.remove(0);
    conditions
}

struct Pair {
    home: tempfile::TempDir,
    compared: usize,
    endless: usize,
    differences: usize,
}

impl Pair {
    fn compare(&mut self, conditions: &[Condition], mail: &[u8]) {
        let mut rc = Vec::new();
        for condition in conditions {
            rc.extend_from_slice(&condition.before);
            rc.extend_from_slice(b"NEXT=1\n");
            rc.extend_from_slice(&condition.recipe);
        }
        let home: &Path = self.home.path();
        let Some(real) = real(&rc, mail, home, SECONDS) else {
            if let [one] = conditions {
                self.endless += 1;
                println!("procmail is not done with {}", one.recipe.escape_ascii());
            } else {
                let (one, other) = conditions.split_at(conditions.len() / 2);
                self.compare(one, mail);
                self.compare(other, mail);
            }
            return;
        };
        let (real, ours) = (logged(&real), logged(&ours(&rc, mail, home.to_str().unwrap())));
        self.compared += conditions.len();
        if real == ours {
            return;
        }
        if let [one] = conditions {
            self.differences += 1;
            println!(
                "{} {}in {}\n  procmail: {}\n  ours:     {}",
                one.recipe.escape_ascii(),
                one.before.escape_ascii(),
                mail.escape_ascii(),
                real.concat().escape_ascii(),
                ours.concat().escape_ascii(),
            );
            return;
        }
        self.compared -= conditions.len();
        // Those that differ, one by one.
        let mut found = 0;
        for (number, condition) in conditions.iter().enumerate() {
            if real.get(number) != ours.get(number) {
                found += 1;
                let before = self.differences;
                self.compare(std::slice::from_ref(condition), mail);
                if self.differences == before {
                    self.differences += 1;
                    println!("only among others: {}", condition.recipe.escape_ascii());
                }
            }
            if self.differences > 50 {
                break;
            }
        }
        self.compared += conditions.len() - found.min(conditions.len());
    }
}

#[test]
fn what_matched_ends_at_a_nul_and_is_told_once_for_a_weight_of_one_match() {
    let rc = b":0 B\n* 1^0 ()\\/a.*\n{ }\n";
    let log = ours(rc, b"From a@b Tue Jan  2 03:04:05 2001\n\nxa\0b\nab\n", "/");
    let expected = "Assigning \"MATCH=\"\nMatched \"a\"\nScore:       1       1 \"()\\/a.*\"\n";
    assert_eq!(String::from_utf8_lossy(&comparable(&log).concat()), expected);
}

#[test]
fn short_expressions_find_the_same_in_short_texts() {
    if !is_installed() {
        return;
    }
    let seed = setting("EXPRESSIONS_SEED", SEED);
    let count = usize::try_from(setting("EXPRESSIONS", 3000)).unwrap();
    let mut random = Random(seed);
    let mut pair = Pair { home: tempfile::tempdir().unwrap(), compared: 0, endless: 0, differences: 0 };
    println!("seed {seed}");
    while pair.compared < count && pair.differences <= 50 {
        let mail = mail(&mut random);
        let mut same = (0, Vec::new());
        let conditions: Vec<_> = (0..BATCH).map(|_| condition(&mut random, &mut same)).collect();
        pair.compare(&conditions, &mail);
    }
    let Pair { compared, endless, differences, .. } = pair;
    println!("{compared} expressions compared, {differences} differ, procmail is not done with {endless}");
    assert_eq!(differences, 0, "expressions of {compared} differ");
}

//! Random rc files, given to the evaluator and to the installed procmail: both are to log the same.
//!
//! Without procmail there is nothing to compare with, and the tests pass. `DIFFERENTIAL_RUNS` sets how many rc files are
//! tried (a rc file has dozens of conditions), `DIFFERENTIAL_SEED` where to start.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{Random, SEED, comparable, is_installed, ours, real, setting};

const MAIL: &[u8] = b"From a@b Tue Jan  2 03:04:05 2001\nSubject: x\n\nb\n";

fn compare(name: &str, mut make: impl FnMut(&mut Random) -> String) {
    if !is_installed() {
        return;
    }
    let mut random = Random(setting("DIFFERENTIAL_SEED", SEED));
    let home = tempfile::tempdir().unwrap();
    let mut differences = 0;
    let runs = setting("DIFFERENTIAL_RUNS", 20);
    for _ in 0..runs {
        let rc = make(&mut random);
        let Some(real) = real(rc.as_bytes(), MAIL, home.path(), 2) else { continue };
        let expected = comparable(&real);
        let got = comparable(&ours(rc.as_bytes(), MAIL, home.path().to_str().unwrap()));
        if expected != got {
            differences += 1;
            let at = expected.iter().zip(&got).take_while(|(one, other)| one == other).count();
            let around = |log: &[Vec<u8>]| {
                let some = &log[at.saturating_sub(3).min(log.len())..(at + 3).min(log.len())];
                String::from_utf8_lossy(&some.concat()).into_owned()
            };
            println!("--- {name}, real:\n{}--- ours:\n{}", around(&expected), around(&got));
            if std::env::var_os("DIFFERENTIAL_SHOW").is_some() {
                println!("--- rc:\n{rc}");
            }
        }
    }
    assert_eq!(differences, 0, "of {runs} rc files differ");
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

//! Formatting keeps what an rc file means, and formatting twice is formatting once.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "recorded/archive.rs"]
#[expect(dead_code, reason = "only the files of a case are of interest")]
mod archive;

use procmail_engine::effect::{Delivered, Effect, Exit, Note, Outcome, Output, Ran, Run};
use procmail_engine::eval::{Evaluator, Setup, Step};
use procmail_engine::format::{format, same_meaning};
use procmail_engine::mail::Mail;
use procmail_engine::syntax::{Item, Rc};
use proptest::prelude::*;

const ARCHIVES: &[&[u8]] = &[
    include_bytes!("recorded/cases/act.cases"),
    include_bytes!("recorded/cases/basic.cases"),
    include_bytes!("recorded/cases/cli.cases"),
    include_bytes!("recorded/cases/cond.cases"),
    include_bytes!("recorded/cases/corner.cases"),
    include_bytes!("recorded/cases/flag.cases"),
    include_bytes!("recorded/cases/inc.cases"),
    include_bytes!("recorded/cases/lock.cases"),
    include_bytes!("recorded/cases/manual.cases"),
    include_bytes!("recorded/cases/mbox.cases"),
    include_bytes!("recorded/cases/real.cases"),
    include_bytes!("recorded/cases/regex.cases"),
    include_bytes!("recorded/cases/score.cases"),
    include_bytes!("recorded/cases/skip.cases"),
    include_bytes!("recorded/cases/switch.cases"),
    include_bytes!("recorded/cases/var.cases"),
];

fn comments(rc: &Rc) -> Vec<Vec<u8>> {
    let text = |span: &procmail_engine::syntax::Span| rc.text(*span).trim_ascii_end().to_vec();
    let mut comments = Vec::new();
    for item in rc.items() {
        match item {
            Item::Comment(span) => comments.push(text(span)),
            Item::Recipe(recipe) => comments.extend(recipe.comments.iter().map(text)),
            _ => {}
        }
    }
    comments
}

/// All that an evaluation asks for, when programs end with 0 or 1 in turn and deliveries fail now and then.
fn effects(source: &[u8]) -> Vec<String> {
    let mut setup = Setup::new().variable("DEFAULT", "d").variable("VERBOSE", "yes").variable("HOME", "/h");
    setup.rc_files = vec![b"rc".to_vec()];
    let mut evaluator = Evaluator::new(setup, Mail::new(b"Subject: banana\n\nx\n".to_vec()));
    let mut effects = Vec::new();
    while let Step::Effect(effect) = evaluator.step() {
        let turn = effects.len();
        effects.push(match &effect {
            Effect::Fork { wait, .. } => format!("fork {wait}"),
            // How much output is taken goes by the length of the line so far, its blanks included.
            Effect::Run(run) if matches!(run.output, Output::Capture(_)) => {
                format!("{:?}", Run { output: Output::Capture(None), ..(**run).clone() })
            }
            effect => format!("{effect:?}"),
        });
        if !effect.needs_answer() {
            continue;
        }
        evaluator.answer(match effect {
            Effect::ReadRc(_) => Outcome::Read(source.to_vec()),
            Effect::Deliver(deliver) if turn % 3 > 0 => Outcome::Delivered(Delivered {
                notes: vec![Note::Folder(deliver.folders[0].clone())],
                size: (turn % 3 == 1).then_some(1),
            }),
            Effect::Run(_) => Outcome::Ran(Ran {
                exit: Exit::Code(i32::from(turn % 2 == 0)),
                output: b"out".to_vec(),
                cut_off: false,
                fed: true,
                timed_out: false,
            }),
            _ => Outcome::Done,
        });
    }
    effects
}

fn holds(source: &[u8]) -> Vec<u8> {
    let formatted = format(source);
    let (before, after) = (Rc::parse(source.to_vec()), Rc::parse(formatted.clone()));
    assert!(same_meaning(&before, &after), "{}", String::from_utf8_lossy(source));
    assert_eq!(comments(&before), comments(&after), "{}", String::from_utf8_lossy(source));
    assert_eq!(
        String::from_utf8_lossy(&format(&formatted)),
        String::from_utf8_lossy(&formatted),
        "from {:?}",
        String::from_utf8_lossy(source)
    );
    if !source.windows(2).any(|two| two == b"RC") {
        let (before, after) = (effects(source), effects(&formatted));
        let differs = before.iter().zip(&after).find(|(before, after)| before != after);
        assert_eq!(differs, None, "{}", String::from_utf8_lossy(source));
        assert_eq!(before.len(), after.len(), "{}", String::from_utf8_lossy(source));
    }
    formatted
}

#[test]
fn recorded_rc_files_keep_their_meaning() {
    let mut laid_out = 0;
    for case in ARCHIVES.iter().flat_map(|text| archive::parse(text)) {
        for (name, source) in &case.files {
            if name == "rc" || name.ends_with(".rc") {
                let formatted = holds(source);
                laid_out += usize::from(formatted != *source);
            }
        }
    }
    assert!(laid_out > 100, "only {laid_out} files were laid out anew");
}

/// Lines as they stand in rc files, tidy and untidy.
fn line() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "MAILDIR = $HOME/Mail",
        "A=b  # why",
        "A='x  y' B C=\"$A\"",
        "X",
        "LOG=\"one\n  two\"",
        "D=`date +%y`",
        "# a comment",
        "   # indented",
        "",
        "",
        ":0",
        "  :0  fw : spam.lock  # lock",
        ":0c:$A.lock",
        ":0 B",
        ": 0 hbz",
        ":2",
        ":",
        ":0 $A",
        "*",
        "*^Subject:.*a",
        "  *   ! B ?? x   ",
        "* ^(a|\\\n     b|\\\n  c)",
        "* a\\ ",
        "{",
        "  { A=1",
        "{ }",
        "}",
        "} # end",
        "| cat \\\n   >> x  ",
        "|cat",
        "  X = | date  ",
        "X=|date",
        "! joe",
        "!joe ann # both",
        "box",
        "  dir/   dir2/. # two",
        "box\\ ",
        "=garbage",
        "a-b=c } x",
        "F=one \\\nG=two",
        "A='open",
        "A=`open",
        "A=\"x`echo \"$M\"`\"",
        "A=${B",
    ])
}

proptest! {
    #[test]
    fn whole_lines_keep_their_meaning(lines in prop::collection::vec(line(), 0..24)) {
        holds(lines.join("\n").as_bytes());
    }

    #[test]
    fn any_pieces_keep_their_meaning(
        pieces in prop::collection::vec(
            prop_oneof![line(), prop::sample::select(vec!["\n", "\n", " ", "\t", "\\", "\\\n", "#", "'", "\"", "`"])],
            0..24,
        ),
    ) {
        holds(pieces.concat().as_bytes());
    }
}

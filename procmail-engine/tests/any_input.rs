//! Whatever the rc file, the mail and the answers of the host: an evaluation ends, and nothing panics.

use std::sync::Arc;
use std::time::Duration;

use procmail_engine::effect::{Delivered, Exit, Note, Outcome, Ran};
use procmail_engine::eval::{Evaluator, Setup, Step};
use procmail_engine::mail::Mail;
use procmail_engine::regex::{Case, Regex};
use procmail_engine::syntax::{Item, Rc};
use proptest::prelude::*;

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        ":0",
        " ",
        "\n",
        "\n",
        "*",
        "{",
        "}",
        "A=",
        "B",
        "|cat",
        "! a@b",
        "$A",
        "\"",
        "'",
        "`a`",
        "\\",
        "${A:-",
        "#",
        "c",
        "f",
        "w",
        ":",
        "^Subject: \\/.*",
        "? x",
        "> 5",
        "1^1 ",
        "INCLUDERC=x",
        "SWITCHRC=y",
        "HOST=z",
        "LOCKFILE=l",
        "MAILDIR=d",
        "LINEBUF=128",
        "TRAP=t",
        "EXITCODE=",
        "DELIVERED=yes",
        "VERBOSE=yes",
        "box",
        "dir/",
        "dir/.",
        "E",
        "e",
        "a",
        "SHIFT=1",
    ])
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..20);
    let ran =
        (any::<i32>(), bytes(), any::<[bool; 3]>()).prop_map(|(code, output, [cut_off, fed, timed_out])| {
            Outcome::Ran(Ran { exit: Exit::Code(code), output, cut_off, fed, timed_out })
        });
    let delivered = (bytes(), any::<Option<u64>>())
        .prop_map(|(name, size)| Outcome::Delivered(Delivered { notes: vec![Note::Folder(name)], size }));
    prop_oneof![
        Just(Outcome::Done),
        Just(Outcome::Failed),
        Just(Outcome::Held(Some(Duration::from_secs(5000)))),
        Just(Outcome::NoPlace(b"x".to_vec())),
        prop::collection::vec(piece(), 0..10).prop_map(|pieces| Outcome::Read(pieces.concat().into_bytes())),
        Just(Outcome::Parsed(Arc::new(Rc::parse(b"A=b\n".to_vec())))),
        ran,
        delivered,
    ]
}

proptest! {
    #[test]
    fn evaluations_end(
        pieces in prop::collection::vec(piece(), 0..60),
        mail in prop::collection::vec(any::<u8>(), 0..80),
        outcomes in prop::collection::vec(outcome(), 1..20),
    ) {
        let mut setup = Setup::new().variable("DEFAULT", "d").variable("ORGMAIL", "o");
        setup.rc_files = vec![b"rc".to_vec()];
        let mut evaluator = Evaluator::new(setup, Mail::new(mail));
        let mut rc = Some(pieces.concat().into_bytes());
        let mut outcomes = outcomes.into_iter();
        let mut steps = 0;
        loop {
            match evaluator.step() {
                Step::Finished(_) => break,
                Step::Effect(effect) if effect.needs_answer() => {
                    // Once the answers are used up, everything fails.
                    let outcome = rc.take().map(Outcome::Read).or_else(|| outcomes.next());
                    evaluator.answer(outcome.unwrap_or(Outcome::Failed));
                }
                Step::Effect(_) => {}
            }
            steps += 1;
            prop_assert!(steps < 100_000);
        }
    }

    #[test]
    fn items_stand_in_the_order_of_the_file(pieces in prop::collection::vec(piece(), 0..60)) {
        let rc = Rc::parse(pieces.concat().into_bytes());
        let mut end = 0;
        for item in rc.items() {
            let span = match item {
                Item::Comment(span) | Item::Close(span) | Item::UnexpectedClose(span) | Item::MissingClose(span)
                | Item::Skipped(span) | Item::Removal { span, .. } => *span,
                Item::Assignment(assignment) => assignment.span,
                Item::Recipe(recipe) => recipe.span,
            };
            prop_assert!(end <= span.start && span.start <= span.end && span.end <= rc.source().len());
            end = span.end;
        }
    }

    #[test]
    fn matches_lie_in_the_text(
        pattern in "[ab.()|*+?^$\\\\/<>\\[\\]]{0,20}",
        text in "[ab \n]{0,30}",
        from in 0usize..40,
    ) {
        let regex = Regex::new(pattern.as_bytes(), Case::Fold);
        let found = regex.find(text.as_bytes(), from);
        prop_assert_eq!(found.is_some() && from == 0, from == 0 && regex.is_match(text.as_bytes()));
        if let Some(found) = found {
            prop_assert!(from <= found.end() && found.end() <= text.len() + 1);
            let marked = found.marked().unwrap_or(0..0);
            prop_assert!(marked.start <= marked.end && marked.end <= text.len());
        }
    }
}

//! Explanations: what they tell, and that they tell the truth.

use std::collections::HashMap;

use procmail_engine::effect::{Delivered, Effect, Exit, Note, Outcome, Purpose, Ran};
use procmail_engine::eval::{ChainFlag, Evaluator, Fate, Finished, Setup, Step, Test, Verdict};
use procmail_engine::explain::{Assumption, Event, Explainer, Explanation, FolderKind, Marks};
use procmail_engine::mail::Mail;
use proptest::prelude::*;

#[path = "recorded/archive.rs"]
#[allow(clippy::unwrap_used, dead_code, reason = "a test that cannot go on fails; others use the rest")]
mod archive;

const MAIL: &str = "From ann@example.org Tue Jan  2 03:04:05 2001\n\
From: Ann <ann@example.org>\n\
To: you,\n\tjoe@example.org\n\
Subject: [ferris] hello\n\
\n\
many cats\nand Cats\n";

fn setup() -> Setup {
    Setup::new().variable("HOME", "/home/joe").variable("DEFAULT", "/var/mail/joe")
}

fn explain(rc: &str) -> Explanation {
    Explainer::new(setup()).rc("rc", rc).explain(Mail::new(MAIL.into()))
}

/// The folders, with what else was done by programs.
fn doings(explanation: &Explanation) -> Vec<String> {
    explanation
        .entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Delivered { folders, copy, succeeded } => {
                let names: Vec<_> =
                    folders.iter().map(|folder| String::from_utf8_lossy(&folder.name)).collect();
                Some(format!(
                    "{}{}{}",
                    if *copy { "copy " } else { "" },
                    names.join("+"),
                    if *succeeded { "" } else { " failed" }
                ))
            }
            Event::Ran { command, .. } => Some(format!("| {}", String::from_utf8_lossy(command))),
            Event::Copy(Some(copy)) => Some(format!("({})", doings(copy).join(" "))),
            Event::Copy(None) => Some("(…)".to_owned()),
            _ => None,
        })
        .collect()
}

#[test]
fn what_is_done_is_told_in_order() {
    let table: &[(&str, &[&str])] = &[
        ("", &["/var/mail/joe"]),
        (":0\nbox\n", &["box"]),
        (":0 c\none\n:0\ntwo/\n", &["copy one", "two/"]),
        (":0\n* nothing\nbox\n", &["/var/mail/joe"]),
        (":0\n* ? maybe\n! ann@example.org\n", &["| maybe", "| /usr/sbin/sendmail -oi ann@example.org"]),
        (":0 c\n{\n:0\none\n}\n:0\ntwo\n", &["(one)", "two"]),
        (":0 c\n{ }\n:0 c\n{ }\n", &["((/var/mail/joe) /var/mail/joe)", "(/var/mail/joe)", "/var/mail/joe"]),
        (":0\na/ b/\n", &["a/+b/"]),
        (":0\n$NOTHING\n", &[" failed", "/var/mail/joe"]),
    ];
    for (rc, expected) in table {
        assert_eq!(doings(&explain(rc)), *expected, "{rc}");
    }
}

#[test]
fn what_verbose_mode_says_is_not_told_twice() {
    let rc = "LOGABSTRACT=no\nA=b\n:0 fw: l\n* ^Subject:.*x?\n* ! nothing\n* 1^1 ? maybe\n| spamassassin\n:0 c\n{ X=`date` }\n:0:\nbox\n";
    for verbose in ["VERBOSE=on\n", "VERBOSE=1 VERBOSE=yes\n"] {
        let explanation = explain(&format!("{verbose}{rc}"));
        let told = explanation.render(Marks::Ascii);
        assert!(told.contains("VERBOSE") && !told.contains("!   "), "{told}");
    }
    // What goes wrong is told in any case.
    assert!(explain("VERBOSE=on\njunk+text\n").render(Marks::Ascii).contains("!   Skipped"));
}

#[test]
fn a_match_is_told_with_its_text_and_its_place() {
    // The condition, its text, the byte, line and field.
    type Row = (&'static str, &'static str, Option<(usize, usize, Option<&'static str>)>);
    let table: &[Row] = &[
        ("* ^Subject:.*hello", "Subject: [ferris] hello", Some((100, 5, Some("Subject")))),
        ("* ^From ", "From", Some((0, 1, Some("From ")))),
        ("* joe@", "joe@", Some((84, 4, Some("To")))),
        ("* B ?? cats$", "cats\n", Some((130, 7, None))),
        ("* HB ?? ^and", "and", Some((135, 8, None))),
        ("* X ?? b+c", "bc", None),
        ("* ^^From", "From", Some((0, 1, Some("From ")))),
        ("* B ?? cats$^^", "Cats\n", Some((139, 8, None))),
    ];
    for (condition, text, place) in table {
        let explanation = explain(&format!("X=abbc\n:0\n{condition}\nbox\n"));
        let tested = explanation.entries.iter().find_map(|entry| match &entry.event {
            Event::Condition { tested, .. } => Some(tested),
            _ => None,
        });
        let Some(Test::Expression { found: Some(found), .. }) = tested.map(|tested| &tested.test) else {
            panic!("{condition} is found");
        };
        assert_eq!(String::from_utf8_lossy(&found.text), *text, "{condition}");
        let told = found.place.as_ref().map(|place| (place.offset, place.line, place.field.clone()));
        let expected =
            place.map(|(offset, line, field)| (offset, line, field.map(|field| field.as_bytes().to_vec())));
        assert_eq!(told, expected, "{condition}");
    }
}

#[test]
fn conditions_are_told_with_what_came_of_them() {
    let rc = "ME=joe\n:0\n* ! nothing\n* $ ^To:.*${ME}\n* > 100\n* 2^1 B ?? cat\n* -9^0\nbox\n";
    let explanation = explain(rc);
    let tested: Vec<_> = explanation
        .entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Condition { tested, .. } => {
                Some((entry.place.as_ref().map_or(0, |place| place.line), tested))
            }
            _ => None,
        })
        .collect();
    assert_eq!(tested.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
    assert!(tested[0].1.negated && tested[0].1.verdict == Verdict::Holds);
    assert!(matches!(&tested[1].1.test, Test::Expression { pattern, .. } if pattern == b"^To:.*joe"));
    assert_eq!(tested[2].1.test, Test::Size { less: false, limit: 100, size: MAIL.len() as i64 });
    assert!(matches!(tested[3].1.test, Test::Expression { matches: 2, .. }));
    assert_eq!(tested[3].1.verdict, Verdict::Scores { added: 4.0, total: 4.0 });
    assert_eq!(tested[4].1.verdict, Verdict::Scores { added: -9.0, total: -5.0 });
    let decided: Vec<_> =
        explanation.entries.iter().filter(|entry| matches!(entry.event, Event::Decided { .. })).collect();
    assert_eq!(decided[0].event, Event::Decided { matches: false, score: Some(-5) });
}

#[test]
fn flags_are_told_that_keep_a_recipe_from_being_looked_at() {
    let rc = ":0 c\none\n:0 E\ntwo\n:0 Ac\nthree\n:0 a\n* nothing\nfour\n:0 e\nfive\n";
    let explanation = explain(rc);
    let chains: Vec<Vec<(ChainFlag, bool)>> = explanation
        .entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Recipe(reached) => {
                Some(reached.chain.iter().map(|chained| (chained.flag, chained.holds)).collect())
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        chains,
        [
            vec![],
            vec![(ChainFlag::Else, false)],
            vec![(ChainFlag::And, false)],
            vec![(ChainFlag::AndSucceeded, false)],
            vec![(ChainFlag::OnError, false)]
        ]
    );
}

#[test]
fn files_and_blocks_are_entered_and_left() {
    let explanation = Explainer::new(setup())
        .rc("rc", "INCLUDERC=more\n:0\n* hello\n{ A=1 }\n:0\n* nothing\n{ B=2 }\nINCLUDERC=none\n")
        .included("more", "C=3\n")
        .explain(Mail::new(MAIL.into()));
    let told: Vec<String> = explanation
        .entries
        .iter()
        .filter_map(|entry| {
            let text = match &entry.event {
                Event::Opened { path, .. } => format!("opens {}", String::from_utf8_lossy(path)),
                Event::Unreadable(path) => format!("cannot read {}", String::from_utf8_lossy(path)),
                Event::Variable { name, .. } => String::from_utf8_lossy(name).into_owned(),
                Event::BlockEntered => "{".to_owned(),
                Event::BlockSkipped => "{}".to_owned(),
                Event::BlockLeft => "}".to_owned(),
                _ => return None,
            };
            let place = entry.place.as_ref();
            let file =
                place.map_or_else(String::new, |place| String::from_utf8_lossy(&place.file).into_owned());
            Some(format!("{} {file}:{} {text}", entry.depth, place.map_or(0, |place| place.line)))
        })
        .collect();
    assert_eq!(
        told,
        [
            "0 :0 opens rc",
            "0 rc:1 INCLUDERC",
            "0 rc:1 opens more",
            "1 more:1 C",
            "0 rc:4 {",
            "1 rc:4 A",
            "0 rc:4 }",
            "0 rc:7 {}",
            "0 rc:8 INCLUDERC",
            "0 rc:8 cannot read none",
            "0 :0 LASTFOLDER",
        ]
    );
}

#[test]
fn the_embedder_knows_better_than_an_assumption() {
    let rc = ":0 fw\n| spamc\n:0\n* ^X-Spam: yes\nspam\n";
    let assumed = explain(rc);
    assert_eq!(doings(&assumed), ["| spamc", "/var/mail/joe"]);
    assert!(assumed.assumptions.contains(&Assumption::Filters));
    let told = Explainer::new(setup())
        .rc("rc", rc)
        .answering(|effect| match effect {
            Effect::Run(run) if run.purpose == Purpose::Filter => Some(Outcome::Ran(Ran {
                output: [b"X-Spam: yes\n".as_slice(), &run.input].concat(),
                ..Ran::ended(Exit::Code(0))
            })),
            _ => None,
        })
        .explain(Mail::new(MAIL.into()));
    assert_eq!(doings(&told), ["| spamc", "spam"]);
    assert_eq!(told.assumptions.iter().collect::<Vec<_>>(), [&Assumption::Deliveries]);
    assert!(told.mail.bytes().starts_with(b"X-Spam"));
}

#[test]
fn programs_are_assumed_to_end_as_one_says() {
    let rc = ":0\n* ? test\nbox/\n";
    let explanation = Explainer::new(setup()).rc("rc", rc).exit_code(1).explain(Mail::new(MAIL.into()));
    assert_eq!(doings(&explanation), ["| test", "/var/mail/joe"]);
    assert!(explanation.assumptions.contains(&Assumption::Programs(1)));
}

#[test]
fn folders_are_what_their_names_say() {
    let table = [
        ("box", FolderKind::Mailbox),
        ("dir/", FolderKind::Maildir),
        ("dir/.", FolderKind::Mh),
        ("/dev/null", FolderKind::Nothing),
    ];
    for (name, kind) in table {
        assert_eq!(FolderKind::of(name.as_bytes()), kind, "{name}");
    }
}

#[test]
fn copies_of_copies_are_not_followed_without_end() {
    let explanation = explain(&":0 c\n{ }\n".repeat(40));
    assert_eq!(explanation.finished.fate, Fate::Delivered);
    assert_eq!(explanation.folders().count(), 33, "those of 32 copies, and the last");
}

#[test]
fn a_long_way_is_told_up_to_a_limit_and_ends_all_the_same() {
    let explanation = explain("A=b\nSWITCHRC=rc\n");
    assert!(explanation.cut_off);
    assert_eq!(explanation.finished.fate, Fate::Delivered);
}

#[test]
fn a_whole_explanation_reads_well() {
    let rc = "MAILDIR=$HOME/Mail\n\
# copies\n\
:0 c:\n\
* ! ^FROM_DAEMON\n\
* ^Subject: \\[\\/[a-z]+\n\
lists/$MATCH\n\
:0 E\n\
{ X=1 }\n\
:0\n\
* -5^0\n\
* 5^0 ^To:.*joe\n\
* 2^1 B ?? cat\n\
{\n\
  :0 a\n\
  * ? test -f x\n\
  ! ann@example.org\n\
}\n";
    let expected = "\
rc
   1  MAILDIR=/home/joe/Mail
   3  :0 c:
   4  ✓ * ! ^FROM_DAEMON        not in the header
   5  ✓ * ^Subject: \\[\\/[a-z]+  Subject, line 5, byte 100: \"Subject: [ferris\"
   5  MATCH=ferris
   6  → lock \"lists/ferris.lock\"
   6  → copy to \"lists/ferris\"  a mailbox, or a file of its own if that is a directory
   6  LASTFOLDER=lists/ferris
   7  :0 E                      E: not looked at, since the recipe before matched
   8  · { }                     passed over
   9  :0
  10  + * -5^0                  -5 to -5; an empty match
  11  + * 5^0 ^To:.*joe         +5 to 0; To, line 3, byte 74: \"To: you, \\tjoe\"
  12  + * 2^1 B ?? cat          +4 to 4; 2 times, first line 7, byte 130: \"cat\"
   9  ✓ score 4
  13  {
  14    :0 a                    a: the recipe before matched, and the last action succeeded
  15    → ask \"test -f x\"       not run: assumed to have ended with 0
  15    ✓ * ? test -f x         ended with 0
  16    → forward it by \"/usr/sbin/sendmail -oi ann@example.org\"  not run: assumed to have ended with 0
  16    LASTFOLDER=/usr/sbin/sendmail -oi ann@example.org
delivered; exit code 0
assumed: that deliveries succeed; that locks are free; that directories are there; that programs end with 0 and write nothing
";
    assert_eq!(explain(rc).render(Marks::Unicode), expected);
}

/// The plain evaluation, with the same answers as the explanation assumes.
fn evaluate(
    mut evaluator: Evaluator,
    files: &HashMap<Vec<u8>, Vec<u8>>,
    copies: &mut u32,
) -> (Finished, Vec<Vec<u8>>) {
    let mut folders = Vec::new();
    loop {
        let outcome = match evaluator.step() {
            Step::Finished(finished) => return (finished, folders),
            Step::Effect(Effect::ReadRc(rc)) => {
                files.get(&rc.path).map_or(Outcome::Failed, |source| Outcome::Read(source.clone()))
            }
            Step::Effect(Effect::Run(run)) => {
                let output = if run.purpose == Purpose::Filter { run.input.to_vec() } else { Vec::new() };
                Outcome::Ran(Ran { output, ..Ran::ended(Exit::Code(0)) })
            }
            Step::Effect(Effect::Deliver(deliver)) => {
                let size = (!deliver.folders[0].is_empty()).then_some(1);
                if size.is_some() {
                    folders.extend(deliver.folders.iter().cloned());
                }
                Outcome::Delivered(Delivered { notes: vec![Note::Folder(deliver.folders[0].clone())], size })
            }
            Step::Effect(Effect::Print(_)) => {
                Outcome::Delivered(Delivered { notes: Vec::new(), size: Some(1) })
            }
            Step::Effect(Effect::Fork { copy, wait }) => {
                let mut code = 0;
                if *copies > 0 {
                    *copies -= 1;
                    let (finished, more) = evaluate(*copy, files, copies);
                    code = finished.code;
                    folders.extend(more);
                }
                if wait { Outcome::Ran(Ran::ended(Exit::Code(code))) } else { Outcome::Done }
            }
            Step::Effect(effect) => {
                assert!(!matches!(effect, Effect::Trace(_)), "nobody asked for a trace");
                if !effect.needs_answer() {
                    continue;
                }
                Outcome::Done
            }
        };
        evaluator.answer(outcome);
    }
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        ":0\n",
        ":0 c\n",
        ":0 E\n",
        ":0 A\n",
        ":0 a\n",
        ":0 e\n",
        ":0 fw\n",
        ":0:\n",
        ":0 c:\n",
        "* ^Subject:.*hello\n",
        "* ! ^To:.*\\/joe\n",
        "* 3^1 B ?? cat\n",
        "* -4^0\n",
        "* ? true\n",
        "* < 100\n",
        "* $ ${A}\n",
        "* A ?? x\n",
        "* 9^9 > 5\n",
        "box\n",
        "dir/\n",
        "/dev/null\n",
        "$A\n",
        "{\n",
        "}\n",
        "{\n",
        "}\n",
        "| cat\n",
        "! a@b\n",
        "A=| cat\n",
        "A=x\n",
        "A\n",
        "MAILDIR=d\n",
        "INCLUDERC=inc\n",
        "SWITCHRC=inc\n",
        "HOST=z\n",
        "LOCKFILE=l\n",
        "TRAP=t\n",
        "EXITCODE=9\n",
        "DEFAULT=\n",
        "LINEBUF=128\n",
        "B=`date`\n",
        "VERBOSE=yes\n",
        "junk\n",
        "# x\n",
    ])
}

proptest! {
    #[test]
    fn an_explanation_ends_as_a_plain_evaluation_does(
        pieces in prop::collection::vec(piece(), 0..30),
        included in prop::collection::vec(piece(), 0..6),
    ) {
        // One that includes itself is long on its way.
        let included = included.concat().replace("INCLUDERC", "I").replace("SWITCHRC", "S");
        let files = HashMap::from([
            (b"rc".to_vec(), pieces.concat().into_bytes()),
            (b"inc".to_vec(), included.into_bytes()),
        ]);
        let mut setup = setup();
        setup.rc_files = vec![b"rc".to_vec()];
        let mut explainer = Explainer::new(setup.clone());
        for (path, source) in &files {
            explainer = explainer.included(path.clone(), source.clone());
        }
        let explanation = explainer.explain(Mail::new(MAIL.into()));
        let (finished, folders) =
            evaluate(Evaluator::new(setup, Mail::new(MAIL.into())), &files, &mut 32);
        prop_assert_eq!(explanation.finished, finished);
        prop_assert_eq!(explanation.folders().collect::<Vec<_>>(), folders);
        for marks in [Marks::Unicode, Marks::Ascii] {
            let text = explanation.render(marks);
            prop_assert!(text.lines().all(|line| !line.ends_with(' ') && !line.contains('\t')));
        }
    }
}

#[test]
fn every_recorded_case_can_be_explained() {
    let mut count = 0;
    for file in
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorded/cases")).expect("is there")
    {
        let path = file.expect("can be read").path();
        if path.extension().is_none_or(|extension| extension != "cases") {
            continue;
        }
        for case in archive::parse(&std::fs::read(path).expect("can be read")) {
            let (Some(rc), mail) = (case.files.get("rc"), case.files.get("mail")) else { continue };
            let mail = mail.cloned().unwrap_or_else(|| MAIL.into());
            let explanation = Explainer::new(setup()).rc("rc", rc.clone()).explain(Mail::new(mail));
            assert!(explanation.render(Marks::Unicode).contains("exit code"), "{}", case.name);
            count += 1;
        }
    }
    assert!(count > 280, "{count} cases");
}

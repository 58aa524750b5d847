//! Rc files that are made to use up time or memory: evaluations end, with little of both.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use procmail_engine::effect::{Delivered, Effect, Exit, Outcome, Ran};
use procmail_engine::eval::{Evaluator, Fate, Setup, Step};
use procmail_engine::mail::Mail;
use procmail_engine::regex::{Case, Regex};
use procmail_engine::syntax::Rc;

/// Evaluates an rc file, and the copies that it makes: their number, and the evaluator at its end. Includes give the same
/// rc file again.
fn evaluate(rc: &[u8], most_items: u32) -> (usize, Evaluator, Fate) {
    let mut setup = Setup::new().variable("DEFAULT", "box");
    setup.rc_files = vec![b"rc".to_vec()];
    setup.most_items = most_items;
    let mut open = vec![Evaluator::new(setup, Mail::new(b"Subject: x\n\nb\n".to_vec()))];
    let mut ended = Vec::new();
    let mut steps = 0;
    while let Some(mut evaluator) = open.pop() {
        let fate = loop {
            steps += 1;
            assert!(steps < 1_000_000, "goes on and on");
            match evaluator.step() {
                Step::Finished(finished) => break finished.fate,
                Step::Effect(effect) => {
                    let outcome = match effect {
                        Effect::ReadRc(_) => Outcome::Read(rc.to_vec()),
                        Effect::Deliver(_) => {
                            Outcome::Delivered(Delivered { notes: Vec::new(), size: Some(1) })
                        }
                        Effect::Run(run) => {
                            Outcome::Ran(Ran { output: run.input.to_vec(), ..Ran::ended(Exit::Code(0)) })
                        }
                        Effect::Fork { copy, .. } => {
                            open.push(*copy);
                            Outcome::Done
                        }
                        effect if effect.needs_answer() => Outcome::Done,
                        _ => continue,
                    };
                    evaluator.answer(outcome);
                }
            }
        };
        ended.push((evaluator, fate));
    }
    let copies = ended.len() - 1;
    let (evaluator, fate) = ended.swap_remove(0);
    (copies, evaluator, fate)
}

#[test]
fn a_variable_that_doubles_stays_within_its_line() {
    let rc = format!("A=x\n{}", "A=$A$A\n".repeat(60));
    let (_, evaluator, _) = evaluate(rc.as_bytes(), 1000);
    assert_eq!(evaluator.variable(b"A").map(<[u8]>::len), Some(1024));
}

#[test]
fn a_line_without_end_is_bounded_all_the_same() {
    let rc = format!("LINEBUF=99999999999999\nA=x\n{}", "A=$A$A\n".repeat(60));
    let (_, evaluator, fate) = evaluate(rc.as_bytes(), 1000);
    assert_eq!(evaluator.variable(b"A").map(<[u8]>::len), Some(1 << 19));
    assert_eq!(evaluator.variable(b"PROCMAIL_OVERFLOW"), Some(b"yes".as_slice()));
    assert_eq!(fate, Fate::Delivered);
}

#[test]
fn all_variables_together_are_bounded() {
    let double = "A=$A$A\n".repeat(19);
    let copies: String = (0..200).map(|number| format!("B{number}=$A\n")).collect();
    let (_, evaluator, _) = evaluate(format!("LINEBUF=99999999\nA=x\n{double}{copies}").as_bytes(), 1000);
    let held = |number: usize| evaluator.variable(format!("B{number}").as_bytes()).is_some();
    let count = (0..200).filter(|number| held(*number)).count();
    assert!((100..=128).contains(&count), "{count} of 200 have half a MiB");
}

#[test]
fn an_rc_file_that_includes_itself_ends() {
    for rc in
        ["INCLUDERC=rc\n", "SWITCHRC=rc\n", "A=1\nINCLUDERC=rc\nINCLUDERC=rc\n", ":0\n{\nSWITCHRC=rc\n}\n"]
    {
        assert_eq!(evaluate(rc.as_bytes(), 20_000).2, Fate::Delivered, "{rc}");
    }
}

#[test]
fn copies_of_copies_are_counted_together() {
    let (copies, _, fate) = evaluate(":0 c\n{ }\n".repeat(40).as_bytes(), 100_000);
    assert!((20..=100).contains(&copies), "{copies} copies");
    assert_eq!(fate, Fate::Delivered);
}

#[test]
fn deep_nesting_is_parsed_and_evaluated() {
    let deep = 50_000;
    let nested = [
        [":0\n{\n".repeat(deep), "}\n".repeat(deep)].concat(),
        [":0\n* !\n{\n".repeat(deep), "}\n".repeat(deep)].concat(),
        format!("A={}x{}\n", "${B-".repeat(deep), "}".repeat(deep)),
        format!("A=\"{}\"\n", "${B-".repeat(deep)),
        format!("A={}\n", "`\\".repeat(deep)),
        format!(":0\n* $ {}^Nope\nbox\n", "$".repeat(deep)),
        format!(":0\n* {}^Nope\nbox\n", "! ".repeat(deep)),
        format!(":0\n* {}a{}\nbox\n", "(".repeat(deep), ")*".repeat(deep)),
    ];
    for rc in &nested {
        assert_eq!(Rc::parse(rc.clone().into_bytes()).source().len(), rc.len());
        assert_eq!(evaluate(rc.as_bytes(), 1_000_000).2, Fate::Delivered, "{}", &rc[..20]);
    }
}

#[test]
fn match_does_not_grow_beyond_what_it_is_taken_from() {
    let rc = ":0\n* ^Subject:\\/.*\n{ }\n:0\n* MATCH ?? ^\\/.*\n{ }\n".repeat(100);
    let (_, evaluator, _) = evaluate(rc.as_bytes(), 10_000);
    assert_eq!(evaluator.variable(b"MATCH"), Some(b" x".as_slice()));
}

#[test]
fn long_expressions_are_compiled_and_searched() {
    let text = b"b".repeat(2000);
    let words: Vec<String> = (0..10_000).map(|number| format!("word{number}")).collect();
    let alternatives = format!("({})", words.join("|"));
    assert!(!Regex::new(alternatives.as_bytes(), Case::Fold).is_match(&text));
    assert!(Regex::new(alternatives.as_bytes(), Case::Fold).is_match(b"a WORD9999 b"));
    let long = "a".repeat(1 << 20);
    assert!(!Regex::new(long.as_bytes(), Case::Fold).is_match(&text));
    let optional = "(a|b)?".repeat(20_000);
    assert!(Regex::new(format!("{optional}c").as_bytes(), Case::Fold).find(&text, 0).is_none());
}

#[test]
fn scored_marks_take_linear_time() {
    let mail = |body: &str| Mail::new(format!("Subject: x\n\n{body}\n").into_bytes());
    for (condition, line) in [
        (r"a\/.*", "a".repeat(60_000)),
        (r"(z\/|a).*", "a".repeat(60_000)),
        (r"a\/b?(.*c)?", "ab".repeat(30_000)),
        (r"a(\/b)?(.*c)?", "a".repeat(60_000)),
    ] {
        let mut setup = Setup::new().variable("DEFAULT", "box");
        setup.rc_files = vec![b"rc".to_vec()];
        let mut evaluator = Evaluator::new(setup, mail(&line));
        let started = std::time::Instant::now();
        let rc = format!(":0B\n* 1^1 {condition}\n{{ }}\n");
        while let Step::Effect(effect) = evaluator.step() {
            evaluator.answer(match effect {
                Effect::ReadRc(_) => Outcome::Read(rc.clone().into_bytes()),
                Effect::Deliver(_) => Outcome::Delivered(Delivered { notes: Vec::new(), size: Some(1) }),
                _ => Outcome::Done,
            });
        }
        assert!(started.elapsed().as_secs() < 20, "{condition} takes {:?}", started.elapsed());
    }
}

#[test]
fn a_clone_of_the_host_s_counts_its_items_alone() {
    let mut setup = Setup::new().variable("DEFAULT", "box");
    setup.rc_files = vec![b"rc".to_vec()];
    setup.most_items = 10;
    let mut first = Evaluator::new(setup, Mail::new(b"Subject: x\n\nb\n".to_vec()));
    let mut second = first.clone();
    for evaluator in [&mut first, &mut second] {
        while let Step::Effect(effect) = evaluator.step() {
            evaluator.answer(match effect {
                Effect::ReadRc(_) => Outcome::Read(b"A=1\nA=2\nA=3\nA=4\nA=5\nA=6\nA=7\nA=8\n".to_vec()),
                Effect::Deliver(_) => Outcome::Delivered(Delivered { notes: Vec::new(), size: Some(1) }),
                _ => Outcome::Done,
            });
        }
        assert_eq!(evaluator.variable(b"A"), Some(b"8".as_slice()));
    }
}

#[test]
fn captured_output_counts_among_the_variables() {
    let captures: String = (0..200).map(|number| format!(":0\nB{number}=|cat\n")).collect();
    let mut setup = Setup::new().variable("DEFAULT", "box");
    setup.rc_files = vec![b"rc".to_vec()];
    let mut evaluator = Evaluator::new(setup, Mail::new(b"Subject: x\n\nb\n".to_vec()));
    while let Step::Effect(effect) = evaluator.step() {
        evaluator.answer(match effect {
            Effect::ReadRc(_) => Outcome::Read(captures.clone().into_bytes()),
            Effect::Deliver(_) => Outcome::Delivered(Delivered { notes: Vec::new(), size: Some(1) }),
            Effect::Run(_) => Outcome::Ran(Ran { output: vec![b'x'; 1 << 20], ..Ran::ended(Exit::Code(0)) }),
            _ => Outcome::Done,
        });
    }
    let held = |number: usize| evaluator.variable(format!("B{number}").as_bytes()).is_some();
    let count = (0..200).filter(|number| held(*number)).count();
    assert!((60..=64).contains(&count), "{count} MiB are held");
    assert_eq!(evaluator.variable(b"PROCMAIL_OVERFLOW"), Some(b"yes".as_slice()));
}

#[test]
fn no_wait_is_longer_than_a_year() {
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    let rc = "TIMEOUT=99999999999999999999\nLOCKSLEEP=99999999999999999999\nA=`x`\nLOCKFILE=l\n";
    let mut setup = Setup::new().variable("DEFAULT", "box");
    setup.rc_files = vec![b"rc".to_vec()];
    let mut evaluator = Evaluator::new(setup, Mail::new(b"Subject: x\n\nb\n".to_vec()));
    let mut waits = Vec::new();
    while let Step::Effect(effect) = evaluator.step() {
        evaluator.answer(match effect {
            Effect::ReadRc(_) => Outcome::Read(rc.into()),
            Effect::Deliver(_) => Outcome::Delivered(Delivered { notes: Vec::new(), size: Some(1) }),
            Effect::Run(run) => {
                waits.extend(run.timeout);
                Outcome::Ran(Ran::ended(Exit::Code(0)))
            }
            Effect::Lock(_) if waits.len() < 2 => Outcome::Held(None),
            Effect::Sleep(wait) => {
                waits.push(wait);
                Outcome::Done
            }
            _ => Outcome::Done,
        });
    }
    assert_eq!(waits, [year, year]);
    assert_eq!(evaluator.timeout(), Some(year));
}

#[test]
fn rights_are_given_up_with_a_word() {
    let mut setup = Setup::new().variable("DEFAULT", "box").variable("VERBOSE", "yes");
    setup.rc_files = vec![b"rc".to_vec()];
    let mut evaluator = Evaluator::new(setup, Mail::new(b"Subject: x\n\nb\n".to_vec()));
    let (mut log, mut dropped) = (Vec::new(), 0);
    while let Step::Effect(effect) = evaluator.step() {
        evaluator.answer(match effect {
            Effect::ReadRc(_) => Outcome::Read(b"DROPPRIVS=no\nDROPPRIVS=yes\n".to_vec()),
            Effect::Deliver(_) => Outcome::Delivered(Delivered { notes: Vec::new(), size: Some(1) }),
            Effect::Log(text) => {
                log.extend(text.text);
                continue;
            }
            Effect::DropPrivileges => {
                dropped += 1;
                Outcome::Done
            }
            _ => Outcome::Done,
        });
    }
    let log = String::from_utf8_lossy(&log);
    assert_eq!(log.matches("Assuming identity of the recipient, VERBOSE=off").count(), 1, "{log}");
    assert_eq!(dropped, 1);
}

#[test]
fn an_expression_of_a_great_many_states_takes_linear_time() {
    let regex = Regex::new(format!("a{}Z", ".".repeat(1900)).as_bytes(), Case::Fold);
    let mut random = 1u32;
    let text: Vec<u8> = std::iter::repeat_with(|| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if random >> 31 == 0 { b'a' } else { b'b' }
    })
    .take(300_000)
    .collect();
    let started = std::time::Instant::now();
    assert!(!regex.is_match(&text));
    assert!(started.elapsed().as_secs() < 20, "takes {:?}", started.elapsed());
}

#[test]
fn an_expression_that_grows_as_it_is_written_out_is_too_long() {
    let rc = format!("LINEBUF=999999\n:0\n* {}x\n{{ A=1 }}\nB=1\n", "^FROM_DAEMON|".repeat(4000));
    let (_, evaluator, _) = evaluate(rc.as_bytes(), 1000);
    assert_eq!(evaluator.variable(b"PROCMAIL_OVERFLOW"), Some(b"yes".as_slice()));
    assert_eq!(evaluator.variable(b"A"), None);
    assert_eq!(evaluator.variable(b"B"), Some(b"1".as_slice()));
}

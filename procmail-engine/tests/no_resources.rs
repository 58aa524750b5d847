//! What is done when the system has no room for another process, as observed of procmail 3.22 under `ulimit -u 1`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use procmail_engine::effect::{Delivered, Effect, Exit, Note, Outcome, Ran};
use procmail_engine::eval::{Evaluator, Fate, Setup, Step};
use procmail_engine::mail::Mail;

/// Evaluates an rc file where programs can be started after so many tries: the log, how long was waited, and the folder.
fn evaluate(rc: &str, mut failures: usize) -> (String, Vec<Duration>, String) {
    let mut setup = Setup::new().variable("DEFAULT", "inbox").variable("SHELL", "/bin/sh");
    setup.rc_files.push(b"rc".to_vec());
    let mut evaluator = Evaluator::new(setup, Mail::new(b"Subject: x\n\nhi\n".to_vec()));
    let (mut log, mut waited, mut folder) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let outcome = match evaluator.step() {
            Step::Finished(finished) => {
                assert_eq!(finished.fate, Fate::Delivered);
                break;
            }
            Step::Effect(Effect::Log(text)) => {
                log.extend(text.text);
                continue;
            }
            Step::Effect(Effect::ReadRc(_)) => Outcome::Read(rc.into()),
            Step::Effect(Effect::Run(_)) if failures > 0 => {
                failures -= 1;
                Outcome::NoResources
            }
            Step::Effect(Effect::Run(_)) => Outcome::Ran(Ran::ended(Exit::Code(1))),
            Step::Effect(Effect::Fork { .. }) => Outcome::Failed,
            Step::Effect(Effect::Sleep(time)) => {
                waited.push(time);
                Outcome::Done
            }
            Step::Effect(Effect::Deliver(deliver)) => {
                folder.clone_from(&deliver.folders[0]);
                Outcome::Delivered(Delivered { notes: vec![Note::Folder(folder.clone())], size: Some(1) })
            }
            Step::Effect(effect) if effect.needs_answer() => Outcome::Done,
            Step::Effect(_) => continue,
        };
        evaluator.answer(outcome);
    }
    (String::from_utf8(log).unwrap(), waited, String::from_utf8(folder).unwrap())
}

#[test]
fn what_cannot_be_started_is_tried_again_and_then_passed_over() {
    const ENDS: &str = ":0e\nfailed\n:0\nlast\n";
    for (rc, log, folder) in [
        (":0w\n| cat >out\n", "Failed forking \" cat >out\"", "failed"),
        (":0\n|cat\n", "Failed forking \"cat\"", "failed"),
        (":0fw\n|cat\n", "Failed forking \"procmail\"", "failed"),
        (":0ci\n!x\n", "Failed forking \"/usr/sbin/sendmail\"", "failed"),
        ("X=old\n:0\nX=|cat\nLOG=$X\n", "Failed forking \"procmail\"\nold", "failed"),
        ("A=`date`\nLOG=\"<$A>\"\n", "Failed forking \"date\"\n<>", "last"),
        (":0\n* ? false\npos\n", "Failed forking \"false\"", "pos"),
        (":0\n* ! ? false\nneg\n", "Failed forking \"false\"", "last"),
        (":0c\n{\n:0\nin\n}\n", "Failed forking \"procmail\"", "in"),
    ] {
        let (told, waited, found) = evaluate(&format!("SUSPEND=3\nNORESRETRY=2\n{rc}{ENDS}"), 1000);
        assert_eq!(told.trim_end().replace("procmail: ", ""), log, "{rc:?}");
        assert_eq!(found, folder, "{rc:?}");
        // A copy is a matter of this process, whose end is not waited for.
        let times = if rc.starts_with(":0c\n") { 0 } else { 2 };
        assert_eq!(waited, vec![Duration::from_secs(3); times], "{rc:?}");
    }
}

#[test]
fn it_is_tried_as_often_as_the_rc_file_says() {
    const RC: &str = ":0\n* ? false\nbox\n";
    for (settings, failures, waited, folder) in [
        ("", 1, 1, "inbox"),
        ("", 4, 4, "inbox"),
        ("", 5, 4, "box"),
        ("NORESRETRY=0\n", 1, 0, "box"),
        ("NORESRETRY=1\n", 1, 1, "inbox"),
        ("NORESRETRY=-1\n", 100, 100, "inbox"),
    ] {
        let (_, times, found) = evaluate(&format!("{settings}{RC}"), failures);
        assert_eq!(times, vec![Duration::from_secs(16); waited], "{settings:?} {failures}");
        assert_eq!(found, folder, "{settings:?} {failures}");
    }
}

#[test]
fn who_ends_the_wait_is_told_of_it() {
    let mut setup = Setup::new();
    setup.rc_files.push(b"rc".to_vec());
    let mut evaluator = Evaluator::new(setup, Mail::new(b"\n".to_vec()));
    let mut log = Vec::new();
    loop {
        match evaluator.step() {
            Step::Finished(finished) => break assert_eq!(finished.fate, Fate::Requeued),
            Step::Effect(Effect::Log(text)) => log.extend(text.text),
            Step::Effect(Effect::ReadRc(_)) => evaluator.answer(Outcome::Read(b":0\n|cat\n".to_vec())),
            Step::Effect(Effect::Sleep(_)) => evaluator.abandon(Fate::Requeued),
            Step::Effect(Effect::Run(_)) => evaluator.answer(Outcome::NoResources),
            Step::Effect(_) => {}
        }
    }
    assert_eq!(log, b"procmail: Terminating prematurely whilst waiting for fork\n");
}

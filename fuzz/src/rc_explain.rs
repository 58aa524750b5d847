//! Explanations of what an rc file does with a mail.

use procmail_engine::eval::{Evaluator, Setup, Step};
use procmail_engine::explain::{Explainer, Marks};
use procmail_engine::mail::Mail;

use crate::Knobs;

/// Whatever the rc file and the mail, an explanation ends, is told in lines, and is no longer than it may be.
pub fn check(data: &[u8]) {
    let (mut knobs, data) = Knobs::split(data);
    let (rc, mail) = match data.iter().position(|&byte| byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &data[..0]),
    };
    let setup =
        Setup::new().variable("HOME", "/home/joe").variable("DEFAULT", "in").variable("SHELL", "/bin/sh");
    let mail = Mail::new(mail.to_vec());
    let explanation = Explainer::new(setup.clone())
        .rc("rc", rc)
        .included("more", &b"B=c\n:0 c\n* .\nmore/\n"[..])
        .exit_code(i32::from(knobs.one_in(2)))
        .explain(mail.clone());
    let text = explanation.render(if knobs.one_in(2) { Marks::Ascii } else { Marks::Unicode });
    assert!(text.len() < 64 << 20, "{} bytes", text.len());
    assert!(text.lines().all(|line| !line.contains('\t') && !line.contains('\r')));
    assert!(text.contains("exit code"));

    // Nobody is told of the way who did not ask.
    let mut evaluator = Evaluator::new(setup, mail);
    for _ in 0..1000 {
        match evaluator.step() {
            Step::Finished(_) => break,
            Step::Effect(effect) => assert!(!matches!(effect, procmail_engine::effect::Effect::Trace(_))),
        }
    }
}

//! The evaluator, with a host that answers anything.

use std::time::Duration;

use procmail_engine::effect::{Delivered, Effect, Exit, Note, Outcome, Ran};
use procmail_engine::eval::{Evaluator, Setup, Step};
use procmail_engine::mail::Mail;

use crate::Knobs;

const MOST_ITEMS: u32 = 2_000;
const MOST_STEPS: usize = 200_000;
const MOST_ANSWERS: usize = 400;
const MOST_LOGGED: usize = 1 << 28;

/// The rc file is up to the first NUL, the mail behind it; includes give parts of the rc file again. All copies of the
/// evaluation end, after a bounded number of steps and bytes.
pub fn check(data: &[u8]) {
    let (knobs, data) = Knobs::split(data);
    let cut = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (rc, mail) = (&data[..cut], data.get(cut + 1..).unwrap_or_default());
    let mut setup = Setup::new().variable("HOME", "/h").variable("DEFAULT", "d").variable("ORGMAIL", "o");
    setup.rc_files = vec![b"rc".to_vec()];
    setup.directory = Some(b"/h".to_vec());
    setup.arguments = vec![b"one".to_vec(), b"two words".to_vec()];
    setup.most_items = MOST_ITEMS;
    if rc.len() % 2 == 0 {
        setup.assignments = vec![b"VERBOSE=yes".to_vec()];
    }
    let mut host = Host { knobs, rc, answers: 0, logged: 0, open: Vec::new() };
    host.open.push(Evaluator::new(setup, Mail::new(mail.to_vec())));
    let mut steps = 0;
    while let Some(mut evaluator) = host.open.pop() {
        loop {
            steps += 1;
            assert!(steps < MOST_STEPS, "an evaluation goes on and on");
            match evaluator.step() {
                Step::Finished(finished) => {
                    assert_eq!(host.finished(&mut evaluator), Some(finished.code));
                    break;
                }
                Step::Effect(effect) => {
                    if let Some(outcome) = host.answer(effect) {
                        evaluator.answer(outcome);
                    }
                }
            }
        }
    }
}

struct Host<'a> {
    knobs: Knobs,
    rc: &'a [u8],
    answers: usize,
    logged: usize,
    open: Vec<Evaluator>,
}

impl Host<'_> {
    /// What is finished stays so.
    fn finished(&mut self, evaluator: &mut Evaluator) -> Option<i32> {
        evaluator.answer(Outcome::Done);
        match evaluator.step() {
            Step::Finished(finished) => Some(finished.code),
            Step::Effect(_) => None,
        }
    }

    fn answer(&mut self, effect: Effect) -> Option<Outcome> {
        match &effect {
            Effect::Log(log) => {
                self.logged += log.text.len();
                assert!(self.logged < MOST_LOGGED, "the log grows and grows");
            }
            Effect::Fork { copy, .. } => self.open.push((**copy).clone()),
            _ => {}
        }
        if !effect.needs_answer() {
            return None;
        }
        self.answers += 1;
        if self.answers == 1 {
            return Some(Outcome::Read(self.rc.to_vec()));
        }
        if self.answers > MOST_ANSWERS {
            return Some(Outcome::Failed);
        }
        let piece = |knobs: &mut Knobs, rc: &[u8]| rc[knobs.below(rc.len() + 1)..].to_vec();
        let knobs = &mut self.knobs;
        // Mostly what fits, sometimes anything.
        let kind = match effect {
            Effect::ReadRc(_) => 0,
            Effect::Run(_) => 1,
            Effect::Deliver(_) | Effect::Print(_) => 2,
            Effect::Lock(_) => 3 + knobs.below(3),
            _ => 6,
        };
        let kind = if knobs.one_in(8) { knobs.below(8) } else { kind };
        Some(match kind {
            0 => Outcome::Read(piece(knobs, self.rc)),
            1 => Outcome::Ran(Ran {
                exit: match knobs.below(4) {
                    0 => Exit::Code(knobs.below(256) as i32),
                    1 => Exit::Signal(9),
                    2 => Exit::Unknown,
                    _ => Exit::Code(0),
                },
                output: piece(knobs, self.rc),
                cut_off: knobs.one_in(8),
                fed: !knobs.one_in(8),
                timed_out: knobs.one_in(16),
            }),
            2 => {
                let size = (!knobs.one_in(4)).then(|| knobs.below(9) as u64);
                let notes =
                    vec![Note::Start(7), Note::Folder(piece(knobs, self.rc)), Note::Linking(b"l".to_vec())];
                Outcome::Delivered(Delivered { notes, size })
            }
            3 => Outcome::Held(Some(Duration::from_secs(knobs.below(4000) as u64))),
            4 => Outcome::NoPlace(b"x".to_vec()),
            7 => Outcome::Failed,
            _ => Outcome::Done,
        })
    }
}

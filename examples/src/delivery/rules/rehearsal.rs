//! A rehearsal: an rc file evaluated without any effect, to know beforehand whether it would run a program, or write more
//! than it may.
//!
//! A message that is deferred will come again, so nothing of it may have been filed then.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use procmail_engine::effect::{Delivered, Effect, Exit, Note, Outcome, Purpose, Ran, ReadRc};
use procmail_engine::eval::{Evaluator, Step};

use crate::filter::Allowance;

/// Why an evaluation cannot go as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hindrance {
    /// It runs a program.
    Program(Purpose),
    /// It includes an rc file that cannot be obeyed.
    Broken,
    /// It makes more copies than it may.
    Copies,
    /// What it files does not fit into the user's quota.
    Room,
    /// It does not come to an end.
    Time,
}

/// Evaluates as if all went well, with so much to write. `read` finds the rc files, from the current directory.
pub(super) fn rehearse(
    evaluator: Evaluator,
    directory: &Path,
    deadline: Instant,
    allowance: Allowance,
    read: &mut impl FnMut(&ReadRc, &Path) -> Result<Outcome, Hindrance>,
) -> Result<(), Hindrance> {
    let (mut copies, mut bytes) = (0, 0);
    let mut scenes = vec![Scene { evaluator, directory: directory.to_owned(), wanted: false }];
    while let Some(mut scene) = scenes.pop() {
        let effect = match scene.evaluator.step() {
            Step::Finished(finished) => {
                if scene.wanted
                    && let Some(above) = scenes.last_mut()
                {
                    above.evaluator.answer(Outcome::Ran(Ran::ended(Exit::Code(finished.code))));
                }
                continue;
            }
            Step::Effect(effect) => effect,
        };
        if Instant::now() >= deadline {
            return Err(Hindrance::Time);
        }
        copies += Allowance::copies_of(&effect);
        if allowance.copies.is_some_and(|most| copies > most) {
            return Err(Hindrance::Copies);
        }
        let mut copied = None;
        let outcome = match effect {
            Effect::Run(run) => return Err(Hindrance::Program(run.purpose)),
            Effect::ReadRc(rc) => Some(read(&rc, &scene.directory)?),
            Effect::ChangeDirectory(to) => {
                scene.directory.push(OsStr::from_bytes(&to));
                Some(Outcome::Done)
            }
            Effect::Deliver(deliver) => {
                bytes += Allowance::bytes_of(&deliver);
                if allowance.bytes.is_some_and(|most| bytes > most) {
                    return Err(Hindrance::Room);
                }
                let notes = deliver.folders.first().cloned().map(Note::Folder).into_iter().collect();
                let size = Some(deliver.content.raw().len() as u64);
                Some(Outcome::Delivered(Delivered { notes, size }))
            }
            Effect::Fork { copy, wait } => {
                copied = Some(Scene { evaluator: *copy, directory: scene.directory.clone(), wanted: wait });
                (!wait).then_some(Outcome::Done)
            }
            effect => effect.needs_answer().then_some(Outcome::Done),
        };
        if let Some(outcome) = outcome {
            scene.evaluator.answer(outcome);
        }
        scenes.push(scene);
        scenes.extend(copied);
    }
    Ok(())
}

/// An evaluation on its way.
struct Scene {
    evaluator: Evaluator,
    directory: PathBuf,
    /// Whether the one above waits for how it ends.
    wanted: bool,
}

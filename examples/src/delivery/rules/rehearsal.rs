//! A rehearsal: an rc file evaluated without any effect, to know beforehand whether it would run a program.
//!
//! A message that is deferred will come again, so nothing of it may have been filed then.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use procmail_engine::effect::{Delivered, Effect, Exit, Note, Outcome, Purpose, Ran, ReadRc};
use procmail_engine::eval::{Evaluator, Step};

/// Why an evaluation cannot go as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hindrance {
    /// It runs a program.
    Program(Purpose),
    /// It includes an rc file that cannot be obeyed.
    Broken,
}

/// Evaluates as if all went well. `read` finds the rc files.
pub(super) fn rehearse(
    mut evaluator: Evaluator,
    directory: &Path,
    read: &mut impl FnMut(&ReadRc, &Path) -> Result<Outcome, Hindrance>,
) -> Result<i32, Hindrance> {
    let mut directory = directory.to_owned();
    loop {
        let effect = match evaluator.step() {
            Step::Finished(finished) => return Ok(finished.code),
            Step::Effect(effect) => effect,
        };
        let outcome = match effect {
            Effect::Run(run) => return Err(Hindrance::Program(run.purpose)),
            Effect::ReadRc(rc) => read(&rc, &directory)?,
            Effect::ChangeDirectory(to) => {
                directory.push(OsStr::from_bytes(&to));
                Outcome::Done
            }
            Effect::Deliver(deliver) => {
                let notes = deliver.folders.first().cloned().map(Note::Folder).into_iter().collect();
                Outcome::Delivered(Delivered { notes, size: Some(deliver.content.raw().len() as u64) })
            }
            Effect::Fork { copy, wait } => {
                let code = rehearse(*copy, &directory, read)?;
                if wait { Outcome::Ran(Ran::ended(Exit::Code(code))) } else { Outcome::Done }
            }
            effect if !effect.needs_answer() => continue,
            _ => Outcome::Done,
        };
        evaluator.answer(outcome);
    }
}

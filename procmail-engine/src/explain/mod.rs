//! What an rc file would do with a mail, and why.
//!
//! An [`Explainer`] drives the [`Evaluator`], so what it tells is what a delivery does. Nothing is done, though: what the
//! evaluator asks for is answered by assumption. Deliveries succeed, locks are free, directories are there; programs end
//! with the code of [`Explainer::exit_code`] and write nothing, except that filters give back what they got. Where the
//! embedder knows better ([`Explainer::answering`]), it answers instead. An [`Explanation`] says what was assumed.
//!
//! ```
//! use procmail_engine::eval::{Fate, Setup};
//! use procmail_engine::explain::{Explainer, Marks};
//! use procmail_engine::mail::Mail;
//!
//! let rc = b"MAILDIR=Mail\n\n:0:\n* ^Subject:.*cats\ncats\n";
//! let setup = Setup::new().variable("DEFAULT", "/var/mail/joe");
//! let mail = Mail::new(b"From: ann@example.org\nSubject: more cats\n\nmeow\n".to_vec());
//! let explanation = Explainer::new(setup).rc(".procmailrc", rc.to_vec()).explain(mail);
//!
//! assert_eq!(explanation.finished.fate, Fate::Delivered);
//! assert_eq!(explanation.folders().collect::<Vec<_>>(), [b"cats"]);
//! assert_eq!(
//!     explanation.render(Marks::Ascii),
//!     "\
//! .procmailrc
//!    1  MAILDIR=Mail
//!    3  :0:
//!    4  yes * ^Subject:.*cats  Subject, line 2, byte 22: \"Subject: more cats\"
//!    5  ->  lock \"cats.lock\"
//!    5  ->  deliver to \"cats\"  a mailbox, or a file of its own if that is a directory
//!    5  LASTFOLDER=cats
//! delivered; exit code 0
//! assumed: that deliveries succeed; that locks are free; that directories are there
//! "
//! );
//! ```

mod event;
mod render;
mod way;

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use crate::effect::{Delivered, Effect, Exit, Note, Outcome, Purpose, Ran, Run};
use crate::eval::{Evaluator, Finished, Setup, Step};
use crate::mail::Mail;

pub use event::{Assumption, Entry, Event, Folder, FolderKind, Place};
pub use render::Marks;

use way::{Limits, Way};

/// How many entries an explanation has at most, those of copies included.
const MOST_ENTRIES: usize = 50_000;
/// How many bytes of texts it holds at most.
const MOST_BYTES: usize = 8 << 20;
/// How many copies of the mail are followed.
const MOST_COPIES: usize = 32;
/// How many effects the embedder is asked about.
const MOST_ANSWERS: usize = 1_000_000;

/// What the embedder answers to an effect, if it wants to.
type Answers<'a> = dyn FnMut(&Effect) -> Option<Outcome> + 'a;

/// Explains what becomes of mails.
pub struct Explainer<'a> {
    setup: Setup,
    files: HashMap<Vec<u8>, Vec<u8>>,
    exit_code: i32,
    answers: Option<Box<Answers<'a>>>,
}

impl fmt::Debug for Explainer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explainer").field("setup", &self.setup).finish_non_exhaustive()
    }
}

impl<'a> Explainer<'a> {
    /// An explainer of what is set up so. Its rc files are those of the setup, and those given by [`Explainer::rc`].
    pub fn new(setup: Setup) -> Self {
        Self { setup, files: HashMap::new(), exit_code: 0, answers: None }
    }

    /// Adds an rc file to those of the setup.
    #[must_use]
    pub fn rc(mut self, path: impl Into<Vec<u8>>, source: impl Into<Vec<u8>>) -> Self {
        let path = path.into();
        self.setup.rc_files.push(path.clone());
        self.included(path, source)
    }

    /// Gives a file that `INCLUDERC` or `SWITCHRC` may name so. A file that nobody gives cannot be read.
    #[must_use]
    pub fn included(mut self, path: impl Into<Vec<u8>>, source: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), source.into());
        self
    }

    /// With which code programs are assumed to end; 0 if nothing is said.
    #[must_use]
    pub fn exit_code(mut self, code: i32) -> Self {
        self.exit_code = code;
        self
    }

    /// Asks the embedder first. It may read an rc file, run a program, or look whether a lock is there.
    ///
    /// [`Effect::Fork`] and effects without answers are not asked about.
    #[must_use]
    pub fn answering(mut self, answers: impl FnMut(&Effect) -> Option<Outcome> + 'a) -> Self {
        self.answers = Some(Box::new(answers));
        self
    }

    /// Explains what becomes of a mail.
    pub fn explain(&mut self, mail: Mail) -> Explanation {
        let setup = Setup { traces: true, ..self.setup.clone() };
        let mut limits =
            Limits { entries: MOST_ENTRIES, bytes: MOST_BYTES, copies: MOST_COPIES, answers: MOST_ANSWERS };
        let way = Way::default();
        self.follow(Evaluator::new(setup, mail), way, &mut limits)
    }

    fn follow(&mut self, mut evaluator: Evaluator, mut way: Way, limits: &mut Limits) -> Explanation {
        loop {
            // What verbose messages say is told anyway, and they speak of programs as if they had been run.
            evaluator.set_verbose(false);
            match evaluator.step() {
                Step::Effect(Effect::Trace(trace)) => way.trace(*trace, limits),
                Step::Effect(Effect::Fork { copy, wait }) => {
                    let followed = if limits.copies == 0 {
                        None
                    } else {
                        limits.copies -= 1;
                        let branch = Way { entries: Vec::new(), ..way.clone() };
                        Some(self.follow(*copy, branch, limits))
                    };
                    let code = followed.as_ref().map_or(0, |copy| copy.finished.code);
                    if let Some(copy) = &followed {
                        way.assumptions.extend(&copy.assumptions);
                        way.cut_off |= copy.cut_off;
                    }
                    way.add(Event::Copy(followed.map(Box::new)), limits);
                    evaluator.answer(if wait {
                        Outcome::Ran(Ran::ended(Exit::Code(code)))
                    } else {
                        Outcome::Done
                    });
                }
                Step::Effect(effect) => {
                    if let Some(outcome) = self.answer(&effect, &mut way, limits) {
                        evaluator.answer(outcome);
                    }
                }
                Step::Finished(finished) => {
                    return Explanation {
                        entries: way.entries,
                        finished,
                        mail: evaluator.mail().clone(),
                        assumptions: way.assumptions,
                        cut_off: way.cut_off,
                    };
                }
            }
        }
    }

    /// Answers an effect, and notes it.
    fn answer(&mut self, effect: &Effect, way: &mut Way, limits: &mut Limits) -> Option<Outcome> {
        let mut answered = None;
        if effect.needs_answer() && limits.answers > 0 {
            limits.answers -= 1;
            answered = self.answers.as_mut().and_then(|answers| answers(effect));
        }
        let assumed = answered.is_none();
        let outcome = answered.or_else(|| effect.needs_answer().then(|| self.assume(effect)));
        let event = match effect {
            Effect::ReadRc(rc) => match &outcome {
                Some(Outcome::Read(_) | Outcome::Parsed(_)) => None,
                _ => Some(Event::Unreadable(rc.path.clone())),
            },
            Effect::Deliver(deliver) => {
                let folders = deliver.folders.iter().map(|name| Folder::new(name)).collect();
                let succeeded = delivered(outcome.as_ref());
                Some(Event::Delivered { folders, copy: way.copies, succeeded })
            }
            Effect::Print(_) => {
                Some(Event::Printed { copy: way.copies, succeeded: delivered(outcome.as_ref()) })
            }
            Effect::Run(run) => {
                let exit = match &outcome {
                    Some(Outcome::Ran(ran)) => Some(ran.exit),
                    _ => None,
                };
                let command = run.command.text(b" ").trim_ascii().to_vec();
                Some(Event::Ran { purpose: run.purpose, command, copy: way.copies, exit, assumed })
            }
            Effect::Lock(path) => {
                Some(Event::Locked { path: path.clone(), succeeded: outcome == Some(Outcome::Done) })
            }
            Effect::Log(log) => log.text.strip_prefix(b"procmail: ").map(|text| {
                let text = text.strip_suffix(b"\n").unwrap_or(text);
                Event::Message(text.to_vec())
            }),
            _ => None,
        };
        if assumed {
            let assumption = match effect {
                Effect::Deliver(_) | Effect::Print(_) => Some(Assumption::Deliveries),
                Effect::Lock(_) => Some(Assumption::Locks),
                Effect::ChangeDirectory(_) => Some(Assumption::Directories),
                Effect::Run(run) if run.purpose == Purpose::Filter => Some(Assumption::Filters),
                Effect::Run(_) => Some(Assumption::Programs(self.exit_code)),
                _ => None,
            };
            way.assumptions.extend(assumption);
        }
        if let Some(event) = event {
            way.add(event, limits);
        }
        outcome
    }

    /// What is assumed to come of an effect.
    fn assume(&self, effect: &Effect) -> Outcome {
        match effect {
            Effect::ReadRc(rc) => {
                self.files.get(&rc.path).map_or(Outcome::Failed, |source| Outcome::Read(source.clone()))
            }
            Effect::Run(run) => Outcome::Ran(self.assume_run(run)),
            Effect::Deliver(deliver) => {
                let notes = vec![Note::Folder(deliver.folders.first().cloned().unwrap_or_default())];
                let nowhere = deliver.folders.first().is_none_or(Vec::is_empty);
                let size = (!nowhere).then(|| deliver.content.for_mbox().len() as u64);
                Outcome::Delivered(Delivered { notes, size })
            }
            Effect::Print(content) => Outcome::Delivered(Delivered {
                notes: vec![Note::Folder(b"|".to_vec())],
                size: Some(content.with_end().len() as u64),
            }),
            _ => Outcome::Done,
        }
    }

    fn assume_run(&self, run: &Run) -> Ran {
        let mut ran = Ran::ended(Exit::Code(self.exit_code));
        if run.purpose == Purpose::Filter {
            ran.exit = Exit::Code(0);
            ran.output = run.input.to_vec();
        }
        ran
    }
}

fn delivered(outcome: Option<&Outcome>) -> bool {
    matches!(outcome, Some(Outcome::Delivered(Delivered { size: Some(_), .. })))
}

/// What becomes of a mail, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// What happens, in order.
    pub entries: Vec<Entry>,
    /// How it ends.
    pub finished: Finished,
    /// The mail as it is at the end.
    pub mail: Mail,
    /// What was assumed on the way.
    pub assumptions: BTreeSet<Assumption>,
    /// Whether there was more to tell than an explanation holds: some 50 000 entries, 8 MiB of texts. How it ends is right all
    /// the same.
    pub cut_off: bool,
}

impl Explanation {
    /// The folders that got the mail, copies included, in order. Those of copies made by `c` on a block stand where the block
    /// does.
    pub fn folders(&self) -> impl Iterator<Item = &[u8]> {
        let mut folders = Vec::new();
        // Copies nest no deeper than they are many.
        let mut open = vec![self.entries.iter()];
        while let Some(entries) = open.last_mut() {
            match entries.next().map(|entry| &entry.event) {
                None => {
                    open.pop();
                }
                Some(Event::Copy(Some(copy))) => open.push(copy.entries.iter()),
                Some(Event::Delivered { folders: names, succeeded: true, .. }) => {
                    folders.extend(names.iter().map(|folder| folder.name.as_slice()));
                }
                Some(_) => {}
            }
        }
        folders.into_iter()
    }

    /// Writes it out, a line for each entry, what belongs together below each other.
    pub fn render(&self, marks: Marks) -> String {
        render::render(self, marks)
    }
}

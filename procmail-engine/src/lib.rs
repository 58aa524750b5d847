//! Procmail's language: a parser, its regular expressions, and an evaluator that asks its host for every effect.
//!
//! # What it is for
//!
//! Programs that filter mail by the rc files that people have: a drop-in for procmail, a mail server that files mail in
//! process, a simulator that shows what would happen. The language is that of procmail 3.22, its logs and verbose logs
//! included, checked case by case against the real program.
//!
//! This crate touches no file, process, clock or environment. The evaluator yields [`effect::Effect`]s, one at a time, and
//! the host answers with [`effect::Outcome`]s; so the same code runs in a delivery agent, in a server that refuses
//! programs, and in tests.
//!
//! # Filtering a mail
//!
//! ```
//! use procmail_engine::effect::{Delivered, Effect, Note, Outcome};
//! use procmail_engine::eval::{Evaluator, Fate, Setup, Step};
//! use procmail_engine::mail::Mail;
//!
//! let rc = b":0:\n* ^Subject:.*cats\nMail/cats\n";
//! let mut setup = Setup::new().variable("HOME", "/home/joe").variable("DEFAULT", "/var/mail/joe");
//! setup.rc_files.push(b".procmailrc".to_vec());
//!
//! let mut evaluator = Evaluator::new(setup, Mail::new(b"Subject: more cats\n\nmeow\n".to_vec()));
//! let mut filed = Vec::new();
//! let finished = loop {
//!     match evaluator.step() {
//!         Step::Finished(finished) => break finished,
//!         Step::Effect(effect) => {
//!             let outcome = match effect {
//!                 Effect::ReadRc(_) => Outcome::Read(rc.to_vec()),
//!                 Effect::Deliver(deliver) => {
//!                     // Here a host writes `deliver.content.for_mbox()` to the folder.
//!                     filed = deliver.folders.clone();
//!                     let notes = vec![Note::Folder(deliver.folders[0].clone())];
//!                     Outcome::Delivered(Delivered { notes, size: Some(deliver.content.for_mbox().len() as u64) })
//!                 }
//!                 effect if !effect.needs_answer() => continue,
//!                 _ => Outcome::Failed,
//!             };
//!             evaluator.answer(outcome);
//!         }
//!     }
//! };
//! assert_eq!(finished.fate, Fate::Delivered);
//! assert_eq!(filed, [b"Mail/cats"]);
//! ```
//!
//! # How do I …
//!
//! - **… refuse programs?** Answer [`effect::Effect::Run`] with [`effect::Outcome::Failed`]; [`effect::Purpose`] tells what
//!   each is for.
//! - **… know what a file format gets?** [`mail::Content`] has the forms for mailboxes, single files, Maildirs and mailers.
//! - **… serve `c` on a block?** [`effect::Effect::Fork`] brings a copy of the evaluator; run it on a thread, or to its end
//!   before going on.
//! - **… know what an rc file would do with a mail, and why?** [`explain::Explainer`].
//! - **… go over to Sieve?** [`sieve::to_sieve`].
//! - **… look at an rc file without evaluating it?** [`syntax::Rc`].
//! - **… find mistakes in an rc file?** [`check::check`], and [`check::render`] to show them.
//! - **… lay an rc file out?** [`format::format()`], which never changes what the file does.
//! - **… only match?** [`regex::Regex`].
//!
//! # What it promises
//!
//! - Any rc file, mail and answer of the host is taken without a panic. An answer that does not fit counts as a failure.
//! - A search takes time linear in the text. An evaluation looks at no more items than [`eval::Setup::most_items`], so rc
//!   files that include themselves end, and its variables hold no more than 64 MiB.
#![forbid(unsafe_code)]

pub mod check;
pub mod effect;
pub mod eval;
pub mod explain;
pub mod format;
pub mod mail;
pub mod regex;
mod shown;
pub mod sieve;
pub mod syntax;

//! What follows from how an action ended.

use super::super::finish::Finish;
use super::super::{Evaluator, Task, Value};
use super::Act;
use crate::effect::{Delivered, Note, Outcome};
use crate::mail::Area;
use crate::syntax::{Action, Capture};

/// What `$?` is when a program does not take all that it is to read.
const CANNOT_WRITE: i32 = 74;

impl Evaluator {
    /// A program that an action ran has ended.
    pub(super) fn action_ran(&mut self, act: &Act, action: &Action) {
        let Value::Ran(ran, command) = std::mem::take(&mut self.value) else {
            self.chain.succeeded = false;
            return;
        };
        let (capture, size) = match action {
            Action::Pipe { capture, .. } => (capture.as_ref(), self.given(&act.head).with_end().len()),
            Action::Forward { capture, .. } => (capture.as_ref(), self.given(&act.head).for_mailer().len()),
            _ => (None, 0),
        };
        let head = &act.head;
        if capture.is_none() && !head.filters {
            self.written = size as u64;
        }
        let starved = !ran.fed && !head.ignores_write_errors && !ran.timed_out;
        let mut failed = starved || ran.timed_out;
        if starved {
            self.complain_of("Error while writing to", command.name());
        }
        let quiet = !head.waits || head.waits_quietly;
        if !starved && head.waits_for_exit() && (capture.is_some() || head.filters) {
            self.filter_failed = !ran.exit.is_success();
        }
        if starved && (capture.is_some() || head.filters) {
            // Procmail does not wait for it then.
            self.status = CANNOT_WRITE;
        } else if head.waits_for_exit() && !ran.exit.is_success() {
            failed = true;
            if !(ran.timed_out && head.filters) {
                self.complain_of_exit(ran.exit, command.name(), quiet);
            }
        }
        let rescue_is_told =
            starved || self.numbers.verbose || if ran.timed_out { !head.waits_quietly } else { !quiet };
        if let Some(capture) = capture {
            failed = !self.captured(act, capture, ran.output, failed, rescue_is_told);
        } else if head.filters {
            if failed {
                if rescue_is_told {
                    self.complain("Rescue of unfiltered data succeeded");
                }
            } else {
                let mut output = ran.output;
                // The line that was not sent stays.
                let kept = self
                    .mail
                    .from_line()
                    .filter(|_| matches!(action, Action::Forward { .. }) && head.given() != Area::Body);
                if let Some(line) = kept {
                    output = [line, b"\n", &output].concat();
                }
                self.replace(head.given(), &output);
            }
        } else {
            let shown = self.shown.take().unwrap_or_else(|| command.text(b" "));
            self.place = None;
            self.assign_quietly(b"LASTFOLDER", &shown);
            self.settle(act, (!failed).then_some(size as u64));
            return;
        }
        // Of a program that is not waited for, procmail says what it knows of the last that was.
        self.chain.succeeded = !failed && !self.filter_failed;
    }

    /// Gives a variable what a program has said, and tells whether it has got it.
    fn captured(
        &mut self,
        act: &Act,
        capture: &Capture,
        mut output: Vec<u8>,
        mut failed: bool,
        rescue_is_told: bool,
    ) -> bool {
        if !failed && self.variables.size() + output.len() > self.most_variables() {
            self.overflow();
            failed = true;
        }
        if failed {
            match &act.before {
                Some(before) => {
                    if rescue_is_told {
                        self.complain("Rescue of unfiltered data succeeded");
                    }
                    self.set_variable(capture.variable(), before);
                }
                None => self.remove_variable(capture.variable()),
            }
            return false;
        }
        if output.last() == Some(&b'\n') {
            output.pop();
        }
        let name = capture.variable().to_vec();
        self.set_variable(&name, &output);
        self.numbers.assigned(&name, &output);
        self.assigned(name, output);
        true
    }

    /// Tells of a delivery, and gives its size if it succeeded.
    pub(in crate::eval) fn delivered_to(&mut self) -> Option<u64> {
        let Some(Outcome::Delivered(Delivered { notes, size })) = self.outcome.take() else { return None };
        let mut folders: Vec<Vec<u8>> = Vec::new();
        let mut start = 0;
        for note in notes {
            match note {
                Note::Start(at) => start = at,
                Note::NotDirectory(name) => self.complain_of("Unable to treat as directory", &name),
                Note::Skipped(name) => self.complain_of("Skipped", &name),
                Note::Folder(name) => {
                    self.assign_quietly(b"LASTFOLDER", &name);
                    folders.push(name);
                }
                Note::Opening(name) => self.tell_of("Opening", &name),
                Note::KernelLock => self.tell(b"Acquiring kernel-lock"),
                Note::Linking(name) => {
                    self.tell_of("Linking to", &name);
                    folders.push(name);
                }
                Note::WriteError(name) => self.complain_of("Error while writing to", &name),
                Note::NoFile(name) => self.complain_of("Couldn't create or rename temp file", &name),
                Note::NoSpace(name) => self.complain_of("No space left to finish writing", &name),
                Note::OverQuota(name) => self.complain_of("Quota exceeded while writing", &name),
                Note::Begun(length) => self.written = length,
                Note::KernelLockAwaited => {}
                Note::Truncated => self.complain("Truncated file to former size"),
            }
        }
        self.place = Some((start, folders.first().cloned().unwrap_or_default()));
        if folders.len() > 1 {
            self.set_variable(b"LASTFOLDER", &folders.join(&b' '));
        }
        self.written = size.unwrap_or(self.written);
        size
    }

    /// A recipe that delivers has done so, or not.
    pub(super) fn settle(&mut self, act: &Act, size: Option<u64>) {
        self.chain.succeeded = size.is_some();
        let Some(size) = size else { return };
        if act.head.copies {
            if self.logs_copies() {
                self.log_abstract(size);
            }
        } else {
            self.tasks.clear();
            self.tasks.push(Task::Finish(Finish::Delivered(size)));
        }
    }
}

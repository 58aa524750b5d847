//! The lock file that a recipe wants: its name, and taking it.

use std::sync::Arc;

use super::super::expand::Expand;
use super::super::lock::TakeLock;
use super::super::{Evaluator, Task};
use super::{Act, Stage};
use crate::syntax::{Action, Mode, Part, parse_text};

impl Evaluator {
    /// Takes the local lock, if the recipe wants one.
    pub(super) fn find_lock(&mut self, mut act: Box<Act>, action: &Action) {
        let Some(lock) = act.head.lock.clone() else {
            self.perform(act, action);
            return;
        };
        if !lock.is_empty() {
            self.lock_action(act, lock, action);
            return;
        }
        match action {
            Action::Folders(_) => {
                let folder = act.words.first().cloned().unwrap_or_default();
                if folder == b"/dev/null" {
                    self.perform(act, action);
                } else {
                    self.lock_beside(act, &folder, action);
                }
            }
            Action::Pipe { command, .. } => {
                if self.is_nothing(command) {
                    self.perform(act, action);
                    return;
                }
                match memchr::memmem::find(command, b">>") {
                    Some(at) => {
                        let rest = &command[at + 2..];
                        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                        let rest = &rest[blanks..];
                        let end =
                            rest.iter().position(|byte| b" \t\n;&|<>()".contains(byte)).unwrap_or(rest.len());
                        let text = parse_text(&rest[..end], 0, Mode::Value);
                        act.stage = Stage::LockName;
                        self.tasks.push(Task::Act(act));
                        self.tasks.push(Task::Expand(Expand::new(Arc::new(text), Mode::Value, 0)));
                    }
                    None => {
                        self.complain_of_lock(command);
                        self.lock_beside(act, b"", action);
                    }
                }
            }
            Action::Forward { .. } => {
                let name = act.words.first().cloned().unwrap_or_default();
                self.complain_of("Couldn't determine implicit lockfile from", &name);
                self.lock_beside(act, b"", action);
            }
            Action::Block { .. } => self.lock_beside(act, b"", action),
            Action::Missing | Action::Incomplete => {}
        }
    }

    /// Tells that no name for a lock was found in a command: of one that a shell runs all is shown, of others the program.
    pub(super) fn complain_of_lock(&mut self, command: &[u8]) {
        let mut shown = command.to_vec();
        if !self.needs_shell(command) {
            let text = parse_text(command, 0, Mode::Words);
            let word = text.parts.iter().take_while(|part| **part != Part::Break);
            shown = word.fold(Vec::new(), |mut shown, part| {
                match part {
                    Part::Bytes(bytes) => shown.extend_from_slice(bytes),
                    Part::Variable { name, .. } => shown.extend(self.lookup(name).unwrap_or_default()),
                    _ => {}
                }
                shown
            });
        }
        self.complain_of("Couldn't determine implicit lockfile from", &shown);
    }

    pub(super) fn lock_beside(&mut self, act: Box<Act>, name: &[u8], action: &Action) {
        let lock = [name, self.variables.value("LOCKEXT")].concat();
        self.lock_action(act, lock, action);
    }

    pub(super) fn lock_action(&mut self, mut act: Box<Act>, lock: Vec<u8>, action: &Action) {
        if self.lock_file.as_ref() == Some(&lock) {
            self.complain_of("Deadlock attempted on", &lock);
            self.perform(act, action);
            return;
        }
        act.head.lock = Some(lock.clone());
        act.stage = Stage::Locked;
        self.tasks.push(Task::Act(act));
        self.tasks.push(Task::Lock(TakeLock::new(lock)));
    }
}

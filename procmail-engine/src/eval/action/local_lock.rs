//! The lock file that a recipe wants: its name, and taking it.

use std::sync::Arc;

use super::super::expand::Expand;
use super::super::lock::TakeLock;
use super::super::{Evaluator, Task};
use super::{Act, Stage};
use crate::syntax::{Action, Mode, Text, parse_text};

impl Evaluator {
    /// Takes the local lock, if the recipe wants one.
    pub(super) fn find_lock(&mut self, mut act: Box<Act>, action: &Action) {
        let Some(lock) = act.head.lock.clone() else {
            self.perform(act, action);
            return;
        };
        if act.head.nameless_lock {
            self.perform(act, action);
            return;
        }
        if !lock.is_empty() {
            self.lock_action(act, lock, action);
            return;
        }
        match action {
            Action::Folders(_) => {
                let folder = act.words.first().cloned().unwrap_or_default();
                self.lock_beside(act, &folder, action);
            }
            Action::Pipe { command, .. } => {
                if self.is_nothing(command) {
                    self.perform(act, action);
                    return;
                }
                // Of a command that no shell runs, only the program is looked at.
                let line = self.told_command(command);
                match memchr::memmem::find(&line, b">>") {
                    Some(at) => {
                        let text = self.lock_text(&line[at + 2..]);
                        act.stage = Stage::LockName;
                        self.tasks.push(Task::Act(act));
                        self.tasks.push(Task::Expand(Expand::new(Arc::new(text), Mode::Words, 0)));
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

    /// The name of the file that a command appends to, which it starts with. A quotation, a comment or a command ends it.
    fn lock_text(&mut self, command: &[u8]) -> Text {
        let name = command.trim_ascii_start();
        let end = name.iter().position(|byte| b" \t\n'\"#;`)".contains(byte)).unwrap_or(name.len());
        let mut name = &name[..end];
        let slashes = name.iter().rev().take_while(|&&byte| byte == b'\\').count();
        if slashes % 2 == 1 {
            self.complain("Unexpected EOL");
            name = &name[..end - 1];
        }
        parse_text(name, 0, Mode::Words)
    }

    /// Tells that no name for a lock was found in a command: of one that a shell runs all is shown, of others the program.
    pub(super) fn complain_of_lock(&mut self, command: &[u8]) {
        let shown = self.told_command(command);
        self.complain_of("Couldn't determine implicit lockfile from", &shown);
    }

    fn told_command(&self, command: &[u8]) -> Vec<u8> {
        if self.needs_shell(command) {
            return command.to_vec();
        }
        self.words(&parse_text(command, 0, Mode::Words)).into_iter().next().unwrap_or_default()
    }

    /// Takes the lock of a file that is written to; the null device has none.
    pub(super) fn lock_beside(&mut self, act: Box<Act>, name: &[u8], action: &Action) {
        if name == b"/dev/null" {
            self.perform(act, action);
            return;
        }
        let lock = [name, self.variables.value("LOCKEXT")].concat();
        self.lock_action(act, lock, action);
    }

    pub(super) fn lock_action(&mut self, mut act: Box<Act>, lock: Vec<u8>, action: &Action) {
        if lock.is_empty() {
            self.perform(act, action);
            return;
        }
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

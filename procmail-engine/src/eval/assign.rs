//! Assignments and removals, and what comes with those of variables that mean something to procmail.

use std::sync::Arc;

use super::expand::Expand;
use super::lock::TakeLock;
use super::variables::number;
use super::{Evaluator, MAX_NESTING, Task, finish};
use crate::effect::{Effect, LogText, ReadRc};
use crate::syntax::{Mode, Part, parse_text};

impl Evaluator {
    pub(super) fn command_line(&mut self, at: usize) {
        let Some(assignment) = self.setup.assignments.get(at).cloned() else {
            self.tasks.push(Task::NextRc);
            if let Some(system_rc) = self.setup.system_rc.clone() {
                self.emit(Effect::ReadRc(ReadRc { path: system_rc.path.clone(), first: false }));
                self.tasks.push(Task::OpenSystemRc(system_rc));
            }
            return;
        };
        self.tasks.push(Task::CommandLine(at + 1));
        let Some(equals) = memchr::memchr(b'=', &assignment) else { return };
        let name = assignment[..equals].to_vec();
        let mut text = parse_text(&assignment, equals + 1, Mode::Words);
        // Other than in rc files, blanks end nothing: all of them between two words are one.
        for (number, part) in text.parts.iter_mut().enumerate() {
            if *part == Part::Break {
                *part = Part::Bytes(if number == 0 { Vec::new() } else { b" ".to_vec() });
            }
        }
        self.assign_text(name, Arc::new(text));
    }

    pub(super) fn assign_text(&mut self, name: Vec<u8>, text: Arc<crate::syntax::Text>) {
        let used = name.len() + 1;
        self.tasks.push(Task::Assign(name));
        self.tasks.push(Task::Expand(Expand::new(text, Mode::Value, used)));
    }

    /// Sets a variable and does what comes with it.
    pub(super) fn assign(&mut self, name: Vec<u8>, value: Vec<u8>) {
        self.assign_quietly(&name, &value);
        self.assigned(name, value);
    }

    /// Sets a variable, telling of it in verbose mode.
    pub(super) fn assign_quietly(&mut self, name: &[u8], value: &[u8]) {
        self.tell_of("Assigning", &[name, b"=", value].concat());
        self.set_variable(name, value);
        self.numbers.assigned(name, value);
    }

    pub(super) fn remove(&mut self, name: &[u8]) {
        self.tell_of("Assigning", name);
        self.remove_variable(name);
        match name {
            b"LOGFILE" => {
                self.logging = false;
                self.tell_of("Opening", b"/dev/null");
                self.emit(Effect::CloseLog);
            }
            b"MAILDIR" => self.change_directory(Vec::new()),
            b"LOCKFILE" => self.release_lock_file(),
            b"SWITCHRC" => self.switch_off(),
            b"HOST" => self.host_differs(),
            _ => {}
        }
    }

    fn change_directory(&mut self, path: Vec<u8>) {
        self.directory_set = true;
        self.tasks.push(Task::ChangeDirectory(path.clone()));
        // No system has a directory without a name.
        if !path.is_empty() {
            self.emit(Effect::ChangeDirectory(path));
        }
    }

    pub(super) fn assigned(&mut self, name: Vec<u8>, value: Vec<u8>) {
        match name.as_slice() {
            b"MAILDIR" => self.change_directory(value),
            b"COMSAT" if !value.is_empty() && number(&value, 1) == 0 => {
                self.assign_quietly(b"COMSAT", b"no");
            }
            b"LOGFILE" => {
                self.logging = true;
                let value = if value.is_empty() { b"/dev/null".to_vec() } else { value };
                self.tell_of("Opening", &value);
                self.tasks.push(Task::OpenLog(value.clone()));
                self.emit(Effect::OpenLog(value));
            }
            b"LOG" => self.emit(Effect::Log(LogText { text: value, stamped: false })),
            b"LOCKFILE" => {
                self.release_lock_file();
                if !value.is_empty() {
                    self.tasks.push(Task::LockFile(value.clone()));
                    self.tasks.push(Task::Lock(TakeLock::new(value)));
                }
            }
            b"UMASK" => {
                let mask = value
                    .iter()
                    .take_while(|byte| (b'0'..=b'7').contains(byte))
                    .fold(0u32, |mask, digit| mask.wrapping_mul(8) + u32::from(digit - b'0'));
                self.emit(Effect::SetUmask(mask & 0o777));
            }
            b"HOST" if value != self.setup.host => self.host_differs(),
            b"SHIFT" => {
                let count = usize::try_from(number(&value, 0)).unwrap_or(0).min(self.arguments.len());
                self.arguments.drain(..count);
            }
            b"DEFAULT" => self.default_set = true,
            b"DELIVERED" if number(&value, 0) != 0 && !self.numbers.delivered => {
                self.numbers.delivered = true;
                self.emit(Effect::Acknowledge);
            }
            b"DROPPRIVS" if number(&value, 0) != 0 => {
                self.tell(b"Assuming identity of the recipient, VERBOSE=off");
                self.emit(Effect::DropPrivileges);
            }
            b"COMSAT" if finish::comsat(&value).is_none() => self.assign_quietly(b"COMSAT", b"no"),
            b"INCLUDERC" if value.is_empty() || value == b"/dev/null" || self.files.len() >= MAX_NESTING => {}
            b"INCLUDERC" if self.in_rc => {
                self.tasks.push(Task::Include { path: value.clone(), switch: false });
                self.emit(Effect::ReadRc(ReadRc { path: value, first: false }));
            }
            b"SWITCHRC" if self.in_rc => {
                if value.is_empty() || value == b"/dev/null" {
                    self.switch_off();
                } else {
                    self.tasks.push(Task::Include { path: value.clone(), switch: true });
                    self.emit(Effect::ReadRc(ReadRc { path: value, first: false }));
                }
            }
            _ => {}
        }
    }
}

//! The rc files: which are read, what stands in them, how they end.

use std::sync::Arc;

use super::expand::Expand;
use super::finish::Finish;
use super::setup::SystemRc;
use super::trace::{Opened, Trace};
use super::variables::MIN_LINE;
use super::{Chain, Evaluator, File, Task};
use crate::effect::{Effect, Outcome, ReadRc};
use crate::syntax::{Item, Mode, Rc};

impl Evaluator {
    pub(super) fn open_system_rc(&mut self, system_rc: SystemRc) {
        let before = self.variables.get(b"PATH").map(<[u8]>::to_vec);
        self.in_system_rc = Some(before);
        let Some(rc) = self.read_rc() else { return };
        self.tell_of("Rcfile:", &system_rc.path);
        self.in_rc = true;
        self.assign_quietly(b"PATH", &system_rc.search_path);
        self.files.push(File { path: system_rc.path, rc, at: 0, blocks: Vec::new() });
        self.tasks.push(Task::Items);
    }

    /// What follows the system's rc file is done with the rights and the `PATH` of the recipient.
    fn leave_system_rc(&mut self) {
        let Some(before) = self.in_system_rc.take() else { return };
        if let Some(path) = before.filter(|path| self.variables.get(b"PATH") != Some(path)) {
            self.assign_quietly(b"PATH", &path);
        }
        self.emit(Effect::DropPrivileges);
    }

    pub(super) fn next_rc(&mut self) {
        self.leave_system_rc();
        let Some(mut path) = self.setup.rc_files.get(self.next_rc).cloned() else {
            self.in_rc = false;
            return;
        };
        self.next_rc += 1;
        if self.setup.home_relative && !path.starts_with(b"/") && !path.starts_with(b"./") {
            path = [self.variables.value("HOME"), b"/", &path].concat();
        }
        self.tasks.push(Task::OpenRc(path.clone()));
        self.emit(Effect::ReadRc(ReadRc { path, first: true }));
    }

    pub(super) fn open_rc(&mut self, path: Vec<u8>) {
        let Some(rc) = self.read_rc() else {
            if !std::mem::replace(&mut self.missing_told, true) {
                self.complain_of("Couldn't read", &path);
            }
            self.tasks.push(Task::NextRc);
            return;
        };
        let directory = match self.setup.home_relative {
            true if path.starts_with(b"./") => Some(b".".to_vec()),
            true => Some(self.variables.value("HOME").to_vec()),
            false => self.setup.directory.clone(),
        };
        let directory = directory.filter(|_| !self.directory_set);
        self.directory_set = true;
        self.in_rc = true;
        self.dropped = false;
        self.open_file(path.clone(), rc, Opened::First);
        self.tasks.push(Task::Items);
        match directory {
            Some(directory) if directory == b"." => {
                self.assign(b"MAILDIR".to_vec(), directory);
                self.tell_of("Rcfile:", &path);
            }
            Some(directory) => {
                self.tell_of("Rcfile:", &path);
                self.assign(b"MAILDIR".to_vec(), directory);
            }
            None => self.tell_of("Rcfile:", &path),
        }
    }

    pub(super) fn read_rc(&mut self) -> Option<Arc<Rc>> {
        match self.outcome.take()? {
            Outcome::Read(source) => Some(Arc::new(Rc::parse(source))),
            Outcome::Parsed(rc) => Some(rc),
            _ => None,
        }
    }

    /// Evaluates the next item of the innermost rc file.
    pub(super) fn items(&mut self) {
        let Some(file) = self.files.last_mut() else { return };
        let rc = file.rc.clone();
        let at = file.at;
        file.at += 1;
        let item = if self.spend(1) { rc.items().get(at) } else { None };
        let Some(item) = item else {
            self.files.pop();
            self.trace(|_| Trace::Closed);
            if !self.files.is_empty() {
                self.tasks.push(Task::Items);
            }
            return;
        };
        self.tasks.push(Task::Items);
        // The end of the file is met before the lock is given up.
        if !matches!(item, Item::MissingClose(_)) {
            self.release_local_lock();
        }
        match item {
            Item::Comment(_) => {}
            Item::Assignment(assignment) => {
                self.trace(|_| Trace::Assignment(assignment.span));
                self.assign_text(assignment.name.clone(), Arc::new(assignment.value.clone()));
            }
            Item::Removal { name, span } => {
                self.trace(|_| Trace::Assignment(*span));
                if name.len() + 1 < self.numbers.line_buffer {
                    self.remove(name);
                } else {
                    self.overflow();
                    self.leave_files();
                }
            }
            Item::Recipe(recipe) => {
                // So short a line fits whatever LINEBUF is. Most have one word.
                let words = recipe.head.literal_words(MIN_LINE / 2);
                if let Some(mut words) = words {
                    self.arguments_at = None;
                    match (words.next(), words.next()) {
                        (Some(word), None) => self.recipe(&rc, at, recipe, &[word]),
                        (first, second) => {
                            let words: Vec<&[u8]> = first.into_iter().chain(second).chain(words).collect();
                            self.recipe(&rc, at, recipe, &words);
                        }
                    }
                    return;
                }
                self.tasks.push(Task::Head(at));
                let text = Arc::new(recipe.head.clone());
                self.tasks.push(Task::Expand(Expand::new(text, Mode::Words, 0)));
            }
            Item::Close(span) => {
                self.trace(|_| Trace::BlockLeft(*span));
                if let Some(file) = self.files.last_mut()
                    && let Some(chain) = file.blocks.pop()
                {
                    self.chain = Chain { succeeded: self.chain.succeeded, ..chain };
                }
            }
            Item::UnexpectedClose(_) => self.complain("Closing brace unexpected"),
            // Only blocks that were entered are missed.
            Item::MissingClose(_) => {
                if self.files.last().is_some_and(|file| !file.blocks.is_empty()) {
                    self.complain("Missing closing brace");
                }
            }
            Item::Skipped(span) => self.complain_of("Skipped", rc.text(*span)),
        }
    }

    /// Ends all rc files that are open.
    pub(super) fn leave_files(&mut self) {
        for file in &mut self.files {
            file.at = usize::MAX - 1;
        }
    }

    /// Ends the innermost rc file.
    pub(super) fn switch_off(&mut self) {
        if let Some(file) = self.files.last_mut() {
            file.at = usize::MAX - 1;
        }
    }

    pub(super) fn include(&mut self, path: Vec<u8>, switch: bool) {
        let Some(rc) = self.read_rc() else {
            self.complain_of("Couldn't read", &path);
            return;
        };
        if switch {
            self.files.pop();
        }
        // `$_` names it so that it is found whatever MAILDIR becomes.
        let path = match self.variables.value("MAILDIR") {
            directory if path.starts_with(b"/") || directory.is_empty() => path,
            directory => [directory, b"/", &path].concat(),
        };
        self.open_file(path, rc, if switch { Opened::Switched } else { Opened::Included });
    }

    /// The rc file is for another host: ends all that are open.
    pub(super) fn host_differs(&mut self) {
        if !self.in_rc {
            return;
        }
        self.tell_of("HOST mismatched", &self.setup.host.clone());
        self.files.clear();
        self.tasks.clear();
        self.dropped = true;
        let more = self.next_rc < self.setup.rc_files.len();
        self.tasks.push(if more { Task::NextRc } else { Task::Finish(Finish::Dropped) });
    }

    pub(super) fn open_file(&mut self, path: Vec<u8>, rc: Arc<Rc>, how: Opened) {
        self.trace(|_| Trace::Opened { path: path.clone(), rc: rc.clone(), how });
        self.files.push(File { path, rc, at: 0, blocks: Vec::new() });
    }
}

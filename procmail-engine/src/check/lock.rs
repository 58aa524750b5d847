//! Local locks.

use super::Checker;
use super::code::Code;
use super::folder::{Folder, first_word, word};
use super::report::quoted;
use crate::syntax::{Action, Part, Recipe, RecipeLine, Span, same_words};

impl Checker<'_> {
    /// Checks the lock of a recipe that is no block.
    pub(super) fn lock(&mut self, recipe: &Recipe, line: &RecipeLine) {
        let Some(lock) = &line.lock else { return };
        let colon = Span { start: lock.colon, end: lock.colon + 1 };
        match (&lock.name, &recipe.action) {
            (Some(name), _) => {
                let written = self.rc.text(name.span);
                self.named_lock(recipe, line, colon, name.span, written);
                if self.lock_file.is_some_and(|global| same_words(global, name)) {
                    self.report
                        .add(
                            Code::Deadlock,
                            name.span,
                            format!(
                                "deadlock attempted: `{}` is the LOCKFILE that is held already",
                                quoted(written)
                            ),
                        )
                        .help("leave the local lock out, or name it otherwise");
                }
            }
            (None, Action::Folders(folders)) => {
                let needless = match self.folder_kind(folders) {
                    Folder::Maildir => "a Maildir needs no lock: each mail is a file of its own",
                    Folder::Mh => "an MH folder needs no lock: each mail is a file of its own",
                    Folder::Null => "/dev/null needs no lock",
                    Folder::Mailbox | Folder::Unknown => {
                        self.implicit_deadlock(first_word(folders), colon);
                        return;
                    }
                };
                let entry = self.report.add(Code::NeedlessLock, colon, needless);
                if line.rest.is_none() && !line.opaque {
                    entry.fix("leave the second colon out", colon, "");
                }
            }
            (None, Action::Pipe { command, .. }) => {
                let command = command.trim_ascii();
                if !command.is_empty() && memchr::memmem::find(command, b">>").is_none() {
                    self.unknown_lock(colon, program(command));
                }
            }
            (None, Action::Forward { .. }) => self.unknown_lock(colon, b"forward"),
            _ => {}
        }
    }

    fn unknown_lock(&mut self, colon: Span, program: &[u8]) {
        let lock = format!("{}.lock", String::from_utf8_lossy(program));
        let at = Span { start: colon.end, end: colon.end };
        self.report
            .add(
                Code::UnknownLock,
                colon,
                "couldn't determine implicit lockfile: the lock is `.lock`, for all such recipes together",
            )
            .try_edit("name it, or leave the colon out if there is nothing to lock", at, format!(" {lock}"));
    }

    fn implicit_deadlock(&mut self, folder: &[Part], colon: Span) {
        let Some(global) = self.lock_file else { return };
        let ([Part::Bytes(folder)], [Part::Bytes(global)]) = (folder, global.parts.as_slice()) else {
            return;
        };
        if global.strip_suffix(b".lock") == Some(folder) {
            self.report
                .add(
                    Code::Deadlock,
                    colon,
                    format!("deadlock attempted: `{}` is the LOCKFILE that is held already", quoted(global)),
                )
                .help("leave the second colon out, or name the LOCKFILE otherwise");
        }
    }

    fn named_lock(&mut self, recipe: &Recipe, line: &RecipeLine, colon: Span, span: Span, name: &[u8]) {
        let own = match &recipe.action {
            Action::Folders(folders) => word(self.rc, folders.span) == name,
            _ => false,
        };
        let flags = name.len() <= 3
            && !own
            && line.rest.is_none()
            && name.iter().all(|byte| b"HBDAaEehbfcwWir".contains(byte))
            && !self.folders.contains(name);
        if own {
            self.report
                .add(
                    Code::LockIsFolder,
                    span,
                    format!(
                        "the lock is the mailbox itself: once there is mail in `{}`, procmail waits for it to go away",
                        quoted(name)
                    ),
                )
                .fix("leave the name out: it becomes that of the folder with $LOCKEXT", span, "");
        } else if self.folders.contains(name) {
            self.report
                .add(
                    Code::LockIsFolder,
                    span,
                    format!(
                        "this lock is a folder of another recipe: once there is mail in `{}`, procmail waits for it to go away",
                        quoted(name)
                    ),
                )
                .help("name it otherwise, such as with $LOCKEXT at its end");
        } else if flags {
            let text = String::from_utf8_lossy(name).into_owned();
            let whole = Span { start: colon.start, end: span.end };
            self.report
                .add(
                    Code::FlagsAsLock,
                    span,
                    format!("`{text}` is the name of the lock here: flags stand before the colon"),
                )
                .try_edit("put the flags before it", whole, format!("{text}:"));
        }
    }
}

/// The name of the program that a command runs, without its directory and ending.
fn program(command: &[u8]) -> &[u8] {
    let name = command.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
    let name = name.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let name = name.split(|&byte| byte == b'.').next().unwrap_or_default();
    let plain =
        !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
    if plain { name } else { b"program" }
}

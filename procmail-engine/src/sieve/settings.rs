//! Assignments, and what comes with those of variables that procmail knows.

use super::chain::{Chain, Truth};
use super::folders::{Place, place};
use super::recipes::Converter;
use super::script::{Command, Piece, Value};
use super::values::Binding;
use super::{NoteKind, Reason};
use crate::syntax::{Assignment, Mode, Span};

impl Converter<'_> {
    /// Mail that no recipe delivered goes to `DEFAULT`.
    pub(super) fn fall_back(&mut self, commands: &mut Vec<Command>) {
        let value = match self.variables.get(b"DEFAULT") {
            Binding::Unknown | Binding::Unset => return,
            _ => self.variables.value(b"DEFAULT"),
        };
        if value.0.is_empty() {
            return;
        }
        let end = self.rc.source().len();
        match place(&value, self.root.as_ref(), &self.variables, self.options) {
            Ok(Place::Inbox) => {}
            Ok(Place::Nowhere) => commands.extend([Command::Comment("DEFAULT".to_owned()), Command::Discard]),
            Ok(Place::Mailbox(mailbox)) => {
                commands.push(Command::Comment("DEFAULT".to_owned()));
                commands.push(Command::FileInto { mailbox, copy: false, create: self.options.create });
            }
            Err(reason) => {
                let text = "mail that nothing above files goes to the inbox instead of DEFAULT";
                self.left_out(Span { start: end, end }, reason, true, Some(text), commands);
            }
        }
    }

    pub(super) fn assignment(&mut self, assignment: &Assignment, out: &mut Vec<Command>) {
        let name = assignment.name.as_slice();
        let value = match self.variables.expand(&assignment.value, Mode::Value) {
            Ok(words) => Ok(words.into_iter().next().unwrap_or_default()),
            Err(reason) => Err(reason),
        };
        match name {
            b"INCLUDERC" => return self.include(assignment.span, value, out),
            b"SWITCHRC" => {
                if matches!(&value, Ok(value) if value.0.is_empty() || value.known().as_deref() == Some(b"/dev/null"))
                {
                    self.end_of_file(assignment.span, out);
                    return;
                }
                let before = out.len();
                self.include(assignment.span, value, out);
                if matches!(out[before..].last(), Some(Command::Include(_))) {
                    out.push(Command::Stop);
                }
                return;
            }
            b"HOST" => return self.host(assignment.span, value, out),
            b"TRAP" => {
                self.left_out(assignment.span, Reason::Trap, false, None, out);
                return;
            }
            b"LOG" | b"LOGFILE" | b"LOGABSTRACT" | b"VERBOSE" | b"COMSAT" | b"UMASK" | b"TIMEOUT"
            | b"SHELL" | b"SHELLFLAGS" | b"SHELLMETAS" | b"PATH" | b"LOCKFILE" | b"LOCKEXT"
            | b"LOCKSLEEP" | b"LOCKTIMEOUT" | b"SUSPEND" | b"NORESRETRY" | b"LINEBUF" | b"MSGPREFIX"
            | b"DROPPRIVS" | b"DELIVERED" | b"SENDMAIL" | b"SENDMAILFLAGS" | b"SHIFT" => {
                if let Err(Reason::Backquotes) = value {
                    self.note(assignment.span, NoteKind::Ignored, Reason::Backquotes);
                }
                self.note(assignment.span, NoteKind::Ignored, Reason::NoMeaning);
                let binding = value.map_or(Binding::Unknown, Binding::Known);
                self.variables.set(name, binding);
                return;
            }
            _ => {}
        }
        match value {
            Ok(value) => {
                if name == b"MAILDIR" && self.root.is_none() {
                    self.root = Some(value.clone());
                }
                self.variables.set(name, Binding::Known(value.clone()));
                if value.unknown().is_none() && value.is_writable() && settable(name) {
                    self.written += value.len();
                    out.push(Command::Set { name: name.to_vec(), value });
                }
            }
            Err(reason) => {
                self.variables.set(name, Binding::Unknown);
                self.left_out(assignment.span, reason, false, None, out);
            }
        }
    }

    pub(super) fn removal(&mut self, span: Span, name: &[u8], out: &mut Vec<Command>) {
        match name {
            b"HOST" => self.host(span, Ok(Value::default()), out),
            b"SWITCHRC" => self.end_of_file(span, out),
            _ => {
                self.variables.set(name, Binding::Unset);
                if settable(name) {
                    out.push(Command::Set { name: name.to_vec(), value: Value::default() });
                }
            }
        }
    }

    /// The rest of the file is not read.
    fn end_of_file(&mut self, span: Span, out: &mut Vec<Command>) {
        if self.copying.is_some() {
            self.left_out(span, Reason::SwitchInCopy, false, None, out);
            return;
        }
        match self.variables.get(b"DEFAULT") {
            Binding::Unknown => {}
            _ => self.fall_back(out),
        }
        out.push(Command::Stop);
    }

    /// A `HOST` that is not this one ends all, and the mail is dropped.
    fn host(&mut self, span: Span, value: Result<Value, Reason>, out: &mut Vec<Command>) {
        match value {
            Ok(value) if value.0.is_empty() && self.copying.is_none() => {
                out.extend([self.nowhere(), Command::Stop]);
            }
            _ => self.left_out(span, Reason::Host, true, None, out),
        }
    }

    fn include(&mut self, span: Span, value: Result<Value, Reason>, out: &mut Vec<Command>) {
        let line = self.line(span.start);
        let known = match value {
            Ok(value) if value.0.is_empty() => return,
            Ok(value) => script_name(&value),
            Err(reason) => Err(reason),
        };
        self.chain = Chain::at_start(Truth::Unknown(line));
        if !matches!(&known, Ok(name) if name == "null") {
            self.variables.set_elsewhere();
        }
        match known {
            Ok(name) if name == "null" => {}
            Ok(_) if !self.options.includes => self.left_out(span, Reason::Include, true, None, out),
            Ok(_) if self.copying.is_some() => self.left_out(span, Reason::SwitchInCopy, true, None, out),
            Ok(name) if !self.included.insert(name.clone().into_bytes()) => {
                self.left_out(span, Reason::IncludedAgain, true, None, out);
            }
            Ok(name) => {
                self.note(span, NoteKind::Approximate, Reason::IncludeApart(name.clone()));
                out.push(Command::Include(name));
            }
            Err(reason) => self.left_out(span, reason, true, None, out),
        }
    }
}

/// Whether a script can have a variable of this name.
fn settable(name: &[u8]) -> bool {
    name.len() <= 32 && name.first().is_some_and(|&byte| byte.is_ascii_alphabetic() || byte == b'_')
}

/// The name of a script for an rc file: that of the file.
fn script_name(value: &Value) -> Result<String, Reason> {
    let path = match value.0.last() {
        Some(Piece::Text(text)) => text,
        _ => return Err(Reason::UnknownVariable(value.unknown().unwrap_or_default().to_vec())),
    };
    if path == b"/dev/null" {
        return Ok("null".to_owned());
    }
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let is_whole = value.0.len() == 1 || path.contains(&b'/');
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    if !is_whole || name.is_empty() || !name.iter().all(plain) || name.starts_with(b".") {
        return Err(Reason::IncludeName);
    }
    let name = name.strip_suffix(b".rc").unwrap_or(name);
    String::from_utf8(name.to_vec()).map_err(|_| Reason::IncludeName)
}

//! Commands, and mail that is sent.

use super::Checker;
use super::code::Code;
use super::flow::{Facts, Outcome};
use super::text::{Hash, open_quote};
use super::traced::variable;
use crate::syntax::{Action, Item, Rc, RecipeLine, Span};

/// What keeps mail from going round.
#[derive(Debug, Default)]
pub(super) struct Guards {
    /// A condition so far looks for the mark of mail that was sent.
    loops: bool,
    /// A condition so far looks for daemons and mailing lists.
    daemons: bool,
    /// Some command marks mail.
    marks: bool,
    /// Other rc files may do so.
    elsewhere: bool,
}

impl Guards {
    pub(super) fn of(rc: &Rc) -> Self {
        let marks = rc.items().iter().any(|item| match item {
            Item::Recipe(recipe) => match &recipe.action {
                Action::Pipe { command, .. } => contains(command, b"x-loop"),
                _ => false,
            },
            _ => false,
        });
        Self { marks, ..Self::default() }
    }

    /// A condition is met on the way down.
    pub(super) fn meets(&mut self, condition: &[u8]) {
        self.loops |= contains(condition, b"loop");
        self.daemons |= contains(condition, b"from_daemon")
            || contains(condition, b"from_mailer")
            || contains(condition, b"mailer-daemon")
            || contains(condition, b"precedence")
            || contains(condition, b"auto-submitted");
    }

    pub(super) fn includes(&mut self) {
        self.elsewhere = true;
    }

    pub(super) fn against_loops(&self) -> bool {
        self.loops || self.elsewhere
    }
}

/// Whether a text has lower-case letters in it, in whatever case.
fn contains(text: &[u8], letters: &[u8]) -> bool {
    memchr::memchr2_iter(letters[0], letters[0].to_ascii_uppercase(), text)
        .any(|at| text.get(at..at + letters.len()).is_some_and(|part| part.eq_ignore_ascii_case(letters)))
}

impl Checker<'_> {
    pub(super) fn command(
        &mut self,
        line: &RecipeLine,
        span: Span,
        command: &[u8],
        captures: bool,
        facts: Facts,
    ) -> Outcome {
        let waits = line.has(b'w') || line.has(b'W') || line.lock.is_some();
        self.longer_than_linebuf(span, command.len());
        self.blank_behind_backslash(span, self.rc.text(span));
        self.unfinished(span, command);
        self.notes_variables(span);
        if line.has(b'f') && !captures {
            if let Some(flag) = line.at(b'f').filter(|_| !waits) {
                let plain = line.flags.iter().all(|(_, at)| *at >= flag.end || *at <= flag.start);
                let entry = self.report.add(
                    Code::FilterWithoutWait,
                    flag,
                    "if this filter fails, whatever it wrote replaces the mail",
                );
                let at = Span { start: flag.end, end: flag.end };
                if plain {
                    entry.fix("add `w`: then the mail stays as it was", at, "w");
                }
            }
            self.autoreply(span, command);
            return Outcome::GoesOn;
        }
        if captures {
            return Outcome::GoesOn;
        }
        let appends = memchr::memmem::find(command, b">>");
        if let Some(at) = appends.filter(|_| line.lock.is_none() && self.lock_file.is_none()) {
            let behind = command[at + 2..].trim_ascii_start();
            if !behind.starts_with(b"/dev/") && !behind.starts_with(b"&") {
                let end = facts.line.end;
                let entry = self.report.add(
                    Code::MissingLock,
                    facts.line,
                    "this command appends to a file without a lock",
                );
                if line.rest.is_none() && !line.opaque {
                    entry.fix(
                        "add a second colon: the lock is named after the file",
                        Span { start: end, end },
                        ":",
                    );
                }
            }
        }
        self.autoreply(span, command);
        let prints = command.trim_ascii().is_empty();
        if !waits && !facts.copies && !prints && !self.copied_before(facts) {
            let start = span.start.saturating_sub(1);
            let entry = self.report.add(
                Code::UncheckedProgram,
                Span { start, end: start + 1 },
                "if this program fails, the mail is lost: it counts as delivered",
            );
            match line.number.filter(|_| line.flags.is_empty() && line.rest.is_none() && !line.opaque) {
                Some(number) => entry.fix(
                    "add the `w` flag: then the next recipes have the mail",
                    Span { start: number.end, end: number.end },
                    " w",
                ),
                None => entry.help("add the `w` flag: then the next recipes have the mail"),
            };
        }
        if waits { Outcome::Likely } else { Outcome::Delivered }
    }

    /// A command that its line does not end.
    fn unfinished(&mut self, span: Span, command: &[u8]) {
        let text = command.trim_ascii_end();
        let ends = [b"|".as_slice(), b"&&", b"("].into_iter().find(|end| text.ends_with(end));
        let alone = text.trim_ascii().len() <= 1;
        let at = span.start + text.len().min(span.end - span.start);
        if let Some(end) = ends.filter(|_| !alone && !text.ends_with(b"\\|") && !text.ends_with(b"\\(")) {
            self.report
                .add(
                    Code::UnfinishedCommand,
                    Span { start: at - end.len(), end: at },
                    format!(
                        "the command ends here, though more has to follow `{}`",
                        String::from_utf8_lossy(end)
                    ),
                )
                .help("each line of a command but the last needs a backslash at its end");
            return;
        }
        if let Some(open) = open_quote(command, Hash::Comment) {
            let start = span.start + open;
            self.report
                .add(
                    Code::UnfinishedCommand,
                    Span { start, end: start + 1 },
                    "this quote is not closed when the command ends with its line",
                )
                .help("each line of a command but the last needs a backslash at its end");
        }
    }

    /// Notes where a command uses `MAILDIR`.
    fn notes_variables(&mut self, span: Span) {
        let text = self.rc.text(span);
        let mut at = 0;
        while let Some(offset) = memchr::memchr(b'$', &text[at..]) {
            at += offset + 1;
            let (name, used) = variable(&text[at..]);
            if name == b"MAILDIR" {
                self.maildir(Span { start: span.start + at - 1, end: span.start + at + used });
            }
            at += used;
        }
    }

    fn autoreply(&mut self, span: Span, command: &[u8]) {
        let Some(at) = memchr::memmem::find(command, b"formail") else { return };
        let replies = command[at..]
            .split(|byte| byte.is_ascii_whitespace())
            .skip(1)
            .take_while(|word| word.first() == Some(&b'-'))
            .any(|word| {
                word.iter().skip(1).take_while(|byte| b"krtbfz".contains(byte)).any(|&byte| byte == b'r')
            });
        let sends = contains(command, b"sendmail") || contains(command, b"msmtp");
        if !replies || !sends || self.guards.elsewhere {
            return;
        }
        let mut missing = Vec::new();
        if !self.guards.daemons {
            missing.push("a condition `* ! ^FROM_DAEMON`");
        }
        if !self.guards.loops {
            missing.push("a condition `* ! ^X-Loop: …`");
        }
        if !self.guards.marks {
            missing.push("an option `-A\"X-Loop: …\"` of formail that marks the reply");
        }
        if missing.is_empty() {
            return;
        }
        let start = span.start + at.min(span.end - span.start);
        self.report
            .add(
                Code::AutoreplyMayLoop,
                Span { start, end: start + 7 },
                "nothing keeps this reply from answering mailing lists, bounces or itself",
            )
            .help(format!("add {}", missing.join(", and ")));
    }
}

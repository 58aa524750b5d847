//! Assignments and removals.

use super::Checker;
use super::code::Code;
use super::folder::holds_match;
use super::report::quoted;
use super::variables::{PRESET, is_near, is_preset};
use crate::syntax::{Assignment, Item, Span, Text};

/// Words that start a command of the shell.
const SHELL: [&[u8]; 14] = [
    b"alias", b"cd", b"echo", b"else", b"export", b"fi", b"if", b"print", b"set", b"setenv", b"source",
    b"then", b"umask", b"unset",
];

impl<'a> Checker<'a> {
    pub(super) fn assignment(&mut self, assignment: &'a Assignment) {
        let Assignment { span, name, value } = assignment;
        let maildir_used = self.maildir_used;
        self.text(value);
        if name == b"MAILDIR" {
            // Its own value may well go by what it was.
            self.maildir_used = maildir_used;
        }
        self.name_slip(*span, name);
        let literal = value.literal();
        match self.matched.filter(|_| holds_match(&value.parts)) {
            Some(matched) => {
                self.of_sender.insert(name.as_slice(), matched);
            }
            None => {
                self.of_sender.remove(name.as_slice());
            }
        }
        if matches!(name.as_slice(), b"DEFAULT" | b"ORGMAIL") {
            self.maildir_without_slash(value.span, &value.parts);
        }
        match name.as_slice() {
            b"MAILDIR" => {
                let relative = literal.as_ref().is_some_and(|path| !path.starts_with(b"/"));
                if relative && self.maildir_set {
                    self.report
                        .add(
                            Code::RelativePath,
                            value.span,
                            "this directory is looked for in the MAILDIR that was set before",
                        )
                        .help("write the whole path, such as `$HOME/Mail`");
                }
                if let Some(used) = self.maildir_used.take().filter(|_| !self.maildir_set && self.at_top()) {
                    self.report
                        .add(Code::MaildirSetLater, used, "MAILDIR still is the home directory here")
                        .related(*span, "it is set here")
                        .help("set MAILDIR first");
                }
                self.maildir_set = true;
            }
            b"DEFAULT" | b"ORGMAIL" if literal.as_deref() == Some(b"/dev/null") => {
                self.discards(value.span, true);
            }
            b"HOST" => self.host(*span, value, literal.as_deref()),
            b"SWITCHRC" => {
                self.guards.includes();
                self.last_copy = None;
                self.relative(value.span, literal.as_deref());
                let ends = matches!(literal.as_deref(), Some(b"" | b"/dev/null"));
                self.may_stop(*span, ends);
            }
            b"INCLUDERC" => {
                self.guards.includes();
                self.last_copy = None;
                self.relative(value.span, literal.as_deref());
                self.may_stop(*span, false);
            }
            b"LOCKFILE" => self.lock_file = Some(value).filter(|_| literal.as_deref() != Some(b"")),
            b"SHELL" => self.shell(value.span, literal.as_deref()),
            b"VERBOSE" => {
                let on = literal.as_ref().is_some_and(|value| {
                    matches!(value.first(), Some(b'1'..=b'9' | b'y' | b'Y' | b't' | b'T' | b'e' | b'E'))
                        || value.to_ascii_lowercase().starts_with(b"on")
                });
                let log = self.variables.get(b"LOGFILE").map(|set| set.first);
                if let Some(log) = log.filter(|log| on && log.start > span.start) {
                    self.report
                        .add(
                            Code::VerboseBeforeLogfile,
                            *span,
                            "what procmail says before LOGFILE is set goes to whoever called it, and not to the log",
                        )
                        .related(log, "the log starts here")
                        .help("set LOGFILE first");
                }
                self.number(value.span, name, literal.as_deref());
            }
            b"LINEBUF" => {
                self.number(value.span, name, literal.as_deref());
                let number =
                    literal.and_then(|text| String::from_utf8(text).ok()?.trim().parse::<usize>().ok());
                if let Some(number) = number {
                    if number < 128 {
                        self.report
                            .add(Code::NotANumber, value.span, "LINEBUF cannot be less than 128")
                            .help("2048 is what it is from the start");
                    }
                    self.line_buffer = number.max(128);
                } else {
                    self.line_buffer = usize::MAX;
                }
            }
            _ => self.number(value.span, name, literal.as_deref()),
        }
    }

    /// `MAILDIR` is used.
    pub(super) fn maildir(&mut self, span: Span) {
        if !self.maildir_set {
            self.maildir_used.get_or_insert(span);
        }
    }

    fn host(&mut self, span: Span, value: &Text, literal: Option<&[u8]>) {
        if literal == Some(b"") {
            self.may_stop(span, true);
            return;
        }
        // In a block it is how rc files stop on purpose.
        if self.at_top() && literal.is_some() {
            self.report
                .add(
                    Code::HostDropsMail,
                    value.span,
                    "if this is not the name of the machine, processing ends and the mail is dropped",
                )
                .help("leave HOST alone, unless that is what it is for");
        }
        self.may_stop(span, false);
    }

    fn shell(&mut self, span: Span, literal: Option<&[u8]>) {
        let Some(path) = literal else { return };
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        if matches!(name, b"csh" | b"tcsh" | b"fish" | b"false" | b"nologin" | b"true") {
            self.report
                .add(
                    Code::ShellNotSh,
                    span,
                    format!("commands are written for sh, and `{}` does not run them so", quoted(name)),
                )
                .fix("use /bin/sh", span, "/bin/sh");
        }
    }

    fn relative(&mut self, span: Span, literal: Option<&[u8]>) {
        let relative = |path: &&[u8]| !path.is_empty() && !path.starts_with(b"/") && !path.starts_with(b"~");
        let Some(path) = literal.filter(relative) else { return };
        // Once for each file; no variable has such a name.
        if self.told.insert([b"rc ", path].concat()) {
            self.report
                .add(Code::RelativePath, span, "this file is looked for in the MAILDIR of the moment")
                .help("write the whole path, such as `$HOME/.procmail/rc`");
        }
    }

    fn number(&mut self, span: Span, name: &[u8], literal: Option<&[u8]>) {
        let Some(value) = literal else { return };
        let text = value.trim_ascii();
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        let lower = text.to_ascii_lowercase();
        let is_word = match lower.as_slice() {
            [b'y' | b't' | b'n' | b'f' | b'a', ..] => true,
            _ => {
                lower.starts_with(b"on")
                    || lower.starts_with(b"of")
                    || lower == b"enable"
                    || lower == b"disable"
            }
        };
        let wrong = match name {
            b"LINEBUF" | b"TIMEOUT" | b"LOCKSLEEP" | b"LOCKTIMEOUT" | b"SUSPEND" | b"NORESRETRY"
            | b"SHIFT" => !is_number,
            b"EXITCODE" => !is_number && !text.is_empty(),
            b"UMASK" => text.is_empty() || !text.iter().all(|byte| (b'0'..=b'7').contains(byte)),
            b"VERBOSE" | b"LOGABSTRACT" | b"DELIVERED" => !is_number && !is_word,
            _ => false,
        };
        if wrong {
            let kind = match name {
                b"UMASK" => "an octal number",
                b"VERBOSE" | b"DELIVERED" => "`yes` or `no`",
                b"LOGABSTRACT" => "`yes`, `no` or `all`",
                _ => "a number",
            };
            let message = format!("{} takes {kind}, and this is `{}`", quoted(name), quoted(value));
            let span =
                Span { start: span.start, end: span.end.max(span.start + usize::from(value.is_empty())) };
            self.report.add(Code::NotANumber, span, message);
        }
    }

    /// A variable that is set under a name which is almost that of another.
    fn name_slip(&mut self, span: Span, name: &[u8]) {
        // Each name that is near is looked for in the whole file.
        if is_preset(name) || name.len() < 3 || self.told.len() > 200 {
            return;
        }
        let Some(meant) = PRESET.iter().find(|known| is_near(name, known.as_bytes())) else { return };
        let source = self.rc.source();
        let used = |before: &[u8]| memchr::memmem::find(source, &[before, name].concat()).is_some();
        if !self.told.insert(name.to_vec()) || used(b"$") || used(b"${") {
            return;
        }
        let place = Span { start: span.start, end: span.start + name.len() };
        self.report
            .add(
                Code::MisspeltVariable,
                place,
                format!("`{}` means nothing to procmail; `{meant}` does", quoted(name)),
            )
            .try_edit(format!("write `{meant}`"), place, *meant);
    }

    pub(super) fn removal(&mut self, number: usize, span: Span, name: &[u8]) {
        match name {
            b"HOST" | b"SWITCHRC" => self.may_stop(span, true),
            b"LOCKFILE" => self.lock_file = None,
            _ => {}
        }
        let source = self.rc.source();
        let items = self.rc.items();
        let before = number.checked_sub(1).map(|before| &items[before]);
        let same_line = |end: usize| !source[end..span.start].contains(&b'\n');
        let known = self.variables.is_known(name);
        match before {
            Some(Item::Assignment(assignment)) if same_line(assignment.span.end) => {
                if !known && self.tells_of_line(span.start) {
                    self.stray_words(number, assignment);
                }
                return;
            }
            // What belongs to the words before was told of with them.
            Some(Item::Removal { span: before, .. } | Item::Skipped(before)) if same_line(before.end) => {
                return;
            }
            _ => {}
        }
        if SHELL.contains(&name) && self.tells_of_line(span.start) {
            self.report
                .add(
                    Code::ShellKeyword,
                    span,
                    format!(
                        "an rc file is no shell script: this removes a variable named `{}`",
                        quoted(name)
                    ),
                )
                .help("write `NAME=value`; all variables are exported");
            return;
        }
        let second_action = matches!(before, Some(Item::Recipe(recipe))
            if memchr::memchr_iter(b'\n', &source[recipe.span.end..span.start]).count() <= 1);
        let prose = matches!(items.get(number + 1), Some(Item::Removal { span: next, .. } | Item::Skipped(next))
            if !source[span.end..next.start].contains(&b'\n'));
        // A name alone that is made like one is there to remove what another rc file sets.
        let word = name.iter().any(u8::is_ascii_lowercase) && !name.contains(&b'_');
        let odd = second_action || prose || word;
        if known || !odd || !self.tells_of_line(span.start) {
            return;
        }
        let entry = self.report.add(
            Code::StrayWord,
            span,
            format!("this removes a variable named `{}`, which nothing sets", quoted(name)),
        );
        if second_action {
            entry.help("a recipe has one action; for several, use recipes with the `c` flag");
        } else {
            entry.help("comments start with `#`");
        }
    }

    /// Words behind a value on its line.
    fn stray_words(&mut self, number: usize, assignment: &Assignment) {
        let source = self.rc.source();
        let mut end = assignment.span.end;
        let mut words = 0usize;
        for item in &self.rc.items()[number..] {
            let span = match item {
                Item::Removal { span, .. } | Item::Skipped(span) => *span,
                _ => break,
            };
            if source[end..span.start].contains(&b'\n') {
                break;
            }
            end = span.end;
            words += 1;
        }
        let value = Span { start: assignment.value.span.start, end };
        let stray = Span { start: assignment.value.span.end, end };
        let blanks = self.rc.text(stray).iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let stray = Span { start: stray.start + blanks, end };
        let text = self.rc.text(value);
        let entry = self.report.add(
            Code::StrayWord,
            stray,
            if words == 1 {
                "the value ends at the blank: this word removes a variable of its name"
            } else {
                "the value ends at the first blank: these words remove variables of their names"
            },
        );
        if text.iter().any(|byte| b"\"'\\`".contains(byte)) {
            entry.help("put the whole value into quotes");
        } else {
            let quoted = format!("\"{}\"", String::from_utf8_lossy(text));
            entry.try_edit("put the value into quotes", value, quoted);
        }
    }
}

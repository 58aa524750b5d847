//! Recipes: their flags, and what kind of action they have.

use super::Checker;
use super::code::Code;
use super::flow::{Facts, Outcome};
use super::folder::{Folder, is_condition};
use super::report::quoted;
use crate::syntax::{Action, Capture, Part, Recipe, RecipeLine, Span, Text};

impl<'a> Checker<'a> {
    pub(super) fn recipe(&mut self, recipe: &'a Recipe) {
        let line = RecipeLine::read(self.rc.source(), recipe);
        let facts = facts(self.rc.source(), recipe, &line);
        self.reach(facts);
        self.line(recipe, &line);
        for condition in &recipe.conditions {
            self.guards.meets(&condition.text);
            self.condition(&line, condition);
        }
        if let Some(name) = line.lock.as_ref().and_then(|lock| lock.name.as_ref()) {
            self.text(name);
        }
        self.flags(recipe, &line);
        if !matches!(recipe.action, Action::Pipe { capture: Some(_), .. } | Action::Block { .. })
            && !line.has(b'f')
        {
            self.last_copy = None;
        }
        let outcome = match &recipe.action {
            Action::Block { .. } => {
                let brace = Span { start: recipe.span.end - 1, end: recipe.span.end };
                self.block_flags(&line);
                self.open(brace, facts);
                return;
            }
            Action::Folders(folders) => self.folders(recipe, &line, folders, facts),
            Action::Pipe { capture, span, command } => {
                self.captured(recipe, capture.as_ref());
                self.command(&line, *span, command, capture.is_some(), facts)
            }
            Action::Forward { capture, arguments } => {
                self.captured(recipe, capture.as_ref());
                self.words(arguments);
                self.forward(arguments, facts);
                if capture.is_some() {
                    Outcome::GoesOn
                } else if line.has(b'w') || line.has(b'W') || line.lock.is_some() {
                    Outcome::Likely
                } else {
                    Outcome::Delivered
                }
            }
            Action::Missing => {
                self.report
                    .add(
                        Code::MissingAction,
                        facts.line,
                        "missing action: another recipe starts where it should be",
                    )
                    .help("a recipe ends with a folder, a `|` command, an `!` address or a block");
                Outcome::GoesOn
            }
            Action::Incomplete => {
                self.report
                    .add(
                        Code::IncompleteRecipe,
                        facts.line,
                        "incomplete recipe: the file ends before its action",
                    )
                    .help("a recipe ends with a folder, a `|` command, an `!` address or a block");
                Outcome::GoesOn
            }
        };
        self.lock(recipe, &line);
        self.pass(facts, outcome);
    }

    /// The first line.
    fn line(&mut self, recipe: &Recipe, line: &RecipeLine) {
        self.longer_than_linebuf(recipe.span, recipe.head.span.end - recipe.head.span.start);
        if let Some(rest) = line.rest {
            let text = self.rc.text(rest);
            let behind_lock = line.lock.is_some();
            let quote = quoted(text);
            let message = if behind_lock {
                format!("procmail skips `{quote}` behind the name of the lock")
            } else {
                format!("procmail skips `{quote}`: these are no flags")
            };
            let entry = self.report.add(Code::UnknownFlag, rest, message);
            match text {
                [b'{', ..] => entry.help("a block opens on a line of its own, below the conditions"),
                [b'*', ..] => entry.help("conditions go on lines of their own"),
                _ if behind_lock => entry.help("flags stand before the colon; quote a name that has blanks"),
                _ => entry.help("flags are H B D A a E e h b f c w W i r"),
            };
        }
        if let Some(at) = line.at(b'e') {
            for (other, what) in [(b'E', "else-if"), (b'a', "also-if-succeeded")] {
                if let Some(flag) = line.at(other) {
                    let message = format!(
                        "conflicting {what}-flag suppressed: `e` and `{}` exclude each other",
                        char::from(other)
                    );
                    self.report
                        .add(Code::ConflictingFlags, flag, message)
                        .related(at, "this one counts")
                        .fix("leave it out", flag, "");
                }
            }
        }
        self.count(recipe, line);
    }

    fn count(&mut self, recipe: &Recipe, line: &RecipeLine) {
        let Some(number) = line.number else { return };
        if self.rc.text(number).iter().all(|&digit| digit == b'0') {
            return;
        }
        let source = self.rc.source();
        let starred =
            recipe.conditions.iter().all(|condition| source.get(condition.span.start) == Some(&b'*'));
        let entry = self.report.add(
            Code::OldStyleCount,
            Span { start: recipe.span.start, end: number.end },
            "a number other than 0 lets so many lines count as conditions, with or without a star",
        );
        if starred {
            entry.fix("write `:0`: all conditions have their star", number, "0");
        } else {
            entry.help("write `:0`, and a star before each condition");
        }
    }

    /// Flags that do nothing, or not what they seem to.
    fn flags(&mut self, recipe: &Recipe, line: &RecipeLine) {
        let folder = matches!(recipe.action, Action::Folders(_));
        let captures = matches!(
            recipe.action,
            Action::Pipe { capture: Some(_), .. } | Action::Forward { capture: Some(_), .. }
        );
        if let Some(flag) = line.at(b'f').filter(|_| folder) {
            self.report
                .add(Code::ExtraneousFlag, flag, "extraneous filter-flag ignored: a folder filters nothing")
                .help("`f` is for `|` commands");
        }
        if let Some(flag) = line.at(b'c').filter(|_| !folder) {
            let filters = line.has(b'f') && !matches!(recipe.action, Action::Block { .. });
            if filters || captures {
                self.report
                    .add(
                        Code::ExtraneousFlag,
                        flag,
                        "extraneous copy-flag ignored: the mail goes on behind this recipe in any case",
                    )
                    .fix("leave it out", flag, "");
            }
        }
        let searches = [b'B', b'H', b'D'];
        if recipe.conditions.is_empty() {
            for flag in searches {
                if let Some(at) = line.at(flag) {
                    let lower = char::from(flag.to_ascii_lowercase());
                    let entry = self.report.add(
                        Code::UselessFlag,
                        at,
                        format!("`{}` is about conditions, and there are none", char::from(flag)),
                    );
                    if flag == b'D' {
                        entry.help("leave it out");
                    } else if line.has(b'H') && line.has(b'B') {
                        entry.help("leave both out: the action gets the whole mail in any case");
                    } else {
                        entry.try_edit(
                            format!("use `{lower}` to choose what the action gets"),
                            at,
                            lower.to_string(),
                        );
                    }
                }
            }
        }
        if folder {
            for flag in [b'w', b'W'] {
                if let Some(at) = line.at(flag) {
                    self.report
                        .add(
                            Code::UselessFlag,
                            at,
                            format!(
                                "`{}` is about programs: deliveries to folders are always checked",
                                char::from(flag)
                            ),
                        )
                        .fix("leave it out", at, "");
                }
            }
        }
        let delivers = match &recipe.action {
            Action::Folders(folders) => self.folder_kind(folders) != Folder::Null,
            Action::Forward { capture: None, .. } => true,
            _ => false,
        };
        if delivers && !line.has(b'c') && line.has(b'h') != line.has(b'b') {
            let (flag, lost) = if line.has(b'h') { (b'h', "body") } else { (b'b', "header") };
            if let Some(at) = line.at(flag) {
                self.report
                    .add(
                        Code::PartialDelivery,
                        at,
                        format!("only a part of the mail is delivered: its {lost} is lost"),
                    )
                    .help("leave the flag out; `H` and `B` choose what conditions look at");
            }
        }
    }

    fn block_flags(&mut self, line: &RecipeLine) {
        if line.has(b'c') {
            return;
        }
        for (flag, name) in [
            (b'f', "filter-flag"),
            (b'b', "deliver-body flag"),
            (b'h', "deliver-head flag"),
            (b'i', "ignore-write-error flag"),
            (b'r', "raw-mode flag"),
        ] {
            if let Some(at) = line.at(flag) {
                self.report
                    .add(Code::ExtraneousFlag, at, format!("extraneous {name} ignored: this is a block"))
                    .fix("leave it out, or give it to the recipes in the block", at, "");
            }
        }
        if let Some(lock) = &line.lock {
            let end = lock.name.as_ref().map_or(lock.colon + 1, |name| name.span.end);
            let span = Span { start: lock.colon, end };
            self.report
                .add(Code::ExtraneousFlag, span, "extraneous locallockfile ignored: this is a block")
                .fix("leave it out, and lock the recipes in the block", span, "");
        }
    }

    fn captured(&mut self, recipe: &Recipe, capture: Option<&Capture>) {
        let Some(capture) = capture.filter(|capture| capture.blank_before_equals) else { return };
        let source = self.rc.source();
        // The line of the action is the last one that starts with the name.
        let text = &source[recipe.span.start..recipe.span.end];
        let mut found = None;
        for line in memchr::memchr_iter(b'\n', text).map(|end| end + 1) {
            let blanks = text[line..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
            let start = line + blanks;
            if text[start..].starts_with(&capture.name) {
                found = Some(recipe.span.start + start);
            }
        }
        let Some(start) = found else { return };
        let name_end = start + capture.name.len();
        let blanks = source[name_end..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let blanks = Span { start: name_end, end: name_end + blanks };
        let lost = match quoted(capture.variable()) {
            lost if lost.is_empty() => "nothing".to_owned(),
            lost => format!("`{lost}`"),
        };
        self.report
            .add(
                Code::CaptureBlank,
                Span { start, end: blanks.end + 1 },
                format!("with a blank before the `=`, procmail 3.22 sets {lost}: it loses the last letter"),
            )
            .fix("leave the blank out", blanks, "");
    }

    fn forward(&mut self, arguments: &Text, facts: Facts) {
        if arguments.parts.iter().all(|part| *part == Part::Break) {
            self.report
                .add(Code::MissingAction, facts.line, "this recipe forwards to no address")
                .help("write the addresses behind the `!`");
        } else if is_condition(self.rc.text(self.word_span(arguments.span))) {
            let at = Span { start: recipe_mark(arguments), end: recipe_mark(arguments) };
            let quote = self.report.quote(self.word_span(arguments.span));
            self.report
                .add(
                    Code::MissingStar,
                    self.word_span(arguments.span),
                    format!("without a star this is no condition: mail is forwarded to `{quote}`"),
                )
                .try_edit("put a star before it", at, "* ");
        } else if facts.always
            && self.at_top()
            && !facts.also
            && !facts.or_else
            && !self.guards.against_loops()
            && self.told.insert(b"!".to_vec())
        {
            let at = recipe_mark(arguments);
            self.report
                .add(
                    Code::ForwardMayLoop,
                    Span { start: at, end: at + 1 },
                    "all mail is forwarded: if that address ever forwards back, it goes round for ever",
                )
                .help("mark it with formail -A\"X-Loop: …\", and let a condition `* ! ^X-Loop: …` keep marked mail out");
        }
    }

    pub(super) fn discards(&mut self, span: Span, always: bool) {
        // The end of a copy is not the end of the mail.
        if self.in_copy() {
            return;
        }
        let message = if always { "all mail that comes here is lost" } else { "this mail is lost for good" };
        self.report
            .add(Code::DiscardsMail, span, message)
            .help("file it into a folder, at least until the conditions have proved themselves");
    }
}

/// Where the `!` before the addresses stands.
fn recipe_mark(arguments: &Text) -> usize {
    arguments.span.start.saturating_sub(1)
}

fn facts(source: &[u8], recipe: &Recipe, line: &RecipeLine) -> Facts {
    let rest = &source[recipe.span.start..recipe.head.span.end];
    let end = line.comment.map_or(recipe.head.span.end, |comment| comment.start);
    let written = &source[recipe.span.start..end.max(recipe.span.start)];
    let first = memchr::memchr(b'\n', rest).unwrap_or(written.len()).min(written.len());
    let length = written[..first].trim_ascii_end().len().max(1);
    let true_condition = |text: &[u8]| matches!(text, b"" | b".*" | b"^.*" | b"()");
    Facts {
        line: Span { start: recipe.span.start, end: recipe.span.start + length },
        // Flags that a variable brings may hold a `c`.
        copies: line.has(b'c') || line.opaque,
        also: line.has(b'A'),
        also_if_succeeded: line.has(b'a') && !line.has(b'e'),
        or_else: line.has(b'E') && !line.has(b'e'),
        on_error: line.has(b'e'),
        always: !line.opaque && recipe.conditions.iter().all(|condition| true_condition(&condition.text)),
        copy_flag: line.at(b'c'),
    }
}

//! Deliveries to folders.

use std::collections::HashSet;

use super::Checker;
use super::code::Code;
use super::diagnostic::Severity;
use super::flow::{Facts, Outcome};
use super::report::quoted;
use super::variables::Tail;
use crate::syntax::{Action, Item, Part, Rc, Recipe, RecipeLine, Span, Text};

/// Values that are longer are not looked at where they are used.
const LONGEST: usize = 512;

/// What a folder is, as far as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Folder {
    Null,
    Maildir,
    Mh,
    /// A file, or a directory that exists already.
    Mailbox,
    Unknown,
}

/// The parts of the first word.
pub(super) fn first_word(text: &Text) -> &[Part] {
    let end = text.parts.iter().position(|part| *part == Part::Break).unwrap_or(text.parts.len());
    &text.parts[..end]
}

/// The folders as they are written, one word each.
pub(super) fn names(rc: &Rc) -> HashSet<&[u8]> {
    rc.items()
        .iter()
        .filter_map(|item| match item {
            Item::Recipe(recipe) => match &recipe.action {
                Action::Folders(text) => Some(word(rc, text.span)),
                _ => None,
            },
            _ => None,
        })
        .filter(|name| *name != b"/dev/null")
        .collect()
}

/// What other names say is a directory: it is part of their path, or a command changes to it.
pub(super) fn directories(rc: &Rc) -> HashSet<&[u8]> {
    /// How deep paths are looked into.
    const DEEPEST: usize = 8;
    let mut directories = HashSet::new();
    for item in rc.items() {
        let Item::Recipe(recipe) = item else { continue };
        match &recipe.action {
            Action::Folders(text) => {
                let name = word(rc, text.span);
                directories.extend(memchr::memchr_iter(b'/', name).take(DEEPEST).map(|at| &name[..at]));
            }
            Action::Pipe { command, .. } => {
                let mut words = command.split(|byte| byte.is_ascii_whitespace() || b";&()".contains(byte));
                while let Some(word) = words.next() {
                    if word == b"cd" {
                        directories.extend(words.next());
                    }
                }
            }
            _ => {}
        }
    }
    directories
}

/// The first word of a span, as it is written.
pub(super) fn word(rc: &Rc, span: Span) -> &[u8] {
    rc.text(span).split(|byte| byte.is_ascii_whitespace()).find(|word| !word.is_empty()).unwrap_or_default()
}

impl<'a> Checker<'a> {
    /// What the first of some folders is.
    pub(super) fn folder_kind(&self, text: &Text) -> Folder {
        let word = first_word(text);
        if let [Part::Bytes(name)] = word
            && name == b"/dev/null"
        {
            return Folder::Null;
        }
        match self.variables.tail(word) {
            Tail::Unknown => Folder::Unknown,
            Tail::Bytes(name) if name.ends_with(b"/dev/null") => Folder::Null,
            Tail::Bytes(name) if name.ends_with(b"/") => Folder::Maildir,
            Tail::Bytes(name) if name.ends_with(b"/.") => Folder::Mh,
            // Variables that hold a whole command, as `DEFAULT=|` does.
            Tail::Bytes(name) if name.starts_with(b"|") => Folder::Unknown,
            Tail::Bytes(_) => Folder::Mailbox,
        }
    }

    /// Where the first word stands.
    pub(super) fn word_span(&self, span: Span) -> Span {
        let text = self.rc.text(span);
        let start = text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let length = text[start..].iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
        Span { start: span.start + start, end: span.start + start + length }
    }

    pub(super) fn folders(
        &mut self,
        recipe: &'a Recipe,
        line: &RecipeLine,
        folders: &'a Text,
        facts: Facts,
    ) -> Outcome {
        let first = self.word_span(folders.span);
        let name = self.rc.text(first);
        if self.no_folder(recipe, first, name, folders) {
            return Outcome::GoesOn;
        }
        self.words(folders);
        let kind = self.folder_kind(folders);
        match kind {
            Folder::Null if !facts.copies => {
                let chained = facts.also || facts.also_if_succeeded || facts.on_error || facts.or_else;
                self.discards(first, facts.always && !chained);
            }
            Folder::Null => {
                let marks = recipe.conditions.iter().any(|condition| {
                    memchr::memmem::find(&condition.text, br"\/").is_some() || condition.text.contains(&b'?')
                });
                if let Some(flag) = facts.copy_flag.filter(|_| !marks) {
                    self.report
                        .add(Code::UselessFlag, flag, "a copy to /dev/null does nothing")
                        .help("remove the recipe, or the flag if the mail is to be lost");
                }
            }
            Folder::Mailbox if self.maildir_without_slash(first, first_word(folders)) => {}
            Folder::Mailbox
                if line.lock.is_none() && self.lock_file.is_none() && !self.directories.contains(name) =>
            {
                self.unlocked(first, line, facts);
            }
            _ => {}
        }
        self.split_value(folders, first);
        self.sender_names(folders, first);
        let second = folders.parts.iter().skip_while(|part| **part != Part::Break).nth(1).is_some();
        if second && kind == Folder::Mailbox {
            let entry = self.report.add(
                Code::SeveralFolders,
                words_span(self.rc, folders),
                format!("if `{}` is a file, procmail skips the other folders", quoted(name)),
            );
            if line.lock.is_none() { entry.severity(Severity::Hint) } else { entry }
                .help("only directories take more than one; quote a name that has blanks");
        }
        let files = kind != Folder::Null && self.at_top() && !facts.on_error;
        if let Some(flag) = facts.copy_flag.filter(|_| files) {
            self.last_copy = Some((flag, quoted(name)));
        }
        Outcome::Delivered
    }

    /// A variable outside of quotes whose value has blanks, which split it.
    fn split_value(&mut self, folders: &Text, first: Span) {
        let split = first_word(folders).iter().find_map(|part| match part {
            Part::Variable { name, quoted: false } => {
                let value = self.variables.get(name)?.value?;
                let short = value.span.end - value.span.start < LONGEST;
                let value = if short { value.literal()? } else { return None };
                value.contains(&b' ').then_some(name)
            }
            _ => None,
        });
        let Some(name) = split else { return };
        self.report
            .add(
                Code::SeveralFolders,
                first,
                format!("the value of `{}` has blanks, and is split at them", quoted(name)),
            )
            .help("put the variable into double quotes");
    }

    /// A folder whose name holds what the sender of the mail writes.
    fn sender_names(&mut self, folders: &Text, first: Span) {
        let parts = first_word(folders);
        let found = parts.iter().enumerate().find_map(|(at, part)| {
            let Part::Variable { name, .. } = part else { return None };
            let matched = match name.as_slice() {
                b"MATCH" => self.matched,
                name => self.of_sender.get(name).copied(),
            };
            let starts = parts[..at].iter().all(|part| *part == Part::Quote);
            matched.filter(|matched| matched.climbs || starts).map(|matched| (name, matched))
        });
        let Some((name, matched)) = found else { return };
        self.report
            .add(
                Code::FolderFromMail,
                first,
                format!(
                    "`{}` is what the sender wrote: with a `/` in it, mail goes to other folders or files",
                    quoted(name)
                ),
            )
            .related(matched.span, "this takes slashes")
            .help("let it match no slash, such as by `[^/]+`");
    }

    /// The name of a Maildir, or of what is in one, as if it were a mailbox.
    pub(super) fn maildir_without_slash(&mut self, span: Span, parts: &[Part]) -> bool {
        let plain: Vec<&Part> = parts.iter().filter(|part| **part != Part::Quote).collect();
        let end = Span { start: span.end, end: span.end };
        match plain.as_slice() {
            [Part::Variable { name, .. }] if name == b"MAILDIR" => {
                if !matches!(self.variables.tail(parts), Tail::Bytes(path) if !path.ends_with(b"/")) {
                    return false;
                }
                self.report
                    .add(
                        Code::MaildirWithoutSlash,
                        span,
                        "the directory of `MAILDIR` is no mailbox: each mail becomes a file `msg.…` in it",
                    )
                    .try_edit("put a slash behind it if it is a Maildir", end, "/");
                true
            }
            [.., Part::Bytes(path)] => {
                let last = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
                let inside = matches!(last, b"new" | b"cur" | b"tmp") && path.len() > last.len();
                let named = matches!(last.strip_prefix(b".").unwrap_or(last), b"Maildir" | b"maildir");
                if inside {
                    self.report
                        .add(
                            Code::MaildirWithoutSlash,
                            span,
                            format!("`{}` is the inside of a Maildir, and no folder", quoted(last)),
                        )
                        .help("name the Maildir itself, with a slash at its end");
                } else if named {
                    self.report
                        .add(
                            Code::MaildirWithoutSlash,
                            span,
                            "without a slash at its end this is a mailbox, or a directory of files `msg.…`",
                        )
                        .try_edit("put a slash behind it if it is a Maildir", end, "/");
                }
                inside || named
            }
            _ => false,
        }
    }

    /// Actions that are taken for folders, and are not meant so.
    fn no_folder(&mut self, recipe: &Recipe, first: Span, name: &[u8], folders: &Text) -> bool {
        let quote = quoted(name);
        match name {
            [b':', ..] => {
                let start = Span { start: recipe.span.start, end: recipe.span.start + 1 };
                self.report
                    .add(
                        Code::MissingAction,
                        first,
                        "this line is the action of the recipe above, which has none: a folder of that name",
                    )
                    .related(start, "the recipe that lacks its action");
                true
            }
            b"}" => {
                self.report
                    .add(
                        Code::MissingAction,
                        first,
                        "this brace is the action of the recipe: a folder of that name",
                    )
                    .help("a recipe ends with a folder, a `|` command, an `!` address or a block");
                true
            }
            _ if is_condition(name) => {
                let at = Span { start: first.start, end: first.start };
                self.report
                    .add(
                        Code::MissingStar,
                        first,
                        format!(
                            "without a star this is no condition but the action: a folder named `{quote}`"
                        ),
                    )
                    .try_edit("put a star before it", at, "* ");
                true
            }
            [b'{', _, ..] => {
                self.report
                    .add(
                        Code::GluedBrace,
                        Span { start: first.start, end: first.start + 1 },
                        format!("no blank follows this brace: `{quote}` is the name of a folder"),
                    )
                    .fix("put a blank behind it", Span { start: first.start + 1, end: first.start + 1 }, " ");
                true
            }
            _ => {
                let variable =
                    name.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
                if variable == 0 || name[0].is_ascii_digit() || name.get(variable) != Some(&b'=') {
                    return false;
                }
                let end = words_span(self.rc, folders).end;
                let whole = self.rc.text(Span { start: first.start, end });
                let block = format!("{{ {} }}", String::from_utf8_lossy(whole));
                self.report
                    .add(
                        Code::AssignmentAsAction,
                        first,
                        format!("an assignment is no action: `{quote}` is the name of a folder"),
                    )
                    .try_edit("put it into a block", Span { start: first.start, end }, block);
                true
            }
        }
    }

    fn unlocked(&mut self, first: Span, line: &RecipeLine, facts: Facts) {
        let name = self.report.quote(first);
        let end = line.comment.map_or(facts.line.end, |comment| comment.start.min(facts.line.end));
        let at = Span { start: end, end };
        let entry = self.report.add(
            Code::MissingLock,
            facts.line,
            format!("the mailbox `{name}` is written to without a lock"),
        );
        let maildir = format!("or write `{name}/` if it is a Maildir, which needs none");
        if line.opaque || line.rest.is_some() {
            entry.help(format!("add a second colon; {maildir}"));
        } else {
            entry.fix(format!("add a second colon; {maildir}"), at, ":");
        }
    }
}

/// Whether some parts hold `$MATCH`.
pub(super) fn holds_match(parts: &[Part]) -> bool {
    parts.iter().any(|part| matches!(part, Part::Variable { name, .. } if name == b"MATCH"))
}

/// Whether a word is rather the start of a condition than a folder.
pub(super) fn is_condition(word: &[u8]) -> bool {
    let field = word.iter().take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'-').count();
    let (name, rest) = word.split_at(field);
    let starts = name.first().is_some_and(u8::is_ascii_uppercase) && rest.starts_with(b":");
    word.starts_with(b"^") || word.starts_with(b"$^") || word.starts_with(b"$TO_") || starts
}

/// The words without the comment behind them.
pub(super) fn words_span(rc: &Rc, text: &Text) -> Span {
    let written = rc.text(text.span);
    let mut end = written.len();
    for at in memchr::memchr_iter(b'#', written) {
        if at > 0 && matches!(written[at - 1], b' ' | b'\t') {
            end = at;
            break;
        }
    }
    let end = written[..end].trim_ascii_end().len();
    Span { start: text.span.start, end: text.span.start + end }
}

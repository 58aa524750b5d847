//! An explanation as text.

use std::fmt::Write;

use super::{Assumption, Entry, Event, Explanation, Folder, FolderKind};
use crate::effect::{Exit, Purpose};
use crate::eval::{ChainFlag, Fate, Opened, Reached, Subject, Test, Tested, Verdict};
use crate::mail::Area;
use crate::shown;

/// How what holds and what does not is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Marks {
    /// By ✓, ✗, → and their kin.
    #[default]
    Unicode,
    /// By words and signs of ASCII. What is quoted from the mail may have other characters.
    Ascii,
}

/// Up to which column details are aligned.
const WIDEST: usize = 48;
/// How deep lines are indented.
const DEEPEST: usize = 20;
/// How many characters of a text are shown.
const MOST_CHARACTERS: usize = 72;

fn shown(bytes: &[u8]) -> String {
    shown::shown(bytes, MOST_CHARACTERS)
}

struct Row {
    line: Option<usize>,
    depth: usize,
    mark: &'static str,
    text: String,
    detail: String,
}

/// The signs of a set of marks, all of one width.
struct Signs {
    holds: &'static str,
    fails: &'static str,
    counts: &'static str,
    skips: &'static str,
    does: &'static str,
    copies: &'static str,
    says: &'static str,
}

const UNICODE: Signs =
    Signs { holds: "✓", fails: "✗", counts: "+", skips: "·", does: "→", copies: "⇉", says: "!" };
const ASCII: Signs =
    Signs { holds: "yes", fails: "no", counts: "+", skips: "-", does: "->", copies: "=>", says: "!" };

pub(super) fn render(explanation: &Explanation, marks: Marks) -> String {
    let (signs, width) = match marks {
        Marks::Unicode => (&UNICODE, 1),
        Marks::Ascii => (&ASCII, 3),
    };
    let mut rows = Rows { rows: Vec::new(), signs };
    rows.entries(explanation, 0);
    let rows = rows.rows;
    let left = |row: &Row| {
        2 * row.depth + row.text.chars().count() + if row.mark.is_empty() { 0 } else { width + 1 }
    };
    let column = rows.iter().filter(|row| !row.detail.is_empty()).map(left).filter(|&width| width <= WIDEST);
    let column = column.max().unwrap_or(0);
    let mut out = String::new();
    for row in &rows {
        let start = out.len();
        match row.line {
            Some(line) => {
                let _ = write!(out, "{line:4}  ");
            }
            None if row.mark.is_empty() => {}
            None => out.push_str("      "),
        }
        out.extend(std::iter::repeat_n("  ", row.depth));
        if !row.mark.is_empty() {
            let _ = write!(out, "{:width$} ", row.mark);
        }
        out.push_str(&row.text);
        if !row.detail.is_empty() {
            let gap = column.saturating_sub(left(row)) + 2;
            out.extend(std::iter::repeat_n(' ', gap));
            out.push_str(&row.detail);
        }
        out.truncate(start + out[start..].trim_end().len());
        out.push('\n');
    }
    if explanation.cut_off {
        out.push_str("there is more, which is not shown\n");
    }
    let _ = writeln!(out, "{}", ending(explanation));
    if !explanation.assumptions.is_empty() {
        let assumed: Vec<String> = explanation.assumptions.iter().map(assumption).collect();
        let _ = writeln!(out, "assumed: {}", assumed.join("; "));
    }
    out
}

fn ending(explanation: &Explanation) -> String {
    let fate = match explanation.finished.fate {
        Fate::Delivered => "delivered",
        Fate::Bounced => "bounced: it could not be delivered, and goes back to its sender",
        Fate::Requeued => "requeued: it could not be delivered, and is to be tried again",
        Fate::Lost => "lost: it could not be delivered, after DELIVERED said that it was",
        Fate::Dropped => "dropped: HOST does not match",
    };
    format!("{fate}; exit code {}", explanation.finished.code)
}

fn assumption(assumption: &Assumption) -> String {
    match assumption {
        Assumption::Deliveries => "that deliveries succeed".to_owned(),
        Assumption::Locks => "that locks are free".to_owned(),
        Assumption::Directories => "that directories are there".to_owned(),
        Assumption::Programs(code) => format!("that programs end with {code} and write nothing"),
        Assumption::Filters => "that filters give back what they get".to_owned(),
    }
}

struct Rows<'s> {
    rows: Vec<Row>,
    signs: &'s Signs,
}

impl Rows<'_> {
    fn entries(&mut self, explanation: &Explanation, depth: usize) {
        for entry in &explanation.entries {
            let (mark, text, detail) = self.row(entry);
            if !(text.is_empty() && detail.is_empty()) {
                let line = entry.place.as_ref().map(|place| place.line);
                self.rows.push(Row { line, depth: (depth + entry.depth).min(DEEPEST), mark, text, detail });
            }
            if let Event::Copy(Some(copy)) = &entry.event {
                self.entries(copy, depth + 1);
                let text = format!("the copy is {}", ending(copy));
                self.rows.push(Row {
                    line: None,
                    depth: (depth + entry.depth).min(DEEPEST),
                    mark: self.signs.copies,
                    text,
                    detail: String::new(),
                });
            }
        }
    }

    fn row(&self, entry: &Entry) -> (&'static str, String, String) {
        let signs = self.signs;
        let tried = |succeeded: bool| if succeeded { signs.does } else { signs.fails };
        let none = String::new;
        match &entry.event {
            Event::Opened { path, how: Opened::First } => ("", shown(path), none()),
            Event::Opened { path, how: Opened::Included } => {
                (signs.does, format!("reads \"{}\"", shown(path)), none())
            }
            Event::Opened { path, how: Opened::Switched } => {
                (signs.does, format!("goes on in \"{}\"", shown(path)), none())
            }
            Event::Unreadable(path) => (signs.fails, format!("cannot read \"{}\"", shown(path)), none()),
            Event::Variable { name, value: Some(value) } => {
                ("", format!("{}={}", shown(name), shown(value)), none())
            }
            Event::Variable { name, value: None } => ("", shown(name), "removed".to_owned()),
            Event::Recipe(reached) => ("", format!(":{}", shown(&reached.head)), chain(reached)),
            Event::Condition { text, tested } => {
                let mark = match tested.verdict {
                    Verdict::Holds => signs.holds,
                    Verdict::Fails | Verdict::TooLong => signs.fails,
                    Verdict::Scores { .. } => signs.counts,
                    Verdict::Unneeded => signs.skips,
                };
                (mark, format!("* {}", shown(text)), condition(text, tested))
            }
            Event::Decided { score: Some(score), matches } => {
                let mark = if *matches { signs.holds } else { signs.fails };
                (mark, format!("score {score}"), none())
            }
            Event::Decided { .. } => ("", none(), none()),
            Event::BlockEntered => ("", "{".to_owned(), none()),
            Event::BlockSkipped => (signs.skips, "{ }".to_owned(), "passed over".to_owned()),
            Event::BlockLeft => ("", "}".to_owned(), none()),
            Event::Copy(Some(_)) => (signs.copies, "a copy goes on beside this:".to_owned(), none()),
            Event::Copy(None) => {
                (signs.skips, "a copy goes on beside this".to_owned(), "not followed: too many".to_owned())
            }
            Event::Locked { path, succeeded } => {
                let detail = if *succeeded { "" } else { "it is not to be had" };
                (tried(*succeeded), format!("lock \"{}\"", shown(path)), detail.to_owned())
            }
            Event::Delivered { folders, copy, succeeded } => {
                let names: Vec<String> =
                    folders.iter().map(|folder| format!("\"{}\"", shown(&folder.name))).collect();
                let verb = if *copy { "copy to" } else { "deliver to" };
                let failed = if *succeeded { "" } else { "fails: " };
                (
                    tried(*succeeded),
                    format!("{verb} {}", names.join(", ")),
                    format!("{failed}{}", kinds(folders)),
                )
            }
            Event::Printed { succeeded, .. } => {
                (tried(*succeeded), "write it to the standard output".to_owned(), none())
            }
            Event::Ran { purpose, command, copy, exit, assumed } => {
                let verb = match purpose {
                    Purpose::Condition => "ask",
                    Purpose::Substitution => "put in the output of",
                    Purpose::Delivery if *copy => "pipe a copy to",
                    Purpose::Delivery => "pipe it to",
                    Purpose::Forward if *copy => "forward a copy by",
                    Purpose::Forward => "forward it by",
                    Purpose::Filter => "filter it by",
                    Purpose::Capture => "keep the output of",
                    Purpose::Trap => "at the end, run",
                };
                let mark = if exit.is_some_and(Exit::is_success) { signs.does } else { signs.fails };
                (mark, format!("{verb} \"{}\"", shown(command)), run(*exit, *assumed))
            }
            Event::Message(text) => (signs.says, shown(text), none()),
        }
    }
}

fn run(exit: Option<Exit>, assumed: bool) -> String {
    let how = match exit {
        None => "could not be run".to_owned(),
        Some(Exit::Code(code)) => format!("ended with {code}"),
        Some(Exit::Signal(signal)) => format!("ended by signal {signal}"),
        Some(Exit::Unknown) => "nobody waits for its end".to_owned(),
    };
    if assumed { format!("not run: assumed to have {how}") } else { how }
}

fn chain(reached: &Reached) -> String {
    let told: Vec<String> = reached
        .chain
        .iter()
        .map(|chained| {
            let why = match (chained.flag, chained.holds) {
                (ChainFlag::And, true) => "the recipe before matched",
                (ChainFlag::And, false) => "not looked at, since the recipe before did not match",
                (ChainFlag::AndSucceeded, true) => "the recipe before matched, and the last action succeeded",
                (ChainFlag::AndSucceeded, false) => {
                    "not looked at, since the recipe before did not match, or the last action failed"
                }
                (ChainFlag::Else, true) => "the recipe before did not match",
                (ChainFlag::Else, false) => "not looked at, since the recipe before matched",
                (ChainFlag::OnError, true) => "the recipe before matched, and its action failed",
                (ChainFlag::OnError, false) => {
                    "not looked at, since the recipe before did not match, or its action succeeded"
                }
            };
            format!("{}: {why}", chained.flag.letter())
        })
        .collect();
    told.join("; ")
}

fn kinds(folders: &[Folder]) -> String {
    let kind = |kind| match kind {
        FolderKind::Mailbox => "a mailbox, or a file of its own if that is a directory",
        FolderKind::Maildir => "a Maildir",
        FolderKind::Mh => "an MH folder",
        FolderKind::Nothing => "thrown away",
    };
    match folders {
        [folder] => kind(folder.kind).to_owned(),
        [first, ..] => format!("the first is {}", kind(first.kind)),
        [] => String::new(),
    }
}

fn condition(text: &[u8], tested: &Tested) -> String {
    let mut told = Vec::new();
    match tested.verdict {
        Verdict::Scores { added, total } => {
            told.push(format!("{} to {}", signed(limited(added)), plain(limited(total))))
        }
        Verdict::Unneeded => told.push("not needed: the score is at its limit".to_owned()),
        Verdict::TooLong => told.push("too long: LINEBUF".to_owned()),
        Verdict::Holds | Verdict::Fails => {}
    }
    match &tested.test {
        Test::Expression { pattern, found, matches } => {
            if !text.ends_with(pattern) {
                told.push(format!("is \"{}\"", shown(pattern)));
            }
            match found {
                None => told.push(format!("not in {}", subject(&tested.subject))),
                Some(found) if found.range.is_empty() => told.push("an empty match".to_owned()),
                Some(found) => {
                    if tested.weight.is_some() && *matches > 1 {
                        told.push(format!("{matches} times, first"));
                    }
                    let place = match (&found.place, &tested.subject) {
                        (Some(place), _) => {
                            let field = match place.field.as_deref() {
                                Some(b"From ") => "From_, ".to_owned(),
                                Some(field) => format!("{}, ", shown(field)),
                                None => String::new(),
                            };
                            format!("{field}line {}, byte {}", place.line, place.offset)
                        }
                        (None, what) => format!("{}, byte {}", subject(what), found.range.start),
                    };
                    let text = found.text.strip_suffix(b"\n").unwrap_or(&found.text);
                    told.push(format!("{place}: \"{}\"", shown(text)));
                }
            }
        }
        Test::Size { size, .. } => {
            told.push(format!("{} has {size} bytes", subject(&tested.subject)));
        }
        Test::Program { exit, .. } => told.push(format!("ended with {exit}")),
        Test::None(_) => {}
    }
    // What is counted stands before what is told of it.
    told.join("; ").replace(", first; ", ", first ")
}

fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Area(Area::Header) => "the header".to_owned(),
        Subject::Area(Area::Body) => "the body".to_owned(),
        Subject::Area(Area::Whole) => "the mail".to_owned(),
        Subject::Variable(name) => format!("${}", shown(name)),
    }
}

/// A score as far as procmail counts.
fn limited(score: f64) -> f64 {
    score.clamp(-f64::from(i32::MAX), f64::from(i32::MAX))
}

/// A score without needless digits.
fn plain(score: f64) -> String {
    let rounded = (score * 1000.0).round() / 1000.0;
    // No score is minus zero.
    format!("{}", rounded + 0.0)
}

fn signed(score: f64) -> String {
    if score < 0.0 { plain(score) } else { format!("+{}", plain(score)) }
}

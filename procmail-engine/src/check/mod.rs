//! The check of an rc file: all that is wrong, or probably so, at once.
//!
//! [`check`] reads a file without running it, and gives a [`Diagnostic`] for each thing that procmail would complain of,
//! and for what it takes without a word though it is hardly meant: mailboxes without locks, recipes that no mail
//! reaches, expressions of other dialects. Each says where it is, what is wrong, and mostly what to do. [`render()`]
//! shows them as compilers do, [`fix`] makes the changes that need no look at them.
//!
//! ```
//! use procmail_engine::check::{Code, check, fix};
//! use procmail_engine::syntax::Rc;
//!
//! let rc = Rc::parse(b":0:\n* ^TOlist@lists.example.org\nlists/".to_vec());
//! let found: Vec<Code> = check(&rc).iter().map(|diagnostic| diagnostic.code).collect();
//! assert_eq!(found, [Code::NeedlessLock, Code::LooseTo, Code::UnescapedDot]);
//! assert_eq!(fix(&rc, &check(&rc)), b":0\n* ^TO_list@lists\\.example\\.org\nlists/");
//! ```
//!
//! # What it goes by
//!
//! The file alone: included files are not read, no folder is looked at. A name such as `cats` counts as a mailbox,
//! `cats/` as a Maildir, `cats/.` as an MH folder; a variable as what it is set to, if that is done once. What another rc
//! file may bring is given the benefit of the doubt.
//!
//! - An **error** is what procmail complains of, or what does something else than it says.
//! - A **warning** is what is probably not meant, or loses mail in rare cases.
//! - A **hint** is what works and could be better.
//!
//! A comment `# check: allow CODE, CODE` before an assignment or recipe, or between the lines of a recipe, says that it is
//! meant so:
//!
//! ```
//! use procmail_engine::check::check;
//! use procmail_engine::syntax::Rc;
//!
//! let rc = Rc::parse(b"# check: allow discards-mail\n:0\n* ^X-Spam-Flag: YES\n/dev/null\n".to_vec());
//! assert!(check(&rc).is_empty());
//! ```
//!
//! # Codes
//!
//! | code | | what it is about |
//! |---|---|---|
//! | `also-after-delivery` | warning | `A` or `a` behind a recipe that keeps the mail |
//! | `always-true` | hint | A condition that every mail meets, or none |
//! | `assignment-as-action` | error | The action is an assignment outside of a block: a folder of that name |
//! | `autoreply-may-loop` | warning | An automatic reply that nothing keeps from answering itself or mailing lists |
//! | `backslash-blank` | warning | A backslash that is followed by blanks does not continue the line |
//! | `backslash-in-class` | warning | A backslash in brackets stands for itself |
//! | `bad-substitution` | error | A `${…}` that procmail does not know |
//! | `boundaries-consume` | warning | `\<` and `\>` next to each other each take a byte |
//! | `capture-blank` | error | A blank before the `=` of a capture makes procmail 3.22 lose the output |
//! | `chain-without-start` | warning | `A`, `a`, `E` or `e` on the first recipe |
//! | `comment-in-condition` | warning | A comment on a condition is part of it |
//! | `conflicting-flags` | error | Flags that exclude each other |
//! | `copy-falls-through` | hint | A copy is filed, and the mail goes to the mailbox as well |
//! | `crlf` | error | Lines end in CR LF |
//! | `deadlock` | error | The lock of the recipe is the global one |
//! | `discards-mail` | warning | Mail goes to `/dev/null` |
//! | `dollar-before-name` | warning | `$NAME ??` searches what is named by the value of `NAME` |
//! | `double-quantifier` | warning | A quantifier on a quantifier stands for itself |
//! | `empty-alternative` | warning | An alternative with nothing in it makes the condition true |
//! | `endless-expression` | warning | An expression for which procmail may search without end |
//! | `extraneous-flag` | warning | A flag that procmail ignores with a message |
//! | `filter-without-wait` | warning | A filter whose failure is not noticed |
//! | `flags-as-lock` | warning | The name of a lock that looks like flags |
//! | `folder-from-mail` | warning | A folder whose name the sender of the mail chooses |
//! | `fork-falls-out` | warning | What runs a copied block goes on behind it |
//! | `forward-may-loop` | hint | All mail is forwarded without a guard against loops |
//! | `glob-star` | warning | A star as in file names |
//! | `glued-brace` | error | A brace that touches what follows is part of a name |
//! | `host-drops-mail` | hint | A `HOST` that is not this machine drops the mail |
//! | `incomplete-recipe` | error | The file ends before the action |
//! | `infinite-score` | warning | A score without end |
//! | `leading-backslash` | warning | A backslash at the start of a condition is taken away |
//! | `lock-is-folder` | error | The lock is the mailbox |
//! | `longer-than-linebuf` | error | More text than `LINEBUF` holds |
//! | `loose-to` | warning | `^TO` before an address |
//! | `maildir-set-later` | warning | `MAILDIR` is used before it is set |
//! | `maildir-without-slash` | warning | A Maildir without the slash at its end |
//! | `misplaced-text-anchor` | warning | `^^` neither at the start nor at the end of an expression |
//! | `missing-action` | error | A recipe without an action |
//! | `missing-closing-brace` | error | A block that is not closed |
//! | `missing-lock` | warning | Delivery to a mailbox without a lock |
//! | `missing-question-mark` | warning | A command as a condition without its question mark |
//! | `missing-star` | error | A condition without its star, which is the action then |
//! | `misspelt-macro` | warning | A misspelt `^TO_`, `^FROM_DAEMON` or `^FROM_MAILER` |
//! | `misspelt-variable` | warning | A variable that is spelt almost as one that procmail knows, or that the file sets |
//! | `needless-lock` | warning | A lock where none is needed |
//! | `no-blank-after-field` | warning | A field whose blank is forgotten |
//! | `not-a-number` | warning | A value that is no number |
//! | `old-style-count` | hint | A recipe that counts its conditions |
//! | `partial-delivery` | warning | Only the header or the body is stored |
//! | `quote-in-dollar-condition` | warning | Double quotes in a `$` condition vanish |
//! | `quoted-condition` | warning | Quotes around an expression are part of it |
//! | `redundant-dot-star` | hint | `.*` where it changes nothing |
//! | `relative-path` | hint | A path that depends on the `MAILDIR` of the moment |
//! | `several-folders` | warning | Several folders, the first of which is a file |
//! | `shell-keyword` | warning | A word of the shell that procmail takes for a variable |
//! | `shell-not-sh` | warning | A shell that does not understand what it is given |
//! | `size-junk` | error | What stands behind the number of a size condition |
//! | `skipped-text` | error | Text that procmail cannot read |
//! | `stray-word` | warning | A word behind a value, which removes a variable |
//! | `tilde` | warning | `~`, which procmail does not know |
//! | `to-with-blank` | warning | `^TO_` or `^TO` with a blank before the address |
//! | `to-with-colon` | warning | `^TO_` or `^TO` with a colon |
//! | `unanchored-field` | hint | A field of the header without its `^` |
//! | `unbalanced-parenthesis` | error | A parenthesis without its other half |
//! | `unchecked-program` | hint | A program that delivers, and whose failure is not noticed |
//! | `unclosed-class` | warning | Brackets that are not closed |
//! | `undefined-variable` | hint | A variable that has no value |
//! | `unescaped-dot` | hint | A dot that stands for any byte in an address or domain |
//! | `unescaped-plus` | warning | A plus in an address, which repeats the letter before it |
//! | `unescaped-question-mark` | warning | A question mark of an encoded word, which makes optional what stands before it |
//! | `unescaped-value` | hint | A value that comes from the mail as part of an expression |
//! | `unexpected-closing-brace` | error | A `}` without its `{` |
//! | `unfinished-command` | warning | A command that does not end on its line |
//! | `unknown-flag` | error | Letters that are no flags |
//! | `unknown-lock` | warning | No name for the lock can be derived |
//! | `unreachable` | warning | A recipe that is not reached |
//! | `unsupported-regex` | warning | Syntax of other regular expressions |
//! | `unterminated-quote` | error | Quotes or backquotes that are not closed |
//! | `useless-flag` | hint | A flag without an effect here |
//! | `variable-without-dollar` | warning | A variable in a condition without `$` |
//! | `verbose-before-logfile` | hint | Verbose messages before there is a log |
//! | `without-variable-name` | error | `NAME ??` without a name |
//!
//! Checking takes time linear in the length of the file; blocks may be nested as deep as they like.

mod allowed;
mod code;
mod command;
mod condition;
mod diagnostic;
mod flow;
mod folder;
mod lock;
mod pattern;
mod recipe;
mod render;
mod report;
mod skipped;
mod spelling;
mod text;
mod tokens;
mod traced;
mod value;
mod variables;

use std::collections::{HashMap, HashSet};

pub use code::Code;
pub use diagnostic::{Applicability, Diagnostic, Edit, Place, Related, Severity, Suggestion};
pub use render::{Colours, fix, render};

use allowed::Allowed;
use flow::Level;
use report::Report;
use variables::Variables;

use crate::syntax::{Item, Rc, Span, Text};

/// Checks an rc file. Gives all there is to say at once, in the order of the file. Takes time linear in its length.
pub fn check(rc: &Rc) -> Vec<Diagnostic> {
    let source = rc.source();
    let Some(first) = memchr::memmem::find(source, b"\r\n") else {
        return Checker::new(rc, Report::new(source)).run();
    };
    // What else there is to say is said of the file as it is meant: blanks for the returns, in the same places.
    let mut meant = source.to_vec();
    let mut edits = Vec::new();
    for at in memchr::memmem::find_iter(source, b"\r\n") {
        edits.push(Edit { span: Span { start: at, end: at + 1 }, replacement: String::new() });
        meant[at] = b' ';
        if at > 0 && meant[at - 1] == b'\\' {
            meant.swap(at - 1, at);
        }
    }
    let rc = Rc::parse(meant);
    let mut report = Report::new(rc.source());
    report
        .add(
            Code::Crlf,
            Span { start: first, end: first + 1 },
            "lines end in CR LF: procmail takes the CR for part of flags, names and values",
        )
        .suggest("end them in LF", edits, Applicability::Automatic);
    Checker::new(&rc, report).run()
}

/// The check of one file.
struct Checker<'a> {
    rc: &'a Rc,
    report: Report<'a>,
    variables: Variables<'a>,
    /// Variables that were told of.
    told: HashSet<Vec<u8>>,
    /// Variables whose spelling was looked at.
    spelt: HashSet<Vec<u8>>,
    levels: Vec<Level>,
    /// A block whose brace was closed by one that is indented for another.
    suspect: Option<(Span, Span)>,
    /// The global lock.
    lock_file: Option<&'a Text>,
    line_buffer: usize,
    /// Where `MAILDIR` was used before it was set.
    maildir_used: Option<Span>,
    maildir_set: bool,
    /// Whether a condition so far guards against mail loops, and one against mailing lists.
    guards: command::Guards,
    /// All that is filed in folders, to compare locks with.
    folders: HashSet<&'a [u8]>,
    /// Folders that are directories.
    directories: HashSet<&'a [u8]>,
    /// The line of which it was told that words on it are skipped or remove variables, from 1.
    told_line: usize,
    /// What `MATCH` may hold.
    matched: Option<condition::Matched>,
    /// Variables that were set to such a `MATCH`.
    of_sender: HashMap<&'a [u8], condition::Matched>,
    /// The copy that was made last at the end of the file.
    last_copy: Option<(Span, String)>,
}

impl<'a> Checker<'a> {
    fn new(rc: &'a Rc, report: Report<'a>) -> Self {
        Self {
            rc,
            report,
            variables: Variables::of(rc),
            told: HashSet::new(),
            spelt: HashSet::new(),
            levels: vec![Level::of_file()],
            suspect: None,
            lock_file: None,
            line_buffer: 2048,
            maildir_used: None,
            maildir_set: false,
            guards: command::Guards::of(rc),
            folders: folder::names(rc),
            directories: folder::directories(rc),
            told_line: 0,
            matched: None,
            of_sender: HashMap::new(),
            last_copy: None,
        }
    }

    fn run(mut self) -> Vec<Diagnostic> {
        for number in 0..self.rc.items().len() {
            match &self.rc.items()[number] {
                Item::Comment(_) => {}
                Item::Assignment(assignment) => self.assignment(assignment),
                Item::Removal { span, name } => self.removal(number, *span, name),
                Item::Recipe(recipe) => self.recipe(recipe),
                Item::Close(span) => self.close(*span),
                Item::UnexpectedClose(span) => {
                    self.report
                        .add(Code::UnexpectedClosingBrace, *span, "closing brace unexpected: no block is open")
                        .help("a block opens with `{` on a line of its own, where the action of a recipe stands");
                }
                Item::MissingClose(_) => self.missing_close(),
                Item::Skipped(span) => self.skipped(number, *span),
            }
        }
        self.end();
        let allowed = Allowed::of(self.rc);
        let mut found = self.report.finish();
        found.retain(|diagnostic| !allowed.has(diagnostic));
        found
    }

    /// Whether nothing was told yet of words that are left over on a line.
    fn tells_of_line(&mut self, at: usize) -> bool {
        let line = self.report.lines.line(at) + 1;
        std::mem::replace(&mut self.told_line, line) != line
    }

    fn missing_close(&mut self) {
        let message = |report: &Report<'_>, brace: Span| {
            let line = report.lines.line(brace.start) + 1;
            format!("missing closing brace: the block that opens in line {line} is not closed")
        };
        if let Some((brace, close)) = self.suspect {
            let message = message(&self.report, brace);
            self.report
                .add(Code::MissingClosingBrace, brace, message)
                .related(close, "this brace closes it, though it is indented for another");
            return;
        }
        for level in self.levels.iter().skip(1) {
            let message = message(&self.report, level.brace());
            self.report
                .add(Code::MissingClosingBrace, level.brace(), message)
                .help("write `}` on a line of its own where it ends");
        }
    }

    /// What is too long for the buffer that procmail reads lines into.
    fn longer_than_linebuf(&mut self, span: Span, length: usize) {
        if length > self.line_buffer {
            let limit = self.line_buffer;
            self.report
                .add(
                    Code::LongerThanLinebuf,
                    Span { start: span.start, end: span.start + 1 },
                    format!("this takes {length} bytes, and LINEBUF is {limit}: procmail gives up on it"),
                )
                .help(format!(
                    "set LINEBUF to more, such as {}, further up",
                    (length + 1).next_power_of_two()
                ));
        }
    }

    fn blank_behind_backslash(&mut self, span: Span, written: &[u8]) {
        let end = written.trim_ascii_end();
        let blanks = written.len() - end.len();
        if blanks > 0 && end.ends_with(b"\\") && !end.ends_with(b"\\\\") {
            let start = span.start + end.len();
            let blanks = Span { start, end: start + blanks };
            self.report
                .add(
                    Code::BackslashBlank,
                    Span { start: start - 1, end: start },
                    "this backslash does not continue the line, for a blank follows it",
                )
                .fix("remove the blanks behind it", blanks, "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_the_table_of_the_documentation() {
        let rows: Vec<&str> =
            include_str!("mod.rs").lines().filter(|line| line.starts_with("//! | `")).collect();
        assert_eq!(rows.len(), Code::ALL.len());
        for code in Code::ALL {
            let row = format!("//! | `{code}` | {} | ", code.severity());
            assert!(rows.iter().any(|line| line.starts_with(&row)), "{row}");
        }
        assert!(rows.is_sorted());
    }
}

//! Rc files as Sieve scripts.
//!
//! [`to_sieve`] writes a script (RFC 5228) that does what an rc file does, as far as Sieve can say it. What it cannot say
//! stands in the script as a comment with the reason, and in [`Conversion::notes`] with line and column; so does what is only
//! nearly the same. Whatever the rc file, the script is valid.
//!
//! ```
//! use procmail_engine::sieve::{Options, to_sieve};
//! use procmail_engine::syntax::Rc;
//!
//! let rc = b"MAILDIR=$HOME/Mail\n\n\
//!     ## the list\n\
//!     :0\n* ^List-Id:.*<rust\\.example\\.org>\nlists/rust/\n\n\
//!     :0:\n* 1^1 ^Subject:.*money\nspam\n";
//! let conversion = to_sieve(&Rc::parse(rc.to_vec()), &Options::new());
//! assert_eq!(
//!     conversion.script,
//!     "\
//! require [\"fileinto\", \"mailbox\"];
//!
//! ## the list
//! if header :contains \"List-Id\" \"<rust.example.org>\" {
//!     fileinto :create \"lists/rust\";
//!     stop;
//! }
//!
//! ## NOT CONVERTED, line 8: a script cannot add up scores
//! ##   :0:
//! ##   * 1^1 ^Subject:.*money
//! ##   spam
//! ## ATTENTION: procmail may deliver mail here, which goes on to what follows in this script.
//! "
//! );
//! assert_eq!(conversion.notes[0].to_string(), "9:1: not converted, may deliver: a script cannot add up scores");
//! ```
//!
//! # What becomes what
//!
//! | rc file | script |
//! |---|---|
//! | `^Subject:.*word`, `^TO_joe`, `^FROM_DAEMON` | `header` with `:contains`, `:is` or `:matches`; with `:regex` where nothing less will do |
//! | `^From ` | `envelope "from"` |
//! | `B ??`, the flag `B` | `body :raw` (RFC 5173) |
//! | `> n`, `< n` | `size :over`, `size :under` |
//! | `NAME ??` | decided at once if the value is known, else `string` (RFC 5229) |
//! | `! condition` | `not` |
//! | folder, `c`, `/dev/null`, `! address` | `fileinto`, `:copy` (RFC 3894), `discard`, `redirect` |
//! | `EXITCODE=67` and `/dev/null` | `reject` (RFC 5429) |
//! | `E`, `A`, `a` | `elsif`, a nested `if`, or a variable that says whether a recipe matched |
//! | `{ … }` | the body of an `if` |
//! | `NAME=value` | put in where it is known, else `set` |
//! | `INCLUDERC` | `include` (RFC 6609), by option |
//! | `\| formail -D size cache` | `duplicate` (RFC 7352) |
//! | programs | by option, `vnd.dovecot.pipe`, `vnd.dovecot.filter`, `vnd.dovecot.execute` |
//!
//! Scores, backquotes, `MATCH`, `e`, `TRAP` and automatic replies have nothing in Sieve to become. Settings that are about
//! procmail itself (locks, logs, shells) are left out without a word in the script.
//!
//! # What is never quite the same
//!
//! Sieve looks at decoded, trimmed values of fields, procmail at the bytes of the header. So the blank behind a colon is
//! taken for granted, and expressions for encoded words are not converted. In bodies both see the bytes as they came. Sizes
//! may count line ends differently. Deliveries are taken to succeed.
//!
//! `regex` is that of draft-ietf-sieve-regex, with POSIX expressions, as Dovecot's Pigeonhole has it.

mod actions;
mod chain;
mod conditions;
mod fields;
mod folders;
mod left_out;
mod pattern;
mod recipes;
mod script;
mod settings;
mod values;
mod write;

use std::fmt;

use crate::shown::shown;
use crate::syntax::Rc;

/// How a script is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Variables whose values are known, such as `HOME` and `LOGNAME`. Folders below an unknown `HOME` are converted too.
    pub variables: Vec<(Vec<u8>, Vec<u8>)>,
    /// Directories below which the mailboxes lie, tried in turn. After them come the first `MAILDIR`, and `Mail`, `mail`,
    /// `Maildir` in `HOME`, and `HOME`.
    pub folders_below: Vec<Vec<u8>>,
    /// What stands between the parts of a mailbox's name.
    pub separator: char,
    /// Whether mailboxes are made that are not there: `fileinto :create` (RFC 5490).
    pub create: bool,
    /// Whether `:regex` may be used. Without it, expressions that need it are not converted.
    pub regex: bool,
    /// Whether programs may be run, by Dovecot's extensions.
    pub programs: bool,
    /// Whether `INCLUDERC` becomes `include`, of the personal script that is called as the file is.
    pub includes: bool,
}

impl Options {
    /// Names with `/`, mailboxes made, with `:regex` and `include`, without programs.
    pub fn new() -> Self {
        Self {
            variables: Vec::new(),
            folders_below: Vec::new(),
            separator: '/',
            create: true,
            regex: true,
            programs: false,
            includes: true,
        }
    }

    /// Tells the value of a variable.
    #[must_use]
    pub fn variable(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// A script, and what is to be said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    /// The script, with LF as line end.
    pub script: String,
    /// What is not converted, or is not quite the same, in the order of the rc file.
    pub notes: Vec<Note>,
}

impl Conversion {
    /// Whether all of the rc file is in the script.
    pub fn is_complete(&self) -> bool {
        !self.notes.iter().any(|note| matches!(note.kind, NoteKind::NotConverted { .. }))
    }
}

/// Something to be said of a conversion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The line of the rc file, from 1.
    pub line: usize,
    /// The column in bytes, from 1.
    pub column: usize,
    /// How much it matters.
    pub kind: NoteKind,
    /// What it is.
    pub reason: Reason,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.line, self.column, self.kind, self.reason)
    }
}

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoteKind {
    /// It is not in the script.
    NotConverted {
        /// Whether procmail may deliver mail there. Then mail goes on to what follows that procmail would not have
        /// shown it.
        delivers: bool,
    },
    /// It is not quite the same.
    Approximate,
    /// It is left out, and nothing is lost.
    Ignored,
}

impl fmt::Display for NoteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConverted { delivers: true } => "not converted, may deliver",
            Self::NotConverted { delivers: false } => "not converted",
            Self::Approximate => "not quite the same",
            Self::Ignored => "left out",
        })
    }
}

/// Why something is not in the script, or is not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// A condition has a weight.
    Score,
    /// A program is run.
    Program,
    /// A program is run that needs a shell, or the value of a variable.
    Shell,
    /// A filter changes the mail.
    Filter,
    /// A variable gets the output of a program.
    Capture,
    /// A program gets only a part of the mail.
    PartToProgram,
    /// A text has backquotes.
    Backquotes,
    /// A reply is made.
    Reply,
    /// The mail is written to the standard output.
    StandardOutput,
    /// Something depends on a variable of which nobody knows the value.
    UnknownVariable(Vec<u8>),
    /// An expression looks at the header, not at a field.
    NoField,
    /// An expression matches a field only if no blank stands behind its colon.
    NoBlank,
    /// An expression goes over several lines.
    SeveralLines,
    /// An expression needs `:regex`.
    Expression,
    /// An expression looks for an encoded word.
    EncodedWord,
    /// The size of a part of the mail is asked for.
    SizeOfPart,
    /// Something is too long, or has too many cases.
    TooComplex,
    /// It repeats what may be empty, or has a `\/` at the end of an alternative: procmail follows other ways than the text
    /// says.
    NotAsWritten,
    /// Blocks nest too deep.
    TooDeep,
    /// The script has grown too long.
    TooLong,
    /// A text is not UTF-8, or has control characters.
    NotUtf8,
    /// There is no folder.
    NoFolder,
    /// A folder lies elsewhere than the mailboxes.
    ElsewhereFolder(Vec<u8>),
    /// There is no address, or one without a domain, or one that is not of the simplest form.
    NoAddress,
    /// The mailer gets an option.
    MailerOption,
    /// The flag `e`.
    OnError,
    /// It goes by what the recipe in this line did, which is not converted.
    DependsOn(usize),
    /// `TRAP`.
    Trap,
    /// `HOST`.
    Host,
    /// An rc file is included, and the options say no.
    Include,
    /// An rc file is included that no script can be called like.
    IncludeName,
    /// An rc file is included for the second time.
    IncludedAgain,
    /// An rc file is included, or ended, where only a copy of the mail is worked on.
    SwitchInCopy,
    /// The included script has variables of its own, and has to be written.
    IncludeApart(String),
    /// A copy that the block does not deliver goes on behind the block in procmail.
    CopyGoesOn,
    /// What is not quite the same, in words.
    Inexact(&'static str),
    /// A setting of procmail that Sieve has no use for.
    NoMeaning,
    /// Procmail makes nothing of it.
    Malformed,
    /// The recipe never applies.
    NeverApplies,
    /// What comes before delivers all mail.
    Unreachable,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Score => "a script cannot add up scores",
            Self::Program => "a script cannot run programs",
            Self::Shell => "a script cannot run command lines for a shell",
            Self::Filter => "a script cannot filter mail by a program; let the server do that before",
            Self::Capture => "a script cannot have the output of a program",
            Self::PartToProgram => "a script gives programs the whole mail, not a part of it",
            Self::Backquotes => "a script cannot have the output of a program (backquotes)",
            Self::Reply => "replies are not converted; write them with `vacation` (RFC 5230)",
            Self::StandardOutput => "a script has no standard output",
            Self::UnknownVariable(name) => {
                return write!(f, "the value of ${} is not known here", shown(name, 60));
            }
            Self::NoField => "the expression does not start with the name of a field",
            Self::NoBlank => "there must be no blank behind the colon, and a script does not see those",
            Self::SeveralLines => "the expression goes over several lines",
            Self::Expression => "the expression needs `:regex`, which the options do not allow",
            Self::EncodedWord => "a script sees fields decoded, without encoded words",
            Self::SizeOfPart => "a script knows only the size of the whole mail",
            Self::TooComplex => "it is too long, or has too many cases",
            Self::NotAsWritten => "procmail does not follow each way through the expression",
            Self::TooDeep => "blocks nest too deep",
            Self::TooLong => "the script is too long already; all that follows is left out",
            Self::NotUtf8 => "it is not UTF-8, or has control characters",
            Self::NoFolder => "there is no folder",
            Self::ElsewhereFolder(path) => {
                return write!(f, "\"{}\" does not lie where the mailboxes do", shown(path, 200));
            }
            Self::NoAddress => "it is no address with a domain, or not a plain one",
            Self::MailerOption => "a script cannot give options to the mailer",
            Self::OnError => "a script cannot go on after what failed",
            Self::DependsOn(line) => {
                return write!(f, "it goes by what line {line} does, which is not converted");
            }
            Self::Trap => "a script cannot run a program at its end",
            Self::Host => "a script does not know on which host it runs",
            Self::Include => "included files are not converted along with this one",
            Self::IncludeName => "no script can have this name",
            Self::IncludedAgain => "a script is included only once",
            Self::SwitchInCopy => "a script cannot leave this file with only a copy of the mail",
            Self::IncludeApart(name) => {
                return write!(f, "the script \"{name}\" has to be made, and has variables of its own");
            }
            Self::CopyGoesOn => {
                "a copy that the block does not deliver goes on behind it in procmail, but not here"
            }
            Self::Inexact(text) => text,
            Self::NoMeaning => "it is about procmail itself",
            Self::Malformed => "procmail makes nothing of it",
            Self::NeverApplies => "this recipe never applies",
            Self::Unreachable => "what comes before delivers all mail",
        };
        f.write_str(text)
    }
}

/// Converts an rc file. Takes time linear in its length, and writes some MiB at most.
pub fn to_sieve(rc: &Rc, options: &Options) -> Conversion {
    let mut converter = recipes::Converter::new(rc, options);
    let commands = converter.script();
    let mut notes = std::mem::take(&mut converter.notes);
    notes.sort_by_key(|note| (note.line, note.column));
    Conversion { script: write::write(commands), notes }
}

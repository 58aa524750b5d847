//! What the file says of its variables as a whole.

use std::collections::HashMap;

use super::spelling::distance;
use crate::syntax::{Action, Item, Part, Rc, Span, Text};

/// Variables that mean something to procmail or have a value from the start.
pub(super) const PRESET: [&str; 43] = [
    "COMSAT",
    "DEFAULT",
    "DELIVERED",
    "DROPPRIVS",
    "EXITCODE",
    "HOME",
    "HOST",
    "INCLUDERC",
    "LASTFOLDER",
    "LINEBUF",
    "LOCKEXT",
    "LOCKFILE",
    "LOCKSLEEP",
    "LOCKTIMEOUT",
    "LOG",
    "LOGABSTRACT",
    "LOGFILE",
    "LOGNAME",
    "MAILDIR",
    "MATCH",
    "MSGPREFIX",
    "NORESRETRY",
    "ORGMAIL",
    "PATH",
    "PROCMAIL_MODE",
    "PROCMAIL_OVERFLOW",
    "PROCMAIL_VERSION",
    "SENDMAIL",
    "SENDMAILFLAGS",
    "SHELL",
    "SHELLFLAGS",
    "SHELLMETAS",
    "SHIFT",
    "SUSPEND",
    "SWITCHRC",
    "TIMEOUT",
    "TRAP",
    "TZ",
    "UMASK",
    "USER",
    "USER_SHELL",
    "VERBOSE",
    "LANG",
];

/// Where a variable is set, and to what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Set<'a> {
    /// Where that is done first.
    pub(super) first: Span,
    /// The value, if it is set only once and not by a program.
    pub(super) value: Option<&'a Text>,
}

/// The variables of a file.
#[derive(Debug, Default)]
pub(super) struct Variables<'a> {
    set: HashMap<&'a [u8], Set<'a>>,
    /// Whether other files may set some.
    pub(super) includes: bool,
}

impl<'a> Variables<'a> {
    pub(super) fn of(rc: &'a Rc) -> Self {
        let mut variables = Self::default();
        for item in rc.items() {
            match item {
                Item::Assignment(assignment) => {
                    variables.includes |= matches!(assignment.name.as_slice(), b"INCLUDERC" | b"SWITCHRC");
                    variables.add(&assignment.name, assignment.span, Some(&assignment.value));
                }
                Item::Recipe(recipe) => {
                    if let Action::Pipe { capture: Some(capture), .. }
                    | Action::Forward { capture: Some(capture), .. } = &recipe.action
                    {
                        variables.add(&capture.name, recipe.span, None);
                    }
                }
                _ => {}
            }
        }
        variables
    }

    fn add(&mut self, name: &'a [u8], span: Span, value: Option<&'a Text>) {
        self.set.entry(name).and_modify(|set| set.value = None).or_insert(Set { first: span, value });
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&Set<'a>> {
        self.set.get(name)
    }

    /// Whether the file sets it, or procmail does.
    pub(super) fn is_known(&self, name: &[u8]) -> bool {
        self.set.contains_key(name) || is_preset(name)
    }

    /// The last bytes of a text, through variables that are set once.
    pub(super) fn tail<'t>(&'t self, parts: &'t [Part]) -> Tail<'t> {
        let mut parts = parts;
        for _ in 0..8 {
            let last = parts.iter().rev().find(|part| match part {
                Part::Bytes(bytes) => !bytes.is_empty(),
                Part::Quote | Part::Break => false,
                _ => true,
            });
            match last {
                Some(Part::Bytes(bytes)) => return Tail::Bytes(bytes),
                Some(Part::Variable { name, .. }) => match self.set.get(name.as_slice()) {
                    Some(Set { value: Some(value), .. }) => parts = &value.parts,
                    None if matches!(name.as_slice(), b"DEFAULT" | b"ORGMAIL") => {
                        return Tail::Bytes(b"/var/mail/me");
                    }
                    _ => return Tail::Unknown,
                },
                _ => return Tail::Unknown,
            }
        }
        Tail::Unknown
    }

    /// A name that this one may be a slip of: one that is set, or one that procmail knows.
    pub(super) fn meant(&self, name: &[u8]) -> Option<String> {
        let near = |known: &[u8]| known != name && is_near(name, known);
        let set = || {
            // Files with very many variables are not searched for slips.
            let some = if self.set.len() > 100 { 0 } else { self.set.len() };
            let mut names: Vec<&[u8]> = self.set.keys().copied().take(some).collect();
            names.sort_unstable();
            // Names that differ in their case only are told apart on purpose.
            let other = |known: &&[u8]| !known.eq_ignore_ascii_case(name) && near(known);
            names.into_iter().find(other).map(|known| String::from_utf8_lossy(known).into_owned())
        };
        PRESET.iter().find(|known| near(known.as_bytes())).map(|known| (*known).to_owned()).or_else(set)
    }
}

/// What a text ends in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tail<'a> {
    Bytes(&'a [u8]),
    Unknown,
}

pub(super) fn is_preset(name: &[u8]) -> bool {
    PRESET.iter().any(|known| known.as_bytes() == name)
}

/// Whether a name is another but for a slip, or for the case of its letters.
pub(super) fn is_near(name: &[u8], known: &[u8]) -> bool {
    if name.eq_ignore_ascii_case(known) {
        return true;
    }
    // Short names are near to too many others.
    let long = known.len() >= 6 && name.len() >= 5 && name.len() <= 24;
    // A digit or an underscore more is how names are made.
    let numbered = |name: &[u8]| name.iter().filter(|byte| !byte.is_ascii_alphabetic()).count();
    long && numbered(name) == numbered(known)
        && name.len().abs_diff(known.len()) <= 1
        && name.last() == known.last()
        && distance(name, known) == 1
}

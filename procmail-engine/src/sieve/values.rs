//! What is known of variables when a script is written.

use std::collections::BTreeMap;

use super::Reason;
use super::script::{Command, Piece, Value};
use crate::syntax::{Mode, Part, Text};

/// How long a text may become; procmail's own limit.
const LINE_BUFFER: usize = 2048;

/// Variables that are there before any rc file is read, or that procmail sets.
const PRESET: [&[u8]; 19] = [
    b"COMSAT",
    b"DEFAULT",
    b"HOME",
    b"HOST",
    b"LASTFOLDER",
    b"LOGNAME",
    b"MAILDIR",
    b"MATCH",
    b"ORGMAIL",
    b"PATH",
    b"SENDMAIL",
    b"SENDMAILFLAGS",
    b"SHELL",
    b"SHELLFLAGS",
    b"SHELLMETAS",
    b"TZ",
    b"USER",
    b"LOCKEXT",
    b"PROCMAIL_VERSION",
];

/// What a variable is at some place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Binding {
    /// It has this value.
    Known(Value),
    /// It is not set.
    Unset,
    /// Its value depends on the mail, and the script sets it.
    AtRunTime,
    /// Nobody knows.
    Unknown,
}

/// How many variables are kept account of; others are not known.
const MOST_VARIABLES: usize = 500;

/// The variables at some place.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables {
    bindings: BTreeMap<Vec<u8>, Binding>,
    /// Whether there are others, of which nothing is known.
    more: bool,
}

impl Variables {
    pub(super) fn set(&mut self, name: &[u8], binding: Binding) {
        if self.bindings.len() < MOST_VARIABLES || self.bindings.contains_key(name) {
            self.bindings.insert(name.to_vec(), binding);
        } else {
            self.more = true;
        }
    }

    /// Another file may have set what this one has not set so far.
    pub(super) fn set_elsewhere(&mut self) {
        self.more = true;
    }

    pub(super) fn get(&self, name: &[u8]) -> Binding {
        if let Some(binding) = self.bindings.get(name) {
            return binding.clone();
        }
        let special =
            !name.first().is_some_and(|&byte| byte == b'_' || byte.is_ascii_alphabetic()) || name == b"_";
        if self.more || special || PRESET.contains(&name) { Binding::Unknown } else { Binding::Unset }
    }

    /// The value in a text.
    pub(super) fn value(&self, name: &[u8]) -> Value {
        match self.get(name) {
            Binding::Known(value) => value,
            Binding::Unset => Value::default(),
            Binding::AtRunTime => Value(vec![Piece::Variable(name.to_vec())]),
            Binding::Unknown => Value(vec![Piece::Unknown(name.to_vec())]),
        }
    }

    /// The variables behind a block that may have been entered: those that it changed are known at run time, if the script
    /// knows them before and behind.
    pub(super) fn merged(&self, inside: &Self) -> Self {
        let mut merged = Self { more: self.more || inside.more, ..self.clone() };
        for name in inside.bindings.keys().chain(self.bindings.keys()) {
            let (before, behind) = (self.get(name), inside.get(name));
            if before != behind {
                let unknown = |binding: &Binding| match binding {
                    Binding::Unknown => true,
                    Binding::Known(value) => value.unknown().is_some(),
                    _ => false,
                };
                let binding =
                    if unknown(&before) || unknown(&behind) { Binding::Unknown } else { Binding::AtRunTime };
                merged.set(name, binding);
            }
        }
        merged
    }

    /// These variables again, behind a block that had a copy of them; what it set is set back.
    pub(super) fn restored(&self, inside: &Self, commands: &mut Vec<Command>) -> Self {
        let mut restored = self.clone();
        restored.more |= inside.more;
        for name in inside.bindings.keys() {
            let value = match self.get(name) {
                before if before == inside.get(name) => continue,
                Binding::Known(value) if value.unknown().is_none() => value,
                Binding::Unset => Value::default(),
                Binding::Known(_) | Binding::Unknown => continue,
                Binding::AtRunTime => {
                    restored.set(name, Binding::Unknown);
                    continue;
                }
            };
            if value.is_writable() {
                commands.push(Command::Set { name: name.clone(), value });
            }
        }
        restored
    }

    /// Expands a text to words; only one, unless it is read as words.
    pub(super) fn expand(&self, text: &Text, mode: Mode) -> Result<Vec<Value>, Reason> {
        let mut words = Words { words: Vec::new(), open: false, split: mode == Mode::Words };
        let mut at = 0;
        while let Some(part) = text.parts.get(at) {
            at += 1;
            match part {
                Part::Bytes(bytes) if bytes.is_empty() => {}
                Part::Bytes(bytes) => words.word().push_text(bytes),
                Part::Quote => {
                    words.word();
                }
                Part::Break => words.open = false,
                Part::Variable { name, .. } if name == b"@" => {
                    return Err(Reason::UnknownVariable(name.clone()));
                }
                Part::Variable { name, quoted } => words.value(&self.value(name), *quoted),
                Part::Escaped { name } => {
                    let value = self.value(name);
                    let Some(known) = value.known() else {
                        return Err(Reason::UnknownVariable(name.clone()));
                    };
                    words.word().push_text(b"()");
                    for byte in known {
                        if b"(|)*?+.^$[\\".contains(&byte) {
                            words.word().push_text(b"\\");
                        }
                        words.word().push_text(&[byte]);
                    }
                }
                Part::Alternative { name, empty_is_unset, if_set, quoted, end } => {
                    let value = match self.get(name) {
                        Binding::Unset => None,
                        Binding::Known(value) if *empty_is_unset && value.0.is_empty() => None,
                        Binding::Known(value) => Some(value),
                        Binding::AtRunTime | Binding::Unknown => {
                            return Err(Reason::UnknownVariable(name.clone()));
                        }
                    };
                    match (value, if_set) {
                        (Some(_), true) | (None, false) => {}
                        (Some(value), false) => {
                            words.value(&value, *quoted);
                            at = *end;
                        }
                        (None, true) => at = *end,
                    }
                }
                Part::Command { .. } => return Err(Reason::Backquotes),
                Part::BadSubstitution(_) | Part::UnexpectedEnd => {}
            }
            if words.words.iter().map(Value::len).sum::<usize>() > LINE_BUFFER {
                return Err(Reason::TooComplex);
            }
        }
        Ok(words.words)
    }

    /// Expands a text to one that is known all the way.
    pub(super) fn known(&self, text: &Text, mode: Mode) -> Result<Vec<Vec<u8>>, Reason> {
        self.expand(text, mode)?.iter().map(known).collect()
    }
}

/// A value that is known all the way.
pub(super) fn known(value: &Value) -> Result<Vec<u8>, Reason> {
    value.known().ok_or_else(|| {
        let name = value.0.iter().find_map(|piece| match piece {
            Piece::Variable(name) | Piece::Unknown(name) => Some(name.clone()),
            Piece::Text(_) => None,
        });
        Reason::UnknownVariable(name.unwrap_or_default())
    })
}

struct Words {
    words: Vec<Value>,
    open: bool,
    split: bool,
}

impl Words {
    fn word(&mut self) -> &mut Value {
        if !self.open {
            self.words.push(Value::default());
            self.open = true;
        }
        self.words.last_mut().expect("a word is open")
    }

    /// Appends a value; its blanks split where blanks do.
    fn value(&mut self, value: &Value, quoted: bool) {
        if quoted || !self.split {
            if quoted || !value.0.is_empty() {
                self.word().push(value);
            }
            return;
        }
        for piece in &value.0 {
            let Piece::Text(text) = piece else {
                self.word().push(&Value(vec![piece.clone()]));
                continue;
            };
            for (number, part) in text.split(|byte| matches!(byte, b' ' | b'\t' | b'\n')).enumerate() {
                if number > 0 {
                    self.open = false;
                }
                if !part.is_empty() {
                    self.word().push_text(part);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::parse_text;

    fn expand(variables: &Variables, text: &str) -> Result<Vec<Vec<u8>>, Reason> {
        variables.known(&parse_text(text.as_bytes(), 0, Mode::Words), Mode::Words)
    }

    #[test]
    fn what_is_known_is_put_in() {
        let mut variables = Variables::default();
        variables.set(b"A", Binding::Known(Value::text("x y")));
        for (text, words) in [
            ("$A", vec!["x", "y"]),
            ("\"$A\"z", vec!["x yz"]),
            ("${A}${NONE}", vec!["x", "y"]),
            ("${NONE:-w} ${A+v} ${NONE+v}", vec!["w", "v"]),
            ("$\\A", vec!["()x y"]),
        ] {
            let words: Vec<Vec<u8>> = words.into_iter().map(|word| word.as_bytes().to_vec()).collect();
            assert_eq!(expand(&variables, text), Ok(words), "{text}");
        }
        assert_eq!(expand(&variables, "$HOME/x"), Err(Reason::UnknownVariable(b"HOME".to_vec())));
        assert_eq!(expand(&variables, "`date`"), Err(Reason::Backquotes));
    }

    #[test]
    fn what_a_block_changes_is_known_at_run_time() {
        let mut before = Variables::default();
        before.set(b"A", Binding::Known(Value::text("x")));
        before.set(b"B", Binding::Known(Value::text("x")));
        let mut inside = before.clone();
        inside.set(b"A", Binding::Known(Value::text("y")));
        inside.set(b"C", Binding::Unknown);
        let merged = before.merged(&inside);
        assert_eq!(merged.get(b"A"), Binding::AtRunTime);
        assert_eq!(merged.get(b"B"), Binding::Known(Value::text("x")));
        assert_eq!(merged.get(b"C"), Binding::Unknown);
    }

    #[test]
    fn texts_do_not_grow_without_end() {
        let mut variables = Variables::default();
        variables.set(b"A", Binding::Known(Value::text("x".repeat(1500))));
        assert_eq!(expand(&variables, "$A$A"), Err(Reason::TooComplex));
    }
}

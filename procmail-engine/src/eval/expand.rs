//! Expansion of texts: variables, alternatives, and commands whose output the host has to give.

use std::sync::Arc;

use super::command::RunCommand;
use super::{Evaluator, Task, Value};
use crate::effect::Purpose;
use crate::syntax::{Mode, Part, Text};

/// How many bytes the variables can have, all together, and with them the text that is being expanded, if the mail is small.
const MAX_VARIABLES: usize = 1 << 26;

/// An expansion on its way.
#[derive(Debug, Clone)]
pub(super) struct Expand {
    text: Arc<Text>,
    mode: Mode,
    at: usize,
    words: Vec<Vec<u8>>,
    open: bool,
    total: usize,
    /// The word that all arguments replace.
    arguments: Option<usize>,
    /// How much of the line is used elsewhere, by the name of a variable.
    used: usize,
}

impl Expand {
    pub(super) fn new(text: Arc<Text>, mode: Mode, used: usize) -> Self {
        Self { text, mode, at: 0, words: Vec::new(), open: false, total: 0, arguments: None, used }
    }

    fn word(&mut self) -> &mut Vec<u8> {
        if !self.open {
            self.total += usize::from(!self.words.is_empty());
            self.words.push(Vec::new());
            self.open = true;
        }
        self.words.last_mut().expect("a word is open")
    }

    fn append(&mut self, bytes: &[u8]) {
        self.total += bytes.len();
        self.word().extend_from_slice(bytes);
    }

    /// Appends a value; its blanks split where blanks do.
    fn value(&mut self, value: &[u8], quoted: bool) {
        if quoted || self.mode != Mode::Words {
            if quoted || !value.is_empty() {
                self.append(value);
            }
            return;
        }
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n');
        for (number, piece) in value.split(blank).enumerate() {
            if number > 0 {
                self.open = false;
            }
            if !piece.is_empty() {
                self.append(piece);
            }
        }
    }

    fn stands_alone(&self) -> bool {
        let quote = |part: &Part| *part == Part::Quote;
        let parts = &self.text.parts;
        let empty = !self.open || self.words.last().is_some_and(Vec::is_empty);
        let starts =
            self.at >= 1 && quote(&parts[self.at - 1]) && (self.at < 2 || parts[self.at - 2] == Part::Break);
        empty && starts && matches!(parts.get(self.at + 1), None | Some(Part::Break))
    }
}

impl Evaluator {
    /// The words of a text, as far as they can be told without running a command.
    pub(super) fn words(&self, text: &Text) -> Vec<Vec<u8>> {
        let mut expand = Expand::new(Arc::new(Text::default()), Mode::Words, 0);
        for part in &text.parts {
            match part {
                Part::Bytes(bytes) if bytes.is_empty() => {}
                Part::Bytes(bytes) => expand.append(bytes),
                Part::Quote => {
                    expand.word();
                }
                Part::Break => expand.open = false,
                Part::Variable { name, quoted } => {
                    expand.value(&self.lookup(name).unwrap_or_default(), *quoted);
                }
                _ => {}
            }
        }
        expand.words
    }

    /// Goes on with an expansion. Its result is [`Value::Words`], or [`Value::Overflow`] when it is too long.
    pub(super) fn expand(&mut self, mut expand: Expand) {
        if let Value::Output(output) = std::mem::take(&mut self.value)
            && let Some(Part::Command { quoted, .. }) = expand.text.parts.get(expand.at)
        {
            let quoted = *quoted;
            expand.value(&output, quoted);
            expand.at += 1;
        }
        let text = expand.text.clone();
        while let Some(part) = text.parts.get(expand.at) {
            if self.too_long(&expand) {
                self.overflow();
                self.value = Value::Overflow;
                return;
            }
            match part {
                Part::Bytes(bytes) if bytes.is_empty() => {}
                Part::Bytes(bytes) => expand.append(bytes),
                Part::Quote => {
                    expand.word();
                }
                Part::Break => expand.open = false,
                Part::Variable { name, .. } if name == b"@" => {
                    if expand.mode == Mode::Words && expand.stands_alone() {
                        expand.word();
                        expand.arguments = Some(expand.words.len() - 1);
                    }
                }
                Part::Variable { name, quoted } => {
                    let value = self.lookup(name).unwrap_or_default();
                    expand.value(&value, *quoted);
                }
                Part::Escaped { name } => {
                    let value = self.lookup(name).unwrap_or_default();
                    let mut escaped = b"()".to_vec();
                    for byte in value {
                        if b"(|)*?+.^$[\\".contains(&byte) {
                            escaped.push(b'\\');
                        }
                        escaped.push(byte);
                    }
                    expand.append(&escaped);
                }
                Part::Alternative { name, empty_is_unset, if_set, quoted, end } => {
                    let value = self.lookup(name).filter(|value| !(*empty_is_unset && value.is_empty()));
                    match (value, if_set) {
                        (Some(_), true) | (None, false) => {}
                        (Some(value), false) => {
                            expand.value(&value, *quoted);
                            expand.at = self.skip_parts(&text, expand.at, *end);
                            continue;
                        }
                        (None, true) => {
                            expand.at = self.skip_parts(&text, expand.at, *end);
                            continue;
                        }
                    }
                }
                Part::Command { command, .. } => {
                    if command.len() >= self.numbers.line_buffer {
                        self.overflow();
                        self.value = Value::Overflow;
                        return;
                    }
                    let limit = self.numbers.line_buffer.saturating_sub(expand.used + expand.total + 2);
                    let run = RunCommand::new(command.clone(), Purpose::Substitution).limited(limit);
                    self.tasks.push(Task::Expand(expand));
                    self.tasks.push(Task::Command(run));
                    return;
                }
                Part::BadSubstitution(name) => self.complain_of("Bad substitution of", name),
                Part::UnexpectedEnd => self.complain("Unexpected EOL"),
            }
            expand.at += 1;
        }
        if self.too_long(&expand) {
            self.overflow();
            self.value = Value::Overflow;
            return;
        }
        self.arguments_at = expand.arguments;
        self.value = Value::Words(expand.words);
    }

    /// Goes over an alternative that is not taken: what is wrong in it is told all the same.
    fn skip_parts(&mut self, text: &Text, from: usize, end: usize) -> usize {
        for part in &text.parts[from..end] {
            if let Part::BadSubstitution(name) = part {
                self.complain_of("Bad substitution of", name);
            }
        }
        end
    }

    /// Expands a text that is skipped, where no variable has a value and no program runs; nothing if it is too long.
    pub(super) fn expand_skipped(&mut self, text: &Text, mode: Mode, used: usize) -> Option<Vec<Vec<u8>>> {
        let mut expand = Expand::new(Arc::default(), mode, used);
        for part in &text.parts {
            match part {
                Part::Bytes(bytes) if bytes.is_empty() => {}
                Part::Bytes(bytes) => expand.append(bytes),
                Part::Quote => {
                    expand.word();
                }
                Part::Break => expand.open = false,
                Part::Escaped { .. } => expand.append(b"()"),
                Part::Variable { .. } | Part::Alternative { .. } => {}
                Part::Command { command, .. } if command.len() < self.numbers.line_buffer => {}
                Part::Command { .. } => {
                    self.overflow();
                    return None;
                }
                Part::BadSubstitution(name) => self.complain_of("Bad substitution of", name),
                Part::UnexpectedEnd => self.complain("Unexpected EOL"),
            }
        }
        if self.too_long(&expand) {
            self.overflow();
            return None;
        }
        Some(expand.words)
    }

    fn too_long(&self, expand: &Expand) -> bool {
        expand.total + expand.used > self.numbers.line_buffer
            || expand.total + self.variables.size() > self.most_variables()
    }

    /// How many bytes the variables can have: some can hold the mail.
    pub(super) fn most_variables(&self) -> usize {
        self.mail.bytes().len().saturating_mul(4).max(MAX_VARIABLES)
    }

    /// The value of a variable, special ones included.
    pub(super) fn lookup(&self, name: &[u8]) -> Option<Vec<u8>> {
        let number = |value: i64| Some(value.to_string().into_bytes());
        match name {
            [digit @ b'0'..=b'9'] => match usize::from(digit - b'0') {
                0 => Some(self.setup.program.clone()),
                which => self.arguments.get(which - 1).cloned(),
            },
            b"#" => number(i64::try_from(self.arguments.len()).unwrap_or(i64::MAX)),
            b"$" => number(i64::from(self.setup.process)),
            b"?" => number(i64::from(self.status)),
            b"=" => number(self.score),
            b"-" => self.variables.get(b"LASTFOLDER").map(<[u8]>::to_vec),
            b"_" => self.files.last().map(|file| file.path.clone()),
            _ => self.variables.get(name).map(<[u8]>::to_vec),
        }
    }

    pub(super) fn overflow(&mut self) {
        self.complain("Exceeded LINEBUF");
        self.assign_quietly(b"PROCMAIL_OVERFLOW", b"yes");
    }
}

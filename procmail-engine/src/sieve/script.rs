//! A Sieve script as a value: what is written is well-formed, and asks for the extensions that it uses.

/// A text, parts of which may be known only when the script runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Value(pub(super) Vec<Piece>);

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Piece {
    Text(Vec<u8>),
    /// A variable of the script, by the name that procmail has for it.
    Variable(Vec<u8>),
    /// A variable whose value nobody knows.
    Unknown(Vec<u8>),
}

impl Value {
    pub(super) fn text(text: impl Into<Vec<u8>>) -> Self {
        let mut value = Self::default();
        value.push_text(&text.into());
        value
    }

    pub(super) fn push_text(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(Piece::Text(before)) => before.extend_from_slice(text),
            _ => self.0.push(Piece::Text(text.to_vec())),
        }
    }

    pub(super) fn push(&mut self, more: &Self) {
        for piece in &more.0 {
            match piece {
                Piece::Text(text) => self.push_text(text),
                other => self.0.push(other.clone()),
            }
        }
    }

    /// All of it, if nothing is known only later.
    pub(super) fn known(&self) -> Option<Vec<u8>> {
        match self.0.as_slice() {
            [] => Some(Vec::new()),
            [Piece::Text(text)] => Some(text.clone()),
            _ => None,
        }
    }

    /// The first variable of which nobody knows the value.
    pub(super) fn unknown(&self) -> Option<&[u8]> {
        self.0.iter().find_map(|piece| match piece {
            Piece::Unknown(name) => Some(name.as_slice()),
            _ => None,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.len(),
                Piece::Variable(name) | Piece::Unknown(name) => name.len(),
            })
            .sum()
    }

    pub(super) fn variables(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name),
            _ => None,
        })
    }

    /// Whether a script may hold it: UTF-8 without NUL.
    pub(super) fn is_writable(&self) -> bool {
        self.0.iter().all(|piece| match piece {
            Piece::Text(text) => str::from_utf8(text).is_ok() && !text.contains(&0),
            _ => true,
        })
    }
}

/// How a key is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Match {
    Is,
    Contains,
    Matches,
    Regex,
}

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    Header(Vec<String>),
    /// The sender of the envelope.
    Sender,
    Body,
    Value(Value),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    Always,
    Never,
    Not(Box<Self>),
    AllOf(Vec<Self>),
    AnyOf(Vec<Self>),
    Compare { subject: Subject, how: Match, keys: Vec<String>, exact: bool },
    Exists(String),
    Size { over: bool, limit: u64 },
    Duplicate,
    Flag(usize),
    Execute { name: String, arguments: Vec<String> },
}

impl Test {
    /// Whether asking does something.
    pub(super) fn does(&self) -> bool {
        match self {
            Self::Duplicate | Self::Execute { .. } => true,
            Self::Not(test) => test.does(),
            Self::AllOf(tests) | Self::AnyOf(tests) => tests.iter().any(Self::does),
            _ => false,
        }
    }

    pub(super) fn negated(self) -> Self {
        match self {
            Self::Always => Self::Never,
            Self::Never => Self::Always,
            Self::Not(test) => *test,
            test => Self::Not(Box::new(test)),
        }
    }

    pub(super) fn all(tests: Vec<Self>) -> Self {
        let mut kept = Vec::new();
        for test in tests {
            match test {
                Self::Always => {}
                Self::Never => return Self::Never,
                Self::AllOf(more) => kept.extend(more),
                test => kept.push(test),
            }
        }
        let contradicts = |test: &Self| matches!(test, Self::Not(other) if kept.contains(other));
        if kept.iter().any(contradicts) {
            return Self::Never;
        }
        match kept.len() {
            0 => Self::Always,
            1 => kept.remove(0),
            _ => Self::AllOf(kept),
        }
    }

    pub(super) fn any(tests: Vec<Self>) -> Self {
        let mut kept: Vec<Self> = Vec::new();
        for test in tests {
            match test {
                Self::Never => {}
                Self::Always => return Self::Always,
                Self::AnyOf(more) => kept.extend(more),
                test if kept.contains(&test) => {}
                test => kept.push(test),
            }
        }
        match kept.len() {
            0 => Self::Never,
            1 => kept.remove(0),
            _ => Self::AnyOf(kept),
        }
    }
}

/// What a program is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Pipe,
    Filter,
    Execute,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Comment(String),
    /// What follows stands apart.
    Gap,
    If {
        branches: Vec<(Test, Vec<Self>)>,
        otherwise: Option<Vec<Self>>,
    },
    Set {
        name: Vec<u8>,
        value: Value,
    },
    Flag(usize),
    FileInto {
        mailbox: Value,
        copy: bool,
        create: bool,
    },
    Redirect {
        address: Value,
        copy: bool,
    },
    Reject(String),
    Program {
        verb: Verb,
        copy: bool,
        name: String,
        arguments: Vec<String>,
        output: Option<Vec<u8>>,
    },
    Include(String),
    Keep,
    Discard,
    Stop,
}

impl Command {
    /// How many bytes of texts it has, those of inner commands left out.
    pub(super) fn length(&self) -> usize {
        match self {
            Self::FileInto { mailbox: value, .. }
            | Self::Redirect { address: value, .. }
            | Self::Set { value, .. } => value.len() + 16,
            Self::Program { name, arguments, .. } => {
                name.len() + arguments.iter().map(String::len).sum::<usize>()
            }
            _ => 16,
        }
    }
}

/// Whether nothing comes behind these commands.
pub(super) fn ends(commands: &[Command]) -> bool {
    match commands.iter().rev().find(|command| !matches!(command, Command::Comment(_) | Command::Gap)) {
        Some(Command::Stop) => true,
        Some(Command::If { branches, otherwise: Some(otherwise) }) => {
            ends(otherwise) && branches.iter().all(|(_, commands)| ends(commands))
        }
        _ => false,
    }
}

//! Scripts as text: only what is used, and what it requires.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::script::{Command, Match, Piece, Subject, Test, Value, Verb};

/// Writes a script.
pub(super) fn write(mut commands: Vec<Command>) -> String {
    let used = used(&commands);
    prune(&mut commands, &used);
    let reads = !used.variables.is_empty() || !used.flags.is_empty();
    let mut writer = Writer::new(reads);
    writer.commands(&commands, 0);
    if writer.variables || writer.requires.contains("encoded-character") {
        // Then what looks like a variable cannot be left as it is anywhere.
        let variables = writer.variables;
        writer = Writer { guards: true, ..Writer::new(variables) };
        writer.commands(&commands, 0);
    }
    let Writer { out, mut requires, dollar, variables, .. } = writer;
    if variables || dollar {
        requires.insert("variables");
    }
    let mut script = String::new();
    if !requires.is_empty() {
        let names: Vec<String> = requires.iter().map(|name| format!("\"{name}\"")).collect();
        let _ = writeln!(script, "require [{}];\n", names.join(", "));
    }
    if dollar {
        script.push_str("set \"dollar\" \"$\";\n");
    }
    script + &out
}

/// What is read when the script runs.
#[derive(Default)]
struct Used {
    variables: BTreeSet<Vec<u8>>,
    flags: BTreeSet<usize>,
}

fn used(commands: &[Command]) -> Used {
    let mut used = Used::default();
    // A variable that is used only to set one that nobody uses is not used.
    loop {
        let before = used.variables.len();
        let known = used.variables.clone();
        visit(commands, &mut |command| match command {
            Command::Set { name, value } if known.contains(name) => {
                used.variables.extend(value.variables().cloned());
            }
            Command::FileInto { mailbox: value, .. } | Command::Redirect { address: value, .. } => {
                used.variables.extend(value.variables().cloned());
            }
            Command::If { branches, .. } => {
                for (test, _) in branches {
                    used_by_test(test, &mut used);
                }
            }
            _ => {}
        });
        if used.variables.len() == before {
            return used;
        }
    }
}

fn visit<'c>(commands: &'c [Command], see: &mut impl FnMut(&'c Command)) {
    for command in commands {
        see(command);
        if let Command::If { branches, otherwise } = command {
            for (_, commands) in branches {
                visit(commands, see);
            }
            visit(otherwise.as_deref().unwrap_or_default(), see);
        }
    }
}

fn used_by_test(test: &Test, used: &mut Used) {
    match test {
        Test::Not(test) => used_by_test(test, used),
        Test::AllOf(tests) | Test::AnyOf(tests) => tests.iter().for_each(|test| used_by_test(test, used)),
        Test::Compare { subject: Subject::Value(value), .. } => {
            used.variables.extend(value.variables().cloned());
        }
        Test::Flag(flag) => {
            used.flags.insert(*flag);
        }
        _ => {}
    }
}

/// Leaves out what sets what is never read.
fn prune(commands: &mut Vec<Command>, used: &Used) {
    for command in &mut *commands {
        match command {
            Command::If { branches, otherwise } => {
                for (_, commands) in branches {
                    prune(commands, used);
                }
                if let Some(commands) = otherwise {
                    prune(commands, used);
                }
            }
            Command::Program { output, .. } => {
                output.take_if(|name| !used.variables.contains(name));
            }
            _ => {}
        }
    }
    commands.retain(|command| match command {
        Command::Set { name, .. } => used.variables.contains(name),
        Command::Flag(flag) => used.flags.contains(flag),
        Command::If { branches, otherwise } => {
            otherwise.as_ref().is_some_and(|commands| !commands.is_empty())
                || branches.iter().any(|(test, commands)| !commands.is_empty() || test.does())
        }
        _ => true,
    });
}

struct Writer {
    out: String,
    requires: BTreeSet<&'static str>,
    /// The names that variables have in the script, where case does not matter.
    names: BTreeMap<Vec<u8>, String>,
    /// Whether `${` is to be kept from being read as a variable.
    guards: bool,
    /// Whether that was needed.
    dollar: bool,
    variables: bool,
}

impl Writer {
    fn new(variables: bool) -> Self {
        Self {
            out: String::new(),
            requires: BTreeSet::new(),
            names: BTreeMap::new(),
            guards: false,
            dollar: false,
            variables,
        }
    }

    fn line(&mut self, depth: usize, text: &str) {
        self.out.extend(std::iter::repeat_n("    ", depth));
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn commands(&mut self, commands: &[Command], depth: usize) {
        let mut before: Option<&Command> = None;
        for command in commands {
            let block = |command: &Command| matches!(command, Command::If { .. });
            let comment = |command: &Command| matches!(command, Command::Comment(_));
            let apart = |before: &Command| match before {
                Command::Gap | Command::If { .. } => true,
                Command::Comment(_) => false,
                _ => block(command) || comment(command),
            };
            if before.is_some_and(apart) && *command != Command::Gap {
                self.out.push('\n');
            }
            if *command != Command::Gap {
                self.command(command, depth);
                before = Some(command);
            } else if before.is_some() {
                before = Some(command);
            }
        }
    }

    fn command(&mut self, command: &Command, depth: usize) {
        let text = match command {
            Command::Comment(text) if text.is_empty() => "#".to_owned(),
            Command::Comment(text) => format!("# {text}"),
            Command::If { branches, otherwise } => {
                for (number, (test, commands)) in branches.iter().enumerate() {
                    let test = self.test(test, depth);
                    let start = if number == 0 { "if" } else { "} elsif" };
                    self.line(depth, &format!("{start} {test} {{"));
                    self.commands(commands, depth + 1);
                }
                if let Some(commands) = otherwise {
                    self.line(depth, "} else {");
                    self.commands(commands, depth + 1);
                }
                "}".to_owned()
            }
            Command::Set { name, value } => {
                let name = self.variable(name);
                format!("set \"{name}\" {};", self.value(value))
            }
            Command::Flag(flag) => format!("set \"matched_{flag}\" \"yes\";"),
            Command::FileInto { mailbox, copy, create } => {
                self.requires.insert("fileinto");
                let create = self.tag(*create, "mailbox", ":create ");
                let copy = self.tag(*copy, "copy", ":copy ");
                format!("fileinto {copy}{create}{};", self.value(mailbox))
            }
            Command::Redirect { address, copy } => {
                let copy = self.tag(*copy, "copy", ":copy ");
                format!("redirect {copy}{};", self.value(address))
            }
            Command::Reject(text) => {
                self.requires.insert("reject");
                format!("reject {};", self.string(text))
            }
            Command::Program { verb, copy, name, arguments, output } => {
                let (extension, verb) = match verb {
                    Verb::Pipe => ("vnd.dovecot.pipe", "pipe"),
                    Verb::Filter => ("vnd.dovecot.filter", "filter"),
                    Verb::Execute => ("vnd.dovecot.execute", "execute :pipe"),
                };
                self.requires.insert(extension);
                let copy = self.tag(*copy, "copy", " :copy");
                let output = output.as_ref().map_or_else(String::new, |name| {
                    let name = self.variable(name);
                    format!(" :output \"{name}\"")
                });
                format!("{verb}{copy}{output} {};", self.program(name, arguments))
            }
            Command::Include(name) => {
                self.requires.insert("include");
                format!("include :personal :optional {};", self.string(name))
            }
            Command::Gap => String::new(),
            Command::Keep => "keep;".to_owned(),
            Command::Discard => "discard;".to_owned(),
            Command::Stop => "stop;".to_owned(),
        };
        self.line(depth, &text);
    }

    fn tag(&mut self, wanted: bool, extension: &'static str, tag: &'static str) -> &'static str {
        if wanted {
            self.requires.insert(extension);
            tag
        } else {
            ""
        }
    }

    fn program(&mut self, name: &str, arguments: &[String]) -> String {
        let name = self.string(name);
        if arguments.is_empty() { name } else { format!("{name} {}", self.list(arguments)) }
    }

    fn test(&mut self, test: &Test, depth: usize) -> String {
        match test {
            Test::Always => "true".to_owned(),
            Test::Never => "false".to_owned(),
            Test::Not(test) => format!("not {}", self.test(test, depth)),
            Test::AllOf(tests) => self.tests("allof", tests, depth),
            Test::AnyOf(tests) => self.tests("anyof", tests, depth),
            Test::Compare { subject, how, keys, exact } => {
                let how = match how {
                    Match::Is => " :is",
                    Match::Contains => " :contains",
                    Match::Matches => " :matches",
                    Match::Regex => self.tag(true, "regex", " :regex"),
                };
                let comparator = if *exact { " :comparator \"i;octet\"" } else { "" };
                let subject = match subject {
                    Subject::Header(names) => format!("header{how}{comparator} {}", self.list(names)),
                    Subject::Sender => {
                        self.requires.insert("envelope");
                        format!("envelope{how}{comparator} \"from\"")
                    }
                    Subject::Body => {
                        self.requires.insert("body");
                        format!("body :raw{how}{comparator}")
                    }
                    Subject::Value(value) => {
                        self.variables = true;
                        format!("string{how}{comparator} {}", self.value(value))
                    }
                };
                format!("{subject} {}", self.list(keys))
            }
            Test::Exists(name) => format!("exists {}", self.string(name)),
            Test::Size { over, limit } => format!("size {} {limit}", if *over { ":over" } else { ":under" }),
            Test::Duplicate => {
                self.requires.insert("duplicate");
                "duplicate".to_owned()
            }
            Test::Flag(flag) => format!("string :is \"${{matched_{flag}}}\" \"yes\""),
            Test::Execute { name, arguments } => {
                self.requires.insert("vnd.dovecot.execute");
                format!("execute :pipe {}", self.program(name, arguments))
            }
        }
    }

    fn tests(&mut self, name: &str, tests: &[Test], depth: usize) -> String {
        let indent = "    ".repeat(depth + 1);
        let tests: Vec<String> =
            tests.iter().map(|test| format!("{indent}{}", self.test(test, depth + 1))).collect();
        format!("{name}(\n{})", tests.join(",\n"))
    }

    fn list(&mut self, texts: &[String]) -> String {
        match texts {
            [text] => self.string(text),
            texts => {
                let texts: Vec<String> = texts.iter().map(|text| self.string(text)).collect();
                format!("[{}]", texts.join(", "))
            }
        }
    }

    fn string(&mut self, text: &str) -> String {
        let inside = self.inside(text);
        format!("\"{inside}\"")
    }

    fn value(&mut self, value: &Value) -> String {
        let mut out = "\"".to_owned();
        for piece in &value.0 {
            match piece {
                Piece::Text(text) => {
                    let text = String::from_utf8_lossy(text);
                    out += &self.inside(&text);
                }
                Piece::Variable(name) => {
                    let name = self.variable(name);
                    let _ = write!(out, "${{{name}}}");
                }
                // Is not written: who asks for it looks whether all is known.
                Piece::Unknown(_) => {}
            }
        }
        out.push('"');
        out
    }

    /// The inside of a string, escaped. Line ends, which a string may hold only as CR LF, are written in hexadecimal.
    fn inside(&mut self, text: &str) -> String {
        let encodes = text.contains(['\n', '\r']);
        let mut out = String::new();
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '"' | '\\' => out.extend(['\\', character]),
                '\n' => out.push_str("${hex:0a}"),
                '\r' => out.push_str("${hex:0d}"),
                '$' if self.guards && characters.peek() == Some(&'{') => {
                    self.dollar = true;
                    out.push_str("${dollar}");
                }
                character => out.push(character),
            }
        }
        if encodes {
            self.requires.insert("encoded-character");
        }
        out
    }

    /// What a variable is called in the script: letters, digits and underscores, whose case does not matter.
    fn variable(&mut self, name: &[u8]) -> String {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let mut base: String = name.iter().map(|&byte| char::from(byte)).take(32).collect();
        if base.is_empty()
            || base.eq_ignore_ascii_case("dollar")
            || base.to_ascii_lowercase().starts_with("matched_")
        {
            base.insert_str(0, "v_");
        }
        let taken = |known: &BTreeMap<Vec<u8>, String>, name: &str| {
            known.values().any(|other| other.eq_ignore_ascii_case(name))
        };
        let mut chosen = base.clone();
        let mut number = 2;
        while taken(&self.names, &chosen) {
            chosen = format!("{base}_{number}");
            number += 1;
        }
        self.names.insert(name.to_vec(), chosen.clone());
        chosen
    }
}

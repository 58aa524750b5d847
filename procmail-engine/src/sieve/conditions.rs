//! Conditions as tests.

use super::fields::{header_tests, text_test};
use super::pattern::parse;
use super::script::{Match, Subject, Test};
use super::values::{Binding, Variables, known};
use super::{Options, Reason};
use crate::eval::{Head, Weight, searched_variable};
use crate::mail::Area;
use crate::regex::{Case, Regex, expand_macros};
use crate::syntax::{Mode, parse_text};

/// How often `$` may bring a condition that starts with one.
const MOST_EXPANSIONS: u32 = 16;
/// Sizes beyond which no mail is.
const LARGEST: u64 = 0x7fff_ffff;

/// A condition as a test.
#[derive(Debug)]
pub(super) struct Converted {
    pub(super) test: Test,
    /// What is not quite the same.
    pub(super) inexact: Vec<&'static str>,
}

impl From<Test> for Converted {
    fn from(test: Test) -> Self {
        Self { test, inexact: Vec::new() }
    }
}

enum Looked {
    Area(Area),
    Variable(Vec<u8>),
}

/// Turns a condition into a test.
pub(super) fn condition(
    text: &[u8],
    head: &Head,
    variables: &Variables,
    options: &Options,
) -> Result<Converted, Reason> {
    let mut text = text.to_vec();
    let mut negated = false;
    let mut looked = None;
    let mut expansions = 0;
    loop {
        let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        text.drain(..blanks);
        match text.first() {
            Some(b'!') => {
                negated = !negated;
                text.remove(0);
            }
            Some(b'$') => {
                expansions += 1;
                if expansions > MOST_EXPANSIONS {
                    return Err(Reason::TooComplex);
                }
                let quoted = parse_text(&text[1..], 0, Mode::Quoted);
                text = variables.known(&quoted, Mode::Quoted)?.concat();
            }
            Some(b'<' | b'>') => {
                return size(&text, looked.as_ref(), negated, variables).map(Converted::from);
            }
            Some(b'?') => {
                let test = program(text[1..].trim_ascii(), options)?;
                return Ok(Converted::from(if negated { test.negated() } else { test }));
            }
            _ => {
                if Weight::parse(&text).is_some() {
                    return Err(Reason::Score);
                }
                let Some((name, used)) = searched_variable(&text) else { break };
                looked = Some(match name.as_slice() {
                    b"H" => Looked::Area(Area::Header),
                    b"B" => Looked::Area(Area::Body),
                    b"HB" | b"BH" => Looked::Area(Area::Whole),
                    _ => Looked::Variable(name),
                });
                text.drain(..used);
            }
        }
    }
    let looked = looked.unwrap_or(Looked::Area(head.searched()));
    let mut converted = expression(&text, &looked, head, variables, options)?;
    if negated {
        converted.test = converted.test.negated();
    }
    Ok(converted)
}

fn expression(
    text: &[u8],
    looked: &Looked,
    head: &Head,
    variables: &Variables,
    options: &Options,
) -> Result<Converted, Reason> {
    let written_out = expand_macros(text);
    let exact = head.exact_case && !written_out.folds;
    let pattern = written_out.pattern.strip_prefix(b"\\").unwrap_or(&written_out.pattern);
    let alternatives = parse(pattern, !exact)?;
    let looks_encoded = |text: &[u8]| memchr::memmem::find(text, b"=?").is_some();
    let header = || {
        if looks_encoded(pattern) || memchr::memmem::find(pattern, br"=\?").is_some() {
            return Err(Reason::EncodedWord);
        }
        let tests = header_tests(&alternatives, exact, options.regex)?;
        Ok(Converted { test: Test::any(tests.tests), inexact: tests.inexact })
    };
    let regex = || Regex::new(pattern, if exact { Case::Exact } else { Case::Fold });
    let body = || -> Result<Test, Reason> {
        let test = text_test(Subject::Body, &alternatives, exact, options.regex)?;
        if test == Test::Always || !regex().is_match(b"") {
            return Ok(test);
        }
        // No test of a body is true if there is none.
        let keys = vec![String::new()];
        let full = Test::Compare { subject: Subject::Body, how: Match::Contains, keys, exact: false };
        Ok(Test::any(vec![test, full.negated()]))
    };
    match looked {
        // An expression for nothing is always found.
        Looked::Area(_) if alternatives.iter().any(Vec::is_empty) => Ok(Converted::from(Test::Always)),
        Looked::Area(Area::Header) => header(),
        Looked::Area(Area::Body) => Ok(Converted::from(body()?)),
        Looked::Area(Area::Whole) => {
            let mut converted = header()?;
            converted.test = Test::any(vec![converted.test, body()?]);
            Ok(converted)
        }
        Looked::Variable(name) => match variables.get(name) {
            Binding::AtRunTime => {
                let value = Subject::Value(variables.value(name));
                if alternatives.iter().any(Vec::is_empty) {
                    return Ok(Converted::from(Test::Always));
                }
                Ok(Converted::from(text_test(value, &alternatives, exact, options.regex)?))
            }
            _ => {
                let value = known(&variables.value(name))?;
                Ok(Converted::from(if regex().is_match(&value) { Test::Always } else { Test::Never }))
            }
        },
    }
}

fn size(text: &[u8], looked: Option<&Looked>, negated: bool, variables: &Variables) -> Result<Test, Reason> {
    let text = variables.known(&parse_text(text, 0, Mode::Quoted), Mode::Quoted)?.concat();
    let digits: Vec<u8> = text
        .get(1..)
        .unwrap_or_default()
        .iter()
        .copied()
        .skip_while(|byte| matches!(byte, b' ' | b'\t'))
        .take_while(u8::is_ascii_digit)
        .collect();
    let limit =
        digits.iter().fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    let over = text.first() == Some(&b'>');
    let holds = |yes: bool| if yes { Test::Always } else { Test::Never };
    let test = match looked {
        None if limit > LARGEST => holds(!over),
        None => Test::Size { over, limit },
        Some(Looked::Area(_)) => return Err(Reason::SizeOfPart),
        Some(Looked::Variable(name)) => {
            let size = known(&variables.value(name))?.len() as u64;
            holds(if over { size > limit } else { size < limit })
        }
    };
    Ok(if negated { test.negated() } else { test })
}

/// A program as a test, if the script may run programs.
fn program(command: &[u8], options: &Options) -> Result<Test, Reason> {
    if !options.programs {
        return Err(Reason::Program);
    }
    let (name, arguments) = simple_command(command)?;
    Ok(Test::Execute { name, arguments })
}

/// The name of a program and its arguments, if no shell is needed to run it.
pub(super) fn simple_command(command: &[u8]) -> Result<(String, Vec<String>), Reason> {
    let text = str::from_utf8(command).map_err(|_| Reason::NotUtf8)?;
    let mut words = text.split_ascii_whitespace();
    let name = words.next().ok_or(Reason::Program)?;
    let name = name.rsplit('/').next().unwrap_or(name);
    let plain = |word: &str| {
        !word.contains(|character: char| "&|<>~;?*[`$\"'\\".contains(character) || character.is_control())
    };
    let arguments: Vec<String> = words.map(str::to_owned).collect();
    if name.is_empty() || name == "test" || !plain(name) || !arguments.iter().all(|word| plain(word)) {
        return Err(Reason::Shell);
    }
    Ok((name.to_owned(), arguments))
}

//! Expressions that name a field of the header, as tests of that field.

use super::Reason;
use super::pattern::{
    MOST_BRANCHES, MOST_STEPS, Node, Sequence, Set, Token, Where, behind_blank, globs, inner, posix,
};
use super::script::{Match, Subject, Test};

/// How many bytes of expressions one condition may become.
const MOST_TEXT: usize = 8192;

/// Fields of which one says only how the name begins and means the field.
const KNOWN: [&str; 28] = [
    "apparently-to",
    "bcc",
    "cc",
    "content-type",
    "date",
    "delivered-to",
    "errors-to",
    "from",
    "in-reply-to",
    "list-id",
    "list-post",
    "mailing-list",
    "message-id",
    "organization",
    "precedence",
    "received",
    "references",
    "reply-to",
    "resent-from",
    "resent-to",
    "return-path",
    "sender",
    "subject",
    "to",
    "x-been-there",
    "x-beenthere",
    "x-loop",
    "x-mailer",
];

/// A test, and what is not quite the same as in procmail.
#[derive(Debug, Default)]
pub(super) struct Tests {
    pub(super) tests: Vec<Test>,
    pub(super) inexact: Vec<&'static str>,
}

impl Tests {
    fn inexact(&mut self, what: &'static str) {
        if !self.inexact.contains(&what) {
            self.inexact.push(what);
        }
    }
}

const ENVELOPE: &str = "the line `From ` is taken for the sender of the envelope";
const BEGINS: &str = "fields whose names only begin so are not looked at";
const ANYWHERE: &str = "the name of the field is looked for only where a field starts";

/// Where an expression goes on behind a name.
struct Named {
    name: Name,
    rest: Sequence,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Field(String),
    /// The line `From `.
    Sender,
}

/// Turns the alternatives of an expression that looks at the header into tests of fields.
pub(super) fn header_tests(alternatives: &[Sequence], exact: bool, regex: bool) -> Result<Tests, Reason> {
    let mut out = Tests::default();
    let mut groups: Vec<(Sequence, Vec<Name>)> = Vec::new();
    for alternative in alternatives {
        for named in names(alternative, &mut out)? {
            let Named { name, rest } = named;
            match groups
                .iter_mut()
                .find(|(of, names)| *of == rest && (names[0] == Name::Sender) == (name == Name::Sender))
            {
                Some((_, names)) if names.contains(&name) => {}
                Some((_, names)) => names.push(name),
                None => groups.push((rest, vec![name])),
            }
        }
    }
    for (rest, names) in groups {
        let (subject, sequences) = if names[0] == Name::Sender {
            out.inexact(ENVELOPE);
            (Subject::Sender, vec![rest])
        } else {
            let names = names
                .into_iter()
                .filter_map(|name| match name {
                    Name::Field(name) => Some(name),
                    Name::Sender => None,
                })
                .collect();
            let mut behind = Vec::new();
            behind_blank(&rest, &mut behind, &mut MOST_STEPS.clone())?;
            if behind.is_empty() {
                return Err(Reason::NoBlank);
            }
            (Subject::Header(names), behind)
        };
        out.tests.push(value_test(subject, &sequences, exact, regex)?);
    }
    let text: usize = out.tests.iter().map(length).sum();
    if text > MOST_TEXT {
        return Err(Reason::TooComplex);
    }
    Ok(out)
}

/// How many bytes of keys a test has.
pub(super) fn length(test: &Test) -> usize {
    match test {
        Test::Compare { subject, keys, .. } => {
            let names = match subject {
                Subject::Header(names) => names.iter().map(String::len).sum(),
                _ => 0,
            };
            names + keys.iter().map(String::len).sum::<usize>()
        }
        Test::AnyOf(tests) | Test::AllOf(tests) => tests.iter().map(length).sum(),
        Test::Not(test) => length(test),
        _ => 0,
    }
}

/// What names of fields an expression can start with, and how it goes on.
fn names(sequence: &[Node], out: &mut Tests) -> Result<Vec<Named>, Reason> {
    let mut found: Vec<Named> = Vec::new();
    // The name so far, nothing before the start of a line; the rest, turned round.
    let mut open: Vec<(Option<String>, Vec<Node>)> = vec![(None, sequence.iter().rev().cloned().collect())];
    let mut steps = MOST_STEPS;
    let mut failure = None;
    while let Some((name, mut rest)) = open.pop() {
        steps = steps.checked_sub(1).ok_or(Reason::TooComplex)?;
        if found.len() + open.len() > MOST_BRANCHES {
            return Err(Reason::TooComplex);
        }
        let node = rest.pop();
        match node {
            Some(Node::Group(alternatives)) => {
                for alternative in alternatives.into_iter().rev() {
                    let mut rest = rest.clone();
                    rest.extend(alternative.into_iter().rev());
                    open.push((name.clone(), rest));
                }
                continue;
            }
            Some(Node::Repeat(node, b'?')) => {
                open.push((name.clone(), rest.clone()));
                rest.push(*node);
                open.push((name, rest));
                continue;
            }
            _ => {}
        }
        let Some(name) = name else {
            match node {
                Some(Node::Newline | Node::TextStart) => open.push((Some(String::new()), rest)),
                Some(Node::Set(set)) if starts_known_field(&set, &rest) => {
                    out.inexact(ANYWHERE);
                    rest.push(Node::Set(set));
                    open.push((Some(String::new()), rest));
                }
                // Only the newline of a group like `(^|x)` leads to a field; the others look at all of the header.
                _ => return Err(Reason::NoField),
            }
            continue;
        };
        match in_name(&name, node, &mut rest) {
            InName::Goes(bytes) => {
                for byte in bytes.into_iter().rev() {
                    open.push((Some(format!("{name}{}", char::from(byte))), rest.clone()));
                }
            }
            InName::Ends { begins } => {
                let sender = begins && name.eq_ignore_ascii_case("from");
                let rest: Sequence = rest.into_iter().rev().collect();
                if begins {
                    out.inexact(BEGINS);
                }
                if sender {
                    found.push(Named { name: Name::Sender, rest: rest.clone() });
                }
                found.push(Named { name: Name::Field(titled(&name)), rest });
            }
            InName::Sender => {
                found.push(Named { name: Name::Sender, rest: rest.into_iter().rev().collect() });
            }
            // Another branch may do.
            InName::Leads(reason) => failure = Some(reason),
            InName::Fails(reason) => return Err(reason),
        }
    }
    if found.is_empty() {
        return Err(failure.unwrap_or(Reason::NoField));
    }
    Ok(found)
}

/// A name as it is commonly written: each of its words with a capital.
fn titled(name: &str) -> String {
    let mut at_start = true;
    name.chars()
        .map(|character| {
            let titled = if at_start { character.to_ascii_uppercase() } else { character };
            at_start = character == '-';
            titled
        })
        .collect()
}

enum InName {
    /// With one of these.
    Goes(Vec<u8>),
    /// The name is over; perhaps only its beginning is said.
    Ends { begins: bool },
    /// It is the line `From `.
    Sender,
    /// No field can be called so.
    Leads(Reason),
    /// It cannot be said.
    Fails(Reason),
}

/// What a node means within a name.
fn in_name(name: &str, node: Option<Node>, rest: &mut Vec<Node>) -> InName {
    let known = KNOWN.iter().any(|known| name.eq_ignore_ascii_case(known));
    let is_name = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b':' | b'"' | b'\\');
    match node {
        Some(Node::Set(set)) => match set.single() {
            Some(b':') if name.is_empty() => InName::Leads(Reason::NoField),
            Some(b':') => InName::Ends { begins: false },
            Some(b' ') if name.eq_ignore_ascii_case("from") || name.eq_ignore_ascii_case(">from") => {
                InName::Sender
            }
            Some(byte) if is_name(byte) => InName::Goes(vec![byte]),
            Some(_) => InName::Leads(Reason::NoField),
            None if set.contains(b':') && known => {
                rest.push(Node::Repeat(Box::new(Node::Set(Set { negated: true, bytes: Vec::new() })), b'*'));
                InName::Ends { begins: true }
            }
            None if !set.negated && set.bytes.len() <= 6 && set.bytes.iter().copied().all(is_name) => {
                InName::Goes(set.bytes)
            }
            None => InName::Fails(Reason::NoField),
        },
        Some(Node::Repeat(node, how)) if known && matches!(&*node, Node::Set(set) if set.contains(b':')) => {
            rest.push(Node::Repeat(node, how));
            // What stands between the name and the rest of the expression may be of the name or of the value.
            InName::Ends { begins: true }
        }
        None if known || name.len() > 4 => InName::Ends { begins: true },
        _ => InName::Fails(Reason::NoField),
    }
}

/// Whether an expression goes on with the name of a known field and a colon.
fn starts_known_field(first: &Set, rest: &[Node]) -> bool {
    let mut name = String::new();
    let nodes = std::iter::once(first).chain(rest.iter().rev().map_while(|node| match node {
        Node::Set(set) => Some(set),
        _ => None,
    }));
    for set in nodes {
        match set.single() {
            Some(b':') => {
                return KNOWN.contains(&name.to_ascii_lowercase().as_str())
                    || name.to_ascii_lowercase().starts_with("x-");
            }
            Some(byte) if byte.is_ascii_graphic() && name.len() < 40 => name.push(char::from(byte)),
            _ => return false,
        }
    }
    false
}

/// A test of a value in which each sequence starts at the start.
pub(super) fn value_test(
    subject: Subject,
    sequences: &[Sequence],
    exact: bool,
    regex: bool,
) -> Result<Test, Reason> {
    let sequences = without_line_behind(sequences);
    if sequences.iter().any(Vec::is_empty) {
        return Ok(exists(subject));
    }
    // A `?` is one byte here, and one character there; and some servers take it for nothing at all.
    let plain = |globs: &Vec<Vec<Token>>| !regex || !globs.iter().flatten().any(|token| *token == Token::One);
    if let Some(globs) = globs(&sequences, true).filter(plain) {
        return glob_test(subject, &globs, exact);
    }
    if !regex {
        return Err(Reason::Expression);
    }
    let key = regex_key(&sequences)?;
    Ok(Test::Compare { subject, how: Match::Regex, keys: vec![key], exact })
}

/// `$([^>]|$)` at the end, with which some abbreviations see to it that what follows is no quotation, becomes `$`.
fn without_line_behind(sequences: &[Sequence]) -> Vec<Sequence> {
    let newline_or_byte = |one: &Sequence| matches!(one.as_slice(), [Node::Set(_) | Node::Newline]);
    sequences
        .iter()
        .map(|sequence| match sequence.as_slice() {
            [before @ .., Node::Newline, Node::Group(behind)] if behind.iter().all(newline_or_byte) => {
                [before, &[Node::Newline]].concat()
            }
            _ => sequence.clone(),
        })
        .collect()
}

fn exists(subject: Subject) -> Test {
    match subject {
        Subject::Header(names) => Test::any(names.into_iter().map(Test::Exists).collect()),
        _ => Test::Always,
    }
}

/// One expression for all sequences, anchored at the start where it has to be.
fn regex_key(sequences: &[Sequence]) -> Result<String, Reason> {
    let open = |sequence: &Sequence| sequence.first().is_some_and(Node::is_anything);
    if sequences.iter().all(open) {
        let behind: Vec<Sequence> = sequences.iter().map(|sequence| sequence[1..].to_vec()).collect();
        return posix(&trimmed(&behind), Where::Value);
    }
    // `.*[^a]b` or `b` is `[^a]b` anywhere, or `b` at the start; `ab` or `b` is `(a)?b`.
    if let [one, other] = sequences {
        for (long, short) in [(one, other), (other, one)] {
            let Some(before) = long.strip_suffix(short.as_slice()) else { continue };
            let behind = posix(&trimmed(std::slice::from_ref(short)), Where::Value)?;
            if let [anything, one @ (Node::Set(_) | Node::NotOfWord)] = before
                && anything.is_anything()
            {
                return Ok(format!("(^|{}){behind}", inner(one)?));
            }
            let optional = Node::Repeat(Box::new(Node::Group(vec![before.to_vec()])), b'?');
            return Ok(format!("^{}{behind}", inner(&optional)?));
        }
    }
    let inside = posix(&trimmed(sequences), Where::Value)?;
    Ok(if sequences.len() > 1 { format!("^({inside})") } else { format!("^{inside}") })
}

/// Without `.*` at the end.
fn trimmed(sequences: &[Sequence]) -> Vec<Sequence> {
    sequences
        .iter()
        .map(|sequence| {
            let end = sequence.iter().rposition(|node| !node.is_anything()).map_or(0, |at| at + 1);
            sequence[..end].to_vec()
        })
        .collect()
}

fn glob_test(subject: Subject, globs: &[Vec<Token>], exact: bool) -> Result<Test, Reason> {
    let mut kinds: Vec<(Match, Vec<String>)> = Vec::new();
    for glob in globs {
        let plain = |tokens: &[Token]| -> Option<Vec<u8>> {
            tokens
                .iter()
                .map(|token| match token {
                    Token::Byte(byte) => Some(*byte),
                    _ => None,
                })
                .collect()
        };
        let (how, key) = match glob.as_slice() {
            [Token::Many] => return Ok(exists(subject)),
            [Token::Many, inside @ .., Token::Many] if plain(inside).is_some() => {
                (Match::Contains, plain(inside).unwrap_or_default())
            }
            tokens => match plain(tokens) {
                Some(text) => (Match::Is, text),
                None => (Match::Matches, glob_text(tokens)),
            },
        };
        let key = String::from_utf8(key).map_err(|_| Reason::NotUtf8)?;
        if key.chars().any(|character| character.is_control() && character != '\t') {
            return Err(Reason::NotUtf8);
        }
        match kinds.iter_mut().find(|(of, _)| *of == how) {
            Some((_, keys)) => keys.push(key),
            None => kinds.push((how, vec![key])),
        }
    }
    let tests = kinds
        .into_iter()
        .map(|(how, keys)| Test::Compare { subject: subject.clone(), how, keys, exact })
        .collect();
    Ok(Test::any(tests))
}

fn glob_text(tokens: &[Token]) -> Vec<u8> {
    let mut out = Vec::new();
    for token in tokens {
        match token {
            Token::Many => out.push(b'*'),
            Token::One => out.push(b'?'),
            Token::Byte(byte) => {
                if b"*?\\".contains(byte) {
                    out.push(b'\\');
                }
                out.push(*byte);
            }
        }
    }
    out
}

/// A test of a text of several lines, such as the body.
pub(super) fn text_test(
    subject: Subject,
    alternatives: &[Sequence],
    exact: bool,
    regex: bool,
) -> Result<Test, Reason> {
    // A match may start anywhere, so that what stands for anything at the ends stands for nothing.
    let alternatives: Vec<Sequence> = trimmed(alternatives)
        .into_iter()
        .map(|sequence| sequence.into_iter().skip_while(Node::is_anything).collect())
        .collect();
    if alternatives.iter().any(Vec::is_empty) {
        return Ok(Test::Always);
    }
    let lines = |sequence: &Sequence| matches!(sequence.last(), Some(Node::Newline));
    if !alternatives.iter().any(lines)
        && let Some(globs) = globs(&alternatives, false)
        && globs.iter().flatten().all(|token| matches!(token, Token::Byte(_)))
    {
        let wrapped: Vec<Vec<Token>> =
            globs.into_iter().map(|glob| [&[Token::Many][..], &glob, &[Token::Many]].concat()).collect();
        return match glob_test(subject, &wrapped, exact)? {
            // An empty text is in every other.
            Test::Compare { keys, .. } if keys.iter().any(String::is_empty) => Ok(Test::Always),
            test => Ok(test),
        };
    }
    if !regex {
        return Err(Reason::Expression);
    }
    let key = posix(&alternatives, Where::Text)?;
    if key.len() > MOST_TEXT {
        return Err(Reason::TooComplex);
    }
    Ok(Test::Compare { subject, how: Match::Regex, keys: vec![key], exact })
}

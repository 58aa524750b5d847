//! Conditions: what stands before the expression, and conditions that are none.

use super::Checker;
use super::code::Code;
use super::diagnostic::{Applicability, Edit, Severity};
use super::pattern::Pattern;
use super::report::quoted;
use super::tokens::{Kind, tokens};
use super::traced::Traced;
use crate::eval::{Weight, searched_variable};
use crate::syntax::{Condition, Part, RecipeLine, Span};

/// How often a condition may ask to be expanded again.
const EXPANSIONS: usize = 4;
/// How much of what may be the name of a variable is looked at.
const LONGEST_NAME: usize = 80;
/// How much of a value is looked at where it is used.
const PARTS: usize = 16;

/// What the last `\/` lets into `MATCH`, if that may hold a slash.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matched {
    /// The `\/` and what follows.
    pub(super) span: Span,
    /// It may hold a dot as well, and so `..`.
    pub(super) climbs: bool,
}

impl Checker<'_> {
    /// Checks one condition of a recipe.
    pub(super) fn condition(&mut self, line: &RecipeLine, condition: &Condition) {
        let source = self.report.source;
        let written = &source[condition.span.start..condition.span.end];
        self.blank_behind_backslash(condition.span, written);
        self.longer_than_linebuf(condition.span, condition.written().len());
        let mut text = Traced::condition(source, condition);
        let start = text.span(0, 0).start;
        let mut at = 0;
        let mut expansions = 0;
        let mut of_header = line.has(b'H') || !line.has(b'B');
        let mut weight: Option<Weight> = None;
        let mut negated = false;
        let mut of_mail = true;
        loop {
            while matches!(text.bytes.get(at), Some(b' ' | b'\t')) {
                at += 1;
            }
            match text.bytes.get(at) {
                None => break,
                Some(b'!') => {
                    negated = !negated;
                    at += 1;
                }
                Some(b'$') if !text.is_value(at) => {
                    if expansions == EXPANSIONS {
                        return;
                    }
                    expansions += 1;
                    if self.dollar_before_name(&text, at) || self.eaten_dollar(&text, at) {
                        return;
                    }
                    let expansion = text.expanded(at + 1);
                    if let Some(&quote) = expansion.quotes.first().filter(|_| expansions == 1) {
                        let edit = |&span: &Span| Edit { span, replacement: "\\\"".to_owned() };
                        self.report
                            .add(
                                Code::QuoteInDollarCondition,
                                quote,
                                "double quotes vanish from a condition that starts with `$`",
                            )
                            .suggest(
                                "write `\\\"` where a quote belongs to the command or expression",
                                expansion.quotes.iter().map(edit).collect(),
                                Applicability::Manual,
                            );
                    }
                    let mut rest = expansion.text.bytes.iter().skip_while(|byte| b" \t!".contains(byte));
                    let runs = rest.next() == Some(&b'?');
                    for (name, span) in &expansion.names {
                        self.used(name, *span);
                        if !runs {
                            self.of_mail(name, *span);
                        }
                    }
                    text = expansion.text;
                    at = 0;
                }
                // The value may bring anything.
                Some(b'$') => return,
                Some(b'?') => {
                    self.program(&text, at);
                    return;
                }
                Some(b'<' | b'>') => {
                    self.size(&text, at);
                    return;
                }
                Some(_) => {
                    if let Some((read, used)) = Weight::parse(&text.bytes[at..]) {
                        weight = Some(read);
                        at += used;
                    } else if let Some((name, used)) = searched_variable(&text.bytes[at..]) {
                        let span = text.span(at, at + name.len());
                        self.searched(&name, span, &text.bytes[at + used..]);
                        of_mail = matches!(name.as_slice(), b"H" | b"B" | b"HB" | b"BH");
                        of_header = matches!(name.as_slice(), b"H" | b"HB" | b"BH");
                        at += used;
                    } else {
                        break;
                    }
                }
            }
        }
        let rest = text.from(at);
        if let Some(weight) = weight {
            self.infinite(&rest, weight, condition.span);
        }
        if of_mail && weight.is_none() && self.always(&rest, condition.span, negated) {
            return;
        }
        if rest.bytes.is_empty() {
            return;
        }
        if !negated {
            self.matched(&rest);
        }
        let variables = &self.variables;
        let known = |name: &[u8]| variables.is_known(name);
        Pattern {
            text: &rest,
            expanded: expansions > 0,
            of_header,
            weighted: weight.is_some(),
            start,
            known: &known,
        }
        .check(&mut self.report);
    }

    /// `$NAME ??` where `NAME ??` is meant.
    fn dollar_before_name(&mut self, text: &Traced, at: usize) -> bool {
        let rest = &text.bytes[at + 1..];
        let Some((name, _)) = searched_variable(rest) else { return false };
        let span = text.span(at, at + 1 + name.len());
        self.report
            .add(
                Code::DollarBeforeName,
                span,
                format!("this looks into the variable that the value of `{}` names", quoted(&name)),
            )
            .try_edit("leave the `$` out", text.span(at, at + 1), "");
        true
    }

    /// `$NAME` at the start, of which procmail takes the `$` for itself.
    fn eaten_dollar(&mut self, text: &Traced, at: usize) -> bool {
        let rest = &text.bytes[at + 1..];
        let braced = rest.first() == Some(&b'{');
        let name = &rest[usize::from(matches!(rest.first(), Some(b'{' | b'\\')))..];
        let length = name
            .iter()
            .take(LONGEST_NAME)
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
            .count();
        let name = &name[..length];
        let capitals = length > 2 && name.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
        if length == 0 || !(braced || capitals || self.variables.is_known(name)) {
            return false;
        }
        let start = text.span(at, at + 1);
        let name = quoted(name);
        self.report
            .add(
                Code::VariableWithoutDollar,
                text.span(at, at + 1 + rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len())),
                format!("this `$` says that variables are expanded, and leaves the plain text `{name}`"),
            )
            .try_edit(
                "put a second `$` before it, or write `()\\$` for a dollar in the text",
                Span { start: start.start, end: start.start },
                "$ ",
            );
        true
    }

    /// Notes what the last `\/` lets into `MATCH`.
    fn matched(&mut self, rest: &Traced) {
        let tokens = tokens(&rest.bytes, |at| rest.is_value(at));
        let Some(mark) = tokens.iter().rposition(|token| token.kind == Kind::Mark) else { return };
        let may_be = |byte: u8| {
            tokens[mark + 1..].iter().any(|token| match token.kind {
                Kind::Dot | Kind::Value => true,
                Kind::Literal(found) | Kind::Escaped(found) => found == byte,
                Kind::Class { closed: true } => holds(&rest.bytes[token.start + 1..token.end - 1], byte),
                _ => false,
            })
        };
        self.matched = may_be(b'/')
            .then(|| Matched { span: rest.span(tokens[mark].start, rest.bytes.len()), climbs: may_be(b'.') });
    }

    /// A condition that is the same for every mail.
    fn always(&mut self, rest: &Traced, condition: Span, negated: bool) -> bool {
        let expression = rest.bytes.as_slice();
        let from = expression.eq_ignore_ascii_case(b"^From") || expression.eq_ignore_ascii_case(b"^From.*");
        if !from && !matches!(expression, b"" | b".*" | b"^.*" | b"^" | b"()" | b"(.*)") {
            return false;
        }
        let span = if expression.is_empty() { condition } else { rest.span(0, expression.len()) };
        let message = match (from, negated) {
            (true, false) => "every mail has such a line: this condition is always true",
            (true, true) => "every mail has such a line: this condition is never true",
            (false, false) => "this condition is always true",
            (false, true) => "this condition is never true",
        };
        let entry = self.report.add(Code::AlwaysTrue, span, message);
        let entry = if negated { entry.severity(Severity::Warning) } else { entry };
        if from {
            entry.help("write `^From:` and what to look for behind it");
        } else {
            entry.help("a recipe without conditions takes all mail as well");
        }
        true
    }

    /// A value that the sender of a mail chooses is part of an expression.
    fn of_mail(&mut self, name: &[u8], span: Span) {
        let from_mail = |part: &Part| match part {
            Part::Variable { name, .. } => name == b"MATCH",
            Part::Command { command, .. } => memchr::memmem::find(command, b"formail").is_some(),
            _ => false,
        };
        let set = self.variables.get(name).and_then(|set| set.value);
        let of_mail =
            name == b"MATCH" || set.is_some_and(|value| value.parts.iter().take(PARTS).any(from_mail));
        let escaped = self.rc.text(span).get(1) == Some(&b'\\');
        if of_mail && !escaped {
            let name = quoted(name);
            self.report
                .add(
                    Code::UnescapedValue,
                    span,
                    format!("`{name}` comes from the mail, and what it holds is read as an expression"),
                )
                .try_edit("escape what is special in it", span, format!("$\\{name}"));
        }
    }

    fn infinite(&mut self, rest: &Traced, weight: Weight, condition: Span) {
        let empty = matches!(rest.bytes.as_slice(), b"" | b"^" | b"$" | b".*" | b"()" | b"(.*)");
        if empty && weight.exponent >= 1.0 && weight.weight != 0.0 {
            let span = if rest.bytes.is_empty() { condition } else { rest.span(0, rest.bytes.len()) };
            let sign = if weight.weight < 0.0 { "-" } else { "" };
            self.report
                .add(
                    Code::InfiniteScore,
                    span,
                    format!(
                        "this matches nothing at all over and over: the score is {sign}2147483647 at once"
                    ),
                )
                .help("use the exponent 0 for an offset, and `^.*$` to count lines");
        }
    }

    fn searched(&mut self, name: &[u8], span: Span, rest: &[u8]) {
        let area = matches!(name.to_ascii_uppercase().as_slice(), b"H" | b"B" | b"HB" | b"BH");
        if area && name.iter().any(u8::is_ascii_lowercase) && !self.variables.is_known(name) {
            let upper = String::from_utf8_lossy(name).to_ascii_uppercase();
            self.report
                .add(
                    Code::MisspeltVariable,
                    span,
                    format!("this searches the variable `{}`, not the mail", quoted(name)),
                )
                .fix("areas are written in capitals", span, upper);
        } else if !area {
            // Whoever looks at it may see to it.
            self.of_sender.remove(name);
            // Whether it is set at all is what these ask.
            let rest = rest.trim_ascii();
            let rest = rest.strip_prefix(b"!").unwrap_or(rest).trim_ascii_start();
            let asks = matches!(rest, b"." | b"^^." | b".+" | b".*" | b"(.)" | b"^^^^" | b"^^$" | b"^$")
                || matches!(
                    rest,
                    b"[a-z]" | b"[^ ]" | b"yes" | b"no" | b"on" | b"off" | b"^^yes^^" | b"^^no^^"
                );
            if asks {
                self.slip(name, span);
            } else {
                self.used(name, span);
            }
        }
    }

    fn program(&mut self, text: &Traced, at: usize) {
        let command = &text.bytes[at + 1..];
        if command.first() == Some(&b'?') {
            let span = text.span(at, at + 2);
            self.report
                .add(Code::WithoutVariableName, span, "`??` has no variable before it")
                .help("write `NAME ??`, or one `?` to run a program");
        } else if command.trim_ascii().is_empty() {
            let span = text.span(at, at + 1);
            self.report
                .add(Code::UnfinishedCommand, span, "there is no program to run")
                .help("write `\\?` for a question mark in the text");
        }
    }

    fn size(&mut self, text: &Traced, at: usize) {
        let operand = text.from(at + 1);
        let bytes = operand.bytes.as_slice();
        if memchr::memchr2(b'$', b'`', bytes).is_some() {
            return;
        }
        let blanks = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        // A number does not go on in a continued line.
        let starts = operand.span(blanks, bytes.len()).start;
        let digits = (blanks..bytes.len())
            .take_while(|&at| {
                bytes[at].is_ascii_digit() && operand.span(at, at + 1).start == starts + at - blanks
            })
            .count();
        let rest = bytes[blanks + digits..].trim_ascii_end();
        if digits > 0 && rest.is_empty() {
            return;
        }
        let sign = text.span(at, at + 1);
        if digits == 0 {
            let span = text.span(at, text.bytes.len());
            self.report
                .add(Code::SizeJunk, span, "this is a condition on the size of the mail, and has no number")
                .try_edit(
                    "put a backslash before it if it is text to search for",
                    Span { start: sign.start, end: sign.start },
                    "\\",
                );
            return;
        }
        let span = operand.span(blanks + digits, blanks + digits + rest.len());
        let unit: u64 = match rest.trim_ascii_start().to_ascii_lowercase().as_slice() {
            b"k" | b"kb" => 1 << 10,
            b"m" | b"mb" => 1 << 20,
            _ => 0,
        };
        let number: String = bytes[blanks..blanks + digits].iter().map(|&digit| char::from(digit)).collect();
        let value = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        let message = format!("sizes are in bytes: procmail skips `{}`", quoted(rest));
        let entry = self.report.add(Code::SizeJunk, span, message);
        match value.filter(|&value| value > 0) {
            Some(value) => {
                let whole = operand.span(blanks, blanks + digits + rest.len());
                entry.fix("write the number of bytes", whole, value.to_string())
            }
            None => entry.help("conditions have no comments, and a size no unit"),
        };
    }
}

/// Whether what stands between the brackets of a class holds a byte.
fn holds(class: &[u8], byte: u8) -> bool {
    let (class, negated) = match class {
        [b'^', rest @ ..] => (rest, true),
        _ => (class, false),
    };
    let ranges = class.windows(3).any(|range| range[1] == b'-' && (range[0]..=range[2]).contains(&byte));
    (ranges || class.contains(&byte)) != negated
}

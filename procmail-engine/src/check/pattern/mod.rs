//! Regular expressions that do not match what they seem to.

mod address;
mod dialect;

use super::code::Code;
use super::diagnostic::{Applicability, Edit};
use super::report::{Report, quoted};
use super::tokens::{Kind, Token, tokens};
use super::traced::Traced;
use crate::regex::{Case, Regex};
use crate::syntax::Span;

/// An expression with what is known of its condition.
pub(super) struct Pattern<'a> {
    pub(super) text: &'a Traced,
    /// It is what the expansion of a `$` condition gave.
    pub(super) expanded: bool,
    /// It looks at the header.
    pub(super) of_header: bool,
    pub(super) weighted: bool,
    /// Where the condition's text starts, behind the star.
    pub(super) start: usize,
    /// Whether a name is that of a variable which the file sets or procmail presets.
    pub(super) known: &'a dyn Fn(&[u8]) -> bool,
}

impl Pattern<'_> {
    pub(super) fn check(&self, report: &mut Report<'_>) {
        let bytes = self.text.bytes.as_slice();
        if self.leading_backslash(report) || self.program(report) {
            return;
        }
        let tokens = tokens(bytes, |at| self.text.is_value(at));
        self.balance(report, &tokens);
        self.comment(report, &tokens);
        self.quoted(report);
        self.macros(report, &tokens);
        self.repetitions(report, &tokens);
        self.endless(report);
        self.foreign(report, &tokens);
        self.classes(report, &tokens);
        self.alternatives(report, &tokens);
        self.edges(report, &tokens);
        self.dots(report, &tokens);
        self.pluses(report, &tokens);
        self.encoded_words(report, &tokens);
        if self.of_header {
            self.field(report, &tokens);
            self.unanchored(report, &tokens);
        }
        if !self.expanded {
            self.dollars(report, &tokens);
        }
        if !self.weighted {
            self.redundant(report, &tokens);
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        self.text.span(start, end)
    }

    fn token(&self, token: &Token) -> Span {
        self.span(token.start, token.end)
    }

    fn before(&self, at: usize) -> Span {
        let span = self.span(at, at);
        Span { start: span.start, end: span.start }
    }

    /// A backslash that procmail takes away before it reads the expression, where that makes a difference.
    fn leading_backslash(&self, report: &mut Report<'_>) -> bool {
        let [b'\\', next, ..] = self.text.bytes.as_slice() else { return false };
        let becomes = match next {
            b'/' => "a slash rather than the start of `MATCH`",
            b'<' | b'>' => "a plain bracket rather than the edge of a word",
            b'[' => "the start of a class",
            b'(' | b')' | b'|' => "an operator",
            b'.' => "any byte",
            b'^' | b'$' => "a newline",
            _ => return false,
        };
        let start = self.span(0, 2);
        // Quoting a `<` is what the backslash is there for, if it is that of an address.
        if *next == b'<' && self.text.bytes.contains(&b'@') {
            return true;
        }
        report
            .add(
                Code::LeadingBackslash,
                start,
                format!(
                    "procmail takes away a backslash at the start of a condition: `\\{}` is {becomes}",
                    char::from(*next)
                ),
            )
            .fix("put an empty group before it", Span { start: start.start, end: start.start }, "()");
        true
    }

    /// A command that lacks what makes it one.
    fn program(&self, report: &mut Report<'_>) -> bool {
        let Some(rest) = self.text.bytes.strip_prefix(b"test ") else { return false };
        let operator = matches!(rest, [b'-', letter, b' ', ..] if letter.is_ascii_alphabetic());
        let compares = memchr::memmem::find(rest, b" = ").is_some();
        if !operator && !compares {
            return false;
        }
        let span = self.span(0, 4);
        report
            .add(Code::MissingQuestionMark, span, "this looks like a command, and is an expression")
            .try_edit("put a question mark before it", Span { start: span.start, end: span.start }, "? ");
        true
    }

    /// A way round that consumes nothing, which procmail follows for ever.
    fn endless(&self, report: &mut Report<'_>) {
        let bytes = self.text.bytes.as_slice();
        if Regex::new(bytes, Case::Fold).is_endless() {
            report
                .add(
                    Code::EndlessExpression,
                    self.span(0, bytes.len()),
                    "procmail may search without end for this: it can go round in it without taking a byte",
                )
                .help("let each alternative and each repetition take something, and no `\\/` stand right before one");
        }
    }

    fn balance(&self, report: &mut Report<'_>, tokens: &[Token]) {
        let mut open = Vec::new();
        for token in tokens {
            match token.kind {
                Kind::Open => open.push(token),
                Kind::Close if open.pop().is_none() => {
                    report
                        .add(
                            Code::UnbalancedParenthesis,
                            self.token(token),
                            "this parenthesis closes nothing, and what follows it is ignored",
                        )
                        .help("write `\\)` for a parenthesis in the text");
                    return;
                }
                Kind::Class { closed: false } => {
                    report
                        .add(Code::UnclosedClass, self.token(token), "this class has no `]`")
                        .help("close it, or write `\\[` for a bracket in the text");
                }
                _ => {}
            }
        }
        if let Some(token) = open.pop() {
            report
                .add(Code::UnbalancedParenthesis, self.token(token), "this parenthesis is not closed")
                .help("close it, or write `\\(` for a parenthesis in the text");
        }
    }

    fn comment(&self, report: &mut Report<'_>, tokens: &[Token]) {
        let blank =
            |token: Option<&Token>| matches!(token, Some(Token { kind: Kind::Literal(b' ' | b'\t'), .. }));
        let found = tokens.iter().enumerate().find(|(at, token)| {
            let at = *at;
            let hash = token.kind == Kind::Literal(b'#');
            let tab = at > 0 && tokens[at - 1].kind == Kind::Literal(b'\t');
            let two = at > 1 && blank(tokens.get(at - 2));
            hash && at > 0 && blank(tokens.get(at - 1)) && (tab || two || blank(tokens.get(at + 1)))
        });
        let Some((at, token)) = found else { return };
        let mut from = at;
        while from > 0 && blank(tokens.get(from - 1)) {
            from -= 1;
        }
        let end = self.text.bytes.len();
        let removed = self.span(tokens[from].start, end);
        report
            .add(
                Code::CommentInCondition,
                self.span(token.start, end),
                "conditions have no comments: this is part of the expression",
            )
            .try_edit("move it to a line of its own, before the condition", removed, "");
    }

    fn quoted(&self, report: &mut Report<'_>) {
        let bytes = self.text.bytes.as_slice();
        let [first @ (b'"' | b'\''), inner @ .., last] = bytes else { return };
        if first == last && !self.expanded && !inner.contains(first) {
            report
                .add(
                    Code::QuotedCondition,
                    self.span(0, bytes.len()),
                    "quotes do nothing in a condition: they are part of the expression",
                )
                .suggest(
                    "leave them out",
                    vec![
                        Edit { span: self.span(0, 1), replacement: String::new() },
                        Edit { span: self.span(bytes.len() - 1, bytes.len()), replacement: String::new() },
                    ],
                    Applicability::Manual,
                );
        }
    }

    fn alternatives(&self, report: &mut Report<'_>, tokens: &[Token]) {
        if tokens.iter().any(|token| token.kind == Kind::Mark) || self.weighted {
            return;
        }
        let mut depth = 0usize;
        for (at, token) in tokens.iter().enumerate() {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth = depth.saturating_sub(1),
                Kind::Alternative => {
                    let before = at.checked_sub(1).map(|before| tokens[before].kind);
                    let next = tokens.get(at + 1).map(|next| next.kind);
                    let top =
                        depth == 0 && (matches!(before, None | Some(Kind::Alternative)) || next.is_none());
                    let end = next == Some(Kind::Close) && depth == 1 && at + 2 == tokens.len();
                    if top || end {
                        report
                            .add(
                                Code::EmptyAlternative,
                                self.token(token),
                                if top {
                                    "one of these alternatives is empty, so the expression always matches"
                                } else {
                                    "the last alternative is empty, so the others do not matter"
                                },
                            )
                            .try_edit("leave the bar out", self.token(token), "");
                        return;
                    }
                }
                _ => {}
            }
        }
    }

    fn edges(&self, report: &mut Report<'_>, tokens: &[Token]) {
        for (at, token) in tokens.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| tokens[before].kind);
            let next = tokens.get(at + 1).map(|next| next.kind);
            match token.kind {
                Kind::TextEdge => {
                    let first = matches!(before, None | Some(Kind::Open | Kind::Alternative));
                    let last = matches!(next, None | Some(Kind::Close | Kind::Alternative));
                    if !first && !last {
                        report
                            .add(
                                Code::MisplacedTextAnchor,
                                self.token(token),
                                "`^^` in the middle of an expression never matches",
                            )
                            .help("it means the very start or the very end of the text; `^` is a newline");
                    }
                }
                Kind::WordEdge(edge) => {
                    let blank = |kind| matches!(kind, Some(Kind::Literal(b' ' | b'\t')));
                    let (meets, start) = match edge {
                        b'<' if blank(before) => (true, tokens[at - 1].start),
                        b'<' if before == Some(Kind::WordEdge(b'>')) => (true, tokens[at - 1].start),
                        _ => (false, token.start),
                    };
                    let behind = edge == b'>' && blank(next) && !repeats(tokens.get(at + 2));
                    if meets || behind {
                        let end = if behind { token.end + 1 } else { token.end };
                        report
                            .add(
                                Code::BoundariesConsume,
                                self.span(start, end),
                                format!(
                                    "`\\{}` takes a byte itself: this needs two between the words",
                                    char::from(edge)
                                ),
                            )
                            .help("use one of them alone; a `<` or `>` in the text needs no backslash");
                    }
                }
                _ => {}
            }
        }
    }

    /// `$NAME` in a condition that is not expanded.
    fn dollars(&self, report: &mut Report<'_>, tokens: &[Token]) {
        let bytes = self.text.bytes.as_slice();
        for token in tokens.iter().filter(|token| token.kind == Kind::Newline(b'$')) {
            let rest = &bytes[token.end..];
            let braced = rest.first() == Some(&b'{');
            let escaped = rest.first() == Some(&b'\\');
            let name = &rest[usize::from(braced || escaped)..];
            let length = name
                .iter()
                .take(80)
                .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
                .count();
            let name = &name[..length];
            let capitals = length > 1
                && name[0].is_ascii_uppercase()
                && !name.iter().any(u8::is_ascii_lowercase)
                && !matches!(rest.get(length), Some(b':' | b'-'));
            if length == 0 || name[0].is_ascii_digit() || !(braced || capitals || (self.known)(name)) {
                continue;
            }
            let closed = usize::from(braced && rest.get(1 + length) == Some(&b'}'));
            let end = token.end + usize::from(braced || escaped) + length + closed;
            let span = self.span(token.start, end);
            let plain = !bytes.iter().any(|byte| b"\\\"`".contains(byte));
            let at = Span { start: self.start, end: self.start };
            let applicability = if plain { Applicability::Automatic } else { Applicability::Manual };
            report
                .add(
                    Code::VariableWithoutDollar,
                    span,
                    format!(
                        "`{}` is not a variable in a condition that does not start with `$`",
                        quoted(&bytes[token.start..end])
                    ),
                )
                .suggest(
                    "start the condition with `$`",
                    vec![Edit { span: at, replacement: "$ ".to_owned() }],
                    applicability,
                );
            return;
        }
    }

    fn redundant(&self, report: &mut Report<'_>, tokens: &[Token]) {
        let any = |at: usize| {
            tokens.get(at).is_some_and(|token| token.kind == Kind::Dot)
                && tokens.get(at + 1).is_some_and(|token| token.kind == Kind::Repeat(b'*'))
        };
        let whole = tokens.len();
        if whole < 3 || tokens.iter().any(|token| matches!(token.kind, Kind::Mark)) {
            return;
        }
        if any(0) && !matches!(tokens[2].kind, Kind::Alternative) {
            let span = self.span(tokens[0].start, tokens[1].end);
            report
                .add(Code::RedundantDotStar, span, "an expression may match anywhere: this changes nothing")
                .fix("leave it out", span, "");
        }
        let anchored = whole == 3 && matches!(tokens[0].kind, Kind::Newline(_));
        if any(whole - 2) && !anchored && whole > 3 && tokens[whole - 3].kind != Kind::Alternative {
            let span = self.span(tokens[whole - 2].start, tokens[whole - 1].end);
            report.add(Code::RedundantDotStar, span, "nothing has to follow: this changes nothing").fix(
                "leave it out",
                span,
                "",
            );
        }
    }
}

fn repeats(token: Option<&Token>) -> bool {
    token.is_some_and(|token| matches!(token.kind, Kind::Repeat(_)))
}

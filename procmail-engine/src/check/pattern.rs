//! Regular expressions that do not match what they seem to.

use super::code::Code;
use super::diagnostic::{Applicability, Edit, Severity};
use super::report::{Report, quoted};
use super::spelling::distance;
use super::tokens::{Kind, Token, tokens};
use super::traced::Traced;
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

/// The last labels of domains that are not known by their length.
const DOMAINS: [&str; 12] =
    ["com", "org", "net", "edu", "gov", "mil", "info", "biz", "name", "int", "arpa", "coop"];

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
        self.foreign(report, &tokens);
        self.classes(report, &tokens);
        self.alternatives(report, &tokens);
        self.edges(report, &tokens);
        self.dots(report, &tokens);
        if self.of_header {
            self.field(report, &tokens);
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

    fn macros(&self, report: &mut Report<'_>, tokens: &[Token]) {
        let bytes = self.text.bytes.as_slice();
        for (at, token) in tokens.iter().enumerate() {
            let next = tokens.get(at + 1).map(|next| next.kind);
            match token.kind {
                Kind::To | Kind::ToWord if next == Some(Kind::Literal(b':')) => {
                    report
                        .add(
                            Code::ToWithColon,
                            self.span(token.start, token.end + 1),
                            "this abbreviation has the colon of the field in it, and does not match with another",
                        )
                        .try_edit(
                            "leave the colon out, or name the field: `^To:`",
                            self.span(token.start, token.end + 1),
                            "^TO_",
                        );
                }
                Kind::To => {
                    let inner =
                        at + 1 + tokens[at + 1..].iter().take_while(|token| token.kind == Kind::Open).count();
                    let word = tokens[inner..].iter().take_while(|token| is_of_address(token.kind));
                    let address = word.clone().any(|token| {
                        matches!(token.kind, Kind::Literal(b'@') | Kind::Dot | Kind::Escaped(b'.'))
                    });
                    if address {
                        report
                            .add(
                                Code::LooseTo,
                                self.token(token),
                                "`^TO` finds addresses that merely end like this one; `^TO_` is for addresses",
                            )
                            .fix("use `^TO_`", self.token(token), "^TO_");
                    } else if word.count() > 0 {
                        report
                            .add(
                                Code::LooseTo,
                                self.token(token),
                                "`^TO` is for words: this also finds it behind a digit, dot or hyphen",
                            )
                            .severity(Severity::Hint)
                            .try_edit(
                                "use `^TO_` if this is the start of an address",
                                self.token(token),
                                "^TO_",
                            );
                    }
                }
                Kind::Newline(b'^') => {
                    let rest = &bytes[token.end..];
                    if let Some((wrong, right)) = misspelt(rest) {
                        let span = self.span(token.start, token.end + wrong);
                        report
                            .add(
                                Code::MisspeltMacro,
                                span,
                                format!("this is no abbreviation; `{right}` is, in capitals"),
                            )
                            .fix("write it in full", span, right);
                    }
                }
                Kind::Literal(b'T' | b'F')
                    if matches!(
                        at.checked_sub(1).map(|before| tokens[before].kind),
                        None | Some(Kind::Open | Kind::Alternative)
                    ) =>
                {
                    let rest = &bytes[token.start..];
                    for name in ["TO_", "FROM_DAEMON", "FROM_MAILER"] {
                        if rest.starts_with(name.as_bytes()) {
                            let span = self.span(token.start, token.start + name.len());
                            report
                                .add(
                                    Code::MisspeltMacro,
                                    span,
                                    format!("without a `^` this is only the text `{name}`"),
                                )
                                .fix("put a `^` before it", span, format!("^{name}"));
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn repetitions(&self, report: &mut Report<'_>, tokens: &[Token]) {
        for (at, token) in tokens.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| tokens[before].kind);
            match token.kind {
                Kind::Star(how) if matches!(before, Some(Kind::Repeat(_))) => {
                    let how = char::from(how);
                    let entry = report.add(
                        Code::DoubleQuantifier,
                        self.span(tokens[at - 1].start, token.end),
                        format!("what repeats is not repeated: this `{how}` is a plain character"),
                    );
                    if how == '?' {
                        entry.try_edit(
                            "leave it out: there are no reluctant repetitions",
                            self.token(token),
                            "",
                        );
                    } else {
                        entry.help(format!("write `\\{how}` if that is meant, once for each"));
                    }
                }
                Kind::Star(b'*') => {
                    report
                        .add(
                            Code::GlobStar,
                            self.token(token),
                            "there is nothing for this star to repeat: it is a plain character",
                        )
                        .try_edit("leave it out: an expression may match anywhere", self.token(token), "");
                }
                Kind::Repeat(b'*')
                    if before == Some(Kind::Literal(b':')) && self.of_header && tokens.len() > at + 1 =>
                {
                    report
                        .add(
                            Code::GlobStar,
                            self.token(token),
                            "this star repeats the colon, and does not stand for any text",
                        )
                        .fix("write `.*`", self.token(token), ".*");
                }
                _ => {}
            }
        }
    }

    /// What is known from other regular expressions, and not here.
    fn foreign(&self, report: &mut Report<'_>, tokens: &[Token]) {
        for (at, token) in tokens.iter().enumerate() {
            match token.kind {
                Kind::Escaped(byte) if byte.is_ascii_alphanumeric() => {
                    let word_follows = tokens.get(at + 1).is_some_and(|next| {
                        matches!(next.kind, Kind::Literal(byte) if byte.is_ascii_alphanumeric())
                            || matches!(next.kind, Kind::Open | Kind::Class { .. } | Kind::Value)
                    });
                    self.escape(report, token, byte, word_follows);
                }
                Kind::Literal(b'{') if at > 0 => self.bounds(report, tokens, at),
                Kind::Open if tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Star(b'?')) => {
                    report
                        .add(
                            Code::UnsupportedRegex,
                            self.span(token.start, token.end + 1),
                            "groups have no options here: the question mark is a plain character",
                        )
                        .help("use a plain group; case is ignored unless the recipe has the `D` flag");
                }
                _ => {}
            }
        }
    }

    fn escape(&self, report: &mut Report<'_>, token: &Token, byte: u8, word_follows: bool) {
        let instead = match byte {
            b's' => "[ \t]",
            b'S' => "[^ \t]",
            b'd' => "[0-9]",
            b'D' => "[^0-9]",
            b'w' => "[a-zA-Z0-9_]",
            b'W' => "[^a-zA-Z0-9_]",
            b't' => "\t",
            b'n' => "$",
            b'b' if word_follows => r"\<",
            b'b' => r"\>",
            b'1'..=b'9' | b'A' | b'B' | b'r' | b'x' | b'Z' | b'z' => "",
            _ => return,
        };
        let byte = char::from(byte);
        let message = format!("`\\{byte}` is a plain `{byte}` here");
        let span = self.token(token);
        let entry = report.add(Code::UnsupportedRegex, span, message);
        match instead {
            "" => entry.help("there is nothing of the kind in procmail's expressions"),
            "[ \t]" => entry.fix("write a blank and a tab in brackets", span, instead),
            "[^ \t]" => entry.fix("write `[^` with a blank and a tab", span, instead),
            "\t" => entry.try_edit("write a real tab", span, instead),
            "$" => entry.try_edit("`$` matches a newline", span, instead),
            r"\<" | r"\>" => entry.try_edit("use `\\<` and `\\>`, which take a byte each", span, instead),
            _ => entry.fix("name the characters", span, instead),
        };
    }

    fn bounds(&self, report: &mut Report<'_>, tokens: &[Token], at: usize) {
        let bytes = self.text.bytes.as_slice();
        let rest = &bytes[tokens[at].end..];
        let inner = rest.iter().take(12).take_while(|byte| byte.is_ascii_digit() || **byte == b',').count();
        let before = &tokens[at - 1];
        let digits = rest[..inner].first().is_some_and(u8::is_ascii_digit);
        let repeats = !matches!(before.kind, Kind::Open | Kind::Alternative | Kind::Repeat(_));
        if !digits || rest.get(inner) != Some(&b'}') || !repeats {
            return;
        }
        let span = self.span(tokens[at].start, tokens[at].end + inner + 1);
        let text = String::from_utf8_lossy(&rest[..inner]).into_owned();
        let entry = report.add(
            Code::UnsupportedRegex,
            span,
            format!("there are no bounds in procmail's expressions: `{{{text}}}` is plain text"),
        );
        let single = !matches!(before.kind, Kind::Close);
        let count = |text: &str| text.parse::<usize>().ok().filter(|count| (1..=20).contains(count));
        let item = String::from_utf8_lossy(&bytes[before.start..before.end]).into_owned();
        let written_out = match text.split_once(',') {
            None => count(&text).map(|count| item.repeat(count)),
            Some((least, "")) => count(least).map(|least| item.repeat(least) + &item + "*"),
            Some((least, most)) => match (count(least), count(most)) {
                (Some(least), Some(most)) if least <= most => {
                    Some(item.repeat(least) + &format!("{item}?").repeat(most - least))
                }
                _ => None,
            },
        };
        match written_out.filter(|_| single) {
            Some(text) => {
                entry.try_edit("write it out", Span { start: self.token(before).start, end: span.end }, text)
            }
            None => entry.help("write it out"),
        };
    }

    fn classes(&self, report: &mut Report<'_>, tokens: &[Token]) {
        for (at, token) in tokens.iter().enumerate() {
            if !matches!(token.kind, Kind::Class { closed: true }) {
                continue;
            }
            let text = &self.text.bytes[token.start..token.end];
            if text.len() > 4
                && text.ends_with(b":]")
                && memchr::memmem::find(text, b"[:").is_some_and(|at| at > 0)
            {
                let followed = tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Literal(b']'));
                self.named_class(report, token, text, followed);
                continue;
            }
            let inner = &text[1..text.len() - 1];
            let Some(backslash) = memchr::memchr(b'\\', inner) else { continue };
            let place = self.span(token.start + 1 + backslash, token.start + 3 + backslash);
            let next = text[backslash + 2];
            // Both at once: a backslash is meant.
            if next == b'\\' {
                continue;
            }
            if backslash + 1 == inner.len() {
                let closes_later = tokens[at + 1..]
                    .iter()
                    .take_while(|token| !matches!(token.kind, Kind::Class { .. }))
                    .any(|token| token.kind == Kind::Literal(b']'));
                if closes_later {
                    report
                        .add(
                            Code::BackslashInClass,
                            place,
                            "a backslash quotes nothing in brackets: the class ends here",
                        )
                        .help("put the `]` first: `[]…]`");
                }
                continue;
            }
            let names = match next {
                b's' => "a blank and a tab",
                b'd' => "`0-9`",
                b'w' => "`a-zA-Z0-9_`",
                b't' | b'n' | b'S' | b'D' | b'W' | b'b' => "the characters themselves",
                _ => {
                    report
                        .add(
                            Code::BackslashInClass,
                            place,
                            "a backslash quotes nothing in brackets: it is one of the characters",
                        )
                        .severity(Severity::Hint)
                        .help("leave it out");
                    continue;
                }
            };
            report
                .add(
                    Code::BackslashInClass,
                    place,
                    format!("in brackets this is a backslash and the letter `{}`", char::from(next)),
                )
                .help(format!("write {names}"));
        }
    }

    fn named_class(&self, report: &mut Report<'_>, token: &Token, text: &[u8], followed: bool) {
        let characters = match text.strip_prefix(b"[[:").and_then(|text| text.strip_suffix(b":]")) {
            Some(b"alpha") => "[a-zA-Z]",
            Some(b"digit") => "[0-9]",
            Some(b"alnum") => "[a-zA-Z0-9]",
            Some(b"upper") => "[A-Z]",
            Some(b"lower") => "[a-z]",
            Some(b"xdigit") => "[0-9a-fA-F]",
            Some(b"space" | b"blank") => "[ \t]",
            _ => "",
        };
        let span = self.span(token.start, token.end + usize::from(followed));
        let entry = report.add(
            Code::UnsupportedRegex,
            span,
            "classes have no names here: these are the characters between the brackets",
        );
        if characters.is_empty() || !followed {
            entry.help("name the characters");
        } else {
            entry.fix("name the characters", span, characters);
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
                            .help("use one of them alone");
                    }
                }
                _ => {}
            }
        }
    }

    /// Dots of addresses and domains that stand for any byte.
    fn dots(&self, report: &mut Report<'_>, tokens: &[Token]) {
        let mut at = 0;
        let mut first = None;
        let mut edits = Vec::new();
        let mut addresses = 0usize;
        while at < tokens.len() {
            let length = tokens[at..].iter().take_while(|token| is_of_address(token.kind)).count();
            if length == 0 {
                at += 1;
                continue;
            }
            let (from, to) = (at, at + length);
            at = to;
            // What is repeated is no part of an address: a dot with a star is any text.
            let to = if repeats(tokens.get(to)) { to - 1 } else { to };
            let dots = bare_dots(tokens, from, to);
            let Some(&dot) = dots.first() else { continue };
            first.get_or_insert((dot, from, to));
            addresses += 1;
            let quoted =
                |at: &usize| Edit { span: self.before(tokens[*at].start), replacement: "\\".to_owned() };
            edits.extend(dots.iter().map(quoted));
        }
        let Some((dot, from, to)) = first else { return };
        let address = quoted(&self.text.bytes[tokens[from].start..tokens[to - 1].end]);
        let more = if addresses > 1 { format!(", and in {} more", addresses - 1) } else { String::new() };
        report
            .add(
                Code::UnescapedDot,
                self.token(&tokens[dot]),
                format!("a dot stands for any byte in `{address}`{more}"),
            )
            .suggest("write `\\.` for a dot", edits, Applicability::Automatic);
    }

    /// `^Field:text`, which misses the blank that stands behind the colon of nearly all fields.
    fn field(&self, report: &mut Report<'_>, tokens: &[Token]) {
        if tokens.first().map(|token| token.kind) != Some(Kind::Newline(b'^')) {
            return;
        }
        let named = |token: &&Token| {
            matches!(token.kind, Kind::Literal(byte) if byte.is_ascii_alphanumeric() || byte == b'-')
                || matches!(token.kind, Kind::Open | Kind::Close | Kind::Alternative | Kind::Repeat(b'?'))
        };
        let colon = 1 + tokens[1..].iter().take_while(named).count();
        let starts_word =
            |token: &Token| matches!(token.kind, Kind::Literal(byte) if byte.is_ascii_alphanumeric());
        let is_colon = tokens.get(colon).is_some_and(|token| token.kind == Kind::Literal(b':'));
        if colon > 1 && is_colon && tokens.get(colon + 1).is_some_and(starts_word) {
            let end = tokens[colon].end;
            report
                .add(
                    Code::NoBlankAfterField,
                    self.span(tokens[0].start, end + 1),
                    "a blank follows the colon of a field, as a rule, and this does not match it",
                )
                .fix("allow for blanks", self.before(end), " *");
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
            let span =
                self.span(token.start, token.end + length + 2 * usize::from(braced) + usize::from(escaped));
            let plain = !bytes.iter().any(|byte| b"\\\"`".contains(byte));
            let at = Span { start: self.start, end: self.start };
            let applicability = if plain { Applicability::Automatic } else { Applicability::Manual };
            report
                .add(
                    Code::VariableWithoutDollar,
                    span,
                    format!(
                        "`{}` is not a variable in a condition that does not start with `$`",
                        quoted(
                            &bytes[token.start
                                ..token.end + length + 2 * usize::from(braced) + usize::from(escaped)]
                        )
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

/// The dots of an address or domain that stand for any byte; none if it is no address.
fn bare_dots(tokens: &[Token], from: usize, to: usize) -> Vec<usize> {
    let word = |token: Option<&Token>| {
        token.is_some_and(|token| matches!(token.kind, Kind::Literal(byte) if byte.is_ascii_alphanumeric()))
    };
    let bare = |at: usize| {
        let before = at.checked_sub(1).map(|before| &tokens[before]);
        let joins =
            word(before) || matches!(before, Some(Token { kind: Kind::Close | Kind::Class { .. }, .. }));
        tokens[at].kind == Kind::Dot && joins && at + 1 < to && word(tokens.get(at + 1))
    };
    let dots: Vec<usize> = (from..to).filter(|&at| bare(at)).collect();
    let letters = tokens[from..to].iter().rev().map_while(|token| match token.kind {
        Kind::Literal(byte) if byte.is_ascii_alphabetic() => Some(byte.to_ascii_lowercase()),
        _ => None,
    });
    // More letters are no label of a domain.
    let mut label: Vec<u8> = letters.take(24).collect();
    label.reverse();
    let at_sign = tokens[from..to].iter().any(|token| token.kind == Kind::Literal(b'@'));
    let points =
        tokens[from..to].iter().filter(|token| matches!(token.kind, Kind::Dot | Kind::Escaped(b'.')));
    let known = DOMAINS.iter().any(|domain| domain.as_bytes() == label);
    let domain = known || (label.len() == 2 && points.count() > 1);
    if domain || at_sign && label.len() >= 2 { dots } else { Vec::new() }
}

fn is_of_address(kind: Kind) -> bool {
    match kind {
        Kind::Literal(byte) => byte.is_ascii_alphanumeric() || b"-_@+%".contains(&byte),
        Kind::Escaped(byte) => b".-_@+".contains(&byte),
        Kind::Dot => true,
        _ => false,
    }
}

/// What stands behind a `^`, if it is almost an abbreviation: how long it is, and what is meant.
fn misspelt(text: &[u8]) -> Option<(usize, &'static str)> {
    let starts =
        |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()));
    if starts("TO_") {
        return Some((3, "^TO_"));
    }
    if !starts("FROM_") {
        return None;
    }
    let length = text.iter().take(16).take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'_').count();
    let name = text[5..length].to_ascii_uppercase();
    ["DAEMON", "MAILER"]
        .into_iter()
        .find(|known| distance(&name, known.as_bytes()) <= 2)
        .map(|known| (length, if known == "DAEMON" { "^FROM_DAEMON" } else { "^FROM_MAILER" }))
}

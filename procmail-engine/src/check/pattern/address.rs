//! Expressions that look for addresses, domains and fields of the header.

use super::super::code::Code;
use super::super::diagnostic::{Applicability, Edit, Severity};
use super::super::report::{Report, quoted};
use super::super::spelling::distance;
use super::super::tokens::{Kind, Token};
use super::{Pattern, repeats};

/// The last labels of domains that are not known by their length.
const DOMAINS: [&str; 12] =
    ["com", "org", "net", "edu", "gov", "mil", "info", "biz", "name", "int", "arpa", "coop"];

/// How the charsets of encoded words begin.
const CHARSETS: [&str; 10] =
    ["utf-", "iso-", "windows-", "koi8", "big5", "gb", "us-ascii", "euc-", "ks_c", "shift"];

/// Fields that conditions name.
const FIELDS: [&str; 16] = [
    "bcc",
    "cc",
    "content-type",
    "date",
    "delivered-to",
    "from",
    "mailing-list",
    "message-id",
    "precedence",
    "received",
    "reply-to",
    "return-path",
    "sender",
    "subject",
    "to",
    "x-loop",
];

impl Pattern<'_> {
    pub(super) fn macros(&self, report: &mut Report<'_>, tokens: &[Token]) {
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
                Kind::To | Kind::ToWord if behind_blanks(tokens, at + 1).is_some() => {
                    let address = behind_blanks(tokens, at + 1).map_or(token.end, |word| tokens[word].start);
                    let span = self.span(token.start, address);
                    report
                        .add(
                            Code::ToWithBlank,
                            span,
                            "this finds the address only behind a blank: not in angle brackets or quotes",
                        )
                        .try_edit("leave the blank out: `^TO_` finds where an address starts", span, "^TO_");
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

    /// Dots of addresses and domains that stand for any byte.
    pub(super) fn dots(&self, report: &mut Report<'_>, tokens: &[Token]) {
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
        let address = &self.text.bytes[tokens[from].start..tokens[to - 1].end];
        let address = quoted(address.strip_prefix(b".").unwrap_or(address));
        let more = if addresses > 1 { format!(", and in {} more", addresses - 1) } else { String::new() };
        report
            .add(
                Code::UnescapedDot,
                self.token(&tokens[dot]),
                format!("a dot stands for any byte in `{address}`{more}"),
            )
            .suggest("write `\\.` for a dot", edits, Applicability::Automatic);
    }

    /// A plus in an address, which repeats what stands before it.
    pub(super) fn pluses(&self, report: &mut Report<'_>, tokens: &[Token]) {
        let mut at = 0;
        while at < tokens.len() {
            let of_run = |token: &&Token| is_of_address(token.kind) || token.kind == Kind::Repeat(b'+');
            let length = tokens[at..].iter().take_while(of_run).count();
            let run = &tokens[at..at + length];
            at += length.max(1);
            let letter =
                |token: &Token| matches!(token.kind, Kind::Literal(byte) if byte.is_ascii_alphanumeric());
            let Some(sign) = run.iter().position(|token| token.kind == Kind::Literal(b'@')) else { continue };
            let plus = (1..sign.saturating_sub(1)).find(|&at| {
                run[at].kind == Kind::Repeat(b'+') && letter(&run[at - 1]) && letter(&run[at + 1])
            });
            let Some(plus) = plus else { continue };
            let repeated = quoted(&self.text.bytes[run[plus - 1].start..run[plus - 1].end]);
            report
                .add(
                    Code::UnescapedPlus,
                    self.token(&run[plus]),
                    format!("this plus repeats the `{repeated}`, and does not match a plus"),
                )
                .fix("write `\\+`", self.before(run[plus].start), "\\");
        }
    }

    /// Question marks of encoded words (`=?charset?B?…?=`), which make optional what stands before them.
    pub(super) fn encoded_words(&self, report: &mut Report<'_>, tokens: &[Token]) {
        let mark = |at: usize| tokens.get(at).is_some_and(|token| token.kind == Kind::Repeat(b'?'));
        let starts = |at: &usize| tokens[*at].kind == Kind::Literal(b'=') && mark(at + 1);
        let Some(start) = (0..tokens.len()).filter(starts).find(|at| {
            let open = tokens[at + 2..].iter().take_while(|token| token.kind == Kind::Open).count();
            let charset =
                tokens.get(at + 2 + open).map_or(b"".as_slice(), |token| &self.text.bytes[token.start..]);
            CHARSETS.iter().any(|name| {
                charset.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name.as_bytes()))
            })
        }) else {
            return;
        };
        let of_word = |token: &&Token| !matches!(token.kind, Kind::Literal(b' ' | b'\t') | Kind::Newline(_));
        let word = tokens[start..].iter().take_while(of_word);
        let marks = word.filter(|token| token.kind == Kind::Repeat(b'?'));
        let edits = marks.map(|token| Edit { span: self.before(token.start), replacement: "\\".to_owned() });
        report
            .add(
                Code::UnescapedQuestionMark,
                self.token(&tokens[start + 1]),
                "this question mark makes the `=` optional, and does not match a question mark",
            )
            .suggest("write `\\?` for a question mark", edits.collect(), Applicability::Manual);
    }

    /// `Field:` without the `^` that makes it the name of a field.
    pub(super) fn unanchored(&self, report: &mut Report<'_>, tokens: &[Token]) {
        let named = |token: &&Token| matches!(token.kind, Kind::Literal(byte) if byte.is_ascii_alphabetic() || byte == b'-');
        let length = tokens.iter().take_while(named).count();
        let is_colon = tokens.get(length).is_some_and(|token| token.kind == Kind::Literal(b':'));
        if length == 0 || !is_colon {
            return;
        }
        let name = &self.text.bytes[..tokens[length].start];
        let known = FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field.as_bytes()));
        let list = name.get(..5).is_some_and(|start| {
            start.eq_ignore_ascii_case(b"List-") || start.eq_ignore_ascii_case(b"X-Spa")
        });
        if known || list {
            let name = quoted(name);
            report
                .add(
                    Code::UnanchoredField,
                    self.span(0, tokens[length].end),
                    format!(
                        "without a `^` this is found anywhere: in `X-{name}:`, and in the middle of lines"
                    ),
                )
                .try_edit("put a `^` before it", self.before(0), "^");
        }
    }

    /// `^Field:text`, which misses the blank that stands behind the colon of nearly all fields.
    pub(super) fn field(&self, report: &mut Report<'_>, tokens: &[Token]) {
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
}

/// Where the word starts that stands behind one or more blanks.
fn behind_blanks(tokens: &[Token], at: usize) -> Option<usize> {
    let blank = |token: &&Token| matches!(token.kind, Kind::Literal(b' ' | b'\t'));
    let blanks = tokens[at..].iter().take_while(blank).count();
    let word = tokens.get(at + blanks).filter(|_| blanks > 0)?;
    let starts = match word.kind {
        Kind::Literal(byte) => byte.is_ascii_alphanumeric(),
        kind => matches!(kind, Kind::Open | Kind::Value),
    };
    (starts && !repeats(tokens.get(at + 1))).then_some(at + blanks)
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

//! What is known from the regular expressions of other programs, and means something else here.

use super::super::code::Code;
use super::super::diagnostic::Severity;
use super::super::report::Report;
use super::super::tokens::{Kind, Token};
use super::Pattern;
use crate::syntax::Span;

impl Pattern<'_> {
    pub(super) fn repetitions(&self, report: &mut Report<'_>, tokens: &[Token]) {
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
                Kind::Repeat(b'*') if at + 1 == tokens.len() && ends_word(tokens, at) => {
                    report
                        .add(
                            Code::GlobStar,
                            self.span(tokens[at - 1].start, token.end),
                            "this star repeats the letter before it, and does not stand for any text",
                        )
                        .severity(Severity::Hint)
                        .try_edit("leave it out: nothing has to follow", self.token(token), "");
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
    pub(super) fn foreign(&self, report: &mut Report<'_>, tokens: &[Token]) {
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

    pub(super) fn classes(&self, report: &mut Report<'_>, tokens: &[Token]) {
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
}

/// Whether three letters or digits stand before a token.
fn ends_word(tokens: &[Token], at: usize) -> bool {
    let letter = |token: &Token| matches!(token.kind, Kind::Literal(byte) if byte.is_ascii_alphanumeric());
    at >= 3 && tokens[at - 3..at].iter().all(letter)
}

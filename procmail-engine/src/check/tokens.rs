//! A regular expression as the tokens that procmail reads.

/// One token, with the bytes of the expression it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A byte that stands for itself.
    Literal(u8),
    /// A byte behind a backslash.
    Escaped(u8),
    /// A value that is put in before the expression is read.
    Value,
    Dot,
    Class {
        closed: bool,
    },
    Open,
    Close,
    Alternative,
    /// `*`, `+` or `?` that repeats the item before.
    Repeat(u8),
    /// `*`, `+` or `?` with nothing to repeat, which stands for itself.
    Star(u8),
    /// `^` or `$`.
    Newline(u8),
    /// `^^`.
    TextEdge,
    /// `\/`.
    Mark,
    /// `\<` or `\>`.
    WordEdge(u8),
    /// `^TO_`.
    ToWord,
    /// `^TO`.
    To,
    /// `^FROM_DAEMON` or `^FROM_MAILER`.
    From,
}

/// Splits an expression. `value` tells which bytes stand for values.
pub(super) fn tokens(pattern: &[u8], value: impl Fn(usize) -> bool) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut at = 0;
    // Whether there is an item that can be repeated.
    let mut item = false;
    while let Some(&byte) = pattern.get(at) {
        let start = at;
        at += 1;
        let kind = match byte {
            _ if value(start) => Kind::Value,
            b'(' => Kind::Open,
            b')' => Kind::Close,
            b'|' => Kind::Alternative,
            b'*' | b'+' | b'?' if item => Kind::Repeat(byte),
            b'*' | b'+' | b'?' => Kind::Star(byte),
            b'.' => Kind::Dot,
            b'$' => Kind::Newline(byte),
            b'^' => {
                let rest = &pattern[start..];
                let quoted = start > 0 && pattern[start - 1] == b'\\';
                let (kind, length) =
                    if !quoted && (rest.starts_with(b"^FROM_DAEMON") || rest.starts_with(b"^FROM_MAILER")) {
                        (Kind::From, b"^FROM_DAEMON".len())
                    } else if !quoted && rest.starts_with(b"^TO_") {
                        (Kind::ToWord, 4)
                    } else if !quoted && rest.starts_with(b"^TO") {
                        (Kind::To, 3)
                    } else if rest.starts_with(b"^^") {
                        (Kind::TextEdge, 2)
                    } else {
                        (Kind::Newline(byte), 1)
                    };
                at = start + length;
                kind
            }
            b'[' => {
                let (used, closed) = class(&pattern[at..]);
                at += used;
                Kind::Class { closed }
            }
            b'\\' => match pattern.get(at) {
                None => Kind::Literal(b'\\'),
                Some(&escaped) => {
                    at += 1;
                    match escaped {
                        b'/' => Kind::Mark,
                        b'<' | b'>' => Kind::WordEdge(escaped),
                        _ => Kind::Escaped(escaped),
                    }
                }
            },
            _ => Kind::Literal(byte),
        };
        item = !matches!(kind, Kind::Open | Kind::Alternative | Kind::Repeat(_));
        tokens.push(Token { kind, start, end: at });
    }
    tokens
}

/// How many bytes a class takes behind its `[`, and whether it is closed.
fn class(text: &[u8]) -> (usize, bool) {
    let first = usize::from(text.first() == Some(&b'^'));
    let mut at = first;
    while let Some(&byte) = text.get(at) {
        if byte == b']' && at > first {
            return (at + 1, true);
        }
        let range = text.get(at + 1) == Some(&b'-') && text.get(at + 2).is_some_and(|&last| last != b']');
        at += if range { 3 } else { 1 };
    }
    (text.len(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(pattern: &str) -> String {
        tokens(pattern.as_bytes(), |_| false)
            .iter()
            .map(|token| match token.kind {
                Kind::Literal(byte) | Kind::Newline(byte) => char::from(byte),
                Kind::Escaped(_) => '\\',
                Kind::Value => '$',
                Kind::Dot => '.',
                Kind::Class { closed: true } => 'C',
                Kind::Class { closed: false } => 'c',
                Kind::Open => '(',
                Kind::Close => ')',
                Kind::Alternative => '|',
                Kind::Repeat(byte) => char::from(byte),
                Kind::Star(_) => 's',
                Kind::TextEdge => 'E',
                Kind::Mark => '/',
                Kind::WordEdge(_) => 'w',
                Kind::ToWord => 'T',
                Kind::To => 't',
                Kind::From => 'F',
            })
            .collect()
    }

    #[test]
    fn expressions_are_read_as_the_engine_reads_them() {
        for (pattern, expected) in [
            (r"^a*\.b", r"^a*\b"),
            (r"*a(*b|+c)**", "sa(sb|sc)*s"),
            (r"[]a-]x[^]]y[z", "CxCyc"),
            (r"^^a\/b\<", "Ea/bw"),
            (r"^TO_x^TOy^FROM_DAEMON", "TxtyF"),
            (r"\^TO", r"\TO"),
            (r"[+--]]", "C]"),
            (r"a\", "a\\"),
        ] {
            assert_eq!(shapes(pattern), expected, "{pattern}");
        }
    }
}

//! Text with quotes, variables and backquotes, as it stands in assignments, actions and lock names.

use std::borrow::Cow;

use super::Span;

/// Where a text stands, which decides what ends it and whether blanks split it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The value of an assignment: one word, ended by the first blank that is not quoted.
    Value,
    /// Folders, addresses, arguments: words up to the end of the line.
    Words,
    /// Behind the `$` of a condition: all of it, as if between double quotes.
    Quoted,
}

/// One piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Bytes that stand for themselves.
    Bytes(Vec<u8>),
    /// A quotation starts: there is a word, even if nothing comes.
    Quote,
    /// Blanks between words.
    Break,
    /// `$NAME`, `${NAME}`, `$1`, `$?` and kin.
    Variable {
        /// The name, or the one byte of a special variable.
        name: Vec<u8>,
        /// Between double quotes, where blanks do not split.
        quoted: bool,
    },
    /// `$\NAME`: the value with what is special in a regular expression escaped.
    Escaped {
        /// The name.
        name: Vec<u8>,
    },
    /// `${NAME-…}`, `${NAME:-…}`, `${NAME+…}`, `${NAME:+…}`. The parts of the alternative follow.
    Alternative {
        /// The name.
        name: Vec<u8>,
        /// With a colon: an empty value counts as unset.
        empty_is_unset: bool,
        /// With `+`: the alternative is for a variable that is set.
        if_set: bool,
        /// Between double quotes.
        quoted: bool,
        /// The part behind the alternative.
        end: usize,
    },
    /// A command between backquotes.
    Command {
        /// What is between them, with `\` already taken from what it quoted.
        command: Vec<u8>,
        /// Between double quotes, where blanks do not split.
        quoted: bool,
    },
    /// A `${…}` that procmail cannot make sense of.
    BadSubstitution(Vec<u8>),
    /// A quotation that is never closed.
    UnexpectedEnd,
}

/// Whether a text is one that is evaluated. Procmail reads what it skips a little differently: between double quotes, a
/// double quote that ends backquotes ends the quotation as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Evaluated,
    Skipped,
}

/// A parsed text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text {
    /// Where it stands in its source.
    pub span: Span,
    /// What it consists of.
    pub parts: Vec<Part>,
}

impl Text {
    /// Its bytes, with a space between words, if it has no variables and no commands.
    pub fn literal(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for part in &self.parts {
            match part {
                Part::Bytes(more) => bytes.extend_from_slice(more),
                Part::Quote => {}
                Part::Break => bytes.push(b' '),
                _ => return None,
            }
        }
        Some(bytes)
    }

    /// Its words, if they stand there as they are, on at most so many bytes.
    pub(crate) fn literal_words(&self, most: usize) -> Option<impl Iterator<Item = &[u8]>> {
        let parts = self.parts.as_slice();
        let joins = |pair: &[Part]| matches!(pair, [Part::Bytes(_), Part::Bytes(_)]);
        let stands = |part: &Part| matches!(part, Part::Bytes(_) | Part::Break);
        if self.span.end - self.span.start > most || !parts.iter().all(stands) || parts.windows(2).any(joins)
        {
            return None;
        }
        Some(parts.iter().filter_map(|part| match part {
            Part::Bytes(bytes) if !bytes.is_empty() => Some(bytes.as_slice()),
            _ => None,
        }))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    None,
    Single,
    Double,
}

struct Brace {
    part: usize,
    quoted: bool,
}

struct Lexer<'a> {
    source: &'a [u8],
    mode: Mode,
    at: usize,
    parts: Vec<Part>,
    quotes: Quotes,
    braces: Vec<Brace>,
    /// Whether there is more than alternatives of variables.
    started: bool,
    reading: Reading,
    /// Whether the other reading could differ.
    ambiguous: bool,
}

/// Reads a text from `source` at `start`. The end of its span is the first byte that does not belong to it.
pub fn parse_text(source: &[u8], start: usize, mode: Mode) -> Text {
    read_text(source, start, mode, Reading::Evaluated, Vec::new()).0
}

/// Reads a text behind parts that are known already, and tells whether it would be read otherwise if it were skipped.
pub(super) fn read_text(
    source: &[u8],
    start: usize,
    mode: Mode,
    reading: Reading,
    parts: Vec<Part>,
) -> (Text, bool) {
    let quotes = if mode == Mode::Quoted { Quotes::Double } else { Quotes::None };
    let mut lexer = Lexer {
        source,
        mode,
        at: start,
        parts,
        quotes,
        braces: Vec::new(),
        started: false,
        reading,
        ambiguous: false,
    };
    lexer.run();
    (Text { span: Span { start, end: lexer.at }, parts: lexer.parts }, lexer.ambiguous)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

impl Lexer<'_> {
    fn peek(&self) -> Option<u8> {
        self.source.get(self.at).copied()
    }

    fn byte(&mut self, byte: u8) {
        match self.parts.last_mut() {
            // The alternative of a variable may end right before the last part.
            Some(Part::Bytes(bytes)) => bytes.push(byte),
            _ => self.parts.push(Part::Bytes(vec![byte])),
        }
    }

    fn run(&mut self) {
        let (mode, start) = (self.mode, self.at);
        let mut in_word = false;
        while let Some(byte) = self.peek() {
            if self.quotes == Quotes::None && mode != Mode::Quoted {
                match byte {
                    b' ' | b'\t' if mode == Mode::Words => {
                        self.at += 1;
                        if in_word {
                            self.parts.push(Part::Break);
                        }
                        in_word = false;
                        continue;
                    }
                    // Blanks before anything of the value has come, as in `${NAME:- x}` or behind a continued line, are
                    // passed over.
                    b' ' | b'\t' if mode == Mode::Value && !self.started && self.at > start => {
                        self.at += 1;
                        continue;
                    }
                    b'\n' | b' ' | b'\t' => break,
                    b'#' if !in_word || (mode == Mode::Value && !self.started) => {
                        if mode == Mode::Words {
                            self.at += self.rest_of_line();
                        }
                        break;
                    }
                    _ => {}
                }
            }
            // A continued line begins no word.
            in_word |= byte != b'\\' || self.source.get(self.at + 1) != Some(&b'\n');
            self.at += 1;
            match (self.quotes, byte) {
                (Quotes::None, b'\'') => {
                    self.quotes = Quotes::Single;
                    self.parts.push(Part::Quote);
                }
                (Quotes::Single, b'\'') => self.quotes = Quotes::None,
                (Quotes::Single, _) => self.byte(byte),
                (_, b'"') if !self.braces.last().is_some_and(|brace| brace.quoted) => {
                    if self.quotes == Quotes::Double {
                        self.quotes = Quotes::None;
                    } else {
                        self.quotes = Quotes::Double;
                        self.parts.push(Part::Quote);
                    }
                }
                (_, b'\\') => self.backslash(),
                (_, b'$') => self.dollar(),
                (_, b'`') => self.command(),
                (quotes, b'}') if self.closes_brace(quotes) => {
                    let end = self.parts.len();
                    let brace = self.braces.pop().expect("closes_brace saw one");
                    if let Part::Alternative { end: to, .. } = &mut self.parts[brace.part] {
                        *to = end;
                    }
                    // Keeps what follows apart from the alternative.
                    self.parts.push(Part::Bytes(Vec::new()));
                }
                _ => self.byte(byte),
            }
            self.started |= match self.parts.last() {
                None | Some(Part::Alternative { .. }) => false,
                Some(Part::Bytes(bytes)) => !bytes.is_empty(),
                Some(_) => true,
            };
        }
        // What is never closed stays, whatever the variable is.
        for brace in std::mem::take(&mut self.braces) {
            self.parts[brace.part] = Part::Bytes(Vec::new());
        }
        if self.quotes != Quotes::None && mode != Mode::Quoted {
            self.parts.push(Part::UnexpectedEnd);
        }
    }

    fn rest_of_line(&self) -> usize {
        let rest = &self.source[self.at..];
        memchr::memchr(b'\n', rest).unwrap_or(rest.len())
    }

    fn closes_brace(&self, quotes: Quotes) -> bool {
        self.braces.last().is_some_and(|brace| match quotes {
            Quotes::None => !brace.quoted,
            Quotes::Double => brace.quoted,
            Quotes::Single => false,
        })
    }

    fn backslash(&mut self) {
        let Some(next) = self.peek() else {
            if self.mode == Mode::Quoted {
                self.parts.push(Part::UnexpectedEnd);
            } else {
                self.byte(b'\\');
            }
            return;
        };
        if next == b'\n' {
            self.at += 1;
            return;
        }
        let in_brace = self.braces.last().is_some_and(|brace| brace.quoted);
        let plain = self.quotes == Quotes::Double
            && !matches!(next, b'"' | b'\\' | b'$' | b'`')
            && !(in_brace && next == b'}');
        if plain {
            self.byte(b'\\');
        } else {
            self.at += 1;
            self.byte(next);
        }
    }

    fn name(&mut self) -> Vec<u8> {
        let start = self.at;
        while self.peek().is_some_and(is_name) {
            self.at += 1;
        }
        self.source[start..self.at].to_vec()
    }

    fn dollar(&mut self) {
        let quoted = self.quotes == Quotes::Double;
        match self.peek() {
            Some(b'{') => {
                self.at += 1;
                self.braced(quoted);
            }
            Some(b'\\') if self.source.get(self.at + 1).copied().is_some_and(is_name) => {
                self.at += 1;
                let name = self.name();
                self.parts.push(Part::Escaped { name });
            }
            Some(b'@') if quoted => {
                self.at += 1;
                self.parts.push(Part::Variable { name: b"@".to_vec(), quoted });
            }
            // The dollar is eaten.
            Some(b'@') => {}
            // Names that begin with an underscore need braces.
            Some(byte)
                if byte.is_ascii_digit() || matches!(byte, b'#' | b'$' | b'?' | b'-' | b'=' | b'_') =>
            {
                self.special(quoted);
            }
            Some(byte) if is_name(byte) => {
                let name = self.name();
                self.parts.push(Part::Variable { name, quoted });
            }
            _ => self.byte(b'$'),
        }
    }

    fn special(&mut self, quoted: bool) {
        let name = vec![self.source[self.at]];
        self.at += 1;
        self.parts.push(Part::Variable { name, quoted });
    }

    fn braced(&mut self, quoted: bool) {
        let mut name = self.name();
        if name == b"_" {
            // Between braces it is no special variable, and no other can be called so.
            name.clear();
        }
        let valid = !name.first().is_some_and(u8::is_ascii_digit) || name.len() == 1;
        let operator = self.peek();
        if operator.is_some() {
            self.at += 1;
        }
        match operator {
            Some(b'}') if valid => {
                if !name.is_empty() {
                    self.parts.push(Part::Variable { name, quoted });
                }
            }
            Some(b'-' | b'+') if valid => self.alternative(name, false, operator == Some(b'+'), quoted),
            Some(b':') if valid => {
                let operator = self.peek();
                if operator.is_some() {
                    self.at += 1;
                }
                match operator {
                    Some(b'-' | b'+') => self.alternative(name, true, operator == Some(b'+'), quoted),
                    _ => self.parts.push(Part::BadSubstitution(name)),
                }
            }
            _ => self.parts.push(Part::BadSubstitution(name)),
        }
    }

    fn alternative(&mut self, name: Vec<u8>, empty_is_unset: bool, if_set: bool, quoted: bool) {
        if !quoted && (self.mode == Mode::Words || self.parts.is_empty()) {
            self.at += self.source[self.at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        }
        self.braces.push(Brace { part: self.parts.len(), quoted });
        self.parts.push(Part::Alternative { name, empty_is_unset, if_set, quoted, end: 0 });
    }

    fn command(&mut self) {
        let quoted = self.quotes == Quotes::Double;
        let mut command = Vec::new();
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'`' => break,
                b'"' if quoted => {
                    self.ambiguous = true;
                    if self.reading == Reading::Skipped {
                        self.quotes = Quotes::None;
                    }
                    break;
                }
                b'\\' => match self.peek() {
                    Some(b'\n') => self.at += 1,
                    Some(next @ (b'\\' | b'$' | b'`')) => {
                        self.at += 1;
                        command.push(next);
                    }
                    Some(b'"') if quoted => {
                        self.at += 1;
                        command.push(b'"');
                    }
                    _ => command.push(b'\\'),
                },
                _ => command.push(byte),
            }
        }
        self.parts.push(Part::Command { command, quoted });
    }
}

/// A text whose continued lines are joined, and whose lines have lost their indentation.
pub(crate) fn joined(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'\n') {
        return Cow::Borrowed(text);
    }
    let mut lines = text.split(|&byte| byte == b'\n');
    let mut before = lines.next().unwrap_or_default();
    let mut out = before.to_vec();
    out.reserve(text.len() - before.len());
    for line in lines {
        if before.ends_with(b"\\") {
            out.pop();
        } else {
            out.push(b'\n');
        }
        let blanks = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        out.extend_from_slice(&line[blanks..]);
        before = line;
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(source: &str) -> (Vec<Part>, usize) {
        let text = parse_text(source.as_bytes(), 0, Mode::Value);
        (text.parts, text.span.end)
    }

    #[test]
    fn a_value_ends_at_the_first_blank_that_is_not_quoted() {
        for (source, end) in [
            ("${A:- b} c", 8),
            ("${A:-} c", 8),
            ("${A:- b c}", 7),
            ("\\\n  b c", 5),
            ("\\\n#b", 2),
            ("${A:-#b}", 5),
            ("a b", 1),
            ("'a b' c", 5),
            ("\"a b\"", 5),
            ("a\\ b c", 4),
            ("a#b # c", 3),
            ("# c", 0),
        ] {
            assert_eq!(value(source).1, end, "{source}");
        }
    }

    #[test]
    fn literal_texts_lose_their_quotes() {
        for (source, literal) in [
            ("\"a\"'b'c\\d", "abcd"),
            ("\"q\\\"q \\\\ \\$A \\n \\'\"", "q\"q \\ $A \\n \\'"),
            ("one\\\ntwo", "onetwo"),
        ] {
            let text = parse_text(source.as_bytes(), 0, Mode::Value);
            assert_eq!(text.literal().as_deref(), Some(literal.as_bytes()), "{source}");
        }
    }

    #[test]
    fn joined_lines_lose_their_backslashes_and_their_indentation() {
        for (text, expected) in [
            ("a\\\n  b", "ab"),
            ("a\\\n\n\tb", "a\nb"),
            ("a\\\\\n\nb", "a\\\nb"),
            ("a\\\n \\\nb", "ab"),
            ("\n b\n", "\nb\n"),
        ] {
            assert_eq!(&*joined(text.as_bytes()), expected.as_bytes(), "{text}");
        }
    }

    #[test]
    fn an_alternative_that_is_not_closed_stays_whatever_the_variable_is() {
        for (source, literal, end) in [("${A-b c}", "b", 5), ("${A+\"b}\"", "b}", 8), ("${A-  b", "b", 7)] {
            let text = parse_text(source.as_bytes(), 0, Mode::Value);
            assert_eq!(text.literal().as_deref(), Some(literal.as_bytes()), "{source}");
            assert_eq!(text.span.end, end, "{source}");
        }
    }

    #[test]
    fn between_braces_stand_names_and_one_digit() {
        for (source, bad) in [("${#}", ""), ("${?}", ""), ("${12}", "12"), ("${A%b}", "A")] {
            assert!(value(source).0.contains(&Part::BadSubstitution(bad.as_bytes().to_vec())), "{source}");
        }
        let special = Part::Variable { name: b"_".to_vec(), quoted: false };
        assert_eq!(value("$_A").0, [special, Part::Bytes(b"A".to_vec())]);
        assert_eq!(value("${_A}").0, [Part::Variable { name: b"_A".to_vec(), quoted: false }]);
        assert_eq!(value("${1}").0[0], Part::Variable { name: b"1".to_vec(), quoted: false });
    }

    #[test]
    fn a_double_quote_ends_a_command_between_double_quotes() {
        let (parts, end) = value("\"x`echo \"$M\" | wc`\"");
        assert_eq!(end, 12);
        assert!(parts.contains(&Part::Command { command: b"echo ".to_vec(), quoted: true }));
        assert!(parts.contains(&Part::Variable { name: b"M".to_vec(), quoted: true }));
    }
}

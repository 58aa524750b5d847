//! From lines to items, with procmail's own tolerance.

use std::borrow::Cow;

use super::text::{Mode, Part, Reading, Text, joined, read_text};
use super::{Action, Assignment, Capture, Condition, Item, Recipe, Span};

/// Stands for a block that was opened before the text at hand.
const OPENED_BEFORE: usize = usize::MAX;

/// Reads items from `start` on, with so many blocks open. Also tells whether some would be read otherwise if skipped.
pub(super) fn items(source: &[u8], start: usize, open: usize) -> (Vec<Item>, bool) {
    let mut parser = Parser::new(source, start, Reading::Evaluated);
    parser.open = vec![OPENED_BEFORE; open];
    parser.run();
    (parser.items, parser.ambiguous)
}

/// What a block has that is skipped, if it starts at `start`, and where it ends: behind its `}`, or at the end.
pub(super) fn skipped_block(source: &[u8], start: usize) -> (Vec<Item>, usize) {
    let mut parser = Parser::new(source, start, Reading::Skipped);
    parser.open.push(OPENED_BEFORE);
    parser.one_block = true;
    parser.run();
    (parser.items, parser.at)
}

struct Parser<'a> {
    source: &'a [u8],
    at: usize,
    items: Vec<Item>,
    /// The recipes whose blocks are open.
    open: Vec<usize>,
    reading: Reading,
    ambiguous: bool,
    /// Whether to end with the first block.
    one_block: bool,
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

impl<'a> Parser<'a> {
    fn new(source: &'a [u8], at: usize, reading: Reading) -> Self {
        Self { source, at, items: Vec::new(), open: Vec::new(), reading, ambiguous: false, one_block: false }
    }

    fn text(&mut self, mode: Mode) -> Text {
        let (text, ambiguous) = read_text(self.source, self.at, mode, self.reading, Vec::new());
        self.ambiguous |= ambiguous;
        self.at = text.span.end;
        text
    }

    fn peek(&self) -> Option<u8> {
        self.source.get(self.at).copied()
    }

    fn line_end(&self) -> usize {
        memchr::memchr(b'\n', &self.source[self.at..]).map_or(self.source.len(), |offset| self.at + offset)
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(is_blank) {
            self.at += 1;
        }
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| is_blank(byte) || byte == b'\n') {
            self.at += 1;
        }
    }

    fn rest_of_line(&mut self) -> Span {
        let span = Span { start: self.at, end: self.line_end() };
        self.at = span.end;
        span
    }

    fn run(&mut self) {
        loop {
            self.skip_space();
            let start = self.at;
            match self.peek() {
                None => break,
                Some(b'#') => {
                    let span = self.rest_of_line();
                    self.items.push(Item::Comment(span));
                }
                Some(b':') => self.recipe(),
                Some(b'}') => {
                    self.at += 1;
                    let span = Span { start, end: self.at };
                    match self.open.pop() {
                        None => self.items.push(Item::UnexpectedClose(span)),
                        Some(recipe) => {
                            self.closes(recipe);
                            self.items.push(Item::Close(span));
                            if self.one_block && self.open.is_empty() {
                                return;
                            }
                        }
                    }
                }
                Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => self.assignment(),
                Some(_) => {
                    let span = self.rest_of_line();
                    self.items.push(Item::Skipped(span));
                }
            }
        }
        if !self.open.is_empty() {
            for recipe in std::mem::take(&mut self.open) {
                self.closes(recipe);
            }
            self.items.push(Item::MissingClose(Span { start: self.at, end: self.at }));
        }
    }

    fn closes(&mut self, recipe: usize) {
        let here = self.items.len();
        if let Some(Item::Recipe(recipe)) = self.items.get_mut(recipe)
            && let Action::Block { close } = &mut recipe.action
        {
            *close = here;
        }
    }

    fn name(&mut self) -> Vec<u8> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            self.at += 1;
        }
        self.source[start..self.at].to_vec()
    }

    fn assignment(&mut self) {
        let start = self.at;
        let name = self.name();
        let name_end = self.at;
        self.skip_blanks();
        match self.peek() {
            Some(b'=') => {
                self.at += 1;
                self.skip_blanks();
                let value = self.text(Mode::Value);
                let span = Span { start, end: self.at };
                self.items.push(Item::Assignment(Assignment { span, name, value }));
            }
            // A name that nothing follows is none.
            byte if self.at == name_end && byte != Some(b'\n') => {
                self.items.push(Item::Skipped(Span { start, end: name_end }));
            }
            _ => self.items.push(Item::Removal { span: Span { start, end: name_end }, name }),
        }
    }

    fn recipe(&mut self) {
        let start = self.at;
        self.at += 1;
        let head = self.text(Mode::Words);
        let mut unstarred = unstarred_conditions(&self.source[head.span.start..head.span.end]);
        let mut conditions = Vec::new();
        let mut comments = Vec::new();
        let mut after_empty_line = false;
        // The end of the line of the head.
        if self.peek() == Some(b'\n') {
            self.at += 1;
        }
        let action = loop {
            self.skip_blanks();
            match self.peek() {
                // Whatever comes is one then, an empty line or the end as well.
                next if unstarred > 0 && next != Some(b'*') => {
                    unstarred = if next.is_none() { unstarred.min(MOST_AT_END) } else { unstarred } - 1;
                    after_empty_line = false;
                    conditions.push(self.condition(false));
                }
                None => break Action::Incomplete,
                Some(b'\n') => {
                    self.at += 1;
                    after_empty_line = true;
                }
                Some(b'#') => {
                    comments.push(self.rest_of_line());
                    self.at = (self.at + 1).min(self.source.len());
                }
                Some(b'*') => {
                    unstarred = unstarred.saturating_sub(1);
                    after_empty_line = false;
                    conditions.push(self.condition(true));
                }
                Some(b':') if after_empty_line => break Action::Missing,
                Some(_) => break self.action(),
            }
        };
        let block = matches!(action, Action::Block { .. });
        let span = Span { start, end: self.at };
        self.items.push(Item::Recipe(Box::new(Recipe { span, head, conditions, action, comments })));
        if block {
            self.open.push(self.items.len() - 1);
        }
    }

    /// A condition, up to and with the end of its line.
    fn condition(&mut self, starred: bool) -> Condition {
        let start = self.at;
        if starred {
            self.at += 1;
            self.skip_blanks();
        }
        let from = self.at;
        self.continued_lines();
        let mut lines = Cow::Borrowed(&self.source[from..self.at]);
        // The end of the file continues a line like the end of a line.
        if self.at == self.source.len() && lines.ends_with(b"\\") {
            lines.to_mut().push(b'\n');
        }
        let mut written = continued_text(&lines, true);
        self.at = (self.at + 1).min(self.source.len());
        while written.last().copied().is_some_and(is_blank) {
            written.pop();
        }
        let text = joined(&written).into_owned();
        let continued = (text != written).then_some(written);
        let end = self.at - usize::from(self.source.get(self.at.wrapping_sub(1)) == Some(&b'\n'));
        Condition { span: Span { start, end: end.max(start) }, text, continued }
    }

    fn action(&mut self) -> Action {
        match self.peek() {
            Some(b'!') => {
                self.at += 1;
                self.forward(None)
            }
            Some(b'|') => {
                self.at += 1;
                self.pipe(None)
            }
            Some(b'{')
                if self.source.get(self.at + 1).is_none_or(|&next| is_blank(next) || next == b'\n') =>
            {
                self.at += 1;
                Action::Block { close: usize::MAX }
            }
            _ => match self.capture() {
                Some(action) => action,
                None => Action::Folders(self.folders()),
            },
        }
    }

    fn capture(&mut self) -> Option<Action> {
        let start = self.at;
        let name = self.name();
        let name_end = self.at;
        self.skip_blanks();
        let blank_before_equals = self.at > name_end;
        if !name.is_empty() && self.peek() == Some(b'=') {
            self.at += 1;
            self.skip_blanks();
            let capture = Some(Capture { name, blank_before_equals });
            match self.peek() {
                Some(b'|') => {
                    self.at += 1;
                    return Some(self.pipe(capture));
                }
                Some(b'!') => {
                    self.at += 1;
                    return Some(self.forward(capture));
                }
                _ => {}
            }
        }
        self.at = start;
        None
    }

    /// Procmail reads what could be the start of a capture or a block first. Right behind it a comment can stand, as at the
    /// start of a word.
    fn folders(&mut self) -> Text {
        let start = self.at;
        let mut parts = Vec::new();
        let mut name = self.name();
        if name.first().is_some_and(|first| !first.is_ascii_digit()) {
            let name_end = self.at;
            self.skip_blanks();
            let apart = self.at > name_end;
            let equals = self.peek() == Some(b'=');
            if equals && !apart {
                name.push(b'=');
            }
            parts.push(Part::Bytes(name));
            if apart {
                parts.push(Part::Break);
            }
            if equals {
                self.at += 1;
                let behind = self.at;
                self.skip_blanks();
                if apart {
                    parts.push(Part::Bytes(b"=".to_vec()));
                }
                if self.at > behind {
                    parts.push(Part::Break);
                    // After the sign there is a word, even if nothing comes.
                    parts.extend(apart.then_some(Part::Quote));
                }
            }
        } else if name.is_empty() && self.peek() == Some(b'{') {
            self.at += 1;
            parts.push(Part::Bytes(b"{".to_vec()));
        } else {
            self.at = start;
        }
        let (mut text, ambiguous) = read_text(self.source, self.at, Mode::Words, self.reading, parts);
        self.ambiguous |= ambiguous;
        self.at = text.span.end;
        text.span.start = start;
        text
    }

    fn forward(&mut self, capture: Option<Capture>) -> Action {
        Action::Forward { capture, arguments: self.text(Mode::Words) }
    }

    fn pipe(&mut self, capture: Option<Capture>) -> Action {
        let start = self.at;
        self.continued_lines();
        let command = continued_text(&self.source[start..self.at], false);
        Action::Pipe { capture, span: Span { start, end: self.at }, command }
    }

    /// Goes to the end of a line and of those that continue it.
    fn continued_lines(&mut self) {
        loop {
            let end = self.line_end();
            let more = self.source[self.at..end].last() == Some(&b'\\') && end < self.source.len();
            self.at = end;
            if !more {
                break;
            }
            self.at += 1;
        }
    }
}

/// How many conditions that should have come are missed at the end of the file; more would only fill the log.
const MOST_AT_END: usize = 9;

/// Lines with what continues them. One with nothing but a backslash becomes an empty one, the first one only if it starts
/// there.
fn continued_text(written: &[u8], starts: bool) -> Vec<u8> {
    let mut text = Vec::with_capacity(written.len());
    for (number, line) in written.split_inclusive(|&byte| byte == b'\n').enumerate() {
        text.extend_from_slice(if (number > 0 || starts) && line == b"\\\n" { b"\n" } else { line });
    }
    text
}

/// How many conditions may lack their star: the number behind the colon, or one if there is none, or none behind `A a E e`.
fn unstarred_conditions(head: &[u8]) -> usize {
    let digits: Vec<u8> =
        head.iter().copied().skip_while(|&byte| is_blank(byte)).take_while(u8::is_ascii_digit).collect();
    if digits.is_empty() {
        let flags = head.split(|&byte| matches!(byte, b':' | b'#')).next().unwrap_or_default();
        return usize::from(!flags.iter().any(|flag| b"AaEe".contains(flag)));
    }
    digits.iter().fold(0usize, |sum, digit| sum.saturating_mul(10).saturating_add(usize::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::super::Rc;
    use super::*;

    fn kinds(source: &str) -> Vec<String> {
        let rc = Rc::parse(source.as_bytes().to_vec());
        let text = |span: &Span| String::from_utf8_lossy(rc.text(*span)).into_owned();
        rc.items()
            .iter()
            .map(|item| match item {
                Item::Comment(span) => text(span),
                Item::Assignment(assignment) => text(&assignment.span),
                Item::Removal { span, .. } => format!("-{}", text(span)),
                Item::Recipe(recipe) => format!("recipe {}", recipe.conditions.len()),
                Item::Close(_) => "close".to_owned(),
                Item::UnexpectedClose(_) => "unexpected".to_owned(),
                Item::MissingClose(_) => "missing".to_owned(),
                Item::Skipped(span) => format!("skipped {}", text(span)),
            })
            .collect()
    }

    #[test]
    fn what_follows_a_value_on_its_line_is_read_as_more_items() {
        assert_eq!(kinds("A=val X Z=zed # c\n"), ["A=val", "-X", "Z=zed", "# c"]);
    }

    #[test]
    fn garbage_is_skipped_as_procmail_skips_it() {
        assert_eq!(
            kinds("=foo\n12=13\na-b=c\n*\n{ X=1 }\nP}\nF=one \\\nG=two\n"),
            [
                "skipped =foo",
                "skipped 12=13",
                "skipped a",
                "skipped -b=c",
                "skipped *",
                "skipped { X=1 }",
                "skipped P",
                "unexpected",
                "F=one",
                "skipped \\",
                "G=two"
            ]
        );
    }

    #[test]
    fn blocks_know_where_they_end() {
        let rc = Rc::parse(b":0\n{ A=1 }\n:0\n{\nB=2\n".to_vec());
        let closes: Vec<usize> = rc
            .items()
            .iter()
            .filter_map(|item| match item {
                Item::Recipe(recipe) => match recipe.action {
                    Action::Block { close } => Some(close),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        assert_eq!(closes, [2, 5]);
        assert!(matches!(rc.items()[5], Item::MissingClose(_)));
    }

    #[test]
    fn old_style_counts_let_conditions_lack_their_star() {
        assert_eq!(kinds(":2\na\nb\nbox\n"), ["recipe 2"]);
        assert_eq!(kinds(":1B\na\nbox\nA=b"), ["recipe 1", "A=b"]);
        assert_eq!(kinds(":A\nbox\n"), ["recipe 0"]);
    }

    #[test]
    fn continued_conditions_lose_their_indentation() {
        let rc = Rc::parse(b":0\n* ^S:(a|\\\n   b \\\n  )  \nbox\n".to_vec());
        let Item::Recipe(recipe) = &rc.items()[0] else { panic!("a recipe") };
        assert_eq!(recipe.conditions[0].text, b"^S:(a|b )");
        assert_eq!(recipe.conditions[0].written(), b"^S:(a|\\\n   b \\\n  )");
    }

    #[test]
    fn comments_can_stand_where_a_capture_or_a_block_could_have_started() {
        for (action, words) in [
            ("ab#c d", "ab"),
            ("ab=#c d", "ab="),
            ("ab\\\n #c", "ab"),
            ("ab\\\n  c", "abc"),
            ("ab =#c", "ab|="),
            ("ab = #c", "ab|=|"),
            ("ab = c", "ab|=|c"),
            ("ab= c", "ab=|c"),
            ("ab=c#d", "ab=c#d"),
            ("a-b#c", "a-b#c"),
            ("1b#c", "1b#c"),
            ("{#c", "{"),
            ("{a#c", "{a#c"),
        ] {
            let rc = Rc::parse(format!(":0\n{action}\n").into_bytes());
            let Item::Recipe(recipe) = &rc.items()[0] else { panic!("a recipe") };
            let Action::Folders(folders) = &recipe.action else { panic!("folders") };
            let shown: Vec<u8> = folders
                .parts
                .iter()
                .flat_map(|part| match part {
                    Part::Bytes(bytes) => bytes.as_slice(),
                    Part::Break => b"|",
                    _ => b"",
                })
                .copied()
                .collect();
            assert_eq!(String::from_utf8(shown), Ok(words.to_owned()), "{action}");
        }
    }

    #[test]
    fn lines_with_only_a_backslash_are_empty_where_they_are_not_indented() {
        for (source, written, text) in [
            (":0\n* a\\\n\\\n  b\n", "a\\\n\n  b", "a\nb"),
            (":0\n* a\\\n  \\\n  b\n", "a\\\n  \\\n  b", "ab"),
            (":0\n*\\\na\n", "\na", "\na"),
            (":0\n* 1^0 \\\na \n", "1^0 \\\na", "1^0 a"),
            (":0\n* a \t\n", "a", "a"),
        ] {
            let rc = Rc::parse(source.as_bytes().to_vec());
            let Item::Recipe(recipe) = &rc.items()[0] else { panic!("a recipe") };
            assert_eq!(recipe.conditions[0].written(), written.as_bytes(), "{source}");
            assert_eq!(recipe.conditions[0].text, text.as_bytes(), "{source}");
        }
    }
}

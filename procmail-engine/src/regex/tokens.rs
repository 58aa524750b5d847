//! The pieces that the text of an expression consists of.

use super::set::ByteSet;

/// A piece of the expression.
#[derive(Debug, Clone, Copy)]
pub(super) enum Token {
    /// Starts an alternative. Whether another follows it, and whether nothing stands in it.
    Alternative {
        more: bool,
        empty: bool,
    },
    Item {
        what: Item,
        repeat: Repeat,
        last: bool,
    },
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    Set(usize),
    Edge,
    Mark,
    Group,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    Once,
    Optional,
    Any,
    Many,
}

pub(super) struct Tokens {
    pub(super) tokens: Vec<Token>,
    pub(super) sets: Vec<ByteSet>,
    fold: bool,
    open: Vec<Open>,
    pub(super) balanced: bool,
    pub(super) marks: bool,
    /// The number of the set of each byte that was met.
    literals: [Option<usize>; 256],
}

/// A group that is open, by places of tokens.
struct Open {
    alternative: usize,
    /// The last item of the alternative, and whether it may be repeated.
    last: Option<(usize, bool)>,
}

impl Tokens {
    pub(super) fn new(pattern: &[u8], fold: bool) -> Self {
        let (tokens, sets, open) = (Vec::new(), Vec::new(), Vec::new());
        let mut read = Self { tokens, sets, fold, open, balanced: true, marks: false, literals: [None; 256] };
        read.read(pattern);
        read
    }

    fn read(&mut self, pattern: &[u8]) {
        self.open_group();
        let mut at = 0;
        while let Some(&byte) = pattern.get(at) {
            let rest = &pattern[at + 1..];
            at += 1;
            match byte {
                b'(' => {
                    self.item(Item::Group);
                    self.open_group();
                }
                b')' => {
                    self.close_group();
                    if self.open.is_empty() {
                        // What follows a parenthesis that was never opened is not looked at.
                        self.balanced = false;
                        return;
                    }
                }
                b'|' => self.alternative(),
                b'*' => self.repeat(byte, Repeat::Any),
                b'+' => self.repeat(byte, Repeat::Many),
                b'?' => self.repeat(byte, Repeat::Optional),
                b'^' if rest.first() == Some(&b'^') => {
                    at += 1;
                    self.item(Item::Edge);
                }
                b'^' | b'$' => self.set(ByteSet::of(b'\n')),
                b'.' => self.set(ByteSet::of(b'\n').complement()),
                b'[' => {
                    let (set, used) = class(rest, self.fold);
                    at += used;
                    self.set(set);
                }
                b'\\' => match rest.first() {
                    None => self.literal(b'\\'),
                    Some(&escaped) => {
                        at += 1;
                        match escaped {
                            b'/' => {
                                self.marks = true;
                                self.item(Item::Mark);
                            }
                            b'<' | b'>' => self.set(ByteSet::word().complement()),
                            literal => self.literal(literal),
                        }
                    }
                },
                literal => self.literal(literal),
            }
        }
        while self.open.len() > 1 {
            self.balanced = false;
            self.close_group();
        }
        self.close_group();
    }

    fn open_group(&mut self) {
        self.open.push(Open { alternative: self.tokens.len(), last: None });
        self.tokens.push(Token::Alternative { more: false, empty: true });
    }

    fn close_group(&mut self) {
        self.end_alternative(false);
        self.open.pop();
        self.tokens.push(Token::Close);
    }

    fn alternative(&mut self) {
        self.end_alternative(true);
        let next = self.tokens.len();
        if let Some(open) = self.open.last_mut() {
            *open = Open { alternative: next, last: None };
        }
        self.tokens.push(Token::Alternative { more: false, empty: true });
    }

    fn end_alternative(&mut self, another: bool) {
        let Some(open) = self.open.last() else { return };
        if let Token::Alternative { more, empty } = &mut self.tokens[open.alternative] {
            *more = another;
            *empty = open.last.is_none();
        }
        if let Some((at, _)) = open.last
            && let Token::Item { last, .. } = &mut self.tokens[at]
        {
            *last = true;
        }
    }

    fn item(&mut self, what: Item) {
        if let Some(open) = self.open.last_mut() {
            open.last = Some((self.tokens.len(), true));
        }
        self.tokens.push(Token::Item { what, repeat: Repeat::Once, last: false });
    }

    /// Repeats the last item. Where there is nothing to repeat, or it is repeated already, the byte stands for itself.
    fn repeat(&mut self, byte: u8, how: Repeat) {
        match self.open.last_mut() {
            Some(Open { last: Some((at, repeatable @ true)), .. }) => {
                *repeatable = false;
                if let Token::Item { repeat, .. } = &mut self.tokens[*at] {
                    *repeat = how;
                }
            }
            _ => self.literal(byte),
        }
    }

    fn set(&mut self, set: ByteSet) {
        let number = self.number(set);
        self.item(Item::Set(number));
    }

    fn number(&mut self, set: ByteSet) -> usize {
        self.sets.iter().position(|known| *known == set).unwrap_or_else(|| {
            self.sets.push(set);
            self.sets.len() - 1
        })
    }

    fn literal(&mut self, byte: u8) {
        let number = self.literals[usize::from(byte)].unwrap_or_else(|| {
            let mut set = ByteSet::of(byte);
            if self.fold {
                set.fold();
            }
            self.number(set)
        });
        self.literals[usize::from(byte)] = Some(number);
        self.item(Item::Set(number));
    }
}

/// Reads a class behind its `[`. Gives the set and how many bytes it took, the `]` included; a class that is never closed
/// takes all.
fn class(text: &[u8], fold: bool) -> (ByteSet, usize) {
    let mut set = ByteSet::default();
    let negated = text.first() == Some(&b'^');
    let mut at = usize::from(negated);
    // The byte at which a range would start.
    let mut first = 0;
    if let Some(&byte @ (b']' | b'-')) = text.get(at) {
        set.insert(byte);
        first = byte;
        at += 1;
    }
    while let Some(&byte) = text.get(at) {
        match (byte, text.get(at + 1)) {
            (b']', _) => break,
            (b'-', Some(&last)) if last != b']' => {
                for between in first..=last {
                    set.insert(between);
                }
                set.insert(last);
                first = last;
                at += 2;
            }
            _ => {
                set.insert(byte);
                first = byte;
                at += 1;
            }
        }
    }
    if fold {
        set.fold();
    }
    if negated {
        set.insert(b'\n');
        set = set.complement();
    }
    (set, (at + 1).min(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_read_as_procmail_reads_them() {
        for (class_text, members, used) in [
            ("a-c-e]x", "abcde", 6),
            ("]-a]", "]^_`a", 4),
            ("--b]", "-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`ab", 4),
            ("-]", "-", 2),
            ("d-b]", "bd", 4),
            ("a-]", "-a", 3),
            ("ab", "ab", 2),
            ("a-", "-a", 2),
            ("]", "]", 1),
            ("\\d]", "\\d", 3),
        ] {
            let (set, length) = class(class_text.as_bytes(), false);
            let found: String = (0..=255u8).filter(|&byte| set.contains(byte)).map(char::from).collect();
            assert_eq!((found.as_str(), length), (members, used), "[{class_text}");
        }
    }
}

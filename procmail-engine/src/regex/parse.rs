//! From the text of an expression to a small program for the automaton.
//!
//! The text is cut into tokens first, which tell what stands behind each; then the program is laid out as procmail lays
//! it out, since some of what it finds depends on that: a `\/` goes on at the instruction laid out behind it, even if
//! that belongs to another alternative, and of two ways the first counts.
//!
//! Works from left to right with a stack of open groups, so that no nesting can exhaust the call stack, and adds at most
//! three instructions for each byte of the expression.

use super::automaton::Closure;
use super::circles;
use super::needed;
use super::set::ByteSet;

/// One instruction of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inst {
    /// Go on at the other instruction.
    Jump(usize),
    /// Go on at both: at the one behind this, and, less preferred, at another.
    Fork(usize, usize),
    /// Consume one byte that is in the set of this number.
    Bytes(usize, usize),
    /// `^^`: at the very start of the text, before anything is consumed; or at its very end, with nothing behind it.
    Edge(usize),
    /// The `\/` that starts what `MATCH` gets; goes on at the one behind this.
    Mark(usize),
    /// The expression has matched.
    Accept,
}

/// A parsed expression.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) insts: Vec<Inst>,
    pub(super) sets: Vec<ByteSet>,
    pub(super) start: usize,
    /// Whether procmail follows an address that is none when it compiles this.
    pub(super) strays: bool,
}

impl Program {
    /// How many bytes the program of an expression of such a length can take.
    pub(super) fn most_bytes(length: usize) -> usize {
        length.saturating_mul(3 * size_of::<Inst>() + size_of::<ByteSet>())
    }

    /// Whether what stands at `at` is the end of the expression, with nothing between.
    pub(super) fn ends_at(&self, at: usize) -> bool {
        self.insts[at] == Inst::Accept
    }
}

/// What is known of an expression before its program is.
#[derive(Debug)]
pub(super) struct Outline {
    pub(super) balanced: bool,
    pub(super) marks: bool,
    /// Strings that stand in each match; their letters are lower case if case is folded.
    pub(super) needed: Vec<Vec<u8>>,
}

pub(super) fn outline(pattern: &[u8], fold: bool) -> Outline {
    let tokens = Tokens::new(pattern, fold);
    let needed = needed::strings(&tokens.tokens, &tokens.sets, fold);
    Outline { balanced: tokens.balanced, marks: tokens.marks, needed }
}

pub(super) fn parse(pattern: &[u8], fold: bool) -> Program {
    let (mut program, _) = lay_out(pattern, fold);
    program.strays = circles::open_up(&mut program.insts);
    program
}

/// Whether the ways through the program of an expression are those that its text says. Takes time quadratic in its length.
pub(super) fn is_as_written(pattern: &[u8], fold: bool) -> bool {
    let (mut written, marks) = lay_out(pattern, fold);
    for (at, next) in marks {
        written.insts[at] = Inst::Jump(next);
    }
    let program = parse(pattern, fold);
    let (mut one, mut other) = (Closure::new(&program), Closure::new(&program));
    let mut same = |at: usize, next: usize| {
        let sorted = |program: &Program, closure: &mut Closure, from: usize| {
            let mut found = closure.reach(program, &[from]).to_vec();
            found.sort_unstable();
            found
        };
        sorted(&program, &mut one, at) == sorted(&written, &mut other, next)
    };
    let pairs = program.insts.iter().zip(&written.insts);
    same(program.start, written.start)
        && pairs.into_iter().all(|pair| match pair {
            (Inst::Bytes(_, at) | Inst::Edge(at), Inst::Bytes(_, next) | Inst::Edge(next)) => {
                same(*at, *next)
            }
            _ => true,
        })
}

/// The program before circles are opened, and its marks with where each should go on.
fn lay_out(pattern: &[u8], fold: bool) -> (Program, Vec<(usize, usize)>) {
    let tokens = Tokens::new(pattern, fold);
    let mut layout = Layout { insts: Vec::new(), labels: vec![0], open: Vec::new(), marks: Vec::new() };
    layout.lay_out(&tokens.tokens);
    let (insts, marks) = layout.finish();
    let program = Program { insts, sets: tokens.sets, start: 0, strays: false };
    (program, marks)
}

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

struct Tokens {
    tokens: Vec<Token>,
    sets: Vec<ByteSet>,
    fold: bool,
    open: Vec<Open>,
    balanced: bool,
    marks: bool,
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
    fn new(pattern: &[u8], fold: bool) -> Self {
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

/// Lays out the program. Until it is done, instructions name labels rather than places.
struct Layout {
    insts: Vec<Inst>,
    /// The place of each label; the first is the end of the program.
    labels: Vec<usize>,
    open: Vec<Around>,
    /// The marks, each with the label at which the text says that it goes on.
    marks: Vec<(usize, usize)>,
}

const END: usize = 0;

/// What is to be done around an item, or around all.
struct Around {
    /// Where what is inside goes on.
    inside: usize,
    /// Where the next alternative starts, if a fork leads there.
    alternative: Option<usize>,
    repeat: Repeat,
    start: usize,
    behind: usize,
    last: bool,
}

impl Layout {
    fn lay_out(&mut self, tokens: &[Token]) {
        self.open.push(Around {
            inside: END,
            alternative: None,
            repeat: Repeat::Once,
            start: END,
            behind: END,
            last: true,
        });
        for token in tokens {
            match *token {
                Token::Alternative { more, empty } => self.alternative(more, empty),
                Token::Item { what, repeat, last } => {
                    let around = self.before(repeat, last);
                    let next = around.inside;
                    let behind = self.insts.len() + 1;
                    match what {
                        Item::Set(number) => self.insts.push(Inst::Bytes(number, next)),
                        Item::Edge => self.insts.push(Inst::Edge(next)),
                        Item::Mark => {
                            self.marks.push((behind - 1, next));
                            self.insts.push(Inst::Mark(behind));
                        }
                        Item::Group => {
                            self.open.push(around);
                            continue;
                        }
                    }
                    self.behind(&around);
                }
                Token::Close => {
                    if let Some(around) = self.open.pop() {
                        self.behind(&around);
                    }
                }
            }
        }
    }

    /// With the places of the labels: the program, and the marks.
    fn finish(mut self) -> (Vec<Inst>, Vec<(usize, usize)>) {
        self.labels[END] = self.insts.len();
        let labels = &self.labels;
        for inst in &mut self.insts {
            match inst {
                Inst::Jump(label) | Inst::Fork(_, label) | Inst::Bytes(_, label) | Inst::Edge(label) => {
                    *label = labels[*label];
                }
                Inst::Mark(_) | Inst::Accept => {}
            }
        }
        for (_, label) in &mut self.marks {
            *label = labels[*label];
        }
        self.insts.push(Inst::Accept);
        (self.insts, self.marks)
    }

    fn label(&mut self) -> usize {
        self.labels.push(usize::MAX);
        self.labels.len() - 1
    }

    fn bind(&mut self, label: usize) {
        self.labels[label] = self.insts.len();
    }

    fn fork(&mut self, label: usize) {
        self.insts.push(Inst::Fork(self.insts.len() + 1, label));
    }

    fn alternative(&mut self, more: bool, empty: bool) {
        let next = self.label();
        let Some(group) = self.open.last_mut() else { return };
        let inside = group.inside;
        let this = group.alternative.take();
        group.alternative = (more && !empty).then_some(next);
        if let Some(this) = this {
            self.bind(this);
        }
        match (more, empty) {
            (true, true) => self.fork(inside),
            (true, false) => self.fork(next),
            (false, true) => self.insts.push(Inst::Jump(inside)),
            (false, false) => {}
        }
    }

    /// What stands before an item.
    fn before(&mut self, repeat: Repeat, last: bool) -> Around {
        let outside = self.open.last().map_or(END, |group| group.inside);
        let behind = self.label();
        let start = self.label();
        self.bind(start);
        let exit = if last { outside } else { behind };
        let inside = match repeat {
            Repeat::Once => exit,
            Repeat::Optional => {
                self.fork(exit);
                exit
            }
            Repeat::Any => {
                self.fork(exit);
                start
            }
            Repeat::Many => self.label(),
        };
        Around { inside, alternative: None, repeat, start, behind, last }
    }

    /// What stands behind it.
    fn behind(&mut self, around: &Around) {
        if around.repeat == Repeat::Many {
            self.bind(around.inside);
            self.fork(around.start);
            if around.last {
                let outside = self.open.last().map_or(END, |group| group.inside);
                self.insts.push(Inst::Jump(outside));
            }
        }
        if around.behind != END {
            self.bind(around.behind);
        }
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

    #[test]
    fn what_is_lost_or_mislaid_is_not_as_written() {
        for pattern in ["(a*|)b*", "x(a?())+b", r"(a\/|b)c", r"(a\/)*b"] {
            assert!(!is_as_written(pattern.as_bytes(), true), "{pattern}");
        }
        for pattern in ["(a||b)+", "(a*)*b", r"(\/a|b)c", r"a\/b*", "(^a|$)+", ""] {
            assert!(is_as_written(pattern.as_bytes(), true), "{pattern}");
        }
    }
}

//! From the text of an expression to a small program for the automaton.
//!
//! Works from left to right with a stack of open groups, so that no nesting can exhaust the call stack, and adds at most
//! three instructions for each byte of the expression.

use super::needed::Literals;
use super::set::ByteSet;

/// One instruction of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inst {
    /// Go on at the other instruction; `usize::MAX` while not yet known.
    Jump(usize),
    /// Go on at both, the first preferred.
    Fork(usize, usize),
    /// Behind what stands before a `+`: go on behind it, or, less preferred, once more.
    Again(usize, usize),
    /// Consume one byte that is in the set of this number.
    Bytes(usize, usize),
    /// An empty group: goes on, but stands between what is before and what is behind it.
    Empty(usize),
    /// `^^`: at the very start of the text, before anything is consumed; or at its very end, with nothing behind it.
    Edge(usize),
    /// The `\/` that starts what `MATCH` gets.
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
    pub(super) balanced: bool,
    pub(super) marks: bool,
    /// Strings that stand in each match; their letters are lower case if case is folded.
    pub(super) needed: Vec<Vec<u8>>,
}

impl Program {
    /// How many bytes it takes, about.
    pub(super) fn size(&self) -> usize {
        let needed: usize = self.needed.iter().map(Vec::capacity).sum();
        needed + self.insts.capacity() * size_of::<Inst>() + self.sets.capacity() * size_of::<ByteSet>()
    }

    /// Whether what stands at `at` is the end of the expression, with nothing between.
    pub(super) fn ends_at(&self, at: usize) -> bool {
        self.insts[self.resolve(at)] == Inst::Accept
    }

    /// The instruction to which the jumps at `at` lead.
    pub(super) fn resolve(&self, mut at: usize) -> usize {
        while let Inst::Jump(next) = self.insts[at] {
            at = next;
        }
        at
    }
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    start: usize,
    end: usize,
    /// The first of its instructions.
    first: usize,
}

#[derive(Debug, Default)]
struct Group {
    alternatives: Vec<Piece>,
    sequence: Option<Piece>,
    /// The last item of the sequence, as long as it may be repeated.
    last: Option<Piece>,
}

pub(super) fn parse(pattern: &[u8], fold: bool) -> Program {
    let mut parser = Parser {
        program: Program {
            insts: Vec::new(),
            sets: Vec::new(),
            start: 0,
            balanced: true,
            marks: false,
            needed: Vec::new(),
        },
        literals: Literals::new(fold),
        fold,
        mark: None,
    };
    parser.run(pattern);
    parser.program.needed = parser.literals.finish();
    parser.program
}

struct Parser {
    program: Program,
    literals: Literals,
    fold: bool,
    /// The last `\/`.
    mark: Option<usize>,
}

impl Parser {
    fn run(&mut self, pattern: &[u8]) {
        let mut stack: Vec<Group> = Vec::new();
        let mut group = Group::default();
        let mut at = 0;
        while let Some(&byte) = pattern.get(at) {
            let rest = &pattern[at + 1..];
            at += 1;
            match byte {
                b'(' => {
                    self.settle(&mut group);
                    self.literals.opened();
                    stack.push(std::mem::take(&mut group));
                }
                b')' => {
                    let piece = self.close(group);
                    self.literals.closed();
                    match stack.pop() {
                        Some(outer) => {
                            group = outer;
                            group.last = Some(piece);
                        }
                        None => {
                            // What follows a parenthesis that was never opened is not looked at.
                            self.program.balanced = false;
                            group = Group { last: Some(piece), ..Group::default() };
                            break;
                        }
                    }
                }
                b'|' => {
                    self.literals.alternative();
                    let piece = self.sequence(&mut group);
                    group.alternatives.push(piece);
                }
                b'*' | b'+' | b'?' if group.last.is_some() => {
                    if let Some(piece) = group.last.take() {
                        let repeated = self.repeat(piece, byte);
                        self.append(&mut group, repeated);
                    }
                }
                b'^' if rest.first() == Some(&b'^') => {
                    at += 1;
                    let piece = self.single(Inst::Edge);
                    self.item(&mut group, piece);
                }
                b'^' | b'$' => {
                    let piece = self.set(ByteSet::of(b'\n'));
                    self.item(&mut group, piece);
                }
                b'.' => {
                    let piece = self.set(ByteSet::of(b'\n').complement());
                    self.item(&mut group, piece);
                }
                b'[' => {
                    let (set, used) = class(rest, self.fold);
                    at += used;
                    let piece = self.set(set);
                    self.item(&mut group, piece);
                }
                b'\\' => {
                    let piece = match rest.first() {
                        None => self.set(ByteSet::of(b'\\')),
                        Some(&escaped) => {
                            at += 1;
                            match escaped {
                                b'/' => {
                                    self.program.marks = true;
                                    let piece = self.single(Inst::Mark);
                                    self.mark = Some(piece.start);
                                    piece
                                }
                                b'<' | b'>' => self.set(ByteSet::word().complement()),
                                literal => self.literal(literal),
                            }
                        }
                    };
                    self.item(&mut group, piece);
                }
                literal => {
                    let piece = self.literal(literal);
                    self.item(&mut group, piece);
                }
            }
        }
        let mut piece = self.close(group);
        while let Some(mut outer) = stack.pop() {
            self.program.balanced = false;
            self.append(&mut outer, piece);
            piece = self.close(outer);
        }
        let accept = self.push(Inst::Accept);
        self.program.insts[piece.end] = Inst::Jump(accept);
        self.program.start = piece.start;
    }

    fn push(&mut self, inst: Inst) -> usize {
        self.program.insts.push(inst);
        self.program.insts.len() - 1
    }

    fn open_end(&mut self) -> usize {
        self.push(Inst::Jump(usize::MAX))
    }

    fn single(&mut self, inst: fn(usize) -> Inst) -> Piece {
        self.literals.nothing();
        let end = self.open_end();
        Piece { start: self.push(inst(end)), end, first: end }
    }

    fn set(&mut self, set: ByteSet) -> Piece {
        self.literals.set(&set);
        let number = self.program.sets.iter().position(|known| *known == set).unwrap_or_else(|| {
            self.program.sets.push(set);
            self.program.sets.len() - 1
        });
        let end = self.open_end();
        Piece { start: self.push(Inst::Bytes(number, end)), end, first: end }
    }

    fn literal(&mut self, byte: u8) -> Piece {
        let mut set = ByteSet::of(byte);
        if self.fold {
            set.fold();
        }
        self.set(set)
    }

    fn item(&mut self, group: &mut Group, piece: Piece) {
        self.settle(group);
        group.last = Some(piece);
    }

    /// Moves the last item to the sequence: nothing repeats it any more.
    fn settle(&mut self, group: &mut Group) {
        if let Some(piece) = group.last.take() {
            self.append(group, piece);
        }
    }

    fn append(&mut self, group: &mut Group, piece: Piece) {
        group.sequence = Some(match group.sequence {
            None => piece,
            Some(before) => {
                self.program.insts[before.end] = Inst::Jump(piece.start);
                Piece { end: piece.end, ..before }
            }
        });
    }

    fn sequence(&mut self, group: &mut Group) -> Piece {
        self.settle(group);
        group.sequence.take().unwrap_or_else(|| self.single(Inst::Empty))
    }

    fn close(&mut self, mut group: Group) -> Piece {
        let last = self.sequence(&mut group);
        let mut whole = last;
        for piece in group.alternatives.into_iter().rev() {
            let end = self.open_end();
            self.program.insts[piece.end] = Inst::Jump(end);
            self.program.insts[whole.end] = Inst::Jump(end);
            whole = Piece { start: self.push(Inst::Fork(piece.start, whole.start)), end, first: piece.first };
        }
        whole
    }

    fn repeat(&mut self, piece: Piece, how: u8) -> Piece {
        if self.program.insts[piece.start] == Inst::Mark(piece.end) {
            return piece;
        }
        if how == b'+' {
            self.literals.repeated()
        } else {
            self.literals.optional()
        }
        let end = self.open_end();
        // The order does not matter for what matches, but for what `MATCH` gets.
        let fork = if self.mark.is_some_and(|mark| mark >= piece.first) {
            // Kept apart from what follows it, so that the way over the mark counts for the way out.
            let over = self.push(Inst::Empty(piece.start));
            self.push(Inst::Again(over, end))
        } else {
            self.push(match how {
                b'+' => Inst::Again(end, piece.start),
                _ => Inst::Fork(end, piece.start),
            })
        };
        self.program.insts[piece.end] = Inst::Jump(if how == b'?' { end } else { fork });
        Piece { start: if how == b'+' { piece.start } else { fork }, end, first: piece.first }
    }
}

/// Reads a class behind its `[`. Gives the set and how many bytes it took, the `]` included; a class that is never closed
/// takes all.
fn class(text: &[u8], fold: bool) -> (ByteSet, usize) {
    let mut set = ByteSet::default();
    let mut at = 0;
    let negated = text.first() == Some(&b'^');
    if negated {
        at = 1;
    }
    let first = at;
    while let Some(&byte) = text.get(at) {
        if byte == b']' && at > first {
            break;
        }
        match (text.get(at + 1), text.get(at + 2)) {
            (Some(b'-'), Some(&last)) if last != b']' => {
                set.insert(byte);
                set.insert(last);
                for between in byte..=last {
                    set.insert(between);
                }
                at += 3;
            }
            _ => {
                set.insert(byte);
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

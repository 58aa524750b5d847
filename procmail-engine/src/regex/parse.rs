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
use super::layout;
use super::needed;
use super::set::ByteSet;
use super::tokens::Tokens;

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
    let (insts, marks) = layout::lay_out(&tokens.tokens);
    let program = Program { insts, sets: tokens.sets, start: 0, strays: false };
    (program, marks)
}

#[cfg(test)]
mod tests {
    use super::*;

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

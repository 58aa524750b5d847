//! What `MATCH` gets: left of `\/` the shortest, right of it the longest.
//!
//! All threads of the program run side by side over the text, each with the place where it passed `\/` last. The first
//! that accepts settles where `MATCH` starts; from there on only threads that passed `\/` at the same place go on, to find
//! the longest. Where several threads meet in one instruction, the first is kept: that is what the order of the forks is
//! for.

use super::parse::{Inst, Program};

type Mark = Option<usize>;

struct Run<'a> {
    program: &'a Program,
    /// What consumes the next byte, with the place of the mark.
    next: Vec<(usize, Mark)>,
    seen: Vec<bool>,
    stack: Vec<Way>,
    /// Where each match starts.
    base: Vec<bool>,
    /// Where the mark is in the match, and where the match ends.
    found: Option<(Mark, usize)>,
}

struct Way {
    inst: usize,
    mark: Mark,
    back: Back,
}

/// Whether a way leads back to what stands before a `+`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Back {
    No,
    /// It does.
    Yes,
    /// It does, and the mark comes right behind the `+`.
    BesideMark,
}

/// The part behind `\/` of the first match at or behind `from`, in bytes of the text; `None` if there is no match or it
/// passed no `\/`. Ends are at most one behind the text. Each byte behind the shortest match takes one of `patience`; without any,
/// the longest found so far does.
pub(super) fn marked(
    program: &Program,
    text: &[u8],
    from: usize,
    patience: &mut usize,
) -> Option<(usize, usize)> {
    let mut run = Run {
        program,
        next: Vec::new(),
        seen: vec![false; program.insts.len()],
        stack: Vec::new(),
        base: Vec::new(),
        found: None,
    };
    let ahead = from == 0 || text.get(from - 1) == Some(&b'\n');
    // Positions count the newline thought before the text: position 1 is the first byte.
    let mut at = if ahead { from } else { from + 1 };
    run.follow(program.start, None, at);
    run.base.clone_from(&run.seen);
    let mut threads = Vec::new();
    while at <= text.len() + 1 && !(run.found.is_some() && run.next.is_empty()) {
        match run.found {
            None => {}
            Some((None, _)) => return None,
            Some(_) if *patience == 0 => break,
            Some(_) => *patience -= 1,
        }
        std::mem::swap(&mut threads, &mut run.next);
        run.next.clear();
        run.seen.fill(false);
        let at_end = at == text.len() + 1;
        let byte = if at == 0 || at_end { b'\n' } else { text[at - 1] };
        for &(inst, mark) in &threads {
            if at_end && matches!(program.insts[inst], Inst::Edge(then) if program.ends_at(then)) {
                run.accept(mark, at);
            }
        }
        for &(inst, mark) in &threads {
            if run.found.is_some_and(|(of, _)| of != mark) {
                continue;
            }
            match program.insts[inst] {
                Inst::Bytes(set, then) if program.sets[set].contains(byte) => run.follow(then, mark, at + 1),
                Inst::Edge(then) if at == 0 => run.follow(then, mark, at + 1),
                _ => {}
            }
        }
        at += 1;
        if run.found.is_none() {
            run.follow(program.start, None, at);
        }
    }
    let (mark, end) = run.found?;
    // Behind the newline that is thought at the end there is nothing to give.
    let mark = mark.filter(|&mark| mark <= text.len() + 1)?;
    let clip = |position: usize| position.clamp(1, text.len() + 1) - 1;
    Some((clip(mark), clip(end).max(clip(mark))))
}

impl Run<'_> {
    fn accept(&mut self, mark: Mark, at: usize) {
        match &mut self.found {
            None => self.found = Some((mark, at)),
            Some((of, end)) if *of == mark => *end = at,
            Some(_) => {}
        }
    }

    /// Adds what one thread can reach. Once the match is settled, its start does not move.
    fn follow(&mut self, from: usize, mark: Mark, at: usize) {
        let before = self.found;
        let mut passed = None;
        self.stack.push(Way { inst: from, mark, back: Back::No });
        while let Some(Way { inst, mut mark, back }) = self.stack.pop() {
            // A repetition counts as behind the mark when a way that is preferred to it leads there; so it does in
            // procmail.
            let taken = match back {
                Back::No => false,
                Back::Yes => true,
                Back::BesideMark => self.found != before || self.base.get(inst) == Some(&true),
            };
            if taken && passed.is_some() {
                mark = passed;
            }
            if std::mem::replace(&mut self.seen[inst], true) {
                continue;
            }
            let mut push = |inst, mark, back| self.stack.push(Way { inst, mark, back });
            match self.program.insts[inst] {
                Inst::Jump(next) | Inst::Empty(next) => push(next, mark, Back::No),
                Inst::Mark(next) => {
                    if before.is_none() {
                        passed = Some(at);
                        mark = passed;
                    }
                    push(next, mark, Back::No);
                }
                Inst::Fork(one, other) => {
                    push(other, mark, Back::No);
                    push(one, mark, Back::No);
                }
                Inst::Again(one, other) => {
                    let beside = matches!(self.program.insts[self.program.resolve(one)], Inst::Mark(_));
                    push(other, mark, if beside { Back::BesideMark } else { Back::Yes });
                    push(one, mark, Back::No);
                }
                Inst::Bytes(..) | Inst::Edge(_) => self.next.push((inst, mark)),
                Inst::Accept => self.accept(mark, at),
            }
        }
    }
}

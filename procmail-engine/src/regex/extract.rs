//! What `MATCH` gets: left of `\/` the shortest, right of it the longest.
//!
//! All threads of the program run side by side over the text, each with the place where it passed `\/` last. The search is
//! over when one accepts; from there on only threads that passed `\/` at the same place go on, to find the longest.

use super::parse::{Inst, Program};

type Threads = Vec<(usize, Option<usize>)>;

struct Run<'a> {
    program: &'a Program,
    seen: Vec<bool>,
    stack: Threads,
}

/// The part behind `\/` of the first match at or behind `from`, in bytes of the text; `None` if there is no match or it
/// passed no `\/`. Ends are at most one behind the text.
pub(super) fn marked(program: &Program, text: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut run = Run { program, seen: vec![false; program.insts.len()], stack: Vec::new() };
    let mut threads = Threads::new();
    let mut next = Threads::new();
    let mut found: Option<(Option<usize>, usize)> = None;
    let ahead = from == 0 || text.get(from - 1) == Some(&b'\n');
    // Positions count the newline thought before the text: position 1 is the first byte.
    let mut at = if ahead { from } else { from + 1 };
    loop {
        let byte = if at == 0 || at == text.len() + 1 {
            Some(b'\n')
        } else {
            text.get(at - 1).copied()
        };
        let place = (at == 1, at == text.len() + 1);
        run.seen.iter_mut().for_each(|seen| *seen = false);
        next.clear();
        for &(inst, mark) in &threads {
            run.follow(&mut next, inst, mark, at, place);
        }
        if found.is_none() {
            run.follow(&mut next, program.start, None, at, place);
        }
        std::mem::swap(&mut threads, &mut next);
        if let Some((mark, end)) = &mut found {
            if threads.iter().any(|&(inst, of)| program.insts[inst] == Inst::Accept && of == *mark) {
                *end = at;
            }
        } else if let Some(&(_, mark)) =
            threads.iter().filter(|(inst, _)| program.insts[*inst] == Inst::Accept).max_by_key(|(_, mark)| mark.is_some())
        {
            mark?;
            found = Some((mark, at));
        }
        next.clear();
        if let Some(byte) = byte {
            next.extend(threads.iter().filter_map(|&(inst, mark)| match program.insts[inst] {
                Inst::Bytes(set, then)
                    if program.sets[set].contains(byte) && found.is_none_or(|(of, _)| of == mark) =>
                {
                    Some((then, mark))
                }
                _ => None,
            }));
        }
        std::mem::swap(&mut threads, &mut next);
        if byte.is_none() || (found.is_some() && threads.is_empty()) {
            break;
        }
        at += 1;
    }
    let (mark, end) = found?;
    let clip = |position: usize| position.clamp(1, text.len() + 1) - 1;
    let (start, end) = (clip(mark?), clip(end));
    Some((start, end.max(start)))
}

impl Run<'_> {
    fn follow(&mut self, into: &mut Threads, inst: usize, mark: Option<usize>, at: usize, place: (bool, bool)) {
        self.stack.push((inst, mark));
        while let Some((inst, mark)) = self.stack.pop() {
            if std::mem::replace(&mut self.seen[inst], true) {
                continue;
            }
            match self.program.insts[inst] {
                Inst::Jump(next) => self.stack.push((next, mark)),
                Inst::Mark(next) => self.stack.push((next, Some(at))),
                Inst::Fork(one, other) => self.stack.extend([(other, mark), (one, mark)]),
                Inst::TextStart(next) if place.0 => self.stack.push((next, mark)),
                Inst::TextEnd(next) if place.1 => self.stack.push((next, mark)),
                Inst::TextStart(_) | Inst::TextEnd(_) => {}
                Inst::Bytes(..) | Inst::Accept => into.push((inst, mark)),
            }
        }
    }
}

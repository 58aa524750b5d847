//! What `MATCH` gets: left of `\/` the shortest, right of it the longest.
//!
//! All threads of the program run side by side over the text, each with the place where it passed `\/` last. The search is
//! over when one accepts; from there on only threads that passed `\/` at the same place go on, to find the longest.

use super::parse::{Inst, Program};

type Thread = (usize, Option<usize>);
type Threads = Vec<Thread>;

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
        let byte = if at == 0 || at == text.len() + 1 { Some(b'\n') } else { text.get(at - 1).copied() };
        let place = (at == 1, at == text.len() + 1);
        run.seen.iter_mut().for_each(|seen| *seen = false);
        next.clear();
        for &(inst, mark) in &threads {
            run.follow(&mut next, (inst, mark), at, place, found.is_some());
        }
        if found.is_none() {
            run.follow(&mut next, (program.start, None), at, place, false);
        }
        std::mem::swap(&mut threads, &mut next);
        if let Some((mark, end)) = &mut found {
            if threads.iter().any(|&(inst, of)| program.insts[inst] == Inst::Accept && of == *mark) {
                *end = at;
            }
        } else if let Some(&(_, mark)) = threads
            .iter()
            .filter(|(inst, _)| program.insts[*inst] == Inst::Accept)
            .max_by_key(|(_, mark)| mark.is_some())
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
    // Behind the newline that is thought at the end there is nothing to give.
    let mark = mark.filter(|&mark| mark <= text.len() + 1);
    let clip = |position: usize| position.clamp(1, text.len() + 1) - 1;
    let (start, end) = (clip(mark?), clip(end));
    Some((start, end.max(start)))
}

impl Run<'_> {
    /// Adds what one thread can reach. What is reached behind a `\/` of the same step counts as behind it, whether the way
    /// led over it or not; so it does in procmail. Once the match is `settled`, its start does not move.
    fn follow(&mut self, into: &mut Threads, from: Thread, at: usize, place: (bool, bool), settled: bool) {
        let mut passed = None;
        let mut accepts = None;
        self.stack.push(from);
        while let Some((inst, mark)) = self.stack.pop() {
            let mark = passed.or(mark);
            if std::mem::replace(&mut self.seen[inst], true) {
                continue;
            }
            match self.program.insts[inst] {
                Inst::Jump(next) => self.stack.push((next, mark)),
                Inst::Mark(next) => {
                    if !settled {
                        passed = Some(at);
                    }
                    self.stack.push((next, passed.or(mark)));
                }
                Inst::Fork(one, other) => self.stack.extend([(other, mark), (one, mark)]),
                Inst::TextStart(next) if place.0 => self.stack.push((next, mark)),
                Inst::TextEnd(next) if place.1 => self.stack.push((next, mark)),
                Inst::TextStart(_) | Inst::TextEnd(_) => {}
                Inst::Bytes(..) => into.push((inst, mark)),
                Inst::Accept => accepts = Some((inst, mark)),
            }
        }
        into.extend(accepts.map(|(inst, mark)| (inst, passed.or(mark))));
    }
}

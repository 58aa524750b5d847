//! The search: a deterministic automaton that is built as it is needed, and forgotten when it has grown too large.
//!
//! Its states are sets of instructions. Each byte costs one look into a table, and at worst one walk over the program,
//! however the expression is nested.

use std::collections::HashMap;
use std::sync::Arc;

use super::parse::{Inst, Program};
use super::wide::Wide;

/// A transition that is not known yet.
const UNKNOWN: u32 = u32::MAX;
/// Set in transitions after which the search has to look up: to a state that accepts, or to one that can be skipped in.
const STOP: u32 = 1 << 31;
/// Entries of the transition table after which it is thrown away.
const MAX_TABLE: usize = 1 << 15;
/// Instructions that all states hold together, after which they are thrown away.
const MAX_HELD: usize = 1 << 16;

/// How many bytes each state should have served by the time that all are thrown away.
const PAYS: usize = 10;
/// How often that may not be so before a search goes on without states.
const MOST_VAIN: usize = 3;

/// What the search has learnt of an expression so far.
///
/// States go by the place of their row in the table.
#[derive(Debug)]
pub(super) struct Automaton {
    classes: [u8; 256],
    stride: usize,
    table: Vec<u32>,
    states: Vec<State>,
    held: usize,
    /// How often all states were thrown away.
    forgotten: usize,
    numbers: HashMap<Arc<[u32]>, u32>,
    work: Closure,
    /// Where each search is that has found nothing yet to begin with.
    base: u32,
    /// Where a search is at the start of the text, behind the newline that is thought before it.
    first: u32,
    /// The bytes that lead out of the base, if they are few enough to be searched for.
    leaving: Vec<u8>,
}

#[derive(Debug)]
struct State {
    set: Arc<[u32]>,
    accepts: bool,
    accepts_at_end: bool,
}

#[derive(Debug, Default)]
pub(super) struct Closure {
    /// In which round each instruction was reached last.
    seen: Vec<u32>,
    round: u32,
    found: Vec<u32>,
    stack: Vec<usize>,
}

/// Which bytes the expression tells apart: a number for each byte, and how many there are.
fn classes(program: &Program) -> ([u8; 256], usize) {
    let mut parts = [0; 256];
    let mut last = 0u32;
    let mut split: Vec<(u32, u32)> = Vec::new();
    for set in &program.sets {
        // What of a part lies in the set becomes a part of its own.
        split.clear();
        for byte in (0..=255u8).filter(|&byte| set.contains(byte)) {
            let part = &mut parts[usize::from(byte)];
            *part = match split.iter().find(|(whole, _)| whole == part) {
                Some((_, inside)) => *inside,
                None => {
                    last += 1;
                    split.push((*part, last));
                    last
                }
            };
        }
    }
    let mut known: Vec<u32> = Vec::new();
    let classes = parts.map(|part| {
        let class = known.iter().position(|&other| other == part).unwrap_or_else(|| {
            known.push(part);
            known.len() - 1
        });
        u8::try_from(class).expect("there are no more classes than bytes")
    });
    (classes, known.len())
}

impl Automaton {
    pub(super) fn new(program: &Program) -> Self {
        let (classes, stride) = classes(program);
        let mut automaton = Self {
            classes,
            stride,
            table: Vec::new(),
            states: Vec::new(),
            held: 0,
            forgotten: 0,
            numbers: HashMap::new(),
            work: Closure::new(program),
            base: 0,
            first: 0,
            leaving: Vec::new(),
        };
        automaton.forget(program);
        automaton.leaving = leaving(program, &automaton.at(automaton.base).set);
        automaton
    }

    fn forget(&mut self, program: &Program) {
        self.table.clear();
        self.states.clear();
        self.numbers.clear();
        self.held = 0;
        self.forgotten += 1;
        self.base = self.state(program, &[program.start]);
        self.first = self.compute(program, self.base, b'\n', true);
    }

    /// How many bytes it takes, about.
    pub(super) fn size(&self) -> usize {
        let of_state = size_of::<State>() + 2 * size_of::<(Arc<[u32]>, u32)>();
        4 * (self.table.capacity() + self.held + self.work.seen.len())
            + 2 * size_of::<usize>() * (self.work.stack.capacity() + self.work.found.capacity())
            + of_state * self.states.capacity()
    }

    fn at(&self, state: u32) -> &State {
        &self.states[state as usize / self.stride]
    }

    /// Where the first match that starts at or behind `from` ends: at most one behind the text, which stands for the
    /// newline that is thought to follow it.
    pub(super) fn first_end(&mut self, program: &Program, text: &[u8], from: usize) -> Option<usize> {
        if from > text.len() {
            return None;
        }
        if self.at(self.base).accepts {
            return Some(from);
        }
        let mut state = self.base;
        if from == 0 {
            state = self.first;
        } else if text[from - 1] == b'\n' {
            state = self.next(program, state, b'\n');
        }
        let mut at = from;
        let (mut since, mut vain) = (from, 0);
        loop {
            if self.at(state).accepts {
                return Some(at);
            }
            if state == self.base {
                at += self.skip(&text[at..]);
            }
            let mut missing = None;
            // The common run: known states that need no look.
            for &byte in &text[at..] {
                let entry = self.table[state as usize + usize::from(self.classes[usize::from(byte)])];
                if entry >= STOP {
                    missing = Some((entry, byte));
                    break;
                }
                state = entry;
                at += 1;
            }
            let Some((entry, byte)) = missing else { break };
            at += 1;
            if entry != UNKNOWN {
                state = entry & !STOP;
                continue;
            }
            let (known, forgotten) = (self.states.len(), self.forgotten);
            state = self.next(program, state, byte);
            if self.forgotten != forgotten {
                vain = if at - since < known.saturating_mul(PAYS) { vain + 1 } else { 0 };
                since = at;
                if vain >= MOST_VAIN
                    && let Some(wide) = Wide::new(program, &self.classes, self.stride)
                {
                    return wide.first_end(text, at, &self.at(state).set);
                }
            }
        }
        if self.at(state).accepts_at_end {
            return Some(text.len());
        }
        let last = self.next(program, state, b'\n');
        self.at(last).accepts.then_some(text.len() + 1)
    }

    /// The end of the first match in a text, found without states.
    #[cfg(test)]
    pub(super) fn wide_end(&self, program: &Program, text: &[u8]) -> Option<usize> {
        let wide = Wide::new(program, &self.classes, self.stride).expect("it is small");
        if self.at(self.base).accepts {
            return Some(0);
        }
        wide.first_end(text, 0, &self.at(self.first).set)
    }

    /// How far the base leads to nothing but itself.
    fn skip(&self, text: &[u8]) -> usize {
        let found = match *self.leaving.as_slice() {
            [one] => memchr::memchr(one, text),
            [one, two] => memchr::memchr2(one, two, text),
            [one, two, three] => memchr::memchr3(one, two, three, text),
            _ => return 0,
        };
        found.unwrap_or(text.len())
    }

    /// The state behind `byte`.
    fn next(&mut self, program: &Program, mut state: u32, byte: u8) -> u32 {
        let class = usize::from(self.classes[usize::from(byte)]);
        let entry = self.table[state as usize + class];
        if entry != UNKNOWN {
            return entry & !STOP;
        }
        if self.table.len() > MAX_TABLE || self.held > MAX_HELD {
            let kept = self.at(state).set.clone();
            self.forget(program);
            state = self.number(program, kept);
        }
        let next = self.compute(program, state, byte, false);
        let stop = self.at(next).accepts || (next == self.base && !self.leaving.is_empty());
        self.table[state as usize + class] = if stop { next | STOP } else { next };
        next
    }

    fn compute(&mut self, program: &Program, state: u32, byte: u8, at_start: bool) -> u32 {
        let set = self.at(state).set.clone();
        let mut starts: Vec<usize> = set
            .iter()
            .filter_map(|&inst| match program.insts[inst as usize] {
                Inst::Bytes(set, next) if program.sets[set].contains(byte) => Some(next),
                Inst::Edge(next) if at_start => Some(next),
                _ => None,
            })
            .collect();
        starts.push(program.start);
        self.state(program, &starts)
    }

    fn state(&mut self, program: &Program, starts: &[usize]) -> u32 {
        let set = self.work.of(program, starts);
        self.number(program, set)
    }

    fn number(&mut self, program: &Program, set: Arc<[u32]>) -> u32 {
        if let Some(&number) = self.numbers.get(&set) {
            return number;
        }
        let number = u32::try_from(self.table.len()).expect("the table is bounded");
        let insts = || set.iter().map(|&inst| program.insts[inst as usize]);
        let accepts = insts().any(|inst| inst == Inst::Accept);
        let accepts_at_end =
            accepts || insts().any(|inst| matches!(inst, Inst::Edge(next) if program.ends_at(next)));
        self.held += set.len();
        self.states.push(State { accepts, accepts_at_end, set: set.clone() });
        self.numbers.insert(set, number);
        self.table.resize(self.table.len() + self.stride, UNKNOWN);
        number
    }
}

impl Closure {
    pub(super) fn new(program: &Program) -> Self {
        Self { seen: vec![0; program.insts.len()], ..Self::default() }
    }

    fn of(&mut self, program: &Program, starts: &[usize]) -> Arc<[u32]> {
        self.reach(program, starts);
        self.found.sort_unstable();
        self.found.as_slice().into()
    }

    /// What can be reached without consuming a byte: the instructions that consume one, wait for an edge, or accept.
    pub(super) fn reach(&mut self, program: &Program, starts: &[usize]) -> &[u32] {
        self.found.clear();
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.seen.fill(0);
            self.round = 1;
        }
        let round = self.round;
        self.stack.extend_from_slice(starts);
        while let Some(at) = self.stack.pop() {
            if std::mem::replace(&mut self.seen[at], round) == round {
                continue;
            }
            match program.insts[at] {
                Inst::Jump(next) | Inst::Mark(next) => self.stack.push(next),
                Inst::Fork(one, other) => self.stack.extend([one, other]),
                Inst::Bytes(..) | Inst::Edge(_) | Inst::Accept => self.found.push(at as u32),
            }
        }
        &self.found
    }
}

/// The bytes that lead out of a state; none if they are more than three.
fn leaving(program: &Program, set: &[u32]) -> Vec<u8> {
    let mut sets: Vec<usize> = set
        .iter()
        .filter_map(|&inst| match program.insts[inst as usize] {
            Inst::Bytes(number, _) => Some(number),
            _ => None,
        })
        .collect();
    sets.sort_unstable();
    sets.dedup();
    let leads = |byte: &u8| sets.iter().any(|&number| program.sets[number].contains(*byte));
    let bytes: Vec<u8> = (0..=255u8).filter(leads).take(4).collect();
    if bytes.len() > 3 { Vec::new() } else { bytes }
}

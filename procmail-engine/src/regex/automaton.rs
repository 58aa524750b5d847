//! The search: a deterministic automaton that is built as it is needed, and forgotten when it has grown too large.
//!
//! Its states are sets of instructions. Each byte costs one look into a table, and at worst one walk over the program,
//! however the expression is nested.

use std::collections::HashMap;

use super::parse::{Inst, Program};

const UNKNOWN: u32 = u32::MAX;
/// Entries of the transition table after which it is thrown away.
const MAX_TABLE: usize = 1 << 16;

/// What the search has learnt of an expression so far.
#[derive(Debug)]
pub(super) struct Automaton {
    classes: [u8; 256],
    stride: usize,
    table: Vec<u32>,
    states: Vec<State>,
    numbers: HashMap<Box<[u32]>, u32>,
    work: Closure,
}

#[derive(Debug)]
struct State {
    set: Box<[u32]>,
    accepts: bool,
    accepts_at_end: bool,
}

#[derive(Debug, Default)]
struct Closure {
    seen: Vec<bool>,
    found: Vec<u32>,
    stack: Vec<usize>,
}

impl Automaton {
    pub(super) fn new(program: &Program) -> Self {
        let mut classes = [0u8; 256];
        let mut count = 0u32;
        let mut known: HashMap<Vec<bool>, u8> = HashMap::new();
        for byte in 0..=255u8 {
            let signature: Vec<bool> = program.sets.iter().map(|set| set.contains(byte)).collect();
            let class = *known.entry(signature).or_insert_with(|| {
                count += 1;
                u8::try_from(count - 1).expect("there are no more classes than bytes")
            });
            classes[usize::from(byte)] = class;
        }
        Self {
            classes,
            stride: count as usize,
            table: Vec::new(),
            states: Vec::new(),
            numbers: HashMap::new(),
            work: Closure { seen: vec![false; program.insts.len()], ..Closure::default() },
        }
    }

    /// Where the first match that starts at or behind `from` ends: at most one behind the text, which stands for the
    /// newline that is thought to follow it.
    pub(super) fn first_end(&mut self, program: &Program, text: &[u8], from: usize) -> Option<usize> {
        if from > text.len() {
            return None;
        }
        let base = self.state(program, &[program.start]);
        let mut state = base;
        if self.states[state as usize].accepts {
            return Some(from);
        }
        if from == 0 {
            state = self.compute(program, state, b'\n', true);
        } else if text[from - 1] == b'\n' {
            state = self.next(program, &mut state.clone(), b'\n', &mut base.clone());
        }
        let leaving = leaving(program, &self.states[base as usize].set);
        let mut base = base;
        let mut at = from;
        loop {
            if self.states[state as usize].accepts {
                return Some(at);
            }
            if state == base
                && let Some(needle) = leaving
            {
                at += memchr::memchr(needle, &text[at..]).unwrap_or(text.len() - at);
            }
            // The common run: known states that accept nothing.
            while let Some(&byte) = text.get(at) {
                let entry =
                    self.table[state as usize * self.stride + usize::from(self.classes[usize::from(byte)])];
                if entry == UNKNOWN
                    || self.states[entry as usize].accepts
                    || (entry == base && leaving.is_some())
                {
                    break;
                }
                state = entry;
                at += 1;
            }
            let Some(&byte) = text.get(at) else { break };
            state = self.next(program, &mut state, byte, &mut base);
            at += 1;
        }
        if self.states[state as usize].accepts_at_end {
            return Some(text.len());
        }
        let last = self.next(program, &mut state, b'\n', &mut base);
        self.states[last as usize].accepts.then_some(text.len() + 1)
    }

    /// The state behind `byte`. When the table has to be thrown away, `state` and `base` get their new numbers.
    fn next(&mut self, program: &Program, state: &mut u32, byte: u8, base: &mut u32) -> u32 {
        let class = usize::from(self.classes[usize::from(byte)]);
        let entry = self.table[*state as usize * self.stride + class];
        if entry != UNKNOWN {
            return entry;
        }
        if self.table.len() > MAX_TABLE {
            let (kept, start) =
                (self.states[*state as usize].set.clone(), self.states[*base as usize].set.clone());
            self.table.clear();
            self.states.clear();
            self.numbers.clear();
            *base = self.number(program, start);
            *state = self.number(program, kept);
        }
        let next = self.compute(program, *state, byte, false);
        self.table[*state as usize * self.stride + class] = next;
        next
    }

    fn compute(&mut self, program: &Program, state: u32, byte: u8, at_start: bool) -> u32 {
        let set = &self.states[state as usize].set;
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

    fn number(&mut self, program: &Program, set: Box<[u32]>) -> u32 {
        if let Some(&number) = self.numbers.get(&set) {
            return number;
        }
        let number = u32::try_from(self.states.len()).expect("the table is bounded");
        let insts = || set.iter().map(|&inst| program.insts[inst as usize]);
        let accepts = insts().any(|inst| inst == Inst::Accept);
        let accepts_at_end =
            accepts || insts().any(|inst| matches!(inst, Inst::Edge(next) if program.ends_at(next)));
        self.states.push(State { accepts, accepts_at_end, set: set.clone() });
        self.numbers.insert(set, number);
        self.table.resize(self.table.len() + self.stride, UNKNOWN);
        number
    }
}

impl Closure {
    /// What can be reached without consuming a byte: the instructions that consume one, wait for an edge, or accept.
    fn of(&mut self, program: &Program, starts: &[usize]) -> Box<[u32]> {
        self.found.clear();
        self.seen.iter_mut().for_each(|seen| *seen = false);
        self.stack.extend_from_slice(starts);
        while let Some(at) = self.stack.pop() {
            if std::mem::replace(&mut self.seen[at], true) {
                continue;
            }
            match program.insts[at] {
                Inst::Jump(next) | Inst::Empty(next) | Inst::Mark(next) => self.stack.push(next),
                Inst::Fork(one, other) | Inst::Again(one, other) => self.stack.extend([one, other]),
                Inst::Bytes(..) | Inst::Edge(_) | Inst::Accept => self.found.push(at as u32),
            }
        }
        self.found.sort_unstable();
        self.found.as_slice().into()
    }
}

/// The one byte that leads out of a state, if there is just one.
fn leaving(program: &Program, set: &[u32]) -> Option<u8> {
    let mut only = None;
    for byte in 0..=255u8 {
        let leads = set.iter().any(|&inst| {
            matches!(program.insts[inst as usize], Inst::Bytes(number, _) if program.sets[number].contains(byte))
        });
        if leads && only.replace(byte).is_some() {
            return None;
        }
    }
    only
}

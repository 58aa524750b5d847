//! The search without a memory: for expressions whose states are too many to be learnt.
//!
//! What is active is a bit for each place in the expression, so that 64 places move on at once as long as each leads to the
//! one behind it only, which most do.

use super::automaton::Closure;
use super::parse::{Inst, Program};

/// Words of all masks; expressions that need more are searched the other way.
const MAX_MASKS: usize = 1 << 16;
/// Jumps that are followed to see whether a place leads to the one behind it.
const MAX_JUMPS: usize = 8;

/// An expression, laid out for this search.
#[derive(Debug)]
pub(super) struct Wide<'a> {
    program: &'a Program,
    classes: &'a [u8; 256],
    words: usize,
    /// For each class of bytes, the places that consume it.
    masks: Vec<u64>,
    /// The places that lead to the one behind them, and to nothing else.
    simple: Vec<u64>,
    accepts: Vec<u64>,
    accepts_at_end: Vec<u64>,
    /// Where matches start.
    base: Vec<u64>,
    /// The instruction of each place, and the place of each instruction that has one.
    insts: Vec<usize>,
    places: Vec<usize>,
    work: Closure,
    starts: Vec<usize>,
}

impl<'a> Wide<'a> {
    /// Lays out an expression, if it is not too large for that.
    pub(super) fn new(program: &'a Program, classes: &'a [u8; 256], count: usize) -> Option<Self> {
        let consumes = |inst: &Inst| matches!(inst, Inst::Bytes(..) | Inst::Edge(_) | Inst::Accept);
        let insts: Vec<usize> =
            program.insts.iter().enumerate().filter(|(_, inst)| consumes(inst)).map(|(at, _)| at).collect();
        let words = insts.len().div_ceil(64);
        if words.saturating_mul(count) > MAX_MASKS {
            return None;
        }
        let mut members = vec![0u8; count];
        for byte in 0..=255u8 {
            members[usize::from(classes[usize::from(byte)])] = byte;
        }
        let mut wide = Self {
            program,
            classes,
            words,
            masks: vec![0; words * count],
            simple: vec![0; words],
            accepts: vec![0; words],
            accepts_at_end: vec![0; words],
            base: vec![0; words],
            places: vec![usize::MAX; program.insts.len()],
            work: Closure::new(program),
            starts: Vec::new(),
            insts,
        };
        for (place, &inst) in wide.insts.iter().enumerate() {
            wide.places[inst] = place;
            let (word, bit) = (place / 64, 1 << (place % 64));
            match program.insts[inst] {
                Inst::Bytes(set, next) => {
                    for (class, &byte) in members.iter().enumerate() {
                        if program.sets[set].contains(byte) {
                            wide.masks[class * words + word] |= bit;
                        }
                    }
                    if Some(&behind(program, next)) == wide.insts.get(place + 1) {
                        wide.simple[word] |= bit;
                    }
                }
                Inst::Accept => {
                    wide.accepts[word] |= bit;
                    wide.accepts_at_end[word] |= bit;
                }
                Inst::Edge(next) if program.ends_at(next) => wide.accepts_at_end[word] |= bit,
                _ => {}
            }
        }
        let base = wide.work.reach(program, &[program.start]);
        set(&mut wide.base, &wide.places, base);
        Some(wide)
    }

    /// Goes on with a search that has come to `at` and is in the middle of the instructions `active`.
    pub(super) fn first_end(mut self, text: &[u8], from: usize, active: &[u32]) -> Option<usize> {
        let mut state = vec![0; self.words];
        let mut next = state.clone();
        set(&mut state, &self.places, active);
        for (at, &byte) in text.iter().enumerate().skip(from) {
            if meet(&state, &self.accepts) {
                return Some(at);
            }
            self.step(&state, &mut next, byte);
            std::mem::swap(&mut state, &mut next);
        }
        if meet(&state, &self.accepts_at_end) {
            return Some(text.len());
        }
        self.step(&state, &mut next, b'\n');
        meet(&next, &self.accepts).then_some(text.len() + 1)
    }

    fn step(&mut self, state: &[u64], next: &mut [u64], byte: u8) {
        let class = usize::from(self.classes[usize::from(byte)]);
        let mask = &self.masks[class * self.words..][..self.words];
        self.starts.clear();
        let mut carry = 0;
        for word in 0..self.words {
            let moved = state[word] & mask[word];
            let simple = moved & self.simple[word];
            next[word] = self.base[word] | simple << 1 | carry;
            carry = simple >> 63;
            let mut others = moved & !simple;
            while others != 0 {
                let inst = self.insts[word * 64 + others.trailing_zeros() as usize];
                if let Inst::Bytes(_, then) = self.program.insts[inst] {
                    self.starts.push(then);
                }
                others &= others - 1;
            }
        }
        if !self.starts.is_empty() {
            let reached = self.work.reach(self.program, &self.starts);
            set(next, &self.places, reached);
        }
    }
}

fn set(bits: &mut [u64], places: &[usize], insts: &[u32]) {
    for &inst in insts {
        let place = places[inst as usize];
        bits[place / 64] |= 1 << (place % 64);
    }
}

fn meet(one: &[u64], other: &[u64]) -> bool {
    one.iter().zip(other).any(|(one, other)| one & other != 0)
}

/// Where a few jumps lead.
fn behind(program: &Program, mut at: usize) -> usize {
    for _ in 0..MAX_JUMPS {
        match program.insts[at] {
            Inst::Jump(next) | Inst::Mark(next) => at = next,
            _ => break,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::super::automaton::Automaton;
    use super::super::parse::parse;

    #[test]
    fn it_finds_what_the_automaton_finds() {
        let long = format!("a{}b", ".".repeat(150));
        let patterns: [&[u8]; 10] = [
            b"abc",
            b"^b+a",
            b"(a|bc)*c$",
            b"a.c^^",
            b"a\\/b*c",
            b"()c$",
            b"(a|b)?(b|c)+a",
            b"b^^",
            b"c$^b",
            long.as_bytes(),
        ];
        let mut random = 1u32;
        for length in 0..300 {
            let letters = if length % 2 == 0 { b"abca" } else { b"abc\n" };
            let text: Vec<u8> = std::iter::repeat_with(|| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                letters[(random >> 30) as usize]
            })
            .take(length)
            .collect();
            for pattern in patterns {
                let program = parse(pattern, true);
                let mut automaton = Automaton::new(&program);
                let expected = automaton.first_end(&program, &text, 0);
                assert_eq!(
                    automaton.wide_end(&program, &text),
                    expected,
                    "{}",
                    String::from_utf8_lossy(pattern)
                );
            }
        }
    }
}

//! What `MATCH` gets: left of `\/` the shortest, right of it the longest.
//!
//! All ways through the program run side by side over the text, each with the place where it passed `\/` last. The first
//! that is through settles where `MATCH` starts, and from there on only ways that passed `\/` there or before go on, to
//! find the longest. Which is the first hangs on the order, so that is procmail's: of two ways the one laid out first, of
//! those in the text the one that starts here, then those that were reached last. Where ways meet, the earlier place
//! counts. Odd is that a way once it has passed `\/` passes that on to those of its side branches that are followed after
//! it.

use std::ops::Range;

use super::automaton::Closure;
use super::parse::{Inst, Program};

/// Where `\/` was passed, counted from the newline that is thought before the text.
type Place = usize;

const NOWHERE: Place = usize::MAX;

/// One round over the ways, which looks at one byte.
#[derive(Clone, Copy)]
struct Round {
    at: Place,
    byte: u8,
    /// Whether a match can start here.
    starts: bool,
    /// Whether `^^` stands for the end here.
    ends: bool,
}

/// What a round has found.
enum Searched {
    Nothing,
    /// A match that passed no `\/`.
    Unmarked,
    /// Where the mark of the match is, and where it ends.
    Marked(Place, Place),
}

/// How a way is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follow {
    /// Passing `\/` counts.
    Open,
    /// It counts up to the end of the expression.
    UntilEnd,
    /// It does not.
    Settled,
}

struct Run<'a> {
    program: &'a Program,
    /// Where a `\/` is reached without consuming a byte.
    near_mark: Vec<bool>,
    /// The first place that cannot be marked.
    beyond: Place,
    /// Whether a match can start with each byte.
    begins: [bool; 256],
    /// Where the ways of a round start, each with the place of its mark.
    sources: Vec<(usize, Place)>,
    /// What has consumed the last byte, in the order in which it was reached.
    order: Vec<usize>,
    /// The same, by the place of the mark.
    sorted: Vec<usize>,
    places: Vec<Place>,
    /// Whether the place of each is of this round.
    placed: Vec<bool>,
    /// How far each instruction was looked at in a round.
    rank: Vec<u8>,
    stack: Vec<usize>,
    reached: Vec<usize>,
}

// The ranks: each stands for a place of the mark that is before those of the ranks below it.
const UNMARKED: u8 = 1;
const MARKED_HERE: u8 = 2;
const MARKED: u8 = 3;
const SETTLED: u8 = 4;

/// The part behind `\/` of the first match at or behind `from`, or nothing if that passed none; `None` if there is no match.
/// Each byte behind the shortest match takes one of `patience`; without any, the longest found so far does.
pub(super) fn marked(
    program: &Program,
    text: &[u8],
    from: usize,
    patience: &mut usize,
) -> Option<Option<Range<usize>>> {
    let ahead = from == 0 || text.get(from - 1) == Some(&b'\n');
    // Position 1 is the first byte.
    let first = if ahead { from } else { from + 1 };
    let within = (first..=text.len()).map(|at| {
        let byte = if at == 0 { b'\n' } else { text[at - 1] };
        Round { at, byte, starts: true, ends: false }
    });
    let nothing_left = !ahead && from >= text.len();
    let end = text.len() + 1;
    let odd = nothing_left.then_some(Round { at: end, byte: b'\n', starts: true, ends: false });
    let end = end + usize::from(nothing_left);
    let behind = [
        Round { at: end, byte: b'\n', starts: false, ends: true },
        Round { at: end + 1, byte: b'\n', starts: false, ends: false },
    ];
    let mut rounds = within.chain(odd).chain(behind);
    let mut run = Run::new(program, text.len() + 2);
    let (mut start, mut end) = loop {
        match run.search(rounds.next()?) {
            Searched::Nothing => {}
            Searched::Unmarked => return Some(None),
            Searched::Marked(start, end) => break (start, end),
        }
    };
    for round in rounds {
        if run.sorted.is_empty() || *patience == 0 {
            break;
        }
        *patience -= 1;
        if let Some(found) = run.extend(round) {
            (start, end) = (found, round.at);
        }
    }
    let clip = |place: Place| place.clamp(1, text.len() + 1) - 1;
    Some(Some(clip(start)..clip(end).max(clip(start))))
}

impl<'a> Run<'a> {
    fn new(program: &'a Program, beyond: Place) -> Self {
        let count = program.insts.len();
        Self {
            program,
            near_mark: near_marks(program),
            beyond,
            begins: beginnings(program),
            sources: Vec::new(),
            order: Vec::new(),
            sorted: Vec::new(),
            places: vec![NOWHERE; count],
            placed: vec![false; count],
            rank: vec![0; count],
            stack: Vec::new(),
            reached: Vec::new(),
        }
    }

    /// A round before anything is settled.
    fn search(&mut self, round: Round) -> Searched {
        // Most bytes of most texts are in no match.
        if self.order.is_empty() && round.at > 0 && !self.begins[usize::from(round.byte)] {
            return Searched::Nothing;
        }
        let mut sources = std::mem::take(&mut self.sources);
        sources.clear();
        if round.starts {
            sources.push((self.program.start, NOWHERE));
        }
        sources.extend(self.order.iter().rev().map(|&inst| (self.behind(inst), self.places[inst])));
        let searched = self.search_from(round, &sources);
        self.sources = sources;
        searched
    }

    fn search_from(&mut self, round: Round, sources: &[(usize, Place)]) -> Searched {
        self.begin();
        let here = self.mark_at(round);
        let mut found = None;
        let mut passes = false;
        for (number, &(source, place)) in sources.iter().enumerate() {
            let (ended, passed) = self.look(source, round);
            if ended {
                found = Some((number, if passed { here } else { place }));
                break;
            }
            passes |= passed;
        }
        match found {
            None => {
                let reached = std::mem::take(&mut self.reached);
                let all_unmarked =
                    !passes && self.sorted.first().is_none_or(|&at| self.places[at] == NOWHERE);
                if all_unmarked {
                    for &inst in &reached {
                        self.places[inst] = NOWHERE;
                    }
                    self.sorted.clone_from(&reached);
                } else {
                    self.mark(round);
                }
                self.reached = std::mem::replace(&mut self.order, reached);
                Searched::Nothing
            }
            Some((_, NOWHERE)) => Searched::Unmarked,
            Some((number, start)) => Searched::Marked(self.settle(round, sources, number, start), round.at),
        }
    }

    /// What consumes the byte goes to `reached`, in order. Whether the end of the expression is reached, and whether a `\/`
    /// is passed.
    fn look(&mut self, source: usize, round: Round) -> (bool, bool) {
        let mut passed = false;
        self.stack.push(source);
        while let Some(at) = self.stack.pop() {
            if std::mem::replace(&mut self.rank[at], UNMARKED) != 0 {
                passed |= self.near_mark[at];
                continue;
            }
            match self.program.insts[at] {
                Inst::Jump(next) => self.stack.push(next),
                Inst::Fork(near, far) => self.stack.extend([far, near]),
                Inst::Mark(next) => {
                    passed = true;
                    self.stack.push(next);
                }
                inst if self.is_end(inst, round) => {
                    self.stack.clear();
                    return (true, passed);
                }
                inst if self.consumes(inst, round) => self.reached.push(at),
                _ => {}
            }
        }
        (false, passed)
    }

    /// Finds the places of the marks of all that is reached. The ways with the earliest places go first, so that each is
    /// followed at most once for each rank.
    fn mark(&mut self, round: Round) {
        let mut sources: Vec<(usize, Place)> = Vec::with_capacity(self.sorted.len() + 1);
        sources.extend(self.sorted.iter().map(|&inst| (self.behind(inst), self.places[inst])));
        if round.starts {
            sources.push((self.program.start, NOWHERE));
        }
        self.begin();
        let mut of_rank: [Vec<usize>; 3] = Default::default();
        for (source, place) in sources {
            self.follow(source, place, round, Follow::Open);
            let rank = if place == NOWHERE { UNMARKED } else { MARKED };
            // What a way marks here sorts behind all that was marked before.
            for &at in &self.reached {
                let rank = if self.places[at] == self.mark_at(round) { MARKED_HERE } else { rank };
                of_rank[usize::from(MARKED - rank)].push(at);
            }
            self.reached.clear();
        }
        self.sorted.clear();
        let mut seen = std::mem::take(&mut self.rank);
        seen.fill(0);
        for at in of_rank.into_iter().flatten() {
            if std::mem::replace(&mut seen[at], 1) == 0 {
                self.sorted.push(at);
            }
        }
        self.rank = seen;
    }

    /// The first end of the expression was reached, on the way from the source of this number. Leaves what may go on; gives
    /// where the mark is.
    fn settle(&mut self, round: Round, sources: &[(usize, Place)], number: usize, start: Place) -> Place {
        let mut start = start;
        let most = start;
        self.begin();
        let (source, place) = sources[number];
        self.follow(source, place, round, Follow::UntilEnd);
        let mut reached = std::mem::take(&mut self.reached);
        self.rank.fill(0);
        let mut others: Vec<(Place, usize, Follow)> = sources
            .iter()
            .enumerate()
            .filter(|&(other, _)| other != number)
            .map(|(other, &(source, place))| {
                (place, source, if other < number { Follow::Open } else { Follow::Settled })
            })
            .filter(|&(place, _, how)| how == Follow::Open || place <= most)
            .collect();
        others.sort_by_key(|&(place, ..)| place);
        for (place, source, how) in others {
            if self.follow(source, place, round, how) {
                start = start.min(place);
            }
        }
        reached.append(&mut self.reached);
        reached.sort_unstable();
        reached.dedup();
        reached.retain(|&at| self.places[at] <= start);
        reached.sort_by_key(|&at| self.places[at]);
        self.sorted = reached;
        start
    }

    /// A round after that. Gives where the mark is, if there is a longer match.
    fn extend(&mut self, round: Round) -> Option<Place> {
        let mut sources = std::mem::take(&mut self.sources);
        sources.clear();
        sources.extend(self.sorted.iter().map(|&inst| (self.behind(inst), self.places[inst])));
        self.begin();
        let mut start = None;
        for &(source, place) in &sources {
            if start.is_some_and(|start| place > start) {
                break;
            }
            if self.follow(source, place, round, Follow::Settled) {
                start.get_or_insert(place);
            }
        }
        self.sources = sources;
        std::mem::swap(&mut self.sorted, &mut self.reached);
        if let Some(start) = start {
            let places = &self.places;
            self.sorted.retain(|&at| places[at] <= start);
        }
        start
    }

    fn begin(&mut self) {
        self.rank.fill(0);
        self.placed.fill(false);
        self.reached.clear();
    }

    /// Follows all ways from `source`, whose mark is at `place`, and sets the places of what consumes the byte, which goes
    /// to `reached`, unless they have an earlier one already. Whether the end of the expression is reached.
    fn follow(&mut self, source: usize, place: Place, round: Round, how: Follow) -> bool {
        let here = self.mark_at(round);
        let here_rank = if here == NOWHERE { UNMARKED } else { MARKED_HERE };
        let (mut place, mut how) = (place, how);
        let mut rank = match how {
            Follow::Settled => SETTLED,
            _ if place == NOWHERE => UNMARKED,
            _ => MARKED,
        };
        let mut ended = false;
        self.stack.push(source);
        while let Some(at) = self.stack.pop() {
            let before = self.rank[at];
            let known = before >= rank;
            if self.near_mark[at]
                && how != Follow::Settled
                && (known || matches!(self.program.insts[at], Inst::Mark(_)))
            {
                (place, rank) = (here, here_rank);
            }
            if known {
                continue;
            }
            self.rank[at] = rank;
            match self.program.insts[at] {
                Inst::Jump(next) | Inst::Mark(next) => self.stack.push(next),
                Inst::Fork(near, far) => self.stack.extend([far, near]),
                inst if self.is_end(inst, round) => {
                    ended = true;
                    if how == Follow::UntilEnd {
                        how = Follow::Settled;
                    }
                }
                inst if self.consumes(inst, round) => self.place(at, place),
                _ => {}
            }
        }
        ended
    }

    /// The earliest place counts.
    fn place(&mut self, at: usize, place: Place) {
        if !std::mem::replace(&mut self.placed[at], true) || place < self.places[at] {
            self.places[at] = place;
            self.reached.push(at);
        }
    }

    fn behind(&self, inst: usize) -> usize {
        match self.program.insts[inst] {
            Inst::Bytes(_, next) | Inst::Edge(next) => next,
            _ => inst,
        }
    }

    fn mark_at(&self, round: Round) -> Place {
        if round.at < self.beyond { round.at } else { NOWHERE }
    }

    fn is_end(&self, inst: Inst, round: Round) -> bool {
        match inst {
            Inst::Accept => true,
            Inst::Edge(next) => round.ends && self.program.ends_at(next),
            _ => false,
        }
    }

    fn consumes(&self, inst: Inst, round: Round) -> bool {
        match inst {
            Inst::Bytes(set, _) => self.program.sets[set].contains(round.byte),
            Inst::Edge(_) => round.at == 0,
            _ => false,
        }
    }
}

/// For each byte, whether a match can start with it, or without any.
fn beginnings(program: &Program) -> [bool; 256] {
    let mut begins = [false; 256];
    let mut closure = Closure::new(program);
    for &at in closure.reach(program, &[program.start]) {
        match program.insts[at as usize] {
            Inst::Bytes(set, _) => {
                for byte in 0..=255u8 {
                    begins[usize::from(byte)] |= program.sets[set].contains(byte);
                }
            }
            Inst::Accept => begins = [true; 256],
            _ => {}
        }
    }
    begins
}

/// For each instruction, whether a `\/` is reached from it without consuming a byte.
fn near_marks(program: &Program) -> Vec<bool> {
    let count = program.insts.len();
    let mut sources = vec![Vec::new(); count];
    let mut near = vec![false; count];
    let mut open = Vec::new();
    for (at, inst) in program.insts.iter().enumerate() {
        match *inst {
            Inst::Jump(next) => sources[next].push(at),
            Inst::Fork(one, other) => {
                sources[one].push(at);
                sources[other].push(at);
            }
            Inst::Mark(_) => open.push(at),
            _ => {}
        }
    }
    while let Some(at) = open.pop() {
        if !std::mem::replace(&mut near[at], true) {
            open.extend_from_slice(&sources[at]);
        }
    }
    near
}

#[cfg(test)]
mod tests {
    use crate::regex::{Case, Regex};

    /// What procmail logs as matched.
    #[test]
    fn marks_in_odd_places_give_what_procmail_gives() {
        let cases: &[(&str, &str, Option<&str>)] = &[
            // A mark at the end of an alternative goes on in the next.
            (r"(a\/|b)c", "abc", Some("bc")),
            (r"(ax*\/|b)c", "abc", Some("bc")),
            (r"(a\/)*b", "aab", Some("b")),
            (r"(a\/|x)*b", "aab", None),
            // Of two ways, one without a mark, the first to the end counts.
            (r"a\/b|a", "ab", None),
            (r"a|a\/b", "ab", None),
            // A way that has passed a mark hands it on to what is followed after it.
            (r"(\/|a)b", "ab", Some("ab")),
            (r"(\/a)?b", "ab", Some("ab")),
            (r"(a|\/a)b", "ab", Some("ab")),
            (r"(a|\/)b", "ab", Some("b")),
            (r"(\/a)?(\/b)?c", "abc", Some("bc")),
            (r"(\/b|a)*c", "abac", Some("c")),
            (r"()(.|\/b)*c", "abac", Some("c")),
            (r"()\/(a|ab)(c|bcd)?", "abcd", Some("abcd")),
            (r"()\/a*\/b*", "aabb", Some("")),
            // The newline thought behind the text is not given, nor anything behind it.
            (r"^\/(.|$)*", "a", Some("a")),
            (r"a\/$", "a", Some("")),
            (r"a$\/", "a", None),
            (r"()\/^^a", "a", Some("a")),
        ];
        for &(pattern, text, expected) in cases {
            let found = Regex::new(pattern.as_bytes(), Case::Fold).find(text.as_bytes(), 0).expect("matches");
            assert_eq!(found.marked().map(|range| &text[range]), expected, "{pattern} in {text}");
        }
        assert_eq!(Regex::new(br"(a\/|b)c", Case::Fold).find(b"ac", 0), None);
    }

    #[test]
    fn many_marks_at_once_are_followed_in_a_moment() {
        let pattern = format!(r"\/{}x", ".?".repeat(1000));
        let regex = Regex::new(pattern.as_bytes(), Case::Fold);
        let text = [b"a".repeat(5000).as_slice(), b"x"].concat();
        assert_eq!(regex.find(&text, 0).and_then(|found| found.marked()), Some(4000..5001));
    }
}

//! Ways that lead back to themselves and consume nothing, as `(a*)*` has them.
//!
//! Procmail follows every way, so it has to open such circles when it compiles an expression. It does not always do so
//! well: some ways are lost with them, and some circles stay. The same ways are lost here, so that the same is found.

use super::parse::Inst;

const NONE: usize = usize::MAX;

/// Opens the circles. Gives whether procmail would follow an address that is none.
pub(super) fn open_up(insts: &mut [Inst]) -> bool {
    let count = insts.len();
    if !insts.iter().any(|inst| matches!(inst, Inst::Fork(..))) {
        return false;
    }
    let mut sources = vec![Vec::new(); count];
    for (at, inst) in insts.iter().enumerate() {
        if let Some(next) = target(inst)
            && matches!(insts[next], Inst::Fork(..))
        {
            sources[next].push(at);
        }
    }
    let mut circles = Circles {
        insts,
        circle: vec![NONE; count],
        round: vec![0; count],
        leap: (0..count).collect(),
        now: 0,
        walked: Vec::new(),
        lost: Vec::new(),
        strays: false,
    };
    let mut late: Vec<usize> = Vec::new();
    for at in 0..count {
        if !matches!(circles.insts[at], Inst::Fork(..)) || circles.circle[at] != NONE {
            continue;
        }
        circles.walk(at);
        circles.lead_to_heads(&mut late, &sources);
        circles.lose();
    }
    circles.strays
}

/// Whether a circle can be entered, so that procmail, which goes round until it finds a match without a `\/`, may never
/// be done.
pub(super) fn stay(insts: &[Inst]) -> bool {
    // For each instruction how many free ways lead to it; those to which none does are taken away one by one.
    let free = |inst: &Inst| match *inst {
        Inst::Jump(next) | Inst::Mark(next) => [Some(next), None],
        Inst::Fork(near, far) => [Some(near), Some(far)],
        Inst::Bytes(..) | Inst::Edge(_) | Inst::Accept => [None, None],
    };
    let mut entered = vec![false; insts.len()];
    let mut open = vec![0];
    while let Some(at) = open.pop() {
        if !std::mem::replace(&mut entered[at], true) {
            open.extend(free(&insts[at]).into_iter().flatten());
            if let Inst::Bytes(_, next) | Inst::Edge(next) = insts[at] {
                open.push(next);
            }
        }
    }
    let mut ways = vec![0; insts.len()];
    let places = || (0..insts.len()).filter(|&at| entered[at]);
    for next in places().flat_map(|at| free(&insts[at])).flatten() {
        ways[next] += 1;
    }
    open.extend(places().filter(|&at| ways[at] == 0));
    let mut left = places().count();
    while let Some(at) = open.pop() {
        left -= 1;
        for next in free(&insts[at]).into_iter().flatten() {
            ways[next] -= 1;
            if ways[next] == 0 {
                open.push(next);
            }
        }
    }
    left > 0
}

/// Where an instruction goes on, other than at the one behind it.
fn target(inst: &Inst) -> Option<usize> {
    match *inst {
        Inst::Jump(next) | Inst::Fork(_, next) | Inst::Bytes(_, next) | Inst::Edge(next) => Some(next),
        Inst::Mark(_) | Inst::Accept => None,
    }
}

struct Circles<'a> {
    insts: &'a mut [Inst],
    /// For each fork that was walked over, one that is nearer to the start of its circle, or itself.
    circle: Vec<usize>,
    /// In which round each was walked over last.
    round: Vec<usize>,
    /// A later one in a row of jumps.
    leap: Vec<usize>,
    now: usize,
    /// What was walked over in this round.
    walked: Vec<usize>,
    /// The forks of this round of which one way leads into a circle right away, and whether that is the far one.
    lost: Vec<(usize, bool)>,
    strays: bool,
}

/// A fork on the way down.
struct Step {
    fork: usize,
    far: Option<usize>,
    far_circles: bool,
    far_done: bool,
}

impl Circles<'_> {
    /// Walks over all that is reached from a fork without consuming a byte, the far ways first.
    fn walk(&mut self, start: usize) {
        self.now += 1;
        self.walked.clear();
        self.lost.clear();
        let mut steps: Vec<Step> = Vec::new();
        let mut enter = Some(start);
        // What the last way gave: the first fork of its circle, and whether it leads there right away.
        let mut came = (None, false);
        loop {
            if let Some(at) = enter.take() {
                match self.arrive(at) {
                    Ok(fork) => {
                        self.round[fork] = self.now;
                        self.walked.push(fork);
                        steps.push(Step { fork, far: None, far_circles: false, far_done: false });
                        if let Inst::Fork(_, far) = self.insts[fork] {
                            enter = Some(far);
                        }
                        continue;
                    }
                    Err(known) => came = known,
                }
            }
            let Some(step) = steps.last_mut() else { return };
            if !step.far_done {
                step.far_done = true;
                (step.far, step.far_circles) = came;
                enter = Some(step.fork + 1);
                continue;
            }
            let (near, near_circles) = came;
            let (fork, mut head, far_circles) = (step.fork, step.far, step.far_circles);
            steps.pop();
            if let (Some(far), Some(near)) = (head, near) {
                head = Some(far.min(near));
            }
            if far_circles != near_circles {
                self.lost.push((fork, far_circles));
            }
            self.circle[fork] = head.unwrap_or(fork);
            came = (head.filter(|&head| head != fork), near_circles && far_circles);
        }
    }

    /// Follows the jumps at `at`: to a fork that was not walked over yet, or to what is known of a way there.
    fn arrive(&mut self, at: usize) -> Result<usize, (Option<usize>, bool)> {
        let mut at = at;
        if let Inst::Jump(_) = self.insts[at] {
            let mut last = at;
            let mut row = Vec::new();
            while let Inst::Jump(next) = self.insts[last] {
                let later = self.leap[last];
                let to = if later != last { later } else { next };
                if !matches!(self.insts[to], Inst::Jump(_)) {
                    break;
                }
                row.push(last);
                if to == at || row.len() > self.insts.len() {
                    self.strays = true;
                    return Err((None, false));
                }
                last = to;
            }
            for jump in row {
                self.leap[jump] = last;
            }
            if self.round[last] != self.now {
                self.round[last] = self.now;
                self.walked.push(last);
            }
            if let Inst::Jump(next) = self.insts[last] {
                at = next;
            }
        }
        match self.insts[at] {
            Inst::Fork(..) if self.round[at] == self.now => {
                let head = self.circle[at];
                Err((Some(if head == NONE { at } else { head }), true))
            }
            Inst::Fork(..) if self.circle[at] == NONE => Ok(at),
            _ => Err((None, false)),
        }
    }

    /// Lets all but what was walked over in this round lead to the first forks of circles.
    fn lead_to_heads(&mut self, late: &mut Vec<usize>, sources: &[Vec<usize>]) {
        for at in std::mem::take(late) {
            if self.round[at] == self.now {
                continue;
            }
            self.lead_to_head(at);
        }
        for number in 0..self.walked.len() {
            let fork = self.walked[number];
            if !matches!(self.insts[fork], Inst::Fork(..)) {
                continue;
            }
            for &source in &sources[fork] {
                if self.round[source] != self.now && target(&self.insts[source]) == Some(fork) {
                    self.lead_to_head(source);
                }
            }
        }
        late.extend_from_slice(&self.walked);
    }

    fn lead_to_head(&mut self, at: usize) {
        let Some(mut head) = target(&self.insts[at]) else { return };
        if !matches!(self.insts[head], Inst::Fork(..)) || self.circle[head] == NONE {
            return;
        }
        let mut steps = 0;
        while self.circle[head] != head {
            let next = self.circle[head];
            if !matches!(self.insts[next], Inst::Fork(..)) || steps > self.insts.len() {
                self.strays = true;
                break;
            }
            head = next;
            steps += 1;
        }
        match &mut self.insts[at] {
            Inst::Jump(next) | Inst::Fork(_, next) | Inst::Bytes(_, next) | Inst::Edge(next) => *next = head,
            Inst::Mark(_) | Inst::Accept => {}
        }
    }

    /// Takes away the ways that lead into circles right away.
    fn lose(&mut self) {
        for &(fork, far) in &self.lost {
            if let Inst::Fork(near, next) = self.insts[fork] {
                self.insts[fork] = Inst::Jump(if far { near } else { next });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::regex::{Case, Regex};

    #[test]
    fn ways_that_procmail_loses_are_lost() {
        let cases: &[(&str, &str, bool)] = &[
            ("x(a?())+b", "xab", true),
            ("x(a?())+b", "xaab", false),
            ("x(a*|)b*y", "xaby", true),
            ("x(a*|)b*y", "xaay", false),
            ("x(|a*)b*y", "xaby", true),
            ("x(a*)?b*y", "xaby", true),
            ("(a*)+b", "aab", true),
            ("((a|)+|b)*c", "abac", true),
            ("x((a|b)?(c|d)*)*y", "xacbdy", true),
            ("x((|a)+b?)+y", "xaby", true),
        ];
        for &(pattern, text, expected) in cases {
            let regex = Regex::new(pattern.as_bytes(), Case::Fold);
            assert_eq!(regex.is_match(text.as_bytes()), expected, "{pattern} in {text}");
        }
    }

    #[test]
    fn circles_stay_where_a_mark_is_repeated() {
        for pattern in [r"a\/+", r"()(\/)+", r"(\/|)*b", r"(a?\/)+b"] {
            assert!(Regex::new(pattern.as_bytes(), Case::Fold).is_endless(), "{pattern}");
        }
        for pattern in [r"a\/*", r"(\/a)*b", r"((a*)*|())+", r"(a\/b)+", r"((|a)+b?)+"] {
            assert!(!Regex::new(pattern.as_bytes(), Case::Fold).is_endless(), "{pattern}");
        }
    }

    #[test]
    fn all_is_done_in_a_moment_however_circles_nest() {
        for (before, inside, behind) in
            [("(", "a", "|)*"), ("(", "", ")+"), ("(a*|", "b", ")?"), ("", "(|||)*", "()")]
        {
            let pattern = [before.repeat(50_000), inside.to_owned(), behind.repeat(50_000)].concat();
            let regex = Regex::new(pattern.as_bytes(), Case::Fold);
            assert!(!regex.is_endless());
            assert!(regex.is_match(b"ab"));
        }
    }
}

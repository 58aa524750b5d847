//! Expressions, beside a matcher that follows every way through them.

use procmail_engine::regex::{Case, Regex};

use crate::Knobs;

const LONGEST_PATTERN: usize = 40;
const LONGEST_TEXT: usize = 40;

/// The expression is up to the first NUL, the text behind it. Both give the same first end of a match, and what the mark
/// gives lies in the text. Long input only has to be done with in time.
pub fn check(data: &[u8]) {
    let (mut knobs, data) = Knobs::split(data);
    let cut = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (pattern, text) = (&data[..cut], data.get(cut + 1..).unwrap_or_default());
    let case = if knobs.one_in(2) { Case::Exact } else { Case::Fold };
    let regex = Regex::new(pattern, case);
    let from = knobs.below(text.len() + 2);
    let from = if knobs.one_in(2) { 0 } else { from };
    let found = regex.find(text, from);
    if let Some(found) = &found {
        assert!(from <= found.end() && found.end() <= text.len() + 1);
        if let Some(marked) = found.marked() {
            assert!(regex.marks() && marked.start <= marked.end && marked.end <= text.len());
        }
    }
    assert_eq!(regex.is_match(text), regex.find(text, 0).is_some());
    // Procmail begins no match at the newline thought behind the text, which only tells where there is a mark.
    if regex.marks() && from > 0 {
        return;
    }
    if pattern.len() > LONGEST_PATTERN || text.len() > LONGEST_TEXT {
        return;
    }
    let Some(expected) = reference(pattern, text, from, case) else { return };
    let shown = (pattern.escape_ascii(), text.escape_ascii());
    assert_eq!(found.map(|found| found.end()), expected, "{} in {}, from {from}", shown.0, shown.1);
}

#[derive(Debug, Clone)]
enum Node {
    Bytes(Vec<u8>),
    Edge,
    Mark,
    Empty,
    Group(Vec<Vec<Node>>),
    Repeat(Box<Node>, u8),
}

/// Places in the expanded text: the newline thought before it is 0, its first byte 1. Besides the place, whether only the
/// very end of the expression may follow, and whether nothing was consumed yet.
type Places = std::collections::BTreeSet<(usize, Edge)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Edge {
    /// Before anything is consumed, at the start of the text.
    Fresh,
    None,
    /// Behind a `^^` at the end of the text.
    Ended,
}

/// The first end of a match, by trying all ways. Nothing if procmail goes other ways: where a group may be repeated though
/// it consumes nothing, and where a group has a mark.
fn reference(pattern: &[u8], text: &[u8], from: usize, case: Case) -> Option<Option<usize>> {
    if from > text.len() {
        return Some(None);
    }
    let fold = case == Case::Fold;
    let mut at = 0;
    let mut alternatives = group(pattern, &mut at, fold);
    // A parenthesis that closes nothing ends the expression.
    if at < pattern.len() {
        alternatives = vec![vec![Node::Group(alternatives)]];
    }
    let whole = Node::Group(alternatives);
    if is_odd(&whole, false) {
        return None;
    }
    let around = [b"\n", text, b"\n"].concat();
    let first = if from == 0 || text[from - 1] == b'\n' { from } else { from + 1 };
    let mut best = None;
    for start in first..=text.len() + 1 {
        let edge = if start == 0 { Edge::Fresh } else { Edge::None };
        for (end, _) in follow(&whole, &around, &Places::from([(start, edge)]), true) {
            // What ends at the newline before the text ends where the search starts.
            let end = end.saturating_sub(1).max(from);
            best = Some(best.map_or(end, |best: usize| best.min(end)));
        }
    }
    Some(best)
}

fn is_odd(node: &Node, within: bool) -> bool {
    match node {
        Node::Mark => within,
        Node::Repeat(inner, _) => may_be_empty(inner) || is_odd(inner, true),
        Node::Group(alternatives) => {
            let several = alternatives.len() > 1;
            alternatives.iter().flatten().any(|node| match node {
                Node::Group(_) => is_odd(node, true),
                _ => is_odd(node, within || several),
            })
        }
        Node::Bytes(_) | Node::Edge | Node::Empty => false,
    }
}

fn may_be_empty(node: &Node) -> bool {
    match node {
        Node::Bytes(_) => false,
        Node::Edge | Node::Mark | Node::Empty => true,
        Node::Group(alternatives) => alternatives.iter().any(|sequence| sequence.iter().all(may_be_empty)),
        Node::Repeat(inner, how) => *how != b'+' || may_be_empty(inner),
    }
}

fn group(pattern: &[u8], at: &mut usize, fold: bool) -> Vec<Vec<Node>> {
    let mut alternatives = vec![Vec::new()];
    while let Some(&byte) = pattern.get(*at) {
        let sequence = alternatives.last_mut().expect("there is one");
        *at += 1;
        let set =
            |bytes: &mut dyn FnMut(u8) -> bool| Node::Bytes((0..=255).filter(|&byte| bytes(byte)).collect());
        let literal =
            |byte: u8| set(&mut |other| if fold { other.eq_ignore_ascii_case(&byte) } else { other == byte });
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let repeatable = matches!(sequence.last(), Some(node) if !matches!(node, Node::Repeat(..)));
        let node = match byte {
            b'(' => {
                let inner = group(pattern, at, fold);
                *at += usize::from(*at < pattern.len());
                Node::Group(inner)
            }
            b')' => {
                *at -= 1;
                break;
            }
            b'|' => {
                alternatives.push(Vec::new());
                continue;
            }
            b'*' | b'+' | b'?' if repeatable => {
                let last = sequence.pop().expect("it can be repeated");
                Node::Repeat(Box::new(last), byte)
            }
            b'^' if pattern.get(*at) == Some(&b'^') => {
                *at += 1;
                Node::Edge
            }
            b'^' | b'$' => Node::Bytes(vec![b'\n']),
            b'.' => set(&mut |other| other != b'\n'),
            b'[' => class(pattern, at, fold),
            b'\\' => match pattern.get(*at) {
                None => literal(b'\\'),
                Some(&escaped) => {
                    *at += 1;
                    match escaped {
                        b'/' => Node::Mark,
                        b'<' | b'>' => set(&mut |other| !word(other)),
                        other => literal(other),
                    }
                }
            },
            other => literal(other),
        };
        sequence.push(node);
    }
    alternatives
}

fn class(pattern: &[u8], at: &mut usize, fold: bool) -> Node {
    let negated = pattern.get(*at) == Some(&b'^');
    *at += usize::from(negated);
    let mut chosen = [false; 256];
    let mut last = None;
    while let Some(&byte) = pattern.get(*at) {
        if byte == b']' && last.is_some() {
            break;
        }
        *at += 1;
        let to = pattern.get(*at).copied().filter(|&to| to != b']');
        let chosen_byte = match (byte, last, to) {
            (b'-', Some(from), Some(to)) => {
                *at += 1;
                (from..to).for_each(|between| chosen[usize::from(between)] = true);
                to
            }
            _ => byte,
        };
        chosen[usize::from(chosen_byte)] = true;
        last = Some(chosen_byte);
    }
    *at = (*at + 1).min(pattern.len());
    let has = |byte: u8| {
        let one = |byte: u8| chosen[usize::from(byte)];
        one(byte) || fold && (one(byte.to_ascii_lowercase()) || one(byte.to_ascii_uppercase()))
    };
    Node::Bytes(
        (0..=255).filter(|&byte| if negated { byte != b'\n' && !has(byte) } else { has(byte) }).collect(),
    )
}

/// Where a node leads from these places. `last` tells that nothing stands behind it.
fn follow(node: &Node, around: &[u8], from: &Places, last: bool) -> Places {
    let open = || from.iter().filter(|(_, edge)| *edge != Edge::Ended);
    match node {
        Node::Bytes(bytes) => open()
            .filter(|(at, _)| around.get(*at).is_some_and(|byte| bytes.contains(byte)))
            .map(|(at, _)| (at + 1, Edge::None))
            .collect(),
        Node::Edge => {
            let at_start = open().filter(|(_, edge)| *edge == Edge::Fresh).map(|_| (1, Edge::None));
            let at_end = open().filter(|(at, _)| last && *at == around.len() - 1);
            at_start.chain(at_end.map(|(at, _)| (*at, Edge::Ended))).collect()
        }
        Node::Mark | Node::Empty => open().copied().collect(),
        Node::Group(alternatives) => {
            let mut places = Places::new();
            for sequence in alternatives {
                let nodes: &[Node] = if sequence.is_empty() { &[Node::Empty] } else { sequence };
                let mut here = from.clone();
                for (number, node) in nodes.iter().enumerate() {
                    here = follow(node, around, &here, last && number + 1 == nodes.len());
                }
                places.extend(here);
            }
            places
        }
        Node::Repeat(node, how) => {
            if matches!(**node, Node::Mark) {
                return follow(node, around, from, last);
            }
            let once = last && *how == b'?';
            let mut places = if *how == b'+' { Places::new() } else { open().copied().collect() };
            let mut here = from.clone();
            while !here.is_empty() {
                here = follow(node, around, &here, once);
                here = here.difference(&places).copied().collect();
                places.extend(here.iter().copied());
                if *how == b'?' {
                    break;
                }
            }
            places
        }
    }
}

//! Procmail's expressions as trees, and how much of one Sieve can say.
//!
//! The trees follow `crate::regex`, which goes from the text straight to a program; a test sees to it that both read the same.

mod globs;
mod posix;

use super::Reason;
use crate::regex::Regex;

pub(super) use globs::{Token, globs};
pub(super) use posix::{Where, inner, posix};

/// How deep parentheses may nest.
const DEEPEST: usize = 24;
/// How long an expression may be.
const LONGEST: usize = 2048;
/// How many steps the look behind a blank takes at most.
pub(super) const MOST_STEPS: usize = 500;
/// How many sequences one may be spread to.
pub(super) const MOST_BRANCHES: usize = 48;

pub(super) type Sequence = Vec<Node>;

/// A piece of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// One byte.
    Set(Set),
    /// `^` or `$`: a newline.
    Newline,
    /// `\<` or `\>`: a byte that is not of a word, or a newline.
    NotOfWord,
    /// `^^` at the start.
    TextStart,
    /// `^^` elsewhere.
    TextEnd,
    /// Alternatives.
    Group(Vec<Sequence>),
    /// `*`, `+`, `?`.
    Repeat(Box<Node>, u8),
}

/// Some bytes, never a newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Set {
    /// Whether it has all bytes but these.
    pub(super) negated: bool,
    /// Sorted; letters in lower case, if case does not matter.
    pub(super) bytes: Vec<u8>,
}

impl Set {
    fn new(negated: bool, mut bytes: Vec<u8>, fold: bool) -> Self {
        if fold {
            bytes.make_ascii_lowercase();
        }
        bytes.sort_unstable();
        bytes.dedup();
        Self { negated, bytes }
    }

    pub(super) fn contains(&self, byte: u8) -> bool {
        self.bytes.binary_search(&byte).is_ok() != self.negated
    }

    /// The byte, if there is only one.
    pub(super) fn single(&self) -> Option<u8> {
        match self.bytes.as_slice() {
            [byte] if !self.negated => Some(*byte),
            _ => None,
        }
    }

    /// Whether it is `.`.
    pub(super) fn is_any(&self) -> bool {
        self.negated && self.bytes.is_empty()
    }
}

impl Node {
    /// Whether it is `.*`.
    pub(super) fn is_anything(&self) -> bool {
        matches!(self, Self::Repeat(node, b'*') if matches!(&**node, Self::Set(set) if set.is_any()))
    }
}

#[derive(Default)]
struct Group {
    alternatives: Vec<Sequence>,
    sequence: Sequence,
    /// Whether the last node may be repeated.
    repeatable: bool,
}

impl Group {
    fn item(&mut self, node: Node) {
        self.sequence.push(node);
        self.repeatable = true;
    }

    fn close(mut self) -> Vec<Sequence> {
        self.alternatives.push(self.sequence);
        self.alternatives
    }
}

/// Reads an expression: its alternatives. `\/` is left out, since it does not change what matches.
pub(super) fn parse(pattern: &[u8], fold: bool) -> Result<Vec<Sequence>, Reason> {
    if pattern.len() > LONGEST {
        return Err(Reason::TooComplex);
    }
    if !Regex::is_as_written(pattern) {
        return Err(Reason::NotAsWritten);
    }
    let mut stack: Vec<Group> = Vec::new();
    let mut group = Group::default();
    let mut at = 0;
    let single = |byte: u8| match byte {
        b'\n' => Node::Newline,
        byte => Node::Set(Set::new(false, vec![byte], fold)),
    };
    while let Some(&byte) = pattern.get(at) {
        let rest = &pattern[at + 1..];
        at += 1;
        match byte {
            b'(' => {
                if stack.len() >= DEEPEST {
                    return Err(Reason::TooComplex);
                }
                stack.push(std::mem::take(&mut group));
            }
            b')' => {
                let node = Node::Group(std::mem::take(&mut group).close());
                match stack.pop() {
                    Some(outer) => {
                        group = outer;
                        group.item(node);
                    }
                    None => {
                        group.item(node);
                        break;
                    }
                }
            }
            b'|' => {
                let sequence = std::mem::take(&mut group.sequence);
                group.alternatives.push(sequence);
                group.repeatable = false;
            }
            b'*' | b'+' | b'?' if group.repeatable => {
                group.repeatable = false;
                if let Some(node) = group.sequence.pop() {
                    group.sequence.push(Node::Repeat(Box::new(node), byte));
                }
            }
            b'^' if rest.first() == Some(&b'^') => {
                at += 1;
                let node = match group.sequence.as_slice() {
                    [] => Node::TextStart,
                    // What is before may take nothing: then it can be the start as well.
                    before if !before.iter().any(takes) && pattern.len() > at => {
                        return Err(Reason::NotAsWritten);
                    }
                    _ => Node::TextEnd,
                };
                group.item(node);
            }
            b'^' | b'$' => group.item(Node::Newline),
            b'.' => group.item(Node::Set(Set::new(true, Vec::new(), fold))),
            b'[' => {
                let (set, used) = class(rest, fold)?;
                at += used;
                group.item(Node::Set(set));
            }
            b'\\' => match rest.first() {
                None => group.item(single(b'\\')),
                Some(&escaped) => {
                    at += 1;
                    match escaped {
                        // Stands for nothing, yet it may be repeated.
                        b'/' => group.item(Node::Group(vec![Vec::new()])),
                        b'<' | b'>' => group.item(Node::NotOfWord),
                        literal => group.item(single(literal)),
                    }
                }
            },
            literal => group.item(single(literal)),
        }
    }
    while let Some(mut outer) = stack.pop() {
        outer.item(Node::Group(group.close()));
        group = outer;
    }
    Ok(group.close())
}

/// Whether a node takes a byte whatever the text is.
fn takes(node: &Node) -> bool {
    matches!(node, Node::Set(_) | Node::Newline | Node::NotOfWord)
}

/// Reads a class behind its `[`, as `crate::regex` does.
fn class(text: &[u8], fold: bool) -> Result<(Set, usize), Reason> {
    let mut bytes = Vec::new();
    let negated = text.first() == Some(&b'^');
    let mut at = usize::from(negated);
    while let Some(&byte) = text.get(at) {
        if byte == b']' && !bytes.is_empty() {
            break;
        }
        at += 1;
        match (byte, bytes.last().copied(), text.get(at)) {
            (b'-', Some(from), Some(&to)) if to != b']' => {
                bytes.extend(from..to);
                bytes.push(to);
                at += 1;
            }
            _ => bytes.push(byte),
        }
    }
    if bytes.contains(&b'\n') {
        if !negated {
            return Err(Reason::SeveralLines);
        }
        bytes.retain(|&byte| byte != b'\n');
    }
    Ok((Set::new(negated, bytes, fold), (at + 1).min(text.len())))
}

/// What of a sequence is left behind a blank: the sequences that go on there. None if it cannot start with one; an empty one
/// if it matches already.
pub(super) fn behind_blank(
    sequence: &[Node],
    out: &mut Vec<Sequence>,
    steps: &mut usize,
) -> Result<(), Reason> {
    if out.len() > MOST_BRANCHES || *steps == 0 {
        return Err(Reason::TooComplex);
    }
    *steps -= 1;
    let Some((first, rest)) = sequence.split_first() else {
        out.push(Vec::new());
        return Ok(());
    };
    let with = |before: &[Node]| [before, rest].concat();
    match first {
        Node::Set(set) => {
            if set.contains(b' ') {
                out.push(rest.to_vec());
            }
        }
        Node::NotOfWord => out.push(rest.to_vec()),
        Node::Newline | Node::TextStart | Node::TextEnd => {}
        Node::Group(alternatives) => {
            for alternative in alternatives {
                behind_blank(&with(alternative), out, steps)?;
            }
        }
        Node::Repeat(node, how) => {
            let mut once = Vec::new();
            if nullable(node) {
                return Err(Reason::TooComplex);
            }
            behind_blank(std::slice::from_ref(node), &mut once, steps)?;
            for begun in once {
                let again = if *how == b'?' { None } else { Some(Node::Repeat(node.clone(), b'*')) };
                out.push(begun.into_iter().chain(again).chain(rest.iter().cloned()).collect());
            }
            if *how != b'+' {
                behind_blank(rest, out, steps)?;
            }
        }
    }
    Ok(())
}

/// Whether it matches nothing at all, too.
pub(super) fn nullable(node: &Node) -> bool {
    match node {
        Node::Set(_) | Node::Newline | Node::NotOfWord => false,
        Node::TextStart | Node::TextEnd => true,
        Node::Group(alternatives) => alternatives.iter().any(|alternative| alternative.iter().all(nullable)),
        Node::Repeat(node, how) => *how != b'+' || nullable(node),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regex::{Case, Regex};
    use proptest::prelude::*;

    /// Whether the tree matches somewhere in the text, tried by hand.
    fn matches(alternatives: &[Sequence], text: &[u8]) -> bool {
        // One newline is thought before the text and one behind it.
        let whole = [b"\n", text, b"\n"].concat();
        // A newline that is thought before the text is the start of a match only.
        (0..=whole.len())
            .any(|from| alternatives.iter().any(|sequence| !ends(sequence, &whole, vec![from]).is_empty()))
    }

    fn ends(sequence: &[Node], text: &[u8], starts: Vec<usize>) -> Vec<usize> {
        sequence.iter().fold(starts, |places, node| {
            let mut found: Vec<usize> = places.iter().flat_map(|&at| node_ends(node, text, at)).collect();
            found.sort_unstable();
            found.dedup();
            found
        })
    }

    fn node_ends(node: &Node, text: &[u8], at: usize) -> Vec<usize> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let one = |ok: bool| if ok { vec![at + 1] } else { Vec::new() };
        match node {
            Node::Set(set) => one(text
                .get(at)
                .is_some_and(|&byte| byte != b'\n' && set.contains(byte.to_ascii_lowercase()))),
            Node::Newline => one(text.get(at) == Some(&b'\n')),
            Node::NotOfWord => one(text.get(at).is_some_and(|&byte| !word(byte))),
            Node::TextStart => {
                if at == 1 {
                    vec![at]
                } else {
                    Vec::new()
                }
            }
            Node::TextEnd => {
                if at + 1 == text.len() {
                    vec![at]
                } else {
                    Vec::new()
                }
            }
            Node::Group(alternatives) => {
                alternatives.iter().flat_map(|sequence| ends(sequence, text, vec![at])).collect()
            }
            Node::Repeat(node, how) => {
                let mut all = if *how == b'+' { Vec::new() } else { vec![at] };
                let mut new = node_ends(node, text, at);
                while let Some(end) = new.pop() {
                    if !all.contains(&end) {
                        all.push(end);
                        if *how != b'?' {
                            new.extend(node_ends(node, text, end));
                        }
                    }
                }
                all
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_tree_matches_what_the_expression_matches(
            pattern in "[ab.()|*+?$\\\\/<>\\[\\]^-]{0,12}",
            text in "[abA \n]{0,10}",
        ) {
            let regex = Regex::new(pattern.as_bytes(), Case::Fold);
            let tree = match parse(pattern.as_bytes(), true) {
                Err(Reason::NotAsWritten) => return Ok(()),
                tree => tree.expect("is not deep"),
            };
            prop_assert_eq!(matches(&tree, text.as_bytes()), regex.is_match(text.as_bytes()));
        }
    }

    #[test]
    fn an_edge_that_may_be_both_is_not_converted() {
        for pattern in [r"b?$*^^.|c", "(b*^^|c)d", "(b)^^c"] {
            assert_eq!(parse(pattern.as_bytes(), true).err(), Some(Reason::NotAsWritten), "{pattern}");
        }
        for pattern in ["b^^", "b*^^", "(^^a|b^^)c", "^^a^^"] {
            assert!(parse(pattern.as_bytes(), true).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn sets_are_written_so_that_nothing_in_them_is_special() {
        for (class, written) in [
            ("[]a]", "[]a]"),
            ("[^]a-f-]", "[^]a-f-]"),
            ("[a^]", "[a^]"),
            ("[-^]", "[-^]"),
            ("[[:]", "[:[]"),
            ("[xyz0-9_.]", "[.0-9_x-z]"),
            ("[ab]", "[ab]"),
            ("[.]", "\\."),
            ("[A-C]", "[a-c]"),
            ("a{2}", "a\\{2\\}"),
            ("(a||b)+", "((a|b)?)+"),
            ("()a()", "a"),
        ] {
            let tree = parse(class.as_bytes(), true).expect("is not deep");
            assert_eq!(posix(&tree, Where::Value).as_deref(), Ok(written), "{class}");
        }
    }

    #[test]
    fn what_follows_a_blank_is_what_the_value_has() {
        for (pattern, written) in [
            (".*x", vec![".*x"]),
            (" x", vec!["x"]),
            ("x", vec![]),
            ("[ \t]*x", vec!["[\t ]*x"]),
            (".*[^a]x", vec![".*[^a]x", "x"]),
            ("(.*[^a])?x", vec![".*[^a]x", "x"]),
            ("\\<x", vec!["x"]),
            ("", vec![""]),
        ] {
            let mut found = Vec::new();
            for sequence in parse(pattern.as_bytes(), true).expect("is not deep") {
                behind_blank(&sequence, &mut found, &mut 100).expect("is not complex");
            }
            let found: Vec<_> =
                found.into_iter().map(|one| posix(&[one], Where::Value).expect("is one line")).collect();
            assert_eq!(found, written, "{pattern}");
        }
    }
}

//! Expressions as patterns of `:matches`, with `*` and `?`.

use super::{MOST_BRANCHES, Node, Sequence};

/// A part of a text that has no more than literals and what stands for anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Token {
    Byte(u8),
    /// Any one byte.
    One,
    /// Anything.
    Many,
}

/// Sequences as globs, if they are no more than that. The sequence ends at the end only if its last node is a newline.
pub(in super::super) fn globs(sequences: &[Sequence], open_end: bool) -> Option<Vec<Vec<Token>>> {
    let mut out = Vec::new();
    for sequence in sequences {
        let mut found = vec![Vec::new()];
        let (body, anchored) = match sequence.split_last() {
            Some((Node::Newline, body)) => (body, true),
            _ => (sequence.as_slice(), false),
        };
        spread(body, &mut found)?;
        for mut glob in found {
            if !anchored && open_end {
                glob.push(Token::Many);
            }
            glob.dedup_by(|one, other| *one == Token::Many && *other == Token::Many);
            if !out.contains(&glob) {
                out.push(glob);
            }
        }
        if out.len() > MOST_BRANCHES {
            return None;
        }
    }
    Some(out)
}

fn spread(sequence: &[Node], found: &mut Vec<Vec<Token>>) -> Option<()> {
    for node in sequence {
        let tokens = match node {
            node if node.is_anything() => vec![vec![Token::Many]],
            Node::Set(set) if set.is_any() => vec![vec![Token::One]],
            Node::Set(set) => match set.single() {
                Some(byte) => vec![vec![Token::Byte(byte)]],
                None if !set.negated && set.bytes.len() <= 4 => {
                    set.bytes.iter().map(|&byte| vec![Token::Byte(byte)]).collect()
                }
                None => return None,
            },
            Node::Repeat(node, b'+') if matches!(&**node, Node::Set(set) if set.is_any()) => {
                vec![vec![Token::One, Token::Many]]
            }
            Node::Repeat(node, b'?') => {
                let mut with = vec![Vec::new()];
                spread(std::slice::from_ref(node), &mut with)?;
                with.push(Vec::new());
                with
            }
            Node::Group(alternatives) => {
                let mut all = Vec::new();
                for alternative in alternatives {
                    let mut with = vec![Vec::new()];
                    spread(alternative, &mut with)?;
                    all.extend(with);
                    if all.len() > MOST_BRANCHES {
                        return None;
                    }
                }
                all
            }
            _ => return None,
        };
        if found.len() * tokens.len() > MOST_BRANCHES {
            return None;
        }
        *found = found
            .iter()
            .flat_map(|before| tokens.iter().map(move |more| [before.as_slice(), more].concat()))
            .collect();
    }
    Some(())
}

//! Expressions in the words of POSIX, for `:regex`.

use super::super::Reason;
use super::{Node, Sequence, Set, nullable};

/// What an expression looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Where {
    /// The value of a field: one line, the sequence starting where it starts.
    Value,
    /// A text of several lines.
    Text,
}

/// A newline in a text, which may be written CR LF.
const NEWLINE: &str = "\r?\n";

/// Writes sequences as a POSIX expression. Newlines come only with [`Where::Text`].
pub(in super::super) fn posix(alternatives: &[Sequence], place: Where) -> Result<String, Reason> {
    let mut out = Vec::new();
    let start = place == Where::Text;
    write_alternatives(alternatives, place, (start, true), &mut out)?;
    String::from_utf8(out).map_err(|_| Reason::NotUtf8)
}

/// Writes a node that something precedes and something follows.
pub(in super::super) fn inner(node: &Node) -> Result<String, Reason> {
    let mut out = Vec::new();
    write_node(node, Where::Value, (false, false), &mut out)?;
    String::from_utf8(out).map_err(|_| Reason::NotUtf8)
}

/// `ends`: whether the sequence may start at the start, and end at the end.
fn write_alternatives(
    alternatives: &[Sequence],
    place: Where,
    ends: (bool, bool),
    out: &mut Vec<u8>,
) -> Result<(), Reason> {
    for (number, sequence) in alternatives.iter().enumerate() {
        if number > 0 {
            out.push(b'|');
        }
        let mut start = ends.0;
        for (at, node) in sequence.iter().enumerate() {
            let end = ends.1 && at + 1 == sequence.len();
            write_node(node, place, (start, end), out)?;
            start = start && nullable(node);
        }
    }
    Ok(())
}

fn write_node(node: &Node, place: Where, ends: (bool, bool), out: &mut Vec<u8>) -> Result<(), Reason> {
    match node {
        Node::Set(set) => write_set(set, place, out)?,
        Node::Newline => match (place, ends) {
            (_, (true, true)) => return Err(Reason::SeveralLines),
            (Where::Value, (_, true)) => out.push(b'$'),
            (Where::Value, _) => return Err(Reason::SeveralLines),
            (Where::Text, (true, _)) => out.extend_from_slice(b"(^|\n)"),
            (Where::Text, (_, true)) => out.extend_from_slice(format!("($|{NEWLINE})").as_bytes()),
            (Where::Text, _) => out.extend_from_slice(NEWLINE.as_bytes()),
        },
        Node::NotOfWord => {
            let (start, end) = (if ends.0 { "^|" } else { "" }, if ends.1 { "$|" } else { "" });
            let class = "[^a-zA-Z0-9_]";
            let text =
                if ends == (false, false) { class.to_owned() } else { format!("({start}{end}{class})") };
            out.extend_from_slice(text.as_bytes());
        }
        Node::TextStart if place == Where::Text && ends.0 => out.push(b'^'),
        Node::TextEnd if place == Where::Text && ends.1 => out.push(b'$'),
        Node::TextStart | Node::TextEnd => return Err(Reason::SeveralLines),
        Node::Group(alternatives) => {
            let full: Vec<Sequence> =
                alternatives.iter().filter(|alternative| !alternative.is_empty()).cloned().collect();
            if full.is_empty() {
                return Ok(());
            }
            out.push(b'(');
            write_alternatives(&full, place, ends, out)?;
            out.push(b')');
            if full.len() < alternatives.len() {
                out.push(b'?');
            }
        }
        Node::Repeat(node, how) => {
            let before = out.len();
            // Where one follows the other, none of them is at both ends.
            let ends = if *how == b'?' { ends } else { (false, false) };
            write_node(node, place, ends, out)?;
            if out.len() == before {
                return Ok(());
            }
            let whole = matches!(**node, Node::Set(_))
                || matches!(&**node, Node::Group(alternatives) if alternatives.iter().all(|one| !one.is_empty()));
            if !whole {
                out.insert(before, b'(');
                out.push(b')');
            }
            out.push(*how);
        }
    }
    Ok(())
}

fn write_set(set: &Set, place: Where, out: &mut Vec<u8>) -> Result<(), Reason> {
    if let Some(byte) = set.single() {
        if matches!(byte, 0 | b'\r' | b'\n') {
            return Err(Reason::NotUtf8);
        }
        if b"\\.[]{}()*+?|^$".contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
        return Ok(());
    }
    if set.is_any() && place == Where::Value {
        out.push(b'.');
        return Ok(());
    }
    let mut members: Vec<u8> =
        set.bytes.iter().copied().filter(|byte| !matches!(byte, 0 | b'\r' | b'\n')).collect();
    if members.iter().any(|byte| !byte.is_ascii()) {
        return Err(Reason::NotUtf8);
    }
    if set.negated && place == Where::Text {
        members.push(b'\n');
        members.sort_unstable();
    }
    if members.is_empty() {
        return Err(Reason::NotUtf8);
    }
    out.push(b'[');
    if set.negated {
        out.push(b'^');
    }
    // What is special in a class stands where it is not: `]` first, then the rest, then `[`, `^` and `-`.
    let special = |byte: &u8| b"][^-".contains(byte);
    if members.contains(&b']') {
        out.push(b']');
    }
    let plain: Vec<u8> = members.iter().copied().filter(|byte| !special(byte)).collect();
    let mut at = 0;
    while let Some(&first) = plain.get(at) {
        let class = |byte: u8| (byte.is_ascii_digit(), byte.is_ascii_lowercase(), byte.is_ascii_uppercase());
        let run = (1..)
            .take_while(|&step| {
                first.is_ascii_alphanumeric()
                    && plain.get(at + step).is_some_and(|&byte| {
                        usize::from(byte.saturating_sub(first)) == step && class(byte) == class(first)
                    })
            })
            .count();
        if run >= 2 {
            out.extend([first, b'-', plain[at + run]]);
        } else {
            out.extend_from_slice(&plain[at..=at + run]);
        }
        at += run + 1;
    }
    let lone_caret = members == [b'^', b'-'] || members == [b'-', b'^'];
    let rest: &[u8] = if lone_caret && !set.negated { b"-^" } else { b"[^-" };
    out.extend(rest.iter().filter(|byte| members.contains(byte)));
    out.push(b']');
    Ok(())
}

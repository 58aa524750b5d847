//! The body codec beside one that looks at each byte.

use crate::Knobs;
use mail_wire::dot::{Decoded, Decoder, Encoder, Framing, NewlineError, Newlines};
use mail_wire::line::Flaw;

/// A piece of a decoded body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Byte(u8),
    Flaw(Flaw),
}

/// Decodes `data` as the wire form of a body and encodes it as content, both ways of framing.
pub fn check(data: &[u8]) {
    let (mut knobs, data) = Knobs::split(data);
    for framing in [Framing::Dots, Framing::Counted] {
        let expected = reference(data, framing);
        assert_eq!(decode(data, framing, &mut || data.len().max(1)), expected, "whole");
        assert_eq!(decode(data, framing, &mut || 1 + knobs.below(40)), expected, "in pieces");
        encode(data, framing, &mut knobs);
    }
}

/// What is encoded decodes to the content with its line endings repaired, and never ends early.
fn encode(content: &[u8], framing: Framing, knobs: &mut Knobs) {
    let repaired = repaired(content);
    let wire = encoded(content, framing, Newlines::Repair, knobs).expect("repairing has no errors");
    let (items, rest) = reference(&wire, framing);
    assert_eq!(rest, (framing == Framing::Dots).then_some(0), "{}", wire.escape_ascii());
    let decoded = items.iter().map(|item| match item {
        Item::Byte(byte) => *byte,
        Item::Flaw(Flaw::Nul) => 0,
        Item::Flaw(flaw) => panic!("a {} has left: {}", flaw.name(), wire.escape_ascii()),
    });
    assert_eq!(decoded.collect::<Vec<u8>>(), repaired, "{}", content.escape_ascii());
    assert!(wire.len() <= 2 * content.len() + 2 + 3, "more than the documented growth");

    match encoded(content, framing, Newlines::Strict, knobs) {
        Ok(strict) => assert_eq!(strict, wire),
        Err(error) => {
            let at = usize::try_from(error.at).expect("a place in the content");
            let (byte, before, after) = (content[at], at.checked_sub(1), content.get(at + 1));
            match error.flaw {
                Flaw::BareCr => assert!(byte == b'\r' && after != Some(&b'\n')),
                Flaw::BareLf => assert!(byte == b'\n' && before.is_none_or(|at| content[at] != b'\r')),
                other => panic!("{other:?} is no newline"),
            }
        }
    }
}

fn encoded(
    content: &[u8],
    framing: Framing,
    newlines: Newlines,
    knobs: &mut Knobs,
) -> Result<Vec<u8>, NewlineError> {
    let (mut encoder, mut wire, mut rest) = (Encoder::new(framing, newlines), Vec::new(), content);
    while !rest.is_empty() {
        let (piece, more) = rest.split_at((1 + knobs.below(40)).min(rest.len()));
        encoder.encode(piece, &mut wire)?;
        rest = more;
    }
    assert_eq!(encoder.offset(), content.len() as u64);
    encoder.finish(&mut wire)?;
    Ok(wire)
}

/// Lone LF to CRLF, lone CR to a space, and a CRLF at the end.
fn repaired(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, &byte) in content.iter().enumerate() {
        match byte {
            b'\r' if content.get(at + 1) == Some(&b'\n') => {}
            b'\r' => out.push(b' '),
            b'\n' => out.extend_from_slice(b"\r\n"),
            _ => out.push(byte),
        }
    }
    if !out.is_empty() && !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// One byte at a time. Gives the content up to the end, and how many bytes follow it if there is one.
fn reference(wire: &[u8], framing: Framing) -> (Vec<Item>, Option<usize>) {
    let (mut items, mut at, mut line_start) = (Vec::new(), 0, true);
    let dots = framing == Framing::Dots;
    while let Some(&byte) = wire.get(at) {
        let (next, after) = (wire.get(at + 1), wire.get(at + 2));
        match byte {
            b'.' if line_start && dots => match (next, after) {
                (Some(b'\r'), Some(b'\n')) => return (items, Some(wire.len() - at - 3)),
                (None, _) | (Some(b'\r'), None) => return (items, None),
                _ => {}
            },
            b'\r' if next == Some(&b'\n') => {
                items.extend([Item::Byte(b'\r'), Item::Byte(b'\n')]);
                (at, line_start) = (at + 2, true);
                continue;
            }
            b'\r' if next.is_none() => return (items, None),
            b'\r' => items.push(Item::Flaw(Flaw::BareCr)),
            b'\n' => items.push(Item::Flaw(Flaw::BareLf)),
            0 => items.push(Item::Flaw(Flaw::Nul)),
            _ => items.push(Item::Byte(byte)),
        }
        (at, line_start) = (at + 1, false);
    }
    (items, None)
}

fn decode(wire: &[u8], framing: Framing, piece: &mut dyn FnMut() -> usize) -> (Vec<Item>, Option<usize>) {
    let (mut decoder, mut items) = (Decoder::new(framing), Vec::new());
    let (mut start, mut end) = (0, 0);
    loop {
        match decoder.decode(&wire[start..end]) {
            Decoded::Data(n) => {
                assert!(n > 0);
                items.extend(wire[start..start + n].iter().map(|b| Item::Byte(*b)));
                start += n;
            }
            Decoded::StuffedDot => start += 1,
            Decoded::Flaw(flaw) => {
                items.push(Item::Flaw(flaw));
                start += 1;
            }
            Decoded::End(n) => return (items, Some(wire.len() - start - n)),
            Decoded::NeedMore if end == wire.len() => return (items, None),
            Decoded::NeedMore => end = (end + piece()).min(wire.len()),
        }
    }
}

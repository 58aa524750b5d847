//! The line scanner beside one that looks at each byte.

use crate::Knobs;
use mail_wire::line::{Flaw, Line, LineScanner, Scan};

/// Whole, by pieces, and by the reference: the same lines, and the same flaws in them.
pub fn check(data: &[u8]) {
    let (mut knobs, data) = Knobs::split(data);
    let max = 2 + knobs.below(64);
    let mut rest = data;
    loop {
        let expected = reference(rest, max);
        assert_eq!(LineScanner::new().scan(rest, max), expected, "{}", rest.escape_ascii());
        assert_eq!(in_pieces(rest, max, &mut knobs), expected, "in pieces: {}", rest.escape_ascii());
        match expected {
            Scan::Line(line) => rest = &rest[line.total..],
            Scan::Partial => return,
            Scan::TooLong => {
                let (n, ended) = LineScanner::new().discard(rest);
                assert_eq!(ended, rest[..n].ends_with(b"\n"));
                if !ended {
                    return assert_eq!(n, rest.len());
                }
                rest = &rest[n..];
            }
        }
    }
}

fn reference(data: &[u8], max: usize) -> Scan {
    let window = &data[..data.len().min(max)];
    let Some(lf) = window.iter().position(|b| *b == b'\n') else {
        return if data.len() >= max { Scan::TooLong } else { Scan::Partial };
    };
    let crlf = lf > 0 && window[lf - 1] == b'\r';
    let text = if crlf { lf - 1 } else { lf };
    let flaw = window[..text].iter().find_map(|b| match b {
        b'\r' => Some(Flaw::BareCr),
        0 => Some(Flaw::Nul),
        _ => None,
    });
    Scan::Line(Line { text, total: lf + 1, flaw: flaw.or((!crlf).then_some(Flaw::BareLf)) })
}

fn in_pieces(data: &[u8], max: usize, knobs: &mut Knobs) -> Scan {
    let (mut scanner, mut end) = (LineScanner::new(), 0);
    loop {
        match scanner.scan(&data[..end], max) {
            Scan::Partial if end < data.len() => end = (end + 1 + knobs.below(8)).min(data.len()),
            found => return found,
        }
    }
}

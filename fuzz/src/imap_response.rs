//! What IMAP servers say: frames found, read, written and read again.

use imap_proto::codec::{Dialect, Found, FrameScanner, Speaker, Style};
use imap_proto::types::{Data, Response};

/// Finds the frames in the data, in pieces of a size that its first byte tells, and reads and writes each.
pub fn check(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let (utf8, piece) = (first & 1 != 0, usize::from(first >> 1) + 1);
    check_frame(data, utf8);
    let (mut scanner, mut from, mut to) = (FrameScanner::new(Speaker::Server), 0, 0);
    loop {
        match scanner.scan(&data[from..to], MAX) {
            Found::Frame { total, ending, .. } => {
                assert!(total <= MAX && (1..=2).contains(&ending));
                check_frame(&data[from..from + total - ending], utf8);
                from += total;
            }
            Found::Literal { literal, start } => {
                assert!(literal.at < start && start <= to - from);
                scanner.literal(usize::try_from(literal.len).unwrap_or(usize::MAX));
            }
            Found::TooLong => return,
            Found::Partial if to == data.len() => return,
            Found::Partial => to = data.len().min(to + piece),
        }
    }
}

/// Longest frame in bytes.
const MAX: usize = 4096;

fn check_frame(frame: &[u8], utf8: bool) {
    let mut dialect = Dialect::CLIENT;
    dialect.utf8 = utf8;
    let response = match Response::parse(frame, &dialect) {
        Ok(response) => response,
        Err(error) => {
            assert!(error.at <= frame.len() && !frame.starts_with(b"* "));
            return;
        }
    };
    let mut style = Style::SERVER;
    (style.utf8, style.binary) = (utf8, frame.len().is_multiple_of(2));
    let mut wire = Vec::new();
    response.encode(&mut wire, &style);
    // Every byte is written as often as it was read, give or take quotes, escapes and announcements.
    assert!(wire.len() <= frame.len() * 8 + 64);
    let again = Response::parse(wire.strip_suffix(b"\r\n").expect("CRLF"), &dialect);
    assert_eq!(again.as_ref(), Ok(&response), "{} {}", frame.escape_ascii(), wire.escape_ascii());
    if let Response::Data(Data::Thread(threads)) = &response {
        assert!(threads.nodes().len() <= frame.len());
    }
}

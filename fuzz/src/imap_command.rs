//! What IMAP clients say: commands read, written and read again; and APPEND and its kin read piece by piece.

use imap_proto::codec::{AppendReader, AppendStep, Dialect, Found, FrameScanner, Literals, Speaker, Style};
use imap_proto::types::command::Command;

/// Reads the data as a command, and as the lines and literals of one that carries messages.
pub fn check(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let mut dialect = Dialect::SERVER;
    dialect.utf8 = first & 1 != 0;
    let literals = match first >> 1 & 3 {
        0 => Literals::Plain,
        1 => Literals::Synchronizing,
        2 => Literals::Minus,
        _ => Literals::Plus,
    };
    round_trip(data, dialect, literals);
    append(data, dialect);
}

fn round_trip(frame: &[u8], dialect: Dialect, literals: Literals) {
    let Ok(command) = Command::parse(frame, &dialect) else { return };
    let mut style = Style::CLIENT;
    (style.utf8, style.literals, style.binary) = (dialect.utf8, literals, true);
    let mut wire = Vec::new();
    let stops = command.encode(&mut wire, &style);
    assert!(wire.len() <= frame.len() * 8 + 64);
    assert!(stops.iter().all(|stop| stop.at <= wire.len() && stop.streamed.is_none()));
    let again = Command::parse(wire.strip_suffix(b"\r\n").expect("CRLF"), &dialect);
    assert_eq!(again.as_ref(), Ok(&command), "{} {}", frame.escape_ascii(), wire.escape_ascii());
}

/// Longest frame in bytes, without messages.
const MAX: usize = 4096;

fn append(data: &[u8], dialect: Dialect) {
    let mut scanner = FrameScanner::new(Speaker::Client);
    let mut reader = AppendReader::new(dialect);
    let mut data = data.to_vec();
    loop {
        let (frame, literal) = match scanner.scan(&data, MAX) {
            Found::Frame { total, ending, .. } => (total - ending, None),
            Found::Literal { literal, start } => (start, Some(literal)),
            Found::Partial | Found::TooLong => return,
        };
        // Each step reads at least a byte, but for the ends of messages.
        for step in 0.. {
            assert!(step <= 2 * frame + 8, "{}", data.escape_ascii());
            match reader.next(&data[..frame], literal.as_ref()) {
                Ok(AppendStep::Bytes(bytes)) => {
                    assert_eq!(Some(bytes.literal), literal);
                    let len =
                        usize::try_from(bytes.literal.len).unwrap_or(usize::MAX).min(data.len() - frame);
                    data.drain(frame..frame + len);
                    break;
                }
                Ok(AppendStep::String) => {
                    let literal = literal.expect("a string that was announced");
                    scanner.literal(usize::try_from(literal.len).unwrap_or(usize::MAX));
                    break;
                }
                Ok(AppendStep::End) => return assert_eq!(literal, None),
                Ok(_) => {}
                Err(error) => return assert!(error.at <= frame),
            }
        }
    }
}

//! Two sessions with Dovecot 2.3, of which all responses are kept in `data/dovecot-2.3`: each is understood, and written equal.

use imap_proto::codec::{Dialect, Found, FrameScanner, Speaker, Style};
use imap_proto::types::Response;

const RESPONSES: &[u8] = include_bytes!("data/dovecot-2.3");

/// What Dovecot says that no RFC here knows.
const OWN: [&str; 9] = [
    "X-GUID",
    "X-SAVEDATE",
    "X-MAILBOX",
    "X-REAL-UID",
    "URL-PARTIAL",
    "SNIPPET=FUZZY",
    "PREVIEW=FUZZY",
    "LIST-MOVE",
    "IMAPSIEVE=",
];

fn frames(mut data: &[u8]) -> Vec<&[u8]> {
    let mut scanner = FrameScanner::new(Speaker::Server);
    let mut frames = Vec::new();
    loop {
        match scanner.scan(data, usize::MAX) {
            Found::Frame { total, ending, .. } => {
                frames.push(&data[..total - ending]);
                data = &data[total..];
            }
            Found::Literal { literal, .. } => scanner.literal(literal.len as usize),
            Found::Partial | Found::TooLong => {
                assert!(data.is_empty(), "{}", data.escape_ascii());
                return frames;
            }
        }
    }
}

#[test]
fn all_responses_are_understood_and_written_equal() {
    let frames = frames(RESPONSES);
    assert!(frames.len() > 400, "{}", frames.len());
    let mut same = 0;
    for frame in &frames {
        let shown = frame.escape_ascii();
        let response =
            Response::parse(frame, &Dialect::CLIENT).unwrap_or_else(|error| panic!("{shown}: {error}"));
        let kept = format!("{response:?}").contains("Other(");
        let text = String::from_utf8_lossy(frame);
        assert!(!kept || OWN.iter().any(|own| text.contains(own)), "{shown}: {response:?}");
        let mut wire = Vec::new();
        response.encode(&mut wire, &Style::SERVER);
        let wire = &wire[..wire.len() - 2];
        assert_eq!(Response::parse(wire, &Dialect::CLIENT).as_ref(), Ok(&response), "{shown}");
        same += usize::from(wire == *frame);
    }
    // What differs is whether a string is an atom, between quotes, or a literal.
    assert!(same * 100 >= frames.len() * 96, "{same} of {}", frames.len());
}

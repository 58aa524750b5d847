//! Command lines.

use smtp_proto::codec::Leniency;
use smtp_proto::types::{Command, ForwardPath, Mailbox, ReversePath};

/// A line that is read is written as one line that reads the same; one that is not gets a refusal.
pub fn check(data: &[u8]) {
    let strict = Command::parse(data, Leniency::STRICT);
    let lenient = Command::parse(data, Leniency::LENIENT);
    if let Ok(command) = &strict {
        assert_eq!(Ok(command), lenient.as_ref(), "what is strictly right means the same to the lenient");
    }
    for parsed in [strict, lenient] {
        match parsed {
            Ok(command) => round_trip(&command),
            Err(error) => {
                assert_eq!(error.refusal().code().class(), 5);
                assert!(!error.to_string().contains(char::is_control));
            }
        }
    }
    if let Ok(text) = core::str::from_utf8(data) {
        if let Ok(mailbox) = Mailbox::parse(text) {
            assert_eq!(mailbox.as_str(), text);
            assert_eq!(format!("{}@{}", mailbox.local_part(), mailbox.domain()), text);
            assert!(!text.contains(char::is_control));
        }
        if let Ok(path) = ReversePath::parse(text) {
            assert_eq!(ReversePath::parse(&path.to_string()), Ok(path));
        }
        if let Ok(path) = ForwardPath::parse(text) {
            assert_eq!(ForwardPath::parse(&path.to_string()), Ok(path));
        }
    }
}

fn round_trip(command: &Command) {
    let mut wire = Vec::new();
    command.encode(&mut wire);
    let line = wire.strip_suffix(b"\r\n").expect("a command ends with CRLF");
    let text = core::str::from_utf8(line).expect("commands are UTF-8");
    assert!(!text.contains(char::is_control), "{}", wire.escape_ascii());
    assert_eq!(Command::parse(line, Leniency::STRICT).as_ref(), Ok(command), "{}", wire.escape_ascii());
}

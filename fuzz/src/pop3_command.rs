//! Command lines of POP3.

use pop3_proto::types::Command;

/// A line that is read is written as one line that reads the same; one that is not gets a refusal.
pub fn check(data: &[u8]) {
    match Command::parse(data) {
        Ok(command) => {
            let mut wire = Vec::new();
            command.encode(&mut wire);
            let line = wire.strip_suffix(b"\r\n").expect("CRLF at the end");
            assert!(!line.iter().any(|byte| matches!(byte, b'\r' | b'\n')));
            // A line break or NUL that comes here within a password comes through no scanner, and is not written.
            if !data.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
                assert_eq!(Command::parse(line), Ok(command));
            }
        }
        Err(error) => {
            assert!(!error.refusal().to_string().contains(char::is_control));
            assert!(!error.to_string().contains(char::is_control));
        }
    }
}

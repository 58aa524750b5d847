//! ANONYMOUS (RFC 4505): a line for the log.

use super::{Failure, prep};

/// The name under which a client that gave none is known.
pub(super) const NAME: &str = "anonymous";

/// Reads the client's message.
pub(super) fn parse(message: &[u8]) -> Result<Option<String>, Failure> {
    let malformed = Failure::Malformed { expected: "a trace of at most 255 characters in UTF-8" };
    let trace = core::str::from_utf8(message).map_err(|_| malformed)?;
    match trace {
        "" => Ok(None),
        _ if is_trace(trace) => Ok(Some(trace.to_owned())),
        _ => Err(malformed),
    }
}

/// Whether this may be sent as trace (RFC 4505 §2, §3).
pub(super) fn is_trace(trace: &str) -> bool {
    trace.chars().count() <= 255 && prep::is_trace(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_has_up_to_255_characters_and_no_controls() {
        assert_eq!(parse(b"sirhc"), Ok(Some("sirhc".to_owned())));
        assert_eq!(parse(b""), Ok(None));
        assert!(parse("ü".repeat(255).as_bytes()).is_ok());
        let bad = ["x".repeat(256), "a\r\nb".to_owned(), "a\0".to_owned()];
        for trace in bad {
            assert!(parse(trace.as_bytes()).is_err(), "{trace:?}");
        }
        assert!(parse(b"\xc3").is_err());
    }
}

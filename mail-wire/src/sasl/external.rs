//! EXTERNAL (RFC 4422 appendix A): the authorisation identity, or nothing.

use super::{Failure, prep};

/// Reads the client's message: whom it wants to act as, prepared.
pub(super) fn parse(message: &[u8]) -> Result<Option<String>, Failure> {
    match message {
        b"" => Ok(None),
        _ => prep::name(message, "an authorisation identity in UTF-8").map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_message_leaves_the_identity_to_the_server() {
        assert_eq!(parse(b""), Ok(None));
        assert_eq!(parse(b"fred@example.test"), Ok(Some("fred@example.test".to_owned())));
        assert!(parse(b"fred\0").is_err());
        assert!(parse(b"\xff").is_err());
    }
}

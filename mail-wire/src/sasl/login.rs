//! LOGIN (draft-murchison-sasl-login): the name on one line, the password on the next.

use super::{Failure, prep};
use crate::Secret;

/// The first challenge. The draft has `User Name`, but allows this text, which clients in the field insist on.
pub(super) const NAME_CHALLENGE: &[u8] = b"Username:";

/// The second challenge.
pub(super) const PASSWORD_CHALLENGE: &[u8] = b"Password:";

/// Reads the client's first response.
pub(super) fn parse_name(response: &[u8]) -> Result<String, Failure> {
    prep::name(response, "a user name in UTF-8")
}

/// Reads the client's second response: any bytes but NUL, CR and LF (draft §2).
pub(super) fn parse_password(response: &[u8]) -> Result<Secret, Failure> {
    if is_password(response) {
        Ok(Secret::new(response))
    } else {
        Err(Failure::Malformed { expected: "a password without NUL, CR and LF" })
    }
}

/// Whether LOGIN can carry this password.
pub(super) fn is_password(password: &[u8]) -> bool {
    !password.is_empty() && !password.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_any_bytes_but_nul_and_line_ends() {
        assert_eq!(parse_password(b"p\xe4ss").unwrap().expose(), b"p\xe4ss");
        for bad in [&b""[..], b"a\0b", b"a\r", b"\n"] {
            assert!(parse_password(bad).is_err(), "{bad:?}");
        }
    }
}

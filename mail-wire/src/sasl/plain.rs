//! PLAIN (RFC 4616): `[authzid] NUL authcid NUL passwd`.

use super::{Failure, prep};
use crate::Secret;

/// A message read by the server; the names are prepared.
pub(super) struct Message {
    pub(super) authzid: Option<String>,
    pub(super) authcid: String,
    pub(super) password: Secret,
}

/// Writes the client's message. None of the parts holds a NUL.
pub(super) fn encode(authzid: Option<&str>, authcid: &str, password: &Secret) -> Secret {
    let authzid = authzid.unwrap_or_default();
    let mut message = Vec::with_capacity(authzid.len() + authcid.len() + password.len() + 2);
    message.extend_from_slice(authzid.as_bytes());
    message.push(0);
    message.extend_from_slice(authcid.as_bytes());
    message.push(0);
    message.extend_from_slice(password.expose());
    Secret::new(message)
}

/// Reads the client's message.
pub(super) fn parse(message: &[u8]) -> Result<Message, Failure> {
    let mut parts = message.split(|&byte| byte == 0);
    let (Some(authzid), Some(authcid), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Failure::Malformed { expected: "three parts with a NUL between" });
    };
    let authzid = match authzid {
        b"" => None,
        _ => Some(prep::name(authzid, "an authorisation identity in UTF-8")?),
    };
    let authcid = prep::name(authcid, "a user name in UTF-8")?;
    // RFC 4616 §2: passwd = 1*SAFE
    if password.is_empty() || core::str::from_utf8(password).is_err() {
        return Err(Failure::Malformed { expected: "a password in UTF-8" });
    }
    Ok(Message { authzid, authcid, password: Secret::new(password) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_of_the_rfc_are_read_and_written() {
        // RFC 4616 §4
        let cases: [(&[u8], Option<&str>, &str, &str); 2] = [
            (b"\0tim\0tanstaaftanstaaf", None, "tim", "tanstaaftanstaaf"),
            (b"Ursel\0Kurt\0xipj3plmq", Some("Ursel"), "Kurt", "xipj3plmq"),
        ];
        for (bytes, authzid, authcid, password) in cases {
            let message = parse(bytes).unwrap();
            assert_eq!(message.authzid.as_deref(), authzid);
            assert_eq!(message.authcid, authcid);
            assert_eq!(message.password.expose(), password.as_bytes());
            assert_eq!(encode(authzid, authcid, &password.into()).expose(), bytes);
        }
    }

    #[test]
    fn names_and_passwords_of_255_bytes_are_read() {
        // RFC 4616 §2: MUST accept up to 255 octets
        let long = "x".repeat(255);
        let message = parse(format!("{long}\0{long}\0{long}").as_bytes()).unwrap();
        assert_eq!(message.authzid.as_deref(), Some(&*long));
        assert_eq!(message.authcid, long);
        assert_eq!(message.password.expose(), long.as_bytes());
    }

    #[test]
    fn names_are_prepared_and_the_password_is_not() {
        let message = parse("\0\u{2168}\0\u{2168}".as_bytes()).unwrap();
        assert_eq!(message.authcid, "IX");
        assert_eq!(message.password.expose(), "\u{2168}".as_bytes());
    }
}

//! CRAM-MD5 (RFC 2195): `user SP hex(HMAC-MD5(password, challenge))`.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use subtle::ConstantTimeEq;

use super::{Failure, Nonce, prep};
use crate::Secret;

/// What HMAC-MD5 gives.
pub(super) type Digest = [u8; 16];

/// The server's challenge, in the form of a message identifier.
pub(super) fn challenge(nonce: &Nonce, unix_time: u64, host: &str) -> String {
    format!("<{}.{unix_time}@{host}>", nonce.as_str())
}

/// Writes the client's response.
pub(super) fn respond(name: &str, password: &Secret, challenge: &[u8]) -> Secret {
    let mut response = String::with_capacity(name.len() + 33);
    response.push_str(name);
    response.push(' ');
    for byte in digest(password, challenge) {
        for nibble in [byte >> 4, byte & 15] {
            response.extend(char::from_digit(nibble.into(), 16));
        }
    }
    Secret::new(response)
}

/// Reads the client's response: the prepared name and the digest.
pub(super) fn parse(response: &[u8]) -> Result<(String, Digest), Failure> {
    let malformed = Failure::Malformed { expected: "a user name, a space and 32 hexadecimal digits" };
    // The last space: a name may have spaces too.
    let space = response.iter().rposition(|&byte| byte == b' ').ok_or(malformed)?;
    let (name, digits) = (&response[..space], &response[space + 1..]);
    let mut digest = Digest::default();
    if digits.len() != 2 * digest.len() {
        return Err(malformed);
    }
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0]).zip(nibble(pair[1])).map(|(high, low)| high << 4 | low).ok_or(malformed)?;
    }
    Ok((prep::name(name, "a user name in UTF-8")?, digest))
}

/// Whether `found` is what this password gives, in constant time.
pub(super) fn verify(password: &Secret, challenge: &[u8], found: &Digest) -> bool {
    digest(password, challenge).ct_eq(found).into()
}

fn digest(password: &Secret, challenge: &[u8]) -> Digest {
    let mut mac = Hmac::<Md5>::new_from_slice(password.expose()).expect("HMAC takes a key of any length");
    mac.update(challenge);
    mac.finalize().into_bytes().into()
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: &str = "<1896.697170952@postoffice.reston.mci.net>";
    const RESPONSE: &[u8] = b"tim b913a602c7eda7a495b4e6e7334d3890";

    #[test]
    fn the_example_of_the_rfc_holds() {
        // RFC 2195 §2
        let nonce = Nonce::from_printable("1896").unwrap();
        assert_eq!(challenge(&nonce, 697_170_952, "postoffice.reston.mci.net"), CHALLENGE);
        let password = Secret::new("tanstaaftanstaaf");
        assert_eq!(respond("tim", &password, CHALLENGE.as_bytes()).expose(), RESPONSE);
        let (name, digest) = parse(RESPONSE).unwrap();
        assert_eq!(name, "tim");
        assert!(verify(&password, CHALLENGE.as_bytes(), &digest));
        assert!(!verify(&password, b"<another@challenge>", &digest));
        assert!(!verify(&Secret::new("tanstaaf"), CHALLENGE.as_bytes(), &digest));
    }

    #[test]
    fn a_name_may_hold_spaces() {
        let response = respond("tim the user", &Secret::new("x"), b"y");
        assert_eq!(parse(response.expose()).unwrap().0, "tim the user");
    }
}

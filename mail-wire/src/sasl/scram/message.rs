//! The messages of SCRAM as text (RFC 5802 §7). What is read borrows from the message, since the proofs are made over
//! the very bytes sent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::binding::is_printable;
use super::super::{Failure, gs2};
use super::ScramRefusal;

/// `client-first-message`
#[derive(Debug)]
pub(super) struct ClientFirst<'a> {
    pub(super) header: gs2::Header<'a>,
    /// The name, unescaped and prepared.
    pub(super) username: String,
    pub(super) nonce: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, Failure> {
        let header = gs2::parse(text(message)?)?;
        let (username, rest) = attribute(header.rest, "n=", "a user name")?;
        let expected = "a user name, escaped and in UTF-8";
        let username = gs2::parse_name(username).ok_or(Failure::Malformed { expected })?;
        let (nonce, extensions) = attribute(rest, "r=", "a nonce")?;
        check_nonce(nonce)?;
        check_extensions(extensions)?;
        Ok(Self { header, username, nonce })
    }
}

/// `client-first-message-bare`
pub(super) fn client_first_bare(username: &str, nonce: &str) -> String {
    format!("n={},r={nonce}", gs2::escape(username))
}

/// `server-first-message`
pub(super) fn server_first(nonce: &str, salt: &[u8], iterations: u32) -> String {
    format!("r={nonce},s={},i={iterations}", STANDARD.encode(salt))
}

/// `client-final-message-without-proof`
pub(super) fn client_final_without_proof(binding_input: &[u8], nonce: &str) -> String {
    format!("c={},r={nonce}", STANDARD.encode(binding_input))
}

/// `,` and the proof
pub(super) fn proof(proof: &[u8]) -> String {
    format!(",p={}", STANDARD.encode(proof))
}

/// `server-final-message` of a success
pub(super) fn server_final(signature: &[u8]) -> String {
    format!("v={}", STANDARD.encode(signature))
}

/// `client-final-message`
pub(super) struct ClientFinal<'a> {
    pub(super) without_proof: &'a str,
    pub(super) binding_input: Vec<u8>,
    pub(super) nonce: &'a str,
    pub(super) proof: Vec<u8>,
}

impl<'a> ClientFinal<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, Failure> {
        let message = text(message)?;
        let (without_proof, proof) =
            message.rsplit_once(",p=").ok_or(Failure::Malformed { expected: "a proof at the end" })?;
        let proof = base64(proof, "a proof in base64")?;
        let (binding_input, rest) = attribute(without_proof, "c=", "a channel binding")?;
        let binding_input = base64(binding_input, "a channel binding in base64")?;
        let (nonce, extensions) = attribute(rest, "r=", "a nonce")?;
        check_nonce(nonce)?;
        check_extensions(extensions)?;
        Ok(Self { without_proof, binding_input, nonce, proof })
    }
}

/// `server-first-message`
#[derive(Debug)]
pub(super) struct ServerFirst<'a> {
    pub(super) nonce: &'a str,
    pub(super) salt: Vec<u8>,
    /// The largest value of the type where the server demands more.
    pub(super) iterations: u32,
}

impl<'a> ServerFirst<'a> {
    pub(super) fn parse(message: &'a str) -> Result<Self, Failure> {
        let (nonce, rest) = attribute(message, "r=", "a nonce")?;
        check_nonce(nonce)?;
        let (salt, rest) = attribute(rest, "s=", "a salt")?;
        let salt = base64(salt, "a salt in base64")?;
        let (iterations, extensions) = attribute(rest, "i=", "an iteration count")?;
        // posit-number = %x31-39 *DIGIT
        if iterations.starts_with('0') || !iterations.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Failure::Malformed { expected: "a positive iteration count" });
        }
        let iterations = iterations.parse().unwrap_or(u32::MAX);
        check_extensions(extensions)?;
        Ok(Self { nonce, salt, iterations })
    }
}

/// `server-final-message`
#[derive(Debug)]
pub(super) enum ServerFinal {
    Refused(ScramRefusal),
    Signature(Vec<u8>),
}

impl ServerFinal {
    pub(super) fn parse(message: &str) -> Result<Self, Failure> {
        let (value, extensions) = match attribute(message, "e=", "an error") {
            Ok((error, extensions)) => (Self::Refused(ScramRefusal::parse(error)), extensions),
            Err(_) => {
                let (signature, extensions) = attribute(message, "v=", "a server signature")?;
                (Self::Signature(base64(signature, "a server signature in base64")?), extensions)
            }
        };
        check_extensions(extensions)?;
        Ok(value)
    }
}

/// The message as text: UTF-8 without NUL.
pub(super) fn text(message: &[u8]) -> Result<&str, Failure> {
    let text = core::str::from_utf8(message).ok().filter(|text| !text.contains('\0'));
    text.ok_or(Failure::Malformed { expected: "UTF-8 without NUL" })
}

/// Takes the attribute of that name off the front: its value, which is not empty, and what follows the comma.
fn attribute<'a>(text: &'a str, name: &str, expected: &'static str) -> Result<(&'a str, &'a str), Failure> {
    let (attribute, rest) = text.split_once(',').unwrap_or((text, ""));
    // A trailing comma announces an attribute that is not there.
    let has_dangling_comma = rest.is_empty() && attribute.len() < text.len();
    match attribute.strip_prefix(name) {
        Some(value) if !value.is_empty() && !has_dangling_comma => Ok((value, rest)),
        _ => Err(Failure::Malformed { expected }),
    }
}

/// RFC 5802 §5.1: unknown optional extensions MUST be ignored, a mandatory one MUST fail.
fn check_extensions(extensions: &str) -> Result<(), Failure> {
    if extensions.is_empty() {
        return Ok(());
    }
    for extension in extensions.split(',') {
        match extension.as_bytes() {
            [b'm', b'=', ..] => return Err(Failure::Malformed { expected: "no mandatory extension" }),
            [name, b'=', _, ..] if name.is_ascii_alphabetic() => {}
            _ => return Err(Failure::Malformed { expected: "attributes with a letter and a value" }),
        }
    }
    Ok(())
}

fn check_nonce(nonce: &str) -> Result<(), Failure> {
    if is_printable(nonce) { Ok(()) } else { Err(Failure::Malformed { expected: "a printable nonce" }) }
}

fn base64(text: &str, expected: &'static str) -> Result<Vec<u8>, Failure> {
    let bytes = STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty());
    bytes.ok_or(Failure::Malformed { expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optional_extensions_are_ignored_wherever_they_may_stand() {
        let first = ClientFirst::parse(b"n,,n=user,r=abc,x=1,Y=a=b").unwrap();
        assert_eq!((first.username.as_str(), first.nonce), ("user", "abc"));
        let last = ClientFinal::parse(b"c=biws,r=abc,x=1,p=AAAA").unwrap();
        assert_eq!((last.without_proof, last.nonce), ("c=biws,r=abc,x=1", "abc"));
        let first = ServerFirst::parse("r=abc,s=AAAA,i=4096,x=1").unwrap();
        assert_eq!(first.iterations, 4096);
        assert!(matches!(ServerFinal::parse("v=AAAA,x=1"), Ok(ServerFinal::Signature(_))));
    }

    #[test]
    fn a_client_first_message_must_be_of_the_grammar() {
        let bad: &[&[u8]] = &[
            b"",
            b"n",
            b"n,,",
            b"n,,n=user",
            b"n,,n=user,",
            b"n,,n=,r=abc",
            b"n,,r=abc,n=user",
            b"n,,n=user,r=",
            b"n,,n=user,r=a b",
            b"n,,n=user,r=abc,",
            b"n,,n=user,r=abc,x",
            b"n,,n=user,r=abc,x=",
            b"n,,n=user,r=abc,1=x",
            b"n,,m=x,n=user,r=abc",
            b"n,,n=user,r=abc,m=x",
            b"n,,n=us=er,r=abc",
            b"n,,n=us=2cer,r=abc",
            b"n,,n=us\0er,r=abc",
            b"n,,n=user,r=abc,x=a\0b",
            b"n,,n=\xff,r=abc",
            b"n,,n=user,r=\xc3\xbc",
            b"x,,n=user,r=abc",
            b"p=,,n=user,r=abc",
            b"n,user,n=user,r=abc",
            b"n,,n=\xc2\xad,r=abc",
        ];
        for message in bad {
            let message = *message;
            let found = ClientFirst::parse(message);
            assert!(matches!(found, Err(Failure::Malformed { .. })), "{message:?}: {found:?}");
        }
    }

    #[test]
    fn a_client_final_message_must_be_of_the_grammar() {
        let bad: &[&[u8]] = &[
            b"",
            b"p=AAAA",
            b",p=AAAA",
            b"c=biws,p=AAAA",
            b"c=biws,r=abc",
            b"c=biws,r=abc,p=",
            b"c=biws,r=abc,p=A",
            b"c=biws,r=abc,p=AAAA,x=y",
            b"c=,r=abc,p=AAAA",
            b"c=!,r=abc,p=AAAA",
            b"r=abc,c=biws,p=AAAA",
            b"c=biws,r=abc,m=x,p=AAAA",
            b"c=biws,r=a\0c,p=AAAA",
            b"c=biws,r=abc,p=AA==\n",
            b"c=biws,r=\xff,p=AAAA",
        ];
        for message in bad {
            let message = *message;
            assert!(matches!(ClientFinal::parse(message), Err(Failure::Malformed { .. })), "{message:?}");
        }
    }

    #[test]
    fn a_server_first_message_must_be_of_the_grammar() {
        let bad = [
            "",
            "r=abc",
            "r=abc,s=AAAA",
            "r=abc,s=AAAA,i=",
            "r=abc,s=AAAA,i=0",
            "r=abc,s=AAAA,i=01",
            "r=abc,s=AAAA,i=-1",
            "r=abc,s=AAAA,i=4k",
            "r=abc,s=,i=1",
            "r=abc,s=A,i=1",
            "s=AAAA,r=abc,i=1",
            "m=x,r=abc,s=AAAA,i=1",
            "r=abc,s=AAAA,i=1,",
            "r=abc,s=AAAA,i=1,m=x",
            "r=a c,s=AAAA,i=1",
            "r=abc,s=AAAA,i=+1",
        ];
        for message in bad {
            assert!(ServerFirst::parse(message).is_err(), "{message:?}");
        }
        assert_eq!(ServerFirst::parse("r=abc,s=AAAA,i=99999999999").unwrap().iterations, u32::MAX);
    }
}

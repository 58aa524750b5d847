//! The base64 lines that SMTP (RFC 4954), POP3 (RFC 5034) and IMAP (RFC 9051) wrap SASL messages in.
//!
//! A challenge is sent as [`encode`]d text after `334 ` or `+ `. A response is a line that [`decode_response`] reads.
//! A response sent along with the command is read by [`decode_initial`] and written by [`encode_initial`], where `=`
//! stands for "empty".
//!
//! Base64 is strict (RFC 4648 §3): no whitespace, no other letters, padding present and right, unused bits zero.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::Secret;

/// The longest line of base64 that is read by default, in bytes without its CRLF (RFC 4954 §4).
pub const MAX_LINE: usize = 12_288;

/// The line by which a client gives up (RFC 4954 §4, RFC 9051 §6.2.2).
pub const CANCEL: &str = "*";

/// Why a line is no SASL message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The client gave up with `*`.
    #[error("the client cancelled the exchange")]
    Cancelled,
    /// The line is not strict base64.
    #[error("expected a line of base64 without whitespace and with exact padding")]
    BadBase64,
    /// The line is longer than the limit.
    #[error("expected at most {limit} bytes in a line, found {found}")]
    TooLong {
        /// The limit, in bytes without CRLF.
        limit: usize,
        /// The length of the line, in bytes without CRLF.
        found: usize,
    },
}

/// Reads the initial response of an `AUTH` or `AUTHENTICATE` command.
///
/// No argument is `None`, `=` is an empty response; anything else is base64. `limit` is in bytes of base64. A `*` is
/// no cancel here, since nothing has begun.
///
/// # Errors
/// [`DecodeError::BadBase64`] (an empty argument included) and [`DecodeError::TooLong`].
///
/// ```
/// use mail_wire::sasl::wire;
///
/// let read = |arg| wire::decode_initial(arg, wire::MAX_LINE).unwrap();
/// assert!(read(None).is_none());
/// assert_eq!(read(Some(b"=")).unwrap().expose(), b"");
/// assert_eq!(read(Some(b"AGFiYwBkZWY=")).unwrap().expose(), b"\0abc\0def");
/// ```
pub fn decode_initial(argument: Option<&[u8]>, limit: usize) -> Result<Option<Secret>, DecodeError> {
    match argument {
        None => Ok(None),
        Some(b"=") => Ok(Some(Secret::new(Vec::new()))),
        Some(b"") => Err(DecodeError::BadBase64),
        Some(text) => decode(text, limit).map(Some),
    }
}

/// Reads one line of a client, without its CRLF.
///
/// An empty line is an empty response. `limit` is in bytes of base64.
///
/// # Errors
/// [`DecodeError::Cancelled`] for `*`, else as for [`decode_initial`].
pub fn decode_response(line: &[u8], limit: usize) -> Result<Secret, DecodeError> {
    if line == CANCEL.as_bytes() {
        return Err(DecodeError::Cancelled);
    }
    decode(line, limit)
}

/// Reads a challenge, the text after `334 ` or `+ `. An empty text is an empty challenge.
///
/// # Errors
/// As for [`decode_initial`].
pub fn decode_challenge(text: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    if text.len() > limit {
        return Err(DecodeError::TooLong { limit, found: text.len() });
    }
    STANDARD.decode(text).map_err(|_| DecodeError::BadBase64)
}

/// Writes a challenge or response as base64.
pub fn encode(message: &[u8]) -> Secret {
    Secret::new(STANDARD.encode(message))
}

/// Writes an initial response: base64, or `=` where it is empty.
pub fn encode_initial(message: &[u8]) -> Secret {
    if message.is_empty() { Secret::new("=") } else { encode(message) }
}

fn decode(text: &[u8], limit: usize) -> Result<Secret, DecodeError> {
    if text.len() > limit {
        return Err(DecodeError::TooLong { limit, found: text.len() });
    }
    // Reserved up front so that no half-filled copy of a password is left behind by growth.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 4 * 3 + 3));
    STANDARD.decode_vec(text, &mut bytes).map_err(|_| DecodeError::BadBase64)?;
    Ok(Secret::new(core::mem::take(&mut *bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_strict_base64_is_read() {
        let bad: &[&[u8]] = &[
            b"====",
            b"A",
            b"AA",
            b"AAA",
            b"AA=A",
            b"AAAA=",
            b"AA===",
            b"AAAA====",
            b"AB==", // unused bits set
            b" AAAA",
            b"AAAA ",
            b"AA AA",
            b"AAAA\r",
            b"AA\nAA",
            b"AA-_",
            b"AAA*",
            b"\xff\xff\xff\xff",
            b"AAAA\0",
        ];
        for text in bad {
            assert_eq!(decode_response(text, MAX_LINE), Err(DecodeError::BadBase64), "{text:?}");
            assert_eq!(decode_initial(Some(text), MAX_LINE), Err(DecodeError::BadBase64), "{text:?}");
            assert_eq!(decode_challenge(text, MAX_LINE), Err(DecodeError::BadBase64), "{text:?}");
        }
    }

    #[test]
    fn a_star_cancels_a_response_but_is_no_initial_response() {
        assert_eq!(decode_response(b"*", MAX_LINE), Err(DecodeError::Cancelled));
        assert_eq!(decode_initial(Some(b"*"), MAX_LINE), Err(DecodeError::BadBase64));
    }

    #[test]
    fn an_equals_sign_is_an_empty_initial_response_only() {
        assert_eq!(decode_initial(Some(b"="), MAX_LINE).unwrap().unwrap().expose(), b"");
        assert_eq!(decode_initial(None, MAX_LINE).unwrap(), None);
        assert_eq!(decode_initial(Some(b""), MAX_LINE), Err(DecodeError::BadBase64));
        assert_eq!(decode_response(b"=", MAX_LINE), Err(DecodeError::BadBase64));
        assert_eq!(decode_response(b"", MAX_LINE).unwrap().expose(), b"");
        assert_eq!(encode_initial(b"").expose(), b"=");
        assert_eq!(encode(b"").expose(), b"");
    }

    #[test]
    fn the_limit_is_the_last_length_that_passes() {
        let line = vec![b'A'; MAX_LINE];
        assert_eq!(decode_response(&line, MAX_LINE).unwrap().len(), MAX_LINE / 4 * 3);
        let line = vec![b'A'; MAX_LINE + 4];
        let error = DecodeError::TooLong { limit: MAX_LINE, found: MAX_LINE + 4 };
        assert_eq!(decode_response(&line, MAX_LINE), Err(error));
        assert_eq!(decode_initial(Some(&line), MAX_LINE), Err(error));
        assert_eq!(decode_challenge(&line, MAX_LINE), Err(error));
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(message: Vec<u8>) {
            let text = encode_initial(&message);
            let read = decode_initial(Some(text.expose()), MAX_LINE).unwrap().unwrap();
            proptest::prop_assert_eq!(read.expose(), &message);
            let text = encode(&message);
            proptest::prop_assert_eq!(decode_challenge(text.expose(), MAX_LINE).unwrap(), message);
        }
    }
}

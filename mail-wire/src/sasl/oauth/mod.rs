//! OAUTHBEARER (RFC 7628) and XOAUTH2: a bearer token, and on its refusal a JSON object that tells why.

mod json;

use super::{Failure, Mechanism, gs2, prep};
use crate::Secret;

/// The `kvsep` of RFC 7628 §3.1.
const SEPARATOR: char = '\x01';

/// Why a server refuses a token (RFC 7628 §3.2.2).
///
/// Texts from a server are shown as they came, so escape them before they meet a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenError {
    /// The OAuth error code, such as `invalid_token`; XOAUTH2 servers put an HTTP status there, such as `401`.
    /// Empty where the server sent something else than the object that the RFC asks for.
    pub status: String,
    /// A scope with which a token would do.
    pub scope: Option<String>,
    /// Where the provider's OpenID configuration lies.
    pub openid_configuration: Option<String>,
    /// Token types taken, such as `bearer`.
    pub schemes: Option<String>,
}

impl TokenError {
    /// An error of that code and nothing else.
    pub fn new(status: impl Into<String>) -> Self {
        Self { status: status.into(), scope: None, openid_configuration: None, schemes: None }
    }

    /// Adds the scope with which a token would do.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Adds where the provider's OpenID configuration lies.
    #[must_use]
    pub fn with_openid_configuration(mut self, url: impl Into<String>) -> Self {
        self.openid_configuration = Some(url.into());
        self
    }

    /// Adds the token types taken.
    #[must_use]
    pub fn with_schemes(mut self, schemes: impl Into<String>) -> Self {
        self.schemes = Some(schemes.into());
        self
    }

    /// The plainest refusal in the dialect of the mechanism.
    pub(super) fn invalid_token(mechanism: Mechanism) -> Self {
        match mechanism {
            Mechanism::XOAuth2 => Self::new("401").with_schemes("bearer"),
            _ => Self::new("invalid_token"),
        }
    }

    /// Writes the challenge that refuses.
    pub(super) fn encode(&self) -> Vec<u8> {
        json::encode(self)
    }

    /// Reads the challenge that refuses.
    pub(super) fn parse(challenge: &[u8]) -> Self {
        json::parse(challenge).unwrap_or_else(|| Self::new(""))
    }
}

/// A message read by the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) user: Option<String>,
    /// Empty where the client asks which scope it needs.
    pub(super) token: Secret,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
}

/// Writes the OAUTHBEARER message (RFC 7628 §3.1).
pub(super) fn encode_bearer(
    user: Option<&str>,
    token: &str,
    host: Option<&str>,
    port: Option<u16>,
) -> Secret {
    let header = gs2::encode(gs2::Flag::Unsupported, user);
    let room = header.len() + host.map_or(0, str::len) + token.len() + 40;
    let mut message = String::with_capacity(room);
    message.push_str(&header);
    message.push(SEPARATOR);
    if let Some(host) = host {
        message.extend(["host=", host, "\x01"]);
    }
    if let Some(port) = port {
        message.extend(["port=", &port.to_string(), "\x01"]);
    }
    message.extend(["auth=Bearer ", token, "\x01\x01"]);
    Secret::new(message)
}

/// Writes the XOAUTH2 message.
pub(super) fn encode_xoauth2(user: &str, token: &str) -> Secret {
    let mut message = String::with_capacity(user.len() + token.len() + 22);
    message.extend(["user=", user, "\x01auth=Bearer ", token, "\x01\x01"]);
    Secret::new(message)
}

/// What a client answers a refusal with, so that the exchange can end (RFC 7628 §3.2.3).
pub(super) const fn dummy_response(mechanism: Mechanism) -> &'static [u8] {
    match mechanism {
        Mechanism::OAuthBearer => b"\x01",
        _ => b"",
    }
}

/// Reads the OAUTHBEARER message.
pub(super) fn parse_bearer(message: &[u8]) -> Result<Message, Failure> {
    let header = gs2::parse(utf8(message)?)?;
    if let gs2::Flag::Bound(_) = header.flag {
        return Err(Failure::ChannelBinding);
    }
    let malformed =
        Failure::Malformed { expected: "key=value pairs, each closed by 0x01, and one 0x01 more" };
    let pairs = header.rest.strip_prefix(SEPARATOR).ok_or(malformed)?;
    // The last pair's separator and the message's own; with no pair at all only the latter.
    let pairs = match pairs.strip_suffix("\x01\x01") {
        Some(pairs) => pairs,
        None if pairs == "\x01" => return Err(Failure::Malformed { expected: "an auth key" }),
        None => return Err(malformed),
    };
    let (mut token, mut host, mut port) = (None, None, None);
    for pair in pairs.split(SEPARATOR) {
        let (key, value) = pair.split_once('=').ok_or(malformed)?;
        let is_value = |c: char| c.is_ascii_graphic() || matches!(c, ' ' | '\t' | '\r' | '\n');
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphabetic()) || !value.chars().all(is_value) {
            return Err(malformed);
        }
        let slot_was_filled = match key {
            "auth" => token.replace(parse_token(value)?).is_some(),
            "host" => host.replace(parse_host(value)?).is_some(),
            "port" => port.replace(parse_port(value)?).is_some(),
            // RFC 7628 §3.1: unknown pairs MUST be ignored.
            _ => false,
        };
        if slot_was_filled {
            return Err(Failure::Malformed { expected: "each key once" });
        }
    }
    let token = token.ok_or(Failure::Malformed { expected: "an auth key" })?;
    Ok(Message { user: header.authzid, token, host, port })
}

/// Reads the XOAUTH2 message.
pub(super) fn parse_xoauth2(message: &[u8]) -> Result<Message, Failure> {
    let malformed = Failure::Malformed { expected: "user=…, 0x01, auth=Bearer …, 0x01, 0x01" };
    let pairs = utf8(message)?.strip_suffix("\x01\x01").ok_or(malformed)?;
    let (user, auth) = pairs.split_once(SEPARATOR).ok_or(malformed)?;
    let user = user.strip_prefix("user=").and_then(prep::prepare_name).ok_or(malformed)?;
    let token = parse_token(auth.strip_prefix("auth=").ok_or(malformed)?)?;
    Ok(Message { user: Some(user), token, host: None, port: None })
}

/// Whether a client may send this token: `1*VCHAR`.
pub(super) fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a client may tell this host name.
pub(super) fn is_host(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic())
}

fn utf8(message: &[u8]) -> Result<&str, Failure> {
    core::str::from_utf8(message).map_err(|_| Failure::Malformed { expected: "UTF-8" })
}

/// Reads the value of `auth`: the scheme in any letter case (RFC 7628 §4), a space and the token; or nothing.
fn parse_token(value: &str) -> Result<Secret, Failure> {
    if value.is_empty() {
        return Ok(Secret::new(value));
    }
    let malformed = Failure::Malformed { expected: "the scheme Bearer, a space and a token" };
    let (scheme, token) = value.split_once(' ').ok_or(malformed)?;
    let token = token.trim_start_matches(' ');
    if scheme.eq_ignore_ascii_case("Bearer") && (token.is_empty() || is_token(token)) {
        Ok(Secret::new(token))
    } else {
        Err(malformed)
    }
}

fn parse_host(value: &str) -> Result<String, Failure> {
    let malformed = Failure::Malformed { expected: "a host name" };
    is_host(value).then(|| value.to_owned()).ok_or(malformed)
}

/// RFC 7628 §3.1: a decimal positive integer without leading zeros.
fn parse_port(value: &str) -> Result<u16, Failure> {
    let is_plain = value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0');
    let port = value.parse().ok().filter(|_| is_plain);
    port.ok_or(Failure::Malformed { expected: "a port number without leading zeros" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";

    #[test]
    fn the_messages_of_the_rfc_are_read_and_written() {
        // RFC 7628 §4.1
        let message = format!(
            "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer {TOKEN}\x01\x01"
        );
        let encoded = encode_bearer(Some("user@example.com"), TOKEN, Some("server.example.com"), Some(143));
        assert_eq!(encoded.expose_str(), Some(&*message));
        let expected = Message {
            user: Some("user@example.com".to_owned()),
            token: TOKEN.into(),
            host: Some("server.example.com".to_owned()),
            port: Some(143),
        };
        assert_eq!(parse_bearer(message.as_bytes()), Ok(expected));
    }

    #[test]
    fn a_missing_token_asks_for_the_scope() {
        // RFC 7628 §4.3
        let message = b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=\x01\x01";
        assert!(parse_bearer(message).unwrap().token.is_empty());
    }

    #[test]
    fn unknown_pairs_and_the_letter_case_of_the_scheme_do_not_matter() {
        let message = parse_bearer(b"y,,\x01qs=a=b\r\n\x01auth=bEARER  tok\x01mthd=\x01\x01").unwrap();
        assert_eq!(message, Message { user: None, token: "tok".into(), host: None, port: None });
    }

    #[test]
    fn an_xoauth2_message_is_read_and_written() {
        let message = encode_xoauth2("someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg");
        assert_eq!(
            message.expose_str(),
            Some(
                "user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01"
            )
        );
        let message = parse_xoauth2(message.expose()).unwrap();
        assert_eq!(message.user.as_deref(), Some("someuser@example.com"));
        assert_eq!(message.token.expose(), b"ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg");
    }
}

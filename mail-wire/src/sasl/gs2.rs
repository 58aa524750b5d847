//! The GS2 header (RFC 5801 §4, RFC 5802 §7) that opens SCRAM and OAUTHBEARER messages.

use super::{Failure, prep};

/// The `gs2-cbind-flag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag<'a> {
    /// `n`: the client does not bind channels.
    Unsupported,
    /// `y`: the client would, but saw no `-PLUS` offer.
    NotOffered,
    /// `p=`: bound, by a value of this name.
    Bound(&'a str),
}

/// Writes a header.
pub(super) fn encode(flag: Flag<'_>, authzid: Option<&str>) -> String {
    let mut header = String::new();
    match flag {
        Flag::Unsupported => header.push('n'),
        Flag::NotOffered => header.push('y'),
        Flag::Bound(name) => {
            header.push_str("p=");
            header.push_str(name);
        }
    }
    header.push(',');
    if let Some(authzid) = authzid {
        header.push_str("a=");
        header.push_str(&escape(authzid));
    }
    header.push(',');
    header
}

/// A header read from a message.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub(super) flag: Flag<'a>,
    pub(super) authzid: Option<String>,
    /// The header as sent.
    pub(super) text: &'a str,
    /// What follows it.
    pub(super) rest: &'a str,
}

/// Reads the header a message begins with.
pub(super) fn parse(message: &str) -> Result<Header<'_>, Failure> {
    let malformed = Failure::Malformed { expected: "a GS2 header" };
    let (flag, after_flag) = message.split_once(',').ok_or(malformed)?;
    let (authzid, rest) = after_flag.split_once(',').ok_or(malformed)?;
    let flag = match flag {
        "n" => Flag::Unsupported,
        "y" => Flag::NotOffered,
        _ => Flag::Bound(flag.strip_prefix("p=").filter(|name| is_binding_name(name)).ok_or(malformed)?),
    };
    let authzid = match authzid {
        "" => None,
        _ => {
            let expected = "an authorisation identity in the GS2 header";
            let escaped = authzid.strip_prefix("a=").ok_or(malformed)?;
            Some(parse_name(escaped).ok_or(Failure::Malformed { expected })?)
        }
    };
    let text = &message[..message.len() - rest.len()];
    Ok(Header { flag, authzid, text, rest })
}

/// Writes a name as `saslname`: `=` and `,` become `=3D` and `=2C` (RFC 5802 §5.1).
pub(super) fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// Reads a `saslname` and prepares it; `None` where an `=` begins neither `=2C` nor `=3D`, or SASLprep refuses it.
pub(super) fn parse_name(escaped: &str) -> Option<String> {
    let mut parts = escaped.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        // RFC 5802 §5.1: any other use of '=' MUST fail.
        let (character, rest) = match part.as_bytes() {
            [b'2', b'C', ..] => (',', &part[2..]),
            [b'3', b'D', ..] => ('=', &part[2..]),
            _ => return None,
        };
        name.push(character);
        name.push_str(rest);
    }
    prep::prepare_name(&name)
}

fn is_binding_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_up_to_its_second_comma() {
        let header = parse("p=tls-unique,a=a=2Cb=3Dc,n=x,r=y").unwrap();
        assert_eq!(header.flag, Flag::Bound("tls-unique"));
        assert_eq!(header.authzid.as_deref(), Some("a,b=c"));
        assert_eq!(header.text, "p=tls-unique,a=a=2Cb=3Dc,");
        assert_eq!(header.rest, "n=x,r=y");
        assert_eq!(encode(header.flag, header.authzid.as_deref()), header.text);
    }

    #[test]
    fn a_header_must_be_of_the_grammar() {
        let bad = [
            "",
            "n",
            "n,",
            "N,,",
            "x,,",
            "p,,",
            "p=,,",
            "p=a b,,",
            "n,b=x,",
            "n,a=,",
            "n,a==,",
            "n,a=x=2c,",
            "n,a=x=,",
            "F,n,,",
            "n,a=x\0y,",
            ",,",
        ];
        for message in bad {
            assert!(matches!(parse(message), Err(Failure::Malformed { .. })), "{message:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_name_survives_its_escaping(name in "[ -~]{1,20}") {
            let escaped = escape(&name);
            proptest::prop_assert!(!escaped.contains(','));
            proptest::prop_assert_eq!(parse_name(&escaped), Some(name));
        }
    }
}

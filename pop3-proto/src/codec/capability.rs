//! The lines of CAPA.

use super::decimal::{Digits, digits};
use super::{MAX_REPLY, ReplyError};
use crate::types::{Capability, Expire, LoginDelay, SaslNames};
use mail_wire::sasl::{Mechanism, MechanismSet};

impl Capability {
    /// Reads a line without its CRLF. Names are taken in any letter case. A capability that is known but has other arguments
    /// than it should is [`Capability::Other`], as one that is not known.
    ///
    /// # Errors
    ///
    /// If the line is empty, too long, or not printable.
    pub fn parse(line: &[u8]) -> Result<Self, ReplyError> {
        const BAD: ReplyError = ReplyError::expected("a capability of printable text in a line of 512 bytes");
        let text = core::str::from_utf8(line).map_err(|_| BAD)?;
        if text.is_empty() || text.len() + 2 > MAX_REPLY || text.chars().any(char::is_control) {
            return Err(BAD);
        }
        Ok(Self::known(text).unwrap_or_else(|| Self::Other(text.into())))
    }

    fn known(line: &str) -> Option<Self> {
        let (tag, rest) =
            line.split_once(' ').map_or((line, ""), |(tag, rest)| (tag, rest.trim_matches(' ')));
        let mut words = rest.split(' ').filter(|word| !word.is_empty());
        let capability = match &*tag.to_ascii_uppercase() {
            "TOP" => Self::Top,
            "USER" => Self::User,
            "RESP-CODES" => Self::RespCodes,
            "PIPELINING" => Self::Pipelining,
            "UIDL" => Self::Uidl,
            "STLS" => Self::Stls,
            "AUTH-RESP-CODE" => Self::AuthRespCode,
            "LANG" => Self::Lang,
            "SASL" => return Some(Self::Sasl(sasl_names(words))),
            "IMPLEMENTATION" => return (!rest.is_empty()).then(|| Self::Implementation(rest.into())),
            "UTF8" => Self::Utf8 { user: says_user(&mut words)? },
            "LOGIN-DELAY" => {
                let seconds = number(words.next()?)?;
                Self::LoginDelay(LoginDelay { seconds, per_user: says_user(&mut words)? })
            }
            "EXPIRE" => {
                let word = words.next()?;
                let days = if word.eq_ignore_ascii_case("NEVER") { None } else { Some(number(word)?) };
                Self::Expire(Expire { days, per_user: says_user(&mut words)? })
            }
            _ => return None,
        };
        words.next().is_none().then_some(capability)
    }

    /// Appends the line, without its end, 510 bytes at the most. Control characters in free text become `?`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let mut text = |text: &str| {
            out.extend(text.bytes().map(|byte| if byte.is_ascii_control() { b'?' } else { byte }));
        };
        match self {
            Self::Top => text("TOP"),
            Self::User => text("USER"),
            Self::RespCodes => text("RESP-CODES"),
            Self::Pipelining => text("PIPELINING"),
            Self::Uidl => text("UIDL"),
            Self::Stls => text("STLS"),
            Self::AuthRespCode => text("AUTH-RESP-CODE"),
            Self::Lang => text("LANG"),
            Self::Utf8 { user: false } => text("UTF8"),
            Self::Utf8 { user: true } => text("UTF8 USER"),
            Self::LoginDelay(delay) => text(&format!("LOGIN-DELAY {delay}")),
            Self::Expire(expire) => text(&format!("EXPIRE {expire}")),
            Self::Implementation(name) => text(&format!("IMPLEMENTATION {name}")),
            Self::Sasl(names) => {
                text("SASL");
                for mechanism in names.known.iter() {
                    text(" ");
                    text(mechanism.name());
                }
                for name in &names.others {
                    text(" ");
                    text(name);
                }
            }
            Self::Other(line) => text(line),
        }
        if out.len() > start + MAX_REPLY - 2 {
            out.truncate(start + MAX_REPLY - 2);
            // No half of a character may be left.
            while core::str::from_utf8(&out[start..]).is_err() {
                out.pop();
            }
        }
    }
}

fn sasl_names<'a>(words: impl Iterator<Item = &'a str>) -> SaslNames {
    let mut names = SaslNames { known: MechanismSet::EMPTY, others: Vec::new() };
    for word in words {
        match Mechanism::parse(word) {
            Some(mechanism) => names.known.insert(mechanism),
            None if names.others.len() < SaslNames::MAX_OTHERS => names.others.push(word.into()),
            None => {}
        }
    }
    names
}

/// Whether the word `USER` comes next; `None` if it is another.
fn says_user<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<bool> {
    match words.next() {
        None => Some(false),
        Some(word) => word.eq_ignore_ascii_case("USER").then_some(true),
    }
}

fn number(word: &str) -> Option<u32> {
    match digits(word.as_bytes()) {
        Digits::Number(number) => u32::try_from(number).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(line: &str) -> (Capability, String) {
        let capability = Capability::parse(line.as_bytes()).unwrap();
        let mut out = Vec::new();
        capability.encode(&mut out);
        (capability, String::from_utf8(out).unwrap())
    }

    #[test]
    fn capabilities_are_known_by_name_and_arguments() {
        for (line, expected) in [
            ("TOP", Capability::Top),
            ("RESP-CODES", Capability::RespCodes),
            ("LOGIN-DELAY 900", Capability::LoginDelay(LoginDelay { seconds: 900, per_user: false })),
            ("LOGIN-DELAY 900 USER", Capability::LoginDelay(LoginDelay { seconds: 900, per_user: true })),
            ("EXPIRE 5 USER", Capability::Expire(Expire { days: Some(5), per_user: true })),
            ("EXPIRE NEVER", Capability::Expire(Expire { days: None, per_user: false })),
            ("EXPIRE 0", Capability::Expire(Expire { days: Some(0), per_user: false })),
            (
                "IMPLEMENTATION Shlemazle-Plotz-v302",
                Capability::Implementation("Shlemazle-Plotz-v302".into()),
            ),
            ("UTF8", Capability::Utf8 { user: false }),
            ("UTF8 USER", Capability::Utf8 { user: true }),
            ("X-OWN  a  b", Capability::Other("X-OWN  a  b".into())),
            ("TOP of the world", Capability::Other("TOP of the world".into())),
            ("EXPIRE", Capability::Other("EXPIRE".into())),
            ("EXPIRE soon", Capability::Other("EXPIRE soon".into())),
            ("LOGIN-DELAY 99999999999", Capability::Other("LOGIN-DELAY 99999999999".into())),
        ] {
            assert_eq!(round_trip(line), (expected, line.to_owned()));
        }
        assert_eq!(Capability::parse(b"pipelining"), Ok(Capability::Pipelining));
        assert_eq!(Capability::parse(b"STLS "), Ok(Capability::Stls));
    }

    #[test]
    fn sasl_names_are_kept_also_where_they_are_not_known() {
        let (capability, line) = round_trip("SASL CRAM-MD5 KERBEROS_V4 plain");
        let Capability::Sasl(names) = capability else { panic!() };
        assert!(names.known.contains(Mechanism::CramMd5) && names.known.contains(Mechanism::Plain));
        assert_eq!(names.others, ["KERBEROS_V4".into()]);
        assert!(line.ends_with(" KERBEROS_V4"), "{line}");
        let many = format!("SASL{}", " X".repeat(200));
        let Capability::Sasl(names) = Capability::parse(many.as_bytes()).unwrap() else { panic!() };
        assert_eq!(names.others.len(), SaslNames::MAX_OTHERS);
    }

    #[test]
    fn what_is_no_line_of_capa_is_refused() {
        for bad in [&b""[..], b"a\rb", b"\xff", &[b'x'; 511]] {
            assert!(Capability::parse(bad).is_err(), "{}", bad.escape_ascii());
        }
        assert!(Capability::parse(&[b'x'; 510]).is_ok());
    }
}

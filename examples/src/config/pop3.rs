//! The `[pop3]` table: what POP3 offers, and what it does with mail that was collected.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use mail_wire::ReplyText;

use super::units::Span;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The `[pop3]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Pop3Config {
    /// What CAPA tells of who we are (RFC 2449 §6.9); nothing where it is empty. `Mailwright`, without a version.
    #[serde(deserialize_with = "implementation")]
    pub implementation: String,
    /// Whether only those who have logged in are told so.
    pub implementation_after_login: bool,
    /// What becomes of messages that were collected and left.
    pub expire: Expire,
    /// How long after a login the next one of the same user is refused, by `[LOGIN-DELAY]`. Zero for not at all; parts of a
    /// second count as a whole one.
    pub login_delay: Span,
    /// What is offered to clients that know RFC 6856.
    pub utf8: Utf8,
    /// What becomes of a message with UTF-8 in its header when a client wants it that has not said UTF8.
    pub without_utf8: WithoutUtf8,
    /// Whether QUIT marks messages as seen that RETR has sent. In an mbox that is a field of the header, `Status: RO`, which
    /// mail readers heed and no session sends or counts.
    pub mark_seen: bool,
}

impl Default for Pop3Config {
    fn default() -> Self {
        Self {
            implementation: "Mailwright".to_owned(),
            implementation_after_login: false,
            expire: Expire::Never,
            login_delay: Span(Duration::ZERO),
            utf8: Utf8::Users,
            without_utf8: WithoutUtf8::Serve,
            mark_seen: true,
        }
    }
}

/// What becomes of messages that were collected and left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expire {
    /// They stay: `EXPIRE NEVER`.
    #[default]
    Never,
    /// Those that are marked as seen, not as flagged, and arrived so many days ago, or longer, are removed when their user logs
    /// in. What nobody has seen stays, and so does what came at an unknown time. In an mbox the From_ lines tell the time, in
    /// Greenwich's. MH folders do not tell for sure what was seen: with them a post office does not start.
    Days(u32),
}

impl<'de> Deserialize<'de> for Expire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.eq_ignore_ascii_case("never") {
            return Ok(Self::Never);
        }
        let days = text.parse().ok().and_then(|Span(time)| {
            let whole = time.as_nanos().is_multiple_of(DAY.as_nanos()) && !time.is_zero();
            u32::try_from(time.as_secs() / DAY.as_secs()).ok().filter(|_| whole)
        });
        days.map(Self::Days).ok_or_else(|| {
            D::Error::custom(format!("expected \"never\" or days such as \"30d\", found {text:?}"))
        })
    }
}

impl Expire {
    /// How long messages are kept at least.
    pub(crate) fn time(self) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::Days(days) => Some(DAY * days),
        }
    }
}

/// What is offered to clients that know RFC 6856.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Utf8 {
    /// Nothing.
    Off,
    /// UTF8 and LANG.
    On,
    /// And names and passwords beyond ASCII, with USER, PASS and APOP.
    #[default]
    Users,
}

/// What becomes of a message with UTF-8 in its header when a client wants it that has not said UTF8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WithoutUtf8 {
    /// It is sent as it is, as servers and clients that know nothing of RFC 6856 have it.
    #[default]
    Serve,
    /// It is refused by `[UTF8]`, as RFC 6856 §2.1 has it.
    Refuse,
}

fn implementation<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match ReplyText::new(text.clone()) {
        Ok(_) if text.is_ascii() => Ok(text),
        _ => {
            Err(D::Error::custom(format!("expected a line of ASCII such as \"Mailwright\", found {text:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expire(text: &str) -> Option<Expire> {
        toml::from_str::<Pop3Config>(&format!("expire = \"{text}\"")).ok().map(|config| config.expire)
    }

    #[test]
    fn mail_expires_after_whole_days_or_never() {
        for (text, expected) in [
            ("never", Some(Expire::Never)),
            ("NEVER", Some(Expire::Never)),
            ("1d", Some(Expire::Days(1))),
            ("30d", Some(Expire::Days(30))),
            ("48h", Some(Expire::Days(2))),
            ("0d", None),
            ("36h", None),
            ("", None),
            ("soon", None),
        ] {
            assert_eq!(expire(text), expected, "{text}");
        }
        assert_eq!(Expire::Days(2).time(), Some(Duration::from_secs(172_800)));
    }

    #[test]
    fn who_we_are_fits_a_line() {
        let parsed = |text: &str| toml::from_str::<Pop3Config>(&format!("implementation = \"{text}\""));
        for text in ["", "Mailwright", "Shlemazle-Plotz v302"] {
            assert_eq!(parsed(text).unwrap().implementation, text);
        }
        for text in ["a\\r\\nb", "\\u00e9"] {
            assert!(parsed(text).unwrap_err().message().starts_with("expected a line of ASCII"), "{text}");
        }
    }
}

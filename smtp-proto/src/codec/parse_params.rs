//! The parameters of MAIL and RCPT, from their text.

use super::CommandErrorKind;
use super::cursor::Cursor;
use crate::types::{
    Body, ByMode, DateTime, DeliverBy, Hold, MailAuth, MailParams, Mailbox, Notify, OriginalRecipient,
    Parameter, RcptParams, Ret, Rrvs, RrvsAction, Xtext,
};

/// Most parameters that this crate does not know, in one command. The line limit bounds them as well.
const MAX_OTHER: usize = 16;
/// RFC 3461 §4.4: an ENVID has at most 100 characters.
const MAX_ENVID: usize = 100;

/// What stands behind a path, taken as text once.
struct Parameters<'a> {
    text: &'a str,
    /// Where the text begins in the line.
    start: usize,
    at: usize,
}

impl<'a> Parameters<'a> {
    fn new(cursor: &mut Cursor<'a>) -> Result<Self, CommandErrorKind> {
        cursor.skip_spaces();
        let start = cursor.at;
        cursor.at = cursor.line.len();
        let text = if start < cursor.at { cursor.text(start, cursor.at)? } else { "" };
        Ok(Self { text, start, at: 0 })
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        let rest = bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let name = rest.iter().position(|b| matches!(b, b'=' | b' ')).unwrap_or(rest.len());
        let raw = Raw { at: self.start + self.at, keyword: &rest[..name], value: None };
        self.at += name;
        if rest.get(name) != Some(&b'=') {
            return Some(raw);
        }
        let value = &rest[name + 1..];
        let len = value.iter().position(|b| *b == b' ').unwrap_or(value.len());
        let start = self.at + 1;
        self.at = start + len;
        Some(Raw { value: self.text.get(start..self.at), ..raw })
    }
}

/// A parameter split at its `=`.
struct Raw<'a> {
    at: usize,
    keyword: &'a [u8],
    value: Option<&'a str>,
}

impl<'a> Raw<'a> {
    fn is(&self, keyword: &str) -> bool {
        self.keyword.eq_ignore_ascii_case(keyword.as_bytes())
    }

    /// Parses the value; a missing value is wrong.
    fn value<T>(
        &self,
        keyword: &'static str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, CommandErrorKind> {
        self.value.and_then(parse).ok_or(CommandErrorKind::Parameter { keyword, at: self.at })
    }

    /// There must be no value.
    fn no_value(&self, keyword: &'static str) -> Result<(), CommandErrorKind> {
        match self.value {
            None => Ok(()),
            Some(_) => Err(CommandErrorKind::Parameter { keyword, at: self.at }),
        }
    }

    fn keep(&self, others: &mut Vec<Parameter>) -> Result<(), CommandErrorKind> {
        let parameter = core::str::from_utf8(self.keyword).ok().and_then(|k| Parameter::new(k, self.value));
        let parameter = parameter.ok_or(CommandErrorKind::ParameterSyntax(self.at))?;
        if others.iter().any(|other| other.keyword().as_bytes().eq_ignore_ascii_case(self.keyword)) {
            return Err(CommandErrorKind::DuplicateParameter(self.at));
        }
        if others.len() >= MAX_OTHER {
            return Err(CommandErrorKind::ParameterSyntax(self.at));
        }
        others.push(parameter);
        Ok(())
    }
}

fn once<T>(slot: &mut Option<T>, value: T, at: usize) -> Result<(), CommandErrorKind> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(CommandErrorKind::DuplicateParameter(at)),
    }
}

fn once_flag(flag: &mut bool, at: usize) -> Result<(), CommandErrorKind> {
    if core::mem::replace(flag, true) { Err(CommandErrorKind::DuplicateParameter(at)) } else { Ok(()) }
}

pub(super) fn mail(cursor: &mut Cursor<'_>) -> Result<MailParams, CommandErrorKind> {
    let mut params = MailParams::default();
    for raw in Parameters::new(cursor)? {
        let at = raw.at;
        if raw.is("SIZE") {
            // RFC 1870 §5: at most 20 digits.
            once(&mut params.size, raw.value("SIZE", |v| number(v.as_bytes(), 20))?, at)?;
        } else if raw.is("BODY") {
            once(&mut params.body, raw.value("BODY", body)?, at)?;
        } else if raw.is("SMTPUTF8") {
            raw.no_value("SMTPUTF8")?;
            once_flag(&mut params.smtputf8, at)?;
        } else if raw.is("RET") {
            once(&mut params.ret, raw.value("RET", ret)?, at)?;
        } else if raw.is("ENVID") {
            let envid = |v| Xtext::decode(v).ok().filter(|envid| envid.as_str().len() <= MAX_ENVID);
            once(&mut params.envid, raw.value("ENVID", envid)?, at)?;
        } else if raw.is("AUTH") {
            once(&mut params.auth, raw.value("AUTH", auth)?, at)?;
        } else if raw.is("BY") {
            once(&mut params.by, raw.value("BY", deliver_by)?, at)?;
        } else if raw.is("HOLDFOR") {
            let seconds = raw.value("HOLDFOR", |v| number(v.as_bytes(), 9))?;
            let seconds =
                u32::try_from(seconds).map_err(|_| CommandErrorKind::Parameter { keyword: "HOLDFOR", at })?;
            once(&mut params.hold, Hold::For(seconds), at)?;
        } else if raw.is("HOLDUNTIL") {
            once(
                &mut params.hold,
                Hold::Until(raw.value("HOLDUNTIL", |v| DateTime::parse_rfc3339(v).ok())?),
                at,
            )?;
        } else if raw.is("MT-PRIORITY") {
            once(&mut params.mt_priority, raw.value("MT-PRIORITY", priority)?, at)?;
        } else if raw.is("REQUIRETLS") {
            raw.no_value("REQUIRETLS")?;
            once_flag(&mut params.requiretls, at)?;
        } else {
            raw.keep(&mut params.other)?;
        }
    }
    Ok(params)
}

pub(super) fn rcpt(cursor: &mut Cursor<'_>) -> Result<RcptParams, CommandErrorKind> {
    let mut params = RcptParams::default();
    for raw in Parameters::new(cursor)? {
        let at = raw.at;
        if raw.is("NOTIFY") {
            once(&mut params.notify, raw.value("NOTIFY", notify)?, at)?;
        } else if raw.is("ORCPT") {
            once(&mut params.orcpt, raw.value("ORCPT", OriginalRecipient::parse)?, at)?;
        } else if raw.is("RRVS") {
            once(&mut params.rrvs, raw.value("RRVS", rrvs)?, at)?;
        } else {
            raw.keep(&mut params.other)?;
        }
    }
    Ok(params)
}

/// A decimal number of at most `max_digits` digits that fits.
pub(super) fn number(digits: &[u8], max_digits: usize) -> Option<u64> {
    if digits.is_empty() || digits.len() > max_digits {
        return None;
    }
    digits.iter().try_fold(0u64, |n, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

fn body(value: &str) -> Option<Body> {
    [("7BIT", Body::SevenBit), ("8BITMIME", Body::EightBitMime), ("BINARYMIME", Body::BinaryMime)]
        .into_iter()
        .find_map(|(name, body)| value.eq_ignore_ascii_case(name).then_some(body))
}

fn ret(value: &str) -> Option<Ret> {
    [("FULL", Ret::Full), ("HDRS", Ret::Headers)]
        .into_iter()
        .find_map(|(name, ret)| value.eq_ignore_ascii_case(name).then_some(ret))
}

fn auth(value: &str) -> Option<MailAuth> {
    match value {
        "<>" => Some(MailAuth::Unknown),
        _ => Mailbox::parse(Xtext::decode(value).ok()?.as_str()).ok().map(MailAuth::Mailbox),
    }
}

fn deliver_by(value: &str) -> Option<DeliverBy> {
    let (seconds, mode) = value.split_once(';')?;
    let (negative, digits) = match seconds.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let seconds = i32::try_from(number(digits, 9)?).ok()?;
    let (mode, trace) = match mode.as_bytes() {
        [mode] => (mode, false),
        [mode, b'T' | b't'] => (mode, true),
        _ => return None,
    };
    let mode = match mode {
        b'N' | b'n' => ByMode::Notify,
        b'R' | b'r' => ByMode::Return,
        _ => return None,
    };
    let seconds = if negative { -seconds } else { seconds };
    // RFC 2852 §4: with R the time must be greater than zero.
    (mode == ByMode::Notify || seconds > 0).then_some(DeliverBy { seconds, mode, trace })
}

fn priority(value: &str) -> Option<i8> {
    let (negative, digits) = match value.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, value),
    };
    let priority = i8::try_from(number(digits.as_bytes(), 1)?).ok()?;
    Some(if negative { -priority } else { priority })
}

fn notify(value: &str) -> Option<Notify> {
    if value.eq_ignore_ascii_case("NEVER") {
        return Some(Notify::Never);
    }
    let (mut success, mut failure, mut delay) = (false, false, false);
    for word in value.split(',') {
        let flag = match word {
            _ if word.eq_ignore_ascii_case("SUCCESS") => &mut success,
            _ if word.eq_ignore_ascii_case("FAILURE") => &mut failure,
            _ if word.eq_ignore_ascii_case("DELAY") => &mut delay,
            // RFC 3461 §4.1: NEVER must stand alone.
            _ => return None,
        };
        if core::mem::replace(flag, true) {
            return None;
        }
    }
    Some(Notify::On { success, failure, delay })
}

fn rrvs(value: &str) -> Option<Rrvs> {
    let (since, action) = match value.split_once(';') {
        None => (value, RrvsAction::Continue),
        Some((since, action)) if action.eq_ignore_ascii_case("C") => (since, RrvsAction::Continue),
        Some((since, action)) if action.eq_ignore_ascii_case("R") => (since, RrvsAction::Reject),
        Some(_) => return None,
    };
    Some(Rrvs { since: DateTime::parse_rfc3339(since).ok()?, action })
}

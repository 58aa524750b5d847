//! The parameters of MAIL and RCPT, from their text.

use super::CommandErrorKind;
use crate::types::{
    Body, ByMode, DateTime, DeliverBy, Hold, MailAuth, MailParams, Mailbox, Notify, OriginalRecipient,
    Parameter, RcptParams, Ret, Rrvs, RrvsAction, Xtext,
};
use mail_wire::keyword::{begins, head};

/// Most parameters that this crate does not know, in one command. The line limit bounds them as well.
const MAX_OTHER: usize = 16;
/// RFC 3461 §4.4: an ENVID has at most 100 characters.
const MAX_ENVID: usize = 100;

/// What stands behind a path.
struct Parameters<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Raw<'a>;

    #[inline]
    fn next(&mut self) -> Option<Raw<'a>> {
        let bytes = self.line.as_bytes();
        while bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        let start = self.at;
        let rest = bytes.get(start..).filter(|rest| !rest.is_empty())?;
        let len = word_len(rest);
        self.at += len;
        Some(Raw { at: start, text: self.line.get(start..self.at)? })
    }
}

/// How many bytes stand before the first space. Looks at eight at a time: most words are too short for a search that must
/// first find its stride.
#[inline]
fn word_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    let (eights, rest) = bytes.as_chunks();
    for (index, eight) in eights.iter().enumerate() {
        let word = u64::from_le_bytes(*eight) ^ (ONES * 0x20);
        // The high bit of each byte that is zero; above the first such byte it may be set in others as well.
        let spaces = word.wrapping_sub(ONES) & !word & (ONES * 0x80);
        if spaces != 0 {
            return index * 8 + spaces.trailing_zeros() as usize / 8;
        }
    }
    bytes.len() - rest.len() + rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len())
}

/// A parameter: `keyword` or `keyword=value`.
struct Raw<'a> {
    at: usize,
    text: &'a str,
}

impl<'a> Raw<'a> {
    /// Whether the keyword is `name`.
    #[inline]
    fn is<const N: usize>(&self, name: &[u8; N]) -> bool {
        let bytes = self.text.as_bytes();
        begins(bytes, name) && matches!(bytes.get(N), None | Some(b'='))
    }

    /// Parses the value of the parameter `keyword`; a missing value is wrong.
    #[inline]
    fn value<T>(
        &self,
        keyword: &'static str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, CommandErrorKind> {
        let value = self.text.get(keyword.len() + 1..);
        value.and_then(parse).ok_or(CommandErrorKind::Parameter { keyword, at: self.at })
    }

    /// There must be no value.
    fn no_value(&self, keyword: &'static str) -> Result<(), CommandErrorKind> {
        if self.text.len() == keyword.len() {
            Ok(())
        } else {
            Err(CommandErrorKind::Parameter { keyword, at: self.at })
        }
    }

    /// Keeps a parameter that is not known.
    fn keep(&self, others: &mut Vec<Parameter>) -> Result<(), CommandErrorKind> {
        let (keyword, value) = match self.text.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value)),
            None => (self.text, None),
        };
        let parameter = Parameter::new(keyword, value).ok_or(CommandErrorKind::ParameterSyntax(self.at))?;
        if others.iter().any(|other| other.keyword().eq_ignore_ascii_case(keyword)) {
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

/// Reads the parameters of MAIL, which begin at `at` in a line without control characters beyond ASCII.
pub(super) fn mail(line: &str, at: usize) -> Result<MailParams, CommandErrorKind> {
    let mut params = MailParams::default();
    for raw in (Parameters { line, at }) {
        let at = raw.at;
        match &head(raw.text.as_bytes()) {
            // RFC 1870 §5: at most 20 digits.
            b"SI" if raw.is(b"SIZE") => {
                once(&mut params.size, raw.value("SIZE", |v| number(v.as_bytes(), 20))?, at)?;
            }
            b"BO" if raw.is(b"BODY") => once(&mut params.body, raw.value("BODY", body)?, at)?,
            b"SM" if raw.is(b"SMTPUTF8") => {
                raw.no_value("SMTPUTF8")?;
                once_flag(&mut params.smtputf8, at)?;
            }
            b"RE" if raw.is(b"RET") => once(&mut params.ret, raw.value("RET", ret)?, at)?,
            b"EN" if raw.is(b"ENVID") => {
                let envid = |v| Xtext::decode(v).ok().filter(|envid| envid.as_str().len() <= MAX_ENVID);
                once(&mut params.envid, raw.value("ENVID", envid)?, at)?;
            }
            b"AU" if raw.is(b"AUTH") => once(&mut params.auth, raw.value("AUTH", auth)?, at)?,
            b"BY" if raw.is(b"BY") => once(&mut params.by, raw.value("BY", deliver_by)?, at)?,
            b"HO" if raw.is(b"HOLDFOR") => {
                let seconds = |v: &str| number(v.as_bytes(), 9).and_then(|v| u32::try_from(v).ok());
                once(&mut params.hold, Hold::For(raw.value("HOLDFOR", seconds)?), at)?;
            }
            b"HO" if raw.is(b"HOLDUNTIL") => {
                let time = |v| DateTime::parse_rfc3339(v).ok();
                once(&mut params.hold, Hold::Until(raw.value("HOLDUNTIL", time)?), at)?;
            }
            b"MT" if raw.is(b"MT-PRIORITY") => {
                once(&mut params.mt_priority, raw.value("MT-PRIORITY", priority)?, at)?;
            }
            b"RE" if raw.is(b"REQUIRETLS") => {
                raw.no_value("REQUIRETLS")?;
                once_flag(&mut params.requiretls, at)?;
            }
            _ => raw.keep(&mut params.other)?,
        }
    }
    Ok(params)
}

/// Reads the parameters of RCPT, likewise.
pub(super) fn rcpt(line: &str, at: usize) -> Result<RcptParams, CommandErrorKind> {
    let mut params = RcptParams::default();
    for raw in (Parameters { line, at }) {
        let at = raw.at;
        match &head(raw.text.as_bytes()) {
            b"NO" if raw.is(b"NOTIFY") => once(&mut params.notify, raw.value("NOTIFY", notify)?, at)?,
            b"OR" if raw.is(b"ORCPT") => {
                once(&mut params.orcpt, raw.value("ORCPT", OriginalRecipient::parse)?, at)?
            }
            b"RR" if raw.is(b"RRVS") => once(&mut params.rrvs, raw.value("RRVS", rrvs)?, at)?,
            _ => raw.keep(&mut params.other)?,
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

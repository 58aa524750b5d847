//! The parameters of MAIL and RCPT, by extension.

use super::{DateTime, Mailbox, Xtext};
use core::fmt;

/// The parameters of a MAIL command. Those of extensions that this crate knows are typed; others are kept as they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailParams {
    /// `SIZE`: size of the message in bytes, as the client estimates it (RFC 1870 §6).
    pub size: Option<u64>,
    /// `BODY` (RFC 6152 §3, RFC 3030 §3).
    pub body: Option<Body>,
    /// `SMTPUTF8`: addresses or header may hold UTF-8 (RFC 6531 §3.4).
    pub smtputf8: bool,
    /// `RET`: how much of the message a failure report returns (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// `ENVID`: the sender's name for this envelope, at most 100 characters (RFC 3461 §4.4).
    pub envid: Option<Xtext>,
    /// `AUTH`: who submitted the message first (RFC 4954 §5).
    pub auth: Option<MailAuth>,
    /// `BY`: time for delivery (RFC 2852 §4).
    pub by: Option<DeliverBy>,
    /// `HOLDFOR` or `HOLDUNTIL` (RFC 4865 §4).
    pub hold: Option<Hold>,
    /// `MT-PRIORITY`, from -9 to 9 (RFC 6710 §3).
    pub mt_priority: Option<i8>,
    /// `REQUIRETLS` (RFC 8689 §2).
    pub requiretls: bool,
    /// Parameters that this crate does not know, in order.
    pub other: Vec<Parameter>,
}

/// The parameters of a RCPT command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RcptParams {
    /// `NOTIFY` (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// `ORCPT` (RFC 3461 §4.2).
    pub orcpt: Option<OriginalRecipient>,
    /// `RRVS`: the mailbox must have had its present owner since then (RFC 7293 §3.1).
    pub rrvs: Option<Rrvs>,
    /// Parameters that this crate does not know, in order.
    pub other: Vec<Parameter>,
}

impl MailParams {
    /// No parameters.
    pub fn new() -> Self {
        Self::default()
    }
}

impl RcptParams {
    /// No parameters.
    pub fn new() -> Self {
        Self::default()
    }
}

/// A parameter of an extension that this crate does not know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Parameter {
    keyword: Box<str>,
    value: Option<Box<str>>,
}

impl Parameter {
    /// Takes `keyword` or `keyword=value`.
    ///
    /// Returns `None` unless the keyword has letters, digits and hyphens only and the value printable characters other
    /// than `=` (RFC 5321 §4.1.2, esmtp-param).
    pub fn new(keyword: &str, value: Option<&str>) -> Option<Self> {
        let valid_keyword = keyword.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
            && keyword.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let valid_value =
            value.is_none_or(|v| !v.is_empty() && v.bytes().all(|b| b > b' ' && b != b'=' && b != 0x7f));
        (valid_keyword && valid_value).then(|| Self { keyword: keyword.into(), value: value.map(Into::into) })
    }

    /// The keyword, in the case it was written.
    pub fn keyword(&self) -> &str {
        &self.keyword
    }

    /// The value, if there is one.
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.keyword)?;
        self.value.as_ref().map_or(Ok(()), |value| write!(f, "={value}"))
    }
}

/// `BODY`: which bytes the message may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Body {
    /// `7BIT`: lines of ASCII.
    SevenBit,
    /// `8BITMIME`: lines with bytes above 127 (RFC 6152).
    EightBitMime,
    /// `BINARYMIME`: any bytes; only with BDAT (RFC 3030 §3).
    BinaryMime,
}

/// `RET`: what a failure report returns (RFC 3461 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ret {
    /// The whole message.
    Full,
    /// Its header only.
    Headers,
}

/// `AUTH=`: the original submitter (RFC 4954 §5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MailAuth {
    /// `<>`: not known, or not trusted.
    Unknown,
    /// The identity.
    Mailbox(Mailbox),
}

/// `BY=`: deliver within so many seconds (RFC 2852 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliverBy {
    /// Seconds left, at most nine digits; at or below zero the time has passed on the way, which only
    /// [`ByMode::Notify`] allows.
    pub seconds: i32,
    /// What happens when the time is up.
    pub mode: ByMode,
    /// `T`: report each relay on the way.
    pub trace: bool,
}

/// What happens to a message that cannot be delivered in time (RFC 2852 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ByMode {
    /// `N`: the sender is told, delivery goes on.
    Notify,
    /// `R`: the message is returned.
    Return,
}

/// `HOLDFOR` and `HOLDUNTIL`: when the message is to be released (RFC 4865 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hold {
    /// After so many seconds, at most nine digits.
    For(u32),
    /// At this time.
    Until(DateTime),
}

/// `NOTIFY`: when the sender wants a report (RFC 3461 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notify {
    /// `NEVER`
    Never,
    /// Any of the others, at least one.
    On {
        /// `SUCCESS`
        success: bool,
        /// `FAILURE`
        failure: bool,
        /// `DELAY`
        delay: bool,
    },
}

/// `ORCPT`: the recipient as the sender knew it (RFC 3461 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OriginalRecipient {
    address_type: Box<str>,
    address: OrcptAddress,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum OrcptAddress {
    Xtext(Xtext),
    /// `utf-8` with its own encoding (RFC 6533 §3), kept encoded.
    Utf8(Box<str>),
}

impl OriginalRecipient {
    /// Parses `type;xtext`, or `utf-8;` with the encoding of RFC 6533.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, address) = text.split_once(';')?;
        if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return None;
        }
        let address = if kind.eq_ignore_ascii_case("utf-8") {
            let plain = |b: u8| b > b' ' && !matches!(b, b'=' | b'+' | 0x7f);
            let valid = !address.is_empty() && address.len() <= Xtext::MAX && address.bytes().all(plain);
            OrcptAddress::Utf8(valid.then_some(address)?.into())
        } else {
            OrcptAddress::Xtext(Xtext::decode(address).ok()?)
        };
        Some(Self { address_type: kind.into(), address })
    }

    /// An original recipient of type `rfc822`.
    pub fn rfc822(address: Xtext) -> Self {
        Self { address_type: "rfc822".into(), address: OrcptAddress::Xtext(address) }
    }

    /// The address type, in the case it was written: `rfc822`, `utf-8`, …
    pub fn address_type(&self) -> &str {
        &self.address_type
    }

    /// The address; decoded for all types but `utf-8`, which keeps its own encoding (RFC 6533 §3).
    pub fn address(&self) -> &str {
        match &self.address {
            OrcptAddress::Xtext(xtext) => xtext.as_str(),
            OrcptAddress::Utf8(text) => text,
        }
    }
}

impl fmt::Display for OriginalRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            OrcptAddress::Xtext(xtext) => write!(f, "{};{xtext}", self.address_type),
            OrcptAddress::Utf8(text) => write!(f, "{};{text}", self.address_type),
        }
    }
}

/// `RRVS`: require that the recipient is valid since a date (RFC 7293 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rrvs {
    /// The mailbox must not have changed hands since then.
    pub since: DateTime,
    /// What to do when the next server lacks the extension.
    pub action: RrvsAction,
}

/// What becomes of an RRVS that cannot be passed on (RFC 7293 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RrvsAction {
    /// `C`, the default: continue by other means.
    Continue,
    /// `R`: reject the recipient.
    Reject,
}

/// Writes each parameter with a space before it, ready to follow the path.
impl fmt::Display for MailParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(size) = self.size {
            write!(f, " SIZE={size}")?;
        }
        if let Some(body) = self.body {
            f.write_str(match body {
                Body::SevenBit => " BODY=7BIT",
                Body::EightBitMime => " BODY=8BITMIME",
                Body::BinaryMime => " BODY=BINARYMIME",
            })?;
        }
        if self.smtputf8 {
            f.write_str(" SMTPUTF8")?;
        }
        if let Some(ret) = self.ret {
            f.write_str(match ret {
                Ret::Full => " RET=FULL",
                Ret::Headers => " RET=HDRS",
            })?;
        }
        if let Some(envid) = &self.envid {
            write!(f, " ENVID={envid}")?;
        }
        match &self.auth {
            None => {}
            Some(MailAuth::Unknown) => f.write_str(" AUTH=<>")?,
            Some(MailAuth::Mailbox(mailbox)) => {
                f.write_str(" AUTH=")?;
                for byte in mailbox.as_str().bytes() {
                    match byte {
                        b'+' | b'=' | 0..=b' ' | 0x7f.. => write!(f, "+{byte:02X}")?,
                        _ => write!(f, "{}", char::from(byte))?,
                    }
                }
            }
        }
        if let Some(DeliverBy { seconds, mode, trace }) = self.by {
            let mode = if mode == ByMode::Notify { 'N' } else { 'R' };
            write!(f, " BY={seconds};{mode}{}", if trace { "T" } else { "" })?;
        }
        match self.hold {
            None => {}
            Some(Hold::For(seconds)) => write!(f, " HOLDFOR={seconds}")?,
            Some(Hold::Until(date)) => write!(f, " HOLDUNTIL={date}")?,
        }
        if let Some(priority) = self.mt_priority {
            write!(f, " MT-PRIORITY={priority}")?;
        }
        if self.requiretls {
            f.write_str(" REQUIRETLS")?;
        }
        self.other.iter().try_for_each(|parameter| write!(f, " {parameter}"))
    }
}

/// Writes each parameter with a space before it, ready to follow the path.
impl fmt::Display for RcptParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.notify {
            None => {}
            Some(Notify::Never) => f.write_str(" NOTIFY=NEVER")?,
            Some(Notify::On { success, failure, delay }) => {
                let words = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
                let mut separator = " NOTIFY=";
                for (_, word) in words.into_iter().filter(|(wanted, _)| *wanted) {
                    write!(f, "{separator}{word}")?;
                    separator = ",";
                }
            }
        }
        if let Some(orcpt) = &self.orcpt {
            write!(f, " ORCPT={orcpt}")?;
        }
        if let Some(Rrvs { since, action }) = self.rrvs {
            write!(f, " RRVS={since}{}", if action == RrvsAction::Reject { ";R" } else { "" })?;
        }
        self.other.iter().try_for_each(|parameter| write!(f, " {parameter}"))
    }
}

//! [`Capabilities`]: what a server offered in its answer to EHLO or LHLO.

use super::Reply;
use core::fmt;
use mail_wire::keyword::{begins, head};
use mail_wire::sasl::MechanismSet;

/// The extensions of a server, read from its EHLO reply. Keywords that this crate does not know are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// SIZE (RFC 1870). `Some(0)` says that there is no fixed limit.
    pub size: Option<u64>,
    /// 8BITMIME (RFC 6152).
    pub eight_bit_mime: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// CHUNKING (RFC 3030).
    pub chunking: bool,
    /// BINARYMIME (RFC 3030).
    pub binary_mime: bool,
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
    /// AUTH (RFC 4954): the mechanisms that this project knows.
    pub auth: MechanismSet,
    /// ENHANCEDSTATUSCODES (RFC 2034).
    pub enhanced_status_codes: bool,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// DELIVERBY (RFC 2852), with the least time that `BY=…;R` may name; 0 where the server gives none.
    pub deliver_by: Option<u32>,
    /// FUTURERELEASE (RFC 4865), with the longest `HOLDFOR` in seconds; 0 where the server gives none.
    pub future_release: Option<u32>,
    /// MT-PRIORITY (RFC 6710).
    pub mt_priority: bool,
    /// REQUIRETLS (RFC 8689).
    pub requiretls: bool,
    /// RRVS (RFC 7293).
    pub rrvs: bool,
    /// LIMITS (RFC 9422).
    pub limits: Limits,
    /// ETRN (RFC 1985).
    pub etrn: bool,
    /// ATRN (RFC 2645).
    pub atrn: bool,
    /// VRFY.
    pub vrfy: bool,
    /// EXPN.
    pub expn: bool,
    /// HELP.
    pub help: bool,
    /// XCLIENT, with the attributes that the server takes, separated by spaces.
    pub xclient: Option<Box<str>>,
    /// XFORWARD, with the attributes that the server takes, separated by spaces.
    pub xforward: Option<Box<str>>,
    /// Other lines as they came, such as `X-FOO bar`.
    pub other: Vec<Box<str>>,
}

/// The limits of RFC 9422.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Limits {
    /// `MAILMAX`: transactions in a session.
    pub mail_max: Option<u32>,
    /// `RCPTMAX`: recipients in a transaction.
    pub rcpt_max: Option<u32>,
    /// `RCPTDOMAINMAX`: different recipient domains in a session.
    pub rcpt_domain_max: Option<u32>,
}

impl Limits {
    /// No limits.
    pub const NONE: Limits = Limits { mail_max: None, rcpt_max: None, rcpt_domain_max: None };

    /// Sets `RCPTMAX`.
    #[must_use]
    pub const fn with_rcpt_max(self, recipients: u32) -> Self {
        Limits { rcpt_max: Some(recipients), ..self }
    }

    /// Sets `MAILMAX`.
    #[must_use]
    pub const fn with_mail_max(self, transactions: u32) -> Self {
        Limits { mail_max: Some(transactions), ..self }
    }

    /// Sets `RCPTDOMAINMAX`.
    #[must_use]
    pub const fn with_rcpt_domain_max(self, domains: u32) -> Self {
        Limits { rcpt_domain_max: Some(domains), ..self }
    }

    /// Whether no limit is set.
    pub const fn is_none(&self) -> bool {
        self.mail_max.is_none() && self.rcpt_max.is_none() && self.rcpt_domain_max.is_none()
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits =
            [("MAILMAX", self.mail_max), ("RCPTMAX", self.rcpt_max), ("RCPTDOMAINMAX", self.rcpt_domain_max)];
        f.write_str("LIMITS")?;
        for (name, limit) in limits {
            if let Some(limit) = limit {
                write!(f, " {name}={limit}")?;
            }
        }
        Ok(())
    }
}

impl Capabilities {
    /// Reads the lines behind the first of an EHLO reply. Lines that make no sense are ignored, as RFC 5321 §4.1.1.1
    /// has it for unknown keywords.
    pub fn from_reply(reply: &Reply) -> Self {
        let mut capabilities = Self::default();
        let mut rest = reply.text_behind_first_line();
        while !rest.is_empty() {
            rest = capabilities.add(rest);
        }
        capabilities
    }

    /// Reads the line at the front of `text`; gives what follows it.
    fn add<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        let keyword = Keyword::leading(text);
        let end = keyword.map_or(0, |keyword| keyword.name().len());
        // Most lines are a keyword and nothing else.
        let len = match text.get(end) {
            Some(b'\n') => end,
            _ => memchr::memchr(b'\n', text).unwrap_or(text.len()),
        };
        let line = &text[..len];
        match keyword {
            Some(keyword) if len == end => self.add_keyword(keyword, b""),
            Some(keyword) => self.add_keyword(keyword, line[end + 1..].trim_ascii_end()),
            // Servers older than RFC 2554 wrote AUTH=LOGIN; some still do, beside the real line.
            None if begins(line, b"AUTH") && line.get(4) == Some(&b'=') => {
                self.auth = self.auth.union(MechanismSet::parse(line[5..].trim_ascii_end()));
            }
            None => self.keep(line.trim_ascii_end()),
        }
        text.get(len + 1..).unwrap_or_default()
    }

    fn add_keyword(&mut self, keyword: Keyword, args: &[u8]) {
        match keyword {
            Keyword::Pipelining => self.pipelining = true,
            Keyword::Size => self.size = Some(number(args)),
            Keyword::EightBitMime => self.eight_bit_mime = true,
            Keyword::SmtpUtf8 => self.smtputf8 = true,
            Keyword::Chunking => self.chunking = true,
            Keyword::BinaryMime => self.binary_mime = true,
            Keyword::StartTls => self.starttls = true,
            Keyword::Auth => self.auth = self.auth.union(MechanismSet::parse(args)),
            Keyword::EnhancedStatusCodes => self.enhanced_status_codes = true,
            Keyword::Dsn => self.dsn = true,
            Keyword::DeliverBy => self.deliver_by = Some(number(args)),
            Keyword::FutureRelease => self.future_release = Some(number(args)),
            Keyword::MtPriority => self.mt_priority = true,
            Keyword::RequireTls => self.requiretls = true,
            Keyword::Rrvs => self.rrvs = true,
            Keyword::Limits => self.add_limits(args),
            Keyword::Etrn => self.etrn = true,
            Keyword::Atrn => self.atrn = true,
            Keyword::Vrfy => self.vrfy = true,
            Keyword::Expn => self.expn = true,
            Keyword::Help => self.help = true,
            Keyword::Xclient => self.xclient = core::str::from_utf8(args).ok().map(Into::into),
            Keyword::Xforward => self.xforward = core::str::from_utf8(args).ok().map(Into::into),
        }
    }

    /// Keeps a line that is not known, as far as it is text.
    fn keep(&mut self, line: &[u8]) {
        if let Ok(line) = core::str::from_utf8(line) {
            self.other.push(line.into());
        }
    }

    fn add_limits(&mut self, words: &[u8]) {
        for word in words.split(|b| *b == b' ') {
            let Some(equals) = word.iter().position(|b| *b == b'=') else { continue };
            let (name, value) = (&word[..equals], &word[equals + 1..]);
            let limit = Some(number(value)).filter(|limit| *limit > 0);
            match name {
                _ if name.eq_ignore_ascii_case(b"MAILMAX") => self.limits.mail_max = limit,
                _ if name.eq_ignore_ascii_case(b"RCPTMAX") => self.limits.rcpt_max = limit,
                _ if name.eq_ignore_ascii_case(b"RCPTDOMAINMAX") => self.limits.rcpt_domain_max = limit,
                _ => {}
            }
        }
    }
}

/// The keywords that are known. No two begin with the same two bytes.
macro_rules! keywords {
    ($($head:literal $keyword:ident $name:literal;)*) => {
        #[derive(Clone, Copy)]
        enum Keyword { $($keyword),* }

        impl Keyword {
            const fn name(self) -> &'static [u8] {
                match self { $(Self::$keyword => $name),* }
            }

            /// The keyword that is the first word of the first line.
            #[inline]
            fn leading(text: &[u8]) -> Option<Self> {
                let (known, keyword) = match &head(text) {
                    $($head => (begins(text, $name), Self::$keyword),)*
                    _ => return None,
                };
                let ends = matches!(text.get(keyword.name().len()), None | Some(b' ' | b'\n'));
                (known && ends).then_some(keyword)
            }
        }
    };
}

keywords! {
    b"PI" Pipelining b"PIPELINING";
    b"SI" Size b"SIZE";
    b"8B" EightBitMime b"8BITMIME";
    b"SM" SmtpUtf8 b"SMTPUTF8";
    b"CH" Chunking b"CHUNKING";
    b"BI" BinaryMime b"BINARYMIME";
    b"ST" StartTls b"STARTTLS";
    b"AU" Auth b"AUTH";
    b"EN" EnhancedStatusCodes b"ENHANCEDSTATUSCODES";
    b"DS" Dsn b"DSN";
    b"DE" DeliverBy b"DELIVERBY";
    b"FU" FutureRelease b"FUTURERELEASE";
    b"MT" MtPriority b"MT-PRIORITY";
    b"RE" RequireTls b"REQUIRETLS";
    b"RR" Rrvs b"RRVS";
    b"LI" Limits b"LIMITS";
    b"ET" Etrn b"ETRN";
    b"AT" Atrn b"ATRN";
    b"VR" Vrfy b"VRFY";
    b"EX" Expn b"EXPN";
    b"HE" Help b"HELP";
    b"XC" Xclient b"XCLIENT";
    b"XF" Xforward b"XFORWARD";
}

/// The number that is the first word; 0 where there is none that fits.
fn number<T: TryFrom<u64> + Default>(args: &[u8]) -> T {
    let word = args.split(|b| *b == b' ').next().unwrap_or_default();
    let value = word.iter().try_fold(0u64, |n, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    });
    value.and_then(|value| T::try_from(value).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ReplyCode;
    use mail_wire::sasl::Mechanism;

    #[test]
    fn an_ehlo_reply_is_read_and_unknown_keywords_are_kept() {
        let lines = b"mx.example greets you\nPIPELINING\nsize 52428800\n8bitmime\nAUTH PLAIN LOGIN X-UNKNOWN\nAUTH=CRAM-MD5\n\
            LIMITS MAILMAX=10 RCPTMAX=5 FOO=1 RCPTDOMAINMAX=0\nDELIVERBY 240\nX-FOO bar baz\n\xff\n\
            A-KEYWORD-THAT-IS-LONGER-THAN-ANY-WE-KNOW x\nXCLIENT NAME ADDR\n";
        let capabilities =
            Capabilities::from_reply(&Reply::from_lines(ReplyCode::new(250).unwrap(), lines.to_vec()));
        let expected = Capabilities {
            pipelining: true,
            size: Some(52_428_800),
            eight_bit_mime: true,
            auth: [Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5].into_iter().collect(),
            deliver_by: Some(240),
            limits: Limits { mail_max: Some(10), rcpt_max: Some(5), rcpt_domain_max: None },
            xclient: Some("NAME ADDR".into()),
            other: vec!["X-FOO bar baz".into(), "A-KEYWORD-THAT-IS-LONGER-THAN-ANY-WE-KNOW x".into()],
            ..Capabilities::default()
        };
        assert_eq!(capabilities, expected);
    }

    #[test]
    fn the_first_line_is_no_keyword() {
        let reply = Reply::from_lines(ReplyCode::new(250).unwrap(), b"STARTTLS\n".to_vec());
        assert_eq!(Capabilities::from_reply(&reply), Capabilities::default());
    }
}

//! Capabilities: what CAPA tells (RFC 2449 §5).

use core::fmt;
use mail_wire::sasl::MechanismSet;

/// One line of the reply to CAPA.
///
/// [`Capability::parse`] reads one, [`Capability::encode`] writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capability {
    /// `TOP` (RFC 2449 §6.1)
    Top,
    /// `USER`: USER and PASS can be used (RFC 2449 §6.2).
    User,
    /// `SASL mechanisms`: AUTH can be used (RFC 2449 §6.3, RFC 5034 §3).
    Sasl(SaslNames),
    /// `RESP-CODES`: a text that begins with `[` has a response code (RFC 2449 §6.4).
    RespCodes,
    /// `LOGIN-DELAY seconds [USER]` (RFC 2449 §6.5)
    LoginDelay(LoginDelay),
    /// `PIPELINING` (RFC 2449 §6.6)
    Pipelining,
    /// `EXPIRE days|NEVER [USER]` (RFC 2449 §6.7)
    Expire(Expire),
    /// `UIDL` (RFC 2449 §6.8)
    Uidl,
    /// `IMPLEMENTATION text` (RFC 2449 §6.9)
    Implementation(Box<str>),
    /// `STLS` (RFC 2595 §4)
    Stls,
    /// `AUTH-RESP-CODE`: `[AUTH]` tells when the credentials are at fault (RFC 3206 §5).
    AuthRespCode,
    /// `UTF8 [USER]` (RFC 6856 §2)
    Utf8 {
        /// Names and passwords may be UTF-8.
        user: bool,
    },
    /// `LANG` (RFC 6856 §3)
    Lang,
    /// One that is not known here, as the line was.
    Other(Box<str>),
}

/// The SASL mechanisms that a server offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SaslNames {
    /// Those known here.
    pub known: MechanismSet,
    /// The names of others, at most [`SaslNames::MAX_OTHERS`].
    pub others: Vec<Box<str>>,
}

impl SaslNames {
    /// How many names of unknown mechanisms are kept.
    pub const MAX_OTHERS: usize = 32;
}

impl From<MechanismSet> for SaslNames {
    fn from(known: MechanismSet) -> Self {
        Self { known, others: Vec::new() }
    }
}

/// How long to wait between two logins (RFC 2449 §6.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LoginDelay {
    /// Seconds between a login and the next.
    pub seconds: u32,
    /// This is the longest delay of all users; that of the one who logs in is told afterwards.
    pub per_user: bool,
}

/// How long messages are kept (RFC 2449 §6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Expire {
    /// Days that a message is kept at least; `None` is `NEVER`, 0 says that none may be left behind.
    pub days: Option<u32>,
    /// This is the shortest time of all users; that of the one who logs in is told afterwards.
    pub per_user: bool,
}

impl fmt::Display for LoginDelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.seconds, if self.per_user { " USER" } else { "" })
    }
}

impl fmt::Display for Expire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.days {
            Some(days) => write!(f, "{days}")?,
            None => f.write_str("NEVER")?,
        }
        f.write_str(if self.per_user { " USER" } else { "" })
    }
}

/// What a server can do, as far as it said so.
///
/// ```
/// use pop3_proto::types::{Capabilities, Capability};
///
/// let mut capabilities = Capabilities::default();
/// for line in ["TOP", "SASL PLAIN X-OWN", "EXPIRE 5 USER", "X-MANGLE"] {
///     capabilities.insert(Capability::parse(line.as_bytes())?);
/// }
/// assert!(capabilities.top && !capabilities.uidl);
/// assert_eq!(capabilities.expire.unwrap().days, Some(5));
/// assert_eq!(*capabilities.others[0], *"X-MANGLE");
/// # Ok::<(), pop3_proto::codec::ReplyError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// TOP.
    pub top: bool,
    /// USER and PASS.
    pub user: bool,
    /// AUTH, with these mechanisms.
    pub sasl: Option<SaslNames>,
    /// Response codes.
    pub resp_codes: bool,
    /// Least time between logins.
    pub login_delay: Option<LoginDelay>,
    /// Commands may be sent without waiting for replies.
    pub pipelining: bool,
    /// How long messages are kept.
    pub expire: Option<Expire>,
    /// UIDL.
    pub uidl: bool,
    /// What the server is.
    pub implementation: Option<Box<str>>,
    /// STLS.
    pub stls: bool,
    /// `[AUTH]` tells when credentials are at fault.
    pub auth_resp_code: bool,
    /// UTF8, and whether names and passwords may be UTF-8.
    pub utf8: Option<bool>,
    /// LANG.
    pub lang: bool,
    /// Lines that are not known here, at most [`Capabilities::MAX_OTHERS`].
    pub others: Vec<Box<str>>,
}

impl Capabilities {
    /// How many unknown capabilities are kept.
    pub const MAX_OTHERS: usize = 64;

    /// Adds one. Where it was there already, the later one counts.
    pub fn insert(&mut self, capability: Capability) {
        match capability {
            Capability::Top => self.top = true,
            Capability::User => self.user = true,
            Capability::Sasl(names) => self.sasl = Some(names),
            Capability::RespCodes => self.resp_codes = true,
            Capability::LoginDelay(delay) => self.login_delay = Some(delay),
            Capability::Pipelining => self.pipelining = true,
            Capability::Expire(expire) => self.expire = Some(expire),
            Capability::Uidl => self.uidl = true,
            Capability::Implementation(text) => self.implementation = Some(text),
            Capability::Stls => self.stls = true,
            Capability::AuthRespCode => self.auth_resp_code = true,
            Capability::Utf8 { user } => self.utf8 = Some(user),
            Capability::Lang => self.lang = true,
            Capability::Other(line) if self.others.len() < Self::MAX_OTHERS => self.others.push(line),
            Capability::Other(_) => {}
        }
    }

    /// The SASL mechanisms that are known here.
    pub fn mechanisms(&self) -> MechanismSet {
        self.sasl.as_ref().map_or(MechanismSet::EMPTY, |names| names.known)
    }

    /// All of them, one for each line.
    pub fn iter(&self) -> impl Iterator<Item = Capability> {
        let flag = |set: bool, capability: Capability| set.then_some(capability);
        let known = [
            flag(self.top, Capability::Top),
            flag(self.uidl, Capability::Uidl),
            flag(self.user, Capability::User),
            self.sasl.clone().map(Capability::Sasl),
            flag(self.resp_codes, Capability::RespCodes),
            flag(self.auth_resp_code, Capability::AuthRespCode),
            self.login_delay.map(Capability::LoginDelay),
            flag(self.pipelining, Capability::Pipelining),
            self.expire.map(Capability::Expire),
            flag(self.stls, Capability::Stls),
            self.utf8.map(|user| Capability::Utf8 { user }),
            flag(self.lang, Capability::Lang),
            self.implementation.clone().map(Capability::Implementation),
        ];
        known.into_iter().flatten().chain(self.others.iter().cloned().map(Capability::Other))
    }
}

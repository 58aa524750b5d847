//! [`Session`]: what is known of the server, and what has been done with it.

use super::Client;
use crate::types::{ApopTimestamp, Capabilities, Reply, Verb};
use core::fmt;
use mail_wire::TlsInfo;
use mail_wire::connection::AuthenticatedPeer;
use mail_wire::sasl::{Mechanism, MechanismSet};

/// What is known of the server and has been done with it.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) greeting: Option<Reply>,
    pub(super) timestamp: Option<ApopTimestamp>,
    /// `None` where the server knows no CAPA.
    pub(super) capabilities: Option<Box<Capabilities>>,
    /// How CAPA was refused after the login.
    pub(super) capa_refusal: Option<Reply>,
    /// What AUTH without argument has told, where it was asked.
    pub(super) listed: Option<MechanismSet>,
    pub(super) tls: Option<Box<TlsInfo>>,
    /// Who we are to a layer below.
    pub(super) below: Option<AuthenticatedPeer>,
    pub(super) utf8: bool,
    pub(super) authenticated: Option<LoginMethod>,
    /// How many SASL exchanges were begun.
    pub(super) exchanges: u8,
    /// How many messages are marked as deleted.
    pub(super) deleted: u32,
    pub(super) top: Option<Support>,
    pub(super) uidl: Option<Support>,
}

/// By what a client has logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoginMethod {
    /// AUTH (RFC 5034).
    Sasl(Mechanism),
    /// APOP (RFC 1939 §7).
    Apop,
    /// USER and PASS (RFC 1939 §7).
    UserPass,
    /// USER and RPOP (RFC 1225).
    Rpop,
    /// A layer below, with USER and PASS to name the maildrop.
    Kpop,
    /// The greeting.
    Open,
}

impl fmt::Display for LoginMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sasl(mechanism) => mechanism.fmt(f),
            Self::Apop => f.write_str("APOP"),
            Self::UserPass => f.write_str("USER and PASS"),
            Self::Rpop => f.write_str("RPOP"),
            Self::Kpop => f.write_str("KPOP"),
            Self::Open => f.write_str("the greeting"),
        }
    }
}

/// Whether a server has an optional command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Support {
    /// It says so, or has obeyed it.
    Offered,
    /// It does not say so, and the command was not tried. There are servers that have commands of which their CAPA says nothing
    /// (Verizon's jpop had UIDL: neomutt/neomutt#1427).
    Unknown,
    /// It does not say so, and has refused the command without a reason.
    Missing,
}

impl Client {
    /// What the server offers: as it said after the login, if it did, else before. `None` where it knows no CAPA, and before it
    /// was asked.
    pub fn capabilities(&self) -> Option<&Capabilities> {
        self.session.capabilities.as_deref()
    }

    /// How the server refused CAPA after the login, if it did. That does no harm of itself; but where the connection is lost
    /// next, it may tell why.
    pub fn capabilities_refusal(&self) -> Option<&Reply> {
        self.session.capa_refusal.as_ref()
    }

    /// The mechanisms that the server offers.
    pub(super) fn offered_mechanisms(&self) -> MechanismSet {
        let listed = self.session.listed.unwrap_or(MechanismSet::EMPTY);
        self.capabilities().map_or(listed, |offered| offered.mechanisms())
    }

    /// Whether the server has an optional command, as far as is known: TOP, UIDL or LANG. All others count as offered.
    pub fn support(&self, verb: Verb) -> Support {
        let (offered, found) = match (verb, self.capabilities()) {
            (Verb::Top, offered) => (offered.is_some_and(|offered| offered.top), self.session.top),
            (Verb::Uidl, offered) => (offered.is_some_and(|offered| offered.uidl), self.session.uidl),
            (Verb::Lang, offered) => (offered.is_some_and(|offered| offered.lang), None),
            _ => (true, None),
        };
        if offered { Support::Offered } else { found.unwrap_or(Support::Unknown) }
    }

    /// The server's greeting.
    pub fn greeting(&self) -> Option<&Reply> {
        self.session.greeting.as_ref()
    }

    /// Facts of the TLS session, where there is one.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.session.tls.as_deref()
    }

    /// By what the client has logged in.
    pub fn authenticated(&self) -> Option<LoginMethod> {
        self.session.authenticated
    }

    /// Whether UTF8 is in force (RFC 6856 §2): messages and replies may hold UTF-8 wherever they are.
    pub fn is_utf8(&self) -> bool {
        self.session.utf8
    }

    /// How many messages the server has marked as deleted in this session.
    pub fn deleted(&self) -> u32 {
        self.session.deleted
    }
}

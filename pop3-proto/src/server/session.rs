//! What is known of a connection.

use super::event::Identity;
use super::maildrop::Opened;
use super::order::Phase;
use crate::types::{ApopTimestamp, UserName};
use core::net::SocketAddr;
use mail_wire::{AuthenticatedPeer, TlsInfo};

/// Who is at the other end, as the embedder, or a PROXY header, knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The client's address.
    pub address: SocketAddr,
    /// Our address that the client connected to, where it is known.
    pub local: Option<SocketAddr>,
    /// Who the client is by other means than a TLS certificate, such as the credentials of a Unix socket. Where it is
    /// known, here, as [`TlsInfo::peer_identity`] or as [`AuthenticatedPeer::identity`], EXTERNAL can be offered; the embedder
    /// decides what it is worth.
    pub identity: Option<String>,
}

impl Peer {
    /// A peer of whom nothing but the address is known.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, local: None, identity: None }
    }
}

/// Facts that hold until the next STLS or login takes them away.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) peer: Peer,
    pub(super) tls: Option<Box<TlsInfo>>,
    /// Who the client is by a layer that ran before the greeting.
    pub(super) transport: Option<Box<AuthenticatedPeer>>,
    pub(super) timestamp: Option<ApopTimestamp>,
    /// What USER named.
    pub(super) user: Option<UserName>,
    pub(super) identity: Option<Box<Identity>>,
    pub(super) opened: Option<Box<Opened>>,
    pub(super) utf8: bool,
    /// The index of the language that LANG chose.
    pub(super) language: Option<usize>,
    pub(super) greeted: bool,
}

impl Session {
    pub(super) fn new(peer: Peer) -> Self {
        Self {
            peer,
            tls: None,
            transport: None,
            timestamp: None,
            user: None,
            identity: None,
            opened: None,
            utf8: false,
            language: None,
            greeted: false,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match (&self.opened, &self.user) {
            (Some(_), _) => Phase::Transaction,
            (None, Some(_)) => Phase::Named,
            (None, None) => Phase::Authorization,
        }
    }

    /// Whether what is sent can be read by nobody on the way.
    pub(super) fn is_confidential(&self) -> bool {
        self.tls.is_some() || self.transport.as_ref().is_some_and(|transport| transport.confidential)
    }
}

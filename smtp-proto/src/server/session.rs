//! What is known of a connection and of the transaction in progress.

use super::order::Phase;
use crate::types::{Body, Domain, HelloName};
use core::net::SocketAddr;
use mail_wire::TlsInfo;
use mail_wire::sasl::Identity;

/// Who is at the other end, as the embedder (or a PROXY header, or XCLIENT) knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The client's address.
    pub address: SocketAddr,
    /// Our address that the client connected to, where it is known.
    pub local: Option<SocketAddr>,
    /// The client's name in the DNS, where it was looked up and verified.
    pub name: Option<Domain>,
    /// Whether the client may use XCLIENT and XFORWARD.
    pub trusted: bool,
    /// Who the client is by other means than a TLS certificate, such as the credentials of a Unix socket. Where it is
    /// known, here or as [`TlsInfo::peer_identity`], EXTERNAL can be offered; the embedder decides what it is worth.
    pub identity: Option<String>,
}

impl Peer {
    /// A peer of whom nothing but the address is known, and who is not trusted.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, local: None, name: None, trusted: false, identity: None }
    }
}

/// Facts that hold until the next STARTTLS, XCLIENT or HELO takes them away.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) peer: Peer,
    pub(super) hello: Option<HelloName>,
    /// EHLO or LHLO, so that extensions may be used.
    pub(super) extended: bool,
    pub(super) tls: Option<Box<TlsInfo>>,
    pub(super) identity: Option<Box<Identity>>,
    pub(super) envelope: Option<Envelope>,
    /// Transactions begun, for MAILMAX.
    pub(super) transactions: u32,
    /// DATA was refused, and content that the client sent without waiting may still come.
    pub(super) content_may_come: bool,
    /// Domains of recipients, for RCPTDOMAINMAX; empty where that is not announced.
    pub(super) recipient_domains: Vec<Box<str>>,
}

/// The transaction in progress, as far as the protocol needs it. The addresses went to the embedder.
#[derive(Debug, Clone)]
pub(super) struct Envelope {
    pub(super) utf8: bool,
    pub(super) body: Option<Body>,
    pub(super) accepted: usize,
    pub(super) attempted: usize,
    pub(super) progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Addressing,
    /// Chunks were taken; so many bytes, and whether the last ended with a CR that still waits for its LF.
    Chunks {
        size: u64,
        held_cr: bool,
    },
    Failed,
}

impl Session {
    pub(super) fn new(peer: Peer) -> Self {
        Self {
            peer,
            hello: None,
            extended: false,
            tls: None,
            identity: None,
            envelope: None,
            transactions: 0,
            content_may_come: false,
            recipient_domains: Vec::new(),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match &self.envelope {
            _ if self.hello.is_none() => Phase::Start,
            None => Phase::Ready,
            Some(Envelope { progress: Progress::Failed, .. }) => Phase::Failed,
            Some(Envelope { progress: Progress::Chunks { .. }, .. }) => Phase::Chunks,
            Some(Envelope { accepted: 0, .. }) => Phase::Mail,
            Some(_) => Phase::Recipients,
        }
    }
}

//! [`Shared`]: what all sessions of a post office share.

use std::net::IpAddr;
use std::time::Duration;

use maildrop::UserName;
use smtp_proto::types::Domain;

use super::arrivals::Arrivals;
use super::faults::FaultScript;
use super::policy::Here;
use crate::config::TrustedConfig;
use crate::delivery::Sink;
use crate::limits::ConnectionLimits;
use crate::users::Users;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) hostname: Domain,
    pub(super) users: Users,
    /// Who gets mail for postmaster.
    pub(super) postmaster: UserName,
    pub(super) sink: Sink,
    pub(super) faults: Option<FaultScript>,
    /// A message with more `Received` fields goes round in circles.
    pub(super) received_fields: u32,
    pub(super) limits: ConnectionLimits,
    /// How long a client waits for disks and password checks.
    pub(super) answer_timeout: Duration,
    pub(super) trusted: TrustedConfig,
    pub(super) arrivals: Arrivals,
    /// Whether arrivals are remembered.
    pub(super) remembers: bool,
}

impl Shared {
    /// Whose mail is ours, for a client that is connected to this address of ours.
    pub(super) fn here(&self, address: Option<IpAddr>) -> Here<'_> {
        Here { users: &self.users, postmaster: &self.postmaster, hostname: &self.hostname, address }
    }
}

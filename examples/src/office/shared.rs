//! [`Shared`]: what all sessions of a post office share.

use maildrop::UserName;
use smtp_proto::types::Domain;

use super::arrivals::Arrivals;
use super::faults::FaultScript;
use crate::delivery::Sink;
use crate::limits::ConnectionLimits;
use crate::users::Users;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) hostname: Domain,
    pub(super) users: Users,
    /// Who gets mail for postmaster.
    pub(super) postmaster: Option<UserName>,
    pub(super) sink: Sink,
    pub(super) faults: Option<FaultScript>,
    /// A message with more `Received` fields goes round in circles.
    pub(super) received_fields: u32,
    pub(super) limits: ConnectionLimits,
    pub(super) arrivals: Arrivals,
    /// Whether arrivals are remembered.
    pub(super) remembers: bool,
}

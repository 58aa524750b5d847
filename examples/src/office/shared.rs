//! [`Shared`]: what all sessions of a post office share.

use std::net::IpAddr;
use std::time::Duration;

use mail_wire::sasl::{Answer, Question};
use maildrop::UserName;
use smtp_proto::types::Domain;

use super::arrivals::Arrivals;
use super::faults::FaultScript;
use super::penalties::Penalties;
use super::policy::Here;
use super::pop3::Maildrops;
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
    /// What POP3 reads.
    pub(super) maildrops: Maildrops,
    pub(super) faults: Option<FaultScript>,
    /// A message with more `Received` fields goes round in circles.
    pub(super) received_fields: u32,
    pub(super) limits: ConnectionLimits,
    pub(super) penalties: Penalties,
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

    /// Answers what a SASL exchange asks of a client at this address whose certificate has shown this name.
    pub(super) async fn authenticate(
        &self,
        question: Question,
        shown: Option<&str>,
        client: IpAddr,
    ) -> Answer {
        let users = &self.users;
        if let Question::VerifyPassword { .. } | Question::Credentials { .. } | Question::VerifyToken { .. } =
            question
        {
            let penalty = self.penalties.of(client);
            if !penalty.is_zero() {
                tokio::time::sleep(penalty).await;
            }
        }
        let Question::External { authzid } = question else { return users.answer(question).await };
        let Some(user) = shown.and_then(|name| users.find(name)) else { return Answer::Rejected };
        match authzid.as_deref().map(|wanted| users.find(wanted)) {
            None => Answer::AcceptedAs(user.to_string()),
            Some(wanted) if wanted == Some(user) => Answer::AcceptedAs(user.to_string()),
            Some(_) => Answer::Rejected,
        }
    }
}

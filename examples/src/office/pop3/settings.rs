//! What the configuration means for the protocol machine.

use mail_wire::sasl::{Mechanism, MechanismSet};
use pop3_proto::server::{ServerConfig, ServerLimits, ServerTimeouts};
use smtp_proto::types::Domain;

use crate::config::{Config, LimitsConfig, TimeoutsConfig};
use crate::office::start_error::StartError;
use crate::service::Service;
use crate::tls::ServerTls;
use crate::users::Users;

/// Settings of the machine for a service.
pub(in super::super) fn machine(
    config: &Config,
    service: Service,
    hostname: &Domain,
    users: &Users,
    tls: Option<&ServerTls>,
) -> Result<ServerConfig, StartError> {
    if service.is_implicit_tls() && tls.is_none() {
        return Err(StartError::NeedsTls(service));
    }
    let mut server = ServerConfig::new(hostname.as_str());
    server.limits = limits(&config.limits);
    server.timeouts = timeouts(&config.timeouts);
    server.implicit_tls = service.is_implicit_tls();
    server.stls = tls.is_some() && !service.is_implicit_tls();
    let mut mechanisms = users.mechanisms();
    if tls.is_some_and(ServerTls::asks_clients) {
        mechanisms.insert(Mechanism::External);
    }
    server.mechanisms = mechanisms.intersection(config.auth.mechanisms.unwrap_or(MechanismSet::ALL));
    // It asks the same of a password as CRAM-MD5, and is as weak.
    server.apop = server.mechanisms.contains(Mechanism::CramMd5);
    // USER and PASS are PLAIN by other means.
    server.user = server.mechanisms.contains(Mechanism::Plain);
    server.plaintext_auth_without_tls = config.auth.plaintext_without_tls;
    server.decoy = users.decoy();
    Ok(server)
}

fn limits(asked: &LimitsConfig) -> ServerLimits {
    ServerLimits::default().with_errors(asked.errors).with_auth_failures(asked.auth_failures)
}

fn timeouts(asked: &TimeoutsConfig) -> ServerTimeouts {
    ServerTimeouts::default()
        .with_autologout(asked.autologout.0)
        .with_send(asked.write.0)
        .with_handshake(asked.handshake.0)
        .with_answer(asked.answer.0)
        .with_error_delay(asked.error_delay.0)
        .with_auth_failure_delay(asked.auth_failure_delay.0)
}

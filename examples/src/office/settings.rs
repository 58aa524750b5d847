//! What the configuration means for the protocol machine and for the driver.

use smtp_proto::server::{
    self, EarlyTalkers, NulPolicy, Protocol, ServerConfig, ServerLimits, ServerTimeouts,
};
use smtp_proto::types::{Domain, Limits};

use mail_wire::ReplyText;
use mail_wire::sasl::{Mechanism, MechanismSet};

use super::start_error::StartError;
use crate::config::{
    BareNewlines, ChallengeResponse, Config, LimitsConfig, LineEndings, Nul, Span, TimeoutsConfig,
};
use crate::driver::Settings;
use crate::service::Service;
use crate::tls::ServerTls;
use crate::users::Users;

/// Settings of the driver.
pub(super) fn driver(timeouts: &TimeoutsConfig, tls: Option<&ServerTls>) -> Settings {
    let mut settings = Settings::new();
    settings.tls = tls.cloned().map(Into::into);
    settings.handshake_timeout = timeouts.handshake.0;
    settings.write_timeout = timeouts.write.0;
    settings.close_timeout = timeouts.close.0;
    settings.linger = timeouts.linger.0;
    settings
}

/// Settings of the machine for a service.
pub(super) fn machine(
    config: &Config,
    service: Service,
    hostname: Domain,
    users: &Users,
    tls: Option<&ServerTls>,
) -> Result<ServerConfig, StartError> {
    if service.is_implicit_tls() && tls.is_none() {
        return Err(StartError::NeedsTls(service));
    }
    if service.is_submission() && tls.is_none() && !config.auth.submission_without_tls {
        return Err(StartError::NeedsTls(service));
    }
    let mut server = ServerConfig::new(hostname);
    server.limits = limits(&config.limits);
    server.timeouts = timeouts(&config.timeouts);
    server.implicit_tls = service.is_implicit_tls();
    server.extensions.starttls = tls.is_some() && !service.is_implicit_tls();
    // There is nobody here who could send reports.
    server.extensions.dsn = false;
    // Binary content does not survive a change of line endings.
    server.extensions.binary_mime = config.line_endings == LineEndings::Crlf;
    // For those peers that are trusted.
    server.extensions.xclient = !config.trusted.xclient.is_empty();
    if service == Service::Lmtp {
        server.protocol = Protocol::Lmtp;
        server.greeting = ReplyText::from_static("LMTP ready");
    } else {
        server.mechanisms = mechanisms(config, users, tls);
    }
    // RFC 9422 §4.2
    let recipients = u32::try_from(server.limits.recipients()).unwrap_or(u32::MAX);
    server.extensions.limits = Limits::NONE.with_rcpt_max(recipients);
    server.require_auth = service.is_submission();
    if server.require_auth && server.mechanisms.is_empty() {
        return Err(StartError::NoMechanism(service));
    }
    server.require_tls = service.is_submission() && !config.auth.submission_without_tls;
    server.plaintext_auth_without_tls = config.auth.plaintext_without_tls;
    server.bare_newlines = match config.smtp.bare_newlines {
        BareNewlines::Reject => server::BareNewlines::Reject,
        BareNewlines::Repair => server::BareNewlines::Repair,
        BareNewlines::Keep => server::BareNewlines::Keep,
    };
    server.nul = match config.smtp.nul {
        Nul::Reject => NulPolicy::Reject,
        Nul::Strip => NulPolicy::Strip,
        Nul::Keep => NulPolicy::Keep,
    };
    let wait = config.smtp.early_talker_wait.0;
    if !wait.is_zero() && service == Service::Smtp {
        server.early_talkers = EarlyTalkers::Refuse { wait };
    }
    server.refuse_improper_pipelining = config.smtp.refuse_improper_pipelining;
    server.decoy = users.decoy();
    Ok(server)
}

/// What users can log in by.
pub(super) fn mechanisms(config: &Config, users: &Users, tls: Option<&ServerTls>) -> MechanismSet {
    let mut mechanisms = users.mechanisms(config.auth.challenge_response);
    if tls.is_some_and(ServerTls::asks_clients) {
        mechanisms.insert(Mechanism::External);
    }
    mechanisms.intersection(config.auth.mechanisms.unwrap_or(MechanismSet::ALL))
}

/// Whether there is no TLS, and nothing that may be done without.
pub(super) fn nobody_can_log_in(config: &Config, users: &Users, tls: Option<&ServerTls>) -> bool {
    let is_forbidden = tls.is_none() && !config.auth.plaintext_without_tls;
    let left = mechanisms(config, users, tls).without_plaintext().without_channel_binding();
    is_forbidden && left.is_empty()
}

/// Writes to the log what is not offered for the sake of some users. Else the password of one would take away from all without
/// a word what they logged in by.
pub(super) fn tell_what_is_not_offered(config: &Config, users: &Users) {
    let mechanisms = kept_from_some(config, users);
    if let Some((user, kept_as)) = users.not_served(mechanisms) {
        tracing::info!(
            %user,
            kept_as = %kept_as.name(),
            %mechanisms,
            "mechanisms are not offered, nor APOP where CRAM-MD5 is one of them, as they do not serve this user, and maybe \
             others. They are offered once all passwords are {{PLAIN}}, or with auth.challenge_response = \"always\", and then \
             refused to such users; with \"never\" this is not told"
        );
    }
}

/// What would serve some users and is allowed, but not offered since it does not serve all.
fn kept_from_some(config: &Config, users: &Users) -> MechanismSet {
    if config.auth.challenge_response != ChallengeResponse::Auto {
        return MechanismSet::EMPTY;
    }
    let of_all = users.mechanisms(ChallengeResponse::Auto);
    let of_some = users.mechanisms(ChallengeResponse::Always).without_channel_binding();
    let allowed = config.auth.mechanisms.unwrap_or(MechanismSet::ALL);
    of_some.iter().filter(|&mechanism| allowed.contains(mechanism) && !of_all.contains(mechanism)).collect()
}

fn limits(asked: &LimitsConfig) -> ServerLimits {
    ServerLimits::default()
        .with_message_size(asked.message_size.0)
        .with_recipients(asked.recipients)
        .with_errors(asked.errors)
        .with_auth_failures(asked.auth_failures)
}

fn timeouts(asked: &TimeoutsConfig) -> ServerTimeouts {
    let mut timeouts = ServerTimeouts::default();
    timeouts.command = asked.command.0;
    timeouts.data_block = asked.data_block.0;
    timeouts.data_rate = u32::try_from(asked.data_rate.0).unwrap_or(u32::MAX);
    timeouts.rate_window = asked.data_rate_window.0;
    timeouts.send = asked.write.0;
    timeouts.answer = asked.answer.0;
    timeouts.error_delay = asked.error_delay.0;
    timeouts.auth_failure_delay = asked.auth_failure_delay.0;
    timeouts
}

/// The timeouts for which a machine takes another value than was asked for: name, asked, taken.
pub(super) fn raised_timeouts(asked: &TimeoutsConfig) -> Vec<(&'static str, Span, Span)> {
    let taken = pop3_proto::server::ServerTimeouts::default().with_autologout(asked.autologout.0);
    let autologout = ("autologout", asked.autologout, Span(taken.autologout()));
    [autologout].into_iter().filter(|(_, asked, taken)| asked != taken).collect()
}

/// The limits for which the machine takes another value than was asked for: name, asked, taken.
pub(super) fn raised(asked: &LimitsConfig) -> Vec<(&'static str, u64, u64)> {
    let taken = limits(asked);
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    [
        ("message_size", asked.message_size.0, taken.message_size()),
        ("recipients", count(asked.recipients), count(taken.recipients())),
        ("errors", asked.errors.into(), taken.errors().into()),
        ("auth_failures", asked.auth_failures.into(), taken.auth_failures().into()),
    ]
    .into_iter()
    .filter(|(_, asked, taken)| asked != taken)
    .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::ByteSize;
    use crate::users::{Scheme, StoredPassword};

    #[test]
    fn limits_below_the_least_are_told() {
        let mut asked = LimitsConfig::default();
        assert_eq!(raised(&asked), []);
        asked.message_size = ByteSize(1000);
        asked.recipients = 99;
        asked.errors = 1;
        assert_eq!(
            raised(&asked),
            [("message_size", 1000, 65_536), ("recipients", 99, 100), ("errors", 1, 3)]
        );
    }

    #[test]
    fn an_autologout_below_the_least_is_told() {
        let mut asked = TimeoutsConfig::default();
        assert_eq!(raised_timeouts(&asked), []);
        let minutes = |n: u64| Span(Duration::from_secs(n * 60));
        asked.autologout = minutes(1);
        assert_eq!(raised_timeouts(&asked), [("autologout", minutes(1), minutes(10))]);
    }

    #[test]
    fn that_nobody_can_log_in_is_found_out() {
        let users = |password: StoredPassword| {
            let mut users = Users::new(["localhost"], vec![0; 32]);
            users.add("alice", password).unwrap();
            users
        };
        let hash = Scheme::Sha512Crypt.hash(&"secret".into()).unwrap();
        let hashed = users(StoredPassword::parse(&hash).unwrap());
        let plain = users(StoredPassword::plain("secret"));
        let mut config = Config::default();
        assert!(nobody_can_log_in(&config, &hashed, None));
        assert!(!nobody_can_log_in(&config, &plain, None), "there are challenges");
        config.auth.mechanisms = Some([Mechanism::Plain].into_iter().collect());
        assert!(nobody_can_log_in(&config, &plain, None), "they are not allowed");
        config.auth.plaintext_without_tls = true;
        assert!(!nobody_can_log_in(&config, &hashed, None));
    }

    #[test]
    fn each_time_reaches_machine_or_driver() {
        let mut number = 0;
        let mut next = || {
            number += 1;
            Span(Duration::from_secs(number))
        };
        let mut asked = TimeoutsConfig::default();
        for time in [
            &mut asked.command,
            &mut asked.data_block,
            &mut asked.data_rate_window,
            &mut asked.answer,
            &mut asked.handshake,
            &mut asked.write,
            &mut asked.close,
            &mut asked.linger,
            &mut asked.error_delay,
            &mut asked.auth_failure_delay,
        ] {
            *time = next();
        }
        asked.data_rate = ByteSize(7);
        let (machine, driver) = (timeouts(&asked), driver(&asked, None));
        assert_eq!(machine.data_rate, 7);
        let times = [
            machine.command,
            machine.data_block,
            machine.rate_window,
            machine.answer,
            driver.handshake_timeout,
            driver.write_timeout,
            driver.close_timeout,
            driver.linger,
            machine.error_delay,
            machine.auth_failure_delay,
        ];
        assert_eq!(times.map(|time| time.as_secs()), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(machine.send, driver.write_timeout);
    }

    #[test]
    fn the_defaults_are_those_of_machine_and_driver() {
        let asked = TimeoutsConfig::default();
        let mut machine = ServerTimeouts::default();
        // The driver waits for the peer too, and less long.
        machine.send = asked.write.0;
        assert_eq!(timeouts(&asked), machine);
        let (found, expected) = (driver(&asked, None), Settings::new());
        assert_eq!(format!("{found:?}"), format!("{expected:?}"));
        assert_eq!(limits(&LimitsConfig::default()), ServerLimits::default());
    }
}

//! What the configuration means for the protocol machine.

use mail_wire::ReplyText;
use mail_wire::sasl::Mechanism;
use pop3_proto::server::{self, Language, ServerConfig, ServerLimits, ServerTimeouts};
use pop3_proto::types::{LanguageTag, LoginDelay};
use smtp_proto::types::Domain;

use super::Maildrops;
use crate::config::{Config, Expire, LimitsConfig, Pop3Config, TimeoutsConfig, Utf8};
use crate::office::settings::mechanisms;
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
    maildrops: &Maildrops,
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
    server.mechanisms = mechanisms(config, users, tls);
    // Mail readers that know the names but cannot bind choose them, fail, and some take the replies to what follows for each
    // other. Nobody is less safe: who wants them names them.
    if config.auth.mechanisms.is_none() {
        server.mechanisms = server.mechanisms.without_channel_binding();
    }
    // It asks the same of a password as CRAM-MD5, and is as weak.
    server.apop = server.mechanisms.contains(Mechanism::CramMd5);
    // USER and PASS are PLAIN by other means.
    server.user = server.mechanisms.contains(Mechanism::Plain);
    server.plaintext_auth_without_tls = config.auth.plaintext_without_tls;
    server.decoy = users.decoy();
    offers(&mut server, &config.pop3, maildrops.keeps());
    Ok(server)
}

fn offers(server: &mut ServerConfig, asked: &Pop3Config, keeps: bool) {
    let implementation =
        (!asked.implementation.is_empty()).then(|| ReplyText::sanitized(&asked.implementation));
    server.implementation = implementation;
    server.implementation_after_login = asked.implementation_after_login;
    let days = match asked.expire {
        Expire::Never => None,
        Expire::Days(days) => Some(days),
    };
    server.expire = keeps.then_some(pop3_proto::types::Expire { days, per_user: false });
    let delay = asked.login_delay.0;
    if !delay.is_zero() {
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        server.login_delay = Some(LoginDelay { seconds, per_user: false });
    }
    server.utf8 = match asked.utf8 {
        Utf8::Off => server::Utf8::Off,
        Utf8::On => server::Utf8::On,
        Utf8::Users => server::Utf8::WithUsers,
    };
    if asked.utf8 != Utf8::Off {
        let english = LanguageTag::new("en").expect("a language of two letters has the form of one");
        server.languages = vec![Language::new(english).with_description(ReplyText::from_static("English"))];
    }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Span;

    #[test]
    fn what_is_asked_for_is_offered_and_no_more() {
        let mut asked = Pop3Config::default();
        let mut server = ServerConfig::new("localhost");
        offers(&mut server, &asked, true);
        assert_eq!(server.expire.map(|expire| expire.to_string()), Some("NEVER".to_owned()));
        assert!(server.implementation.is_some() && server.login_delay.is_none());
        assert_eq!((server.utf8, server.languages.len()), (server::Utf8::WithUsers, 1));
        asked.expire = Expire::Days(30);
        asked.login_delay = Span(Duration::from_millis(1500));
        asked.utf8 = Utf8::Off;
        asked.implementation.clear();
        let mut server = ServerConfig::new("localhost");
        offers(&mut server, &asked, true);
        assert_eq!(server.expire.map(|expire| expire.to_string()), Some("30".to_owned()));
        assert_eq!(server.login_delay.map(|delay| delay.seconds), Some(2), "what is left of a second counts");
        assert!(server.implementation.is_none() && server.languages.is_empty());
        assert_eq!(server.utf8, server::Utf8::Off);
        let mut server = ServerConfig::new("localhost");
        offers(&mut server, &asked, false);
        assert_eq!(server.expire, None, "mail in memory is forgotten");
    }
}

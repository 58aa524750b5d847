//! [`Penalties`]: how long those wait for their logins who guess passwords.
//!
//! A connection answers each failed login later than the one before; but who guesses connects again. So failures are
//! remembered for the address that they came from, whatever the service, and a check of a password from there waits, twice as
//! long with each. A login that succeeds has them forgotten. Addresses that speak for many are never made to wait: loopback,
//! where webmail is, and those that are trusted to name their clients, who have addresses of their own.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::{Network, TrustedConfig};
use crate::limits::network;

/// After how long without another a failure is forgotten.
const REMEMBERED: Duration = Duration::from_secs(120);
/// Most failures that count.
const MOST: u32 = 4;
/// Addresses of which failures are known. When there are more, all are forgotten but the last.
const ADDRESSES: usize = 10_000;

/// The failures of late. Addresses of IPv6 count by their /64.
#[derive(Debug)]
pub(super) struct Penalties {
    /// Half of what the first failure costs.
    unit: Duration,
    longest: Duration,
    exempt: Vec<Network>,
    failed: Mutex<HashMap<IpAddr, Failed>>,
}

#[derive(Debug)]
struct Failed {
    times: u32,
    last: Instant,
}

impl Penalties {
    /// Has checks wait for two units after a failure, four after the next, up to sixteen, but never longer than that.
    pub(super) fn new(unit: Duration, longest: Duration, trusted: &TrustedConfig) -> Self {
        let exempt = trusted.xclient.iter().chain(&trusted.proxy_protocol).copied().collect();
        Self { unit, longest, exempt, failed: Mutex::default() }
    }

    /// How long a check for this client is to wait.
    pub(super) fn of(&self, client: IpAddr) -> Duration {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match failed.get(&network(client)) {
            Some(failed) if failed.last.elapsed() < REMEMBERED => {
                (self.unit * (1 << failed.times)).min(self.longest)
            }
            _ => Duration::ZERO,
        }
    }

    /// A login of this client failed for its credentials.
    pub(super) fn failed(&self, client: IpAddr) {
        let speaks_for_many = |exempt: &Network| exempt.contains(client);
        if client.to_canonical().is_loopback() || self.exempt.iter().any(speaks_for_many) {
            return;
        }
        let (client, now) = (network(client), Instant::now());
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= ADDRESSES && !failed.contains_key(&client) {
            failed.clear();
        }
        let known = failed.entry(client).or_insert(Failed { times: 0, last: now });
        let times = if known.last.elapsed() < REMEMBERED { known.times } else { 0 };
        *known = Failed { times: MOST.min(times + 1), last: now };
    }

    /// A login of this client succeeded.
    pub(super) fn succeeded(&self, client: IpAddr) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).remove(&network(client));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn penalties() -> Penalties {
        let network = |text: &str| vec![text.parse().unwrap()];
        let trusted =
            TrustedConfig { xclient: network("2001:db8:1::/48"), proxy_protocol: network("10.0.0.0/8") };
        Penalties::new(Duration::from_secs(1), Duration::from_secs(15), &trusted)
    }

    #[tokio::test(start_paused = true)]
    async fn each_failure_of_an_address_doubles_what_it_waits_until_it_is_forgotten() {
        let penalties = penalties();
        let (guesser, other) = (ip("192.0.2.7"), ip("192.0.2.8"));
        for seconds in [0, 2, 4, 8, 15, 15] {
            assert_eq!(penalties.of(guesser), Duration::from_secs(seconds));
            tokio::time::advance(REMEMBERED - Duration::from_secs(1)).await;
            penalties.failed(guesser);
        }
        assert_eq!(penalties.of(ip("::ffff:192.0.2.7")), Duration::from_secs(15));
        assert_eq!(penalties.of(other), Duration::ZERO);
        tokio::time::advance(REMEMBERED).await;
        assert_eq!(penalties.of(guesser), Duration::ZERO);
        penalties.failed(guesser);
        assert_eq!(penalties.of(guesser), Duration::from_secs(2));
        penalties.succeeded(guesser);
        assert_eq!(penalties.of(guesser), Duration::ZERO);
    }

    #[tokio::test]
    async fn who_speaks_for_many_does_not_wait_and_a_network_of_ipv6_does_as_one() {
        let penalties = penalties();
        for exempt in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3", "2001:db8:1::25"] {
            penalties.failed(ip(exempt));
            assert_eq!(penalties.of(ip(exempt)), Duration::ZERO, "{exempt}");
        }
        penalties.failed(ip("2001:db8:2::1"));
        assert_eq!(penalties.of(ip("2001:db8:2::2")), Duration::from_secs(2));
        assert_eq!(penalties.of(ip("2001:db8:2:1::2")), Duration::ZERO);
    }

    #[tokio::test]
    async fn not_more_addresses_are_known_than_there_is_room_for() {
        let penalties = penalties();
        for number in 0..=ADDRESSES as u32 {
            penalties.failed(IpAddr::from((0xC000_0200 + number).to_be_bytes()));
        }
        assert_eq!(penalties.failed.lock().unwrap().len(), 1);
        let last = IpAddr::from((0xC000_0200 + ADDRESSES as u32).to_be_bytes());
        assert_eq!(penalties.of(last), Duration::from_secs(2));
    }
}

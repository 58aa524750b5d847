//! [`ConnectionLimits`]: how many connections at a time, in all and from one address.
//!
//! A connection holds a [`ConnectionGuard`] while it lasts. Addresses of IPv6 count by their /64, which is what one
//! customer has.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections and says when there are too many.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    total: usize,
    per_address: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Which limit a connection is beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TooMany {
    /// There are too many connections in all.
    #[error("too many connections, try again later")]
    InAll,
    /// There are too many connections from that address.
    #[error("too many connections from your address, try again later")]
    FromAddress,
}

impl ConnectionLimits {
    /// Allows `total` connections at a time, and `per_address` from one address.
    pub fn new(total: usize, per_address: usize) -> Self {
        Self { shared: Arc::new(Shared { total, per_address, counts: Mutex::default() }) }
    }

    /// Counts a connection in, until the guard is dropped.
    ///
    /// # Errors
    ///
    /// [`TooMany`], if there is no room for it.
    pub fn admit(&self, address: IpAddr) -> Result<ConnectionGuard, TooMany> {
        let mut guard = self.admit_unknown()?;
        guard.belongs_to(address)?;
        Ok(guard)
    }

    /// Counts a connection in whose client is not known yet, since a proxy speaks for it: only in all.
    /// [`ConnectionGuard::belongs_to`] tells whose it is.
    ///
    /// # Errors
    ///
    /// [`TooMany::InAll`], if there is no room for it.
    pub fn admit_unknown(&self) -> Result<ConnectionGuard, TooMany> {
        let mut counts = self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.total >= self.shared.total {
            return Err(TooMany::InAll);
        }
        counts.total += 1;
        Ok(ConnectionGuard { shared: Arc::clone(&self.shared), address: None })
    }

    /// How many connections there are.
    pub fn in_use(&self) -> usize {
        self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

/// A connection that is counted. Dropping it counts the connection out.
#[derive(Debug)]
#[must_use = "the connection counts only while this lives"]
pub struct ConnectionGuard {
    shared: Arc<Shared>,
    /// Under which address it is counted, if under any.
    address: Option<IpAddr>,
}

impl ConnectionGuard {
    /// Counts the connection under this address, unless it is counted under one already.
    ///
    /// # Errors
    ///
    /// [`TooMany::FromAddress`], if there is no room for it.
    pub fn belongs_to(&mut self, address: IpAddr) -> Result<(), TooMany> {
        if self.address.is_some() {
            return Ok(());
        }
        let address = network(address);
        let mut counts = self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let here = counts.by_address.entry(address).or_default();
        if *here >= self.shared.per_address {
            if *here == 0 {
                counts.by_address.remove(&address);
            }
            return Err(TooMany::FromAddress);
        }
        *here += 1;
        self.address = Some(address);
        Ok(())
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let mut counts = self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total -= 1;
        let Some(address) = self.address else { return };
        if let Some(here) = counts.by_address.get_mut(&address) {
            *here -= 1;
            if *here == 0 {
                counts.by_address.remove(&address);
            }
        }
    }
}

/// What addresses count as.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_limit_holds_until_a_connection_ends() {
        let limits = ConnectionLimits::new(3, 2);
        let first = limits.admit(ip("10.0.0.1")).unwrap();
        let _second = limits.admit(ip("10.0.0.1")).unwrap();
        assert_eq!(limits.admit(ip("10.0.0.1")).unwrap_err(), TooMany::FromAddress);
        let _third = limits.admit(ip("10.0.0.2")).unwrap();
        assert_eq!(limits.admit(ip("10.0.0.3")).unwrap_err(), TooMany::InAll);
        drop(first);
        assert_eq!(limits.in_use(), 2);
        let _again = limits.admit(ip("10.0.0.1")).unwrap();
    }

    #[test]
    fn addresses_count_as_what_one_customer_has() {
        let limits = ConnectionLimits::new(10, 1);
        let _v4 = limits.admit(ip("10.0.0.1")).unwrap();
        assert!(limits.admit(ip("::ffff:10.0.0.1")).is_err(), "the same IPv4 address, mapped");
        let _v6 = limits.admit(ip("2001:db8:0:1::1")).unwrap();
        assert!(limits.admit(ip("2001:db8:0:1:ffff::2")).is_err(), "the same /64");
        let _other = limits.admit(ip("2001:db8:0:2::1")).unwrap();
    }

    #[test]
    fn a_connection_through_a_proxy_counts_once_its_client_is_known() {
        let limits = ConnectionLimits::new(3, 1);
        let mut one = limits.admit_unknown().unwrap();
        let mut two = limits.admit_unknown().unwrap();
        one.belongs_to(ip("10.0.0.1")).unwrap();
        one.belongs_to(ip("10.0.0.2")).unwrap();
        assert_eq!(two.belongs_to(ip("10.0.0.1")).unwrap_err(), TooMany::FromAddress);
        two.belongs_to(ip("10.0.0.2")).unwrap();
        let _three = limits.admit_unknown().unwrap();
        assert_eq!(limits.admit_unknown().unwrap_err(), TooMany::InAll);
        drop(one);
        assert_eq!(limits.in_use(), 2);
        let _again = limits.admit(ip("10.0.0.1")).unwrap();
    }

    #[test]
    fn nothing_is_kept_of_connections_that_ended() {
        let limits = ConnectionLimits::new(10, 0);
        assert!(limits.admit(ip("10.0.0.1")).is_err());
        let limits = ConnectionLimits::new(10, 5);
        drop(limits.admit(ip("10.0.0.1")).unwrap());
        assert!(limits.shared.counts.lock().unwrap().by_address.is_empty());
    }
}

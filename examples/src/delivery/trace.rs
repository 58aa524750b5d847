//! The fields that stand before a delivered message: Return-Path, Delivered-To, Received, in that order (RFC 5321 §4.4).

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use mail_wire::TlsInfo;
use smtp_proto::server::Server;
use smtp_proto::types::{DateTime, Domain, ForwardPath, Received, ReversePath};

/// Room for the fields behind the first, as long as they usually are, in bytes.
const USUAL: usize = 512;

/// How a message came, as far as its trace fields tell.
#[derive(Debug)]
pub(crate) struct Origin<'a> {
    /// Who took it.
    pub(crate) by: &'a Domain,
    /// The connection it came by.
    pub(crate) server: &'a Server,
    /// Our identifier of it.
    pub(crate) id: &'a str,
    /// Where it comes from.
    pub(crate) from: &'a ReversePath,
    /// When, in seconds since 1970.
    pub(crate) unix: u64,
}

/// The fields for the copy that goes to `to`, whose mailbox is `mailbox`. `only` says that nobody else gets one, so that
/// the recipient may be named in `Received`.
pub(crate) fn prefix(origin: &Origin<'_>, to: &ForwardPath, mailbox: &str, only: bool) -> Vec<u8> {
    let server = origin.server;
    let tls = server.tls().and_then(describe);
    let date = DateTime::from_unix(i64::try_from(origin.unix).unwrap_or(0));
    let mut received = Received::new(origin.by, date).with(server.with_protocol()).id(origin.id);
    if let Some(hello) = server.hello() {
        received = received.from(hello.clone(), server.peer().address.ip());
    }
    if let Some(name) = &server.peer().name {
        received = received.client_name(name.clone());
    }
    if let Some(tls) = &tls {
        received = received.tls(tls);
    }
    if only {
        received = received.recipient(to);
    }
    let mut text = smtp_proto::types::return_path(origin.from);
    text.reserve(USUAL);
    // Writing to a String cannot fail.
    let _ = write!(text, "Delivered-To: {mailbox}\r\n{received}");
    text.into_bytes()
}

fn describe(tls: &TlsInfo) -> Option<String> {
    let version = tls.version.as_deref()?;
    Some(match tls.cipher.as_deref() {
        Some(cipher) => format!("{version} with cipher {cipher}"),
        None => version.to_owned(),
    })
}

/// An identifier for a message: letters and digits, different from all others of this process, and rising.
pub(crate) fn message_id() -> (String, u64) {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
    let step = |last: u64| Some(last.saturating_add(1).max(micros));
    // The closure always has a next value, so both arms hold the last one.
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or_else(|last| last);
    let number = last.saturating_add(1).max(micros);
    (base32(number), since.as_secs())
}

fn base32(mut number: u64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKLMNPQRSTUVWX";
    let mut text = [b'0'; 13];
    for place in text.iter_mut().rev() {
        *place = DIGITS[(number % 32) as usize];
        number /= 32;
    }
    let text = text.map(char::from);
    text.iter().skip_while(|digit| **digit == '0').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_differ_and_rise() {
        let ids: Vec<String> = (0..1000).map(|_| message_id().0).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
        assert!(ids.iter().all(|id| id.bytes().all(|b| b.is_ascii_alphanumeric())));
    }
}

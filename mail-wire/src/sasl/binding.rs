//! [`ChannelBinding`] and [`Nonce`]: what the driver hands in from the TLS session and the random source.

use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Secret;

/// Which value of the TLS session binds the exchange to it (RFC 5929, RFC 9266).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelBindingKind {
    /// `tls-exporter` (RFC 9266): 32 bytes exported under the label `EXPORTER-Channel-Binding` with an empty
    /// context; the kind for TLS 1.3.
    TlsExporter,
    /// `tls-server-end-point` (RFC 5929 §4): the hash of the server's certificate.
    TlsServerEndPoint,
    /// `tls-unique` (RFC 5929 §3): the first Finished message; TLS 1.2 and earlier only.
    TlsUnique,
}

impl ChannelBindingKind {
    /// The registered name, which is case-sensitive.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TlsExporter => "tls-exporter",
            Self::TlsServerEndPoint => "tls-server-end-point",
            Self::TlsUnique => "tls-unique",
        }
    }

    /// Finds the kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::TlsExporter, Self::TlsServerEndPoint, Self::TlsUnique]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

impl fmt::Display for ChannelBindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A value of the TLS session that both its ends know and nobody in the middle can have.
///
/// `Debug` shows the kind only.
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelBinding {
    kind: ChannelBindingKind,
    data: Box<[u8]>,
}

impl ChannelBinding {
    /// Takes the binding data as the TLS library gives it.
    pub fn new(kind: ChannelBindingKind, data: impl Into<Box<[u8]>>) -> Self {
        Self { kind, data: data.into() }
    }

    /// Which kind of value it is.
    pub const fn kind(&self) -> ChannelBindingKind {
        self.kind
    }

    /// The value.
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

impl fmt::Debug for ChannelBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelBinding").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A value used once: printable ASCII without a comma (RFC 5802 §5.1, attribute `r`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// Makes a nonce of 144 random bits; they must come from a cryptographic random source.
    pub fn from_random(bytes: [u8; 18]) -> Self {
        Self(STANDARD.encode(bytes))
    }

    /// Derives the nonce number `counter` from a seed of at least 32 random bytes, by HMAC-SHA-256: for a connection
    /// that is handed its random bytes once and may see several exchanges.
    pub fn derive(seed: &Secret, counter: u64) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(seed.expose()).expect("HMAC takes keys of any length");
        mac.update(b"mailwright nonce");
        mac.update(&counter.to_be_bytes());
        let code = mac.finalize().into_bytes();
        let mut bytes = [0; 18];
        bytes.copy_from_slice(&code[..18]);
        Self::from_random(bytes)
    }

    /// Takes a text as it is, `None` where it is empty or has a byte outside `!`…`~` or a comma.
    ///
    /// For test vectors and replays; [`from_random`](Self::from_random) is for everything else.
    pub fn from_printable(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        is_printable(&text).then_some(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `text` matches `1*printable` (RFC 5802 §7).
pub(super) fn is_printable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_printable_without_a_comma() {
        assert!(is_printable(Nonce::from_random([0xff; 18]).as_str()));
        for bad in ["", "a,b", "a b", "a\0", "ü", "\u{7f}"] {
            assert_eq!(Nonce::from_printable(bad), None, "{bad:?}");
        }
        assert_eq!(Nonce::from_printable("%hvY)$k0=").unwrap().as_str(), "%hvY)$k0=");
    }

    #[test]
    fn a_binding_kind_is_found_by_its_exact_name() {
        for kind in [
            ChannelBindingKind::TlsExporter,
            ChannelBindingKind::TlsServerEndPoint,
            ChannelBindingKind::TlsUnique,
        ] {
            assert_eq!(ChannelBindingKind::parse(kind.name()), Some(kind));
        }
        assert_eq!(ChannelBindingKind::parse("TLS-UNIQUE"), None);
        assert_eq!(ChannelBindingKind::parse(""), None);
    }

    #[test]
    fn debug_of_a_binding_shows_no_data() {
        let binding = ChannelBinding::new(ChannelBindingKind::TlsExporter, *b"XYZZY");
        assert_eq!(format!("{binding:?}"), "ChannelBinding { kind: TlsExporter, .. }");
    }
}

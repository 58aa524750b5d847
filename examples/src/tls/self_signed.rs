//! [`SelfSigned`]: a certificate made on the spot, without OpenSSL.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A self-signed certificate and its private key.
///
/// Good for demos, tests and peers that encrypt without verifying; not for clients that check names against the
/// system's certificate authorities.
///
/// It is valid from a day before it was made, since clocks differ.
pub struct SelfSigned {
    certificate: String,
    key: String,
}

impl SelfSigned {
    /// How long a certificate is valid from when it is made, unless told otherwise: 730 days. Some clients take none that
    /// is valid for more than 825.
    pub const LIFETIME: Duration = Duration::from_secs(730 * 24 * 60 * 60);
    /// The longest that one can be valid: 36,500 days.
    pub const LONGEST_LIFETIME: Duration = Duration::from_secs(36_500 * 24 * 60 * 60);

    /// Makes a key (ECDSA P-256) and a certificate for these names: host names and IP addresses. With `localhost`
    /// among them, `127.0.0.1` and `::1` are added. It is valid for [`LIFETIME`](Self::LIFETIME).
    ///
    /// # Errors
    ///
    /// [`SelfSignedError::Name`] or [`SelfSignedError::Generate`].
    pub fn generate<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Result<Self, SelfSignedError> {
        Self::generate_for(names, Self::LIFETIME)
    }

    /// Like [`generate`](Self::generate), valid for so long; at the most for
    /// [`LONGEST_LIFETIME`](Self::LONGEST_LIFETIME).
    ///
    /// # Errors
    ///
    /// [`SelfSignedError::Name`] or [`SelfSignedError::Generate`].
    pub fn generate_for<N: Into<String>>(
        names: impl IntoIterator<Item = N>,
        lifetime: Duration,
    ) -> Result<Self, SelfSignedError> {
        Self::make(names, lifetime, KeyPair::generate().map_err(SelfSignedError::Generate)?)
    }

    /// Makes a certificate for a key that there is.
    pub(super) fn for_key<N: Into<String>>(
        names: impl IntoIterator<Item = N>,
        lifetime: Duration,
        key: &str,
    ) -> Result<Self, SelfSignedError> {
        Self::make(names, lifetime, KeyPair::from_pem(key).map_err(SelfSignedError::Generate)?)
    }

    fn make<N: Into<String>>(
        names: impl IntoIterator<Item = N>,
        lifetime: Duration,
        key: KeyPair,
    ) -> Result<Self, SelfSignedError> {
        let names = with_addresses_of_localhost(names.into_iter().map(Into::into).collect());
        let Some(first) = names.first().cloned() else {
            return Err(SelfSignedError::Name { found: String::new() });
        };
        for name in &names {
            let ascii =
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:*".contains(&b));
            if !ascii {
                return Err(SelfSignedError::Name { found: name.clone() });
            }
        }
        let mut params = CertificateParams::new(names).map_err(SelfSignedError::Generate)?;
        params.distinguished_name.push(DnType::CommonName, first);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let epoch = date_time_ymd(1970, 1, 1);
        params.not_before = epoch + now.saturating_sub(DAY);
        params.not_after = epoch + now + lifetime.min(Self::LONGEST_LIFETIME);
        let certificate = params.self_signed(&key).map_err(SelfSignedError::Generate)?;
        Ok(Self { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// The certificate as PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    /// The private key as PEM.
    pub fn key_pem(&self) -> &str {
        &self.key
    }

    /// Writes both files, the key readable by its owner only (mode 0600). Never overwrites: where either file is
    /// there already, neither is touched.
    ///
    /// # Errors
    ///
    /// [`SelfSignedError::Exists`] or [`SelfSignedError::Write`].
    pub fn write(&self, certificate: &Path, key: &Path) -> Result<(), SelfSignedError> {
        for path in [certificate, key] {
            if path.symlink_metadata().is_ok() {
                return Err(SelfSignedError::Exists { path: path.into() });
            }
        }
        create(key, 0o600, &self.key)?;
        create(certificate, 0o644, &self.certificate).inspect_err(|_| {
            // A key without its certificate would stand in the way of the next try. It is ours: just created.
            let _ = std::fs::remove_file(key);
        })
    }

    /// Writes the certificate alone, where there is no file yet.
    pub(super) fn write_certificate(&self, path: &Path) -> Result<(), SelfSignedError> {
        create(path, 0o644, &self.certificate)
    }
}

/// `localhost` brings its addresses along.
pub(super) fn with_addresses_of_localhost(mut names: Vec<String>) -> Vec<String> {
    if names.iter().any(|name| name.eq_ignore_ascii_case("localhost")) {
        for address in ["127.0.0.1", "::1"] {
            if !names.iter().any(|name| name == address) {
                names.push(address.to_owned());
            }
        }
    }
    names
}

impl core::fmt::Debug for SelfSigned {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SelfSigned").finish_non_exhaustive()
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelfSignedError {
    /// The name cannot stand in a certificate.
    #[error("expected a host name (in its ASCII form) or an IP address for the certificate, found {found:?}")]
    Name {
        /// The name.
        found: String,
    },
    /// Generating failed.
    #[error("expected to generate a certificate, found: {0}")]
    Generate(#[source] rcgen::Error),
    /// The file is there already.
    #[error("{path} is there already and is not overwritten: move it away or choose another name")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be read.
    #[error("expected to read {path}, found: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// The file could not be written.
    #[error("expected to write {path}, found: {error}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
}

fn create(path: &Path, mode: u32, text: &str) -> Result<(), SelfSignedError> {
    let outcome =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
    outcome.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => SelfSignedError::Exists { path: path.into() },
        _ => SelfSignedError::Write { path: path.into(), error },
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_private_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let made = SelfSigned::generate(["example.test"]).unwrap();
        made.write(&cert, &key).unwrap();
        assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);

        let before = std::fs::read(&key).unwrap();
        let again = SelfSigned::generate(["example.test"]).unwrap();
        assert!(matches!(again.write(&cert, &key), Err(SelfSignedError::Exists { .. })));
        std::fs::remove_file(&cert).unwrap();
        assert!(matches!(again.write(&cert, &key), Err(SelfSignedError::Exists { path }) if path == key));
        assert_eq!(std::fs::read(&key).unwrap(), before);
        assert!(!cert.exists(), "neither file is written");
    }

    #[test]
    fn a_certificate_is_valid_from_yesterday_to_its_end() {
        use tokio_rustls::rustls::pki_types::CertificateDer;
        use tokio_rustls::rustls::pki_types::pem::PemObject;
        use x509_cert::der::Decode;

        let validity = |made: &SelfSigned| {
            let der = CertificateDer::from_pem_slice(made.certificate_pem().as_bytes()).unwrap();
            let certificate = x509_cert::Certificate::from_der(&der).unwrap();
            let validity = certificate.tbs_certificate().validity();
            (validity.not_before.to_system_time(), validity.not_after.to_system_time())
        };
        let (second, start) = (Duration::from_secs(1), SystemTime::now());
        let asked = [
            (SelfSigned::generate(["a.test"]), 730),
            (SelfSigned::generate_for(["a.test"], DAY), 1),
            (SelfSigned::generate_for(["a.test"], Duration::MAX), 36_500),
        ];
        let made = SystemTime::now();
        for (certificate, days) in asked {
            let (from, to) = validity(&certificate.unwrap());
            assert!(from + DAY >= start - second && from + DAY <= made, "{days}: {from:?}");
            assert!(to >= start - second + days * DAY && to <= made + days * DAY, "{days}: {to:?}");
        }
    }

    #[test]
    fn names_that_are_none_are_refused() {
        for bad in ["", "a b", "ex\u{e4}mple.test", "a/b", "a\nb"] {
            assert!(matches!(SelfSigned::generate([bad]), Err(SelfSignedError::Name { .. })), "{bad:?}");
        }
    }
}

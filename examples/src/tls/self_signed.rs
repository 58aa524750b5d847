//! [`SelfSigned`]: a certificate made on the spot, without OpenSSL.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DnType, KeyPair};

/// A self-signed certificate and its private key.
///
/// Good for demos, tests and peers that encrypt without verifying; not for clients that check names against the
/// system's certificate authorities.
pub struct SelfSigned {
    certificate: String,
    key: String,
}

impl SelfSigned {
    /// Makes a key (ECDSA P-256) and a certificate for these names: host names and IP addresses. With `localhost`
    /// among them, `127.0.0.1` and `::1` are added.
    ///
    /// # Errors
    ///
    /// [`SelfSignedError::Name`] or [`SelfSignedError::Generate`].
    pub fn generate<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Result<Self, SelfSignedError> {
        let mut names: Vec<String> = names.into_iter().map(Into::into).collect();
        if names.iter().any(|name| name.eq_ignore_ascii_case("localhost")) {
            for address in ["127.0.0.1", "::1"] {
                if !names.iter().any(|name| name == address) {
                    names.push(address.to_owned());
                }
            }
        }
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
        let key = KeyPair::generate().map_err(SelfSignedError::Generate)?;
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
    fn names_that_are_none_are_refused() {
        for bad in ["", "a b", "ex\u{e4}mple.test", "a/b", "a\nb"] {
            assert!(matches!(SelfSigned::generate([bad]), Err(SelfSignedError::Name { .. })), "{bad:?}");
        }
    }
}

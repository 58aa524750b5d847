//! [`kept`]: the self-signed certificate of a folder, made where there is none and renewed in time.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tracing::{info, warn};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::self_signed::{SelfSigned, SelfSignedError, with_addresses_of_localhost};

/// A certificate that ends within this time is renewed.
const IN_TIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Certificate and key of a folder.
#[derive(Debug)]
pub(crate) struct KeptCertificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// The certificate, as PEM.
    pub(crate) pem: String,
}

/// Gives the certificate of the folder for these names, `cert.pem` with `key.pem`. Makes both where there are none. Where
/// the certificate is self-signed and comes to its end, or lacks one of the names, makes another for the same key: clients
/// that know the server by its key still do.
///
/// # Errors
///
/// [`SelfSignedError`]. Where only the renewal fails, there is a warning instead.
pub(crate) fn kept(
    folder: &Path,
    names: &[String],
    now: SystemTime,
) -> Result<KeptCertificate, SelfSignedError> {
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let read = |path: &Path| std::fs::read_to_string(path);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| SelfSignedError::Read { path, error }
    };
    let pem = match read(&certificate) {
        Ok(pem) => match reason_to_renew(&pem, names, now) {
            None => pem,
            Some(reason) => match renew(&certificate, &key, names) {
                Ok(renewed) => {
                    info!(certificate = %certificate.display(), %reason, "certificate renewed");
                    renewed
                }
                Err(error) => {
                    warn!(certificate = %certificate.display(), %reason, %error, "certificate not renewed");
                    pem
                }
            },
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound && key.exists() => {
            let made = renew(&certificate, &key, names)?;
            info!(certificate = %certificate.display(), "made a certificate for the key that is there");
            made
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let write = |error| SelfSignedError::Write { path: folder.to_owned(), error };
            std::fs::create_dir_all(folder).map_err(write)?;
            let made = SelfSigned::generate(names.iter().cloned())?;
            made.write(&certificate, &key)?;
            made.certificate_pem().to_owned()
        }
        Err(error) => return Err(failed(&certificate)(error)),
    };
    Ok(KeptCertificate { certificate, key, pem })
}

/// Replaces the certificate, whole or not at all.
fn renew(certificate: &Path, key: &Path, names: &[String]) -> Result<String, SelfSignedError> {
    let pem = std::fs::read_to_string(key)
        .map_err(|error| SelfSignedError::Read { path: key.to_owned(), error })?;
    let made = SelfSigned::for_key(names.iter().cloned(), SelfSigned::LIFETIME, &pem)?;
    let draft = certificate.with_extension("pem.draft");
    let failed = |error| SelfSignedError::Write { path: draft.clone(), error };
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    made.write_certificate(&draft)?;
    std::fs::rename(&draft, certificate)
        .map_err(|error| SelfSignedError::Write { path: certificate.to_owned(), error })?;
    Ok(made.certificate_pem().to_owned())
}

/// Why a certificate does not do. `None` too where it is none of ours, or cannot be read: TLS will say what is wrong.
fn reason_to_renew(pem: &str, names: &[String], now: SystemTime) -> Option<String> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let certificate = Certificate::from_der(&der).ok()?;
    let facts = certificate.tbs_certificate();
    if facts.issuer() != facts.subject() {
        return None;
    }
    let end = facts.validity().not_after.to_system_time();
    match end.duration_since(now) {
        Err(_) => return Some("it has ended".to_owned()),
        Ok(left) if left < IN_TIME => return Some(format!("it ends in {} days", left.as_secs() / 86_400)),
        Ok(_) => {}
    }
    let listed = facts.get_extension::<SubjectAltName>().ok().flatten();
    let listed = listed.map_or_else(Vec::new, |(_, names)| names.0);
    let wanted = with_addresses_of_localhost(names.to_vec());
    let missing = wanted.iter().find(|name| !listed.iter().any(|listed| is_same_name(listed, name)))?;
    Some(format!("it is not for {missing}"))
}

fn is_same_name(listed: &GeneralName, name: &str) -> bool {
    match listed {
        GeneralName::DnsName(listed) => listed.as_str().eq_ignore_ascii_case(name),
        GeneralName::IpAddress(bytes) => match name.parse() {
            Ok(std::net::IpAddr::V4(v4)) => bytes.as_bytes() == v4.octets(),
            Ok(std::net::IpAddr::V6(v6)) => bytes.as_bytes() == v6.octets(),
            Err(_) => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_certificate_is_kept_until_it_nears_its_end_and_then_made_anew_for_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("tls");
        let names = names(&["mail.example.test", "localhost"]);
        let now = SystemTime::now();
        let made = kept(&folder, &names, now).unwrap();
        let key = std::fs::read(&made.key).unwrap();
        for later in [Duration::ZERO, SelfSigned::LIFETIME - IN_TIME - DAY] {
            assert_eq!(kept(&folder, &names, now + later).unwrap().pem, made.pem, "{later:?}");
        }
        for later in [SelfSigned::LIFETIME - IN_TIME + DAY, SelfSigned::LIFETIME + DAY] {
            let renewed = kept(&folder, &names, now + later).unwrap();
            assert_ne!(renewed.pem, made.pem, "{later:?}");
            assert_eq!(std::fs::read_to_string(&renewed.certificate).unwrap(), renewed.pem);
            assert_eq!(std::fs::read(&renewed.key).unwrap(), key);
            crate::tls::ServerTls::from_pem_files(&renewed.certificate, &renewed.key).unwrap();
        }
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "no drafts are left");
    }

    #[test]
    fn a_certificate_that_lacks_a_name_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let one = kept(folder.path(), &names(&["one.test", "192.0.2.1"]), now).unwrap();
        assert_eq!(kept(folder.path(), &names(&["ONE.test"]), now).unwrap().pem, one.pem);
        let two = kept(folder.path(), &names(&["one.test", "two.test"]), now).unwrap();
        assert_ne!(two.pem, one.pem);
        assert_eq!(kept(folder.path(), &names(&["two.test"]), now).unwrap().pem, two.pem);
        let reason = |names: &[&str]| reason_to_renew(&two.pem, &self::names(names), now);
        assert_eq!(reason(&["192.0.2.1"]).as_deref(), Some("it is not for 192.0.2.1"));
        assert_eq!(reason(&["three.test"]).as_deref(), Some("it is not for three.test"));
        assert_eq!(reason(&["one.test"]), None);
    }

    #[test]
    fn a_key_that_is_left_alone_gets_its_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let names = names(&["localhost"]);
        let made = kept(folder.path(), &names, SystemTime::now()).unwrap();
        std::fs::remove_file(&made.certificate).unwrap();
        let again = kept(folder.path(), &names, SystemTime::now()).unwrap();
        crate::tls::ServerTls::from_pem_files(&again.certificate, &again.key).unwrap();
    }

    #[test]
    fn what_is_made_is_told_once_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let names = names(&["localhost"]);
        std::fs::write(folder.path().join("key.pem"), "no key\n").unwrap();
        // For all tests of this process: interest in events is kept for all threads, so one for this thread may miss some.
        let log = tempfile::NamedTempFile::new().unwrap();
        let writer = std::sync::Mutex::new(log.reopen().unwrap());
        tracing_subscriber::fmt().with_ansi(false).with_writer(writer).init();
        let logged = |expected: bool| {
            let made = kept(folder.path(), &names, SystemTime::now());
            assert_eq!(made.is_ok(), expected);
            let text = std::fs::read_to_string(log.path()).unwrap();
            let certificate = folder.path().join("cert.pem").display().to_string();
            text.lines().filter(|line| line.contains(&certificate)).map(str::to_owned).collect::<String>()
        };
        assert_eq!(logged(false), "");
        let key = SelfSigned::generate(["localhost"]).unwrap();
        key.write(&folder.path().join("other.pem"), &folder.path().join("other.key")).unwrap();
        std::fs::rename(folder.path().join("other.key"), folder.path().join("key.pem")).unwrap();
        assert!(logged(true).contains("made a certificate for the key"));
    }

    #[test]
    fn what_others_issued_is_left_alone_and_what_cannot_be_renewed_is_served_on() {
        let folder = tempfile::tempdir().unwrap();
        let issuer = rcgen::CertifiedIssuer::self_signed(
            rcgen::CertificateParams::default(),
            rcgen::KeyPair::generate().unwrap(),
        );
        let mut params = rcgen::CertificateParams::new(["one.test".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "one.test");
        let key = rcgen::KeyPair::generate().unwrap();
        let issued = params.signed_by(&key, &issuer.unwrap()).unwrap().pem();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("cert.pem"), &issued).unwrap();
        std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();
        assert_eq!(kept(folder.path(), &names(&["two.test"]), SystemTime::now()).unwrap().pem, issued);

        let own = SelfSigned::generate(["one.test"]).unwrap();
        std::fs::write(path("cert.pem"), own.certificate_pem()).unwrap();
        std::fs::write(path("key.pem"), "no key\n").unwrap();
        let found = kept(folder.path(), &names(&["two.test"]), SystemTime::now()).unwrap();
        assert_eq!(found.pem, own.certificate_pem());
    }
}

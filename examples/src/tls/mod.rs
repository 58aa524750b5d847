//! TLS for both sides: rustls with the ring provider, TLS 1.2 and 1.3.
//!
//! [`ServerTls`] is made from PEM files or from a [`SelfSigned`] certificate, [`ClientTls`] from a name to expect and
//! whom to [trust](Trust). Either becomes the [`Tls`] of the driver's settings.
//!
//! A client trusts by default what its system trusts (the CA files that OpenSSL would use, `SSL_CERT_FILE` included)
//! rather than a list built into the program: a certificate authority that the administrator adds or takes away is
//! added or taken away here too, and a binary does not grow stale.
//!
//! A server takes a new connection's certificate from the file read at start. A self-signed certificate that is kept on
//! disk is looked at then, and renewed where it needs to be.

mod facts;
mod kept;
mod self_signed;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mail_wire::TlsInfo;
use mail_wire::sasl::ChannelBinding;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

pub(crate) use kept::{KeptCertificate, kept};
pub use self_signed::{SelfSigned, SelfSignedError};

/// One side's TLS.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Tls {
    /// For connections that came to us.
    Server(ServerTls),
    /// For connections that we made.
    Client(ClientTls),
}

impl From<ServerTls> for Tls {
    fn from(server: ServerTls) -> Self {
        Self::Server(server)
    }
}

impl From<ClientTls> for Tls {
    fn from(client: ClientTls) -> Self {
        Self::Client(client)
    }
}

impl Tls {
    /// What a finished session can tell to a protocol machine.
    pub(crate) fn describe<T>(&self, stream: &TlsStream<T>) -> TlsInfo {
        match (self, stream) {
            (Self::Server(server), TlsStream::Server(stream)) => {
                facts::of_server(stream.get_ref().1, server.end_point.as_ref())
            }
            (_, TlsStream::Client(stream)) => facts::of_client(stream.get_ref().1),
            _ => TlsInfo::new(),
        }
    }
}

/// A server's certificate and key, ready for handshakes. Cheap to clone.
#[derive(Clone)]
pub struct ServerTls {
    acceptor: TlsAcceptor,
    /// The binding of a session to the certificate, for SASL.
    end_point: Option<ChannelBinding>,
    /// Whether clients are asked for a certificate.
    asks_clients: bool,
}

impl ServerTls {
    /// Reads certificate chain and private key from PEM files.
    ///
    /// # Errors
    ///
    /// [`TlsError`], which names the file.
    pub fn from_pem_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        Self::build(read_chain(certificate)?, read_key(key)?, None, certificate, key)
    }

    /// Like [`from_pem_files`](Self::from_pem_files); clients may also show a certificate issued by a CA of that PEM
    /// file, which SASL EXTERNAL then goes by.
    ///
    /// # Errors
    ///
    /// [`TlsError`], which names the file.
    pub fn from_pem_files_with_client_ca(
        certificate: &Path,
        key: &Path,
        ca: &Path,
    ) -> Result<Self, TlsError> {
        Self::build(read_chain(certificate)?, read_key(key)?, Some(ca), certificate, key)
    }

    /// Takes a certificate that was made here.
    ///
    /// # Errors
    ///
    /// [`TlsError`], if rustls does not take it.
    pub fn from_self_signed(made: &SelfSigned) -> Result<Self, TlsError> {
        Self::self_signed(made, None)
    }

    pub(crate) fn self_signed(made: &SelfSigned, client_ca: Option<&Path>) -> Result<Self, TlsError> {
        let here = Path::new("(self-signed)");
        let chain = parse_chain(made.certificate_pem().as_bytes(), here)?;
        let key = PrivateKeyDer::from_pem_slice(made.key_pem().as_bytes())
            .map_err(|error| TlsError::pem(here, error))?;
        Self::build(chain, key, client_ca, here, here)
    }

    fn build(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        client_ca: Option<&Path>,
        certificate_path: &Path,
        key_path: &Path,
    ) -> Result<Self, TlsError> {
        let end_point = chain.first().and_then(|certificate| facts::end_point(certificate));
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Rustls {
            certificate: certificate_path.into(),
            key: key_path.into(),
            error,
        })?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(read_roots(ca)?), provider())
                        .allow_unauthenticated()
                        .build()
                        .map_err(|error| TlsError::ClientCa { path: ca.into(), why: error.to_string() })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let config = builder.with_single_cert(chain, key).map_err(|error| TlsError::Rustls {
            certificate: certificate_path.into(),
            key: key_path.into(),
            error,
        })?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { acceptor, end_point, asks_clients: client_ca.is_some() })
    }

    /// Whether clients are asked for a certificate.
    pub(crate) fn asks_clients(&self) -> bool {
        self.asks_clients
    }

    pub(crate) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }
}

impl core::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

/// Whose certificates a client takes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// Those of the system's certificate authorities, for the name expected.
    System,
    /// Those of the certificate authorities in this PEM file, for the name expected. A self-signed certificate can
    /// stand in it too.
    CaFile(PathBuf),
    /// Any at all: encryption without knowing to whom. For opportunistic TLS, where the alternative is no TLS
    /// (RFC 7435).
    AnyCertificate,
}

/// A client's TLS: whom it trusts and which name it expects. Cheap to clone.
#[derive(Clone)]
pub struct ClientTls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl ClientTls {
    /// Expects the server to be `name`, a host name or an IP address.
    ///
    /// # Errors
    ///
    /// [`TlsError`], if the CA file cannot be read, the system has no certificate authorities, or the name is none.
    pub fn new(trust: &Trust, name: &str) -> Result<Self, TlsError> {
        Self::build(trust, name, None)
    }

    /// Like [`new`](Self::new), with a certificate to show to a server that asks for one, from two PEM files.
    ///
    /// # Errors
    ///
    /// [`TlsError`], also if certificate or key cannot be read, or do not belong together.
    pub fn with_certificate(
        trust: &Trust,
        name: &str,
        certificate: &Path,
        key: &Path,
    ) -> Result<Self, TlsError> {
        Self::build(trust, name, Some((certificate, key)))
    }

    fn build(trust: &Trust, name: &str, own: Option<(&Path, &Path)>) -> Result<Self, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Client { error })?;
        let builder = match trust {
            Trust::System => builder.with_root_certificates(system_roots()?),
            Trust::CaFile(path) => builder.with_root_certificates(read_roots(path)?),
            Trust::AnyCertificate => {
                let any: Arc<dyn ServerCertVerifier> = Arc::new(verify::AnyCertificate::new(&provider()));
                builder.dangerous().with_custom_certificate_verifier(any)
            }
        };
        let config = match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                builder.with_client_auth_cert(read_chain(certificate)?, read_key(key)?).map_err(|error| {
                    TlsError::Rustls { certificate: certificate.into(), key: key.into(), error }
                })?
            }
        };
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Self { connector, name: server_name(name)? })
    }

    /// The same, expecting another name.
    ///
    /// # Errors
    ///
    /// [`TlsError::Name`].
    pub fn with_name(&self, name: &str) -> Result<Self, TlsError> {
        Ok(Self { connector: self.connector.clone(), name: server_name(name)? })
    }

    pub(crate) fn connector(&self) -> &TlsConnector {
        &self.connector
    }

    pub(crate) fn name(&self) -> &ServerName<'static> {
        &self.name
    }
}

impl core::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ClientTls").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why TLS cannot be set up. All of these are ours or the administrator's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A PEM file could not be read, or holds something else.
    #[error("expected PEM in {path}, found: {why}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What happened.
        why: String,
    },
    /// A file without a certificate.
    #[error("expected a certificate in {path} (-----BEGIN CERTIFICATE-----), found none")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A file without a private key.
    #[error("expected a private key in {path} (-----BEGIN PRIVATE KEY-----), found none")]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key are each well, but not together.
    #[error("expected certificate {certificate} and key {key} to make a TLS server, found: {error}")]
    Rustls {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls says.
        error: tokio_rustls::rustls::Error,
    },
    /// Clients' certificates cannot be verified by this file.
    #[error("expected certificate authorities for clients in {path}, found: {why}")]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// What rustls says.
        why: String,
    },
    /// A client cannot be configured.
    #[error("expected a TLS client to be configured, found: {error}")]
    Client {
        /// What rustls says.
        error: tokio_rustls::rustls::Error,
    },
    /// The system has no certificate authorities.
    #[error("expected certificate authorities on this system, found none{}", details(.problems))]
    NoSystemRoots {
        /// What went wrong while they were looked for.
        problems: Vec<String>,
    },
    /// A name that is neither a host name nor an address.
    #[error("expected a host name or an IP address to verify the server by, found {found:?}")]
    Name {
        /// The name.
        found: String,
    },
}

impl TlsError {
    fn pem(path: &Path, error: pem::Error) -> Self {
        let why = match error {
            pem::Error::Io(error) => error.to_string(),
            other => other.to_string(),
        };
        Self::Pem { path: path.into(), why }
    }
}

fn details(problems: &[String]) -> String {
    if problems.is_empty() { String::new() } else { format!(" ({})", problems.join("; ")) }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name { found: name.to_owned() })
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = std::fs::read(path).map_err(|error| TlsError::pem(path, pem::Error::Io(error)))?;
    parse_chain(&pem, path)
}

fn parse_chain(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::pem(path, error))?;
    if chain.is_empty() { Err(TlsError::NoCertificate { path: path.into() }) } else { Ok(chain) }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey { path: path.into() },
        error => TlsError::pem(path, error),
    })
}

fn read_roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_chain(path)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::Pem { path: path.into(), why: error.to_string() })?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system's store may hold certificates that webpki does not take; the others still do.
    roots.add_parsable_certificates(loaded.certs);
    if roots.is_empty() {
        let problems = loaded.errors.iter().map(ToString::to_string).collect();
        return Err(TlsError::NoSystemRoots { problems });
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_file_and_what_was_missing() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        let message = |cert: &Path, key: &Path| ServerTls::from_pem_files(cert, key).unwrap_err().to_string();

        assert!(message(&cert, &key).contains("c.pem"), "{}", message(&cert, &key));
        std::fs::write(&cert, "nothing\n").unwrap();
        assert!(message(&cert, &key).contains("BEGIN CERTIFICATE"), "{}", message(&cert, &key));
        let made = SelfSigned::generate(["localhost"]).unwrap();
        std::fs::write(&cert, made.certificate_pem()).unwrap();
        std::fs::write(&key, "nothing\n").unwrap();
        assert!(message(&cert, &key).contains("BEGIN PRIVATE KEY"), "{}", message(&cert, &key));
        let other = SelfSigned::generate(["localhost"]).unwrap();
        std::fs::write(&key, other.key_pem()).unwrap();
        assert!(message(&cert, &key).contains("k.pem"), "a key of another certificate");
        std::fs::write(&key, made.key_pem()).unwrap();
        ServerTls::from_pem_files(&cert, &key).unwrap();
    }

    #[test]
    fn a_client_needs_a_name_to_verify() {
        for good in ["mail.example.test", "127.0.0.1", "::1"] {
            ClientTls::new(&Trust::AnyCertificate, good).unwrap();
        }
        assert!(matches!(ClientTls::new(&Trust::AnyCertificate, "a b"), Err(TlsError::Name { .. })));
    }
}

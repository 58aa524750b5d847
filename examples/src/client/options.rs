//! Options of the command line that all clients have.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use mail_wire::Secret;
use mail_wire::sasl::Mechanism;

use super::exit::{Exit, Failure};
use crate::config::Span;
use crate::driver::Settings;
use crate::tls::{ClientTls, Trust};

/// What `--tls` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tls {
    /// In the clear
    Never,
    /// TLS where it is offered, with any certificate
    Try,
    /// TLS, with a certificate that is valid for the host
    Require,
    /// TLS from the first byte, with a valid certificate
    Implicit,
}

impl From<Tls> for smtp_proto::client::TlsPolicy {
    fn from(tls: Tls) -> Self {
        match tls {
            Tls::Never => Self::Never,
            Tls::Try => Self::Opportunistic,
            Tls::Require => Self::Required,
            Tls::Implicit => Self::Implicit,
        }
    }
}

impl From<Tls> for pop3_proto::client::TlsPolicy {
    fn from(tls: Tls) -> Self {
        match tls {
            Tls::Never => Self::Never,
            Tls::Try => Self::Opportunistic,
            Tls::Require => Self::Required,
            Tls::Implicit => Self::Implicit,
        }
    }
}

/// Which certificates are good.
#[derive(Debug, Clone, Args)]
pub struct Certificates {
    /// Certificate authorities to trust, as PEM; a self-signed certificate will do [default: those of the system]
    #[arg(long, value_name = "PEM", help_heading = "TLS")]
    pub ca_file: Option<PathBuf>,
    /// Name that the certificate must have [default: the host]
    #[arg(long, value_name = "NAME", help_heading = "TLS")]
    pub tls_name: Option<String>,
    /// Take any certificate, as --tls try does without --ca-file
    #[arg(long, help_heading = "TLS", conflicts_with = "ca_file")]
    pub insecure: bool,
}

impl Certificates {
    /// The TLS to connect to this host with, unless there shall be none.
    ///
    /// # Errors
    /// [`Exit::Config`], if the authorities cannot be read.
    pub fn tls(&self, tls: Tls, host: &str) -> Result<Option<ClientTls>, Failure> {
        self.tls_with(tls, host, None)
    }

    /// The same, with a certificate and its key to show to the server.
    ///
    /// # Errors
    /// [`Exit::Config`], if one of the files cannot be read, or certificate and key do not belong together.
    pub fn tls_with(
        &self,
        tls: Tls,
        host: &str,
        own: Option<(&Path, &Path)>,
    ) -> Result<Option<ClientTls>, Failure> {
        let trust = match (tls, &self.ca_file) {
            (Tls::Never, _) => return Ok(None),
            (_, Some(path)) => Trust::CaFile(path.clone()),
            (Tls::Try, None) => Trust::AnyCertificate,
            (Tls::Require | Tls::Implicit, None) if self.insecure => Trust::AnyCertificate,
            (Tls::Require | Tls::Implicit, None) => Trust::System,
        };
        let name = self.tls_name.as_deref().unwrap_or(host);
        let made = match own {
            None => ClientTls::new(&trust, name),
            Some((certificate, key)) => ClientTls::with_certificate(&trust, name, certificate, key),
        };
        made.map(Some).map_err(|error| Failure::new(Exit::Config, error))
    }
}

/// The driver's settings: with this TLS, and no wait longer than the limit.
pub fn settings(tls: Option<ClientTls>, limit: Option<Duration>) -> Settings {
    let mut settings = Settings::client();
    if let Some(tls) = tls {
        settings = settings.with_tls(tls);
    }
    if let Some(limit) = limit {
        settings.handshake_timeout = settings.handshake_timeout.min(limit);
        settings.write_timeout = settings.write_timeout.min(limit);
    }
    settings
}

/// The first line of a file, or of standard input if the path is `-`: a password or a token.
///
/// # Errors
/// [`Exit::Config`], if it cannot be read, or is empty.
pub fn first_line(path: &Path) -> Result<Secret, Failure> {
    let failure = |why: &str| {
        Failure::new(
            Exit::Config,
            format!("expected a password or a token in {}, found: {why}", path.display()),
        )
    };
    let content = match path == Path::new("-") {
        true => {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map_err(|error| failure(&error.to_string()))?;
            Secret::new(line.into_bytes())
        }
        false => Secret::new(std::fs::read(path).map_err(|error| failure(&error.to_string()))?),
    };
    let line = content.expose().split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() { Err(failure("an empty first line")) } else { Ok(Secret::new(line)) }
}

/// Reads how long to wait at most.
///
/// # Errors
/// If it is no duration, or no time at all.
pub fn limit(text: &str) -> Result<Span, String> {
    match text.parse::<Span>() {
        Ok(span) if span.0.is_zero() => Err("expected more than no time".to_owned()),
        result => result.map_err(|error| error.to_string()),
    }
}

/// Reads the name of a SASL mechanism.
///
/// # Errors
/// With the names of all, if it is none.
pub fn mechanism(text: &str) -> Result<Mechanism, String> {
    let all = || Mechanism::ALL.map(Mechanism::name).join(", ");
    Mechanism::parse(text).ok_or_else(|| format!("expected one of {}", all()))
}

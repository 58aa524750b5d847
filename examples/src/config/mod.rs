//! [`Config`]: the configuration of a post office, as TOML or from code.
//!
//! `postoffice.example.toml`, beside this crate's manifest, documents every key with its default. Unknown keys are errors
//! with file, line and column.

mod units;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use mail_wire::Secret;
use mail_wire::sasl::{Mechanism, MechanismSet};

use crate::service::Listen;

pub use units::{ByteSize, Span, UnitError};

/// All that can be configured. `Default` is what an empty file gives.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Config {
    /// Our name in greetings and trace fields; the first of the domains by default.
    pub hostname: Option<String>,
    /// The domains whose mail is ours. `localhost` by default.
    pub domains: Vec<String>,
    /// The folder for everything kept. `postoffice-data` by default.
    pub data: PathBuf,
    /// Where to listen. None by default; the program takes its loopback ports then.
    pub listen: Vec<Listen>,
    /// Users: a password or `{SCHEME}data` by name.
    #[serde(deserialize_with = "secrets")]
    pub users: BTreeMap<String, Secret>,
    /// A file of users in Dovecot's passwd-file form.
    pub users_file: Option<PathBuf>,
    /// Who gets mail for postmaster; the first user by default.
    pub postmaster: Option<String>,
    /// Whether mail is counted and dropped rather than kept.
    pub discard: bool,
    /// How line endings are kept in files.
    pub line_endings: LineEndings,
    /// TLS.
    pub tls: TlsConfig,
    /// Logging in.
    pub auth: AuthConfig,
    /// What SMTP puts up with.
    pub smtp: SmtpConfig,
    /// How much of everything.
    pub limits: LimitsConfig,
    /// How long for everything.
    pub timeouts: TimeoutsConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hostname: None,
            domains: vec!["localhost".to_owned()],
            data: "postoffice-data".into(),
            listen: Vec::new(),
            users: BTreeMap::new(),
            users_file: None,
            postmaster: None,
            discard: false,
            line_endings: LineEndings::Lf,
            tls: TlsConfig::default(),
            auth: AuthConfig::default(),
            smtp: SmtpConfig::default(),
            limits: LimitsConfig::default(),
            timeouts: TimeoutsConfig::default(),
        }
    }
}

/// How line endings are kept in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineEndings {
    /// LF, as other programs that read Maildirs expect.
    #[default]
    Lf,
    /// CRLF, as on the wire.
    Crlf,
}

/// The `[tls]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TlsConfig {
    /// Whether TLS is offered at all.
    pub enabled: bool,
    /// The certificate chain. Without one a self-signed certificate is made in the data folder, once.
    pub certificate: Option<PathBuf>,
    /// The private key.
    pub key: Option<PathBuf>,
    /// Certificate authorities whose clients may log in by certificate (SASL EXTERNAL).
    pub client_ca: Option<PathBuf>,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self { enabled: true, certificate: None, key: None, client_ca: None }
    }
}

/// The `[auth]` table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct AuthConfig {
    /// The mechanisms allowed, of those that serve all users. All by default.
    #[serde(deserialize_with = "mechanisms")]
    pub mechanisms: Option<MechanismSet>,
    /// Whether passwords may be sent without TLS.
    pub plaintext_without_tls: bool,
    /// Whether submission may be used without TLS at all.
    pub submission_without_tls: bool,
}

/// The `[smtp]` table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SmtpConfig {
    /// What becomes of bare CR and bare LF in messages.
    pub bare_newlines: BareNewlines,
    /// What becomes of NUL in messages.
    pub nul: Nul,
    /// How long the greeting waits for clients that talk before it, which are refused then. Zero for not at all.
    pub early_talker_wait: Span,
    /// Whether clients that pipeline where RFC 2920 forbids it are refused.
    pub refuse_improper_pipelining: bool,
}

/// What becomes of a CR or LF that stands alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BareNewlines {
    /// The message is refused.
    #[default]
    Reject,
    /// A bare LF becomes CRLF, a bare CR a space.
    Repair,
    /// It is kept.
    Keep,
}

/// What becomes of NUL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nul {
    /// The message is refused.
    #[default]
    Reject,
    /// It is dropped.
    Strip,
    /// It is kept.
    Keep,
}

/// The `[limits]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LimitsConfig {
    /// Largest message. 50 MiB; at least 64 KiB.
    pub message_size: ByteSize,
    /// Most recipients of a message. 1000; at least 100.
    pub recipients: usize,
    /// Most `Received` fields of a message, more are taken for a loop. 100.
    pub received_fields: usize,
    /// Most connections at a time. 10,000.
    pub connections: usize,
    /// Most connections at a time from one address (IPv6: one /64). 1,000.
    pub connections_per_address: usize,
    /// Wrong commands and refused recipients until the connection is closed. 20.
    pub errors: u32,
    /// Failed logins until the connection is closed. 5.
    pub auth_failures: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            message_size: ByteSize(50 << 20),
            recipients: 1000,
            received_fields: 100,
            connections: 10_000,
            connections_per_address: 1000,
            errors: 20,
            auth_failures: 5,
        }
    }
}

/// The `[timeouts]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TimeoutsConfig {
    /// For the next command. 5 minutes.
    pub command: Span,
    /// For the next block of a message. 5 minutes.
    pub data_block: Span,
    /// For a TLS handshake. 30 seconds.
    pub handshake: Span,
    /// For a client to read what it is sent. 2 minutes.
    pub write: Span,
    /// For messages under way when the server stops. 30 seconds.
    pub shutdown: Span,
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        let seconds = |n| Span(Duration::from_secs(n));
        Self {
            command: seconds(300),
            data_block: seconds(300),
            handshake: seconds(30),
            write: seconds(120),
            shutdown: seconds(30),
        }
    }
}

/// Why a configuration cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("expected to read the configuration from {path}, found: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// The file is no configuration.
    #[error("{path}:{line}:{column}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
}

impl Config {
    /// Reads a file. Relative paths in it count from the folder that it lies in.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], with line and column where the text is at fault.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
        let mut config = Self::parse(&text, path)?;
        if let Some(folder) = path.parent() {
            config.data = folder.join(&config.data);
            let tls = &mut config.tls;
            for path in [&mut config.users_file, &mut tls.certificate, &mut tls.key, &mut tls.client_ca] {
                *path = path.take().map(|path| folder.join(path));
            }
        }
        Ok(config)
    }

    /// Reads a text; `path` is for the errors.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Syntax`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let before = text.get(..at).unwrap_or_default();
            ConfigError::Syntax {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                column: before.rsplit('\n').next().unwrap_or_default().chars().count() + 1,
                message: error.message().replace('\n', " "),
            }
        })
    }

    /// Our name in greetings and trace fields.
    pub fn hostname(&self) -> &str {
        let first = self.domains.first().map_or("localhost", String::as_str);
        self.hostname.as_deref().unwrap_or(first)
    }
}

fn mechanisms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<MechanismSet>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let mut set = MechanismSet::EMPTY;
    for name in names {
        set.insert(Mechanism::parse(&name).ok_or_else(|| {
            D::Error::custom(format!("expected SASL mechanisms of {}, found {name:?}", MechanismSet::ALL))
        })?);
    }
    Ok(Some(set))
}

/// Passwords, which are not to be shown by `Debug`.
fn secrets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Secret>, D::Error> {
    let users = BTreeMap::<String, String>::deserialize(deserializer)?;
    Ok(users.into_iter().map(|(name, password)| (name, Secret::new(password))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../postoffice.example.toml");

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("p.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_example_gives_the_defaults() {
        assert_eq!(parse(EXAMPLE), Ok(Config::default()));
        assert_eq!(parse(""), Ok(Config::default()));
    }

    #[test]
    fn what_the_example_has_in_comments_is_well_too() {
        let uncommented: String = EXAMPLE
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line))
            .collect::<Vec<_>>()
            .join("\n");
        let config = parse(&uncommented).unwrap();
        assert_eq!(config.listen.len(), 4);
        assert_eq!(config.users.len(), 2);
        assert!(config.hostname.is_some() && config.users_file.is_some() && config.postmaster.is_some());
        assert!(
            config.tls.certificate.is_some() && config.tls.key.is_some() && config.tls.client_ca.is_some()
        );
        assert!(config.auth.mechanisms.is_some());
    }

    #[test]
    fn errors_have_their_position() {
        for (text, expected) in [
            ("data = \"x\"\ndomain = \"x\"\n", "p.toml:2:1: unknown field `domain`"),
            ("[limits]\n\nmessage_size = \"fifty\"\n", "p.toml:3:16: expected a size"),
            ("[timeouts]\ncommand = \"5 weeks\"", "p.toml:2:11: expected a duration"),
            ("listen = [\"smtp=127.0.0.1:25\", \"smpt=[::]:25\"]", "p.toml:1:10: expected a service"),
            ("[smtp]\nnul = \"zap\"", "p.toml:2:7: unknown variant `zap`"),
            ("[auth]\nmechanisms = [\"PLAIN\", \"PLANE\"]", "p.toml:2:14: expected SASL mechanisms"),
            ("a = ", "p.toml:1:5: "),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn paths_count_from_the_folder_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.toml");
        std::fs::write(&path, "users_file = \"users\"\n[tls]\nkey = \"/etc/key.pem\"\n").unwrap();
        let config = Config::read(&path).unwrap();
        assert_eq!(config.data, folder.path().join("postoffice-data"));
        assert_eq!(config.users_file, Some(folder.path().join("users")));
        assert_eq!(config.tls.key, Some("/etc/key.pem".into()));
    }
}

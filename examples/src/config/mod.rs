//! [`Config`]: the configuration of a post office, as TOML or from code.
//!
//! `postoffice.example.toml`, beside this crate's manifest, documents every key with its default. Unknown keys are errors
//! with file, line and column.

mod filter;
mod limits;
mod names;
mod network;
mod place;
mod pop3;
mod units;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use mail_wire::Secret;
use mail_wire::sasl::{Mechanism, MechanismSet};
use maildrop::store::StoreFormat;

use crate::service::Listen;
use names::{DomainName, Password, User};

pub use filter::{BrokenRc, FilterConfig};
pub use limits::{LimitsConfig, TimeoutsConfig};
pub use network::{Network, NetworkError};
pub use place::Place;
pub use pop3::{Expire, Pop3Config, Utf8, WithoutUtf8};
pub use units::{ByteSize, Span, UnitError};

/// All that can be configured. `Default` is what an empty file gives.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Config {
    /// Our name in greetings and trace fields; the first of the domains by default.
    #[serde(deserialize_with = "hostname")]
    pub hostname: Option<String>,
    /// The domains whose mail is ours, one at least. `localhost` by default.
    #[serde(deserialize_with = "domains")]
    pub domains: Vec<String>,
    /// The folder for everything kept. `postoffice-data` by default.
    pub data: PathBuf,
    /// How mail is stored in the data folder, or in memory. Maildirs by default.
    #[serde(deserialize_with = "store")]
    pub store: StoreFormat,
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
    /// How line endings are kept in files. In mboxes and MH folders lines end with LF.
    pub line_endings: LineEndings,
    /// TLS.
    pub tls: TlsConfig,
    /// Logging in.
    pub auth: AuthConfig,
    /// Who may speak for others.
    pub trusted: TrustedConfig,
    /// What SMTP puts up with.
    pub smtp: SmtpConfig,
    /// What POP3 offers and does.
    pub pop3: Pop3Config,
    /// The rc files of users.
    pub filter: FilterConfig,
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
            store: StoreFormat::Maildir,
            listen: Vec::new(),
            users: BTreeMap::new(),
            users_file: None,
            postmaster: None,
            discard: false,
            line_endings: LineEndings::Lf,
            tls: TlsConfig::default(),
            auth: AuthConfig::default(),
            trusted: TrustedConfig::default(),
            smtp: SmtpConfig::default(),
            pop3: Pop3Config::default(),
            filter: FilterConfig::default(),
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
    /// The mechanisms allowed, of those that [serve](Self::challenge_response) users. All by default, but POP3 offers the
    /// `-PLUS` forms of SCRAM only where they are named here, since mail readers that cannot bind choose them there and fail.
    #[serde(deserialize_with = "mechanisms")]
    pub mechanisms: Option<MechanismSet>,
    /// When mechanisms are offered that do not send the password.
    pub challenge_response: ChallengeResponse,
    /// Whether passwords may be sent without TLS.
    pub plaintext_without_tls: bool,
    /// Whether submission may be used without TLS at all.
    pub submission_without_tls: bool,
}

/// When mechanisms are offered by which a client shows that it knows the password rather than send it: SCRAM, CRAM-MD5, and APOP of
/// POP3. They need the password as it is, or for SCRAM its keys; hashes do not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChallengeResponse {
    /// Each if it serves all users: clients choose the strongest that is offered, and most do not try another after it failed.
    #[default]
    Auto,
    /// Each if it serves any user. Who tries it for a user whom it does not serve is refused as for a wrong password, and the log
    /// says why.
    Always,
    /// None.
    Never,
}

/// The `[trusted]` table. Nobody is trusted by default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TrustedConfig {
    /// From where XCLIENT and XFORWARD may be used.
    pub xclient: Vec<Network>,
    /// From where each connection begins with a PROXY protocol header.
    pub proxy_protocol: Vec<Network>,
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
    #[error("{place}: {message}")]
    Syntax {
        /// Where.
        place: Place,
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
            for path in &mut config.filter.includes {
                *path = folder.join(&path);
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
        toml::from_str(text).map_err(|error| ConfigError::Syntax {
            place: Place::at(text, path, error.span().map_or(0, |span| span.start)),
            message: error.message().replace('\n', " "),
        })
    }

    /// Our name in greetings and trace fields.
    pub fn hostname(&self) -> &str {
        let first = self.domains.first().map_or("localhost", String::as_str);
        self.hostname.as_deref().unwrap_or(first)
    }
}

fn hostname<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    DomainName::deserialize(deserializer).map(|DomainName(name)| Some(name))
}

fn domains<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<DomainName>::deserialize(deserializer)?;
    match names.is_empty() {
        true => Err(D::Error::custom("expected a domain at least, such as \"localhost\", found none")),
        false => Ok(names.into_iter().map(|DomainName(name)| name).collect()),
    }
}

fn store<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StoreFormat, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
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

/// Passwords, which are not to be shown by `Debug`, nor by an error.
fn secrets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Secret>, D::Error> {
    let users = BTreeMap::<User, Password>::deserialize(deserializer)?;
    Ok(users.into_iter().map(|(User(name), Password(password))| (name, password)).collect())
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
        assert!(!config.trusted.xclient.is_empty() && !config.trusted.proxy_protocol.is_empty());
        assert!(!config.filter.includes.is_empty() && config.filter.run_as.is_some());
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
            (
                "data = \"x\"\nstore = \"mbx\"",
                "p.toml:2:9: expected maildir, mbox, mh or memory as the store, but",
            ),
            ("store = \"Mbox\"", "p.toml:1:9: expected maildir, mbox, mh or memory as the store, but"),
            ("store = 1", "p.toml:1:9: invalid type"),
            (
                "[users]\nalice = \"x\"\nbob = \"{MD5}hunter2\"",
                "p.toml:3:7: expected a password scheme of {PLAIN}",
            ),
            ("users = { a = \"x\", b = \"$6$hunter2\" }", "p.toml:1:24: expected data for {SHA512-CRYPT}"),
            ("[users]\nalice = \"\"", "p.toml:2:9: expected a password, found none"),
            ("[users]\nalice = 271828", "p.toml:2:9: expected a password in quotes"),
            ("data = \"x\"\ndomains = []", "p.toml:2:11: expected a domain at least"),
            (
                "domains = [\"a.test\", \"b..test\"]",
                "p.toml:1:11: expected a domain name such as example.test",
            ),
            (
                "\nhostname = \"my host\"",
                "p.toml:2:12: expected a domain name such as example.test, found \"my",
            ),
            (
                "[users]\nb = \"x\"\n\"../a\" = \"x\"",
                "p.toml:3:1: expected a user name, but found a leading '.'",
            ),
            (
                "[users]\n\".a@localhost\" = \"x\"",
                "p.toml:2:1: expected a user name, but found a leading '.'",
            ),
            ("[users]\n\"\" = \"x\"", "p.toml:2:1: expected a user name, but found an empty one"),
            ("[trusted]\nxclient = [\"127.0.0.1/33\"]", "p.toml:2:11: expected a network such as"),
            (
                "[trusted]\nproxy_protocol = [\"::1\", \"10.0.0.1/8\"]",
                "p.toml:2:18: expected a network, such as 10.0.0.0/8,",
            ),
            ("[filter]\nrc = \"/\"", "p.toml:2:6: expected a file such as"),
            ("[filter]\nbroken = \"lose\"", "p.toml:2:10: unknown variant `lose`"),
            ("[pop3]\nexpire = \"36h\"", "p.toml:2:10: expected \"never\" or days such as"),
            ("[pop3]\nutf8 = true", "p.toml:2:8: "),
            ("[trusted]\nxlcient = []", "p.toml:2:1: unknown field `xlcient`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
            assert!(!error.contains("hunter2") && !error.contains("271828"), "{error}");
        }
    }

    #[test]
    fn zero_is_refused_where_it_would_be_no_mail() {
        let zeros = |table: &str, keys: &[&str], zero: &str| {
            for key in keys {
                let error = parse(&format!("[{table}]\n{key} = {zero}\n")).unwrap_err();
                let expected = format!("p.toml:2:{}: expected more than zero", key.len() + 4);
                assert!(error.starts_with(&expected), "{key}: {error}");
            }
        };
        zeros(
            "timeouts",
            &[
                "command",
                "data_block",
                "data_rate_window",
                "answer",
                "lock",
                "handshake",
                "write",
                "close",
                "shutdown",
            ],
            "\"0s\"",
        );
        zeros("limits", &["message_size"], "\"0MiB\"");
        let counts = [
            "recipients",
            "received_fields",
            "connections",
            "connections_per_address",
            "errors",
            "auth_failures",
        ];
        zeros("limits", &counts, "0");
        zeros("filter", &["at_once", "copies", "program_output"], "0");
        zeros("filter", &["program_time", "time"], "\"0s\"");
        let text = "[smtp]\nearly_talker_wait = 0\n[timeouts]\ndata_rate = 0\nlinger = \"0s\"\n\
                    error_delay = \"0ms\"\nauth_failure_delay = 0";
        parse(text).unwrap();
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

//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use maildrop::UserName;
use maildrop::store::StoreFormat;
use mailwright::config::ByteSize;
use mailwright::service::Listen;
use mailwright::users::Scheme;
use smtp_proto::types::Domain;

/// A mail server: takes mail by SMTP, submission and LMTP, and delivers it into Maildirs, mboxes or MH folders, each message
/// safe on disk before it is acknowledged. Users collect theirs by POP3.
#[derive(Debug, Parser)]
#[command(name = "postoffice", version, propagate_version = true, max_term_width = 100, after_help = CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const CODES: &str = "Exit codes are those of sysexits(3):
   0  done, or stopped in order by a signal
  64  the command line is wrong
  78  anything else, such as a configuration that is wrong, a file that cannot be written, an address that is in use, or
      a stop at once by a second signal; standard error says what";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(Box<Serve>),
    Cert(Cert),
    Passwd(Passwd),
}

/// Serve mail until SIGTERM or SIGINT.
///
/// Without any option this is a demo on loopback: ports 2525 (smtp), 2587 (submission), 2465 (submissions), 2024
/// (lmtp), 2110 (pop3) and 2995 (pop3s), domain localhost, user demo with password demo, data in ./postoffice-data, and a self-signed certificate made
/// there.
///
/// Mail for user U lies in DATA/mail/U/Maildir, or as --store says. Mail for local users is taken from anyone; mail for anybody else is
/// refused, whoever asks: this is no relay. user+detail goes to user, postmaster to the first user.
///
/// On standard output there is a line for each listener, such as `listening smtp 127.0.0.1:2525`, and `ready` once all of
/// them take connections. Logs go to standard error. On SIGTERM or SIGINT messages under way are finished, everybody else
/// is told 421, but POP3 clients, whose connections are closed without a word; another signal, a second later or more,
/// ends at once.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  postoffice serve
  postoffice serve --data /var/lib/postoffice --domain example.test --user alice:secret --listen smtp=0.0.0.0:25
  postoffice serve --config /etc/postoffice.toml --log debug
  printf 'Subject: hi\\r\\n\\r\\nIt works.\\r\\n' | curl -s smtp://127.0.0.1:2525 --mail-from me@example.test --mail-rcpt demo@localhost -T -")]
pub(crate) struct Serve {
    /// Configuration as TOML; options given here go before what stands there
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder for mail and everything else that is kept [default: postoffice-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// How mail is stored: maildir (DATA/mail/USER/Maildir), mbox (DATA/mail/USER/mbox), mh (DATA/mail/USER/Mail/inbox), or
    /// memory, where nothing stays after the end, and the oldest goes beyond 256 MiB [default: maildir]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) store: Option<StoreFormat>,
    /// Domain whose mail is for local users; may be repeated [default: localhost]
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) domain: Vec<String>,
    /// Name of this server in greetings and trace fields [default: the first domain]
    #[arg(long, value_name = "NAME")]
    pub(crate) hostname: Option<String>,
    /// User with a password; may be repeated. Other users of this machine can see it: better use --users
    #[arg(long, value_name = "NAME:PASSWORD", value_parser = user)]
    pub(crate) user: Vec<NewUser>,
    /// File of users, a line for each: name:{SCHEME}data. See `postoffice passwd`
    #[arg(long, value_name = "FILE")]
    pub(crate) users: Option<PathBuf>,
    /// User who gets mail for postmaster [default: the first user]
    #[arg(long, value_name = "NAME")]
    pub(crate) postmaster: Option<String>,
    /// Where to listen, such as smtp=127.0.0.1:2525; may be repeated. Services: smtp, submission, submissions, lmtp,
    /// pop3, pop3s. Port 0 takes any that is free
    #[arg(long, value_name = "SERVICE=ADDRESS:PORT")]
    pub(crate) listen: Vec<Listen>,
    /// Certificate chain for TLS [default: a self-signed certificate, made in the data folder and
    /// renewed at a start within 30 days of its end]
    #[arg(long, value_name = "PEM", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key for TLS
    #[arg(long, value_name = "PEM", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Largest message, such as 50MiB [default: 50MiB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_message_size: Option<ByteSize>,
    /// Count messages and drop them, rather than keep them: for measurements
    #[arg(long)]
    pub(crate) discard: bool,
    /// What to log: error, warn, info, debug, trace, or a filter such as mailwright=debug [default: RUST_LOG, or info]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
}

impl Serve {
    /// Whether an option was given that takes the place of this key of the configuration.
    pub(crate) fn outranks(&self, key: &[&str]) -> bool {
        match key {
            ["data"] => self.data.is_some(),
            ["domains"] => !self.domain.is_empty(),
            ["hostname"] => self.hostname.is_some(),
            ["listen"] => !self.listen.is_empty(),
            ["store"] => self.store.is_some(),
            ["postmaster"] => self.postmaster.is_some(),
            ["tls", _] => self.tls_cert.is_some(),
            ["users", name] => self.user.iter().any(|user| user.name == *name),
            _ => false,
        }
    }

    /// Whether this is the demo: nothing is said about what to serve.
    pub(crate) fn is_demo(&self) -> bool {
        self.config.is_none()
            && self.data.is_none()
            && self.store.is_none()
            && self.domain.is_empty()
            && self.hostname.is_none()
            && self.user.is_empty()
            && self.users.is_none()
            && self.postmaster.is_none()
            && self.listen.is_empty()
            && self.tls_cert.is_none()
            && self.max_message_size.is_none()
            && !self.discard
    }
}

/// A user of the command line. `Debug` shows no password.
#[derive(Clone)]
pub(crate) struct NewUser {
    pub(crate) name: String,
    pub(crate) password: String,
}

impl core::fmt::Debug for NewUser {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("NewUser").field("name", &self.name).finish_non_exhaustive()
    }
}

fn user(text: &str) -> Result<NewUser, String> {
    match text.split_once(':') {
        Some((name, password)) if !name.is_empty() && !password.is_empty() => {
            Ok(NewUser { name: name.to_owned(), password: password.to_owned() })
        }
        _ => Err("expected NAME:PASSWORD, such as alice:secret".to_owned()),
    }
}

/// Make a self-signed certificate and its private key. Never overwrites.
#[derive(Debug, Args)]
pub(crate) struct Cert {
    /// Name or IP address that the certificate is for; may be repeated. localhost brings 127.0.0.1 and ::1 along
    #[arg(long, value_name = "DOMAIN", required = true)]
    pub(crate) domain: Vec<String>,
    /// Where to write the certificate
    #[arg(long, value_name = "PEM", default_value = "cert.pem")]
    pub(crate) cert: PathBuf,
    /// Where to write the private key, readable by its owner only
    #[arg(long, value_name = "PEM", default_value = "key.pem")]
    pub(crate) key: PathBuf,
    /// How many days it is valid from now on, 36500 at the most; some clients take none of more than 825
    #[arg(long, value_name = "N", default_value_t = 730, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) days: u32,
}

/// Hash a password for the users file.
///
/// Asks for the password on the terminal, or reads a line of standard input where that is none, and prints {SCHEME}data,
/// with --user the whole line for the file. SCRAM-SHA-256 lets users log in by SCRAM; with the other hashes they send the
/// password itself, under TLS.
#[derive(Debug, Args)]
pub(crate) struct Passwd {
    /// PLAIN, SCRAM-SHA-1, SCRAM-SHA-256, SHA512-CRYPT or ARGON2ID
    #[arg(long, value_name = "SCHEME", default_value = "ARGON2ID", value_parser = scheme)]
    pub(crate) scheme: Scheme,
    /// Whose password it is, with or without a domain
    #[arg(long, value_name = "NAME", value_parser = user_of_file)]
    pub(crate) user: Option<String>,
}

/// A name that a users file can have.
fn user_of_file(text: &str) -> Result<String, String> {
    if text.starts_with('#') {
        return Err(
            "expected a user name without '#' at the start, where a users file has comments".to_owned()
        );
    }
    if text.contains(':') {
        return Err("expected a user name without ':', which ends it in a users file".to_owned());
    }
    let (local, domain) = text.rsplit_once('@').map_or((text, None), |(local, domain)| (local, Some(domain)));
    UserName::parse(local).map_err(|error| error.to_string())?;
    match domain {
        Some(domain) if Domain::parse(domain).is_err() => {
            Err(format!("expected a domain name such as example.test behind '@', found {domain:?}"))
        }
        _ => Ok(text.to_owned()),
    }
}

fn scheme(text: &str) -> Result<Scheme, String> {
    let name = text.trim_start_matches('{').trim_end_matches('}');
    Scheme::parse(name)
        .ok_or_else(|| format!("expected a scheme of {}", Scheme::ALL.map(Scheme::name).join(", ")))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_option_is_the_demo_and_logging_does_not_change_that() {
        let demo = |args: &[&str]| match Cli::try_parse_from(args).unwrap().command {
            Command::Serve(serve) => serve.is_demo(),
            _ => false,
        };
        assert!(demo(&["postoffice", "serve"]));
        assert!(demo(&["postoffice", "serve", "--log", "debug"]));
        assert!(!demo(&["postoffice", "serve", "--discard"]));
        assert!(!demo(&["postoffice", "serve", "--store", "mbox"]));
        assert!(!demo(&["postoffice", "serve", "--listen", "smtp=127.0.0.1:0"]));
    }

    #[test]
    fn a_name_for_the_users_file_is_one_that_the_file_can_have() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str| {
            let path = folder.path().join("users");
            std::fs::write(&path, format!("{name}:{{PLAIN}}x\n")).unwrap();
            let mut users = mailwright::users::Users::new(["example.test"], vec![7; 32]);
            users.read_file(&path).is_ok_and(|()| users.find(name).is_some())
        };
        for (name, expected) in [
            ("alice", None),
            ("Alice@example.test", None),
            ("a#b", None),
            ("", Some("found an empty one")),
            ("@example.test", Some("found an empty one")),
            ("#alice", Some("without '#' at the start")),
            ("a:b", Some("without ':'")),
            ("../alice", Some("a leading '.'")),
            ("a/b", Some("without '/'")),
            ("a\nb", Some("control characters")),
            ("alice@", Some("expected a domain name")),
            ("alice@exa mple.test", Some("expected a domain name")),
        ] {
            let parsed = Cli::try_parse_from(["postoffice", "passwd", "--user", name]);
            match (parsed, expected) {
                (Ok(_), None) => assert!(read(name), "{name:?}"),
                (Err(error), Some(expected)) => {
                    assert!(error.to_string().contains(expected), "{name:?}: {error}");
                    assert!(!read(name), "{name:?}");
                }
                (found, _) => panic!("{name:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let cli = Cli::try_parse_from(["postoffice", "serve", "--user", "alice:hunter2"]).unwrap();
        assert!(!format!("{cli:?}").contains("hunter2"));
        let error = Cli::try_parse_from(["postoffice", "serve", "--user", "alice"]).unwrap_err().to_string();
        assert!(error.contains("alice:secret"), "{error}");
    }
}

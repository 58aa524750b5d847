//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use mail_wire::sasl::Mechanism;
use mailwright::client::connect::HostPort;
use mailwright::client::options::{Certificates, Tls, limit, mechanism};
use mailwright::config::Span;
use pop3_proto::client::Quirks;

/// Collect mail by POP3: list it, or store it in a Maildir or an mbox, and delete it on the server if that is wanted.
///
/// Without --to the messages are listed: number, octets, unique-id, or - where there is none. With --to they are fetched, by as many commands at a time
/// as the server takes. A message is deleted only once it is safe on disk here; if anything goes wrong before the end, the
/// server keeps all, and the next run fetches them again, or with --seen deletes those that were fetched.
///
/// SIGHUP, SIGINT and SIGTERM end the run: whole messages are kept, and none are deleted unless QUIT has been sent.
///
/// With -v the whole conversation is shown on standard error, without passwords and without messages.
#[derive(Debug, Parser)]
#[command(name = "pop3-fetch", version, max_term_width = 100, after_help = AFTER)]
pub(crate) struct Options {
    /// Where to connect: host, host:port or `[2001:db8::1]:port`. Without a port 110, with --tls implicit 995
    #[arg(value_name = "HOST[:PORT]")]
    pub(crate) server: HostPort,

    /// User to log in as
    #[arg(long, value_name = "NAME", help_heading = "Logging in")]
    pub(crate) user: String,
    /// File with the password in its first line; - is standard input
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present_any = ["token_file", "certificate"],
        help_heading = "Logging in"
    )]
    pub(crate) password_file: Option<PathBuf>,
    /// File with an OAuth 2.0 access token in its first line, in place of a password; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "password_file", help_heading = "Logging in")]
    pub(crate) token_file: Option<PathBuf>,
    /// Certificate to show to the server, as PEM. Without password and token it is what the login goes by (EXTERNAL)
    #[arg(long, value_name = "PEM", requires = "key", help_heading = "Logging in")]
    pub(crate) certificate: Option<PathBuf>,
    /// Private key of the certificate, as PEM
    #[arg(long, value_name = "PEM", requires = "certificate", help_heading = "Logging in")]
    pub(crate) key: Option<PathBuf>,
    /// SASL mechanism that may be used, such as SCRAM-SHA-256; may be repeated. APOP and USER are not used then [default: all,
    /// the strongest first]
    #[arg(long, value_name = "MECHANISM", value_parser = mechanism, help_heading = "Logging in")]
    pub(crate) auth: Vec<Mechanism>,
    /// Send the password or the token even where anybody on the way can read it
    #[arg(long, help_heading = "Logging in")]
    pub(crate) plaintext_auth: bool,

    /// What to do about TLS
    #[arg(long, value_name = "WHEN", default_value = "require", help_heading = "TLS")]
    pub(crate) tls: Tls,
    #[command(flatten)]
    pub(crate) certificates: Certificates,

    /// Fetch the messages to maildir:DIR, which is made if it is not there, or to mbox:FILE, where one > more is put before
    /// From_ lines in them (mboxrd), and notes of mail readers such as Status are taken out
    #[arg(long, value_name = "FORMAT:PATH")]
    pub(crate) to: Option<Place>,
    /// Delete on the server what was fetched, and with --seen also what is named in its file
    #[arg(long, requires = "to")]
    pub(crate) delete: bool,
    /// Fetch only what is not named in this file, one unique-id a line, and add what was fetched. Made if it is not there.
    /// Its first line tells user and server, and it is of no use for others; a file without that line, or with
    /// no unique-ids, becomes that of the first user who logs in. What the server does not list any more, or has deleted, is
    /// dropped at the end, unless no other file can be put in its place. Odd unique-ids stand there escaped; a message without
    /// any, or with that of a message of another size, is fetched each time, and one with that of any other is never deleted
    /// for standing there
    #[arg(long, value_name = "FILE", requires = "to")]
    pub(crate) seen: Option<PathBuf>,
    /// Let pass what servers do wrong; may be repeated. Odd unique-ids always are
    #[arg(long, value_name = "NAME")]
    pub(crate) quirk: Vec<Quirk>,
    /// Wait for each reply before the next command, even where the server offers PIPELINING
    #[arg(long)]
    pub(crate) no_pipelining: bool,
    /// Give up on a connection, a reply or the lock of an mbox after that long, such as 30s [default: 5 minutes mostly, for
    /// locks 1 minute, and that at most]
    #[arg(long, value_name = "TIME", value_parser = limit)]
    pub(crate) timeout: Option<Span>,
    /// Show the conversation
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Print nothing but errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

const AFTER: &str = "\
Exit codes are those of sysexits(3):
  0  done                              64  bad usage              68  no such host
  69 the server refuses for good       70  a bug in here          71  the operating system failed
  73 the Maildir or mbox would not     75  failed for now, or a signal came: try again later
  76 the server broke the protocol, or TLS failed                 77  the login was refused
  78 bad certificates, password file or policy, or the file of --seen is another user's

Examples:
  pop3-fetch 127.0.0.1:2110 --user demo --password-file pw --insecure
  pop3-fetch pop.example.org --user alice --password-file pw --to maildir:Maildir --delete
  pop3-fetch pop.example.org --tls implicit --user alice --password-file pw --to mbox:inbox --seen inbox.seen
  get-token | pop3-fetch pop.example.org --user alice --token-file - --auth OAUTHBEARER";

/// What servers do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Quirk {
    /// Lines that end with LF alone; dangerous where they end right, as anybody can then end a message early
    BareLf,
    /// A status in other letter case, +ERR, or no space behind it
    LooseStatus,
    /// Several spaces or tabs in the lines of LIST
    OddListings,
    /// No CAPA, but mechanisms listed by AUTH
    AuthList,
}

/// Where messages are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Maildir(PathBuf),
    Mbox(PathBuf),
}

impl core::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("maildir", path)) if !path.is_empty() => Ok(Self::Maildir(path.into())),
            Some(("mbox", path)) if !path.is_empty() => Ok(Self::Mbox(path.into())),
            _ => Err(format!("expected maildir:DIR or mbox:FILE, found {text:?}")),
        }
    }
}

impl Options {
    /// What is let pass.
    pub(crate) fn quirks(&self) -> Quirks {
        let mut quirks = Quirks::default();
        quirks.odd_unique_ids = true;
        for quirk in &self.quirk {
            match quirk {
                Quirk::BareLf => quirks.bare_lf = true,
                Quirk::LooseStatus => quirks.loose_status = true,
                Quirk::OddListings => quirks.odd_listings = true,
                Quirk::AuthList => quirks.auth_list = true,
            }
        }
        quirks
    }

    /// Who collects mail where. It is the same with TLS on connect and without.
    pub(crate) fn account(&self) -> String {
        let host = self.server.host.to_ascii_lowercase();
        let port = match self.port() {
            110 | 995 => String::new(),
            port => format!(":{port}"),
        };
        format!("{} at {host}{port}", self.user.escape_debug())
    }

    /// The port, given or not.
    pub(crate) fn port(&self) -> u16 {
        self.server.port.unwrap_or(if self.tls == Tls::Implicit { 995 } else { 110 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Options::command().debug_assert();
    }

    #[test]
    fn places_are_read_in_each_form() {
        assert_eq!("mbox:a:b".parse(), Ok(Place::Mbox("a:b".into())));
        for text in ["", "mbox:", "mh:x", "Maildir"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}

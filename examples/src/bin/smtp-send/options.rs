//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use mail_wire::sasl::Mechanism;
use mailwright::client::connect::HostPort;
use mailwright::client::options::{Certificates, Tls, limit, mechanism};
use mailwright::config::{ByteSize, Span};
use smtp_proto::client::Chunking;
use smtp_proto::codec::Leniency;
use smtp_proto::types::{Command, ForwardPath, HelloName, MailParams, Mailbox, RcptParams, ReversePath};

/// Send a message by SMTP or LMTP, or many to see how a server bears it.
///
/// The message is read from FILE or standard input, header first; nothing is added to it. Line endings become CRLF. FILE is
/// read twice, and again for each time it is sent; what comes otherwise and is long is kept in a temporary file meanwhile.
/// With 8-bit bytes in it the server must offer 8BITMIME, with UTF-8 in its header SMTPUTF8: otherwise nothing is sent.
///
/// Prints a line for each recipient, and with -v the whole conversation on standard error, without passwords.
#[derive(Debug, Parser)]
#[command(name = "smtp-send", version, max_term_width = 100, after_help = AFTER)]
pub(crate) struct Options {
    /// The message; - is standard input
    #[arg(value_name = "FILE", required_unless_present = "size", conflicts_with = "size")]
    pub(crate) file: Option<PathBuf>,

    /// Sender, who is told if delivery fails; <> for nobody
    #[arg(long, value_name = "ADDRESS", value_parser = reverse_path)]
    pub(crate) from: ReversePath,
    /// Recipient; may be repeated
    #[arg(long, value_name = "ADDRESS", required = true, value_parser = forward_path)]
    pub(crate) to: Vec<ForwardPath>,
    /// Where to connect: host, host:port, `[2001:db8::1]:port` or unix:/path/of/socket. Without a port 25, with --user
    /// 587, with --tls implicit 465, with --lmtp 24
    #[arg(long, value_name = "HOST:PORT", default_value = "localhost")]
    pub(crate) server: Target,
    /// Speak LMTP (RFC 2033), which has a result for each recipient
    #[arg(long)]
    pub(crate) lmtp: bool,
    /// What to call ourselves [default: our address in brackets]
    #[arg(long, value_name = "NAME", value_parser = hello)]
    pub(crate) hello: Option<HelloName>,

    /// What to do about TLS [default: try, or require with --user]
    #[arg(long, value_name = "WHEN", help_heading = "TLS")]
    pub(crate) tls: Option<Tls>,
    #[command(flatten)]
    pub(crate) certificates: Certificates,

    /// User to log in as
    #[arg(long, value_name = "NAME", help_heading = "Logging in")]
    pub(crate) user: Option<String>,
    /// File with the password in its first line; - is standard input, if the message is not
    #[arg(long, value_name = "FILE", requires = "user", help_heading = "Logging in")]
    pub(crate) password_file: Option<PathBuf>,
    /// File with an OAuth 2.0 access token in its first line, in place of a password
    #[arg(
        long,
        value_name = "FILE",
        requires = "user",
        conflicts_with = "password_file",
        help_heading = "Logging in"
    )]
    pub(crate) token_file: Option<PathBuf>,
    /// SASL mechanism that may be used, such as SCRAM-SHA-256; may be repeated [default: all, the strongest first]
    #[arg(long, value_name = "MECHANISM", value_parser = mechanism, help_heading = "Logging in")]
    pub(crate) auth: Vec<Mechanism>,
    /// Send the password even where anybody on the way can read it
    #[arg(long, help_heading = "Logging in")]
    pub(crate) plaintext_auth: bool,

    /// Parameters of MAIL, such as "RET=HDRS ENVID=x" or REQUIRETLS
    #[arg(long, value_name = "PARAMETERS", value_parser = mail_params, default_value = "", hide_default_value = true, help_heading = "Extensions")]
    pub(crate) mail_params: Box<MailParams>,
    /// Parameters of each RCPT, such as NOTIFY=SUCCESS,FAILURE
    #[arg(long, value_name = "PARAMETERS", value_parser = rcpt_params, default_value = "", hide_default_value = true, help_heading = "Extensions")]
    pub(crate) rcpt_params: RcptParams,
    /// When to send by BDAT rather than DATA
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = "Extensions")]
    pub(crate) chunking: Bdat,
    /// Wait for each reply before the next command, even where the server offers PIPELINING
    #[arg(long, help_heading = "Extensions")]
    pub(crate) no_pipelining: bool,

    /// Send the message so many times
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Many messages")]
    pub(crate) count: u64,
    /// Over so many connections at a time
    #[arg(long, value_name = "M", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Many messages")]
    pub(crate) connections: u32,
    /// A connection for each message, rather than many over one
    #[arg(long, help_heading = "Many messages")]
    pub(crate) reconnect: bool,
    /// Make a message of that size up, such as 4KiB, in place of FILE
    #[arg(long, value_name = "SIZE", help_heading = "Many messages")]
    pub(crate) size: Option<ByteSize>,
    /// Threads to send from; one keeps up with most servers
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024), help_heading = "Many messages")]
    pub(crate) threads: u32,

    /// Give up on a connection or a reply after that long, such as 30s [default: as RFC 5321 has it, 5 minutes mostly]
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
Exit codes are those of sysexits(3), for the worst that happened:
  0  every recipient was accepted     64  bad usage              65  the server cannot take such a message
  66 FILE cannot be read              67  no such recipient      68  no such host
  69 refused for good                 70  a bug in here          71  the operating system failed
  75 failed for now, try again later  76  the server broke the protocol, or TLS failed
  77 the login was refused            78  bad certificate authorities, password file or policy
The worst is the last of these that came up: 75 76 67 69 65 77 68 78 64 66 71 70.

Examples:
  printf 'Subject: hi\\n\\nIt works.\\n' | smtp-send --from me@localhost --to demo@localhost --server 127.0.0.1:2525 -v -
  smtp-send --from alice@example.org --to bob@example.com --server smtp.example.org --user alice --password-file pw mail.eml
  smtp-send --from '<>' --to bob@localhost --server unix:/run/dovecot/lmtp --lmtp mail.eml
  smtp-send --from a@localhost --to demo@localhost --server 127.0.0.1:2525 --size 4KiB --count 100000 --connections 50";

/// What `--chunking` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bdat {
    /// Where it saves a round trip
    Auto,
    /// Not at all
    Never,
    /// Wherever it is offered
    Always,
}

impl From<Bdat> for Chunking {
    fn from(bdat: Bdat) -> Self {
        match bdat {
            Bdat::Auto => Chunking::Auto,
            Bdat::Never => Chunking::Never,
            Bdat::Always => Chunking::Always,
        }
    }
}

/// What `--server` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Tcp(HostPort),
    Unix(PathBuf),
}

impl core::str::FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|error| format!("{error}; or unix:/path")),
        }
    }
}

impl Options {
    /// What to do about TLS.
    pub(crate) fn tls(&self) -> Tls {
        self.tls.unwrap_or(if self.user.is_some() { Tls::Require } else { Tls::Try })
    }

    /// The port where none is given.
    pub(crate) fn default_port(&self) -> u16 {
        match self.tls() {
            _ if self.lmtp => 24,
            Tls::Implicit => 465,
            _ if self.user.is_some() => 587,
            _ => 25,
        }
    }

    /// Whether it is one message that matters, rather than how a server bears many.
    pub(crate) fn is_single(&self) -> bool {
        self.count == 1
    }
}

fn reverse_path(text: &str) -> Result<ReversePath, String> {
    match text {
        "" | "<>" => Ok(ReversePath::Null),
        _ => mailbox(text).map(Into::into),
    }
}

fn forward_path(text: &str) -> Result<ForwardPath, String> {
    if bare(text).eq_ignore_ascii_case("postmaster") {
        return Ok(ForwardPath::Postmaster);
    }
    mailbox(text).map(Into::into)
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    Mailbox::parse(bare(text)).map_err(|error| error.to_string())
}

/// The address without its brackets.
fn bare(text: &str) -> &str {
    text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text)
}

fn hello(text: &str) -> Result<HelloName, String> {
    HelloName::parse(text).map_err(|error| error.to_string())
}

fn mail_params(text: &str) -> Result<Box<MailParams>, String> {
    match parse(&format!("MAIL FROM:<> {text}"))? {
        Command::Mail { params, .. } => Ok(Box::new(params)),
        _ => Err("expected parameters".into()),
    }
}

fn rcpt_params(text: &str) -> Result<RcptParams, String> {
    match parse(&format!("RCPT TO:<Postmaster> {text}"))? {
        Command::Rcpt { params, .. } => Ok(params),
        _ => Err("expected parameters".into()),
    }
}

fn parse(line: &str) -> Result<Command, String> {
    Command::parse(line.trim_end().as_bytes(), Leniency::STRICT).map_err(|error| error.kind.to_string())
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
    fn servers_are_hosts_or_sockets() {
        let tcp = HostPort { host: "::1".into(), port: Some(25) };
        assert_eq!("[::1]:25".parse(), Ok(Target::Tcp(tcp)));
        assert_eq!("unix:/run/lmtp".parse(), Ok(Target::Unix("/run/lmtp".into())));
        let error = "/run/lmtp".parse::<Target>().unwrap_err();
        assert!(error.ends_with("found \"/run/lmtp\"; or unix:/path"), "{error}");
    }

    #[test]
    fn ports_follow_from_what_is_asked_for() {
        for (arguments, port) in [
            (&[][..], 25),
            (&["--user", "u"], 587),
            (&["--tls", "implicit"], 465),
            (&["--tls", "implicit", "--user", "u"], 465),
            (&["--lmtp"], 24),
        ] {
            let base = ["smtp-send", "--from", "a@b", "--to", "c@d", "-"];
            let options = Options::try_parse_from(base.iter().chain(arguments)).unwrap();
            assert_eq!(options.default_port(), port, "{arguments:?}");
        }
    }

    #[test]
    fn parameters_are_read_as_on_the_wire() {
        let params = mail_params("RET=HDRS ENVID=a+2Bb SIZE=5").unwrap();
        assert_eq!(params.to_string(), " SIZE=5 RET=HDRS ENVID=a+2Bb");
        assert!(mail_params("RET=SOME").is_err());
        assert_eq!(rcpt_params("NOTIFY=NEVER").unwrap().to_string(), " NOTIFY=NEVER");
        assert!(rcpt_params("x\r\nDATA").is_err());
    }
}

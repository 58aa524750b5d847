//! One connection: made, encrypted and logged in.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mail_wire::Secret;
use mail_wire::sasl::Credentials;
use mailwright::driver::{Conn, Settings};
use mailwright::tls::{ClientTls, Trust};
use pop3_proto::client::{Client, ClientConfig, Event, Timeouts};
use tokio::net::TcpStream;

use crate::exit::{Exit, Failure};
use crate::options::{Options, Tls};
use crate::transcript::Tapped;

/// How long to try to connect to one address.
const CONNECT: Duration = Duration::from_secs(30);

pub(crate) type Connection = Conn<Tapped, TcpStream>;

/// Connects, and goes as far as the first command.
pub(crate) async fn open(options: &Options) -> Result<Connection, Failure> {
    let mut config = ClientConfig::new()
        .with_tls(options.tls.into())
        .with_credentials(Credentials::password(options.user.as_str(), first_line(&options.password_file)?));
    if !options.auth.is_empty() {
        config.mechanisms = options.auth.iter().copied().collect();
        (config.apop, config.user_pass) = (false, false);
    }
    config.plaintext_auth_without_tls = options.plaintext_auth;
    config.pipelining = !options.no_pipelining;
    let mut settings = Settings::client();
    if let Some(tls) = client_tls(options)? {
        settings = settings.with_tls(tls);
    }
    if let Some(limit) = options.timeout {
        config.timeouts = at_most(config.timeouts, limit.0);
        settings.handshake_timeout = settings.handshake_timeout.min(limit.0);
        settings.write_timeout = settings.write_timeout.min(limit.0);
    }
    let stream = connect(options).await?;
    let mut random = [0; Client::RANDOM];
    getrandom::fill(&mut random).map_err(|error| Failure::new(Exit::OsErr, error))?;
    let tapped = Tapped::new(Client::new(config, random, Instant::now()), options.verbose);
    let mut conn = Conn::new(tapped, stream, Arc::new(settings));
    loop {
        match conn.next().await? {
            Event::Ready => return Ok(conn),
            Event::Unencrypted { .. } if !options.quiet => {
                eprintln!("pop3-fetch: no TLS, as --tls try allows")
            }
            _ => {}
        }
    }
}

async fn connect(options: &Options) -> Result<TcpStream, Failure> {
    let host = options.server.host.as_str();
    let no_host =
        |why: &str| Failure::new(Exit::NoHost, format!("expected addresses of {host}, found: {why}"));
    let found = tokio::net::lookup_host((host, options.port())).await;
    let limit = options.timeout.map_or(CONNECT, |limit| limit.0);
    let mut failure = no_host("none");
    for address in found.map_err(|error| no_host(&error.to_string()))? {
        let why = match tokio::time::timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Commands gather before they are written, so there is nothing that Nagle's algorithm could gather.
                stream.set_nodelay(true).map_err(|error| Failure::new(Exit::OsErr, error))?;
                return Ok(stream);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {limit:?}"),
        };
        failure = Failure::new(Exit::TempFail, format!("expected to connect to {address}, found: {why}"));
    }
    Err(failure)
}

fn first_line(path: &Path) -> Result<Secret, Failure> {
    let failure = |why: &str| {
        Failure::new(Exit::Config, format!("expected a password in {}, found: {why}", path.display()))
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

fn client_tls(options: &Options) -> Result<Option<ClientTls>, Failure> {
    let trust = match (options.tls, &options.ca_file) {
        (Tls::Never, _) => return Ok(None),
        (_, Some(path)) => Trust::CaFile(path.clone()),
        (Tls::Try, None) => Trust::AnyCertificate,
        (Tls::Require | Tls::Implicit, None) if options.insecure => Trust::AnyCertificate,
        (Tls::Require | Tls::Implicit, None) => Trust::System,
    };
    let name = options.tls_name.as_deref().unwrap_or(&options.server.host);
    ClientTls::new(&trust, name).map(Some).map_err(|error| Failure::new(Exit::Config, error))
}

/// No wait longer than `limit`.
fn at_most(mut timeouts: Timeouts, limit: Duration) -> Timeouts {
    let Timeouts { greeting, login, command, transfer, quit, .. } = &mut timeouts;
    for timeout in [greeting, login, command, transfer, quit] {
        *timeout = limit.min(*timeout);
    }
    timeouts
}

//! One connection: made, encrypted and logged in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mail_wire::sasl::Credentials;
use mailwright::client::connect::{self, look_up};
use mailwright::client::exit::{Exit, Failure};
use mailwright::client::options::{first_line, settings};
use mailwright::client::transcript::Tapped;
use mailwright::driver::{Closed, Conn};
use pop3_proto::client::{Client, ClientConfig, ClientError, Event, Timeouts};
use tokio::net::TcpStream;

use crate::options::Options;
use crate::transcript::Tap;

pub(crate) type Connection = Conn<Tapped<Client, Tap>, TcpStream>;

/// Connects, and goes as far as the first command.
pub(crate) async fn open(options: &Options) -> Result<Connection, Failure> {
    let mut config = ClientConfig::new().with_tls(options.tls.into()).with_credentials(credentials(options)?);
    if !options.auth.is_empty() {
        config.mechanisms = options.auth.iter().copied().collect();
        (config.apop, config.user_pass) = (false, false);
    }
    config.plaintext_auth_without_tls = options.plaintext_auth;
    config.pipelining = !options.no_pipelining;
    config.quirks = options.quirks();
    let limit = options.timeout.map(|limit| limit.0);
    if let Some(limit) = limit {
        config.timeouts = at_most(config.timeouts, limit);
    }
    let own = options.certificate.as_deref().zip(options.key.as_deref());
    let tls = options.certificates.tls_with(options.tls, &options.server.host, own)?;
    let stream = connect(options).await?;
    let mut random = [0; Client::RANDOM];
    getrandom::fill(&mut random).map_err(|error| Failure::new(Exit::OsErr, error))?;
    let tapped = Tapped::new(Client::new(config, random, Instant::now()), options.verbose);
    let mut conn = Conn::new(tapped, stream, Arc::new(settings(tls, limit)));
    loop {
        match conn.next().await.map_err(|closed| failure(&conn, closed))? {
            Event::Ready => return Ok(conn),
            Event::Unencrypted { .. } if !options.quiet => {
                eprintln!("pop3-fetch: no TLS, as --tls try allows")
            }
            _ => {}
        }
    }
}

fn credentials(options: &Options) -> Result<Credentials, Failure> {
    let user = options.user.as_str();
    Ok(match (&options.password_file, &options.token_file) {
        (Some(path), _) => Credentials::password(user, first_line(path)?),
        (None, Some(path)) => Credentials::token(user, first_line(path)?),
        (None, None) => Credentials::External { authzid: Some(user.to_owned()) },
    })
}

async fn connect(options: &Options) -> Result<TcpStream, Failure> {
    let addresses = look_up(&options.server.host, options.port()).await?;
    let limit = options.timeout.map_or(connect::TIMEOUT, |limit| limit.0);
    let stream = connect::first(&addresses, limit, async |address| TcpStream::connect(address).await).await?;
    // Commands gather before they are written, so there is nothing that Nagle's algorithm could gather.
    stream.set_nodelay(true).map_err(|error| Failure::new(Exit::OsErr, error))?;
    Ok(stream)
}

/// Why the connection ended, with what the server said right before, as far as that was of no other use.
pub(crate) fn failure(conn: &Connection, closed: Closed<ClientError>) -> Failure {
    let mut failure = Failure::from(closed);
    if let Some(reply) = conn.client.capabilities_refusal() {
        failure.text += &format!("\n(the server said before: {reply})");
    }
    failure
}

/// No wait longer than `limit`.
fn at_most(mut timeouts: Timeouts, limit: Duration) -> Timeouts {
    let Timeouts { greeting, login, command, transfer, quit, .. } = &mut timeouts;
    for timeout in [greeting, login, command, transfer, quit] {
        *timeout = limit.min(*timeout);
    }
    timeouts
}

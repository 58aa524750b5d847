//! One connection: made, greeted, logged in, and used for one message after another.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use mail_wire::Secret;
use mail_wire::sasl::Credentials;
use mailwright::driver::{Conn, Settings};
use mailwright::tls::{ClientTls, Trust};
use smtp_proto::client::{Client, ClientConfig, Event, Outcome, Timeouts};
use smtp_proto::types::{HelloName, Protocol};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::exit::{Exit, Failure};
use crate::message::Message;
use crate::options::{Options, Target, Tls};
use crate::transcript::Tapped;

/// How long to try to connect to one address.
const CONNECT: Duration = Duration::from_secs(30);

/// Where to connect and how: made once, used for each connection.
#[derive(Debug)]
pub(crate) struct Route {
    addresses: Vec<Address>,
    config: ClientConfig,
    /// What to say in EHLO, where it is not our address.
    hello: Option<HelloName>,
    settings: Arc<Settings>,
    connect_timeout: Duration,
    verbose: bool,
}

#[derive(Debug)]
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Route {
    /// Reads what is to be read, and looks up the server.
    pub(crate) async fn of(options: &Options) -> Result<Self, Failure> {
        let host = match &options.server {
            Target::Tcp { host, .. } => host.as_str(),
            Target::Unix(_) => "localhost",
        };
        let hello = HelloName::parse("localhost").map_err(|error| Failure::new(Exit::Software, error))?;
        let mut config = ClientConfig::new(hello).with_tls(options.tls().into());
        if options.lmtp {
            config.protocol = Protocol::Lmtp;
        }
        if let Some(user) = &options.user {
            config.credentials = Some(credentials(options, user)?);
        }
        if !options.auth.is_empty() {
            config.mechanisms = options.auth.iter().copied().collect();
        }
        config.plaintext_auth_without_tls = options.plaintext_auth;
        config.pipelining = !options.no_pipelining;
        config.chunking = options.chunking.into();
        let mut settings = Settings::client();
        if let Some(tls) = client_tls(options, host)? {
            settings = settings.with_tls(tls);
        }
        let mut connect_timeout = CONNECT;
        if let Some(limit) = options.timeout {
            config.timeouts = at_most(config.timeouts, limit.0);
            settings.handshake_timeout = settings.handshake_timeout.min(limit.0);
            settings.write_timeout = settings.write_timeout.min(limit.0);
            connect_timeout = limit.0;
        }
        Ok(Self {
            addresses: look_up(options).await?,
            config,
            hello: options.hello.clone(),
            settings: Arc::new(settings),
            connect_timeout,
            verbose: options.verbose,
        })
    }

    async fn connect(&self) -> Result<Stream, Failure> {
        let mut failure = Failure::new(Exit::NoHost, "expected an address to connect to, found none");
        for address in &self.addresses {
            let connecting = async {
                match address {
                    Address::Tcp(address) => TcpStream::connect(address).await.map(Stream::Tcp),
                    Address::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
                }
            };
            let why = match tokio::time::timeout(self.connect_timeout, connecting).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {:?}", self.connect_timeout),
            };
            failure = Failure::new(Exit::TempFail, format!("expected to connect to {address}, found: {why}"));
        }
        Err(failure)
    }
}

impl core::fmt::Display for Address {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

async fn look_up(options: &Options) -> Result<Vec<Address>, Failure> {
    let (host, port) = match &options.server {
        Target::Unix(path) => return Ok(vec![Address::Unix(path.clone())]),
        Target::Tcp { host, port } => (host, port.unwrap_or(options.default_port())),
    };
    let no_host =
        |why: &str| Failure::new(Exit::NoHost, format!("expected addresses of {host}, found: {why}"));
    let found = tokio::net::lookup_host((host.as_str(), port)).await;
    let addresses: Vec<Address> =
        found.map_err(|error| no_host(&error.to_string()))?.map(Address::Tcp).collect();
    if addresses.is_empty() { Err(no_host("none")) } else { Ok(addresses) }
}

fn credentials(options: &Options, user: &str) -> Result<Credentials, Failure> {
    match (&options.password_file, &options.token_file) {
        (Some(path), _) => Ok(Credentials::password(user, first_line(path)?)),
        (None, Some(path)) => Ok(Credentials::token(user, first_line(path)?)),
        (None, None) => Err(Failure::new(Exit::Usage, "--user needs --password-file or --token-file")),
    }
}

fn first_line(path: &Path) -> Result<Secret, Failure> {
    let failure = |why: &str| {
        Failure::new(Exit::Config, format!("expected a password in {}, found: {why}", path.display()))
    };
    let content = Secret::new(std::fs::read(path).map_err(|error| failure(&error.to_string()))?);
    let line = content.expose().split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() { Err(failure("an empty first line")) } else { Ok(Secret::new(line)) }
}

fn client_tls(options: &Options, host: &str) -> Result<Option<ClientTls>, Failure> {
    let trust = match (options.tls(), &options.ca_file) {
        (Tls::Never, _) => return Ok(None),
        (_, Some(path)) => Trust::CaFile(path.clone()),
        (Tls::Try, None) => Trust::AnyCertificate,
        (Tls::Require | Tls::Implicit, None) if options.insecure => Trust::AnyCertificate,
        (Tls::Require | Tls::Implicit, None) => Trust::System,
    };
    let name = options.tls_name.as_deref().unwrap_or(host);
    ClientTls::new(&trust, name).map(Some).map_err(|error| Failure::new(Exit::Config, error))
}

/// No wait longer than `limit`.
fn at_most(mut timeouts: Timeouts, limit: Duration) -> Timeouts {
    let Timeouts { greeting, mail, rcpt, data, block, termination, command, quit, .. } = &mut timeouts;
    for timeout in [greeting, mail, rcpt, data, block, termination, command, quit] {
        *timeout = limit.min(*timeout);
    }
    timeouts
}

/// A connection that is ready for messages.
pub(crate) struct Session {
    conn: Conn<Tapped, Stream>,
    /// Messages that were sent over it.
    sent: u64,
}

/// What became of a message.
pub(crate) enum Delivery {
    /// The server has answered for each recipient.
    Done(Outcome),
    /// The server takes no more on this connection; nothing was sent.
    Spent,
}

impl Session {
    /// Connects, and goes as far as the first message.
    pub(crate) async fn open(route: &Route) -> Result<Self, Failure> {
        let stream = route.connect().await?;
        let mut config = route.config.clone();
        config.hello = match &route.hello {
            Some(hello) => hello.clone(),
            None => stream.literal().unwrap_or(config.hello),
        };
        let mut random = [0; Client::RANDOM];
        if config.credentials.is_some() {
            getrandom::fill(&mut random).map_err(|error| Failure::new(Exit::OsErr, error))?;
        }
        let client = Client::new(config, random, Instant::now());
        let tapped = Tapped::new(client, route.verbose);
        let mut session = Self { conn: Conn::new(tapped, stream, Arc::clone(&route.settings)), sent: 0 };
        loop {
            match session.conn.next().await? {
                Event::Ready => return Ok(session),
                Event::Unencrypted { refusal: Some(reply) } if route.verbose => {
                    eprintln!("-- no TLS: {reply}")
                }
                _ => {}
            }
        }
    }

    /// Sends a message.
    pub(crate) async fn deliver(&mut self, message: &Message) -> Result<Delivery, Failure> {
        if self.sent > 0 && self.has_ended().await {
            return Ok(Delivery::Spent);
        }
        match self.conn.client.send(message.transaction.clone()) {
            Ok(_) => {}
            Err(error) if error.needs_reconnect() && self.sent > 0 => return Ok(Delivery::Spent),
            Err(error) => return Err(error.into()),
        }
        let mut reader = message.content.reader();
        loop {
            match self.conn.next().await? {
                Event::Body => {
                    // After a failure here the connection is dropped, so that no part passes for the whole.
                    let taken = self.conn.client.write_body(reader.block()?)?;
                    reader.take(taken);
                    if reader.is_at_end() {
                        self.conn.client.finish_body()?;
                    }
                }
                Event::Sent(outcome) => {
                    self.sent += 1;
                    return Ok(Delivery::Done(outcome));
                }
                _ => {}
            }
        }
    }

    /// Whether the server has closed the connection behind the message before: many take a few, and go.
    async fn has_ended(&mut self) -> bool {
        tokio::select! {
            biased;
            event = self.conn.next() => event.is_err(),
            () = std::future::ready(()) => false,
        }
    }

    /// Ends the connection in order, as far as the server has it.
    pub(crate) async fn close(mut self) {
        if self.conn.client.quit().is_ok() {
            while self.conn.next().await.is_ok() {}
        }
    }
}

/// A TCP or Unix connection.
#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Our address as a client names it (RFC 5321 §4.1.3).
    fn literal(&self) -> Option<HelloName> {
        let Self::Tcp(stream) = self else { return None };
        // Nagle's algorithm would hold back the end of a message until its beginning is acknowledged.
        stream.set_nodelay(true).ok()?;
        let text = match stream.local_addr().ok()?.ip().to_canonical() {
            IpAddr::V4(v4) => format!("[{v4}]"),
            IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
        };
        HelloName::parse(&text).ok()
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

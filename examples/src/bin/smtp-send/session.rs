//! One connection: made, greeted, logged in, and used for one message after another.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use mail_wire::sasl::Credentials;
use mailwright::client::connect;
use mailwright::client::exit::{Exit, Failure};
use mailwright::client::options::{first_line, settings};
use mailwright::client::transcript::Tapped;
use mailwright::driver::{Conn, Settings};
use smtp_proto::client::{Client, ClientConfig, Event, Outcome, Timeouts};
use smtp_proto::types::{HelloName, Protocol};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::message::Message;
use crate::options::{Options, Target};
use crate::transcript::Tap;

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
            Target::Tcp(server) => server.host.as_str(),
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
        let limit = options.timeout.map(|limit| limit.0);
        if let Some(limit) = limit {
            config.timeouts = at_most(config.timeouts, limit);
        }
        let settings = settings(options.certificates.tls(options.tls(), host)?, limit);
        Ok(Self {
            addresses: look_up(options).await?,
            config,
            hello: options.hello.clone(),
            settings: Arc::new(settings),
            connect_timeout: limit.unwrap_or(connect::TIMEOUT),
            verbose: options.verbose,
        })
    }

    async fn connect(&self) -> Result<Stream, Failure> {
        connect::first(&self.addresses, self.connect_timeout, async |address| match address {
            Address::Tcp(address) => TcpStream::connect(address).await.map(Stream::Tcp),
            Address::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
        })
        .await
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
    match &options.server {
        Target::Unix(path) => Ok(vec![Address::Unix(path.clone())]),
        Target::Tcp(server) => {
            let port = server.port.unwrap_or(options.default_port());
            let addresses = connect::look_up(&server.host, port).await?;
            Ok(addresses.into_iter().map(Address::Tcp).collect())
        }
    }
}

fn credentials(options: &Options, user: &str) -> Result<Credentials, Failure> {
    let standard_input = Some(Path::new("-"));
    if options.file.as_deref() == standard_input
        && [&options.password_file, &options.token_file].map(|file| file.as_deref()).contains(&standard_input)
    {
        let text = "expected one thing from standard input, found the message and the password";
        return Err(Failure::new(Exit::Usage, text));
    }
    match (&options.password_file, &options.token_file) {
        (Some(path), _) => Ok(Credentials::password(user, first_line(path)?)),
        (None, Some(path)) => Ok(Credentials::token(user, first_line(path)?)),
        (None, None) => Err(Failure::new(Exit::Usage, "--user needs --password-file or --token-file")),
    }
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
    conn: Conn<Tapped<Client, Tap>, Stream>,
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

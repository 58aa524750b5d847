//! One listener: accepts connections and keeps their sessions.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pop3_proto::server as pop3_server;
use pop3_proto::types::Refusal as PopRefusal;
use smtp_proto::server::{Peer, Server, ServerConfig};
use smtp_proto::types::Refusal;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{Instrument, info, info_span, warn};

use super::pop3;
use super::session::{self, told};
use super::shared::Shared;
use crate::config::Network;
use crate::driver::{Conn, Settings};
use crate::service::Service;

/// How long to wait when the system has no room for another connection.
const BREATH: Duration = Duration::from_millis(100);
/// Connections that the system holds while the listener is busy.
const BACKLOG: u32 = 1024;

/// What a listener serves, and how.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) service: Service,
    pub(super) machines: Machines,
    pub(super) settings: Arc<Settings>,
    pub(super) office: Arc<Shared>,
}

/// What a connection is served by.
#[derive(Debug, Clone)]
pub(super) enum Machines {
    /// SMTP and its kin.
    Smtp {
        direct: Arc<ServerConfig>,
        /// Where a PROXY protocol header comes first.
        proxied: Arc<ServerConfig>,
    },
    /// POP3.
    Pop3 {
        direct: Arc<pop3_server::ServerConfig>,
        /// Where a PROXY protocol header comes first.
        proxied: Arc<pop3_server::ServerConfig>,
    },
}

/// A connection being served.
enum Session {
    Smtp(session::Session),
    Pop3(pop3::Session),
}

/// A listener whose connections come without Nagle's algorithm: replies are gathered before they are written, so there is
/// nothing for it to gather, and a connection inherits the option.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
    socket.set_reuseaddr(true)?;
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Endpoint {
    /// Serves until told to stop, and then until the last session has ended. Dropping it ends the sessions at once.
    pub(super) async fn serve(self, listener: TcpListener, mut stop: watch::Receiver<bool>) {
        let mut sessions = JoinSet::new();
        let stopped = stop.clone();
        loop {
            tokio::select! {
                biased;
                () = told(&mut stop) => break,
                Some(ended) = sessions.join_next() => {
                    if let Err(error) = ended {
                        warn!(%error, "a session failed");
                    }
                }
                accepted = listener.accept() => match accepted {
                    Ok((stream, address)) => {
                        if let Some(session) = self.admit(stream, address) {
                            let span = info_span!("session", service = %self.service, peer = %address);
                            // Each in a task of its own size.
                            match session {
                                Session::Smtp(smtp) => sessions.spawn(smtp.run(stopped.clone()).instrument(span)),
                                Session::Pop3(pop3) => sessions.spawn(pop3.run(stopped.clone()).instrument(span)),
                            };
                        }
                    }
                    Err(error) => {
                        // Each of these is a matter of that one connection.
                        let theirs = matches!(
                            error.kind(),
                            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                        );
                        if !theirs {
                            warn!(%error, "cannot accept connections for the moment");
                            tokio::time::sleep(BREATH).await;
                        }
                    }
                },
            }
        }
        drop(listener);
        while sessions.join_next().await.is_some() {}
    }

    fn admit(&self, stream: TcpStream, address: SocketAddr) -> Option<Session> {
        let trusted = &self.office.trusted;
        let is_in = |networks: &[Network]| networks.iter().any(|network| network.contains(address.ip()));
        let is_proxied = is_in(&trusted.proxy_protocol);
        let limits = &self.office.limits;
        // A proxy speaks for many, who are known once they are announced.
        let admitted = if is_proxied { limits.admit_unknown() } else { limits.admit(address.ip()) };
        let guard = match admitted {
            Ok(guard) => guard,
            Err(why) => {
                info!(service = %self.service, peer = %address, reason = %why, "connection refused");
                if !self.service.is_implicit_tls() {
                    // As much as the socket takes at once, which is all of it.
                    let told = match self.machines {
                        Machines::Smtp { .. } => format!("{}\r\n", Refusal::TOO_MANY_CONNECTIONS),
                        Machines::Pop3 { .. } => format!("{}\r\n", PopRefusal::TOO_MANY_CONNECTIONS),
                    };
                    let _ = stream.try_write(told.as_bytes());
                }
                return None;
            }
        };
        let mut entropy = [0; 32];
        if let Err(error) = getrandom::fill(&mut entropy) {
            warn!(%error, "no random numbers to be had, connection dropped");
            return None;
        }
        let now = tokio::time::Instant::now().into_std();
        let (office, settings) = (Arc::clone(&self.office), Arc::clone(&self.settings));
        Some(match &self.machines {
            Machines::Smtp { direct, proxied } => {
                let mut peer = Peer::new(address);
                peer.local = stream.local_addr().ok();
                peer.trusted = is_in(&trusted.xclient);
                let machine = if is_proxied { proxied } else { direct };
                let server = Server::new(Arc::clone(machine), peer, entropy, now);
                let conn = Conn::new(server, stream, settings);
                Session::Smtp(session::Session::new(office, conn, guard))
            }
            Machines::Pop3 { direct, proxied } => {
                let mut peer = pop3_server::Peer::new(address);
                peer.local = stream.local_addr().ok();
                let machine = if is_proxied { proxied } else { direct };
                let server = pop3_server::Server::new(Arc::clone(machine), peer, entropy, now);
                let conn = Conn::new(server, stream, settings);
                Session::Pop3(pop3::Session::new(office, conn, guard))
            }
        })
    }
}

//! One listener: accepts connections and keeps their sessions.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use smtp_proto::server::{Peer, Server, ServerConfig};
use smtp_proto::types::Refusal;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{Instrument, info, info_span, warn};

use super::session::{Session, told};
use super::shared::Shared;
use crate::driver::{Conn, Settings};
use crate::limits::ConnectionGuard;
use crate::service::Service;

/// How long to wait when the system has no room for another connection.
const BREATH: Duration = Duration::from_millis(100);

/// What a listener serves, and how.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) service: Service,
    pub(super) config: Arc<ServerConfig>,
    pub(super) settings: Arc<Settings>,
    pub(super) office: Arc<Shared>,
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
                        if let Some((session, guard)) = self.admit(stream, address) {
                            let span = info_span!("session", service = %self.service, peer = %address);
                            let stop = stopped.clone();
                            let served = async move {
                                session.run(stop).await;
                                drop(guard);
                            };
                            sessions.spawn(served.instrument(span));
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

    fn admit(&self, stream: TcpStream, address: SocketAddr) -> Option<(Session, ConnectionGuard)> {
        let guard = match self.office.limits.admit(address.ip()) {
            Ok(guard) => guard,
            Err(why) => {
                info!(service = %self.service, peer = %address, reason = %why, "connection refused");
                if !self.service.is_implicit_tls() {
                    // As much as the socket takes at once, which is all of it.
                    let _ = stream.try_write(format!("{}\r\n", Refusal::TOO_MANY_CONNECTIONS).as_bytes());
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
        let server = Server::new(Arc::clone(&self.config), Peer::new(address), entropy, now);
        let conn = Conn::new(server, stream, Arc::clone(&self.settings));
        Some((Session::new(Arc::clone(&self.office), conn), guard))
    }
}

//! [`PostOffice`]: a mail server as a value.
//!
//! The `postoffice` program is a thin shell around it, and so are tests, this project's and other people's:
//!
//! ```
//! use mailwright::{PostOffice, Service};
//! use std::time::Duration;
//!
//! # async fn send_mail_to(_: std::net::SocketAddr) {}
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let office = PostOffice::builder()
//!     .domain("example.test")
//!     .user("alice", "secret")
//!     .listen(Service::Smtp, "127.0.0.1:0")
//!     .start()
//!     .await?;
//! send_mail_to(office.addr(Service::Smtp).unwrap()).await; // whatever is under test
//! # let _ =
//! office.wait_for(|mail| mail.subject() == "Welcome", Duration::from_millis(1)).await;
//! # Ok::<(), mailwright::office::StartError>(())
//! # }).unwrap();
//! ```
//!
//! Mail lies in memory unless a folder is [given](Builder::data), where it is kept in Maildirs, mboxes or MH folders. What arrived can be [waited for](PostOffice::wait_for);
//! failures can be [scripted](FaultRule). Everything stops when the value is dropped.

mod arrivals;
mod builder;
mod faults;
mod listener;
mod penalties;
mod policy;
mod pop3;
mod session;
mod settings;
mod shared;
mod start_error;
mod store;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use arrivals::{Mail, WaitError};
pub use builder::Builder;
pub use faults::{FaultPoint, FaultRule, Stage};
pub use start_error::StartError;

pub use crate::delivery::RulesError;

use crate::delivery::Sink;
use crate::service::Service;
use shared::Shared;

/// A mail server that runs. See the [module docs](self).
///
/// Dropping it closes its listeners and cuts all connections off; [`shutdown`](Self::shutdown) is kinder.
#[derive(Debug)]
#[must_use = "a post office stops when it is dropped"]
pub struct PostOffice {
    shared: Arc<Shared>,
    bound: Vec<Bound>,
    tasks: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    grace: Duration,
    certificate: Option<String>,
}

/// A listener that is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bound {
    /// What it serves.
    pub service: Service,
    /// Where, with the port taken.
    pub address: SocketAddr,
}

impl PostOffice {
    /// Begins to put one together: for `localhost`, with no user and no listener, keeping mail in memory.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The address of the first listener for that service.
    pub fn addr(&self, service: Service) -> Option<SocketAddr> {
        self.bound.iter().find(|bound| bound.service == service).map(|bound| bound.address)
    }

    /// All listeners, in the order they were given.
    pub fn listeners(&self) -> &[Bound] {
        &self.bound
    }

    /// The certificate as PEM, where it was made here: for clients to trust.
    pub fn certificate_pem(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.shared.limits.in_use()
    }

    /// What arrived and is remembered, oldest first. What the rules of its recipient dropped has not arrived.
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.arrivals.all()
    }

    /// Forgets what arrived. Files stay.
    pub fn forget(&self) {
        self.shared.arrivals.clear();
    }

    /// Waits for a message that fits; one that arrived before counts too.
    ///
    /// # Errors
    ///
    /// [`WaitError`], which tells what did arrive.
    pub async fn wait_for(
        &self,
        fits: impl FnMut(&Mail) -> bool,
        timeout: Duration,
    ) -> Result<Mail, WaitError> {
        self.shared.arrivals.wait_for(fits, timeout).await
    }

    /// Messages and bytes that were dropped, where all is [discarded](Builder::discard).
    pub fn discarded(&self) -> (u64, u64) {
        match &self.shared.sink {
            Sink::Discard(counter) => counter.totals(),
            _ => (0, 0),
        }
    }

    /// Stops in order: no more connections are taken, messages under way are finished, all others are told 421. What is
    /// not done after the configured time (30 seconds by default) is cut off.
    pub async fn shutdown(mut self) {
        // Nobody listens only where no session and no listener is left.
        let _ = self.stop.send(true);
        let tasks = std::mem::take(&mut self.tasks);
        let aborts: Vec<_> = tasks.iter().map(JoinHandle::abort_handle).collect();
        let all = async {
            for task in tasks {
                // A listener that failed has stopped too.
                let _ = task.await;
            }
        };
        if tokio::time::timeout(self.grace, all).await.is_err() {
            tracing::warn!(connections = self.connections(), "messages under way were cut off");
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
    }
}

impl Drop for PostOffice {
    fn drop(&mut self) {
        self.shared.sink.stop();
        for task in &self.tasks {
            task.abort();
        }
    }
}

//! [`StartError`]: why a post office cannot be started.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use maildrop::store::StoreFormat;

use crate::delivery::RulesError;
use crate::service::{ListenError, Service};
use crate::tls::{SelfSignedError, TlsError};
use crate::users::{UserError, UsersFileError};

/// Why a post office cannot be started. All of these are for whoever configured it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A listener is none.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A domain or the host name is none.
    #[error("expected a domain name such as example.test, found {found:?}")]
    Domain {
        /// What was found.
        found: String,
    },
    /// There is no domain whose mail is ours.
    #[error("expected a domain at least whose mail is ours, found none")]
    NoDomain,
    /// A user cannot be.
    #[error("user {name:?}: {error}")]
    User {
        /// The name.
        name: String,
        /// What is wrong.
        error: UserError,
    },
    /// There is nobody to get mail.
    #[error("there are no users, so there is nobody to get mail: name one, or a file that has one")]
    NoUsers,
    /// The users file cannot be taken.
    #[error(transparent)]
    UsersFile(#[from] UsersFileError),
    /// Postmaster is nobody.
    #[error("expected postmaster to be one of the users, found {found:?}")]
    Postmaster {
        /// The name.
        found: String,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No certificate could be made.
    #[error(transparent)]
    SelfSigned(#[from] SelfSignedError),
    /// A certificate without its key, or a key without its certificate.
    #[error("expected a TLS certificate and its key, found only one of them")]
    HalfTls,
    /// A service that cannot do without TLS.
    #[error("expected TLS for {0}, found it switched off")]
    NeedsTls(Service),
    /// A service that asks everybody to log in, where nobody can.
    #[error("expected SASL mechanisms for {0} that are allowed and serve all users, found none")]
    NoMechanism(Service),
    /// The data folder cannot be used.
    #[error("expected to keep data in {path}, found: {error}")]
    Data {
        /// The folder or file.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// A store on disk without a folder for it.
    #[error("expected a data folder (`data`) for the store {0}, found none")]
    NoData(StoreFormat),
    /// Lines of an mbox and of MH end with LF.
    #[error("expected line_endings = \"lf\" for the store {0}, found \"crlf\"")]
    LineEndings(StoreFormat),
    /// A store that cannot tell mail that was seen from mail that another program has put there, so that nothing in it may
    /// expire.
    #[error(
        "expected expire = \"never\" for the store {0}, which does not tell for sure what was seen, found a number of days"
    )]
    Expire(StoreFormat),
    /// A quota that would not be heeded.
    #[error(
        "expected store = \"maildir\" for the quota in {path}, found {store}, which knows no quotas: remove that file, or the quota"
    )]
    Quota {
        /// The `maildirsize` of a Maildir.
        path: PathBuf,
        /// The store.
        store: StoreFormat,
    },
    /// The system has no randomness.
    #[error("expected random numbers from the system, found: {0}")]
    Random(String),
    /// An address cannot be listened at.
    #[error("expected to listen for {service} at {address}, found: {error}")]
    Bind {
        /// The service.
        service: Service,
        /// The address.
        address: SocketAddr,
        /// What happened.
        error: io::Error,
    },
    /// Rc files cannot be obeyed as asked.
    #[error(transparent)]
    Filter(#[from] RulesError),
    /// A thread could not be started.
    #[error("expected to start a thread, found: {0}")]
    Thread(#[source] io::Error),
}

impl StartError {
    /// The keys of the configuration that it is about, each as its way through the tables. The first that is set is where to
    /// look.
    pub fn keys(&self) -> Vec<Vec<&str>> {
        match self {
            Self::Listen(_) | Self::Bind { .. } => vec![vec!["listen"]],
            Self::Domain { .. } | Self::NoDomain => vec![vec!["hostname"], vec!["domains"]],
            Self::User { name, .. } => vec![vec!["users", name]],
            // The users file is told with the line in it.
            Self::NoUsers | Self::UsersFile(_) | Self::Thread(_) | Self::Random(_) => Vec::new(),
            Self::Postmaster { .. } => vec![vec!["postmaster"]],
            Self::Tls(_) | Self::HalfTls => {
                vec![vec!["tls", "certificate"], vec!["tls", "key"], vec!["tls", "client_ca"]]
            }
            Self::SelfSigned(_) | Self::NeedsTls(_) => vec![vec!["tls", "enabled"]],
            Self::NoMechanism(_) => vec![vec!["auth", "mechanisms"]],
            Self::Data { .. } => vec![vec!["data"]],
            Self::LineEndings(_) => vec![vec!["line_endings"], vec!["store"]],
            Self::Expire(_) => vec![vec!["pop3", "expire"], vec!["store"]],
            Self::NoData(_) | Self::Quota { .. } | Self::Filter(RulesError::InMemory { .. }) => {
                vec![vec!["store"]]
            }
            Self::Filter(RulesError::NobodyToRunAs) => vec![vec!["filter", "programs"]],
            Self::Filter(_) => vec![vec!["filter", "run_as"]],
        }
    }
}

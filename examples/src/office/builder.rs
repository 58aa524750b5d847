//! [`Builder`]: a post office being put together.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mail_wire::Secret;
use mail_wire::sasl::{Mechanism, MechanismSet};
use smtp_proto::server::{self, EarlyTalkers, NulPolicy, Protocol, ServerConfig, ServerLimits};
use smtp_proto::types::{Domain, Limits};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

use super::arrivals::Arrivals;
use super::faults::{FaultRule, FaultScript};
use super::listener::Endpoint;
use super::shared::Shared;
use super::{Bound, PostOffice};
use crate::config::{BareNewlines, Config, LineEndings, Nul};
use crate::delivery::{MailStore, Sink};
use crate::driver::Settings;
use crate::limits::ConnectionLimits;
use crate::service::{Listen, ListenError, Service};
use crate::tls::{SelfSigned, SelfSignedError, ServerTls, TlsError};
use crate::users::{StoredPassword, UserError, Users, UsersFileError};

/// How many arrivals are remembered for [`PostOffice::wait_for`], unless told otherwise.
const REMEMBERED: usize = 1000;
/// How much memory arrivals may take together, where mail is kept in memory.
const REMEMBERED_BYTES: u64 = 256 << 20;
/// Connections that the system holds while the listener is busy.
const BACKLOG: u32 = 1024;

/// A post office being put together. See [`PostOffice::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing before `start`"]
pub struct Builder {
    config: Config,
    store: Store,
    users: Vec<(String, Secret)>,
    domains: Vec<String>,
    listen: Vec<Result<Listen, ListenError>>,
    tls: Option<ServerTls>,
    faults: Vec<FaultRule>,
    disk_faults: Option<Arc<dyn maildrop::Faults>>,
    remember: usize,
}

#[derive(Debug)]
enum Store {
    Memory,
    /// In the data folder of the configuration.
    Data,
}

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
    /// The data folder cannot be used.
    #[error("expected to keep data in {path}, found: {error}")]
    Data {
        /// The folder or file.
        path: PathBuf,
        /// What happened.
        error: io::Error,
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
    /// A thread could not be started.
    #[error("expected to start a thread, found: {0}")]
    Thread(#[source] io::Error),
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            config: Config::default(),
            store: Store::Memory,
            users: Vec::new(),
            domains: Vec::new(),
            listen: Vec::new(),
            tls: None,
            faults: Vec::new(),
            disk_faults: None,
            remember: REMEMBERED,
        }
    }

    /// Takes a whole configuration; what is called besides goes on top of it. Mail is kept in its data folder.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self.store = Store::Data;
        self
    }

    /// Adds a domain whose mail is ours; the first also names the server. `localhost` if none is given.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domains.push(domain.into());
        self
    }

    /// Sets the name of the server in greetings and trace fields.
    pub fn hostname(mut self, name: impl Into<String>) -> Self {
        self.config.hostname = Some(name.into());
        self
    }

    /// Adds a user with a password as it is.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<Secret>) -> Self {
        self.users.push((name.into(), password.into()));
        self
    }

    /// Adds the users of a file in Dovecot's passwd-file form.
    pub fn users_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.users_file = Some(path.into());
        self
    }

    /// Says who gets mail for postmaster; the first user if nobody is named.
    pub fn postmaster(mut self, user: impl Into<String>) -> Self {
        self.config.postmaster = Some(user.into());
        self
    }

    /// Keeps mail in Maildirs below this folder: `mail/USER/Maildir`.
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.config.data = folder.into();
        self.store = Store::Data;
        self
    }

    /// Keeps mail in memory, as is the default. Only so much of it: the oldest is forgotten first.
    pub fn in_memory(mut self) -> Self {
        self.store = Store::Memory;
        self
    }

    /// Counts messages and drops them.
    pub fn discard(mut self) -> Self {
        self.config.discard = true;
        self
    }

    /// Adds a listener: `listen(Service::Smtp, "127.0.0.1:0")`. Port 0 takes any that is free; see
    /// [`PostOffice::addr`].
    pub fn listen(mut self, service: Service, address: impl AsRef<str>) -> Self {
        let address = address.as_ref();
        let parsed = address.parse().map_err(|_| ListenError::Address(address.to_owned()));
        self.listen.push(parsed.map(|address| Listen { service, address }));
        self
    }

    /// Sets certificate and key. Without, a self-signed certificate is made: see [`PostOffice::certificate_pem`].
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self.config.tls.enabled = true;
        self
    }

    /// Offers no TLS. Submission is then open to those who log in without it.
    pub fn no_tls(mut self) -> Self {
        self.config.tls.enabled = false;
        self.config.auth.submission_without_tls = true;
        self.config.auth.plaintext_without_tls = true;
        self
    }

    /// Sets the largest message, in bytes; at least 64 KiB.
    pub fn max_message_size(mut self, bytes: u64) -> Self {
        self.config.limits.message_size.0 = bytes;
        self
    }

    /// Sets how many connections there may be at a time, in all and from one address.
    pub fn max_connections(mut self, total: usize, per_address: usize) -> Self {
        self.config.limits.connections = total;
        self.config.limits.connections_per_address = per_address;
        self
    }

    /// Adds a scripted failure.
    pub fn fault(mut self, rule: FaultRule) -> Self {
        self.faults.push(rule);
        self
    }

    /// Makes the disk fail on purpose, where mail is kept on disk.
    pub fn disk_faults(mut self, faults: Arc<dyn maildrop::Faults>) -> Self {
        self.disk_faults = Some(faults);
        self
    }

    /// Sets how many arrivals are remembered for [`PostOffice::wait_for`]: 1,000 by default.
    pub fn remember(mut self, arrivals: usize) -> Self {
        self.remember = arrivals;
        self
    }

    /// Starts the post office. All listeners are bound when this returns.
    ///
    /// # Errors
    ///
    /// [`StartError`], with what is to be done about it.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn start(mut self) -> Result<PostOffice, StartError> {
        if !self.domains.is_empty() {
            self.config.domains = std::mem::take(&mut self.domains);
        }
        if let Store::Data = self.store {
            let path = &self.config.data;
            std::fs::create_dir_all(path).map_err(|error| StartError::Data { path: path.clone(), error })?;
        }
        let hostname = domain(self.config.hostname())?;
        for name in &self.config.domains {
            domain(name)?;
        }
        let users = self.build_users()?;
        let postmaster = match &self.config.postmaster {
            None => users.names().first().cloned(),
            Some(name) => {
                let found = users.find(name).cloned();
                Some(found.ok_or_else(|| StartError::Postmaster { found: name.clone() })?)
            }
        };
        let (tls, certificate) = self.build_tls()?;
        let limits = &self.config.limits;
        let remembers = self.remember > 0;
        let shared = Shared {
            hostname: hostname.clone(),
            postmaster,
            sink: self.build_sink()?,
            faults: (!self.faults.is_empty()).then(|| FaultScript::new(std::mem::take(&mut self.faults))),
            received_fields: u32::try_from(limits.received_fields).unwrap_or(u32::MAX),
            limits: ConnectionLimits::new(limits.connections, limits.connections_per_address),
            arrivals: Arrivals::new(self.remember, REMEMBERED_BYTES),
            remembers,
            users,
        };
        self.open(Arc::new(shared), hostname, tls.as_ref(), certificate).await
    }

    /// Binds the listeners and sets them going.
    async fn open(
        self,
        shared: Arc<Shared>,
        hostname: Domain,
        tls: Option<&ServerTls>,
        certificate: Option<String>,
    ) -> Result<PostOffice, StartError> {
        let mut wanted = self.config.listen.clone();
        for listen in &self.listen {
            wanted.push(listen.clone()?);
        }
        let settings = Arc::new(self.settings(tls));
        let mut configs: HashMap<Service, Arc<ServerConfig>> = HashMap::new();
        let mut listeners = Vec::with_capacity(wanted.len());
        for Listen { service, address } in wanted {
            if let std::collections::hash_map::Entry::Vacant(vacant) = configs.entry(service) {
                vacant.insert(Arc::new(self.server_config(
                    service,
                    hostname.clone(),
                    &shared,
                    tls.is_some(),
                )?));
            }
            let failed = |error| StartError::Bind { service, address, error };
            let listener = bind(address).map_err(failed)?;
            let bound = Bound { service, address: listener.local_addr().map_err(failed)? };
            listeners.push((bound, listener));
        }
        let (stop, stopped) = watch::channel(false);
        let mut office = PostOffice {
            shared: Arc::clone(&shared),
            bound: Vec::new(),
            tasks: Vec::new(),
            stop,
            grace: self.config.timeouts.shutdown.0,
            certificate,
        };
        for (bound, listener) in listeners {
            let endpoint = Endpoint {
                service: bound.service,
                config: Arc::clone(&configs[&bound.service]),
                settings: Arc::clone(&settings),
                office: Arc::clone(&shared),
            };
            office.bound.push(bound);
            office.tasks.push(tokio::spawn(endpoint.serve(listener, stopped.clone())));
        }
        if let Sink::Disk { store, .. } = &shared.sink {
            office.tasks.push(tokio::spawn(clean_daily(store.clone(), stopped)));
        }
        Ok(office)
    }

    fn build_users(&mut self) -> Result<Users, StartError> {
        let key = match self.store {
            Store::Memory => random_key()?,
            Store::Data => kept_key(&self.config.data)?,
        };
        let mut users = Users::new(self.config.domains.clone(), key);
        for (name, password) in std::mem::take(&mut self.users) {
            users
                .add(&name, StoredPassword::plain(password))
                .map_err(|error| StartError::User { name: name.clone(), error })?;
        }
        for (name, password) in &self.config.users {
            let text = password.expose_str().unwrap_or_default();
            // In this file a bare password is one: braces or dollars show what is not.
            let password = match text.starts_with(['{', '$']) {
                true => StoredPassword::parse(text).map_err(UserError::from),
                false => Ok(StoredPassword::plain(password.clone())),
            };
            password
                .and_then(|password| users.add(name, password))
                .map_err(|error| StartError::User { name: name.clone(), error })?;
        }
        if let Some(path) = &self.config.users_file {
            users.read_file(path)?;
        }
        // Postmaster must always have somebody who gets the mail.
        if users.names().is_empty() {
            return Err(StartError::NoUsers);
        }
        Ok(users)
    }

    /// TLS, and the certificate where it was made here.
    fn build_tls(&mut self) -> Result<(Option<ServerTls>, Option<String>), StartError> {
        if !self.config.tls.enabled {
            return Ok((None, None));
        }
        if let Some(tls) = self.tls.take() {
            return Ok((Some(tls), None));
        }
        let names =
            || std::iter::once(self.config.hostname()).chain(self.config.domains.iter().map(String::as_str));
        match (&self.config.tls.certificate, &self.config.tls.key, &self.store) {
            (Some(certificate), Some(key), _) => {
                let tls = match &self.config.tls.client_ca {
                    None => ServerTls::from_pem_files(certificate, key),
                    Some(ca) => ServerTls::from_pem_files_with_client_ca(certificate, key, ca),
                };
                Ok((Some(tls?), None))
            }
            (None, None, Store::Memory) => {
                let made = SelfSigned::generate(distinct(names()))?;
                Ok((Some(ServerTls::from_self_signed(&made)?), Some(made.certificate_pem().to_owned())))
            }
            (None, None, Store::Data) => {
                let folder = self.config.data.join("tls");
                let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
                if !certificate.exists() && !key.exists() {
                    let failed = |error| StartError::Data { path: folder.clone(), error };
                    std::fs::create_dir_all(&folder).map_err(failed)?;
                    SelfSigned::generate(distinct(names()))?.write(&certificate, &key)?;
                }
                let pem = std::fs::read_to_string(&certificate)
                    .map_err(|error| StartError::Data { path: certificate.clone(), error })?;
                Ok((Some(ServerTls::from_pem_files(&certificate, &key)?), Some(pem)))
            }
            _ => Err(StartError::HalfTls),
        }
    }

    fn build_sink(&self) -> Result<Sink, StartError> {
        if self.config.discard {
            return Ok(Sink::Discard(Arc::default()));
        }
        let Store::Data = self.store else { return Ok(Sink::Memory) };
        let line_endings = match self.config.line_endings {
            LineEndings::Lf => maildrop::LineEndings::ToLf,
            LineEndings::Crlf => maildrop::LineEndings::Keep,
        };
        let root = self.config.data.join("mail");
        MailStore::new(&root, line_endings, self.disk_faults.clone())
            .map(Sink::disk)
            .map_err(StartError::Thread)
    }

    fn settings(&self, tls: Option<&ServerTls>) -> Settings {
        let timeouts = &self.config.timeouts;
        let mut settings = Settings::new();
        settings.tls = tls.cloned().map(Into::into);
        settings.handshake_timeout = timeouts.handshake.0;
        settings.write_timeout = timeouts.write.0;
        settings
    }

    fn server_config(
        &self,
        service: Service,
        hostname: Domain,
        shared: &Shared,
        tls: bool,
    ) -> Result<ServerConfig, StartError> {
        let config = &self.config;
        if service.is_implicit_tls() && !tls {
            return Err(StartError::NeedsTls(service));
        }
        if service.is_submission() && !tls && !config.auth.submission_without_tls {
            return Err(StartError::NeedsTls(service));
        }
        let mut server = ServerConfig::new(hostname);
        server.implicit_tls = service.is_implicit_tls();
        server.extensions.starttls = tls && !service.is_implicit_tls();
        // There is nobody here who could send reports.
        server.extensions.dsn = false;
        // Binary content does not survive a change of line endings.
        server.extensions.binary_mime = config.line_endings == LineEndings::Crlf;
        if service == Service::Lmtp {
            server.protocol = Protocol::Lmtp;
        } else {
            let mut mechanisms = shared.users.mechanisms();
            if config.tls.client_ca.is_some() {
                mechanisms.insert(Mechanism::External);
            }
            server.mechanisms = mechanisms.intersection(config.auth.mechanisms.unwrap_or(MechanismSet::ALL));
        }
        // RFC 9422 §4.2
        let recipients = u32::try_from(config.limits.recipients.max(100)).unwrap_or(u32::MAX);
        server.extensions.limits = Limits::NONE.with_rcpt_max(recipients);
        server.require_auth = service.is_submission();
        server.require_tls = service.is_submission() && !config.auth.submission_without_tls;
        server.plaintext_auth_without_tls = config.auth.plaintext_without_tls;
        server.bare_newlines = match config.smtp.bare_newlines {
            BareNewlines::Reject => server::BareNewlines::Reject,
            BareNewlines::Repair => server::BareNewlines::Repair,
            BareNewlines::Keep => server::BareNewlines::Keep,
        };
        server.nul = match config.smtp.nul {
            Nul::Reject => NulPolicy::Reject,
            Nul::Strip => NulPolicy::Strip,
            Nul::Keep => NulPolicy::Keep,
        };
        let wait = config.smtp.early_talker_wait.0;
        if !wait.is_zero() && service == Service::Smtp {
            server.early_talkers = EarlyTalkers::Refuse { wait };
        }
        server.refuse_improper_pipelining = config.smtp.refuse_improper_pipelining;
        server.limits = ServerLimits::default()
            .with_message_size(config.limits.message_size.0)
            .with_recipients(config.limits.recipients)
            .with_errors(config.limits.errors)
            .with_auth_failures(config.limits.auth_failures);
        server.timeouts.command = config.timeouts.command.0;
        server.timeouts.data_block = config.timeouts.data_block.0;
        server.timeouts.send = config.timeouts.write.0;
        server.decoy = shared.users.decoy();
        Ok(server)
    }
}

fn domain(name: &str) -> Result<Domain, StartError> {
    Domain::parse(name).map_err(|_| StartError::Domain { found: name.to_owned() })
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::new();
    for name in names {
        if !distinct.iter().any(|known| known == name) {
            distinct.push(name.to_owned());
        }
    }
    distinct
}

fn random_key() -> Result<Vec<u8>, StartError> {
    let mut key = vec![0; 32];
    getrandom::fill(&mut key).map_err(|error| StartError::Random(error.to_string()))?;
    Ok(key)
}

/// The key that hides which users exist. It is made once, so that what is derived from it stays the same.
fn kept_key(data: &Path) -> Result<Vec<u8>, StartError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    let path = data.join("decoy.key");
    let failed = |error| StartError::Data { path: path.clone(), error };
    match std::fs::read(&path) {
        Ok(key) if key.len() >= 16 => return Ok(key),
        Ok(_) => std::fs::remove_file(&path).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let key = random_key()?;
    // Whole or not at all: another key would show which users are not.
    let draft = data.join("decoy.key.draft");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .map_err(failed)?;
    file.write_all(&key).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&draft, &path).map_err(failed)?;
    Ok(key)
}

/// Cleans `tmp/` of all Maildirs at once, and then once a day.
async fn clean_daily(store: MailStore, mut stop: watch::Receiver<bool>) {
    loop {
        let store = store.clone();
        if tokio::task::spawn_blocking(move || store.clean_tmp()).await.is_err() {
            return;
        }
        let day = tokio::time::sleep(Duration::from_secs(24 * 60 * 60));
        if tokio::time::timeout_at(day.deadline(), stop.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}

/// A listener whose connections come without Nagle's algorithm: replies are gathered before they are written, so there is
/// nothing for it to gather, and a connection inherits the option.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
    socket.set_reuseaddr(true)?;
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

//! [`Builder`]: a post office being put together.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mail_wire::Secret;
use maildrop::store::StoreFormat;
use smtp_proto::types::Domain;
use tokio::sync::watch;

use super::arrivals::Arrivals;
use super::faults::{FaultRule, FaultScript};
use super::listener::{Endpoint, Machines, bind};
use super::penalties::Penalties;
use super::pop3::Maildrops;
use super::shared::Shared;
use super::start_error::StartError;
use super::{Bound, PostOffice, pop3, settings};
use crate::config::{Config, FilterConfig, Network, Pop3Config};
use crate::delivery::{MailStore, Maildirs, Sink};
use crate::limits::ConnectionLimits;
use crate::service::{Listen, ListenError, Service};
use crate::tls::{KeptCertificate, SelfSigned, ServerTls, kept};
use crate::users::{StoredPassword, UserError, Users};

/// How many arrivals are remembered for [`PostOffice::wait_for`], unless told otherwise.
const REMEMBERED: usize = 1000;
/// How much memory mail may take that is kept there, and arrivals together.
pub(super) const REMEMBERED_BYTES: u64 = 256 << 20;

/// A post office being put together. See [`PostOffice::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing before `start`"]
pub struct Builder {
    pub(super) config: Config,
    pub(super) keeping: Keeping,
    /// How mail is stored, if that was said.
    pub(super) store: Option<StoreFormat>,
    users: Vec<(String, Secret)>,
    domains: Vec<String>,
    listen: Vec<Result<Listen, ListenError>>,
    tls: Option<ServerTls>,
    faults: Vec<FaultRule>,
    pub(super) rules: Vec<(String, Vec<u8>)>,
    pub(super) disk_faults: Option<Arc<dyn maildrop::Faults>>,
    pub(super) remember: usize,
}

/// What stays when the post office has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    Nothing,
    /// The data folder of the configuration.
    Data,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            config: Config::default(),
            keeping: Keeping::Nothing,
            store: None,
            users: Vec::new(),
            domains: Vec::new(),
            listen: Vec::new(),
            tls: None,
            faults: Vec::new(),
            rules: Vec::new(),
            disk_faults: None,
            remember: REMEMBERED,
        }
    }

    /// Takes a whole configuration, in the place of all that was set before but users, domains and listeners. What is
    /// called afterwards goes on top: users and listeners are added, [domains](Self::domain) take the place of those of
    /// the configuration. Mail is kept in its data folder, as its `store` says.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self.keeping = Keeping::Data;
        self.store = None;
        self
    }

    /// Adds a domain whose mail is ours; the first also names the server, unless it has a [name](Self::hostname). Domains
    /// given here take the place of those of a [configuration](Self::config), whichever is called first. Without either it
    /// is `localhost`.
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

    /// Keeps everything below this folder, mail in Maildirs: `mail/USER/Maildir`, unless another [store](Self::store) is
    /// chosen.
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.config.data = folder.into();
        self.keeping = Keeping::Data;
        self
    }

    /// Chooses how mail is stored, for delivery and POP3 alike: in Maildirs, in mboxes (`mail/USER/mbox`) or in MH folders
    /// (`mail/USER/Mail/inbox`) of the [data folder](Self::data), without which the start fails with
    /// [`StartError::NoData`]; or in memory.
    ///
    /// Mboxes and MH folders have no quotas and keep lines with LF only, and in MH folders no mail
    /// [expires](crate::config::Expire::Days): the start fails where the configuration or the Maildir of a user has it otherwise.
    ///
    /// ```
    /// use mailwright::{PostOffice, Service, StoreFormat};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let folder = tempfile::tempdir()?;
    /// let office = PostOffice::builder()
    ///     .data(folder.path())
    ///     .store(StoreFormat::Mbox)
    ///     .user("alice", "secret")
    ///     .listen(Service::Lmtp, "127.0.0.1:0")
    ///     .listen(Service::Pop3, "127.0.0.1:0")
    ///     .start()
    ///     .await?;
    /// # drop(office);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn store(mut self, format: StoreFormat) -> Self {
        self.store = Some(format);
        self
    }

    /// Keeps mail in memory and nothing on disk, as is the default. Only 256 MiB of it: the oldest is forgotten first.
    pub fn in_memory(mut self) -> Self {
        self.keeping = Keeping::Nothing;
        self.store = None;
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

    /// Lets clients at these addresses use XCLIENT and XFORWARD, to speak for clients of theirs. May be called for
    /// several.
    pub fn trust_xclient(mut self, network: impl Into<Network>) -> Self {
        self.config.trusted.xclient.push(network.into());
        self
    }

    /// Expects a PROXY protocol header, version 1 or 2, at the beginning of each connection from these addresses, and only
    /// there. May be called for several.
    pub fn trust_proxy(mut self, network: impl Into<Network>) -> Self {
        self.config.trusted.proxy_protocol.push(network.into());
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

    /// Has the mail of a user filed by an rc file in the language of procmail, given here in the place of that on disk. Mail
    /// must be kept in a [folder](Self::data), as files are what rc files write: the user's part of it is where relative paths
    /// count from. With mail [in memory](Self::in_memory), the start fails with `RulesError::NoData`; tests take a temporary
    /// folder instead.
    pub fn rules(mut self, user: impl Into<String>, rc: impl Into<Vec<u8>>) -> Self {
        self.rules.push((user.into(), rc.into()));
        self
    }

    /// Sets how rc files of users are obeyed.
    pub fn filter(mut self, filter: FilterConfig) -> Self {
        self.config.filter = filter;
        self
    }

    /// Sets what POP3 offers, and what it does with mail that was collected.
    pub fn pop3(mut self, pop3: Pop3Config) -> Self {
        self.config.pop3 = pop3;
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
        if self.keeping == Keeping::Data {
            let path = &self.config.data;
            std::fs::create_dir_all(path).map_err(|error| StartError::Data { path: path.clone(), error })?;
        }
        if self.config.domains.is_empty() {
            return Err(StartError::NoDomain);
        }
        let hostname = domain(self.config.hostname())?;
        for name in &self.config.domains {
            domain(name)?;
        }
        let users = self.build_users()?;
        // Postmaster must always have somebody who gets the mail (RFC 5321 §4.5.1).
        let postmaster = match &self.config.postmaster {
            None => users.names().first().ok_or(StartError::NoUsers)?,
            Some(name) => users.find(name).ok_or_else(|| StartError::Postmaster { found: name.clone() })?,
        };
        let postmaster = postmaster.clone();
        for (limit, asked, taken) in settings::raised(&self.config.limits) {
            tracing::warn!(
                limit,
                asked,
                taken,
                "a limit is set below the least that there can be, which is taken"
            );
        }
        for (timeout, asked, taken) in settings::raised_timeouts(&self.config.timeouts) {
            tracing::warn!(
                timeout,
                asked = ?asked.0,
                taken = ?taken.0,
                "a timeout is set below the least that there can be, which is taken"
            );
        }
        let (tls, certificate) = self.build_tls()?;
        let (limits, timeouts) = (&self.config.limits, &self.config.timeouts);
        let remembers = self.remember > 0;
        let (sink, store) = self.build_sink(&users)?;
        let shared = Shared {
            hostname: hostname.clone(),
            postmaster,
            sink,
            maildrops: Maildrops::new(store, &self.config.pop3),
            faults: (!self.faults.is_empty()).then(|| FaultScript::new(std::mem::take(&mut self.faults))),
            received_fields: u32::try_from(limits.received_fields).unwrap_or(u32::MAX),
            limits: ConnectionLimits::new(limits.connections, limits.connections_per_address),
            penalties: Penalties::new(
                timeouts.auth_failure_delay.0,
                // So that the check comes back in time.
                timeouts.answer.0 / 2,
                &self.config.trusted,
            ),
            answer_timeout: self.config.timeouts.answer.0,
            trusted: self.config.trusted.clone(),
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
        if wanted.iter().any(|listen| asks_to_log_in(listen.service)) {
            settings::tell_what_is_not_offered(&self.config, &shared.users);
        }
        let settings = Arc::new(settings::driver(&self.config.timeouts, tls));
        let mut machines: HashMap<Service, Machines> = HashMap::new();
        let mut listeners = Vec::with_capacity(wanted.len());
        for Listen { service, address } in wanted {
            if let std::collections::hash_map::Entry::Vacant(vacant) = machines.entry(service) {
                let users = &shared.users;
                if asks_to_log_in(service) && settings::nobody_can_log_in(&self.config, users, tls) {
                    tracing::warn!(
                        %service,
                        "nobody can log in: there is no TLS, and without it passwords may not be sent. Have tls.enabled, or \
                         auth.plaintext_without_tls"
                    );
                }
                vacant.insert(if service.is_pop3() {
                    let maildrops = &shared.maildrops;
                    let direct = pop3::machine(&self.config, service, &hostname, users, maildrops, tls)?;
                    let mut proxied = direct.clone();
                    proxied.proxy_protocol = true;
                    Machines::Pop3 { direct: Arc::new(direct), proxied: Arc::new(proxied) }
                } else {
                    let direct = settings::machine(&self.config, service, hostname.clone(), users, tls)?;
                    let mut proxied = direct.clone();
                    proxied.proxy_protocol = true;
                    Machines::Smtp { direct: Arc::new(direct), proxied: Arc::new(proxied) }
                });
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
                machines: machines[&bound.service].clone(),
                settings: Arc::clone(&settings),
                office: Arc::clone(&shared),
            };
            office.bound.push(bound);
            office.tasks.push(tokio::spawn(endpoint.serve(listener, stopped.clone())));
        }
        if let Sink::Disk { store: MailStore::Maildirs(maildirs), .. } = &shared.sink {
            office.tasks.push(tokio::spawn(clean_daily(maildirs.clone(), stopped)));
        }
        Ok(office)
    }

    fn build_users(&mut self) -> Result<Users, StartError> {
        let key = match self.keeping {
            Keeping::Nothing => random_key()?,
            Keeping::Data => kept_key(&self.config.data)?,
        };
        let mut users = Users::new(self.config.domains.clone(), key);
        for (name, password) in std::mem::take(&mut self.users) {
            users
                .add(&name, StoredPassword::plain(password))
                .map_err(|error| StartError::User { name: name.clone(), error })?;
        }
        for (name, password) in &self.config.users {
            StoredPassword::parse_or_plain(password.expose_str().unwrap_or_default())
                .map_err(UserError::from)
                .and_then(|password| users.add(name, password))
                .map_err(|error| StartError::User { name: name.clone(), error })?;
        }
        if let Some(path) = &self.config.users_file {
            users.read_file(path)?;
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
            std::iter::once(self.config.hostname()).chain(self.config.domains.iter().map(String::as_str));
        let names = distinct(names);
        let ca = self.config.tls.client_ca.as_deref();
        let from_files = |certificate: &Path, key: &Path| match ca {
            None => ServerTls::from_pem_files(certificate, key),
            Some(ca) => ServerTls::from_pem_files_with_client_ca(certificate, key, ca),
        };
        match (&self.config.tls.certificate, &self.config.tls.key, self.keeping) {
            (Some(certificate), Some(key), _) => Ok((Some(from_files(certificate, key)?), None)),
            (None, None, Keeping::Nothing) => {
                let made = SelfSigned::generate(names)?;
                Ok((Some(ServerTls::self_signed(&made, ca)?), Some(made.certificate_pem().to_owned())))
            }
            (None, None, Keeping::Data) => {
                let folder = self.config.data.join("tls");
                let KeptCertificate { certificate, key, pem } = kept(&folder, &names, SystemTime::now())?;
                Ok((Some(from_files(&certificate, &key)?), Some(pem)))
            }
            _ => Err(StartError::HalfTls),
        }
    }
}

fn asks_to_log_in(service: Service) -> bool {
    service.is_pop3() || service.is_submission()
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
async fn clean_daily(maildirs: Maildirs, mut stop: watch::Receiver<bool>) {
    loop {
        let maildirs = maildirs.clone();
        if tokio::task::spawn_blocking(move || maildirs.clean_tmp()).await.is_err() {
            return;
        }
        let day = tokio::time::sleep(Duration::from_secs(24 * 60 * 60));
        if tokio::time::timeout_at(day.deadline(), stop.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}

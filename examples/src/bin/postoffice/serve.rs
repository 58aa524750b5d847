//! `postoffice serve`.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::time::Duration;

use mailwright::PostOffice;
use mailwright::config::{Config, Place};
use mailwright::office::{Builder, StartError};
use mailwright::service::{Listen, Service};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

use super::Failure;
use super::cli::Serve;

/// Signals within this time of the first are taken for the same.
const ONE_WISH: Duration = Duration::from_secs(1);

pub(crate) fn run(options: &Serve) -> Result<(), Failure> {
    let _logging = start_logging(options.log.as_deref())?;
    raise_file_limit();
    let builder = builder(options)?;
    // One core is left to the committer and to those who write large messages out; on a small machine a second worker would
    // spend its time waking the first.
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut runtime = match cores.saturating_sub(1) {
        // One worker is best the main thread itself.
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.worker_threads(cores.saturating_sub(1).max(1)).enable_all().build()?;
    let outcome = runtime.block_on(serve(builder, options));
    // A disk that stands still, or a password check, is not waited for: the time for that is over.
    runtime.shutdown_background();
    outcome
}

async fn serve(builder: Builder, options: &Serve) -> Result<(), Failure> {
    // Before the first line of output, so that whoever reads it may send a signal.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let office = builder.start().await.map_err(|error| located(&error, options))?;
    announce(&office);
    let mut signalled = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    signalled().await;
    tracing::info!(connections = office.connections(), "stopping: messages under way are finished");
    let (messages, bytes) = office.discarded();
    if messages > 0 {
        tracing::info!(messages, bytes, "discarded");
    }
    // Supervisors signal a process and its group within moments: that is one wish, not two.
    let again = async {
        tokio::time::sleep(ONE_WISH).await;
        signalled().await;
    };
    tokio::select! {
        () = office.shutdown() => {
            tracing::info!("stopped");
            Ok(())
        }
        () = again => Err(Failure("stopped at once by a second signal, messages under way were cut off".to_owned())),
    }
}

/// What keeps the server from starting, with its place in the configuration file if it stands there.
fn located(error: &StartError, options: &Serve) -> Failure {
    let place = options.config.as_ref().and_then(|path| {
        let keys = error.keys();
        let mut set_there = keys.iter().filter(|key| !options.outranks(key));
        set_there.find_map(|key| Place::of_key(path, key))
    });
    Failure(place.map_or_else(|| error.to_string(), |place| format!("{place}: {error}")))
}

fn announce(office: &PostOffice) {
    let mut out = std::io::stdout().lock();
    for bound in office.listeners() {
        // Nobody may be reading, which is no reason not to serve.
        let _ = writeln!(out, "listening {} {}", bound.service, bound.address);
    }
    let _ = writeln!(out, "ready");
    let _ = out.flush();
}

fn builder(options: &Serve) -> Result<Builder, Failure> {
    let mut config = match &options.config {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    if let Some(data) = &options.data {
        config.data.clone_from(data);
    }
    if let Some(store) = options.store {
        config.store = store;
    }
    if !options.domain.is_empty() {
        config.domains.clone_from(&options.domain);
    }
    if options.hostname.is_some() {
        config.hostname.clone_from(&options.hostname);
    }
    if options.users.is_some() {
        config.users_file.clone_from(&options.users);
    }
    if options.postmaster.is_some() {
        config.postmaster.clone_from(&options.postmaster);
    }
    if !options.listen.is_empty() {
        config.listen.clone_from(&options.listen);
    }
    if options.tls_cert.is_some() {
        config.tls.certificate.clone_from(&options.tls_cert);
        config.tls.key.clone_from(&options.tls_key);
        config.tls.enabled = true;
    }
    if let Some(size) = options.max_message_size {
        config.limits.message_size = size;
    }
    config.discard |= options.discard;
    if config.listen.is_empty() {
        config.listen = Service::ALL
            .map(|service| Listen { service, address: default_address(service, options.is_demo()) })
            .to_vec();
    }
    let nobody = options.user.is_empty() && config.users.is_empty() && config.users_file.is_none();
    // Nobody asks what arrived.
    let mut builder = PostOffice::builder().config(config).remember(0);
    for user in &options.user {
        builder = builder.user(&user.name, user.password.as_str());
    }
    if options.is_demo() {
        builder = builder.user("demo", "demo");
    } else if nobody {
        let in_file = options.config.as_ref().map_or(String::new(), |path| {
            format!(", or under [users] in {} a line such as alice = \"PASSWORD\"", path.display())
        });
        return Err(Failure(format!(
            "there are no users, so there is nobody to get mail: add --user NAME:PASSWORD or --users FILE{in_file}"
        )));
    }
    Ok(builder)
}

/// The service's port on loopback; for the demo any that is free where another program has that: a demo should start.
fn default_address(service: Service, demo: bool) -> SocketAddr {
    let address = SocketAddr::from(([127, 0, 0, 1], service.demo_port()));
    match TcpListener::bind(address) {
        Err(error) if demo && error.kind() == ErrorKind::AddrInUse => {
            tracing::warn!(%service, %address, "another program listens there, taking a port that is free");
            SocketAddr::from(([127, 0, 0, 1], 0))
        }
        _ => address,
    }
}

/// Logs to standard error by a thread of its own. Where nobody reads, lines are dropped rather than mail held up. What is
/// returned writes the last lines out when it is dropped.
fn start_logging(level: Option<&str>) -> Result<WorkerGuard, Failure> {
    let filter = match level {
        Some(level) => EnvFilter::try_new(level)?,
        None if std::env::var_os(EnvFilter::DEFAULT_ENV).is_some() => EnvFilter::try_from_default_env()?,
        None => EnvFilter::new("info"),
    };
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    Ok(guard)
}

/// Each connection takes a file descriptor, and the customary soft limit of 1,024 is soon reached.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

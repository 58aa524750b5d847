//! Many messages: over connections and threads, with a progress bar, and a report at the end.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use mailwright::client::exit::{Exit, Failure};

use crate::exit::worst;
use crate::message::Message;
use crate::options::Options;
use crate::report::{Latencies, Report};
use crate::session::{Delivery, Route, Session};

/// How many connections may fail one after another before a sender gives up.
const PATIENCE: u32 = 5;

/// What all senders share.
struct Load {
    route: Route,
    message: Message,
    reconnect: bool,
    /// Messages that nobody has begun to send.
    left: AtomicU64,
    bar: ProgressBar,
}

/// Sends all messages and tells how it went.
pub(crate) fn run(options: &Options, route: Route, message: Message) -> Result<Exit, Failure> {
    let bar = if options.quiet || options.verbose { ProgressBar::hidden() } else { progress(options.count) };
    let load = Arc::new(Load {
        route,
        message,
        reconnect: options.reconnect,
        left: AtomicU64::new(options.count),
        bar,
    });
    let begun = Instant::now();
    let threads = options.threads.min(options.connections);
    let senders: Vec<_> = (0..threads)
        .map(|index| {
            let load = Arc::clone(&load);
            let connections =
                options.connections / threads + u32::from(index < options.connections % threads);
            thread::spawn(move || send_from_thread(&load, connections))
        })
        .collect();
    let mut tally = Tally::default();
    for sender in senders {
        let part = sender.join().map_err(|_| Failure::new(Exit::Software, "a sending thread panicked"))??;
        tally.merge(part);
    }
    load.bar.finish_and_clear();
    let report = Report {
        connections: options.connections,
        elapsed: begun.elapsed(),
        message_size: load.message.content.len(),
        accepted: tally.accepted,
        refused: tally.refused,
        failed: options.count - tally.accepted - tally.refused,
        latencies: &tally.latencies,
    };
    if !options.quiet {
        // The messages are sent whether or not anybody reads this.
        let _ = write!(std::io::stdout(), "{report}");
    }
    match tally.worst_failure {
        None => Ok(Exit::Ok),
        Some(failure) => Err(failure),
    }
}

fn progress(count: u64) -> ProgressBar {
    let bar = ProgressBar::new(count);
    let template = "{bar:40} {pos}/{len} messages  {per_sec}  {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn send_from_thread(load: &Arc<Load>, connections: u32) -> Result<Tally, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::OsErr, error))?;
    runtime.block_on(async {
        let senders: Vec<_> = (0..connections).map(|_| tokio::spawn(send_all(Arc::clone(load)))).collect();
        let mut tally = Tally::default();
        for sender in senders {
            tally.merge(sender.await.map_err(|error| Failure::new(Exit::Software, error))?);
        }
        Ok(tally)
    })
}

/// What a sender has done.
#[derive(Default)]
struct Tally {
    accepted: u64,
    refused: u64,
    worst_failure: Option<Failure>,
    latencies: Latencies,
}

impl Tally {
    fn merge(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.latencies.merge(&other.latencies);
        if let Some(failure) = other.worst_failure {
            self.failed(failure);
        }
    }

    /// Keeps the failure if none was as bad before.
    fn failed(&mut self, failure: Failure) {
        if self.worst_failure.as_ref().is_none_or(|worst| failure.exit.is_worse(worst.exit)) {
            self.worst_failure = Some(failure);
        }
    }
}

impl Load {
    /// Whether there is a message left to send; then it is the caller's.
    fn take(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// Sends messages until none are left, over one connection after another.
async fn send_all(load: Arc<Load>) -> Tally {
    let mut tally = Tally::default();
    let mut session = None;
    let mut failures = 0;
    while failures < PATIENCE && load.take() {
        let result = send_one(&load, &mut session, &mut tally).await;
        load.bar.inc(1);
        match result {
            Ok(()) => failures = 0,
            Err(failure) => {
                session = None;
                failures += 1;
                tally.failed(failure);
            }
        }
        if load.reconnect
            && let Some(session) = session.take()
        {
            session.close().await;
        }
    }
    if let Some(session) = session {
        session.close().await;
    }
    tally
}

async fn send_one(load: &Load, open: &mut Option<Session>, tally: &mut Tally) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let session = match open {
            Some(session) => session,
            None => open.insert(Session::open(&load.route).await?),
        };
        match session.deliver(&load.message).await? {
            Delivery::Spent => *open = None,
            Delivery::Done(outcome) => {
                match worst(&outcome) {
                    None => {
                        tally.accepted += 1;
                        tally.latencies.add(begun.elapsed());
                    }
                    Some((exit, rejection)) => {
                        tally.refused += 1;
                        tally.failed(Failure::new(exit, rejection));
                    }
                }
                return Ok(());
            }
        }
    }
}

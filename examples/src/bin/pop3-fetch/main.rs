//! `pop3-fetch`: collects mail by POP3. See `pop3-fetch --help`.

mod options;
mod session;
mod signals;
mod store;
mod transcript;

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mailwright::client::exit::{self, Exit, Failure};
use pop3_proto::client::{CommandId, Event, RefusalKind, Request};
use pop3_proto::types::{MessageNumber, Reply};

use options::Options;
use session::Connection;
use signals::Signals;
use store::{Incoming, Seen, Store};

/// Commands that wait at a time.
const AHEAD: usize = 200;

fn main() -> ExitCode {
    exit::main("pop3-fetch", |options| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| Failure::new(Exit::OsErr, error))?.block_on(run(options))
    })
}

async fn run(options: &Options) -> Result<Exit, Failure> {
    // What cannot be written to is better known before anything is fetched.
    let limit = options.timeout.map(|limit| limit.0);
    let mut store = options.to.as_ref().map(|place| Store::open(place, limit)).transpose()?;
    let mut seen = options.seen.as_deref().map(|path| Seen::open(path, &options.account())).transpose()?;
    let mut conn = session::open(options).await?;
    // A name of a server or a user that nobody has shall not bind the file to itself.
    if let Some(seen) = &mut seen {
        seen.adopt()?;
    }
    let mut messages = listing(&mut conn).await?;
    if seen.is_some() || store.is_none() {
        let refusal = unique_ids(&mut conn, &mut messages).await?;
        // UIDL is optional (RFC 1939 §7).
        if let Some(reply) = refusal.filter(|_| seen.is_some()) {
            return Err(refused("UIDL, which --seen needs", &reply));
        }
        if seen.is_some() {
            mark_shared_ids(&mut messages);
        }
    }
    match &mut store {
        None => {
            tell(&messages);
            quit(&mut conn).await?;
            Ok(Exit::Ok)
        }
        Some(store) => {
            let listed: Vec<(MessageNumber, String)> =
                messages.iter().filter_map(|message| Some((message.number, message.id.clone()?))).collect();
            let noted = |message: &Message| {
                seen.as_ref().zip(message.id.as_ref()).is_some_and(|(seen, id)| seen.contains(id))
            };
            let (known, wanted) = messages.into_iter().partition(noted);
            let mut fetch = Fetch::new(options, wanted, known);
            let mut signals = Signals::listen()?;
            let mut ended = tokio::select! {
                ended = fetch.run(&mut conn, store, seen.as_mut()) => ended,
                failure = signals.next() => Err(failure),
            };
            let mut agreed = false;
            if ended.is_err() {
                // What is whole is kept, so that it need not come again.
                let kept = fetch.commit(store, seen.as_mut());
                ended = ended.map_err(|failure| kept.err().unwrap_or(failure));
            } else {
                ended = tokio::select! {
                    ended = quit(&mut conn) => ended,
                    failure = signals.next() => Err(failure),
                };
                agreed = ended.is_ok();
                if agreed && let Some(seen) = &mut seen {
                    let stay = listed.iter().filter(|(number, _)| !fetch.marked.contains(number));
                    ended = seen.keep(&stay.map(|(_, id)| id.as_str()).collect());
                }
            }
            fetch.tell(agreed);
            ended.map(|()| fetch.worst)
        }
    }
}

/// A message on the server.
struct Message {
    number: MessageNumber,
    octets: u64,
    id: Option<String>,
    /// Whether another has the same unique-id.
    shared: bool,
}

async fn listing(conn: &mut Connection) -> Result<Vec<Message>, Failure> {
    submit(conn, Request::List(None))?;
    let mut messages = Vec::new();
    loop {
        match conn.next().await.map_err(|closed| session::failure(conn, closed))? {
            Event::Listed { listing, .. } => {
                messages.push(Message {
                    number: listing.number,
                    octets: listing.octets,
                    id: None,
                    shared: false,
                });
            }
            Event::Done { .. } => break,
            Event::Refused { reply, .. } => return Err(refused("LIST", &reply)),
            _ => {}
        }
    }
    // Each once and in order, whatever the server lists.
    messages.sort_by_key(|message| message.number);
    messages.dedup_by_key(|message| message.number);
    Ok(messages)
}

/// Asks for the unique-ids. Gives the reply if the server refuses to tell them.
async fn unique_ids(conn: &mut Connection, messages: &mut [Message]) -> Result<Option<Reply>, Failure> {
    submit(conn, Request::Uidl(None))?;
    loop {
        match conn.next().await? {
            Event::UniqueId { listing, .. } => {
                name(messages, listing.number, listing.id.as_str().to_owned());
            }
            // Equality is all that is needed of it. An empty one would make all that have it equal.
            Event::OddUniqueId { number, text, .. } if !text.is_empty() => {
                name(messages, number, text.escape_ascii().to_string());
            }
            Event::Done { .. } => return Ok(None),
            Event::Refused { reply, .. } => return Ok(Some(reply)),
            _ => {}
        }
    }
}

/// Marks messages whose unique-ids others have too, and takes them away from those that are of different size: they cannot be
/// the copies of one message that may share one (RFC 1939 §7), and one that was fetched must not stand for another that was
/// not.
fn mark_shared_ids(messages: &mut [Message]) {
    // Of what size all with an id are, if of one; and how many there are.
    let mut found: HashMap<String, (Option<u64>, u64)> = HashMap::new();
    for message in &*messages {
        if let Some(id) = &message.id {
            let (octets, count) = found.entry(id.clone()).or_insert((Some(message.octets), 0));
            octets.take_if(|octets| *octets != message.octets);
            *count += 1;
        }
    }
    for message in messages {
        let Some((octets, count)) = message.id.as_ref().and_then(|id| found.get(id)) else { continue };
        message.shared = *count > 1;
        if octets.is_none() {
            message.id = None;
        }
    }
}

fn name(messages: &mut [Message], number: MessageNumber, id: String) {
    let found = messages.binary_search_by_key(&number, |message| message.number);
    if let Some(message) = found.ok().and_then(|at| messages.get_mut(at)) {
        message.id = Some(id);
    }
}

fn tell(messages: &[Message]) {
    let mut out = std::io::stdout().lock();
    for Message { number, octets, id, .. } in messages {
        // Whoever stops reading has seen enough.
        if writeln!(out, "{number} {octets} {}", id.as_deref().unwrap_or("-")).is_err() {
            return;
        }
    }
}

/// Messages being fetched.
struct Fetch<'o> {
    options: &'o Options,
    /// Not asked for yet.
    wanted: VecDeque<Message>,
    /// Asked for, in order.
    asked: VecDeque<(CommandId, Message)>,
    /// Stored, and not safe yet.
    stored: Vec<Message>,
    /// Safe here, and to be deleted on the server.
    spent: VecDeque<MessageNumber>,
    /// Whose deletions are not answered, in order.
    deleting: VecDeque<MessageNumber>,
    /// Marked as deleted on the server, which deletes them at QUIT.
    marked: HashSet<MessageNumber>,
    /// Safe here.
    fetched: u64,
    octets: u64,
    worst: Exit,
    bar: ProgressBar,
}

impl<'o> Fetch<'o> {
    /// Fetches what is `wanted`. What is `known` was made safe by a run that may have ended before it was deleted; save what
    /// shares its unique-id, of which perhaps only another one was.
    fn new(options: &'o Options, wanted: Vec<Message>, known: Vec<Message>) -> Self {
        // What servers tell of sizes may be anything.
        let octets = wanted.iter().fold(0_u64, |sum, message| sum.saturating_add(message.octets));
        let shown = !options.quiet && !options.verbose && std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(octets), target).with_style(
            ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {msg}")
                .expect("the template is well-formed"),
        );
        let spent = if options.delete { known } else { Vec::new() };
        Self {
            options,
            wanted: wanted.into(),
            asked: VecDeque::new(),
            stored: Vec::new(),
            spent: spent
                .into_iter()
                .filter(|message| !message.shared)
                .map(|message| message.number)
                .collect(),
            deleting: VecDeque::new(),
            marked: HashSet::new(),
            fetched: 0,
            octets: 0,
            worst: Exit::Ok,
            bar,
        }
    }

    async fn run(
        &mut self,
        conn: &mut Connection,
        store: &mut Store,
        mut seen: Option<&mut Seen>,
    ) -> Result<(), Failure> {
        // What has come of the message that is under way.
        let mut octets = 0;
        let mut incoming: Option<Incoming> = None;
        loop {
            while conn.client.waiting() < AHEAD
                && let Some(number) = self.spent.pop_front()
            {
                submit(conn, Request::Dele(number))?;
                self.deleting.push_back(number);
            }
            while conn.client.waiting() < AHEAD
                && let Some(message) = self.wanted.pop_front()
            {
                let id = submit(conn, Request::Retr(message.number))?;
                self.asked.push_back((id, message));
            }
            if self.stored.len() >= store.batch() || self.asked.is_empty() {
                self.commit(store, seen.as_deref_mut())?;
            }
            if self.asked.is_empty() && self.deleting.is_empty() {
                if self.spent.is_empty() {
                    return Ok(());
                }
                continue;
            }
            match conn.next().await? {
                Event::Message { .. } => incoming = Some(store.begin()?),
                Event::Body => {
                    let body = conn.client.body();
                    let taken = body.len();
                    if let Some(incoming) = &mut incoming {
                        incoming.append(body)?;
                    }
                    conn.client.consume(taken);
                    octets += taken as u64;
                    self.bar.inc(taken as u64);
                }
                Event::Done { id, .. } if self.is_next(id) => {
                    if let (Some(incoming), Some((_, mut message))) =
                        (incoming.take(), self.asked.pop_front())
                    {
                        store.end(incoming).await?;
                        message.octets = std::mem::take(&mut octets);
                        self.stored.push(message);
                    }
                }
                Event::Refused { id, reply } if self.is_next(id) => {
                    if let Some((_, message)) = self.asked.pop_front() {
                        self.skip("not fetched", message.number, &reply);
                    }
                }
                Event::Done { .. } => {
                    self.marked.extend(self.deleting.pop_front());
                }
                Event::Refused { reply, .. } => {
                    self.deleting.pop_front();
                    self.bar.suspend(|| eprintln!("pop3-fetch: a message was not deleted: {reply}"));
                    self.went_wrong(&reply);
                }
                _ => {}
            }
        }
    }

    /// Whether this command asked for the message that comes next.
    fn is_next(&self, id: CommandId) -> bool {
        self.asked.front().is_some_and(|(asked, _)| *asked == id)
    }

    /// Says what was done. What is marked was deleted only if the server has `agreed` to QUIT.
    fn tell(&self, agreed: bool) {
        self.bar.finish_and_clear();
        if self.options.quiet || (!agreed && self.fetched == 0) {
            return;
        }
        let messages = if self.fetched == 1 { "message" } else { "messages" };
        let gone = match self.marked.len() {
            marked if agreed && marked > 0 => format!(", {marked} deleted on the server"),
            _ => String::new(),
        };
        // It is done whether or not anybody reads this.
        let _ =
            writeln!(std::io::stdout(), "fetched {} {messages}, {} octets{gone}", self.fetched, self.octets);
    }

    fn skip(&mut self, what: &str, number: MessageNumber, reply: &Reply) {
        self.bar.suspend(|| eprintln!("pop3-fetch: message {number} {what}: {reply}"));
        self.went_wrong(reply);
    }

    fn went_wrong(&mut self, reply: &Reply) {
        let exit = Exit::of_pop3_refusal(RefusalKind::of(reply));
        if exit.is_worse(self.worst) {
            self.worst = exit;
        }
    }

    /// Makes safe what is stored, then has it deleted.
    fn commit(&mut self, store: &mut Store, seen: Option<&mut Seen>) -> Result<(), Failure> {
        let (safe, stored) = store.commit(std::mem::take(&mut self.stored));
        self.fetched += safe.len() as u64;
        self.octets += safe.iter().map(|message| message.octets).sum::<u64>();
        if let Some(seen) = seen {
            safe.iter().filter_map(|message| message.id.clone()).for_each(|id| seen.add(id));
            seen.commit()?;
        }
        if self.options.delete {
            self.spent.extend(safe.iter().map(|message| message.number));
        }
        stored
    }
}

fn submit(conn: &mut Connection, request: Request) -> Result<CommandId, Failure> {
    conn.client.submit(request).map_err(|error| Failure::new(Exit::Software, error))
}

async fn quit(conn: &mut Connection) -> Result<(), Failure> {
    conn.client.quit().map_err(|error| Failure::new(Exit::Software, error))?;
    loop {
        match conn.next().await {
            Ok(_) => {}
            Err(mailwright::driver::Closed::Done) => return Ok(()),
            Err(closed) => return Err(closed.into()),
        }
    }
}

fn refused(verb: &str, reply: &Reply) -> Failure {
    Failure::new(
        Exit::of_pop3_refusal(RefusalKind::of(reply)),
        format!("expected an answer to {verb}, found {reply}"),
    )
}

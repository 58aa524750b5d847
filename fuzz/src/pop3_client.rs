//! The POP3 client machine, fed anything in any pieces.

use crate::Knobs;
use mail_wire::sasl::Credentials;
use mail_wire::{Connection, LayerInfo, Step, TlsInfo};
use pop3_proto::client::{
    Client, ClientConfig, ClientError, CommandId, Deletions, Event, Request, SubmitError, TlsPolicy,
    TrustedLogin,
};
use pop3_proto::types::{MessageNumber, UserName};
use std::collections::VecDeque;
use std::time::Instant;

/// What must not be seen in the clear: the password, and base64 of it, alone (LOGIN) and at each offset in PLAIN.
const SECRETS: [&[u8]; 4] =
    [b"hunter2-secret", b"aHVudGVyMi1zZWNyZXQ", b"h1bnRlcjItc2VjcmV0", b"odW50ZXIyLXNlY3JldA"];
const LARGEST: u64 = 3000;
const LONGEST: u64 = 200;

/// Feeds `data` behind its knobs as what a server says.
pub fn check(data: &[u8]) {
    let (mut knobs, wire) = Knobs::split(data);
    let config = config(&mut knobs);
    let now = Instant::now();
    let mut run = Run {
        client: Client::new(config.clone(), [3; Client::RANDOM], now),
        now,
        clear: Vec::new(),
        upgraded: false,
        waiting: VecDeque::new(),
        message: None,
        listed: 0,
        submitted: 0,
        quit: false,
        config,
    };
    run.feed(wire, &mut knobs);
}

fn config(knobs: &mut Knobs) -> ClientConfig {
    let tls = [TlsPolicy::Never, TlsPolicy::Opportunistic, TlsPolicy::Required, TlsPolicy::Implicit];
    let mut config = ClientConfig::new().with_tls(tls[knobs.below(tls.len())]);
    let user = || UserName::new("alice").expect("a name");
    match knobs.below(6) {
        0 => {}
        1 => config.trusted = Some(TrustedLogin::Rpop { user: user(), client_user: user() }),
        2 => config.trusted = Some(TrustedLogin::Kpop { user: user() }),
        3 => config.trusted = Some(TrustedLogin::Open),
        _ => config.credentials = Some(Credentials::password("alice", "hunter2-secret")),
    }
    config.apop = !knobs.one_in(3);
    config.utf8 = knobs.one_in(3);
    config.pipelining = !knobs.one_in(3);
    config.in_flight = 1 + knobs.below(8);
    config.limits.message = LARGEST;
    config.limits.listing = LONGEST;
    config.quirks.bare_lf = knobs.one_in(3);
    config.quirks.missing_end = knobs.one_in(3);
    config.quirks.loose_status = knobs.one_in(3);
    config.quirks.odd_unique_ids = knobs.one_in(2);
    config.quirks.odd_listings = knobs.one_in(2);
    config.quirks.auth_list = knobs.one_in(2);
    config
}

struct Run {
    client: Client,
    config: ClientConfig,
    now: Instant,
    /// What was sent before TLS.
    clear: Vec<u8>,
    upgraded: bool,
    /// Commands that were submitted and not answered.
    waiting: VecDeque<CommandId>,
    /// Bytes of the message that is being received.
    message: Option<u64>,
    listed: u64,
    submitted: usize,
    quit: bool,
}

impl Run {
    fn feed(&mut self, mut wire: &[u8], knobs: &mut Knobs) {
        let mut eof = false;
        for _ in 0..20 * wire.len() + 4000 {
            match self.client.poll() {
                Step::Event(event) => self.event(event, knobs),
                Step::Upgrade(_) => {
                    self.flush();
                    self.upgraded = true;
                    self.client.upgraded(LayerInfo::Tls(TlsInfo::new()), self.now);
                }
                Step::Blocked => {
                    let sent = self.flush();
                    let room = self.client.io().recv;
                    let n = room.len().min(wire.len()).min(1 + knobs.below(60));
                    assert!(room.len() <= 64 << 10, "a receive buffer without bound");
                    room[..n].copy_from_slice(&wire[..n]);
                    if n > 0 {
                        wire = &wire[n..];
                        self.client.received(n, self.now);
                    } else if wire.is_empty() && !eof && knobs.one_in(2) {
                        eof = true;
                        self.client.received(0, self.now);
                    } else if sent == 0 {
                        self.wait();
                    }
                }
                Step::Close(result) => {
                    self.flush();
                    self.closed(&result);
                    return;
                }
            }
        }
        panic!("a connection that neither moves nor ends");
    }

    fn wait(&mut self) {
        if let Some(deadline) = self.client.deadline() {
            self.now = self.now.max(deadline);
            self.client.handle_timeout(self.now);
        } else {
            // An idle client waits for its embedder for as long as it takes.
            assert!(self.client.is_idle(), "a client that waits for the server has a deadline");
            self.client.quit().expect("an idle client can quit");
            self.quit = true;
        }
    }

    fn closed(&mut self, result: &Result<(), ClientError>) {
        if let Err(error) = result {
            assert!(!error.to_string().contains(char::is_control), "{error}");
            if error.deletions() != Deletions::None {
                assert!(self.quit && self.client.deleted() > 0, "{error}");
            }
        } else {
            assert!(self.quit && self.waiting.is_empty(), "an end in order without QUIT");
        }
        assert!(matches!(self.client.poll(), Step::Close(again) if again == *result));
        assert!(self.client.body().is_empty());
        let clear = &self.clear;
        let holds = |text: &[u8]| clear.windows(text.len()).any(|window| window == text);
        assert!(
            !SECRETS.iter().any(|secret| holds(secret)),
            "a password in the clear: {}",
            clear.escape_ascii()
        );
        match self.config.tls {
            TlsPolicy::Implicit => assert!(clear.is_empty()),
            TlsPolicy::Required => assert!(!holds(b"USER ") && !holds(b"APOP ") && !holds(b"RETR ")),
            _ => {}
        }
    }

    fn flush(&mut self) -> usize {
        let send = self.client.io().send;
        let n = send.len();
        assert!(n <= 32 << 10, "a send buffer without bound");
        if !self.upgraded {
            self.clear.extend_from_slice(send);
        }
        self.client.sent(n, self.now);
        n
    }

    fn event(&mut self, event: Event, knobs: &mut Knobs) {
        match event {
            Event::Ready => {
                if self.config.credentials.is_some() || self.config.trusted.is_some() {
                    assert!(self.client.authenticated().is_some(), "ready without having logged in");
                }
                if matches!(self.config.tls, TlsPolicy::Required | TlsPolicy::Implicit) {
                    assert!(self.upgraded, "ready without TLS");
                }
                self.submit(knobs);
            }
            Event::Unencrypted { .. } => {
                assert!(
                    matches!(self.config.tls, TlsPolicy::Opportunistic),
                    "in the clear against the policy"
                );
            }
            Event::Stat { id, .. } => self.is_next(id),
            Event::Listed { id, .. }
            | Event::UniqueId { id, .. }
            | Event::OddUniqueId { id, .. }
            | Event::Language { id, .. } => {
                self.is_next(id);
                self.listed += 1;
                assert!(self.listed <= LONGEST, "a listing without bound");
            }
            Event::Message { id, .. } => {
                self.is_next(id);
                assert!(self.message.replace(0).is_none(), "a message within a message");
                if knobs.one_in(8) {
                    self.client.skip_body();
                }
            }
            Event::Body => {
                let total = self.message.as_mut().expect("content belongs to a message");
                let n = self.client.body().len();
                assert!(n > 0, "an event for nothing");
                let n = if knobs.one_in(3) { 1 + knobs.below(n) } else { n };
                self.client.consume(n);
                *total += n as u64;
                assert!(*total <= LARGEST, "a message without bound");
            }
            Event::Done { id, .. } | Event::Refused { id, .. } | Event::Unterminated { id, .. } => {
                self.is_next(id);
                self.waiting.pop_front();
                (self.message, self.listed) = (None, 0);
                self.submit(knobs);
            }
            other => panic!("an event that is not known here: {other:?}"),
        }
    }

    fn is_next(&self, id: CommandId) {
        assert_eq!(self.waiting.front(), Some(&id), "an answer out of order");
    }

    /// A few more commands, and QUIT some time.
    fn submit(&mut self, knobs: &mut Knobs) {
        let n = MessageNumber::FIRST;
        for _ in 0..knobs.below(4) {
            let request = match knobs.below(12) {
                0 => Request::Stat,
                1 => Request::List(None),
                2 => Request::List(Some(n)),
                3 => Request::Uidl(None),
                4 => Request::Uidl(Some(n)),
                5 | 6 => Request::Retr(n),
                7 => Request::Top { number: n, lines: 3 },
                8 => Request::Rset,
                9 => Request::Lang(None),
                10 => Request::Capa,
                _ => Request::Dele(n),
            };
            match self.client.submit(request) {
                Ok(id) => self.waiting.push_back(id),
                Err(SubmitError::NotLoggedIn { .. }) => assert!(self.client.authenticated().is_none()),
                Err(SubmitError::NotReady) => assert!(self.quit),
                Err(error) => panic!("{error}"),
            }
            self.submitted += 1;
        }
        if (self.submitted > 40 || knobs.one_in(16)) && !self.quit {
            self.client.quit().expect("a client that is ready can quit");
            self.quit = true;
        }
    }
}

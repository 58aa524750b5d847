//! The same rc file and mail for our evaluator and for the installed procmail, and what both log of it.
#![allow(dead_code, reason = "not each test needs all of it")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use procmail_engine::effect::{Delivered, Effect, Exit, Note, Outcome, Ran};
use procmail_engine::eval::{Evaluator, Setup, Step};
use procmail_engine::mail::Mail;

const PROGRAM: &str = "/usr/bin/procmail";

/// Whether there is a procmail to compare with.
pub(crate) fn is_installed() -> bool {
    Path::new(PROGRAM).exists()
}

/// A number from the environment.
pub(crate) fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Where to start if the environment does not say.
pub(crate) const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    pub(crate) fn text(&mut self, from: &[&str], longest: usize) -> String {
        (0..=self.below(longest)).map(|_| self.pick(from)).collect()
    }
}

/// What the evaluator logs. Programs succeed, deliveries too.
pub(crate) fn ours(rc: &[u8], mail: &[u8], home: &str) -> Vec<u8> {
    let mut setup = Setup::new().variable("HOME", home).variable("DEFAULT", "d").variable("SHELL", "/bin/sh");
    setup.assignments = vec![b"VERBOSE=yes".to_vec()];
    setup.rc_files = vec![b"rc".to_vec()];
    setup.directory = Some(home.into());
    let mut evaluator = Evaluator::new(setup, Mail::new(mail.to_vec()));
    let mut log = Vec::new();
    loop {
        match evaluator.step() {
            Step::Finished(_) => return log,
            Step::Effect(effect) => {
                let outcome = match effect {
                    Effect::Log(text) => {
                        log.extend(text.text);
                        continue;
                    }
                    Effect::ReadRc(_) => Outcome::Read(rc.to_vec()),
                    Effect::Deliver(deliver) => Outcome::Delivered(Delivered {
                        notes: vec![Note::Folder(deliver.folders[0].clone())],
                        size: Some(0),
                    }),
                    Effect::Run(_) => Outcome::Ran(Ran::ended(Exit::Code(0))),
                    _ => Outcome::Done,
                };
                evaluator.answer(outcome);
            }
        }
    }
}

/// What procmail logs. Nothing if it crashes, or is not done in this many seconds.
pub(crate) fn real(rc: &[u8], mail: &[u8], home: &Path, seconds: u64) -> Option<Vec<u8>> {
    fs::write(home.join("rc"), rc).unwrap();
    fs::write(home.join("mail"), mail).unwrap();
    let _ = fs::remove_file(home.join("log"));
    let name = home.to_str().unwrap();
    let status = Command::new("timeout")
        .args(["-s", "KILL", &seconds.to_string(), PROGRAM])
        .args([format!("HOME={name}"), "SHELL=/bin/sh".into(), "DEFAULT=/dev/null".into()])
        .args([format!("LOGFILE={name}/log"), "VERBOSE=yes".into(), format!("{name}/rc")])
        .current_dir(home)
        .stdin(Stdio::from(fs::File::open(home.join("mail")).unwrap()))
        .stderr(Stdio::null())
        .status()
        .unwrap();
    let log = fs::read(home.join("log")).unwrap();
    status.success().then_some(log)
}

/// The messages that both should have logged: all between the start of the rc file and the delivery.
pub(crate) fn comparable(log: &[u8]) -> Vec<Vec<u8>> {
    const START: &[u8] = b"procmail: ";
    let mut messages = Vec::new();
    let mut rest = log;
    while !rest.is_empty() {
        let from = START.len().min(rest.len());
        let end = memchr::memmem::find(&rest[from..], START).map_or(rest.len(), |at| at + from);
        let (message, behind) = rest.split_at(end);
        rest = behind;
        messages.push(message.strip_prefix(START).unwrap_or(message).to_vec());
    }
    messages
        .into_iter()
        .filter(|message| !(message.starts_with(b"[") && message.ends_with(b"\n")))
        .skip_while(|message| !message.starts_with(b"Assigning \"MAILDIR="))
        .skip(1)
        .take_while(|message| {
            !message.starts_with(b"Locking") && !message.starts_with(b"Assigning \"LASTFOLDER")
        })
        .collect()
}

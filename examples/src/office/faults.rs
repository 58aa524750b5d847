//! [`FaultRule`]: scripted failures, for testing what clients make of them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use smtp_proto::types::Refusal;

/// Where in a session a rule applies, and what its pattern is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// A client connects: its IP address.
    Connect,
    /// HELO, EHLO, LHLO: the name given.
    Hello,
    /// MAIL: the sender, empty for `<>`.
    Mail,
    /// RCPT: the recipient.
    Recipient,
    /// DATA or the first BDAT: the sender.
    Message,
    /// The message is whole: the sender. Nothing is delivered when a rule strikes here.
    MessageEnd,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Refuse(Refusal),
    Drop,
    Delay(Duration),
}

/// A failure to be brought about. Rules are asked in the order they were given; the first that fits strikes.
///
/// ```
/// use mailwright::office::{FaultRule, Stage};
///
/// // The first two tries for bob are put off, any others go through.
/// let greylisting =
///     FaultRule::at(Stage::Recipient).matching("bob@*").times(2).refuse(450, (4, 2, 0), "greylisted, try again");
/// // The third message is cut off at its end, without a word.
/// let crash = FaultRule::at(Stage::MessageEnd).after(2).times(1).drop_connection();
/// # let _ = (greylisting, crash);
/// ```
#[derive(Debug, Clone)]
pub struct FaultRule {
    stage: Stage,
    pattern: Option<String>,
    skip: u64,
    times: Option<u64>,
    action: Action,
}

/// A [`FaultRule`] without its action.
#[derive(Debug, Clone)]
#[must_use = "a rule needs an action: refuse, drop_connection, delay or disk_full"]
pub struct FaultPoint {
    stage: Stage,
    pattern: Option<String>,
    skip: u64,
    times: Option<u64>,
}

impl FaultRule {
    /// Begins a rule for a stage. Without more it strikes each time.
    pub fn at(stage: Stage) -> FaultPoint {
        FaultPoint { stage, pattern: None, skip: 0, times: None }
    }
}

impl FaultPoint {
    /// Only where the stage's text fits: `*` stands for anything, letter case does not count.
    pub fn matching(self, pattern: impl Into<String>) -> Self {
        Self { pattern: Some(pattern.into()), ..self }
    }

    /// Only from the time after the first `count` that fit.
    pub fn after(self, count: u64) -> Self {
        Self { skip: count, ..self }
    }

    /// Only so many times.
    pub fn times(self, count: u64) -> Self {
        Self { times: Some(count), ..self }
    }

    /// Refuses by this reply.
    ///
    /// # Panics
    ///
    /// If there is no such refusal: see [`Refusal::new`].
    pub fn refuse(self, code: u16, enhanced: (u8, u16, u16), text: &str) -> FaultRule {
        let refusal = Refusal::new(code, enhanced, text)
            .expect("a refusal has a code of 4yz or 5yz and one line of text");
        self.with(Action::Refuse(refusal))
    }

    /// Says that the disk is full: 452 4.3.1.
    pub fn disk_full(self) -> FaultRule {
        self.with(Action::Refuse(Refusal::INSUFFICIENT_STORAGE))
    }

    /// Closes the connection without a word.
    pub fn drop_connection(self) -> FaultRule {
        self.with(Action::Drop)
    }

    /// Goes on after so long.
    pub fn delay(self, time: Duration) -> FaultRule {
        self.with(Action::Delay(time))
    }

    fn with(self, action: Action) -> FaultRule {
        FaultRule { stage: self.stage, pattern: self.pattern, skip: self.skip, times: self.times, action }
    }
}

/// The rules, counting down.
#[derive(Debug, Default)]
pub(super) struct FaultScript {
    rules: Mutex<Vec<FaultRule>>,
}

impl FaultScript {
    pub(super) fn new(rules: Vec<FaultRule>) -> Self {
        Self { rules: Mutex::new(rules) }
    }

    /// What is to happen, if anything.
    pub(super) fn strike(&self, stage: Stage, text: &str) -> Option<Action> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        for rule in rules.iter_mut().filter(|rule| rule.stage == stage && rule.times != Some(0)) {
            if rule.pattern.as_ref().is_some_and(|pattern| !fits(pattern.as_bytes(), text.as_bytes())) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            if let Some(times) = &mut rule.times {
                *times -= 1;
            }
            return Some(rule.action.clone());
        }
        None
    }
}

/// Whether `text` is `pattern`, where `*` stands for anything.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when what stands behind the last star turns out not to fit.
    let mut retry = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                retry = Some((p, t));
            }
            Some(c) if c.eq_ignore_ascii_case(&text[t]) => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    p = star;
                    t = from + 1;
                    retry = Some((star, t));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("bob@*", "Bob@example.test", true),
            ("*@example.test", "bob@example.test", true),
            ("*@example.test", "bob@example.test.evil", false),
            ("b*b@*.test", "bb@b@x.test", true),
            ("bob", "bobby", false),
            ("*a*b", "aXaYbZ", false),
            ("**", "x", true),
        ] {
            assert_eq!(fits(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn rules_strike_in_order_and_only_so_often() {
        let script = FaultScript::new(vec![
            FaultRule::at(Stage::Recipient).matching("bob@*").after(1).times(2).refuse(
                450,
                (4, 2, 0),
                "later",
            ),
            FaultRule::at(Stage::Recipient).matching("*@x.test").drop_connection(),
        ]);
        let strike = |to: &str| match script.strike(Stage::Recipient, to) {
            None => "-",
            Some(Action::Refuse(_)) => "refuse",
            Some(Action::Drop) => "drop",
            Some(Action::Delay(_)) => "delay",
        };
        assert_eq!(["bob@y.test"; 5].map(strike), ["-", "refuse", "refuse", "-", "-"]);
        assert_eq!(strike("bob@x.test"), "drop");
        assert_eq!(strike("al@y.test"), "-");
        assert!(script.strike(Stage::Mail, "al@x.test").is_none());
    }
}

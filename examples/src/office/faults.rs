//! [`FaultRule`]: scripted failures, for testing what clients make of them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mail_wire::ReplyText;
use pop3_proto::types::{Refusal as PopRefusal, ResponseCode};
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
    /// POP3: somebody has logged in, and the maildrop is to be opened: the user.
    Maildrop,
    /// RETR or TOP: the user.
    Retrieve,
    /// QUIT with a maildrop open: the user. Nothing is removed when a rule strikes here.
    Commit,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Refuse(Refusal),
    RefusePop3(PopRefusal),
    Drop,
    /// Sends so many octets of a message, then drops.
    BreakOff(u64),
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
/// // Each message that alice collects breaks off in the middle.
/// let broken = FaultRule::at(Stage::Retrieve).matching("alice").break_off_after(100);
/// // Another session seems to have bob's maildrop, once.
/// let in_use = FaultRule::at(Stage::Maildrop).matching("bob").times(1).refuse_pop3("IN-USE", "still open elsewhere");
/// # let _ = (greylisting, crash, broken, in_use);
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
#[must_use = "a rule needs an action: refuse, refuse_pop3, drop_connection, break_off_after, delay or disk_full"]
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

    /// Refuses by this reply. In POP3 that is `-ERR` with the text, and with `[SYS/TEMP]` for a code of 4yz, `[SYS/PERM]` for one of
    /// 5yz.
    ///
    /// # Panics
    ///
    /// If there is no such refusal: see [`Refusal::new`].
    pub fn refuse(self, code: u16, enhanced: (u8, u16, u16), text: &str) -> FaultRule {
        let refusal = Refusal::new(code, enhanced, text)
            .expect("a refusal has a code of 4yz or 5yz and one line of text");
        self.with(Action::Refuse(refusal))
    }

    /// Refuses by `-ERR`, with this response code, such as `IN-USE` or `SYS/TEMP`, or with none where it is empty. In SMTP that is
    /// 550 5.3.0 for `SYS/PERM`, 450 4.3.0 for all others.
    ///
    /// # Panics
    ///
    /// If there is no such code, or the text is no line: see [`ResponseCode::new`] and [`pop3_proto::types::Refusal::new`].
    pub fn refuse_pop3(self, code: &str, text: &str) -> FaultRule {
        let code = (!code.is_empty()).then(|| {
            ResponseCode::new(code).expect("a response code has words with a slash between each two")
        });
        let refusal =
            PopRefusal::new(code, text).expect("a refusal has one line of text and no bracket before it");
        self.with(Action::RefusePop3(refusal))
    }

    /// Says that the disk is full: 452 4.3.1, in POP3 `[SYS/TEMP]`.
    pub fn disk_full(self) -> FaultRule {
        self.with(Action::Refuse(Refusal::INSUFFICIENT_STORAGE))
    }

    /// Closes the connection without a word.
    pub fn drop_connection(self) -> FaultRule {
        self.with(Action::Drop)
    }

    /// Closes the connection when so many octets of the message have been sent, where a message is sent; elsewhere at once.
    pub fn break_off_after(self, octets: u64) -> FaultRule {
        self.with(Action::BreakOff(octets))
    }

    /// Goes on after so long.
    pub fn delay(self, time: Duration) -> FaultRule {
        self.with(Action::Delay(time))
    }

    fn with(self, action: Action) -> FaultRule {
        FaultRule { stage: self.stage, pattern: self.pattern, skip: self.skip, times: self.times, action }
    }
}

/// The reply to an SMTP client where the rule has one for POP3.
pub(super) fn in_smtp(refusal: &PopRefusal) -> Refusal {
    let permanent = refusal.code().is_some_and(|code| code.is_within(&ResponseCode::SysPerm));
    let (code, class) = if permanent { (550, 5) } else { (450, 4) };
    Refusal::new(code, (class, 3, 0), refusal.text().as_str())
        .expect("what fits a line of POP3 with its code fits one of SMTP")
}

/// The reply to a POP3 client where the rule has one for SMTP.
pub(super) fn in_pop3(refusal: &Refusal) -> PopRefusal {
    let code = if refusal.code().class() == 5 { ResponseCode::SysPerm } else { ResponseCode::SysTemp };
    let text = ReplyText::sanitized(refusal.text().as_str().trim_start_matches('['));
    PopRefusal::new(Some(code), text.as_str().to_owned()).expect("the text has no bracket before it")
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
    fn each_protocol_has_its_own_words_for_a_refusal() {
        let refused = |rule: FaultRule| match rule.action {
            Action::Refuse(refusal) => (refusal.to_string(), in_pop3(&refusal).to_string()),
            Action::RefusePop3(refusal) => (in_smtp(&refusal).to_string(), refusal.to_string()),
            other => panic!("{other:?}"),
        };
        let point = || FaultRule::at(Stage::Connect);
        for (rule, smtp, pop3) in [
            (point().refuse(450, (4, 2, 0), "later"), "450 4.2.0 later", "-ERR [SYS/TEMP] later"),
            (point().refuse(550, (5, 7, 1), "[never]"), "550 5.7.1 [never]", "-ERR [SYS/PERM] never]"),
            (point().refuse_pop3("IN-USE", "busy"), "450 4.3.0 busy", "-ERR [IN-USE] busy"),
            (point().refuse_pop3("SYS/PERM/DISK", "x"), "550 5.3.0 x", "-ERR [SYS/PERM/DISK] x"),
            (point().refuse_pop3("", "no"), "450 4.3.0 no", "-ERR no"),
        ] {
            assert_eq!(refused(rule), (smtp.to_owned(), pop3.to_owned()));
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
            Some(Action::Refuse(_) | Action::RefusePop3(_)) => "refuse",
            Some(Action::Drop | Action::BreakOff(_)) => "drop",
            Some(Action::Delay(_)) => "delay",
        };
        assert_eq!(["bob@y.test"; 5].map(strike), ["-", "refuse", "refuse", "-", "-"]);
        assert_eq!(strike("bob@x.test"), "drop");
        assert_eq!(strike("al@y.test"), "-");
        assert!(script.strike(Stage::Mail, "al@x.test").is_none());
    }
}

//! Writing replies, and counting those that tell of errors.

use super::event::{ServerError, Stage};
use super::machine::Server;
use crate::codec::{encode_reply, encode_reply_lines};
use crate::types::{EnhancedCode, Refusal, ReplyCode, Verb, Verdict};
use mail_wire::sasl::MechanismSet;
use mail_wire::{Escaped, ReplyText};

/// A positive or intermediate reply: code, enhanced code (none for 3yz, greeting and EHLO), text.
#[derive(Debug, Clone)]
pub(super) struct Positive {
    code: u16,
    enhanced: Option<(u8, u16, u16)>,
    text: ReplyText,
}

impl Positive {
    pub(super) const fn new(code: u16, enhanced: (u8, u16, u16), text: &'static str) -> Self {
        Self { code, enhanced: Some(enhanced), text: ReplyText::from_static(text) }
    }

    pub(super) const fn plain(code: u16, text: &'static str) -> Self {
        Self { code, enhanced: None, text: ReplyText::from_static(text) }
    }
}

impl Server {
    pub(super) fn reply(&mut self, positive: &Positive) {
        self.write(positive, None);
    }

    /// Grants with the usual reply, or with the embedder's text in it.
    pub(super) fn reply_verdict(&mut self, verdict: &Verdict, positive: &Positive) {
        match verdict {
            Verdict::Accept => self.write(positive, None),
            Verdict::AcceptWith(text) => self.write(positive, Some(text)),
            Verdict::Refuse(refusal) => self.reply_refusal(refusal),
        }
    }

    /// Writes a refusal; one that closes the connection does so.
    pub(super) fn reply_refusal(&mut self, refusal: &Refusal) {
        let enhanced = self.config.extensions.enhanced_status_codes.then_some(refusal.enhanced());
        encode_reply(self.send.tail(), refusal.code(), enhanced, refusal.text());
        if refusal.closes() {
            self.close(Ok(()));
        }
    }

    /// Writes a refusal that counts as an error of the client, and makes clients wait that collect them.
    pub(super) fn reply_error(&mut self, refusal: &Refusal) {
        let from = self.send.tail().len();
        self.reply_refusal(refusal);
        if !refusal.closes() {
            self.count_error(from);
        }
    }

    /// Counts an error whose reply was written since `from`.
    pub(super) fn count_error(&mut self, from: usize) {
        self.counters.errors += 1;
        if self.counters.errors >= self.config.limits.errors() {
            const TOO_MANY: Refusal =
                Refusal::from_static(421, (4, 7, 0), "too many errors, closing connection");
            let enhanced = self.config.extensions.enhanced_status_codes.then_some(TOO_MANY.enhanced());
            encode_reply(self.send.tail(), TOO_MANY.code(), enhanced, TOO_MANY.text());
            self.close(Err(ServerError::TooManyErrors));
        } else if self.counters.errors >= self.config.limits.soft_errors() {
            self.hold_since(from, self.config.timeouts.error_delay);
        }
    }

    /// Counts a command that does nothing for mail.
    pub(super) fn count_junk(&mut self, from: usize) {
        self.counters.junk += 1;
        if self.counters.junk > self.config.limits.junk_commands() {
            self.count_error(from);
        }
    }

    /// Writes a refusal and ends the connection for the client's fault.
    pub(super) fn reply_fatal(&mut self, refusal: &Refusal, stage: Stage) {
        self.close(Err(ServerError::Protocol(stage)));
        self.reply_refusal(refusal);
    }

    pub(super) fn reply_line_too_long(&mut self) {
        const TOO_LONG: Refusal = Refusal::from_static(500, (5, 5, 2), "line too long");
        self.reply_error(&TOO_LONG);
    }

    pub(super) fn reply_greeting(&mut self) {
        let text = format!("{} {}", self.config.hostname, self.config.greeting);
        let code = code(220);
        encode_reply(self.send.tail(), code, None, &ReplyText::sanitized(&text));
    }

    pub(super) fn reply_lines(&mut self, number: u16, enhanced: Option<(u8, u16, u16)>, lines: &[ReplyText]) {
        let enhanced = self.enhanced(enhanced);
        encode_reply_lines(self.send.tail(), code(number), enhanced, lines);
    }

    /// Answers EHLO and LHLO with all that is offered now (RFC 5321 §4.1.1.1).
    pub(super) fn reply_extensions(&mut self, client: &str) {
        let mut lines = vec![ReplyText::sanitized(&format!(
            "{} greets {}",
            self.config.hostname,
            Escaped(client.as_bytes())
        ))];
        let offered = &self.config.extensions;
        let mut offer = |condition: bool, line: &'static str| {
            if condition {
                lines.push(ReplyText::from_static(line));
            }
        };
        offer(offered.pipelining, "PIPELINING");
        offer(offered.eight_bit_mime, "8BITMIME");
        offer(offered.smtputf8, "SMTPUTF8");
        offer(offered.chunking, "CHUNKING");
        offer(offered.chunking && offered.binary_mime, "BINARYMIME");
        offer(offered.enhanced_status_codes, "ENHANCEDSTATUSCODES");
        offer(offered.dsn, "DSN");
        offer(self.offers_starttls(), "STARTTLS");
        offer(offered.requiretls && self.session.tls.is_some(), "REQUIRETLS");
        offer(offered.mt_priority, "MT-PRIORITY");
        offer(offered.rrvs, "RRVS");
        offer(offered.vrfy, "VRFY");
        offer(offered.expn, "EXPN");
        offer(offered.etrn, "ETRN");
        offer(self.offers_atrn(), "ATRN");
        offer(true, "HELP");
        let mut offer = |line: String| lines.push(ReplyText::sanitized(&line));
        offer(format!("SIZE {}", self.config.limits.message_size()));
        if let Some(least) = offered.deliver_by {
            offer(if least > 0 { format!("DELIVERBY {least}") } else { "DELIVERBY".to_owned() });
        }
        if let Some(longest) = offered.future_release {
            offer(format!("FUTURERELEASE {longest} {}", crate::types::DateTime::from_unix(253_402_214_399)));
        }
        if !offered.limits.is_none() {
            offer(offered.limits.to_string());
        }
        if self.offers_auth() {
            offer(format!("AUTH {}", self.offered_mechanisms()));
        }
        if self.offers_xclient() {
            offer("XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT".to_owned());
            offer("XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE".to_owned());
        }
        lines.extend(offered.other.iter().cloned());
        self.reply_lines(250, None, &lines);
    }

    /// The verbs that are of use now, for HELP.
    pub(super) fn offered_verbs(&self) -> String {
        let offered = &self.config.extensions;
        // After HELO there are no extensions.
        let extends = self.session.extended || self.session.hello.is_none();
        let verbs = [
            (!self.is_lmtp(), Verb::Ehlo),
            (!self.is_lmtp(), Verb::Helo),
            (self.is_lmtp(), Verb::Lhlo),
            (self.offers_starttls(), Verb::StartTls),
            (extends && self.offers_auth(), Verb::Auth),
            (true, Verb::Mail),
            (true, Verb::Rcpt),
            (true, Verb::Data),
            (extends && offered.chunking, Verb::Bdat),
            (true, Verb::Rset),
            (offered.vrfy, Verb::Vrfy),
            (offered.expn, Verb::Expn),
            (offered.etrn, Verb::Etrn),
            (self.offers_atrn(), Verb::Atrn),
            (self.offers_xclient(), Verb::Xclient),
            (self.offers_xclient(), Verb::Xforward),
            (true, Verb::Noop),
            (true, Verb::Help),
            (true, Verb::Quit),
        ];
        let verbs = verbs.iter().filter(|(offered, _)| *offered).map(|(_, verb)| verb.to_string());
        verbs.collect::<Vec<_>>().join(" ")
    }

    fn offers_auth(&self) -> bool {
        self.session.identity.is_none() && self.offered_mechanisms() != MechanismSet::EMPTY
    }

    fn offers_atrn(&self) -> bool {
        self.config.extensions.atrn && self.session.identity.is_some()
    }

    pub(super) fn offers_starttls(&self) -> bool {
        self.config.extensions.starttls && self.session.tls.is_none()
    }

    pub(super) fn offers_xclient(&self) -> bool {
        self.config.extensions.xclient && self.session.peer.trusted
    }

    fn write(&mut self, positive: &Positive, text: Option<&ReplyText>) {
        let enhanced = self.enhanced(positive.enhanced);
        encode_reply(self.send.tail(), code(positive.code), enhanced, text.unwrap_or(&positive.text));
    }

    fn enhanced(&self, enhanced: Option<(u8, u16, u16)>) -> Option<EnhancedCode> {
        let (class, subject, detail) = enhanced.filter(|_| self.config.extensions.enhanced_status_codes)?;
        EnhancedCode::new(class, subject, detail)
    }
}

fn code(number: u16) -> ReplyCode {
    ReplyCode::new(number).expect("the codes of this module are from 200 to 599")
}

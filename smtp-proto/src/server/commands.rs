//! Commands that are no part of a transaction, and the way of each command line to its verb.

use super::event::{Event, ServerError, Stage, VerifyAnswer};
use super::machine::{Asked, Server, State};
use super::order::{self, OutOfOrder};
use super::replies::Positive;
use crate::types::{Command, EtrnTarget, HelloName, Refusal, Verb, Verdict, VerifyTarget, XclientAttributes};
use mail_wire::line::{Flaw, Line};
use mail_wire::sasl::{Identity, Mechanism};
use mail_wire::{Escaped, ReplyText, Step};

type Next = Option<Step<Event, ServerError>>;

const NOT_IMPLEMENTED: Refusal = Refusal::from_static(502, (5, 5, 1), "command not implemented");

impl Server {
    /// Reads the line at the front of the received data as a command and does what it says.
    pub(super) fn command_line(&mut self, line: Line, secret: bool) -> Next {
        if let Some(flaw) = line.flaw {
            return self.flawed_line(line, flaw);
        }
        let parsed = Command::parse(&self.recv.data()[..line.text], self.config.leniency);
        if secret {
            self.recv.consume_secret(line.total);
        } else {
            self.recv.consume(line.total);
        }
        match parsed {
            Ok(command) => self.command(command),
            Err(error) => {
                let refusal = error.refusal();
                if self.session.content_may_come && error.verb.is_none() {
                    self.refuse_content();
                } else if refusal.closes() {
                    self.reply_fatal(&refusal, Stage::Command);
                } else if error.verb == Some(Verb::Bdat) {
                    // The length of what follows is not known, so nothing that follows can be read.
                    const BAD_CHUNK: Refusal =
                        Refusal::from_static(521, (5, 5, 4), "syntax: BDAT size [LAST]");
                    self.reply_fatal(&BAD_CHUNK, Stage::Message);
                } else {
                    self.reply_error(&refusal);
                }
                None
            }
        }
    }

    fn flawed_line(&mut self, line: Line, flaw: Flaw) -> Next {
        self.recv.consume_secret(line.total);
        // RFC 5321 §2.3.8: CR and LF must not come alone.
        let refusal = match flaw {
            Flaw::BareLf => Refusal::from_static(500, (5, 5, 2), "bare LF received, end lines with CRLF"),
            Flaw::BareCr => Refusal::from_static(500, (5, 5, 2), "bare CR received, end lines with CRLF"),
            _ => Refusal::from_static(500, (5, 5, 2), "NUL character received"),
        };
        self.reply_error(&refusal);
        None
    }

    fn command(&mut self, command: Command) -> Next {
        let verb = command.verb();
        if self.config.refuse_improper_pipelining && must_be_last(verb) && self.has_more_input() {
            const IMPROPER: Refusal = Refusal::from_static(521, (5, 5, 0), "improper command pipelining");
            self.reply_fatal(&IMPROPER, Stage::Command);
            return None;
        }
        self.session.content_may_come = false;
        if let Err(why) = order::check(verb, self.session.phase()) {
            return self.out_of_order(command, why);
        }
        if let Some(refusal) = self.needs_tls_first(verb) {
            self.reply_error(&refusal);
            return None;
        }
        match command {
            Command::Ehlo(name) => self.hello_command(name, verb),
            Command::Helo(name) => self.hello_command(name, verb),
            Command::Lhlo(name) => self.hello_command(name, verb),
            Command::Mail { from, params } => self.mail(from, params),
            Command::Rcpt { to, params } => self.rcpt(to, params),
            Command::Data => self.data(),
            Command::Bdat { size, last } => self.bdat(size, last),
            Command::Burl { .. } => self.not_implemented(),
            Command::Rset => self.rset(),
            Command::Noop => {
                self.junk(&Positive::new(250, (2, 0, 0), "ok"));
                None
            }
            Command::Quit => {
                self.reply(&Positive::new(221, (2, 0, 0), "bye"));
                self.close(Ok(()));
                None
            }
            Command::Help(_) => self.help(),
            Command::Vrfy(target) => self.verify(target, self.config.extensions.vrfy, Event::Verify),
            Command::Expn(target) if self.config.extensions.expn => self.verify(target, true, Event::Expand),
            Command::Expn(_) => self.not_implemented(),
            Command::StartTls => self.starttls(),
            Command::Auth { mechanism, initial } => self.auth(&mechanism, initial),
            Command::Etrn(target) => self.etrn(target),
            Command::Atrn(domains) => self.atrn(domains),
            Command::Xclient(attributes) if self.offers_xclient() => {
                let pending = self.ask(Asked::Xclient(attributes.clone()));
                Some(Step::Event(Event::Xclient(attributes, pending)))
            }
            Command::Xforward(attributes) if self.offers_xclient() => {
                let pending = self.ask(Asked::Xforward);
                Some(Step::Event(Event::Xforward(attributes, pending)))
            }
            Command::Xclient(_) | Command::Xforward(_) => self.not_implemented(),
        }
    }

    fn out_of_order(&mut self, command: Command, why: OutOfOrder) -> Next {
        const NO_RECIPIENTS: Refusal = Refusal::from_static(554, (5, 5, 1), "no valid recipients");
        let attempted = self.session.envelope.as_ref().is_some_and(|envelope| envelope.attempted > 0);
        let refusal =
            if attempted && why == OutOfOrder::NeedRecipient { NO_RECIPIENTS } else { why.refusal() };
        match command {
            // RFC 3030 §2: the bytes come whatever the reply is.
            Command::Bdat { size, last } => self.swallow_chunk(size, last, refusal),
            Command::Data => {
                self.reply_error(&refusal);
                self.drop_content_behind_data();
            }
            _ => self.reply_error(&refusal),
        }
        None
    }

    /// What a client sent behind DATA without waiting for 354 is content: it must not be read as commands. What is still
    /// on its way shows by its first line being no command.
    pub(super) fn drop_content_behind_data(&mut self) {
        self.session.content_may_come = true;
        if self.has_more_input() {
            self.refuse_content();
        }
    }

    fn refuse_content(&mut self) {
        const CONTENT: Refusal =
            Refusal::from_static(421, (4, 5, 0), "content sent before the reply to DATA");
        self.reply_fatal(&CONTENT, Stage::Message);
    }

    fn needs_tls_first(&self, verb: Verb) -> Option<Refusal> {
        // RFC 3207 §4: all but these may be refused with 530.
        let allowed = matches!(
            verb,
            Verb::Ehlo
                | Verb::Helo
                | Verb::Lhlo
                | Verb::StartTls
                | Verb::Noop
                | Verb::Rset
                | Verb::Quit
                | Verb::Help
                | Verb::Auth
                | Verb::Xclient
                | Verb::Xforward
        );
        (self.config.require_tls && self.session.tls.is_none() && !allowed).then_some(Refusal::TLS_REQUIRED)
    }

    fn not_implemented(&mut self) -> Next {
        self.reply_error(&NOT_IMPLEMENTED);
        None
    }

    /// A positive reply to a command that does nothing for mail.
    fn junk(&mut self, positive: &Positive) {
        let from = self.send.tail().len();
        self.reply(positive);
        self.count_junk(from);
    }

    fn hello_command(&mut self, name: HelloName, verb: Verb) -> Next {
        const WANTS_LHLO: Refusal = Refusal::from_static(500, (5, 5, 1), "this is LMTP, send LHLO");
        const WANTS_EHLO: Refusal = Refusal::from_static(500, (5, 5, 1), "this is SMTP, send EHLO");
        // RFC 2033 §4.1: LHLO in LMTP and only there.
        match (verb == Verb::Lhlo, self.is_lmtp()) {
            (false, true) => self.reply_error(&WANTS_LHLO),
            (true, false) => self.reply_error(&WANTS_EHLO),
            _ => {
                // RFC 5321 §4.1.4: a second EHLO clears the envelope as RSET does.
                self.session.envelope = None;
                let pending = self.ask(Asked::Hello { name: name.clone(), extended: verb != Verb::Helo });
                return Some(Step::Event(Event::Hello(name, pending)));
            }
        }
        None
    }

    pub(super) fn answer_hello(&mut self, verdict: Verdict) {
        let Some(Asked::Hello { name, extended }) = self.asked() else { return };
        if let Verdict::Refuse(refusal) = verdict {
            return self.reply_error(&refusal);
        }
        let from = self.send.tail().len();
        if extended {
            self.reply_extensions(name.as_str());
        } else {
            let text = ReplyText::sanitized(&format!(
                "{} greets {}",
                self.config.hostname,
                Escaped(name.as_str().as_bytes())
            ));
            self.reply_lines(250, None, &[text]);
        }
        let again = self.session.hello.replace(name).is_some();
        self.session.extended = extended;
        if again {
            self.count_junk(from);
        }
    }

    fn rset(&mut self) -> Next {
        let had_envelope = self.session.envelope.take().is_some();
        self.junk(&Positive::new(250, (2, 0, 0), "ok"));
        had_envelope.then_some(Step::Event(Event::Reset))
    }

    fn help(&mut self) -> Next {
        let lines = [
            ReplyText::sanitized(&format!("commands: {}", self.offered_verbs())),
            ReplyText::from_static("see RFC 5321"),
        ];
        let from = self.send.tail().len();
        self.reply_lines(214, Some((2, 0, 0)), &lines);
        self.count_junk(from);
        None
    }

    fn verify(
        &mut self,
        target: VerifyTarget,
        asks: bool,
        event: fn(VerifyTarget, mail_wire::Pending<super::event::Verify>) -> Event,
    ) -> Next {
        if self.config.require_auth && self.session.identity.is_none() {
            self.reply_error(&Refusal::AUTHENTICATION_REQUIRED);
            return None;
        }
        if !asks {
            let from = self.send.tail().len();
            self.reply_cannot_verify();
            self.count_junk(from);
            return None;
        }
        let pending = self.ask(Asked::Verify { utf8: target.smtputf8() });
        Some(Step::Event(event(target, pending)))
    }

    fn reply_cannot_verify(&mut self) {
        // RFC 5321 §7.3: says neither yes nor no.
        self.reply(&Positive::new(
            252,
            (2, 5, 0),
            "cannot VRFY user, but will accept message and attempt delivery",
        ));
    }

    pub(super) fn answer_verify(&mut self, answer: VerifyAnswer) {
        let utf8 = matches!(self.asked(), Some(Asked::Verify { utf8: true }));
        let from = self.send.tail().len();
        match answer {
            VerifyAnswer::Found(lines) if !utf8 && lines.iter().any(|line| !line.as_str().is_ascii()) => {
                // RFC 6531 §3.7.4.2: the reply would need SMTPUTF8, which was not asked for.
                const NEEDS_UTF8: Refusal = Refusal::from_static(553, (5, 6, 7), "the answer needs SMTPUTF8");
                self.reply_error(&NEEDS_UTF8);
            }
            VerifyAnswer::Found(lines) if !lines.is_empty() => self.reply_lines(250, Some((2, 1, 5)), &lines),
            VerifyAnswer::Refuse(refusal) => self.reply_error(&refusal),
            VerifyAnswer::Found(_) | VerifyAnswer::CannotVerify => self.reply_cannot_verify(),
        }
        self.count_junk(from);
    }

    fn starttls(&mut self) -> Next {
        if self.session.tls.is_some() {
            const TLS_ON: Refusal = Refusal::from_static(503, (5, 5, 1), "TLS is on already");
            self.reply_error(&TLS_ON);
            return None;
        }
        if !self.config.extensions.starttls {
            return self.not_implemented();
        }
        // RFC 3207 §4.2, RFC 2920 §3.1: whatever stands behind STARTTLS is not from the client under TLS.
        self.recv.purge();
        self.scanner.reset();
        self.reply(&Positive::new(220, (2, 0, 0), "ready to start TLS"));
        self.state = State::StartTls;
        None
    }

    fn etrn(&mut self, target: EtrnTarget) -> Next {
        if !self.config.extensions.etrn {
            return self.not_implemented();
        }
        let pending = self.ask(Asked::Etrn);
        Some(Step::Event(Event::Etrn(target, pending)))
    }

    pub(super) fn answer_etrn(&mut self, verdict: Verdict) {
        self.asked();
        let from = self.send.tail().len();
        // RFC 1985 §5.3
        self.reply_verdict(&verdict, &Positive::new(250, (2, 0, 0), "queuing for node started"));
        self.count_junk(from);
    }

    fn atrn(&mut self, domains: Vec<crate::types::Domain>) -> Next {
        if !self.config.extensions.atrn {
            return self.not_implemented();
        }
        if self.session.identity.is_none() {
            // RFC 2645 §5.2.2
            self.reply_error(&Refusal::AUTHENTICATION_REQUIRED);
            return None;
        }
        let pending = self.ask(Asked::Atrn);
        Some(Step::Event(Event::Atrn(domains, pending)))
    }

    pub(super) fn answer_atrn(&mut self, verdict: Verdict) {
        self.asked();
        self.reply_verdict(&verdict, &Positive::new(250, (2, 0, 0), "ok, now reversing the connection"));
        if !matches!(verdict, Verdict::Refuse(_)) {
            self.state = State::Turned;
            self.stop_waiting();
            self.queued = Some(Event::Turned);
        }
    }

    pub(super) fn answer_xclient(&mut self, verdict: Verdict) {
        let Some(Asked::Xclient(attributes)) = self.asked() else { return };
        if let Verdict::Refuse(refusal) = verdict {
            return self.reply_error(&refusal);
        }
        self.become_client(attributes);
        self.greet();
    }

    /// Begins the session anew for the client that a trusted peer describes.
    fn become_client(&mut self, attributes: XclientAttributes) {
        let peer = &mut self.session.peer;
        peer.identity = None;
        if let Some(address) = attributes.addr.flatten() {
            peer.address.set_ip(address);
            peer.name = None;
        }
        if let Some(port) = attributes.port {
            peer.address.set_port(port.unwrap_or(0));
        }
        if let Some(name) = attributes.name {
            peer.name = name.and_then(|name| crate::types::Domain::parse(&name).ok());
        }
        if let (Some(Some(address)), port) = (attributes.dest_addr, attributes.dest_port.flatten()) {
            peer.local = Some((address, port.unwrap_or(0)).into());
        }
        // The certificate is that of the proxy.
        if let Some(tls) = &mut self.session.tls {
            tls.peer_identity = None;
        }
        self.session.hello = None;
        self.session.extended = false;
        self.session.identity = attributes.login.flatten().map(|login| {
            let authcid = String::from(login);
            Box::new(Identity { mechanism: Mechanism::External, authzid: authcid.clone(), authcid })
        });
    }

    pub(super) fn answer_xforward(&mut self, verdict: Verdict) {
        self.asked();
        self.reply_verdict(&verdict, &Positive::new(250, (2, 0, 0), "ok"));
    }
}

/// RFC 2920 §3.1: these can only be the last of a group.
fn must_be_last(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Ehlo
            | Verb::Helo
            | Verb::Lhlo
            | Verb::Data
            | Verb::Vrfy
            | Verb::Expn
            | Verb::Quit
            | Verb::Noop
            | Verb::Auth
            | Verb::StartTls
            | Verb::Etrn
            | Verb::Atrn
            | Verb::Xclient
    )
}

//! The way of each command line to its verb, and the commands that have to do with neither login nor maildrop.

use super::config::Utf8;
use super::event::{Event, Part, ServerError};
use super::language::Phrase;
use super::machine::{Server, State};
use super::order::{self, Phase};
use crate::codec::{CommandError, CommandErrorKind};
use crate::types::{Capability, Command, Expire, LanguageListing, LanguageRange, LoginDelay, Refusal, Verb};
use mail_wire::Step;
use mail_wire::line::{Flaw, Line};

type Next = Option<Step<Event, ServerError>>;

impl Server {
    /// Reads the line at the front of the received data as a command and does what it says.
    pub(super) fn command_line(&mut self, line: Line) -> Next {
        match line.flaw {
            None => {}
            Some(Flaw::BareLf) if self.config.bare_lf => {}
            Some(flaw) => return self.flawed_line(line, flaw),
        }
        let parsed = Command::parse(&self.recv.data()[..line.text]);
        match self.session.phase() {
            Phase::Transaction => self.recv.consume(line.total),
            Phase::Authorization | Phase::Named => self.recv.consume_secret(line.total),
        }
        match parsed {
            Ok(command) => self.command(command),
            Err(error) => self.bad_command(error),
        }
    }

    fn flawed_line(&mut self, line: Line, flaw: Flaw) -> Next {
        self.recv.consume_secret(line.total);
        self.error(match flaw {
            Flaw::BareLf => Phrase::BareLf,
            Flaw::BareCr => Phrase::BareCr,
            _ => Phrase::Nul,
        });
        None
    }

    fn bad_command(&mut self, error: CommandError) -> Next {
        let phrase = match error.kind {
            CommandErrorKind::UnknownVerb => Phrase::UnknownCommand,
            CommandErrorKind::OtherProtocol => {
                self.err(Phrase::OtherProtocol);
                self.close(Err(ServerError::Protocol(self.stage())));
                return None;
            }
            CommandErrorKind::MissingArgument => Phrase::ArgumentMissing,
            CommandErrorKind::UnexpectedArgument(_) => Phrase::TooManyArguments,
            CommandErrorKind::Argument { .. } => Phrase::BadArgument,
            CommandErrorKind::NoSuchMessage(_) => match error.verb {
                // What is wrong first is that there is no maildrop.
                Some(verb) if self.session.opened.is_none() => {
                    order::check(verb, self.session.phase()).err().unwrap_or(Phrase::NoSuchMessage)
                }
                _ => {
                    self.err(Phrase::NoSuchMessage);
                    return None;
                }
            },
        };
        if error.verb == Some(Verb::Pass) {
            self.session.user = None;
        }
        self.error(phrase);
        None
    }

    fn command(&mut self, command: Command) -> Next {
        let verb = command.verb();
        if !self.is_known(verb) {
            self.error(Phrase::UnknownCommand);
            return None;
        }
        let phase = self.session.phase();
        if let Err(why) = order::check(verb, phase) {
            let in_clear = verb == Verb::Pass && self.config.user && !self.offers_user();
            self.error(if in_clear && phase != Phase::Transaction { Phrase::NeedTls } else { why });
            return None;
        }
        if phase != Phase::Transaction && verb != Verb::Quit {
            self.counters.login_commands += 1;
            if self.counters.login_commands > self.config.limits.login_commands() {
                self.error(Phrase::NeedLogin);
                return None;
            }
        }
        match command {
            Command::Retr(number) => self.retrieve(number, Part::Whole),
            Command::Top { number, lines } => self.retrieve(number, Part::Top(lines)),
            Command::Dele(number) => self.delete(number),
            Command::List(number) => self.list(number),
            Command::Uidl(number) => self.uidl(number),
            Command::Stat => self.stat(),
            Command::Rset => self.reset(),
            Command::Noop => {
                self.ok(Phrase::Nothing);
                None
            }
            Command::Quit => self.quit(),
            Command::User(name) => self.user(name),
            Command::Pass(password) => self.pass(&password),
            Command::Apop { user, digest } => self.apop(user, digest),
            Command::Rpop(client_user) => self.rpop(&client_user),
            Command::Auth { mechanism, initial } => self.auth(&mechanism, initial),
            Command::AuthList => self.auth_list(),
            Command::Capa => self.capa(),
            Command::Stls => self.stls(),
            Command::Utf8 => {
                self.session.utf8 = true;
                self.ok(Phrase::Utf8On);
                None
            }
            Command::Lang(range) => self.lang(range),
        }
    }

    /// Whether the command is one that was configured.
    fn is_known(&self, verb: Verb) -> bool {
        match verb {
            Verb::Top => self.config.top,
            Verb::Uidl => self.config.uidl,
            Verb::Utf8 => self.config.utf8 != Utf8::Off,
            Verb::Lang => !self.config.languages.is_empty(),
            Verb::Rpop => self.config.rpop,
            Verb::Stls => self.config.stls || self.session.tls.is_some(),
            _ => true,
        }
    }

    /// RFC 2449 §5: what is there now, by state, configuration and TLS.
    fn capa(&mut self) -> Next {
        self.ok(Phrase::CapabilitiesFollow);
        let config = self.config.clone();
        let maildrop = self.session.opened.as_deref().map(|opened| &opened.maildrop);
        let (own_expire, own_delay) =
            maildrop.map_or((None, None), |maildrop| (maildrop.expire, maildrop.login_delay));
        let logged_in = maildrop.is_some();
        let own_expire = own_expire.map(|days| Expire { days, per_user: false });
        let own_delay = own_delay.map(|seconds| LoginDelay { seconds, per_user: false });
        let mechanisms = self.offered_mechanisms();
        let offers_stls = config.stls && !logged_in && self.session.tls.is_none() && !self.session.utf8;
        let implementation = config
            .implementation
            .as_ref()
            .filter(|_| logged_in || !config.implementation_after_login)
            .map(|text| Capability::Implementation(text.as_str().into()));
        let flag = |on: bool, capability: Capability| on.then_some(capability);
        let capabilities = [
            flag(config.top, Capability::Top),
            flag(config.uidl, Capability::Uidl),
            flag(config.response_codes, Capability::RespCodes),
            flag(config.response_codes, Capability::AuthRespCode),
            flag(config.pipelining, Capability::Pipelining),
            flag(self.offers_user(), Capability::User),
            flag(!mechanisms.is_empty(), Capability::Sasl(mechanisms.into())),
            // RFC 2595 §8: in AUTHORIZATION only.
            flag(offers_stls, Capability::Stls),
            own_expire.or(config.expire).map(Capability::Expire),
            own_delay.or(config.login_delay).map(Capability::LoginDelay),
            flag(config.utf8 != Utf8::Off, Capability::Utf8 { user: config.utf8 == Utf8::WithUsers }),
            flag(!config.languages.is_empty(), Capability::Lang),
            implementation,
        ];
        for capability in capabilities.into_iter().flatten() {
            capability.encode(self.send.tail());
            self.end_line();
        }
        self.end_lines();
        None
    }

    fn stls(&mut self) -> Next {
        if self.session.tls.is_some() {
            self.error(Phrase::TlsIsOn);
        } else if self.session.utf8 {
            // RFC 6856 §2.1
            self.error(Phrase::StlsAfterUtf8);
        } else {
            // RFC 2595 §4: whatever stands behind STLS is not from the client under TLS.
            self.recv.purge();
            self.scanner.reset();
            self.session.user = None;
            self.ok(Phrase::BeginTls);
            self.await_tls();
        }
        None
    }

    fn lang(&mut self, range: Option<LanguageRange>) -> Next {
        let config = self.config.clone();
        let Some(range) = range else {
            self.ok(Phrase::LanguagesFollow);
            for language in &config.languages {
                let listing =
                    LanguageListing { tag: language.tag.clone(), description: language.description.clone() };
                listing.encode(self.send.tail());
                self.end_line();
            }
            self.end_lines();
            return None;
        };
        // The language with just this tag goes before narrower ones.
        let exact = |tag| matches!(&range, LanguageRange::Tag(range) if range == tag);
        let mut tags = config.languages.iter().map(|language| &language.tag);
        let found = tags.clone().position(exact).or_else(|| tags.position(|tag| range.matches(tag)));
        match found {
            Some(index) => {
                self.session.language = Some(index);
                self.send.push(b"+OK ");
                self.send.push(config.languages[index].tag.as_str().as_bytes());
                self.send.push(b" ");
                self.send.push(config.languages[index].words(Phrase::LanguageChanged).as_bytes());
                self.end_line();
            }
            None => self.err(Phrase::UnknownLanguage),
        }
        None
    }

    /// The embedder dropped a token, or took too long.
    pub(super) fn abandon_question(&mut self) {
        use super::machine::Asked;
        let State::Asked(asked) = &self.state else { return };
        match asked {
            Asked::Connected => self.answer_connected(Err(Refusal::TEMPORARY)),
            Asked::Login => self.answer_login(mail_wire::sasl::Answer::Unavailable),
            Asked::Open => self.answer_open(Err(Refusal::TEMPORARY)),
            Asked::UniqueIds(_) => self.answer_unique_ids(Err(Refusal::TEMPORARY)),
            Asked::Retrieve { .. } => self.answer_retrieve(Err(Refusal::TEMPORARY)),
            Asked::Commit => self.answer_commit(Err(Refusal::NOT_REMOVED)),
        }
    }
}

//! Commands outside of transactions. One at a time; each gives [`Event::Reply`] and leaves the client idle again.

use super::machine::Phase;
use super::replies::Expect;
use super::{Client, Event, SendError};
use crate::types::{Capabilities, Command, Domain, EtrnTarget, Reply, Verb, VerifyTarget, XclientAttributes};

impl Client {
    /// NOOP: does nothing, and shows that the server is there.
    ///
    /// # Errors
    ///
    /// [`SendError::Busy`], unless the client is [idle](Self::is_idle).
    pub fn noop(&mut self) -> Result<(), SendError> {
        self.command(&Command::Noop)
    }

    /// RSET outside of a transaction. To end one, [`abort`](Self::abort).
    ///
    /// # Errors
    ///
    /// [`SendError::Busy`], unless the client is [idle](Self::is_idle).
    pub fn rset(&mut self) -> Result<(), SendError> {
        self.command(&Command::Rset)
    }

    /// VRFY: is there such a user or mailbox? Most servers only say 252 (RFC 5321 §7.3).
    ///
    /// # Errors
    ///
    /// [`SendError::Busy`]; [`SendError::NotOffered`] for a name beyond ASCII without SMTPUTF8 (RFC 6531 §3.7.4.2).
    pub fn vrfy(&mut self, name: &str) -> Result<(), SendError> {
        let argument = self.name_argument(name)?;
        self.command(&Command::Vrfy(argument))
    }

    /// EXPN: who is on this list?
    ///
    /// # Errors
    ///
    /// As for [`vrfy`](Self::vrfy).
    pub fn expn(&mut self, name: &str) -> Result<(), SendError> {
        let argument = self.name_argument(name)?;
        self.command(&Command::Expn(argument))
    }

    /// HELP, on a topic or in general.
    ///
    /// # Errors
    ///
    /// [`SendError::Busy`], unless the client is [idle](Self::is_idle).
    pub fn help(&mut self, topic: Option<&str>) -> Result<(), SendError> {
        self.command(&Command::Help(topic.map(Into::into)))
    }

    /// ETRN: asks the server to send what it holds for us (RFC 1985).
    ///
    /// # Errors
    ///
    /// [`SendError::Busy`], [`SendError::NotOffered`].
    pub fn etrn(&mut self, target: EtrnTarget) -> Result<(), SendError> {
        self.offered(|offered| offered.etrn, "ETRN", "mail that waits at the server")?;
        self.command(&Command::Etrn(target))
    }

    /// ATRN: asks the server to send what it holds for these domains on this very connection (RFC 2645). An empty list
    /// asks for all that this user may have.
    ///
    /// Where the server agrees, [`Event::Turned`] comes in place of [`Event::Reply`]: the client is done then and does
    /// no more I/O. Take the transport from the driver, and let an SMTP server begin on it, fed first with what
    /// [`into_unread`](Self::into_unread) gives.
    ///
    /// # Errors
    ///
    /// [`SendError::Busy`]; [`SendError::NotOffered`], unless the client is logged in: many servers offer ATRN only
    /// then, and capabilities are not asked for again.
    pub fn atrn(&mut self, domains: Vec<Domain>) -> Result<(), SendError> {
        if self.authenticated().is_none() {
            self.offered(|offered| offered.atrn, "ATRN", "mail that waits at the server")?;
        }
        self.command(&Command::Atrn(domains))
    }

    /// XCLIENT: tells a server that trusts us whom we speak for. Where that is accepted, the session begins anew, up to
    /// [`Event::Ready`] in place of [`Event::Reply`].
    ///
    /// # Errors
    ///
    /// [`SendError::Busy`], [`SendError::NotOffered`].
    pub fn xclient(&mut self, attributes: XclientAttributes) -> Result<(), SendError> {
        self.offered(|offered| offered.xclient.is_some(), "XCLIENT", "the facts of another client")?;
        self.command(&Command::Xclient(attributes))
    }

    /// XFORWARD: tells a server that trusts us where the next message came from, for its logs.
    ///
    /// # Errors
    ///
    /// [`SendError::Busy`], [`SendError::NotOffered`].
    pub fn xforward(&mut self, attributes: XclientAttributes) -> Result<(), SendError> {
        self.offered(|offered| offered.xforward.is_some(), "XFORWARD", "the facts of another client")?;
        self.command(&Command::Xforward(attributes))
    }

    /// QUIT: ends the connection in order, whether the server answers or just closes it.
    ///
    /// # Errors
    ///
    /// [`SendError::Busy`], unless the client is [idle](Self::is_idle).
    pub fn quit(&mut self) -> Result<(), SendError> {
        self.begin(&Command::Quit, Expect::Quit, Phase::Quitting)
    }

    /// What was received behind the last reply: after [`Event::Turned`], what the peer has said as a client already.
    pub fn into_unread(self) -> Vec<u8> {
        self.channel.recv.data().to_vec()
    }

    fn command(&mut self, command: &Command) -> Result<(), SendError> {
        self.begin(command, Expect::Command(command.verb()), Phase::Command)
    }

    fn begin(&mut self, command: &Command, expect: Expect, phase: Phase) -> Result<(), SendError> {
        if !self.is_idle() {
            return Err(SendError::Busy);
        }
        self.phase = phase;
        let issued = self.channel.issue(command, expect);
        self.fail_on(issued);
        Ok(())
    }

    fn offered(
        &self,
        is_offered: impl Fn(&Capabilities) -> bool,
        extension: &'static str,
        purpose: &'static str,
    ) -> Result<(), SendError> {
        if is_offered(self.capabilities()) {
            Ok(())
        } else {
            Err(SendError::NotOffered { extension, purpose })
        }
    }

    /// RFC 6531 §3.7.4.2: a name beyond ASCII is followed by SMTPUTF8.
    fn name_argument(&self, name: &str) -> Result<VerifyTarget, SendError> {
        if name.is_ascii() {
            return Ok(name.into());
        }
        self.offered(|offered| offered.smtputf8, "SMTPUTF8", "a name beyond ASCII")?;
        Ok(format!("{name} SMTPUTF8").as_str().into())
    }

    pub(super) fn on_command_reply(&mut self, verb: Verb, reply: Reply) {
        self.phase = Phase::Idle;
        match (verb, reply.code().get()) {
            (Verb::Atrn, 250) => {
                self.phase = Phase::Turned;
                self.events.push_back(Event::Turned);
            }
            (Verb::Xclient, 220) => {
                // The server greets anew, and has forgotten what it knew of us, TLS apart.
                self.session.greeting = Some(reply);
                self.session.capabilities = Capabilities::default();
                self.session.authenticated = None;
                self.phase = Phase::Login(Box::default());
                self.say_hello(self.first_hello());
            }
            _ => self.events.push_back(Event::Reply { verb, reply }),
        }
    }
}

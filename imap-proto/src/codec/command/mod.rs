//! Commands, from bytes and to bytes.

mod acl;
mod append;
mod append_reader;
mod fetch;
mod list;
mod notify;
mod parameter;
mod search;
mod search_key;
mod store;
mod verb;
mod words;

pub use append_reader::{AppendHead, AppendReader, AppendStep, Bytes, MessageHead};
pub(crate) use parameter::parameter;
pub use verb::Head;

use super::CommandError;
use super::chars::ATOM;
use super::{Cursor, Dialect, Fault, Frame, Parse, Stop, Style, Writer};
use crate::types::command::{Command, CommandBody, Ids, Verb};
use crate::types::{Atom, NonEmpty, Tag, Text};
use mail_wire::Secret;

impl Command {
    /// Reads a frame, without the CRLF that ends it.
    ///
    /// # Errors
    ///
    /// If it is no command, or one that is not known here. What was found is not told, since it may be part of a password.
    pub fn parse(frame: &[u8], dialect: &Dialect) -> Result<Self, CommandError> {
        Self::parse_streamed(frame, &[], dialect)
    }

    /// Reads a frame from which literals were taken out: messages that were handed on as they came. `streamed` are the places
    /// in the frame, in ascending order, where these are [announced](super::Announced::at).
    ///
    /// # Errors
    ///
    /// See [`parse`](Self::parse).
    pub fn parse_streamed(frame: &[u8], streamed: &[usize], dialect: &Dialect) -> Result<Self, CommandError> {
        let frame = Frame::with_streamed(frame, streamed);
        let mut cursor = Cursor::new(&frame, *dialect);
        let tag = cursor.command_tag().map_err(|fault| fault.with_tag(None))?;
        let verb = match cursor.verb() {
            Ok(Some(verb)) => verb,
            Ok(None) => return Err(CommandError::Unknown { tag }),
            Err(fault) => return Err(fault.with_tag(Some(tag)).into()),
        };
        match cursor.command_body(verb).and_then(|body| cursor.end().map(|()| body)) {
            Ok(body) => Ok(Self { tag, body }),
            Err(fault) => Err(fault.with_tag(Some(tag)).into()),
        }
    }

    /// Whether a line, without its CRLF, is the `DONE` that ends IDLE (RFC 2177 §3).
    pub fn is_done(line: &[u8]) -> bool {
        line.eq_ignore_ascii_case(b"DONE")
    }

    /// Appends the command as it is written, with its CRLF. Returns where in `out` a client has to stop: to wait until the
    /// server asks for a literal, or to send a message from elsewhere.
    ///
    /// ```
    /// use imap_proto::codec::{Stop, Style};
    /// use imap_proto::types::command::{Command, CommandBody};
    /// use imap_proto::types::{MailboxName, Tag};
    ///
    /// let mailbox = MailboxName::from_wire(b"caf\xe9", false);
    /// let command = Command::new(Tag::new("a").unwrap(), CommandBody::Delete(mailbox));
    /// let mut out = Vec::new();
    /// let stops = command.encode(&mut out, &Style::CLIENT);
    /// assert_eq!(out, b"a DELETE {4}\r\ncaf\xe9\r\n");
    /// assert_eq!(stops, [Stop { at: 14, waits: true, streamed: None }]);
    /// ```
    pub fn encode(&self, out: &mut Vec<u8>, style: &Style) -> Vec<Stop> {
        let mut writer = Writer::new(out, *style);
        writer.raw(self.tag.as_bytes());
        writer.space();
        writer.raw(self.body.verb().as_str().as_bytes());
        writer.command_body(&self.body);
        writer.crlf();
        writer.into_stops()
    }
}

impl Cursor<'_> {
    fn command_body(&mut self, verb: Verb) -> Parse<CommandBody> {
        // What comes next is kept nowhere but in the secret itself.
        if verb.is_secret() {
            self.frame().copy_piecewise();
        }
        Ok(match verb {
            Verb::Capability => CommandBody::Capability,
            Verb::Noop => CommandBody::Noop,
            Verb::Logout => CommandBody::Logout,
            Verb::StartTls => CommandBody::StartTls,
            Verb::Unauthenticate => CommandBody::Unauthenticate,
            Verb::Namespace => CommandBody::Namespace,
            Verb::Idle => CommandBody::Idle,
            Verb::Check => CommandBody::Check,
            Verb::Close => CommandBody::Close,
            Verb::Unselect => CommandBody::Unselect,
            Verb::Expunge => CommandBody::Expunge,
            Verb::Id => self.id()?,
            Verb::Language => CommandBody::Language(self.arguments(Self::astring)?),
            Verb::Comparator => CommandBody::Comparator(self.arguments(Self::astring)?),
            Verb::Authenticate => self.authenticate()?,
            Verb::Login => {
                self.argument()?;
                let user = self.astring()?;
                self.argument()?;
                CommandBody::Login { user, password: self.secret()? }
            }
            Verb::Compress => {
                self.argument()?;
                CommandBody::Compress(self.atom_value("the name of a compression")?)
            }
            Verb::Enable => {
                let names = self.arguments(|cursor| cursor.atom_value("the name of a capability"))?;
                CommandBody::Enable(self.non_empty(names, "a space, and the name of a capability")?)
            }
            Verb::Select => {
                let (mailbox, parameters) = self.select()?;
                CommandBody::Select { mailbox, parameters }
            }
            Verb::Examine => {
                let (mailbox, parameters) = self.select()?;
                CommandBody::Examine { mailbox, parameters }
            }
            Verb::Create => self.create()?,
            Verb::Delete => CommandBody::Delete(self.mailbox_argument()?),
            Verb::Rename => self.rename()?,
            Verb::Subscribe => CommandBody::Subscribe(self.mailbox_argument()?),
            Verb::Unsubscribe => CommandBody::Unsubscribe(self.mailbox_argument()?),
            Verb::List => CommandBody::List(Box::new(self.list_command()?)),
            Verb::Lsub => self.lsub()?,
            Verb::Status => {
                let mailbox = self.mailbox_argument()?;
                self.argument()?;
                CommandBody::Status { mailbox, attributes: self.status_attributes()? }
            }
            Verb::Append => self.append()?,
            Verb::SetAcl => self.set_acl()?,
            Verb::DeleteAcl => {
                let mailbox = self.mailbox_argument()?;
                self.argument()?;
                CommandBody::DeleteAcl { mailbox, identifier: self.astring()? }
            }
            Verb::GetAcl => CommandBody::GetAcl(self.mailbox_argument()?),
            Verb::ListRights => {
                let mailbox = self.mailbox_argument()?;
                self.argument()?;
                CommandBody::ListRights { mailbox, identifier: self.astring()? }
            }
            Verb::MyRights => CommandBody::MyRights(self.mailbox_argument()?),
            Verb::GetQuota => {
                self.argument()?;
                CommandBody::GetQuota(self.astring()?)
            }
            Verb::GetQuotaRoot => CommandBody::GetQuotaRoot(self.mailbox_argument()?),
            Verb::SetQuota => self.set_quota()?,
            Verb::GetMetadata => CommandBody::GetMetadata(Box::new(self.get_metadata()?)),
            Verb::SetMetadata => self.set_metadata()?,
            Verb::Notify => CommandBody::Notify(self.notify()?),
            Verb::GenUrlAuth => self.gen_url_auth()?,
            Verb::UrlFetch => {
                let urls = self.arguments(Self::astring)?;
                CommandBody::UrlFetch(self.non_empty(urls, "a space, and a URL")?)
            }
            Verb::ResetKey => self.reset_key()?,
            Verb::Esearch => CommandBody::Esearch(Box::new(self.multi_search()?)),
            Verb::UidExpunge => {
                self.argument()?;
                CommandBody::UidExpunge(self.sequence_set()?)
            }
            Verb::Search => CommandBody::Search(Box::new(self.search(Ids::Seq)?)),
            Verb::UidSearch => CommandBody::Search(Box::new(self.search(Ids::Uid)?)),
            Verb::Sort => CommandBody::Sort(Box::new(self.sort(Ids::Seq)?)),
            Verb::UidSort => CommandBody::Sort(Box::new(self.sort(Ids::Uid)?)),
            Verb::Thread => CommandBody::Thread(Box::new(self.thread_command(Ids::Seq)?)),
            Verb::UidThread => CommandBody::Thread(Box::new(self.thread_command(Ids::Uid)?)),
            Verb::Fetch => self.fetch_command(Ids::Seq)?,
            Verb::UidFetch => self.fetch_command(Ids::Uid)?,
            Verb::Store => CommandBody::Store(Box::new(self.store(Ids::Seq)?)),
            Verb::UidStore => CommandBody::Store(Box::new(self.store(Ids::Uid)?)),
            Verb::Copy => {
                let (set, mailbox) = self.set_and_mailbox()?;
                CommandBody::Copy { ids: Ids::Seq, set, mailbox }
            }
            Verb::UidCopy => {
                let (set, mailbox) = self.set_and_mailbox()?;
                CommandBody::Copy { ids: Ids::Uid, set, mailbox }
            }
            Verb::Move => {
                let (set, mailbox) = self.set_and_mailbox()?;
                CommandBody::Move { ids: Ids::Seq, set, mailbox }
            }
            Verb::UidMove => {
                let (set, mailbox) = self.set_and_mailbox()?;
                CommandBody::Move { ids: Ids::Uid, set, mailbox }
            }
            Verb::Replace => self.replace(Ids::Seq)?,
            Verb::UidReplace => self.replace(Ids::Uid)?,
            Verb::CancelUpdate => {
                let tags = self.arguments(Self::quoted_tag)?;
                CommandBody::CancelUpdate(self.non_empty(tags, "a space, and a tag in quotes")?)
            }
        })
    }

    /// The space before an argument that must be there.
    #[inline]
    fn argument(&mut self) -> Parse<()> {
        self.expect(b' ', "a space, and another argument")
    }

    /// All arguments that follow, each with a space before it.
    fn arguments<T>(&mut self, mut one: impl FnMut(&mut Self) -> Parse<T>) -> Parse<Vec<T>> {
        let mut arguments = Vec::new();
        while self.eat(b' ') {
            arguments.push(one(self)?);
        }
        Ok(arguments)
    }

    fn non_empty<T>(&self, values: Vec<T>, expected: &'static str) -> Parse<NonEmpty<T>> {
        NonEmpty::new(values).ok_or(Fault { at: self.at(), expected })
    }

    /// Items in parentheses, one at least.
    fn non_empty_list<T>(
        &mut self,
        expected: &'static str,
        item: impl FnMut(&mut Self) -> Parse<T>,
    ) -> Parse<NonEmpty<T>> {
        let start = self.at();
        let items = self.list(item)?;
        NonEmpty::new(items).ok_or(Fault { at: start + 1, expected })
    }

    fn atom_value(&mut self, expected: &'static str) -> Parse<Atom> {
        let start = self.at();
        self.run(ATOM, expected)?;
        Ok(Atom::trusted(self.text(start..self.at())))
    }

    fn quoted_tag(&mut self) -> Parse<Tag> {
        let start = self.at();
        let text = self.quoted()?;
        Tag::new(&text).ok_or(Fault { at: start, expected: "a tag in quotes" })
    }

    /// `SP "NIL"`, or names and values in parentheses.
    fn id(&mut self) -> Parse<CommandBody> {
        self.argument()?;
        if self.eat_nil() {
            return Ok(CommandBody::Id(None));
        }
        let fields = self.list(|cursor| {
            let name = cursor.string()?;
            cursor.space()?;
            Ok((name, cursor.nstring()?))
        })?;
        Ok(CommandBody::Id(Some(fields)))
    }

    fn authenticate(&mut self) -> Parse<CommandBody> {
        self.argument()?;
        let mechanism = self.atom_value("the name of an authentication mechanism")?;
        let initial = match self.eat(b' ') {
            true => Some(self.base64()?),
            false => None,
        };
        Ok(CommandBody::Authenticate { mechanism, initial })
    }

    /// Base64, or `=` for nothing. Whether it can be decoded is found out by who does.
    fn base64(&mut self) -> Parse<Secret> {
        let rest = self.rest();
        let len = rest.iter().position(|byte| !is_base64(*byte)).unwrap_or(rest.len());
        if len == 0 {
            return self.fault("an initial response in base64, or `=`");
        }
        self.skip(len);
        Ok(Secret::new(&rest[..len]))
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

impl Writer<'_> {
    fn command_body(&mut self, body: &CommandBody) {
        match body {
            CommandBody::Capability
            | CommandBody::Noop
            | CommandBody::Logout
            | CommandBody::StartTls
            | CommandBody::Unauthenticate
            | CommandBody::Namespace
            | CommandBody::Idle
            | CommandBody::Check
            | CommandBody::Close
            | CommandBody::Unselect
            | CommandBody::Expunge => {}
            CommandBody::Id(None) => self.raw(b" NIL"),
            CommandBody::Id(Some(fields)) => {
                self.space();
                self.list(fields, |writer, (name, value)| {
                    writer.string(name);
                    writer.space();
                    writer.nstring(value.as_deref());
                });
            }
            CommandBody::Language(values) | CommandBody::Comparator(values) => self.astrings(values),
            CommandBody::Authenticate { mechanism, initial } => {
                self.space();
                self.raw(mechanism.as_bytes());
                if let Some(initial) = initial {
                    self.space();
                    if initial.is_empty() {
                        self.byte(b'=');
                    }
                    for byte in initial.expose().iter().filter(|byte| is_base64(**byte)) {
                        self.byte(*byte);
                    }
                }
            }
            CommandBody::Login { user, password } => {
                self.space();
                self.astring(user);
                self.space();
                self.astring(password.expose());
            }
            CommandBody::Compress(algorithm) => self.atoms(core::slice::from_ref(algorithm)),
            CommandBody::Enable(names) => self.atoms(names),
            CommandBody::Select { mailbox, parameters } | CommandBody::Examine { mailbox, parameters } => {
                self.mailbox_argument(mailbox);
                self.select_parameters(parameters);
            }
            CommandBody::Create { mailbox, parameters } => {
                self.mailbox_argument(mailbox);
                self.create_parameters(parameters);
            }
            CommandBody::Delete(mailbox)
            | CommandBody::Subscribe(mailbox)
            | CommandBody::Unsubscribe(mailbox)
            | CommandBody::GetAcl(mailbox)
            | CommandBody::MyRights(mailbox)
            | CommandBody::GetQuotaRoot(mailbox) => self.mailbox_argument(mailbox),
            CommandBody::Rename(rename) => {
                self.mailbox_argument(&rename.from);
                self.mailbox_argument(&rename.to);
            }
            CommandBody::List(list) => self.list_command(list),
            CommandBody::Lsub(lsub) => {
                self.mailbox_argument(&lsub.reference);
                self.space();
                self.list_pattern(&lsub.pattern);
            }
            CommandBody::Status { mailbox, attributes } => {
                self.mailbox_argument(mailbox);
                self.space();
                self.list(attributes, |writer, attribute| writer.raw(attribute.as_bytes()));
            }
            CommandBody::Append(append) => self.append(append),
            CommandBody::SetAcl(set_acl) => self.set_acl(set_acl),
            CommandBody::DeleteAcl { mailbox, identifier }
            | CommandBody::ListRights { mailbox, identifier } => {
                self.mailbox_argument(mailbox);
                self.space();
                self.astring(identifier);
            }
            CommandBody::GetQuota(root) => {
                self.space();
                self.astring(root);
            }
            CommandBody::SetQuota { root, limits } => {
                self.space();
                self.astring(root);
                self.space();
                self.list(limits, |writer, (resource, limit)| {
                    writer.raw(resource.as_bytes());
                    writer.space();
                    writer.number(*limit);
                });
            }
            CommandBody::GetMetadata(get) => self.get_metadata(get),
            CommandBody::SetMetadata { mailbox, entries } => {
                self.mailbox_argument(mailbox);
                self.space();
                self.list(entries, |writer, (name, value)| {
                    writer.astring(name.as_bytes());
                    writer.space();
                    writer.nstring(value.as_deref());
                });
            }
            CommandBody::Notify(notify) => self.notify(notify),
            CommandBody::GenUrlAuth(urls) => {
                for (url, mechanism) in urls {
                    self.space();
                    self.astring(url);
                    self.space();
                    self.raw(mechanism.as_bytes());
                }
            }
            CommandBody::UrlFetch(urls) => self.astrings(urls),
            CommandBody::ResetKey(None) => {}
            CommandBody::ResetKey(Some(reset)) => {
                self.mailbox_argument(&reset.mailbox);
                self.atoms(&reset.mechanisms);
            }
            CommandBody::Esearch(search) => self.multi_search(search),
            CommandBody::UidExpunge(set) => {
                self.space();
                self.sequence_set(set);
            }
            CommandBody::Search(search) => self.search(search),
            CommandBody::Sort(sort) => self.sort(sort),
            CommandBody::Thread(thread) => self.thread_command(thread),
            CommandBody::Fetch { set, items, modifiers, .. } => self.fetch_command(set, items, modifiers),
            CommandBody::Store(store) => self.store(store),
            CommandBody::Copy { set, mailbox, .. } | CommandBody::Move { set, mailbox, .. } => {
                self.space();
                self.sequence_set(set);
                self.mailbox_argument(mailbox);
            }
            CommandBody::Replace(replace) => self.replace(replace),
            CommandBody::CancelUpdate(tags) => {
                for tag in tags {
                    self.space();
                    self.string(tag.as_bytes());
                }
            }
        }
    }

    fn astrings(&mut self, values: &[Text]) {
        for value in values {
            self.space();
            self.astring(value);
        }
    }

    fn atoms(&mut self, atoms: &[Atom]) {
        for atom in atoms {
            self.space();
            self.raw(atom.as_bytes());
        }
    }
}

//! Actions as commands.

use super::Reason;
use super::chain::Truth;
use super::conditions::simple_command;
use super::folders::{Place, place};
use super::recipes::{Body, Converter};
use super::script::{Command, Piece, Test, Value, Verb};
use super::values::Binding;
use crate::eval::Head;
use crate::syntax::{Action, Capture, Mode, Text, parse_text};

impl Converter<'_> {
    pub(super) fn action(&mut self, head: &Head, action: &Action) -> Result<Body, Reason> {
        let copy = head.copies || self.copying.is_some();
        let mut body = match action {
            Action::Folders(text) => self.folders(text, head, copy)?,
            Action::Forward { capture: Some(_), .. } => return Err(Reason::Capture),
            Action::Forward { capture: None, arguments } => {
                let mut body = Body::of(Vec::new());
                for word in self.variables.expand(arguments, Mode::Words)? {
                    for address in addresses(&word)? {
                        body.commands.push(Command::Redirect { address, copy });
                    }
                }
                if body.commands.is_empty() {
                    return Err(Reason::NoAddress);
                }
                if head.given_part().is_some() {
                    body.inexact.push(Reason::Inexact("all of the mail is forwarded, not a part of it"));
                }
                body
            }
            Action::Pipe { capture, command, .. } => self.pipe(head, capture.as_ref(), command, copy)?,
            Action::Block { .. } | Action::Missing | Action::Incomplete => return Err(Reason::Malformed),
        };
        let takes = matches!(action, Action::Folders(_) | Action::Forward { .. })
            || matches!(action, Action::Pipe { capture: None, .. } if !head.filters);
        if takes && !head.copies && body.succeeded == Truth::Yes {
            body.delivers = true;
            match self.copying {
                Some(done) => body.commands.push(Command::Flag(done)),
                None => {
                    // Of two deliveries to one place some servers take only the first, the copy, and keep the mail besides.
                    if body.commands.iter().any(|command| self.had_copy(command)) {
                        body.commands.push(Command::Discard);
                    }
                    body.commands.push(Command::Stop);
                }
            }
        }
        for command in &body.commands {
            if let Command::FileInto { mailbox: to, copy: true, .. }
            | Command::Redirect { address: to, copy: true } = command
            {
                self.copies.insert(to.clone());
            }
        }
        Ok(body)
    }

    fn had_copy(&self, command: &Command) -> bool {
        match command {
            Command::FileInto { mailbox: to, .. } | Command::Redirect { address: to, .. } => {
                self.copies.contains(to)
            }
            _ => false,
        }
    }

    fn folders(&mut self, text: &Text, head: &Head, copy: bool) -> Result<Body, Reason> {
        let words = self.variables.expand(text, Mode::Words)?;
        let mut body = Body::of(Vec::new());
        let is_directory = |word: &Value| match word.0.last() {
            Some(Piece::Text(text)) => text.ends_with(b"/") || text.ends_with(b"/."),
            _ => false,
        };
        let links = words.first().is_some_and(is_directory);
        for (number, word) in words.iter().enumerate() {
            if number > 0 && !(links && is_directory(word)) {
                body.inexact
                    .push(Reason::Inexact("only directories get links; this is left out as procmail does"));
                continue;
            }
            match place(word, self.root.as_ref(), &self.variables, self.options)? {
                Place::Nowhere if copy => {}
                Place::Nowhere => body.commands.push(self.nowhere()),
                Place::Inbox => body.commands.push(Command::Keep),
                Place::Mailbox(mailbox) => {
                    body.commands.push(Command::FileInto { mailbox, copy, create: self.options.create });
                }
            }
        }
        if words.is_empty() {
            return Err(Reason::NoFolder);
        }
        if head.given_part().is_some() && body.commands.iter().any(|command| *command != Command::Discard) {
            body.inexact.push(Reason::Inexact("all of the mail is stored, not a part of it"));
        }
        Ok(body)
    }

    /// What becomes of mail for `/dev/null`: with an `EXITCODE` that has the sender told, it is rejected.
    pub(super) fn nowhere(&self) -> Command {
        let code = match self.variables.get(b"EXITCODE") {
            Binding::Known(value) => value.known(),
            _ => None,
        };
        let text = match code.as_deref() {
            Some(b"67") => "User unknown",
            Some(b"69") => "Service unavailable",
            Some(b"77") => "Permission denied",
            Some(b"65" | b"76") => "Message refused",
            _ => return Command::Discard,
        };
        Command::Reject(text.to_owned())
    }

    fn pipe(
        &mut self,
        head: &Head,
        capture: Option<&Capture>,
        command: &[u8],
        copy: bool,
    ) -> Result<Body, Reason> {
        let command = command.trim_ascii();
        if command.is_empty() && !head.filters {
            return Err(Reason::StandardOutput);
        }
        let words: Vec<&[u8]> =
            command.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
        let program =
            words.first().and_then(|word| word.rsplit(|&byte| byte == b'/').next()).unwrap_or_default();
        let simple = !command.iter().any(|byte| b"&|<>~;?*[".contains(byte));
        if capture.is_none() && !head.filters && simple {
            match program {
                b"formail" if words.get(1) == Some(&&b"-D"[..]) && words.len() == 4 => {
                    return Ok(self.duplicates(head));
                }
                b"dovecot-lda" | b"deliver" => {
                    if let Some(folder) = lda_mailbox(&words[1..]) {
                        let text = parse_text(folder, 0, Mode::Words);
                        return self.folders(&text, head, copy);
                    }
                }
                _ => {}
            }
        }
        let replies = memchr::memmem::find(command, b"formail").is_some()
            && [&b" -r"[..], b" -rt", b"-k -r"]
                .iter()
                .any(|flag| memchr::memmem::find(command, flag).is_some());
        if replies {
            return Err(Reason::Reply);
        }
        if capture.is_some() && !self.options.programs {
            return Err(Reason::Capture);
        }
        if head.filters && !self.options.programs {
            return Err(Reason::Filter);
        }
        if !self.options.programs {
            return Err(Reason::Program);
        }
        if head.given_part().is_some() {
            return Err(Reason::PartToProgram);
        }
        let (name, arguments) = simple_command(command)?;
        let (verb, output) = match capture {
            Some(capture) => {
                self.variables.set(capture.variable(), Binding::AtRunTime);
                (Verb::Execute, Some(capture.variable().to_vec()))
            }
            None if head.filters => (Verb::Filter, None),
            None => (Verb::Pipe, None),
        };
        let copy = copy && verb == Verb::Pipe;
        let mut body = Body::of(vec![Command::Program { verb, copy, name, arguments, output }]);
        body.inexact
            .push(Reason::Inexact("the program must lie where the server looks for programs of scripts"));
        Ok(body)
    }

    /// `| formail -D size cache` takes what came before: a recipe that succeeds only for duplicates.
    fn duplicates(&mut self, head: &Head) -> Body {
        let mut body = Body::of(Vec::new());
        body.inexact
            .push(Reason::Inexact("the server remembers what came, in its own way and for its own time"));
        let succeeded = self.flag();
        let mut inside = vec![Command::Flag(succeeded)];
        if !head.copies {
            match self.copying {
                Some(done) => inside.push(Command::Flag(done)),
                None => inside.extend([Command::Discard, Command::Stop]),
            }
        }
        body.commands.push(Command::If { branches: vec![(Test::Duplicate, inside)], otherwise: None });
        body.succeeded = Truth::Flag(succeeded);
        body
    }
}

/// The addresses in a word of a forward.
fn addresses(word: &Value) -> Result<Vec<Value>, Reason> {
    if let Some(name) = word.unknown() {
        return Err(Reason::UnknownVariable(name.to_vec()));
    }
    let Some(text) = word.known() else {
        return Ok(vec![word.clone()]);
    };
    let mut found = Vec::new();
    for address in text.split(|&byte| byte == b',').filter(|address| !address.is_empty()) {
        if address.starts_with(b"-") {
            return Err(Reason::MailerOption);
        }
        if !is_address(address) {
            return Err(Reason::NoAddress);
        }
        found.push(Value::text(address));
    }
    Ok(found)
}

/// Whether it is an address that needs no thought: of letters, digits and the commonest signs.
fn is_address(text: &[u8]) -> bool {
    let mut parts = text.rsplitn(2, |&byte| byte == b'@');
    let (Some(domain), Some(local)) = (parts.next(), parts.next()) else { return false };
    let atoms = |text: &[u8], signs: &[u8]| {
        !text.is_empty()
            && text.split(|&byte| byte == b'.').all(|atom| {
                !atom.is_empty()
                    && atom.iter().all(|byte| byte.is_ascii_alphanumeric() || signs.contains(byte))
            })
    };
    atoms(local, b"!#%&'*+/=?^_{}|~-") && atoms(domain, b"-")
}

/// The mailbox in `-m mailbox` or `-mmailbox`, if nothing but a user is said besides.
fn lda_mailbox<'w>(words: &[&'w [u8]]) -> Option<&'w [u8]> {
    let mut words = words.iter();
    let mut mailbox = None;
    while let Some(word) = words.next() {
        match *word {
            b"-d" => {
                words.next()?;
            }
            b"-m" => mailbox = Some(*words.next()?),
            word => mailbox = Some(word.strip_prefix(b"-m")?),
        }
    }
    mailbox
}

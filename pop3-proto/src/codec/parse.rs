//! Commands from lines.

use super::decimal::{Digits, digits};
use super::{CommandError, CommandErrorKind};
use crate::types::{ApopDigest, Command, LanguageRange, MessageNumber, UserName, Verb};
use mail_wire::Secret;

type Result<T> = core::result::Result<T, CommandErrorKind>;

impl Command {
    /// Reads a command line, without its CRLF. Verbs are taken in any letter case; spaces at the end are ignored, but for
    /// PASS, where they are part of the password.
    ///
    /// ```
    /// use pop3_proto::types::{Command, MessageNumber};
    ///
    /// let number = MessageNumber::new(2).unwrap();
    /// assert_eq!(Command::parse(b"retr 2")?, Command::Retr(number));
    /// assert_eq!(Command::parse(b"TOP 2 10")?, Command::Top { number, lines: 10 });
    /// assert_eq!(Command::parse(b"PASS  two spaces ")?, Command::Pass(" two spaces ".into()));
    /// # Ok::<(), pop3_proto::codec::CommandError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the line is no command; the error knows the reply to give.
    pub fn parse(line: &[u8]) -> core::result::Result<Self, CommandError> {
        let Some((verb, end)) = verb(line) else {
            let other = is_other_protocol(line);
            let kind = if other { CommandErrorKind::OtherProtocol } else { CommandErrorKind::UnknownVerb };
            return Err(CommandError { verb: None, kind });
        };
        let arguments = Arguments { line, at: end };
        read(verb, arguments).map_err(|kind| CommandError { verb: Some(verb), kind })
    }
}

/// The verb at the start of the line and the place behind it: one comparison of four bytes.
#[inline]
fn verb(line: &[u8]) -> Option<(Verb, usize)> {
    let head = match line.first_chunk::<4>() {
        Some(chunk) => *chunk,
        None => [*line.first()?, *line.get(1)?, *line.get(2)?, b' '],
    };
    // Clears the bit between small letters and capitals, in letters only.
    let head = head.map(|byte| if byte & 0x40 != 0 { byte & !0x20 } else { byte });
    let (verb, end) = match &head {
        b"RETR" => (Verb::Retr, 4),
        b"DELE" => (Verb::Dele, 4),
        b"UIDL" => (Verb::Uidl, 4),
        b"LIST" => (Verb::List, 4),
        b"TOP " => (Verb::Top, 3),
        b"STAT" => (Verb::Stat, 4),
        b"NOOP" => (Verb::Noop, 4),
        b"USER" => (Verb::User, 4),
        b"PASS" => (Verb::Pass, 4),
        b"APOP" => (Verb::Apop, 4),
        b"AUTH" => (Verb::Auth, 4),
        b"CAPA" => (Verb::Capa, 4),
        b"STLS" => (Verb::Stls, 4),
        b"QUIT" => (Verb::Quit, 4),
        b"RSET" => (Verb::Rset, 4),
        b"UTF8" => (Verb::Utf8, 4),
        b"LANG" => (Verb::Lang, 4),
        b"RPOP" => (Verb::Rpop, 4),
        _ => return None,
    };
    line.get(end).is_none_or(|byte| *byte == b' ').then_some((verb, end))
}

/// Whether the line looks like HTTP or like a header field: what an attacker can make a browser or another server send.
fn is_other_protocol(line: &[u8]) -> bool {
    const METHODS: [&[u8]; 9] =
        [b"GET ", b"POST ", b"PUT ", b"HEAD ", b"OPTIONS ", b"DELETE ", b"CONNECT ", b"PATCH ", b"TRACE "];
    if METHODS.iter().any(|method| line.starts_with(method)) {
        return true;
    }
    let name = line.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'-').count();
    name > 0 && line.get(name) == Some(&b':')
}

/// Reads what stands behind the verb.
#[inline]
fn read(verb: Verb, mut arguments: Arguments<'_>) -> Result<Command> {
    let command = match verb {
        Verb::Retr => Command::Retr(arguments.number()?),
        Verb::Dele => Command::Dele(arguments.number()?),
        Verb::List => Command::List(arguments.optional_number()?),
        Verb::Uidl => Command::Uidl(arguments.optional_number()?),
        Verb::Top => Command::Top { number: arguments.number()?, lines: arguments.lines()? },
        Verb::Stat => Command::Stat,
        Verb::Noop => Command::Noop,
        Verb::Rset => Command::Rset,
        Verb::Quit => Command::Quit,
        Verb::Capa => Command::Capa,
        Verb::Stls => Command::Stls,
        Verb::Utf8 => Command::Utf8,
        // RFC 1939 §7: all that stands behind the space is the password.
        Verb::Pass => return arguments.password().map(Command::Pass),
        Verb::User => return arguments.name().map(Command::User),
        Verb::Rpop => return arguments.name().map(Command::Rpop),
        Verb::Apop => return apop(arguments),
        Verb::Auth => auth(&mut arguments)?,
        Verb::Lang => lang(&mut arguments)?,
    };
    arguments.end()?;
    Ok(command)
}

/// The digest is the last word; what is before it is the name, which may have spaces.
fn apop(arguments: Arguments<'_>) -> Result<Command> {
    let (at, rest) = arguments.rest();
    let space = memchr::memrchr(b' ', rest).ok_or(CommandErrorKind::MissingArgument)?;
    let digest = ApopDigest::from_hex(&rest[space + 1..])
        .ok_or(CommandErrorKind::Argument { expected: "32 hexadecimal digits", at: at + space + 1 })?;
    Ok(Command::Apop { user: name(at, rest[..space].trim_ascii_end())?, digest })
}

fn auth(arguments: &mut Arguments<'_>) -> Result<Command> {
    let (at, mechanism) = arguments.word();
    if mechanism.is_empty() {
        return Ok(Command::AuthList);
    }
    let mechanism = text(at, mechanism, "the name of a SASL mechanism")?.into();
    let (at, initial) = arguments.word();
    let initial = match initial {
        b"" => None,
        initial => Some(Secret::new(text(at, initial, "a response in base64")?)),
    };
    Ok(Command::Auth { mechanism, initial })
}

fn lang(arguments: &mut Arguments<'_>) -> Result<Command> {
    let (at, range) = arguments.word();
    if range.is_empty() {
        return Ok(Command::Lang(None));
    }
    let expected = "a language range";
    let range = LanguageRange::new(range).map_err(|_| CommandErrorKind::Argument { expected, at })?;
    Ok(Command::Lang(Some(range)))
}

fn name(at: usize, text: &[u8]) -> Result<UserName> {
    if text.is_empty() {
        return Err(CommandErrorKind::MissingArgument);
    }
    UserName::new(text).map_err(|_| CommandErrorKind::Argument { expected: "a printable name", at })
}

/// Printable ASCII without spaces.
fn text<'a>(at: usize, word: &'a [u8], expected: &'static str) -> Result<&'a str> {
    match core::str::from_utf8(word) {
        Ok(text) if word.iter().all(u8::is_ascii_graphic) => Ok(text),
        _ => Err(CommandErrorKind::Argument { expected, at }),
    }
}

/// The line behind the verb, read from left to right.
struct Arguments<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Arguments<'a> {
    /// The next word, and the place where it begins. Empty at the end.
    fn word(&mut self) -> (usize, &'a [u8]) {
        let (at, rest) = self.skip_spaces();
        let len = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        self.at = at + len;
        (at, &rest[..len])
    }

    fn skip_spaces(&self) -> (usize, &'a [u8]) {
        let rest = self.line.get(self.at..).unwrap_or(&[]);
        let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
        (self.at + spaces, &rest[spaces..])
    }

    /// All that is left, without spaces around it.
    fn rest(&self) -> (usize, &'a [u8]) {
        let (at, mut rest) = self.skip_spaces();
        while let [left @ .., b' '] = rest {
            rest = left;
        }
        (at, rest)
    }

    fn name(&self) -> Result<UserName> {
        let (at, rest) = self.rest();
        name(at, rest)
    }

    fn password(&self) -> Result<Secret> {
        match self.line.get(self.at..) {
            Some([b' ', password @ ..]) => Ok(Secret::new(password)),
            _ => Err(CommandErrorKind::MissingArgument),
        }
    }

    fn number(&mut self) -> Result<MessageNumber> {
        self.optional_number()?.ok_or(CommandErrorKind::MissingArgument)
    }

    fn optional_number(&mut self) -> Result<Option<MessageNumber>> {
        let (at, word) = self.word();
        if word.is_empty() {
            return Ok(None);
        }
        let number = match digits(word) {
            Digits::Number(number) => u32::try_from(number).ok().and_then(MessageNumber::new),
            Digits::Huge => None,
            Digits::None => {
                return Err(CommandErrorKind::Argument { expected: "the number of a message", at });
            }
        };
        number.map(Some).ok_or(CommandErrorKind::NoSuchMessage(at))
    }

    /// A number of lines; one that is too large is as good as the largest.
    fn lines(&mut self) -> Result<u64> {
        let (at, word) = self.word();
        match digits(word) {
            Digits::Number(number) => Ok(number),
            Digits::Huge => Ok(u64::MAX),
            Digits::None if word.is_empty() => Err(CommandErrorKind::MissingArgument),
            Digits::None => Err(CommandErrorKind::Argument { expected: "a number of lines", at }),
        }
    }

    /// Nothing but spaces may follow.
    fn end(&self) -> Result<()> {
        match self.skip_spaces() {
            (_, []) => Ok(()),
            (at, _) => Err(CommandErrorKind::UnexpectedArgument(at)),
        }
    }
}

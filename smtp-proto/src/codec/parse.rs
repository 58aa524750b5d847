//! Commands from lines.

use super::cursor::Cursor;
use super::{CommandError, CommandErrorKind, parse_params, xclient};
use crate::types::path_at;
use crate::types::{
    AddressError, Command, Domain, EtrnTarget, ForwardPath, HelloName, MailParams, RcptParams, ReversePath,
    Verb,
};
use mail_wire::Secret;
use mail_wire::keyword::begins;

/// Departures from the grammar that are let pass, each by its name. All are off by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leniency {
    /// `MAIL FROM: <a@b>`: spaces between the colon and the path. Many hand-written clients send them.
    pub space_after_colon: bool,
    /// `MAIL FROM:a@b`: a mailbox without angle brackets.
    pub missing_brackets: bool,
}

impl Leniency {
    /// The grammar as it stands.
    pub const STRICT: Leniency = Leniency { space_after_colon: false, missing_brackets: false };
    /// All departures.
    pub const LENIENT: Leniency = Leniency { space_after_colon: true, missing_brackets: true };
}

/// Most domains in an ATRN.
const MAX_ATRN_DOMAINS: usize = 64;

impl Command {
    /// Reads a command line, without its CRLF.
    ///
    /// ```
    /// use smtp_proto::codec::Leniency;
    /// use smtp_proto::types::Command;
    ///
    /// let command = Command::parse(b"mail FROM:<alice@example.org> SIZE=1000", Leniency::STRICT)?;
    /// let Command::Mail { from, params } = command else { panic!() };
    /// assert_eq!(from.to_string(), "<alice@example.org>");
    /// assert_eq!(params.size, Some(1000));
    /// # Ok::<(), smtp_proto::codec::CommandError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the line is no command; the error knows the reply to give.
    pub fn parse(line: &[u8], leniency: Leniency) -> Result<Self, CommandError> {
        let Some((verb, at)) = verb(line) else {
            let kind = if is_other_protocol(line) {
                CommandErrorKind::OtherProtocol
            } else {
                CommandErrorKind::UnknownVerb
            };
            return Err(CommandError { verb: None, kind });
        };
        // The usual commands without arguments need no look at the line as text.
        if at == line.len() {
            match verb {
                Verb::Data => return Ok(Command::Data),
                Verb::Rset => return Ok(Command::Rset),
                Verb::Noop => return Ok(Command::Noop),
                Verb::Quit => return Ok(Command::Quit),
                _ => {}
            }
        }
        let mut cursor = Cursor { line, at };
        arguments(verb, &mut cursor, leniency).map_err(|kind| CommandError { verb: Some(verb), kind })
    }
}

/// The verb at the start of the line and the place behind it. One comparison for the first four letters.
fn verb(line: &[u8]) -> Option<(Verb, usize)> {
    // Clears the bit between small letters and capitals: of all bytes, only those two become the capital.
    let head = line.first_chunk::<4>()?.map(|b| b & !0x20);
    let (verb, tail) = match &head {
        b"MAIL" => (Verb::Mail, ""),
        b"RCPT" => (Verb::Rcpt, ""),
        b"DATA" => (Verb::Data, ""),
        b"EHLO" => (Verb::Ehlo, ""),
        b"HELO" => (Verb::Helo, ""),
        b"LHLO" => (Verb::Lhlo, ""),
        b"BDAT" => (Verb::Bdat, ""),
        b"BURL" => (Verb::Burl, ""),
        b"RSET" => (Verb::Rset, ""),
        b"NOOP" => (Verb::Noop, ""),
        b"QUIT" => (Verb::Quit, ""),
        b"VRFY" => (Verb::Vrfy, ""),
        b"EXPN" => (Verb::Expn, ""),
        b"HELP" => (Verb::Help, ""),
        b"ETRN" => (Verb::Etrn, ""),
        b"ATRN" => (Verb::Atrn, ""),
        b"AUTH" => (Verb::Auth, ""),
        b"STAR" => (Verb::StartTls, "TTLS"),
        b"XCLI" => (Verb::Xclient, "ENT"),
        b"XFOR" => (Verb::Xforward, "WARD"),
        _ => return None,
    };
    let end = 4 + tail.len();
    let tail_matches = line.get(4..end)?.eq_ignore_ascii_case(tail.as_bytes());
    let ends = line.get(end).is_none_or(|b| *b == b' ');
    (tail_matches && ends).then_some((verb, end))
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
fn arguments(verb: Verb, cursor: &mut Cursor<'_>, leniency: Leniency) -> Result<Command, CommandErrorKind> {
    Ok(match verb {
        Verb::Mail => {
            let (from, params) = mail(cursor, leniency).map_err(|kind| envelope_error(cursor, kind))?;
            Command::Mail { from, params }
        }
        Verb::Rcpt => {
            let (to, params) = rcpt(cursor, leniency).map_err(|kind| envelope_error(cursor, kind))?;
            Command::Rcpt { to, params }
        }
        Verb::Data | Verb::Rset | Verb::Quit | Verb::StartTls => {
            cursor.end()?;
            match verb {
                Verb::Data => Command::Data,
                Verb::Rset => Command::Rset,
                Verb::Quit => Command::Quit,
                _ => Command::StartTls,
            }
        }
        Verb::Noop => {
            cursor.remainder()?;
            Command::Noop
        }
        Verb::Ehlo | Verb::Helo | Verb::Lhlo => {
            let (at, word) = cursor.text_word()?;
            if word.is_empty() {
                return Err(CommandErrorKind::MissingArgument);
            }
            let name = HelloName::parse(word)
                .map_err(|_| CommandErrorKind::Argument { expected: "a domain or address literal", at })?;
            cursor.end()?;
            match verb {
                Verb::Ehlo => Command::Ehlo(name),
                Verb::Helo => Command::Helo(name),
                _ => Command::Lhlo(name),
            }
        }
        Verb::Bdat => bdat(cursor)?,
        Verb::Burl => {
            let (_, url) = cursor.text_word()?;
            if url.is_empty() {
                return Err(CommandErrorKind::MissingArgument);
            }
            Command::Burl { url: url.into(), last: last(cursor)? }
        }
        Verb::Vrfy | Verb::Expn => {
            let text = cursor.remainder()?;
            if text.is_empty() {
                return Err(CommandErrorKind::MissingArgument);
            }
            if verb == Verb::Vrfy { Command::Vrfy(text.into()) } else { Command::Expn(text.into()) }
        }
        Verb::Help => {
            let topic = cursor.remainder()?;
            Command::Help((!topic.is_empty()).then(|| topic.into()))
        }
        Verb::Etrn => etrn(cursor)?,
        Verb::Atrn => atrn(cursor)?,
        Verb::Auth => {
            let (_, mechanism) = cursor.text_word()?;
            if mechanism.is_empty() {
                return Err(CommandErrorKind::MissingArgument);
            }
            let (_, initial) = cursor.text_word()?;
            cursor.end()?;
            Command::Auth {
                mechanism: mechanism.into(),
                initial: (!initial.is_empty()).then(|| Secret::new(initial)),
            }
        }
        Verb::Xclient => Command::Xclient(xclient::parse(cursor, true)?),
        Verb::Xforward => Command::Xforward(xclient::parse(cursor, false)?),
    })
}

fn mail(cursor: &mut Cursor<'_>, leniency: Leniency) -> Result<(ReversePath, MailParams), CommandErrorKind> {
    let text = envelope_text(cursor)?;
    let start = path_start(cursor, b"FROM", leniency).ok_or(CommandErrorKind::Keyword("FROM:"))?;
    let (path, end) = path_at(text, start, !leniency.missing_brackets)
        .and_then(|(path, end)| Ok((path.reverse(start + 1)?, end)))
        .map_err(CommandErrorKind::Address)?;
    let params = parse_params::mail(text, parameters_start(text, end)?)?;
    Ok((path, params))
}

fn rcpt(cursor: &mut Cursor<'_>, leniency: Leniency) -> Result<(ForwardPath, RcptParams), CommandErrorKind> {
    let text = envelope_text(cursor)?;
    let start = path_start(cursor, b"TO", leniency).ok_or(CommandErrorKind::Keyword("TO:"))?;
    let (path, end) = path_at(text, start, !leniency.missing_brackets)
        .and_then(|(path, end)| Ok((path.forward(start + 1)?, end)))
        .map_err(CommandErrorKind::Address)?;
    let params = parse_params::rcpt(text, parameters_start(text, end)?)?;
    Ok((path, params))
}

/// The line of a MAIL or RCPT as text.
fn envelope_text<'a>(cursor: &Cursor<'a>) -> Result<&'a str, CommandErrorKind> {
    // The grammar has no place for control characters of ASCII: a line that holds one fails, and is looked at again then.
    match core::str::from_utf8(cursor.line) {
        Ok(text) if text.is_ascii() => Ok(text),
        _ => cursor.text(0, cursor.line.len()),
    }
}

/// What is wrong with the line of a MAIL or RCPT that cannot be read: above all other, that it holds a control character,
/// or bytes that are not UTF-8. Those in the path are told as a bad address.
#[cold]
fn envelope_error(cursor: &Cursor<'_>, kind: CommandErrorKind) -> CommandErrorKind {
    match cursor.text(0, cursor.line.len()) {
        Err(CommandErrorKind::Control(at)) if !cursor.line[..at].windows(2).any(|pair| pair == b"> ") => {
            CommandErrorKind::Address(AddressError::Control(at))
        }
        Err(control) => control,
        Ok(_) => kind,
    }
}

/// The place where the path begins, behind `FROM:` or `TO:`; `keyword` is the word alone.
fn path_start<const N: usize>(
    cursor: &mut Cursor<'_>,
    keyword: &[u8; N],
    leniency: Leniency,
) -> Option<usize> {
    cursor.skip_spaces();
    let rest = cursor.rest();
    if !begins(rest, keyword) || rest.get(N) != Some(&b':') {
        return None;
    }
    cursor.at += N + 1;
    if leniency.space_after_colon {
        cursor.skip_spaces();
    }
    (!cursor.rest().starts_with(b" ")).then_some(cursor.at)
}

/// Behind a path comes the end or a space.
fn parameters_start(line: &str, end: usize) -> Result<usize, CommandErrorKind> {
    match line.as_bytes().get(end) {
        None | Some(b' ') => Ok(end),
        Some(_) => Err(CommandErrorKind::Address(AddressError::Trailing(end))),
    }
}

fn bdat(cursor: &mut Cursor<'_>) -> Result<Command, CommandErrorKind> {
    let (at, word) = cursor.word();
    if word.is_empty() {
        return Err(CommandErrorKind::MissingArgument);
    }
    let size = parse_params::number(word, 20)
        .ok_or(CommandErrorKind::Argument { expected: "a chunk size in decimal digits", at })?;
    Ok(Command::Bdat { size, last: last(cursor)? })
}

fn last(cursor: &mut Cursor<'_>) -> Result<bool, CommandErrorKind> {
    let (at, word) = cursor.word();
    let last = match word {
        [] => false,
        word if word.eq_ignore_ascii_case(b"LAST") => true,
        _ => return Err(CommandErrorKind::Argument { expected: "LAST", at }),
    };
    cursor.end()?;
    Ok(last)
}

fn etrn(cursor: &mut Cursor<'_>) -> Result<Command, CommandErrorKind> {
    let (at, word) = cursor.text_word()?;
    let bad = |_| CommandErrorKind::Argument { expected: "a domain, @domain or #queue", at };
    let target = match word.as_bytes() {
        [] => return Err(CommandErrorKind::MissingArgument),
        [b'@', ..] => EtrnTarget::Subdomains(Domain::parse(&word[1..]).map_err(bad)?),
        [b'#', _, ..] => EtrnTarget::Queue(word[1..].into()),
        _ => EtrnTarget::Node(Domain::parse(word).map_err(bad)?),
    };
    cursor.end()?;
    Ok(Command::Etrn(target))
}

fn atrn(cursor: &mut Cursor<'_>) -> Result<Command, CommandErrorKind> {
    let (at, word) = cursor.text_word()?;
    let bad = CommandErrorKind::Argument { expected: "domains separated by commas", at };
    cursor.end()?;
    if word.is_empty() {
        return Ok(Command::Atrn(Vec::new()));
    }
    if word.bytes().filter(|b| *b == b',').count() >= MAX_ATRN_DOMAINS {
        return Err(bad);
    }
    let domains: Result<Vec<_>, _> = word.split(',').map(Domain::parse).collect();
    domains.map(Command::Atrn).map_err(|_| bad)
}

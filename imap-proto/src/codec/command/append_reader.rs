//! [`AppendReader`]: APPEND and REPLACE piece by piece, so that messages can be streamed.

use super::append::{Form, Part};
use crate::codec::{Announced, Cursor, Dialect, Fault, Frame, Parse, SyntaxError};
use crate::types::command::{Parameter, Verb};
use crate::types::{DateTime, Flags, MailboxName, Tag, Text};
use core::num::NonZeroU32;

/// What an APPEND or REPLACE begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendHead {
    /// The tag.
    pub tag: Tag,
    /// Which of them: [`Append`](Verb::Append), [`Replace`](Verb::Replace) or [`UidReplace`](Verb::UidReplace).
    pub verb: Verb,
    /// The number of the message that is replaced.
    pub replaces: Option<NonZeroU32>,
    /// To which mailbox.
    pub mailbox: MailboxName,
}

/// What is said of a message before its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageHead {
    /// Its flags.
    pub flags: Flags,
    /// When it came; now if there is nothing.
    pub date: Option<DateTime>,
    /// What extensions say of it.
    pub extensions: Vec<Parameter>,
    /// `CATENATE`: it is made from parts.
    pub parts: bool,
}

/// Bytes of a message, or of a part of one, that come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes {
    /// How they are announced.
    pub literal: Announced,
    /// `UTF8`: there may be 8-bit text in the header (RFC 6855 §4).
    pub utf8: bool,
}

/// What is next in an APPEND or REPLACE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendStep {
    /// What it begins with.
    Head(AppendHead),
    /// A message begins.
    Message(MessageHead),
    /// The bytes of the message, or of its next part, follow in the literal. They are taken out of the data, and the reader is
    /// asked again when the next line is there.
    Bytes(Bytes),
    /// The next part of the message is what this URL names.
    Url(Text),
    /// The message is complete.
    MessageEnd,
    /// The literal is a string. It becomes part of the frame, and the reader is asked again when the next line is there.
    String,
    /// The command is complete.
    End,
}

/// Where the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Head,
    /// Before the first message.
    First,
    /// Behind a message.
    Next,
    /// Before the bytes of a message.
    Bytes {
        utf8: bool,
    },
    /// Behind the bytes of a message that is no more than that.
    Whole {
        utf8: bool,
    },
    /// Before a part.
    Part,
    /// Behind the bytes of a part.
    PartBytes {
        utf8: bool,
    },
    /// Behind a part.
    AfterPart,
    End,
}

/// Reads an APPEND or REPLACE while it comes in: says of each literal whether it is a string or a message, and reads what follows
/// a message where it was left, so that each byte is looked at once however many messages and parts there are.
///
/// The caller keeps a [frame](crate::codec::FrameScanner) in which strings lie and messages do not, only their announcements. After
/// each [`Found::Literal`](crate::codec::Found::Literal), and at the end of the frame, it asks for steps until there is
/// [`Bytes`](AppendStep::Bytes), [`String`](AppendStep::String) or [`End`](AppendStep::End).
///
/// ```
/// use imap_proto::codec::{AppendReader, AppendStep, Dialect, Found, FrameScanner, Speaker};
///
/// let mut frame = b"a APPEND Sent (\\Seen) {300}\r\n".to_vec();
/// let mut scanner = FrameScanner::new(Speaker::Client);
/// let Found::Literal { literal, .. } = scanner.scan(&frame, 8192) else { panic!() };
/// let mut reader = AppendReader::new(Dialect::SERVER);
/// assert!(matches!(reader.next(&frame, Some(&literal))?, AppendStep::Head(_)));
/// assert!(matches!(reader.next(&frame, Some(&literal))?, AppendStep::Message(_)));
/// let AppendStep::Bytes(bytes) = reader.next(&frame, Some(&literal))? else { panic!() };
/// assert_eq!(bytes.literal.len, 300);
/// // The 300 bytes go to their mailbox; then comes the rest of the line.
/// frame.extend_from_slice(b"\r\n");
/// let Found::Frame { total, ending, .. } = scanner.scan(&frame, 8192) else { panic!() };
/// let frame = &frame[..total - ending];
/// assert_eq!(reader.next(frame, None)?, AppendStep::MessageEnd);
/// assert_eq!(reader.next(frame, None)?, AppendStep::End);
/// # Ok::<(), imap_proto::codec::SyntaxError>(())
/// ```
#[derive(Debug)]
pub struct AppendReader {
    dialect: Dialect,
    place: Place,
    at: usize,
    tag: Option<Tag>,
    verb: Verb,
}

impl AppendReader {
    /// A reader at the start of a frame.
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, place: Place::Head, at: 0, tag: None, verb: Verb::Append }
    }

    /// How much of the frame is done with, in bytes.
    pub fn at(&self) -> usize {
        self.at
    }

    /// So many bytes of what is done with were taken from the front of the frame.
    pub fn forget(&mut self, n: usize) {
        self.at = self.at.saturating_sub(n);
    }

    /// The next step. `frame` is all there is of the command, without messages: up to the first byte of the `literal` that was
    /// announced, or to its end, without the CRLF there, if none was.
    ///
    /// # Errors
    ///
    /// If it breaks the grammar. A literal that was announced is then still on its way, if it was not asked for.
    pub fn next(&mut self, frame: &[u8], literal: Option<&Announced>) -> Result<AppendStep, SyntaxError> {
        let frame = Frame::new(frame);
        frame.copy_piecewise();
        let mut cursor = Cursor::new(&frame, self.dialect);
        cursor.rewind(self.at);
        match self.step(&mut cursor, literal) {
            Ok((step, place)) => {
                if let AppendStep::Head(head) = &step {
                    self.tag = Some(head.tag.clone());
                    self.verb = head.verb;
                }
                (self.at, self.place) = (cursor.at(), place);
                Ok(step)
            }
            // What is missing is in the literal, or behind it.
            Err(fault) if literal.is_some_and(|literal| fault.at >= literal.at) => Ok(AppendStep::String),
            Err(fault) => Err(fault.with_tag(self.tag.clone())),
        }
    }

    fn step(&self, cursor: &mut Cursor<'_>, literal: Option<&Announced>) -> Parse<(AppendStep, Place)> {
        match self.place {
            Place::Head => {
                let tag = cursor.command_tag()?;
                let at = cursor.at();
                let verb = cursor.verb()?.filter(|verb| verb.carries_messages());
                let verb = verb.ok_or(Fault { at, expected: "APPEND or REPLACE" })?;
                let replaces = match verb {
                    Verb::Append => None,
                    _ => {
                        cursor.expect(b' ', "a space, and the number of a message")?;
                        Some(cursor.nonzero()?)
                    }
                };
                let mailbox = cursor.mailbox_argument()?;
                Ok((AppendStep::Head(AppendHead { tag, verb, replaces, mailbox }), Place::First))
            }
            Place::Next if cursor.is_end() && literal.is_none() => Ok((AppendStep::End, Place::End)),
            Place::Next if self.verb != Verb::Append => cursor.fault("the end of the line"),
            Place::First | Place::Next => {
                let (head, form) = cursor.message_head()?;
                let place = match form {
                    Form::Literal => Place::Bytes { utf8: false },
                    Form::Utf8 => Place::Bytes { utf8: true },
                    Form::Catenate => Place::Part,
                };
                Ok((AppendStep::Message(head), place))
            }
            Place::Bytes { utf8 } => Ok((bytes(cursor, literal, utf8)?, Place::Whole { utf8 })),
            Place::Whole { utf8 } => {
                if utf8 {
                    cursor.expect(b')', "a closing parenthesis")?;
                }
                Ok((AppendStep::MessageEnd, Place::Next))
            }
            Place::Part => part(cursor, literal),
            Place::PartBytes { utf8 } => {
                if utf8 {
                    cursor.expect(b')', "a closing parenthesis")?;
                }
                after_part(cursor, literal)
            }
            Place::AfterPart => after_part(cursor, literal),
            Place::End => cursor.fault("nothing more"),
        }
    }
}

fn after_part(cursor: &mut Cursor<'_>, literal: Option<&Announced>) -> Parse<(AppendStep, Place)> {
    match cursor.close_or_space()? {
        true => Ok((AppendStep::MessageEnd, Place::Next)),
        false => part(cursor, literal),
    }
}

fn part(cursor: &mut Cursor<'_>, literal: Option<&Announced>) -> Parse<(AppendStep, Place)> {
    let utf8 = match cursor.part_name()? {
        Part::Url => return Ok((AppendStep::Url(cursor.astring()?), Place::AfterPart)),
        Part::Text => false,
        Part::Utf8 => true,
    };
    Ok((bytes(cursor, literal, utf8)?, Place::PartBytes { utf8 }))
}

/// The literal that was announced, if it is here.
fn bytes(cursor: &mut Cursor<'_>, literal: Option<&Announced>, utf8: bool) -> Parse<AppendStep> {
    let at = cursor.at();
    let fault = Fault { at, expected: "a literal at the end of the line" };
    let literal = *literal.filter(|literal| literal.at == at).ok_or(fault)?;
    if utf8 && !literal.binary {
        // Before the literal, which is not read for that.
        return Err(Fault { at: at - 1, expected: "a literal8 such as ~{5} in the parentheses" });
    }
    cursor.skip(cursor.rest().len());
    Ok(AppendStep::Bytes(Bytes { literal, utf8 }))
}

//! What the machine says, in which language (RFC 6856 §3).

use crate::types::{LanguageTag, ResponseCode};
use mail_wire::ReplyText;

macro_rules! phrases {
    ($($(#[$doc:meta])* $name:ident = $text:literal $(, $code:ident)?;)*) => {
        /// Something that the machine says in a reply: what a [`Language`] has its own words for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Phrase {
            $($(#[$doc])* #[doc = concat!("\n\nIn English: ", $text, ".")] $name,)*
        }

        impl Phrase {
            /// All phrases.
            pub const ALL: &[Phrase] = &[$(Phrase::$name,)*];

            /// The words in English.
            pub const fn english(self) -> &'static str {
                match self { $(Phrase::$name => $text,)* }
            }

            /// The response code that goes with it.
            pub const fn code(self) -> Option<ResponseCode> {
                match self { $($(Phrase::$name => Some(ResponseCode::$code),)?)* _ => None }
            }
        }
    };
}

phrases! {
    /// To USER.
    SendPass = "send PASS";
    /// To the command that logged in.
    Opened = "maildrop locked and ready";
    /// To QUIT.
    Bye = "bye";
    /// To NOOP.
    Nothing = "nothing done";
    /// To DELE.
    MarkedDeleted = "message deleted";
    /// To RSET.
    MarksRemoved = "no message is deleted any more";
    /// To RETR, behind the size.
    Octets = "octets";
    /// To TOP.
    TopFollows = "top of message follows";
    /// To LIST without argument.
    ListFollows = "scan listing follows";
    /// To UIDL without argument.
    UniqueIdsFollow = "unique-id listing follows";
    /// To CAPA.
    CapabilitiesFollow = "capability list follows";
    /// To AUTH without argument.
    MechanismsFollow = "mechanism list follows";
    /// To LANG without argument.
    LanguagesFollow = "language listing follows";
    /// To LANG, behind the language that is spoken from here on.
    LanguageChanged = "language changed";
    /// To UTF8.
    Utf8On = "UTF-8 mode is on";
    /// To STLS.
    BeginTls = "begin TLS negotiation";
    /// A command that is not known, or not offered.
    UnknownCommand = "unknown command";
    /// A line of another protocol; the connection is closed.
    OtherProtocol = "this is a POP3 server, closing connection";
    /// A command without what it needs.
    ArgumentMissing = "argument missing";
    /// A command with more than it takes.
    TooManyArguments = "too many arguments";
    /// A command with what it cannot take.
    BadArgument = "bad argument";
    /// A command line over the limit.
    LineTooLong = "line too long";
    /// A line that ends with LF alone.
    BareLf = "bare LF received, end lines with CRLF";
    /// A line with a CR in it.
    BareCr = "bare CR received, end lines with CRLF";
    /// A line with a NUL in it.
    Nul = "NUL character received";
    /// Too many wrong commands; the connection is closed.
    TooManyErrors = "too many errors, closing connection";
    /// A command for a session that has a maildrop.
    NeedLogin = "log in first";
    /// PASS or RPOP without USER.
    NeedUser = "send USER first";
    /// A command for a session that has none.
    LoggedInAlready = "already logged in";
    /// A password must not come in plain text.
    NeedTls = "send STLS first, passwords are not taken in plain text";
    /// A mechanism that is not offered.
    UnknownMechanism = "authentication mechanism not supported";
    /// The client gave up.
    AuthCancelled = "authentication cancelled";
    /// A response that is no base64.
    BadBase64 = "cannot base64-decode the response";
    /// A name or password beyond ASCII, where UTF8 does not allow it.
    AsciiOnly = "names are ASCII here";
    /// Wrong name, password or proof; never said which.
    BadCredentials = "invalid user name or password", Auth;
    /// It could not be found out whether the credentials are right.
    AuthUnavailable = "cannot authenticate now, try again later", SysTemp;
    /// Something failed on our side.
    LocalError = "local error, try again later", SysTemp;
    /// QUIT, but what was marked as deleted could not be removed.
    NotRemoved = "some deleted messages not removed", SysTemp;
    /// No message has this number.
    NoSuchMessage = "no such message";
    /// The message is marked as deleted.
    DeletedAlready = "the message is deleted";
    /// STLS where TLS is on.
    TlsIsOn = "command not permitted when TLS is active";
    /// STLS behind UTF8.
    StlsAfterUtf8 = "STLS must come before UTF8";
    /// LANG with a range that no language is in.
    UnknownLanguage = "no such language";
}

/// A language that replies can be given in. What it has no words for is said in English.
///
/// ```
/// use mail_wire::ReplyText;
/// use pop3_proto::server::{Language, Phrase};
/// use pop3_proto::types::LanguageTag;
///
/// let spanish = Language::new(LanguageTag::new("es")?)
///     .with_description(ReplyText::sanitized("Español"))
///     .with(Phrase::LanguageChanged, ReplyText::sanitized("Idioma cambiado"));
/// # Ok::<(), pop3_proto::types::LanguageError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Language {
    pub(super) tag: LanguageTag,
    pub(super) description: Option<ReplyText>,
    words: Vec<(Phrase, ReplyText)>,
}

impl Language {
    /// A language without words of its own.
    pub fn new(tag: LanguageTag) -> Self {
        Self { tag, description: None, words: Vec::new() }
    }

    /// What it is called by those who speak it.
    #[must_use]
    pub fn with_description(mut self, description: ReplyText) -> Self {
        self.description = Some(description);
        self
    }

    /// Its words for a phrase.
    #[must_use]
    pub fn with(mut self, phrase: Phrase, words: ReplyText) -> Self {
        match self.words.binary_search_by_key(&phrase, |(phrase, _)| *phrase) {
            Ok(at) => self.words[at].1 = words,
            Err(at) => self.words.insert(at, (phrase, words)),
        }
        self
    }

    /// The language.
    pub fn tag(&self) -> &LanguageTag {
        &self.tag
    }

    /// Its words for a phrase, or those in English.
    pub fn words(&self, phrase: Phrase) -> &str {
        match self.words.binary_search_by_key(&phrase, |(phrase, _)| *phrase) {
            Ok(at) => self.words[at].1.as_str(),
            Err(_) => phrase.english(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_falls_back_on_english() {
        let german = Language::new(LanguageTag::new("de").unwrap())
            .with(Phrase::Bye, ReplyText::from_static("auf Wiedersehen"))
            .with(Phrase::Opened, ReplyText::from_static("x"))
            .with(Phrase::Bye, ReplyText::from_static("tschuess"));
        assert_eq!(german.words(Phrase::Bye), "tschuess");
        assert_eq!(german.words(Phrase::Nothing), "nothing done");
    }

    #[test]
    fn the_english_words_can_stand_in_replies() {
        for phrase in Phrase::ALL {
            assert!(ReplyText::new(phrase.english()).is_ok() && !phrase.english().starts_with('['));
        }
    }
}

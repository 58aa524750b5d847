//! [`Dialect`]: what both sides have agreed on, and what is let pass.

/// How frames are read: what was agreed on, and by how much the other side may miss the grammar.
///
/// ```
/// use imap_proto::codec::{Dialect, Quirks};
///
/// let mut dialect = Dialect::CLIENT;
/// assert!(dialect.quirks.has(Quirks::SUPERFLUOUS_SPACES));
/// dialect.utf8 = true; // the server has said `* ENABLED UTF8=ACCEPT`
/// assert_eq!(Dialect::SERVER.quirks, Quirks::NONE);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dialect {
    /// Mailbox names are in UTF-8, and quoted strings may be: IMAP4rev2 or UTF8=ACCEPT is enabled (RFC 9051 §5.1, RFC 6855 §3).
    pub utf8: bool,
    /// What is let pass.
    pub quirks: Quirks,
    /// How deep parentheses, bodies in bodies and keys in keys may be nested. What is deeper is an error in a command; in a
    /// response it is kept as it came.
    pub depth: u16,
}

impl Dialect {
    /// For a server, that reads commands: strict.
    pub const SERVER: Self = Self { utf8: false, quirks: Quirks::NONE, depth: 50 };
    /// For a client, that reads responses: with all quirks of servers that are in use.
    pub const CLIENT: Self = Self { utf8: false, quirks: Quirks::ALL, depth: 100 };
}

/// By how much the other side may miss the grammar: each has a name, and says who needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quirks(u32);

impl Quirks {
    /// The grammar, to the letter.
    pub const NONE: Self = Self(0);
    /// Bytes that are not ASCII in atoms: mailbox names and keywords that old servers and clients stored unencoded, and hand
    /// out as they are (Cyrus before 2.5 with `reject8bit: no`, Courier).
    pub const EIGHT_BIT_ATOMS: Self = Self(1);
    /// Spaces too many: before CRLF (`* SEARCH ` of Microsoft Exchange without a hit), before a closing or behind an opening
    /// parenthesis, and between the addresses of an envelope (Exchange).
    pub const SUPERFLUOUS_SPACES: Self = Self(2);
    /// Numbers that do not exist are taken for 0: `-1` lines in BODYSTRUCTURE (Dovecot with a broken cache), octets of more
    /// than 32 bits.
    pub const ODD_NUMBERS: Self = Self(4);
    /// NIL where the grammar has a string that must be there, such as the encoding of a body part (Exchange, MailEnable), is an
    /// empty string.
    pub const NIL_STRINGS: Self = Self(8);
    /// A status response without the text that must follow (`* OK [UIDNEXT 4]` of hMailServer, `+` alone of Exchange).
    pub const MISSING_TEXT: Self = Self(16);
    /// Quoted strings in which a backslash stands before any character, or for itself (names of Windows servers, and `"\"` as
    /// the delimiter of a hierarchy, written without escaping).
    pub const ODD_ESCAPES: Self = Self(32);
    /// Values without the parentheses that belong around them: `MODSEQ 5`, as imap-codec wrote it once.
    pub const MISSING_PARENTHESES: Self = Self(64);
    /// All of them.
    pub const ALL: Self = Self(127);

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without the others.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all the others are among these.
    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

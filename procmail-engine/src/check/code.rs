//! The kinds of diagnostics.

use std::fmt;

use super::diagnostic::Severity;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $severity:ident;)*) => {
        /// The kind of a diagnostic. Its name is stable: programs may go by it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable name, such as `missing-lock`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// How bad this kind is, mostly.
            pub(super) fn severity(self) -> Severity {
                match self {
                    $(Self::$variant => Severity::$severity,)*
                }
            }
        }
    };
}

codes! {
    /// `A` or `a` behind a recipe that keeps the mail.
    AlsoAfterDelivery = "also-after-delivery", Warning;
    /// A condition that every mail meets, or none.
    AlwaysTrue = "always-true", Hint;
    /// The action is an assignment outside of a block: a folder of that name.
    AssignmentAsAction = "assignment-as-action", Error;
    /// An automatic reply that nothing keeps from answering itself or mailing lists.
    AutoreplyMayLoop = "autoreply-may-loop", Warning;
    /// A backslash that is followed by blanks does not continue the line.
    BackslashBlank = "backslash-blank", Warning;
    /// A backslash in brackets stands for itself.
    BackslashInClass = "backslash-in-class", Warning;
    /// A `${…}` that procmail does not know.
    BadSubstitution = "bad-substitution", Error;
    /// `\<` and `\>` next to each other each take a byte.
    BoundariesConsume = "boundaries-consume", Warning;
    /// A blank before the `=` of a capture makes procmail 3.22 lose the output.
    CaptureBlank = "capture-blank", Error;
    /// `A`, `a`, `E` or `e` on the first recipe.
    ChainWithoutStart = "chain-without-start", Warning;
    /// A comment on a condition is part of it.
    CommentInCondition = "comment-in-condition", Warning;
    /// Flags that exclude each other.
    ConflictingFlags = "conflicting-flags", Error;
    /// A copy is filed, and the mail goes to the mailbox as well.
    CopyFallsThrough = "copy-falls-through", Hint;
    /// Lines end in CR LF.
    Crlf = "crlf", Error;
    /// The lock of the recipe is the global one.
    Deadlock = "deadlock", Error;
    /// Mail goes to `/dev/null`.
    DiscardsMail = "discards-mail", Warning;
    /// `$NAME ??` searches what is named by the value of `NAME`.
    DollarBeforeName = "dollar-before-name", Warning;
    /// A quantifier on a quantifier stands for itself.
    DoubleQuantifier = "double-quantifier", Warning;
    /// An alternative with nothing in it makes the condition true.
    EmptyAlternative = "empty-alternative", Warning;
    /// An expression for which procmail may search without end.
    EndlessExpression = "endless-expression", Warning;
    /// A flag that procmail ignores with a message.
    ExtraneousFlag = "extraneous-flag", Warning;
    /// A filter whose failure is not noticed.
    FilterWithoutWait = "filter-without-wait", Warning;
    /// The name of a lock that looks like flags.
    FlagsAsLock = "flags-as-lock", Warning;
    /// What runs a copied block goes on behind it.
    ForkFallsOut = "fork-falls-out", Warning;
    /// All mail is forwarded without a guard against loops.
    ForwardMayLoop = "forward-may-loop", Hint;
    /// A brace that touches what follows is part of a name.
    GluedBrace = "glued-brace", Error;
    /// A star as in file names.
    GlobStar = "glob-star", Warning;
    /// A `HOST` that is not this machine drops the mail.
    HostDropsMail = "host-drops-mail", Hint;
    /// The file ends before the action.
    IncompleteRecipe = "incomplete-recipe", Error;
    /// A score without end.
    InfiniteScore = "infinite-score", Warning;
    /// A backslash at the start of a condition is taken away.
    LeadingBackslash = "leading-backslash", Warning;
    /// The lock is the mailbox.
    LockIsFolder = "lock-is-folder", Error;
    /// More text than `LINEBUF` holds.
    LongerThanLinebuf = "longer-than-linebuf", Error;
    /// `^TO` before an address.
    LooseTo = "loose-to", Warning;
    /// `MAILDIR` is used before it is set.
    MaildirSetLater = "maildir-set-later", Warning;
    /// A misspelt `^TO_`, `^FROM_DAEMON` or `^FROM_MAILER`.
    MisspeltMacro = "misspelt-macro", Warning;
    /// A variable that is spelt almost as one that procmail knows, or that the file sets.
    MisspeltVariable = "misspelt-variable", Warning;
    /// `^^` neither at the start nor at the end of an expression.
    MisplacedTextAnchor = "misplaced-text-anchor", Warning;
    /// A recipe without an action.
    MissingAction = "missing-action", Error;
    /// A block that is not closed.
    MissingClosingBrace = "missing-closing-brace", Error;
    /// Delivery to a mailbox without a lock.
    MissingLock = "missing-lock", Warning;
    /// A lock where none is needed.
    NeedlessLock = "needless-lock", Warning;
    /// A field whose blank is forgotten.
    NoBlankAfterField = "no-blank-after-field", Warning;
    /// A value that is no number.
    NotANumber = "not-a-number", Warning;
    /// A folder whose name the sender of the mail chooses.
    FolderFromMail = "folder-from-mail", Warning;
    /// A Maildir without the slash at its end.
    MaildirWithoutSlash = "maildir-without-slash", Warning;
    /// A condition without its star, which is the action then.
    MissingStar = "missing-star", Error;
    /// A field of the header without its `^`.
    UnanchoredField = "unanchored-field", Hint;
    /// A plus in an address, which repeats the letter before it.
    UnescapedPlus = "unescaped-plus", Warning;
    /// A recipe that counts its conditions.
    OldStyleCount = "old-style-count", Hint;
    /// A command as a condition without its question mark.
    MissingQuestionMark = "missing-question-mark", Warning;
    /// Only the header or the body is stored.
    PartialDelivery = "partial-delivery", Warning;
    /// Quotes around an expression are part of it.
    QuotedCondition = "quoted-condition", Warning;
    /// Double quotes in a `$` condition vanish.
    QuoteInDollarCondition = "quote-in-dollar-condition", Warning;
    /// `.*` where it changes nothing.
    RedundantDotStar = "redundant-dot-star", Hint;
    /// A path that depends on the `MAILDIR` of the moment.
    RelativePath = "relative-path", Hint;
    /// Several folders, the first of which is a file.
    SeveralFolders = "several-folders", Warning;
    /// A word of the shell that procmail takes for a variable.
    ShellKeyword = "shell-keyword", Warning;
    /// A shell that does not understand what it is given.
    ShellNotSh = "shell-not-sh", Warning;
    /// What stands behind the number of a size condition.
    SizeJunk = "size-junk", Error;
    /// Text that procmail cannot read.
    SkippedText = "skipped-text", Error;
    /// A word behind a value, which removes a variable.
    StrayWord = "stray-word", Warning;
    /// `~`, which procmail does not know.
    Tilde = "tilde", Warning;
    /// `^TO_` or `^TO` with a blank before the address.
    ToWithBlank = "to-with-blank", Warning;
    /// `^TO_` or `^TO` with a colon.
    ToWithColon = "to-with-colon", Warning;
    /// A parenthesis without its other half.
    UnbalancedParenthesis = "unbalanced-parenthesis", Error;
    /// A program that delivers, and whose failure is not noticed.
    UncheckedProgram = "unchecked-program", Hint;
    /// Brackets that are not closed.
    UnclosedClass = "unclosed-class", Warning;
    /// A variable that has no value.
    UndefinedVariable = "undefined-variable", Hint;
    /// A dot that stands for any byte in an address or domain.
    UnescapedDot = "unescaped-dot", Hint;
    /// A question mark of an encoded word, which makes optional what stands before it.
    UnescapedQuestionMark = "unescaped-question-mark", Warning;
    /// A value that comes from the mail as part of an expression.
    UnescapedValue = "unescaped-value", Hint;
    /// A `}` without its `{`.
    UnexpectedClosingBrace = "unexpected-closing-brace", Error;
    /// A command that does not end on its line.
    UnfinishedCommand = "unfinished-command", Warning;
    /// Letters that are no flags.
    UnknownFlag = "unknown-flag", Error;
    /// No name for the lock can be derived.
    UnknownLock = "unknown-lock", Warning;
    /// A recipe that is not reached.
    Unreachable = "unreachable", Warning;
    /// Syntax of other regular expressions.
    UnsupportedRegex = "unsupported-regex", Warning;
    /// Quotes or backquotes that are not closed.
    UnterminatedQuote = "unterminated-quote", Error;
    /// A flag without an effect here.
    UselessFlag = "useless-flag", Hint;
    /// A variable in a condition without `$`.
    VariableWithoutDollar = "variable-without-dollar", Warning;
    /// Verbose messages before there is a log.
    VerboseBeforeLogfile = "verbose-before-logfile", Hint;
    /// `NAME ??` without a name.
    WithoutVariableName = "without-variable-name", Error;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

//! What the check says of rc files, and of which it says nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "recorded/archive.rs"]
#[allow(clippy::unwrap_used, dead_code, reason = "a test that cannot go on fails; others use the rest")]
mod archive;

use std::collections::BTreeSet;

use procmail_engine::check::{Code, Colours, check, fix, render};
use procmail_engine::format::format;
use procmail_engine::syntax::Rc;
use proptest::prelude::*;

fn parse(source: &str) -> Rc {
    Rc::parse(source.as_bytes().to_vec())
}

/// The diagnostics as `code` and the text they point at.
fn found(source: &str) -> Vec<(String, String)> {
    let rc = parse(source);
    check(&rc)
        .iter()
        .map(|diagnostic| {
            let text = String::from_utf8_lossy(rc.text(diagnostic.span)).into_owned();
            (diagnostic.code.name().to_owned(), text)
        })
        .collect()
}

/// An rc file and what is said of it: codes with the text that each is about.
type Row = (&'static str, &'static [(&'static str, &'static str)]);

/// The structure of the file, and what procmail skips.
const STRUCTURE: &[Row] = &[
    (":0\n{ A=1 }\n}\n", &[("unexpected-closing-brace", "}")]),
    (":0\n* x\n{\n:0:\nbox\n", &[("missing-closing-brace", "{")]),
    (":0\n{\n  :0\n  * x\n  {\n    A=1\n}\n", &[("missing-closing-brace", "{")]),
    (":0\n{A=1}\n", &[("glued-brace", "{")]),
    (":0\n* x\n\n:0\ndir/\n", &[("missing-action", ":0")]),
    (":0 B\n* x\n:0\nB\n", &[("missing-action", ":0"), ("stray-word", "B")]),
    (":0\n}\n", &[("missing-action", "}")]),
    (":0\n!\n", &[("missing-action", ":0")]),
    (":0\n^Subject: x\ndir/\n", &[("missing-star", "^Subject:"), ("skipped-text", "dir/")]),
    (":0\nSubject: x\n", &[("missing-star", "Subject:")]),
    (":0\n$^TO_joe\n", &[("missing-star", "$^TO_joe")]),
    (":0\n!^FROM_DAEMON\n", &[("missing-star", "^FROM_DAEMON")]),
    (":0 c\n* x\n", &[("incomplete-recipe", ":0 c")]),
    (":0\n* x\nA=b\n", &[("assignment-as-action", "A=b")]),
    ("=foo\n", &[("skipped-text", "=foo")]),
    ("$A=b\n", &[("skipped-text", "$A=b")]),
    ("a-b=c\n", &[("skipped-text", "a-b=c")]),
    (":0\n* x\ndir/\n* y\n", &[("skipped-text", "* y")]),
    ("A=$(date +%y)\n", &[("skipped-text", "+%y)")]),
    (":0\r\n* x\r\ndir/\r\n", &[("crlf", "\r")]),
    ("A=val x\n", &[("stray-word", "x")]),
    ("LOG=one two three,\n", &[("stray-word", "two three,")]),
    (":0\ndir/\nbox\n", &[("stray-word", "box")]),
    ("this is prose, as it seems\n", &[("stray-word", "this")]),
    ("export A=b\n", &[("shell-keyword", "export")]),
    ("A='open\n", &[("unterminated-quote", "'")]),
    ("A=\"b\"`open\n", &[("unterminated-quote", "`")]),
    ("A=${B%c}\n", &[("bad-substitution", "${B%")]),
];

/// Flags and locks.
const FLAGS: &[Row] = &[
    (":0 cx\n* a\ndir/\n", &[("copy-falls-through", "c"), ("unknown-flag", "x")]),
    (":0: a.lock b\n* a\nbox\n", &[("unknown-flag", "b")]),
    (":0 c\n* x\n| true\n:0 eE\ndir/\n", &[("conflicting-flags", "E")]),
    (":0 fh:\n* a\nbox\n", &[("extraneous-flag", "f"), ("partial-delivery", "h")]),
    (":0 cfw\n| cat\n", &[("extraneous-flag", "c")]),
    (":0 b: x\n* a\n{ A=1 }\n", &[("extraneous-flag", "b"), ("extraneous-flag", ": x")]),
    (":0 B\ndir/\n", &[("useless-flag", "B")]),
    (":0 w:\n* a\nbox\n", &[("useless-flag", "w")]),
    (":0 c\n/dev/null\n", &[("useless-flag", "c")]),
    (":2\n* a\n* b\ndir/\n", &[("old-style-count", ":2")]),
    (":0\n* a\nbox\n", &[("missing-lock", ":0")]),
    (":0 w\n* a\n| gzip >> box.gz\n", &[("missing-lock", ":0 w")]),
    (":0:\ndir/\n", &[("needless-lock", ":")]),
    (":0:\ndir/.\n", &[("needless-lock", ":")]),
    (":0 h:\n* a\n/dev/null\n", &[("needless-lock", ":"), ("discards-mail", "/dev/null")]),
    (":0 $FLAGS\n| x\n:0 a\n* b\n! joe\n", &[]),
    (":0\n* a\nbox/new\n", &[("maildir-without-slash", "box/new")]),
    (":0\n* a\n$HOME/Maildir\n", &[("maildir-without-slash", "$HOME/Maildir")]),
    ("DEFAULT=$HOME/Maildir\n", &[("maildir-without-slash", "$HOME/Maildir")]),
    ("MAILDIR=$HOME/Mail\nDEFAULT=$MAILDIR\n", &[("maildir-without-slash", "$MAILDIR")]),
    ("MAILDIR=$HOME/Mail/\nDEFAULT=$MAILDIR\n", &[]),
    (":0\n* ^List-Id: <\\/.*\nlists/$MATCH/\n", &[("folder-from-mail", "lists/$MATCH/")]),
    (":0\n* ^List-Id: <\\/[^.>]*\n$MATCH/\n", &[("folder-from-mail", "$MATCH/")]),
    (":0\n* ^List-Id: <\\/[^.>]*\nlists/$MATCH/\n", &[]),
    (":0\n* ^List-Id: <\\/[^/>]*\nlists/$MATCH/\n", &[]),
    (":0\n* ^A: \\/.*\n{ L=$MATCH }\n:0\nl.$L/\n", &[("folder-from-mail", "l.$L/")]),
    (":0\n* ^A: \\/.*\n{ L=$MATCH }\n:0\n* L ?? ^^[a-z]+^^\nl.$L/\n", &[]),
    ("SPAM=$HOME/spam/\n:0:\n$SPAM\n", &[("needless-lock", ":")]),
    ("SPAM=$HOME/spam\n:0\n* a\n$SPAM\n", &[("missing-lock", ":0")]),
    (":0 fw:\n| spamc\n", &[("unknown-lock", ":")]),
    (":0 f\n| spamc\n", &[("filter-without-wait", "f")]),
    (":0: cw\n* a\ndir/\n", &[("flags-as-lock", "cw")]),
    (":0:box\n* a\nbox\n", &[("lock-is-folder", "box")]),
    (":0:\n* a\nbox\n:0 w:box\n| cat\n", &[("lock-is-folder", "box")]),
    ("LOCKFILE=l\n:0: l\nbox\n", &[("deadlock", "l")]),
    ("LOCKFILE=box.lock\n:0:\nbox\n", &[("deadlock", ":")]),
    (":0\n* a\n| cat\n", &[("unchecked-program", "|")]),
    (":0 w\nX =| date\n", &[("capture-blank", "X =")]),
    ("A='x y'\n:0:\n* a\n$A\n", &[("several-folders", "$A")]),
    (":0:\n* a\none two/\n", &[("several-folders", "one two/")]),
];

/// What becomes of a mail.
const FLOW: &[Row] = &[
    (":0\ndir/\n\n:0\n* a\nother/\n", &[("unreachable", ":0")]),
    (":0\n{\n:0\ndir/\n}\n\n:0 B\n* a\nother/\n", &[("unreachable", ":0 B")]),
    (":0\n* a\na/\n:0 E\nb/\n:0 h\n* x\n| cat\n", &[("unreachable", ":0 h"), ("unchecked-program", "|")]),
    ("HOST\n:0\ndir/\n", &[("unreachable", ":0")]),
    (":0 c\nall/\n:0 E\n* a\nb/\n", &[("unreachable", ":0 E")]),
    (":0\n* a\n{\n:0 E\nb/\n}\n", &[("unreachable", ":0 E")]),
    (":0 A\n* a\ndir/\n", &[("chain-without-start", ":0 A")]),
    (":0\n* a\ndir/\n:0 A\n! joe\n", &[("also-after-delivery", ":0 A")]),
    (":0 Wh: m.lock\n| formail -D 99 m\n:0 a\ndup/\n", &[("also-after-delivery", ":0 a")]),
    (":0 c\n* a\n{\n:0\n* b\nx/\n}\n:0\ny/\n", &[("fork-falls-out", "c")]),
    (":0 c\n* a\ndir/\n", &[("copy-falls-through", "c")]),
    (":0\n* a\n/dev/null\n", &[("discards-mail", "/dev/null")]),
    (":0 c\n* b\nbox/\n:0 a\n| tell\n", &[]),
    ("DEFAULT=/dev/null\n", &[("discards-mail", "/dev/null")]),
    (":0\n! joe\n", &[("forward-may-loop", "!")]),
    (":0 hw\n* ^Subject: help\n| formail -r | $SENDMAIL -t\n", &[("autoreply-may-loop", "formail")]),
    ("HOST=mail.example.org\n", &[("host-drops-mail", "mail.example.org")]),
];

/// Conditions and their expressions.
const CONDITIONS: &[Row] = &[
    ("* ^From: joe@example.com", &[("unescaped-dot", ".")]),
    ("* ^From:.*(a|b).example.org", &[("unescaped-dot", ".")]),
    ("* ^TOjoe@home", &[("loose-to", "^TO")]),
    ("* ^TOlinux", &[("loose-to", "^TO")]),
    ("* ^TO(joe|ann)@home", &[("loose-to", "^TO")]),
    ("* a@b.org|c@d\\.com|e.f.net", &[("unescaped-dot", ".")]),
    ("* NOWHERE ?? x", &[("undefined-variable", "NOWHERE")]),
    ("* ^TO_:.*joe", &[("to-with-colon", "^TO_:")]),
    ("* ^TO_ foo", &[("to-with-blank", "^TO_ ")]),
    ("* ^TO foo", &[("to-with-blank", "^TO ")]),
    ("* ^TO  foo@bar\\.org", &[("to-with-blank", "^TO  ")]),
    ("* ! (^TO_ (joe|ann)@home|x)", &[("to-with-blank", "^TO_ ")]),
    ("* ^TO_.*joe", &[]),
    ("* ^TO_[ ]*joe", &[]),
    ("* ^TO_ *joe", &[]),
    ("* ^Subject: =?UTF-8?", &[("unescaped-question-mark", "?")]),
    ("* ^Subject:.*=?(gb2312|big5)?B?", &[("unescaped-question-mark", "?")]),
    ("* ^Subject:.*=\\?utf-8\\?q\\?", &[]),
    ("* ^Subject:.*a=?bit", &[]),
    ("* TO_joe", &[("misspelt-macro", "TO_")]),
    ("* ! ^To_joe", &[("misspelt-macro", "^To_")]),
    ("* ^FROM_DEAMON", &[("misspelt-macro", "^FROM_DEAMON")]),
    (r"* \/.*", &[("leading-backslash", r"\/")]),
    (r"* ^Subject:.*\/x", &[]),
    (r"* B ?? \<spam", &[("leading-backslash", r"\<")]),
    (r"* ! \[x\]", &[("leading-backslash", r"\[")]),
    (r"* $ \\\$5", &[("leading-backslash", r"\\\")]),
    ("* *spam*", &[("glob-star", "*"), ("glob-star", "m*")]),
    ("* ^Subject:.*Tripwire*", &[("glob-star", "e*")]),
    ("* ^To:.*joe+list@home", &[("unescaped-plus", "+")]),
    ("* ^To: [a-z]+@home", &[]),
    ("* ^Subject:.*\\<c++@x", &[("double-quantifier", "++")]),
    ("* To:.*joe", &[("unanchored-field", "To:")]),
    ("* B ?? To:.*joe", &[]),
    ("* .*", &[("always-true", ".*")]),
    ("* ^From.*", &[("always-true", "^From.*")]),
    ("*", &[("always-true", "*")]),
    ("* !", &[("always-true", "* !")]),
    ("* $MATCH", &[("variable-without-dollar", "$MATCH")]),
    ("* HOST ?? $LOGNAME", &[("variable-without-dollar", "$LOGNAME")]),
    ("* $ $HOST", &[]),
    ("* ^Subject:*spam", &[("glob-star", "*")]),
    (r"* ^Subject: a\/+", &[("endless-expression", r"^Subject: a\/+")]),
    (r"* ^Subject: (\/a)*b", &[]),
    ("* ^Subject:.*?x", &[("double-quantifier", "*?")]),
    ("* ^Subject:.*[0-9]{3,5}x", &[("unsupported-regex", "{3,5}")]),
    (r"* ^Subject:.*\d", &[("unsupported-regex", r"\d")]),
    (r"* ^Subject:\sfoo\b", &[("unsupported-regex", r"\s"), ("unsupported-regex", r"\b")]),
    ("* (?i)x", &[("unsupported-regex", "(?")]),
    ("* x[[:digit:]]+", &[("unsupported-regex", "[[:digit:]]")]),
    (r"* [\w.]+@", &[("backslash-in-class", r"\w")]),
    (r"* [a\]b]x", &[("backslash-in-class", r"\]")]),
    ("* ^^a^^b", &[("misplaced-text-anchor", "^^")]),
    ("* (a|b", &[("unbalanced-parenthesis", "(")]),
    ("* a)b", &[("unbalanced-parenthesis", ")")]),
    ("* a[b", &[("unclosed-class", "[b")]),
    ("* ^Subject:.*(a|b|)", &[("empty-alternative", "|")]),
    ("* a||b", &[("empty-alternative", "|")]),
    (r"* a\>\<b", &[("boundaries-consume", r"\>\<")]),
    (r"* ^Subject: \<a", &[("boundaries-consume", r" \<")]),
    ("* .*foo.*", &[("redundant-dot-star", ".*"), ("redundant-dot-star", ".*")]),
    ("* ^Subject:foo", &[("no-blank-after-field", "^Subject:f")]),
    ("* ^(From|Reply-To):joe", &[("no-blank-after-field", "^(From|Reply-To):j")]),
    ("* ^Subject: a # b", &[("comment-in-condition", "# b")]),
    ("* ^Subject: a\t#b", &[("comment-in-condition", "#b")]),
    ("* \"^Subject: a\"", &[("quoted-condition", "\"^Subject: a\"")]),
    ("* ^From:.*$LOGNAME", &[("variable-without-dollar", "$LOGNAME")]),
    ("* ^From:.*${ME}", &[("variable-without-dollar", "${ME}")]),
    ("* ^From:.*${ME", &[("variable-without-dollar", "${ME")]),
    ("* $ ^From:.*\"$HOME", &[("quote-in-dollar-condition", "\"")]),
    ("* < 100k", &[("size-junk", "k")]),
    ("* <joe@home>", &[("size-junk", "<joe@home>")]),
    ("* ?? x", &[("without-variable-name", "??")]),
    ("* ?", &[("unfinished-command", "?")]),
    ("* test -f $HOME/.away", &[("missing-question-mark", "test")]),
    ("* $HOME ?? x", &[("dollar-before-name", "$HOME")]),
    ("* $ ^To:.*$MATCH", &[("unescaped-value", "$MATCH")]),
    (r"* $ ^To:.*$\MATCH", &[]),
    ("* b ?? x", &[("misspelt-variable", "b")]),
    ("* 1^1", &[("infinite-score", "* 1^1")]),
    ("* 1^1 ^", &[("infinite-score", "^")]),
    (
        "* (a|\\ \n* b)",
        &[("unbalanced-parenthesis", "("), ("backslash-blank", "\\"), ("unbalanced-parenthesis", ")")],
    ),
];

/// Values and commands.
const VALUES: &[Row] = &[
    ("LOGFILE=~/log\n", &[("tilde", "~")]),
    ("LOG='put it into the file ~/x'\n", &[]),
    ("A=`for f in *; do echo $f; done`\n", &[]),
    ("INCLUDERC=a.rc\nINCLUDERC=a.rc\n", &[("relative-path", "a.rc")]),
    ("old_flag\n", &[]),
    ("FOLDER=x\nA=$FODLER\nB=$FODLER\n", &[("undefined-variable", "$FODLER")]),
    (":0\n* NOWHERE ?? yes\ndir/\n", &[]),
    (":0\n~/Mail/\n", &[("tilde", "~")]),
    ("LOGFLIE=x\n", &[("misspelt-variable", "LOGFLIE")]),
    ("maildir=x\n", &[("misspelt-variable", "maildir")]),
    ("FOLDER=x\nA=$FODLER\n", &[("misspelt-variable", "$FODLER")]),
    ("FROM=`formail -xFrom:`\n:0\n* $ ^To:.*${FROM}\ndir/\n", &[("unescaped-value", "${FROM}")]),
    ("A=$NOWHERE\n", &[("undefined-variable", "$NOWHERE")]),
    ("A=$LATER\nLATER=x\n", &[("undefined-variable", "$LATER")]),
    ("DEFAULT=$MAILDIR/in/\nMAILDIR=$HOME/Mail\n", &[("maildir-set-later", "$MAILDIR")]),
    ("MAILDIR=/m\nMAILDIR=sub\n", &[("relative-path", "sub")]),
    ("INCLUDERC=lists.rc\n", &[("relative-path", "lists.rc")]),
    ("VERBOSE=yes\nLOGFILE=/l\n", &[("verbose-before-logfile", "VERBOSE=yes")]),
    ("SHELL=/bin/csh\n", &[("shell-not-sh", "/bin/csh")]),
    ("TIMEOUT=never\nUMASK=0989\n", &[("not-a-number", "never"), ("not-a-number", "0989")]),
    (":0 w\n| echo |\n", &[("unfinished-command", "|")]),
    (":0 w\n| echo 'a\n", &[("unfinished-command", "'")]),
];

#[test]
fn each_mistake_is_found_where_it_is() {
    let mut seen = BTreeSet::new();
    let mut wrong = String::new();
    let mut test = |source: &str, expected: &[(&str, &str)]| {
        let expected: Vec<(String, String)> =
            expected.iter().map(|(code, text)| ((*code).to_owned(), (*text).to_owned())).collect();
        let found = found(source);
        if found != expected {
            wrong += &format!("{source:?}\n  expected {expected:?}\n  found {found:?}\n");
        }
        seen.extend(expected.into_iter().map(|(code, _)| code));
    };
    for (source, expected) in [STRUCTURE, FLAGS, FLOW, VALUES].into_iter().flatten() {
        test(source, expected);
    }
    for (condition, expected) in CONDITIONS {
        test(&format!(":0\n{condition}\ndir/\n"), expected);
    }
    test(&format!("LINEBUF=200\nA={}\n", "x".repeat(300)), &[("longer-than-linebuf", "x")]);
    assert!(wrong.is_empty(), "{wrong}");
    let all: BTreeSet<String> = Code::ALL.iter().map(|code| code.name().to_owned()).collect();
    assert_eq!(seen, all, "each code has a row");
}

/// A tidy rc file of the kind that people have.
const TIDY: &str = r#"SHELL=/bin/sh
MAILDIR=$HOME/Mail
DEFAULT=$MAILDIR/inbox/
LOGFILE=$MAILDIR/procmail.log
LOGABSTRACT=all
VERBOSE=no
NL="
"
ME=joe@example\\.org

:0 c
backup

:0 ic
| cd backup && rm -f dummy `ls -t msg.* | sed -e 1,32d`

:0 Wh: msgid.lock
| formail -D 8192 msgid.cache

:0 fw: spamassassin.lock
* < 256000
| spamassassin

:0
* ^X-Spam-Level: \*\*\*\*\*\*\*\*
certainly-spam/

:0:
* ^X-Spam-Status: Yes
probably-spam

:0
* ^^rom[ ]
{
  LOG="*** Dropped F off From_ header! Fixing up. ${NL}"

  :0 fhw
  | sed -e '1s/^/F/'
}

:0
* ^List-Id:.*<\/[^.>]*
{
  LIST=$MATCH

  :0
  * LIST ?? ^^(linux|freebsd)-[a-z]+^^
  lists/$LIST/

  :0
  lists/other/
}

:0
* ^From:.*(alice|bob)@example\.net
* ! ^FROM_DAEMON
* ! ^X-Loop: joe@example\.org
{
  :0 c
  friends/

  :0 w
  | (formail -rA"X-Loop: joe@example.org"; cat $HOME/.reply) | $SENDMAIL -oi -t
}

:0 c
* ! ^X-Loop: joe@example\.org
* $ ^TO_$ME
{
  :0 fhw
  | formail -A "X-Loop: joe@example.org"

  :0
  ! joe@elsewhere.example
}

:0 B
* -100^0
* 25^1 (viagra|casino)
* 10^1 http://[0-9]+\.[0-9]+
* 1^1 ^.*$
junk/

:0 Whc: vacation.lock
* ? test -f $HOME/.vacation
* ! ^FROM_DAEMON
| formail -rD 8192 vacation.cache

  :0 ehc
  | (formail -rI"Precedence: junk" -A"X-Loop: joe@example.org"; \
     echo "I am away."; \
     echo "It's fine."; \
    ) | $SENDMAIL -oi -t

:0
* ^Subject:.*\[SECURITY\]
* ^From:.*security@
security/

:0 E
* ^Subject: test$
{ TESTING=yes }

SUBJECT=`formail -xSubject:`
MONTH=`date +%Y-%m`

:0
* SUBJECT ?? ^^$
nosubject.$MONTH/

:0
* ^Content-Type: multipart/(mixed|related)
* B ?? ^Content-(Type|Disposition):.*name=.*\.(exe|scr|pif|bat)"?$
quarantine/
"#;

#[test]
fn nothing_is_said_of_what_is_right() {
    for source in [
        "",
        TIDY,
        ":0:\n* ^Subject:.*cats\ncats\n",
        "LOCKFILE=$HOME/.lockmail\n:0\n* a\nbox\n",
        "MAILDIR=$HOME/Mail\t# where mail is\nDEFAULT=$MAILDIR/mbox  # the rest\n",
        "EXITCODE=67 HOST\n",
        "NL='\n'\nA=${B:-c}\nD=\"$A $$ $_ $1 ${NL}\"\n",
        ":0\n* a\n{ }\n:0 E\ndir/\n",
        ":0\n* ^Subject:.*C\\+\\+\n* ^X:.*(a|b)?\n* ^TO_a\n* (^^|x)b\ndir/\n",
        ":0\n* ^From: \"A\\. Name\"\n* ^Subject:.*bug #[0-9]+\ndir/\n",
        ":0\n* 2147483647^0 ^A: x\n* -1^0\ndir/\n",
        ":0 h\n* ^A: x\nX=| date\n",
        ":0 fw\n| x\n\n:0 e\n{ EXITCODE=75 HOST }\n",
        "INCLUDERC=$HOME/.procmail/a.rc\n:0\n* $ ^From:.*$FRIENDS\ndir/\n",
        ":0:\nbox\n:0 e\nother/\n",
        "NULL=/dev/null\n# check: allow discards-mail\n:0 h\n* ^A: x\n$NULL\n",
        ":0 c\n* ^A: x\n{\n:0 fhw\n| formail -I B:\n:0 aw\n! joe\n}\n",
        "nl=x\nA=$nl\nB=${NL:-x}\n",
        ":0\n* ^A: x\ndir/ # in ~/Mail, not $THERE\n",
        "# check: allow undefined-variable\nA=$DATE\ndate=$A\n",
        ":0\n* ! DONE ?? .\ndir/\n",
        ":0 c\n* ^A: x\n{\n:0\n* b\nx/\n:0 E\n/dev/null\n}\n",
    ] {
        assert_eq!(found(source), [], "{source}");
    }
}

#[test]
fn fixes_do_what_they_say() {
    for (source, fixed) in [
        (":0f\n| x\n", ":0fw\n| x\n"),
        (":0\n* a\nbox\n", ":0:\n* a\nbox\n"),
        (":0 c # why\n* a\nbox\n", ":0 c: # why\n* a\nbox\n"),
        (":0:\ndir/\n", ":0\ndir/\n"),
        (":0:box\nbox\n", ":0:\nbox\n"),
        (":0\n* \\[x\\]\ndir/\n", ":0\n* ()\\[x\\]\ndir/\n"),
        (":0\n* ^TOa@b.org\ndir/\n", ":0\n* ^TO_a@b\\.org\ndir/\n"),
        (":0\n* < 2M\ndir/\n", ":0\n* < 2097152\ndir/\n"),
        (":0\n* ! ^From:.*$HOME\ndir/\n", ":0\n* $ ! ^From:.*$HOME\ndir/\n"),
        (":0\r\n* a\\\r\nb\r\ndir/\r\n", ":0\n* a\\\nb\ndir/\n"),
        (":0\n{A=1 }\n", ":0\n{ A=1 }\n"),
        ("A=~/x\n", "A=$HOME/x\n"),
        ("$A=x\n", "A=x\n"),
        (":0\n* a\\  \n* b\ndir/\n", ":0\n* a\\\n* b\ndir/\n"),
    ] {
        let rc = parse(source);
        assert_eq!(String::from_utf8(fix(&rc, &check(&rc))).unwrap(), fixed, "{source:?}");
    }
}

#[test]
fn diagnostics_are_shown_with_their_lines() {
    let source = ":0\n* ^TO_a\n{\n  :0\n\t\u{1b}dir\u{e9}/ \u{1b}[2J\n\n  :0 B\n  * \\d{3}x\n  b/\n}\n";
    let rc = parse(source);
    assert_eq!(
        render(&rc, "a\nrc", &check(&rc), Colours::Never),
        "\
warning[unreachable]: this recipe is reached only if the delivery above fails
 --> a\u{fffd}rc:7:3
  |
4 |   :0
  |   -- this takes every mail
...
7 |   :0 B
  |   ^^^^

warning[unsupported-regex]: `\\d` is a plain `d` here
 --> a\u{fffd}rc:8:5
  |
8 |   * \\d{3}x
  |     ^^
  |
  = help: name the characters: `* [0-9]{3}x`

warning[unsupported-regex]: there are no bounds in procmail's expressions: `{3}` is plain text
 --> a\u{fffd}rc:8:7
  |
8 |   * \\d{3}x
  |       ^^^
  |
  = help: write it out: `* \\d\\d\\dx`

"
    );
    let coloured = render(&rc, "rc", &check(&rc), Colours::Ansi);
    assert!(coloured.contains("\u{1b}[1;33mwarning[unreachable]\u{1b}[0m"));
    assert!(!coloured.contains("\u{1b}[2J"), "the file cannot command the terminal");
}

#[test]
fn recorded_rc_files_can_be_checked_and_fixed() {
    let archives: [&[u8]; 4] = [
        include_bytes!("recorded/cases/basic.cases"),
        include_bytes!("recorded/cases/cond.cases"),
        include_bytes!("recorded/cases/var.cases"),
        include_bytes!("recorded/cases/regex.cases"),
    ];
    for case in archives.iter().flat_map(|text| archive::parse(text)) {
        for (_, source) in case.files.iter().filter(|(name, _)| *name == "rc" || name.ends_with(".rc")) {
            holds(source);
        }
    }
}

/// What procmail says, and the codes that tell of it before it does.
const MESSAGES: &[(&str, &[&str])] = &[
    ("Bad substitution of", &["bad-substitution"]),
    ("Closing brace unexpected", &["unexpected-closing-brace"]),
    ("Conflicting ", &["conflicting-flags"]),
    ("Couldn't determine implicit lockfile", &["unknown-lock"]),
    ("Deadlock attempted on", &["deadlock"]),
    ("Extraneous ", &["extraneous-flag"]),
    ("Incomplete recipe", &["incomplete-recipe"]),
    ("Invalid regexp", &["unbalanced-parenthesis", "unclosed-class"]),
    ("Missing action", &["missing-action"]),
    ("Missing closing brace", &["missing-closing-brace"]),
    ("Skipped", &["skipped-text", "unknown-flag", "size-junk", "several-folders", "stray-word", "crlf"]),
    ("Unexpected EOL", &["unterminated-quote"]),
];

#[test]
fn what_procmail_was_recorded_to_complain_of_is_told_before() {
    let archives: [&[u8]; 8] = [
        include_bytes!("recorded/cases/act.cases"),
        include_bytes!("recorded/cases/basic.cases"),
        include_bytes!("recorded/cases/cond.cases"),
        include_bytes!("recorded/cases/flag.cases"),
        include_bytes!("recorded/cases/inc.cases"),
        include_bytes!("recorded/cases/lock.cases"),
        include_bytes!("recorded/cases/regex.cases"),
        include_bytes!("recorded/cases/var.cases"),
    ];
    // A file where a directory is expected: that is seen on the disk only.
    let on_disk = ["act-multi-second-file"];
    let mut complaints = 0;
    let mut missed = String::new();
    let cases = archives.iter().flat_map(|text| archive::parse(text));
    for case in cases.filter(|case| !on_disk.contains(&case.name.as_str())) {
        let rc_files = case.files.iter().filter(|(name, _)| *name == "rc" || name.ends_with(".rc"));
        let codes: BTreeSet<&str> = rc_files
            .flat_map(|(_, source)| check(&Rc::parse(source.clone())))
            .map(|diagnostic| diagnostic.code.name())
            .collect();
        let log = case.text("expect.log").unwrap_or_default();
        for line in log.lines().filter_map(|line| line.strip_prefix("procmail: ")) {
            for (message, expected) in MESSAGES.iter().filter(|(message, _)| line.starts_with(message)) {
                complaints += 1;
                if !expected.iter().any(|code| codes.contains(code)) {
                    missed += &format!("{}: {line} ({message})\n", case.name);
                }
            }
        }
    }
    assert!(missed.is_empty(), "{missed}");
    assert!(complaints > 30, "only {complaints} complaints were recorded");
}

/// Diagnostics lie in the file and are sorted; what is fixed is not told again.
fn holds(source: &[u8]) {
    let rc = Rc::parse(source.to_vec());
    let diagnostics = check(&rc);
    assert!(diagnostics.is_sorted_by_key(|diagnostic| diagnostic.span.start));
    for diagnostic in &diagnostics {
        let spans = diagnostic.related.iter().map(|related| related.span).chain([diagnostic.span]);
        for span in spans {
            assert!(span.start <= span.end && span.end <= source.len(), "{diagnostic:?}");
        }
        let place = rc.position(diagnostic.span.start);
        assert_eq!((diagnostic.place.line, diagnostic.place.column), place);
        for edit in diagnostic.suggestion.iter().flat_map(|suggestion| &suggestion.edits) {
            assert!(edit.span.start <= edit.span.end && edit.span.end <= source.len(), "{diagnostic:?}");
        }
    }
    assert!(!render(&rc, "rc", &diagnostics, Colours::Never).contains('\u{1b}'));
    format(&fix(&rc, &diagnostics));
}

fn piece() -> impl Strategy<Value = &'static str> {
    let all: Vec<&'static str> = STRUCTURE
        .iter()
        .chain(FLAGS)
        .chain(FLOW)
        .chain(VALUES)
        .chain(CONDITIONS)
        .map(|(source, _)| *source)
        .chain([
            " ", "\n", "\n", "\\", "\\\n", "\\\r\n", "{", "}", "'", "\"", "`", "$", "${", ":0 ", "* ",
            "\u{e9}", "\0",
        ])
        .collect();
    prop::sample::select(all)
}

proptest! {
    #[test]
    fn any_file_can_be_checked(pieces in prop::collection::vec(piece(), 0..16)) {
        holds(pieces.concat().as_bytes());
    }

    #[test]
    fn any_condition_can_be_checked(pattern in r"[ab.()|*+?^$\\/<>\[\]{}:;@#!TO_ 0-9\n\t-]{0,40}") {
        holds(format!(":0\n* {pattern}\ndir/\n").as_bytes());
    }
}

#[test]
fn hostile_files_are_checked_in_linear_time() {
    let mebibyte = |piece: &str| piece.repeat((1 << 20) / piece.len());
    let much = |piece: &str| piece.repeat((1 << 16) / piece.len());
    let mut deep = ":0\n{\n".repeat(100_000);
    deep += &"}\n".repeat(50_000);
    for source in [
        deep,
        much(":0\n* a\nbox\n"),
        format!(":0\n* {}\nbox\n", mebibyte("a.b@c.d")),
        format!(":0\n* {}\nbox\n", mebibyte("${")),
        format!(":0\n* {}\nbox\n", mebibyte("!")),
        format!(":0 f\n| {}\n", mebibyte("formail -r ")),
        much("}\n"),
        much("A=$B$C"),
        much("A=b x\n"),
        much("x "),
        much("=x\n"),
        much("\\\r\n"),
        much("# check: allow a,b\n"),
        format!(":0\n* {}\nbox\n", much("(a|")),
        format!(":0\n* {}\nbox\n", much("$ ")),
        format!(":0\n* {}\nbox\n", much("x$AB")),
        format!(":0\n* {}\nbox\n", much(r"\d{3}")),
        format!(":0\n* {}\nbox\n", much("[")),
        format!(":0\n* {}\nbox\n", much("\\\n")),
        format!(":0 {}\nbox\n", much("c")),
        format!(":0\n{}\n", much("a/")),
        format!("A=\"{}\"\n", much("${B%")),
    ] {
        let rc = parse(&source);
        let diagnostics = check(&rc);
        fix(&rc, &diagnostics);
        render(&rc, "rc", &diagnostics[..diagnostics.len().min(5000)], Colours::Never);
    }
}

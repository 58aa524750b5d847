"""Random rc files: recipes of every kind with folders, programs, filters, locks, blocks, includes and odd text.

`RcFiles(seed).make()` gives the files by name; `rc` is the first. The same seed gives the same files.
"""

import random

FOLDERS = """box box2 $F-box $X 'q$X' Maildir/ mh/. plain plain/sub ${U-alt} ${U:-a}x d2// . box#1 "b"x'c'
|"a b"
|a\\ b
|missing/box
|missing/box
|missing/m/
|missing/mh/.
|box mh/.
|mh/. Maildir/ plain
|Maildir/ mh/.
|mh/. missing/x plain/
|plain/ plain
|Maildir/ Maildir/
|/dev/null
|$E
|"$E"
|$L
|\\
|"un
|box }
|box # word
|`echo tick`
|`echo two words`/x
|$MATCH
|box$E
|inbox$=
|x"y
 z"
""".split("|")
FOLDERS = FOLDERS[0].split(" ") + [one.rstrip("\n") for one in FOLDERS[1:]]
# They take all that they are given, say nothing that depends on time, and write only where nothing else does.
PROGRAMS = """cat >/dev/null|cat >/dev/null; false|cat >/dev/null; exit 3|cat >out.%|cat >>out.%; exit 1|wc -c >out.%
echo said; cat|sed -n 1p >out.%|cat > out.% ; echo "$X-$MATCH-$LASTFOLDER-$A" >>out.%|cat >/dev/null; kill -9 $$|cat
echo hi >&2; cat >>out.%|cat >/dev/null; nosuch|cat - >>out.% # word|cat rc - >>out.%
cat; test "$A" = one|$HOME/bin/args $X "$X" '$X' $U x|$HOME/bin/args $0 $# $1 $_ $- $? $=|"$HOME/bin/args" a\ b
$HOME/bin/args a"b"'c' ${A-x}y `echo in here` "`echo a  b`" $\X|$HOME/bin/args ${E:-e f} ${A+"g h"} '' "" $E "$E" \$A "\$A" x#y
echo one >>out.% && cat >>out.%|(cat; echo) >>out.%|$CMD|$U|$E|\\cat|cat>>$F.%|cat >>"$F.%"|exec cat >> ${F}.% |cat "odd|"cat" -"""
PROGRAMS = PROGRAMS.replace("\n", "|").split("|") + ["cat >>out.% \\\n  ; echo more >>out.%"]
FILTERS = """cat|tr a-z A-Z|sed -e 's/^Subject: /Subject: [x] /'|cat; exit 1|formail -I "X-Score: $="|cat >/dev/null; false
formail -A "X-New: $X"|sed 1d|cat >/dev/null; echo replaced|cat >/dev/null; printf 'no end'|cat; echo tail|sed '/^$/q'
tr -d '\\n'|cat >/dev/null|cat; kill -9 $$|$U|formail -b -f -i "From: me"|cat - # comment|"tr" 'a-m' n-z|cat; echo; echo
cat; nosuch|formail -i "Content-Length: 5"|$HOME/bin/args x""".replace("\n", "|").split("|")
CONDITIONS = """^Subject:.*cats|^Subject:.*dogs|! ^Subject:.*dogs|^From:.*ann|^TO_lists|^TO_joe@|^TOjoe|^FROM_DAEMON|! ^FROM_MAILER
B ?? eternity|HB ?? body|H ?? ^X-Folded|BH ?? x|A ?? one|! A ?? one|X ?? ^^two words^^|U ?? ^^^^|E ?? .|MATCH ?? a|LASTFOLDER ?? box
? true|? false|! ? true|? exit 3|? test -f box|? test "$A" = one|? grep -q cats|? cat >cond.%|B ?? ? grep -q line|X ?? ? grep two
< 100|> 100|! < 1000|B ?? > 20|X ?? < 3|< $N|> 10k|> ${U-5}|<|$ ^Subject:.*$W|$ ! ^Subject:.*${U-dogs}|$ X ?? $X|$ $\\A|$ "A" ?? one
$ ? test $X|$ < $N|!|!!|! !^From|^Subject:.*\\[\\/[^]]+|^Subject:\\/.*|()\\/cats.*|B ?? ^\\/.*$|\\/x|\\<x|^(To|Cc):.*\\<joe\\>
^^From|^^Return|$^^|e^^|B ?? ^^$|1^0 ^From|-1^0|2^0.5 B ?? e|1^1 B ?? .|-1^1 e|0.5^0.5 ^|1^0 ! ^Nope|3^.9 B ?? line|1e2^-1 a
2147483647^0|-2147483647^0|5^0 ? true|1^0 ? false|-3^0 ? exit 2|1^1 ! ? exit 3|1^0 > 100|100^1 < 100|1^-1 > 100|1^2 B ?? > 5
1^1 X ?? o|0.3^0 ^From|.2^0|$ $N^0|$ -$N^1 ^From|((|a)b|[^|[a-|(a*)*b|x**|^Subject:.*(cats|dogs).*$|^X-Folded: one two|^X-Folded:.*two
A??one|NOSUCH ?? x|1^ ^From|^0 From|a^b|* ^From|^Subject: \\[cats\\] more of them|^Subject:.*\\
  cats|^Message-ID:.*1@\\
example|? echo a \\
 b >cond.%|B ?? `echo line`|$ B ?? `echo line`|$ `echo ^From`|? echo err >&2|^Subject:.*CATS|^subject|$ ^Subject:.*"cats"
$ ^Subject:.*\\"cats|$ ^Subject: \\\\[|$ ^Subject:.*'cats'|> |> -1|> +10|1^0|9876543210^0|-1e40^0|1^0 HB ?? ^^|H ?? B ?? eternity
D ?? x|^From $|^.+$|.|^|$|^^|^^^^|a|^$|$$|()|(|)|?|+|*|\\|""|''|#|# not a comment|^Subject:.*c.ts # no comment""".replace("\\\n", "\1")
CONDITIONS = [two.replace("\1", "\\\n") for one in CONDITIONS.split("\n") for two in one.split("|")]
VALUES = """one|two|"two words"|'single $A'|$A|$X|"$X"|a$A.b|${U-none}|${U:-none}|${A+set}|${E:+set}|${E-x}|$U|$?|$=|$-|$_|$0|$1|$#
`echo ticked`|`echo a  b; echo c`|"`echo a  b`"|`false`|`exit 4`|`cat`|`sed -n 1p`|`grep -c e`|`nosuchthing`|`echo $X`|"q `echo "in $A"` r"
a\\ b|"a\\"b"|\\$A|"\\$A"|a"b"'c'\\d|x # word|x y|x Y=z|x}|#|"multi
line"|'multi
line'|a\\
b|${A|${A?x}|$@|"$@"|"open|'open|`open|\\|$\\X|"$\\X"|${\\X}|$LASTFOLDER|$MATCH|"$MATCH"|$HOME.|~|*|[a|a;b|a&b|(x)|<x|>x|a|0|1|yes|no
""".replace("\n`", "|`").replace("|a;b|", "|a;b|").split("|")
ASSIGNED = "A A A X X E F W N M CMD B1 _x".split()
REMOVED = "A U X MATCH E LASTFOLDER NOSUCH".split()
SETTINGS = """LOGABSTRACT=all|LOGABSTRACT=no|LOGABSTRACT=yes|LOGABSTRACT|LOGABSTRACT=2|VERBOSE=no|VERBOSE=yes|VERBOSE|VERBOSE=off
LINEBUF=128|LINEBUF=200|LINEBUF=300|LINEBUF=1|LINEBUF=2048|MSGPREFIX=new.|LOCKEXT=.lk|LOCKEXT|LOCKEXT=|UMASK=022|UMASK=0|UMASK=077
SHELLMETAS|SHELLMETAS=&|SHELLFLAGS=-ec|SHELL=/bin/sh|MAILDIR=sub|MAILDIR=missing|MAILDIR=$HOME|MAILDIR=|MAILDIR=..|MAILDIR
DEFAULT=elsewhere|DEFAULT=dm/|DEFAULT=missing/x|DEFAULT=plain|DEFAULT=mh/.|DEFAULT=/dev/null|DEFAULT|DEFAULT=|DEFAULT="a b"|DEFAULT=|
ORGMAIL=org|ORGMAIL=missing/y|ORGMAIL|ORGMAIL=/dev/null|EXITCODE=7|EXITCODE=|EXITCODE=x|EXITCODE=300|EXITCODE=-1|EXITCODE|EXITCODE=0
TRAP=true|TRAP='echo trapped; cat >trap.%'|TRAP="exit 5"|TRAP|TRAP='echo "$EXITCODE $LASTFOLDER" >trap.%'|TRAP='false'|TRAP="$CMD"|TRAP=cat
HOST=$HOST|HOST|HOST=elsewhere|HOST=|LOCKFILE=%.glock|LOCKFILE=%.glock|LOCKFILE|LOCKFILE=|LOCKFILE=missing/l.lock|LOCKFILE=$U|LOCKFILE=two
LOGFILE=log2|LOGFILE|LOGFILE=missing/log|LOGFILE=|LOGFILE=log|LOG=said|LOG="said
"|LOG|LOG=|LOG="$A $X"|DELIVERED=yes|DELIVERED=no|DELIVERED|SHIFT=1|SHIFT|SHIFT=x|SENDMAIL=nosuchmailer|SENDMAILFLAGS|SENDMAILFLAGS="-x -y"
COMSAT=no|COMSAT|TIMEOUT=900|TIMEOUT|SUSPEND=0|NORESRETRY=1|PATH=$PATH|PROCMAIL_OVERFLOW|PROCMAIL_VERSION|LOCKSLEEP=0|LOCKTIMEOUT=900""".replace("\n", "|").split("|")
INCLUDES = "inc1 inc2 inc1 inc2 missing sub empty ./inc1 $HOME/inc2 /dev/null $U $E inc1# 'inc1' \"inc2\" `echo inc1`".split(" ")
GARBAGE = [
    "oops", "}", "{", "# comment", "# comment \\", "", "   ", "=x", "1A=x", "A-B=c", '"quoted', "*", "* ^From", "| cat", "! joe",
    ":", ":1", ":2", ":0 Z", ":0 HZc", ":0:", ":0 c", "A = spaced", "A= x", "A =x", "A", "A B", "x y z", "\tB1=tab", ";", "A=1;B=2", "`true`",
    ":0 # word", ":0 : x y", ":0c:box.lock", "\\", "A\\", "$A=x", "${A}", "A=`echo x`y z", "F=box\r", "A=1 }", "{ A=1 }", "a b\\",
]


class RcFiles(random.Random):
    """What may come in, from a seed."""

    def make(self):
        self.number = 0
        files = {"rc": "", "inc1": "", "inc2": "", "empty": ""}
        for name, most in (("inc1", 3), ("inc2", 4), ("rc", 12)):
            self.included = name.startswith("inc")
            files[name] = "".join(self.item(0) for _ in range(self.randint(1, most)))
            if self.likely(0.05):
                files[name] = files[name].rstrip("\n")
        files["rc"] = "A=one\nX='two words'\nE=\nF=folder\nW=cats\nN=300\nCMD='cat >out.cmd'\n" + files["rc"]
        return files

    def likely(self, chance):
        return self.random() < chance

    def fresh(self, text):
        """With a file name of its own."""
        self.number += 1
        return text.replace("%", f"{'i' if self.included else 'r'}{self.number}")

    def item(self, depth):
        kind = self.random()
        if kind < 0.62:
            return self.recipe(depth)
        if kind < 0.78:
            return f"{self.choice(ASSIGNED)}={self.choice(VALUES)}\n"
        if kind < 0.88:
            return self.fresh(self.choice(SETTINGS)) + "\n"
        if kind < 0.91:
            return self.choice(REMOVED) + "\n"
        if kind < 0.95 and not self.included:
            return f"{'INCLUDERC' if self.likely(0.75) else 'SWITCHRC'}={self.choice(INCLUDES)}{self.choice(['', '', ' B1=1'])}\n"
        if kind < 0.96:
            return self.choice(["SWITCHRC\n", "SWITCHRC=\n", "INCLUDERC\n", "INCLUDERC=\n", "SWITCHRC=$U\n"])
        return self.choice(GARBAGE) + "\n"

    def flags(self, often):
        chosen = [flag for flag, chance in often.items() if self.likely(chance)]
        self.shuffle(chosen)
        return self.choice(["", " "]).join(chosen)

    def conditions(self):
        count = self.choice([0, 0, 1, 1, 1, 2, 3])
        return "".join(f"*{self.choice([' ', ' ', '', '  '])}{self.fresh(self.choice(CONDITIONS))}\n" for _ in range(count))

    def lock(self, nests=False):
        if self.likely(0.7):
            return ""
        if nests:
            # What waits for its own lock waits for ever.
            return self.fresh(": %.lock")
        return self.choice([":", ":", ":", ": x.lock", ":box.lock", ": $F.lock", ": \"$X\"", ": missing/x", ":$U", ": a b"])

    def recipe(self, depth):
        chain = {"A": 0.1, "a": 0.07, "E": 0.1, "e": 0.07}
        common = {"H": 0.04, "B": 0.08, "D": 0.05, "h": 0.07, "b": 0.07, "i": 0.08, "r": 0.08, "w": 0.25, "W": 0.12, **chain}
        kind = self.random()
        start = self.choice([":0", ":0", ":0 ", ":0  "])
        if kind < 0.27:
            # Deliveries mostly go on, so that there is more to see.
            # With `i`, Debian's takes a mail for delivered whose folder it could not open.
            line = self.flags({**common, "c": 0.8, "f": 0.03, "i": 0})
            action = self.choice(FOLDERS)
        elif kind < 0.45:
            line = self.flags({**common, "c": 0.75, "f": 0.02})
            action = "|" + self.choice([" ", " ", ""]) + self.fresh(self.choice(PROGRAMS))
        elif kind < 0.62:
            line = self.flags({**common, "f": 1, "c": 0.05})
            action = "|" + self.choice([" ", " ", ""]) + self.fresh(self.choice(FILTERS))
        elif kind < 0.7:
            line = self.flags({**common, "c": 0.05})
            action = f"{self.choice(ASSIGNED)}{self.choice(['=', '=', ' = ', '= '])}| {self.fresh(self.choice(FILTERS + PROGRAMS))}"
        elif kind < 0.75:
            line = self.flags({**common, "c": 0.7, "f": 0.1})
            action = self.choice(["! joe@example.net", "!joe", '! "$X"', "! $X", "! -f x joe", "! `echo joe ann`", "!", "! joe; true"])
        else:
            # A copy that is not waited for writes the log while we do.
            copy = self.choice(["", "", "cw", "cW"])
            line = copy + self.flags({**{flag: chance / 2 for flag, chance in common.items() if flag not in "wW"}, "f": 0.02})
            action = self.block(depth)
        return f"{start}{line}{self.lock(kind >= 0.75)}\n{self.conditions()}{action}\n"

    def block(self, depth):
        if depth >= 3 or self.likely(0.2):
            return self.choice(["{ }", "{ A=in }", "{ A=in X }", "{\n}", "{ LOG='x' }", "{\nA=in }", "{ A=`echo x` }", "{ :0c\nbox }"])
        items = "".join(self.item(depth + 1) for _ in range(self.choice([1, 2, 2, 3, 4])))
        return "{\n" + items + ("" if self.likely(0.02) else "}")

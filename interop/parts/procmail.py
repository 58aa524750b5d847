"""The `procmail` program against Debian's, side by side; in crowds with it; under Postfix and under fetchmail."""

import glob
import os
import pwd
import re
import shutil
import socketserver
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from lib import children
from lib.checks import check, equal, expect, note
from lib.children import run as run_program
from lib.office import eventually
from lib.postfix import Postfix

THEIRS = "/usr/bin/procmail"
DATE = "Tue Jan  2 03:04:05 2001"
MAIL = f"""From ann@example.org {DATE}
Return-Path: <ann@example.org>
From: Ann Other <ann@example.org>
To: joe@example.net
Cc: lists@lists.example.com
Subject: [cats] more of them
Message-ID: <1@example.org>
Date: Tue, 2 Jan 2001 03:04:05 +0000
X-Folded: one
\ttwo

Body line.
From here to eternity.
http://example.com/unsubscribe
""".encode()
UNDELIVERABLE = "LOCKSLEEP=0\nDEFAULT=/nonexistent/x\nORGMAIL=/nonexistent/y\n:0\n/nonexistent/z\n"
SENDMAIL = '#!/bin/sh\n{ echo "$@"; cat; echo =; } >>"$HOME/sent"\n'

# Each is a name and an rc file, as people have them.
RC_FILES = {
    "lists into folders": r"""
:0:
* ^TO_lists@lists\.example\.com
* ^Subject:.*\[\/[^]]+
lists-$MATCH
""",
    "Maildir, MH and plain folders, linked": r"""
:0c
Maildir/
:0c
mh/.
:0c
mh/.
:0c
* B ?? eternity
mh/. Maildir/ plain
:0
Maildir/.folder/
""",
    "duplicates kept away by formail": r"""
:0 Wh: msgid.lock
| formail -D 8192 msgid.cache
:0 Wh: msgid.lock
| formail -D 8192 msgid.cache
:0 a
duplicates
:0
originals
""",
    "a spam filter that marks, and a score": r"""
SUM=0
:0fw
* < 256000
| sed -e '1,/^$/s/^Subject: /Subject: *SPAM* /'
:0
* -1^0
* 1^1 ^Subject:.*SPAM
* 1.5^1 B ?? http://
{
  SUM=$=
  :0fhw
  | formail -I "X-Score: $SUM" -A "X-Seen: yes"
  :0
  spam
}
:0
ham
""",
    "an answer that is sent once": r"""
:0 Whc: vacation.lock
* $ ! ^Subject:.*Re:
* ! ^FROM_DAEMON
* ! ^X-Loop: joe@example\.net
| formail -rD 8192 vacation.cache
:0 ehcw
| (formail -rA"Precedence: junk" -A"X-Loop: joe@example.net"; echo "I am away.") | $SENDMAIL -oi -t
:0
inbox
""",
    "copies, clones and else": r"""
:0c:
archive
:0c
* ^From:.*ann
{
  :0fw
  | tr a-z A-Z
  :0:
  loud
}
:0
* ^Subject:.*dogs
dogs
:0E
{
  :0w
  * ? test -f missing
  never
  :0
  ! cats@example.com
}
""",
    "variables, backquotes and includes": r"""
FROM=`formail -rtzxTo:`
UPPER=`echo "$FROM" | tr a-z A-Z`
NAME=${UPPER:-nobody}
EMPTY=${NOTHING+x}
INCLUDERC=inc.rc
:0
* ! NAME ?? ANN
wrong
:0
* NAME ?? ^^\/[A-Z]+
$FOLDER-$MATCH-$EMPTY
""",
    "failures that fall through": r"""
:0:
/nonexistent/folder/box
:0w
| exit 3
:0fw
| false
:0w
| cat >/dev/null; kill -9 $$
LOG="on we go
"
UMASK=022
:0
last
""",
    "a trap and an exit code": r"""
TRAP='echo trapped; cat >trapped'
EXITCODE=23
LOGABSTRACT=all
:0c
one
:0
two
""",
    "nothing that delivers": "VERBOSE=off\nA=1\n",
    "into the void": ":0\n/dev/null\n",
    "rubbish": 'oops\n:0 Z\n* ((\n"x\n:0\n{ }\n}\n:0\n* ^Subject\n',
}

COMMAND_LINES = [
    ["-f", "eve@example.com"],
    ["-f-"],
    ["-t", "DEFAULT=/nonexistent/x", "ORGMAIL=/nonexistent/y"],
    ["DEFAULT=/nonexistent/x", "ORGMAIL=/nonexistent/y"],
    ["-Y", "-o", "A=1 +"],
    ["-a", "one", "-a", "two", "X=$1$2"],
    ["-p"],
    ["-x"],
]


def run(setting):
    ours = setting.folder("procmail") / "procmail"
    # Where every user can execute it.
    shutil.copy(setting.postoffice.with_name("procmail"), ours)
    side_by_side(setting, ours)
    for_users(setting, ours)
    crowds(setting, ours)
    killed(setting, ours)
    under_postfix(setting, ours)
    under_fetchmail(setting, ours)


class Home:
    """A home folder of its own, always under the same path."""

    def __init__(self, setting, rc=None):
        self.path = setting.scratch / "joe"
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(mode=0o755)
        (self.path / "inc.rc").write_text("FOLDER=included\n")
        self.sendmail = self.path / ".sendmail"
        self.sendmail.write_text(SENDMAIL)
        self.sendmail.chmod(0o755)
        if rc is not None:
            (self.path / "rc").write_text(rc)

    def filter(self, program, *arguments, mail=MAIL, rc=True):
        standard = [
            f"HOME={self.path}",
            "SHELL=/bin/sh",
            f"SENDMAIL={self.sendmail}",
            f"DEFAULT={self.path}/default",
            f"ORGMAIL={self.path}/orgmail",
            f"LOGFILE={self.path}/log",
            # What has no place for a lock file is not waited for.
            "LOCKSLEEP=0",
        ]
        options = [one for one in arguments if one.startswith("-")]
        # Options come first, with their values.
        at = max((arguments.index(one) + (one in ("-f", "-a")) + 1 for one in options), default=0)
        argv = [program, *arguments[:at], *standard, *arguments[at:], *(["./rc"] if rc else [])]
        ran = run_program(argv, given=mail, cwd=self.path)
        self.await_programs()
        return ran

    def await_programs(self):
        """Without `w`, procmail does not wait for the programs that it gives mail to; all of them name this folder."""
        eventually(lambda: not _command_lines(str(self.path).encode()), "the programs have ended")

    def picture(self):
        """All files with modes and contents, with what differs from run to run taken out."""
        seen = []
        for place, folders, files in os.walk(self.path):
            for name in files + folders:
                path = os.path.join(place, name)
                shown = _tidy(os.path.relpath(path, self.path).encode())
                content = b"" if name in folders else _tidy(open(path, "rb").read())
                data = os.lstat(path)
                links = data.st_nlink if name in files else 0
                if not name.startswith("."):
                    seen.append((shown, oct(data.st_mode), links, content))
        return sorted(seen)


def _command_lines(part):
    """Those of processes that have such a part."""
    lines = []
    for place in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(place, "rb") as file:
                lines.append(file.read())
        except OSError:
            # It has ended.
            pass
    return [line for line in lines if part in line]


def _tidy(text):
    text = re.sub(rb"\d{9,}\.\d+_\d+\.[\w.-]+", b"UNIQUE", text)
    text = re.sub(rb"_[\w+-]+[.,+%][\w-]+\.[\w.-]+", b"TEMPORARY", text)
    text = re.sub(rb"(plain/)?msg\.[\w-]+", rb"\1msg.INODE", text)
    text = re.sub(rb"procmail: \[\d+\] [^\n]*\n", b"", text)
    text = re.sub(rb"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d 20[2-9]\d", b"NOW", text)
    return re.sub(rb"\t+ *\d+\n", b"\tSIZE\n", text) if b"UNIQUE" in text or b"INODE" in text else text


def side_by_side(setting, ours):
    for name, rc in RC_FILES.items():
        for verbose in ([], ["VERBOSE=yes"]):
            with check(f"procmail does as Debian's: {name}{', verbosely' if verbose else ''}"):
                pictures = []
                for program in (THEIRS, ours):
                    home = Home(setting, rc)
                    ran = home.filter(program, *verbose)
                    pictures.append((ran.code, ran.out, home.picture()))
                _same(*pictures)
    for arguments in COMMAND_LINES:
        with check(f"procmail does as Debian's: procmail {' '.join(arguments)}"):
            pictures = []
            for program in (THEIRS, ours):
                home = Home(setting, ":0\n* X ?? ^^onetwo^^\narguments\n:0\n* ^Subject:.*dogs\nbox\n")
                ran = home.filter(program, *arguments)
                pictures.append((ran.code, ran.out, home.picture()))
            _same(*pictures)


def _same(theirs, ours):
    for one, other, what in zip(theirs[:2], ours[:2], ["the exit code", "standard output"]):
        equal(other, one, what)
    equal([file[:3] for file in ours[2]], [file[:3] for file in theirs[2]], "the files")
    for one, other in zip(theirs[2], ours[2]):
        # Programs tell of themselves whenever they get to it.
        equal(sorted(other[3].split(b"\n")), sorted(one[3].split(b"\n")), one[0].decode())


def for_users(setting, ours):
    """With a mail spool of its own, which ends with the run."""
    # Without Debian's set-group-id bit, with which a mailbox that is made is for the group as well.
    theirs = setting.folder("procmail_for_users") / "theirs"
    shutil.copy(THEIRS, theirs)
    theirs.chmod(0o755)
    with check("procmail -d puts bogus mailboxes aside as Debian's does, and makes new ones"):
        screened(theirs, ours)
    run_program(["mount", "-t", "tmpfs", "-o", "mode=2775,gid=mail", "spool", "/var/mail"])
    try:
        plain = MAIL.split(b"\n", 1)[1]
        cases = [
            ("root", ["-d", "games"], MAIL),
            ("root", ["-d", "games"], plain),
            ("root", ["-f", "eve@example.com", "-d", "games"], MAIL),
            ("root", ["-f-", "-d", "GAMES"], MAIL),
            ("root", ["-d", "games", "man"], MAIL),
            ("root", ["-d", "games", "nobody-of-that-name"], MAIL),
            ("root", ["-td", "nobody-of-that-name"], MAIL),
            ("man", ["-f", "eve@example.com"], MAIL),
        ]
        for user, arguments, mail in cases:
            with check(f"procmail does as Debian's: {user} calls procmail {' '.join(arguments)}"):
                spools = []
                for program in (theirs, ours):
                    # One mailbox that is there, and one that is made.
                    _fresh("/var/mail/man")
                    for name in ["games", "root"]:
                        if os.path.exists(f"/var/mail/{name}"):
                            os.unlink(f"/var/mail/{name}")
                    account = pwd.getpwnam(user)
                    ran = run_program(
                        [program, *arguments], given=mail, user=account.pw_uid, group=account.pw_gid, cwd="/"
                    )
                    found = {}
                    for name in sorted(os.listdir("/var/mail")):
                        data = os.stat(f"/var/mail/{name}")
                        if name != "root" and data.st_size:
                            content = _tidy(open(f"/var/mail/{name}", "rb").read())
                            found[name] = (oct(data.st_mode), data.st_uid, data.st_gid, content)
                    spools.append((ran.code, found))
                equal(spools[1], spools[0], "exit code and mail spool")
        with check("procmail -d refuses to deliver to others without the rights for it: 77"):
            account = pwd.getpwnam("man")
            ran = run_program([ours, "-d", "games"], given=MAIL, user=account.pw_uid, group=account.pw_gid, cwd="/")
            equal(ran.code, 77, "the exit code")
        for what, spool in [("first deliveries", ""), ("deliveries that find a bogus mailbox", "touch games")]:
            with check(f"procmail -d puts no good mailbox aside in crowds of {what}, and loses none of the mail"):
                for _ in range(30):
                    crowded(ours, spool)
    finally:
        run_program(["umount", "-l", "/var/mail"])


def crowded(ours, spool):
    """Six at once for a user who has no mailbox yet."""
    subprocess.run(["sh", "-c", "rm -f games BOGUS.games.*; " + spool], cwd="/var/mail", check=True)
    bogus = len(os.listdir("/var/mail"))
    argv = [ours, "-d", "games"]
    children = [
        subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/") for _ in range(6)
    ]
    for number, child in enumerate(children):
        child.stdin.write(b"Subject: %d\n\nb\n" % number)
        child.stdin.close()
    equal([child.wait() for child in children], [0] * len(children), "the exit codes")
    names = os.listdir("/var/mail")
    equal(len(names), bogus + 1, f"the files in the spool ({', '.join(names)})")
    found = re.findall(rb"^Subject: \d$", open("/var/mail/games", "rb").read(), re.MULTILINE)
    equal(len(set(found)), len(children), "the mails in the mailbox")


# What stands in the spool before mail comes for `games`.
SPOOLS = {
    "nothing": "",
    "the user's": "echo >games; chown games games; chmod 600 games",
    "the user's, for the group": "echo >games; chown games:mail games; chmod 660 games",
    "the user's, for the group to read": "echo >games; chown games:games games; chmod 640 games",
    "the user's, for all to read": "echo >games; chown games:games games; chmod 644 games",
    "the user's, for all to write": "echo >games; chown games games; chmod 666 games",
    "the user's, only to be read": "echo >games; chown games games; chmod 400 games",
    "the user's, only to be written": "echo >games; chown games games; chmod 200 games",
    "the user's, linked": "echo >games; ln games other; chown games games; chmod 600 games",
    "the user's, forwarded": ">games; chown games games; chmod 4600 games",
    "another's": "echo >games; chown man games; chmod 600 games",
    "another's, for all to write": "echo >games; chown man games; chmod 666 games",
    "another's, linked": "echo >other; ln other games; chown man games; chmod 666 games",
    "root's": ">games; chmod 660 games",
    "a link to a file": "echo >other; chown games other; ln -s other games; chown -h games games",
    "a link to nothing": "ln -s nowhere games",
    "the user's directory": "mkdir games; chown games games",
    "a directory": "mkdir games",
    "another's pipe": "mkfifo games",
}


def screened(theirs, ours):
    """Each in a spool of its own at the same time: Debian's waits a while when it has found something bogus."""
    script = """
        mount --make-rprivate / && mount -t tmpfs -o "$1" spool /var/mail || exit 99
        (umask 022; cd /var/mail; eval "$2")
        printf 'Subject: x\\n\\nb\\n' | timeout 60 "$3" -d games 2>&1
        echo "code $?"
        cd /var/mail
        stat -c '%N %A %U:%G %h %s' -- *
    """
    cases = [
        (spool, what) for spool in ["mode=1777,gid=root", "mode=1777,gid=mail", "mode=2775,gid=mail"] for what in SPOOLS
    ]

    def end(case):
        spool, what = case
        ends = []
        for program in (theirs, ours):
            ran = run_program(["unshare", "-m", "sh", "-c", script, "sh", spool, SPOOLS[what], program])
            # With rights of its own, theirs locks where the recipient cannot.
            ends.append(re.sub(rb"procmail: Lock failure on .*\n", b"", ran.out))
        return ends

    with ThreadPoolExecutor(len(cases)) as pool:
        for case, (wanted, found) in zip(cases, pool.map(end, cases)):
            expect(b"\ncode 0" in b"\n" + wanted or b"\ncode 67" in wanted, "an end of Debian's", wanted)
            equal(found, wanted, f"the spool ({', '.join(case)})")


def _fresh(path):
    account = pwd.getpwnam(os.path.basename(path))
    with open(path, "wb"):
        pass
    os.chown(path, account.pw_uid, -1)
    os.chmod(path, 0o660)


def _numbered(number):
    body = f"{number:06} line\nFrom afar\n\n" * (number % 100 + 1)
    return f"From ann@example.org {DATE}\nSubject: {number}\n\n{body}".encode()


def _messages(mailbox):
    """Taken apart before `From ` lines that follow an empty one."""
    parts = (b"\n\n" + mailbox).split(b"\n\nFrom ")[1:]
    return [b"From " + part + b"\n\n" for part in parts[:-1]] + [b"From " + parts[-1]]


def crowds(setting, ours):
    for name, rc, count in [
        ("2000 deliveries with the kernel's lock", ":0\nbox\n", 2000),
        ("40 deliveries with lock files", "LOCKSLEEP=1\n:0:\nbox\n", 40),
    ]:
        with check(f"{name}, procmail's and ours mixed, are all in the mailbox, none mangled"):
            home = Home(setting, rc)

            def deliver(number):
                program = [THEIRS, ours][number % 2]
                argv = [program, f"DEFAULT={home.path}/default", "ORGMAIL=/nonexistent/x", "./rc"]
                given = _numbered(number)
                return subprocess.run(argv, input=given, cwd=home.path, stderr=subprocess.DEVNULL).returncode

            with ThreadPoolExecutor(64 if count > 100 else 4) as pool:
                codes = list(pool.map(deliver, range(count)))
            equal(set(codes), {0}, "the exit codes")
            found = sorted(_messages((home.path / "box").read_bytes()))
            wanted = [_numbered(number).replace(b"\nFrom afar", b"\n>From afar") for number in range(count)]
            equal(found == sorted(wanted), True, "that each mail is there, whole and once,")
            expect(not (home.path / "box.lock").exists(), "no lock file left", "one")
            expect(not (home.path / "default").exists(), "no mail fallen through", "some")


def killed(setting, ours):
    halves = {}
    for program in (THEIRS, ours):
        home = Home(setting, ":0\nbox\n")
        body = (b"a line of the mail\n" * 50_000) + b"the end\n"
        promised = 0
        for number in range(40):
            mail = f"From ann@example.org {DATE}\nSubject: {number}\n\n".encode() + body
            (home.path / "mail").write_bytes(mail)
            with open(home.path / "mail", "rb") as given:
                argv = [program, f"DEFAULT={home.path}/default", "ORGMAIL=/nonexistent/x", "./rc"]
                child = subprocess.Popen(argv, stdin=given, cwd=home.path, stderr=subprocess.DEVNULL)
            if number % 10 != 9:
                time.sleep(number * 0.0004)
                child.kill()
            promised += child.wait() == 0
        mailbox = (home.path / "box").read_bytes()
        found = _messages(mailbox)
        whole = sum(one.rstrip(b"\n").endswith(b"the end") for one in found)
        halves[program] = (len(found) - whole, whole, promised)
        note(f"{program}: {whole} whole, {len(found) - whole} not, {promised} promised")
    print(f"   killed 36 times, procmail leaves {halves[THEIRS][0]} halves of mails, ours {halves[ours][0]}")
    with check("kill -9 during delivery: what was promised is there, and no halves"):
        half, whole, promised = halves[ours]
        equal(half, 0, "the halves")
        expect(whole >= promised, f"at least {promised} mails", whole)


def under_postfix(setting, ours):
    user = "games"
    account = pwd.getpwnam(user)
    folder = setting.folder("mailbox-command")
    os.chown(folder, account.pw_uid, account.pw_gid)
    rc = setting.folder("mailbox-command-rc") / "rc"
    rc.write_text(":0:\n* ^Subject:.*cats\ncats\n:0\nMaildir/\n")
    command = f"{ours} -t -a $$EXTENSION MAILDIR={folder} DEFAULT={folder}/inbox ORGMAIL={folder}/inbox"
    command += f" LOGFILE={folder}/log HOME={folder} {rc}"
    postfix = Postfix(setting, "none", local={user: command})
    try:
        with check("Postfix delivers through mailbox_command, and the mail is filed"):
            for subject in ["more cats", "dogs", "cats again"]:
                content = f"Subject: {subject}\n\nFrom here.\n".encode()
                postfix.submit(content, "ann@example.org", [f"{user}@local.test"])
            eventually(lambda: (folder / "cats").exists() and _count(folder / "cats") == 2, "two mails about cats")
            eventually(lambda: len(list(folder.glob("Maildir/new/*"))) == 1, "a mail in the Maildir")
            content = (folder / "cats").read_bytes()
            expect(content.startswith(b"From ann@example.org  "), "a From_ line", content[:60])
            expect(b"\n>From here." in content, "a quoted line", content)
            equal(os.stat(folder / "cats").st_uid, account.pw_uid, "the owner")
        with check("Postfix keeps what cannot be delivered (75), and delivers it later"):
            rc.write_text(UNDELIVERABLE)
            postfix.submit(b"Subject: later\n\nx\n", "ann@example.org", [f"{user}@local.test"])
            eventually(lambda: "status=deferred" in postfix.log(), "a deferral in the log")
            rc.write_text(":0\nlater\n")
            eventually(lambda: (folder / "later").exists(), "the mail, later")
            expect("status=bounced" not in postfix.log(), "no bounce", postfix.log()[-500:])
    finally:
        postfix.stop()


def _count(path):
    return path.read_bytes().count(b"\nSubject: ")


class Pop3(socketserver.StreamRequestHandler):
    """As much of a POP3 server as fetchmail wants."""

    def handle(self):
        mails = self.server.mails
        gone = set()
        self.say("+OK")
        for line in self.rfile:
            verb, *words = line.decode().split()
            number = int(words[0]) if words and words[0].isdigit() else 0
            match verb.upper():
                case "CAPA":
                    self.say("+OK\r\nUSER\r\nUIDL\r\n.")
                case "STAT":
                    self.say(f"+OK {len(mails)} {sum(map(len, mails.values()))}")
                case "LIST" if not number:
                    self.say("+OK\r\n" + "".join(f"{one} {len(mail)}\r\n" for one, mail in mails.items()) + ".")
                case "LIST":
                    self.say(f"+OK {number} {len(mails[number])}")
                case "UIDL" if not number:
                    self.say("+OK\r\n" + "".join(f"{one} u{one}\r\n" for one in mails) + ".")
                case "UIDL":
                    self.say(f"+OK {number} u{number}")
                case "RETR" | "TOP":
                    self.say("+OK\r\n" + mails[number].replace("\n", "\r\n") + ".")
                case "DELE":
                    gone.add(number)
                    self.say("+OK")
                case "QUIT":
                    for one in gone:
                        del mails[one]
                    self.say("+OK")
                    return
                case _:
                    self.say("+OK")

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")


def under_fetchmail(setting, ours):
    folder = setting.folder("fetchmail")
    rc = folder / "rc"
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Pop3) as server:
        subjects = {1: "more cats", 2: "dogs", 3: "cats again"}
        server.mails = {
            number: f"Return-Path: <ann@example.org>\nFrom: ann@example.org\nTo: joe@example.net\n"
            f"Subject: {subject}\nMessage-ID: <{number}@example.org>\n\nFrom here, {number}.\n"
            for number, subject in subjects.items()
        }
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = folder / "fetchmailrc"
        config.write_text(
            f"poll 127.0.0.1 protocol pop3 port {server.server_address[1]} auth password\n"
            f' user "joe" password "x" sslproto "" no rewrite\n'
            f' mda "{ours} -t -f %F HOME={folder} DEFAULT={folder}/inbox ORGMAIL={folder}/inbox {rc}"\n'
        )
        config.chmod(0o600)

        def fetch():
            argv = ["fetchmail", "-f", config, "--nosyslog", "--pidfile", folder / "pid", "-v"]
            return run_program(argv, env={**os.environ, "FETCHMAILHOME": str(folder), "HOME": str(folder)})

        with check("fetchmail keeps on the server what its mda, procmail, cannot deliver (75)"):
            rc.write_text(UNDELIVERABLE)
            fetch()
            equal(sorted(server.mails), [1, 2, 3], "the mails on the server")
        with check("fetchmail delivers through its mda, procmail, and the mail is filed"):
            rc.write_text(":0:\n* ^Subject:.*cats\ncats\n:0\nmh/.\n")
            ran = fetch()
            equal(ran.code, 0, "the exit code")
            equal(server.mails, {}, "the mails on the server")
            equal(_count(folder / "cats"), 2, "the mails about cats")
            content = (folder / "cats").read_bytes()
            expect(content.startswith(b"From ann@example.org  "), "a From_ line", content[:60])
            expect(b">From here, 3." in content, "a quoted line", content)
            expect((folder / "mh/1").exists(), "a mail in the MH folder", os.listdir(folder))
        server.shutdown()

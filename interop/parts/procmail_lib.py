"""Debian's procmail-lib: each of its modules does under our procmail what it does under theirs.

An rc file sets what modules want to be told, includes the module, and files the mail with the variables that it left. Both
programs run it in a HOME of their own; what lies there then, the exit code and the logs must be the same.
"""

import re
import shutil
import socket
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lib.checks import Failed, check, expect, note
from lib.children import run as run_program

LIBRARY = Path("/usr/share/procmail-lib")
HOST = re.escape(socket.gethostname().encode())

# These ask the network; the last one runs programs whose names are empty here.
LEFT_OUT = {"pm-janslookup.rc", "pm-japing.rc", "pm-japop3.rc", "pm-jasrv-multi.rc"}
RC = """PMSRC={library}
SENDMAIL=$HOME/sendmail
HOST={host}
PMLIB={library}
LOCKSLEEP=1
SPAM_DIR=$HOME/spam
MY_ADDR=me@own.example
MY_XLOOP=me@own.example
MYXLOOP=me@own.example
JA_FROM_DEFAULT=someone
RC_EMPTY=$HOME/empty.rc
INCLUDERC={library}/{module}

:0 fhw
| sed '$d'; env | grep -E '^(ERROR|MATCH|YYYY|YY|MON|MM|DAY|DD|hh|mm|ss|INPUT|OUTPUT|FROM|ADDRESS|LIST|COMMENT|SUBJECT|RC_[A-Z]*|[A-Za-z]*[Ff]lag|DUMMY|FORMAIL|SPC|WSPC|SPCL|NSPC|COOKIE|MIME[A-Z_]*)=' | grep -v '"' | sort | sed 's/^/X-Left: /' | tr -d '\\001-\\011'; echo

:0
left
"""

SENDMAIL = """#!/bin/sh
{ printf 'ARGS:'; for a in "$@"; do printf ' <%s>' "$a"; done; echo; cat; echo '=EOM='; } >>"$HOME/sent"
"""

MAILS = {
    "plain": b"""From ann@sea.example Tue Jan  2 03:04:05 2001
Received: from sea.example (sea.example [192.0.2.1]) by own.example; Tue, 2 Jan 2001 03:04:05 +0000
Return-Path: <ann@sea.example>
From: "Ann of the Sea" <ann@sea.example>
To: me@own.example
Subject: Re[2]: boards
Message-ID: <1@sea.example>
Date: Tue, 2 Jan 2001 03:04:05 +0000

Long or short?
""",
    "list": b"""From waves-bounces@list.example Wed Feb 14 13:14:15 2001
Received: from list.example by own.example; Wed, 14 Feb 2001 13:14:15 +0100
From: bob@else.example (Bob)
Reply-To: waves@list.example
To: waves@list.example
Cc: me@own.example
Subject: [waves] Re: Re: boards (fwd)
Message-ID: <2@else.example>
Precedence: list
List-Id: <waves.list.example>
X-Mailing-List: waves@list.example
Sender: waves-bounces@list.example

Short.
""",
    "command": b"""From carl@else.example Thu Mar  1 00:00:01 2001
From: carl@else.example
To: me@own.example
Subject: send help
Message-ID: <3@else.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="=one"

--=one
Content-Type: text/plain; charset=us-ascii
Content-Transfer-Encoding: quoted-printable

1 =3D 1
--=one
Content-Type: text/html

<b>1 = 1</b>
--=one--
""",
    "bounce": b"""From MAILER-DAEMON Fri Apr 20 23:59:59 2001
From: Mail Delivery Subsystem <MAILER-DAEMON@else.example>
To: me@own.example
Subject: Returned mail: see transcript for details
Auto-Submitted: auto-replied
Content-Type: text/plain

   ----- The following addresses had permanent fatal errors -----
<nobody@else.example>
""",
    "offer": b"""From x1234@free.example Sat May  5 05:05:05 2001
From: x1234@free.example
To: undisclosed-recipients:;
Subject: MAKE MONEY FAST!!! $$$
X-Mailer: Mass Sender 1.0
Message-ID: <>
Content-Type: text/html

<html><body>Click here to be removed. 100% free. $1,000,000</body></html>
""",
}


def run(setting):
    ours = setting.postoffice.with_name("procmail")
    theirs = shutil.which("procmail")
    scratch = setting.folder("procmail-lib")
    modules = sorted(path.name for path in LIBRARY.glob("*.rc") if path.name not in LEFT_OUT)
    with check("procmail-lib is there"):
        expect(len(modules) > 60, "more than 60 modules", len(modules))
    with ThreadPoolExecutor(16) as pool:
        jobs = [(module, name) for module in modules for name in MAILS]
        results = dict(zip(jobs, pool.map(lambda job: differs(scratch, ours, theirs, *job), jobs)))
    for module in modules:
        with check(f"{module} does the same for {len(MAILS)} mails"):
            wrong = [text for name in MAILS if (text := results[module, name])]
            for text in wrong:
                note(text)
            if wrong:
                raise Failed(f"expected no difference, found {len(wrong)}")


def differs(scratch, ours, theirs, module, name):
    """What differs, or nothing. What the clock can have changed between the two is tried again."""
    for _ in range(2):
        results = [play(scratch, program, module, name) for program in (theirs, ours)]
        if results[0] == results[1]:
            return None
    text = [f"{module}, mail '{name}':"]
    for key in results[0]:
        one, other = results[0][key], results[1][key]
        if one != other:
            text.append(f"{key}: theirs\n{shown(one)}\nours\n{shown(other)}")
    return "\n".join(text)


def shown(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def play(scratch, program, module, name):
    # Paths of one length, since they count in sizes.
    home = Path(tempfile.mkdtemp(dir=scratch))
    for folder in ("spam", "tmp", "Mail"):
        (home / folder).mkdir()
    (home / "sendmail").write_text(SENDMAIL)
    (home / "sendmail").chmod(0o755)
    (home / "empty.rc").touch()
    rc = home / "rc"
    rc.write_text(RC.format(library=LIBRARY, module=module, host=socket.gethostname()))
    rc.chmod(0o600)
    arguments = [f"HOME={home}", "SHELL=/bin/sh", f"DEFAULT={home}/default", f"ORGMAIL={home}/orgmail"]
    ran = run_program(
        [program, *arguments, f"LOGFILE={home}/log", "VERBOSE=yes", rc],
        MAILS[name],
        cwd=home,
        env={"PATH": "/usr/bin:/bin", "TZ": "UTC", "LC_ALL": "C", "LOGNAME": "root", "HOME": str(home)},
    )
    log = home / "log"
    outcome = {
        "exit code": ran.code,
        "standard output and error": normal_log(ran.out + ran.err, home),
        "log": normal_log(log.read_bytes() if log.exists() else b"", home),
        "files": sorted(
            (re.sub(r"\d{9,}.*|msg\..*", "@", str(path.relative_to(home))), path.lstat().st_mode, normal(path.read_bytes(), home))
            for path in home.rglob("*")
            if path.is_file() and path.name not in ("log", "rc", "sendmail")
        ),
    }
    shutil.rmtree(home)
    return outcome


def normal(text, home):
    text = text.replace(str(home).encode(), b"~")
    text = re.sub(rb"\b\w{3}[ ,]+(\d+ )?\w{3} +(\d+ )?\d\d:\d\d:\d\d (\+\d+ )?20[2-9]\d", b"@date@", text)
    text = re.sub(rb"_[A-Za-z0-9_%+-]{1,8}[.,+%][A-Za-z0-9_-]{3,8}\." + HOST, b"@tmp@", text)
    return re.sub(rb"\d{9,}\.\d+_\d+\." + HOST, b"@name@", text)


def normal_log(text, home):
    lines = [line for line in normal(text, home).split(b"\n") if not re.match(rb"procmail: \[\d+\] ", line)]
    # Programs that run side by side tell of their start in any order; the numbers of processes are their own.
    return b"\n".join(sorted(re.sub(rb"\b\d{3,7}\b", b"@n@", line) for line in lines))

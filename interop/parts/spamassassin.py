"""SpamAssassin behind our procmail: a filter recipe, and its verdict filed by another."""

import shutil

from lib.checks import check, equal, expect
from lib.children import run as run_program

RC = """MAILDIR=$HOME/Mail

:0 fw: spamassassin.lock
* < 256000
| {spamassassin}

:0:
* ^X-Spam-Status: Yes
spam

:0:
inbox
"""

# The pattern that every such filter takes for spam.
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
MAIL = """From {sender} Tue Jan  2 03:04:05 2001
Received: from sea.example (sea.example [127.0.0.1]) by own.example; Tue, 2 Jan 2001 03:04:05 +0000
From: Ann <{sender}>
To: me@own.example
Subject: {subject}
Message-ID: <{number}@sea.example>
Date: Tue, 2 Jan 2001 03:04:05 +0000

{text}
"""


def run(setting):
    procmail = setting.postoffice.with_name("procmail")
    home = setting.folder("spamassassin")
    home.chmod(0o700)
    (home / "Mail").mkdir()
    command = f"{shutil.which('spamassassin')} -L"
    rc = home / "rc"
    rc.write_text(RC.format(spamassassin=command))

    def deliver(**parts):
        ran = run_program(
            [procmail, f"HOME={home}", "SHELL=/bin/sh", f"DEFAULT={home}/default", f"LOGFILE={home}/log", rc],
            MAIL.format(**parts).encode(),
            cwd=home,
            env={"PATH": "/usr/bin:/bin", "HOME": str(home)},
        )
        equal(ran.code, 0, "procmail's exit code")
        equal((home / "default").exists(), False, "whether anything fell through")

    def folder(name):
        path = home / "Mail" / name
        return path.read_text() if path.exists() else ""

    with check("an ordinary mail goes through spamassassin and into the inbox"):
        deliver(sender="ann@sea.example", subject="boards", number=1, text="Long or short?\n\nFrom here on.")
        expect("X-Spam-Status: No" in folder("inbox"), "the verdict in the header", folder("inbox"))
        expect("\nLong or short?\n\n>From here on.\n" in folder("inbox"), "the body as it was", folder("inbox"))
        equal(folder("spam"), "", "the spam folder")
    with check("the GTUBE sample is filed as spam"):
        before = folder("inbox")
        deliver(sender="x1@free.example", subject="offer", number=2, text=GTUBE)
        expect("X-Spam-Status: Yes" in folder("spam"), "the verdict in the header", folder("spam"))
        expect(GTUBE in folder("spam") and folder("spam").startswith("From x1@"), "the mail", folder("spam"))
        equal(folder("inbox"), before, "the inbox")
    with check("a filter that fails leaves the mail as it was"):
        rc.write_text(RC.format(spamassassin="cat >/dev/null; exit 75"))
        before = folder("inbox")
        deliver(sender="bob@sea.example", subject="once more", number=3, text="Unseen.")
        added = folder("inbox").removeprefix(before)
        expect("Unseen." in added and "X-Spam" not in added, "the mail as it came", added)
        expect("Program failure (75)" in (home / "log").read_text(), "a line in the log", (home / "log").read_text())
    with check("the locks are gone"):
        equal([path.name for path in home.rglob("*.lock")], [], "lock files")

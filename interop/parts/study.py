"""Rc files laid out, mended and explained: Debian's procmail does the same with them, and says the same of mails.

The samples have what rc files of people have: commands over several lines, comments everywhere, blocks indented anyhow,
locks at the end of the file, scores, captures, folders of each kind.
"""

import os
import re
import shutil

from lib.checks import check, equal, expect
from lib.children import run as run_program
from lib.children import run_ok

UNTIDY = {
    "blocks and comments": rb"""
# where mail is
MAILDIR = $HOME/Mail   # made by the program
:0c :  # a copy of all
all

:0
*^Subject:.*\<heron
   # birds
*  ! ^From:.*stork@
{ # in
   KIND = bird
 :0 fhw   # the lines of the body
  * B ?? ^feather
   |formail -A "X-Kind: $KIND" \
         -A "X-Two:  blanks"
     :0a:
birds }
:0E
 * -1^0
 *  2^1 ^.*boat
*$ ! ^Subject:.*$KIND
boats/
""",
    "captures, programs, what procmail skips": rb"""MAILDIR=$HOME/Mail
SUBJECT=`formail -xSubject: | sed -e 's/^ *//' \
   -e 's/ *$//'`
:0w
LINES=| wc -l | tr -d ' '

:0   :$HOME/x.lock
* SUBJECT ?? ^^the\/.*
* ? test "$LINES" -gt  3
the$MATCH
* ^Lost: this stands nowhere
LOG="a log
of  lines
"
:0
*^Subject:.*(boat|\
       ship)
! ann@example.org
""",
    "a lock at the end": b"MAILDIR=$HOME/Mail\nDEFAULT=$MAILDIR/inbox/\n\n:0 Whc: msgid.lock\n| false\n\n\n",
    "old counts and odd flags": rb"""MAILDIR=$HOME/Mail
:2hfw
^Subject:.*heron
  ^From
|sed -e 's/heron/Heron/'
:0 B h
* heron
box
""",
}
# What is wrong with the file makes no difference to these mails.
BROKEN = rb"""MAILDIR=$HOME/Mail
:0
* ^From:.*ann@sea.example
ann

:0:
* ^TOwaves@list.example
waves/

:0 f
* ^Subject:.*boat.*
| formail -A "X-Boat: yes"

:0fh
* < 1000k
| cat

:0w:
* ^X-Boat: yes
box
"""
FROM_LINE = b"From ann@sea.example Tue Jan  2 03:04:05 2001\n"
MAILS = [
    b"From: ann@sea.example\nTo: me@own.example\nSubject: the heron\n\nfeather\nfeather\nfour\nlines\n",
    b"From: stork@sea.example\nTo: waves@list.example\nSubject: a heron on a boat\n\nwet\n",
    b"From: bob@sea.example\nTo: me@own.example\nSubject: a boat\n and a ship\n\nheron\n",
    b"From: bob@sea.example\nSubject:\n\n",
]


def run(setting):
    study = Study(setting)
    for name, source in UNTIDY.items():
        with check(f"study: {name}: laid out, it logs and files the same, and keeps its comments"):
            tidy = study.tool(["--format", "-"], source)
            expect(tidy != source, "another layout", tidy)
            equal(study.tool(["--format", "-"], tidy), tidy, "what is laid out twice")
            equal(comments(tidy), comments(source), "the comments")
            for mail in MAILS:
                equal(study.deliver(tidy, mail), study.deliver(source, mail), "what procmail does")
        with check(f"study: {name}: explained as procmail logs it"):
            for mail in MAILS:
                equal(study.explained(source, mail), study.logged(source, mail), "the verdicts")
    with check("study: a file whose defects are mended files the same where they do not matter"):
        mended = study.tool(["--check", "--fix", "-"], BROKEN)
        locked = [b":0:\n* ^From:.*ann@sea\\.example", b":0\n* ^TO_waves", b":0:\n* ^X-Boat"]
        for part in [*locked, b"< 1024000", b":0 fw"]:
            expect(part in mended, f"{part!r} in it", mended)
        equal(study.tool(["--check", "--fix", "-"], mended), mended, "what is mended twice")
        for mail in MAILS:
            equal(study.deliver(mended, mail)["files"], study.deliver(BROKEN, mail)["files"], "the files")


class Study:
    """Debian's procmail and ours, with a HOME in one place, for logs name it."""

    def __init__(self, setting):
        self.folder = setting.folder("study")
        self.home = self.folder / "home"
        self.ours = setting.procmail

    def tool(self, options, source):
        """What ours makes of an rc file, whatever else it says of it."""
        return run_program([self.ours, *options], given=source).out

    def deliver(self, source, mail):
        """The files and the verbose log of Debian's procmail."""
        ran = run_ok(["procmail", *self.settings(source), self.home / "rc"], given=FROM_LINE + mail)
        files = {
            re.sub(r"/(new|msg)[./].*", "/…", str(path.relative_to(self.home))): path.read_bytes()
            for path in sorted(self.home.glob("Mail/**/*"))
            if path.is_file()
        }
        log = re.sub(rb"(?m)^procmail: \[\d+\].*\n", b"", ran.err)
        log = re.sub(rb"/new/\S+|\b\d{10}\.\S+", b"/new", log)
        # Programs run beside it.
        log = b"".join(line for line in log.splitlines(True) if b"Executing" not in line)
        return {"files": files, "log": log}

    def settings(self, source):
        shutil.rmtree(self.home, ignore_errors=True)
        # Where there is no Maildir yet, its lock cannot be had for long.
        (self.home / "Mail/waves/new").mkdir(parents=True)
        # It waits a second for a mailbox that was read in this very second, so that mail is newer than reading.
        for name in ["all", "ann", "birds", "boats", "box", "default"]:
            (self.home / "Mail" / name).touch()
            os.utime(self.home / "Mail" / name, (1, 1))
        mailer = self.home / "mailer"
        mailer.write_text(f'#!/bin/sh\necho "$@" >>{self.home}/Mail/sent\ncat >>{self.home}/Mail/sent\n')
        mailer.chmod(0o755)
        (self.home / "rc").write_bytes(source)
        settings = [f"HOME={self.home}", f"MAILDIR={self.home}", f"DEFAULT={self.home}/Mail/default"]
        return [*settings, f"SENDMAIL={mailer}", "SHELL=/bin/sh", "VERBOSE=on", "LOGABSTRACT=no"]

    def logged(self, source, mail):
        """What Debian's log says of each condition: met, not met, or its score so far."""
        log = self.deliver(source, mail)["log"]
        found = re.finditer(rb"(?m)^procmail: (?:(Match|No match) on|Score: +\S+ +(\S+)) ", log)
        return [int(one[2]) if one[2] else one[1] == b"Match" for one in found]

    def explained(self, source, mail):
        """What ours explains of them."""
        argv = [self.ours, "--explain", "--ascii", "--run-programs", *self.settings(source), self.home / "rc"]
        text = run_ok(argv, given=FROM_LINE + mail).out
        found = re.finditer(rb"(?m)^ *\d+ +(?:(yes|no) +\* |\+ +\* .* to (-?\d+)(?:\.\d+)?(?:;|$))", text)
        return [int(one[2]) if one[2] else one[1] == b"yes" for one in found]


def comments(source):
    return [line.strip() for line in re.findall(rb"(?m)(?:^|\s)(#.*)$", source)]

"""Rc files as Sieve scripts: Dovecot's compiler takes them, and they file mail where procmail does.

The folders of a script are those that sieve-test names; the folders of an rc file are those that procmail fills.
"""

import os
import random
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lib.checks import Failed, check, equal, expect
from lib.children import run as run_program
from lib.children import run_ok

REPO = Path(__file__).resolve().parent.parent.parent
CONFIG = """
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
first_valid_gid = 1
mail_home = {folder}/home
mail_location = maildir:{folder}/home/Maildir
ssl = no
plugin {{
  sieve = file:{folder}/home/sieve;active={folder}/home/.dovecot.sieve
  sieve_plugins = sieve_extprograms
  sieve_extensions = +vnd.dovecot.pipe +vnd.dovecot.filter +vnd.dovecot.execute
}}
"""
# How many rc files are made up.
MADE_UP = int(os.environ.get("INTEROP_SIEVE_CASES", "200"))


def run(setting):
    sieve = Sieve(setting)
    recorded(sieve)
    by_hand(sieve)
    made_up(sieve)


class Sieve:
    """The converter, the compiler and the two filters, in a folder of their own."""

    def __init__(self, setting):
        self.folder = setting.folder("sieve")
        self.folder.chmod(0o777)
        (self.folder / "home/sieve").mkdir(parents=True)
        self.config = self.folder / "dovecot.conf"
        self.config.write_text(CONFIG.format(folder=self.folder))
        self.converter = [setting.procmail, "--to-sieve"]
        self.number = 0

    def case(self):
        """A fresh folder that sieve-test, which is nobody, may write to."""
        self.number += 1
        folder = self.folder / f"case-{self.number}"
        folder.mkdir()
        folder.chmod(0o777)
        return folder

    def convert(self, folder, rc):
        """The script for an rc file, and what is told of it; the compiler must take the script."""
        (folder / "rc").write_bytes(rc)
        ran = run_program([*self.converter, folder / "rc"])
        script = folder / "script.sieve"
        script.write_bytes(ran.out)
        compiled = run_program(["sievec", "-c", self.config, script, folder / "script.svbin"])
        if compiled.code != 0:
            raise Failed(f"expected a script that compiles for\n{rc!r}\nfound\n{ran.out!r}\n{compiled.text}")
        (folder / "script.svbin").unlink()
        return ran.out.decode(), ran.err.decode("utf-8", "replace")

    def by_script(self, folder, mail):
        """Where the script of the folder files a mail."""
        (folder / "mail").write_bytes(mail)
        sender = "nobody@example.org"
        if mail.startswith(b"From "):
            sender = mail.split(b" ", 2)[1].decode()
        argv = ["sieve-test", "-c", self.config, "-f", sender, folder / "script.sieve", folder / "mail"]
        ran = run_ok(argv)
        stored = re.findall(r"store message in folder: (\S+)", ran.text)
        sent = re.findall(r"redirect message to: <?([^\s>]+)", ran.text)
        return set(stored) | {f"> {address}" for address in sent}

    def by_procmail(self, folder, rc, mail):
        """Where procmail files it."""
        home = folder / "home"
        (home / "Mail/lists").mkdir(parents=True)
        mailer = home / "mailer"
        mailer.write_text(f'#!/bin/sh\nshift\nfor a; do echo "$a" | tr -d , >>{home}/sent; done\ncat >/dev/null\n')
        mailer.chmod(0o755)
        (home / "rc").write_bytes(rc)
        # It waits a second for a mailbox that was read in this very second, so that mail is newer than reading.
        for name in ["INBOX", *re.findall(r'fileinto .*"([\w/]+)"', (folder / "script.sieve").read_text())]:
            (home / "Mail" / name).touch()
            os.utime(home / "Mail" / name, (1, 1))
        settings = [f"HOME={home}", f"MAILDIR={home}/Mail", f"DEFAULT={home}/Mail/INBOX"]
        settings += [f"SENDMAIL={mailer}", "SHELL=/bin/sh"]
        run_ok(["procmail", *settings, home / "rc"], given=mail)
        stored = {str(path.relative_to(home / "Mail")) for path in home.glob("Mail/**/*") if path.is_file() and path.stat().st_size}
        sent = home / "sent"
        addresses = sent.read_text().split() if sent.exists() else []
        shutil.rmtree(home)
        return stored | {f"> {address}" for address in addresses}

    def agree(self, folder, rc, script, mails):
        """Fails unless both file all mails alike."""
        for mail in mails:
            theirs, ours = self.by_procmail(folder, rc, mail), self.by_script(folder, mail)
            if theirs != ours:
                raise Failed(
                    f"expected the folders of procmail, {sorted(theirs)}, found {sorted(ours)} for\n"
                    f"{rc.decode()}\n{script}\n{mail.decode()}"
                )


def recorded(sieve):
    with check("sieve: scripts for the recorded rc files, programs and all, compile"):
        files = sorted((REPO / "procmail-engine/tests/recorded/cases").glob("*.cases"))
        sources = []
        for file in files:
            text = file.read_bytes()
            for found in re.finditer(rb"^-- rc (\d+)\n", text, re.M):
                sources.append(text[found.end() : found.end() + int(found.group(1))])
        expect(len(sources) > 250, "the recorded rc files", len(sources))
        folder = sieve.case()
        for source in sources:
            sieve.convert(folder, source)


def by_hand(sieve):
    cases = {
        "a list, a copy to a colleague, what is large": (
            "MAILDIR=$HOME/Mail\n"
            ":0\n* ^List-Id:.*<rust\\.example\\.org>\n{\n"
            ":0 c\n* ^Subject:.*crab\n! ann@example.org\n\n:0:\nlists/rust\n}\n"
            ":0 E\n* > 400\n* ! ^From:.*@example\\.org\nbig\n",
            [
                "List-Id: <rust.example.org>\nSubject: a crab\n",
                "List-Id: <rust.example.org>\nSubject: none\n",
                "From: a@example.com\nX: " + "x" * 500 + "\n",
                "From: a@example.org\nX: " + "x" * 500 + "\n",
            ],
        ),
        "a variable that depends on the mail": (
            "KIND=other\n:0\n* ^Precedence:.*(bulk|list)\n{ KIND=bulk }\n"
            ":0 E\n* ^From:.*boss\n{ KIND=work }\n:0\n* KIND ?? ^^work^^\nboss\n:0\nlists/$KIND\n",
            ["Precedence: bulk\n", "From: boss@example.org\n", "From: ann@example.org\n"],
        ),
        "abbreviations": (
            ":0\n* ^FROM_DAEMON\ndaemons\n:0\n* ^TO_joe@example\\.org\njoe\n",
            [
                "From: MAILER-DAEMON@example.org\n",
                "From: root@example.org\n",
                "Precedence: junk\n",
                "To: you, Joe <joe@example.org>\n",
                "To: bejoe@example.org\n",
                "Cc: joe@example.org\n",
            ],
        ),
        "bytes that are special in strings": (
            ':0\n* ^Subject:.*"a\\\\b" \\${x} [*?]\nbox\n',
            ['Subject: "a\\b" ${x} *\n', 'Subject: "a\\b" ${x} ?\n', 'Subject: "ab" x *\n'],
        ),
    }
    for name, (rc, headers) in cases.items():
        with check(f"sieve: {name}: filed as procmail does"):
            folder = sieve.case()
            script, told = sieve.convert(folder, rc.encode())
            expect("NOT CONVERTED" not in script, "all of it converted", told)
            mails = [f"From ann@example.org Tue Jan  2 03:04:05 2001\n{header}\nbody\n".encode() for header in headers]
            sieve.agree(folder, rc.encode(), script, mails)
    with check("sieve: what is not converted stands in the script, and the rest files as before"):
        folder = sieve.case()
        rc = b":0:\n* 1^1 ^Subject:.*money\nspam\n\n:0:\n* ^Subject:.*cats\ncats\n"
        script, told = sieve.convert(folder, rc)
        expect("# NOT CONVERTED, line 1" in script and "2:1: not converted, may deliver" in told, "the place", told)
        equal(sieve.by_script(folder, b"Subject: cats\n\nx\n"), {"cats"}, "the folder")


def made_up(sieve):
    with check(f"sieve: {MADE_UP} made-up rc files, three mails each: scripts compile, and file as procmail does"):
        folders = [sieve.case() for _ in range(MADE_UP)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            compared = sum(pool.map(lambda number: one_made_up(sieve, folders[number], number), range(MADE_UP)))
        expect(compared > MADE_UP / 2, "most of them converted", compared)


def one_made_up(sieve, folder, seed):
    """Whether the rc file of this number is converted all the way, and so compared."""
    chance = random.Random(seed)
    rc = "F=box7\n" + "".join(item(chance, 0) for _ in range(chance.choice([1, 2, 3, 4, 6])))
    script, told = sieve.convert(folder, rc.encode())
    if "NOT CONVERTED" in script or "goes on behind" in told:
        return False
    sieve.agree(folder, rc.encode(), script, [mail(chance).encode() for _ in range(3)])
    return True


CONDITIONS = r"""
^Subject:.*foo
^Subject:.*(foo|bar)
^Subject: foo
^Subject: foo$
^Subject:[ ]*$
^Subject:.*[^a-z]bar
^Subject:.*\<bar\>
^Subject:.*f.o
^Subject:.*f?oo
^Subject:.*fo+b*a
^Subject:.*\*\?
^Subject:.*a\.b
^Subject:.*["\\]
^Subject:.*[]x[]
^Subject:.?.?foo
^Subject:.*foo.*bar
^Subject:(.*[^a-z])?bar
^Subject:[^a-z]*foo
^Subject: (re|fwd?|aw):
^Subject:.*(foo|)$
^Subject:.*(foo|bar|$)
^Subject:.*\$\{HOME
^Subject:.*()\/foo
^(Subject|Comments):.*bar
^(Resent-)?To:.*joe
^TO_joe
^TO_joe@example\.org
^TOjoe
^From:.*ann@example\.org
^From.*ann
^From:?.*bob
^From ann
^X-[sS]pam-Flag: *yes
^X-Spam-Flag:
^X-(A|B|C):.*1
^X-Loop: joe@example\.org$
^Precedence:.*(bulk|list|junk)
^Received:.*\[10\.1\.[0-9]+\.[0-9]+\]
^FROM_DAEMON
^FROM_MAILER
^Return-Path:.*<>
B ?? ^line two
B ?? two$
B ?? ^$
B ?? line.*three
B ?? one$line
B ?? (click|unsub)
B ?? .\<two\>
B ?? "q\\ b
B ?? cli+ck
HB ?? ^Subject:.*foo
> 300
< 200
V ?? x
V ?? ^^y^^
V ?? ^^^^
W ?? a
""".strip().split("\n")
SUBJECTS = ["foo", "bar", "foo bar", "afoo", "foobar", "[x] foo", "Re: foo", "fwd: bar", "", "a.b", "axb", "*?"]
SUBJECTS += ['he said "hi" \\', "${HOME}", "foo  bar", "FOO", "x-bar-y", "fooo baa", "f\n oo bar", "foo\n bar"]
FOLDERS = ["box1", "box2", "lists/x", "/dev/null", "! ann@example.org", "! bob@example.com, zoe@example.net", "$F"]
ASSIGNMENTS = ["V=x", "V=y", "V=", "V", "W=abc", "F=box9", "F=box8", "# comment $x ${y}", 'W="a ${V}"', "W=$V"]


def item(chance, depth):
    """An assignment or a recipe, with blocks in it."""
    indent = "  " * depth
    if chance.random() < 0.12:
        return f"{indent}{chance.choice(ASSIGNMENTS)}\n"
    flags = "".join(sorted(set(chance.choice(["", "", "c", "c", "E", "E", "A", "a", "AE", "D", "B"]))))
    text = f"{indent}:0 {flags}\n"
    for _ in range(chance.choice([0, 1, 1, 1, 2])):
        text += f"{indent}* {chance.choice(['', '', '! '])}{chance.choice(CONDITIONS)}\n"
    if depth < 3 and chance.random() < 0.25:
        inside = "".join(item(chance, depth + 1) for _ in range(chance.choice([0, 1, 2, 3])))
        return f"{text}{indent}{{\n{inside}{indent}}}\n"
    return f"{text}{indent}{chance.choice(FOLDERS)}\n"


def mail(chance):
    """A mail, some of whose fields the conditions ask for."""
    fields = []
    for often, choices in [
        (0.9, ["From: Ann <ann@example.org>", "From: bob@example.org", "From: root@x.example.org", "From: po@x.org"]),
        (0.9, ["To: joe@example.org", "To: you, joe@example.org", "To: you,\n\tjoe@example.org", "To: bejoe@a.org"]),
        (0.9, [f"Subject: {subject}" for subject in SUBJECTS]),
        (0.2, [f"Subject: {subject}" for subject in SUBJECTS]),
        (0.3, ["X-Spam-Flag: YES", "X-Spam-Flag: no", "X-Spam-Flag:   yes", "X-Spam-Flag: yesno"]),
        (0.3, ["X-A: 1", "X-A: 2"]),
        (0.3, ["Precedence: bulk", "Precedence: list", "Precedence: first-class"]),
        (0.3, ["Received: from x [10.1.2.3] by y", "Received: from x [10.1.2.x] by y"]),
        (0.3, ["X-Loop: joe@example.org", "X-Loop: joe@example.orgx"]),
        (0.2, ["Resent-To: joe@example.com", "Mailing-List: x", "Comments: bar", "Return-Path: <>"]),
    ]:
        if chance.random() < often:
            fields.append(chance.choice(choices))
    chance.shuffle(fields)
    sender = chance.choice(["ann@example.org", "bob@example.org", "root@x.example.org"])
    bodies = ["", "line one\nline two\nline three\n", "click here\n", "two\n", 'a "q\\ b\nclliick\n', "\n\nunsub\n"]
    body = chance.choice([*bodies, "x" * 200 + "\n", "cats\n\ndogs\n"])
    header = "\n".join(fields or ["X: y"])
    return f"From {sender} Tue Jan  2 03:04:05 2001\n{header}\n\n{body}"

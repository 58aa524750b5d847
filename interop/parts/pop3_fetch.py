"""pop3-fetch against a private Dovecot and against `postoffice`: what it lists, fetches and deletes."""

import itertools
import mailbox
import shutil

from lib.checks import check, equal, expect
from lib.children import run as run_program
from lib.dovecot import Dovecot
from lib.office import USERS, Office
from lib.samples import SAMPLES

# Its exit codes.
NOHOST, TEMPFAIL, PROTOCOL, NOPERM, CONFIG = 68, 75, 76, 77, 78
LOGINS = ["SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"]


def run(setting):
    dovecot = Dovecot(setting)
    try:
        against(setting, "Dovecot", dovecot.pop3_port, dovecot.pop3s_port, dovecot.folder / "mail" / "alice")
    finally:
        dovecot.stop()
    office = Office(setting, "pop3-fetch", "[timeouts]\nauth_failure_delay = 0\n")
    try:
        against(setting, "postoffice", office.pop3, office.pop3s, office.maildir("alice"))
    finally:
        equal(office.stop(), 0, "the exit code of postoffice")


def against(setting, name, port, tls_port, inbox):
    folder = setting.folder(f"pop3-fetch-{name}")
    password = folder / "password"
    password.write_text(USERS["alice"] + "\n")
    ca = ["--ca-file", setting.certificates.ca]
    user = ["--user", "alice", "--password-file", password]

    def fetch(*arguments, port=port, code=0):
        ran = run_program([setting.pop3_fetch, f"localhost:{port}", *user, *arguments])
        equal(ran.code, code, "the exit code of pop3-fetch")
        return ran

    serials = itertools.count(1)

    def fill(contents):
        for part in ("tmp", "new", "cur"):
            (inbox / part).mkdir(parents=True, exist_ok=True)
            for old in (inbox / part).iterdir():
                old.unlink()
        # Dovecot wonders at names that come again.
        for serial, content in zip(serials, contents):
            text = content.replace(b"\r\n", b"\n")
            path = inbox / "new" / f"{1_700_000_000 + serial}.M{serial}P1.host,S={len(text)},W={len(content)}"
            path.write_bytes(text)
        for path in [inbox, *inbox.rglob("*")]:
            if name == "Dovecot":
                shutil.chown(path, "nobody", "nogroup")

    def left():
        return [path for part in ("new", "cur") for path in (inbox / part).iterdir()]

    contents = list(SAMPLES.values())
    for how, arguments, at in [
        ("STLS", ca, port),
        ("TLS from the first byte", [*ca, "--tls", "implicit"], tls_port),
        ("STLS without pipelining", [*ca, "--no-pipelining"], port),
    ]:
        with check(f"pop3-fetch from {name}, {how}: fetches all to a Maildir, and deletes"):
            fill(contents)
            maildir = folder / "Maildir"
            shutil.rmtree(maildir, ignore_errors=True)
            ran = fetch(*arguments, "--to", f"maildir:{maildir}", "--delete", port=at)
            expect(b"fetched %d messages" % len(contents) in ran.out, "a summary", ran.out)
            got = sorted(path.read_bytes() for path in (maildir / "new").iterdir())
            equal(got, sorted(content.replace(b"\r\n", b"\n") for content in contents), "the messages")
            equal(left(), [], "messages that are left")
    for mechanism in LOGINS:
        with check(f"pop3-fetch from {name}: logs in by {mechanism}"):
            fill(contents[:1])
            lines = fetch(*ca, "--auth", mechanism).out.splitlines()
            equal(len(lines), 1, "lines")
            expect(lines[0].startswith(b"1 %d " % len(contents[0])), "number and octets", lines)
    with check(f"pop3-fetch from {name}: an mbox, and only what was not seen"):
        fill(contents[:3])
        mbox, seen = folder / "mbox", folder / "seen"
        for path in (mbox, seen):
            path.unlink(missing_ok=True)
        arguments = [*ca, "--to", f"mbox:{mbox}", "--seen", seen]
        fetch(*arguments)
        equal(fetch(*arguments).out, b"fetched 0 messages, 0 octets\n", "the second time")
        equal(len(mailbox.mbox(mbox)), 3, "messages in the mbox")
        equal(len(left()), 3, "messages that are left")
    with check(f"pop3-fetch from {name}: more messages than commands may wait, to an mbox, and deleted"):
        fill([contents[0]] * 1300)
        mbox = folder / "many"
        expect(b"fetched 1300 messages" in fetch(*ca, "--to", f"mbox:{mbox}", "--delete").out, "a summary", "")
        equal((len(mailbox.mbox(mbox)), left()), (1300, []), "messages here, and those that are left")
    with check(f"pop3-fetch from {name}: failures have their codes, and say what is wrong"):
        fill(contents[:1])
        password.write_text("wrong\n")
        expect("login" in fetch(*ca, code=NOPERM).text, "the login", "")
        password.write_text(USERS["alice"] + "\n")
        fetch(code=PROTOCOL)
        fetch(*ca, "--auth", "PLAIN", "--tls", "never", code=CONFIG)
        fetch(*ca, "--to", f"maildir:{password}/x", code=73)
        equal(len(left()), 1, "messages that are left")
    with check(f"pop3-fetch from {name}: -v shows the conversation without the password"):
        ran = fetch(*ca, "--auth", "PLAIN", "-v")
        expect("C: AUTH PLAIN [secret]" in ran.text, "the login", ran.text[:600])
        expect(USERS["alice"] not in ran.text, "no password", "")

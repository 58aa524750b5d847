"""One mbox under many hands: our procmail and Debian's deliver to it while mutt rewrites it and Dovecot takes mail out.

Each mail must end in exactly one place and be whole; and who holds a lock keeps the others out, both ways.
"""

import fcntl
import itertools
import os
import pty
import re
import select
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager

from lib import children
from lib.checks import Failed, check, equal, expect, note

OURS, THEIRS, BY_DOVECOT = 50, 8, 30
FIRST_BY_DOVECOT = 2000

RC = """MAILDIR=$HOME
LOCKSLEEP=1
:0:
box
"""

MUTTRC = """set folder={home}/mail mbox_type=mbox
set confirmappend=no confirmcreate=no delete=yes move=no quit=yes sleep_time=0 wait_key=no check_new=no
"""

DOVECOT = """base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/dovecot.log
protocols =
ssl = no
mail_location = mbox:{home}/mail:INBOX={home}/box:INDEX=MEMORY
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
first_valid_gid = 1
default_internal_user = dovecot
mbox_write_locks = dotlock fcntl
mbox_read_locks = dotlock fcntl
"""


def mail(number):
    """A mail whose lines all tell which it is; some are large."""
    lines = number * 7919 % 900 if number % 3 == 0 else 5
    # Dovecot stores such lines as they are, behind a length.
    start = "From" if number < FIRST_BY_DOVECOT else "For"
    body = f"{number} of {lines} lines\n{start} {number} at the start of a line\n\n" * lines
    head = f"From sender{number}@sea.example Tue Jan  2 03:04:05 2001\nFrom: sender{number}@sea.example\n"
    return (head + f"Subject: mail {number}\nMessage-ID: <{number}@sea.example>\n\n{body}end {number}\n").encode()


def numbers(path):
    """The mails in an mbox, which must be whole."""
    text = path.read_bytes() if path.exists() else b""
    found = []
    for part in re.split(rb"(?m)^(?=From \S*@?\S+ +\w{3} \w{3} [ \d]\d )", text):
        if not part or b"FOLDER INTERNAL DATA" in part:
            continue
        known = re.search(rb"(?m)^Subject: mail (\d+)$", part)
        expect(known, "a mail of ours", part[:200])
        number = int(known.group(1))
        _, _, body = part.partition(b"\n\n")
        whole = mail(number).partition(b"\n\n")[2].replace(b"\nFrom ", b"\n>From ")
        equal(body.rstrip(b"\n") == whole.rstrip(b"\n"), True, f"mail {number} in {path.name} to be whole")
        found.append(number)
    return found


class Hands:
    """The programs, all run by `nobody` in one folder."""

    def __init__(self, setting):
        self.home = setting.folder("folders")
        (self.home / "mail").mkdir()
        self.box = self.home / "box"
        self.ours = setting.postoffice.with_name("procmail")
        self.theirs = shutil.which("procmail")
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "USER": "nobody", "TERM": "xterm"}
        (self.home / "rc").write_text(RC)
        (self.home / "rc").chmod(0o600)
        (self.home / "muttrc").write_text(MUTTRC.format(home=self.home))
        (self.home / "dovecot.conf").write_text(DOVECOT.format(home=self.home))
        for path in [self.home, *self.home.rglob("*")]:
            shutil.chown(path, "nobody", "nogroup")
        self.run(["doveadm", "-c", self.home / "dovecot.conf", "mailbox", "create", "dovecot"])

    def options(self):
        return {"cwd": self.home, "env": self.environment, "user": "nobody", "group": "nogroup", "extra_groups": []}

    def deliver(self, program, number):
        arguments = [f"HOME={self.home}", "SHELL=/bin/sh", f"DEFAULT={self.home}/lost", f"LOGFILE={self.home}/log"]
        self.run([program, *arguments, "-f", "-", self.home / "rc"], mail(number))

    def run(self, argv, given=b""):
        done = subprocess.run([str(part) for part in argv], input=given, capture_output=True, timeout=120, **self.options())
        if done.returncode != 0:
            raise Failed(f"expected {argv[0]} to succeed, found {done.returncode}: {done.stdout + done.stderr}")

    def dovecot_saves(self, number):
        save = ["doveadm", "-c", self.home / "dovecot.conf", "save", "-m", "INBOX"]
        self.run(save, mail(number))

    def dovecot_moves(self):
        self.run(["doveadm", "-c", self.home / "dovecot.conf", "move", "dovecot", "mailbox", "INBOX", "all"])

    def mutt_flags(self):
        """Has mutt flag all mails, for which it writes them anew where they are."""
        return self.mutt("<set-flag>!")

    def mutt_moves(self):
        """Has mutt move all there is."""
        return self.mutt("<save-message>=mutt<enter>")

    def mutt(self, act):
        """Has mutt do this to all mails, on a terminal of its own. It gives up where others hold the locks too long."""
        keys = f"<tag-pattern>~A<enter><tag-prefix-cond>{act}<end-cond><quit>"
        ours, theirs = pty.openpty()
        child = subprocess.Popen(
            ["mutt", "-n", "-F", "muttrc", "-f", "box", "-e", f'push "{keys}"'],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            **self.options(),
        )
        os.close(theirs)
        said, until = b"", time.monotonic() + 20
        try:
            while time.monotonic() < until:
                if select.select([ours], [], [], 0.2)[0]:
                    chunk = os.read(ours, 65536)
                    if not chunk:
                        break
                    said += chunk
                    if b"Lock count exceeded" in said:
                        # It asks whether to take the lock away; it is not.
                        break
                elif child.poll() is not None:
                    break
        except OSError:
            # The terminal goes with its last process.
            pass
        finally:
            os.close(ours)
            if child.poll() is None:
                child.terminate()
            child.wait(10)
        return said


def run(setting):
    hands = Hands(setting)
    locks(hands)
    crowd(hands)


@contextmanager
def background(work):
    """Runs this meanwhile; what it raises is raised here in the end."""
    failures = []

    def guarded():
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(180)
    if failures:
        raise failures[0]


def locks(hands):
    lock = hands.home / "box.lock"
    with check("our procmail waits for a lock file, and then delivers"):
        lock.touch()
        with background(lambda: hands.deliver(hands.ours, 1)) as delivery:
            time.sleep(1.5)
            equal((hands.box.exists(), delivery.is_alive()), (False, True), "the mbox, and the delivery")
            lock.unlink()
        equal(numbers(hands.box), [1], "the mbox")
    with check("our procmail waits for the lock of the kernel"):
        with open(hands.box, "r+b") as held:
            fcntl.lockf(held, fcntl.LOCK_EX)
            with background(lambda: hands.deliver(hands.ours, 2)) as delivery:
                time.sleep(1.5)
                equal((numbers(hands.box), delivery.is_alive()), ([1], True), "the mbox, and the delivery")
                fcntl.lockf(held, fcntl.LOCK_UN)
        equal(numbers(hands.box), [1, 2], "the mbox")
    with check("Dovecot leaves the mbox alone while its lock file is there, and takes the mails then"):
        shutil.copyfile(hands.box, hands.home / "kept")
        lock.touch()
        with background(hands.dovecot_moves) as moving:
            time.sleep(1.5)
            equal(hands.box.read_bytes(), (hands.home / "kept").read_bytes(), "the mbox")
            expect(moving.is_alive(), "Dovecot to wait", "it done")
            lock.unlink()
        equal((numbers(hands.box), numbers(hands.home / "mail/dovecot")), ([], [1, 2]), "what lies where")


def crowd(hands):
    first = 100
    by_ours = range(first, first + OURS)
    by_theirs = range(first + 1000, first + 1000 + THEIRS)
    by_dovecot = range(FIRST_BY_DOVECOT, FIRST_BY_DOVECOT + BY_DOVECOT)
    done = threading.Event()

    def each(act, some):
        def work():
            for number in some:
                act(number)

        return work

    def meddle():
        turns = itertools.cycle([hands.mutt_flags, hands.mutt_flags, hands.dovecot_moves])
        while not done.is_set():
            if hands.box.stat().st_size > 5000:
                next(turns)()

    with check(f"{OURS} mails by ours, {THEIRS} by Debian's and {BY_DOVECOT} by Dovecot, while mutt flags them and Dovecot takes them out"):
        workers = [
            each(lambda number: hands.deliver(hands.ours, number), by_ours[::2]),
            each(lambda number: hands.deliver(hands.ours, number), by_ours[1::2]),
            each(lambda number: hands.deliver(hands.theirs, number), by_theirs),
            each(hands.dovecot_saves, by_dovecot),
        ]
        with background(meddle):
            try:
                run_all(workers)
            finally:
                done.set()
        hands.mutt_moves()
        places = {name: numbers(hands.home / name) for name in ("box", "mail/mutt", "mail/dovecot", "lost")}
        note({name: len(found) for name, found in places.items()})
        equal(places["lost"], [], "what fell through")
        found = sorted(number for some in places.values() for number in some if number >= first)
        equal(found, sorted([*by_ours, *by_theirs, *by_dovecot]), "the mails")
        equal(places["box"], [], "what mutt left in the end")
    with check("no lock is left"):
        equal([path.name for path in hands.home.rglob("*.lock")], [], "lock files")


def run_all(workers):
    """Runs these side by side."""
    if workers:
        with background(workers[0]):
            run_all(workers[1:])

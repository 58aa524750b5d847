"""Mailboxes with several programs at work: deliveries by SMTP and by Debian's procmail, a mail reader that sets flags, and
POP3 sessions that take all mail away; and `postoffice` killed while it removes mail.

Each message must be collected once, and whole.
"""

import itertools
import os
import poplib
import random
import re
import shutil
import signal
import smtplib
import subprocess
import threading
import time

from lib.checks import check, equal, expect, note
from lib.office import DOMAIN, USERS, Office

# Deliveries of each program, and sessions at the least, for each store.
MAILS = {"maildir": 1000, "mbox": 100, "mh": 200}
SESSIONS = {"maildir": 1000, "mbox": 100, "mh": 100}
KILLS = {"maildir": 40, "mbox": 40, "mh": 40}
KILLED_OVER = 200

# Where the inbox of alice lies below her folder, and what procmail calls it.
INBOX = {"maildir": ("Maildir", "Maildir/"), "mbox": ("mbox", "mbox"), "mh": ("Mail/inbox", "Mail/inbox/.")}
RC = {"maildir": ":0\n", "mbox": "LOCKSLEEP=1\n:0:\n", "mh": "LOCKSLEEP=1\n:0:\n"}


def run(setting):
    for store in INBOX:
        work(setting, store)


def work(setting, store):
    office = Office(
        setting,
        f"concurrent-{store}",
        f'store = "{store}"\n[auth]\nplaintext_without_tls = true\n[timeouts]\nauth_failure_delay = 0\n',
    )
    try:
        box = Box(office, store)
        with check(f"{store}: mail that arrives while sessions take mail away is collected once, and whole"):
            everyone_at_once(office, box)
        with check(f"{store}: killed while messages are removed, all of them are gone or none, and the others whole"):
            killed_in_update(office, box)
    finally:
        office.stop()


def message(number):
    """A message whose lines all tell which it is; some are large."""
    lines = 600 if number % 50 == 0 else 5
    head = f"From: sea@example.org\nSubject: mail {number}\nMessage-ID: <{number}@sea.example>\n"
    return (head + "\n" + f"{number} of {lines} lines\n" * lines + f"end {number}\n").encode()


def sent(client, number):
    """Sends it to alice."""
    client.sendmail("sea@example.org", [f"alice@{DOMAIN}"], message(number).replace(b"\n", b"\r\n"))


def number_of(lines):
    """Which message this is. It must be whole."""
    known = re.search(rb"(?m)^Subject: mail (\d+)$", b"\n".join(lines))
    expect(known, "a message of ours", lines[:10])
    number = int(known.group(1))
    body = message(number).partition(b"\n\n")[2]
    found = b"\n".join(lines).partition(b"\n\n")[2] + b"\n"
    # An mbox may end a message with a line more.
    equal(found.rstrip(b"\n"), body.rstrip(b"\n"), f"message {number}")
    return number


class Box:
    """The inbox of alice, which `nobody` delivers to as well."""

    def __init__(self, office, store):
        self.office, self.store = office, store
        self.folder = office.data / "mail" / "alice"
        place, name = INBOX[store]
        self.inbox = self.folder / place
        self.session().quit()
        self.rc = self.folder / "rc-of-nobody"
        self.rc.write_text(f"MAILDIR={self.folder}\n{RC[store]}{name}\n")
        if store == "mbox":
            self.inbox.touch()
        for path in [self.folder, *self.folder.rglob("*")]:
            shutil.chown(path, "nobody", "nogroup")
        for path in self.folder.parents:
            if path != self.folder and path.is_relative_to(office.data):
                path.chmod(0o755)
        self.rc.chmod(0o600)

    def session(self):
        client = poplib.POP3("localhost", self.office.pop3, timeout=60)
        client.user("alice")
        client.pass_(USERS["alice"])
        return client

    def procmail(self, number):
        done = subprocess.run(
            [shutil.which("procmail"), "-f", "-", f"HOME={self.folder}", f"DEFAULT={self.folder}/lost", "SHELL=/bin/sh", self.rc],
            input=message(number),
            capture_output=True,
            timeout=60,
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin"},
            user="nobody",
            group="nogroup",
            extra_groups=[],
        )
        equal((done.returncode, done.stdout + done.stderr), (0, b""), "how procmail ended")

    def lost(self):
        return (self.folder / "lost").exists()


class Hand(threading.Thread):
    """One of those at work. What goes wrong is raised by `join`."""

    def __init__(self, work):
        super().__init__(daemon=True)
        self.work, self.error = work, None
        self.start()

    def run(self):
        try:
            self.work()
        except BaseException as error:  # noqa: BLE001
            self.error = error

    def join(self, timeout=None):
        super().join(timeout)
        expect(not self.is_alive(), f"{self.work.__name__} to end", "it goes on")
        if self.error:
            raise self.error


def everyone_at_once(office, box):
    mails = MAILS[box.store]
    over = threading.Event()
    numbers = itertools.count(1)

    def by_smtp():
        client = smtplib.SMTP("localhost", office.smtp, timeout=60)
        for _ in range(mails):
            number = next(numbers)
            for attempt in range(100):
                try:
                    sent(client, number)
                    break
                except smtplib.SMTPDataError as error:
                    # A mailbox that others hold for too long is answered so.
                    expect(error.smtp_code // 100 == 4, "a reply that has one come again", error)
                    note(f"attempt {attempt}: {error}")
            else:
                expect(False, "the message to be taken at last", "none of 100 attempts")
        client.quit()

    def by_procmail():
        for _ in range(mails):
            box.procmail(next(numbers))

    def flags():
        """Moves messages to `cur` and changes their flags, as a mail reader does."""
        turns = itertools.cycle(["S", "FS", "RS", "FRS"])
        while not over.is_set():
            for part in ("new", "cur"):
                for path in (box.inbox / part).iterdir():
                    base = path.name.partition(":2,")[0]
                    try:
                        os.rename(path, box.inbox / "cur" / f"{base}:2,{next(turns)}")
                    except FileNotFoundError:
                        pass

    collected, doubtful = [], set()
    at_work = [Hand(by_smtp), Hand(by_procmail)]
    reader = Hand(flags) if box.store == "maildir" else None
    sessions = 0
    try:
        while sessions < SESSIONS[box.store] or any(hand.is_alive() for hand in at_work):
            collected += one_session(box, doubtful)
            sessions += 1
    finally:
        over.set()
    for hand in [*at_work, *([reader] if reader else [])]:
        hand.join(120)
    collected += one_session(box, doubtful)
    # What a session could not say to be removed was, if it did not come again.
    collected += doubtful.difference(collected)
    note(f"{sessions} sessions, {len(collected)} messages, {len(doubtful)} of them in doubt for a while")
    twice = sorted(number for number in set(collected) if collected.count(number) > 1)
    missing = sorted(set(range(1, 2 * mails + 1)) - set(collected))
    equal((twice, missing, box.lost()), ([], [], False), "messages collected twice, messages lost, others")
    client = box.session()
    equal(client.stat(), (0, 0), "what is left")
    client.quit()


def one_session(box, doubtful):
    """Takes all messages that are there; their numbers. Those go to the doubtful ones that QUIT did not remove for sure."""
    client = box.session()
    found = []
    sizes = [int(line.split()[1]) for line in client.list()[1]]
    for index, octets in enumerate(sizes, 1):
        try:
            _, lines, _ = client.retr(index)
        except poplib.error_proto as error:
            # procmail makes a file of an MH folder before it writes to it.
            expect(box.store == "mh" and error.args[0].startswith(b"-ERR"), "the message", error)
            continue
        equal(sum(len(line) + 2 for line in lines), octets, f"octets of message {index}, as LIST said before")
        found.append(number_of(lines))
        client.dele(index)
    try:
        client.quit()
    except poplib.error_proto as error:
        # It says so where another program does not stop to rename files.
        expect(box.store == "maildir" and b"[SYS/TEMP]" in error.args[0], "the messages to be removed", error)
        doubtful.update(found)
        return []
    return found


def killed_in_update(office, box):
    rng = random.Random(7)
    number = itertools.count(10_001)

    def fill(upto):
        client = smtplib.SMTP("localhost", office.smtp, timeout=60)
        for _ in range(upto):
            sent(client, next(number))
        client.quit()

    def listed():
        client = box.session()
        ids = [line.split()[1] for line in client.uidl()[1]]
        found = {uid: number_of(client.retr(index)[1]) for index, uid in enumerate(ids, 1)}
        equal(len(found), len(ids), "unique-ids")
        client.quit()
        return found

    def delete(some):
        """Deletes these; the connection, and the time when QUIT was sent."""
        client = box.session()
        for index in some:
            client.dele(index)
        client.sock.sendall(b"QUIT\r\n")
        return client, time.perf_counter()

    fill(KILLED_OVER)
    before = listed()
    client, began = delete(range(1, len(before) + 1, 2))
    client._getresp()
    took = time.perf_counter() - began
    client.close()
    outcomes = {"untouched": 0, "done": 0}
    for _ in range(KILLS[box.store]):
        fill(KILLED_OVER - len(listed()))
        before = listed()
        order = list(before)
        some = sorted(rng.sample(range(len(order)), KILLED_OVER // 2))
        client, began = delete(index + 1 for index in some)
        # Most of them early on, where it is decided.
        until = began + 1.3 * rng.random() ** 2 * took
        while time.perf_counter() < until:
            pass
        office.stop(signal.SIGKILL)
        client.close()
        office.start()
        after = listed()
        rest = {uid: before[uid] for at, uid in enumerate(order) if at not in set(some)}
        expect(after in (before, rest), "all that was deleted, or none of it, to be gone", (len(before), len(after)))
        outcomes["done" if after == rest else "untouched"] += 1
    note(outcomes)
    print(f"    {box.store}: {outcomes}, QUIT takes {took * 1000:.1f} ms")
    expect(all(outcomes.values()), "kills on both sides of the point where it is done", outcomes)

"""A running `postoffice serve`, and what came to lie in its Maildirs."""

import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

from lib import checks, children
from lib.checks import Failed, equal, expect

DOMAIN = "example.test"
HOSTNAME = "mail.example.test"
USERS = {"alice": "k3Qz-uncommon", "bob": "pass word/ä", "carol": "x"}

_BEGINS_WITH_FIELD = re.compile(rb"\n|[!-9;-~]+[ \t]*:")
_TRACE = re.compile(
    rb"Return-Path: (?P<sender><[^\n]*>)\n"
    rb"Delivered-To: (?P<to>[^\n]+)\n"
    rb"Received: (?P<received>[^\n]*\n(?:[ \t][^\n]*\n)*)"
)
_RECEIVED = re.compile(
    r"from (?P<hello>\S+(?: \(HELO [^)]*)?) ?\(?\[127\.0\.0\.1\]\) (?:\(using (?P<tls>[^)]*)\) )?"
    r"by (?P<by>\S+) with (?P<proto>\w+) id \w+(?: for (?P<rcpt><.*>))?; "
    r"\w{3}, \d\d? \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}$"
)


class Office:
    """A post office with all services on free ports.

    `config` is TOML: top-level keys, then tables. `data` is where mail lies; by default a fresh folder.
    """

    def __init__(self, setting, name, config="", users=None, data=None, arguments=()):
        self.setting = setting
        self.name = name
        self.folder = setting.folder(f"office-{name}")
        self.data = data or self.folder / "data"
        self.log = self.folder / "log"
        lines = [
            f'hostname = "{HOSTNAME}"',
            f'domains = ["{DOMAIN}", "other.test", "lmtp.test"]',
            'listen = ["smtp=127.0.0.1:0", "submission=127.0.0.1:0", "submissions=127.0.0.1:0", "lmtp=127.0.0.1:0", '
            '"pop3=127.0.0.1:0", "pop3s=127.0.0.1:0"]',
        ]
        text = "\n".join(lines) + "\n" + config
        if "[tls]" not in config:
            text += f'\n[tls]\ncertificate = "{setting.certificates.server}"\nkey = "{setting.certificates.server_key}"\n'
        if users is None:
            text += "\n[users]\n" + "".join(f'{user} = "{word}"\n' for user, word in USERS.items())
        self.config = self.folder / "postoffice.toml"
        self.config.write_text(text)
        self.arguments = ["--config", self.config, "--data", self.data]
        if users is not None:
            (self.folder / "users").write_text(users)
            self.arguments += ["--users", self.folder / "users"]
        self.arguments += arguments
        self.child = None
        self.ports = {}
        self.start()

    def start(self):
        """Starts it, again after `stop`, and reads its ports."""
        self.child = children.start(
            [self.setting.postoffice, "serve", "--log", "info", *self.arguments],
            self.log,
            stdout=subprocess.PIPE,
        )
        checks.watch(self._tail)
        self.ports = read_listeners(self.child, self._tail)
        expect(set(self.ports) >= {"smtp"}, "a listener for smtp", self.ports)

    def stop(self, how=signal.SIGTERM, within=10):
        """Ends it; its exit code."""
        code = children.stop(self.child, how, within)
        checks.unwatch(self._tail)
        return code

    def _tail(self):
        return [f"{self.name}: {line}" for line in children.tail(self.log, 6)]

    @property
    def smtp(self):
        return self.ports["smtp"]

    @property
    def submission(self):
        return self.ports["submission"]

    @property
    def submissions(self):
        return self.ports["submissions"]

    @property
    def lmtp(self):
        return self.ports["lmtp"]

    @property
    def pop3(self):
        return self.ports["pop3"]

    @property
    def pop3s(self):
        return self.ports["pop3s"]

    def maildir(self, user):
        return self.data / "mail" / user / "Maildir"

    def mails(self):
        """All messages in `new` of all users, as (user, path)."""
        return {(path.parent.parent.parent.name, path) for path in self.data.glob("mail/*/Maildir/new/*")}

    def unfinished(self):
        """What lies in `tmp` of any user."""
        return list(self.data.glob("mail/*/Maildir/tmp/*"))

    def mark(self):
        """What lies there, for `arrived`."""
        return self.mails()

    def arrived(self, mark):
        """What came since the mark: a list of `Delivered`, sorted by user."""
        return [Delivered(user, path) for user, path in sorted(self.mails() - mark)]

    def arrives(
        self, mark, content=None, users=("alice",), sender=None, proto=None, hello=None, contains=None
    ):
        """Fails unless just one message for each of the users came since the mark, with its trace fields, as was sent."""
        came = self.arrived(mark)
        equal([mail.user for mail in came], sorted(users), "who got mail")
        for mail in came:
            mail.is_well_formed(single=len(set(users)) == 1)
            if content is not None:
                mail.holds(content)
            if contains is not None:
                expect(contains in mail.content, f"content with {contains!r}", mail.content)
            if sender is not None:
                equal(mail.sender, f"<{sender}>", "Return-Path")
            if proto is not None:
                equal(mail.received["proto"], proto, "the protocol in Received")
            if hello is not None:
                equal(mail.received["hello"], hello, "the client in Received")
        equal(self.unfinished(), [], "what is left in tmp")
        return came

    def nothing_arrives(self, mark):
        """Fails if any message came since the mark, or half of one."""
        equal([str(mail.path) for mail in self.arrived(mark)], [], "what was delivered")
        equal(self.unfinished(), [], "what is left in tmp")


class Delivered:
    """A message in a Maildir."""

    def __init__(self, user, path):
        self.user, self.path = user, path
        self.raw = path.read_bytes()
        trace = _TRACE.match(self.raw)
        if not trace:
            raise Failed(f"expected Return-Path, Delivered-To and Received first, found {self.raw[:200]!r}")
        self.sender = trace["sender"].decode()
        self.to = trace["to"].decode()
        self.content = self.raw[trace.end() :]
        received = " ".join(trace["received"].decode().split())
        self.received = _RECEIVED.match(received)
        if not self.received:
            raise Failed(f"expected a Received field after RFC 5321 section 4.4, found {received!r}")

    def is_well_formed(self, single):
        """Fails unless name and trace fields fit the message."""
        size = re.search(r",S=(\d+)", self.path.name)
        expect(size, "the size in the file's name", self.path.name)
        equal(int(size[1]), len(self.raw), "the size in the file's name")
        wire = re.search(r",W=(\d+)", self.path.name)
        if wire:
            equal(
                int(wire[1]), len(self.raw) + self.raw.count(b"\n"), "the size with CRLF in the file's name"
            )
        equal(self.received["by"], HOSTNAME, "our name in Received")
        expect(
            bool(self.received["rcpt"]) == single,
            "the recipient in Received if it is the only one",
            self.received[0],
        )
        expect(b"\r" not in self.raw, "lines that end with LF", self.raw[:300])

    def holds(self, content):
        """Fails unless the content is what was sent (given in either form of line endings): behind an empty line where it
        does not begin with a header field."""
        expected = content.replace(b"\r\n", b"\n")
        if expected and not _BEGINS_WITH_FIELD.match(expected):
            expected = b"\n" + expected
        if self.content != expected:
            at = next(
                (i for i, (a, b) in enumerate(zip(self.content, expected)) if a != b),
                min(len(self.content), len(expected)),
            )
            raise Failed(
                f"expected {len(expected)} bytes of content, found {len(self.content)}; they differ at byte {at}: expected "
                f"{expected[max(0, at - 20) : at + 40]!r}, found {self.content[max(0, at - 20) : at + 40]!r}"
            )


def read_listeners(child, tail, within=20):
    """Reads the `listening …` lines of a post office up to `ready`; ports by service."""
    lines, done = [], threading.Event()

    def read():
        for line in child.stdout:
            lines.append(line.decode().strip())
            if lines[-1] == "ready":
                break
        done.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    done.wait(within)
    if not lines or lines[-1] != "ready":
        code = child.poll()
        raise Failed(f"expected 'ready' within {within} s, found {lines} (exit code {code}): {tail()}")
    ports = {}
    for line in lines[:-1]:
        found = re.fullmatch(r"listening (\w+) 127\.0\.0\.1:(\d+)", line)
        expect(found, "listening SERVICE 127.0.0.1:PORT", line)
        ports[found[1]] = int(found[2])
    return ports


def eventually(condition, what, within=15):
    """Waits until `condition()` is true, for programs that deliver after they have answered."""
    until = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise Failed(f"expected {what} within {within} s")
        time.sleep(0.05)


def resident_kib(pid):
    """Memory that a process holds."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1])


def open_files(pid):
    """How many file descriptors a process has."""
    return len(os.listdir(f"/proc/{pid}/fd"))

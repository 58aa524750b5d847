"""A raw SMTP connection: bytes out, replies in, nothing corrected on the way."""

import base64
import re
import socket
import ssl
import time

from lib.checks import Failed, expect, note

_LINE = re.compile(rb"(\d{3})([ -])(.*)", re.S)


class Reply:
    """A reply of one line or more."""

    def __init__(self, code, lines):
        self.code, self.lines = code, lines

    @property
    def enhanced(self):
        """The enhanced status code, `5.7.1`, or an empty text."""
        found = re.match(r"([245]\.\d{1,3}\.\d{1,3})( |$)", self.lines[-1])
        return found[1] if found else ""

    def __str__(self):
        return "\n".join(f"{self.code} {line}" for line in self.lines)

    def fits(self, wanted):
        """Whether it is as wanted: `250`, `550 5.7.1`, or several of them with `|` between."""
        shown = f"{self.code} {self.enhanced}"
        return any(shown == one or str(self.code) == one for one in wanted.split("|"))


class Wire:
    """A connection. Every wait has an end: `timeout` seconds."""

    def __init__(self, port, tls=None, greeted=True, timeout=10, host="127.0.0.1", name="mail.example.test"):
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.name = name
        if tls:
            self.upgrade(tls)
        if greeted:
            self.expect("220")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        """Sends bytes as they are, or a text in UTF-8."""
        data = data.encode() if isinstance(data, str) else data
        self.send_parts([data])

    def send_parts(self, parts):
        """Sends bytes, each part in a write of its own."""
        whole = b"".join(parts)
        shown = f" (in {len(parts)} writes)" if len(parts) > 1 else ""
        note(f"> {whole[:200]!r}{'...' if len(whole) > 200 else ''}{shown}")
        try:
            for part in parts:
                self.socket.sendall(part)
        except OSError as error:
            # What the server said before it closed can still be read.
            note(f"! sending: {error}")

    def reply(self):
        """The next reply."""
        lines = []
        while True:
            line = self._line()
            found = _LINE.fullmatch(line)
            if not found:
                raise Failed(f"expected a reply line, found {line!r}")
            note("< " + line.decode("utf-8", "replace"))
            lines.append(found[3].decode("utf-8", "replace"))
            if found[2] == b" ":
                return Reply(int(found[1]), lines)

    def expect(self, wanted, what=""):
        """The next reply, which must be as wanted (see `Reply.fits`)."""
        reply = self.reply()
        expect(reply.fits(wanted), f"{wanted}{' to ' + what if what else ''}", str(reply))
        return reply

    def cmd(self, line, wanted):
        """Sends a command line and checks its reply."""
        self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return self.expect(wanted, repr(line)[:80])

    def hello(self, verb="EHLO"):
        """Says hello; the keywords offered, with their parameters."""
        reply = self.cmd(f"{verb} client.example.com", "250")
        return {line.split(" ")[0].upper(): line.partition(" ")[2] for line in reply.lines[1:]}

    def envelope(self, *recipients, sender="sender@example.com"):
        """MAIL and RCPT, which must be accepted."""
        self.cmd(f"MAIL FROM:<{sender}>", "250")
        for recipient in recipients or ("alice@example.test",):
            self.cmd(f"RCPT TO:<{recipient}>", "250")

    def starttls(self, context):
        """Upgrades to TLS."""
        self.cmd("STARTTLS", "220")
        self.upgrade(context)

    def upgrade(self, context):
        """The handshake."""
        expect(self.buffer == b"", "nothing between the reply to STARTTLS and the handshake", self.buffer)
        self.socket = context.wrap_socket(self.socket, server_hostname=self.name)
        note(f"- {self.socket.version()} {self.socket.cipher()[0]}")

    def auth_plain(self, user, password, wanted="235"):
        """AUTH PLAIN in one line."""
        return self.cmd(f"AUTH PLAIN {b64(chr(0) + user + chr(0) + password)}", wanted)

    def half_close(self):
        """Ends what we send."""
        self.socket.shutdown(socket.SHUT_WR)

    def rest(self):
        """All replies up to the end of the connection."""
        replies = []
        while not self.at_end():
            replies.append(self.reply())
        return replies

    def closes(self, within=None):
        """Fails unless the server closes the connection, with nothing more said."""
        if within is not None:
            self.socket.settimeout(within)
        expect(self.at_end(), "the server to close the connection", self.buffer)

    def at_end(self):
        """Whether the connection has ended; waits for either more input or the end."""
        return not self.buffer and not self._read()

    def is_silent(self, seconds):
        """Fails if anything comes, or the connection ends, within so long."""
        self.socket.settimeout(seconds)
        try:
            expect(
                self.buffer == b"" and self._read(), "no reply", self.buffer or "the end of the connection"
            )
            raise Failed(f"expected no reply, found {self.buffer!r}")
        except TimeoutError:
            pass
        finally:
            self.socket.settimeout(10)

    def _line(self):
        while b"\r\n" not in self.buffer:
            if len(self.buffer) > 1 << 16:
                raise Failed(f"expected a reply line, found {len(self.buffer)} bytes without one")
            if not self._read():
                raise Failed(f"expected a reply, found the end of the connection ({self.buffer!r} before it)")
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def _read(self):
        try:
            data = self.socket.recv(1 << 16)
        except (ConnectionResetError, ssl.SSLEOFError) as error:
            note(f"! reading: {error}")
            return False
        self.buffer += data
        return bool(data)


def b64(text):
    """Base64 of bytes, or of a text in UTF-8."""
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def stuffed(content):
    """Content with its dots doubled and the end of data behind it."""
    return re.sub(rb"(?m)^\.", b"..", content) + b".\r\n"


def trusting(certificate):
    """A TLS context that trusts this authority."""
    return ssl.create_default_context(cafile=certificate)


def until(moment):
    """Seconds that are left until then, at least a little."""
    return max(0.01, moment - time.monotonic())

"""Messages of many kinds, as they go over the wire: CRLF line endings, no dot-stuffing.

All have the fields that clients add where they are missing, so that what arrives can be compared byte by byte.
"""

_HEADER = (
    "From: Sender <sender@example.com>\r\n"
    "To: Alice <alice@example.test>\r\n"
    "Subject: {subject}\r\n"
    "Date: Mon, 23 Nov 2026 01:00:00 +0000\r\n"
    "Message-ID: <{subject}@example.com>\r\n"
)


def header(subject):
    """Header fields without the empty line behind them."""
    return _HEADER.format(subject=subject.replace(" ", "-")).encode()


def message(subject, body):
    """A message with this body."""
    return header(subject) + b"\r\n" + body


PLAIN = message("plain", b"Hello,\r\n\r\nhow are you?\r\n")

# By name. Each ends with CRLF.
SAMPLES = {
    "plain": PLAIN,
    "dots at line starts": message(
        "dots",
        b".\r\n..\r\n...\r\n. \r\n.dot\r\n..two\r\n .\r\n\r\n.\r\n" + b"x" * 1022 + b"\r\n.\r\nlast.\r\n",
    ),
    "a dot line first in the body": message("dot-first", b".\r\n"),
    "a body of dots": message("dot-lines", b".\r\n" * 2000),
    "long lines": message(
        "long",
        b"\r\n".join(
            bytes([97 + n % 26]) * length for n, length in enumerate([77, 998, 1000, 1001, 2048, 10000])
        )
        + b"\r\n"
        + b"." * 5000
        + b"\r\n",
    ),
    "eight bits": message("eight-bit", bytes(range(0x80, 0x100)) + "\r\nGrüße, 你好, 📬\r\n".encode()),
    "control characters": message(
        "controls", bytes(c for c in range(1, 32) if c not in (10, 13)) + b"\x7f\r\n"
    ),
    "no body": message("no-body", b""),
    "no empty line": header("no-empty-line"),
    "empty lines": message("empty-lines", b"\r\n" * 50),
    "trailing spaces": message("spaces", b"  a  \r\n\t\r\n \r\n-- \r\nb \r\n"),
    "one MiB": message("one-mib", b"".join(b"%070d line.\r\n" % n for n in range((1 << 20) // 78 + 1))),
}

# A message as a person writes it, whose last line has no end; clients put one there.
NO_FINAL_NEWLINE = message("no-final-newline", b"one\r\ntwo")


def lf(content):
    """With LF line endings, as files have them."""
    return content.replace(b"\r\n", b"\n")

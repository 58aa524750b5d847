"""What the parts that attack share: a table of lines with the reply to each, and sending whole and byte by byte."""

from lib.checks import check
from lib.wire import Wire, stuffed


def delivered(office, wire, content):
    """Sends a message on a connection that has said hello; it must arrive as it is."""
    mark = office.mark()
    wire.envelope()
    wire.cmd("DATA", "354")
    wire.send(stuffed(content))
    wire.expect("250")
    office.arrives(mark, content)


def ways(data):
    """The whole in one write, and byte by byte."""
    return {"whole": [data], "byte by byte": [data[n : n + 1] for n in range(len(data))]}


def each(office, section, rows, before=(), port=None):
    """Each row is one line and the one reply to it; the session goes on after it."""
    for line, wanted in rows:
        line = line.encode() if isinstance(line, str) else line
        shown = line if len(line) < 80 else line[:40] + b"... (%d bytes)" % len(line)
        with check(f"{section} {shown!r} gives {wanted}"):
            for parts in ways(line).values():
                with Wire(port or office.smtp) as wire:
                    wire.hello("LHLO" if port == office.lmtp else "EHLO")
                    for command in before:
                        wire.cmd(command, "250")
                    wire.send_parts(parts)
                    wire.expect(wanted)
                    wire.cmd("NOOP", "250 2.0.0")

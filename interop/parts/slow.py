"""Clients that wait, trickle, talk too early, do not read, or come in crowds."""

import socket
import time

from lib.checks import check, equal, expect
from lib.office import Office, resident_kib
from lib.samples import PLAIN
from lib.wire import Wire, stuffed, trusting

# Seconds that the post office of this part waits, and what is allowed on top for a busy machine.
PATIENCE, GRACE = 2, 4

CONFIG = f"""
[limits]
connections_per_address = 5
[timeouts]
command = "{PATIENCE}s"
data_block = "{PATIENCE}s"
handshake = "{PATIENCE}s"
write = "{PATIENCE}s"
"""


def run(setting):
    office = Office(setting, "slow", CONFIG)
    context = trusting(setting.certificates.ca)
    try:
        waiting(office, context)
        unread(office)
        crowds(office)
    finally:
        office.stop()
    early(setting)
    improper(setting)
    half_open(setting, context)


def ends_in_time(wire, began, codes):
    """The connection must end when patience does, with just these replies before."""
    wire.socket.settimeout(PATIENCE + GRACE)
    equal([reply.code for reply in wire.rest()], codes, "the replies before the end")
    took = time.monotonic() - began
    expect(PATIENCE - 0.2 < took < PATIENCE + GRACE, f"the end after about {PATIENCE} s", f"{took:.1f} s")


def waiting(office, context):
    """All wait at the same time, so that the part does not."""
    began = time.monotonic()

    def opened(port=office.smtp, **options):
        wire = Wire(port, **options)
        return wire

    idle = opened()
    after_hello = opened()
    after_hello.hello()
    in_message = opened()
    in_message.hello()
    in_message.envelope()
    in_message.cmd("DATA", "354")
    in_message.send(b"Subject: stalled\r\n\r\nand no mo")
    in_login = opened()
    in_login.hello()
    in_login.cmd("AUTH CRAM-MD5", "334")
    with check("slow: a client that says nothing gets 421"), idle:
        ends_in_time(idle, began, [421])
    with check("slow: a client that stops after EHLO gets 421"), after_hello:
        ends_in_time(after_hello, began, [421])
    with check("slow: a client that stops within a message gets 421, and nothing is delivered"), in_message:
        mark = office.mark()
        ends_in_time(in_message, began, [421])
        office.nothing_arrives(mark)
    with check("slow: a client that stops within a login gets 421"), in_login:
        ends_in_time(in_login, began, [421])

    began = time.monotonic()
    no_handshake = opened(office.submissions, greeted=False)
    no_upgrade = opened()
    no_upgrade.hello()
    no_upgrade.cmd("STARTTLS", "220")
    half_hello = opened(office.submissions, greeted=False)
    half_hello.send(b"\x16\x03\x01\x02\x00\x01")
    trickling = opened()
    with check("slow: a line that trickles does not stretch its time"), trickling:
        ended = False
        line = b"EHLO client.example.com" * 10
        for n in range(len(line)):
            try:
                trickling.socket.sendall(line[n : n + 1])
            except OSError:
                ended = True
                break
            trickling.socket.settimeout(0.2)
            try:
                trickling._read()
                ended = True
                break
            except TimeoutError:
                pass
            expect(time.monotonic() - began < PATIENCE + GRACE, "an end", "none")
        expect(ended and trickling.buffer.startswith(b"421 "), "421", trickling.buffer)
    for name, wire in [
        ("no TLS handshake", no_handshake),
        ("no handshake after STARTTLS", no_upgrade),
        ("half a handshake", half_hello),
    ]:
        with check(f"slow: {name}: the connection is closed"), wire:
            wire.socket.settimeout(PATIENCE + GRACE)
            while wire._read():
                pass


def unread(office):
    with check("slow: a client that does not read is not read from, and closed in the end"):
        before = resident_kib(office.child.pid)
        with Wire(office.smtp) as wire:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            wire.socket.settimeout(PATIENCE + GRACE)
            began, sent = time.monotonic(), 0
            try:
                while sent < 200 << 20:
                    sent += wire.socket.send(b"EHLO client.example.com\r\n" * 1000)
            except ConnectionError:
                pass
            except TimeoutError:
                # The system need not tell a sender at once; whoever reads finds the end.
                try:
                    while wire.socket.recv(1 << 16):
                        pass
                except ConnectionError:
                    pass
            expect(sent < 100 << 20, "back-pressure", f"{sent} bytes taken")
            expect(
                time.monotonic() - began < PATIENCE + GRACE + 10, "an end in time", time.monotonic() - began
            )
        grown = resident_kib(office.child.pid) - before
        expect(grown < 8192, "less than 8 MiB of memory for it", f"{grown} KiB")


def crowds(office):
    with check(
        "slow: the sixth connection from one address gets 421, others are served; after one went it is taken"
    ):
        crowd = [Wire(office.smtp) for _ in range(5)]
        with Wire(office.smtp, greeted=False) as sixth:
            sixth.expect("421")
            sixth.closes()
        other = socket.create_connection(("127.0.0.1", office.smtp), 10, source_address=("127.0.0.2", 0))
        expect(other.recv(100).startswith(b"220 "), "220 for another address", "no greeting")
        other.close()
        crowd.pop().cmd("QUIT", "221")
        until = time.monotonic() + 5
        while True:
            with Wire(office.smtp, greeted=False) as again:
                if again.expect("220|421").code == 220:
                    break
            expect(time.monotonic() < until, "220 after a connection was closed", "421")
            time.sleep(0.02)
        for wire in crowd:
            wire.close()


def early(setting):
    office = Office(setting, "early", '[smtp]\nearly_talker_wait = "1s"\n')
    try:
        with (
            check("early: who talks before the greeting gets 554 and is closed"),
            Wire(office.smtp, greeted=False) as wire,
        ):
            wire.send(b"EHLO spam.example\r\nMAIL FROM:<a@x>\r\n")
            wire.expect("554 5.5.0")
            wire.closes()
        with check("early: who waits is greeted, after a second"):
            began = time.monotonic()
            with Wire(office.smtp) as wire:
                expect(time.monotonic() - began >= 0.9, "a second", time.monotonic() - began)
                mark = office.mark()
                wire.hello()
                wire.envelope()
                wire.cmd("DATA", "354")
                wire.send(stuffed(PLAIN))
                wire.expect("250")
                office.arrives(mark, PLAIN)
    finally:
        office.stop()


def improper(setting):
    office = Office(setting, "improper", "[smtp]\nrefuse_improper_pipelining = true\n")
    try:
        with check("improper: commands behind EHLO in one write are refused where the configuration says so"):
            with Wire(office.smtp) as wire:
                wire.send(b"EHLO x\r\nMAIL FROM:<a@x>\r\n")
                wire.expect("521 5.5.0")
                wire.closes()
        with check("improper: a group as RFC 2920 allows is taken"), Wire(office.smtp) as wire:
            wire.hello()
            wire.send(
                b"MAIL FROM:<a@x>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"
            )
            for wanted in ["250", "250", "250", "354"]:
                wire.expect(wanted)
    finally:
        office.stop()


def half_open(setting, context):
    office = setting.office
    with check("half-close after the greeting and after EHLO: the connection ends at once"):
        for prepare in [lambda wire: None, lambda wire: wire.hello()]:
            with Wire(office.smtp) as wire:
                prepare(wire)
                wire.half_close()
                wire.socket.settimeout(5)
                equal([reply.code for reply in wire.rest() if reply.code < 400], [], "positive replies")
    with check("a group with QUIT at its end under TLS: all replies are sent before the connection ends"):
        mark = office.mark()
        with Wire(office.smtp) as wire:
            wire.hello()
            wire.starttls(context)
            wire.hello()
            wire.envelope()
            wire.cmd("DATA", "354")
            wire.send(stuffed(PLAIN) + b"QUIT\r\n")
            wire.expect("250")
            wire.expect("221")
            wire.closes()
        office.arrives(mark, PLAIN)

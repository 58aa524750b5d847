"""How a post office ends: on SIGTERM, on SIGKILL, under load, and what is there afterwards."""

import signal
import threading
import time

from lib.checks import Failed, check, equal, expect
from lib.children import stop
from lib.office import Office, eventually
from lib.samples import PLAIN, message
from lib.wire import Wire, stuffed, trusting


def run(setting):
    for how in [signal.SIGTERM, signal.SIGINT]:
        graceful(setting, how)
    impatient(setting)
    no_grace_left(setting)
    killed_after_250(setting)
    killed_in_message(setting)
    killed_under_load(setting)


def begun(port, tls=None):
    """A connection with half a message sent."""
    wire = Wire(port, tls=tls)
    wire.hello()
    wire.envelope()
    wire.cmd("DATA", "354")
    wire.send(PLAIN[:50])
    return wire


def graceful(setting, how):
    context = trusting(setting.certificates.ca)
    office = Office(setting, f"graceful-{how.name}")
    mark = office.mark()
    with check(f"{how.name}: the message under way is finished, all others get 421, the exit code is 0"):
        idle, greeted, under_tls = Wire(office.smtp), Wire(office.lmtp), Wire(office.smtp)
        greeted.hello("LHLO")
        under_tls.hello()
        under_tls.starttls(context)
        under_tls.hello()
        with begun(office.smtp) as wire:
            office.child.send_signal(how)
            for other in [idle, greeted, under_tls]:
                other.expect("421 4.3.2")
                other.closes()
            expect(refuses(office.smtp), "no new connection to be taken", "one")
            equal(office.child.poll(), None, "the state of the process")
            wire.send(PLAIN[50:] + b".\r\nMAIL FROM:<late@example.com>\r\n")
            wire.expect("250 2.0.0")
            wire.expect("421 4.3.2")
            wire.closes()
        equal(office.child.wait(5), 0, "the exit code")
        office.arrives(mark, PLAIN)
    office.stop()


def refuses(port):
    """Whether nobody listens there any more."""
    try:
        with Wire(port, greeted=False, timeout=1) as wire:
            return wire.at_end() or wire.reply().code == 421
    except ConnectionRefusedError:
        return True


def impatient(setting):
    office = Office(setting, "impatient")
    with check("a further SIGTERM ends it at once, and half a message is nowhere"):
        mark = office.mark()
        with begun(office.smtp):
            # Those that come within moments of the first count as one with it.
            until = time.monotonic() + 5
            while office.child.poll() is None:
                expect(time.monotonic() < until, "an end within 5 s", "none")
                office.child.send_signal(signal.SIGTERM)
                time.sleep(0.3)
            equal(office.arrived(mark), [], "what was delivered")
    office.stop()


def no_grace_left(setting):
    office = Office(setting, "no-grace", '[timeouts]\nshutdown = "1s"\n')
    with check("a message that does not end does not keep it longer than timeouts.shutdown"):
        with begun(office.smtp):
            began = time.monotonic()
            equal(office.stop(within=6), 0, "the exit code")
            expect(0.8 < time.monotonic() - began < 5, "an end after a second", time.monotonic() - began)
        equal(office.arrived(set()), [], "what was delivered")
    office.stop()


def killed_after_250(setting):
    office = Office(setting, "killed")
    content = message("kept", b"line\r\n" * 20000)
    with check("SIGKILL right after 250 keeps the message, and it starts again"):
        for kind in ["smtp", "lmtp"]:
            mark = office.mark()
            with Wire(office.ports[kind]) as wire:
                wire.hello("LHLO" if kind == "lmtp" else "EHLO")
                wire.envelope("alice@example.test", "bob@example.test")
                wire.cmd("DATA", "354")
                wire.send(stuffed(content))
                wire.expect("250")
                if kind == "lmtp":
                    wire.expect("250")
                office.stop(signal.SIGKILL)
            office.arrives(mark, content, ["alice", "bob"])
            office.start()
        with Wire(office.smtp) as wire:
            wire.hello()
    office.stop()


def killed_in_message(setting):
    office = Office(setting, "killed-in-message")
    with check("SIGKILL in the middle of 1 MiB: nothing in new, and it starts again"):
        mark = office.mark()
        with Wire(office.smtp) as wire:
            wire.hello()
            wire.envelope()
            wire.cmd("DATA", "354")
            wire.send(b"x" * 78 + b"\r\n" + b"y\r\n" * 300_000)
            eventually(office.unfinished, "a file in tmp")
            office.stop(signal.SIGKILL)
        equal(office.arrived(mark), [], "what was delivered")
        office.start()
        with Wire(office.smtp) as wire:
            wire.hello()
            wire.envelope()
            wire.cmd("DATA", "354")
            wire.send(stuffed(PLAIN))
            wire.expect("250")
        equal(len(office.arrived(mark)), 1, "the messages")
    office.stop()


def killed_under_load(setting):
    office = Office(setting, "killed-under-load")
    with check("SIGKILL under load: every message that got 250 is there, once and whole, and no half one"):
        for round_ in range(3):
            mark = office.mark()
            acknowledged, sent, stop_now = set(), set(), threading.Event()
            senders = [
                threading.Thread(target=sender, args=(office, f"{round_}-{n}", acknowledged, sent, stop_now))
                for n in range(8)
            ]
            for thread in senders:
                thread.start()
            eventually(lambda: len(acknowledged) >= 150, "150 messages")
            stop(office.child, signal.SIGKILL)
            stop_now.set()
            for thread in senders:
                thread.join(15)
            office.stop()
            found = [mail.content for mail in office.arrived(mark)]
            equal(len(found), len(set(found)), "how many different messages there are")
            whole = {content_of(name).replace(b"\r\n", b"\n"): name for name in sent}
            names = {whole.get(content) for content in found}
            if None in names:
                raise Failed("expected whole messages only, found another")
            equal(sorted(acknowledged - names), [], "messages that got 250 and are lost")
            office.start()
    office.stop()


def content_of(name):
    """A message that tells by its name what it must hold."""
    return message(name, (name.encode() + b"\r\n") * 200)


def sender(office, name, acknowledged, sent, stop_now):
    """Sends messages until told to stop, or the connection ends."""
    try:
        with Wire(office.smtp) as wire:
            wire.hello()
            for n in range(10_000):
                if stop_now.is_set():
                    return
                wire.envelope()
                wire.cmd("DATA", "354")
                sent.add(f"{name}-{n}")
                wire.send(stuffed(content_of(f"{name}-{n}")))
                wire.expect("250")
                acknowledged.add(f"{name}-{n}")
    except (OSError, Failed):
        pass

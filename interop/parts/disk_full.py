"""A disk that is full: a file system of 1 MiB below the data folder."""

from contextlib import contextmanager

from lib.checks import Failed, check, equal, expect
from lib.children import run as run_program
from lib.office import Office
from lib.samples import PLAIN, message
from lib.wire import Wire, stuffed

TOO_LARGE = message("too-large", b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 40_000)


@contextmanager
def small_disk(path, options):
    """A tmpfs at `path`, taken away in the end."""
    path.mkdir()
    ran = run_program(["mount", "-t", "tmpfs", "-o", f"mode=755,{options}", "mailwright-interop", path])
    if ran.code != 0:
        raise Failed(f"expected to mount a tmpfs, found: {ran.text}. This part needs root with CAP_SYS_ADMIN")
    try:
        yield path
    finally:
        run_program(["umount", "-l", path])


def run(setting):
    with small_disk(setting.scratch / "small-disk", "size=1m") as disk:
        office = Office(setting, "disk-full", data=disk)
        try:
            full(office, disk)
        finally:
            office.stop()
    with small_disk(setting.scratch / "few-inodes", "size=1m,nr_inodes=30") as disk:
        office = Office(setting, "few-inodes", data=disk)
        try:
            no_inodes(office, disk)
        finally:
            office.stop()


def send(office, content, wanted, service="smtp", recipients=("alice@example.test",), answers=1):
    """A message, by DATA, and the replies to it."""
    with Wire(office.ports[service], timeout=20) as wire:
        wire.hello("LHLO" if service == "lmtp" else "EHLO")
        wire.envelope(*recipients)
        wire.cmd("DATA", "354")
        wire.send(stuffed(content))
        for _ in range(answers):
            wire.expect(wanted)
        wire.cmd("NOOP", "250")


def full(office, disk):
    both = ("alice@example.test", "bob@example.test")
    with check("disk full: there is room for a small message"):
        mark = office.mark()
        send(office, PLAIN, "250")
        office.arrives(mark, PLAIN)
    with check("disk full: a message that does not fit gets 452 4.3.1, and nothing of it is left"):
        mark = office.mark()
        send(office, TOO_LARGE, "452 4.3.1")
        office.nothing_arrives(mark)
    with check("disk full: the same by BDAT"):
        mark = office.mark()
        with Wire(office.smtp, timeout=20) as wire:
            wire.hello()
            wire.envelope()
            wire.send(b"BDAT %d LAST\r\n" % len(TOO_LARGE) + TOO_LARGE)
            wire.expect("452 4.3.1")
            wire.cmd("NOOP", "250")
        office.nothing_arrives(mark)
    with check("disk full: the same by LMTP, for each recipient"):
        mark = office.mark()
        send(office, TOO_LARGE, "452 4.3.1", "lmtp", both, answers=2)
        office.nothing_arrives(mark)
    with check("disk full: the space is there again"):
        mark = office.mark()
        send(office, PLAIN, "250", recipients=both)
        office.arrives(mark, PLAIN, ["alice", "bob"])
    half = message("half", (b"z" * 70 + b"\r\n") * 8_000)
    with check("disk full: a message that fits once but not twice is delivered to both or to none"):
        mark = office.mark()
        send(office, half, "452 4.3.1", recipients=both)
        office.nothing_arrives(mark)
    with check("disk full: the same by LMTP goes to one, and the other has 452 4.3.1"):
        mark = office.mark()
        with Wire(office.lmtp, timeout=20) as wire:
            wire.hello("LHLO")
            wire.envelope(*both)
            wire.cmd("DATA", "354")
            wire.send(stuffed(half))
            replies = [wire.reply(), wire.reply()]
        fits = [reply.fits("250") for reply in replies]
        expect(sorted(fits) == [False, True], "one 250", [str(reply) for reply in replies])
        expect(
            replies[fits.index(False)].fits("452 4.3.1"),
            "452 4.3.1 for the other",
            [str(reply) for reply in replies],
        )
        user = ["alice", "bob"][fits.index(True)]
        (mail,) = office.arrived(mark)
        equal(mail.user, user, "who got mail")
        mail.holds(half)
        equal(office.unfinished(), [], "what is left in tmp")
        mail.path.unlink()
    filler = disk / "filler"
    with check("disk full: not a byte left: a small message gets 452 4.3.1"):
        mark = office.mark()
        with open(filler, "wb", buffering=0) as file:
            try:
                while file.write(b"\0" * 4096):
                    pass
            except OSError:
                pass
        for service, answers in [("smtp", 1), ("lmtp", 1)]:
            send(office, PLAIN, "452 4.3.1", service, answers=answers)
        office.nothing_arrives(mark)
    with check("disk full: when there is room again, mail is taken again"):
        filler.unlink()
        mark = office.mark()
        send(office, PLAIN, "250")
        office.arrives(mark, PLAIN)
    equal(office.child.poll(), None, "the post office to run")


def no_inodes(office, disk):
    with check("disk full: no file can be made: 452 4.3.1, then 250 when one can"):
        send(office, PLAIN, "250")
        fillers = []
        try:
            while True:
                filler = disk / f"filler-{len(fillers)}"
                filler.touch()
                fillers.append(filler)
        except OSError:
            pass
        mark = office.mark()
        send(office, PLAIN, "452 4.3.1")
        office.nothing_arrives(mark)
        for filler in fillers:
            filler.unlink()
        send(office, PLAIN, "250")
        office.arrives(mark, PLAIN)

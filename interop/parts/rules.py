"""Rc files of postoffice's users: mail filed into folders, programs, broken files, SpamAssassin."""

import mailbox
import os

from lib.checks import check, equal, expect
from lib.office import Office
from lib.samples import message
from lib.wire import Wire, stuffed

GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
AWAY = "nobody"


def run(setting):
    files(setting)
    broken(setting)
    programs(setting)


def write_rc(office, user, text, name=".procmailrc"):
    folder = office.data / "mail" / user
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o600)
    return path


def send(office, subject, wanted, body=b"hello\r\n", recipients=("alice@example.test",), service="smtp"):
    """A message, and the replies that it gets."""
    answers = len(recipients) if service == "lmtp" else 1
    wanted = [wanted] * answers if isinstance(wanted, str) else wanted
    with Wire(office.ports[service], timeout=60) as wire:
        wire.hello("LHLO" if service == "lmtp" else "EHLO")
        wire.envelope(*recipients)
        wire.cmd("DATA", "354")
        wire.send(stuffed(message(subject, body)))
        return [wire.expect(one) for one in wanted]


def inbox(office, user="alice"):
    return [path.read_bytes() for path in (office.maildir(user) / "new").glob("*")]


RC = r"""
MAILDIR=$HOME/folders
LOGFILE=$HOME/log
VERBOSE=no

:0:
* ^Subject:.*mailbox
lists.mbox

:0
* ^Subject:.*maildir
lists/

:0
* ^Subject:.*mh
mh/.

:0
* ^Subject:.*nothing
/dev/null

:0 c
* ^Subject:.*copy
copies/

:0
* ^Subject:.*outside
/tmp/outside-of-the-users-folder

:0
* ^Subject:.*refused
{
  EXITCODE=67
  :0
  /dev/null
}
"""


def files(setting):
    office = Office(setting, "rules")
    try:
        write_rc(office, "alice", RC)
        home = office.data / "mail" / "alice"
        (home / "folders").mkdir()
        with check("rules: into an mbox, as others read it"):
            for n in range(3):
                send(office, f"mailbox {n}", "250", body=b"From here\r\nto there\r\n")
            box = mailbox.mbox(home / "folders" / "lists.mbox", create=False)
            equal(len(box), 3, "the messages in the mbox")
            text = (home / "folders" / "lists.mbox").read_bytes()
            equal(text.count(b"\n>From here\n"), 3, "the quoted lines")
            expect(text.startswith(b"From sender@example.com  "), "a From_ line with the sender", text[:80])
            equal(inbox(office), [], "the inbox")
        with check("rules: into a Maildir"):
            send(office, "maildir", "250")
            new = list((home / "folders" / "lists" / "new").glob("*"))
            equal(len(new), 1, "the messages in the Maildir")
            text = new[0].read_bytes()
            expect(text.startswith(b"Return-Path: <sender@example.com>\nDelivered-To: "), "trace fields", text)
        with check("rules: into an MH folder, numbered"):
            send(office, "mh", "250")
            send(office, "mh", "250")
            equal(sorted(os.listdir(home / "folders" / "mh")), ["1", "2"], "the messages in the MH folder")
        with check("rules: a message that is dropped"):
            send(office, "nothing", "250")
            equal(inbox(office), [], "the inbox")
        with check("rules: a copy, and the inbox for the rest"):
            send(office, "copy", "250")
            equal(len(list((home / "folders" / "copies" / "new").glob("*"))), 1, "the copies")
            equal(len(inbox(office)), 1, "the inbox")
        with check("rules: no file outside of the user's folder"):
            send(office, "outside", "250")
            expect(not os.path.exists("/tmp/outside-of-the-users-folder"), "no such file", "one")
            equal(len(inbox(office)), 2, "the inbox")
        with check("rules: EXITCODE=67 is an unknown user"):
            send(office, "refused", "550 5.1.1")
        with check("rules: one recipient has rules, the other has none"):
            send(office, "maildir", "250", recipients=("alice@example.test", "bob@example.test"))
            equal(len(inbox(office, "bob")), 1, "the other's inbox")
        with check("rules: LMTP has a verdict for each recipient"):
            both = ("alice@example.test", "bob@example.test")
            send(office, "refused", ["550 5.1.1", "250"], recipients=both, service="lmtp")
            equal(len(inbox(office, "bob")), 2, "the other's inbox")
        with check("rules: a message of 3 MiB"):
            send(office, "maildir", "250", body=b"x" * 70 + b"\r\n" + b"y" * 70 + b"\r\n" * 40_000)
            send(office, "maildir", "250", body=(b"x" * 70 + b"\r\n") * 44_000)
            sizes = [path.stat().st_size for path in (home / "folders" / "lists" / "new").glob("*")]
            expect(max(sizes) > 44_000 * 71, "a file of 3 MiB", sizes)
        with check("rules: the log is procmail's"):
            log = (home / "log").read_text()
            expect("  Folder: lists.mbox\t" in log, "an abstract in the log", log[:300])
    finally:
        office.stop()


def broken(setting):
    bad = ":0\n* ^Subject\n{\n  :0\n  x\n"
    for config, answer, count in [("", "451", 0), ('[filter]\nbroken = "inbox"\n', "250", 1)]:
        name = "inbox" if count else "defer"
        office = Office(setting, f"broken-{name}", config)
        try:
            rc = write_rc(office, "alice", bad)
            with check(f"rules: a broken rc file, {name}"):
                send(office, "x", answer)
                equal(len(inbox(office)), count, "the messages in the inbox")
            with check(f"rules: an rc file that anybody can write to, {name}"):
                rc.write_text(":0\nx/\n")
                rc.chmod(0o666)
                send(office, "x", answer)
                equal(len(inbox(office)), 2 * count, "the messages in the inbox")
            with check(f"rules: mended, {name}"):
                rc.chmod(0o600)
                send(office, "x", "250")
                equal(len(list((rc.parent / "x" / "new").glob("*"))), 1, "the messages in the folder")
        finally:
            office.stop()
    office = Office(setting, "no-programs")
    try:
        for number, text in enumerate(
            [":0\n| cat >file\n", ":0 c\nx/\n:0 fw\n| cat\n", "A=`date`\n", ":0\n* ? true\nx\n", ":0\n! bob\n"]
        ):
            with check(f"rules: a program that must not run defers, and nothing is filed ({number})"):
                rc = write_rc(office, "alice", text)
                send(office, "x", "451")
                equal([path.name for path in rc.parent.iterdir() if path.name not in (".procmailrc", "Maildir")], [], "files")
                equal(inbox(office), [], "the inbox")
        with check("rules: a program that would not be reached"):
            write_rc(office, "alice", ":0\n* ^Subject: y\n| cat\n")
            send(office, "x", "250")
            equal(len(inbox(office)), 1, "the messages in the inbox")
    finally:
        office.stop()


def programs(setting):
    config = f'[filter]\nprograms = true\nrun_as = "{AWAY}"\nprogram_time = "20s"\nprogram_output = "1MiB"\n'
    office = Office(setting, "programs", config)
    try:
        with check("rules: a filter, run as the user who is configured"):
            write_rc(office, "alice", ':0 fhw\n| (cat; echo "X-Who: `id -un`") | grep -v "^$"; echo\n')
            send(office, "x", "250")
            expect(f"\nX-Who: {AWAY}\n".encode() in inbox(office)[0], "a field from the program", inbox(office)[0])
        with check("rules: a program that runs too long is ended, and the message is kept"):
            write_rc(office, "bob", ":0 w\n* ^Subject: slow\n| sleep 300\n")
            office.stop()
            office.config.write_text(office.config.read_text().replace('"20s"', '"1s"'))
            office.start()
            send(office, "slow", "250", recipients=("bob@example.test",))
            equal(len(inbox(office, "bob")), 1, "the messages in the inbox")
        with check("rules: a program that writes without end is ended, and the message is kept"):
            write_rc(office, "carol", ":0 fw\n| yes\n")
            send(office, "yes", "250", recipients=("carol@example.test",))
            equal(len(inbox(office, "carol")), 1, "the messages in the inbox")
            expect(b"\nhello\n" in inbox(office, "carol")[0], "the message", inbox(office, "carol")[0][:200])
    finally:
        office.stop()
    spam(setting)


SPAM = """
:0 fw: spamassassin.lock
* < 512000
| /usr/bin/spamassassin -L

:0:
* ^X-Spam-Status: Yes
caughtspam
"""


def spam(setting):
    config = f'[filter]\nprograms = true\nrun_as = "{AWAY}"\n'
    office = Office(setting, "spam", config)
    try:
        rc = write_rc(office, "alice", SPAM)
        with check("rules: SpamAssassin's test message goes to a folder"):
            send(office, "gtube", "250", body=GTUBE)
            text = (rc.parent / "caughtspam").read_bytes()
            expect(b"\nX-Spam-Flag: YES\n" in text, "a field of SpamAssassin", text[:500])
            equal(inbox(office), [], "the inbox")
        with check("rules: an ordinary message goes through SpamAssassin to the inbox"):
            send(office, "lunch", "250", body=b"Shall we meet at noon?\r\n")
            expect(b"\nX-Spam-Status: No" in inbox(office)[0], "a field of SpamAssassin", inbox(office)[0][:500])
    finally:
        office.stop()

"""A post office that keeps mail in mboxes, and one with MH folders: what other programs make of them, and do to them.

formail, mutt and Dovecot read the mbox, and a lock file of lockfile(1) keeps mail out; nmh's scan, rmm and folder, and mutt,
work on the MH folder.
"""

import mailbox
import poplib
import shutil
from pathlib import Path

from lib.checks import check, equal, expect, note
from lib.children import run as run_program
from lib.office import USERS, Office
from lib.samples import PLAIN, SAMPLES, lf, message
from lib.smtp_send import OK, TEMPFAIL, smtp_send

# Lines that an mbox cannot have as they are.
FROM = message("from", b"From me\r\n>From you\r\n>>From them\r\n\r\nFrom a@b Tue Jan  2 03:04:05 2001\r\nTo: x\r\n")
# In an mbox, the empty line behind it ends a header.
CONTENTS = [*(content for name, content in SAMPLES.items() if name != "no empty line"), FROM]

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
"""


def run(setting):
    poplib._MAXLINE = 1 << 20
    with_mbox(setting)
    with_mh(setting)


def office_with(setting, store):
    config = f'store = "{store}"\n[auth]\nplaintext_without_tls = true\n[timeouts]\nlock = "1s"\n'
    return Office(setting, f"store-{store}", config)


def deliver(setting, office, contents):
    for content in contents:
        smtp_send(setting, office.lmtp, "--lmtp", content=content)


def collected(office, remove=()):
    """What alice gets by POP3, without the fields that were put before it; she removes messages of these numbers."""
    client = poplib.POP3("localhost", office.pop3, timeout=20)
    client.user("alice")
    client.pass_(USERS["alice"])
    found = []
    for number in range(1, client.stat()[0] + 1):
        text = b"".join(line + b"\r\n" for line in client.retr(number)[1])
        at = text.index(b"\r\nFrom: Sender") + 2
        expect(text.startswith(b"Return-Path: <sender@example.com>\r\n"), "our fields first", text[:200])
        found.append(text[at:])
    for number in remove:
        client.dele(number)
    client.quit()
    return found


def mutt_copies(folder, what):
    """Has mutt copy all of a mailbox to an mbox, and answers what is in that."""
    saved = folder / "saved"
    saved.unlink(missing_ok=True)
    # It asks for it otherwise.
    (folder / "Mail").mkdir(exist_ok=True)
    rc = folder / "muttrc"
    rc.write_text(
        "set confirmappend=no confirmcreate=no mbox_type=mbox delete=no move=no quit=yes sleep_time=0 wait_key=no\n"
        f'push "<tag-pattern>~A<enter><tag-prefix><copy-message>{saved}<enter><exit>"\n'
    )
    ran = run_program(
        ["script", "-qec", f"mutt -n -R -F {rc} -f {what}", "/dev/null"],
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "TERM": "xterm", "LC_ALL": "C.UTF-8"},
    )
    note(ran.text[-400:])
    return saved.read_bytes() if saved.exists() else b""


def subjects(text):
    return sorted(line for line in text.split(b"\n") if line.startswith(b"Subject: "))


def with_mbox(setting):
    folder = setting.folder("stores-mbox")
    office = office_with(setting, "mbox")
    box = office.data / "mail" / "alice" / "mbox"
    wanted = subjects(b"\n".join(lf(content) for content in CONTENTS if content is not FROM) + b"\nSubject: from\n")
    quoted = lf(FROM).replace(b"\n>>From", b"\n>>>From").replace(b"\n>From", b"\n>>From").replace(b"\nFrom ", b"\n>From ")
    try:
        with check("store mbox: what was sent comes back by POP3"):
            deliver(setting, office, CONTENTS)
            equal(collected(office) == CONTENTS, True, "the same messages in the same order")
        with check("store mbox: formail splits it into the messages"):
            ran = run_program(["formail", "-s", "sh", "-c", "echo; echo message; cat"], given=box.read_bytes())
            equal(ran.out.count(b"\nmessage\nFrom sender@example.com "), len(CONTENTS), "messages")
            # QUIT has marked it, at the end of its header.
            marked = quoted.replace(b"\n\n", b"\nStatus: RO\n\n", 1)
            expect(marked in ran.out, "lines with quotes", ran.out[-300:])
        with check("store mbox: mutt lists all messages, and copies them"):
            equal(subjects(mutt_copies(folder, box)), wanted, "the messages that mutt copied")
        with check("store mbox: Dovecot reads each message"):
            (folder / "mail").mkdir()
            shutil.copy(box, folder / "box")
            for path in [folder, folder / "mail", folder / "box"]:
                shutil.chown(path, "nobody", "nogroup")
            (folder / "dovecot.conf").write_text(DOVECOT.format(home=folder))
            for number, content in enumerate(CONTENTS, 1):
                argv = ["doveadm", "-c", folder / "dovecot.conf", "fetch", "text", "mailbox", "INBOX", "uid", number]
                ran = run_program(
                    argv, env={"USER": "nobody", "HOME": str(folder), "PATH": "/usr/bin:/bin"}, user="nobody", group="nogroup", extra_groups=[]
                )
                expected = quoted if content is FROM else lf(content)
                got = ran.out.replace(b"\r\n", b"\n")
                expect(expected in got, f"message {number}", got[:300] + b"..." + got[-300:])
        with check("store mbox: mail waits for who has locked the mailbox"):
            before = box.read_bytes()
            equal(run_program(["lockfile", "-r0", f"{box}.lock"]).code, 0, "the exit code of lockfile")
            to = ("alice@example.test", "bob@example.test")
            text = smtp_send(setting, office.lmtp, "--lmtp", content=PLAIN, to=to, code=TEMPFAIL)
            expect("<alice@example.test> refused: 451 4.2.0" in text, "a refusal for alice", text)
            expect("accepted <bob@example.test>" in text, "mail for bob", text)
            arguments = ["--tls", "never"]
            text = smtp_send(setting, office.smtp, *arguments, content=PLAIN, to=to, code=TEMPFAIL)
            bobs = mailbox.mbox(office.data / "mail" / "bob" / "mbox", create=False)
            equal(len(bobs), 1, "messages for bob, of whom SMTP has one outcome with alice")
            equal(box.read_bytes() == before, True, "an mbox that is as it was")
            Path(f"{box}.lock").unlink()
            smtp_send(setting, office.smtp, *arguments, content=PLAIN, to=to, code=OK)
        with check("store mbox: what POP3 removes is gone for others, and nothing else"):
            collected(office, remove=[1, 3, len(CONTENTS) + 1])
            left = [content for at, content in enumerate(CONTENTS) if at not in (0, 2)]
            equal(collected(office) == left, True, "the other messages")
            equal(len(mailbox.mbox(box, create=False)), len(left), "messages as Python reads them")
            equal(sorted(path.name for path in box.parent.iterdir()), [".mbox.maildrop.session", "mbox"], "files")
    finally:
        equal(office.stop(), 0, "the exit code of postoffice")


def with_mh(setting):
    folder = setting.folder("stores-mh")
    office = office_with(setting, "mh")
    mail = office.data / "mail" / "alice" / "Mail"
    inbox = mail / "inbox"
    (folder / ".mh_profile").write_text(f"Path: {mail}\n")

    def nmh(program, *arguments):
        ran = run_program(
            [f"/usr/bin/mh/{program}", *arguments], env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "LC_ALL": "C"}
        )
        equal(ran.code, 0, f"the exit code of {program}")
        return ran.out

    contents = [*SAMPLES.values(), FROM]
    try:
        with check("store mh: what was sent comes back by POP3, and lies there as it is"):
            deliver(setting, office, contents)
            equal(collected(office) == contents, True, "the same messages in the same order")
            for number, content in enumerate(contents, 1):
                expect((inbox / str(number)).read_bytes().endswith(lf(content)), f"message {number}", number)
        with check("store mh: nmh scans all messages"):
            lines = nmh("scan", "+inbox").splitlines()
            equal(len(lines), len(contents), "lines")
            expect(b"plain" in lines[0], "the subject", lines[0])
        with check("store mh: mutt lists all messages, and copies them"):
            # By its sequences mutt knows an MH folder.
            nmh("mark", "+inbox", "-sequence", "unseen", "-add", "all")
            copied = mutt_copies(folder, inbox)
            equal(copied.count(b"\nMessage-ID: <"), len(contents), "the messages that mutt copied")
        with check("store mh: nmh removes and packs, a message comes, and POP3 has what is left"):
            nmh("rmm", "+inbox", "2", "4")
            nmh("folder", "+inbox", "-pack")
            deliver(setting, office, [PLAIN])
            left = [content for at, content in enumerate(contents) if at not in (1, 3)] + [PLAIN]
            equal(collected(office, remove=[1]) == left, True, "the messages")
            equal(len(nmh("scan", "+inbox").splitlines()), len(left) - 1, "messages as nmh lists them")
    finally:
        equal(office.stop(), 0, "the exit code of postoffice")

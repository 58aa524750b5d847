"""Programs that collect mail from `postoffice` by POP3: poplib, curl, fetchmail, mpop, getmail and mutt."""

import poplib
import shutil
import threading
from pathlib import Path

from lib.checks import check, equal, expect, note
from lib.children import run as run_program
from lib.office import USERS, Office
from lib.samples import PLAIN, SAMPLES
from lib.wire import trusting

ALICE = USERS["alice"]
# It gives up on lines of more than 2 KiB by itself.
poplib._MAXLINE = 1 << 20
# The exit codes of curl for a login that was refused, and of fetchmail where there is no mail.
CURL_REFUSED, FETCHMAIL_NO_MAIL = 67, 1


class Box:
    """The inbox of alice, with messages put there as another server would."""

    def __init__(self, office):
        self.office = office
        self.serial = 0

    def fill(self, contents=tuple(SAMPLES.values())):
        """Puts just these messages there; what comes over the wire, in order."""
        maildir = self.office.maildir("alice")
        for part in ("tmp", "new", "cur"):
            (maildir / part).mkdir(parents=True, exist_ok=True)
            for old in (maildir / part).iterdir():
                old.unlink()
        for content in contents:
            self.serial += 1
            text = content.replace(b"\r\n", b"\n")
            name = f"{1_700_000_000 + self.serial}.M{self.serial}P1.host"
            # With sizes in the name and without.
            name += f",S={len(text)},W={len(content)}" if self.serial % 2 else ""
            (maildir / "new" / name).write_bytes(text)
        return list(contents)

    def names(self):
        maildir = self.office.maildir("alice")
        return sorted(path.name.split(":")[0] for part in ("new", "cur") for path in (maildir / part).iterdir())


class Pop(poplib.POP3):
    """Plain, or STLS."""


class PopTls(poplib.POP3_SSL):
    """TLS from the first byte."""


def run(setting):
    office = Office(
        setting, "pop", "[auth]\nplaintext_without_tls = true\n[timeouts]\nauth_failure_delay = 0\n"
    )
    try:
        box = Box(office)
        with_poplib(setting, office, box)
        with_curl(setting, office, box)
        with_fetchmail(setting, office, box)
        with_mpop(setting, office, box)
        with_getmail(setting, office, box)
        with_mutt(setting, office, box)
    finally:
        equal(office.stop(), 0, "the exit code of postoffice")


def joined(lines):
    return b"".join(line + b"\r\n" for line in lines)


def with_poplib(setting, office, box):
    context = trusting(setting.certificates.ca)

    def plain():
        return Pop("localhost", office.pop3, timeout=20)

    def logged_in():
        client = plain()
        client.user("alice")
        client.pass_(ALICE)
        return client

    def refused(answer, act):
        try:
            act()
        except poplib.error_proto as error:
            expect(error.args[0].startswith(answer), f"the reply {answer!r}", error.args[0])
        else:
            raise AssertionError("expected a refusal, found none")

    with check("poplib: messages of all kinds, their sizes, and their unique-ids"):
        contents = box.fill()
        client = logged_in()
        equal(client.stat(), (len(contents), sum(map(len, contents))), "STAT")
        sizes = [int(line.split()[1]) for line in client.list()[1]]
        equal(sizes, [len(content) for content in contents], "LIST")
        ids = [line.split()[1].decode() for line in client.uidl()[1]]
        equal(ids, box.names(), "UIDL")
        for number, content in enumerate(contents, 1):
            equal(joined(client.retr(number)[1]), content, f"RETR {number}")
            header, _, body = content.partition(b"\r\n\r\n")
            lines = body.split(b"\r\n")
            top = joined(client.top(number, 2)[1])
            whole = header + b"\r\n\r\n" + joined(lines[:2])
            expect(content.startswith(top) and len(top) <= len(whole), f"TOP {number} 2", (top[-80:], whole[-80:]))
        client.quit()
        equal(len(box.names()), len(contents), "messages that are left")
    with check("poplib: DELE is undone by RSET, and by a connection that breaks off; QUIT removes"):
        box.fill([PLAIN] * 5)
        before = box.names()
        client = logged_in()
        client.dele(2)
        equal(client.stat()[0], 4, "messages that are left")
        refused(b"-ERR", lambda: client.retr(2))
        client.rset()
        client.dele(1)
        client.close()
        client = logged_in()
        equal((client.stat()[0], box.names()), (5, before), "messages after the connection broke off")
        client.dele(1)
        client.dele(4)
        client.quit()
        equal(box.names(), [before[at] for at in (1, 2, 4)], "messages that are left")
    with check("poplib: one session at a time has a maildrop"):
        first = logged_in()
        refused(b"-ERR [IN-USE]", logged_in)
        first.quit()
        logged_in().quit()
    with check("poplib: STLS, TLS from the first byte, APOP"):
        client = plain()
        client.stls(context)
        expect("STLS" not in client.capa(), "no STLS under TLS", client.capa())
        client.user("alice")
        client.pass_(ALICE)
        client.quit()
        client = PopTls("localhost", office.pop3s, timeout=20, context=context)
        client.encoding = "UTF-8"
        client.user("bob")
        client.pass_(USERS["bob"])
        client.quit()
        client = PopTls("localhost", office.pop3s, timeout=20, context=context)
        client.apop("alice", ALICE)
        client.quit()
    with check("poplib: a wrong password and an unknown user get the same answer"):
        answers = []
        for user, word in [("alice", "wrong"), ("nobody", "wrong")]:
            client = plain()
            client.user(user)
            try:
                client.pass_(word)
            except poplib.error_proto as error:
                answers.append(error.args[0])
            client.close()
        equal(answers[0], answers[1], "the answer")
        expect(answers[0].startswith(b"-ERR [AUTH]"), "[AUTH]", answers[0])
    with check("poplib: 50 users' worth of sessions at once, one of which has the maildrop"):
        box.fill()
        lines = []

        def session():
            client = plain()
            client.user("alice")
            try:
                client.pass_(ALICE)
            except poplib.error_proto as error:
                lines.append(error.args[0][:14])
                client.close()
            else:
                lines.append(b"in")
                client.stat()
                client.quit()

        threads = [threading.Thread(target=session) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expect(set(lines) <= {b"in", b"-ERR [IN-USE] "[:14]}, "in, or in use", sorted(set(lines)))
        expect(b"in" in lines, "one at least", lines)


def with_curl(setting, office, box):
    def curl(url, *arguments, code=0):
        argv = ["curl", "--silent", "--show-error", "--verbose", "--max-time", 30, url, *arguments]
        ran = run_program(argv)
        equal(ran.code, code, "the exit code of curl")
        return ran

    user = ["--user", f"alice:{ALICE}"]
    ca = ["--cacert", setting.certificates.ca]
    plain, tls = f"pop3://localhost:{office.pop3}", f"pop3s://localhost:{office.pop3s}"
    for name, content in SAMPLES.items():
        with check(f"curl collects a message: {name}"):
            box.fill([content])
            got = curl(f"{plain}/1", *user).out
            # curl ends what it prints with the line end before the last dot, where the message has none.
            expect(got in (content, content + b"\r\n"), "the message", got[-200:])
    box.fill([PLAIN])
    for how in ["+APOP", "PLAIN", "LOGIN", "CRAM-MD5"]:
        with check(f"curl logs in by {how}"):
            equal(curl(f"{plain}/1", *user, "--login-options", f"AUTH={how}").out, PLAIN, "the message")
    with check("curl with STLS and with TLS from the first byte"):
        equal(curl(f"{plain}/1", *user, "--ssl-reqd", *ca).out, PLAIN, "the message by STLS")
        equal(curl(f"{tls}/1", *user, *ca).out, PLAIN, "the message by TLS")
    with check("curl with an initial response"):
        equal(curl(f"{plain}/1", *user, "--sasl-ir", "--login-options", "AUTH=PLAIN").out, PLAIN, "the message")
    with check("curl with a wrong password"):
        curl(f"{plain}/1", "--user", "alice:wrong", code=CURL_REFUSED)
    with check("curl lists, and removes"):
        box.fill([PLAIN, PLAIN])
        equal(len(curl(plain, *user).out.split(b"\r\n")), 3, "lines")
        curl(f"{plain}/1", *user, "--request", "DELE", "--head")
        equal(len(box.names()), 1, "messages that are left")


def collected(folder):
    """The messages of an mbox that a program wrote through `cat`."""
    return folder.read_bytes() if folder.exists() else b""


def with_fetchmail(setting, office, box):
    folder = setting.folder("fetchmail-pop")

    def fetchmail(options, code=0, protocol="pop3"):
        rc = folder / "rc"
        out = folder / "got"
        out.unlink(missing_ok=True)
        rc.write_text(
            f'poll localhost protocol {protocol} port {options["port"]} uidl\n'
            f'  user "alice" password "{ALICE}" is "root" here {options["how"]}\n'
            f'  mda "/bin/cat >> {out}" {options.get("keep", "nokeep")}\n'
        )
        rc.chmod(0o600)
        ran = run_program(
            ["fetchmail", "-f", rc, "--pidfile", folder / "pid", "-i", folder / "ids", "-v", "--nosyslog"],
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "FETCHMAILHOME": str(folder), "LC_ALL": "C"},
        )
        equal(ran.code, code, "the exit code of fetchmail")
        return collected(out)

    ca = f"sslcertck sslcertfile {setting.certificates.ca}"
    kinds = {
        "USER and PASS": {"port": office.pop3, "how": "sslproto ''"},
        "STLS": {"port": office.pop3, "how": f"sslproto tls1.2+ {ca}"},
        "TLS from the first byte": {"port": office.pop3s, "how": f"ssl {ca}"},
    }
    for name, options in kinds.items():
        with check(f"fetchmail by {name}: takes all mail away"):
            contents = box.fill([PLAIN, SAMPLES["dots at line starts"], SAMPLES["a body of dots"]])
            got = fetchmail(options)
            for content in contents:
                body = content.replace(b"\r\n", b"\n").partition(b"\n\n")[2]
                expect(body in got, "each body", got[-300:])
            equal(box.names(), [], "messages that are left")
            fetchmail(options, code=FETCHMAIL_NO_MAIL)
    with check("fetchmail by APOP"):
        box.fill([PLAIN])
        expect(b"how are you?" in fetchmail(kinds["USER and PASS"], protocol="apop"), "the body", b"")
    with check("fetchmail --keep knows by unique-id what it has seen"):
        box.fill([PLAIN, PLAIN])
        options = {**kinds["USER and PASS"], "keep": "keep"}
        equal(fetchmail(options).count(b"how are you?"), 2, "messages")
        equal(fetchmail(options, code=FETCHMAIL_NO_MAIL), b"", "messages")
        equal(len(box.names()), 2, "messages that are left")


def with_mpop(setting, office, box):
    folder = setting.folder("mpop")

    def mpop(*lines, keep="off"):
        maildir = folder / "Maildir"
        for part in ("tmp", "new", "cur"):
            (maildir / part).mkdir(parents=True, exist_ok=True)
            for old in (maildir / part).iterdir():
                old.unlink()
        rc = folder / "rc"
        text = ["account default", "host localhost", "user alice", f"password {ALICE}", f"delivery maildir {maildir}"]
        text += [f"keep {keep}", f"uidls_file {folder / 'uidls'}", "received_header off", *lines]
        rc.write_text("\n".join(text) + "\n")
        rc.chmod(0o600)
        ran = run_program(["mpop", "--file", rc, "--debug"])
        equal(ran.code, 0, "the exit code of mpop")
        return sorted(path.read_bytes() for path in (maildir / "new").iterdir())

    tls = f"tls_trust_file {setting.certificates.ca}"
    ways = {
        "USER": [f"port {office.pop3}", "tls off", "auth user"],
        "APOP": [f"port {office.pop3}", "tls off", "auth apop"],
        "PLAIN": [f"port {office.pop3}", "tls off", "auth plain"],
        "CRAM-MD5": [f"port {office.pop3}", "tls off", "auth cram-md5"],
        "SCRAM-SHA-256": [f"port {office.pop3}", "tls off", "auth scram-sha-256"],
        "its choice under STLS": [f"port {office.pop3}", "tls on", "tls_starttls on", tls],
        "its choice under TLS": [f"port {office.pop3s}", "tls on", "tls_starttls off", tls],
    }
    wanted = [content for name, content in SAMPLES.items() if name != "no empty line"]
    for name, lines in ways.items():
        with check(f"mpop by {name}, with pipelining"):
            contents = box.fill(wanted)
            got = mpop(*lines)
            equal(got, sorted(content.replace(b"\r\n", b"\n") for content in contents), "the messages")
            equal(box.names(), [], "messages that are left")
    with check("mpop without pipelining, keeping mail"):
        box.fill([PLAIN, PLAIN])
        equal(len(mpop(*ways["USER"], "pipelining off", keep="on")), 2, "messages")
        equal(len(mpop(*ways["USER"], "pipelining off", keep="on")), 0, "messages the second time")
        equal(len(box.names()), 2, "messages that are left")


def with_getmail(setting, office, box):
    folder = setting.folder("getmail")
    maildir = folder / "Maildir"

    def getmail(kind, port, *more):
        for part in ("tmp", "new", "cur"):
            (maildir / part).mkdir(parents=True, exist_ok=True)
            for old in (maildir / part).iterdir():
                old.unlink()
            shutil.chown(maildir / part, "nobody")
        shutil.chown(maildir, "nobody")
        (folder / "getmailrc").write_text(
            f"[retriever]\ntype = {kind}\nserver = localhost\nport = {port}\nusername = alice\npassword = {ALICE}\n"
            + "".join(f"{line}\n" for line in more)
            # It delivers nothing as root.
            + f"[destination]\ntype = Maildir\npath = {maildir}/\nuser = nobody\n"
            + "[options]\ndelete = true\ndelivered_to = false\nreceived = false\nverbose = 2\n"
        )
        ran = run_program(["getmail", "--getmaildir", folder], env={"HOME": str(folder), "PATH": "/usr/bin:/bin"})
        note(ran.text[-500:])
        equal(ran.code, 0, "the exit code of getmail")
        return sorted(path.read_bytes() for path in (maildir / "new").iterdir())

    kinds = [
        ("plain", "SimplePOP3Retriever", office.pop3, []),
        ("TLS", "SimplePOP3SSLRetriever", office.pop3s, [f"ca_certs = {setting.certificates.ca}"]),
    ]
    for name, kind, port, more in kinds:
        with check(f"getmail, {name}: takes all mail away"):
            contents = box.fill([PLAIN, SAMPLES["dots at line starts"], SAMPLES["long lines"]])
            got = getmail(kind, port, *more)
            equal(len(got), len(contents), "messages")
            for content in contents:
                body = content.replace(b"\r\n", b"\n").partition(b"\n\n")[2]
                expect(any(body in message for message in got), "each body", [message[-80:] for message in got])
            equal(box.names(), [], "messages that are left")


def with_mutt(setting, office, box):
    folder = setting.folder("mutt-pop")
    with check("mutt logs in over TLS by its own choice and saves a message"):
        box.fill([PLAIN, PLAIN])
        (folder / "Mail").mkdir()
        rc = folder / "muttrc"
        saved = folder / "saved"
        rc.write_text(
            f'set ssl_ca_certificates_file="{setting.certificates.ca}"\nset certificate_file="{setting.certificates.ca}"\n'
            f'set pop_pass="{ALICE}"\nset pop_user=alice\nset ssl_force_tls=no\nset quit=yes\nset confirmappend=no\nset confirmcreate=no\n'
            "set mbox_type=mbox\nset pop_delete=no\nset delete=yes\nset wait_key=no\nset pop_checkinterval=600\n"
            f'push "<copy-message>{saved}<enter><sync-mailbox><exit>"\n'
        )
        url = f"pops://alice@localhost:{office.pop3s}/"
        ran = run_program(
            ["script", "-qec", f"mutt -n -F {rc} -f {url}", "/dev/null"],
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "TERM": "xterm", "LC_ALL": "C.UTF-8"},
        )
        note(ran.text[-400:])
        text = Path(saved).read_bytes() if Path(saved).exists() else b""
        expect(b"how are you?" in text, "the message in the folder", text[-200:])
        equal(len(box.names()), 2, "messages that are left")

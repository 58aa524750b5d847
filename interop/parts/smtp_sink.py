"""smtp-send against Postfix's smtp-sink: all kinds of content, a refusal at each stage, many messages."""

import re
from contextlib import contextmanager

from lib import children
from lib.checks import check, equal, expect
from lib.samples import NO_FINAL_NEWLINE, PLAIN, SAMPLES, lf
from lib.smtp_send import CONFIG, DATAERR, NOHOST, NOUSER, OK, PROTOCOL, TEMPFAIL, UNAVAILABLE, smtp_send

_HEAD = re.compile(rb"(?:X-[^\n]*\n)+Received: [^\n]*\n(?:\t[^\n]*\n)*")


class Sink:
    """A running smtp-sink that writes each message to a file."""

    def __init__(self, setting, *options):
        self.folder = setting.folder(f"sink-{Sink.number}")
        Sink.number += 1
        self.folder.chmod(0o777)
        self.port = children.free_port()
        self.child = children.start(
            ["smtp-sink", "-u", "nobody", "-d", "message.", *options, f"127.0.0.1:{self.port}", "100"],
            self.folder.parent / f"{self.folder.name}.log",
            cwd=self.folder,
        )
        children.wait_port(self.port, self.child)

    number = 0

    def messages(self):
        """What came, each as it was sent (LF line endings, smtp-sink's own fields taken off)."""
        found = []
        for path in sorted(self.folder.iterdir()):
            raw = path.read_bytes()
            head = _HEAD.match(raw)
            expect(head and raw.endswith(b"\n\n"), "a dump of smtp-sink", raw[:200])
            found.append(raw[head.end() : -1])
        return found

    def recipients(self):
        """The recipients that the messages had."""
        return re.findall(
            rb"^X-Rcpt-Args: <(.*?)>", b"".join(path.read_bytes() for path in self.folder.iterdir()), re.M
        )


@contextmanager
def sink(setting, *options):
    """A smtp-sink for a while."""
    running = Sink(setting, *options)
    try:
        yield running
    finally:
        children.stop(running.child)


def run(setting):
    contents(setting)
    stages(setting)
    offers(setting)
    loads(setting)
    with check("smtp-send to a port where nobody listens: 75"):
        smtp_send(setting, children.free_port(), content=PLAIN, code=TEMPFAIL)
    with check("smtp-send to a host that there is none of: 68"):
        argv = [
            setting.smtp_send,
            "--server",
            "nowhere.invalid:2525",
            "--from",
            "a@example.com",
            "--to",
            "b@example.com",
            "-",
        ]
        children.run_fails(argv, NOHOST, given=PLAIN)


def contents(setting):
    for name, options, arguments in [
        ("DATA", [], []),
        ("LMTP", ["-L"], ["--lmtp"]),
        ("DATA without pipelining", ["-p"], []),
    ]:
        with sink(setting, *options) as to:
            with check(f"smtp-send {name} to smtp-sink: content of all kinds arrives as it is"):
                for index, (sample, content) in enumerate(SAMPLES.items()):
                    if sample == "no empty line":
                        continue
                    before = set(to.messages())
                    smtp_send(setting, to.port, *arguments, content=content if index % 2 else lf(content))
                    (came,) = set(to.messages()) - before
                    equal(came == lf(content), True, f"whether '{sample}' came as it was sent")
            with check(f"smtp-send {name} to smtp-sink: a message whose last line has no end"):
                smtp_send(setting, to.port, *arguments, content=NO_FINAL_NEWLINE)
                expect(
                    lf(NO_FINAL_NEWLINE) + b"\n" in to.messages(),
                    "the message with an end",
                    to.messages()[-1][-100:],
                )
            with check(f"smtp-send {name} to smtp-sink: many recipients"):
                smtp_send(
                    setting,
                    to.port,
                    *arguments,
                    content=PLAIN,
                    to=[f"user{n}@example.test" for n in range(120)],
                )
                equal(len([one for one in to.recipients() if one.startswith(b"user")]), 120, "the recipients")


def stages(setting):
    """Each stage refused for good, for now, cut off, and cut off with 421."""
    hard = {
        "CONNECT": UNAVAILABLE,
        "MAIL": UNAVAILABLE,
        "RCPT": UNAVAILABLE,
        "DATA": UNAVAILABLE,
        ".": UNAVAILABLE,
        "QUIT": OK,
    }
    for option, name in [("-f", "5yz"), ("-r", "4yz"), ("-q", "cut off"), ("-Q", "421")]:
        for stage, code in hard.items():
            if option != "-f" and code != OK:
                code = TEMPFAIL
            with (
                check(f"smtp-send: {stage} gets {name}: exit code {code}"),
                sink(setting, option, stage) as to,
            ):
                smtp_send(setting, to.port, content=PLAIN, code=code)
                if stage not in (".", "QUIT"):
                    equal(len(to.messages()), 0, "the messages that came")
    with check("smtp-send: EHLO refused, HELO taken"), sink(setting, "-f", "EHLO") as to:
        smtp_send(setting, to.port, content=PLAIN)
        equal(to.messages(), [lf(PLAIN)], "what came")
    with check("smtp-send: EHLO and HELO refused"), sink(setting, "-f", "EHLO,HELO") as to:
        smtp_send(setting, to.port, content=PLAIN, code=UNAVAILABLE)
    with check("smtp-send --lmtp: LHLO refused"), sink(setting, "-L", "-f", "LHLO") as to:
        smtp_send(setting, to.port, "--lmtp", content=PLAIN, code=UNAVAILABLE)
    with (
        check("smtp-send: RCPT gets 550 5.1.1: no such user"),
        sink(setting, "-f", "RCPT", "-B", "550 5.1.1 nobody here") as to,
    ):
        smtp_send(setting, to.port, content=PLAIN, code=NOUSER)
    for stage, code in [("RCPT", UNAVAILABLE), ("DATA", UNAVAILABLE), (".", UNAVAILABLE)]:
        with check(f"smtp-send --lmtp: {stage} gets 5yz"), sink(setting, "-L", "-f", stage) as to:
            smtp_send(
                setting, to.port, "--lmtp", content=PLAIN, code=code, to=["a@example.test", "b@example.test"]
            )
    with (
        check("smtp-send: 550 after some of the message was read (smtp-sink -A)"),
        sink(setting, "-A", "0") as to,
    ):
        smtp_send(setting, to.port, content=SAMPLES["one MiB"], code=UNAVAILABLE)
    with check("smtp-send: a server that is slow to answer is waited for"), sink(setting, "-w", "2") as to:
        smtp_send(setting, to.port, content=PLAIN)
    with check("smtp-send: a server that does not answer in time: 75"), sink(setting, "-W", "DATA:30") as to:
        smtp_send(setting, to.port, content=PLAIN, code=TEMPFAIL, wait="1s")


def offers(setting):
    """What is not offered is not used, and a message that needs it is not sent."""
    eight_bit = SAMPLES["eight bits"]
    with sink(setting, "-8") as to:
        with check("smtp-send: 8-bit content where 8BITMIME is not offered: 65, and nothing is sent"):
            text = smtp_send(setting, to.port, content=eight_bit, code=DATAERR)
            expect("8BITMIME" in text, "8BITMIME in the error", text)
            equal(to.messages(), [], "what came")
        with check("smtp-send: 7-bit content where 8BITMIME is not offered"):
            smtp_send(setting, to.port, content=PLAIN)
            equal(to.messages(), [lf(PLAIN)], "what came")
    with sink(setting) as to:
        with check("smtp-send: UTF-8 in the header where SMTPUTF8 is not offered: 65, and nothing is sent"):
            text = smtp_send(setting, to.port, content="Subject: Grüße\r\n\r\nhi\r\n".encode(), code=DATAERR)
            expect("SMTPUTF8" in text, "SMTPUTF8 in the error", text)
            equal(to.messages(), [], "what came")
        with check("smtp-send --tls require where STARTTLS is not offered: refused, and nothing is sent"):
            smtp_send(setting, to.port, "--tls", "require", content=PLAIN, code=UNAVAILABLE)
            equal(to.messages(), [], "what came")
        with check("smtp-send --tls implicit to a server without TLS"):
            smtp_send(
                setting, to.port, "--tls", "implicit", content=PLAIN, code=(PROTOCOL, TEMPFAIL), wait="2s"
            )
            equal(to.messages(), [], "what came")
        with check("smtp-send --tls try where STARTTLS is not offered sends in the clear"):
            smtp_send(setting, to.port, "--tls", "try", content=PLAIN)
            equal(to.messages(), [lf(PLAIN)], "what came")
        with check("smtp-send --user where passwords would go in the clear: refused, none is sent"):
            secret = setting.scratch / "sink-password"
            secret.write_text("hunter2\n")
            arguments = ["--tls", "never", "--user", "alice", "--password-file", secret]
            text = smtp_send(setting, to.port, *arguments, content=PLAIN, code=CONFIG)
            expect("AUTH " not in re.sub(r"^S: .*$", "", text, flags=re.M), "no AUTH command", text)
            expect("hunter2" not in text, "no password in the transcript", text)
    with sink(setting, "-e") as to:
        with check("smtp-send to a server without ESMTP"):
            smtp_send(setting, to.port, content=PLAIN)
            equal(to.messages(), [lf(PLAIN)], "what came")
    with sink(setting, "-E", "-N") as to:
        with check("smtp-send to a server without ENHANCEDSTATUSCODES and DSN"):
            smtp_send(setting, to.port, content=PLAIN)
        with check("smtp-send --rcpt-params NOTIFY where DSN is not offered: sent without"):
            smtp_send(setting, to.port, "--rcpt-params", "NOTIFY=NEVER", content=PLAIN)
            raw = b"".join(path.read_bytes() for path in to.folder.iterdir())
            expect(b"NOTIFY" not in raw, "no NOTIFY", raw[:400])
        with check(
            "smtp-send --mail-params REQUIRETLS where it is not offered: refused, and nothing is sent"
        ):
            before = len(to.messages())
            smtp_send(setting, to.port, "--mail-params", "REQUIRETLS", content=PLAIN, code=UNAVAILABLE)
            equal(len(to.messages()), before, "the messages")
    with sink(setting) as to:
        with check("smtp-send --rcpt-params NOTIFY, --mail-params RET and ENVID where DSN is offered"):
            smtp_send(
                setting,
                to.port,
                "--mail-params",
                "RET=HDRS ENVID=x+2By",
                "--rcpt-params",
                "NOTIFY=FAILURE,DELAY",
                content=PLAIN,
            )
            raw = next(to.folder.iterdir()).read_bytes()
            for wanted in [b"RET=HDRS", b"ENVID=x+2By", b"NOTIFY=FAILURE,DELAY"]:
                expect(wanted in raw, wanted, raw[:400])


def loads(setting):
    for arguments, count in [
        (["--connections", "1"], 50),
        (["--connections", "10"], 300),
        (["--connections", "10", "--reconnect"], 100),
        (["--connections", "5", "--no-pipelining"], 50),
        (["--connections", "50", "--threads", "2"], 500),
    ]:
        with check(f"smtp-send --count {count} {' '.join(arguments)}"), sink(setting) as to:
            smtp_send(setting, to.port, "--size", "4KiB", "--count", count, *arguments, quiet=True)
            messages = to.messages()
            equal(len(messages), count, "the messages that came")
            expect(
                all(4000 < len(one) < 4200 for one in messages),
                "messages of 4 KiB",
                {len(one) for one in messages},
            )
    with check("smtp-send --lmtp --count 100 --connections 5"), sink(setting, "-L") as to:
        smtp_send(
            setting, to.port, "--lmtp", "--count", "100", "--connections", "5", content=PLAIN, quiet=True
        )
        equal(to.messages(), [lf(PLAIN)] * 100, "what came")

"""Postfix's smtp-source: its own content, one session and many at a time, SMTP and LMTP."""

from lib.checks import check, equal, expect
from lib.children import run_ok


def run(setting):
    office = setting.office

    def load(name, port, messages, *arguments, length=4096, proto="SMTP"):
        with check(f"smtp-source {name}"):
            mark = office.mark()
            argv = ["smtp-source", "-m", messages, "-f", "sender@example.com", "-t", "alice@example.test"]
            run_ok(
                [*argv, "-M", "client.example.com", "-l", length, *arguments, f"127.0.0.1:{port}"], timeout=90
            )
            came = office.arrived(mark)
            equal(len(came), messages, "how many messages came")
            # Each has a Message-Id and a Date of its own; the rest is the same.
            bodies = {mail.content.partition(b"\n\n")[2] for mail in came}
            equal(len(bodies), 1, "how many bodies there are")
            body = bodies.pop()
            on_the_wire = len(body) + body.count(b"\n")
            expect(abs(on_the_wire - length) < 500, f"a body of about {length} bytes", on_the_wire)
            for mail in came:
                mail.is_well_formed(single=True)
                equal(mail.received["proto"], proto, "the protocol in Received")
            equal(office.unfinished(), [], "what is left in tmp")

    for sessions in [1, 10, 50]:
        for length in [4096, 1 << 20]:
            messages = 200 if length == 4096 else 2 * sessions
            for disconnect in [[], ["-d"]]:
                shown = ", connections kept" if disconnect else ", a connection each"
                load(
                    f"{sessions} sessions, {messages} messages of {length} bytes{shown}",
                    office.smtp,
                    messages,
                    "-s",
                    sessions,
                    *disconnect,
                    length=length,
                )
    load("LMTP, 10 sessions", office.lmtp, 100, "-s", 10, "-L", proto="LMTP")
    load("LMTP, connections kept", office.lmtp, 100, "-s", 10, "-d", "-L", proto="LMTP")

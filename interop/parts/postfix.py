"""smtp-send against a private Postfix with TLS and Dovecot's SASL; and that Postfix as a client of postoffice."""

from lib.checks import check, equal, expect
from lib.dovecot import Dovecot
from lib.office import USERS, Office, eventually
from lib.postfix import Postfix
from lib.samples import PLAIN, SAMPLES, lf
from lib.smtp_send import CONFIG, DATAERR, NOPERM, NOUSER, PROTOCOL, TEMPFAIL, UNAVAILABLE, smtp_send
from lib.wire import b64

# Where the empty line is missing Postfix puts it there.
CONTENTS = {name: content for name, content in SAMPLES.items() if name != "no empty line"}


def run(setting):
    dovecot = Dovecot(setting)
    # Names of their own, so that Postfix does not deliver them itself.
    office = Office(setting, "behind-postfix")
    routes = {
        "other.test": f"smtp:[127.0.0.1]:{office.smtp}",
        "lmtp.test": f"lmtp:inet:127.0.0.1:{office.lmtp}",
    }
    postfix = Postfix(setting, dovecot.auth_socket, routes)
    try:
        sending(setting, postfix)
        logging_in(setting, postfix)
        refusals(setting, postfix)
        relayed(setting, postfix, office)
    finally:
        postfix.stop()
        office.stop()
        dovecot.stop()


def came_whole(postfix, mark, content, users=("alice",)):
    """What Postfix delivered must end with the content as it was sent."""
    came = postfix.arrives(mark, len(users))
    equal([user for user, _ in came], sorted(users), "who got mail")
    for _, raw in came:
        expect(raw.endswith(b"\n" + lf(content)), "the content as it was sent", raw[-300:])
        equal(raw.split(b"\n")[0], b"Return-Path: <sender@example.com>", "the first line")


def sending(setting, postfix):
    ca = ["--ca-file", setting.certificates.ca]
    for name, port, arguments in [
        ("without TLS", postfix.smtp, ["--tls", "never"]),
        ("--tls try", postfix.smtp, ["--tls", "try"]),
        ("--tls require", postfix.smtp, ["--tls", "require", *ca]),
        ("--tls require, without pipelining", postfix.smtp, ["--tls", "require", "--no-pipelining", *ca]),
        ("by BDAT", postfix.smtp, ["--tls", "never", "--chunking", "always"]),
        ("by DATA", postfix.smtp, ["--tls", "never", "--chunking", "never"]),
    ]:
        with check(f"smtp-send to Postfix {name}: content of all kinds arrives as it is"):
            for content in CONTENTS.values():
                mark = postfix.files()
                smtp_send(setting, port, *arguments, content=content)
                came_whole(postfix, mark, content)
    with check("smtp-send to Postfix: several recipients"):
        mark = postfix.files()
        smtp_send(setting, postfix.smtp, content=PLAIN, to=[f"{user}@example.test" for user in USERS])
        came_whole(postfix, mark, PLAIN, list(USERS))
    with check("smtp-send to Postfix: --count 200 --connections 10"):
        mark = postfix.files()
        smtp_send(setting, postfix.smtp, "--count", "200", "--connections", "10", content=PLAIN, quiet=True)
        equal(len(postfix.arrives(mark, 200)), 200, "the messages")


def logging_in(setting, postfix):
    ca = ["--ca-file", setting.certificates.ca]
    for user, word in [("alice", USERS["alice"]), ("bob@example.test", USERS["bob"])]:
        secret = setting.scratch / "password"
        secret.write_text(f"{word}\n")
        login = ["--user", user, "--password-file", secret, *ca]
        for mechanism in [None, "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]:
            arguments = login + (["--auth", mechanism] if mechanism else [])
            for way, port in [("require", postfix.submission), ("implicit", postfix.submissions)]:
                with check(
                    f"smtp-send to Postfix: --tls {way}, {user}, {mechanism or 'the strongest mechanism'}"
                ):
                    mark = postfix.files()
                    text = smtp_send(setting, port, "--tls", way, *arguments, content=PLAIN)
                    came_whole(postfix, mark, PLAIN)
                    expect(word not in text and b64(word) not in text, "no password in the transcript", text)
                    expect(
                        f"AUTH {mechanism or 'SCRAM-SHA-256'}" in text,
                        "the mechanism in the transcript",
                        text,
                    )
    wrong = setting.scratch / "wrong-password"
    wrong.write_text("wrong\n")
    for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]:
        with check(f"smtp-send to Postfix: {mechanism}, wrong password: 77, and nothing is sent"):
            mark = postfix.files()
            arguments = [
                "--tls",
                "require",
                "--user",
                "alice",
                "--password-file",
                wrong,
                "--auth",
                mechanism,
                *ca,
            ]
            smtp_send(setting, postfix.submission, *arguments, content=PLAIN, code=NOPERM)
            equal(postfix.files() - mark, set(), "what came")
    with check("smtp-send to Postfix: no mechanism in common: 78"):
        secret = setting.scratch / "password"
        arguments = [
            "--tls",
            "require",
            "--user",
            "alice",
            "--password-file",
            secret,
            "--auth",
            "XOAUTH2",
            *ca,
        ]
        smtp_send(setting, postfix.submission, *arguments, content=PLAIN, code=CONFIG)


def refusals(setting, postfix):
    ca = ["--ca-file", setting.certificates.ca]
    rows = [
        ("an unknown user: 67", postfix.smtp, [], ["nobody@example.test"], PLAIN, NOUSER),
        ("relaying: 69", postfix.smtp, [], ["user@remote.example"], PLAIN, UNAVAILABLE),
        ("a user who is put off: 75", postfix.smtp, [], ["later@example.test"], PLAIN, TEMPFAIL),
        (
            "TLS where Postfix requires it and we will not: 69",
            postfix.submission,
            ["--tls", "never"],
            ["alice@example.test"],
            PLAIN,
            UNAVAILABLE,
        ),
        (
            "no login where Postfix requires one: 69",
            postfix.submission,
            ["--tls", "require", *ca],
            ["alice@example.test"],
            PLAIN,
            UNAVAILABLE,
        ),
        (
            "a certificate that is not trusted: 76",
            postfix.smtp,
            ["--tls", "require", "--ca-file", setting.certificates.other_ca],
            ["alice@example.test"],
            PLAIN,
            PROTOCOL,
        ),
        (
            "a certificate for another name: 76",
            postfix.smtp,
            ["--tls", "require", "--tls-name", "other.example", *ca],
            ["alice@example.test"],
            PLAIN,
            PROTOCOL,
        ),
        (
            "a message over the announced SIZE: 65",
            postfix.smtp,
            [],
            ["alice@example.test"],
            b"Subject: x\r\n\r\n" + b"y" * 21_000_000,
            DATAERR,
        ),
    ]
    for name, port, arguments, to, content, code in rows:
        with check(f"smtp-send to Postfix: {name}"):
            mark = postfix.files()
            smtp_send(setting, port, *arguments, content=content, to=to, code=code)
            equal(postfix.files() - mark, set(), "what came")
    with check("smtp-send to Postfix: one unknown user among others: 67, the others have it"):
        mark = postfix.files()
        smtp_send(
            setting,
            postfix.smtp,
            content=PLAIN,
            to=["alice@example.test", "nobody@example.test", "bob@example.test"],
            code=NOUSER,
        )
        came_whole(postfix, mark, PLAIN, ["alice", "bob"])


def relayed(setting, postfix, office):
    """Postfix as a client of postoffice, by smtp(8) and lmtp(8)."""

    def arrives(mark, content, users, proto):
        eventually(lambda: len(office.mails() - mark) >= len(users), f"{len(users)} messages from Postfix")
        came = office.arrived(mark)
        equal([mail.user for mail in came], sorted(users), "who got mail")
        for mail in came:
            equal(mail.received["proto"], proto, "the protocol in Received")
            equal(mail.received["hello"], "relay.example.net", "the client in Received")
            expect(
                mail.content.endswith(b"\n" + lf(content)), "the content as it was sent", mail.content[-300:]
            )

    for client, domain, proto in [("smtp(8)", "other.test", "ESMTPS"), ("lmtp(8)", "lmtp.test", "LMTPS")]:
        with check(f"Postfix's {client} to postoffice, with TLS: content of all kinds arrives as it is"):
            for content in CONTENTS.values():
                mark = office.mark()
                postfix.submit(lf(content), "sender@example.com", [f"alice@{domain}"])
                arrives(mark, content, ["alice"], proto)
    with check("Postfix's lmtp(8) to postoffice: several recipients, one of them unknown"):
        mark = office.mark()
        postfix.submit(
            lf(PLAIN), "<>", ["alice@lmtp.test", "bob@lmtp.test", "nobody@lmtp.test", "carol@lmtp.test"]
        )
        arrives(mark, PLAIN, ["alice", "bob", "carol"], "LMTPS")
    with check("Postfix's smtp(8) to postoffice: 1 MiB to several recipients"):
        mark = office.mark()
        postfix.submit(lf(SAMPLES["one MiB"]), "sender@example.com", [f"{user}@other.test" for user in USERS])
        arrives(mark, SAMPLES["one MiB"], list(USERS), "ESMTPS")
    with check("Postfix's smtp(8) to postoffice: a user that there is none of is bounced"):
        mark = office.mark()
        postfix.submit(lf(PLAIN), "alice@other.test", ["nobody@other.test", "bob@other.test"])
        eventually(lambda: len(office.mails() - mark) >= 2, "the message and the bounce")
        bounce, mail = office.arrived(mark)
        equal((bounce.user, bounce.sender, mail.user), ("alice", "<>", "bob"), "the bounce and the message")
        expect(b"550 5.1.1" in bounce.content, "550 5.1.1 in the bounce", bounce.content)
    with check("Postfix's smtp(8) to postoffice: 40 messages at a time"):
        mark = office.mark()
        for _ in range(40):
            postfix.submit(lf(PLAIN), "sender@example.com", ["carol@other.test"])
        arrives(mark, PLAIN, ["carol"] * 40, "ESMTPS")

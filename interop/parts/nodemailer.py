"""nodemailer: pools, TLS of all kinds, each login, raw messages and DSN parameters. Its script is nodemailer.mjs."""

import email
import json
import os
from pathlib import Path

from lib.checks import check, equal, expect
from lib.children import run_ok
from lib.office import USERS
from lib.samples import NO_FINAL_NEWLINE, PLAIN, SAMPLES

SCRIPT = Path(__file__).with_suffix(".mjs")


def run(setting):
    office = setting.office
    folder = setting.folder("nodemailer")
    entry = setting.node_modules / "nodemailer"

    def send(transport, mails):
        """Sends mails; for each the answer of nodemailer, or its error."""
        order = folder / "order.json"
        base = {"host": "127.0.0.1", "name": "client.example.com", "tls": {"servername": "mail.example.test"}}
        outcome = folder / "outcome.json"
        order.write_text(
            json.dumps(
                {
                    "nodemailer": str(entry),
                    "outcome": str(outcome),
                    "transport": {**base, **transport},
                    "mails": mails,
                }
            )
        )
        environment = {**os.environ, "NODE_EXTRA_CA_CERTS": str(setting.certificates.ca)}
        run_ok(["node", SCRIPT, order], env=environment)
        return json.loads(outcome.read_text())

    def raw(content, to=("alice@example.test",)):
        (folder / "raw").write_bytes(content)
        return {
            "envelope": {"from": "sender@example.com", "to": list(to)},
            "raw": {"path": str(folder / "raw")},
        }

    def delivers(name, port, mail, content=None, users=("alice",), proto="ESMTPS", **transport):
        with check(f"nodemailer {name}"):
            mark = office.mark()
            (answer,) = send({"port": port, **transport}, [mail])
            expect("response" in answer and answer["response"].startswith("250 "), "250", answer)
            return office.arrives(mark, content, users, proto=proto, hello="client.example.com")

    def refused(name, port, mail, code, response, **transport):
        with check(f"nodemailer {name}"):
            mark = office.mark()
            (answer,) = send({"port": port, **transport}, [mail])
            equal(answer.get("code"), code, "the kind of error")
            expect(response is None or answer.get("response", "").startswith(response), response, answer)
            office.nothing_arrives(mark)

    delivers("opportunistic STARTTLS", office.smtp, raw(PLAIN), PLAIN)
    delivers("ignoreTLS", office.smtp, raw(PLAIN), PLAIN, proto="ESMTP", ignoreTLS=True)
    delivers("requireTLS", office.smtp, raw(PLAIN), PLAIN, requireTLS=True)
    for name, content in SAMPLES.items():
        if name != "no empty line":
            delivers(f"raw message: {name}", office.smtp, raw(content), content)
    delivers(
        "raw message whose last line has no end",
        office.smtp,
        raw(NO_FINAL_NEWLINE),
        NO_FINAL_NEWLINE + b"\r\n",
    )
    delivers(
        "LMTP",
        office.lmtp,
        raw(PLAIN, ["alice@example.test", "carol@example.test"]),
        PLAIN,
        ["alice", "carol"],
        proto="LMTP",
        lmtp=True,
        ignoreTLS=True,
    )
    for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5"]:
        alice = {"user": "alice", "pass": USERS["alice"]}
        delivers(
            f"STARTTLS, AUTH {mechanism}",
            office.submission,
            raw(PLAIN),
            PLAIN,
            proto="ESMTPSA",
            auth=alice,
            authMethod=mechanism,
            requireTLS=True,
        )
        delivers(
            f"secure, AUTH {mechanism}",
            office.submissions,
            raw(PLAIN),
            PLAIN,
            proto="ESMTPSA",
            auth=alice,
            authMethod=mechanism,
            secure=True,
        )
        refused(
            f"AUTH {mechanism}, wrong password",
            office.submissions,
            raw(PLAIN),
            "EAUTH",
            "535 5.7.8",
            auth={"user": "alice", "pass": "wrong"},
            authMethod=mechanism,
            secure=True,
        )
    refused(
        "AUTH XOAUTH2 is not offered",
        office.submissions,
        raw(PLAIN),
        "EAUTH",
        "504 5.5.4",
        auth={"type": "OAuth2", "user": "alice", "accessToken": "token"},
        secure=True,
    )
    delivers(
        "a password with a space and UTF-8",
        office.submissions,
        raw(PLAIN),
        PLAIN,
        proto="ESMTPSA",
        secure=True,
        auth={"user": "bob", "pass": USERS["bob"]},
    )
    delivers(
        "DSN options where DSN is not offered",
        office.smtp,
        {
            **raw(PLAIN),
            "dsn": {
                "id": "x1",
                "return": "headers",
                "notify": ["failure", "delay"],
                "recipient": "s@example.com",
            },
        },
        PLAIN,
    )
    with check("nodemailer a composed message with an attachment"):
        mark = office.mark()
        mail = {
            "from": "Sender <sender@example.com>",
            "to": "alice@example.test",
            "subject": "Grüße",
            "text": ".\n..\nhi\n",
            "attachments": [{"filename": "a.txt", "content": "x" * 5000}],
        }
        (answer,) = send({"port": office.smtp}, [mail])
        expect("response" in answer, "an answer", answer)
        (came,) = office.arrives(mark, sender="sender@example.com")
        parts = [
            part.get_payload(decode=True) for part in email.message_from_bytes(came.content).get_payload()
        ]
        equal(parts, [b".\n..\nhi\n", b"x" * 5000], "the parts of the message")
    with check("nodemailer a pool: 60 messages over 5 connections"):
        mark = office.mark()
        answers = send(
            {
                "port": office.submissions,
                "secure": True,
                "pool": True,
                "maxConnections": 5,
                "maxMessages": 7,
                "auth": {"user": "alice", "pass": USERS["alice"]},
            },
            [raw(PLAIN)] * 60,
        )
        equal([answer for answer in answers if "response" not in answer], [], "the failures")
        office.arrives(mark, PLAIN, ["alice"] * 60, proto="ESMTPSA")
    with check("nodemailer one unknown user among others"):
        mark = office.mark()
        (answer,) = send(
            {"port": office.smtp},
            [raw(PLAIN, ["alice@example.test", "nobody@example.test", "bob@example.test"])],
        )
        equal(answer["rejected"], ["nobody@example.test"], "the rejected")
        office.arrives(mark, PLAIN, ["alice", "bob"])
    refused("unknown user", office.smtp, raw(PLAIN, ["nobody@example.test"]), "EENVELOPE", "550 5.1.1")
    refused("relaying", office.smtp, raw(PLAIN, ["user@remote.example"]), "EENVELOPE", "550 5.7.1")
    refused(
        "relaying after AUTH",
        office.submissions,
        raw(PLAIN, ["user@remote.example"]),
        "EENVELOPE",
        "550 5.7.1",
        secure=True,
        auth={"user": "alice", "pass": USERS["alice"]},
    )
    refused("submission without TLS", office.submission, raw(PLAIN), "EENVELOPE", "530 5.7.0", ignoreTLS=True)
    refused("submission without AUTH", office.submissions, raw(PLAIN), "EENVELOPE", "530 5.7.0", secure=True)

"""Raw bytes on a socket: what is sent around STARTTLS (section K) and AUTH (section L)."""

import base64
import hashlib
import hmac
import ssl

from lib.attack import delivered
from lib.checks import check, equal, expect
from lib.office import USERS
from lib.samples import PLAIN
from lib.wire import Wire, b64, trusting


def run(setting):
    office, context = setting.office, trusting(setting.certificates.ca)
    starttls(office, context)
    logins(office, context)


def starttls(office, context):
    with check("K what is sent behind STARTTLS in one write is not obeyed under TLS"):
        with Wire(office.smtp) as wire:
            wire.hello()
            wire.send(b"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@example.com>\r\nNOOP\r\n")
            wire.expect("220")
            wire.upgrade(context)
            wire.cmd("MAIL FROM:<a@x>", "503 5.5.1")
            wire.is_silent(0.3)
    with check("K MAIL, then STARTTLS: refused, or all forgotten"), Wire(office.smtp) as wire:
        wire.hello()
        wire.cmd("MAIL FROM:<a@x>", "250")
        wire.cmd("STARTTLS", "503 5.5.1")
    with check("K under TLS all is to be said again, and STARTTLS is not offered"), Wire(office.smtp) as wire:
        expect("STARTTLS" in wire.hello(), "STARTTLS", "none")
        wire.cmd("AUTH CRAM-MD5", "334")
        wire.cmd("*", "501 5.7.0")
        wire.starttls(context)
        wire.cmd("RCPT TO:<alice@example.test>", "503 5.5.1")
        offered = wire.hello()
        expect("STARTTLS" not in offered and "AUTH" in offered, "AUTH and no STARTTLS", offered)
        wire.cmd("STARTTLS", "503 5.5.1")
        delivered(office, wire, PLAIN)
    with check("K who was logged in before STARTTLS is not so after it"), Wire(office.submission) as wire:
        wire.hello()
        challenge = wire.cmd("AUTH CRAM-MD5", "334").lines[0]
        digest = hmac.new(USERS["alice"].encode(), base64.b64decode(challenge), hashlib.md5).hexdigest()
        wire.cmd(b64(f"alice {digest}"), "235")
        wire.starttls(context)
        wire.hello()
        wire.cmd("MAIL FROM:<a@x>", "530 5.7.0")
    with check("K plain text where TLS is expected closes the connection"), Wire(office.smtp) as wire:
        wire.hello()
        wire.cmd("STARTTLS", "220")
        wire.send(b"EHLO x\r\n" * 10)
        while wire._read():
            pass
    with check("K plain text on the port for TLS closes the connection"):
        with Wire(office.submissions, greeted=False) as wire:
            wire.send(b"EHLO x\r\n" * 10)
            while wire._read():
                pass
        with Wire(office.submissions, tls=context) as wire:
            wire.hello()
    with check("K TLS 1.1 and older are refused"):
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        try:
            Wire(office.submissions, tls=old, greeted=False).close()
        except ssl.SSLError:
            pass
        else:
            expect(False, "the handshake to fail", "a connection")


def logins(office, context):
    word = USERS["alice"]
    plain = b64(f"\0alice\0{word}")
    rows = [
        ("PLAIN before TLS", office.submission, None, [(f"AUTH PLAIN {plain}", "538 5.7.11|503|504")]),
        ("an unknown mechanism", office.submissions, context, [("AUTH FOO", "504 5.5.4")]),
        ("XOAUTH2", office.submissions, context, [("AUTH XOAUTH2 eA==", "504 5.5.4")]),
        ("OAUTHBEARER", office.submissions, context, [("AUTH OAUTHBEARER eA==", "504 5.5.4")]),
        ("ANONYMOUS", office.submissions, context, [("AUTH ANONYMOUS eA==", "504 5.5.4")]),
        ("EXTERNAL", office.submissions, context, [("AUTH EXTERNAL =", "504 5.5.4")]),
        ("AUTH without a mechanism", office.submissions, context, [("AUTH", "501 5.5.4")]),
        (
            "bad base64",
            office.submissions,
            context,
            [("AUTH PLAIN !!!!", "501 5.5.2"), ("AUTH PLAIN", "334"), ("a=b", "501 5.5.2")],
        ),
        (
            "base64 without its padding",
            office.submissions,
            context,
            [(f"AUTH PLAIN {plain.rstrip('=')}", "501 5.5.2")],
        ),
        (
            "a cancel",
            office.submissions,
            context,
            [("AUTH PLAIN", "334"), ("*", "501 5.7.0"), ("AUTH LOGIN", "334"), ("*", "501 5.7.0")],
        ),
        (
            "a response of 13,000 bytes",
            office.submissions,
            context,
            [("AUTH PLAIN", "334"), ("A" * 13000, "500 5.5.6")],
        ),
        (
            "an initial response of 13,000 bytes",
            office.submissions,
            context,
            [("AUTH PLAIN " + "A" * 13000, "500")],
        ),
        (
            "PLAIN with an empty password",
            office.submissions,
            context,
            [(f"AUTH PLAIN {b64(chr(0) + 'alice' + chr(0))}", "501 5.5.2|535 5.7.8")],
        ),
        (
            "PLAIN with four parts",
            office.submissions,
            context,
            [(f"AUTH PLAIN {b64(chr(0).join(['', 'alice', word, 'x']))}", "501 5.5.2|535 5.7.8")],
        ),
        (
            "PLAIN as somebody else",
            office.submissions,
            context,
            [(f"AUTH PLAIN {b64(chr(0).join(['bob', 'alice', word]))}", "535 5.7.8")],
        ),
        (
            "PLAIN that is not UTF-8",
            office.submissions,
            context,
            [("AUTH PLAIN " + b64(b"\0\xff\0secret"), "501 5.5.2|535 5.7.8")],
        ),
        (
            "SCRAM with nonsense",
            office.submissions,
            context,
            [("AUTH SCRAM-SHA-256", "334"), (b64("n,,n=alice"), "501 5.5.2|535 5.7.8")],
        ),
        (
            "a second AUTH",
            office.submissions,
            context,
            [(f"AUTH PLAIN {plain}", "235"), (f"AUTH PLAIN {plain}", "503 5.5.1")],
        ),
        (
            "MAIL before AUTH",
            office.submissions,
            context,
            [("MAIL FROM:<a@x>", "530 5.7.0"), ("VRFY alice", "530 5.7.0")],
        ),
        ("MAIL before TLS and AUTH", office.submission, None, [("MAIL FROM:<a@x>", "530 5.7.0")]),
        ("AUTH on LMTP, which offers none", office.lmtp, None, [(f"AUTH PLAIN {plain}", "503 5.5.1")]),
    ]
    for name, port, tls, dialogue in rows:
        with check(f"L {name}"), Wire(port, tls=tls) as wire:
            wire.hello("LHLO" if port == office.lmtp else "EHLO")
            for line, wanted in dialogue:
                wire.cmd(line, wanted)
            wire.cmd("NOOP", "250")
    with (
        check("L a mechanism in the wrong letter case is the same"),
        Wire(office.submissions, tls=context) as wire,
    ):
        wire.hello()
        wire.cmd(f"auth plain {plain}", "235")
    with check("L an unknown user and a wrong password are answered alike"):
        answers = []
        for user in ["alice", "nobody"]:
            with Wire(office.submissions, tls=context) as wire:
                wire.hello()
                answers.append(str(wire.auth_plain(user, "wrong", "535 5.7.8")))
        equal(answers[0], answers[1], "the reply")
    with check("L no AUTH of readable passwords is offered without TLS"):
        for port in [office.smtp, office.submission]:
            with Wire(port) as wire:
                offered = wire.hello().get("AUTH", "").split()
                expect(not {"PLAIN", "LOGIN"} & set(offered), "neither PLAIN nor LOGIN", offered)

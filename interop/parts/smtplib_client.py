"""Python's smtplib: each login, STARTTLS, SMTP_SSL, LMTP, SMTPUTF8, 8BITMIME."""

import smtplib
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8

from lib.checks import check, equal, expect, note
from lib.office import USERS
from lib.samples import NO_FINAL_NEWLINE, PLAIN, SAMPLES, message
from lib.wire import trusting


class _Noting:
    """Writes its dialogue to the transcript."""

    def _print_debug(self, *arguments):
        note(" ".join(str(part) for part in arguments)[:200])


class Smtp(_Noting, smtplib.SMTP):
    """Plain, or STARTTLS."""


class SmtpTls(_Noting, smtplib.SMTP_SSL):
    """TLS from the first byte."""


class Lmtp(_Noting, smtplib.LMTP):
    """LMTP over TCP."""


def run(setting):
    office = setting.office
    context = trusting(setting.certificates.ca)
    name = "client.example.com"
    one = ["alice@example.test"]

    def connect(kind, port, **options):
        client = kind("localhost", port, name, timeout=20, **options)
        client.set_debuglevel(1)
        return client

    def refusal(code, enhanced, act):
        try:
            act()
        except smtplib.SMTPRecipientsRefused as error:
            answers = list(error.recipients.values())
        except smtplib.SMTPResponseException as error:
            answers = [(error.smtp_code, error.smtp_error)]
        else:
            answers = [("no error", b"")]
        for found, text in answers:
            equal((found, text.split(b" ")[0].decode()), (code, enhanced), "the refusal")

    for kind, port, proto in [(Smtp, office.smtp, "ESMTP"), (Lmtp, office.lmtp, "LMTP")]:
        with (
            check(f"smtplib {proto}: all kinds of messages on one connection"),
            connect(kind, port) as client,
        ):
            for content in SAMPLES.values():
                mark = office.mark()
                equal(client.sendmail("sender@example.com", one, content), {}, "the refused")
                office.arrives(mark, content, proto=proto, sender="sender@example.com", hello=name)
    with check("smtplib a message whose last line has no end"), connect(Smtp, office.smtp) as client:
        mark = office.mark()
        client.sendmail("sender@example.com", one, NO_FINAL_NEWLINE)
        office.arrives(mark, NO_FINAL_NEWLINE + b"\r\n")
    with check("smtplib the null sender"), connect(Smtp, office.smtp) as client:
        mark = office.mark()
        client.sendmail("<>", one, PLAIN)
        office.arrives(mark, PLAIN, sender="")
    with check("smtplib STARTTLS"), connect(Smtp, office.smtp) as client:
        mark = office.mark()
        client.starttls(context=context)
        client.sendmail("sender@example.com", one, PLAIN)
        office.arrives(mark, PLAIN, proto="ESMTPS")
    with check("smtplib LMTP with STARTTLS"), connect(Lmtp, office.lmtp) as client:
        mark = office.mark()
        client.starttls(context=context)
        client.sendmail("sender@example.com", one, PLAIN)
        office.arrives(mark, PLAIN, proto="LMTPS")

    for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5"]:
        how = "auth_" + mechanism.lower().replace("-", "_")
        for with_ir in [True, False]:
            shown = "with" if with_ir else "without"
            for kind in [Smtp, SmtpTls]:
                way = "SMTP_SSL" if kind is SmtpTls else "STARTTLS"
                with check(f"smtplib {way}, AUTH {mechanism} {shown} initial response"):
                    options = {"context": context} if kind is SmtpTls else {}
                    port = office.submissions if kind is SmtpTls else office.submission
                    with connect(kind, port, **options) as client:
                        if kind is Smtp:
                            client.starttls(context=context)
                        client.ehlo()
                        mark = office.mark()
                        client.user, client.password = "alice@example.test", USERS["alice"]
                        equal(
                            client.auth(mechanism, getattr(client, how), initial_response_ok=with_ir)[0],
                            235,
                            "the reply",
                        )
                        client.sendmail("sender@example.com", one, PLAIN)
                        office.arrives(mark, PLAIN, proto="ESMTPSA")
        with (
            check(f"smtplib AUTH {mechanism}, wrong password"),
            connect(SmtpTls, office.submissions, context=context) as client,
        ):
            client.ehlo()
            client.user, client.password = "alice", "wrong"
            refusal(535, "5.7.8", lambda: client.auth(mechanism, getattr(client, how)))
            client.password = USERS["alice"]
            equal(client.auth(mechanism, getattr(client, how))[0], 235, "the reply to the second try")
    with check("smtplib login() chooses a mechanism"), connect(Smtp, office.smtp) as client:
        mark = office.mark()
        client.login("alice", USERS["alice"])
        client.sendmail("sender@example.com", one, PLAIN)
        office.arrives(mark, PLAIN, proto="ESMTPA")

    with check("smtplib SMTPUTF8: addresses and header"), connect(Smtp, office.smtp) as client:
        mark = office.mark()
        mail = EmailMessage(policy=SMTPUTF8)
        mail["From"] = Address("Müller", "müller", "bücher.example")
        mail["To"] = "alice@example.test"
        mail["Subject"] = "Grüße 你好"
        mail.set_content("ü\n", cte="8bit")
        client.send_message(mail)
        (came,) = office.arrives(mark, mail.as_bytes(), proto="UTF8SMTP")
        equal(came.sender, "<müller@bücher.example>", "Return-Path")
    with check("smtplib SMTPUTF8 to a user that there is none of"), connect(Smtp, office.smtp) as client:
        refusal(
            550,
            "5.1.1",
            lambda: client.sendmail(
                "sender@example.com",
                ["jürgen@example.test"],
                PLAIN,
                mail_options=["SMTPUTF8", "BODY=8BITMIME"],
            ),
        )
    with check("smtplib BODY=8BITMIME and SIZE"), connect(Smtp, office.smtp) as client:
        content = message("8bit", "Grüße\r\n".encode())
        mark = office.mark()
        client.sendmail("sender@example.com", one, content, mail_options=["BODY=8BITMIME"])
        office.arrives(mark, content)
    with check("smtplib a MIME message with attachments"), connect(Smtp, office.smtp) as client:
        mail = EmailMessage(policy=SMTP)
        mail["From"], mail["To"], mail["Subject"] = "sender@example.com", one[0], "attached"
        mail.set_content("see there\n.\n")
        mail.add_attachment(
            bytes(range(256)) * 500, maintype="application", subtype="octet-stream", filename="all.bin"
        )
        mail.set_boundary("=====")
        mark = office.mark()
        client.send_message(mail)
        office.arrives(mark, mail.as_bytes())

    with check("smtplib several recipients, one refused"), connect(Smtp, office.smtp) as client:
        mark = office.mark()
        refused = client.sendmail(
            "sender@example.com", ["alice@example.test", "nobody@example.test", "bob@other.test"], PLAIN
        )
        equal({to: code for to, (code, _) in refused.items()}, {"nobody@example.test": 550}, "the refused")
        office.arrives(mark, PLAIN, ["alice", "bob"])
    with check("smtplib LMTP answers for each recipient"), connect(Lmtp, office.lmtp) as client:
        mark = office.mark()
        client.ehlo()
        client.mail("sender@example.com")
        for to in ["alice", "bob", "carol"]:
            equal(client.rcpt(f"{to}@example.test")[0], 250, "the reply to RCPT")
        equal(client.rcpt("nobody@example.test")[0], 550, "the reply to RCPT")
        equal(client.data(PLAIN)[0], 250, "the first reply")
        for _ in range(2):
            equal(client.getreply()[0], 250, "each further reply")
        equal(client.noop()[0], 250, "the reply to NOOP")
        office.arrives(mark, PLAIN, ["alice", "bob", "carol"])
    with check("smtplib unknown user, relaying, relaying after AUTH"), connect(Smtp, office.smtp) as client:
        mark = office.mark()
        refusal(550, "5.1.1", lambda: client.sendmail("sender@example.com", ["nobody@example.test"], PLAIN))
        refusal(550, "5.7.1", lambda: client.sendmail("sender@example.com", ["user@remote.example"], PLAIN))
        client.login("alice", USERS["alice"])
        refusal(550, "5.7.1", lambda: client.sendmail("sender@example.com", ["user@remote.example"], PLAIN))
        office.nothing_arrives(mark)
    with check("smtplib submission without TLS, without AUTH"), connect(Smtp, office.submission) as client:
        mark = office.mark()
        refusal(530, "5.7.0", lambda: client.sendmail("sender@example.com", one, PLAIN))
        client.starttls(context=context)
        refusal(530, "5.7.0", lambda: client.sendmail("sender@example.com", one, PLAIN))
        office.nothing_arrives(mark)
    with check("smtplib VRFY, EXPN, HELP, NOOP, RSET, QUIT"), connect(Smtp, office.smtp) as client:
        client.ehlo()
        equal(client.verify("alice@example.test")[0], 252, "VRFY")
        equal(client.expn("staff")[0], 502, "EXPN")
        expect(b"RFC 5321" in client.help(), "HELP that names the RFC", "none")
        equal((client.noop()[0], client.rset()[0], client.quit()[0]), (250, 250, 221), "NOOP, RSET, QUIT")

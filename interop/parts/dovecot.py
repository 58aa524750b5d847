"""smtp-send against a private Dovecot's LMTP: exact content, and a result for each recipient."""

from lib.checks import check, equal, expect
from lib.dovecot import Dovecot
from lib.samples import PLAIN, SAMPLES, lf
from lib.smtp_send import NOUSER, TEMPFAIL, UNAVAILABLE, smtp_send


def run(setting):
    dovecot = Dovecot(setting)
    everybody = ["alice@example.test", "bob@example.test", "carol@example.test"]
    try:
        for name, arguments in [
            ("LMTP", []),
            ("LMTP with BDAT", ["--chunking", "always"]),
            ("LMTP by DATA", ["--chunking", "never"]),
            ("LMTP without pipelining", ["--no-pipelining"]),
            ("LMTP over STARTTLS", ["--tls", "require", "--ca-file", setting.certificates.ca]),
        ]:
            with check(f"smtp-send {name} to Dovecot: content of all kinds arrives as it is"):
                for sample, content in SAMPLES.items():
                    mark = dovecot.mails()
                    smtp_send(setting, dovecot.lmtp_port, "--lmtp", *arguments, content=content)
                    ((user, came),) = dovecot.mails() - mark
                    expect(
                        came.endswith(lf(content)) and user == "alice",
                        f"'{sample}' as it was sent",
                        (user, came[-200:]),
                    )
                    head = came.removesuffix(lf(content))
                    equal(
                        head.startswith(b"Return-Path: <sender@example.com>\n"),
                        True,
                        "Dovecot's own fields before it",
                    )
        with check(
            "smtp-send --lmtp to several recipients, one of whom there is none of: 67, the others have it"
        ):
            mark = dovecot.mails()
            text = smtp_send(
                setting,
                dovecot.lmtp_port,
                "--lmtp",
                content=PLAIN,
                to=[*everybody, "nobody@example.test"],
                code=NOUSER,
            )
            equal(sorted(user for user, _ in dovecot.mails() - mark), ["alice", "bob", "carol"], "who got it")
            expect("accepted <alice@example.test>" in text, "a line for alice", text)
            expect("<nobody@example.test> refused: 550 5.1.1" in text, "a line for nobody", text)
        with check("smtp-send --lmtp, one of two over quota after the data: 69 or 75, the other has it"):
            mark = dovecot.mails()
            big = PLAIN + b"0123456789\r\n" * 2000
            text = smtp_send(
                setting,
                dovecot.lmtp_port,
                "--lmtp",
                content=big,
                to=["full@example.test", "alice@example.test"],
                code=(UNAVAILABLE, TEMPFAIL),
            )
            equal([user for user, _ in dovecot.mails() - mark], ["alice"], "who got it")
            expect(
                "accepted <alice@example.test>" in text and "<full@example.test> refused: 552 5.2.2" in text,
                "a line for each",
                text,
            )
        with check("smtp-send --lmtp --count 100 --connections 10"):
            mark = dovecot.files()
            smtp_send(
                setting,
                dovecot.lmtp_port,
                "--lmtp",
                "--count",
                "100",
                "--connections",
                "10",
                content=PLAIN,
                quiet=True,
            )
            equal(len(dovecot.files() - mark), 100, "messages for alice")
        with check("smtp-send --lmtp --user where no AUTH is offered: refused, and nothing is sent"):
            secret = setting.scratch / "dovecot-password"
            secret.write_text("secret\n")
            mark = dovecot.files()
            arguments = ["--tls", "never", "--user", "alice", "--password-file", secret]
            ran = smtp_send(
                setting, dovecot.lmtp_port, "--lmtp", *arguments, content=PLAIN, code=(78, 77, UNAVAILABLE)
            )
            equal(dovecot.files() - mark, set(), "what came")
            expect("secret" not in ran, "no password in the transcript", ran)
        with check("smtp-send without --lmtp to an LMTP server is told so"):
            smtp_send(setting, dovecot.lmtp_port, content=PLAIN, code=UNAVAILABLE)
    finally:
        dovecot.stop()

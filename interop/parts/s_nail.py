"""s-nail: mail as a person sends it from a terminal, through its SMTP client."""

import os

from lib.checks import check, equal, expect
from lib.children import run as run_program
from lib.office import USERS


def run(setting):
    office = setting.office

    def s_nail(url, *settings, to=("alice@example.test",), body="Hello\n", code=0, subject="s-nail"):
        argv = ["s-nail", "-:/", "-v", "-S", "v15-compat=yes", "-S", f"mta={url}", "-r", "sender@example.com"]
        argv += ["-S", "hostname=client.example.com", "-S", "ttycharset=utf-8"]
        argv += [
            "-S",
            "nosave",
            "-S",
            "sendwait",
            "-S",
            f"tls-ca-file={setting.certificates.ca}",
            "-S",
            "tls-verify=strict",
        ]
        for one in settings:
            argv += ["-S", one]
        ran = run_program([*argv, "-s", subject, *to], given=body.encode(), env=quiet_environment(setting))
        equal(ran.code != 0, code != 0, "failure of s-nail")
        return ran.text

    def delivers(
        name,
        url,
        *settings,
        proto=None,
        to=("alice@example.test",),
        body="Hello\n",
        contains=None,
        subject="s-nail",
    ):
        with check(f"s-nail {name}"):
            mark = office.mark()
            s_nail(url, *settings, to=to, body=body, subject=subject)
            users = [address.partition("@")[0] for address in to]
            mails = office.arrives(mark, None, users, "sender@example.com", proto)
            for mail in mails:
                header, _, content = mail.content.partition(b"\n\n")
                expect(b"Subject: " + subject.encode() in header, f"the subject {subject}", header)
                equal(content, (contains or body.encode()), "the body")

    def refused(name, url, answer, *settings, to=("alice@example.test",)):
        with check(f"s-nail {name}"):
            mark = office.mark()
            text = s_nail(url, *settings, to=to, code=1)
            expect(answer in text, answer, text)
            office.nothing_arrives(mark)

    # Without a login it says HELO, for which RFC 3848 has no form with TLS.
    word = USERS["alice"]
    delivers("plain", f"smtp://localhost:{office.smtp}", "smtp-auth=none", proto="SMTP")
    delivers(
        "STARTTLS", f"smtp://localhost:{office.smtp}", "smtp-auth=none", "smtp-use-starttls", proto="SMTP"
    )
    delivers(
        "several recipients",
        f"smtp://localhost:{office.smtp}",
        "smtp-auth=none",
        to=("alice@example.test", "bob@example.test", "carol@other.test"),
    )
    delivers(
        "dots at line starts",
        f"smtp://localhost:{office.smtp}",
        "smtp-auth=none",
        body=".\n..\n.dot\n\n. \nend\n",
    )
    delivers("an empty body", f"smtp://localhost:{office.smtp}", "smtp-auth=none", body="")
    delivers(
        "a line of UTF-8",
        f"smtp://localhost:{office.smtp}",
        "smtp-auth=none",
        "mime-encoding=8bit",
        body="Grüße 你好\n",
    )
    for mechanism in ["plain", "login", "cram-md5"]:
        delivers(
            f"submission with STARTTLS, AUTH {mechanism}",
            f"submission://alice:{word}@localhost:{office.submission}",
            f"smtp-auth={mechanism}",
            "smtp-use-starttls",
            proto="ESMTPSA",
        )
        delivers(
            f"submissions, AUTH {mechanism}",
            f"submissions://alice:{word}@localhost:{office.submissions}",
            f"smtp-auth={mechanism}",
            proto="ESMTPSA",
        )
        refused(
            f"AUTH {mechanism}, wrong password",
            f"submissions://alice:wrong@localhost:{office.submissions}",
            "535 5.7.8",
            f"smtp-auth={mechanism}",
        )
    delivers(
        "a password with a space and UTF-8",
        f"submissions://bob:pass%20word%2F%C3%A4@localhost:{office.submissions}",
        "smtp-auth=plain",
        proto="ESMTPSA",
    )
    refused(
        "unknown user",
        f"smtp://localhost:{office.smtp}",
        "550 5.1.1",
        "smtp-auth=none",
        to=("nobody@example.test",),
    )
    refused(
        "relaying",
        f"smtp://localhost:{office.smtp}",
        "550 5.7.1",
        "smtp-auth=none",
        to=("user@remote.example",),
    )
    refused(
        "submission without AUTH",
        f"submission://localhost:{office.submission}",
        "530 5.7.0",
        "smtp-auth=none",
        "smtp-use-starttls",
    )


def quiet_environment(setting):
    """A home folder without anybody's settings."""
    home = setting.scratch / "s-nail-home"
    home.mkdir(exist_ok=True)
    return {**os.environ, "HOME": str(home), "MAILRC": "/dev/null", "TMPDIR": str(home)}

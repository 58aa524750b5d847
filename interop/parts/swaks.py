"""swaks: plain, STARTTLS, TLS on connect, each AUTH mechanism it knows, pipelining, LMTP."""

import re

from lib.checks import check, equal, expect
from lib.children import run as run_program
from lib.office import USERS
from lib.samples import PLAIN, SAMPLES, lf
from lib.wire import stuffed

# Its exit codes.
REFUSED_MAIL, REFUSED_RCPT, REFUSED_AUTH, REFUSED_TLS = 23, 24, 28, 29


def run(setting):
    office = setting.office
    folder = setting.folder("swaks")

    def swaks(port, *arguments, content=PLAIN, to="alice@example.test", code=0, answer=None, file_holds=None):
        # It takes LF files and brings CRLF, dots and the last line's end by itself.
        file = folder / "message"
        file.write_bytes(file_holds or lf(content).removesuffix(b"\n"))
        argv = ["swaks", "--server", "127.0.0.1", "--port", port, "--to", to, "--from", "sender@example.com"]
        argv += ["--helo", "client.example.com", "--data", f"@{file}", "--timeout", "20s"]
        ran = run_program([*argv, *arguments])
        equal(ran.code, code, "the exit code of swaks")
        if answer:
            expect(re.search(rf"^<\S+ +{re.escape(answer)}", ran.text, re.M), f"the reply {answer}", ran.text)
        return ran.text

    def delivers(name, port, *arguments, content=PLAIN, to="alice@example.test", proto=None):
        with check(f"swaks {name}"):
            mark = office.mark()
            text = swaks(port, *arguments, content=content, to=to)
            users = [address.partition("@")[0] for address in to.split(",")]
            office.arrives(mark, content, users, "sender@example.com", proto, "client.example.com")
            return text

    def refused(name, port, code, answer, *arguments, to="alice@example.test"):
        with check(f"swaks {name}"):
            mark = office.mark()
            swaks(port, *arguments, to=to, code=code, answer=answer)
            office.nothing_arrives(mark)

    verified = ["--tls-verify", "--tls-ca-path", setting.certificates.ca]
    delivers("SMTP, as HELO", office.smtp, "--protocol", "SMTP", proto="SMTP")
    delivers("ESMTP", office.smtp, proto="ESMTP")
    delivers(
        "ESMTP with PIPELINING",
        office.smtp,
        "--pipeline",
        to="alice@example.test,bob@example.test,carol@example.test",
    )
    delivers("LMTP", office.lmtp, "--protocol", "LMTP", proto="LMTP")
    delivers("LMTP with STARTTLS", office.lmtp, "--protocol", "LMTP", "-tls", *verified, proto="LMTPS")
    delivers("LMTP to several", office.lmtp, "--protocol", "LMTP", to="alice@example.test,carol@example.test")
    delivers("STARTTLS", office.smtp, "-tls", *verified, proto="ESMTPS")
    delivers("STARTTLS with PIPELINING", office.smtp, "-tls", "--pipeline", *verified, proto="ESMTPS")
    delivers("over IPv4 with a domain of the second name", office.smtp, to="bob@OTHER.test")
    with check("swaks user+detail goes to the user"):
        mark = office.mark()
        swaks(office.smtp, to="alice+list@example.test")
        (mail,) = office.arrives(mark, PLAIN)
        equal(mail.to, "alice+list@example.test", "Delivered-To")
    with check("swaks postmaster without a domain"):
        mark = office.mark()
        swaks(office.smtp, to="postmaster")
        office.arrives(mark, PLAIN)

    for name, content in SAMPLES.items():
        if name == "no empty line" or content.endswith((b"\r\n\r\n", b"\r\n.\r\n")):
            # It would put an empty line there, or take the dot for the end.
            continue
        delivers(f"message: {name}", office.smtp, content=content)
    for name in ["no empty line", "no body", "a dot line first in the body", "a body of dots"]:
        with check(f"swaks message as it stands, --no-data-fixup: {name}"):
            mark = office.mark()
            swaks(office.smtp, "--no-data-fixup", file_holds=stuffed(SAMPLES[name]))
            office.arrives(mark, SAMPLES[name])

    user, word = "alice", USERS["alice"]
    for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5"]:
        login = ["--auth", mechanism, "--auth-user", user, "--auth-password", word]
        delivers(f"STARTTLS, AUTH {mechanism}", office.submission, "-tls", *verified, *login, proto="ESMTPSA")
        delivers(
            f"TLS on connect, AUTH {mechanism}",
            office.submissions,
            "-tlsc",
            *verified,
            *login,
            proto="ESMTPSA",
        )
        wrong = ["--auth", mechanism, "--auth-user", user, "--auth-password", "wrong"]
        refused(
            f"AUTH {mechanism}, wrong password",
            office.submissions,
            REFUSED_AUTH,
            "535 5.7.8",
            "-tlsc",
            *wrong,
        )
    delivers(
        "AUTH CRAM-MD5 without TLS, on the SMTP port",
        office.smtp,
        "--auth",
        "CRAM-MD5",
        "--auth-user",
        user,
        "--auth-password",
        word,
        proto="ESMTPA",
    )
    delivers(
        "AUTH of the strongest mechanism it knows, password with a space and UTF-8",
        office.submissions,
        "-tlsc",
        "--auth",
        "--auth-user",
        "bob@example.test",
        "--auth-password",
        USERS["bob"],
        proto="ESMTPSA",
    )
    for mechanism in ["PLAIN", "LOGIN"]:
        refused(
            f"AUTH {mechanism} without TLS is not offered",
            office.smtp,
            REFUSED_AUTH,
            None,
            "--auth",
            mechanism,
            "--auth-user",
            user,
            "--auth-password",
            word,
        )
    for mechanism in ["DIGEST-MD5", "CRAM-SHA1"]:
        refused(
            f"AUTH {mechanism} is not offered",
            office.submissions,
            REFUSED_AUTH,
            None,
            "-tlsc",
            "--auth",
            mechanism,
            "--auth-user",
            user,
            "--auth-password",
            word,
        )

    refused("submission without TLS", office.submission, REFUSED_MAIL, "530 5.7.0")
    refused("submission without AUTH", office.submissions, REFUSED_MAIL, "530 5.7.0", "-tlsc")
    refused("unknown user", office.smtp, REFUSED_RCPT, "550 5.1.1", to="nobody@example.test")
    refused(
        "unknown user by LMTP",
        office.lmtp,
        REFUSED_RCPT,
        "550 5.1.1",
        "--protocol",
        "LMTP",
        to="nobody@example.test",
    )
    refused("relaying", office.smtp, REFUSED_RCPT, "550 5.7.1", to="user@remote.example")
    refused(
        "relaying after AUTH",
        office.submissions,
        REFUSED_RCPT,
        "550 5.7.1",
        "-tlsc",
        "--auth",
        "PLAIN",
        "--auth-user",
        user,
        "--auth-password",
        word,
        to="user@remote.example",
    )
    refused(
        "a certificate that is not trusted",
        office.smtp,
        REFUSED_TLS,
        None,
        "-tls",
        "--tls-verify",
        "--tls-ca-path",
        setting.certificates.other_ca,
    )
    with check("swaks one unknown user among others"):
        mark = office.mark()
        text = swaks(
            office.smtp, "--pipeline", to="alice@example.test,nobody@example.test,carol@example.test"
        )
        expect("550 5.1.1" in text, "550 5.1.1", text)
        office.arrives(mark, PLAIN, ["alice", "carol"])

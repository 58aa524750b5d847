"""curl: smtp, smtps, STARTTLS, the SASL mechanisms of its build, uploads of all kinds."""

from lib.checks import check, equal, expect
from lib.children import run as run_program
from lib.office import USERS, Office
from lib.samples import PLAIN, SAMPLES, message

# Its exit codes.
COULD_NOT_USE_TLS, SEND_FAILED, REFUSED_LOGIN, BAD_CERTIFICATE = 64, 55, 67, 60


def run(setting):
    office = setting.office
    folder = setting.folder("curl")
    ca = ["--cacert", setting.certificates.ca]

    def curl(url, *arguments, content=PLAIN, to=("alice@example.test",), code=0):
        file = folder / "message"
        file.write_bytes(content)
        argv = ["curl", "--silent", "--show-error", "--verbose", "--max-time", 30, url, "--upload-file", file]
        argv += ["--mail-from", "sender@example.com"]
        for recipient in to:
            argv += ["--mail-rcpt", recipient]
        ran = run_program([*argv, *arguments])
        equal(ran.code, code, "the exit code of curl")
        return ran.text

    def smtp(port):
        return f"smtp://localhost:{port}/client.example.com"

    def smtps(port):
        return f"smtps://localhost:{port}/client.example.com"

    def delivers(name, url, *arguments, content=PLAIN, to=("alice@example.test",), proto=None):
        with check(f"curl {name}"):
            mark = office.mark()
            curl(url, *arguments, content=content, to=to)
            users = [address.partition("@")[0] for address in to]
            office.arrives(mark, content, users, "sender@example.com", proto, "client.example.com")

    def refused(name, url, code, answer, *arguments, to=("alice@example.test",), content=PLAIN):
        with check(f"curl {name}"):
            mark = office.mark()
            text = curl(url, *arguments, content=content, to=to, code=code)
            expect(answer is None or f"< {answer}" in text, f"the reply {answer}", text)
            office.nothing_arrives(mark)

    for name, content in SAMPLES.items():
        delivers(f"message: {name}", smtp(office.smtp), content=content)
    delivers("a message that begins with a dot", smtp(office.smtp), content=b".first\r\n..\r\n")
    with check("curl --crlf with a file of LF, whose last line has no end"):
        mark = office.mark()
        curl(smtp(office.smtp), "--crlf", content=b"Subject: lf\n\n.dot\nlast")
        office.arrives(mark, b"Subject: lf\n\n.dot\nlast\n")
    delivers("plain SMTP", smtp(office.smtp), proto="ESMTP")
    delivers(
        "several recipients",
        smtp(office.smtp),
        to=("alice@example.test", "bob@other.test", "carol@example.test"),
    )
    delivers("--ssl-reqd", smtp(office.smtp), "--ssl-reqd", *ca, proto="ESMTPS")
    delivers("--ssl-reqd, TLS 1.2", smtp(office.smtp), "--ssl-reqd", "--tls-max", "1.2", *ca, proto="ESMTPS")
    user = ["--user", f"alice:{USERS['alice']}"]
    for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5"]:
        login = [*user, "--login-options", f"AUTH={mechanism}"]
        delivers(
            f"--ssl-reqd, AUTH={mechanism}",
            smtp(office.submission),
            "--ssl-reqd",
            *ca,
            *login,
            proto="ESMTPSA",
        )
        delivers(f"smtps, AUTH={mechanism}", smtps(office.submissions), *ca, *login, proto="ESMTPSA")
        delivers(
            f"smtps, AUTH={mechanism} with --sasl-ir",
            smtps(office.submissions),
            *ca,
            *login,
            "--sasl-ir",
            proto="ESMTPSA",
        )
        refused(
            f"AUTH={mechanism}, wrong password",
            smtps(office.submissions),
            REFUSED_LOGIN,
            "535 5.7.8",
            *ca,
            "--user",
            "alice:wrong",
            "--login-options",
            f"AUTH={mechanism}",
        )
    delivers(
        "a password with a space and UTF-8",
        smtps(office.submissions),
        *ca,
        "--user",
        f"bob:{USERS['bob']}",
        proto="ESMTPSA",
    )
    delivers(
        "an authorization identity that is the user's own",
        smtps(office.submissions),
        *ca,
        *user,
        "--login-options",
        "AUTH=PLAIN",
        "--sasl-authzid",
        "alice",
        proto="ESMTPSA",
    )
    refused(
        "an authorization identity of somebody else",
        smtps(office.submissions),
        REFUSED_LOGIN,
        "535 5.7.8",
        *ca,
        *user,
        "--login-options",
        "AUTH=PLAIN",
        "--sasl-authzid",
        "bob",
    )
    for mechanism in ["XOAUTH2", "OAUTHBEARER", "NTLM", "DIGEST-MD5", "GSSAPI"]:
        refused(
            f"AUTH={mechanism} is not offered",
            smtps(office.submissions),
            REFUSED_LOGIN,
            None,
            *ca,
            *user,
            "--login-options",
            f"AUTH={mechanism}",
            "--oauth2-bearer",
            "token",
        )
    refused("submission without TLS", smtp(office.submission), SEND_FAILED, "530 5.7.0")
    refused("submission without AUTH", smtps(office.submissions), SEND_FAILED, "530 5.7.0", *ca)
    refused("unknown user", smtp(office.smtp), SEND_FAILED, "550 5.1.1", to=("nobody@example.test",))
    refused("relaying", smtp(office.smtp), SEND_FAILED, "550 5.7.1", to=("user@remote.example",))
    refused(
        "relaying after AUTH",
        smtps(office.submissions),
        SEND_FAILED,
        "550 5.7.1",
        *ca,
        *user,
        to=("user@remote.example",),
    )
    refused(
        "a SIZE over the limit",
        smtp(office.smtp),
        SEND_FAILED,
        "552 5.3.4",
        content=b"x" * 78 + b"\r\n" + b"y" * (51 << 20),
    )
    refused(
        "a certificate that is not trusted",
        smtps(office.submissions),
        BAD_CERTIFICATE,
        None,
        "--cacert",
        setting.certificates.other_ca,
    )
    with check("curl --mail-rcpt-allowfails: those that are accepted get it"):
        mark = office.mark()
        curl(smtp(office.smtp), "--mail-rcpt-allowfails", to=("nobody@example.test", "alice@example.test"))
        office.arrives(mark, PLAIN)
    with check("curl two messages on one connection"):
        mark = office.mark()
        file = folder / "message"
        file.write_bytes(PLAIN)
        one = [
            smtp(office.smtp),
            "--upload-file",
            file,
            "--mail-from",
            "a@example.com",
            "--mail-rcpt",
            "alice@example.test",
        ]
        ran = run_program(["curl", "-sv", *one, "--next", "-sv", *one])
        equal(ran.code, 0, "the exit code of curl")
        expect("Re-using existing connection" in ran.text, "one connection", ran.text)
        office.arrives(mark, PLAIN, ["alice", "alice"])
    with check("curl VRFY, EXPN, HELP and NOOP"):
        for verb, answer in [("VRFY alice", "252 2.5.0"), ("HELP", "214 2.0.0"), ("NOOP", "250 2.0.0")]:
            text = run_program(["curl", "-sv", smtp(office.smtp), "--request", verb]).text
            expect(f"< {answer}" in text, answer, text)
        text = run_program(["curl", "-sv", smtp(office.smtp), "--request", "EXPN staff"]).text
        expect("< 502 5.5.1" in text, "502 5.5.1", text)
    external(setting, curl, smtps)
    with check("curl SMTPUTF8: sender, recipient and header"):
        mark = office.mark()
        argv = [smtp(office.smtp), "--mail-from", "müller@example.com"]
        content = message("utf8", "Grüße\r\n".encode())
        curl(*argv, content=content)
        (mail,) = office.arrived(mark)
        mail.holds(content)


def external(setting, curl, smtps):
    """SASL EXTERNAL by a client certificate."""
    keys = setting.certificates
    office = Office(
        setting,
        "external",
        f'[tls]\ncertificate = "{keys.server}"\nkey = "{keys.server_key}"\nclient_ca = "{keys.ca}"\n',
    )
    login = ["--cacert", keys.ca, "--user", "alice:", "--login-options", "AUTH=EXTERNAL"]
    try:
        with check("curl AUTH=EXTERNAL with a client certificate"):
            mark = office.mark()
            curl(smtps(office.submissions), *login, "--cert", keys.client, "--key", keys.client_key)
            office.arrives(mark, PLAIN, proto="ESMTPSA")
        with check("curl AUTH=EXTERNAL without a client certificate"):
            mark = office.mark()
            text = curl(smtps(office.submissions), *login, code=REFUSED_LOGIN)
            office.nothing_arrives(mark)
        with check("curl AUTH=EXTERNAL for somebody else"):
            mark = office.mark()
            login[3] = "bob:"
            text = curl(
                smtps(office.submissions),
                *login,
                "--cert",
                keys.client,
                "--key",
                keys.client_key,
                code=REFUSED_LOGIN,
            )
            expect("< 535 5.7.8" in text, "535 5.7.8", text)
            office.nothing_arrives(mark)
    finally:
        office.stop()

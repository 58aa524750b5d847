"""msmtp: each of its SASL mechanisms with and without TLS, trust by authority and by fingerprint."""

from lib.checks import check, equal, expect
from lib.children import run as run_program
from lib.children import run_ok
from lib.office import USERS, Office
from lib.samples import NO_FINAL_NEWLINE, PLAIN, SAMPLES, lf

EX_DATAERR, EX_UNAVAILABLE, EX_NOPERM = 65, 69, 77
SECURE_WITHOUT_TLS = ["cram-md5", "scram-sha-1", "scram-sha-256"]


def run(setting):
    office = setting.office
    folder = setting.folder("msmtp")

    def msmtp(port, content=PLAIN, to=("alice@example.test",), code=0, **account):
        settings = {
            "host": "127.0.0.1",
            "port": port,
            "from": "sender@example.com",
            "domain": "client.example.com",
            "auth": "off",
            "tls": "off",
            "tls_trust_file": setting.certificates.ca,
            "set_date_header": "off",
            "set_msgid_header": "off",
            "set_from_header": "off",
            "timeout": 20,
            **account,
        }
        if settings["tls"] == "off" or settings.get("tls_fingerprint"):
            del settings["tls_trust_file"]
        config = folder / "msmtprc"
        config.write_text(
            "account default\n" + "".join(f"{key} {value}\n" for key, value in settings.items())
        )
        config.chmod(0o600)
        ran = run_program(["msmtp", "-C", config, "-v", "--", *to], given=lf(content))
        equal(ran.code, code, "the exit code of msmtp")
        return ran.text

    def delivers(name, port, proto, content=PLAIN, to=("alice@example.test",), **account):
        with check(f"msmtp {name}"):
            mark = office.mark()
            msmtp(port, content, to, **account)
            office.arrives(
                mark,
                content,
                [address.partition("@")[0] for address in to],
                "sender@example.com",
                proto,
                "client.example.com",
            )

    def refused(name, port, code, answer, to=("alice@example.test",), **account):
        with check(f"msmtp {name}"):
            mark = office.mark()
            text = msmtp(port, to=to, code=code, **account)
            expect(answer in text, answer, text)
            office.nothing_arrives(mark)

    starttls = {"tls": "on", "tls_starttls": "on"}
    implicit = {"tls": "on", "tls_starttls": "off"}
    alice = {"user": "alice", "password": USERS["alice"]}

    delivers("plain", office.smtp, "ESMTP")
    delivers("STARTTLS", office.smtp, "ESMTPS", **starttls)
    delivers("LMTP", office.lmtp, "LMTP", protocol="lmtp")
    delivers(
        "LMTP to several, STARTTLS",
        office.lmtp,
        "LMTPS",
        to=("alice@example.test", "bob@example.test"),
        protocol="lmtp",
        **starttls,
    )
    delivers(
        "several recipients",
        office.smtp,
        "ESMTP",
        to=("bob@example.test", "carol@other.test", "alice@example.test"),
    )
    for name, content in SAMPLES.items():
        delivers(f"message: {name}", office.smtp, "ESMTP", content)
    with check("msmtp message whose last line has no end"):
        mark = office.mark()
        msmtp(office.smtp, NO_FINAL_NEWLINE)
        office.arrives(mark, NO_FINAL_NEWLINE + b"\r\n")

    for mechanism in ["plain", "login", *SECURE_WITHOUT_TLS]:
        delivers(f"STARTTLS, {mechanism}", office.submission, "ESMTPSA", auth=mechanism, **alice, **starttls)
        delivers(
            f"implicit TLS, {mechanism}", office.submissions, "ESMTPSA", auth=mechanism, **alice, **implicit
        )
        refused(
            f"{mechanism}, wrong password",
            office.submissions,
            EX_NOPERM,
            "535",
            auth=mechanism,
            user="alice",
            password="wrong",
            **implicit,
        )
    for mechanism in SECURE_WITHOUT_TLS:
        delivers(f"without TLS, {mechanism}", office.smtp, "ESMTPA", auth=mechanism, **alice)
    delivers(
        "scram-sha-256, password with a space and UTF-8",
        office.submissions,
        "ESMTPSA",
        auth="scram-sha-256",
        user="bob",
        password=f'"{USERS["bob"]}"',
        **implicit,
    )
    delivers("the mechanism it chooses itself", office.submissions, "ESMTPSA", auth="on", **alice, **implicit)
    for mechanism in ["plain", "login"]:
        refused(
            f"{mechanism} without TLS", office.smtp, EX_UNAVAILABLE, "not support", auth=mechanism, **alice
        )
    for mechanism in ["oauthbearer", "xoauth2", "digest-md5", "ntlm", "gssapi"]:
        refused(
            f"{mechanism} is not offered",
            office.submissions,
            EX_UNAVAILABLE,
            "not support",
            auth=mechanism,
            **alice,
            **implicit,
        )

    refused("submission without TLS", office.submission, EX_DATAERR, "530 5.7.0")
    refused("submission without AUTH", office.submissions, EX_DATAERR, "530 5.7.0", **implicit)
    refused("unknown user", office.smtp, EX_DATAERR, "550 5.1.1", to=("nobody@example.test",))
    refused("relaying", office.smtp, EX_DATAERR, "550 5.7.1", to=("user@remote.example",))
    refused(
        "relaying after AUTH",
        office.submissions,
        EX_DATAERR,
        "550 5.7.1",
        to=("user@remote.example",),
        auth="scram-sha-256",
        **alice,
        **implicit,
    )
    certificates(setting, folder, msmtp, refused)


def certificates(setting, folder, msmtp, refused):
    """Trust by fingerprint, with the certificate that postoffice makes for itself."""
    office = Office(setting, "self-signed", "[tls]\nenabled = true\n")
    try:
        made = office.data / "tls" / "cert.pem"
        text = run_ok(["openssl", "x509", "-in", made, "-noout", "-fingerprint", "-sha256"]).text
        fingerprint = text.strip().partition("=")[2]
        with check("msmtp tls_fingerprint of the certificate that postoffice made"):
            mark = office.mark()
            msmtp(office.smtp, tls="on", tls_fingerprint=fingerprint)
            office.arrives(mark, PLAIN, proto="ESMTPS")
        with check("msmtp tls_trust_file with the certificate that postoffice made"):
            mark = office.mark()
            msmtp(
                office.submissions,
                tls="on",
                tls_starttls="off",
                tls_host_override="mail.example.test",
                tls_trust_file=made,
                auth="scram-sha-256",
                user="alice",
                password=USERS["alice"],
            )
            office.arrives(mark, PLAIN, proto="ESMTPSA")
        with check("the certificate that postoffice made outlives a restart"):
            before = made.read_bytes()
            office.stop()
            office.start()
            equal(made.read_bytes(), before, "the certificate")
            mark = office.mark()
            msmtp(office.smtp, tls="on", tls_fingerprint=fingerprint)
            office.arrives(mark, PLAIN, proto="ESMTPS")
    finally:
        office.stop()
    wrong = ":".join(["AB"] * 32)
    refused(
        "a fingerprint that does not fit",
        setting.office.smtp,
        EX_UNAVAILABLE,
        "certificate",
        tls="on",
        tls_fingerprint=wrong,
    )
    refused(
        "a certificate that is not trusted",
        setting.office.smtp,
        EX_UNAVAILABLE,
        "certificate",
        tls="on",
        tls_trust_file=setting.certificates.other_ca,
    )

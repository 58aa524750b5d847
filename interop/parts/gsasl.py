"""gsasl: GNU's SASL, for the SCRAM mechanisms, with channel binding and without.

gsasl says STARTTLS without EHLO before it, as no other client here does.
"""

from lib.checks import check, equal, expect
from lib.children import run as run_program
from lib.office import USERS

MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]
WITH_BINDING = ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"]


def run(setting):
    office = setting.office

    def gsasl(port, mechanism, user, word, *arguments):
        argv = ["gsasl", "--smtp", "--mechanism", mechanism, "--authentication-id", user, "--password", word]
        argv += ["--x509-ca-file", setting.certificates.ca, "--no-client-first", "--verbose", *arguments]
        return run_program([*argv, "localhost", port])

    def gsasl_tls(mechanism, user, word):
        # It will not use a mechanism without channel binding where it has one.
        binding = [] if mechanism.endswith("-PLUS") else ["--no-cb"]
        return gsasl(office.submission, mechanism, user, word, "--starttls", *binding)

    def logs_in(name, *arguments, how=gsasl_tls):
        with check(f"gsasl {name}"):
            text = how(*arguments).text
            expect("235 2.7.0" in text, "235 2.7.0", text)

    for mechanism in MECHANISMS + WITH_BINDING:
        logs_in(f"STARTTLS, {mechanism}", mechanism, "alice", USERS["alice"])
        with check(f"gsasl {mechanism}, wrong password"):
            text = gsasl_tls(mechanism, "alice", "wrong").text
            expect("535 5.7.8" in text and "235" not in text, "535 5.7.8", text)
    for mechanism in ["CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]:
        logs_in(
            f"without TLS, {mechanism}",
            office.smtp,
            mechanism,
            "alice",
            USERS["alice"],
            "--no-starttls",
            how=gsasl,
        )
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"]:
        logs_in(f"{mechanism}, password with a space and UTF-8", mechanism, "bob", USERS["bob"])
    with check("gsasl an unknown user gets as far with SCRAM as one who is known"):
        answers = []
        for user in ["alice", "nobody"]:
            text = gsasl_tls("SCRAM-SHA-256", user, "wrong").text
            answers.append([line.split(" ")[0] for line in text.splitlines() if line[:1].isdigit()])
        equal(answers[0], answers[1], "the replies")

"""gsasl: GNU's SASL, for the SCRAM mechanisms, with channel binding and without.

gsasl says STARTTLS without EHLO before it, which RFC 3207 does not foresee and postoffice refuses. A go-between says EHLO
in its place and then passes all bytes on, so that TLS, and with it the channel binding, is between gsasl and postoffice.
"""

import socket
import threading
from contextlib import contextmanager

from lib.checks import check, equal, expect
from lib.children import run as run_program
from lib.office import USERS
from lib.wire import Wire

MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]
WITH_BINDING = ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"]


def run(setting):
    office = setting.office

    def gsasl(port, mechanism, user, word, *arguments):
        argv = ["gsasl", "--smtp", "--mechanism", mechanism, "--authentication-id", user, "--password", word]
        argv += ["--x509-ca-file", setting.certificates.ca, "--no-client-first", "--verbose", *arguments]
        return run_program([*argv, "localhost", port])

    def gsasl_tls(mechanism, user, word):
        with go_between(office.submission) as port:
            # It will not use a mechanism without channel binding where it has one.
            binding = [] if mechanism.endswith("-PLUS") else ["--no-cb"]
            return gsasl(port, mechanism, user, word, "--starttls", *binding)

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


@contextmanager
def go_between(port):
    """A port that leads to `port`, with EHLO said already."""
    with socket.create_server(("127.0.0.1", 0)) as listener, Wire(port, greeted=False) as server:
        greeting = server.expect("220")
        server.hello()

        def serve():
            client, _ = listener.accept()
            client.sendall(f"{greeting}\r\n".encode())
            back = threading.Thread(target=pass_on, args=(server.socket, client))
            back.start()
            pass_on(client, server.socket)
            back.join()
            client.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def pass_on(source, target):
    """Copies until the end."""
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass

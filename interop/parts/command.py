"""The `postoffice` program itself: the demo of the README, certificates, password hashes, and what it says of mistakes."""

import stat
import subprocess

from lib import children
from lib.checks import check, equal, expect
from lib.children import run as run_program
from lib.children import run_fails, run_ok
from lib.namespaces import in_own_network
from lib.office import USERS, Office, read_listeners
from lib.samples import PLAIN
from lib.wire import Wire, trusting

EX_USAGE = 64
EX_CONFIG = 78
SCHEMES = {
    "PLAIN": {
        "PLAIN",
        "LOGIN",
        "CRAM-MD5",
        "SCRAM-SHA-1",
        "SCRAM-SHA-1-PLUS",
        "SCRAM-SHA-256",
        "SCRAM-SHA-256-PLUS",
    },
    "SCRAM-SHA-256": {"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"},
    "SHA512-CRYPT": {"PLAIN", "LOGIN"},
    "ARGON2ID": {"PLAIN", "LOGIN"},
}


def run(setting):
    demo(setting)
    certificates(setting)
    passwords(setting)
    mistakes(setting)
    with check("the private key and the keys in the data folder are for the owner only"):
        office = setting.office
        for path in office.data.glob("*.key"):
            equal(stat.S_IMODE(path.stat().st_mode), 0o600, str(path))


def demo(setting):
    with check("postoffice serve with no option is a ready demo on its loopback ports"):
        in_own_network(lambda: demo_session(setting))


def demo_session(setting):
    folder = setting.folder("demo")
    log = folder / "log"
    child = children.start([setting.postoffice, "serve"], log, stdout=subprocess.PIPE, cwd=folder)
    try:
        ports = read_listeners(child, lambda: children.tail(log))
        equal(ports, {"smtp": 2525, "submission": 2587, "submissions": 2465, "lmtp": 2024, "pop3": 2110, "pop3s": 2995}, "the listeners")
        with Wire(2525) as wire:
            wire.hello()
            wire.envelope("demo@localhost")
            wire.cmd("DATA", "354")
            wire.send(PLAIN + b".\r\n")
            wire.expect("250")
        argv = [setting.smtp_send, "--from", "me@localhost", "--to", "demo@localhost"]
        run_ok([*argv, "--server", "127.0.0.1:2525", "-v", "-"], given=b"Subject: hello\n\nIt works.\n")
        equal(len(list((folder / "postoffice-data/mail/demo/Maildir/new").iterdir())), 2, "messages for demo")
        made = folder / "postoffice-data/tls"
        equal(stat.S_IMODE((made / "key.pem").stat().st_mode), 0o600, "the mode of the private key")
        with Wire(2465, tls=trusting(made / "cert.pem"), name="localhost") as wire:
            wire.hello()
            wire.auth_plain("demo", "demo")
    except Exception:
        children.note("\n".join(children.tail(log)))
        raise
    finally:
        equal(children.stop(child), 0, "the exit code after SIGTERM")


def certificates(setting):
    folder = setting.folder("cert")
    argv = [setting.postoffice, "cert", "--domain", "mail.example.test", "--domain", "localhost"]
    with check("postoffice cert makes a certificate that openssl takes"):
        run_ok(argv, cwd=folder)
        text = run_ok(["openssl", "x509", "-in", folder / "cert.pem", "-noout", "-text"]).text
        for name in ["DNS:mail.example.test", "DNS:localhost", "IP Address:127.0.0.1"]:
            expect(name in text, f"the name {name}", text)
        run_ok(
            ["openssl", "verify", "-CAfile", folder / "cert.pem", "-verify_hostname", "mail.example.test"]
            + [folder / "cert.pem"]
        )
        public = run_ok(["openssl", "pkey", "-in", folder / "key.pem", "-pubout"]).out
        equal(
            public,
            run_ok(["openssl", "x509", "-in", folder / "cert.pem", "-noout", "-pubkey"]).out,
            "the public key",
        )
        equal(stat.S_IMODE((folder / "key.pem").stat().st_mode), 0o600, "the mode of the private key")
    with check("postoffice cert overwrites neither certificate nor key"):
        before = [(folder / name).read_bytes() for name in ("cert.pem", "key.pem")]
        run_fails(argv, EX_CONFIG, cwd=folder)
        (folder / "cert.pem").unlink()
        run_fails(argv, EX_CONFIG, cwd=folder)
        equal((folder / "key.pem").read_bytes(), before[1], "the key")
        expect(not (folder / "cert.pem").exists(), "no certificate without its key", "one")


def passwords(setting):
    for scheme, mechanisms in SCHEMES.items():
        with check(f"postoffice passwd --scheme {scheme}: users log in, by the mechanisms that it serves"):
            lines = ""
            for user, word in USERS.items():
                argv = [setting.postoffice, "passwd", "--scheme", scheme, "--user", user]
                line = run_ok(argv, given=word.encode() + b"\n").out.decode()
                expect(line.startswith(f"{user}:{{{scheme}}}"), f"{user}:{{{scheme}}}…", line)
                lines += line
            office = Office(setting, f"users-{scheme}", users="# users\n\n" + lines)
            try:
                for user, word in USERS.items():
                    with Wire(office.submissions, tls=trusting(setting.certificates.ca)) as wire:
                        equal(set(wire.hello()["AUTH"].split()), mechanisms, "the mechanisms offered")
                        wire.auth_plain(user, word + "!", "535 5.7.8")
                        wire.auth_plain(f"{user}@example.test", word)
                with Wire(office.submissions, tls=trusting(setting.certificates.ca)) as wire:
                    wire.hello()
                    wire.auth_plain("nobody", "x", "535 5.7.8")
            finally:
                office.stop()


def mistakes(setting):
    folder = setting.folder("mistakes")
    listen = ["--data", folder / "data", "--listen", "smtp=127.0.0.1:0"]

    def refuses(name, expected, arguments, files=(), code=EX_CONFIG):
        with check(f"postoffice serve refuses {name}"):
            for path, text in files:
                (folder / path).write_text(text)
            ran = run_program([setting.postoffice, "serve", *listen, *arguments], cwd=folder, timeout=20)
            equal(ran.code, code, "the exit code")
            expect(expected in ran.err.decode(), f"{expected!r} on standard error", ran.text)
            equal(ran.out, b"", "standard output")

    refuses(
        "a users file with an unknown scheme, naming the line",
        "users:3",
        ["--users", "users"],
        [("users", "alice:{PLAIN}x\n# fine\nbob:{ROT13}k\n")],
    )
    refuses(
        "a user who stands there twice",
        "users:2",
        ["--users", "users"],
        [("users", "alice:{PLAIN}x\nalice:{PLAIN}y\n")],
    )
    refuses(
        "an unknown key, naming its place",
        "c.toml:2:1",
        ["--config", "c.toml"],
        [("c.toml", 'hostname = "x"\nusres = 1\n')],
    )
    refuses("a user name that leaves its folder", "..", ["--user", "../../etc:secret"])
    refuses("a certificate without its key", "--tls-key", ["--user", "a:b", "--tls-cert", "cert.pem"], code=EX_USAGE)
    refuses(
        "a service that there is none of", "smpt", ["--user", "a:b", "--listen", "smpt=127.0.0.1:0"], code=EX_USAGE
    )
    refuses(
        "a port that is taken",
        "Address already in use",
        ["--user", "a:b", "--listen", f"smtp=127.0.0.1:{setting.office.smtp}"],
    )

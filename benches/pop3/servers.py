"""The POP3 servers being measured, their Maildirs, and a client for them."""

import random
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "load"))

import processes  # noqa: E402


# The certificate is one made for the occasion.
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TLS.check_hostname = False
TLS.verify_mode = ssl.CERT_NONE

DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = pop3
listen = 127.0.0.1
ssl = no
mail_location = maildir:{folder}/mail/%n/Maildir
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
first_valid_gid = 1
pop3_uidl_format = %f
pop3_no_flag_updates = yes
disable_plaintext_auth = no
auth_mechanisms = plain
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/mail/%n
}}
service pop3-login {{
  inet_listener pop3 {{
    address = 127.0.0.1
    port = {port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def message(number, size):
    header = (
        f"Received: from relay.example.org by mx.example.net; Mon, 1 Jan 2001 00:00:00 +0000\n"
        f"From: Ann Other <ann@example.org>\nTo: joe@example.net\nSubject: message {number}\n"
        f"Message-ID: <{number}@example.org>\nDate: Mon, 1 Jan 2001 00:00:00 +0000\n\n"
    )
    line = "The quick brown fox jumps over the lazy dog, and then once more, said the hen.\n"
    return (header + line * max(1, (size - len(header)) // len(line))).encode()


def fill(maildir, count, mean):
    """A Maildir as postoffice and Dovecot's LMTP write it, sizes in the names."""
    for part in ("tmp", "new", "cur"):
        (maildir / part).mkdir(parents=True)
    rng = random.Random(1)
    for number in range(count):
        content = message(number, int(rng.uniform(0.2, 1.8) * mean))
        wire = len(content) + content.count(b"\n")
        name = f"{1_000_000_000 + number}.M{number:06}P1.host,S={len(content)},W={wire}:2,S"
        (maildir / "cur" / name).write_bytes(content)


class Pop:
    """A client that is logged in."""

    def __init__(self, port, user, tls=False):
        self.socket = socket.create_connection(("127.0.0.1", port))
        if tls:
            self.socket = TLS.wrap_socket(self.socket)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.line()
        self.say(f"USER {user}")
        self.say("PASS secret")

    def line(self):
        got = b""
        while not got.endswith(b"\r\n"):
            more = self.socket.recv(4096)
            if not more:
                raise SystemExit(f"expected a reply, found {got!r} and the end")
            got += more
        if not got.startswith(b"+OK"):
            raise SystemExit(f"expected +OK, found {got!r}")
        return got

    def say(self, command):
        self.socket.sendall(command.encode() + b"\r\n")
        return self.line()

    def quit(self):
        self.say("QUIT")
        self.socket.close()


class Server:
    def __init__(self, name, command, port, folder):
        self.name, self.port, self.folder = name, port, folder
        self.child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(folder / "out", "wb"))
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except OSError:
                if self.child.poll() is not None:
                    break
                time.sleep(0.01)
        raise SystemExit(f"expected {name} to listen, found: {(folder / 'out').read_text()[-500:]}")

    def stop(self):
        processes.stop(self.child)


def dovecot(folder):
    folder.mkdir()
    port = free_port()
    (folder / "users").write_text("joe:{PLAIN}secret::::::\nmany:{PLAIN}secret::::::\n")
    (folder / "dovecot.conf").write_text(DOVECOT.format(folder=folder, port=port))
    return Server("Dovecot", ["dovecot", "-F", "-c", folder / "dovecot.conf"], port, folder)


def postoffice(folder, program, users=("joe", "many")):
    """With TLS from the first byte on the port `tls_port`."""
    folder.mkdir()
    port, tls_port = free_port(), free_port()
    (folder / "users").write_text("".join(f"{user}:{{PLAIN}}secret\n" for user in users))
    (folder / "postoffice.toml").write_text(
        f'data = "."\nusers_file = "users"\nlisten = ["pop3=127.0.0.1:{port}", "pop3s=127.0.0.1:{tls_port}"]\n'
        "[auth]\nplaintext_without_tls = true\n[limits]\nconnections_per_address = 10000\n"
    )
    server = Server("postoffice", [program, "serve", "--config", folder / "postoffice.toml"], port, folder)
    server.tls_port = tls_port
    return server

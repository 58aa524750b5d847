#!/usr/bin/env python3
"""How fast messages are collected by POP: postoffice and Dovecot, turn by turn, on copies of one Maildir.

    benches/pop3/load.py [--messages 10000] [--listing 100000] [--rounds 3] [POSTOFFICE]

Measured are RETR of all messages by one client, with pipelining and without; and login with STAT on a Maildir of many
messages, with Dovecot's index warm and removed. Printed are medians, the servers' processor time, and ratios. Needs
dovecot-pop3d. Run it as root, which Dovecot wants to be started by.
"""

import argparse
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
WINDOW = 200
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
    def __init__(self, port, user):
        self.socket = socket.create_connection(("127.0.0.1", port))
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


def pipelined(port, count):
    """All messages, up to WINDOW asked for ahead."""
    pop = Pop(port, "joe")
    buffer = bytearray(1 << 20)
    view = memoryview(buffer)
    start = time.perf_counter()
    asked = done = octets = 0
    tail = b""
    while done < count:
        if asked < count and asked - done <= WINDOW // 2:
            ahead = min(count, done + WINDOW)
            pop.socket.sendall(b"".join(b"RETR %d\r\n" % n for n in range(asked + 1, ahead + 1)))
            asked = ahead
        got = pop.socket.recv_into(view)
        if got == 0:
            raise SystemExit("expected more messages, found the end")
        # The end of a message may be cut in two.
        edge = tail + buffer[:4]
        done += edge.count(b"\r\n.\r\n") if tail else 0
        done += buffer.count(b"\r\n.\r\n", 0, got)
        tail = bytes((tail + bytes(view[max(0, got - 4) : got]))[-4:])
        octets += got
    took = time.perf_counter() - start
    pop.quit()
    return took, octets


def one_by_one(port, count):
    pop = Pop(port, "joe")
    buffer = bytearray(1 << 20)
    view = memoryview(buffer)
    start = time.perf_counter()
    for number in range(1, count + 1):
        pop.socket.sendall(b"RETR %d\r\n" % number)
        got = pop.socket.recv_into(view)
        while not buffer.endswith(b"\r\n.\r\n", 0, got):
            more = pop.socket.recv_into(view[got:])
            if more == 0:
                raise SystemExit("expected more of a message, found the end")
            got += more
    took = time.perf_counter() - start
    pop.quit()
    return took, 0


def opening(port, _count):
    start = time.perf_counter()
    pop = Pop(port, "many")
    pop.say("STAT")
    took = time.perf_counter() - start
    pop.quit()
    return took, 0


def processor_time(pids):
    """Seconds of user and system time, children that ended included."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(int(field) for field in fields[11:15])
    return total / TICKS


def family(root):
    """A process and all below it."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents[int(entry.parent.name)] = int(fields[1])
    members = {root}
    while more := {pid for pid, parent in parents.items() if parent in members} - members:
        members |= more
    return members


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
        self.child.send_signal(signal.SIGTERM)
        self.child.wait()


def dovecot(folder):
    folder.mkdir()
    port = free_port()
    (folder / "users").write_text("joe:{PLAIN}secret::::::\nmany:{PLAIN}secret::::::\n")
    (folder / "dovecot.conf").write_text(DOVECOT.format(folder=folder, port=port))
    return Server("Dovecot", ["dovecot", "-F", "-c", folder / "dovecot.conf"], port, folder)


def postoffice(folder, program):
    folder.mkdir()
    port = free_port()
    (folder / "users").write_text("joe:{PLAIN}secret\nmany:{PLAIN}secret\n")
    (folder / "postoffice.toml").write_text(
        f'data = "."\nusers_file = "users"\nlisten = ["pop3=127.0.0.1:{port}"]\n'
        "[auth]\nplaintext_without_tls = true\n[tls]\nenabled = false\n"
    )
    return Server("postoffice", [program, "serve", "--config", folder / "postoffice.toml"], port, folder)


def measure(server, what, count, rounds):
    times, used = [], []
    for _ in range(rounds):
        before = processor_time(family(server.child.pid))
        took, _ = what(server.port, count)
        # Those that ended are counted with who waited for them, soon.
        time.sleep(0.1)
        times.append(took)
        used.append(processor_time(family(server.child.pid)) - before)
    return statistics.median(times), statistics.median(used)


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--messages", type=int, default=10_000)
    options.add_argument("--listing", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("program", nargs="?", default="target/release/postoffice")
    options = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="pop3-load-") as folder:
        folder = Path(folder)
        folder.chmod(0o755)
        servers = [dovecot(folder / "theirs")]
        if options.program != "-":
            servers.append(postoffice(folder / "ours", os.path.abspath(options.program)))
        try:
            for server in servers:
                mail = server.folder / "mail"
                fill(mail / "joe" / "Maildir", options.messages, 9500)
                fill(mail / "many" / "Maildir", options.listing, 300)
                if server.name == "Dovecot":
                    subprocess.run(["chown", "-R", "nobody:nogroup", mail], check=True)
            for label, what, count in [
                ("RETR, pipelined", pipelined, options.messages),
                ("RETR, one by one", one_by_one, options.messages),
                ("login and STAT", opening, options.listing),
            ]:
                results = {}
                for server in servers:
                    what(server.port, count)
                    took, used = measure(server, what, count, options.rounds)
                    results[server.name] = took
                    rate = f"{count / took:9.0f}/s" if what is not opening else f"{took * 1000:8.1f} ms"
                    print(f"{label:18} {server.name:11} {rate}  processor {used:6.2f} s", flush=True)
                if len(results) == 2:
                    print(f"{label:18} {'ratio':11} {results['Dovecot'] / results['postoffice']:9.2f}", flush=True)
            cold = []
            for _ in range(options.rounds):
                maildir = servers[0].folder / "mail" / "many" / "Maildir"
                for index in maildir.glob("dovecot*"):
                    index.unlink()
                cold.append(opening(servers[0].port, 0)[0])
            print(f"{'login and STAT':18} {'Dovecot':11} {statistics.median(cold) * 1000:8.1f} ms  without its index")
        finally:
            for server in servers:
                server.stop()


main()

#!/usr/bin/env python3
"""What postoffice's memory grows by: while one large message is collected, and by each session that is idle.

    benches/pop3/memory.py [--octets 524288000] [--sessions 1000] [--messages 20] [POSTOFFICE]

A session is that of a user of its own who has logged in, asked for STAT and UIDL, and collected a message. Printed is what
is resident.
"""

import argparse
import os
import resource
import tempfile
from pathlib import Path

from servers import Pop, fill, postoffice, processes


def large(server, octets):
    """Logs in and collects one message; the growth of the server's peak in KiB."""
    maildir = server.folder / "mail" / "joe" / "Maildir"
    fill(maildir, 0, 0)
    line = b"The quick brown fox jumps over the lazy dog, and then once more, said the hen.\n"
    with open(maildir / "new" / "1000000000.M1P1.host", "wb") as file:
        file.write(b"Subject: large\n\n")
        for _ in range(octets // len(line) // 1000):
            file.write(line * 1000)
    grown = []
    for tls in (False, True):
        processes.forget_peak(server.child.pid)
        before = processes.memory(server.child.pid, "VmRSS")
        pop = Pop(server.tls_port if tls else server.port, "joe", tls)
        pop.socket.sendall(b"RETR 1\r\n")
        total, tail = 0, b""
        while not tail.endswith(b"\r\n.\r\n"):
            got = pop.socket.recv(1 << 20)
            if not got:
                raise SystemExit("expected more of the message, found the end")
            total, tail = total + len(got), (tail + got)[-5:]
        grown.append(processes.memory(server.child.pid, "VmHWM") - before)
        pop.quit()
    return total, grown


def idle(server, users, tls):
    """KiB of each session."""
    port = server.tls_port if tls else server.port
    Pop(port, users[0], tls).quit()
    before = processes.memory(server.child.pid, "VmRSS")
    sessions = []
    for user in users:
        pop = Pop(port, user, tls)
        for command, many in [("STAT", False), ("UIDL", True), ("RETR 1", True)]:
            reply = pop.say(command)
            while many and not reply.endswith(b"\r\n.\r\n"):
                reply += pop.socket.recv(65536)
        sessions.append(pop)
    each = (processes.memory(server.child.pid, "VmRSS") - before) / len(sessions)
    for pop in sessions:
        pop.quit()
    return each


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--octets", type=int, default=500 << 20)
    options.add_argument("--sessions", type=int, default=1000)
    options.add_argument("--messages", type=int, default=20)
    options.add_argument("program", nargs="?", default="target/release/postoffice")
    options = options.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    users = [f"user{number}" for number in range(options.sessions)]
    with tempfile.TemporaryDirectory(prefix="pop3-memory-") as folder:
        # One server for each, so that none finds memory that another has left.
        for what in ["large", "plain", "TLS"]:
            server = postoffice(Path(folder) / what, os.path.abspath(options.program), ["joe", *users])
            try:
                if what == "large":
                    total, grown = large(server, options.octets)
                    for label, kib in zip(["plain", "TLS"], grown):
                        print(f"RETR of {total >> 20} MiB, {label}: peak grew by {kib / 1024:.1f} MiB", flush=True)
                    continue
                for user in users:
                    fill(server.folder / "mail" / user / "Maildir", options.messages, 2000)
                each = idle(server, users, what == "TLS")
                print(f"{len(users)} idle sessions, {what}: {each:.1f} KiB each", flush=True)
            finally:
                server.stop()


main()

#!/usr/bin/env python3
"""How fast messages are collected by POP: postoffice and Dovecot, turn by turn, on copies of one Maildir.

    benches/pop3/load.py [--messages 10000] [--listing 100000] [--rounds 3] [POSTOFFICE]

Measured are RETR of all messages by one client, with pipelining and without; and login with STAT on a Maildir of many
messages, with Dovecot's index warm and removed. Printed are medians, the servers' processor time, and ratios. Needs
dovecot-pop3d. Run it as root, which Dovecot wants to be started by.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from servers import Pop, dovecot, fill, postoffice, processes

WINDOW = 200


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


def measure(server, what, count, rounds):
    times, used = [], []
    for _ in range(rounds):
        before = processes.cpu_seconds(server.child.pid)
        took, _ = what(server.port, count)
        # Those that ended are counted with who waited for them, soon.
        time.sleep(0.1)
        times.append(took)
        used.append(processes.cpu_seconds(server.child.pid) - before)
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

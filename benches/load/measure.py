"""Loads the servers and prints what they cost. See `run`."""

import argparse
import os
import pathlib
import socket
import statistics
import subprocess
import tempfile
import time

import processes
import servers
from servers import RECIPIENT

KIB, MIB = 1 << 10, 1 << 20


def smtp_source(server, sessions, size, count, keep):
    """Postfix's load generator; `keep` sends one message after the other over a connection."""
    command = ["smtp-source", "-s", sessions, "-m", count, "-l", size, "-f", "load@client.test", "-t", RECIPIENT]
    command += ["-d"] * keep + [f"127.0.0.1:{server.port}"]
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


class SmtpSend:
    """Our load generator, which costs less for each message."""

    def __init__(self, program):
        self.program = program

    def __call__(self, server, sessions, size, count, keep):
        command = [self.program, "--quiet", "--tls", "never", "--from", "load@client.test", "--to", RECIPIENT]
        command += ["--server", f"127.0.0.1:{server.port}", "--size", size, "--count", count]
        command += ["--connections", sessions] + ["--reconnect"] * (not keep)
        subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


def loaded(server, load, sessions, size, count, keep, delivered=None):
    """Messages a second, and CPU seconds for 10,000 messages; `delivered` tells when the last has arrived."""
    before, start = server.cpu(), time.monotonic()
    load(server, sessions, size, count, keep)
    accepted = time.monotonic() - start
    if delivered:
        processes.wait_until(delivered, f"{server.name}: delivery of {count} messages", 600, 0.05)
    done = time.monotonic() - start
    return count / accepted, count / done, (server.cpu() - before) * 10_000 / count


def median(rows):
    return [statistics.median(column) for column in zip(*rows)]


def kib(size):
    return f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB"


def verdict(good):
    return "" if good else "  <- over"


def discarding(options):
    """Throwing mail away: ours, smtp-sink, mailin."""
    print("\nDiscarding sinks: messages/s, CPU s for 10,000 messages (median of "
          f"{options.repeat}); ours should cost <= 0.7 of smtp-sink and <= 1.0 of mailin")
    print(f"{'load':<12}{'sessions':>9}{'size':>8}{'conn':>7} | {'postoffice':>20} {'smtp-sink':>20} {'mailin':>20}"
          f" | {'/sink':>6} {'/mailin':>8} {'speed':>7}")
    makers = [
        lambda: servers.PostOffice(options.postoffice, options.folder, discard=True),
        servers.SmtpSink,
        lambda: servers.MailinSink(options.mailin_sink, 128),
    ]
    for load_name, load in (("smtp-source", smtp_source), ("smtp-send", SmtpSend(options.smtp_send))):
        for size, counts in ((4 * KIB, (options.count, options.count // 2)), (MIB, (options.count // 100,) * 2)):
            for sessions in (1, 10, 100):
                for keep, count in zip((True, False), counts):
                    results = []
                    for make in makers:
                        with make() as server:
                            loaded(server, load, sessions, size, max(count // 10, sessions), keep)
                            runs = [loaded(server, load, sessions, size, count, keep) for _ in range(options.repeat)]
                        results.append(median(runs))
                    (_, ours, cpu), (_, sink, sink_cpu), (_, _, mailin_cpu) = results
                    cells = " ".join(f"{rate:>12.0f} {cost:>7.2f}" for _, rate, cost in results)
                    print(f"{load_name:<12}{sessions:>9}{kib(size):>8}{'kept' if keep else 'anew':>7} | {cells}"
                          f" | {cpu / sink_cpu:>6.2f} {cpu / mailin_cpu:>8.2f} {ours / sink:>6.1f}x"
                          f"{verdict(cpu <= 0.7 * sink_cpu and cpu <= mailin_cpu)}", flush=True)


def files(folder):
    try:
        with os.scandir(folder) as entries:
            return sum(1 for _ in entries)
    except FileNotFoundError:
        return 0


def delivering(options):
    """Durable delivery to a Maildir on one disk: ours and Postfix."""
    print("\nDurable delivery to a Maildir, 4 KiB messages: accepted/s, delivered/s, CPU s for 10,000; ours should "
          "deliver >= 3 times as many at <= 0.25 of the CPU")
    print(f"{'sessions':>9}{'conn':>7} | {'postoffice':>28} {'postfix':>28} | {'speed':>7} {'CPU':>6}")
    for sessions in (10, 50):
        for keep in (True, False):
            results = []
            for make in (
                lambda: servers.PostOffice(options.postoffice, options.folder, discard=False),
                lambda: servers.Postfix(options.folder),
            ):
                with make() as server:
                    runs, count = [], options.count // 5
                    for round_number in range(1, options.repeat + 1):
                        arrived = lambda: files(server.maildir) >= count * round_number
                        runs.append(loaded(server, smtp_source, sessions, 4 * KIB, count, keep, arrived))
                    results.append(median(runs))
            (_, ours, cpu), (_, theirs, their_cpu) = results
            cells = " ".join(f"{a:>9.0f} {d:>9.0f} {c:>8.2f}" for a, d, c in results)
            print(f"{sessions:>9}{'kept' if keep else 'anew':>7} | {cells} | {ours / theirs:>6.1f}x {cpu / their_cpu:>6.2f}"
                  f"{verdict(ours >= 3 * theirs and cpu <= 0.25 * their_cpu)}", flush=True)


def memory(options):
    """How much the process holds."""
    print("\nMemory of postoffice, delivering to a Maildir")
    def office():
        return servers.PostOffice(options.postoffice, options.folder, discard=False)
    with office() as server:
        idle = processes.memory(server.pid, "VmRSS")
        smtp_source(server, 100, MIB, 400, True)
        peak = processes.memory(server.pid, "VmHWM")
        print(f"  100 sessions of 1 MiB: peak {peak / 1024:.1f} MiB resident, {idle / 1024:.1f} MiB when idle "
              f"(aim: under 30 MiB){verdict(peak < 30 * 1024)}")
    with office() as server:
        smtp_source(server, 1, KIB, 10, True)
        processes.forget_peak(server.pid)
        before = processes.memory(server.pid, "VmRSS")
        SmtpSend(options.smtp_send)(server, 1, 500 * MIB, 1, True)
        grown = processes.memory(server.pid, "VmHWM") - before
        print(f"  one message of 500 MiB: grows by {grown / 1024:.1f} MiB (aim: under 8 MiB)"
              f"{verdict(grown < 8 * 1024)}")
    with office() as server:
        smtp_source(server, 1, KIB, 10, True)
        before = processes.memory(server.pid, "VmRSS")
        clients = [idle_session(server.port) for _ in range(1000)]
        each = (processes.memory(server.pid, "VmRSS") - before) / len(clients)
        for client in clients:
            client.close()
        print(f"  1,000 idle sessions: {each:.1f} KiB each (aim: under 20 KiB){verdict(each < 20)}", flush=True)


def idle_session(port):
    """A client that was greeted, has said EHLO, and waits."""
    client = socket.create_connection(("127.0.0.1", port), 10)
    reader = client.makefile("rb")
    assert reader.readline().startswith(b"220 ")
    client.sendall(b"EHLO idle.test\r\n")
    while reader.readline()[3:4] == b"-":
        pass
    reader.close()
    return client


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", required=True, help="folder of postoffice and smtp-send")
    parser.add_argument("--mailin-sink", required=True)
    parser.add_argument("--quick", action="store_true", help="fewer messages, one round")
    parser.add_argument("--count", type=int, default=10_000, help="messages of 4 KiB in a round")
    parser.add_argument("--repeat", type=int, default=3, help="rounds, of which the median counts")
    parser.add_argument("--only", nargs="*", choices=("discarding", "delivering", "memory"))
    options = parser.parse_args()
    options.postoffice = str(pathlib.Path(options.programs, "postoffice").resolve())
    options.smtp_send = str(pathlib.Path(options.programs, "smtp-send").resolve())
    options.mailin_sink = str(pathlib.Path(options.mailin_sink).resolve())
    if options.quick:
        options.count, options.repeat = 2000, 1
    parts = {"discarding": discarding, "delivering": delivering, "memory": memory}
    # Beside the build's output, so that all that is delivered lies on the disk that matters, not in a memory file system.
    with tempfile.TemporaryDirectory(prefix="mailwright-load-", dir=pathlib.Path(options.programs).resolve()) as folder:
        os.chmod(folder, 0o755)
        # Where the file system is of the ext family, the servers' folders lie apart on the disk, so that the files that
        # one removes are in nobody else's way.
        subprocess.run(["chattr", "+T", folder], check=False, stderr=subprocess.DEVNULL)
        options.folder = pathlib.Path(folder)
        for name in options.only or parts:
            parts[name](options)


main()

#!/usr/bin/env python3
"""What a delivery costs, from spawn to exit: ours and procmail, turn by turn, in user and system time.

    taskset -c 1 benches/procmail/spawn.py [--runs 1000] [OURS [THEIRS]]

An rc file of 50 recipes, of which the last one files a mail of 5 KiB into a mailbox. Each run starts both programs once,
so that both see the same machine. Printed are means per delivery, and their ratio.
"""

import argparse
import os
import statistics
import tempfile
import time

DATE = "Tue Jan  2 03:04:05 2001"


def rc(home):
    recipes = [f"MAILDIR={home}\nLOGFILE=/dev/null\n"]
    for number in range(49):
        recipes.append(
            [
                f":0:\n* ^TO_list-{number}@lists\\.example\\.(org|net)\nlist-{number}\n",
                f":0:\n* ^Subject:.*\\[project {number}\\]\nproject-{number}\n",
                f":0:\n* ^From:.*(ann|joe|eve)-{number}@\n* ^X-Mailer:.*mutt\nfriend-{number}\n",
                f":0:\n* ^List-Id:.*<dev-{number}\\.\n* ! ^Precedence: bulk\ndev-{number}\n",
                f":0:\n* < 100000\n* ^(Sender|Reply-To|Errors-To):.*robot{number}\nrobot-{number}\n",
            ][number % 5]
        )
    recipes.append(":0:\n* ^Subject:.*more cats\ncats\n")
    return "\n".join(recipes)


def mail():
    header = "".join(f"Received: from relay{n}.example.org by mx{n}.example.net;\n\tMon, 1 Jan 2001 0{n}:00:00 +0000\n" for n in range(6))
    header += "From: Ann Other <ann@example.org>\nTo: joe@example.net\nSubject: more cats\n"
    header += "Message-ID: <1@example.org>\nDate: Tue, 2 Jan 2001 03:04:05 +0000\nX-Mailer: pine\n"
    text = f"From ann@example.org {DATE}\n{header}\n"
    line = "The quick brown fox jumps over the lazy dog, and then once more.\n"
    return (text + line * ((5 * 1024 - len(text)) // len(line))).encode()


def deliver(program, home, arguments):
    """User and system time, and the time on the clock, of one delivery, in milliseconds."""
    given = os.open(f"{home}/mail", os.O_RDONLY)
    start = time.perf_counter()
    child = os.posix_spawn(
        program, [program, *arguments], {"PATH": "/usr/bin:/bin"}, file_actions=[(os.POSIX_SPAWN_DUP2, given, 0)]
    )
    _, status, usage = os.wait4(child, 0)
    took = time.perf_counter() - start
    os.close(given)
    if status:
        raise SystemExit(f"expected {program} to deliver, found status {status}")
    return usage.ru_utime * 1000, usage.ru_stime * 1000, took * 1000


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--runs", type=int, default=1000)
    options.add_argument("ours", nargs="?", default="target/release/procmail")
    options.add_argument("theirs", nargs="?", default="/usr/bin/procmail")
    options = options.parse_args()
    programs = [os.path.abspath(options.ours), options.theirs]
    with tempfile.TemporaryDirectory() as home:
        os.chmod(home, 0o700)
        for name, content in [("rc", rc(home).encode()), ("mail", mail())]:
            with open(f"{home}/{name}", "wb") as file:
                file.write(content)
        arguments = [f"HOME={home}", f"DEFAULT={home}/default", f"ORGMAIL={home}/default", f"{home}/rc"]
        taken = {program: [] for program in programs}
        for run in range(options.runs + 20):
            for program in programs if run % 2 else reversed(programs):
                times = deliver(program, home, arguments)
                # The first ones only warm up.
                if run >= 20:
                    taken[program].append(times)
            if os.path.getsize(f"{home}/cats") > 1 << 20:
                os.truncate(f"{home}/cats", 0)
    sums = []
    for program in programs:
        user, system, clock = (statistics.fmean(times) for times in zip(*taken[program]))
        sums.append(user + system)
        median = statistics.median(one[0] + one[1] for one in taken[program])
        print(
            f"{program}: user {user:.3f} ms, system {system:.3f} ms, together {user + system:.3f} ms "
            f"(median {median:.3f}), on the clock {clock:.2f} ms"
        )
    print(f"ratio of user and system time: {sums[0] / sums[1]:.2f}")


main()

"""Processes of the servers being measured: their CPU time and their memory, from /proc."""

import os
import signal
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """Parent, and CPU ticks of the process with those of the children that it has waited for."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[1]), sum(int(field) for field in fields[11:15])


def tree(root):
    """The process and all that descend from it, with their ticks."""
    parents, ticks = {}, {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parents[int(name)], ticks[int(name)] = _stat(int(name))
            except (FileNotFoundError, ProcessLookupError):
                pass
    found, grew = {root}, True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grew = bool(more)
    return {pid: ticks[pid] for pid in found if pid in ticks}


def cpu_seconds(root):
    return sum(tree(root).values()) / TICKS


def memory(pid, field):
    """A field of /proc/PID/status in KiB: VmRSS is what is resident, VmHWM the most that ever was."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    raise RuntimeError(f"process {pid} has no {field}")


def forget_peak(pid):
    """Sets VmHWM back to what is resident now."""
    with open(f"/proc/{pid}/clear_refs", "w", encoding="utf-8") as file:
        file.write("5")


def stop(process, grace=10):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(condition, what, seconds=60, pause=0.02):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(pause)

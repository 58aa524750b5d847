"""Child processes: every one is ended with its whole group when the run ends, however it ends."""

import ctypes
import os
import signal
import socket
import subprocess
import time

from lib.checks import Failed, note

_started = []
_PR_SET_PDEATHSIG = 1


def _own_group():
    os.setsid()
    # Should the run itself be killed, its servers go too.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def start(argv, log, **options):
    """Starts a server that writes to the file `log`. It runs until `stop` or the end."""
    with open(log, "ab") as output:
        child = subprocess.Popen(
            [str(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=options.pop("stdout", output),
            stderr=output,
            preexec_fn=_own_group,
            **options,
        )
    _started.append(child)
    return child


def stop(child, how=signal.SIGTERM, within=10):
    """Ends a child and all it started; its exit code, negative for a signal."""
    if child.poll() is None:
        child.send_signal(how)
        try:
            child.wait(within)
        except subprocess.TimeoutExpired:
            note(f"process {child.args[0]} did not end within {within} s")
    _kill_group(child)
    code = child.wait(5)
    if child in _started:
        _started.remove(child)
    return code


def stop_all():
    """Ends all that still run, the last started first."""
    for child in list(reversed(_started)):
        try:
            stop(child, within=5)
        except (OSError, subprocess.SubprocessError):
            pass


def _kill_group(child):
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Ran:
    """How a program ended."""

    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out, self.err = argv, code, out, err

    @property
    def text(self):
        return (self.out + self.err).decode("utf-8", "replace")


def run(argv, given=b"", timeout=60, **options):
    """Runs a program to its end, with bytes for its standard input."""
    argv = [str(part) for part in argv]
    note("$ " + " ".join(argv))
    child = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_own_group,
        **options,
    )
    _started.append(child)
    try:
        out, err = child.communicate(given, timeout)
    except subprocess.TimeoutExpired:
        _kill_group(child)
        out, err = child.communicate()
        note((out + err).decode("utf-8", "replace"))
        raise Failed(f"expected {argv[0]} to end within {timeout} s, found it running") from None
    finally:
        _started.remove(child)
    ran = Ran(argv, child.returncode, out, err)
    note(ran.text)
    note(f"exit code {ran.code}")
    return ran


def run_ok(argv, *args, **options):
    """Runs a program that must succeed."""
    ran = run(argv, *args, **options)
    if ran.code != 0:
        raise Failed(f"expected {ran.argv[0]} to succeed, found exit code {ran.code}: {ran.text[-500:]}")
    return ran


def run_fails(argv, code, *args, **options):
    """Runs a program that must end with this exit code, or one of these."""
    ran = run(argv, *args, **options)
    codes = code if isinstance(code, tuple) else (code,)
    if ran.code not in codes:
        raise Failed(
            f"expected {ran.argv[0]} to end with exit code {codes}, found {ran.code}: {ran.text[-500:]}"
        )
    return ran


def free_port():
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_port(port, child, within=20):
    """Waits until something listens on the port; fails if the child ends before."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        if child.poll() is not None:
            raise Failed(
                f"expected {child.args[0]} to listen on port {port}, found that it ended with {child.returncode}"
            )
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise Failed(f"expected a listener on port {port} within {within} s, found none")


def tail(path, lines=25):
    """The last lines of a log."""
    try:
        with open(path, "rb") as log:
            return log.read().decode("utf-8", "replace").splitlines()[-lines:]
    except OSError:
        return []

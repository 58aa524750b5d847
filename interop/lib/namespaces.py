"""Namespaces: for the run, so that nothing outlives it, and for programs whose ports are fixed."""

import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import threading

_CLONE_NEWNS, _CLONE_NEWPID, _CLONE_NEWNET = 0x20000, 0x20000000, 0x40000000
_PR_SET_PDEATHSIG = 1
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def in_own_processes(act):
    """Calls `act` as the first process of a namespace; its exit code.

    All that it starts ends with it, even what has made itself independent, and even if it is killed; so do its mounts.
    """
    _unshare(_CLONE_NEWPID | _CLONE_NEWNS)
    child = os.fork()
    if child == 0:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "-t", "proc", "proc", "/proc"], check=True)
        return act()
    for how in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(how, lambda number, frame: os.kill(child, number))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def in_own_network(act):
    """Calls `act` where no port is taken: in a thread with a loopback of its own, which what it starts shares."""
    outcome = []

    def body():
        try:
            _unshare(_CLONE_NEWNET)
            with socket.socket() as any_socket:
                fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP))
            outcome.append((act(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    value, error = outcome[0]
    if error is not None:
        raise error
    return value


def _unshare(flags):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"expected a namespace (root with CAP_SYS_ADMIN), found: {os.strerror(error)}")

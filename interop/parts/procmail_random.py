"""Random whole rc files under Debian's procmail and ours: the same files, exit code, output and verbose log.

INTEROP_RC_FILES says how many, INTEROP_SEED where to start.
"""

import ctypes
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from multiprocessing import Pool
from pathlib import Path

from lib.checks import Failed, check, note
from lib.rc_files import RcFiles

THEIRS = "/usr/bin/procmail"
# As root, Debian's takes away devices that it was told to lock.
USER = pwd.getpwnam("nobody")
COUNT = int(os.environ.get("INTEROP_RC_FILES", "1000"))
SEED = int(os.environ.get("INTEROP_SEED", "0"))
DATE = "Tue Jan  2 03:04:05 2001"
HEADER = """Return-Path: <ann@example.org>
From: Ann Other <ann@example.org>
To: joe@example.net
Cc: lists@lists.example.com
Subject: [cats] more of them
Message-ID: <1@example.org>
X-Folded: one
\ttwo
"""
MAILS = [
    f"From ann@example.org {DATE}\n{HEADER}\nBody line.\nFrom here to eternity.\n\nlast line\n",
    f"{HEADER}\nBody line.\n",
    f"From ann@example.org {DATE}\n{HEADER}\n",
    f"From ann@example.org {DATE}\n{HEADER}\nno end",
    f"From ann@example.org {DATE}\n{HEADER}Content-Length: 12\n\nBody line.\n\nFrom x\n\n",
]
SENDMAIL = '#!/bin/sh\n{ echo "$@"; cat; echo =; } >>"$HOME/sent"\n'
ARGS = '#!/bin/sh\ncat >/dev/null\nfor a in "$@"; do printf "<%s>\\n" "$a"; done\n'
SECONDS = 10
_PR_SET_CHILD_SUBREAPER = 36


class Unending(Exception):
    """A program did not end in its time."""


def run(setting):
    with tempfile.TemporaryDirectory() as scratch:
        _run(setting.procmail, Path(scratch))


def _run(program, scratch):
    scratch.chmod(0o755)
    ours, theirs = scratch / "ours" / "procmail", scratch / "theirs" / "procmail"
    for copy, original in ((ours, program), (theirs, THEIRS)):
        copy.parent.mkdir()
        # Without set-id bits.
        shutil.copyfile(original, copy)
        copy.chmod(0o755)
    with check(f"procmail does as Debian's with {COUNT} random rc files, from seed {SEED}"):
        wrong, skipped = compare(ours, theirs, scratch / "random", range(SEED, SEED + COUNT), 16)
        for text in wrong[:5]:
            note(text)
        print(f"   {skipped} of them were too much for Debian's")
        if len(wrong) > COUNT // 40 or skipped > COUNT // 20:
            raise Failed(f"expected few differences (process numbers, memory that Debian's reads past its end), found {len(wrong)}: {wrong[:1]}")


def compare(ours, theirs, scratch, seeds, workers):
    """What differs, and how many rc files say nothing since Debian's crashes or hangs."""
    with Pool(workers, _prepare, (str(ours), str(theirs), str(scratch))) as pool:
        results = pool.map(_differs, seeds, chunksize=20)
    return [text for text in results if text], sum(text is None for text in results)


_ours = _theirs = _home = None


def _prepare(ours, theirs, scratch):
    global _ours, _theirs, _home
    # What loses its parent becomes ours, so that its end can be awaited.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    os.umask(0o022)
    _ours, _theirs = ours, theirs
    _home = Path(scratch) / str(os.getpid())
    os.environ.update({"TZ": "UTC", "LC_ALL": "C"})


def _differs(seed):
    """What differs for a seed: nothing is the empty text; none if Debian's does not get through."""
    files = RcFiles(seed).make()
    mail = MAILS[seed % len(MAILS)] if seed % 3 else MAILS[0]
    arguments = [["-t"], ["-a", "arg one", "-a", "two"], [], [], []][seed % 5]
    verbose = ["VERBOSE=yes"] if seed % 4 else []
    try:
        theirs = _picture(_theirs, files, mail, arguments, verbose)
    except Unending:
        return None
    if theirs[0][0] < 0:
        return None
    try:
        ours = _picture(_ours, files, mail, arguments, verbose)
    except Unending:
        return f"seed {seed}: ours does not end"
    found = []
    for (one, other), what in zip(zip(theirs[0], ours[0]), ("exit code", "output", "errors")):
        if one != other and (what == "exit code" or not _same_lines(one, other)):
            found.append(f"{what}: theirs {one!r}\n{' ' * len(what)}   ours {other!r}")
    for name in sorted(theirs[1].keys() | ours[1].keys()):
        one, other = theirs[1].get(name), ours[1].get(name)
        if one == other or (one and other and one[:2] == other[:2] and _same_lines(one[2], other[2])):
            continue
        found.append(f"{name}:\n  theirs {_shown(one, other)}\n  ours   {_shown(other, one)}")
    return f"seed {seed}: {found[0] if len(found) == 1 else chr(10).join(found)}" if found else ""


def _same_lines(one, other):
    """Programs that are not waited for write when they get to it."""
    return sorted(one.split(b"\n")) == sorted(other.split(b"\n"))


def _shown(one, other):
    """The lines that only one has, some of what stands before the first of them included."""
    if not one or not other or one[:2] != other[:2]:
        return one and (one[0], one[1], one[2][-300:])
    left, mine = Counter(other[2].split(b"\n")), one[2].split(b"\n")
    only = []
    for at, line in enumerate(mine):
        if left[line]:
            left[line] -= 1
        else:
            only += mine[at - 2 if at > 1 and not only else at : at + 1]
    return b"\n    ".join(only[:8]).decode(errors="backslashreplace")


def _picture(program, files, mail, arguments, verbose):
    """(Exit code, output, errors), and all files with modes, links and contents."""
    shutil.rmtree(_home, ignore_errors=True)
    home = _home / "home"
    for folder in (home, home / "plain", home / "sub", home / "bin"):
        folder.mkdir(parents=True)
    for name, text in files.items():
        (home / name).write_bytes(text.encode("latin1"))
    for name, script in (("sendmail", SENDMAIL), ("args", ARGS)):
        (home / "bin" / name).write_text(script)
        (home / "bin" / name).chmod(0o755)
    (_home / "mail").write_bytes(mail.encode())
    for place, folders, names in os.walk(_home):
        for path in [place, *(os.path.join(place, name) for name in names)]:
            os.chown(path, USER.pw_uid, USER.pw_gid)
    settings = [
        f"HOME={home}", "SHELL=/bin/sh", f"SENDMAIL={home}/bin/sendmail", f"DEFAULT={home}/default",
        f"ORGMAIL={home}/orgmail", f"LOGFILE={home}/log", "LOCKSLEEP=0", "SUSPEND=0", *verbose,
    ]
    with open(_home / "mail", "rb") as given, open(_home / "out", "wb") as out, open(_home / "err", "wb") as err:
        child = subprocess.Popen(
            [program, *arguments, *settings, str(home / "rc")],
            stdin=given, stdout=out, stderr=err, cwd=home, start_new_session=True,
            user=USER.pw_uid, group=USER.pw_gid, extra_groups=[],
        )
    try:
        code = child.wait(SECONDS)
        _await_group(child.pid)
    except (subprocess.TimeoutExpired, Unending):
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        _await_group(child.pid)
        raise Unending from None
    seen = {}
    for place, folders, names in os.walk(_home / "home"):
        for name in names + folders:
            path = Path(place) / name
            shown = _tidy(os.fsencode(path.relative_to(_home)))
            status = path.lstat()
            content = _tidy(path.read_bytes()) if name in names else b""
            seen.setdefault(shown, []).append((oct(status.st_mode), status.st_nlink if name in names else 0, content))
    return (code, _tidy((_home / "out").read_bytes()), _tidy((_home / "err").read_bytes())), _numbered(seen)


def _numbered(seen):
    """What has the same name but for what is unique, in the order of what it is."""
    return {name + b"+" * number: one for name, all in seen.items() for number, one in enumerate(sorted(all))}


def _await_group(group):
    until = time.monotonic() + SECONDS
    while True:
        try:
            ended, _ = os.waitpid(-group, os.WNOHANG)
        except ChildProcessError:
            return
        if not ended:
            if time.monotonic() > until:
                raise Unending
            time.sleep(0.002)


def _tidy(text):
    text = text.replace(_theirs.encode(), b"PROGRAM").replace(_ours.encode(), b"PROGRAM")
    # Cut off where the log has no more room.
    text = re.sub(rb"\d{9,}\.\d+(_\d+\.[\w.-]+|_?\d*\.?[\w.-]*(?=\t))", b"UNIQUE", text)
    text = re.sub(rb"_[\w+-]+[.,+%][\w-]+\.[\w.-]+", b"TEMPORARY", text)
    text = re.sub(rb"(msg|new)\.[\w-]+", rb"\1.INODE", text)
    text = re.sub(rb"procmail: \[\d+\] [^\n]*\n", b"", text)
    text = re.sub(rb"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d 20[2-9]\d", b"NOW", text)
    return re.sub(rb"\t+ *(\d+)\n", rb"\t\1\n", text) if b"UNIQUE" in text or b"INODE" in text else text

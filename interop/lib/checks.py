"""Checks: counted, printed one a line, each with the transcript that led to a failure.

    with check("swaks STARTTLS PLAIN"):
        ...                     # raises where something is not as expected

`note` adds to the transcript of the check that runs; `finish` prints the summary and gives the exit code.
"""

import sys
import time
import traceback
from contextlib import contextmanager

_TRANSCRIPT_LINES = 40


class Failed(Exception):
    """Something was not as expected; the text says what was, and what was found."""


class _Tally:
    passed = 0
    failed = []
    transcript = []
    watched = []


def note(text):
    """Adds to the transcript of the check that runs."""
    _Tally.transcript.extend(str(text).rstrip("\n").split("\n"))
    del _Tally.transcript[:-400]


def watch(tail):
    """Has `tail()` asked for more transcript (a server's log) whenever a check fails."""
    _Tally.watched.append(tail)


def unwatch(tail):
    """Undoes `watch`."""
    if tail in _Tally.watched:
        _Tally.watched.remove(tail)


def expect(condition, expected, found):
    """Fails unless `condition`."""
    if not condition:
        raise Failed(f"expected {expected}, found {_short(found)}")


def equal(found, expected, what="the value"):
    """Fails unless both are equal."""
    if found != expected:
        raise Failed(f"expected {what} to be {_short(expected)}, found {_short(found)}")


@contextmanager
def check(name):
    """One check. A failure is printed and counted, and the run goes on."""
    _Tally.transcript = []
    began = time.monotonic()
    try:
        yield
    except Exception as error:
        number = _Tally.passed + len(_Tally.failed) + 1
        _Tally.failed.append(name)
        why = error if isinstance(error, (Failed, OSError)) else traceback.format_exc()
        print(f"FAIL {number} {name}: {why}")
        for line in _Tally.transcript[-_TRANSCRIPT_LINES:]:
            print(f"    | {_short(line, 300)}")
        for tail in _Tally.watched:
            for line in tail():
                print(f"    # {_short(line, 300)}")
    else:
        _Tally.passed += 1
        took = time.monotonic() - began
        slow = f" ({took:.1f} s)" if took > 3 else ""
        print(f"ok {_Tally.passed + len(_Tally.failed)} {name}{slow}")
    finally:
        sys.stdout.flush()


def finish():
    """Prints the summary; the exit code is not zero if anything failed, or nothing was checked."""
    for name in _Tally.failed:
        print(f"failed: {name}")
    if not _Tally.passed:
        print("no check passed")
    print(f"{_Tally.passed} passed, {len(_Tally.failed)} failed")
    return 1 if _Tally.failed or not _Tally.passed else 0


def _short(value, most=600):
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"

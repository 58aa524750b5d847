"""procmail's regular expressions beside the engine's: random short ones over random short texts, hundreds to an rc file.

INTEROP_LONG=1 tries millions of them, INTEROP_SEED says where to start.
"""

import os
import re
from pathlib import Path

from lib.checks import check, expect
from lib.children import run as run_program

FEW, MANY = 100_000, 3_000_000
REPO = Path(__file__).resolve().parents[2]


def run(_setting):
    long = os.environ.get("INTEROP_LONG") == "1"
    count = MANY if long else FEW
    settings = [f"EXPRESSIONS={count}"]
    if seed := os.environ.get("INTEROP_SEED"):
        settings.append(f"EXPRESSIONS_SEED={seed}")
    test = ["--package", "mailwright-procmail-engine", "--test", "expressions", "--", "--nocapture"]
    manifest = ["--manifest-path", REPO / "Cargo.toml"]
    with check(f"procmail_regex finds the same as procmail, {count} times"):
        argv = ["env", *settings, "cargo", "test", "--release", "--quiet", *manifest, *test]
        text = run_program(argv, timeout=4 * 3600 if long else 600).text
        told = re.search(r"(\d+) expressions compared, (\d+) differ", text)
        expect(told and int(told[1]) >= count and told[2] == "0", "no differences", text[-4000:])

"""Runs the parts that were asked for, then prints the summary."""

import importlib
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import checks, children, office  # noqa: E402
from lib.certificates import Certificates  # noqa: E402
from lib.namespaces import in_own_processes  # noqa: E402

# In the order they run. Each is a module of parts/ with a function run(setting).
PARTS = [
    "command",
    "swaks",
    "curl",
    "msmtp",
    "s_nail",
    "smtplib_client",
    "nodemailer",
    "gsasl",
    "smtp_source",
    "attacks_on_commands",
    "attacks_on_messages",
    "attacks_on_logins",
    "pop_clients",
    "pop3_fetch",
    "pop3_concurrent",
    "stores",
    "slow",
    "lifecycle",
    "disk_full",
    "rules",
    "procmail",
    "procmail_random",
    "smtp_sink",
    "postfix",
    "dovecot",
    "formail",
    "procmail_regex",
    "sieve",
    "study",
    "procmail_lib",
    "spamassassin",
    "folders",
]


class Setting:
    """What all parts share: a scratch folder, certificates, the programs, and a post office started when first wanted."""

    def __init__(self, scratch):
        self.scratch = scratch
        self.certificates = Certificates(scratch / "certificates")
        self.postoffice = Path(os.environ["INTEROP_BIN"]) / "postoffice"
        self.smtp_send = Path(os.environ["INTEROP_BIN"]) / "smtp-send"
        self.pop3_fetch = Path(os.environ["INTEROP_BIN"]) / "pop3-fetch"
        self.procmail = Path(os.environ["INTEROP_BIN"]) / "procmail"
        self.node_modules = Path(os.environ["INTEROP_NODE_MODULES"])
        self._office = None

    @property
    def office(self):
        """The post office with the usual configuration."""
        if self._office is None:
            self._office = office.Office(self, "main")
        return self._office

    def folder(self, name):
        """A fresh folder that servers under other user ids can enter."""
        path = self.scratch / name
        path.mkdir(mode=0o755, parents=True)
        return path


def main(wanted):
    if wanted == ["--list"]:
        print("\n".join(PARTS))
        return 0
    # `attacks` stands for all whose names begin so.
    chosen = [
        part
        for part in PARTS
        if not wanted or any(part == name or part.startswith(f"{name}_") for name in wanted)
    ]
    unknown = [
        name for name in wanted if not any(part == name or part.startswith(f"{name}_") for part in PARTS)
    ]
    if unknown:
        print(
            f"interop/run: expected parts of {', '.join(PARTS)}; found {', '.join(unknown)}", file=sys.stderr
        )
        return 2
    return in_own_processes(lambda: run(chosen))


def run(chosen):
    """Runs these parts; the exit code."""
    for how in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(how, lambda number, frame: sys.exit(128 + number))
    scratch = Path(tempfile.mkdtemp(prefix="mailwright-interop."))
    scratch.chmod(0o755)
    try:
        setting = Setting(scratch)
        for name in chosen:
            print(f"== {name}", flush=True)
            try:
                importlib.import_module(f"parts.{name}").run(setting)
            except Exception as error:
                # What a part starts before its first check.
                with checks.check(f"{name} can be set up"):
                    raise error
        return checks.finish()
    finally:
        children.stop_all()
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

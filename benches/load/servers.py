"""The servers being measured. Each listens on a free port of the loopback interface, and knows its process."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile

import processes

USER, DOMAIN = "load", "load.test"
RECIPIENT = f"{USER}@{DOMAIN}"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


def fresh_folder(parent):
    """A folder that nothing else has been in. Nothing is removed before all is measured: ext4 makes files slowly, for
    minutes, wherever many have been deleted."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=parent))
    # Postfix's delivery agent runs as nobody.
    folder.chmod(0o755)
    return folder


class Server:
    """Started on entry, stopped on exit."""

    name = ""

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        processes.stop(self.process)

    @property
    def pid(self):
        return self.process.pid

    def cpu(self):
        return processes.cpu_seconds(self.pid)

    def listening(self, command, **options):
        """Starts a program that prints `listening smtp ADDRESS:PORT`."""
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)
        for line in self.process.stdout:
            if found := re.match(r"listening smtp \S+:(\d+)$", line):
                self.port = int(found[1])
                break
        else:
            raise RuntimeError(f"{self.name} did not start")


class PostOffice(Server):
    """Ours. With `discard` it counts messages and drops them, else it delivers them to a Maildir below `folder`."""

    name = "postoffice"

    def __init__(self, program, folder, discard):
        self.program, self.folder, self.discard = program, fresh_folder(folder), discard

    def start(self):
        config = self.folder / "postoffice.toml"
        config.write_text(
            f'domains = ["{DOMAIN}"]\ndata = "data"\nlisten = ["smtp=127.0.0.1:0"]\n'
            f"discard = {str(self.discard).lower()}\n"
            f'[users]\n{USER} = "unused"\n[tls]\nenabled = false\n'
            '[limits]\nconnections_per_address = 10000\nmessage_size = "1GiB"\n'
        )
        self.listening([self.program, "serve", "--config", config, "--log", "warn"])

    @property
    def maildir(self):
        return self.folder / "data" / "mail" / USER / "Maildir" / "new"


class SmtpSink(Server):
    """Postfix's own sink: one process, no fsync, no parsing to speak of."""

    name = "smtp-sink"

    def start(self):
        self.port = free_port()
        command = ["smtp-sink", "-u", "nobody", f"127.0.0.1:{self.port}", "1000"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        processes.wait_until(lambda: accepts(self.port), "smtp-sink")


class MailinSink(Server):
    """A sink on the mailin-embedded crate, with a thread for each session."""

    name = "mailin"

    def __init__(self, program, threads):
        self.program, self.threads = program, threads

    def start(self):
        self.listening([self.program, str(self.threads)])


class Postfix(Server):
    """A private instance of Postfix, delivering to a Maildir by its own delivery agent, with its defaults otherwise."""

    name = "postfix"

    def __init__(self, folder):
        self.folder = fresh_folder(folder)

    def start(self):
        for part in ("etc", "queue", "data", "mail"):
            (self.folder / part).mkdir(parents=True)
        shutil.chown(self.folder / "data", "postfix")
        shutil.chown(self.folder / "mail", "nobody", "nogroup")
        self.port = free_port()
        etc = self.folder / "etc"
        (etc / "main.cf").write_text(self.main_cf())
        (etc / "master.cf").write_text(self.master_cf())
        subprocess.run(["postfix", "-c", etc, "start"], check=True, capture_output=True)
        processes.wait_until(lambda: accepts(self.port), "postfix")

    def main_cf(self):
        owner = shutil._get_uid("nobody")
        daemons = next(
            path for path in ("/usr/lib/postfix/sbin", "/usr/libexec/postfix") if os.path.isdir(path)
        )
        return f"""
compatibility_level = 3.6
queue_directory = {self.folder}/queue
data_directory = {self.folder}/data
daemon_directory = {daemons}
maillog_file = {self.folder}/log
maillog_file_prefixes = {self.folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.{DOMAIN}
mydestination =
alias_maps =
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
smtpd_recipient_restrictions = permit_mynetworks, reject
virtual_mailbox_domains = {DOMAIN}
virtual_mailbox_base = {self.folder}/mail
virtual_mailbox_maps = static:{USER}/Maildir/
virtual_uid_maps = static:{owner}
virtual_gid_maps = static:{owner}
mailbox_size_limit = 0
virtual_mailbox_limit = 0
message_size_limit = 0
"""

    def master_cf(self):
        return f"""
127.0.0.1:{self.port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

    @property
    def pid(self):
        return int((self.folder / "queue" / "pid" / "master.pid").read_text())

    @property
    def maildir(self):
        return self.folder / "mail" / USER / "Maildir" / "new"

    def __exit__(self, *_):
        master = self.pid
        subprocess.run(["postfix", "-c", self.folder / "etc", "stop"], check=False, capture_output=True)
        processes.wait_until(lambda: not os.path.exists(f"/proc/{master}"), "the end of postfix")

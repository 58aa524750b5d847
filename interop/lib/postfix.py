"""A private Postfix: SMTP and submission with TLS and SASL, delivery into Maildirs, and routes to post offices.

It has a configuration, queue and log of its own, and ports on loopback; the machine's Postfix is not touched.
"""

import os
import pwd
import signal

from lib import checks, children
from lib.children import run_ok
from lib.office import eventually

MASTER_PROGRAM = "/usr/lib/postfix/sbin/master"

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = relay.example.net
mydestination = {local_domain}
mailbox_command_maps = {commands}
mynetworks = 127.0.0.2/32
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
biff = no
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
virtual_mailbox_domains = example.test
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{ {{ alice@example.test = alice/ }}, {{ bob@example.test = bob/ }}, {{ carol@example.test = carol/ }} }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
virtual_mailbox_limit = 0
mailbox_size_limit = 0
transport_maps = {routes}
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access inline:{{ {{ later@example.test = 450 4.2.1 come again }} }}
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
smtpd_sasl_type = dovecot
smtpd_sasl_path = {auth_socket}
smtpd_sasl_auth_enable = yes
smtpd_tls_auth_only = yes
smtpd_error_sleep_time = 0
smtpd_forbid_bare_newline = yes
smtpd_forbid_bare_newline_exclusions =
smtp_tls_security_level = {smtp_tls}
smtp_tls_CAfile = {ca}
lmtp_tls_security_level = {smtp_tls}
lmtp_tls_CAfile = {ca}
smtp_dns_support_level = disabled
smtp_line_length_limit = 0
lmtp_line_length_limit = 0
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 2s
message_size_limit = 20000000
"""

MASTER = """
127.0.0.1:{smtp} inet n - n - - smtpd
127.0.0.1:{submission} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
127.0.0.1:{submissions} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
local unix - n n - - local
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def _table(entries):
    """An inline table; Postfix takes no empty ones."""
    shown = ", ".join(f"{{ {key} = {value} }}" for key, value in (entries or {}).items())
    return f"inline:{{ {shown} }}" if shown else ""


class Postfix:
    """Runs until `stop`. `routes` are domains with their next hop, such as `{"a.test": "smtp:[127.0.0.1]:25"}`; `local` are
    users of this machine, known at local.test, with the commands that their mail is given to."""

    def __init__(self, setting, auth_socket, routes=None, smtp_tls="may", local=None):
        self.folder = setting.folder(f"postfix-{children.free_port()}")
        self.config = self.folder / "etc"
        user = pwd.getpwnam("nobody")
        owner = pwd.getpwnam("postfix")
        for name in ["etc", "queue", "data", "mail"]:
            (self.folder / name).mkdir()
        for name, to in [("data", owner), ("mail", user)]:
            os.chown(self.folder / name, to.pw_uid, to.pw_gid)
        self.smtp, self.submission, self.submissions = (children.free_port() for _ in range(3))
        (self.config / "main.cf").write_text(
            MAIN.format(
                folder=self.folder,
                uid=user.pw_uid,
                gid=user.pw_gid,
                certificate=setting.certificates.server,
                key=setting.certificates.server_key,
                ca=setting.certificates.ca,
                auth_socket=auth_socket,
                routes=_table(routes),
                local_domain="local.test" if local else "",
                commands=_table(local),
                smtp_tls=smtp_tls,
            )
        )
        (self.config / "master.cf").write_text(
            MASTER.format(smtp=self.smtp, submission=self.submission, submissions=self.submissions)
        )
        # This makes the queue. The master is our own child, rather than that of a script, so that it ends when we do.
        run_ok(["postfix", "-c", self.config, "check"])
        self.child = children.start([MASTER_PROGRAM, "-c", self.config, "-s"], self.folder / "out")
        checks.watch(self._tail)
        children.wait_port(self.smtp, self.child)

    def _tail(self):
        return [
            f"postfix: {line}"
            for line in children.tail(self.folder / "log", 10) + children.tail(self.folder / "out", 5)
        ]

    def stop(self):
        checks.unwatch(self._tail)
        children.stop(self.child, signal.SIGTERM)

    def files(self):
        """The messages that were delivered, as paths."""
        return set(self.folder.glob("mail/*/new/*"))

    def arrives(self, mark, count=1):
        """The messages that came since the mark, as (user, content), once there are so many."""
        eventually(lambda: len(self.files() - mark) >= count, f"{count} messages delivered by Postfix")
        return sorted((path.parent.parent.name, path.read_bytes()) for path in self.files() - mark)

    def submit(self, content, sender, recipients):
        """Puts a message into the queue by Postfix's own sendmail."""
        run_ok(["sendmail", "-C", self.config, "-f", sender, "-i", "--", *recipients], given=content)

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

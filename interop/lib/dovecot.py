"""A private Dovecot: LMTP delivery into Maildirs, POP3 to collect from them, and SASL for a private Postfix. On loopback, in a folder of its own."""

import signal

from lib import checks, children
from lib.office import USERS

CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = lmtp pop3
listen = 127.0.0.1
mail_location = maildir:{folder}/mail/%n
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
first_valid_gid = 1
mail_plugins = quota
pop3_uidl_format = %f
default_internal_user = dovecot
default_login_user = dovenull
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = yes
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
auth_username_format = %Ln
auth_failure_delay = 0
lmtp_save_to_detail_mailbox = no
recipient_delimiter = +
passdb {{
  driver = passwd-file
  args = username_format=%n {folder}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%n {folder}/users
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp_port}
  }}
  unix_listener lmtp {{
    mode = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    address = 127.0.0.1
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    address = 127.0.0.1
    port = {pop3s_port}
  }}
}}
service auth {{
  unix_listener {folder}/auth-for-postfix {{
    mode = 0666
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
protocol lmtp {{
  postmaster_address = postmaster@example.test
}}
"""


class Dovecot:
    """Runs until `stop`. Users are those of the post offices, and one, full, whose quota is 2 KB."""

    def __init__(self, setting):
        self.folder = setting.folder(f"dovecot-{children.free_port()}")
        self.lmtp_port, self.pop3_port, self.pop3s_port = (children.free_port() for _ in range(3))
        (self.folder / "users").write_text(
            "".join(f"{user}:{{PLAIN}}{word}::::::\n" for user, word in USERS.items() if ":" not in word)
            + "full:{PLAIN}x::::::userdb_quota_rule=*:bytes=2000\n"
        )
        (self.folder / "mail").mkdir()
        (self.folder / "mail").chmod(0o777)
        config = self.folder / "dovecot.conf"
        config.write_text(
            CONFIG.format(
                folder=self.folder,
                lmtp_port=self.lmtp_port,
                pop3_port=self.pop3_port,
                pop3s_port=self.pop3s_port,
                certificate=setting.certificates.server,
                key=setting.certificates.server_key,
            )
        )
        self.auth_socket = self.folder / "auth-for-postfix"
        self.child = children.start(["dovecot", "-F", "-c", config], self.folder / "out")
        checks.watch(self._tail)
        children.wait_port(self.lmtp_port, self.child)

    def _tail(self):
        return [
            f"dovecot: {line}"
            for line in children.tail(self.folder / "log", 8) + children.tail(self.folder / "out", 5)
        ]

    def stop(self):
        checks.unwatch(self._tail)
        children.stop(self.child, signal.SIGTERM)

    def files(self):
        """The messages, as paths."""
        return set(self.folder.glob("mail/*/new/*"))

    def mails(self):
        """The messages, as (user, content)."""
        return {(path.parent.parent.name, path.read_bytes()) for path in self.files()}

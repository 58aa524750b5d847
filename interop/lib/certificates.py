"""A certificate authority for the run, and what it signed: for servers on loopback, and for a client."""

from lib.children import run_ok


class Certificates:
    """Made once, by openssl."""

    def __init__(self, folder):
        folder.mkdir(mode=0o755)
        self.folder = folder
        self.ca, self._ca_key = self._authority("ca")
        self.other_ca, _ = self._authority("other-ca")
        self.server, self.server_key = self._signed(
            "server", "mail.example.test", "subjectAltName=DNS:mail.example.test,DNS:localhost,IP:127.0.0.1"
        )
        self.client, self.client_key = self._signed(
            "client", "alice", "subjectAltName=email:alice@example.test\nextendedKeyUsage=clientAuth"
        )

    def _authority(self, name):
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        run_ok(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "30",
            ]
            + ["-subj", f"/CN={name} of the test run", "-keyout", key, "-out", certificate]
            + ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        )
        return certificate, key

    def _signed(self, name, common_name, extensions):
        certificate, key, request = (self.folder / f"{name}{end}" for end in (".pem", ".key", ".csr"))
        extension_file = self.folder / f"{name}.ext"
        extension_file.write_text(extensions + "\nbasicConstraints=critical,CA:FALSE\n")
        run_ok(
            ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
            + ["-subj", f"/CN={common_name}", "-keyout", key, "-out", request]
        )
        run_ok(
            ["openssl", "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._ca_key, "-days", "30"]
            + ["-CAcreateserial", "-extfile", extension_file, "-out", certificate]
        )
        return certificate, key

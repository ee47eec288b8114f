"""Certificates for a broker of a test, by openssl: an authority, and broker certificates that are right or wrong."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

_CONFIG = """
[req]
distinguished_name = name
[name]
[ca]
default_ca = authority
[authority]
database = {folder}/index.txt
rand_serial = yes
new_certs_dir = {folder}
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
default_md = sha256
policy = policy
unique_subject = no
[policy]
commonName = supplied
[of_authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[of_broker]
subjectAltName = {names}
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


class Authority:
    """`ca` is its own certificate, PEM."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder, self.ca = folder, folder / "ca.pem"
        (folder / "index.txt").touch()
        subject = ["-subj", "/CN=test authority", "-days", "2", "-extensions", "of_authority"]
        self._openssl("req", "-x509", *subject, *self._new_key("ca"), "-out", str(self.ca))

    def broker(self, name: str, names: str = "IP:127.0.0.1", days: tuple[int, int] = (-1, 1)) -> Path:
        """Key and certificate in one file, for these names, valid from and until so many days from now."""
        request, certificate = self.folder / f"{name}.csr", self.folder / f"{name}.crt"
        self._openssl("req", "-new", "-subj", f"/CN={name}", *self._new_key(name), "-out", str(request))
        start, end = (f"{datetime.now(UTC) + timedelta(day):%Y%m%d%H%M%SZ}" for day in days)
        valid = ["-startdate", start, "-enddate", end, "-extensions", "of_broker"]
        files = ["-in", str(request), "-out", str(certificate)]
        self._openssl("ca", "-batch", "-notext", *valid, *files, names=names)
        both = self.folder / f"{name}.pem"
        both.write_text((self.folder / f"{name}.key").read_text() + certificate.read_text())
        return both

    def _new_key(self, name: str) -> list[str]:
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        return [*curve, "-keyout", str(self.folder / f"{name}.key")]

    def _openssl(self, command: str, *arguments: str, names: str = "DNS:unused") -> None:
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.fail("no openssl: apt-get install openssl")
        config = self.folder / "openssl.cnf"
        config.write_text(_CONFIG.format(folder=self.folder, names=names))
        ran = subprocess.run(
            [openssl, command, "-config", str(config), *arguments], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr

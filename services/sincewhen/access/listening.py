"""Where a server listens to whom it knows by a token: on the loopback interface, elsewhere with TLS only."""

from pathlib import Path

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class AddressError(Exception):
    """An address that tokens must not travel to."""


def check_address(host: str, tls_cert: Path | None, tls_key: Path | None) -> None:
    """Raises AddressError."""
    if (tls_cert is None) != (tls_key is None):
        raise AddressError("TLS needs the certificate and its key: name both, --tls-cert and --tls-key")
    if host not in LOOPBACK and tls_cert is None:
        raise AddressError(
            f"beyond 127.0.0.1 tokens travel with TLS only; got --host {host}: name --tls-cert and --tls-key, or leave "
            "--host out and put a proxy with TLS before it"
        )

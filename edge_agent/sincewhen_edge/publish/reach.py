"""Whether a Kafka broker can be reached: TCP, and TLS where it is asked for.

kafka-python keeps to itself why it could not connect, and waits for ever for a broker that takes a connection and does
not answer the TLS handshake. So this goes first: it ends in time, and its errors are exact.
"""

import socket
import ssl

from sincewhen_schemas.kafka import KafkaSettings

REACH_S = 5.0


def reached(kafka: KafkaSettings, timeout_s: float = REACH_S) -> list[tuple[str, int]]:
    """Those of the servers that can be reached. Raises OSError, the last one's, where none can."""
    context = _context(kafka) if kafka.security == "tls" else None
    found: list[tuple[str, int]] = []
    failure: OSError | None = None
    for host, port in kafka.addresses:
        try:
            with socket.create_connection((host, port), timeout_s) as connection:
                if context:
                    context.wrap_socket(connection, server_hostname=host).close()
            found.append((host, port))
        except OSError as error:
            failure = error
    if failure and not found:
        raise failure
    return found


def _context(kafka: KafkaSettings) -> ssl.SSLContext:
    """As kafka-python makes it of the same files."""
    context = ssl.create_default_context(cafile=kafka.ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if kafka.certificate_file:
        context.load_cert_chain(kafka.certificate_file, kafka.key_file)
    return context

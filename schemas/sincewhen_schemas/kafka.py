"""How an agent or a service reaches Kafka: the [kafka] table, the same in every TOML file, and its rules. No I/O here.

Environment: SINCEWHEN_KAFKA_SERVERS before `servers`, SINCEWHEN_KAFKA_PASSWORD before `password_file`. A password never
stands in the TOML.
"""

import tomllib
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

FRAMES_TOPIC = "frames"
PASSWORD = "SINCEWHEN_KAFKA_PASSWORD"  # noqa: S105 - a name
_PORT_MAX = 65535
_PROTOCOLS = {
    ("plaintext", False): "PLAINTEXT",
    ("plaintext", True): "SASL_PLAINTEXT",
    ("tls", False): "SSL",
    ("tls", True): "SASL_SSL",
}
ReadText: TypeAlias = Callable[[str], str]  # of a file; raises OSError or UnicodeDecodeError


class KafkaSettingsError(ValueError):
    """The [kafka] table, or the environment, breaks a rule."""


class KafkaSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The [kafka] table. `user`: by SASL; without one the broker takes everybody, or the client's certificate."""

    servers: str  # host:port, host:port, ...: some brokers of the cluster, which name the others
    security: Literal["plaintext", "tls"]
    user: str = ""
    sasl: Literal["SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    password_file: str = ""
    password: str = ""  # completed; never written
    ca_file: str = ""  # PEM; "" = the authorities that this machine trusts
    certificate_file: str = ""  # of this client, PEM; with key_file
    key_file: str = ""

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each server."""
        return [_address(server) for server in self.servers.split(",")]

    def completed(self, environment: Mapping[str, str], read: ReadText) -> "KafkaSettings":
        """Checked, with what environment and files say. Raises KafkaSettingsError: the rule, the value, the way out."""
        if self.password:
            raise KafkaSettingsError(
                f"a password does not stand in a TOML file: set {PASSWORD}, or name a kafka.password_file"
            )
        if self.password_file and not self.user:
            raise KafkaSettingsError(
                f"kafka.password_file goes with a user; got {self.password_file} without one: write kafka.user"
            )
        servers = environment.get("SINCEWHEN_KAFKA_SERVERS") or self.servers
        password = environment.get(PASSWORD) or (
            _text("password_file", self.password_file, read).strip() if self.password_file else ""
        )
        settings = msgspec.structs.replace(self, servers=servers, password=password)
        _ = settings.addresses  # raises where one is none
        _check_user(settings)
        _check_files(settings, read)
        return settings

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments of kafka-python's clients, and of aiokafka's with an ssl_context in the place of ssl_*."""
        options: dict[str, Any] = {
            "bootstrap_servers": [
                f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.addresses
            ],
            "security_protocol": _PROTOCOLS[self.security, bool(self.user)],
        }
        if self.user:
            options |= {
                "sasl_mechanism": self.sasl,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        files = {"ssl_cafile": self.ca_file, "ssl_certfile": self.certificate_file, "ssl_keyfile": self.key_file}
        return options | {name: path for name, path in files.items() if path}


def loaded(path: str, environment: Mapping[str, str], read: ReadText) -> KafkaSettings:
    """As `written_in`, completed."""
    written = written_in(path, read)
    try:
        return written.completed(environment, read)
    except KafkaSettingsError as error:
        raise KafkaSettingsError(f"{path}: {error}") from error


def written_in(path: str, read: ReadText) -> KafkaSettings:
    """The [kafka] table of a TOML file, not completed; other tables are others'. Raises KafkaSettingsError."""
    try:
        tables = tomllib.loads(read(path))
        written = msgspec.convert(tables["kafka"], KafkaSettings) if "kafka" in tables else None
    except (OSError, UnicodeDecodeError) as error:
        raise KafkaSettingsError(f"{path} can't be read: {error}; name a UTF-8 text file") from error
    except tomllib.TOMLDecodeError as error:
        raise KafkaSettingsError(f"{path} is not TOML: {error}; correct that line") from error
    except msgspec.ValidationError as error:
        raise KafkaSettingsError(f"{path}: [kafka]: {error}; schemas/README.md shows every field") from error
    if written is None:
        raise KafkaSettingsError(f"{path}: there is no [kafka] table: write servers and security in one")
    return written


def _check_user(kafka: KafkaSettings) -> None:
    if kafka.user and not kafka.password:
        raise KafkaSettingsError(
            f"kafka.user goes with a password; got {kafka.user!r} without one: set {PASSWORD}, or name a "
            "kafka.password_file"
        )


def _check_files(kafka: KafkaSettings, read: ReadText) -> None:
    named = {"ca_file": kafka.ca_file, "certificate_file": kafka.certificate_file, "key_file": kafka.key_file}
    given = [name for name, path in named.items() if path]
    if given and kafka.security != "tls":
        raise KafkaSettingsError(
            f"kafka.{given[0]} goes with security = 'tls'; got {kafka.security!r}: write tls, or leave it out"
        )
    if bool(kafka.certificate_file) != bool(kafka.key_file):
        raise KafkaSettingsError(
            f"kafka.certificate_file and kafka.key_file go together; got {given[-1]} alone: name both"
        )
    for name in given:
        what = "PRIVATE KEY" if name == "key_file" else "CERTIFICATE"
        if f"{what}-----" not in _text(name, named[name], read):
            raise KafkaSettingsError(
                f"kafka.{name} is PEM with a {what}; got {named[name]}, which has none: convert it with openssl"
            )


def _address(server: str) -> tuple[str, int]:
    host, _, port = server.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (host and port.isascii() and port.isdigit() and 0 < int(port) <= _PORT_MAX and "/" not in host):
        raise KafkaSettingsError(
            f"kafka.servers is HOST:PORT, or several with commas between; got {server.strip()!r}: 9092 is usual"
        )
    return host, int(port)


def _text(name: str, path: str, read: ReadText) -> str:
    try:
        return read(path)
    except (OSError, UnicodeDecodeError) as error:
        raise KafkaSettingsError(
            f"kafka.{name} {path} can't be read: {error}; whoever runs the broker has it"
        ) from error

"""What the processes of a distributed plant are told: one TOML file for all, and the environment, read once at start.

Environment: SINCEWHEN_KAFKA_SERVERS, SINCEWHEN_KAFKA_PASSWORD (schemas/README.md), SINCEWHEN_STORE_PASSWORD. A password
never stands in the TOML.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec

from sincewhen.plant import Plant, PlantError, load_plant
from sincewhen.store.connect import Connection, Server
from sincewhen_schemas.kafka import KafkaSettings, KafkaSettingsError

STORE_PASSWORD = "SINCEWHEN_STORE_PASSWORD"  # noqa: S105 - a name
FILE = click.Path(dir_okay=False, path_type=Path)


class StoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A ClickHouse server, or `sincewhen store`."""

    url: str = "http://127.0.0.1:8123"
    user: str = "default"
    password_file: str = ""
    password: str = ""  # completed; never written
    ca_file: str = ""  # PEM; "" = the authorities that this machine trusts


class AlertmanagerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    url: str = ""  # "" = nobody is paged


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """plant: its file, beside this one. console: address of the pages, for the links in alerts."""

    kafka: KafkaSettings
    plant: str = ""
    console: str = "http://127.0.0.1:8099"
    store: StoreSettings = StoreSettings()
    alertmanager: AlertmanagerSettings = AlertmanagerSettings()


class SettingsError(ValueError):
    """The file, or the environment, breaks a rule."""


def load_settings(path: Path, environment: Mapping[str, str]) -> tuple[Settings, Plant]:
    """Settings, completed, and the plant that they name. Raises SettingsError: the rule, the value, the way out."""
    try:
        written = msgspec.convert(tomllib.loads(_text(str(path))), Settings)
        kafka = written.kafka.completed(environment, _text)
        store = _completed(written.store, environment)
        plant = load_plant(path.parent / written.plant if written.plant else None)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} can't be read: {error}; name a UTF-8 text file") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not TOML: {error}; correct that line") from error
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: {error}; deploy/sincewhen.example.toml shows every field") from error
    except (KafkaSettingsError, PlantError, SettingsError) as error:
        raise SettingsError(f"{path}: {error}") from error
    for name, url in (("console", written.console), ("alertmanager.url", written.alertmanager.url)):
        _check_url(f"{path}: {name}", url)
    return msgspec.structs.replace(written, kafka=kafka, store=store), plant


def settings_of(path: Path) -> tuple[Settings, Plant]:
    """For a command: as load_settings, with this process's environment."""
    try:
        return load_settings(path, os.environ)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


def connection_of(store: StoreSettings) -> Connection:
    """Raises StoreUnavailable."""
    return Connection(Server(store.url, store.user, store.password, Path(store.ca_file) if store.ca_file else None))


def _completed(store: StoreSettings, environment: Mapping[str, str]) -> StoreSettings:
    if store.password:
        raise SettingsError(f"a password does not stand in a TOML file: set {STORE_PASSWORD}, or store.password_file")
    _check_url("store.url", store.url)
    try:
        written = _text(store.password_file).strip() if store.password_file else ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"store.password_file {store.password_file} can't be read: {error}") from error
    return msgspec.structs.replace(store, password=environment.get(STORE_PASSWORD) or written)


def _check_url(name: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = not url or (parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0)
    except ValueError:  # a port beyond 65535, half an IPv6 address
        usable = False
    if not usable:
        raise SettingsError(f"{name} is an http(s) address; got {url!r}: write http://HOST:PORT")


def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")

"""One frozen value out of edge.toml and the environment, read once, at start.

Environment: SINCEWHEN_SERVER before `server`, SINCEWHEN_TOKEN before `token_file`; of [kafka]:
`sincewhen_schemas.kafka`. A token or password never stands in the TOML.
"""

import math
import os
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

from sincewhen_edge.fit import is_id, unicode
from sincewhen_schemas.frames import Purpose
from sincewhen_schemas.kafka import KafkaSettings, KafkaSettingsError
from sincewhen_schemas.limits import (
    CLASSES_MAX,
    ID_CHARS_MAX,
    RECORD_BYTES_MAX,
    STATION_CHARS_MAX,
    STATION_ID,
    TEXT_CHARS_MAX,
)

DEFAULT_SERVER = "http://127.0.0.1:8099"
OutputKind: TypeAlias = Literal["auto", "logits", "probabilities", "detections", "values"]


class SettingsError(ValueError):
    """edge.toml, or the environment, breaks a rule."""


class _Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of edge.toml."""


class ModelSettings(_Settings, frozen=True, kw_only=True):
    """Of the host's model. `image_mean` and `image_std` undo the normalisation of tensors given as `image`."""

    name: str = ""
    version: str = ""
    output: OutputKind = "auto"
    classes: tuple[str, ...] = ()
    detection_score_min: float = 0.5
    image_mean: float = 0.0
    image_std: float = 1.0


class SpoolSettings(_Settings, frozen=True, kw_only=True):
    path: str = ""  # "" = state_folder()/<station>.db
    bytes_max: int = 1024**3


class LimitSettings(_Settings, frozen=True, kw_only=True):
    queue_frames: int = 512  # frames between the host's thread and the worker
    factors_core_share: float = 0.1  # of one core, for image factors
    close_s: float = 10.0  # how long `close` waits for the queue to be spooled
    send_bytes_per_s: float = 8.0 * 1024**2  # at most; what waited through an outage goes no faster


class Settings(_Settings, frozen=True, kw_only=True):
    """What an agent is told. `operator` is off by default: the monitor does not watch workers."""

    station_id: str
    view: str = "main"
    server: str = DEFAULT_SERVER
    kafka: KafkaSettings | None = None  # instead of `server`
    token_file: str = ""
    token: str = ""
    agent_id: str = ""
    mode: Literal["observe", "off"] = "observe"
    purpose: Purpose = "production"
    operator: bool = False
    model: ModelSettings = ModelSettings()
    spool: SpoolSettings = SpoolSettings()
    limits: LimitSettings = LimitSettings()

    @property
    def spool_path(self) -> Path:
        if self.spool.path:
            return Path(self.spool.path)
        return state_folder() / f"{self.station_id.replace('/', '~')}.db"


def state_folder() -> Path:
    """Where this PC keeps what must outlive the process."""
    return Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local" / "state")) / "sincewhen-edge"


def read_text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def load_settings(path: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Settings of the file and the environment. Raises SettingsError that says the rule, the value and the way out."""
    try:
        written = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Settings)
        return complete(written, os.environ if environment is None else environment)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}; name a UTF-8 text file") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not TOML: {error}; correct that line") from error
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: {error}; examples/edge.toml shows every field") from error
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error


def complete(written: Settings, environment: Mapping[str, str]) -> Settings:
    """Check, and fill in what the environment and this PC say. Raises SettingsError."""
    if written.token:
        raise SettingsError("a token does not stand in edge.toml: set SINCEWHEN_TOKEN, or name a token_file")
    settings = msgspec.structs.replace(
        written,
        server=(environment.get("SINCEWHEN_SERVER") or written.server).rstrip("/"),
        token=environment.get("SINCEWHEN_TOKEN", "") or _token(written.token_file),
        agent_id=written.agent_id or socket.gethostname(),
        kafka=_kafka(written, environment),
    )
    _check_names(settings)
    _check_way(settings)
    _check_model(settings.model)
    if settings.spool.bytes_max < RECORD_BYTES_MAX:
        got = settings.spool.bytes_max
        raise SettingsError(f"spool.bytes_max is at least {RECORD_BYTES_MAX}, one record; got {got}: give it 1 GiB")
    limits = settings.limits
    if limits.queue_frames < 1:
        raise SettingsError(f"limits.queue_frames is at least 1; got {limits.queue_frames}: 512 suits most lines")
    if not 0 <= limits.factors_core_share <= 1:
        raise SettingsError(
            f"limits.factors_core_share is 0..1; got {limits.factors_core_share}: 0.1 is 10 % of a core"
        )
    if not (math.isfinite(limits.close_s) and limits.close_s >= 0):
        raise SettingsError(f"limits.close_s is 0 or more seconds; got {limits.close_s}: 10 suits most lines")
    if not limits.send_bytes_per_s > 0:
        raise SettingsError(f"limits.send_bytes_per_s is above 0; got {limits.send_bytes_per_s}: 8388608 is 8 MiB")
    return settings


def _check_names(settings: Settings) -> None:
    got = settings.station_id
    if not STATION_ID.fullmatch(got) or unicode(got) != got:
        raise SettingsError(f"station_id is site/area/line/station without spaces; got {got!r}: write all four")
    if len(got) > STATION_CHARS_MAX:
        raise SettingsError(f"station_id has at most {STATION_CHARS_MAX} characters; got {len(got)}: shorten it")
    for name, value in (("view", settings.view), ("agent_id", settings.agent_id)):
        if not is_id(value):
            raise SettingsError(
                f"{name} has 1..{ID_CHARS_MAX} characters, none of control; got {value[: ID_CHARS_MAX + 1]!r}: "
                "give it a short name"
            )


def _check_way(settings: Settings) -> None:
    try:
        server = urlsplit(settings.server)
        usable = server.scheme in {"http", "https"} and bool(server.hostname) and server.port != 0
    except ValueError:  # a port beyond 65535, half an IPv6 address
        usable = False
    if not usable:
        raise SettingsError(f"server is an http(s) address; got {settings.server!r}: write http://HOST:8099")
    if not (settings.token.isascii() and settings.token.isprintable()):
        raise SettingsError("a token is printable ASCII in one line; this one is not: copy it again")


def _check_model(model: ModelSettings) -> None:
    for text in (model.name, model.version, *model.classes):
        if len(text) > TEXT_CHARS_MAX or unicode(text) != text:
            raise SettingsError(
                f"a model's name, version and classes have at most {TEXT_CHARS_MAX} characters of Unicode; "
                f"got {text[:80]!r}: rename it"
            )
    if len(model.classes) > CLASSES_MAX:
        raise SettingsError(f"model.classes has at most {CLASSES_MAX} names; got {len(model.classes)}: leave it out")
    if len(set(model.classes)) < len(model.classes) or "" in model.classes:
        raise SettingsError(f"model.classes are different names; got {list(model.classes)}: name each class")
    if not (math.isfinite(model.image_std) and model.image_std > 0 and math.isfinite(model.image_mean)):
        got = f"{model.image_mean} and {model.image_std}"
        raise SettingsError(f"model.image_mean is a number and image_std above 0; got {got}: 0 and 1 for 0..1 tensors")
    if not 0 <= model.detection_score_min <= 1:
        raise SettingsError(f"model.detection_score_min is 0..1; got {model.detection_score_min}: 0.5 is usual")


def _kafka(written: Settings, environment: Mapping[str, str]) -> KafkaSettings | None:
    if written.kafka is None:
        return None
    server = environment.get("SINCEWHEN_SERVER") or written.server
    if server != DEFAULT_SERVER:
        raise SettingsError(f"frames go one way, to a server or to [kafka]; got both, and {server}: leave one out")
    try:
        return written.kafka.completed(environment, read_text)
    except KafkaSettingsError as error:
        raise SettingsError(str(error)) from error


def _token(path: str) -> str:
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"token_file {path} cannot be read: {error}; the server's administrator has it") from error

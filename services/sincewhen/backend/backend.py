"""What the console asks and changes: one value of seams, made by the embedded runner or over Kafka and ClickHouse."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sincewhen.log.bodies import Bodies
from sincewhen.plant import Plant
from sincewhen.processor.kept import KeptProfiles
from sincewhen.store.connect import Connection
from sincewhen_schemas.invalid import InvalidFrame
from sincewhen_schemas.messages import GroupStatus, Incident, StationStatus

BACKLOG_RECORDS_MAX = 100_000  # beyond it the way in refuses


class Known(Protocol):
    """What is known now. Asked from many threads."""

    @property
    def incidents(self) -> Mapping[str, Incident]: ...

    def incident(self, incident_id: str) -> Incident | None:
        """An incident by its id, or the one that it turned out to be a part of."""
        ...

    def stations(self) -> list[StationStatus]:
        """Every view that was heard of or is listed."""
        ...

    def groups(self) -> list[GroupStatus]:
        """Every line and plant of which at least two members were heard."""
        ...


class Intake(Protocol):
    """The way into the log."""

    @property
    def alive(self) -> bool:
        """Whether what is taken will be looked at."""
        ...

    @property
    def backlog(self) -> int:
        """Records that are taken and not yet applied, as far as this process knows."""
        ...

    def append(self, records: Sequence[tuple[str, bytes]]) -> None:
        """Take (station, record) durably. Raises LogUnavailable."""
        ...

    def refusal(self, key: str, value: bytes) -> InvalidFrame | None:
        """Why a record breaks the contract, None where it does not, as far as can be told before its turn comes."""
        ...


@dataclass(frozen=True, slots=True)
class Backend:
    plant: Plant
    known: Known
    intake: Intake
    store: Connection
    profiles: KeptProfiles
    references: Bodies
    now_ns: Callable[[], int]

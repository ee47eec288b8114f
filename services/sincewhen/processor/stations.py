"""The stations of one log, or of one partition of it: records become outputs, what changed becomes bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sincewhen.log.log import STUMBLES_MAX, LogRecord
from sincewhen.processor.outputs import Outputs
from sincewhen.processor.pipeline import Pipeline, dead_letter
from sincewhen.processor.state import StationState, decode_state, encode_state
from sincewhen_schemas.invalid import InvalidFrame, InvalidReason
from sincewhen_schemas.messages import DeadLetter


def set_aside(record: LogRecord) -> DeadLetter:
    """What becomes of a record that nobody can apply."""
    detail = f"this record ended the process {STUMBLES_MAX} times by a fault of ours: please report it with the payload"
    refusal = InvalidFrame(InvalidReason.INTERNAL_ERROR, detail)
    return dead_letter(record.key, record.value, record.offset, record.appended_at_ns, refusal)


@dataclass(slots=True)
class Stations:
    """States are changed by `step` alone; dirty: those that it changed since the last `settled`."""

    pipeline: Pipeline
    states: dict[str, StationState] = field(default_factory=dict)
    dirty: set[str] = field(default_factory=set)

    def step(self, record: LogRecord) -> Outputs:
        """What one record makes. Of a key whose records were all refused nothing is remembered."""
        state = self.states.get(record.key) or StationState()
        made = self.pipeline.step(state, record.key, record.value, record.offset, record.appended_at_ns)
        if made.statuses:
            self.states[record.key] = state
        if record.key in self.states:
            self.dirty.add(record.key)
        return made

    def load(self, states: Mapping[str, bytes]) -> None:
        """Take states of a snapshot. Raises KeyError where a profile is missing: the caller waits for it."""
        self.states |= {key: decode_state(raw, self.pipeline.profile_of) for key, raw in states.items()}

    def changed(self) -> dict[str, bytes]:
        return {key: encode_state(self.states[key]) for key in sorted(self.dirty)}

    def settled(self) -> None:
        """What `changed` gave is stored."""
        self.dirty.clear()

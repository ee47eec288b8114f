"""Messages of a poll become what the store writes."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from sincewhen.ingest.decode import decode
from sincewhen.log.log import LogRecord
from sincewhen.processor.outputs import Outputs, ScoredBatch
from sincewhen_schemas.frames import Frames
from sincewhen_schemas.invalid import InvalidFrame
from sincewhen_schemas.messages import DeadLetter, Detection, Findings, Incident
from sincewhen_schemas.scored import Scored, decode_scored, floats, unpacked

SCORES, FINDINGS, DETECTIONS, INCIDENTS, DEAD_LETTERS = "scores", "findings", "detections", "incidents", "dead-letters"
TOPICS = (SCORES, FINDINGS, DETECTIONS, INCIDENTS, DEAD_LETTERS)
_FINDINGS, _DETECTION = msgspec.json.Decoder(Findings), msgspec.json.Decoder(Detection)
_INCIDENT, _LETTER = msgspec.json.Decoder(Incident), msgspec.json.Decoder(DeadLetter)
log = logging.getLogger("sincewhen")


@dataclass(slots=True)
class Rows:
    outputs: Outputs = field(default_factory=Outputs)
    incidents: list[Incident] = field(default_factory=list)
    scored: dict[tuple[int, int], Scored] = field(default_factory=dict)  # by partition and offset of its frames

    def add(self, topic: str, record: LogRecord) -> None:
        if topic == SCORES:
            scored = decode_scored(record.value)
            self.scored[record.partition, scored.offset] = scored
        elif topic == FINDINGS:
            found = _FINDINGS.decode(record.value)
            self.outputs.subgroups += found.subgroups
            self.outputs.second_opinions += found.second_opinions
            self.outputs.blind_times += found.blind_times
            self.outputs.activations += found.activations
        elif topic == DETECTIONS:
            self.outputs.detections.append(_DETECTION.decode(record.value))
        elif topic == INCIDENTS:
            self.incidents.append(_INCIDENT.decode(record.value))
        elif topic == DEAD_LETTERS:
            self.outputs.dead_letters.append(_LETTER.decode(record.value))

    def wanted(self) -> dict[int, list[int]]:
        """Offsets of frames, ascending, by partition."""
        found: dict[int, list[int]] = {}
        for partition, offset in sorted(self.scored):
            found.setdefault(partition, []).append(offset)
        return found

    def join(self, frames: Mapping[tuple[int, int], LogRecord], knows: Callable[[str], bool]) -> None:
        """What the processor said of frames, with the frames."""
        joined = [_joined(frames[place], scored, knows) for place, scored in self.scored.items() if place in frames]
        self.outputs.batches = [batch for batches in joined for batch in batches]


def _joined(record: LogRecord, scored: Scored, knows: Callable[[str], bool]) -> Iterable[ScoredBatch]:
    try:
        frames = decode(record.key, record.value, record.appended_at_ns, knows)
    except InvalidFrame:  # plant.toml of this process is another one
        log.exception("frames_refused partition=%s offset=%s", record.partition, record.offset)
        return
    assert isinstance(frames, Frames)
    yield ScoredBatch(
        frames.tail(scored.first_seq - frames.first_seq),
        record.offset,
        record.appended_at_ns,
        scored.state,
        unpacked(scored.shift, scored.n),
        unpacked(scored.embeddings, scored.n),
        {stream: floats(raw) for stream, raw in scored.ln_z.items()},
    )

"""What the processor's outputs are as messages: findings, scores, dead letters, what was heard of views.

What one record made is sent in its order; the findings of a station go to the partition of its site, scores to the
partition that their frames are in.
"""

from collections.abc import Iterable

import msgspec

from sincewhen.log.kafka_outlet import KafkaOutlet
from sincewhen.log.log import LogRecord
from sincewhen.plant.places import site_of
from sincewhen.processor.outputs import Outputs, ScoredBatch
from sincewhen_schemas.messages import Findings, Heard
from sincewhen_schemas.scored import Scored, encode_scored, packed

FINDINGS, SCORES, STATIONS, DEAD_LETTERS = "findings", "scores", "stations", "dead-letters"
_JSON = msgspec.json.Encoder()


def send_outputs(outlet: KafkaOutlet, record: LogRecord, made: Outputs, topic_id: str) -> None:
    """What a record made. topic_id: the incarnation of `frames`. Raises LogUnavailable: send all of it again."""
    found = findings_of(record, made, topic_id)
    if found is not None:
        outlet.put(FINDINGS, record.key, _JSON.encode(found), beside=site_of(record.key))
    for batch in made.batches:
        outlet.put(SCORES, record.key, encode_scored(scored_of(batch, topic_id)), partition=record.partition)
    for letter in made.dead_letters:
        outlet.put(DEAD_LETTERS, record.key, _JSON.encode(letter), headers=[("reason", str(letter.reason).encode())])


def send_heard(outlet: KafkaOutlet, words: Iterable[Heard]) -> None:
    """Raises LogUnavailable."""
    for word in words:
        outlet.put(STATIONS, f"{word.status.station_id} {word.status.view}", _JSON.encode(word))


def findings_of(record: LogRecord, made: Outputs, topic_id: str) -> Findings | None:
    """None where there is nothing to say."""
    said = (
        made.statuses,
        made.detections,
        made.subgroups,
        made.scores,
        made.blind_times,
        made.activations,
        made.second_opinions,
    )
    if not any(said):
        return None
    return Findings(
        station_id=record.key,
        topic_id=topic_id,
        partition=record.partition,
        offset=record.offset,
        statuses=tuple(made.statuses),
        detections=tuple(made.detections),
        subgroups=tuple(made.subgroups),
        scores=tuple(made.scores),
        blind_times=tuple(made.blind_times),
        activations=tuple(made.activations),
        second_opinions=tuple(made.second_opinions),
    )


def scored_of(batch: ScoredBatch, topic_id: str) -> Scored:
    return Scored(
        topic_id=topic_id,
        offset=batch.offset,
        first_seq=batch.frames.first_seq,
        n=batch.frames.n,
        state=batch.state,
        shift=packed(batch.shift),
        embeddings=packed(batch.embeddings),
        ln_z={stream: values.astype("<f4").tobytes() for stream, values in batch.ln_z.items()},
    )

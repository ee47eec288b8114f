"""The contract's examples: what is valid is accepted, each mistake is refused for its reason; cards are whole."""

import importlib.util
import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
import yaml
from google.protobuf import json_format

from sincewhen.ingest.decode import decode
from sincewhen.log.cards import TopicCard, cards
from sincewhen_schemas import station_record_pb2 as pb
from sincewhen_schemas.invalid import InvalidFrame, InvalidReason
from sincewhen_schemas.kafka import FRAMES_TOPIC
from sincewhen_schemas.limits import RECORD_BYTES_MAX, STATION_CHARS_MAX
from sincewhen_schemas.messages import MESSAGES

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
VALID, INVALID = sorted((SCHEMAS / "examples/valid").iterdir()), sorted((SCHEMAS / "examples/invalid").iterdir())
TYPES = {message.__name__: message for message in MESSAGES}
APPENDED_AT_NS = 1_790_000_100_000_000_000
RECORD = "station_record"


def named(paths: list[Path], *, record: bool) -> list[Path]:
    return [path for path in paths if path.name.startswith(RECORD) is record]


def decoded(path: Path) -> object:
    record = json_format.Parse(path.read_text(), pb.StationRecord())
    return decode(record.station_id, record.SerializeToString(), APPENDED_AT_NS, lambda s: not s.endswith("unlisted"))


def schema(name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((SCHEMAS / "messages" / f"{name}.schema.json").read_text())
    return found


@pytest.mark.parametrize("path", named(VALID, record=True), ids=lambda path: path.stem)
def test_a_valid_record_is_accepted(path: Path) -> None:
    assert decoded(path)


@pytest.mark.parametrize("path", named(INVALID, record=True), ids=lambda path: path.stem)
def test_an_invalid_record_is_refused_for_the_reason_it_is_named_for(path: Path) -> None:
    with pytest.raises(InvalidFrame) as refusal:
        decoded(path)
    assert refusal.value.reason == path.name.split(".")[1]


def test_every_reason_has_an_example() -> None:
    shown = {path.name.split(".")[1] for path in named(INVALID, record=True)}
    by_the_server_alone = {InvalidReason.UNKNOWN_VIEW, InvalidReason.INTERNAL_ERROR}
    assert shown == {reason.value for reason in InvalidReason} - by_the_server_alone


@pytest.mark.parametrize("path", named(VALID, record=False), ids=lambda path: path.stem)
def test_a_valid_message_is_accepted_by_its_type_and_its_schema(path: Path) -> None:
    name = path.name.split(".")[0]
    msgspec.json.decode(path.read_bytes(), type=TYPES[name])
    jsonschema.validate(json.loads(path.read_text()), schema(name))


@pytest.mark.parametrize("path", named(INVALID, record=False), ids=lambda path: path.stem)
def test_an_invalid_message_is_refused_by_its_type_and_its_schema(path: Path) -> None:
    name = path.name.split(".")[0]
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(path.read_bytes(), type=TYPES[name])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(path.read_text()), schema(name))


def test_every_message_has_examples_of_both_kinds() -> None:
    for paths in (VALID, INVALID):
        assert {path.name.split(".")[0] for path in named(paths, record=False)} == set(TYPES)


def test_the_committed_schemas_are_those_of_the_types() -> None:
    spec = importlib.util.spec_from_file_location("generate", SCHEMAS / "generate.py")
    assert spec
    assert spec.loader
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    committed = {path.name: path.read_text() for path in (SCHEMAS / "messages").iterdir()}
    assert committed == generate.schemas(), "run make generate"


@pytest.mark.parametrize("path", sorted((SCHEMAS / "topics").iterdir()), ids=lambda path: path.stem)
def test_a_topic_card_says_everything_a_topic_needs(path: Path) -> None:
    card = msgspec.convert(yaml.safe_load(path.read_text()), TopicCard)  # every field, and no other
    assert card.name == path.stem
    assert (card.retention_days is None) == (card.cleanup == "compact")
    assert card.partitions > 0
    assert card.value in TYPES or "(" in card.value


def test_a_record_of_the_largest_size_fits_its_topic() -> None:
    (frames,) = (card for card in cards() if card.name == FRAMES_TOPIC)
    assert frames.message_bytes_max > RECORD_BYTES_MAX + STATION_CHARS_MAX * 4 + 1024
    assert (frames.partitions, frames.timestamp) == (64, "append")

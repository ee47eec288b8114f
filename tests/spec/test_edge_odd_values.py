"""Whatever a host hands over: what has no place in the contract is left out or dropped, counted; the rest goes on."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sincewhen.ingest.decode import decode
from sincewhen_edge import EdgeAgent
from sincewhen_edge.settings import LimitSettings, ModelSettings, Settings, SpoolSettings
from sincewhen_edge.spool import Progress, Spool
from sincewhen_schemas.frames import Frames
from sincewhen_schemas.limits import CLASSES_MAX, ID_CHARS_MAX, RECORD_BYTES_MAX

STATION, HOUR_NS = "p/a/l/s", 3_600_000_000_000


class Wordless:
    """An object of a host that does not know its own text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[EdgeAgent]:
    settings = Settings(
        station_id=STATION,
        agent_id="pc",
        model=ModelSettings(output="probabilities"),
        spool=SpoolSettings(path=str(tmp_path / "s.db")),
    )
    made = EdgeAgent(settings, publish=False)
    yield made
    made.close()


def spooled(agent: EdgeAgent) -> list[Frames]:
    agent.close()
    spool = Spool(agent.settings.spool_path, 10**9)
    found = [decode(STATION, record.value, time.time_ns(), lambda _: True) for record in spool.oldest(10**6, 10**9)]
    spool.close()
    return [frames for frames in found if isinstance(frames, Frames)]


VALUES: dict[str, dict[str, Any]] = {
    "text_not_unicode": {"lot": os.fsdecode(b"\xe9")},
    "text_unreadable": {"lot": Wordless()},
    "text_too_long": {"lot": "x" * 513},
    "signal_unreadable": {"signals": {"load": "much"}},
    "embedding_unreadable": {"layers": {"head": ["a"]}},
    "embedding_rows": {"layers": {"head": 3.0}, "captured_at_ns": (10**18, 10**18)},
    "output_unreadable": {"output": {"scores": [0.9], "labels": [Wordless()]}},
    "value_infinite": {"output": np.full((1, 2), 1e6)},
    "too_many_classes": {"output": np.full((1, CLASSES_MAX + 1), 0.5)},
    "image_unreadable": {"image": np.zeros((0, 0, 3), np.uint8)},
    "not_a_mapping": {"material_lots": ["a"]},
    "bad_material": {"material_lots": {"a": "b", ("steel", "x" * 513): "L", ("m" * 65, "acme"): "L", (1, 2): "L"}},
}
NAMES: list[dict[str, Any]] = [
    {"signals": {5: 1.0}},
    {"attributes": {5: "x"}},
    {"layers": {3: np.zeros(4)}},
    {"attributes": {"x" * 65: "x"}},
    {"signals": {"": 1.0}},
]
FRAMES: list[tuple[str, dict[str, Any]]] = [
    ("bad_view", {"view": 5}),
    ("bad_view", {"view": "v" * (ID_CHARS_MAX + 1)}),
    ("bad_view", {"view": "top\n"}),
    ("captured_in_future", {"captured_at_ns": 2**70}),
    ("captured_in_future", {"captured_at_ns": time.time_ns() + 2 * HOUR_NS}),
    ("captured_before_2000", {"captured_at_ns": 0}),
    ("unreadable", {"captured_at_ns": "yesterday"}),
    ("unreadable", {"purpose": Wordless()}),
]


@pytest.mark.parametrize(("reason", "odd"), [*VALUES.items(), *(("bad_name", odd) for odd in NAMES)])
def test_a_value_without_a_place_is_left_out_and_its_frame_and_the_next_go_on(
    agent: EdgeAgent, reason: str, odd: dict[str, Any]
) -> None:
    assert agent.observe(unit_id="odd", **odd)
    assert agent.observe(unit_id="next")
    agent.flush()
    assert reason in agent.counts
    assert [unit for frames in spooled(agent) for unit in frames.context["unit_id"]][-2:] == ["odd", "next"]


@pytest.mark.parametrize(("reason", "odd"), FRAMES)
def test_a_frame_that_the_server_would_refuse_is_dropped_and_costs_the_others_nothing(
    agent: EdgeAgent, reason: str, odd: dict[str, Any]
) -> None:
    agent.observe(unit_id="before")
    agent.observe(unit_id="odd", **odd)
    agent.observe(unit_id="next")
    agent.flush()
    assert agent.counts[reason] == 1
    assert [unit for frames in spooled(agent) for unit in frames.context["unit_id"]] == ["before", "next"]


def test_text_that_is_no_unicode_is_sent_with_a_replacement_character(agent: EdgeAgent) -> None:
    odd = os.fsdecode(b"L\xe9")
    agent.observe(lot=odd, note=odd, view=odd, material_lots={("steel", odd): odd})
    (frames,) = spooled(agent)
    assert frames.view == frames.context["lot"][0] == frames.attributes["note"][0] == "L\ufffd"
    assert frames.material_lots["steel", "L\ufffd"][0] == "L\ufffd"


def test_a_decision_among_too_many_classes_is_kept_without_their_scores(agent: EdgeAgent) -> None:
    scores = np.full((1, CLASSES_MAX + 1), 1e-4)
    scores[0, 7] = 0.5
    agent.observe(output=scores)
    (frames,) = spooled(agent)
    assert frames.decision is not None
    assert (frames.decision[0], frames.class_scores) == ("7", None)


def test_a_layer_that_is_missing_between_two_widths_does_not_join_them(agent: EdgeAgent) -> None:
    for layers in ({"head": np.zeros(3)}, {}, {"head": np.zeros(5)}):
        agent.observe(layers=layers, captured_at_ns=time.time_ns(), wait=True)
    assert sum(frames.n for frames in spooled(agent)) == 3


def test_a_fault_of_our_own_in_one_batch_drops_and_counts_that_batch_only(
    agent: EdgeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Frames) -> bytes:
        raise AssertionError("our bug")

    agent.observe(unit_id="before")
    agent.flush()
    with monkeypatch.context() as fault:
        fault.setattr("sincewhen_edge.batch.encode_frames", broken)
        agent.observe(captured_at_ns=(time.time_ns(),) * 3, wait=True)
        agent.flush()
    agent.observe(unit_id="after")
    agent.flush()
    assert agent.counts["batch_not_encoded"] == 3
    assert [frames.context["unit_id"][0] for frames in spooled(agent)] == ["before", "after"]


def test_frames_whose_texts_would_make_too_large_a_record_are_cut_into_smaller_ones(agent: EdgeAgent) -> None:
    texts = {f"a{number}": chr(0x1F600 + number) * 512 for number in range(32)}
    wide = {f"layer{number}": np.zeros((32, 4096)) for number in range(8)}
    for row in range(2):
        rows = {name: [f"{row}{number}{text}"[:512] for number in range(32)] for name, text in texts.items()}
        agent.observe(layers=wide, attributes=rows, captured_at_ns=(10**18,) * 32, wait=True)
    agent.flush()
    sizes = [len(record.value) for record in agent.spool.oldest(1000, 10**9)]
    assert max(sizes) <= RECORD_BYTES_MAX
    assert sum(frames.n for frames in spooled(agent)) == 64


def test_an_odd_progress_or_a_spool_that_fails_drops_its_record_only(agent: EdgeAgent) -> None:
    agent.observe(progress=Progress("x", 2**70), wait=True)
    agent.flush()
    agent.observe(unit_id="next")
    assert agent.counts["spool_unwell"] == 1
    assert [frames.context["unit_id"][0] for frames in spooled(agent)] == ["next"]


def test_flush_and_close_end_whatever_the_state_of_the_agent(tmp_path: Path) -> None:
    off = EdgeAgent(Settings(station_id=STATION, mode="off", spool=SpoolSettings(path=str(tmp_path / "off.db"))))
    stuck = EdgeAgent(
        Settings(
            station_id=STATION,
            spool=SpoolSettings(path=str(tmp_path / "stuck.db")),
            limits=LimitSettings(queue_frames=1, close_s=0.3),
        ),
        publish=False,
    )
    stuck.spool._lock.acquire()  # noqa: SLF001 - a disk that hangs
    for agent in (off, stuck):
        for number in range(50):
            agent.observe(layers={"x": np.zeros(number % 3 + 1)})
        began = time.monotonic()
        closing = threading.Thread(target=agent.close)
        if agent is off:
            agent.flush()
        closing.start()
        closing.join(5)
        assert not closing.is_alive()
        assert time.monotonic() - began < 3
    stuck.spool._lock.release()  # noqa: SLF001 - as above
    stuck.flush()
    assert stuck.counts["captured"] == 50
    stuck.close()

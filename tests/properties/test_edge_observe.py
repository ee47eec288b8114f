"""Whatever `observe` is given: the server refuses no record, and every frame is in the spool or counted."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sincewhen.ingest.decode import decode
from sincewhen_edge import EdgeAgent
from sincewhen_edge.settings import Settings, SpoolSettings
from sincewhen_schemas.frames import Frames

STATION = "p/a/l/s"
DROPS = ("bad_view", "captured_in_future", "captured_before_2000", "unreadable", "queue_full")
NOW_NS = 1_780_000_000_000_000_000
TEXTS = st.text(st.characters(), max_size=8) | st.just("x" * 600) | st.just("\udce9")
ODD = TEXTS | st.none() | st.integers() | st.floats() | st.binary(max_size=4) | st.builds(object)
LISTS = ODD | st.lists(ODD, max_size=3) | st.builds(np.arange, st.integers(0, 4))
MAPS = st.dictionaries(TEXTS | st.integers(), LISTS, max_size=4) | st.none() | ODD
PAIRS = st.tuples(TEXTS | st.integers(), TEXTS)
TIMES = st.just(NOW_NS) | st.integers(0, 2**70)
CALLS = st.fixed_dictionaries(
    {},
    optional={
        "image": ODD | st.builds(np.zeros, st.sampled_from([(4, 4, 3), (2, 3, 8, 8), (0, 3, 8, 8)])),
        "output": LISTS | MAPS | st.builds(np.full, st.sampled_from([(1, 2), (2, 3), (1, 2000)]), st.floats()),
        "layers": MAPS,
        "signals": MAPS,
        "material_lots": st.dictionaries(PAIRS | TEXTS, LISTS, max_size=3) | MAPS,
        "attributes": MAPS,
        "captured_at_ns": st.none() | TIMES | st.lists(TIMES, max_size=3),
        "view": TEXTS | st.integers(),
        "lot": LISTS,
        "unit_id": LISTS,
    },
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(calls=st.lists(CALLS, min_size=1, max_size=6))
def test_what_observe_was_given_is_in_the_spool_as_the_contract_has_it_or_counted(calls: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spool = SpoolSettings(path=str(Path(folder) / "s.db"))
        agent = EdgeAgent(Settings(station_id=STATION, agent_id="pc", spool=spool), publish=False)
        for call in calls:
            agent.observe(**call)
        agent.flush()
        agent.observe(lot="last", view="last")
        agent.flush()
        records = agent.spool.oldest(10**6, 10**9)
        found = [decode(STATION, record.value, time.time_ns(), lambda _: True) for record in records]
        counts = agent.counts
        agent.close()
    kept = [frames for frames in found if isinstance(frames, Frames)]
    assert sum(frames.n for frames in kept) >= counts["captured"] - sum(counts.get(reason, 0) for reason in DROPS)
    assert kept[-1].context["lot"][-1] == "last"
    assert not {"batch_not_encoded", "spool_unwell"} & set(counts)

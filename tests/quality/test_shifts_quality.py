"""Shifts that differ by nature, where no lot is named: a profile is learned, nothing pages, changes are dated right."""

import numpy as np

from sincewhen.processor.event import Event, Rows
from sincewhen.processor.learn import Refusal, build_profile
from sincewhen.processor.monitor import StreamMonitor
from sincewhen.profiles.golden import Golden
from sincewhen.profiles.profile import Profile
from sincewhen.score.score import score
from sincewhen_testing.streams import direction

DIMS, RUN, SHIFTS, APART, SIZE = 12, 600, 24, 0.3, 4.0
CALM, DRIFTS, ARL0 = 40, 12, 1e4
STREAM = "embedding:head"


def frames(rng: np.random.Generator, runs: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames of so many shifts, each off by its own, and their names."""
    number = np.arange(runs * RUN) // RUN
    x = rng.standard_normal((runs * RUN, DIMS)) + APART * rng.standard_normal((runs, DIMS))[number]
    return x, np.array([f"2026-03-{run // 2 + 1:02d} {'early' if run % 2 else 'late'}" for run in number], object)


def learned(x: np.ndarray, shift: np.ndarray, lot: np.ndarray | None = None) -> Profile | Refusal:
    at_ns = np.arange(len(x)) * 10**9
    return build_profile(Golden(at_ns, {"head": x.astype(np.float32)}, {}, lot=lot, shift=shift))


def told(profile: Profile, x: np.ndarray) -> list[Event]:
    rows, none = len(x), np.zeros(len(x), bool)
    scores = score(profile, {"head": x.astype(np.float32)}, {}, n=rows)
    begins = (np.arange(rows) % RUN == 0) & (np.arange(rows) > 0)
    monitor = StreamMonitor(profile.null(STREAM), ARL0)
    return monitor.update(Rows(scores.positions[STREAM], np.arange(rows) * 10**9, begins, none, scores.doubt))[0]


def test_shifts_that_differ_are_learned_page_nothing_and_hide_no_date() -> None:
    seed = 2200
    rng = np.random.default_rng(seed)
    profile = learned(*frames(rng, SHIFTS))
    assert isinstance(profile, Profile), profile
    calm, _ = frames(rng, CALM)
    pages = [event for event in told(profile, calm) if event.verdict == "paging"]
    covered, errors = 0, []
    for _ in range(DRIFTS):
        x, _ = frames(rng, 4)
        onset = int(rng.integers(RUN // 2, 3 * RUN))
        x[onset:] += SIZE * direction(rng, DIMS)
        dated = [event for event in told(profile, x) if event.dating != "provisional" and event.alarm >= onset]
        covered += bool(dated) and dated[-1].since_low <= onset <= dated[-1].since_high
        errors += [abs(dated[-1].since - onset)] if dated else []
    print(f"seed {seed}: {len(pages)} pages in {CALM * RUN}; {covered} of {DRIFTS} covered; errors {errors}")
    assert not pages
    assert covered >= DRIFTS - 1
    assert np.median(errors) <= 3


def test_lots_within_shifts_that_differ_more_are_refused_with_the_way_out() -> None:
    x, shift = frames(np.random.default_rng(2201), SHIFTS)
    refusal = learned(x, shift, np.array([f"L{row // 100}" for row in range(len(x))], object))
    assert isinstance(refusal, Refusal)
    assert "name no lots, then shifts take their place" in refusal.detail

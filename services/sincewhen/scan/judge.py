"""Features of an archive become a verdict: baseline, changes, and the state of every picture.

One forward pass by the baseline's profile over the whole archive, also over what lies before the baseline: so since,
until and shape mean the same everywhere, and a change before the baseline ends where it ended. The baseline's first
40 %, on which the basis was fitted, are left out: they are nearer to it than any other picture can be. What is already
so in the first picture began at an unknown time before it. The baseline may lie later than what it judges: a scan reads
ahead, and nothing else does.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sincewhen.detect.esr import BLIND_MIN
from sincewhen.processor.backtest import Recording
from sincewhen.processor.learn import Subject
from sincewhen.processor.view import STEP_FIELDS
from sincewhen.profiles.profile import Profile
from sincewhen.report.judged import BASELINE, IN_CONTROL, NOT_JUDGED, OUT, Judged, short_bursts
from sincewhen.scan.baseline import Baseline, NoBaseline, find_baseline, given_baseline, known_rows
from sincewhen.scan.features import Features
from sincewhen.scan.order import LeftOut
from sincewhen.score.score import Scores, score

SIZE_SHARE_MIN = 0.5  # of the pictures that must share a size before others count as another camera or crop
_ARL0_MIN = 10_000.0
_ROW_NS = 10**9


@dataclass(frozen=True, slots=True)
class Window:
    """A baseline that somebody named: capture times, inclusive."""

    from_ns: int
    to_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(Judged):
    """Of the pictures of an archive."""

    left_out: list[LeftOut]
    baseline: Baseline | NoBaseline

    @property
    def baseline_rows(self) -> tuple[int, int] | None:
        """First and last picture of the baseline."""
        if not isinstance(self.baseline, Baseline):
            return None
        return int(self.judged[self.baseline.start]), int(self.judged[self.baseline.stop - 1])


def judge(
    features: Features, subject: Subject, arl0: float | None, window: Window | None, *, timed: bool, to_the_day: bool
) -> Verdict:
    """Find the baseline and every change. arl0: pictures between false alarms, default ten such archives."""
    n = len(features.pictures)
    arl0 = max(_ARL0_MIN, 10.0 * n) if arl0 is None else arl0
    left_out: list[LeftOut] = []
    states = np.full(n, NOT_JUDGED, object)
    judged = _of_one_size(features, left_out)
    recording = _recording(features, timed=timed, pauses=timed and not to_the_day).take(judged)
    if window is None:
        baseline = find_baseline(recording, arl0, subject)
    else:
        start = int(np.searchsorted(recording.at_ns, window.from_ns))
        stop = int(np.searchsorted(recording.at_ns, window.to_ns, side="right"))
        baseline = given_baseline(recording, start, stop, arl0, subject)
    found = baseline if isinstance(baseline, Baseline) else None
    if found:
        _judge(states, recording, judged, found, left_out)
    return Verdict(
        refused=baseline.reason if isinstance(baseline, NoBaseline) else None,
        arl0=arl0,
        states=states,
        judged=judged,
        recording=recording,
        alarms=found.alarms if found else [],
        profile=found.profile if found else None,
        scores=_scores(recording, found.profile) if found else None,
        left_out=left_out,
        baseline=baseline,
    )


def _judge(
    states: NDArray[np.object_],
    recording: Recording,
    judged: NDArray[np.int64],
    baseline: Baseline,
    left_out: list[LeftOut],
) -> None:
    """Write the state of every picture, and say what is not judged."""
    known = known_rows(recording, baseline.regimes)
    _say_unknown(recording, known, left_out)
    states[judged[known]] = IN_CONTROL
    short = short_bursts(recording.take(known), baseline.profile)
    states[judged[known[short]]] = NOT_JUDGED
    if len(short):
        first = int(judged[known[short[0]]]) + 1
        detail = f"from picture {first} on; fewer than {BLIND_MIN} pictures between two long pauses"
        left_out.append(LeftOut("too few together", len(short), detail))
    inside = np.arange(baseline.start, baseline.stop)
    states[judged[np.intersect1d(inside, known)]] = BASELINE
    for alarm in baseline.alarms:
        rows = np.arange(alarm.known.since, len(states) if alarm.until is None else alarm.until + 1)
        states[np.intersect1d(rows, judged[known])] = OUT
    for burst in baseline.bursts:
        rows = np.intersect1d(np.arange(burst.known.since, (burst.until or 0) + 1), judged[known])
        states[rows] = NOT_JUDGED
        detail = f"strange ones in a row, from picture {burst.known.since + 1} on; a change has at least {BLIND_MIN}"
        left_out.append(LeftOut("too short for a change", len(rows), detail))


def _scores(recording: Recording, profile: Profile) -> Scores:
    return score(profile, recording.layers, recording.scalars, n=recording.n, regime=recording.regime)


def _recording(features: Features, *, timed: bool, pauses: bool) -> Recording:
    n = len(features.pictures)
    at_ns = np.array([picture.at_ns for picture in features.pictures], np.int64) if timed else np.arange(n) * _ROW_NS
    contexts = [picture.context for picture in features.pictures]
    lot = _column(contexts, "lot")
    both = zip(_column(contexts, "sku"), _column(contexts, "recipe"), strict=True)
    regime = np.array([f"{sku}|{recipe}".strip("|") for sku, recipe in both], object)
    step = np.zeros(n, bool)
    for name in STEP_FIELDS:
        values = _column(contexts, name)
        step[1:] |= values[1:] != values[:-1]
    return Recording(
        layers=features.layers,
        at_ns=at_ns.astype(np.int64),
        scalars={f"factor:{name}": values for name, values in features.factors.items()},
        lot=lot if (lot != "").any() else None,
        regime=regime if (regime != "").any() else None,
        step=step,
        pauses=pauses,
    )


def _column(contexts: list[Mapping[str, str]], name: str) -> NDArray[np.object_]:
    return np.array([context.get(name, "") for context in contexts], object)


def _of_one_size(features: Features, left_out: list[LeftOut]) -> NDArray[np.int64]:
    """Pictures of the commonest size; all where no size is the rule."""
    sizes = [picture.size for picture in features.pictures]
    for size, count in Counter(sizes).most_common(1):
        if SIZE_SHARE_MIN * len(sizes) <= count < len(sizes):
            detail = f"not {size[0]} x {size[1]} pixels like the others: another camera or crop"
            left_out.append(LeftOut("another size", len(sizes) - count, detail))
            return np.flatnonzero([other == size for other in sizes])
    return np.arange(len(sizes))


def _say_unknown(recording: Recording, known: NDArray[np.intp], left_out: list[LeftOut]) -> None:
    if recording.regime is None:
        return
    others = np.delete(recording.regime, known).astype(str)
    for name, count in Counter(others.tolist()).most_common():
        detail = f"product or recipe {name or '(none named)'} is too rare in the baseline to be judged"
        left_out.append(LeftOut("another product", count, detail))

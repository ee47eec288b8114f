"""Which stretch of an archive is the baseline: the longest one that stays in control by a profile learned inside it.

Coarse: the archive in groups of rows, their means in the first principal components and the image factors; segments of
a constant mean by optimal partitioning (Jackson et al. 2005). The noise of a group is measured robustly over several
block lengths, so that what varies slowly by nature (lots) makes no segments while changes are the exception.
Fine: the longest segments, a few a level of detail, finest first, because a change that is hidden in the golden frames
makes the profile blind. A candidate's profile must be accepted (A/A); then it judges the whole archive, and the
candidate grows over what is in control beside it; the longest grown one wins and is learned again as a whole. One
that alarms in itself is dropped. At most TRIALS_A_LEVEL a level are tried.
"""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sincewhen.processor.backtest import Alarm, Recording, watch
from sincewhen.processor.learn import BASIS_SHARE, FRAMES_MIN, Refusal, RefusalReason, Subject, build_profile
from sincewhen.profiles.profile import Profile

LEVELS = (2.0, 8.0, 32.0)  # times the gain that chance gives a segment
TRIALS_A_LEVEL = 3
GROUPS_MAX, GROUP_ROWS_MIN = 400, 8
REGIME_ROWS_MIN = 250  # of a sku or recipe in the baseline: 100 of them in the 40 % that the means are fitted on
_COMPONENTS, _PCA_ROWS_MAX = 16, 1000
_BLOCKS_MIN = 17  # from which the noise at a block length is measured
_CLIP = 8.0  # noise units: one strange group is no segment
_MAD_TO_SD = 1.4826
_CHANGES = "it changes in itself"
_WHY = {
    RefusalReason.TOO_FEW_FRAMES: "too few pictures",
    RefusalReason.NOTHING_VARIES: "all pictures are the same",
    RefusalReason.TOO_SLOW: "it varies too slowly to be measured there",
    RefusalReason.SELF_TEST_FAILED: "its last fifth is not like the rest",
    RefusalReason.OPEN_INCIDENT: _CHANGES,
}
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trial:
    """A stretch that was tried, rows [start, stop) of the recording, and what came of it."""

    start: int
    stop: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """Rows [start, stop) and what was learned from them."""

    start: int
    stop: int
    profile: Profile
    regimes: tuple[str, ...]  # that the profile knows; others are not judged
    alarms: list[Alarm]  # of the whole recording by this profile
    trials: tuple[Trial, ...] = ()


@dataclass(frozen=True, slots=True)
class NoBaseline:
    """Why nothing can be judged, and what would be needed."""

    reason: str
    trials: tuple[Trial, ...] = ()


def given_baseline(recording: Recording, start: int, stop: int, arl0: float, subject: Subject) -> Baseline | NoBaseline:
    """The stretch that somebody named, if a profile can be learned from it."""
    learned = _learned(recording, start, stop, arl0, subject)
    if isinstance(learned, Refusal):
        return NoBaseline(learned.detail, (Trial(start, stop, _WHY[learned.reason]),))
    return learned


def find_baseline(recording: Recording, arl0: float, subject: Subject) -> Baseline | NoBaseline:
    """The longest stable stretch of at least FRAMES_MIN rows."""
    if recording.n < FRAMES_MIN:
        return NoBaseline(
            f"a baseline needs at least {FRAMES_MIN} pictures from one stable stretch; {recording.n} can be judged: "
            f"add at least {FRAMES_MIN - recording.n} more of the same station"
        )
    means, edges = _groups(recording)
    trials: list[Trial] = []
    tried: set[tuple[int, int]] = set()
    longest = 0
    for level in LEVELS:
        found = [(int(edges[a]), int(edges[b])) for a, b in stretches(means, level)]
        found.sort(key=lambda pair: pair[0] - pair[1])
        longest = max(longest, found[0][1] - found[0][0])
        accepted: list[tuple[int, int, Baseline]] = []
        for start, stop in [pair for pair in found if pair not in tried][:TRIALS_A_LEVEL]:
            if stop - start < FRAMES_MIN:
                break
            tried.add((start, stop))
            outcome = _grown(recording, start, stop, arl0, subject)
            if isinstance(outcome, str):
                trials.append(Trial(start, stop, outcome))
            else:
                trials.append(Trial(start, stop, f"accepted; in control from {outcome[0]} to {outcome[1] - 1}"))
                accepted.append(outcome)
        if accepted:
            best = max(accepted, key=lambda candidate: candidate[1] - candidate[0])
            return _whole(recording, *best, arl0, subject, trials)
    return NoBaseline(_no_stretch(longest, trials), tuple(trials))


def stretches(means: Floats, level: float) -> list[tuple[int, int]]:
    """Segments [start, stop) of a constant mean of noise units (m, p), one group less beside each change."""
    groups, width = means.shape
    chance = width + 2 * math.sqrt(width * math.log(groups)) + 2 * math.log(groups)
    total = np.concatenate([np.zeros((1, width)), np.cumsum(means, axis=0)])
    squares = np.concatenate([[0.0], np.cumsum(np.sum(means**2, axis=1))])
    cost, before = np.full(groups + 1, np.inf), np.zeros(groups + 1, int)
    cost[0] = 0.0
    for stop in range(1, groups + 1):
        starts = np.arange(stop)
        within = squares[stop] - squares[:stop] - np.sum((total[stop] - total[:stop]) ** 2, axis=1) / (stop - starts)
        paths = cost[:stop] + within + level * chance
        before[stop] = int(np.argmin(paths))
        cost[stop] = paths[before[stop]]
    cuts = [groups]
    while cuts[-1] > 0:
        cuts.append(int(before[cuts[-1]]))
    edges = cuts[::-1]
    trimmed = [(a + (a > 0), b - (b < groups)) for a, b in itertools.pairwise(edges)]
    return [(a, b) for a, b in trimmed if b > a] or [(0, groups)]


def _grown(
    recording: Recording, start: int, stop: int, arl0: float, subject: Subject
) -> tuple[int, int, Baseline] | str:
    """The candidate, and the rows [first, last) around it that it sees in control; or why it is no baseline."""
    learned = _learned(recording, start, stop, arl0, subject)
    if isinstance(learned, Refusal):
        return _WHY[learned.reason]
    around = _in_control(recording, learned.alarms, (start + stop) // 2)
    if around is None or around[1] - around[0] < FRAMES_MIN:
        return _CHANGES
    return *around, learned


def _whole(
    recording: Recording, first: int, last: int, small: Baseline, arl0: float, subject: Subject, trials: list[Trial]
) -> Baseline:
    """The grown stretch learned as a whole; where that is refused the candidate stays as it is."""
    whole = _learned(recording, first, last, arl0, subject, small.regimes)
    if isinstance(whole, Refusal):
        trials.append(Trial(first, last, _WHY[whole.reason]))
    elif _in_control(recording, whole.alarms, (small.start + small.stop) // 2) is None:
        trials.append(Trial(first, last, _CHANGES))
    else:
        trials.append(Trial(first, last, "chosen"))
        return replace(whole, trials=tuple(trials))
    return replace(small, trials=tuple(trials))


def _learned(
    recording: Recording,
    start: int,
    stop: int,
    arl0: float,
    subject: Subject,
    regimes: tuple[str, ...] | None = None,
) -> Baseline | Refusal:
    """Learn from rows [start, stop), without skus and recipes that are too rare there or not among `regimes`."""
    cut = recording.take(slice(start, stop))
    if cut.regime is not None:
        names, counts = np.unique(cut.regime.astype(str), return_counts=True)
        frequent = names[(counts >= REGIME_ROWS_MIN) | (len(names) == 1)].tolist()
        regimes = tuple(name for name in frequent if regimes is None or name in regimes)
        cut = cut.take(known_rows(cut, regimes))
    profile = build_profile(cut.golden(), subject)
    if isinstance(profile, Refusal):
        return profile
    known = regimes or ("",)
    basis = cut.numbers[: int(cut.n * BASIS_SHARE)]  # nearer to their own basis than any other row can be
    rows = known_rows(recording, known)
    rows = rows[~np.isin(recording.numbers[rows], basis)]
    return Baseline(start, stop, profile, known, watch(recording.take(rows), profile, arl0))


def known_rows(recording: Recording, regimes: tuple[str, ...]) -> NDArray[np.intp]:
    """Rows of the skus and recipes that the baseline holds."""
    if recording.regime is None:
        return np.arange(recording.n)
    return np.flatnonzero(np.isin(recording.regime.astype(str), list(regimes)))


def _in_control(recording: Recording, alarms: list[Alarm], middle: int) -> tuple[int, int] | None:
    """Rows [first, last) around `middle` outside every change, with the whole interval of its onset; None if inside."""
    first, last = 0, recording.n
    for alarm in alarms:
        low = _row(recording, alarm.known.since_low)
        until = recording.n if alarm.until is None else _row(recording, alarm.until) + 1
        if until <= middle:
            first = max(first, until)
        elif low > middle:
            last = min(last, low)
        else:
            return None
    return first, last


def _row(recording: Recording, number: int) -> int:
    return int(np.searchsorted(recording.numbers, number))


def _groups(recording: Recording) -> tuple[Floats, NDArray[np.intp]]:
    """Group means in noise units (m, p), and the rows at which groups begin and the last one ends (m + 1,)."""
    values = _summary(recording)
    rows = max(GROUP_ROWS_MIN, math.ceil(recording.n / GROUPS_MAX))
    edges = np.append(np.arange(0, recording.n - rows + 1, rows), recording.n)
    means = np.add.reduceat(values, edges[:-1], axis=0) / np.diff(edges)[:, None]
    noise, block = np.zeros(means.shape[1]), 1
    while block == 1 or len(means) // block >= _BLOCKS_MIN:
        blocks = means[: len(means) // block * block].reshape(-1, block, means.shape[1]).mean(axis=1)
        steps = np.median(np.abs(np.diff(blocks, axis=0)), axis=0) * _MAD_TO_SD / math.sqrt(2)
        noise = np.maximum(noise, steps * math.sqrt(block))
        block *= 2
    moving = noise > 0
    units = (means[:, moving] - np.median(means[:, moving], axis=0)) / noise[moving]
    return units.clip(-_CLIP, _CLIP), edges


def _summary(recording: Recording) -> Floats:
    """Rows (n, p): first principal components of each layer and the scalars, about the median of their regime."""
    columns: list[Floats] = []
    some = slice(None, None, math.ceil(recording.n / _PCA_ROWS_MAX))
    for values in recording.layers.values():
        center = values[some].mean(axis=0)
        _, _, axes = np.linalg.svd(values[some] - center, full_matrices=False)
        columns.append(((values - center) @ axes[:_COMPONENTS].T).astype(np.float64))
    for scalar in recording.scalars.values():
        seen = np.isfinite(scalar)
        if seen.any():
            columns.append(np.where(seen, scalar, np.median(scalar[seen]))[:, None])
    summary = np.concatenate(columns, axis=1)
    regimes = np.full(recording.n, "") if recording.regime is None else recording.regime.astype(str)
    for name in np.unique(regimes):
        summary[regimes == name] -= np.median(summary[regimes == name], axis=0)
    spread = np.median(np.abs(summary), axis=0) * _MAD_TO_SD
    summary = summary[:, spread > 0] / spread[spread > 0]
    clipped: Floats = summary.clip(-_CLIP, _CLIP)
    return clipped


def _no_stretch(longest: int, trials: list[Trial]) -> str:
    if not trials:
        return (
            f"a baseline needs at least {FRAMES_MIN} pictures in a row that do not change; the longest such stretch "
            f"has {longest}: add pictures of a calm time, or name one with --baseline"
        )
    reasons = ", ".join(sorted({trial.outcome for trial in trials}))
    return (
        f"{len(trials)} stretches of at least {FRAMES_MIN} pictures were tried and none is a baseline ({reasons}): "
        "add pictures of a longer calm time, or name one with --baseline"
    )

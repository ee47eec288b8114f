"""Which stretch of an archive is the baseline: the longest one that stays in control by a profile learned inside it.

Coarse: the archive in groups of rows, their means in the first principal components and the image factors; segments of
a constant mean by optimal partitioning (Jackson et al. 2005). A group's noise is measured robustly: from group to
group, then over blocks as long as the profile's longest window, which takes slower noise for nature; over all blocks
only where lots are known, because only then the profile can tell lots from a change. Finest first: a change that is
hidden in golden frames makes the profile blind.
Fine: the longest segments of a level of detail are learned (A/A must pass) and judge the whole archive: a stretch is
cut where it leaves control by itself, then grows over what is in control beside it and is learned again. The longest
one of the first level that has any is the baseline, but not one of which another one sees only a part in control. At
most TRIALS_A_LEVEL a level are tried. A few rows before its first or behind its last long pause are no part of it: one
wrong date would stretch it over weeks.
"""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sincewhen.detect.esr import BLIND_MIN
from sincewhen.processor.backtest import Alarm, Recording, watch
from sincewhen.processor.learn import BASIS_SHARE, FRAMES_MIN, Refusal, RefusalReason, Subject, build_profile
from sincewhen.profiles.fit import lot_codes
from sincewhen.profiles.profile import Profile
from sincewhen.profiles.variance import lots_known, window_max
from sincewhen.report.judged import pauses

TRIALS_A_LEVEL, LEARNED_MAX = 3, 4  # and so often a stretch is learned anew
_GAIN, _GAIN_LOTS = 1.2, 6.0  # times what chance gives a segment
GROUPS_MAX, GROUP_ROWS_MIN = 400, 8
REGIME_ROWS_MIN = 250  # of a sku or recipe in the baseline: 100 of them in the 40 % that the means are fitted on
_COMPONENTS, _PCA_ROWS_MAX = 16, 1000
_BLOCKS_MIN = 17  # from which the noise at a block length is measured
_MIXED_MIN = 0.05  # of a stretch, below which a false alarm would do
_STEP_CLIP = 3.0  # noise units: changes are no noise
_CLIP = 8.0  # noise units: one strange group is no segment
_MAD_TO_SD = 1.4826
_CHANGES = "it changes in itself"
_LOOK = "leave it out to have the longest calm stretch looked for"
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
    bursts: list[Alarm]  # too short to be changes: a few strange pictures in a row
    trials: tuple[Trial, ...] = ()
    steady: tuple[int, int] | None = None  # of a named one that changes in itself: the longest stretch that does not


@dataclass(frozen=True, slots=True)
class NoBaseline:
    """Why nothing can be judged, and what would be needed."""

    reason: str
    trials: tuple[Trial, ...] = ()


def given_baseline(recording: Recording, start: int, stop: int, arl0: float, subject: Subject) -> Baseline | NoBaseline:
    """The stretch that somebody named, if a profile can be learned from it and it leaves rows to judge.

    A change inside of it hides itself: so its own longest stable stretch is looked for, and told where that is shorter.
    """
    if stop - start < FRAMES_MIN:
        return NoBaseline(
            f"a baseline has at least {FRAMES_MIN} pictures; --baseline holds {stop - start} of the {recording.n} that "
            f"can be judged: name a longer time, or {_LOOK}"
        )
    if recording.n - (stop - start) < BLIND_MIN:
        return NoBaseline(
            f"a named baseline is taken to be in control, and what lies outside of it is judged; --baseline holds "
            f"{stop - start} of the {recording.n} pictures that can be judged: name a time that was calm, or {_LOOK}"
        )
    learned = _Learner(recording, arl0, subject, []).learned(start, stop)
    if isinstance(learned, Refusal):
        reason = f"{learned.detail}; or name another --baseline, or {_LOOK}"
        return NoBaseline(reason, (Trial(start, stop, _WHY[learned.reason]),))
    inside = find_baseline(recording.take(slice(start, stop)), arl0, subject)
    if isinstance(inside, NoBaseline):
        return replace(learned, steady=(start, start))
    if inside.stop - inside.start < (1 - _MIXED_MIN) * (stop - start):
        return replace(learned, steady=(start + inside.start, start + inside.stop))
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
    for noise, gain in _levels(recording, means):
        units = (means / noise).clip(-_CLIP, _CLIP)
        found = [(int(edges[a]), int(edges[b])) for a, b in stretches(units, gain)]
        found.sort(key=lambda pair: pair[0] - pair[1])
        longest = max(longest, found[0][1] - found[0][0])
        new = [pair for pair in found if pair not in tried and pair[1] - pair[0] >= FRAMES_MIN][:TRIALS_A_LEVEL]
        tried.update(new)
        bounds = [
            (int(edges[max(0, a - 1)]), int(edges[min(len(means), b + 1)])) for a, b in stretches(units, 4 * gain)
        ]
        learn = _Learner(recording, arl0, subject, trials)
        accepted = [outcome for pair in new if (outcome := learn.refined(*pair, bounds)) is not None]
        if accepted:
            whole = [one for one in accepted if not _is_mixed(recording, one, accepted)]
            best = max(whole or accepted, key=lambda baseline: baseline.stop - baseline.start)
            return replace(learn.trimmed(best), trials=tuple(trials))
    return NoBaseline(_no_stretch(longest, trials, lots=recording.lot is not None), tuple(trials))


def stretches(means: Floats, gain: float) -> list[tuple[int, int]]:
    """Segments [start, stop) of a constant mean of noise units (m, p), one group less beside each change.

    gain: how often what chance gives the best cut, columns that go together counted as such (Laurent & Massart 2000).
    """
    groups, width = means.shape
    steps = np.diff(means, axis=0).clip(-_STEP_CLIP, _STEP_CLIP)
    together = np.linalg.eigvalsh(np.cov(steps, rowvar=False).reshape(width, width) / 2)
    together *= width / max(float(together.sum()), 1e-9)
    chance = width + 2 * math.sqrt(float(np.sum(together**2)) * math.log(groups))
    chance += 2 * float(together.max(initial=0)) * math.log(groups)
    total = np.concatenate([np.zeros((1, width)), np.cumsum(means, axis=0)])
    squares = np.concatenate([[0.0], np.cumsum(np.sum(means**2, axis=1))])
    cost, before = np.full(groups + 1, np.inf), np.zeros(groups + 1, int)
    cost[0] = 0.0
    for stop in range(1, groups + 1):
        starts = np.arange(stop)
        within = squares[stop] - squares[:stop] - np.sum((total[stop] - total[:stop]) ** 2, axis=1) / (stop - starts)
        paths = cost[:stop] + within + gain * chance
        before[stop] = int(np.argmin(paths))
        cost[stop] = paths[before[stop]]
    cuts = [groups]
    while cuts[-1] > 0:
        cuts.append(int(before[cuts[-1]]))
    edges = cuts[::-1]
    trimmed = [(a + (a > 0), b - (b < groups)) for a, b in itertools.pairwise(edges)]
    return [(a, b) for a, b in trimmed if b > a] or [(0, groups)]


@dataclass(frozen=True, slots=True)
class _Learner:
    recording: Recording
    arl0: float
    subject: Subject
    trials: list[Trial]

    def refined(self, start: int, stop: int, bounds: list[tuple[int, int]]) -> Baseline | None:
        """The stretch cut to what stays in control by itself, then grown, inside its bound, over what does beside it.

        bounds: segments of a coarser look, which only clear changes separate.
        """
        low, high = next(((a, b) for a, b in bounds if a <= start and stop <= b), (start, stop))
        best: Baseline | None = None
        for _ in range(LEARNED_MAX):
            learned = self.learned(start, stop, best.regimes if best else None)
            if isinstance(learned, Refusal):
                self.trials.append(Trial(start, stop, _WHY[learned.reason]))
                return best
            around = _in_control(self.recording, learned.alarms, (start + stop) // 2)
            if around is None or around[1] - around[0] < FRAMES_MIN:
                self.trials.append(Trial(start, stop, _CHANGES))
                return best
            if around[0] > start or around[1] < stop:
                self.trials.append(Trial(start, stop, "cut: its ends are out of control"))
                if best is not None:
                    return best
                start, stop = max(around[0], low), min(around[1], high)
                continue
            self.trials.append(Trial(start, stop, "accepted"))
            best = learned
            grown = max(around[0], low), min(around[1], high)
            if grown == (start, stop):
                break
            start, stop = grown
        return best

    def trimmed(self, best: Baseline) -> Baseline:
        """Without ends of too few rows between the rest and a long pause, where enough is left."""
        cuts = pauses(self.recording.take(slice(best.start, best.stop)), best.profile)
        rows = best.stop - best.start
        start = best.start + max((cut for cut in cuts if cut < BLIND_MIN), default=0)
        stop = best.start + min((cut for cut in cuts if rows - cut < BLIND_MIN), default=rows)
        if (start, stop) == (best.start, best.stop):
            return best
        learned = self.learned(start, stop, best.regimes)
        return best if isinstance(learned, Refusal) else learned

    def learned(self, start: int, stop: int, regimes: tuple[str, ...] | None = None) -> Baseline | Refusal:
        """Learn from rows [start, stop), without skus and recipes that are too rare there or not among `regimes`."""
        recording = self.recording
        cut = recording.take(slice(start, stop))
        if cut.regime is not None:
            names, counts = np.unique(cut.regime.astype(str), return_counts=True)
            frequent = names[(counts >= REGIME_ROWS_MIN) | (len(names) == 1)].tolist()
            regimes = tuple(name for name in frequent if regimes is None or name in regimes)
            cut = cut.take(known_rows(cut, regimes))
        profile = build_profile(cut.golden(), self.subject)
        if isinstance(profile, Refusal):
            return profile
        known = regimes or ("",)
        basis = cut.numbers[: int(cut.n * BASIS_SHARE)]  # nearer to their own basis than any other row can be
        rows = known_rows(recording, known)
        rows = rows[~np.isin(recording.numbers[rows], basis)]
        alarms = [_ended_before(alarm, cut) for alarm in watch(recording.take(rows), profile, self.arl0)]
        bursts = [alarm for alarm in alarms if _is_burst(alarm)]
        return Baseline(start, stop, profile, known, [alarm for alarm in alarms if alarm not in bursts], bursts)


def _is_mixed(recording: Recording, one: Baseline, others: list[Baseline]) -> bool:
    """Whether another stretch's profile sees a part of this one out of control and a part in control."""
    for other in others:
        out = np.zeros(one.stop - one.start, bool)
        for alarm in other.alarms if other is not one else ():
            stop = recording.n if alarm.until is None else _row(recording, alarm.until) + 1
            out[max(0, _row(recording, alarm.known.since) - one.start) : max(0, stop - one.start)] = True
        if _MIXED_MIN < out.mean() < 1 - _MIXED_MIN:
            return True
    return False


def _is_burst(alarm: Alarm) -> bool:
    """Shorter than the detector's shortest window: outliers, no drift."""
    return alarm.until is not None and alarm.until - alarm.known.since_low + 1 < BLIND_MIN


def _ended_before(alarm: Alarm, golden: Recording) -> Alarm:
    """A change before the baseline ends with its begin at the latest: the rows in between were not watched."""
    first, last = int(golden.numbers[0]), int(golden.numbers[-1])
    if alarm.known.since < first and alarm.until is not None and first <= alarm.until <= last:
        return replace(alarm, until=first - 1)
    return alarm


def known_rows(recording: Recording, regimes: tuple[str, ...]) -> NDArray[np.intp]:
    """Rows of the skus and recipes that the baseline holds."""
    if recording.regime is None:
        return np.arange(recording.n)
    return np.flatnonzero(np.isin(recording.regime.astype(str), list(regimes)))


def _in_control(recording: Recording, alarms: list[Alarm], middle: int) -> tuple[int, int] | None:
    """Rows [first, last) around `middle` outside every change; None if it is inside one.

    The interval of an onset is outside too where enough is left without it.
    """
    first, last = 0, recording.n
    for alarm in alarms:
        low = _row(recording, alarm.known.since_low)
        until = recording.n if alarm.until is None else _row(recording, alarm.until) + 1
        if until <= middle:
            first = max(first, until)
        elif (since := _row(recording, alarm.known.since)) > middle:
            last = min(last, low if low - first >= FRAMES_MIN else since)
        else:
            return None
    return first, last


def _row(recording: Recording, number: int) -> int:
    return int(np.searchsorted(recording.numbers, number))


def _groups(recording: Recording) -> tuple[Floats, NDArray[np.intp]]:
    """Group means about their median (m, p), and the rows at which groups begin and the last one ends (m + 1,)."""
    values = _summary(recording)
    rows = max(GROUP_ROWS_MIN, math.ceil(recording.n / GROUPS_MAX))
    edges = np.append(np.arange(0, recording.n - rows + 1, rows), recording.n)
    means = np.add.reduceat(values, edges[:-1], axis=0) / np.diff(edges)[:, None]
    means = means[:, np.median(np.abs(np.diff(means, axis=0)), axis=0) > 0]
    return means - np.median(means, axis=0), edges


def _levels(recording: Recording, means: Floats) -> list[tuple[Floats, float]]:
    """Noise of a group mean (p,) and the gain that a segment needs, finest first."""
    window = max(1, window_max(int(recording.n * (1 - BASIS_SHARE))) * len(means) // recording.n)
    levels = [(_noise(means, 1), _GAIN), (_noise(means, window), _GAIN)]
    codes = lot_codes(recording.golden())
    if codes is not None and lots_known(codes):
        levels += [(_noise(means, len(means)), gain) for gain in (_GAIN, _GAIN_LOTS)]
    return levels


def _noise(means: Floats, longest: int) -> Floats:
    """The most that steps between blocks of 1, 2, 4 ... `longest` groups say of one group's noise (p,)."""
    noise, block = np.zeros(means.shape[1]), 1
    while block == 1 or (block <= longest and len(means) // block >= _BLOCKS_MIN):
        blocks = means[: len(means) // block * block].reshape(-1, block, means.shape[1]).mean(axis=1)
        steps = np.median(np.abs(np.diff(blocks, axis=0)), axis=0) * _MAD_TO_SD / math.sqrt(2)
        noise = np.maximum(noise, steps * math.sqrt(block))
        block *= 2
    return noise


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


def _no_stretch(longest: int, trials: list[Trial], *, lots: bool) -> str:
    if not trials:
        found = f"the longest such stretch has {longest}"
    else:
        reasons = "; ".join(sorted({trial.outcome for trial in trials}))
        found = f"{len(trials)} were tried and none is one ({reasons})"
    return (
        f"a baseline needs at least {FRAMES_MIN} pictures in a row that stay the same; {found}: add pictures of a calm "
        f"time{'' if lots else ', and where lots differ by nature give them as the column lot of an --index'}"
    )

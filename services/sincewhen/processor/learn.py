"""Learning: golden frames become a profile that passed its A/A self-test, or a refusal that says what is missing."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson

from sincewhen.detect.esr import Esr
from sincewhen.profiles.embedding import Common
from sincewhen.profiles.fit import Fitted, codes_of, fit, fit_bases, fit_partings, lot_codes, slow_ratio
from sincewhen.profiles.golden import Golden
from sincewhen.profiles.profile import PROFILE_SCHEMA, Profile, SelfTest
from sincewhen.profiles.slices import WINDOW_MIN, only_record
from sincewhen.profiles.streams import slice_stream
from sincewhen.profiles.variance import lot_runs, lots_known
from sincewhen.score.score import score
from sincewhen_schemas.reference import ReferenceSet

FRAMES_MIN = 550  # the last 60 % must measure windows of 16 frames 20 times
SLOW_RATIO_MAX = 1.25
BASIS_SHARE, _MEAN_SHARE = 0.4, 0.8
_SELF_TEST_QUANTILE = 0.999
_WEEK_NS = 7 * 24 * 3600 * 10**9


class RefusalReason(StrEnum):
    TOO_FEW_FRAMES = "too_few_frames"
    NOTHING_VARIES = "nothing_varies"
    TOO_SLOW = "too_slow"
    SELF_TEST_FAILED = "self_test_failed"
    OPEN_INCIDENT = "open_incident"
    OTHER_MODEL = "other_model"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why golden frames make no profile, and what to do."""

    reason: RefusalReason
    detail: str


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose profile it is."""

    station_id: str = ""
    view: str = ""
    model_name: str = ""
    model_version: str = ""


def build_profile(
    golden: Golden,
    subject: Subject | None = None,
    reference: ReferenceSet | None = None,
    reference_sha: str = "",
    common: Mapping[str, Common] | None = None,
) -> Profile | Refusal:
    """Learn from golden frames in order of capture: 40 % basis, 40 % mean, quantiles and nulls, 20 % A/A.

    Once A/A has passed, means, quantiles and nulls are fitted again on the last 60 %, with the basis fixed.
    reference: the same model version's reference set, for fingerprints; reference_sha: its name. common: by layer the
    basis that stations of the model version share; a layer without one gets its own.
    """
    frames = golden.n
    if frames < FRAMES_MIN:
        detail = f"a profile needs at least {FRAMES_MIN} golden frames; got {frames}: record {FRAMES_MIN - frames} more"
        return Refusal(RefusalReason.TOO_FEW_FRAMES, detail)
    first, second = int(frames * BASIS_SHARE), int(frames * _MEAN_SHARE)
    bases = fit_bases(golden.rows(0, first), common or {}, golden.rows(first, second))
    partings = fit_partings(golden.rows(0, first), bases)
    codes = lot_codes(golden)
    by_lot = codes is not None and lots_known(codes)
    trial = fit(golden.rows(first, second), bases, partings, by_lot=by_lot)
    if not trial.layers and not trial.scalars:
        varies = "at least one embedding, factor, confidence or signal varies in the golden frames; got none that does"
        detail = f"{varies}: take them while parts go by, and check what the model gives"
        return Refusal(RefusalReason.NOTHING_VARIES, detail)
    slow = _too_slow(trial, frames)
    if slow is not None:
        return slow
    subject = subject or Subject()
    other = None if reference is None else _other_model(golden, subject, reference)
    if other is not None:
        return other
    test = _self_test(_profile(golden, trial, subject, SelfTest(0, 0, {}, 0)), golden.rows(second, frames))
    over = [stream for stream, count in test.alarms.items() if count > test.alarms_max]
    failed = [f"{stream} ({test.alarms[stream]})" for stream in over if not stream.startswith("slice:")]
    if failed:
        detail = (
            f"on the last {test.frames} golden frames at a run length of {test.arl0:.0f} at most {test.alarms_max} "
            f"alarms a stream are chance; got more in {', '.join(failed)}: choose a steadier or longer window"
        )
        return Refusal(RefusalReason.SELF_TEST_FAILED, detail)
    basis_frames, rest = golden.rows(0, first), golden.rows(first, frames)
    fitted = fit(rest, bases, partings, by_lot=by_lot, before=basis_frames, reference=reference)
    fitted = _only_record(fitted, set(test.alarms) - set(over))
    return replace(_profile(golden, fitted, subject, test), reference_sha=reference_sha)


def _other_model(golden: Golden, subject: Subject, reference: ReferenceSet) -> Refusal | None:
    """A reference set that is not of the model that made the frames."""
    way_out = "run `sincewhen-edge reference build` with the running model"
    if reference.model_version != subject.model_version:
        detail = (
            f"a reference set is of the profile's model version {subject.model_version!r}; got "
            f"{reference.model_version!r}: {way_out}"
        )
        return Refusal(RefusalReason.OTHER_MODEL, detail)
    frames, pinned = _dims(golden.layers), _dims(reference.clean)
    same = {name for name, dims in frames.items() if pinned.get(name) == dims}
    if not same or any(name in pinned for name in frames.keys() - same):
        detail = (
            f"a reference set has the frames' layers, {_told(frames)}; got {_told(pinned)}: {way_out} and its layers"
        )
        return Refusal(RefusalReason.OTHER_MODEL, detail)
    return None


def _dims(layers: Mapping[str, NDArray[np.floating]]) -> dict[str, int]:
    return {name: values.shape[-1] for name, values in layers.items()}


def _told(dims: Mapping[str, int]) -> str:
    return ", ".join(f"{name!r} of {width}" for name, width in dims.items()) or "none"


def _too_slow(fitted: Fitted, frames: int) -> Refusal | None:
    for name, layer in fitted.layers.items():
        ratio = slow_ratio(layer.null)
        if ratio > SLOW_RATIO_MAX:
            way_out = f"record about {frames} more frames"
            if layer.null.lots and slow_ratio(layer.null, but_shifts=True) <= SLOW_RATIO_MAX:
                way_out = "shifts differ by more than their lots do: name no lots, then shifts take their place"
            detail = (
                f"golden frames cover too few of the slowest cycles of layer {name!r}: vt(n_max)/vt(n_max/2) is "
                f"at most {SLOW_RATIO_MAX}; got {ratio:.2f}: {way_out}"
            )
            return Refusal(RefusalReason.TOO_SLOW, detail)
    return None


def _profile(golden: Golden, fitted: Fitted, subject: Subject, test: SelfTest) -> Profile:
    codes, named = lot_codes(golden), codes_of(golden.lot)
    warnings = list(fitted.warnings)
    for stream, scalar in fitted.scalars.items():
        if slow_ratio(scalar.null) > SLOW_RATIO_MAX:
            warnings.append(f"{stream} is slower than the golden frames can show: its alarms are less sure")
    if codes is None or not lots_known(codes):
        warnings.append("fewer than 10 golden lots: how lots differ by nature is unknown")
    elif named is None:
        warnings.append("no lot is named: how shifts differ by nature takes its place")
    return Profile(
        schema=PROFILE_SCHEMA,
        station_id=subject.station_id,
        view=subject.view,
        model_name=subject.model_name,
        model_version=subject.model_version,
        golden_from_ns=int(golden.captured_at_ns[0]),
        golden_until_ns=int(golden.captured_at_ns[-1]),
        frames=golden.n,
        lots=0 if named is None else len(lot_runs(named)),
        frames_per_week=_frames_per_week(golden),
        layers=fitted.layers,
        scalars=fitted.scalars,
        self_test=test,
        regimes=fitted.regimes,
        warnings=tuple(warnings),
    )


def _frames_per_week(golden: Golden) -> float:
    """Frames a week of production at the golden frames' usual spacing, pauses included as they occurred."""
    span = int(golden.captured_at_ns[-1] - golden.captured_at_ns[0])
    return golden.n * _WEEK_NS / span if span > 0 else float(golden.n)


def _only_record(fitted: Fitted, passed: set[str]) -> Fitted:
    """Slices that did not pass their own A/A, or were too few frames for it, record and never page."""
    layers, warnings = dict(fitted.layers), list(fitted.warnings)
    for name, layer in fitted.layers.items():
        if layer.slices is None:
            continue
        untried = {
            number
            for number, part in layer.slices.parts.items()
            if slice_stream(name, number) not in passed
            or part.null.n_max < WINDOW_MIN
            or slow_ratio(part.null) > SLOW_RATIO_MAX
        }
        layers[name] = replace(layer, slices=only_record(layer.slices, untried))
        warnings += [
            f"slice {number} of {name!r} did not pass its own A/A, or is too few frames for it: it never pages"
            for number in sorted(untried)
        ]
    return replace(fitted, layers=layers, warnings=tuple(warnings))


def _self_test(profile: Profile, golden: Golden) -> SelfTest:
    scores = score(profile, golden.layers, golden.scalars, n=golden.n, regime=golden.regime)
    codes = lot_codes(golden)
    change = np.zeros(golden.n, bool) if codes is None else np.concatenate([[False], np.diff(codes) != 0])
    arl0 = max(2.0, golden.n / 10)
    alarms: dict[str, int] = {}
    for stream, positions in scores.positions.items():
        null = profile.null(stream)
        esr = Esr(null)
        rows = np.flatnonzero(scores.valid[stream])
        limit = math.log(max(2.0, len(rows) / 10))
        x, changed, doubt, start = positions[rows], change[rows], scores.doubt[rows], 0
        alarms[stream] = 0
        while start < len(x):
            ln_z = esr.update(x[start:], changed[start:], limit, doubt[start:])
            start += len(ln_z)
            if ln_z[-1] >= limit:
                alarms[stream] += 1
                esr.restart()
                start = _next_lot(changed, start) if null.sigma2_lot.any() else start
    alarms_max = int(poisson.ppf(_SELF_TEST_QUANTILE, golden.n / arl0))
    return SelfTest(golden.n, arl0, alarms, alarms_max)


def _next_lot(changed: NDArray[np.bool_], start: int) -> int:
    """The row where the next lot begins: where lots differ by nature, alarms within one lot are one."""
    later = np.flatnonzero(changed[start:])
    return start + int(later[0]) if len(later) else len(changed)

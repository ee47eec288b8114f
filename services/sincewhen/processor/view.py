"""What a batch, and what people recorded, say of one view: its state, its learning, where its context begins anew."""

import math
from typing import cast

import numpy as np
from numpy.typing import NDArray

from sincewhen.processor.event import Marks
from sincewhen.processor.gaps import WEEK_NS
from sincewhen.processor.learn import FRAMES_MIN
from sincewhen.processor.state import LOTS_MAX, ViewMemory, ViewState
from sincewhen.profiles.profile import Profile
from sincewhen.profiles.streams import SQUARED, parsed
from sincewhen.profiles.variance import LOTS_MIN
from sincewhen.score.score import Scores
from sincewhen_schemas.frames import Frames, Strings
from sincewhen_schemas.messages import StationState as StateName
from sincewhen_schemas.messages import StationStatus

STEP_FIELDS = ("lot", "supplier_lot", "sku", "recipe")
DERIVED = ("slice:", *SQUARED)  # streams that come with another one
_THINNED = "factor:"  # a busy agent measures them on fewer frames
_RESETS = {"cleaning", "replacement"}
_NEW_REGIME_MAX = 0.2  # share of frames
MISSING_MAX = 0.2  # share of frames without a stream, beyond that of the golden frames
SHARE_FRAMES = 100  # memory of the running shares
_NO_MARKS = Marks()


def begins(frames: Frames, shift: Strings, last: dict[str, str]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Frames (n,) that begin another lot, and that begin another value of any dated context.

    Where no lot is named a shift (n,) takes its place. last: what the frame before had, empty: there was none.
    """
    lot_change, step = np.zeros(frames.n, bool), np.zeros(frames.n, bool)
    for name in STEP_FIELDS:
        values = frames.context.get(name)
        if values is None:
            continue
        changed = _changed(values, last.get(name, "") if last else values[0])
        step |= changed
        if name == "lot":
            lot_change |= changed
    if "lot" not in frames.context or not frames.context["lot"].any():
        lot_change |= _changed(shift, last.get("shift", shift[0]))
    return lot_change, step


def _changed(values: Strings, before: str) -> NDArray[np.bool_]:
    return np.asarray(values != np.concatenate([[before], values[:-1]]), bool)


def marks_of(memory: ViewMemory, profile: Profile, stream: str) -> Marks:
    """What people recorded, as far as it concerns a stream: what a cleaning resets, what a challenge part notices."""
    if not memory.changes and not memory.passed:
        return _NO_MARKS
    library = profile.library(stream)
    limit = None if library is None else library.decision_limit
    return Marks(
        changes=tuple(at_ns for at_ns, _ in memory.changes),
        resets=tuple(at_ns for at_ns, kind in memory.changes if kind in _RESETS and _optical(stream)),
        passed=() if limit is None else tuple((at_ns, limit) for at_ns in memory.passed),
    )


def _optical(stream: str) -> bool:
    return stream.startswith(("embedding:", "slice:", *SQUARED, "factor:"))


def settle(view: ViewState, scores: Scores, at_ns: int) -> None:
    """The view's state after a batch."""
    memory = view.memory
    keep = math.exp(-len(scores.new_regime) / SHARE_FRAMES)
    whole = [stream for stream in scores.valid if not stream.startswith(DERIVED)]
    missing = (~np.array([scores.valid[stream] for stream in whole]) & ~scores.new_regime).mean(axis=1).tolist()
    memory.missing_share = {
        stream: keep * memory.missing_share.get(stream, 0.0) + (1 - keep) * share
        for stream, share in zip(whole, missing, strict=True)
    }
    memory.new_regime_share = keep * memory.new_regime_share + (1 - keep) * float(np.mean(scores.new_regime))
    if any(monitor.is_paging for monitor in view.monitors.values()):
        enter(view, "out of control", at_ns)
    elif memory.new_regime_share > _NEW_REGIME_MAX:
        enter(view, "new regime", at_ns)
    elif any(not stream.startswith(_THINNED) for stream in _missing(view)):
        enter(view, "insufficient data", at_ns)
    else:
        enter(view, "in control", at_ns)


def _missing(view: ViewState) -> dict[str, float]:
    """Streams that too many frames lack, beyond what the golden ones did, and in which share of the newest."""
    shares = view.memory.missing_share
    golden = {stream: view.monitors[stream].null.n_ref for stream in shares}
    most = max(golden.values(), default=1)
    return {stream: share for stream, share in shares.items() if share > MISSING_MAX + 1 - golden[stream] / most}


def _missing_said(stream: str, share: float) -> str:
    kind, name, _ = parsed(stream)
    what = f"{kind} {name!r}" if name else kind
    return f"{what} in {100 * share:.0f} % of the newest frames"


def enter(view: ViewState, state: StateName, at_ns: int) -> None:
    if view.memory.state != state or view.memory.state_since_ns == 0:
        view.memory.state, view.memory.state_since_ns = state, at_ns


def spacing_ns(view: ViewState, profile: Profile | None) -> float:
    """The usual time between frames, as far as it is known."""
    memory = view.memory
    if profile is not None:
        return WEEK_NS / profile.frames_per_week
    if memory.golden_frames < SHARE_FRAMES:
        return 0.0
    return max(0.0, (memory.last_captured_at_ns - memory.state_since_ns) / memory.golden_frames)


def learn(view: ViewState, frames: Frames, shift: Strings) -> None:
    memory = view.memory
    if memory.learning_version != frames.model_version:  # golden frames are of one model version
        memory.learning_version, memory.golden_frames = frames.model_version, 0
        memory.golden_lots, memory.golden_shifts = [], []
        memory.state_since_ns = 0  # learning begins with this batch
    seen = {str(name).partition(" ")[2] for name in shift if name}
    memory.golden_shifts = sorted({*memory.golden_shifts, *seen})
    memory.golden_frames += frames.n
    for lot in dict.fromkeys(str(lot) for lot in frames.context.get("lot", ())):
        if lot and lot not in memory.golden_lots:
            memory.golden_lots = [*memory.golden_lots, lot][-LOTS_MAX:]


def status_of(
    station_id: str, name: str, view: ViewState, profile: Profile | None, shifts: tuple[str, ...]
) -> StationStatus:
    memory = view.memory
    missing: list[str] = []
    learning = memory.state == "learning"
    if learning:
        if memory.golden_frames < FRAMES_MIN:
            missing.append(f"{FRAMES_MIN - memory.golden_frames} frames")
        if memory.golden_lots and len(memory.golden_lots) < LOTS_MIN:
            missing.append(f"{LOTS_MIN - len(memory.golden_lots)} lots")
        missing += [f"{shift} shift" for shift in shifts if shift not in memory.golden_shifts]
        if profile is not None and missing:
            missing.append(f"a profile of the running model version (the active one is of {profile.model_version!r})")
    elif profile is not None:
        missing = [_missing_said(stream, share) for stream, share in _missing(view).items()]
    return StationStatus(
        station_id=station_id,
        view=name,
        state=state_name(memory.state),
        since_ns=memory.state_since_ns,
        profile_sha=memory.profile_sha,
        frames=memory.frames,
        last_captured_at_ns=memory.last_captured_at_ns,
        missing=tuple(missing),
        new_regime_share=round(memory.new_regime_share, 3),
        not_drift=memory.not_drift,
        learning_since_ns=memory.state_since_ns if learning and memory.state_since_ns else None,
    )


def state_name(state: str) -> StateName:
    return cast("StateName", state)  # enter only takes names of states

"""What the processor remembers of a station: a value of bounded size, exact through its bytes."""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from sincewhen.presence.presence import Presence
from sincewhen.processor.calm import Calm
from sincewhen.processor.monitor import StreamMonitor
from sincewhen.processor.opinions import Opinions
from sincewhen.profiles.profile import Profile

MARKS_MAX = 64
LOTS_MAX = 64
CHANGES_MAX = 64


class ViewMemory(msgspec.Struct):
    """One view, less its monitors."""

    profile_sha: str = ""
    state: str = "learning"
    state_since_ns: int = 0
    frames: int = 0
    last_captured_at_ns: int = 0
    context: dict[str, str] = msgspec.field(default_factory=dict)  # of the last frame: STEP_FIELDS, shift
    learning_version: str = ""  # model version of the golden frames
    golden_frames: int = 0  # production frames since learning began
    golden_lots: list[str] = msgspec.field(default_factory=list)  # the newest LOTS_MAX
    golden_shifts: list[str] = msgspec.field(default_factory=list)  # names of the calendar's shifts that were seen
    presence: Presence = msgspec.field(default_factory=Presence)
    changes: list[tuple[int, str]] = msgspec.field(default_factory=list)  # recorded: time, kind; the newest CHANGES_MAX
    passed: list[int] = msgspec.field(default_factory=list)  # challenge parts that passed, the newest CHANGES_MAX
    not_drift: int = 0  # pages that people judged to be none
    missing_share: dict[str, float] = msgspec.field(default_factory=dict)  # by stream: of frames, running
    new_regime_share: float = 0.0


@dataclass(slots=True)
class ViewState:
    """Monitors by stream, and subgroups and second opinions on them; none of both without a profile."""

    memory: ViewMemory = field(default_factory=ViewMemory)
    monitors: dict[str, StreamMonitor] = field(default_factory=dict)
    opinions: Opinions | None = None
    calm: Calm | None = None  # made of the monitors


@dataclass(slots=True)
class StationState:
    """marks: (agent, boot, view) -> the next sequence number; the MARKS_MAX newest."""

    marks: dict[tuple[str, str, str], int] = field(default_factory=dict)
    views: dict[str, ViewState] = field(default_factory=dict)

    def mark(self, key: tuple[str, str, str], next_seq: int) -> None:
        self.marks.pop(key, None)
        self.marks[key] = next_seq
        while len(self.marks) > MARKS_MAX:
            del self.marks[next(iter(self.marks))]


def encode_state(state: StationState) -> bytes:
    views = {
        name: (
            view.memory,
            {stream: (monitor.arl0, monitor.to_bytes()) for stream, monitor in view.monitors.items()},
            view.opinions.to_bytes() if view.opinions else b"",
        )
        for name, view in state.views.items()
    }
    return msgspec.msgpack.encode(([(*key, seq) for key, seq in state.marks.items()], views))


def decode_state(data: bytes, profile_of: Callable[[str], Profile]) -> StationState:
    """Raises KeyError where a profile is missing: the caller waits for it."""
    monitors_of = dict[str, tuple[float, bytes]]
    kind = tuple[list[tuple[str, str, str, int]], dict[str, tuple[ViewMemory, monitors_of, bytes]]]
    marks, views = msgspec.msgpack.decode(data, type=kind)
    state = StationState({(agent, boot, view): seq for agent, boot, view, seq in marks})
    for name, (memory, monitors, opinions) in views.items():
        view = ViewState(memory)
        if memory.profile_sha:
            profile = profile_of(memory.profile_sha)
            view.opinions = Opinions.from_bytes(opinions, profile)
            for stream, (arl0, raw) in monitors.items():
                null, known = profile.null(stream), profile.fingerprints(stream)
                view.monitors[stream] = StreamMonitor.from_bytes(raw, null, arl0, known)
        state.views[name] = view
    return state

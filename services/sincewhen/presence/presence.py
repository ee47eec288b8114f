"""Silence is never health: a station that should produce and sends no frames is blind.

Who says that it should: the running flag of the agent's heartbeats, for as long as they come; else the calendar. Where
neither does, a silent station has insufficient data. Two clocks, never mixed: stretches of blind time are in the
agent's time (captured_at, sent_at), judged once frames come again, so that a backlog that arrives late fills its gap;
the state of now is judged by the log's append time.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import msgspec

from sincewhen.plant import Calendar
from sincewhen_schemas.messages import Heard, StationStatus

SILENT_NS_MIN = 60 * 10**9
SPACINGS_SILENT = 10  # frames that must be missing before a slow line is silent
STALE_NS = 60 * 10**9  # a heartbeat comes every 10 s; after so long nobody knows what it said
FLAGS_MAX = 64
BY_SHIFT_NS = 60 * 86400 * 10**9  # how much of a gap is told shift by shift; what lies before is one stretch
Silence: TypeAlias = Literal["silent", "agent_off"]


class Flag(msgspec.Struct, frozen=True):
    """Heartbeats that said the same from `since_ns` to `until_ns` (agent's time)."""

    since_ns: int
    until_ns: int
    producing: bool | None
    observing: bool


class Presence(msgspec.Struct):
    """What is known of one view; a plain value of bounded size."""

    captured_at_ns: int = 0  # newest frame, agent's time
    frames_at_ns: int = 0  # newest frames, append time
    beat_at_ns: int = 0  # newest heartbeat, append time
    flags: list[Flag] = msgspec.field(
        default_factory=list
    )  # since the newest frame, oldest first; the FLAGS_MAX newest


@dataclass(frozen=True, slots=True)
class Stretch:
    """Production that nobody monitored, [since_ns, until_ns) in the agent's time."""

    since_ns: int
    until_ns: int
    reason: Silence


def silent_ns(spacing_ns: float) -> int:
    """How long no frame must come for silence, given the usual time between frames."""
    return max(SILENT_NS_MIN, int(SPACINGS_SILENT * spacing_ns))


def beat(presence: Presence, sent_at_ns: int, appended_at_ns: int, producing: bool | None, *, observing: bool) -> None:  # noqa: FBT001 - three-valued
    """Take a heartbeat's word."""
    presence.beat_at_ns = appended_at_ns
    last = presence.flags[-1] if presence.flags else None
    if (
        last is not None
        and (last.producing, last.observing) == (producing, observing)
        and 0 <= sent_at_ns - last.until_ns <= STALE_NS
    ):
        presence.flags = [*presence.flags[:-1], msgspec.structs.replace(last, until_ns=sent_at_ns)]
    else:
        presence.flags = [*presence.flags, Flag(sent_at_ns, sent_at_ns, producing, observing)][-FLAGS_MAX:]


def arrive(
    presence: Presence,
    first_ns: int,
    last_ns: int,
    appended_at_ns: int,
    spacing_ns: float,
    calendar: Calendar | None,
) -> list[Stretch]:
    """Take frames captured in [first_ns, last_ns]; the blind stretches before them."""
    since = presence.captured_at_ns
    found: list[Stretch] = []
    if since and first_ns - since > silent_ns(spacing_ns):
        recent = max(since, first_ns - BY_SHIFT_NS)  # a PC's clock may have begun in another decade
        found = [Stretch(since, recent, "silent")] if calendar is not None and recent > since else []
        found += _blind(presence.flags, recent if found else since, first_ns, silent_ns(spacing_ns), calendar)
    if last_ns > since:
        presence.captured_at_ns = last_ns
        presence.flags = [flag for flag in presence.flags if flag.until_ns + STALE_NS > last_ns]
    presence.frames_at_ns = appended_at_ns
    return found


def heard(status: StationStatus, presence: Presence, spacing_ns: float) -> Heard:
    """What `judge` needs of a view, as a message."""
    return Heard(
        status=status,
        frames_at_ns=presence.frames_at_ns,
        beat_at_ns=presence.beat_at_ns,
        producing=presence.flags[-1].producing if presence.flags else None,
        spacing_ns=spacing_ns,
    )


def judge(
    last: Heard, calendar: Calendar | None, now_ns: int
) -> Literal["blind", "not producing", "insufficient data"] | None:
    """The state of a silent view at `now_ns` (append time); None while frames come."""
    patience = silent_ns(last.spacing_ns)
    if last.frames_at_ns and now_ns - last.frames_at_ns <= patience:
        return None
    if last.producing is not None and now_ns - last.beat_at_ns <= STALE_NS:
        return "blind" if last.producing else "not producing"
    if calendar is not None:
        return "blind" if calendar.planned(now_ns) and calendar.planned(now_ns - patience) else "not producing"
    return "blind" if last.producing else "insufficient data"  # it was producing when its agent was last heard of


def _blind(
    flags: list[Flag], since_ns: int, until_ns: int, shortest_ns: int, calendar: Calendar | None
) -> list[Stretch]:
    found: list[Stretch] = []
    unsaid, off = since_ns, False  # from `unsaid` on no flag has been looked at
    for index, flag in enumerate(flags):
        later = flags[index + 1].since_ns if index + 1 < len(flags) else until_ns
        known = calendar is None and flag.producing  # nobody else says: it went on producing until somebody says no
        end = min(later, until_ns) if known else min(later, until_ns, flag.until_ns + STALE_NS)
        start = max(flag.since_ns, unsaid)
        if flag.producing is not None and end > start:
            found += _planned(calendar, unsaid, start, off=off)
            if flag.producing:
                found.append(Stretch(start, end, "silent" if flag.observing else "agent_off"))
            unsaid = end
        off = not flag.observing
    found += _planned(calendar, unsaid, until_ns, off=off)
    return [stretch for stretch in _joined(found) if stretch.until_ns - stretch.since_ns > shortest_ns]


def _planned(calendar: Calendar | None, since_ns: int, until_ns: int, *, off: bool) -> list[Stretch]:
    if calendar is None or until_ns <= since_ns:
        return []
    reason: Silence = "agent_off" if off else "silent"
    return [Stretch(first, last, reason) for first, last in calendar.planned_between(since_ns, until_ns)]


def _joined(stretches: list[Stretch]) -> list[Stretch]:
    """Stretches that touch and have one reason, as one."""
    joined: list[Stretch] = []
    for stretch in stretches:
        if joined and joined[-1].until_ns == stretch.since_ns and joined[-1].reason == stretch.reason:
            joined[-1] = Stretch(joined[-1].since_ns, stretch.until_ns, stretch.reason)
        else:
            joined.append(stretch)
    return joined

"""What a stream's monitor remembers: a value of bounded size, exact through its bytes."""

from dataclasses import dataclass, field

import msgspec

from sincewhen.detect.esr import EsrState
from sincewhen.detect.next_change import NextState
from sincewhen.onset.history import History
from sincewhen.onset.recovery import RecoveryState
from sincewhen.processor.event import Event, Owed
from sincewhen.processor.muted import Muted
from sincewhen.processor.past import Past


class Open(msgspec.Struct):
    """An open event, the frames since its alarm, and the mean of what was open before it (empty: nothing was)."""

    event: Event
    age: int
    before: tuple[float, ...] = ()


class Head(msgspec.Struct):
    """All but what has arrays; rows: that were taken so far."""

    rows: int = 0
    next_ordinal: int = 0
    open: list[Open] = msgspec.field(default_factory=list)  # oldest first
    ended: Event | None = None  # less than REOPEN_WITHIN rows ago
    muted: list[Muted] = msgspec.field(default_factory=list)
    endings: list[Past] = msgspec.field(default_factory=list)  # changes that ended
    owed: Owed = msgspec.field(default_factory=Owed)


@dataclass(slots=True)
class MonitorState:
    """Everything the monitor remembers."""

    esr: EsrState
    history: History
    head: Head = field(default_factory=Head)
    recovery: RecoveryState | None = None  # while open
    next: NextState | None = None  # while open, once the newest event is refined

    def to_bytes(self) -> bytes:
        recovery = self.recovery.to_bytes() if self.recovery else None
        following = self.next.to_bytes() if self.next else None
        return msgspec.msgpack.encode((self.esr.to_bytes(), self.history.to_bytes(), self.head, recovery, following))

    @staticmethod
    def from_bytes(data: bytes) -> "MonitorState":
        kind = tuple[bytes, bytes, Head, bytes | None, bytes | None]
        esr, history, head, recovery, following = msgspec.msgpack.decode(data, type=kind)
        return MonitorState(
            EsrState.from_bytes(esr),
            History.from_bytes(history),
            head,
            RecoveryState.from_bytes(recovery) if recovery is not None else None,
            NextState.from_bytes(following) if following is not None else None,
        )

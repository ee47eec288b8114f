"""Aligned bins of event time, in which the sums of several sources meet; when one closes does not depend on batches.

A bin closes when every source that still sends has passed it, or 60 s of append time after its first sum. Bins close in
order; a sum for a bin that has closed is late: counted, not used. As long as no source is more than 60 s of append time
behind the others, what a bin holds does not depend on the order in which they came.
"""

import msgspec

BIN_NS = 10 * 10**9
LATE_NS = 60 * 10**9
PENDING_MAX = 1024  # bins; when full the oldest closes
SOURCES_MAX = 512


class Source(msgspec.Struct):
    """What was last heard of a source: its newest bin (-1: none yet) and the append time."""

    newest: int
    heard_ns: int


class Sums(msgspec.Struct):
    """A source's frames in one bin: their sum and its variance in control."""

    total: float = 0.0
    variance: float = 0.0


class Pending(msgspec.Struct):
    opened_ns: int
    sums: dict[str, Sums] = msgspec.field(default_factory=dict)


class Bins(msgspec.Struct):
    """A value of bounded size. Bins count from the epoch."""

    sources: dict[str, Source] = msgspec.field(default_factory=dict)
    pending: dict[int, Pending] = msgspec.field(default_factory=dict)
    closed: int = -1  # this bin and all before
    late: int = 0  # sums not used
    heard_ns: int = 0  # append time of the newest sum of any source

    def expect(self, source: str, now_ns: int) -> None:
        """It is about to send: bins wait for it."""
        self.sources.setdefault(source, Source(-1, now_ns))

    def leave(self, source: str) -> None:
        """It will send no more: bins do not wait for it; what it has sent stays."""
        self.sources.pop(source, None)

    def add(self, source: str, number: int, total: float, variance: float, now_ns: int) -> None:
        """Take a sum (and its variance) of a source's frames in a bin; sums of one source come in order of time."""
        self._resume(now_ns)
        known = self.sources.pop(source, None)
        self.sources[source] = Source(number if known is None else max(known.newest, number), now_ns)
        while len(self.sources) > SOURCES_MAX:
            del self.sources[next(iter(self.sources))]  # heard of the longest ago
        if number <= self.closed:
            self.late += 1
            return
        sums = self.pending.setdefault(number, Pending(now_ns)).sums.setdefault(source, Sums())
        sums.total += total
        sums.variance += variance

    def _resume(self, now_ns: int) -> None:
        """After a pause of all (a break, an outage) who was there before it is waited for anew."""
        if now_ns - self.heard_ns > LATE_NS:
            for source in self.sources.values():
                if self.heard_ns - source.heard_ns <= LATE_NS:
                    source.heard_ns = now_ns
        self.heard_ns = now_ns

    def close(self, now_ns: int) -> list[tuple[int, dict[str, float]]]:
        """The bins that close now, oldest first: each source's sum over its standard deviation, by name.

        A bin that waited in vain and has one source only says nothing: its sums count as late.
        """
        if not self.pending:
            return []
        self._drop(now_ns)
        waited = [source.newest for source in self.sources.values() if now_ns - source.heard_ns <= LATE_NS]
        passed = min(waited, default=max(self.pending, default=0) + 1)
        overdue = [number for number, bin_ in self.pending.items() if now_ns - bin_.opened_ns > LATE_NS]
        last = max([passed - 1, *overdue, *sorted(self.pending)[:-PENDING_MAX]])
        closing = sorted(number for number in self.pending if number <= last)
        if closing:
            self.closed = max(self.closed, closing[-1])
        return [(number, _standardised(self.pending.pop(number))) for number in closing]

    def _drop(self, now_ns: int) -> None:
        """A source whose clock is far ahead must not close the bins that the others are in."""
        for number in [n for n, bin_ in self.pending.items() if now_ns - bin_.opened_ns > LATE_NS]:
            if len(self.pending[number].sums) <= 1:
                self.late += len(self.pending.pop(number).sums)


def _standardised(bin_: Pending) -> dict[str, float]:
    return {name: bin_.sums[name].total / bin_.sums[name].variance ** 0.5 for name in sorted(bin_.sums)}

"""When a bin of event time closes, and what becomes of what comes too late."""

from sincewhen.correlator.bins import LATE_NS, PENDING_MAX, Bins

SECOND = 10**9


def closed(bins: Bins, now_ns: int) -> list[tuple[int, list[str]]]:
    return [(number, sorted(values)) for number, values in bins.close(now_ns)]


def test_a_bin_closes_when_every_source_has_passed_it() -> None:
    bins = Bins()
    bins.expect("b", 0)
    bins.add("a", 5, 1.0, 1.0, 0)
    bins.add("a", 6, 1.0, 1.0, 1)
    assert closed(bins, 1) == []
    bins.add("b", 5, 1.0, 1.0, 2)
    assert closed(bins, 2) == []
    bins.add("b", 6, 1.0, 1.0, 3)
    assert closed(bins, 3) == [(5, ["a", "b"])]


def test_a_source_that_stays_away_is_waited_for_one_minute() -> None:
    bins = Bins()
    for source in "abc":
        bins.add(source, 5, 1.0, 1.0, 0)
    for source in "ab":
        bins.add(source, 6, 1.0, 1.0, 10 * SECOND)
        bins.add(source, 7, 1.0, 1.0, 20 * SECOND)
    assert closed(bins, LATE_NS) == []
    assert closed(bins, LATE_NS + 1) == [(5, ["a", "b", "c"]), (6, ["a", "b"])]
    bins.add("c", 6, 1.0, 1.0, LATE_NS + 2)
    assert bins.late == 1, "its bin had closed"


def test_after_a_pause_of_all_the_first_one_back_does_not_close_bins_alone() -> None:
    bins = Bins()
    for source in "ab":
        bins.add(source, 5, 1.0, 1.0, 0)
    later = 100 * LATE_NS
    for number in (50, 51, 52):
        bins.add("a", number, 1.0, 1.0, later)
    assert closed(bins, later) == [(5, ["a", "b"])]
    for number in (50, 51, 52):
        bins.add("b", number, 1.0, 1.0, later + SECOND)
    assert closed(bins, later + SECOND) == [(50, ["a", "b"]), (51, ["a", "b"])]
    assert bins.late == 0


def test_a_sum_is_standardised_over_all_that_its_source_sent_for_the_bin() -> None:
    bins = Bins()
    bins.add("a", 5, 3.0, 4.0, 0)
    bins.add("a", 5, 7.0, 21.0, 1)
    bins.add("a", 6, 0.0, 1.0, 2)
    assert bins.close(2) == [(5, {"a": 2.0})]


def test_a_clock_that_runs_ahead_does_not_close_the_others_bins() -> None:
    bins = Bins()
    for number in range(5, 25):
        now = number * 10 * SECOND
        bins.add("ahead", number + 360, 1.0, 1.0, now)
        for source in "ab":
            bins.add(source, number, 1.0, 1.0, now)
        assert closed(bins, now) == ([(number - 1, ["a", "b"])] if number > 5 else [])
    assert bins.late == 13, "alone in its bins, it said nothing in those that waited for a minute"


def test_memory_is_bounded() -> None:
    bins = Bins()
    bins.expect("b", 0)
    for number in range(3 * PENDING_MAX):
        bins.add("a", number, 1.0, 1.0, 0)
        bins.close(0)
    assert len(bins.pending) == PENDING_MAX

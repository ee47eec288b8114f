"""What every keeper of bodies promises."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sincewhen.log.bodies import Bodies, MemoryBodies, SqliteBodies

Make = Callable[[Path], Bodies]
BODIES = [
    pytest.param(lambda _path: MemoryBodies(), id="memory"),
    pytest.param(lambda path: SqliteBodies(path, "profiles"), id="sqlite"),
]


@pytest.fixture(params=BODIES)
def bodies(request: pytest.FixtureRequest, tmp_path: Path) -> Bodies:
    make: Make = request.param
    return make(tmp_path / "bodies.db")


def test_a_body_is_found_under_its_address_with_what_it_is_of(bodies: Bodies) -> None:
    bodies.put("b", b"of b", b"2")
    bodies.put("a", b"of a", b"1")
    assert (bodies.get("a"), bodies.get("b")) == (b"1", b"2")
    assert list(bodies.listed().items()) == [("a", b"of a"), ("b", b"of b")]


def test_what_a_body_is_of_may_change(bodies: Bodies) -> None:
    bodies.put("a", b"older", b"1")
    bodies.put("a", b"newer", b"1")
    assert bodies.listed() == {"a": b"newer"}


def test_an_address_that_nobody_kept_is_told(bodies: Bodies) -> None:
    with pytest.raises(KeyError):
        bodies.get("a")


def test_what_sqlite_kept_is_there_after_it_is_opened_again_and_kinds_do_not_meet(tmp_path: Path) -> None:
    first = SqliteBodies(tmp_path / "bodies.db", "profiles")
    first.put("a", b"", b"1")
    again = SqliteBodies(tmp_path / "bodies.db", "profiles")  # the first was never closed, as after kill -9
    assert again.get("a") == b"1"
    assert SqliteBodies(tmp_path / "bodies.db", "reference_sets").listed() == {}

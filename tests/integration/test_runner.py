"""The runner in this process, with faults of ours put into it."""

from pathlib import Path

import pytest

from sincewhen.embedded.runner import Runner
from sincewhen.log.log import STUMBLES_MAX
from sincewhen.plant import Plant
from sincewhen.processor.pipeline import Pipeline
from sincewhen.store import read
from sincewhen_testing.station import STATION, batch, stream


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_record_at_which_we_fail_again_and_again_is_set_aside_and_the_others_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [batch(stream(71), start, start + 32) for start in (0, 32, 64)]
    step = Pipeline.step

    def failing(self: Pipeline, *arguments: object) -> object:
        assert arguments[2] != records[1], "a fault of ours"
        return step(self, *arguments)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(Pipeline, "step", failing)
    for start in range(STUMBLES_MAX + 1):
        runner = Runner(tmp_path, Plant())
        if start == 0:
            runner.append([(STATION, record) for record in records])
        runner.start()
        while runner.alive and runner.backlog:
            pass
        alive = runner.alive
        letters = read.dead_letters(runner.connection, 10)
        counted = runner.connection.rows("SELECT count() AS n FROM frames FINAL")[0]["n"]
        runner.stop()
    assert alive
    assert counted == 64
    assert [letter["reason"] for letter in letters] == ["internal_error"]

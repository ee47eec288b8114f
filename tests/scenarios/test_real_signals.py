"""Real sensor logs with labelled change points through `sincewhen-edge signals`, server and API."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sincewhen_testing.edge import activate, iso, row, run_edge
from sincewhen_testing.needs import shared_data
from sincewhen_testing.server import Server

SKAB_GOLDEN = 550
RIG_START_S, RIG_STEP_S, RIG_GOLDEN = 1_700_000_000, 60.0, (100, 700)


def labelled(name: str) -> tuple[Path, list[int]]:
    streams = shared_data() / "streams"
    label = json.loads((streams / "labels.json").read_text())[name]
    return streams / f"{name}.csv", [point["index"] for point in label["change_points"]]


def found(server: Server) -> list[dict[str, Any]]:
    return sorted(server.get("/api/v1/incidents").json(), key=lambda item: item["opened_at"])


def test_the_cooler_of_the_hydraulic_rig_is_dated_by_its_label(tmp_path: Path) -> None:
    path, (first, second) = labelled("hydraulic_rig_temps")
    with Server(tmp_path / "d") as server:
        told = ["signals", str(path), "--time", "cycle_index", "--unit-s", "60", "--start", iso(RIG_START_S)]
        begins, ends = (RIG_START_S + cycle * RIG_STEP_S for cycle in RIG_GOLDEN)
        golden = tmp_path / "golden.csv"
        lines = path.read_text().splitlines(keepends=True)
        golden.write_text("".join(lines[: RIG_GOLDEN[1] + 1]))
        rest = tmp_path / "rest.csv"
        rest.write_text("".join([lines[0], *lines[RIG_GOLDEN[1] + 1 :]]))
        run_edge(
            server,
            tmp_path,
            *[str(golden) if word == str(path) else word for word in told],
            "--station",
            "p/a/l/rig",
            "--fast",
        )
        activate(server, "p/a/l/rig", begins, ends)
        run_edge(
            server,
            tmp_path,
            *[str(rest) if word == str(path) else word for word in told],
            "--station",
            "p/a/l/rig",
            "--fast",
        )
        incidents = found(server)
    for item in incidents:
        since, opened = (row(item[key], RIG_START_S, RIG_STEP_S) for key in ("since", "opened_at"))
        print(f"since {since:.0f} opened {opened:.0f} streams {item['streams']}; labels {first}, {second}")
    since, opened = (row(incidents[0][key], RIG_START_S, RIG_STEP_S) for key in ("since", "opened_at"))
    assert abs(since - first) <= 3
    assert first <= opened <= first + 15
    assert all(row(item["opened_at"], RIG_START_S, RIG_STEP_S) >= first for item in incidents)


def test_the_closing_valves_of_the_pump_are_found_and_dated_within_their_edge(tmp_path: Path) -> None:
    """The valve closes between the first two labels. In one run the temperature leaves its baseline before them."""
    off: list[int] = []
    with Server(tmp_path / "d") as server:
        for run in ("skab_valve1_3", "skab_valve1_5", "skab_valve1_10", "skab_valve2_1"):
            path, points = labelled(run)
            closing, closed, opening, _ = points
            with path.open() as file:
                rows = list(csv.reader(file))
            parts = {"golden": rows[1 : SKAB_GOLDEN + 1], "rest": rows[SKAB_GOLDEN + 1 :]}
            times = [datetime.fromisoformat(line[0]).replace(tzinfo=UTC).timestamp() for line in rows[1:]]
            station = f"p/a/pump/{run}"
            for part, lines in parts.items():
                (tmp_path / run).mkdir(exist_ok=True)
                with (tmp_path / run / f"{part}.csv").open("w", newline="") as file:
                    csv.writer(file).writerows([rows[0], *lines])
                told = ["signals", str(tmp_path / run / f"{part}.csv"), "--time", rows[0][0], "--station", station]
                run_edge(server, tmp_path / run, *told, "--fast")
                if part == "golden":
                    activate(server, station, times[0], times[SKAB_GOLDEN - 1])
            mine = [item for item in found(server) if item["station_id"] == station]
            assert mine, f"{run}: no incident"
            low, since, high, opened = (
                sum(at < datetime.fromisoformat(mine[0][key]).timestamp() for at in times)
                for key in ("since_low", "since", "since_high", "opened_at")
            )
            print(f"{run}: since {since} [{low}, {high}] opened {opened}; closes {closing}..{closed}, opens {opening}")
            assert since <= opened < opening
            off.append(max(0, low - closed, closing - high))
    print(f"rows between the interval and the closing edge: {off}")
    assert sorted(off)[2] <= 2

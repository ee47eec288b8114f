"""The demonstration, short: reference sets of golden pictures alone, by the real agent, in the profiles."""

from pathlib import Path

from sincewhen.demo.play import PINNED, Demo
from sincewhen.demo.scene import Plan
from sincewhen_testing.server import Server

PLAN = Plan(golden=1200, in_control=100, story=200, lot=40, supplier_lot=100, ramp=120, size=64)


def test_each_station_is_watched_with_a_reference_set_of_its_golden_pictures(tmp_path: Path) -> None:
    with Server(tmp_path / "d") as server:
        report = Demo(tmp_path, server.url, 5, lambda *_: None, PLAN).run(server.token)
        sets = {item["sha"]: item for item in server.get("/api/v1/references").json()}
        profiles = server.get("/api/v1/profiles").json()
    assert len(sets) == len(profiles) == 2
    for profile in profiles:
        pinned = sets[profile["reference"]]
        assert pinned["station_id"] == profile["station_id"]
        assert (pinned["images"], list(pinned["layers"])) == (PINNED, ["early", "middle", "head"])
        assert {"haze", "texture"} <= set(profile["causes"]["head"]["known"])
    for folder in (tmp_path / "pinned").iterdir():
        assert all(int(picture.stem) < PLAN.golden for picture in folder.iterdir())
    assert [story["name"] for story in report["stories"]] == ["supplier lot", "lens haze"]
    assert all("cause" in story for story in report["stories"])
    print(report)

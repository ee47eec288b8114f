"""Who is paged: open incidents at a real Alertmanager."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sincewhen.correlator.pager import Pager
from sincewhen_schemas.messages import Incident
from sincewhen_testing.alertmanager import Alertmanager, running_alertmanager
from sincewhen_testing.spooled import until

EXAMPLE = Path(__file__).resolve().parents[2] / "schemas/examples/valid/Incident.json"
CONSOLE = "http://console:8099"


def incident(station: str = "ulm/body/line1/cam1", **fields: Any) -> Incident:  # noqa: ANN401 - its fields
    now_ns = time.time_ns()
    known = msgspec.convert(json.loads(EXAMPLE.read_text()), Incident)
    place = {"station_id": station, "incident_id": f"i-{station.rpartition('/')[2]}"}
    return msgspec.structs.replace(known, **place, opened_at_ns=now_ns, updated_at_ns=now_ns, **fields)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Alertmanager]:
    with running_alertmanager(tmp_path / "alertmanager") as manager:
        yield manager


@pytest.fixture
def pager(manager: Alertmanager) -> Iterator[Pager]:
    pager = Pager(manager.url, CONSOLE)
    pager.start()
    yield pager
    pager.stop()


def labels(manager: Alertmanager) -> list[dict[str, str]]:
    return sorted((alert["labels"] for alert in manager.alerts()), key=lambda known: known["station"])


def test_an_open_incident_is_an_alert_that_says_what_where_since_when_and_what_to_do(
    manager: Alertmanager, pager: Pager
) -> None:
    manager.start()
    pager.tell([incident(cause="haze")])
    until(manager.alerts)
    (alert,) = manager.alerts()
    assert alert["labels"] == {
        "alertname": "SinceWhen", "incident_id": "i-cam1", "site": "ulm", "line": "ulm/body/line1",
        "station": "ulm/body/line1/cam1", "severity": "page", "audience": "quality",
    }  # fmt: skip
    said = alert["annotations"]
    assert said["link"] == f"{CONSOLE}/incidents/i-cam1"
    assert "it looks like haze" in said["sentence"]
    assert said["since"] in said["sentence"]
    assert "clean" in said["first_action"]


def test_what_ended_or_became_a_part_of_another_incident_is_resolved(manager: Alertmanager, pager: Pager) -> None:
    manager.start()
    first, second = incident(), incident("ulm/body/line1/cam2")
    pager.tell([first, second])
    until(lambda: len(manager.alerts()) == 2)
    pager.tell([msgspec.structs.replace(first, status="ended"), msgspec.structs.replace(second, merged_into="line")])
    until(lambda: manager.alerts() == [])


def test_while_alertmanager_is_away_nothing_is_lost_and_it_is_told(manager: Alertmanager, pager: Pager) -> None:
    pager.tell([incident()])
    until(lambda: pager.problem)
    assert manager.url in pager.problem
    manager.start()
    until(manager.alerts)
    until(lambda: not pager.problem)


def test_who_takes_other_sites_over_pages_of_these_only(manager: Alertmanager, pager: Pager) -> None:
    manager.start()
    pager.tell([incident()])
    until(manager.alerts)
    pager.follow([incident("metz/body/line1/cam1")])
    until(lambda: len(manager.alerts()) == 2)  # the first stays: another process speaks for it now
    pager.tell([incident("metz/body/line1/cam1", status="ended")])
    until(lambda: [known["site"] for known in labels(manager)] == ["ulm"])


def test_the_stations_of_one_line_are_one_notification(manager: Alertmanager, pager: Pager) -> None:
    manager.start()
    stations = [f"ulm/body/line1/cam{number}" for number in range(8)]
    for number, station in enumerate(stations[:5], 1):
        pager.tell([incident(station)])
        _until_there_are(manager, number)
    line = incident("ulm/body/line1", stations=tuple(stations))
    parts = [incident(station, merged_into=line.incident_id) for station in stations[:5]]
    pager.tell([line, *parts])
    until(lambda: manager.pages)
    (page,) = manager.pages
    firing = [alert["labels"]["station"] for alert in page["alerts"] if alert["status"] == "firing"]
    assert firing == ["ulm/body/line1"]
    assert page["groupLabels"] == {"site": "ulm", "line": "ulm/body/line1"}


def _until_there_are(manager: Alertmanager, alerts: int) -> None:
    until(lambda: len(manager.alerts()) == alerts)

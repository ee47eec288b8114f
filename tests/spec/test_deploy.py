"""What is shipped in deploy/ is what the code means."""

from pathlib import Path

import yaml

from benchmarks.subjects.pages import GROUP_INTERVAL_S, GROUP_WAIT_S
from sincewhen.cli.settings import AlertmanagerSettings, Settings, StoreSettings, load_settings
from sincewhen_schemas.kafka import KafkaSettings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def test_the_bench_counts_pages_as_the_shipped_routes_make_them() -> None:
    route = yaml.safe_load((DEPLOY / "alertmanager/alertmanager.yml").read_text())["route"]
    assert route["group_by"] == ["site", "line"]
    assert (route["group_wait"], route["group_interval"]) == (f"{GROUP_WAIT_S}s", f"{GROUP_INTERVAL_S // 60}m")


def test_the_example_of_all_processes_has_every_field_and_its_default() -> None:
    text = (DEPLOY / "sincewhen.example.toml").read_text()
    found, _ = load_settings(DEPLOY / "sincewhen.example.toml", {})
    assert found == Settings(kafka=KafkaSettings(servers="127.0.0.1:9092", security="plaintext"))
    for of in (Settings, StoreSettings, AlertmanagerSettings):
        for name in set(of.__struct_fields__) - {"kafka", "store", "alertmanager", "password"}:
            assert f"\n{name} = " in text

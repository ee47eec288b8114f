"""edge.toml: what it says is what the agent is told; every mistake is refused with its own message."""

from pathlib import Path

import pytest

from sincewhen_edge.publish import way_of
from sincewhen_edge.settings import Settings, SettingsError, load_settings
from sincewhen_schemas.kafka import KafkaSettings

EXAMPLE = Path(__file__).resolve().parents[2] / "edge_agent/examples/edge.toml"
FIXTURES = Path(__file__).parent / "edge_fixtures"

MISTAKES = {
    "class_is_named_twice": "model.classes are different names",
    "close_time_is_negative": "limits.close_s is 0 or more",
    "core_share_is_above_one": "limits.factors_core_share is 0..1; got 10.0",
    "detection_score_is_above_one": "model.detection_score_min is 0..1; got 2.0",
    "field_has_the_wrong_type": "Expected `bool`, got `str`",
    "field_is_unknown": "unknown field `staton`",
    "file_is_not_toml": "is not TOML",
    "image_std_is_zero": "image_std above 0",
    "mode_is_unknown": "'on'",
    "kafka_and_server_are_both_named": "frames go one way, to a server or to [kafka]; got both, and http://srv:8099",
    "kafka_user_has_no_password": "kafka.user goes with a password; got 'line1' without one",
    "model_version_is_too_long": "at most 512 characters of Unicode",
    "output_kind_is_unknown": "'boxes'",
    "purpose_is_unknown": "'testing'",
    "queue_holds_nothing": "limits.queue_frames is at least 1",
    "rate_is_zero": "limits.send_bytes_per_s is above 0; got 0.0",
    "server_is_no_address": "write http://HOST:8099",
    "server_port_is_too_high": "write http://HOST:8099",
    "spool_is_too_small": "spool.bytes_max is at least 4194304, one record; got 1000",
    "station_id_has_a_control_character": "site/area/line/station without spaces; got 'p/a/l/s\\x07'",
    "station_id_is_malformed": "site/area/line/station without spaces; got 'p/a/s'",
    "station_id_is_missing": "missing required field `station_id`",
    "station_id_is_too_long": "at most 200 characters; got 206: shorten it",
    "token_file_is_missing": "the server's administrator has it",
    "token_stands_in_the_file": "set SINCEWHEN_TOKEN",
    "view_has_a_control_character": "view has 1..128 characters, none of control; got 'top\\n'",
    "view_has_no_name": "view has 1..128 characters",
}


def test_every_mistake_has_a_fixture_and_every_fixture_its_message() -> None:
    assert sorted(MISTAKES) == sorted(path.stem for path in FIXTURES.iterdir())


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_with_the_file_the_rule_and_the_value(mistake: str) -> None:
    path = FIXTURES / f"{mistake}.toml"
    with pytest.raises(SettingsError) as refusal:
        load_settings(path, {})
    assert str(path) in str(refusal.value)
    assert MISTAKES[mistake] in str(refusal.value)


def test_the_example_shows_every_field_with_its_default_unless_it_says_otherwise() -> None:
    shown = load_settings(EXAMPLE, {})
    plain = Settings(station_id=shown.station_id)
    for table in (shown, shown.model, shown.spool, shown.limits):
        for field in table.__struct_fields__:
            if field not in {"token", "model", "spool", "limits", "kafka"}:
                assert f"{field} = " in EXAMPLE.read_text(), f"{field} is not in the example"
    for field in KafkaSettings.__struct_fields__:
        assert field == "password" or f"# {field} = " in EXAMPLE.read_text()
    assert (shown.spool, shown.limits) == (plain.spool, plain.limits)
    assert (shown.server, shown.view, shown.mode, shown.purpose, shown.operator) == (
        plain.server,
        plain.view,
        plain.mode,
        plain.purpose,
        plain.operator,
    )


def test_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    path = tmp_path / "edge.toml"
    path.write_text(f'station_id = "p/a/l/s"\ntoken_file = "{tmp_path / "token"}"')
    assert load_settings(path, {}).token == "from-file"  # noqa: S105 - no secret
    told = load_settings(path, {"SINCEWHEN_SERVER": "https://srv:1/", "SINCEWHEN_TOKEN": "from-env"})
    assert (told.server, told.token) == ("https://srv:1", "from-env")
    assert load_settings(path, {"SINCEWHEN_SERVER": ""}).server == "http://127.0.0.1:8099"


@pytest.mark.parametrize("token", ["two\nlines", "caf\xe9"])
def test_a_token_that_no_header_can_hold_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(SettingsError, match="printable ASCII in one line") as refusal:
        load_settings(EXAMPLE, {"SINCEWHEN_TOKEN": token})
    assert token not in str(refusal.value)


def test_a_table_kafka_takes_the_place_of_the_server(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text('station_id = "p/a/l/s"\n[kafka]\nservers = "k:1"\nsecurity = "tls"\nuser = "u"')
    told = load_settings(path, {"SINCEWHEN_KAFKA_PASSWORD": "secret", "SINCEWHEN_KAFKA_SERVERS": "k:2"})
    assert told.kafka == KafkaSettings(servers="k:2", security="tls", user="u", password="secret")  # noqa: S106 - no secret
    with pytest.raises(SettingsError, match="got both, and http://srv:1"):
        load_settings(path, {"SINCEWHEN_SERVER": "http://srv:1", "SINCEWHEN_KAFKA_PASSWORD": "secret"})


def test_without_the_client_an_agent_for_kafka_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sincewhen_edge.publish.find_spec", lambda _: None)
    kafka = KafkaSettings(servers="k:1", security="plaintext")
    with pytest.raises(SettingsError, match=r"pip install 'sincewhen\[edge,kafka\]'"):
        way_of(Settings(station_id="p/a/l/s", kafka=kafka))

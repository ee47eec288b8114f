"""The [kafka] table: what it says is how a client connects; every mistake and every failure says what to do."""

import socket
import ssl
from pathlib import Path

import kafka.errors as errors  # noqa: PLR0402 - a name of its own beside the package's
import pytest

from sincewhen_schemas.kafka import KafkaSettings, KafkaSettingsError, loaded
from sincewhen_schemas.kafka_problem import not_allowed, not_served, problem_of

FIXTURES = Path(__file__).parent / "kafka_fixtures"
PASSWORD = {"SINCEWHEN_KAFKA_PASSWORD": "secret"}

MISTAKES = {
    "ca_file_is_missing": "kafka.ca_file no-such-ca.pem can't be read",
    "ca_file_is_no_pem": "kafka.ca_file is PEM with a CERTIFICATE; got a-note.txt, which has none",
    "ca_file_without_tls": "kafka.ca_file goes with security = 'tls'; got 'plaintext'",
    "certificate_without_key": "kafka.certificate_file and kafka.key_file go together; got certificate_file alone",
    "field_is_unknown": "unknown field `brokers`; schemas/README.md shows every field",
    "file_is_not_toml": "is not TOML",
    "password_file_is_missing": "kafka.password_file no-such-password can't be read",
    "password_file_without_user": "kafka.password_file goes with a user; got password without one",
    "password_stands_in_the_file": "set SINCEWHEN_KAFKA_PASSWORD, or name a kafka.password_file",
    "sasl_is_unknown": "Invalid enum value 'PLAIN'",
    "security_is_missing": "missing required field `security`",
    "security_is_unknown": "Invalid enum value 'ssl'",
    "server_has_no_port": "kafka.servers is HOST:PORT, or several with commas between; got 'kafka2'",
    "server_is_an_address_of_http": "got 'https://kafka1:9093'",
    "server_port_is_too_high": "got 'kafka1:99999'",
    "table_is_missing": "there is no [kafka] table: write servers and security in one",
    "user_has_no_password": "kafka.user goes with a password; got 'line1' without one",
}


def written(path: str) -> str:
    """Of the folder of the fixtures; what is called missing is."""
    if "no-such" in path:
        raise FileNotFoundError(path)
    files = {"ca.pem": "-----BEGIN CERTIFICATE-----", "client.pem": "-----BEGIN CERTIFICATE-----", "a-note.txt": ""}
    return files[path] if path in files else Path(path).read_text(encoding="utf-8")


def test_every_mistake_has_a_fixture_and_every_fixture_its_message() -> None:
    assert sorted(MISTAKES) == sorted(path.stem for path in FIXTURES.iterdir())


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_with_the_file_the_rule_and_the_value(mistake: str) -> None:
    path = FIXTURES / f"{mistake}.toml"
    with pytest.raises(KafkaSettingsError) as refusal:
        loaded(str(path), {}, written)
    assert str(path) in str(refusal.value)
    assert MISTAKES[mistake] in str(refusal.value)


def test_what_is_written_is_what_a_client_is_given(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    (tmp_path / "password").write_text("from-file\n")
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----")
    path.write_text(
        '[other]\nx = 1\n[kafka]\nservers = "a:1, [::1]:2"\nsecurity = "tls"\nuser = "u"\n'
        f'password_file = "{tmp_path}/password"\nca_file = "{tmp_path}/ca.pem"\n'
    )
    expected = {
        "bootstrap_servers": ["a:1", "[::1]:2"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "u",
        "sasl_plain_password": "from-file",
        "ssl_cafile": f"{tmp_path}/ca.pem",
    }
    assert loaded(str(path), {}, written).client_options() == expected
    told = loaded(str(path), {**PASSWORD, "SINCEWHEN_KAFKA_SERVERS": "b:3"}, written)
    assert (told.servers, told.password) == ("b:3", "secret")


@pytest.mark.parametrize(
    ("security", "user", "protocol"),
    [
        ("plaintext", "", "PLAINTEXT"),
        ("plaintext", "u", "SASL_PLAINTEXT"),
        ("tls", "", "SSL"),
        ("tls", "u", "SASL_SSL"),
    ],
)
def test_security_and_user_are_kafkas_security_protocol(security: str, user: str, protocol: str) -> None:
    kafka = KafkaSettings(servers="a:1", security="tls" if security == "tls" else "plaintext", user=user)
    assert kafka.completed(PASSWORD if user else {}, written).client_options()["security_protocol"] == protocol


def certificate(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_code, error.verify_message = code, "said by openssl"
    return error


@pytest.mark.parametrize(
    ("error", "way_out"),
    [
        (errors.SaslAuthenticationFailedError(), "does not let kafka.user 'line1' in with SCRAM-SHA-512: correct user"),
        (errors.UnsupportedSaslMechanismError(), "takes no SCRAM-SHA-512: set kafka.sasl"),
        (
            errors.TopicAuthorizationFailedError("frames"),
            "may not Write topic frames: sincewhen topics apply --agent line1",
        ),
        (errors.TopicAuthorizationFailedError({"scores", "findings"}), "may not Write topic findings, scores: "),
        (errors.GroupAuthorizationFailedError("sincewhen-writer"), "may not Read its consumer group: sincewhen topics"),
        (errors.ClusterAuthorizationFailedError(), "User:line1 may not manage the cluster"),
        (errors.UnknownTopicOrPartitionError(), "no topic frames: make it with sincewhen topics apply"),
        (errors.NotEnoughReplicasError(), "min.insync.replicas"),
        (errors.MessageSizeTooLargeError(), "too large for topic frames"),
        (errors.KafkaTimeoutError(), "no answer in time from kafka1:9093"),
        (certificate(10), "certificate of kafka1:9093 has expired: renew it"),
        (certificate(9), "is not valid yet: check this machine's clock"),
        (certificate(62), "is not for a name in kafka.servers; got kafka1:9093"),
        (certificate(64), "is not for a name in kafka.servers"),
        (certificate(20), "name that one's file in kafka.ca_file; got none"),
        (certificate(99), "is not accepted: said by openssl"),
        (ssl.SSLError("wrong version"), 'write security = "plaintext"'),
        (ConnectionRefusedError(), "nothing listens at kafka1:9093: is the broker up"),
        (socket.gaierror(), "a name in kafka.servers is not known here"),
        (TimeoutError(), "does a firewall let this machine through"),
        (errors.CorruptRecordError("x"), "Kafka at kafka1:9093: CorruptRecordError"),
    ],
)
def test_a_failure_says_what_to_do(error: BaseException, way_out: str) -> None:
    kafka = KafkaSettings(servers="kafka1:9093", security="tls", user="line1")
    assert way_out in problem_of(error, kafka, "frames")


def test_who_comes_in_without_a_user_is_told_to_name_one() -> None:
    kafka = KafkaSettings(servers="a:1", security="plaintext")
    assert "no kafka.user is set) may not Read topic x: set kafka.user and a password" in not_allowed(
        kafka, "Read topic x"
    )


def test_a_broker_that_serves_not_says_what_is_probably_missing() -> None:
    assert "set kafka.user" in not_served(KafkaSettings(servers="a:1", security="tls"))
    assert "is this a plaintext port" in not_served(KafkaSettings(servers="a:1", security="plaintext"))
    assert "'u' in with" in not_served(KafkaSettings(servers="a:1", security="plaintext", user="u"))

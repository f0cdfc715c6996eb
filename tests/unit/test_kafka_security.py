"""Who a process is to Kafka: settings, and the rules that the topics' registry means."""

import os
from pathlib import Path

import pytest

from contracts.events.topics import ALL
from deploy.ops import acls
from deploy.ops.acls import Acl, Operation, Pattern, Resource
from services.chassis.kafka.adapter.subscriber import security_of
from services.chassis.settings import OPEN, KafkaSettings, load


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.startswith("KAFKA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    return monkeypatch


def test_by_default_there_is_no_login(environment: pytest.MonkeyPatch) -> None:
    security = load(KafkaSettings).kafka_security
    assert security == OPEN
    assert security.options() == {"security_protocol": "PLAINTEXT"}
    assert security_of(security) is None


def test_a_password_comes_from_a_file_and_is_never_shown(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("canary\n")
    environment.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    environment.setenv("KAFKA_SASL_USERNAME", "invoice")
    environment.setenv("KAFKA_SASL_PASSWORD_FILE", str(tmp_path / "password"))

    settings = load(KafkaSettings)
    options = settings.kafka_security.options()
    assert (options["sasl_plain_password"], options["sasl_mechanism"]) == ("canary", "SCRAM-SHA-512")
    assert options["ssl_context"].check_hostname
    assert "canary" not in repr(settings) + repr(settings.kafka_security)
    faststream = security_of(settings.kafka_security)
    assert faststream is not None and faststream.use_ssl


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL", "KAFKA_SASL_PASSWORD"),
        ("KAFKA_SECURITY_PROTOCOL", "canary", "KAFKA_SECURITY_PROTOCOL"),
        ("KAFKA_SASL_MECHANISM", "canary", "KAFKA_SASL_MECHANISM"),
        ("KAFKA_SSL_CAFILE", "/canary", "KAFKA_SSL_CAFILE"),
    ],
)
def test_what_is_wrong_is_said_without_the_value(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str, expected: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(SystemExit):
        load(KafkaSettings)
    message = capsys.readouterr().err
    assert expected in message and "canary" not in message


def test_the_rules_are_those_of_the_registry() -> None:
    rules = acls.wanted()
    assert Acl("payment", Operation.WRITE, Resource.TOPIC, "stripe.event") in rules
    assert Acl("payment", Operation.READ, Resource.GROUP, "payment", Pattern.PREFIXED) in rules
    assert {
        rule.name for rule in rules if rule.user == "gateway" and rule.operation == Operation.WRITE
    } == set()
    for topic in ALL:
        may_write = {
            rule.user for rule in rules if rule.name == topic.name and rule.operation == Operation.WRITE
        }
        assert may_write == {topic.writer, "relay"}

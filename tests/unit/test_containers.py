"""What the container files promise, read without an engine."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from deploy.images import secrets
from deploy.local.kafka import SETTINGS
from deploy.local.kafka_users import secured
from deploy.ops import acls

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
STRIPE = (ROOT / "deploy/images/stripe.yml").read_text()
SECURE = (ROOT / "deploy/images/secure.yml").read_text()


def test_every_default_that_everybody_knows_has_a_secret_made_for_it() -> None:
    known = set(re.findall(r"\$\{(\w+):-[^}]*demo[-_]", COMPOSE + STRIPE))
    made = {line.partition("=")[0]: line.partition("=")[2].strip("'\n") for line in secrets.lines()}

    assert {"POSTGRES_PASSWORD", "OPERATOR_API_KEY", "INTERNAL_TOKEN_PRIVATE_KEY"} <= known
    assert known - made.keys() == set()
    assert made["CLINICPAY_DEMO"] == "0"
    assert not [name for name, value in made.items() if "demo" in value or "'" in value]


def test_the_demo_token_keys_are_a_pair() -> None:
    keys = [json.loads(found) for found in re.findall(r"TOKEN_\w+_KEY:-(\{[^}]+\})", COMPOSE)]

    assert [sorted(key) for key in keys] == [["crv", "kid", "kty", "x"], ["crv", "d", "kid", "kty", "x"]]
    assert keys[0] == {name: value for name, value in keys[1].items() if name != "d"}


def test_the_broker_in_a_container_is_set_up_as_the_embedded_one() -> None:
    lines = (ROOT / "deploy/images/kafka/server.properties").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    assert {name: SETTINGS[name] for name in settings if name in SETTINGS} == {
        name: value for name, value in settings.items() if name in SETTINGS
    }
    assert settings["group.coordinator.append.linger.ms"] == "0"
    assert settings["auto.create.topics.enable"] == "false"


def test_each_container_that_reaches_kafka_has_a_user_of_its_own_there() -> None:
    services: dict[str, Any] = yaml.safe_load(SECURE)["services"]
    reach = {
        name
        for name, service in yaml.safe_load(COMPOSE)["services"].items()
        if "KAFKA_BOOTSTRAP_SERVERS" in service.get("environment", {})
    }
    users = {name: services[name]["environment"]["KAFKA_SASL_USERNAME"] for name in reach}

    assert users == {name: "admin" if name == "topics" else name.partition("-")[0] for name in reach}
    assert {*users.values(), acls.AUDITOR} == {*acls.users(), "admin"}
    made = {line.partition("=")[0] for line in secrets.lines()}
    assert set(re.findall(r"\$\{(\w+)", SECURE)) <= made


def test_the_secured_broker_in_a_container_is_set_up_as_the_embedded_one() -> None:
    script = (ROOT / "deploy/images/kafka/start-secure").read_text()
    lines = script.partition("<<EOS\n")[2].partition("\nEOS\n")[0].splitlines()

    assert dict(line.split("=", 1) for line in lines) == secured("$password")


def test_the_collector_keeps_errors_and_names_only_what_it_configures() -> None:
    config: dict[str, Any] = yaml.safe_load((ROOT / "deploy/observability/collector.yaml").read_text())

    for pipeline in config["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            assert set(names) <= config[kind].keys()
    policies = config["processors"]["tail_sampling"]["policies"]
    assert {"status_codes": ["ERROR"]} in [policy.get("status_code") for policy in policies]

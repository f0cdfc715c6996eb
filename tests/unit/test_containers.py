"""The container files' promises, checked without an engine."""

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.images import secrets
from deploy.local.kafka import SETTINGS
from deploy.local.kafka_users import secured
from deploy.ops import acls

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
COMPOSED: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
STAND_INS = ("deploy/local/", "deploy/sandbox/", "tests/")
STRIPE = (ROOT / "deploy/images/stripe.yml").read_text()
SECURE = (ROOT / "deploy/images/secure.yml").read_text()


def test_every_default_that_everybody_knows_has_a_secret_made_for_it() -> None:
    known = set(re.findall(r"\$\{(\w+):-[^}]*demo[-_]", COMPOSE + STRIPE))
    made = {line.partition("=")[0]: line.partition("=")[2].strip("'\n") for line in secrets.lines()}

    assert {"POSTGRES_PASSWORD", "OPERATOR_API_KEY", "INTERNAL_TOKEN_PRIVATE_KEY"} <= known
    assert known - made.keys() == set()
    assert made["CLINICPAY_DEMO"] == "0"
    assert not [name for name, value in made.items() if "demo" in value or "'" in value]


def test_no_key_that_everybody_knows_signs_or_reads_beside_the_real_stripe() -> None:
    """Compose refuses to start without them. The databases' passwords are of a network that is closed."""
    known = set(re.findall(r"\$\{(\w+(?:_KEY|_TOKEN)):-[^}]*demo[-_]", COMPOSE))
    refused = set(re.findall(r"\$\{(\w+):\?", (ROOT / "deploy/images/stripe-real.yml").read_text()))

    assert {"METRICS_TOKEN", "INTERNAL_TOKEN_PRIVATE_KEY", "PAY_LINK_KEY"} <= known
    assert known - refused == {"OPERATOR_API_KEY"}  # the gateway itself refuses the demo's, see its settings


@pytest.mark.parametrize("tokens", ["INTERNAL_TOKEN", "DOCUMENT_TOKEN"])
def test_the_demo_token_keys_are_a_pair(tokens: str) -> None:
    found = re.findall(rf"\{{{tokens}_(\w+)_KEY:-(\{{[^}}]+\}})", COMPOSE)
    keys = {name: json.loads(key) for name, key in found}

    assert sorted(keys["PRIVATE"]) == ["crv", "d", "kid", "kty", "x"]
    assert keys["PUBLIC"] == {name: value for name, value in keys["PRIVATE"].items() if name != "d"}


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
        for name, service in COMPOSED.items()
        if "KAFKA_BOOTSTRAP_SERVERS" in service.get("environment", {})
    }
    users = {name: services[name]["environment"]["KAFKA_SASL_USERNAME"] for name in reach}

    users_of = {"topics": "admin", "console": acls.AUDITOR}
    assert users == {name: users_of.get(name, name.partition("-")[0]) for name in reach}
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


def test_the_production_image_holds_no_simulator() -> None:
    held = files_of("clinicpay")

    assert {
        "contracts/events/topics.py",
        "services/gateway/app.py",
        "deploy/cli.py",
        "deploy/images/healthy",
    } <= held
    assert not [file for file in held if file.startswith(STAND_INS)]
    assert {"deploy/sandbox/__main__.py", "deploy/local/mailbox/__main__.py"} <= files_of("clinicpay-local")


def test_nothing_in_an_image_imports_what_it_does_not_hold() -> None:
    for target in ("clinicpay", "clinicpay-local"):
        held = files_of(target)
        missing = {
            file: [name for name in imported(file) if not module_files(name) & held]
            for file in (file for file in held if file.endswith(".py"))
        }

        assert {file: names for file, names in missing.items() if names} == {}, target


def test_each_container_runs_what_its_image_holds_and_only_stand_ins_take_the_local_one() -> None:
    local = {name for name, service in COMPOSED.items() if "clinicpay-local:" in service["image"]}
    assert local == {"sandbox", "mailbox", "demo"}

    for name, service in COMPOSED.items():
        if "clinicpay" not in service["image"]:
            continue
        held = files_of("clinicpay-local" if name in local else "clinicpay")
        command: list[str] = service["command"]
        started = {command[0]} if command[0] != "python" else module_files(command[2])
        assert started & held, name
        test = service.get("healthcheck", {"test": ["CMD", "test"]})["test"][1]
        assert test == "test" or test in held, name


def test_a_build_that_names_no_target_is_the_production_image() -> None:
    assert list(stages())[-1] == ("clinicpay", None)


def stages() -> Iterator[tuple[str, str | None]]:
    """The base of each stage of the Dockerfile, and the stage's name."""
    for line in (ROOT / "deploy/images/Dockerfile").read_text().splitlines():
        if found := re.fullmatch(r"FROM (\S+)(?: AS (\S+))?", line):
            yield found[1], found[2]


@cache
def files_of(target: str) -> frozenset[str]:
    """The tracked files that COPY adds to a target, with the files of its base targets."""
    before = {name: begin for begin, name in stages() if name}[target]
    held = files_of(before) if not before.startswith("$") else frozenset[str]()
    text = (ROOT / "deploy/images/Dockerfile").read_text()
    stage = text.split(f" AS {target}\n")[1].split("\nFROM ")[0]
    sources = [
        source.rstrip("/")
        for words in re.findall(r"^COPY (?!--)(.+)$", stage, re.MULTILINE)
        for source in words.split()[:-1]
    ]
    copied = {
        file for file in tracked() for source in sources if file == source or file.startswith(f"{source}/")
    }
    return held | copied


@cache
def tracked() -> tuple[str, ...]:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    return tuple(subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split())


def imported(file: str) -> Iterator[str]:
    """Our own modules that a file imports, inside functions too."""
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (
            name for name in names if name.split(".")[0] in ("contracts", "services", "deploy", "tests")
        )


def module_files(name: str) -> set[str]:
    """The files of a dotted name: its own module or package, else the module that has it as a member."""
    path = name.replace(".", "/")
    own = {f"{path}.py", f"{path}/__init__.py"}
    outer = path.rpartition("/")[0]
    return own if own & set(tracked()) else {f"{outer}.py", f"{outer}/__init__.py"}

"""How `clinicpay verify` and its companions find the books, and what they say when they cannot."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.ops.ops_role import ops_dsns
from deploy.ops.stripe_setup.access import Given
from deploy.ops.verify.access import Access
from deploy.ops.verify.report import CannotCheck
from deploy.ops.workers import worker_dsns
from services.payment.stripe.seal import Seal

URLS = ",".join(
    f"{name}=postgresql://auditor@h/{name}" for name in ("invoice", "payment", "notification", "gateway")
)


def test_from_the_environment_and_from_files(tmp_path: Path) -> None:
    (tmp_path / "urls").write_text(f"{URLS}\n")
    (tmp_path / "key").write_text(f"{'k' * 32}, {'o' * 32}\n")
    environment = {
        "AUDITOR_DATABASE_URLS_FILE": str(tmp_path / "urls"),
        "STRIPE_SECRET_KEY": "sk_test_1",
        "INSTALLATION": "harbour",
        "METADATA_KEY_FILE": str(tmp_path / "key"),
    }

    access = Access.of_environment(environment)

    assert access.databases["payment"] == "postgresql://auditor@h/payment"
    assert (access.kafka, access.stripe_secret_key) == (None, "sk_test_1")
    assert access.stripe_api_base == "https://api.stripe.com"
    assert access.seal == Seal("harbour", (b"k" * 32, b"o" * 32))


def test_kafka_with_a_user_and_password(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {
        "AUDITOR_DATABASE_URLS": URLS,
        "KAFKA_BOOTSTRAP_SERVERS": "k:9092",
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_USERNAME": "auditor",
        "KAFKA_SASL_PASSWORD": "secret",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    access = Access.of_environment()

    assert access.kafka == "k:9092"
    assert access.kafka_security.options()["sasl_plain_username"] == "auditor"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "AUDITOR_DATABASE_URLS"),
        ({"AUDITOR_DATABASE_URLS": "invoice=postgresql://h/i"}, "gateway, notification"),
        ({"AUDITOR_DATABASE_URLS": URLS, "STRIPE_SECRET_KEY": "sk_test_1"}, "INSTALLATION and METADATA_KEY"),
        (
            {"AUDITOR_DATABASE_URLS": URLS, "STRIPE_SECRET_KEY": "sk_test_1", "INSTALLATION": "harbour"},
            "INSTALLATION and METADATA_KEY",
        ),
    ],
)
def test_what_is_not_given_is_named(environment: dict[str, str], words: str) -> None:
    with pytest.raises(CannotCheck, match=words):
        Access.of_environment(environment)


def test_a_directory_that_nothing_runs_on(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text(
        json.dumps({"role_passwords": {"auditor": "x"}, "sandbox_secret_key": ""})
    )
    (tmp_path / "addresses.json").write_text(json.dumps({"sandbox": "http://127.0.0.1:1"}))

    with pytest.raises(CannotCheck, match="no `clinicpay up` is running"):
        Access.of_data(tmp_path)


@pytest.mark.parametrize(
    ("read", "role"), [(Access.of_data, "auditor"), (Given.of_data, "auditor"), (ops_dsns, "ops")]
)
def test_a_directory_from_before_there_was_a_role(
    read: Callable[[Path], object], role: str, tmp_path: Path
) -> None:
    (tmp_path / "secrets.json").write_text(json.dumps({"role_passwords": {}, "sandbox_secret_key": ""}))
    (tmp_path / "addresses.json").write_text('{"sandbox": ""}')

    with pytest.raises(CannotCheck) as refused:
        read(tmp_path)

    assert str(refused.value) == f"{tmp_path} has no role {role} yet: restart `clinicpay up` on it"


def test_workers_need_their_urls() -> None:
    with pytest.raises(CannotCheck, match="WORKER_DATABASE_URLS"):
        worker_dsns(None, {})
    assert worker_dsns(None, {"WORKER_DATABASE_URLS": "invoice=postgresql://w@h/i"}) == {
        "invoice": "postgresql://w@h/i"
    }

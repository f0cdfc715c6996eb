"""docs/operations.md says of each secret how it is replaced, and of each test that shows it where it is."""

import re
from pathlib import Path
from types import UnionType
from typing import Any, get_args

import pytest
from pydantic import SecretStr

from deploy.images import secrets
from deploy.ops import acls, database
from deploy.ops.console.settings import Settings as Console
from services.chassis.outbox.sources import Settings as Outbox
from services.gateway.settings import Settings as Gateway
from services.invoice.settings import Settings as Invoice
from services.notification.settings import Settings as Notification
from services.payment.settings import Settings as Payment

ROOT = Path(__file__).resolve().parents[2]
URLS_WITH_PASSWORDS = {
    "database_url",
    "database_url_next",
    "relay_database_urls",
    "relay_database_urls_next",
    "smtp_url",
}
TABLE = (ROOT / "docs/operations.md").read_text().partition("| secret | who has it |")[2].partition("\n\n")[0]
NAMED = set(re.findall(r"`([A-Z_<>]+)`", TABLE))
FORMS = {
    **{f"{user.upper()}_KAFKA_PASSWORD": "<USER>_KAFKA_PASSWORD" for user in acls.users()},
    **{
        f"{role.upper()}_PASSWORD": f"<SERVICE>_{role.rpartition('_')[2].upper()}_PASSWORD"
        for role in database.all_roles()
    },
}
"""How the table writes the secrets that each user of Kafka, and each role, has."""
NO_SECRETS = {"INSTALLATION", "CLINICPAY_DEMO"}


def is_secret(annotation: Any) -> bool:
    if isinstance(annotation, UnionType) or get_args(annotation):
        return any(is_secret(each) for each in get_args(annotation))
    return isinstance(annotation, type) and issubclass(annotation, SecretStr)


def of_settings() -> set[str]:
    fields = {
        name: field
        for settings in (Invoice, Payment, Notification, Gateway, Outbox, Console)
        for name, field in settings.model_fields.items()
    }
    return {
        name.upper()
        for name, field in fields.items()
        if is_secret(field.annotation) or name in URLS_WITH_PASSWORDS
    }


def of_containers() -> set[str]:
    made = {line.partition("=")[0] for line in secrets.lines()} - NO_SECRETS
    return {name for name in made if not name.endswith("_PUBLIC_KEY") and not name.startswith("SANDBOX_")}


@pytest.mark.parametrize("name", sorted(of_settings() | of_containers()))
def test_the_table_says_how_it_is_replaced(name: str) -> None:
    assert FORMS.get(name, name) in NAMED


def test_settings_with_secrets_are_found() -> None:
    """One of each kind: plain, optional, a list of keys, a mapping of addresses."""
    wanted = {"STRIPE_SECRET_KEY", "METRICS_TOKEN", "LOGIN_KEY", "OPS_DATABASE_URLS"}
    assert wanted <= of_settings()
    assert "STRIPE_PUBLISHABLE_KEY" not in of_settings()


@pytest.mark.parametrize(
    "row", [line for line in TABLE.splitlines() if "tests/" in line], ids=lambda row: row[:40]
)
def test_the_tests_that_it_names_exist(row: str) -> None:
    [file] = re.findall(r"`(tests/[a-z_/]+\.py)`", row)
    held = (ROOT / file).read_text()
    names = re.findall(r"`(test_\w+)`", row)
    assert names
    assert [name for name in names if f"def {name}(" not in held] == []


@pytest.mark.parametrize(
    "row", [line for line in TABLE.splitlines() if "**" in line], ids=lambda row: row[:40]
)
def test_what_is_replaced_under_traffic_is_so_in_its_test(row: str) -> None:
    source = (ROOT / "tests/service/test_rotation.py").read_text()
    [first, *_] = re.findall(r"`(test_\w+)`", row)
    body = source.partition(f"def {first}(")[2].partition("\n\n\n")[0]
    assert "Traffic(" in body and "== {200}" in body

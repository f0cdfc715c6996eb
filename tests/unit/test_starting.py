"""A process says at its start which release it is, and its settings without any secret."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

import services.gateway.settings
import services.invoice.settings
import services.notification.settings
import services.payment.settings
from services.chassis.outbox import sources
from services.chassis.settings import ProcessSettings, shown
from services.chassis.version import VERSION

SECRET = "s3cretsecretsecretsecretsecretsecret"  # pragma: allowlist secret
KEY = (
    '{"kty":"OKP","crv":"Ed25519","kid":"x","x":"JBp5fH7U_EVQMjEMRaVfLaH88jGwH_zkBVrpi5PUN7s",'
    '"d":"Q8OdVVl0vlvHixBT8HijcMAY-G7cHc2QeoTA4rME4sE"}'  # pragma: allowlist secret
)
URL = f"postgresql://invoice_api:{SECRET}@db.example:5432/clinicpay?password={SECRET}"
GIVEN: dict[str, Any] = {
    "http_port": 8000,
    "kafka_bootstrap_servers": "kafka:9092",
    "kafka_security_protocol": "SASL_SSL",
    "kafka_sasl_username": "invoice",
    "kafka_sasl_password": SECRET,
    "metrics_token": SECRET,
    "otel_exporter_otlp_endpoint": f"http://user:{SECRET}@collector:4318",
    "database_url": URL,
    "database_url_next": URL,
    "internal_token_public_key": "{}",
    "internal_token_private_key": KEY,
    "document_token_private_key": KEY,
    "relay_database_urls": f"invoice={URL},payment={URL}",
    "invoice_url": f"http://u:{SECRET}@invoice/",
    "payment_url": "http://payment/",
    "notification_url": "http://notification/",
    "public_url": "https://pay.example/",
    "portal_url": "https://pay.example",
    "stripe_publishable_key": "pk_test_1",
    "stripe_secret_key": f"sk_test_{SECRET}",
    "stripe_webhook_secret": f"whsec_{SECRET}",
    "bootstrap_operator_key": SECRET,
    "login_key": SECRET,
    "pay_link_key": SECRET,
    "metadata_key": SECRET,
    "installation": "one",
    "smtp_url": f"smtp://user:{SECRET}@mail.example:587",
    "mail_from": "billing@example.com",
}
KINDS = [
    services.invoice.settings.Settings,
    services.payment.settings.Settings,
    services.notification.settings.Settings,
    services.gateway.settings.Settings,
    sources.Settings,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.__module__))
def test_no_secret_is_shown(kind: type[ProcessSettings]) -> None:
    told = shown(kind(**GIVEN))

    assert SECRET not in str(told)
    assert KEY not in str(told)
    assert told.keys() == kind.model_fields.keys()
    assert told["metrics_token"] == "set"


def test_what_is_no_secret_is_shown() -> None:
    told = shown(services.payment.settings.Settings(**GIVEN))

    assert told["database_url"] == "postgresql://db.example:5432/clinicpay"
    assert (told["http_port"], told["kafka_bootstrap_servers"]) == (8000, "kafka:9092")


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION

"""Where an installation's books are, and how to read them."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from deploy.ops import database
from deploy.ops.data_directory import DataDirectory
from deploy.ops.verify.report import CannotCheck
from services.chassis.settings import OPEN, KafkaSecurity, KafkaSettings, load
from services.payment.stripe.seal import Seal

SEAL_SETTINGS = ("INSTALLATION", "METADATA_KEY")


@dataclass(frozen=True, slots=True)
class Access:
    """How to read an installation.

    databases           DSN by service name, as the auditor: all of `deploy.ops.database.SERVICES`
    kafka               bootstrap servers; None: consumers and topics are not looked at
    stripe_secret_key   None: Stripe's books are not looked at
    seal                tells our charges and refunds at Stripe from others; needed with `stripe_secret_key`
    """

    databases: Mapping[str, str]
    kafka: str | None = None
    stripe_secret_key: str | None = None
    stripe_api_base: str = "https://api.stripe.com"
    kafka_security: KafkaSecurity = OPEN
    seal: Seal | None = None

    @classmethod
    def of_data(cls, data: Path, environment: Mapping[str, str] = os.environ) -> Self:
        """Of a `clinicpay up` that is running on this data directory. CannotCheck if none is."""
        directory = DataDirectory(data.absolute())
        secrets, addresses = directory.secrets(), directory.addresses()
        password = directory.password(database.AUDITOR)
        if password is None:
            raise CannotCheck(f"{directory.path} has no auditor yet: restart `clinicpay up` on it")
        own_key = environment.get("STRIPE_SECRET_KEY")
        return cls(
            databases=database.auditor_dsns(directory.postgres_server(), password),
            kafka=directory.kafka_servers(),
            stripe_secret_key=own_key or secrets["sandbox_secret_key"],
            stripe_api_base=_stripe_base(environment, addresses),
            seal=_seal(_first(environment, secrets, name) for name in SEAL_SETTINGS),
        )

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """From AUDITOR_DATABASE_URLS, KAFKA_BOOTSTRAP_SERVERS and STRIPE_SECRET_KEY, or their …_FILE.

        With STRIPE_SECRET_KEY, INSTALLATION and METADATA_KEY as the payment service has them.
        """
        urls = _given(environment, "AUDITOR_DATABASE_URLS")
        if urls is None:
            raise CannotCheck(
                "neither --data nor AUDITOR_DATABASE_URLS (invoice=postgresql://…,payment=…) given"
            )
        pairs = (entry.strip().partition("=") for entry in urls.split(",") if entry.strip())
        databases = {name: url for name, _, url in pairs}
        if missing := set(database.SERVICES) - databases.keys():
            raise CannotCheck(f"AUDITOR_DATABASE_URLS lacks {', '.join(sorted(missing))}")
        stripe_secret_key = _given(environment, "STRIPE_SECRET_KEY")
        return cls(
            databases=databases,
            kafka=_given(environment, "KAFKA_BOOTSTRAP_SERVERS"),
            stripe_secret_key=stripe_secret_key,
            seal=_seal(_given(environment, name) for name in SEAL_SETTINGS) if stripe_secret_key else None,
            stripe_api_base=environment.get("STRIPE_API_BASE") or "https://api.stripe.com",
            kafka_security=_security(environment),
        )


def _first(environment: Mapping[str, str], secrets: Mapping[str, Any], name: str) -> str | None:
    """As `clinicpay up` takes it: from the environment, else its own."""
    return environment.get(name) or secrets.get(name.lower())


def _seal(settings: Iterable[str | None]) -> Seal:
    installation, metadata_key = settings
    if not installation or not metadata_key:
        raise CannotCheck(
            f"with STRIPE_SECRET_KEY, {' and '.join(SEAL_SETTINGS)} must be given, as payment has them: they tell our "
            "charges at Stripe from those of others"
        )
    return Seal.of(installation, metadata_key)


def _stripe_base(environment: Mapping[str, str], addresses: Mapping[str, str]) -> str:
    if environment.get("STRIPE_SECRET_KEY"):
        return environment.get("STRIPE_API_BASE") or "https://api.stripe.com"
    return addresses["sandbox"]


def _security(environment: Mapping[str, str]) -> KafkaSecurity:
    """From KAFKA_SECURITY_PROTOCOL and its companions, as services take them."""
    if _given(environment, "KAFKA_BOOTSTRAP_SERVERS") is None:
        return OPEN
    return load(KafkaSettings).kafka_security


def _given(environment: Mapping[str, str], name: str) -> str | None:
    if path := environment.get(f"{name}_FILE"):
        return Path(path).read_text().strip()
    return environment.get(name) or None

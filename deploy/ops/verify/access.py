"""Where an installation's books are, and how to read them."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from deploy.ops import database, variables
from deploy.ops.data_directory import STRIPE_ITSELF, DataDirectory
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
    stripe_api_base: str = STRIPE_ITSELF
    kafka_security: KafkaSecurity = OPEN
    seal: Seal | None = None

    @classmethod
    def of(cls, data: Path | None) -> Self:
        """Of `--data`, if it is given, else from the environment. CannotCheck where that lacks something."""
        return cls.of_data(data) if data else cls.of_environment()

    @classmethod
    def of_data(cls, data: Path, environment: Mapping[str, str] = os.environ) -> Self:
        """Of a `clinicpay up` that is running on this data directory. CannotCheck if none is."""
        directory = DataDirectory(data.absolute())
        secrets = directory.secrets()
        key, api_base = directory.stripe(environment)
        return cls(
            databases=directory.reader_dsns(database.AUDITOR),
            kafka=directory.kafka_servers(),
            stripe_secret_key=key,
            stripe_api_base=api_base,
            seal=_seal(_first(environment, secrets, name) for name in SEAL_SETTINGS),
        )

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """From AUDITOR_DATABASE_URLS, KAFKA_BOOTSTRAP_SERVERS and STRIPE_SECRET_KEY, or their …_FILE.

        With STRIPE_SECRET_KEY, INSTALLATION and METADATA_KEY as the payment service has them.
        """
        urls = variables.read("AUDITOR_DATABASE_URLS", environment)
        if urls is None:
            raise CannotCheck(
                "neither --data nor AUDITOR_DATABASE_URLS (invoice=postgresql://…,payment=…) given"
            )
        databases = variables.dsns(urls)
        if missing := set(database.SERVICES) - databases.keys():
            raise CannotCheck(f"AUDITOR_DATABASE_URLS lacks {', '.join(sorted(missing))}")
        stripe_secret_key = variables.read("STRIPE_SECRET_KEY", environment)
        return cls(
            databases=databases,
            kafka=variables.read("KAFKA_BOOTSTRAP_SERVERS", environment),
            stripe_secret_key=stripe_secret_key,
            seal=_seal(variables.read(name, environment) for name in SEAL_SETTINGS)
            if stripe_secret_key
            else None,
            stripe_api_base=environment.get("STRIPE_API_BASE") or STRIPE_ITSELF,
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


def _security(environment: Mapping[str, str]) -> KafkaSecurity:
    """From KAFKA_SECURITY_PROTOCOL and its companions, as services take them."""
    if variables.read("KAFKA_BOOTSTRAP_SERVERS", environment) is None:
        return OPEN
    return load(KafkaSettings).kafka_security

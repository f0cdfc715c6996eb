"""The settings to check, from the environment or of a running `clinicpay up`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from deploy.ops import database, variables
from deploy.ops.data_directory import STRIPE_ITSELF, DataDirectory
from services.payment.stripe.webhooks import PATH


@dataclass(frozen=True, slots=True)
class Given:
    """As the services have them; empty or None where they are not set. `database` is payment's, as the auditor.

    `shares_secret`: one secret signs for all endpoints, as the sandbox does it.
    """

    secret_key: str
    publishable_key: str
    webhook_secrets: tuple[str, ...]
    public_url: str
    api_base: str = STRIPE_ITSELF
    database: str | None = None
    shares_secret: bool = False

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """STRIPE_SECRET_KEY, STRIPE_PUBLISHABLE_KEY, STRIPE_WEBHOOK_SECRET, PUBLIC_URL; AUDITOR_DATABASE_URLS."""
        databases = variables.dsns(variables.read("AUDITOR_DATABASE_URLS", environment) or "")
        public_url = variables.read("PUBLIC_URL", environment) or ""
        return cls._of(environment, public_url, databases.get("payment"))

    @classmethod
    def of_data(cls, data: Path, environment: Mapping[str, str] = os.environ) -> Self:
        """CannotCheck if no `clinicpay up` runs there. Stripe's keys are the environment's, else the sandbox's."""
        directory = DataDirectory(data.absolute())
        secrets = directory.secrets()
        dsn = directory.reader_dsns(database.AUDITOR)["payment"]
        public_url = environment.get("PUBLIC_URL") or directory.addresses()["portal"]
        if environment.get("STRIPE_SECRET_KEY"):
            return cls._of(environment, public_url, dsn)
        key, api_base = directory.stripe(environment)
        return cls(
            key,
            secrets["sandbox_publishable_key"],
            (secrets["webhook_secret"],),
            public_url,
            api_base,
            dsn,
            shares_secret=True,
        )

    @classmethod
    def _of(cls, environment: Mapping[str, str], public_url: str, dsn: str | None) -> Self:
        several = (variables.read("STRIPE_WEBHOOK_SECRET", environment) or "").split(",")
        return cls(
            variables.read("STRIPE_SECRET_KEY", environment) or "",
            variables.read("STRIPE_PUBLISHABLE_KEY", environment) or "",
            tuple(secret.strip() for secret in several if secret.strip()),
            public_url,
            environment.get("STRIPE_API_BASE") or STRIPE_ITSELF,
            dsn,
        )

    @property
    def live(self) -> bool:
        return "_live_" in self.secret_key[:8]

    @property
    def webhook_url(self) -> str:
        return self.public_url.rstrip("/") + PATH

    @property
    def domain(self) -> str:
        return urlsplit(self.public_url).hostname or ""

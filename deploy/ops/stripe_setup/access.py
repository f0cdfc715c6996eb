"""The settings to check, from the environment or of a running `clinicpay up`, and clients of Stripe's API."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import stripe
from stripe import StripeClient

from deploy.ops import database
from deploy.ops.data_directory import DataDirectory
from services.payment.stripe.api import API_VERSION
from services.payment.stripe.webhooks import PATH

TIMEOUT_SECONDS = 20
STRIPE_ITSELF = "https://api.stripe.com"


@dataclass(frozen=True, slots=True)
class Given:
    """As the services have them; empty or None where they are not set. `database` is payment's, as the auditor."""

    secret_key: str
    publishable_key: str
    webhook_secrets: tuple[str, ...]
    public_url: str
    api_base: str = STRIPE_ITSELF
    database: str | None = None

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """STRIPE_SECRET_KEY, STRIPE_PUBLISHABLE_KEY, STRIPE_WEBHOOK_SECRET, PUBLIC_URL; AUDITOR_DATABASE_URLS."""
        urls = (pair.partition("=") for pair in _read(environment, "AUDITOR_DATABASE_URLS").split(","))
        databases = {name.strip(): url for name, _, url in urls}
        return cls._of(environment, _read(environment, "PUBLIC_URL"), databases.get("payment"))

    @classmethod
    def of_data(cls, data: Path, environment: Mapping[str, str] = os.environ) -> Self:
        """CannotCheck if no `clinicpay up` runs there. Stripe's keys are the environment's, else the sandbox's."""
        directory = DataDirectory(data.absolute())
        secrets, addresses = directory.secrets(), directory.addresses()
        password = directory.password(database.AUDITOR) or ""
        dsn = database.auditor_dsns(directory.postgres_server(), password)["payment"]
        public_url = environment.get("PUBLIC_URL") or addresses["portal"]
        if environment.get("STRIPE_SECRET_KEY"):
            return cls._of(environment, public_url, dsn)
        return cls(
            secrets["sandbox_secret_key"],
            secrets["sandbox_publishable_key"],
            (secrets["webhook_secret"],),
            public_url,
            addresses["sandbox"],
            dsn,
        )

    @classmethod
    def _of(cls, environment: Mapping[str, str], public_url: str, dsn: str | None) -> Self:
        several = _read(environment, "STRIPE_WEBHOOK_SECRET").split(",")
        return cls(
            _read(environment, "STRIPE_SECRET_KEY"),
            _read(environment, "STRIPE_PUBLISHABLE_KEY"),
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


def _read(environment: Mapping[str, str], name: str) -> str:
    """A variable, or the content of the file that NAME_FILE names; empty if neither is there."""
    if path := environment.get(f"{name}_FILE"):
        return Path(path).read_text().strip()
    return environment.get(name, "").strip()


@asynccontextmanager
async def client_of(given: Given, key: str | None = None) -> AsyncIterator[StripeClient]:
    """A client of one key, the secret one if none is named."""
    http = stripe.HTTPXClient(timeout=TIMEOUT_SECONDS)
    try:
        yield StripeClient(
            key or given.secret_key,
            stripe_version=API_VERSION,
            base_addresses={"api": given.api_base.rstrip("/")},
            http_client=http,
            max_network_retries=2,
        )
    finally:
        await http.close_async()  # type: ignore[no-untyped-call]


def of_account(account: str | None) -> Any:
    """The options of a call for a connected account; None: the platform's own."""
    return {"stripe_account": account} if account else {}


def reason(error: stripe.StripeError) -> str:
    """Stripe's answer without its own text, which may quote a key."""
    code = getattr(error.error, "code", None)
    if not error.http_status:
        return "Stripe does not answer"
    return f"Stripe answers {error.http_status} {code or ''}".rstrip()

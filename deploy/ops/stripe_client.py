"""A client of Stripe's API for commands, and what an error of its says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import stripe
from stripe import StripeClient

from services.payment.stripe.api import API_VERSION

TIMEOUT_SECONDS = 20


@asynccontextmanager
async def opened(key: str, api_base: str) -> AsyncIterator[StripeClient]:
    http = stripe.HTTPXClient(timeout=TIMEOUT_SECONDS)
    try:
        yield StripeClient(
            key,
            stripe_version=API_VERSION,
            base_addresses={"api": api_base.rstrip("/")},
            http_client=http,
            max_network_retries=2,
        )
    finally:
        await http.close_async()  # type: ignore[no-untyped-call]


def of_account(account: str | None) -> Any:
    """The options of a call for a connected account; None or '': the platform's own."""
    return {"stripe_account": account} if account else {}


def name_of(account: str) -> str:
    """The account as a row of a report names it; '': the platform's own."""
    return account or "platform"


def reason(error: stripe.StripeError) -> str:
    """Stripe's answer without its own text, which may quote a key."""
    code = getattr(error.error, "code", None)
    if not error.http_status:
        return "Stripe does not answer"
    return f"Stripe answers {error.http_status} {code or ''}".rstrip()

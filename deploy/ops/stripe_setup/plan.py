"""The steps of `clinicpay stripe setup`: endpoints and domains that are missing or wrong. Twice does no harm."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import stripe
from stripe import StripeClient

from deploy.ops.stripe_client import of_account
from deploy.ops.stripe_setup import accounts, endpoints
from deploy.ops.stripe_setup.access import Given
from deploy.ops.stripe_setup.endpoints import EVENTS, KINDS, Endpoint, Kind
from services.payment.stripe.api import API_VERSION


@dataclass(frozen=True, slots=True)
class Step:
    """`do` answers with the secret of an endpoint that it made, else with None."""

    words: str
    do: Callable[[StripeClient], Awaitable[str | None]]


async def plan(given: Given, client: StripeClient) -> list[Step]:
    """The steps that are left; none if all is as it should be. Raises StripeError."""
    found = await endpoints.ours(given, client)
    steps = [step for kind in KINDS for step in _of_kind(given, kind, found)]
    return steps + await _domains(given, client)


def _of_kind(given: Given, kind: Kind, found: list[Endpoint]) -> list[Step]:
    here = next((each for each in found if each.kind == kind and each.version == API_VERSION), None)
    if here is None:
        words = f"make an endpoint of {kind} at {given.webhook_url}: {len(EVENTS)} event types, {API_VERSION}"
        return [Step(words, partial(_make, given.webhook_url, kind))]
    if here.events != frozenset(EVENTS) or not here.enabled:
        words = (
            f"change {here.about}: enabled, with exactly the {len(EVENTS)} event types that ClinicPay acts on"
        )
        return [Step(words, partial(_change, here.id))]
    return []


async def _make(url: str, kind: Kind, client: StripeClient) -> str | None:
    params: Any = {
        "url": url,
        "enabled_events": list(EVENTS),
        "api_version": API_VERSION,
        "connect": kind == "connected accounts",
        "description": f"ClinicPay, {kind}",
    }
    return (await client.v1.webhook_endpoints.create_async(params)).secret


async def _change(endpoint: str, client: StripeClient) -> None:
    params: Any = {"enabled_events": list(EVENTS), "disabled": False}
    await client.v1.webhook_endpoints.update_async(endpoint, params)


async def _domains(given: Given, client: StripeClient) -> list[Step]:
    if not accounts.can_be_registered(given.domain):
        return []
    try:
        used = await accounts.in_use(given)
    except accounts.NoDatabase:
        used = [None]
    return [step for account in used for step in await _domain(given, client, account)]


async def _domain(given: Given, client: StripeClient, account: str | None) -> list[Step]:
    try:
        found = await accounts.domains_of(client, account, given.domain)
    except stripe.PermissionError:
        return []
    name = f"{given.domain} on {account or accounts.PLATFORM}"
    if not found:
        return [Step(f"register the domain {name}", partial(_register, given.domain, account))]
    if not found[0].enabled:
        return [Step(f"switch the domain {name} on", partial(_switch_on, found[0].id, account))]
    return []


async def _register(domain: str, account: str | None, client: StripeClient) -> None:
    await client.v1.payment_method_domains.create_async({"domain_name": domain}, of_account(account))


async def _switch_on(domain: str, account: str | None, client: StripeClient) -> None:
    await client.v1.payment_method_domains.update_async(domain, {"enabled": True}, of_account(account))

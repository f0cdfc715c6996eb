"""The two webhook endpoints, the platform's and that of connected accounts: right as they are, or what to change."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import stripe
from stripe import StripeClient

from deploy.ops.stripe_client import reason
from deploy.ops.stripe_setup.access import Given
from deploy.ops.stripe_setup.findings import Finding, good, note, unknown, wrong
from deploy.ops.stripe_setup.keys import AGAIN
from services.payment.consumers import ACTED_ON
from services.payment.stripe.api import API_VERSION

Kind = Literal["platform", "connected accounts"]
KINDS: Sequence[Kind] = ("platform", "connected accounts")
SETUP = "Run `clinicpay stripe setup`."
EVENTS = tuple(sorted(ACTED_ON))
"""The event types that a room of the payment service applies, and no others."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    id: str
    kind: Kind
    events: frozenset[str]
    version: str | None
    enabled: bool
    live: bool

    @classmethod
    def of(cls, found: stripe.WebhookEndpoint) -> "Endpoint":
        """Only an endpoint of connected accounts names an application."""
        return cls(
            found.id,
            "connected accounts" if found.application else "platform",
            frozenset(found.enabled_events),
            found.api_version,
            found.status == "enabled",
            found.livemode,
        )

    @property
    def about(self) -> str:
        return f"{self.id}, {self.kind}"

    @property
    def missing(self) -> list[str]:
        return [] if "*" in self.events else sorted(ACTED_ON - self.events)

    @property
    def too_many(self) -> list[str]:
        return sorted(self.events - ACTED_ON)


async def ours(given: Given, client: StripeClient) -> list[Endpoint]:
    """The endpoints at this installation's address, those of our API version first."""
    page = await client.v1.webhook_endpoints.list_async({"limit": 100})
    found = [Endpoint.of(each) async for each in page.auto_paging_iter() if each.url == given.webhook_url]
    return sorted(found, key=lambda each: each.version != API_VERSION)


async def check(given: Given, client: StripeClient) -> list[Finding]:
    if not given.public_url:
        way = "Set it as the gateway has it."
        return [unknown("endpoints", "PUBLIC_URL", "PUBLIC_URL is not set: no endpoint can be told.", way)]
    try:
        found = await ours(given, client)
        unsent = (await client.v1.events.list_async({"delivery_success": False, "limit": 100})).data
    except stripe.StripeError as error:
        return [unknown("endpoints", given.webhook_url, f"{reason(error)}.", AGAIN)]
    return [*judged(given, found), *_undelivered(given, unsent)]


def judged(given: Given, found: Sequence[Endpoint]) -> list[Finding]:
    """The endpoints at our address, against what ClinicPay needs."""
    each = [finding for kind in KINDS for finding in _of_kind(given, kind, found)]
    return [*_address(given), *each, *_secrets(given, found)]


def _address(given: Given) -> list[Finding]:
    if given.live and not given.webhook_url.startswith("https://"):
        words = "In live mode Stripe sends to https only."
        return [wrong("endpoint_address", given.webhook_url, words, "Set PUBLIC_URL to an https address.")]
    return []


def _of_kind(given: Given, kind: Kind, found: Sequence[Endpoint]) -> list[Finding]:
    here = [endpoint for endpoint in found if endpoint.kind == kind]
    if not here:
        words = f"No endpoint of {kind} sends to {given.webhook_url}: its payments are heard of late."
        return [wrong("endpoint", kind, words, SETUP)]
    if len(here) > 1:
        others = ", ".join(endpoint.id for endpoint in here[1:])
        words = f"{len(here)} endpoints of {kind} have this address: each event comes so often."
        way = f"Once {here[0].id}'s secret is in STRIPE_WEBHOOK_SECRET, delete {others} in the Dashboard."
        return [wrong("endpoint_twice", kind, words, way), *_one(given, here[0])]
    return _one(given, here[0])


def _one(given: Given, endpoint: Endpoint) -> list[Finding]:
    found: list[Finding] = []
    if not endpoint.enabled:
        words = "The endpoint is disabled: Stripe sends nothing."
        found.append(wrong("endpoint_disabled", endpoint.about, words, SETUP))
    if endpoint.missing:
        words = f"The endpoint lacks events that ClinicPay acts on: {', '.join(endpoint.missing)}."
        found.append(wrong("endpoint_events", endpoint.about, words, SETUP))
    if endpoint.version != API_VERSION:
        words = (
            f"Its API version is {endpoint.version or 'the account default'}, ClinicPay reads {API_VERSION}."
        )
        way = f"{SETUP} It makes another one, since a version cannot be changed."
        found.append(wrong("endpoint_version", endpoint.about, words, way))
    if endpoint.live != given.live:
        words = "The endpoint is of another mode than the keys."
        found.append(wrong("endpoint_mode", endpoint.about, words, SETUP))
    if endpoint.too_many:
        unused = "most types of events" if "*" in endpoint.events else ", ".join(endpoint.too_many)
        words = f"Nothing acts on {unused}."
        found.append(note("endpoint_events", endpoint.about, words, SETUP))
    return found or [good("endpoint", endpoint.about, "The endpoint is as it should be.")]


def _secrets(given: Given, found: Sequence[Endpoint]) -> list[Finding]:
    """A secret cannot be read back: its number is all that can be compared."""
    about = "STRIPE_WEBHOOK_SECRET"
    kinds = {endpoint.kind for endpoint in found}
    if given.webhook_secrets and not given.shares_secret and len(set(given.webhook_secrets)) < len(kinds):
        words = (
            f"{len(kinds)} endpoints have a secret each, and {about} has {len(set(given.webhook_secrets))}."
        )
        way = "Put both in, separated by a comma: the Dashboard shows each endpoint's."
        return [wrong("webhook_secret", about, words, way)]
    words = "Stripe does not tell an endpoint's secret. Undelivered events, and `--reach`, show a wrong one."
    return [note("webhook_secret", about, words)]


def _undelivered(given: Given, unsent: Sequence[Any]) -> list[Finding]:
    late = [event.id for event in unsent if event.type in ACTED_ON]
    if not late:
        return []
    words = f"{len(late)} of the newest events are not acknowledged yet, such as {late[0]}."
    way = "If they stay: look at the endpoint's deliveries in the Dashboard; 400 means a wrong secret."
    return [note("undelivered", given.webhook_url, words, way)]

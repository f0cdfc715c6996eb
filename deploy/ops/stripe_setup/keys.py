"""The keys: there, of one mode and one account, and with the rights that the services need."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import stripe
from stripe import StripeClient

from deploy.ops import stripe_client
from deploy.ops.stripe_client import reason
from deploy.ops.stripe_setup.access import Given
from deploy.ops.stripe_setup.findings import Finding, good, note, unknown, wrong
from services.payment.stripe.api import API_VERSION

DASHBOARD = "Copy it from Stripe's Dashboard: Developers, API keys."
AGAIN = "Run the check again in a while."
_FIRST: Any = {"limit": 1}
Probe = Callable[[StripeClient], Awaitable[Any]]
PROBES: Mapping[str, Probe] = {
    "Charges and Refunds": lambda client: client.v1.refunds.list_async(_FIRST),
    "PaymentIntents": lambda client: client.v1.payment_intents.list_async(_FIRST),
    "SetupIntents": lambda client: client.v1.setup_intents.list_async(_FIRST),
    "Customers": lambda client: client.v1.customers.list_async(_FIRST),
    "PaymentMethods": lambda client: client.v1.payment_methods.list_async(_FIRST),
    "Charges": lambda client: client.v1.charges.list_async(_FIRST),
    "Events": lambda client: client.v1.events.list_async(_FIRST),
    "Webhook Endpoints": lambda client: client.v1.webhook_endpoints.list_async(_FIRST),
    "Payment Method Domains": lambda client: client.v1.payment_method_domains.list_async(_FIRST),
    "Connected accounts": lambda client: client.v1.accounts.list_async(_FIRST),
}
"""By right, as the Dashboard names it: a read that changes nothing."""


def check_settings(given: Given) -> list[Finding]:
    """All that can be said without asking Stripe."""
    return [
        *_key("secret_key", "STRIPE_SECRET_KEY", given.secret_key, ("sk_", "rk_")),
        *_key("publishable_key", "STRIPE_PUBLISHABLE_KEY", given.publishable_key, ("pk_",)),
        *_modes(given),
        *_secrets(given),
    ]


def _key(check: str, name: str, value: str, beginnings: tuple[str, ...]) -> list[Finding]:
    allowed = tuple(f"{beginning}{mode}_" for beginning in beginnings for mode in ("test", "live"))
    if not value:
        return [wrong(check, name, f"{name} is not set.", DASHBOARD)]
    if not value.startswith(allowed):
        return [wrong(check, name, f"{name} does not begin with {' or '.join(allowed)}.", DASHBOARD)]
    return []


def _modes(given: Given) -> list[Finding]:
    modes = ["_live_" in key[:8] for key in (given.secret_key, given.publishable_key) if key]
    if not modes:
        return []
    if len(set(modes)) > 1:
        words = "One key is of live mode, the other of test mode."
        return [wrong("one_mode", "keys", words, "Take both from the same mode of the Dashboard.")]
    return [good("one_mode", "keys", f"The keys are of {'live' if given.live else 'test'} mode.")]


def _secrets(given: Given) -> list[Finding]:
    name = "STRIPE_WEBHOOK_SECRET"
    if not given.webhook_secrets:
        way = "`clinicpay stripe setup` makes the endpoints and shows their secrets."
        return [wrong("webhook_secret", name, f"{name} is not set.", way)]
    if not all(secret.startswith("whsec_") for secret in given.webhook_secrets):
        way = "Copy each endpoint's signing secret from the Dashboard, separated by commas."
        return [wrong("webhook_secret", name, f"A part of {name} does not begin with whsec_.", way)]
    return []


async def check_platform(client: StripeClient) -> list[Finding]:
    """Whether the secret key works, in our API version."""
    try:
        account = await client.v1.accounts.retrieve_current_async()
    except stripe.AuthenticationError as error:
        words = f"Stripe refuses STRIPE_SECRET_KEY ({reason(error)})."
        return [wrong("secret_key", "STRIPE_SECRET_KEY", words, DASHBOARD)]
    except stripe.PermissionError:
        return [note("platform", "STRIPE_SECRET_KEY", "The key may not read its own account.")]
    except stripe.InvalidRequestError as error:
        words = f"{reason(error)} to API version {API_VERSION}."
        return [wrong("api_version", "STRIPE_API_BASE", words, "Ask for a newer release of ClinicPay.")]
    except stripe.StripeError as error:
        return [unknown("platform", "STRIPE_SECRET_KEY", f"{reason(error)}.", AGAIN)]
    return [good("platform", account.id, "The secret key works; it is the platform's.")]


async def check_rights(given: Given, client: StripeClient) -> AsyncIterator[Finding]:
    """The reads that a restricted key may not do. Writing cannot be tried without writing."""
    if not given.secret_key.startswith("rk_"):
        return
    for right, probe in PROBES.items():
        try:
            await probe(client)
        except stripe.PermissionError:
            way = f"Give the key the right to {right} (write) in the Dashboard: Developers, API keys."
            yield wrong("rights", right, f"The restricted key may not read {right}.", way)
        except stripe.StripeError as error:
            yield unknown("rights", right, f"{reason(error)}.", AGAIN)
    words = "Whether the restricted key may write cannot be tried without writing."
    way = "It needs write to PaymentIntents, SetupIntents, Customers, PaymentMethods, Charges and Refunds."
    yield note("rights", "STRIPE_SECRET_KEY", words, way)


async def check_same_account(given: Given, client: StripeClient) -> list[Finding]:
    """Whether the publishable key knows a payment that the secret key knows."""
    about = "STRIPE_PUBLISHABLE_KEY"
    try:
        found = (await client.v1.payment_intents.list_async(_FIRST)).data
        async with stripe_client.opened(given.publishable_key, given.api_base) as browser:
            named, secret = (found[0].id, found[0].client_secret) if found else ("pi_none", "none")
            await browser.v1.payment_intents.retrieve_async(named, {"client_secret": secret or ""})
    except stripe.AuthenticationError:
        return [wrong("same_account", about, "Stripe refuses the publishable key.", DASHBOARD)]
    except stripe.InvalidRequestError:
        if found:
            words = "The publishable key is of another account than the secret key: no payment could be confirmed."
            return [wrong("same_account", about, words, "Take both keys from the same account.")]
        words = "Stripe knows the publishable key. Whether it is of the same account shows with the first payment."
        return [note("same_account", about, words, "Check again after it.")]
    except stripe.StripeError as error:
        return [unknown("same_account", about, f"{reason(error)}.", AGAIN)]
    return [good("same_account", about, "Both keys are of the same account.")]

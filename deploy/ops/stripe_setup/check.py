"""The whole check: settings, keys, endpoints, accounts, domains."""

from deploy.ops import stripe_client
from deploy.ops.stripe_setup import accounts, endpoints, keys, reach
from deploy.ops.stripe_setup.access import Given
from deploy.ops.stripe_setup.findings import Finding, note

OF_THE_REAL_STRIPE = {"same_account", "endpoint_events", "webhook_secret", "domain"}
"""Notes about what the sandbox of `clinicpay up` has no need of."""


async def check(given: Given, *, reach_too: bool = False) -> list[Finding]:
    """All findings. Without a key that Stripe takes, nothing more can be asked."""
    found = keys.check_settings(given)
    if given.secret_key:
        async with stripe_client.opened(given.secret_key, given.api_base) as client:
            platform = await keys.check_platform(client)
            found += platform
            if all(finding.level not in ("wrong", "unknown") for finding in platform):
                found += [each async for each in keys.check_rights(given, client)]
                found += await keys.check_same_account(given, client) if given.publishable_key else []
                found += await endpoints.check(given, client)
                found += [each async for each in accounts.check(given, client)]
    found += await reach.check(given) if reach_too and given.public_url else []
    return _of_sandbox(found) if given.shares_secret else found


def _of_sandbox(found: list[Finding]) -> list[Finding]:
    words = "This is the sandbox of `clinicpay up`: nothing is to be set up. Notes about the real Stripe are left out."
    kept = [each for each in found if each.level != "note" or each.check not in OF_THE_REAL_STRIPE]
    return [note("sandbox", "Stripe sandbox", words), *kept]

"""The accounts that clinics are paid on: whether they may charge, and whether wallets may show there."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import stripe
from stripe import StripeClient

from deploy.ops import database
from deploy.ops.stripe_client import of_account, reason
from deploy.ops.stripe_setup.access import Given
from deploy.ops.stripe_setup.endpoints import SETUP
from deploy.ops.stripe_setup.findings import Finding, good, note, unknown, wrong
from deploy.ops.stripe_setup.keys import AGAIN

_ACCOUNTS = """
    SELECT DISTINCT stripe_account_id AS account FROM accounts WHERE stripe_account_id IS NOT NULL OR platform
    ORDER BY account NULLS FIRST
"""
PLATFORM = "platform"
_OWNER = "The clinic's owner answers Stripe's questions in its Dashboard."


class NoDatabase(Exception):
    """Payment's database, which knows the clinics' accounts, is not given or does not answer."""


async def in_use(given: Given) -> list[str | None]:
    """The accounts of clinics; None is the platform's own, which counts in test mode without a choice too."""
    if given.database is None:
        raise NoDatabase("give --data or AUDITOR_DATABASE_URLS")
    try:
        async with database.connected(given.database) as payment:
            found: list[str | None] = [row["account"] for row in await payment.fetch(_ACCOUNTS)]
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise NoDatabase(f"payment's database does not answer ({type(error).__name__})") from None
    return found if given.live or None in found else [None, *found]


async def check(given: Given, client: StripeClient) -> AsyncIterator[Finding]:
    try:
        accounts = await in_use(given)
    except NoDatabase as why:
        words = f"The clinics' accounts were not looked at: {why}."
        yield note("accounts", "clinics", words)
        accounts = [None]
    for account in accounts:
        for finding in await _account(client, account):
            yield finding
        for finding in await _domain(given, client, account):
            yield finding


async def _account(client: StripeClient, account: str | None) -> list[Finding]:
    about = account or PLATFORM
    try:
        if account:
            found = await client.v1.accounts.retrieve_async(account)
        else:
            found = await client.v1.accounts.retrieve_current_async()
    except stripe.PermissionError as error:
        words = f"Stripe refuses access to the account ({reason(error)}): nothing can be charged or refunded on it."
        way = "Ask the clinic to connect it again, or choose another account for the clinic."
        return [wrong("account_access", about, words, way)]
    except stripe.StripeError as error:
        return [unknown("account_access", about, f"{reason(error)}.", AGAIN)]
    return judged(about, found.to_dict(), datetime.now(UTC))


def judged(about: str, account: dict[str, Any], now: datetime) -> list[Finding]:
    """Findings of one account: what it may do, and what Stripe asks of its owner."""
    asked = account.get("requirements") or {}
    wrongs, notes = [], []
    if not account.get("charges_enabled"):
        words = f"The account cannot charge: {asked.get('disabled_reason') or 'Stripe gives no reason'}."
        wrongs.append(wrong("account_charges", about, words, _OWNER))
    elif (state := (account.get("capabilities") or {}).get("card_payments", "not asked for")) != "active":
        words = f"Its capability card_payments is {state}."
        wrongs.append(
            wrong("account_capability", about, words, "Ask for the capability, or see what Stripe wants.")
        )
    if past := asked.get("past_due"):
        wrongs.append(
            wrong("account_requirements", about, f"Stripe waits too long for {_list(past)}.", _OWNER)
        )
    elif due := asked.get("currently_due"):
        notes.append(
            note("account_requirements", about, f"Stripe asks for {_list(due)}{_by(asked, now)}.", _OWNER)
        )
    if not account.get("payouts_enabled"):
        notes.append(note("account_payouts", about, "The account gets no payouts for now.", _OWNER))
    return [*wrongs, *notes] or [good("account", about, "The account can charge.")]


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)


def _by(asked: dict[str, Any], now: datetime) -> str:
    deadline = asked.get("current_deadline")
    if deadline is None:
        return ""
    day = datetime.fromtimestamp(deadline, UTC)
    return f" by {day:%Y-%m-%d}, in {(day - now).days} days"


def can_be_registered(domain: str) -> bool:
    return "." in domain and not domain.replace(".", "").isdigit()


async def domains_of(
    client: StripeClient, account: str | None, domain: str
) -> list[stripe.PaymentMethodDomain]:
    wanted: Any = {"domain_name": domain, "limit": 1}
    page = await client.v1.payment_method_domains.list_async(wanted, of_account(account))
    return page.data


async def _domain(given: Given, client: StripeClient, account: str | None) -> list[Finding]:
    about = f"{given.domain} on {account or PLATFORM}"
    if not can_be_registered(given.domain):
        return [note("domain", about, "Wallets show on a public domain only.")]
    try:
        found = await domains_of(client, account, given.domain)
    except stripe.PermissionError:
        return []  # the account's own finding says so
    except stripe.StripeError as error:
        return [unknown("domain", about, f"{reason(error)}.", AGAIN)]
    if not found:
        return [wrong("domain", about, "Not registered: Apple Pay and Google Pay do not show.", SETUP)]
    if not found[0].enabled:
        return [wrong("domain", about, "Switched off: wallets do not show.", SETUP)]
    off = [name for name in ("apple_pay", "google_pay") if found[0].to_dict()[name]["status"] != "active"]
    if off:
        words = f"Registered, but not active: {_list(off)}."
        return [note("domain", about, words, "The Dashboard says why: Settings, Payment method domains.")]
    return [good("domain", about, "Wallets may show.")]

"""Our books against Stripe's: every charge is booked once, every booking has its charge.

Stripe's side is read through its API, account by account: the sandbox's or the real one's.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from typing import Any

import stripe
from stripe import StripeClient

from deploy.ops import stripe_client
from deploy.ops.stripe_client import name_of, of_account
from deploy.ops.verify import stripe_charges, stripe_disputes, stripe_refunds, stripe_reservations
from deploy.ops.verify.access import Access
from deploy.ops.verify.databases import Databases
from deploy.ops.verify.ownership import Ownership
from deploy.ops.verify.report import MOST_ROWS, Breach, CannotCheck, Result
from deploy.ops.verify.stripe_charges import Charge
from deploy.ops.verify.stripe_refunds import returned
from services.payment.payments.origins import UnknownPayment
from services.payment.stripe.seal import Seal

SAYS = {
    **stripe_charges.SAYS,
    **stripe_refunds.SAYS,
    **stripe_disputes.SAYS,
    **stripe_reservations.SAYS,
}

MOST_SILENT = 2
NO_ANSWER = "Stripe does not answer. Verify again later."

_ACCOUNTS = """
    SELECT account FROM payments GROUP BY account
    UNION SELECT stripe_account_id FROM account_choices WHERE stripe_account_id IS NOT NULL
    ORDER BY account
"""
_DISMISSED = f"""
    SELECT DISTINCT encode(key, 'escape') AS intent FROM parked
    WHERE consumer = 'payment-stripe' AND state = 'discarded' AND reason = '{UnknownPayment.code}'
"""
_HAS_INTENTS = """
    SELECT EXISTS (SELECT FROM payments WHERE account = $1 AND stripe_payment_intent_id IS NOT NULL)
"""


async def compare(access: Access, databases: Databases) -> list[Result]:
    """All accounts: one that cannot be read is named, and the others are checked.

    CannotCheck when Stripe refuses the key. Objects of others are counted and left out.
    """
    began, seal = time.monotonic(), access.seal
    if seal is None:
        raise CannotCheck("nothing tells our charges at Stripe from those of others: no seal is given")
    dismissed = {row["intent"] for row in await databases["payment"].fetch(_DISMISSED)}
    async with stripe_client.opened(access.stripe_secret_key or "", access.stripe_api_base) as client:
        reading = _Reading(client, databases, seal, dismissed)
        for row in await databases["payment"].fetch(_ACCOUNTS):
            await reading.read(row["account"])
    found = [stripe_charges.on_another_account(breach, reading.elsewhere) for breach in reading.breaches]
    seconds = time.monotonic() - began
    return [
        Result(
            name,
            "payment ↔ Stripe",
            says,
            tuple(b for b in found if b.check == name)[:MOST_ROWS],
            seconds,
            reading.others if name == "charges_are_booked" else {},
            reading.unread,
        )
        for name, says in SAYS.items()
    ]


@dataclass(slots=True)
class _Reading:
    """Account after account, and what was found in them."""

    client: StripeClient
    databases: Databases
    seal: Seal
    dismissed: Collection[str]
    """Intents of charges whose row is lost and that an operator discarded."""
    breaches: list[Breach] = field(default_factory=list)
    elsewhere: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Charges that name a payment of ours and are not on its account: (account, charge) by intent."""
    others: Counter[str] = field(default_factory=Counter)
    unread: dict[str, str] = field(default_factory=dict)
    silent: int = 0
    """Accounts in a row for which no answer came."""

    async def read(self, account: str) -> None:
        """Once Stripe was silent twice, the other accounts are not asked: each would take a minute."""
        if self.silent >= MOST_SILENT:
            self.unread[f"Stripe account {name_of(account)}"] = NO_ANSWER
            return
        sorter = Ownership(self.databases["payment"], self.seal, account)
        try:
            self.breaches += await _compare_account(
                self.client, self.databases, account, sorter, self.dismissed
            )
            self.silent = 0
        except stripe.AuthenticationError as error:
            raise CannotCheck(f"Stripe refuses STRIPE_SECRET_KEY: {error.http_status}") from None
        except stripe.StripeError as error:
            self.unread[f"Stripe account {name_of(account)}"] = _reason(error)
            self.silent = 0 if error.http_status else self.silent + 1
        self.elsewhere |= {intent: (account, charge) for intent, charge in sorter.copied.items()}
        counts = sorter.others.items()
        self.others.update({f"not ours: {reason}": count for reason, count in counts})
        self.others.update({"dismissed by an operator": sorter.dismissed} if sorter.dismissed else {})


def _reason(error: stripe.StripeError) -> str:
    """Why an account cannot be read, and what to do. Stripe's own text is left out: it may quote the key."""
    if isinstance(error, stripe.PermissionError):
        code = getattr(error.error, "code", None)
        return (
            f"Stripe refuses access ({code or error.http_status}). Its money cannot be compared. If the clinic took "
            "the access away, ask its owner to connect the account again."
        )
    if isinstance(error, stripe.RateLimitError):
        return "Stripe is asked too often. Verify again later."
    return f"{stripe_client.reason(error)}. Verify again later."


async def _compare_account(
    client: StripeClient, databases: Databases, account: str, sorter: Ownership, dismissed: Collection[str]
) -> list[Breach]:
    rows = await databases["payment"].fetch(stripe_charges.BOOKED, account)
    booked = {row["intent"]: row for row in rows}
    before = await returned(databases, account)
    try:
        page = await client.v1.charges.list_async({"limit": 100}, of_account(account))
        ours = [Charge.of(body, known) for body, known in await sorter.charges(_succeeded(page))]
    except (stripe.PermissionError, stripe.InvalidRequestError):
        if await databases["payment"].fetchval(_HAS_INTENTS, account):
            raise
        return []  # an account that Stripe does not let us see, and that never took a payment
    refunds, differing = await stripe_refunds.compare_account(client, databases, account, sorter, booked)
    disputes = await stripe_disputes.compare_account(client, databases, account, booked)
    reservations = await stripe_reservations.compare_account(client, databases, account)
    after = await returned(databases, account)
    unbooked = list(stripe_charges.unbooked(account, ours, booked))
    left = [breach for breach in unbooked if breach.row["payment_intent"] not in dismissed]
    sorter.dismissed += len(unbooked) - len(left)
    return [
        *left,
        *stripe_charges.booked_otherwise(account, ours, booked),
        *stripe_charges.uncharged(account, ours, booked),
        *stripe_charges.refunded_otherwise(account, ours, before, after, differing),
        *(*refunds, *disputes, *reservations),
    ]


async def _succeeded(page: Any) -> AsyncIterator[dict[str, Any]]:
    async for each in page.auto_paging_iter():
        if each.status == "succeeded":
            yield each.to_dict()

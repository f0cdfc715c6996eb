"""Our books against Stripe's: every charge is booked once, every booking has its charge.

Stripe's side is read through its API, account by account: the sandbox's or the real one's.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

import stripe
from stripe import StripeClient

from deploy.ops.verify import stripe_refunds, stripe_reservations
from deploy.ops.verify.access import Access
from deploy.ops.verify.databases import Databases
from deploy.ops.verify.ownership import Ownership
from deploy.ops.verify.report import MOST_ROWS, Breach, CannotCheck, Result
from deploy.ops.verify.stripe_refunds import NOTHING, Returned, returned
from services.chassis.locale.money import to_stripe
from services.payment.payments.origins import Known, UnknownPayment
from services.payment.stripe.api import API_VERSION
from services.payment.stripe.fields import object_of, text_of, uuid_of
from services.payment.stripe.seal import Seal

SAYS = {
    "charges_are_booked": "Every charge of ours at Stripe is booked once: its amount, currency, account and mode",
    "bookings_are_charged": "Every capture that is booked has exactly one charge at Stripe",
    "charges_are_refunded_as_booked": "What Stripe has refunded of a charge is what our refunds of its payment make",
    "charges_are_undisputed": "No charge of ours is disputed at Stripe",
    **stripe_refunds.SAYS,
    **stripe_reservations.SAYS,
}

MOST_SILENT = 2
NO_ANSWER = "Stripe does not answer. Verify again later."

_ACCOUNTS = """
    SELECT account FROM payments GROUP BY account
    UNION SELECT stripe_account_id FROM account_choices WHERE stripe_account_id IS NOT NULL
    ORDER BY account
"""
_BOOKED = """
    SELECT e.stripe_object_id AS intent, p.clinic_id, p.id, p.livemode, s.amount, s.currency
    FROM payments AS p
    JOIN entries AS e ON (e.clinic_id, e.payment_id) = (p.clinic_id, p.id) AND e.effect = 'capture'
    JOIN postings AS s ON (s.clinic_id, s.entry_id) = (e.clinic_id, e.id) AND s.account = 'stripe'
    WHERE p.account = $1
"""
_DISMISSED = f"""
    SELECT DISTINCT encode(key, 'escape') AS intent FROM parked
    WHERE consumer = 'payment-stripe' AND state = 'discarded' AND reason = '{UnknownPayment.code}'
"""
_HAS_INTENTS = """
    SELECT EXISTS (SELECT FROM payments WHERE account = $1 AND stripe_payment_intent_id IS NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge of ours that succeeded. `amount` as Stripe counts it; ids of its payment or its metadata."""

    id: str
    intent: str | None
    amount: int
    currency: str
    livemode: bool
    payment_id: Any
    clinic_id: Any
    refunded: int
    disputed: bool

    @classmethod
    def of(cls, body: Any, known: Known | None) -> "Charge":
        metadata = object_of(body.get("metadata"))
        return cls(
            id=body["id"],
            intent=text_of(body.get("payment_intent")),
            amount=body["amount"],
            currency=body["currency"].upper(),
            livemode=body["livemode"],
            payment_id=known.key[1] if known else uuid_of(metadata.get("payment_id")),
            clinic_id=known.key[0] if known else uuid_of(metadata.get("clinic_id")),
            refunded=body["amount_refunded"],
            disputed=body["disputed"],
        )


async def compare(access: Access, databases: Databases) -> list[Result]:
    """All accounts: one that cannot be read is named, and the others are checked.

    CannotCheck when Stripe refuses the key. Objects of others are counted and left out.
    """
    began, seal = time.monotonic(), access.seal
    if seal is None:
        raise CannotCheck("nothing tells our charges at Stripe from those of others: no seal is given")
    http = stripe.HTTPXClient(timeout=20)
    client = StripeClient(
        access.stripe_secret_key or "",
        stripe_version=API_VERSION,
        base_addresses={"api": access.stripe_api_base.rstrip("/")},
        http_client=http,
        max_network_retries=2,
    )
    reading = _Reading(client, databases, seal)
    try:
        for row in await databases["payment"].fetch(_ACCOUNTS):
            await reading.read(row["account"])
    finally:
        await http.close_async()  # type: ignore[no-untyped-call]
    seconds = time.monotonic() - began
    return [
        Result(
            name,
            "payment ↔ Stripe",
            says,
            tuple(b for b in reading.breaches if b.check == name)[:MOST_ROWS],
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
    breaches: list[Breach] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    unread: dict[str, str] = field(default_factory=dict)
    silent: int = 0
    """Accounts in a row for which no answer came."""

    async def read(self, account: str) -> None:
        """Once Stripe was silent twice, the other accounts are not asked: each would take a minute."""
        if self.silent >= MOST_SILENT:
            self.unread[f"Stripe account {_name(account)}"] = NO_ANSWER
            return
        sorter = Ownership(self.databases["payment"], self.seal, account)
        try:
            self.breaches += await _compare_account(self.client, self.databases, account, sorter)
            self.silent = 0
        except stripe.AuthenticationError as error:
            raise CannotCheck(f"Stripe refuses STRIPE_SECRET_KEY: {error.http_status}") from None
        except stripe.StripeError as error:
            self.unread[f"Stripe account {_name(account)}"] = _reason(error)
            self.silent = 0 if error.http_status else self.silent + 1
        counts = sorter.others.items()
        self.others.update({f"not ours: {reason}": count for reason, count in counts})
        self.others.update({"dismissed by an operator": sorter.dismissed} if sorter.dismissed else {})


def _reason(error: stripe.StripeError) -> str:
    """Why an account cannot be read, and what to do. Stripe's own text is left out: it may quote the key."""
    code = getattr(error.error, "code", None)
    if isinstance(error, stripe.PermissionError):
        return (
            f"Stripe refuses access ({code or error.http_status}). Its money cannot be compared. If the clinic took "
            "the access away, ask its owner to connect the account again."
        )
    if isinstance(error, stripe.RateLimitError):
        return "Stripe is asked too often. Verify again later."
    if not error.http_status:
        return NO_ANSWER
    return f"Stripe answers {error.http_status} {code or ''}".rstrip() + ". Verify again later."


async def _compare_account(
    client: StripeClient, databases: Databases, account: str, sorter: Ownership
) -> list[Breach]:
    booked = {row["intent"]: row for row in await databases["payment"].fetch(_BOOKED, account)}
    options: Any = {"stripe_account": account} if account else {}
    before = await returned(databases, account)
    try:
        page = await client.v1.charges.list_async({"limit": 100}, options)
        ours = [Charge.of(body, known) for body, known in await sorter.charges(_succeeded(page))]
    except (stripe.PermissionError, stripe.InvalidRequestError):
        if await databases["payment"].fetchval(_HAS_INTENTS, account):
            raise
        return []  # an account that Stripe does not let us see, and that never took a payment
    refunds = await stripe_refunds.compare_account(client, databases, account, sorter)
    refunds += await stripe_reservations.compare_account(client, databases, account)
    after = await returned(databases, account)
    given = [*_refunded(account, ours, before, after), *_disputed(account, ours)]
    unbooked = list(_unbooked(account, ours, booked))
    dismissed = {row["intent"] for row in await databases["payment"].fetch(_DISMISSED)}
    left = [breach for breach in unbooked if breach.row["payment_intent"] not in dismissed]
    sorter.dismissed += len(unbooked) - len(left)
    return [*left, *_uncharged(account, ours, booked), *given, *refunds]


async def _succeeded(page: Any) -> AsyncIterator[dict[str, Any]]:
    async for each in page.auto_paging_iter():
        if each.status == "succeeded":
            yield each.to_dict()


def _refunded(
    account: str, charges: Iterable[Charge], before: dict[str, Returned], after: dict[str, Returned]
) -> Iterable[Breach]:
    """Refunds may be made while Stripe is read: it has at least what was sent before, at most what was made by then."""
    for charge in charges:
        least = before.get(charge.intent or "", NOTHING).sent
        then = after.get(charge.intent or "", NOTHING)
        most = then.made
        if not any(least <= charge.refunded - back <= most for back in (0, then.back)):
            wrong = (
                "refunded at Stripe, not in the books" if charge.refunded > most else "not refunded at Stripe"
            )
            row = _named(account, charge) | {"refunded": charge.refunded, "booked": most, "wrong": wrong}
            yield Breach("charges_are_refunded_as_booked", row)


def _disputed(account: str, charges: Iterable[Charge]) -> Iterable[Breach]:
    for charge in charges:
        if charge.disputed:
            row = _named(account, charge) | {"wrong": "disputed at Stripe"}
            yield Breach("charges_are_undisputed", row)


def _name(account: str) -> str:
    return account or "platform"


def _named(account: str, charge: Charge) -> dict[str, Any]:
    return {
        "account": _name(account),
        "charge": charge.id,
        "payment_intent": charge.intent,
        "payment_id": charge.payment_id,
        "amount": charge.amount,
        "currency": charge.currency,
    }


def _unbooked(account: str, charges: Iterable[Charge], booked: dict[str, Any]) -> Iterable[Breach]:
    for charge in charges:
        booking = booked.get(charge.intent or "")
        wrong = "not booked" if booking is None else _difference(charge, booking)
        if wrong:
            yield Breach("charges_are_booked", _named(account, charge) | {"wrong": wrong})


def _difference(charge: Charge, booking: Any) -> str:
    """The differences between a charge and its booking; empty when they agree."""
    pairs = {
        "amount": (charge.amount, to_stripe(int(booking["amount"]), booking["currency"])),
        "currency": (charge.currency, booking["currency"]),
        "mode": (charge.livemode, booking["livemode"]),
        "payment": (charge.payment_id or booking["id"], booking["id"]),
        "clinic": (charge.clinic_id or booking["clinic_id"], booking["clinic_id"]),
    }
    return "; ".join(f"{name} {theirs} ≠ {ours}" for name, (theirs, ours) in pairs.items() if theirs != ours)


def _uncharged(account: str, charges: Iterable[Charge], booked: dict[str, Any]) -> Iterable[Breach]:
    by_intent: dict[str | None, list[str]] = {}
    for charge in charges:
        by_intent.setdefault(charge.intent, []).append(charge.id)
    for intent, booking in booked.items():
        found = by_intent.get(intent, [])
        if len(found) != 1:
            row = {
                "account": _name(account),
                "payment_intent": intent,
                "clinic_id": booking["clinic_id"],
                "payment_id": booking["id"],
                "charges": ", ".join(found) or "none",
            }
            yield Breach("bookings_are_charged", row)

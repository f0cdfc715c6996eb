"""Our refunds against Stripe's, account by account: each there is one of ours as we know it, each of ours is there."""

from dataclasses import dataclass
from typing import Any

from stripe import StripeClient

from contracts.vocabulary import RETURNED_REFUNDS
from deploy.ops.verify.databases import Databases
from deploy.ops.verify.ownership import Ownership
from deploy.ops.verify.report import Breach
from services.chassis.db.sql import literals
from services.chassis.locale.money import to_stripe

SAYS = {
    "stripe_refunds_are_ours": "Every refund of ours at Stripe is one of our refunds: its amount, currency and state",
    "refunds_are_at_stripe": "Every refund that Stripe gave an id, or whose money went, is at Stripe once",
}

_REFUNDS = """
    SELECT (r.clinic_id, r.id) AS key, r.clinic_id, r.id, r.status, r.amount, r.currency, r.stripe_refund_id,
        r.refunded_at
    FROM refunds AS r JOIN payments AS p ON (p.clinic_id, p.id) = (r.clinic_id, r.payment_id)
    WHERE p.account = $1
"""

_BACK = literals(RETURNED_REFUNDS)
_RETURNED = f"""
    SELECT p.stripe_payment_intent_id AS intent, r.currency,
        coalesce(sum(r.amount) FILTER (WHERE r.status NOT IN {_BACK}), 0)::bigint AS made,
        coalesce(sum(r.amount) FILTER (WHERE r.status NOT IN {_BACK} AND r.status <> 'created'), 0)::bigint AS sent,
        coalesce(sum(r.amount) FILTER (WHERE r.status IN {_BACK} AND r.stripe_refund_id IS NOT NULL), 0)::bigint AS back
    FROM refunds AS r JOIN payments AS p ON (p.clinic_id, p.id) = (r.clinic_id, r.payment_id)
    WHERE p.account = $1
    GROUP BY p.stripe_payment_intent_id, r.currency
"""


@dataclass(frozen=True, slots=True)
class Returned:
    """Our refunds of a payment that did not fail, as Stripe counts money: the ones that it surely has, and all.

    `back` is the sum of refunds that failed. Whether `amount_refunded` still has them is not known for sure.
    """

    sent: int
    made: int
    back: int


NOTHING = Returned(0, 0, 0)


async def returned(databases: Databases, account: str) -> dict[str, Returned]:
    """By PaymentIntent."""
    rows = await databases["payment"].fetch(_RETURNED, account)
    return {
        row["intent"]: Returned(*(_as_stripe(row, name) for name in ("sent", "made", "back"))) for row in rows
    }


def _as_stripe(row: Any, name: str) -> int:
    return to_stripe(row[name], row["currency"]) or 0


async def compare_account(
    client: StripeClient, databases: Databases, account: str, sorter: Ownership
) -> list[Breach]:
    """Both ways. A refund made at Stripe itself is none of ours, and is left out."""
    options: Any = {"stripe_account": account} if account else {}
    page = await client.v1.refunds.list_async({"limit": 100}, options)
    theirs: dict[Any, list[Any]] = {}
    for body, key in await sorter.refunds(each.to_dict() async for each in page.auto_paging_iter()):
        theirs.setdefault(key, []).append(body)
    ours = {row["key"]: row for row in await databases["payment"].fetch(_REFUNDS, account)}
    return [*_strange(account, theirs, ours), *_missing(account, theirs, ours)]


def _strange(account: str, theirs: dict[Any, list[Any]], ours: dict[Any, Any]) -> list[Breach]:
    found = []
    for key, bodies in theirs.items():
        wrong = _difference(bodies, ours.get(key))
        if wrong:
            row = {"account": account or "platform", "refund": bodies[0]["id"], "refund_id": key[1]}
            found.append(Breach("stripe_refunds_are_ours", row | {"wrong": wrong}))
    return found


def _difference(bodies: list[Any], row: Any) -> str:
    """The differences between Stripe's refunds under one of our ids and our own; empty when they agree."""
    if row is None:
        return "not booked"
    if len(bodies) > 1:
        return f"{len(bodies)} at Stripe"
    [body] = bodies
    pairs = {
        "id": (body["id"], row["stripe_refund_id"]),
        "amount": (body["amount"], to_stripe(int(row["amount"]), row["currency"])),
        "currency": (body["currency"].upper(), row["currency"]),
        "status": (body["status"], row["status"]),
    }
    return "; ".join(f"{name} {there} ≠ {here}" for name, (there, here) in pairs.items() if there != here)


def _missing(account: str, theirs: dict[Any, list[Any]], ours: dict[Any, Any]) -> list[Breach]:
    return [
        Breach(
            "refunds_are_at_stripe",
            {
                "account": account or "platform",
                "clinic_id": row["clinic_id"],
                "refund_id": row["id"],
                "status": row["status"],
            },
        )
        for key, row in ours.items()
        if key not in theirs and (row["stripe_refund_id"] or row["refunded_at"])
    ]

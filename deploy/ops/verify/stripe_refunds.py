"""Our refunds against Stripe's, account by account: each there is one of ours as we know it, each of ours is there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stripe import StripeClient

from contracts.vocabulary import RETURNED_REFUNDS
from deploy.ops.stripe_client import name_of, of_account
from deploy.ops.verify.databases import Databases
from deploy.ops.verify.ownership import Ownership
from deploy.ops.verify.report import Breach
from services.chassis.db.sql import literals
from services.chassis.locale.money import to_stripe
from services.payment.refunds.made_at_stripe import EXCEPTION

SAYS = {
    "refunds_at_stripe_are_booked": "Every refund at Stripe of a payment of ours is booked, wherever it was made",
    "stripe_refunds_are_ours": "A refund of ours is at Stripe as it is booked: once, its amount, currency and state",
    "refunds_are_at_stripe": "Every refund that Stripe gave an id, or whose money went, is at Stripe once",
}

_REFUNDS = """
    SELECT (r.clinic_id, r.id) AS key, r.clinic_id, r.id, r.status, r.amount, r.currency, r.stripe_refund_id,
        r.refunded_at, r.payment_id, p.stripe_payment_intent_id AS intent
    FROM refunds AS r JOIN payments AS p ON (p.clinic_id, p.id) = (r.clinic_id, r.payment_id)
    WHERE p.account = $1 AND r.destination = 'method'
"""

_DISMISSED = f"""
    SELECT detail->>'stripe_refund_id' AS refund FROM exceptions
    WHERE kind = '{EXCEPTION}' AND settled_how = 'dismiss'
"""
_BACK = literals(RETURNED_REFUNDS)
_SENT = literals(("pending", "requires_action", "succeeded"))
_RETURNED = f"""
    SELECT p.stripe_payment_intent_id AS intent, r.currency,
        coalesce(sum(r.amount) FILTER (WHERE r.status NOT IN {_BACK}), 0)::bigint AS made,
        coalesce(sum(r.amount) FILTER (WHERE r.status IN {_SENT}), 0)::bigint
            AS sent,
        coalesce(sum(r.amount) FILTER (WHERE r.status IN {_BACK} AND r.stripe_refund_id IS NOT NULL), 0)::bigint AS back
    FROM refunds AS r JOIN payments AS p ON (p.clinic_id, p.id) = (r.clinic_id, r.payment_id)
    WHERE p.account = $1 AND r.destination = 'method'
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
    client: StripeClient, databases: Databases, account: str, sorter: Ownership, booked: Mapping[Any, Any]
) -> tuple[list[Breach], set[str]]:
    """Both ways; also the intents whose refunds differ. `booked` are our captures by intent.

    A refund that a person dismissed is counted, and left out.
    """
    page = await client.v1.refunds.list_async({"limit": 100}, of_account(account))
    theirs: dict[Any, list[Any]] = {}
    unknown = []
    for body, key in await sorter.refunds((each.to_dict() async for each in page.auto_paging_iter()), booked):
        if key is None:
            unknown.append(body)
        else:
            theirs.setdefault(key, []).append(body)
    ours = {row["key"]: row for row in await databases["payment"].fetch(_REFUNDS, account)}
    dismissed = {row["refund"] for row in await databases["payment"].fetch(_DISMISSED)}
    lost = [body for key, bodies in theirs.items() if key not in ours for body in bodies]
    unbooked = [*lost, *(body for body in unknown if body["status"] not in RETURNED_REFUNDS)]
    left = [body for body in unbooked if body["id"] not in dismissed]
    sorter.dismissed += len(unbooked) - len(left)
    found = [
        *(_unbooked(account, body, booked.get(body["payment_intent"])) for body in left),
        *_differing(account, theirs, ours),
        *_missing(account, theirs, ours),
    ]
    differing = {body["payment_intent"] for body in unbooked} | {each.row["payment_intent"] for each in found}
    return found, differing


def _unbooked(account: str, body: Any, booking: Any) -> Breach:
    row = {
        "account": name_of(account),
        "refund": body["id"],
        "payment_intent": body["payment_intent"],
        "clinic_id": booking["clinic_id"] if booking else None,
        "payment_id": booking["id"] if booking else None,
        "amount": body["amount"],
        "currency": body["currency"].upper(),
        "status": body["status"],
        "wrong": "not booked",
    }
    return Breach("refunds_at_stripe_are_booked", row)


def _differing(account: str, theirs: dict[Any, list[Any]], ours: dict[Any, Any]) -> list[Breach]:
    found = []
    for key, bodies in theirs.items():
        if key in ours and (wrong := _difference(bodies, ours[key])):
            row = _named(account, ours[key]) | {"refund": bodies[0]["id"], "wrong": wrong}
            found.append(Breach("stripe_refunds_are_ours", row))
    return found


def _difference(bodies: list[Any], row: Any) -> str:
    """The differences between Stripe's refunds under one of our ids and our own; empty when they agree."""
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
        Breach("refunds_are_at_stripe", _named(account, row) | {"refund": row["stripe_refund_id"]})
        for key, row in ours.items()
        if key not in theirs and (row["stripe_refund_id"] or row["refunded_at"])
    ]


def _named(account: str, row: Any) -> dict[str, Any]:
    return {
        "account": name_of(account),
        "clinic_id": row["clinic_id"],
        "payment_id": row["payment_id"],
        "payment_intent": row["intent"],
        "refund_id": row["id"],
        "amount": to_stripe(int(row["amount"]), row["currency"]),
        "currency": row["currency"],
        "status": row["status"],
    }

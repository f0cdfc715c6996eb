"""Our disputes against Stripe's, account by account. Each kind of difference has a name of its own."""

from collections.abc import Iterator, Mapping
from typing import Any

from stripe import StripeClient

from deploy.ops.stripe_client import name_of, of_account
from deploy.ops.verify.databases import Databases
from deploy.ops.verify.report import Breach
from services.chassis.locale.money import to_stripe
from services.payment.disputes.domain import status_of
from services.payment.stripe.observations import moves_of

SAYS = {
    "disputes_are_kept": "Every dispute at Stripe of a charge of ours is kept",
    "stripe_disputes_are_ours": "A dispute is in the state that it has at Stripe",
    "disputed_money_agrees": "What a dispute took, gave back and cost at Stripe is booked, each movement once",
    "disputes_are_at_stripe": "Every dispute that is kept is at Stripe",
}

_DISPUTES = """
    SELECT d.clinic_id, d.stripe_dispute_id, d.id, d.payment_id, d.status, d.amount, d.currency,
        p.stripe_payment_intent_id AS intent
    FROM disputes AS d JOIN payments AS p ON (p.clinic_id, p.id) = (d.clinic_id, d.payment_id)
    WHERE p.account = $1
"""
_MOVES = """
    SELECT t.dispute_id, t.id, t.amount, t.fee, t.currency
    FROM dispute_transactions AS t JOIN disputes AS d ON (d.clinic_id, d.id) = (t.clinic_id, t.dispute_id)
    JOIN payments AS p ON (p.clinic_id, p.id) = (d.clinic_id, d.payment_id)
    WHERE p.account = $1 AND t.booked_at IS NOT NULL
"""
Move = tuple[int, int, str]
"""A movement at Stripe for a dispute: (amount, fee, currency), in our minor units."""


async def compare_account(
    client: StripeClient, databases: Databases, account: str, booked: Mapping[Any, Any]
) -> list[Breach]:
    """Both ways. `booked` are our captures by intent: disputes of other charges are left out."""
    page = await client.v1.disputes.list_async({"limit": 100}, of_account(account))
    theirs = {each.id: each.to_dict() async for each in page.auto_paging_iter()}
    rows = await databases["payment"].fetch(_DISPUTES, account)
    ours = {row["stripe_dispute_id"]: row for row in rows}
    moves: dict[Any, dict[str, Move]] = {row["id"]: {} for row in rows}
    for move in await databases["payment"].fetch(_MOVES, account):
        moves[move["dispute_id"]][move["id"]] = (move["amount"], move["fee"], move["currency"])
    return [
        *(_unkept(account, body, booked) for id_, body in theirs.items() if _is_unkept(body, ours, booked)),
        *(
            Breach(check, _named(account, ours[id_]) | {"wrong": wrong})
            for id_, body in theirs.items()
            if id_ in ours
            for check, wrong in _differences(body, ours[id_], moves[ours[id_]["id"]])
        ),
        *(
            Breach("disputes_are_at_stripe", _named(account, row) | {"wrong": "not at Stripe"})
            for id_, row in ours.items()
            if id_ not in theirs
        ),
    ]


def _is_unkept(body: Any, ours: Mapping[str, Any], booked: Mapping[Any, Any]) -> bool:
    return body["id"] not in ours and body.get("payment_intent") in booked


def _unkept(account: str, body: Any, booked: Mapping[Any, Any]) -> Breach:
    booking = booked[body["payment_intent"]]
    row = {
        "account": name_of(account),
        "dispute": body["id"],
        "payment_intent": body["payment_intent"],
        "clinic_id": booking["clinic_id"],
        "payment_id": booking["id"],
        "amount": body["amount"],
        "currency": body["currency"].upper(),
        "status": body["status"],
        "wrong": "not kept",
    }
    return Breach("disputes_are_kept", row)


def _differences(theirs: dict[str, Any], ours: Any, booked: Mapping[str, Move]) -> Iterator[tuple[str, str]]:
    """(check, both values). Money is compared in one state: another state has moved other money."""
    status = status_of(theirs.get("status"))
    if status not in (None, ours["status"]):
        yield "stripe_disputes_are_ours", f"status {status} ≠ {ours['status']}"
        return
    there = moves_of(theirs.get("balance_transactions") or ())
    moves = {move.id: (move.amount, move.fee, move.currency) for move in there}
    wrong = [
        f"{id_}: {_words(moves.get(id_))} ≠ {_words(booked.get(id_))}"
        for id_ in sorted(moves.keys() | booked.keys())
        if moves.get(id_) != booked.get(id_)
    ]
    if wrong:
        yield "disputed_money_agrees", "; ".join(wrong)


def _words(move: Move | None) -> str:
    return "none" if move is None else f"{move[0]} {move[2]} with a fee of {move[1]}"


def _named(account: str, row: Any) -> dict[str, Any]:
    return {
        "account": name_of(account),
        "dispute": row["stripe_dispute_id"],
        "payment_intent": row["intent"],
        "clinic_id": row["clinic_id"],
        "payment_id": row["payment_id"],
        "amount": to_stripe(int(row["amount"]), row["currency"]),
        "currency": row["currency"],
    }

"""Money paid on an invoice that is no longer due becomes its client's credit.

A credit note, a write-off or a void lowers what is due, perhaps after it was paid. The rest is moved to credit, and so
can be used or refunded. Amounts are integer minor units.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from contracts.events.payment import PaymentSettled
from contracts.money import Money
from services.payment.ledger.domain import Entry, allocate, entry_id, move_to_credit
from services.payment.payments import identities
from services.payment.receivables.domain import Receivable


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment's part of a receivable. `kept_amount` is still on it: not moved, reversed, refunded or disputed."""

    payment_id: UUID
    kept_amount: int


@dataclass(frozen=True, slots=True)
class Excess:
    """The part of a payment that is too much on a receivable, with its booking."""

    receivable: Receivable
    payment_id: UUID
    amount: int
    entry: Entry
    movement: PaymentSettled


def take_off(
    receivable: Receivable, paid: Sequence[Paid], now: datetime, cause: str | None = None
) -> list[Excess]:
    """Divide the receivable's excess among its payments in the order given: each gives at most what is kept of it.

    `cause` names what made it too much; None: this version of the invoice.
    """
    parts = allocate(receivable.excess_amount, ((each.payment_id, each.kept_amount) for each in paid))
    return [
        _excess(receivable, payment_id, part, now, cause or receivable.version)
        for payment_id, part in parts.items()
        if part
    ]


def _excess(
    receivable: Receivable, payment_id: UUID, amount: int, now: datetime, made_by: str | int
) -> Excess:
    cause = f"invoice:{receivable.id}:{made_by}:{payment_id}"
    movement_id = identities.of_excess(payment_id, receivable.id, made_by)
    return Excess(
        receivable,
        payment_id,
        amount,
        Entry(
            clinic_id=receivable.clinic_id,
            id=entry_id(payment_id, "excess", receivable.clinic_id, cause),
            payment_id=payment_id,
            stripe_object_id=cause,
            effect="excess",
            booked_at=now,
            postings=move_to_credit(amount, receivable.currency, receivable.id, receivable.client_id),
        ),
        PaymentSettled(
            id=movement_id,
            time=now,
            clinic_id=receivable.clinic_id,
            movement_id=movement_id,
            invoice_id=receivable.id,
            payment_id=payment_id,
            kind="credit",
            amount=Money(minor=-amount, currency=receivable.currency),
        ),
    )


def left(moved: Sequence[Excess]) -> list[Receivable]:
    """The receivables without the parts that were moved off them."""
    receivables: dict[UUID, Receivable] = {}
    for each in moved:
        before = receivables.get(each.receivable.id, each.receivable)
        receivables[before.id] = replace(before, settled_amount=before.settled_amount - each.amount)
    return list(receivables.values())

"""Credit that pays receivables: by itself, or beside a charge for which it was reserved. Pure decisions; minor units.

Used credit is a payment of its own, of kind `credit`, that has succeeded when it is booked: Stripe knows nothing of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from contracts.events.envelope import Method, event_id
from contracts.events.payment import PaymentSettled
from services.chassis.ids import made_at
from services.payment.ledger import domain as ledger
from services.payment.ledger.domain import Booking, Entry
from services.payment.payments.bookings import entry_of, movement_of
from services.payment.payments.domain import Allocation, Payment
from services.payment.receivables.domain import Receivable


@dataclass(frozen=True, slots=True)
class Used:
    """A payment by credit with its entry and its movements."""

    payment: Payment
    entry: Entry
    movements: tuple[PaymentSettled, ...]

    @property
    def booking(self) -> Booking:
        return Booking([self.entry], self.movements, [(movement, None) for movement in self.movements])


def use(
    *,
    clinic_id: UUID,
    payment_id: UUID,
    client_id: UUID,
    livemode: bool,
    currency: str,
    parts: Mapping[UUID, int],
    now: datetime,
    request_key: str | None = None,
) -> Used:
    """The client's free credit pays parts of receivables. Lock its balance before it is booked."""
    payment = Payment(
        clinic_id=clinic_id,
        id=payment_id,
        client_id=client_id,
        account="",
        livemode=livemode,
        status="succeeded",
        amount=sum(parts.values()),
        currency=currency,
        kind="credit",
        save=False,
        idempotency_key=f"recorded-{payment_id}",
        created_at=now,
        updated_at=now,
        allocations=tuple(Allocation(each, part, "settled", part) for each, part in parts.items()),
        request_key=request_key,
        method=Method(kind="credit"),
        succeeded_at=now,
    )
    postings = ledger.use_credit(parts, currency, client_id)
    return Used(
        payment,
        entry_of(payment, "credit_used", postings, now, payment.idempotency_key),
        tuple(movement_of(payment, each, "credit", part, now) for each, part in parts.items()),
    )


def use_reserved(charged: Payment, parts: Mapping[UUID, int], now: datetime) -> Used:
    """The credit that a payment reserved pays parts of its receivables, now that the payment is charged."""
    used = use(
        clinic_id=charged.clinic_id,
        payment_id=event_id(made_at(charged.id), "credit", charged.id),
        client_id=charged.client_id,
        livemode=charged.livemode,
        currency=charged.currency,
        parts=parts,
        now=now,
    )
    payment = replace(used.payment, idempotency_key=f"credit-{charged.id}")
    postings = ledger.use_credit(parts, charged.currency, charged.client_id, reserved=True)
    entry = entry_of(payment, "credit_used", postings, now, charged.idempotency_key)
    return replace(used, payment=payment, entry=entry)


def reserve(payment: Payment, now: datetime) -> Entry:
    """Set the payment's credit aside. Lock the client's balance before it is booked."""
    postings = ledger.reserve_credit(payment.credit, payment.currency, payment.client_id)
    return entry_of(payment, "credit_reserved", postings, now, payment.idempotency_key)


def release(payment: Payment, used: int, now: datetime) -> Entry | None:
    """Give back what the payment reserves, but for the part that is `used`; None if it reserves no more than that.

    A payment's reservations end once, so this effect is booked once.
    """
    rest = payment.reserved_credit - used
    if not rest:
        return None
    postings = ledger.reserve_credit(-rest, payment.currency, payment.client_id)
    return entry_of(payment, "credit_released", postings, now, payment.idempotency_key)


def settle(receivables: Iterable[Receivable], parts: Mapping[UUID, int]) -> list[Receivable]:
    """The receivables with their parts settled; the others are left out."""
    return [
        replace(each, settled_amount=each.settled_amount + parts[each.id])
        for each in receivables
        if parts.get(each.id)
    ]

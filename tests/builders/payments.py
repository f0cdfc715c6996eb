"""Events about payments."""

from typing import Any, TypeVar
from uuid import UUID

from contracts.events.envelope import Method, event_id
from contracts.events.invoice import InvoiceState
from contracts.events.payment import (
    PaymentCanceled,
    PaymentFailed,
    PaymentProcessing,
    PaymentReversed,
    PaymentSettled,
    PaymentState,
    PaymentSucceeded,
    ReversedShare,
)
from contracts.money import Money
from services.chassis.clock import now
from services.chassis.ids import new_id
from tests.builders.events import TRACEPARENT
from tests.builders.values import money

E = TypeVar("E", bound=PaymentState)
VISA = Method(kind="card", brand="visa", last4="4242")
STATUSES: dict[type[PaymentState], str] = {
    PaymentProcessing: "processing",
    PaymentSucceeded: "succeeded",
    PaymentFailed: "failed",
    PaymentCanceled: "canceled",
}


def a_payment(event: type[E], clinic_id: UUID, *shares: tuple[UUID, Money], **changes: Any) -> E:
    """The state of a payment by card over these (invoice, amount), by the event that reports it."""
    facts: dict[str, Any] = {
        "id": new_id(),
        "time": now(),
        "traceparent": TRACEPARENT,
        "clinic_id": clinic_id,
        "version": 1,
        "payment_id": new_id(),
        "client_id": new_id(),
        "status": STATUSES[event],
        "amount": money(sum(amount.minor for _, amount in shares), shares[0][1].currency),
        "invoices": tuple({"invoice_id": invoice_id, "amount": amount} for invoice_id, amount in shares),
        "method": VISA,
    }
    return event.model_validate(facts | changes)


def a_payment_of(event: type[E], *invoices: InvoiceState, **changes: Any) -> E:
    """The same for the whole total of these invoices of one client."""
    first, shares = invoices[0], [(each.invoice_id, each.total) for each in invoices]
    return a_payment(event, first.clinic_id, *shares, **{"client_id": first.client_id} | changes)


def a_settlement(
    clinic_id: UUID, invoice_id: UUID, amount: Money, *, kind: str = "payment", payment_id: UUID | None = None
) -> PaymentSettled:
    """Money moved against an invoice."""
    time, payment_id = now(), payment_id or new_id()
    movement_id = event_id(time, "payment.settled", payment_id, invoice_id, kind, new_id())
    return PaymentSettled.model_validate(
        {
            "id": movement_id,
            "time": time,
            "clinic_id": clinic_id,
            "movement_id": movement_id,
            "invoice_id": invoice_id,
            "payment_id": payment_id,
            "kind": kind,
            "amount": amount,
            "method": VISA,
        }
    )


def a_reversal(invoice: InvoiceState, amount: Money, due: Money) -> PaymentReversed:
    """Cash for this invoice that was recorded and taken back: `due` is due on it right after."""
    payment_id, time = new_id(), now()
    return PaymentReversed(
        id=event_id(time, "payment.reversed", payment_id),
        time=time,
        clinic_id=invoice.clinic_id,
        payment_id=payment_id,
        client_id=invoice.client_id,
        amount=amount,
        method=Method(kind="cash"),
        invoices=(ReversedShare(invoice_id=invoice.invoice_id, amount=amount, due=due),),
    )

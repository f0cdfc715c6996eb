"""The same inputs each time: from them the real functions make the ids and keys that are kept."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from contracts.events.stripe import StripeEvent
from services.invoice.clinics.domain import Seller
from services.invoice.invoices.domain import Invoice
from services.payment.payments import starting
from services.payment.payments.domain import Payment
from services.payment.receivables.domain import Receivable
from services.payment.refunds.domain import Refund
from services.payment.stripe import observations
from tests.builders.values import eur

AT = datetime(2026, 11, 3, 9, 41, 7, 123456, tzinfo=UTC)
LATER = datetime(2026, 11, 3, 9, 43, 7, 654321, tzinfo=UTC)
INTENT, ACCOUNT = "pi_fixed", "acct_fixed"
DUE = eur(100)


def an_id(number: int) -> UUID:
    return UUID(f"0192f3c4-0000-7000-8000-{number:012d}")


CLINIC, CLIENT, INVOICE, OTHER, PAYMENT, REFUND, DELIVERY, KEY = map(an_id, range(1, 9))


def an_invoice() -> Invoice:
    return Invoice(
        clinic_id=CLINIC,
        id=INVOICE,
        client_id=CLIENT,
        number="2026-000001",
        status="unpaid",
        currency=DUE.currency,
        total_amount=DUE.minor,
        issued_on=date(2026, 11, 3),
        due_on=date(2026, 12, 3),
        seller=Seller(name="Fixed Clinic"),
        locale="en-IE",
        time_zone="Europe/Dublin",
        changed_at=AT,
    )


def a_payment() -> Payment:
    """As it begins, of two invoices."""
    request = starting.PaymentRequest(client_id=CLIENT, shares={INVOICE: DUE, OTHER: DUE}, kind="card")
    return starting.begin(
        request, CLINIC, PAYMENT, account=ACCOUNT, livemode=False, method=None, traceparent=None, now=AT
    )


def payables() -> dict[UUID, Receivable]:
    """Less is open on the second one than the payment brings."""
    return {
        INVOICE: Receivable(CLINIC, INVOICE, CLIENT, DUE.minor, 0, DUE.currency, "unpaid"),
        OTHER: Receivable(CLINIC, OTHER, CLIENT, DUE.minor, DUE.minor // 2, DUE.currency, "part_paid"),
    }


def a_refund() -> Refund:
    return Refund(
        clinic_id=CLINIC,
        id=REFUND,
        client_id=CLIENT,
        payment_id=PAYMENT,
        account=ACCOUNT,
        livemode=False,
        intent_id=INTENT,
        status="created",
        amount=DUE.minor,
        currency=DUE.currency,
        created_at=AT,
        updated_at=AT,
    )


def stripe_says(event_type: str, found: dict[str, Any], account: str | None = ACCOUNT) -> StripeEvent:
    """An event of Stripe's about an object, as the webhook edge reads it."""
    return observations.read_event(
        {
            "id": "evt_fixed",
            "type": event_type,
            "created": int(AT.timestamp()),
            "livemode": False,
            "account": account,
            "data": {"object": found},
        }
    )


def an_intent(status: str) -> dict[str, Any]:
    return {
        "id": INTENT,
        "object": "payment_intent",
        "status": status,
        "amount": 2 * DUE.minor,
        "amount_received": 2 * DUE.minor,
        "currency": "eur",
        "livemode": False,
        "metadata": {"clinic_id": str(CLINIC), "payment_id": str(PAYMENT)},
    }


def a_stripe_refund(status: str) -> dict[str, Any]:
    return {
        "id": "re_fixed",
        "object": "refund",
        "status": status,
        "amount": DUE.minor,
        "currency": "eur",
        "payment_intent": INTENT,
        "metadata": {"clinic_id": str(CLINIC), "refund_id": str(REFUND)},
    }

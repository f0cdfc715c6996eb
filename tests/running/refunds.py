"""Credit that a payment left, the request that refunds it, and the refunds at Stripe."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2

from contracts.events.invoice import InvoiceUpdated
from contracts.events.payment import PaymentRefunded
from contracts.events.stripe import StripeEvent
from contracts.money import Money
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.payment import consumers
from services.payment.refunds import sweep as refunds_sweep
from services.payment.refunds.elsewhere import AtStripe
from tests.builders.callers import a_caller
from tests.builders.events import deliver, outbox_events
from tests.builders.values import eur
from tests.running.payment import PaymentService

CREDIT = eur(25)
PAID = [("client_credit", -2500), ("stripe", 2500)]
SENT = [("client_credit", 0), ("refund_pending", 0), ("stripe", 0)]
BACK = [("client_credit", -2500), ("refund_pending", 0), ("stripe", 2500)]
WAITS = [("client_credit", 0), ("refund_pending", -2500), ("stripe", 2500)]


async def leave_credit(payments: PaymentService, credit: Money = CREDIT, card: str = "pm_card_visa") -> UUID:
    """Pay an invoice that was voided in the other tab: the whole payment is credit."""
    return await pay_what_changed(payments, credit, credit, card, status="void")


async def pay_what_changed(
    payments: PaymentService, paid: Money, due: Money, card: str = "pm_card_visa", **changed: str
) -> UUID:
    """Pay an invoice that was changed in the other tab: the payment's id."""
    invoice = await payments.open_invoice(paid)
    started = await payments.start((invoice, paid))
    await deliver(payments.worker, consumers, payments.invoice(invoice, due, 2, InvoiceUpdated, **changed))
    already = payments.hook.count("payment_intent.succeeded")
    await payments.confirm(started, card)
    await payments.hook.until("payment_intent.succeeded", already + 1)
    await payments.consume()
    return UUID(started.json()["payment_id"])


def staff(payments: PaymentService) -> Caller:
    return a_caller("staff", payments.clinic_id)


async def request_refund(
    payments: PaymentService, key: str | None = None, caller: Caller | None = None, **body: Any
) -> Any:
    """POST /refunds, as the page's button does."""
    asked = {"client_id": str(payments.client_id), "currency": "EUR", **body}
    headers = {"Idempotency-Key": key or str(new_id())}
    return await payments.api.call("POST", "/refunds", caller or staff(payments), json=asked, headers=headers)


async def send_refund(payments: PaymentService, card: str = "pm_card_visa") -> StripeEvent:
    """Leave credit and refund it; returns Stripe's event about the refund, which is not consumed."""
    await leave_credit(payments, card=card)
    await request_refund(payments)
    await payments.hook.until("refund.created")
    return next(event for event in payments.hook.events() if event.event_type == "refund.created")


async def refund_payment(
    payments: PaymentService, of: UUID | None, key: str | None = None, **body: Any
) -> Any:
    """POST /refunds for a payment, also for what it settled."""
    asked = ({"payment_id": str(of)} if of else {}) | body
    headers = {"Idempotency-Key": key or str(new_id())}
    return await payments.api.call("POST", "/refunds", staff(payments), json=asked, headers=headers)


class Untouched(Mapping[UUID, AtStripe]):
    """Stripe's facts about payments that nobody refunded or disputed there."""

    def __getitem__(self, payment_id: UUID) -> AtStripe:
        return AtStripe(refunded=0, disputed=False)

    def __iter__(self) -> Iterator[UUID]:
        return iter(())

    def __len__(self) -> int:
        return 0


async def credit_of(payments: PaymentService) -> Any:
    answer = await payments.api.call("GET", f"/clients/{payments.client_id}/credit", staff(payments))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def at_stripe(payments: PaymentService) -> list[Any]:
    headers = {"Authorization": f"Bearer {payments.sandbox.secret_key}"}
    async with httpx2.AsyncClient(base_url=payments.sandbox.url, headers=headers, trust_env=False) as stripe:
        answer = await stripe.get("/v1/refunds?limit=100")
    refunds: list[Any] = answer.json()["data"]
    return refunds


async def settle_refund(payments: PaymentService, outcome: str) -> None:
    """Give the bank's answer to the only refund, and wait for its webhooks."""
    [refund] = await at_stripe(payments)
    already = payments.hook.count("refund.updated")
    path = f"/accounts/platform/refunds/{refund['id']}/settle"
    await payments.sandbox.control("POST", path, {"outcome": outcome})
    await payments.hook.until("refund.updated", already + 1)


async def refund_events(payments: PaymentService) -> list[PaymentRefunded]:
    return [event for event in await outbox_events(payments.db) if isinstance(event, PaymentRefunded)]


async def fault(payments: PaymentService, kind: str, count: int = 1) -> None:
    await payments.sandbox.control(
        "POST", "/faults/api", {"kind": kind, "method": "POST", "path": "/v1/refunds", "count": count}
    )


async def age_refunds(payments: PaymentService, by: timedelta) -> None:
    await payments.db.admin.execute(
        """
        UPDATE refunds SET created_at = created_at - $1::interval, checked_at = checked_at - $1::interval,
            refunded_at = refunded_at - $1::interval
        """,
        by,
    )


async def sweep(payments: PaymentService) -> None:
    await refunds_sweep.sweep_refunds(payments.worker, payments.stripe, timedelta(0))

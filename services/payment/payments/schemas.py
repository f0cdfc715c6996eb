"""Between the bodies in `contracts.http` and the domain's values."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from contracts import money
from contracts.declines import decline
from contracts.events.envelope import Method
from contracts.events.payment import receipt_number
from contracts.http.common import Money, PaidWith
from contracts.http.payments import (
    OnItsWay,
    PayBySaved,
    PaymentFailure,
    PaymentIn,
    PaymentOut,
    PaymentShareOut,
    PaymentStart,
    kind_of,
)
from services.payment.methods.schemas import consent_of
from services.payment.payments.domain import Payment
from services.payment.payments.starting import PaymentRequest
from services.payment.payments.stripe_calls import Ready
from services.payment.receivables.domain import Receivable


def payment_request(body: PaymentIn, client_id: UUID, request_key: str | None) -> PaymentRequest | None:
    """The payment request in the body; None when it names an invoice twice."""
    shares = {share.invoice_id: share.amount for share in body.invoices}
    if len(shares) < len(body.invoices):
        return None
    deposit, credit = body.deposit, body.credit
    return PaymentRequest(
        client_id=client_id,
        shares={
            receivable_id: money.Money(minor=amount.minor, currency=amount.currency)
            for receivable_id, amount in shares.items()
        },
        kind=kind_of(body.method) if body.method else "credit",
        saved_method_id=body.method.payment_method_id if isinstance(body.method, PayBySaved) else None,
        save=body.save,
        request_key=request_key,
        consent=consent_of(body.consent) if body.consent else None,
        deposit=money.Money(minor=deposit.minor, currency=deposit.currency) if deposit else None,
        credit=money.Money(minor=credit.minor, currency=credit.currency) if credit else None,
    )


def payment_start(ready: Ready) -> PaymentStart:
    """Money that Stripe has, and that is not booked yet, is `processing`."""
    if ready.intent is None:
        return PaymentStart(
            payment_id=ready.payment.id,
            status=ready.payment.status,
            client_secret=None,
            stripe_account=None,
            saved_method=None,
        )
    taken = ready.intent.status in ("succeeded", "processing") and ready.payment.status != "succeeded"
    return PaymentStart(
        payment_id=ready.payment.id,
        status="processing" if taken else ready.payment.status,
        client_secret=ready.intent.client_secret,
        stripe_account=ready.payment.account or None,
        saved_method=ready.saved_method,
    )


def on_its_way(known: Sequence[tuple[Receivable, bool]], seen: Collection[UUID]) -> list[OnItsWay]:
    """The receivables as they are kept, and those of which Stripe alone knows that money is on its way."""
    kept = [
        OnItsWay(
            invoice_id=receivable.id,
            open=Money(receivable.open_amount, receivable.currency),
            processing=processing,
        )
        for receivable, processing in known
        if receivable.id not in seen
    ]
    return [*kept, *(OnItsWay(invoice_id=each, open=None, processing=True) for each in seen)]


def payment_out(
    payment: Payment, *, asked: bool = False, taken: bool = False, reversed_at: datetime | None = None
) -> PaymentOut:
    return PaymentOut(
        id=payment.id,
        status=payment.status,
        amount=Money(payment.amount, payment.currency),
        method=paid_with(payment.method),
        failure=_failure(payment),
        created_at=payment.created_at,
        succeeded_at=payment.succeeded_at,
        invoices=_shares(payment),
        surplus=Money(payment.surplus, payment.currency) if payment.surplus else None,
        version=payment.version,
        credit=_credit(payment.used_credit or payment.reserved_credit, payment),
        asked=asked,
        taken=taken,
        reversed_at=reversed_at,
        reference=receipt_number(payment.id),
        status_at=payment.seen_at or payment.created_at,
    )


def paid_with(method: Method | None) -> PaidWith | None:
    return PaidWith(kind=method.kind, brand=method.brand, last4=method.last4) if method else None


def _failure(payment: Payment) -> PaymentFailure | None:
    code = payment.failure_code if payment.status == "failed" else None
    method = payment.method.kind if payment.method else None
    return PaymentFailure(code=code, message=decline(code, method).reason) if code else None


def _shares(payment: Payment) -> list[PaymentShareOut]:
    settled = payment.status == "succeeded"
    return [
        PaymentShareOut(
            invoice_id=share.receivable_id,
            amount=Money(share.settled_amount if settled else share.amount, payment.currency),
            credit=_credit(share.used_credit_amount if settled else share.credit_amount, payment),
        )
        for share in payment.allocations
    ]


def _credit(amount: int, payment: Payment) -> Money | None:
    return Money(amount, payment.currency) if amount else None

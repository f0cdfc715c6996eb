"""The public API's part about money outside Stripe: recorded payments, credit that is used, counts of cash."""

from uuid import UUID

from litestar import get, post
from litestar.params import FromPath, JSONBody

from contracts.http.common import Page
from contracts.http.outside import ClosingIn, ClosingOut, RecordIn, ReverseIn, UseCreditIn
from contracts.http.payments import PaymentOut
from services.gateway.api.keys.dependencies import CurrentKey, at_clinic
from services.gateway.api.schemas import Cursor, IdempotencyKey, Limit
from services.gateway.upstream.services import InjectedUpstreams


@post("/clinics/{clinic_id:uuid}/payments", summary="Record a payment")
async def record_payment(
    clinic_id: FromPath[UUID],
    data: JSONBody[RecordIn],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    upstreams: InjectedUpstreams,
) -> PaymentOut:
    """Money that the clinic took itself: `cash`, `terminal`, `bank_transfer` or `insurer`. The client gets a receipt.

    `invoices` divides it; left out, the invoices that are due first are paid first, and a rest is the client's credit.
    404 `client_not_found`, `payable_not_found`. 409 `already_paid`, `amount_changed` (field `open`). 422
    `received_in_the_future`, `received_too_long_ago`, `wrong_amount`, `unknown_currency`, `invoice_named_twice`,
    `card_number_refused`, `idempotency_key_reused`. 503 `payable_unknown` for an invoice that was issued a moment ago.
    """
    caller = at_clinic(key, clinic_id)
    await upstreams.client(caller, data.client_id)
    return await upstreams.record_payment(caller, data, idempotency_key)


@post("/clinics/{clinic_id:uuid}/payments/{payment_id:uuid}/reverse", summary="Take a recorded payment back")
async def reverse_payment(
    clinic_id: FromPath[UUID],
    payment_id: FromPath[UUID],
    data: JSONBody[ReverseIn],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    upstreams: InjectedUpstreams,
) -> PaymentOut:
    """Its invoices are due again. For money that was recorded and never came; Stripe's money goes back by a refund.

    404 `payment_not_found`. 409 `payment_not_recorded`, `already_reversed`, `credit_overdrawn`. 422 `invalid_text`,
    `card_number_refused`, `idempotency_key_reused`.
    """
    return await upstreams.reverse_payment(at_clinic(key, clinic_id), payment_id, data, idempotency_key)


@post("/clinics/{clinic_id:uuid}/credit-uses", summary="Pay invoices with a client's credit")
async def use_credit(
    clinic_id: FromPath[UUID],
    data: JSONBody[UseCreditIn],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    upstreams: InjectedUpstreams,
) -> PaymentOut:
    """No card is charged, and no receipt is sent. Without `invoices` the invoices that are due first are paid first.

    404 `client_not_found`, `payable_not_found`. 409 `no_credit_to_use`, `credit_overdrawn`, `already_paid`,
    `amount_changed` (field `open`). 422 `wrong_amount`, `invoice_named_twice`, `idempotency_key_reused`. 503
    `payable_unknown` for an invoice that was issued a moment ago.
    """
    caller = at_clinic(key, clinic_id)
    await upstreams.client(caller, data.client_id)
    return await upstreams.use_credit(caller, data, idempotency_key)


@post("/clinics/{clinic_id:uuid}/cash-closings", summary="Count a location's cash")
async def close_cash(
    clinic_id: FromPath[UUID],
    data: JSONBody[ClosingIn],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    upstreams: InjectedUpstreams,
) -> ClosingOut:
    """`expected` is the cash recorded there since the last count, less what was taken back. A difference is booked.

    422 `unknown_currency`, `invalid_text`, `card_number_refused`, `idempotency_key_reused`.
    """
    caller = at_clinic(key, clinic_id)
    await upstreams.clinic(caller)
    return await upstreams.close_cash(caller, data, idempotency_key)


@get("/clinics/{clinic_id:uuid}/cash-closings", summary="List counts of cash")
async def list_cash_closings(
    clinic_id: FromPath[UUID],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Page[ClosingOut]:
    """Newest first."""
    caller = at_clinic(key, clinic_id)
    await upstreams.clinic(caller)
    return await upstreams.cash_closings(caller, cursor, limit)


outside_routes = [record_payment, reverse_payment, use_credit, close_cash, list_cash_closings]

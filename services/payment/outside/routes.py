"""Money outside Stripe over HTTP."""

from typing import Annotated
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter, RawBody

from contracts.http.common import Page
from contracts.http.outside import ClosingIn, ClosingOut, RecordIn, ReverseIn, UseCreditIn
from contracts.http.payments import PaymentOut
from services.chassis import clock
from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller, staff
from services.chassis.http.parameters import ids_in
from services.payment.outside import actions, schemas, store
from services.payment.payments import reads
from services.payment.payments.domain import Payment
from services.payment.payments.schemas import payment_out
from services.payment.stripe.api import StripeApi

Tx = NamedDependency[Connection]
Limit = Annotated[int, QueryParameter(ge=1, le=100)]
IdempotencyKey = Annotated[
    str | None, HeaderParameter(name="Idempotency-Key", required=True, pattern=r"^[\x21-\x7e]{1,255}$")
]


@post("/payments/recorded", guards=[staff])
async def record_payment(
    data: JSONBody[RecordIn],
    body: RawBody,
    caller: NamedDependency[Caller],
    tx: Tx,
    stripe: NamedDependency[StripeApi],
    idempotency_key: IdempotencyKey = None,
    issued: FromQuery[str] = "",
    client_known: FromQuery[bool] = False,
) -> PaymentOut:
    """Book money that the clinic took outside Stripe. `issued` are the client's newest invoices, between commas.
    `client_known`: the gateway has looked the client up at the clinic.

    409 `already_paid`, `amount_changed`; 422 `received_in_the_future`, `received_too_long_ago`,
    `wrong_amount`, `card_number_refused`; 503 `payable_unknown` for an invoice that was issued a moment ago.
    """
    taken, origin = schemas.taken(data, clock.now()), schemas.origin(data)
    newest = ids_in("issued", issued)
    made = await actions.record(
        tx,
        caller,
        taken,
        origin,
        stripe.livemode,
        key=idempotency_key,
        body=body,
        issued=newest,
        client_known=client_known,
    )
    return await _shown(tx, made)


async def _shown(tx: Connection, payment: Payment) -> PaymentOut:
    """The payment as it is now; a request sent again may find it taken back."""
    return payment_out(payment, reversed_at=(await reads.list_reversals(tx, [payment])).get(payment.id))


@post("/payments/{payment_id:uuid}/reverse", guards=[staff])
async def reverse_payment(
    payment_id: FromPath[UUID],
    data: JSONBody[ReverseIn],
    body: RawBody,
    caller: NamedDependency[Caller],
    tx: Tx,
    idempotency_key: IdempotencyKey = None,
) -> PaymentOut:
    """Take a recorded payment back.

    409 `payment_not_recorded`, `already_reversed`, `credit_overdrawn`; 422 `card_number_refused`.
    """
    undone = await actions.take_back(tx, caller, payment_id, data.reason, key=idempotency_key, body=body)
    return await _shown(tx, undone)


@post("/credit/uses", guards=[staff])
async def use_credit(
    data: JSONBody[UseCreditIn],
    body: RawBody,
    caller: NamedDependency[Caller],
    tx: Tx,
    stripe: NamedDependency[StripeApi],
    idempotency_key: IdempotencyKey = None,
    issued: FromQuery[str] = "",
    client_known: FromQuery[bool] = False,
) -> PaymentOut:
    """Pay invoices with a client's credit. 409 `no_credit_to_use`, `credit_overdrawn`, `amount_changed`.

    `issued` are the client's newest invoices, between commas. `client_known`: the gateway has looked the client up.
    """
    wanted, newest = schemas.credit(data), ids_in("issued", issued)
    made = await actions.use_credit(
        tx,
        caller,
        wanted,
        stripe.livemode,
        key=idempotency_key,
        body=body,
        issued=newest,
        client_known=client_known,
    )
    return payment_out(made)


@post("/cash-closings", guards=[staff])
async def close_cash(
    data: JSONBody[ClosingIn],
    body: RawBody,
    caller: NamedDependency[Caller],
    tx: Tx,
    idempotency_key: IdempotencyKey = None,
) -> ClosingOut:
    """Count the cash of a location. A difference is booked."""
    closed = await actions.close_cash(tx, caller, schemas.count(data), key=idempotency_key, body=body)
    return schemas.closing_out(closed)


@get("/cash-closings", guards=[staff])
async def list_closings(
    caller: NamedDependency[Caller], tx: Tx, cursor: FromQuery[UUID | None] = None, limit: Limit = 20
) -> Page[ClosingOut]:
    """Counts of cash, newest first."""
    found = await store.list_closings(tx, caller.clinic, None, cursor, limit + 1)
    shown = [schemas.closing_out(row) for row in found[:limit]]
    return Page(items=shown, next=str(shown[-1].id) if len(found) > limit else None)


ALL = [record_payment, reverse_payment, use_credit, close_cash, list_closings]

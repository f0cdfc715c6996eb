"""Payments over HTTP. The internal token names the caller: role, clinic, and the client if it is one."""

from functools import partial
from typing import Annotated
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter

from contracts.http.common import Page
from contracts.http.payments import REFERENCE, OnItsWay, PaymentIn, PaymentOut, PaymentStart
from services.chassis.db.database import Connection, Database
from services.chassis.errors import DomainError, refusing
from services.chassis.http.auth import Caller, client
from services.payment.payments import actions, looks, reads, schemas, stripe_calls
from services.payment.payments.domain import PaymentNotFound
from services.payment.payments.starting import ClientLimits
from services.payment.stripe.api import StripeApi
from services.payment.stripe.budget import starting

Tx = NamedDependency[Connection]
Limit = Annotated[int, QueryParameter(ge=1, le=100)]
IdempotencyKey = Annotated[
    str | None, HeaderParameter(name="Idempotency-Key", required=False, pattern=r"^[\x21-\x7e]{1,255}$")
]


class InvoiceNamedTwice(DomainError):
    code = "invoice_named_twice"
    status = 422


@post("/payments", guards=[client])
async def start_payment(
    data: JSONBody[PaymentIn],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    stripe: NamedDependency[StripeApi],
    limits: NamedDependency[ClientLimits],
    idempotency_key: IdempotencyKey = None,
) -> Response[PaymentStart]:
    """Start paying invoices, or go on with the live payment of the same choice (200); another one is canceled.

    429 `too_many_declines` after a burst of declined cards, 429 `too_many_starts` after a burst of calls.
    """
    request = schemas.payment_request(data, caller.subject, idempotency_key)
    if request is None:
        raise InvoiceNamedTwice("Name each invoice once.")
    with refusing(invoice_ids=list(map(str, request.shares))), starting():
        async with db.tx(caller.clinic) as tx:
            await actions.check_limits(tx, caller.clinic, caller.subject, limits)
        ready = await stripe_calls.start(partial(db.tx, caller.clinic), stripe, caller.clinic, request)
    return Response(schemas.payment_start(ready), status_code=201 if ready.is_new else 200)


@get("/payments/{payment_id:uuid}")
async def get_payment(
    payment_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    stripe: NamedDependency[StripeApi],
    ask: FromQuery[bool] = False,
) -> PaymentOut:
    """A payment; another client's is not found. With `ask`, it is shown as Stripe has it now."""
    transaction = partial(db.tx, caller.clinic)
    async with transaction() as tx:
        payment = await reads.get_payment(tx, _own(caller), payment_id)
        if payment is None:
            raise PaymentNotFound("There is no such payment.")
        reversed_at = (await reads.list_reversals(tx, [payment])).get(payment.id)
    if not ask:
        return schemas.payment_out(payment, reversed_at=reversed_at)
    look = await looks.look_at(transaction, stripe, payment)
    return schemas.payment_out(look.payment, asked=look.asked, taken=look.taken, reversed_at=reversed_at)


@get("/payments/on-its-way", guards=[client])
async def list_on_its_way(
    caller: NamedDependency[Caller], db: NamedDependency[Database], stripe: NamedDependency[StripeApi]
) -> list[OnItsWay]:
    """The client's open invoices for which money is on its way, or taken and perhaps not booked there yet.

    Stripe is asked first about payments that may have been confirmed without our hearing of it.
    """
    transaction = partial(db.tx, caller.clinic)
    known, seen = await looks.list_on_its_way(transaction, stripe, caller.subject)
    return schemas.on_its_way(known, seen)


@get("/payments")
async def list_payments(
    caller: NamedDependency[Caller],
    tx: Tx,
    invoice_id: FromQuery[UUID | None] = None,
    reference: Annotated[str | None, QueryParameter(pattern=REFERENCE)] = None,
    cursor: FromQuery[UUID | None] = None,
    limit: Limit = 20,
) -> Page[PaymentOut]:
    """Payments, newest first; clients see their own alone. `reference` is the number of a receipt."""
    found = await reads.list_payments(tx, _own(caller), invoice_id, cursor, limit + 1, reference)
    shown = found[:limit]
    following = str(shown[-1].id) if len(found) > limit else None
    reversals = await reads.list_reversals(tx, shown)
    items = [schemas.payment_out(payment, reversed_at=reversals.get(payment.id)) for payment in shown]
    return Page(items=items, next=following)


def _own(caller: Caller) -> UUID | None:
    """The client who may see its own rows alone; None for a caller who sees the whole clinic."""
    return caller.subject if caller.role == "client" else None


ALL = [start_payment, list_on_its_way, get_payment, list_payments]

"""Credit and its refunds over HTTP."""

from functools import partial
from typing import Annotated
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody, RawBody

from contracts.http.credit import CreditOut, RefundIn, RefundsOut
from services.chassis.db.database import Connection, Database
from services.chassis.http.auth import Caller, staff
from services.payment.refunds import actions as refunds_actions
from services.payment.refunds import schemas
from services.payment.refunds import stripe_calls as refunds_stripe
from services.payment.stripe.api import StripeApi

Tx = NamedDependency[Connection]
Stripe = NamedDependency[StripeApi]
IdempotencyKey = Annotated[
    str | None, HeaderParameter(name="Idempotency-Key", required=True, pattern=r"^[\x21-\x7e]{1,255}$")
]


@get("/clients/{client_id:uuid}/credit")
async def get_client_credit(
    client_id: FromPath[UUID], caller: NamedDependency[Caller], tx: Tx, stripe: Stripe
) -> CreditOut:
    """A client's credit, what of it can be refunded, and its refunds; clients see their own alone.

    404 `client_not_found` for one who never paid here, when staff ask.
    """
    return schemas.credit_out(await refunds_actions.read_credit(tx, caller, client_id, stripe.livemode))


@post("/refunds", guards=[staff])
async def refund_credit(
    data: JSONBody[RefundIn],
    body: RawBody,
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    stripe: Stripe,
    idempotency_key: IdempotencyKey = None,
) -> Response[RefundsOut]:
    """Send a client's credit back to the payments that left it. The same key with the same body is the same refund.

    409 `nothing_to_refund`, `refund_too_large`, `refunded_at_stripe`, `charge_disputed`, `credit_overdrawn`. A refund
    that Stripe has not answered for is `created`: it goes on by itself.
    """
    transaction = partial(db.tx, caller.clinic)
    made = await refunds_stripe.start(
        transaction, stripe, caller, schemas.refund_request(data), key=idempotency_key, body=body
    )
    sent = await refunds_stripe.send(transaction, stripe, caller.clinic, made)
    return Response(schemas.refunds_out(sent), status_code=201)


ALL = [get_client_credit, refund_credit]

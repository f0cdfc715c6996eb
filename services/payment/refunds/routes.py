"""Credit and its refunds over HTTP."""

from functools import partial
from typing import Annotated
from uuid import UUID

from litestar import Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody, RawBody

from contracts.http.credit import ApprovalIn, CreditOut, RefundIn, RefundRulesBody, RefundsOut
from contracts.http.held import HeldActsOut, PreviewOut
from services.chassis.db.database import Connection, Database
from services.chassis.holding import held_out
from services.chassis.http.auth import Caller, operator, staff
from services.payment.refunds import actions as refunds_actions
from services.payment.refunds import approvals, schemas
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
async def make_refunds(
    data: JSONBody[RefundIn],
    body: RawBody,
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    stripe: Stripe,
    idempotency_key: IdempotencyKey = None,
) -> Response[RefundsOut | HeldActsOut]:
    """Give back a payment, or a client's credit. The same key with the same body is the same refund.

    409 `nothing_to_refund`, `refund_too_large`, `refunded_at_stripe`, `charge_disputed`, `credit_overdrawn`,
    `refund_limit_reached`; 422 `unclear_refund`. A refund that Stripe has not answered for is `created`: it goes on by
    itself. 202 with a held act for each refund in a clinic with `undo_hours`.
    """
    transaction = partial(db.tx, caller.clinic)
    made = await refunds_stripe.start(
        transaction, stripe, caller, schemas.refund_request(data), key=idempotency_key, body=body
    )
    sent = await refunds_stripe.send(transaction, stripe, caller.clinic, made)
    acts = [refund.act_id for refund in sent if refund.act_id is not None]
    if len(acts) < len(sent):
        return Response(schemas.refunds_out(sent), status_code=201)
    async with transaction() as tx:
        held = await refunds_actions.read_acts(tx, caller.clinic, acts)
    return Response(HeldActsOut(held_acts=[held_out(act) for act in held]), status_code=202)


@post("/refunds/preview", guards=[staff], status_code=200)
async def preview_refunds(
    data: JSONBody[RefundIn],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    stripe: Stripe,
) -> PreviewOut:
    """The effect that the same call without `/preview` would have now. It changes nothing, and is refused alike."""
    transaction = partial(db.tx, caller.clinic)
    return await refunds_stripe.preview(transaction, stripe, caller, schemas.refund_request(data))


@put("/refunds/{refund_id:uuid}/approval", guards=[staff])
async def put_approval(
    refund_id: FromPath[UUID],
    data: JSONBody[ApprovalIn],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    stripe: Stripe,
) -> RefundsOut:
    """Let a refund begin that waits, or cancel it. Another login or key than the one that asked has to approve.

    In a clinic with `undo_hours` an approved refund is `held` for so long.
    404 `refund_not_found`; 409 `approval_by_another`, `not_awaiting_approval`, `charge_disputed`.
    """
    transaction = partial(db.tx, caller.clinic)
    decide = approvals.approve_refund if data.approved else approvals.reject_refund
    async with transaction() as tx:
        decided = await decide(tx, caller, refund_id)
    return schemas.refunds_out(await refunds_stripe.send(transaction, stripe, caller.clinic, decided))


@get("/refund-rules", guards=[staff])
async def get_refund_rules(caller: NamedDependency[Caller], tx: Tx) -> RefundRulesBody:
    """How much one may give back in 24 hours, and above which sum another one has to approve."""
    return schemas.rules_out(await refunds_actions.read_rules(tx, caller))


@put("/refund-rules", guards=[operator])
async def put_refund_rules(
    data: JSONBody[RefundRulesBody], caller: NamedDependency[Caller], tx: Tx
) -> RefundRulesBody:
    """Set the clinic's rules of refunds whole. Refunds that wait for approval go on waiting."""
    return schemas.rules_out(await refunds_actions.put_rules(tx, caller, schemas.rules(data)))


ALL = [get_client_credit, make_refunds, preview_refunds, put_approval, get_refund_rules, put_refund_rules]

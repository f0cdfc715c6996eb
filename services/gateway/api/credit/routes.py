"""The public API's part about credit: a client's credit, and the call that refunds it."""

from uuid import UUID

from litestar import Response, get, post, put
from litestar.params import FromPath, JSONBody

from contracts.http.credit import ApprovalIn, CreditOut, RefundIn, RefundRulesBody, RefundsOut
from contracts.http.held import PreviewOut
from services.gateway.api.credit import actions
from services.gateway.api.held.schemas import HELD_REFUNDS, made_or_held
from services.gateway.api.keys.dependencies import CurrentKey, as_operator, at_clinic
from services.gateway.api.schemas import IdempotencyKey
from services.gateway.upstream.services import InjectedUpstreams


@get("/clinics/{clinic_id:uuid}/clients/{client_id:uuid}/credit", summary="Get a client's credit")
async def get_client_credit(
    clinic_id: FromPath[UUID], client_id: FromPath[UUID], key: CurrentKey, upstreams: InjectedUpstreams
) -> CreditOut:
    """The client's credit, how much of it can be refunded, and the newest fifty refunds."""
    return await actions.get_credit(upstreams, at_clinic(key, clinic_id), client_id)


@post(
    "/clinics/{clinic_id:uuid}/refunds",
    summary="Refund a payment, or a client's credit",
    responses=HELD_REFUNDS,
)
async def create_refund(
    clinic_id: FromPath[UUID],
    data: JSONBody[RefundIn],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    upstreams: InjectedUpstreams,
) -> Response[RefundsOut]:
    """Gives back a payment (`payment_id` alone), or a client's credit (`client_id`, `currency`).

    409 `nothing_to_refund`, `refund_too_large` and `refunded_at_stripe` (field `refundable`), `charge_disputed`,
    `refund_limit_reached`. 422 `unclear_refund`; `idempotency_key_reused` for a key with another body. A refund without
    an answer of the payment system yet is `created`, and continues by itself; one that waits is `awaiting_approval`.
    """
    return made_or_held(
        await actions.refund_credit(upstreams, at_clinic(key, clinic_id), data, idempotency_key)
    )


@post("/clinics/{clinic_id:uuid}/refunds/preview", summary="Preview a refund", status_code=200)
async def preview_refund(
    clinic_id: FromPath[UUID], data: JSONBody[RefundIn], key: CurrentKey, upstreams: InjectedUpstreams
) -> PreviewOut:
    """The effect that the refund would have now. It changes nothing, and is refused as the refund is.

    `refunds` has one for each payment that money goes back to. `awaits_approval`: another key has to approve it first.
    """
    return await actions.preview_refund(upstreams, at_clinic(key, clinic_id), data)


@put("/clinics/{clinic_id:uuid}/refunds/{refund_id:uuid}/approval", summary="Approve a refund, or cancel it")
async def put_approval(
    clinic_id: FromPath[UUID],
    refund_id: FromPath[UUID],
    data: JSONBody[ApprovalIn],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
) -> RefundsOut:
    """For a refund that is `awaiting_approval`: another key than the one that asked for it has to approve.
    In a clinic with `undo_hours` it is then `held`. With `approved` false it is canceled, by any key.

    404 `refund_not_found`; 409 `approval_by_another`, `not_awaiting_approval`, `charge_disputed`.
    """
    return await upstreams.decide_refund(at_clinic(key, clinic_id), refund_id, data)


@get("/clinics/{clinic_id:uuid}/refund-rules", summary="Get a clinic's rules of refunds")
async def get_refund_rules(
    clinic_id: FromPath[UUID], key: CurrentKey, upstreams: InjectedUpstreams
) -> RefundRulesBody:
    """How much one key may give back in 24 hours, and above which sum another one has to approve."""
    caller = at_clinic(key, clinic_id)
    await upstreams.clinic(caller)
    return await upstreams.refund_rules(caller)


@put("/clinics/{clinic_id:uuid}/refund-rules", summary="Set a clinic's rules of refunds")
async def put_refund_rules(
    clinic_id: FromPath[UUID],
    data: JSONBody[RefundRulesBody],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
) -> RefundRulesBody:
    """Operators only. The rules whole: what is left out has no limit."""
    caller = as_operator(key, clinic_id)
    await upstreams.clinic(caller)
    return await upstreams.put_refund_rules(caller, data)


credit_routes = [
    get_client_credit,
    create_refund,
    preview_refund,
    put_approval,
    get_refund_rules,
    put_refund_rules,
]

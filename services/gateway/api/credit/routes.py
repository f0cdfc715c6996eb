"""The public API's part about credit: a client's credit, and the call that refunds it."""

from uuid import UUID

from litestar import get, post
from litestar.params import FromPath, JSONBody

from contracts.http.credit import CreditOut, RefundIn, RefundsOut
from services.gateway.api.credit import actions
from services.gateway.api.keys.dependencies import CurrentKey, at_clinic
from services.gateway.api.schemas import IdempotencyKey
from services.gateway.upstream.services import InjectedUpstreams


@get("/clinics/{clinic_id:uuid}/clients/{client_id:uuid}/credit", summary="Get a client's credit")
async def get_client_credit(
    clinic_id: FromPath[UUID], client_id: FromPath[UUID], key: CurrentKey, upstreams: InjectedUpstreams
) -> CreditOut:
    """The client's credit, how much of it can be refunded, and the newest fifty refunds."""
    return await actions.get_credit(upstreams, at_clinic(key, clinic_id), client_id)


@post("/clinics/{clinic_id:uuid}/refunds", summary="Refund a client's credit")
async def create_refund(
    clinic_id: FromPath[UUID],
    data: JSONBody[RefundIn],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    upstreams: InjectedUpstreams,
) -> RefundsOut:
    """Refunds credit to the payments that it came from, and no other money.

    409 `nothing_to_refund`, `refund_too_large` and `refunded_at_stripe` (field `refundable`), `charge_disputed`.
    422 `idempotency_key_reused` for a key with
    another body. A refund without an answer of the payment system yet is `created`, and continues by itself.
    """
    return await upstreams.refund(at_clinic(key, clinic_id), data, idempotency_key)


credit_routes = [get_client_credit, create_refund]

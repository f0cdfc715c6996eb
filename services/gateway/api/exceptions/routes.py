"""The public API's part about exceptions: list them, and settle one."""

from uuid import UUID

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody

from contracts.http.common import Page
from contracts.http.exceptions import ExceptionOut, SettleIn
from services.gateway.api.exceptions import actions
from services.gateway.api.keys.dependencies import CurrentKey, at_clinic
from services.gateway.api.schemas import IdempotencyKey, Limit
from services.gateway.upstream.services import InjectedUpstreams


@get("/clinics/{clinic_id:uuid}/exceptions", summary="List what a person must settle")
async def list_exceptions(
    clinic_id: FromPath[UUID],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
    settled: FromQuery[bool] = False,
    cursor: FromQuery[UUID | None] = None,
    limit: Limit = 20,
) -> Page[ExceptionOut]:
    """All that could not be booked without a person, newest first: the open ones, or with `settled=true` the settled.

    Each has its likely cause as a code, and the ways in which it can be settled.
    """
    return await actions.list_exceptions(upstreams, at_clinic(key, clinic_id), settled, cursor, limit)


@post(
    "/clinics/{clinic_id:uuid}/exceptions/{exception_id:uuid}/settle",
    summary="Settle an exception",
    status_code=200,
)
async def settle_exception(
    clinic_id: FromPath[UUID],
    exception_id: FromPath[UUID],
    data: JSONBody[SettleIn],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    upstreams: InjectedUpstreams,
) -> ExceptionOut:
    """Settles an exception in one of its `ways`; again in the same way, it stays as it is.

    404 `exception_not_found`. 409 `already_settled`: in another way (field `settled_how`). 422 `settlement_unknown`:
    field `allowed` has the ways.
    """
    return await actions.settle(upstreams, at_clinic(key, clinic_id), exception_id, data, idempotency_key)


exception_routes = [list_exceptions, settle_exception]

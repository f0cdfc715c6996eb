"""The public API's part about payments: how they are found."""

from typing import Annotated
from uuid import UUID

from litestar import get
from litestar.params import FromPath, FromQuery, QueryParameter

from contracts.http.common import Page
from contracts.http.payments import REFERENCE, PaymentOut
from services.gateway.api.keys.dependencies import CurrentKey, at_clinic
from services.gateway.api.schemas import Cursor, Limit
from services.gateway.upstream.services import InjectedUpstreams


@get("/clinics/{clinic_id:uuid}/payments", summary="List payments, or find one by its reference")
async def list_payments(
    clinic_id: FromPath[UUID],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
    reference: Annotated[str | None, QueryParameter(pattern=REFERENCE)] = None,
    invoice_id: FromQuery[UUID | None] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Page[PaymentOut]:
    """Newest first: a client's charges through Stripe, recorded payments, and uses of credit.

    `reference` is the number that the client reads on the payment's page and on its receipt, such as `R-04C11D2A9F`;
    `invoice_id` leaves the payments of one invoice.
    """
    caller = at_clinic(key, clinic_id)
    await upstreams.clinic(caller)
    return await upstreams.payments(caller, invoice_id, reference=reference, cursor=cursor, limit=limit)


payment_routes = [list_payments]

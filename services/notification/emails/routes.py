"""E-mails and their outcomes over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from contracts.http.common import Page
from contracts.http.contacts import DeliveryOut, ReceiptOut
from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller, staff
from services.notification.emails import store
from services.notification.emails.domain import ReceiptNotFound


@get("/deliveries", guards=[staff])
async def list_deliveries(
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
    client_id: FromQuery[UUID | None] = None,
    cursor: FromQuery[UUID | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
) -> Page[DeliveryOut]:
    """A clinic's e-mails, newest first, each with its state."""
    rows = await store.list_deliveries(tx, caller.clinic, client_id, cursor, limit + 1)
    items = [DeliveryOut(**row) for row in rows[:limit]]
    return Page(items=items, next=str(items[-1].id) if len(rows) > limit else None)


@get("/receipts/{payment_id:uuid}")
async def get_receipt(
    payment_id: FromPath[UUID], caller: NamedDependency[Caller], tx: NamedDependency[Connection]
) -> ReceiptOut:
    """The state of a payment's receipt; clients see their own alone. 404 `receipt_not_found`, also once deleted."""
    own = caller.subject if caller.role == "client" else None
    row = await store.get_receipt(tx, caller.clinic, own, payment_id)
    if row is None:
        raise ReceiptNotFound("No receipt of this payment is kept.")
    return ReceiptOut(**row)


ALL: list[Any] = [list_deliveries, get_receipt]

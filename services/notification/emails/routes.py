"""E-mails and their outcomes over HTTP."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from contracts.vocabulary import DeliveryState
from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller, staff
from services.notification.emails import store


class DeliveryOut(msgspec.Struct):
    """An e-mail. `subject_id` is its invoice or payment; `last_error` an SMTP code or a reason in one word."""

    id: UUID
    client_id: UUID
    template: str
    subject_id: UUID
    state: DeliveryState
    attempts: int
    last_error: str | None
    created_at: datetime
    sent_at: datetime | None
    next_attempt_at: datetime | None


class Deliveries(msgspec.Struct):
    items: list[DeliveryOut]
    next: str | None


@get("/deliveries", guards=[staff])
async def list_deliveries(
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
    client_id: FromQuery[UUID | None] = None,
    cursor: FromQuery[UUID | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
) -> Deliveries:
    """A clinic's e-mails, newest first, each with its state."""
    rows = await store.list_deliveries(tx, caller.clinic, client_id, cursor, limit + 1)
    items = [DeliveryOut(**row) for row in rows[:limit]]
    return Deliveries(items, str(items[-1].id) if len(rows) > limit else None)


ALL: list[Any] = [list_deliveries]

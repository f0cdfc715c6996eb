"""Disputes over HTTP."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from contracts.http.common import Page
from contracts.http.disputes import DisputeOut
from contracts.vocabulary import DisputeStatus
from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller, staff
from services.payment.disputes import reads, schemas
from services.payment.disputes.domain import DisputeNotFound

Tx = NamedDependency[Connection]
Limit = Annotated[int, QueryParameter(ge=1, le=100)]


@get("/disputes", guards=[staff])
async def list_disputes(
    caller: NamedDependency[Caller],
    tx: Tx,
    status: FromQuery[DisputeStatus | None] = None,
    due_before: FromQuery[datetime | None] = None,
    cursor: FromQuery[UUID | None] = None,
    limit: Limit = 20,
) -> Page[DisputeOut]:
    """The clinic's disputes by the deadline of evidence, the nearest first. Times without offset are UTC."""
    due = schemas.with_zone(due_before)
    found = await reads.list_disputes(tx, caller.clinic, status, due, cursor, limit + 1)
    return schemas.disputes_out(found, limit)


@get("/disputes/{dispute_id:uuid}", guards=[staff])
async def get_dispute(dispute_id: FromPath[UUID], caller: NamedDependency[Caller], tx: Tx) -> DisputeOut:
    """A dispute of the clinic's. 404 `dispute_not_found`."""
    found = await reads.get_dispute(tx, caller.clinic, dispute_id)
    if found is None:
        raise DisputeNotFound("The clinic has no dispute with this id.")
    return schemas.dispute_out(found)


ALL = [list_disputes, get_dispute]

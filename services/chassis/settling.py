"""Exceptions over HTTP: a service's routes that list them and settle one."""

from typing import Annotated, Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from contracts.http.common import Page
from contracts.http.exceptions import ExceptionOut, SettleIn
from services.chassis import exceptions
from services.chassis.db.database import Connection
from services.chassis.exceptions import Exceptional, Ways
from services.chassis.http.auth import Caller, staff


def settling_routes(ways: Ways) -> list[Any]:
    """`GET /exceptions` and `POST /exceptions/{id}/settle`, for kinds that are settled in these ways."""

    @get("/exceptions", guards=[staff])
    async def list_exceptions(
        caller: NamedDependency[Caller],
        tx: NamedDependency[Connection],
        settled: FromQuery[bool] = False,
        cursor: FromQuery[UUID | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
    ) -> Page[ExceptionOut]:
        """A clinic's exceptions, newest first: the open ones, or the settled."""
        found = await exceptions.list_exceptions(
            tx, caller.clinic, settled=settled, before=cursor, limit=limit + 1
        )
        items = [_out(each, ways) for each in found[:limit]]
        return Page(items=items, next=str(items[-1].id) if len(found) > limit else None)

    @post("/exceptions/{exception_id:uuid}/settle", guards=[staff], status_code=200)
    async def settle_exception(
        exception_id: FromPath[UUID],
        data: JSONBody[SettleIn],
        caller: NamedDependency[Caller],
        tx: NamedDependency[Connection],
    ) -> ExceptionOut:
        """Settle an exception in one of its ways. To settle it again in the same way changes nothing.

        404 `exception_not_found`, 409 `already_settled`, 422 `settlement_unknown`, and what the way itself refuses.
        """
        return _out(await exceptions.settle(tx, caller, exception_id, data.how, ways), ways)

    return [list_exceptions, settle_exception]


def _out(exception: Exceptional, ways: Ways) -> ExceptionOut:
    return ExceptionOut(
        id=exception.id,
        kind=exception.kind,
        subject_id=exception.subject_id,
        cause=exception.cause,
        detail=dict(exception.detail),
        created_at=exception.created_at,
        ways=sorted(exceptions.ways_of(exception.kind, ways)),
        settled_at=exception.settled_at,
        settled_by=exception.settled_by,
        settled_how=exception.settled_how,
    )

"""Exceptions of the services that book: invoice and payment."""

import asyncio
from uuid import UUID

from contracts.http.common import Page
from contracts.http.exceptions import ExceptionOut, SettleIn
from services.chassis.http.auth import Caller
from services.gateway.upstream.pages import newest_first
from services.gateway.upstream.services import BOOKING, Upstreams, in_its_service


async def list_exceptions(
    upstreams: Upstreams, caller: Caller, settled: bool, cursor: UUID | None, limit: int
) -> Page[ExceptionOut]:
    """One list of both services."""
    pages = await asyncio.gather(
        *(upstreams.exceptions(caller, service, settled, cursor, limit) for service in BOOKING)
    )
    return newest_first(pages, limit)


async def settle(
    upstreams: Upstreams, caller: Caller, exception_id: UUID, body: SettleIn, key: str
) -> ExceptionOut:
    """Settle it in the service that has it."""
    return await in_its_service(
        lambda service: upstreams.settle_exception(caller, service, exception_id, body, key),
        "exception_not_found",
    )

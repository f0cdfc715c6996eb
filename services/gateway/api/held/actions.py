"""Held acts of the services that book: invoice and payment."""

import asyncio
from uuid import UUID

from contracts.http.common import Page
from contracts.http.held import HeldActOut
from services.chassis.http.auth import Caller
from services.gateway.upstream.pages import newest_first
from services.gateway.upstream.services import BOOKING, Upstreams, in_its_service


async def list_held_acts(
    upstreams: Upstreams, caller: Caller, ended: bool, cursor: UUID | None, limit: int
) -> Page[HeldActOut]:
    """One list of both services."""
    pages = await asyncio.gather(
        *(upstreams.held_acts(caller, service, ended, cursor, limit) for service in BOOKING)
    )
    return newest_first(pages, limit)


async def undo(upstreams: Upstreams, caller: Caller, act_id: UUID) -> HeldActOut:
    """Undo it in the service that has it."""
    return await in_its_service(
        lambda service: upstreams.undo_held_act(caller, service, act_id), "held_act_not_found"
    )

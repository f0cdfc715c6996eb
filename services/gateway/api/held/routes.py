"""The public API's part about held acts: list them, and undo one."""

from uuid import UUID

from litestar import get, post
from litestar.params import FromPath, FromQuery

from contracts.http.common import Page
from contracts.http.held import HeldActOut
from services.gateway.api.held import actions
from services.gateway.api.keys.dependencies import CurrentKey, at_clinic
from services.gateway.api.schemas import Limit
from services.gateway.upstream.services import InjectedUpstreams


@get("/clinics/{clinic_id:uuid}/held-acts", summary="List what is held")
async def list_held_acts(
    clinic_id: FromPath[UUID],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
    ended: FromQuery[bool] = False,
    cursor: FromQuery[UUID | None] = None,
    limit: Limit = 20,
) -> Page[HeldActOut]:
    """Voids, credit notes, write-offs, replacements and refunds that can be undone, newest first.

    With `ended=true` the ones that ended.
    Each has the preview that it was asked for with, and the time when it is done.
    """
    return await actions.list_held_acts(upstreams, at_clinic(key, clinic_id), ended, cursor, limit)


@post("/clinics/{clinic_id:uuid}/held-acts/{act_id:uuid}/undo", summary="Undo a held act", status_code=200)
async def undo_held_act(
    clinic_id: FromPath[UUID], act_id: FromPath[UUID], key: CurrentKey, upstreams: InjectedUpstreams
) -> HeldActOut:
    """Undoes an act before it is done, and gives back what it reserved; again, it stays as it is.

    404 `held_act_not_found`. 409 `already_done` (field `result_id`): too late. 409 `not_held` (field `state`): it ended
    in another way.
    """
    return await actions.undo(upstreams, at_clinic(key, clinic_id), act_id)


held_routes = [list_held_acts, undo_held_act]

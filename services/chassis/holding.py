"""Held acts over HTTP: a service's routes that list them and undo one."""

from collections.abc import Sequence
from typing import Annotated, Any, cast
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from contracts.http.common import Page
from contracts.http.held import HeldActOut, PreviewOut
from contracts.http.reading import lenient
from contracts.vocabulary import HeldKind
from services.chassis.db.database import Connection
from services.chassis.held import actions, store
from services.chassis.held.domain import Act, HeldAct, Preview
from services.chassis.http.auth import Caller, staff

_POSTS = ("document", "new_invoice", "refunds")
"""The members of a preview that an act posts. The others follow from what else happens."""


def holding_routes(acts: Sequence[Act]) -> list[Any]:
    """`GET /held-acts` and `POST /held-acts/{id}/undo`, for these kinds of acts."""

    @get("/held-acts", guards=[staff])
    async def list_held_acts(
        caller: NamedDependency[Caller],
        tx: NamedDependency[Connection],
        ended: FromQuery[bool] = False,
        cursor: FromQuery[UUID | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
    ) -> Page[HeldActOut]:
        """A clinic's held acts, newest first: the ones that can be undone, or the ones that ended."""
        found = await store.list_acts(tx, caller.clinic, ended=ended, before=cursor, limit=limit + 1)
        items = [held_out(each) for each in found[:limit]]
        return Page(items=items, next=str(items[-1].id) if len(found) > limit else None)

    @post("/held-acts/{act_id:uuid}/undo", guards=[staff], status_code=200)
    async def undo_held_act(
        act_id: FromPath[UUID], caller: NamedDependency[Caller], tx: NamedDependency[Connection]
    ) -> HeldActOut:
        """Undo an act before it is done. To undo it again changes nothing.

        404 `held_act_not_found`, 409 `already_done`, `not_held`.
        """
        return held_out(await actions.undo(tx, caller, acts, act_id))

    return [list_held_acts, undo_held_act]


def held_out(held: HeldAct) -> HeldActOut:
    return HeldActOut(
        id=held.id,
        kind=cast(HeldKind, held.kind),
        subject_id=held.subject_id,
        state=held.state,
        reason=held.reason,
        result_id=held.result_id,
        created_at=held.created_at,
        due_at=held.due_at,
        ended_at=held.ended_at,
        # Leniently: a worker of a newer release may have written it.
        preview=msgspec.convert(
            {**held.preview.posts, **held.preview.shows}, lenient(PreviewOut), strict=False
        ),
    )


def preview_of(shown: PreviewOut) -> Preview:
    """The preview as a held act keeps it."""
    members = msgspec.to_builtins(shown)
    return Preview(
        posts={name: members.pop(name) for name in _POSTS if name in members},
        shows=members,
    )

"""Clients over HTTP. With `check=true` a request is checked and answered, and changes nothing."""

from typing import Any
from uuid import UUID

from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from contracts.http.clients import ClientIn, ClientOut
from contracts.http.common import Page
from services.chassis.db.database import Connection, trial
from services.chassis.http.auth import Caller, staff
from services.chassis.http.parameters import ids_in
from services.chassis.http.patches import patched
from services.invoice import paging
from services.invoice.clients import actions, store
from services.invoice.clients.domain import ClientNotFound
from services.invoice.clients.schemas import answer_of, details_of


@post("/clients/{client_id:uuid}", guards=[staff])
async def create_client(
    client_id: FromPath[UUID],
    data: JSONBody[ClientIn],
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
    check: FromQuery[bool] = False,
) -> Response[ClientOut]:
    """Add a client to the clinic (201). One that is there stays as it is, and is the answer (200)."""
    async with trial(tx, check):
        client, is_new = await actions.create_client(tx, caller, client_id, details_of(data))
    return Response(answer_of(client), status_code=201 if is_new else 200)


@patch("/clients/{client_id:uuid}", guards=[staff])
async def change_client(
    client_id: FromPath[UUID],
    data: JSONBody[dict[str, Any]],
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
    check: FromQuery[bool] = False,
) -> ClientOut:
    """Change a client's name or billing address: a JSON merge patch."""
    async with trial(tx, check):
        before = await actions.get_client(tx, caller.clinic, client_id, lock=True)
        given = patched(answer_of(before), data, ClientIn)
        return answer_of(await actions.save_client(tx, caller, details_of(given), before))


@get("/clients/{client_id:uuid}")
async def get_client(
    client_id: FromPath[UUID], caller: NamedDependency[Caller], tx: NamedDependency[Connection]
) -> ClientOut:
    """A client of the clinic; clients see only themselves."""
    if caller.role == "client" and caller.subject != client_id:
        raise ClientNotFound("the clinic has no client with this id")
    return answer_of(await actions.get_client(tx, caller.clinic, client_id))


@get("/clients", guards=[staff])
async def list_clients(
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
    cursor: paging.Cursor = None,
    limit: paging.Limit = paging.DEFAULT_LIMIT,
    ids: FromQuery[str | None] = None,
    external_id: FromQuery[str | None] = None,
) -> Page[ClientOut]:
    """The clinic's clients in order of their ids; with `ids`, separated by commas, or `external_id` these of them."""
    if external_id is not None:
        known = await store.get_client_by_external_id(tx, caller.clinic, external_id)
        return Page(items=[answer_of(each) for each in known])
    if ids is not None:
        found = await store.get_clients(tx, caller.clinic, ids_in("ids", ids))
        return Page(items=[answer_of(each) for each in found])
    after = paging.after_id(cursor)
    clients = await store.list_clients(tx, caller.clinic, after=after, limit=limit + 1)
    return paging.page([answer_of(each) for each in clients], limit, lambda last: (last.id,))


ALL: list[Any] = [create_client, change_client, get_client, list_clients]

"""Clinics over HTTP. With `check=true` a request is checked and answered, and changes nothing."""

from typing import Any
from uuid import UUID

from litestar import Response, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec.structs import replace

from contracts.http.clinics import ClinicIn, ClinicOut
from contracts.http.common import Page
from services.chassis.db.database import Connection, Database, trial
from services.chassis.http.auth import Caller, operator
from services.chassis.http.patches import patched
from services.invoice import paging
from services.invoice.clinics import actions, store
from services.invoice.clinics.schemas import answer_of, settings_of


@put("/clinics/{clinic_id:uuid}", guards=[operator])
async def put_clinic(
    clinic_id: FromPath[UUID],
    data: JSONBody[ClinicIn],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    check: FromQuery[bool] = False,
) -> ClinicOut:
    """Put a clinic on, or replace its settings. The same settings again change nothing."""
    async with db.tx(clinic_id, operator=True) as tx, trial(tx, check):
        return answer_of(
            await actions.put_clinic(tx, replace(caller, clinic_id=clinic_id), settings_of(data))
        )


@post("/clinics/{clinic_id:uuid}", guards=[operator])
async def create_clinic(
    clinic_id: FromPath[UUID],
    data: JSONBody[ClinicIn],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    check: FromQuery[bool] = False,
) -> Response[ClinicOut]:
    """Put a clinic on (201). One that is there stays as it is, and is the answer (200)."""
    async with db.tx(clinic_id, operator=True) as tx, trial(tx, check):
        clinic, is_new = await actions.create_clinic(
            tx, replace(caller, clinic_id=clinic_id), settings_of(data)
        )
    return Response(answer_of(clinic), status_code=201 if is_new else 200)


@patch("/clinics/{clinic_id:uuid}", guards=[operator])
async def change_clinic(
    clinic_id: FromPath[UUID],
    data: JSONBody[dict[str, Any]],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    check: FromQuery[bool] = False,
) -> ClinicOut:
    """Change some of a clinic's settings: a JSON merge patch."""
    async with db.tx(clinic_id, operator=True) as tx, trial(tx, check):
        before = await actions.lock_clinic(tx, clinic_id)
        given = patched(answer_of(before), data, ClinicIn)
        return answer_of(
            await actions.put_clinic(tx, replace(caller, clinic_id=clinic_id), settings_of(given))
        )


@get("/clinics/{clinic_id:uuid}")
async def get_clinic(clinic_id: FromPath[UUID], tx: NamedDependency[Connection]) -> ClinicOut:
    """A clinic and its settings: one's own, or for operators any."""
    return answer_of(await actions.get_clinic(tx, clinic_id))


@get("/clinics", guards=[operator])
async def list_clinics(
    tx: NamedDependency[Connection],
    slug: FromQuery[str | None] = None,
    external_id: FromQuery[str | None] = None,
    cursor: paging.Cursor = None,
    limit: paging.Limit = paging.DEFAULT_LIMIT,
) -> Page[ClinicOut]:
    """All clinics in order of their ids, or the one with this slug or external id."""
    after = paging.after_id(cursor)
    clinics = await store.list_clinics(tx, slug=slug, external_id=external_id, after=after, limit=limit + 1)
    return paging.page([answer_of(clinic) for clinic in clinics], limit, lambda last: (last.id,))


ALL: list[Any] = [put_clinic, create_clinic, change_clinic, get_clinic, list_clinics]

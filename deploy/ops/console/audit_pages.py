"""Who did what: operators in the console with their reasons, staff and operators in each service."""

import csv
from dataclasses import dataclass
from datetime import date
from io import StringIO
from typing import Any
from uuid import UUID

from litestar import Response
from litestar.params import FromQuery
from litestar.response import Template

from deploy.ops.console.login_pages import Console
from deploy.ops.console.operators import store
from deploy.ops.console.page import page
from deploy.ops.console.sessions import CurrentOperator
from deploy.ops.console.sources import Sources
from deploy.ops.database import SERVICES
from services.chassis.audit import INSTALLATION
from services.gateway.web.heads import readable

MOST_SHOWN, MOST_EXPORTED = 100, 10_000
_COLUMNS = ("clinic_id", "seq", "at", "actor", "role", "action", "subject_id", "trace_id")


@dataclass(frozen=True, slots=True)
class Filter:
    """Of the audit log of one service and one clinic, which is `INSTALLATION` for entries of none."""

    service: str
    clinic_id: UUID
    action: str
    since: date | None
    until: date | None


@readable("/audit")
async def audit_log(
    operator: CurrentOperator,
    sources: Console,
    service: FromQuery[str] = "gateway",
    clinic: FromQuery[str] = "",
    action: FromQuery[str] = "",
    since: FromQuery[str] = "",
    until: FromQuery[str] = "",
) -> Template:
    """The entries that the filters leave, the newest first, below what operators did in the console."""
    wanted, fault = await _filter(sources, service, clinic, action, since, until)
    async with sources.own.statements() as connection:
        acts = await store.list_acts(connection, MOST_SHOWN)
    rows = await _entries(sources, wanted, MOST_SHOWN) if wanted else []
    return page(
        "ops_audit.html",
        "audit",
        operator,
        status=422 if fault else 200,
        acts=acts,
        rows=rows,
        services=SERVICES,
        given={"service": service, "clinic": clinic, "action": action, "since": since, "until": until},
        fault=fault,
        most=MOST_SHOWN,
    )


@readable("/audit.csv")
async def audit_csv(
    sources: Console,
    service: FromQuery[str] = "gateway",
    clinic: FromQuery[str] = "",
    action: FromQuery[str] = "",
    since: FromQuery[str] = "",
    until: FromQuery[str] = "",
) -> Response[str]:
    """The same entries as a file, at most `MOST_EXPORTED`. They hold ids alone, nothing personal."""
    wanted, fault = await _filter(sources, service, clinic, action, since, until)
    if wanted is None:
        return Response(f"{fault}\n", status_code=422, media_type="text/plain")
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for row in await _entries(sources, wanted, MOST_EXPORTED):
        writer.writerow(["" if row[name] is None else str(row[name]) for name in _COLUMNS])
    headers = {"Content-Disposition": f'attachment; filename="audit-{wanted.service}.csv"'}
    return Response(text.getvalue(), media_type="text/csv", headers=headers)


async def _filter(
    sources: Sources, service: str, clinic: str, action: str, since: str, until: str
) -> tuple[Filter | None, str]:
    """The filter, or what is wrong with it."""
    if service not in SERVICES:
        return None, "There is no such service."
    clinic_id = await _clinic(sources, clinic.strip())
    if clinic_id is None:
        return None, "There is no such clinic. Give its address, such as oak, or its id."
    try:
        first, last = (date.fromisoformat(day) if day else None for day in (since, until))
    except ValueError:
        return None, "A day is written as 2026-12-31."
    if not action.isprintable():
        return None, "There is no such action."
    return Filter(service, clinic_id, action.strip(), first, last), ""


async def _clinic(sources: Sources, given: str) -> UUID | None:
    if not given:
        return INSTALLATION
    if not given.isprintable():
        return None
    async with sources.own.statements() as connection:
        found: UUID | None = await connection.fetchval(
            "SELECT clinic_id FROM portals WHERE slug = $1 OR clinic_id::text = $1", given.lower()
        )
    return found


async def _entries(sources: Sources, wanted: Filter, most: int) -> list[Any]:
    async with sources.books[wanted.service].statements() as connection:
        rows: list[Any] = await connection.fetch(
            f"""
            SELECT {", ".join(_COLUMNS)} FROM audit
            WHERE clinic_id = $1 AND ($2 = '' OR action = $2)
                AND ($3::date IS NULL OR at >= $3::date AT TIME ZONE 'UTC')
                AND ($4::date IS NULL OR at < ($4::date + 1) AT TIME ZONE 'UTC')
            ORDER BY seq DESC LIMIT $5
            """,
            wanted.clinic_id,
            wanted.action,
            wanted.since,
            wanted.until,
            most,
        )
    return rows


PAGES: list[Any] = [audit_log, audit_csv]

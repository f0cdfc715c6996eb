"""One clinic: its Stripe account, its payments of the last days, and everything of it that waits for somebody."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Template

from contracts.vocabulary import OPEN_INVOICES
from deploy.ops.console.clinic_pages import VOLUME_OF, account_of, in_words
from deploy.ops.console.login_pages import Console
from deploy.ops.console.page import page
from deploy.ops.console.sessions import CurrentOperator
from deploy.ops.workers import WORKED
from services.chassis.db.database import Database
from services.gateway.web.heads import readable

MOST = 50
FAILED_IN = timedelta(days=30)
Rows = list[dict[str, Any]]

_CLINIC = "SELECT id, slug, name, currency, time_zone, online_payment FROM clinics WHERE id = $1"
_PAYMENTS = """
    SELECT status, currency, count(*) AS count, sum(amount)::bigint AS amount FROM payments
    WHERE clinic_id = $1 AND id >= uuid_at(app_now() - $2::interval) GROUP BY 1, 2 ORDER BY 1, 2
"""
_DECLINES = """
    SELECT coalesce(code, 'unknown') AS code, count(*) AS count FROM failed_attempts
    WHERE clinic_id = $1 AND payment_id >= uuid_at(app_now() - $2::interval) GROUP BY 1 ORDER BY 2 DESC
"""
_OPEN = """
    SELECT status, currency, count(*) AS count,
        sum(total_amount - settled_amount - credited_amount - written_off_amount)::bigint AS amount
    FROM invoices WHERE clinic_id = $1 AND status = ANY ($2) GROUP BY 1, 2 ORDER BY 1, 2
"""
_FAILED_EMAILS = """
    SELECT template, coalesce(last_error, '') AS reason, count(*) AS count FROM deliveries
    WHERE clinic_id = $1 AND state = 'failed' AND failed_at > app_now() - $2::interval
    GROUP BY 1, 2 ORDER BY 3 DESC
"""
_EXCEPTIONS = """
    SELECT kind, cause, subject_id, created_at AS at FROM exceptions
    WHERE clinic_id = $1 AND settled_at IS NULL ORDER BY created_at LIMIT $2
"""
_PARKED = """
    SELECT id, topic, reason, parked_at AS at FROM parked
    WHERE clinic_id = $1 AND state = 'waiting' ORDER BY id LIMIT $2
"""


@readable("/clinics/{clinic_id:uuid}")
async def one_clinic(clinic_id: FromPath[UUID], operator: CurrentOperator, sources: Console) -> Template:
    books = sources.books
    found = await _rows(books["invoice"], _CLINIC, clinic_id)
    if not found:
        raise NotFoundException
    payments, declines, owed, emails, exceptions, parked = await asyncio.gather(
        _rows(books["payment"], _PAYMENTS, clinic_id, VOLUME_OF),
        _rows(books["payment"], _DECLINES, clinic_id, VOLUME_OF),
        _rows(books["invoice"], _OPEN, clinic_id, list(OPEN_INVOICES)),
        _rows(books["notification"], _FAILED_EMAILS, clinic_id, FAILED_IN),
        _in_every(books, _EXCEPTIONS, clinic_id),
        _in_every(books, _PARKED, clinic_id),
    )
    return page(
        "ops_clinic.html",
        "clinics",
        operator,
        clinic=found[0],
        account=await account_of(books["payment"], clinic_id),
        payments=in_words(payments),
        declines=declines,
        owed=in_words(owed),
        emails=emails,
        exceptions=exceptions,
        parked=parked,
        days=VOLUME_OF.days,
        failed_days=FAILED_IN.days,
    )


async def _rows(db: Database, statement: str, *given: object) -> Rows:
    async with db.statements() as connection:
        return [dict(row) for row in await connection.fetch(statement, *given)]


async def _in_every(books: Mapping[str, Database], statement: str, clinic_id: UUID) -> Rows:
    """The rows of each service, with its name, at most `MOST` of each."""
    found = await asyncio.gather(*(_rows(books[service], statement, clinic_id, MOST) for service in WORKED))
    return [{"service": service, **row} for service, rows in zip(WORKED, found, strict=True) for row in rows]


PAGES: list[Any] = [one_clinic]

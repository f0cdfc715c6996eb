"""All clinics: what Stripe says of their accounts, how much they took, what waits for somebody."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from babel import Locale
from litestar.params import FromQuery
from litestar.response import Template

from deploy.ops.console.login_pages import Console
from deploy.ops.console.page import page
from deploy.ops.console.sessions import CurrentOperator
from services.chassis.db.database import Database
from services.chassis.locale.money import written
from services.gateway.web.heads import readable

MOST = 200
VOLUME_OF = timedelta(days=7)
_ENGLISH = Locale("en")


@readable("/clinics")
async def clinics(operator: CurrentOperator, sources: Console, q: FromQuery[str] = "") -> Template:
    """Clinics whose address or name holds `q`, by address."""
    rows = await _clinics(sources.books["invoice"], q)
    ids = [row["id"] for row in rows]
    accounts, volumes, payment_exceptions, invoice_exceptions = await asyncio.gather(
        _accounts(sources.books["payment"], ids),
        _volumes(sources.books["payment"], ids),
        _exceptions(sources.books["payment"], ids),
        _exceptions(sources.books["invoice"], ids),
    )
    shown = [
        {
            **row,
            "account": accounts.get(row["id"]),
            "volume": volumes.get(row["id"], ()),
            "exceptions": payment_exceptions.get(row["id"], 0) + invoice_exceptions.get(row["id"], 0),
        }
        for row in rows[:MOST]
    ]
    return page(
        "ops_clinics.html", "clinics", operator, rows=shown, q=q, more=len(rows) > MOST, days=VOLUME_OF.days
    )


async def _clinics(db: Database, q: str) -> list[dict[str, Any]]:
    asked = q.strip() if q.isprintable() else ""
    async with db.statements() as connection:
        rows = await connection.fetch(
            """
            SELECT id, slug, name, online_payment FROM clinics
            WHERE $1 = '' OR strpos(slug, lower($1)) > 0 OR strpos(lower(name), lower($1)) > 0 OR id::text = lower($1)
            ORDER BY slug LIMIT $2
            """,
            asked,
            MOST + 1,
        )
    return [dict(row) for row in rows]


async def account_of(db: Database, clinic_id: UUID) -> dict[str, Any] | None:
    """The clinic's Stripe account, and its problem if it has one; None where payment does not know the clinic."""
    return (await _accounts(db, [clinic_id])).get(clinic_id)


def in_words(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of an amount and a currency, with `words`."""
    return [{**row, "words": written(row["amount"], row["currency"], _ENGLISH)} for row in rows]


async def _accounts(db: Database, ids: list[UUID]) -> dict[UUID, dict[str, Any]]:
    async with db.statements() as connection:
        rows = await connection.fetch(
            """
            SELECT clinic_id, accounts.stripe_account_id AS id, takes_payments, problem, disabled_reason, checked_at
            FROM clinics LEFT JOIN accounts USING (clinic_id)
            LEFT JOIN account_states ON account_states.account = coalesce(accounts.stripe_account_id, '')
            WHERE clinic_id = ANY ($1)
            """,
            ids,
        )
    return {row["clinic_id"]: dict(row) for row in rows}


async def _volumes(db: Database, ids: list[UUID]) -> dict[UUID, list[str]]:
    """Sums of payments that were begun in `VOLUME_OF`, by currency. Ids begin with their time."""
    async with db.statements() as connection:
        rows = await connection.fetch(
            """
            SELECT wanted.clinic_id, currency, sum(amount)::bigint AS amount, count(*) AS payments
            FROM unnest($1::uuid[]) AS wanted (clinic_id)
            JOIN payments ON payments.clinic_id = wanted.clinic_id AND payments.id >= uuid_at(app_now() - $2::interval)
            WHERE status = 'succeeded' GROUP BY wanted.clinic_id, currency ORDER BY currency
            """,
            ids,
            VOLUME_OF,
        )
    found = defaultdict(list)
    for row in in_words(map(dict, rows)):
        found[row["clinic_id"]].append(f"{row['words']} in {row['payments']}")
    return found


async def _exceptions(db: Database, ids: list[UUID]) -> dict[UUID, int]:
    async with db.statements() as connection:
        rows = await connection.fetch(
            """
            SELECT clinic_id, count(*) AS open FROM exceptions
            WHERE clinic_id = ANY ($1) AND settled_at IS NULL GROUP BY clinic_id
            """,
            ids,
        )
    return {row["clinic_id"]: row["open"] for row in rows}


PAGES: list[Any] = [clinics]

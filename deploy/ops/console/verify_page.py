"""The last outcomes of `clinicpay verify`, and what the last one found."""

import json
from typing import Any

from litestar.response import Template

from deploy.ops.console.login_pages import Console
from deploy.ops.console.page import page
from deploy.ops.console.sessions import CurrentOperator
from services.gateway.web.heads import readable

MOST = 20


@readable("/verify")
async def verify_runs(operator: CurrentOperator, sources: Console) -> Template:
    async with sources.own.statements() as connection:
        runs = await connection.fetch(
            "SELECT ended_at, breaches, not_checked FROM verify_runs ORDER BY ended_at DESC LIMIT $1", MOST
        )
        last = await connection.fetchval(
            "SELECT report::text FROM verify_runs ORDER BY ended_at DESC LIMIT 1"
        )
    return page("ops_verify.html", "verify", operator, runs=runs, last=json.loads(last) if last else None)


PAGES: list[Any] = [verify_runs]

"""Health: `live` while the process runs, `ready` while what it needs answers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

Check = Callable[[], Awaitable[None]]
"""Raises when the part that it asks is unreachable."""


def health_routes(checks: Mapping[str, Check]) -> list[HTTPRouteHandler]:
    """`GET /healthz/live` and `GET /healthz/ready`, open to all: they name unreachable parts, and no more."""

    @get("/healthz/live", opt={"public": True}, include_in_schema=False)
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @get("/healthz/ready", opt={"public": True}, include_in_schema=False)
    async def ready() -> Response[dict[str, Any]]:
        states = await asyncio.gather(*(_state(check) for check in checks.values()))
        ok = all(state == "ok" for state in states)
        return Response(
            {"status": "ready" if ok else "failing", "checks": dict(zip(checks, states, strict=True))},
            status_code=200 if ok else 503,
        )

    return [live, ready]


async def _state(check: Check) -> str:
    try:
        async with asyncio.timeout(3):
            await check()
    except Exception as error:
        return type(error).__name__
    return "ok"

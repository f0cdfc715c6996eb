"""Health: `live` while the process runs, `ready` while it can do its own work.

A load balancer sends requests to what is ready. So a part that some of the work does without is reported, and its loss
leaves the process ready: payment's API takes webhooks without its database.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

Check = Callable[[], Awaitable[None]]
"""Raises when the part that it asks is unreachable."""
CHECK_SECONDS = 2.5
"""The timeout of a check. A caller of `ready` waits a little longer."""


def health_routes(needed: Mapping[str, Check], reported: Mapping[str, Check]) -> list[HTTPRouteHandler]:
    """`GET /healthz/live` and `GET /healthz/ready`, open to all: they name unreachable parts, and no more.

    needed      without one of these the process is not ready
    reported    without one of these it is `degraded`, which is ready
    """

    @get("/healthz/live", opt={"public": True}, include_in_schema=False)
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @get("/healthz/ready", opt={"public": True}, include_in_schema=False)
    async def ready() -> Response[dict[str, Any]]:
        return readiness(await states_of(needed), await states_of(reported))

    return [live, ready]


def readiness(needed: Mapping[str, str], reported: Mapping[str, str]) -> Response[dict[str, Any]]:
    """The answer to `ready`, from the states of parts by name; `ok` is a good one."""
    status = (
        "failing"
        if set(needed.values()) - {"ok"}
        else "degraded"
        if set(reported.values()) - {"ok"}
        else "ready"
    )
    return Response(
        {"status": status, "checks": {**needed, **reported}}, status_code=503 if status == "failing" else 200
    )


async def states_of(checks: Mapping[str, Check]) -> dict[str, str]:
    """`ok`, or the class of the error, by name. All are asked at once."""
    states = await asyncio.gather(*(_state(check) for check in checks.values()))
    return dict(zip(checks, states, strict=True))


async def _state(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except Exception as error:
        return type(error).__name__
    return "ok"

"""Whether the gateway is ready, and, at an address of its own, whether the whole system is.

A gateway can hand on webhooks without its database and without Kafka, and says itself on its pages what is unreachable.
So nothing takes it from its load balancer: no part of the system that dies may take the others with it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx2
import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from services.chassis.http.health import CHECK_SECONDS, Check, readiness, states_of
from services.gateway.upstream.clocks import Clocks

KEPT_SECONDS = 1.0
"""How long an answer is kept, since anybody may ask."""
PART_SECONDS = CHECK_SECONDS + 0.5


class Readiness:
    """Asks all parts at once. `checks` are the gateway's own, `parts` the addresses of other processes."""

    def __init__(self, checks: Mapping[str, Check], parts: Mapping[str, str], clocks: Clocks) -> None:
        self._checks = checks
        self._clocks = clocks
        self._parts = parts
        self._client = httpx2.AsyncClient(timeout=PART_SECONDS, trust_env=False)
        self._own = Kept()
        self._others = Kept()

    async def close(self) -> None:
        await self._client.aclose()

    async def own(self) -> dict[str, str]:
        """`ok`, or the class of the error, by the gateway's own check; how far services' clocks are from its own."""
        states = await self._own.newest(lambda: states_of(self._checks))
        return {**states, "clocks": self._clocks.state()}

    async def whole(self) -> dict[str, str]:
        """The same, and `ok`, `degraded: WHAT`, `starting`, `failing` or `away` by part."""
        own, others = await asyncio.gather(self.own(), self._others.newest(self._ask))
        return {**own, **others}

    async def _ask(self) -> dict[str, str]:
        states = await asyncio.gather(*(self._part(url) for url in self._parts.values()))
        return dict(zip(self._parts, states, strict=True))

    async def _part(self, url: str) -> str:
        try:
            async with asyncio.timeout(PART_SECONDS):
                answer = await self._client.get(f"{url.rstrip('/')}/healthz/ready")
        except (httpx2.HTTPError, TimeoutError):
            return "away"
        return status_in(answer.status_code, answer.content)


class Kept:
    """An answer that is asked for again when it is a second old."""

    def __init__(self) -> None:
        self._asking = asyncio.Lock()
        self._last: tuple[float, dict[str, str]] | None = None

    async def newest(self, ask: Callable[[], Awaitable[dict[str, str]]]) -> dict[str, str]:
        async with self._asking:
            if self._last is None or time.monotonic() - self._last[0] > KEPT_SECONDS:
                states = await ask()
                self._last = (time.monotonic(), states)
            return self._last[1]


def readiness_routes(gateway: Readiness) -> list[HTTPRouteHandler]:
    @get("/healthz/live", include_in_schema=False)
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @get("/healthz/ready", include_in_schema=False)
    async def ready() -> Response[dict[str, Any]]:
        return readiness({}, await gateway.own())

    @get("/healthz/system", include_in_schema=False)
    async def system() -> Response[dict[str, Any]]:
        return readiness(await gateway.whole(), {})

    return [live, ready, system]


def status_in(status_code: int, body: bytes) -> str:
    """A part's state, from its answer to `ready`. A degraded one's says what it lacks."""
    try:
        answer = msgspec.json.decode(body)
        status = answer["status"]
    except (msgspec.MsgspecError, KeyError, TypeError):
        answer, status = {}, None
    if status_code != 200:
        return "starting" if status == "starting" else "failing"
    return f"degraded: {_lacked(answer)}".rstrip(": ") if status == "degraded" else "ok"


def _lacked(answer: Mapping[str, Any]) -> str:
    checks = answer.get("checks")
    checks = checks if isinstance(checks, dict) else {}
    return ", ".join(sorted(name for name, state in checks.items() if state != "ok"))

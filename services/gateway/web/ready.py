"""Whether the whole system is ready: the gateway asks every part in its settings."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx2
import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

SECONDS = 1.0
"""The timeout of a part, and how long our own answer is cached, since anybody may ask."""


class Readiness:
    """Asks all parts at once. `checks` are the gateway's own, `parts` the addresses of other processes."""

    def __init__(self, checks: Mapping[str, Callable[[], Awaitable[None]]], parts: Mapping[str, str]) -> None:
        self._checks = checks
        self._parts = parts
        self._client = httpx2.AsyncClient(timeout=SECONDS, trust_env=False)
        self._asking = asyncio.Lock()
        self._last: tuple[float, dict[str, str]] = (0.0, {})

    async def close(self) -> None:
        await self._client.aclose()

    async def states(self) -> dict[str, str]:
        """`ok`, `starting`, `failing` or `away` by part, at most a second old."""
        async with self._asking:
            asked_at, states = self._last
            if not states or time.monotonic() - asked_at > SECONDS:
                states = await self._ask()
                self._last = (time.monotonic(), states)
        return states

    async def _ask(self) -> dict[str, str]:
        own = (_own(check) for check in self._checks.values())
        others = (self._part(url) for url in self._parts.values())
        states = await asyncio.gather(*own, *others)
        return dict(zip([*self._checks, *self._parts], states, strict=True))

    async def _part(self, url: str) -> str:
        try:
            async with asyncio.timeout(SECONDS):
                answer = await self._client.get(f"{url.rstrip('/')}/healthz/ready")
        except (httpx2.HTTPError, TimeoutError):
            return "away"
        return "ok" if answer.status_code == 200 else status_in(answer.content)


def readiness_routes(readiness: Readiness) -> list[HTTPRouteHandler]:
    @get("/healthz/live", include_in_schema=False)
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @get("/healthz/ready", include_in_schema=False)
    async def ready() -> Response[dict[str, Any]]:
        states = await readiness.states()
        status = status_of(set(states.values()))
        return Response({"status": status, "checks": states}, status_code=200 if status == "ready" else 503)

    return [live, ready]


async def _own(check: Callable[[], Awaitable[None]]) -> str:
    try:
        async with asyncio.timeout(SECONDS):
            await check()
    except Exception:
        return "failing"
    return "ok"


def status_in(body: bytes) -> str:
    try:
        status = msgspec.json.decode(body)["status"]
    except (msgspec.MsgspecError, KeyError, TypeError):
        return "failing"
    return status if status in ("starting", "failing") else "failing"


def status_of(states: set[str]) -> str:
    if states <= {"ok"}:
        return "ready"
    return "failing" if "failing" in states or "away" in states else "starting"

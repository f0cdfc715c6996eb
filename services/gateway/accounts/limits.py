"""Limits on tries: for passwords in PostgreSQL, shared by all processes; for requests in general in memory.

Cards may be added twenty times in a quarter of an hour: that is a way to try out stolen ones, too.
A password may be tried five times in a quarter of an hour for one e-mail from one address, fifty times for one
e-mail from anywhere (many more would let a stranger lock somebody out with five), and a hundred times from one
address. A success takes its try back.
"""

import hashlib
import math
import time
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from litestar.enums import ScopeType
from litestar.exceptions import TooManyRequestsException
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from services.chassis.db.database import Database
from services.gateway.accounts import session_store
from services.gateway.web.security import asks_for

WINDOW = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Limit:
    key: bytes
    most: int


class TooManyTries(Exception):
    """Wait for `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many tries")
        self.retry_after = retry_after


def login_limits(email: str, address: str) -> tuple[Limit, ...]:
    return (
        Limit(_key("login", "email and address", email, address), 5),
        Limit(_key("login", "email", email), 50),
        Limit(_key("login", "address", address), 100),
    )


def setup_limits(clinic_id: UUID, client_id: UUID) -> tuple[Limit, ...]:
    return (Limit(_key("setup", str(clinic_id), str(client_id)), 20),)


async def count(db: Database, limits: tuple[Limit, ...]) -> None:
    """Count a try before it is made, so that many at once are counted too. Raises `TooManyTries`."""
    async with db.tx(None) as tx:
        counted = [(limit, await session_store.count_try(tx, limit.key, WINDOW)) for limit in limits]
    waits = [seconds for limit, (tries, seconds) in counted if tries > limit.most]
    if waits:
        raise TooManyTries(max(1, *waits))


async def take_back(db: Database, limits: tuple[Limit, ...]) -> None:
    """The try succeeded: what was counted for this e-mail and address is forgotten, elsewhere it is one less."""
    own, *others = limits
    async with db.tx(None) as tx:
        await session_store.forget_tries(tx, own.key)
        for limit in others:
            await session_store.take_back_try(tx, limit.key)


class RequestLimit(ASGIMiddleware):
    """So many requests of one address a minute, in this process. Refuses with 429 and `Retry-After`.

    The address is the connection's, or what a trusted proxy says it is (`proxies`).
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, requests_per_minute: int, exclude: tuple[str, ...] = ()) -> None:
        self.should_bypass_for_scope = asks_for(exclude)
        self._limit = RateLimitItemPerMinute(requests_per_minute)
        self._counted = FixedWindowRateLimiter(MemoryStorage())

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        address = address_of(scope)
        if not await self._counted.hit(self._limit, address):
            resets_at, _ = await self._counted.get_window_stats(self._limit, address)
            raise TooManyRequestsException(
                headers={"Retry-After": str(max(1, math.ceil(resets_at - time.time())))}
            )
        await next_app(scope, receive, send)


def address_of(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else "unknown"


def _key(*parts: str) -> bytes:
    return hashlib.sha256("\x1f".join(parts).encode()).digest()

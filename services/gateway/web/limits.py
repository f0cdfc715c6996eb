"""The general limit on requests of one address, counted in memory by each process."""

import math
import time

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from litestar.enums import ScopeType
from litestar.exceptions import TooManyRequestsException
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from services.gateway.web.security import asks_for


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

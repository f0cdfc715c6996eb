"""Limits on requests a minute, counted in memory by each process.

A request counts for its credential (an API key, a session) once that has worked in this process, and for its address
before: callers of one address do not lock each other, and made-up credentials have no counts of their own.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Self

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.exceptions import TooManyRequestsException
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

MOST_KNOWN = 10_000
"""Credentials that one process remembers. The one that worked first is forgotten first."""
_COUNT = "clinicpay_request_count"
_ONCE = RateLimitItemPerMinute(1, namespace="TRIES")


@dataclass(slots=True)
class _Count:
    """For whom a request counts. `over`: its address has no requests left, and its credential is still to be tried."""

    by: "RequestLimit"
    credential: str | None
    address: str
    name: str
    over: bool = False


class RequestLimit(ASGIMiddleware):
    """So many requests a minute, in this process. Refuses with 429 and `Retry-After`, before anything is read.

    bypass      whether a request is none of this limit's
    credential  the hash of what a request shows; the code that looks it up calls `works` or `works_not`
    told        whether answers say what is left, in `RateLimit`

    A credential that has not worked yet is tried once when its address has no requests left: it may be good, and others
    at the address spent them. An address has as many such tries as requests. It is the connection's, or what a trusted
    proxy says it is (`proxies`).
    """

    scopes = (ScopeType.HTTP,)

    def __init__(
        self,
        requests_per_minute: int,
        *,
        bypass: Callable[[Scope], bool] | None = None,
        credential: Callable[[Scope], str | None] = lambda _: None,
        told: bool = False,
    ) -> None:
        self.should_bypass_for_scope = bypass
        self.told = told
        self._credential = credential
        self._limit = RateLimitItemPerMinute(requests_per_minute)
        self._tries = RateLimitItemPerMinute(requests_per_minute, namespace="TRIES")
        self._storage = MemoryStorage()
        self._counted = FixedWindowRateLimiter(self._storage)
        self._known: dict[str, None] = {}

    def __deepcopy__(self, _: Any) -> Self:
        """Litestar copies routers. A copy of this would count apart, and begin a task where no loop may run."""
        return self

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        credential, address = self._credential(scope), address_of(scope)
        known = credential if credential in self._known else None
        scope["state"][_COUNT] = count = _Count(self, credential, address, known or address)
        if not await self._hit(count.name):
            count.over = known is None and await self._may_be_tried(credential, address)
            if not count.over:
                raise await self._refusal(count)
        await next_app(scope, receive, send)

    async def works(self, count: _Count) -> None:
        """Count the request for its credential, and no more for its address."""
        if count.credential is None or count.name == count.credential:
            return
        self._remember(count.credential)
        await self._storage.decr(self._limit.key_for(count.address))
        if count.over:
            await self._storage.decr(self._tries.key_for(count.address))
            await self._counted.clear(_ONCE, count.credential)
        count.name = count.credential
        if not await self._hit(count.name):
            raise await self._refusal(count)

    async def works_not(self, count: _Count) -> None:
        if count.credential is not None and count.name == count.credential:
            self._known.pop(count.credential, None)
            count.name = count.address
            count.over = not await self._hit(count.name)
        if count.over:
            raise await self._refusal(count)

    async def left(self, count: _Count) -> dict[str, str]:
        """The headers of draft-ietf-httpapi-ratelimit-headers."""
        resets_at, remaining = await self._counted.get_window_stats(self._limit, count.name)
        return {
            "RateLimit-Policy": f'"default";q={self._limit.amount};w={self._limit.get_expiry()}',
            "RateLimit": f'"default";r={remaining};t={_seconds_until(resets_at)}',
        }

    async def _refusal(self, count: _Count) -> TooManyRequestsException:
        resets_at, _ = await self._counted.get_window_stats(self._limit, count.name)
        return TooManyRequestsException(headers={"Retry-After": str(_seconds_until(resets_at))})

    async def _hit(self, name: str) -> bool:
        return await self._counted.hit(self._limit, name)

    async def _may_be_tried(self, credential: str | None, address: str) -> bool:
        if credential is None or not await self._counted.test(_ONCE, credential):
            return False
        return await self._counted.hit(self._tries, address) and await self._counted.hit(_ONCE, credential)

    def _remember(self, credential: str) -> None:
        self._known[credential] = None
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]


class PerMinute:
    """So many requests a minute of one name, in this process; for what a request turns out to be about."""

    def __init__(self, most: int) -> None:
        self._limit = RateLimitItemPerMinute(most)
        self._counted = FixedWindowRateLimiter(MemoryStorage())

    async def count(self, name: str) -> None:
        """Raises `TooManyRequestsException`."""
        if not await self._counted.hit(self._limit, name):
            resets_at, _ = await self._counted.get_window_stats(self._limit, name)
            raise TooManyRequestsException(headers={"Retry-After": str(_seconds_until(resets_at))})


async def works(scope: Scope) -> None:
    """The request's credential is good. Raises `TooManyRequestsException`."""
    if count := _count_of(scope):
        await count.by.works(count)


async def works_not(scope: Scope) -> None:
    """The request has no good credential. Raises `TooManyRequestsException` if it was let in only to try one."""
    if count := _count_of(scope):
        await count.by.works_not(count)


async def tell_what_is_left(message: Message, scope: Scope) -> None:
    """A `before_send` hook."""
    count = _count_of(scope)
    if count and count.by.told and message["type"] == "http.response.start":
        MutableScopeHeaders.from_message(message).update(await count.by.left(count))


def address_of(scope: Scope) -> str:
    """The sender as limits count it: an IPv4 address, or the /64 of an IPv6 one, of which one sender has them all."""
    client = scope.get("client")
    return _sender(client[0]) if client else "unknown"


@lru_cache(maxsize=4096)
def _sender(address: str) -> str:
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    return str(found.ipv4_mapped or ip_network((found, 64), strict=False))


def _count_of(scope: Scope) -> _Count | None:
    found: _Count | None = scope["state"].get(_COUNT)
    return found


def _seconds_until(moment: float) -> int:
    return max(1, math.ceil(moment - time.time()))

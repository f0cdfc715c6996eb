"""The HTTP server of every process: uvicorn's, with bounds on what a connection may take.

uvicorn bounds neither a request's head nor the time that it may take to come. Here a head has a size and a time, a body
has a time (its size is the app's), and a process has a number of connections. One timer a process looks at all of them:
a request costs a few assignments, not timers of its own.
"""

import asyncio
import math
from typing import Any, ClassVar
from uuid import uuid4

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from services.chassis.http import problems
from services.chassis.settings import HttpLimits

_LINGER_SECONDS = 2.0
"""How long a refused sender is heard out: a connection closed on unread bytes would take our answer with it."""


def run(app: Any, host: str, port: int, limits: HttpLimits) -> None:
    """Serve until SIGTERM or SIGINT. No header of a request changes whom we take the sender for."""
    uvicorn.run(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=bounded(limits),
        ws="none",
        proxy_headers=False,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
        timeout_keep_alive=75,
    )


def bounded(limits: HttpLimits) -> type[asyncio.Protocol]:
    """The protocol of a server with these limits."""
    return type("Bounded", (_Bounded,), {"limits": limits, "sweep": None})


class HeadTooLarge(Exception):
    """Raised inside the parser, which then gives the connection up."""


class _Bounded(HttpToolsProtocol):
    limits: ClassVar[HttpLimits]
    sweep: ClassVar[asyncio.TimerHandle | None]

    _deadline = math.inf
    """When the connection is closed, by the loop's clock: while a head or a body is on its way."""
    _in_head = False
    _head_bytes = 0
    """The bytes that have come since the head began."""
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin_head()
        if len(self.connections) > self.limits.connections:
            self._refuse(503, "too_many_connections", "Too many connections at once. Come again in a moment.")
        if type(self).sweep is None:
            self._sweep_later()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._deadline is math.inf:
            self._begin_head()  # between requests; also when these are line ends alone, which begin none
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self.limits.head_bytes and not self._refused:
            self._refuse_head()

    def on_headers_complete(self) -> None:
        if self._is_too_large():
            raise HeadTooLarge
        self._in_head = False
        self._deadline += self.limits.body_seconds
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._deadline = math.inf
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Called when the parser gave up, for our limits too."""
        if self._in_head and self._is_too_large():
            self._refuse_head()
        else:
            self._refuse(400, "request_invalid", "This is no HTTP request that we read.")

    def _begin_head(self) -> None:
        self._in_head, self._head_bytes = True, 0
        self._deadline = self.loop.time() + self.limits.head_seconds

    def _is_too_large(self) -> bool:
        """The bytes of a whole head. A body may have come with it, so it is counted where that could matter."""
        if len(self.headers or ()) > self.limits.headers:
            return True
        if self._head_bytes <= self.limits.head_bytes:
            return False
        named = sum(len(name) + len(value) for name, value in self.headers or ())
        return len(self.url) + named > self.limits.head_bytes

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse_head(self) -> None:
        self._refuse(431, "headers_too_large", "The request's address and headers are too large or too many.")

    def _refuse(self, status: int, code: str, detail: str) -> None:
        """Answer and hang up, unless another answer is under way, which this one must not get into."""
        self._refused = True
        if self._is_busy():
            if self.cycle.response_started:
                self.transport.close()
                return
            self.cycle.disconnected = True  # it waits for the rest of a body
            self.cycle.message_event.set()
        body = msgspec.json.encode(problems.members(status, code, detail))
        head = (
            f"content-type: {problems.PROBLEM_JSON}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n"
            f"x-request-id: {uuid4().hex}\r\n"
        )
        more = "retry-after: 1\r\n" if status == 503 else ""
        self.transport.write(STATUS_LINE[status] + f"{head}{more}\r\n".encode() + body)
        self.transport.write_eof()
        self._deadline = self.loop.time() + _LINGER_SECONDS

    def _sweep_later(self) -> None:
        pause = min(1.0, self.limits.head_seconds / 4, self.limits.body_seconds / 4)
        type(self).sweep = self.loop.call_later(pause, self._sweep)

    def _sweep(self) -> None:
        now = self.loop.time()
        for each in [
            each for each in self.connections if isinstance(each, _Bounded) and each._deadline < now
        ]:
            each._end()
        if self.connections:
            self._sweep_later()
        else:
            type(self).sweep = None

    def _end(self) -> None:
        if self._refused:
            self.transport.abort()
        elif not self._in_head or self._head_bytes:
            self._refuse(408, "request_too_slow", "The request took too long to come.")
        else:
            self.transport.close()  # nothing was asked

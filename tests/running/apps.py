"""Services run in this process and event loop, and clients that call them."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

import httpx2
from litestar import Litestar

from deploy.sandbox.embedded import EmbeddedServer, listen_on
from services.chassis.http.auth import Caller
from tests.builders.callers import token

T = TypeVar("T")


class Client:
    """Calls a service's real app in this process and event loop as its callers, with real tokens."""

    def __init__(self, client: httpx2.AsyncClient, audience: str) -> None:
        self.http, self._audience = client, audience

    async def call(
        self,
        method: str,
        path: str,
        caller: Caller | None = None,
        *,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> httpx2.Response:
        sent = dict(headers or {})
        if caller is not None:
            sent["Authorization"] = f"Bearer {token(self._audience, caller)}"
        return await self.http.request(method, path, headers=sent, **more)


@asynccontextmanager
async def calling(app: Litestar, audience: str, *, through: Any = None) -> AsyncIterator[Client]:
    """The app with its lifespan run. `through` is an ASGI app around it, when a test looks at what passes."""
    asgi: Any = through or app
    transport = httpx2.ASGITransport(app=asgi, raise_app_exceptions=False)
    async with (
        in_own_task(app.lifespan()),
        httpx2.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        yield Client(client, audience)


@asynccontextmanager
async def in_own_task(context: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a context in one task: a fixture's two halves run in two, which a lifespan cannot stand."""
    ready: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def hold() -> None:
        async with context as value:
            ready.set_result(value)
            await done.wait()

    task = asyncio.create_task(hold())
    task.add_done_callback(lambda _: ready.done() or ready.cancel())
    try:
        value = await ready
    except asyncio.CancelledError:
        await task
        raise
    try:
        yield value
    finally:
        done.set()
        await task


@asynccontextmanager
async def serving(app: Litestar, listener: socket.socket | None = None) -> AsyncIterator[str]:
    """Serve the app in this event loop, on a port of its own; answers the URL."""
    with listener or listen_on(0) as listening:
        async with EmbeddedServer(app).on(listening):
            yield url_of(listening)


def url_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"

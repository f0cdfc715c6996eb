"""The sandbox inside another process, for tests: a real server on a free port.

async with running_sandbox(webhook_url="http://127.0.0.1:9000/hooks") as sandbox:
    client = stripe.StripeClient(sandbox.secret_key, base_addresses={"api": sandbox.url}, …)
    await sandbox.control("POST", "/clock", {"offset_seconds": -86400})
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from deploy.sandbox.app import application
from deploy.sandbox.errors import Json
from deploy.sandbox.recorder import Recorded
from deploy.sandbox.sandbox import PLATFORM, Sandbox
from deploy.sandbox.settings import Settings

WEBHOOK_SECRET = "whsec_sandbox"


@dataclass(frozen=True)
class RunningSandbox:
    url: str
    secret_key: str
    publishable_key: str
    webhook_secret: str
    inside: Sandbox
    """The sandbox itself; tests should prefer what a caller over HTTP can see."""
    platform: str = PLATFORM

    async def control(self, method: str, path: str, body: Any = None) -> Json:
        """Call the control API, such as `control("POST", "/faults/webhooks", {"kind": "double"})`."""
        headers = {"Authorization": f"Bearer {self.secret_key}"}
        async with httpx2.AsyncClient(
            base_url=f"{self.url}/_sandbox", headers=headers, trust_env=False, timeout=60
        ) as client:
            answer = await client.request(method, path, json=body)
        answer.raise_for_status()
        answered: Json = answer.json()
        return answered

    def requests(self, path: str = "") -> list[Recorded]:
        """The API's requests, oldest first."""
        return [request for request in self.inside.recorder.requests if request.path.startswith(path)]


KEEP_ALIVE_SECONDS = 75
"""Longer than any client here keeps a connection that is idle, so that none sends on one that is being closed."""


_GRACE_SECONDS = 1


class EmbeddedServer(uvicorn.Server):
    """Leaves the signals to the process that it lives in, and ends at once.

    uvicorn looks ten times a second whether it should end and whether its connections have: thousands of tests that
    start a server each would wait for minutes.
    """

    def __init__(self, app: Any) -> None:
        self._told_to_end = asyncio.Event()
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told_to_end.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_SECONDS):
                while self.server_state.connections or self.server_state.tasks:
                    await asyncio.sleep(0.001)
        await self.lifespan.shutdown()

    @asynccontextmanager
    async def on(self, listener: socket.socket) -> AsyncIterator[None]:
        """Serve until the block ends."""
        task = asyncio.create_task(self.serve([listener]))
        try:
            while not (self.started or task.done()):
                await asyncio.sleep(0.002)
            yield
        finally:
            self.should_exit = True
            self._told_to_end.set()
            await task


def listen_on(port: int) -> socket.socket:
    """Named as TCP: only then does asyncio switch off Nagle's delay (40 ms) on what it accepts."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


@asynccontextmanager
async def running_sandbox(
    webhook_url: str = "", *, state: Path | None = None, webhook_secret: str = WEBHOOK_SECRET, port: int = 0
) -> AsyncIterator[RunningSandbox]:
    """Serve until the block ends; `state` None keeps everything in memory."""
    with listen_on(port) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = Settings(
            public_url=url, webhook_url=webhook_url, webhook_secret=webhook_secret, state=state
        )
        serve, sandbox = application(settings)
        async with EmbeddedServer(serve).on(listener):
            yield RunningSandbox(url, settings.secret_key, settings.publishable_key, webhook_secret, sandbox)

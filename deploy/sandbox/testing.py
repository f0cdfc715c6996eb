"""A real endpoint for webhooks in tests: keeps what comes, and answers what it is told to.

async with webhook_inbox() as inbox, running_sandbox(inbox.url) as sandbox:
    …
    event = await inbox.wait_for("payment_intent.succeeded")
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from deploy.sandbox.errors import Json


@dataclass(frozen=True)
class Hook:
    """One webhook request, as raw as it came."""

    body: bytes
    headers: dict[str, str]

    @property
    def event(self) -> Json:
        event: Json = json.loads(self.body)
        return event


@dataclass
class Inbox:
    url: str = ""
    hooks: list[Hook] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """Statuses for the next requests; 200 when used up."""

    def __post_init__(self) -> None:
        self._arrived = asyncio.Condition()
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    @property
    def types(self) -> list[str]:
        return [hook.event["type"] for hook in self.hooks]

    async def wait_for(self, type: str, count: int = 1, seconds: float = 10.0) -> Hook:
        """The webhook of that event type, or the `count`th of them; TimeoutError tells what came instead."""
        found = await self._wait(
            lambda: [hook for hook in self.hooks if hook.event["type"] == type], count, seconds
        )
        return found[count - 1]

    async def wait_for_any(self, count: int, seconds: float = 10.0) -> list[Hook]:
        return await self._wait(lambda: self.hooks, count, seconds)

    async def _wait(self, find: Callable[[], list[Hook]], count: int, seconds: float) -> list[Hook]:
        try:
            async with asyncio.timeout(seconds), self._arrived:
                await self._arrived.wait_for(lambda: len(find()) >= count)
        except TimeoutError:
            raise TimeoutError(f"waited for {count} webhooks, got {self.types}") from None
        return find()

    async def close(self) -> None:
        """Hang up on every caller, and wait until each has been let go."""
        for writer in self._open:
            writer.close()
        await asyncio.gather(*self._open.values())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task, "called by the server in a task of its own"
        self._open[writer] = task
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:]
                headers = {
                    name.lower(): value for name, _, value in (line.partition(": ") for line in head if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                status = self.answers.pop(0) if self.answers else 200
                writer.write(f"HTTP/1.1 {status} Told\r\ncontent-length: 2\r\n\r\n{{}}".encode())
                await writer.drain()
                async with self._arrived:
                    self.hooks.append(Hook(body, headers))
                    self._arrived.notify_all()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
        finally:
            del self._open[writer]


@asynccontextmanager
async def webhook_inbox(port: int = 0) -> AsyncIterator[Inbox]:
    inbox = Inbox()
    server = await asyncio.start_server(inbox.serve, "127.0.0.1", port, family=socket.AF_INET)
    inbox.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/webhooks/stripe"
    try:
        yield inbox
    finally:
        server.close()
        await inbox.close()

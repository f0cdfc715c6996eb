"""The kinds of units: a Python process with health routes, and a server of another's."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.errors import EmbeddedError
from deploy.local.process import Child
from deploy.local.server import Server

ROOT = Path(__file__).resolve().parents[2]


async def answers_ready(port: int, path: str = "/healthz/ready") -> bool:
    """True if 127.0.0.1:port answers 200 there. Raw HTTP: a client library would cost more than all else here."""
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
                return (await reader.readline()).split()[1:2] == [b"200"]
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


@dataclass
class PythonUnit:
    """`python -m module …` of this repository, which answers /healthz/ready on its port.

    env     asked at every start, since addresses are known only when what it needs has started
    """

    name: str
    argv: Sequence[str]
    port: int
    log: Path
    env: Callable[[], Mapping[str, str]]
    after: Sequence[str] = ()
    needed: bool = False
    _child: Child | None = field(default=None, init=False)

    async def start(self) -> Child:
        environment = {**self.env(), "HTTP_HOST": "127.0.0.1", "HTTP_PORT": str(self.port)}
        command = [sys.executable, "-m", *self.argv]
        self._child = await Child.start(command, log=self.log, env=environment, cwd=ROOT)
        return self._child

    async def ready(self) -> bool:
        ready = await answers_ready(self.port)
        return ready and self._child is not None and self._child.alive

    async def stop(self) -> None:
        if self._child:
            await self._child.stop(within=8)


async def run_once(argv: Sequence[str], env: Mapping[str, str], log: Path) -> None:
    """Run `python -m module …` of this repository to its end. EmbeddedError if it fails."""
    child = await Child.start([sys.executable, "-m", *argv], log=log, env=env, cwd=ROOT)
    try:
        if await child.wait() != 0:
            raise EmbeddedError(f"{argv[0]} failed: {child.last_words()} (log: {log})")
    finally:
        await child.stop()


@dataclass
class ServerUnit:
    """PostgreSQL, Kafka or Zipkin. Needed units stop after the processes that use them."""

    name: str
    server: Server
    after: Sequence[str] = ()
    needed: bool = True

    async def start(self) -> Child:
        await self.server.start()
        return self.server.child

    async def ready(self) -> bool:
        return await self.server.ready()

    async def stop(self) -> None:
        await self.server.stop(within=5)
